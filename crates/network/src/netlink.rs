//! Netlink sockets, and rtnetlink: links, addresses and routes. This file, those below it and `nfnetlink`
//! are the only ones that speak netlink; they know the messages, not what they are used for.
//!
//! Messages are written by hand: a dozen requests are needed, and reading only the attributes that
//! are asked for keeps a newer kernel's additions from failing a dump.
//!
//! Layouts: netlink(7), rtnetlink(7), linux/if_link.h.

mod counters;
mod news;
mod route;
mod tc;
mod vxlan;

pub(crate) use news::{Listener, News};
pub(crate) use route::Route;
pub(crate) use tc::Owner;
pub(crate) use vxlan::Vxlan;

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::libc;
use nix::sys::socket::{
    self, AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::error::{Error, Result};
use crate::types::{Mac, Subnet};

const VETH_INFO_PEER: u16 = 1;
const IFLA_PROTINFO: u16 = 12;
const IFLA_BRPORT_MODE: u16 = 4;
const RECEIVE_BYTES: usize = 64 * 1024;
const PATIENCE_SECONDS: i64 = 10;

/// One netlink socket. It stays in the network namespace of the thread that opened it.
pub(crate) struct Socket {
    fd: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

/// A link as dumped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub index: u32,
    pub name: String,
    pub mtu: u32,
    pub up: bool,
    /// The bridge it is on.
    pub master: Option<u32>,
}

/// A veth pair to make: one end in this namespace, the other in another.
pub(crate) struct Veth<'a> {
    pub name: &'a str,
    /// The kernel's choice where there is none.
    pub mac: Option<Mac>,
    /// The bridge that our end is on, if any.
    pub bridge_index: Option<u32>,
    pub mtu: u32,
    pub peer_name: &'a str,
    pub peer_mac: Mac,
    pub peer_netns: BorrowedFd<'a>,
}

impl Socket {
    /// Opens a socket for links, addresses and routes in the calling thread's network namespace.
    pub(crate) fn open() -> Result<Socket> {
        Socket::open_for(SockProtocol::NetlinkRoute)
    }

    /// Opens a socket for netfilter in the calling thread's network namespace.
    pub(crate) fn open_netfilter() -> Result<Socket> {
        Socket::open_for(SockProtocol::NetlinkNetFilter)
    }

    fn open_for(protocol: SockProtocol) -> Result<Socket> {
        let open = || -> io::Result<OwnedFd> {
            let (family, flags) = (AddressFamily::Netlink, SockFlag::SOCK_CLOEXEC);
            let fd = socket::socket(family, SockType::Raw, flags, protocol)?;
            // The kernel answers at once; this only keeps a lost answer from hanging a thread.
            socket::setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::seconds(PATIENCE_SECONDS))?;
            socket::bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
            Ok(fd)
        };
        let fd = open().map_err(|source| Error::Netlink { what: "socket".to_owned(), source })?;
        Ok(Socket { fd, sequence: 0, buffer: vec![0; RECEIVE_BYTES] })
    }

    /// Every link of the namespace.
    pub(crate) fn links(&mut self) -> Result<Vec<Link>> {
        let mut links = Vec::new();
        self.dump(libc::RTM_GETLINK, &link_header(0, 0, 0), "list links", |body| {
            links.extend(parse_link(body));
        })?;
        Ok(links)
    }

    /// The link of that name.
    pub(crate) fn link(&mut self, name: &str) -> Result<Option<Link>> {
        let mut message = link_header(0, 0, 0);
        push_name(&mut message, libc::IFLA_IFNAME, name);
        let mut found = None;
        let answer = self.request(libc::RTM_GETLINK, 0, &message, |body| found = parse_link(body));
        match answer {
            Ok(()) => Ok(found),
            Err(source) if source.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            Err(source) => Err(Error::Netlink { what: format!("get link {name}"), source }),
        }
    }

    /// The number of the link of that name. Much cheaper than [`Socket::link`], for it takes no lock.
    pub(crate) fn index(&self, name: &str) -> Result<Option<u32>> {
        // SAFETY: all zeros are a valid value.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        let room = request.ifr_name.len() - 1;
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes().take(room)) {
            *to = from.cast_signed();
        }
        // SAFETY: the descriptor is open, and the request is what this call reads and writes.
        let answer = unsafe { libc::ioctl(self.raw_fd(), libc::SIOCGIFINDEX, &mut request) };
        if answer == 0 {
            // SAFETY: the call has just filled in this field.
            return Ok(u32::try_from(unsafe { request.ifr_ifru.ifru_ifindex }).ok());
        }
        match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            source => Err(Error::Netlink { what: format!("get the number of link {name}"), source }),
        }
    }

    /// Makes a bridge that is up.
    pub(crate) fn add_bridge(&mut self, name: &str, mac: Mac, mtu: u32) -> Result<()> {
        let mut message = link_header(0, libc::IFF_UP as u32, libc::IFF_UP as u32);
        push_name(&mut message, libc::IFLA_IFNAME, name);
        push(&mut message, libc::IFLA_ADDRESS, &mac.0);
        push(&mut message, libc::IFLA_MTU, &mtu.to_ne_bytes());
        nest(&mut message, libc::IFLA_LINKINFO, |m| push(m, libc::IFLA_INFO_KIND, b"bridge"));
        self.change(libc::RTM_NEWLINK, CREATE, &message, || format!("add bridge {name}"))
    }

    /// Makes a veth pair; our end is up, and on its bridge in hairpin mode, the other is down (the
    /// kernel cannot bring it up before the pair is whole).
    pub(crate) fn add_veth(&mut self, veth: &Veth<'_>) -> Result<()> {
        let up = libc::IFF_UP as u32;
        let mut message = link_header(0, up, up);
        push_name(&mut message, libc::IFLA_IFNAME, veth.name);
        push(&mut message, libc::IFLA_MTU, &veth.mtu.to_ne_bytes());
        if let Some(mac) = veth.mac {
            push(&mut message, libc::IFLA_ADDRESS, &mac.0);
        }
        if let Some(bridge) = veth.bridge_index {
            push(&mut message, libc::IFLA_MASTER, &bridge.to_ne_bytes());
        }
        nest(&mut message, libc::IFLA_LINKINFO, |m| {
            push(m, libc::IFLA_INFO_KIND, b"veth");
            nest(m, libc::IFLA_INFO_DATA, |m| {
                nest(m, VETH_INFO_PEER, |m| {
                    m.extend_from_slice(&link_header(0, 0, 0));
                    push_name(m, libc::IFLA_IFNAME, veth.peer_name);
                    push(m, libc::IFLA_ADDRESS, &veth.peer_mac.0);
                    push(m, libc::IFLA_MTU, &veth.mtu.to_ne_bytes());
                    push(m, libc::IFLA_NET_NS_FD, &veth.peer_netns.as_raw_fd().to_ne_bytes());
                });
            });
        });
        self.change(libc::RTM_NEWLINK, CREATE, &message, || format!("add veth {}", veth.name))?;
        if veth.bridge_index.is_none() { Ok(()) } else { self.set_hairpin(veth.name) }
    }

    /// Lets a bridge port send a frame back where it came from: needed for a container that calls
    /// itself through its host port when br_netfilter translates bridged frames.
    pub(crate) fn set_hairpin(&mut self, name: &str) -> Result<()> {
        let Some(index) = self.index(name)? else { return Ok(()) };
        let mut message = link_header(index, 0, 0);
        message[0] = libc::AF_BRIDGE as u8;
        nest(&mut message, IFLA_PROTINFO | libc::NLA_F_NESTED as u16, |m| push(m, IFLA_BRPORT_MODE, &[1]));
        self.change(libc::RTM_SETLINK, 0, &message, || format!("set hairpin on {name}"))
    }

    /// Brings a link up.
    pub(crate) fn set_up(&mut self, name: &str) -> Result<()> {
        let mut message = link_header(0, libc::IFF_UP as u32, libc::IFF_UP as u32);
        push_name(&mut message, libc::IFLA_IFNAME, name);
        self.change(libc::RTM_NEWLINK, 0, &message, || format!("set {name} up"))
    }

    /// Puts a link on a bridge.
    pub(crate) fn set_bridge(&mut self, name: &str, bridge_index: u32) -> Result<()> {
        let mut message = link_header(0, 0, 0);
        push_name(&mut message, libc::IFLA_IFNAME, name);
        push(&mut message, libc::IFLA_MASTER, &bridge_index.to_ne_bytes());
        self.change(libc::RTM_NEWLINK, 0, &message, || format!("put {name} on the bridge"))
    }

    /// Deletes one link; not an error when it is not there.
    pub(crate) fn delete_link(&mut self, name: &str) -> Result<()> {
        let mut message = link_header(0, 0, 0);
        push_name(&mut message, libc::IFLA_IFNAME, name);
        ignore(libc::ENODEV, self.change(libc::RTM_DELLINK, 0, &message, || format!("delete link {name}")))
    }

    /// Deletes many links for the price of one: they are put in a group of their own, and the
    /// kernel waits once for all of it. `group` must be used for nothing else on this host.
    pub(crate) fn delete_links<'a>(
        &mut self,
        names: impl Iterator<Item = &'a str>,
        group: u32,
    ) -> Result<()> {
        for name in names {
            let mut message = link_header(0, 0, 0);
            push_name(&mut message, libc::IFLA_IFNAME, name);
            push(&mut message, libc::IFLA_GROUP, &group.to_ne_bytes());
            let set = self.change(libc::RTM_NEWLINK, 0, &message, || format!("mark {name} for deletion"));
            ignore(libc::ENODEV, set)?;
        }
        let mut message = link_header(0, 0, 0);
        push(&mut message, libc::IFLA_GROUP, &group.to_ne_bytes());
        ignore(libc::ENODEV, self.change(libc::RTM_DELLINK, 0, &message, || "delete marked links".to_owned()))
    }

    /// Gives a link an address; not an error when it has it already.
    pub(crate) fn add_address(&mut self, index: u32, address: Ipv4Addr, prefix_len: u8) -> Result<()> {
        let mut message = address_header(index, prefix_len);
        push(&mut message, libc::IFA_LOCAL, &address.octets());
        push(&mut message, libc::IFA_ADDRESS, &address.octets());
        let broadcast = address.to_bits() | u32::MAX.checked_shr(u32::from(prefix_len)).unwrap_or(0);
        push(&mut message, libc::IFA_BROADCAST, &broadcast.to_be_bytes());
        let added = self
            .change(libc::RTM_NEWADDR, CREATE, &message, || format!("add address {address}/{prefix_len}"));
        ignore(libc::EEXIST, added)
    }

    /// Every IPv4 network that an address of this namespace is in, with the link's index.
    pub(crate) fn addresses(&mut self) -> Result<Vec<(u32, Subnet)>> {
        let mut all = Vec::new();
        self.dump(libc::RTM_GETADDR, &address_header(0, 0), "list addresses", |body| {
            let Some(header) = body.get(..8) else { return };
            let address = find(&body[8..], libc::IFA_LOCAL).and_then(ipv4);
            let subnet = address.and_then(|a| Subnet::new(a, header[1]).ok());
            all.extend(subnet.map(|s| (u32_at(header, 4), s)));
        })?;
        Ok(all)
    }

    /// Adds the default route.
    pub(crate) fn add_default_route(&mut self, gateway: Ipv4Addr) -> Result<()> {
        let mut message = route_header();
        push(&mut message, libc::RTA_GATEWAY, &gateway.octets());
        let added =
            self.change(libc::RTM_NEWROUTE, CREATE, &message, || format!("add default route via {gateway}"));
        ignore(libc::EEXIST, added)
    }

    /// Every IPv4 unicast route: its destination and outgoing link. The default route is a /0.
    pub(crate) fn routes(&mut self) -> Result<Vec<(Subnet, Option<u32>)>> {
        let mut all = Vec::new();
        self.dump(libc::RTM_GETROUTE, &route_header(), "list routes", |body| {
            let Some(header) = body.get(..12) else { return };
            if header[7] != libc::RTN_UNICAST {
                return;
            }
            let destination =
                find(&body[12..], libc::RTA_DST).and_then(ipv4).unwrap_or(Ipv4Addr::UNSPECIFIED);
            let link = find(&body[12..], libc::RTA_OIF).filter(|v| v.len() == 4).map(|v| u32_at(v, 0));
            all.extend(Subnet::new(destination, header[1]).ok().map(|s| (s, link)));
        })?;
        Ok(all)
    }

    fn change(&mut self, kind: u16, flags: u16, message: &[u8], what: impl Fn() -> String) -> Result<()> {
        self.request(kind, flags | libc::NLM_F_ACK as u16, message, |_| ())
            .map_err(|source| Error::Netlink { what: what(), source })
    }

    fn dump(&mut self, kind: u16, message: &[u8], what: &str, mut each: impl FnMut(&[u8])) -> Result<()> {
        self.request(kind, libc::NLM_F_DUMP as u16, message, &mut each)
            .map_err(|source| Error::Netlink { what: what.to_owned(), source })
    }

    /// Sends one request and hands every answer's body to `each` until the kernel says it is done.
    pub(crate) fn request(
        &mut self,
        kind: u16,
        flags: u16,
        message: &[u8],
        mut each: impl FnMut(&[u8]),
    ) -> io::Result<()> {
        let sequence = self.next_sequence();
        let mut packet = Vec::with_capacity(message.len() + 16);
        push_message(&mut packet, kind, flags | libc::NLM_F_REQUEST as u16, sequence, message);
        socket::send(self.raw_fd(), &packet, MsgFlags::empty())?;
        let expects_dump = flags & libc::NLM_F_DUMP as u16 == libc::NLM_F_DUMP as u16;
        loop {
            let received = self.receive()?;
            if parse_answer(&self.buffer[..received], sequence, expects_dump, &mut each)? {
                return Ok(());
            }
        }
    }

    /// Waits for the answers to a batch whose first message has the number `first`: `count` of
    /// them, or the first that is an error.
    pub(crate) fn await_acks(&mut self, first: u32, count: u32) -> io::Result<()> {
        let mut seen = 0;
        while seen < count {
            let received = self.receive()?;
            let mut data = &self.buffer[..received];
            while data.len() >= 20 {
                let (length, sequence) = (u32_at(data, 0) as usize, u32_at(data, 8));
                let is_ours = sequence.wrapping_sub(first) <= count;
                if is_ours && i32::from(u16_at(data, 4)) == libc::NLMSG_ERROR {
                    let code = u32_at(data, 16) as i32;
                    if code != 0 {
                        return Err(io::Error::from_raw_os_error(-code));
                    }
                    seen += 1;
                }
                data = data.get(align(length.max(16))..).unwrap_or_default();
            }
        }
        Ok(())
    }

    pub(crate) fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    pub(crate) fn raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// The number by which the kernel tells this socket from others, and names it in what it tells others.
    pub(crate) fn port(&self) -> Result<u32> {
        let name = socket::getsockname::<NetlinkAddr>(self.raw_fd());
        let failed = |e: nix::Error| Error::Netlink { what: "name of socket".to_owned(), source: e.into() };
        name.map(|name| name.pid()).map_err(failed)
    }

    fn receive(&mut self) -> io::Result<usize> {
        loop {
            match socket::recv(self.fd.as_raw_fd(), &mut self.buffer, MsgFlags::empty()) {
                Err(nix::Error::EINTR) => {}
                other => return Ok(other?),
            }
        }
    }
}

/// Writes one whole message: `struct nlmsghdr`, then the body.
pub(crate) fn push_message(packet: &mut Vec<u8>, kind: u16, flags: u16, sequence: u32, body: &[u8]) {
    let length = u32::try_from(body.len() + 16).expect("our messages are below 64 KiB");
    packet.extend_from_slice(&length.to_ne_bytes());
    packet.extend_from_slice(&kind.to_ne_bytes());
    packet.extend_from_slice(&flags.to_ne_bytes());
    packet.extend_from_slice(&sequence.to_ne_bytes());
    packet.extend_from_slice(&0u32.to_ne_bytes());
    packet.extend_from_slice(body);
    packet.resize(align(packet.len()), 0);
}

const CREATE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;

/// Walks one datagram; true when the request is answered in full.
fn parse_answer(
    mut data: &[u8],
    sequence: u32,
    expects_dump: bool,
    each: &mut impl FnMut(&[u8]),
) -> io::Result<bool> {
    while data.len() >= 16 {
        let length = u32_at(data, 0) as usize;
        if length < 16 || length > data.len() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let (kind, body) = (u16_at(data, 4), &data[16..length]);
        if u32_at(data, 8) == sequence {
            match i32::from(kind) {
                libc::NLMSG_DONE => return Ok(true),
                libc::NLMSG_ERROR if body.len() >= 4 => {
                    let code = u32_at(body, 0) as i32;
                    return if code == 0 { Ok(true) } else { Err(io::Error::from_raw_os_error(-code)) };
                }
                _ => each(body),
            }
            if !expects_dump {
                return Ok(true);
            }
        }
        data = data.get(align(length)..).unwrap_or_default();
    }
    Ok(false)
}

fn parse_link(body: &[u8]) -> Option<Link> {
    let attributes = body.get(16..)?;
    let name = find(attributes, libc::IFLA_IFNAME)?;
    let name = String::from_utf8_lossy(name.strip_suffix(&[0]).unwrap_or(name)).into_owned();
    let mtu = find(attributes, libc::IFLA_MTU).filter(|v| v.len() == 4).map_or(1500, |v| u32_at(v, 0));
    let master = find(attributes, libc::IFLA_MASTER).filter(|v| v.len() == 4).map(|v| u32_at(v, 0));
    let up = u32_at(body, 8) & libc::IFF_UP as u32 != 0;
    Some(Link { index: u32_at(body, 4), name, mtu, up, master })
}

/// `struct ifinfomsg`.
fn link_header(index: u32, flags: u32, change: u32) -> Vec<u8> {
    let mut out = vec![0; 4];
    for number in [index, flags, change] {
        out.extend_from_slice(&number.to_ne_bytes());
    }
    out
}

/// `struct ifaddrmsg`, global scope.
fn address_header(index: u32, prefix_len: u8) -> Vec<u8> {
    let mut out = vec![libc::AF_INET as u8, prefix_len, 0, libc::RT_SCOPE_UNIVERSE];
    out.extend_from_slice(&index.to_ne_bytes());
    out
}

/// `struct rtmsg` of an IPv4 unicast route with an empty destination in the main table.
fn route_header() -> Vec<u8> {
    let mut out = vec![libc::AF_INET as u8, 0, 0, 0];
    out.extend_from_slice(&[
        libc::RT_TABLE_MAIN,
        libc::RTPROT_BOOT,
        libc::RT_SCOPE_UNIVERSE,
        libc::RTN_UNICAST,
    ]);
    out.extend_from_slice(&0u32.to_ne_bytes());
    out
}

pub(crate) fn push(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    nest(message, kind, |m| m.extend_from_slice(value));
}

pub(crate) fn push_name(message: &mut Vec<u8>, kind: u16, name: &str) {
    nest(message, kind, |m| {
        m.extend_from_slice(name.as_bytes());
        m.push(0);
    });
}

/// Writes one attribute whose value `fill` writes, then pads to four bytes.
pub(crate) fn nest(message: &mut Vec<u8>, kind: u16, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = message.len();
    message.extend_from_slice(&[0; 4]);
    fill(message);
    let length = u16::try_from(message.len() - start).expect("our attributes are a few hundred bytes");
    message[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    message[start + 2..start + 4].copy_from_slice(&kind.to_ne_bytes());
    message.resize(align(message.len()), 0);
}

/// Every attribute: kind and value.
pub(crate) fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(rest.get(..4)?, 0));
        let (kind, value) = (u16_at(rest, 2) & 0x3fff, rest.get(4..length)?);
        rest = rest.get(align(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

pub(crate) fn find(all: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(all).find(|(k, _)| *k == kind).map(|(_, value)| value)
}

fn ignore(code: i32, result: Result<()>) -> Result<()> {
    match result {
        Err(Error::Netlink { source, .. }) if source.raw_os_error() == Some(code) => Ok(()),
        other => other,
    }
}

fn align(length: usize) -> usize {
    (length + 3) & !3
}

fn ipv4(value: &[u8]) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(value).ok().map(Ipv4Addr::from)
}

/// Callers have checked the length.
fn u32_at(data: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([data[at], data[at + 1], data[at + 2], data[at + 3]])
}

fn u16_at(data: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes([data[at], data[at + 1]])
}
