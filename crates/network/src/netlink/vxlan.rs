//! VXLAN: links that carry frames to other hosts, each to where it is told and to nowhere else.
//!
//! Layouts: linux/if_link.h, linux/neighbour.h.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::libc;

use super::route::{NDA_DST, NDA_LLADDR, NUD_PERMANENT, REPLACE, RTM_NEWNEIGH, family, octets};
use super::{
    CREATE, Socket, address_header, find, ignore, ipv4, link_header, nest, push, push_name, route_header,
    u32_at,
};
use crate::error::{Error, Result};
use crate::types::Mac;

const VXLAN_ID: u16 = 1;
const VXLAN_LOCAL: u16 = 4;
const VXLAN_LEARNING: u16 = 7;
const VXLAN_PORT: u16 = 15;
const RTM_DELNEIGH: u16 = 29;
const NUD_NOARP: u16 = 0x40;
const NTF_SELF: u8 = 2;

/// A VXLAN link to make. Its packets go by the namespace of the socket that makes it, its frames by another.
pub(crate) struct Vxlan<'a> {
    pub name: &'a str,
    pub mac: Mac,
    pub mtu: u32,
    /// Of 24 bits.
    pub number: u32,
    /// Where its packets come from.
    pub local: Ipv4Addr,
    /// The UDP port at both ends.
    pub port: u16,
    pub netns: BorrowedFd<'a>,
}

impl Socket {
    /// Makes a link that learns nothing, floods nothing and is down.
    pub(crate) fn add_vxlan(&mut self, vxlan: &Vxlan<'_>) -> Result<()> {
        let mut message = link_header(0, 0, 0);
        push_name(&mut message, libc::IFLA_IFNAME, vxlan.name);
        push(&mut message, libc::IFLA_MTU, &vxlan.mtu.to_ne_bytes());
        push(&mut message, libc::IFLA_ADDRESS, &vxlan.mac.0);
        push(&mut message, libc::IFLA_NET_NS_FD, &vxlan.netns.as_raw_fd().to_ne_bytes());
        nest(&mut message, libc::IFLA_LINKINFO, |m| {
            push(m, libc::IFLA_INFO_KIND, b"vxlan");
            nest(m, libc::IFLA_INFO_DATA, |m| {
                push(m, VXLAN_ID, &vxlan.number.to_ne_bytes());
                push(m, VXLAN_LOCAL, &vxlan.local.octets());
                push(m, VXLAN_LEARNING, &[0]);
                push(m, VXLAN_PORT, &vxlan.port.to_be_bytes());
            });
        });
        let what = || format!("add the VXLAN {} from {}", vxlan.number, vxlan.local);
        self.change(libc::RTM_NEWLINK, CREATE, &message, what)
    }

    /// The number of a VXLAN link, where its packets come from, and its MTU.
    pub(crate) fn vxlan(&mut self, name: &str) -> Result<Option<(u32, Ipv4Addr, u32)>> {
        let mut message = link_header(0, 0, 0);
        push_name(&mut message, libc::IFLA_IFNAME, name);
        let mut found = None;
        let answer = self.request(libc::RTM_GETLINK, 0, &message, |body| found = parse(body));
        match answer {
            Ok(()) => Ok(found),
            Err(source) if source.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            Err(source) => Err(Error::Netlink { what: format!("get link {name}"), source }),
        }
    }

    /// Says for good to which host frames for a hardware address go.
    pub(crate) fn set_forward(&mut self, link: u32, mac: Mac, host: Ipv4Addr) -> Result<()> {
        let message = forward(link, mac, host);
        self.change(RTM_NEWNEIGH, REPLACE, &message, || format!("lead {mac} to {host}"))
    }

    /// Takes that back; not an error when it is not so.
    pub(crate) fn delete_forward(&mut self, link: u32, mac: Mac, host: Ipv4Addr) -> Result<()> {
        let message = forward(link, mac, host);
        let gone = self.change(RTM_DELNEIGH, 0, &message, || format!("lead {mac} to {host} no more"));
        ignore(libc::ENOENT, gone)
    }

    /// Forgets a neighbour; not an error when it is not known.
    pub(crate) fn delete_neighbour(&mut self, link: u32, address: IpAddr) -> Result<()> {
        let mut message = neighbour(family(address), link, 0, 0);
        push(&mut message, NDA_DST, &octets(address));
        let gone = self.change(RTM_DELNEIGH, 0, &message, || format!("forget the neighbour {address}"));
        ignore(libc::ENOENT, gone)
    }

    /// The number of the link that has an address.
    pub(crate) fn link_with(&mut self, address: Ipv4Addr) -> Result<Option<u32>> {
        let mut found = None;
        self.dump(libc::RTM_GETADDR, &address_header(0, 0), "list addresses", |body| {
            let (Some(header), Some(rest)) = (body.get(..8), body.get(8..)) else { return };
            if find(rest, libc::IFA_LOCAL).and_then(ipv4) == Some(address) {
                found = Some(u32_at(header, 4));
            }
        })?;
        Ok(found)
    }

    /// The routes of IPv4 to single addresses by a link: to where, and by which neighbour.
    pub(crate) fn routes_by(&mut self, link: u32) -> Result<Vec<(Ipv4Addr, Ipv4Addr)>> {
        let mut all = Vec::new();
        self.dump(libc::RTM_GETROUTE, &route_header(), "list routes", |body| {
            let (Some(header), Some(rest)) = (body.get(..12), body.get(12..)) else { return };
            let by = find(rest, libc::RTA_OIF).filter(|v| v.len() == 4).map(|v| u32_at(v, 0));
            if header[1] != 32 || header[7] != libc::RTN_UNICAST || by != Some(link) {
                return;
            }
            let address = |kind| find(rest, kind).and_then(ipv4);
            all.extend(address(libc::RTA_DST).zip(address(libc::RTA_GATEWAY)));
        })?;
        Ok(all)
    }
}

fn parse(body: &[u8]) -> Option<(u32, Ipv4Addr, u32)> {
    let attributes = body.get(16..)?;
    let number = |value: &[u8]| (value.len() == 4).then(|| u32_at(value, 0));
    let mtu = find(attributes, libc::IFLA_MTU).and_then(number)?;
    let info = find(attributes, libc::IFLA_LINKINFO)?;
    if find(info, libc::IFLA_INFO_KIND)?.strip_suffix(&[0]) != Some(b"vxlan") {
        return None;
    }
    let data = find(info, libc::IFLA_INFO_DATA)?;
    Some((find(data, VXLAN_ID).and_then(number)?, find(data, VXLAN_LOCAL).and_then(ipv4)?, mtu))
}

/// `struct ndmsg`.
fn neighbour(family: u8, link: u32, state: u16, flags: u8) -> Vec<u8> {
    let mut message = vec![family, 0, 0, 0];
    message.extend_from_slice(&link.to_ne_bytes());
    message.extend_from_slice(&state.to_ne_bytes());
    message.extend_from_slice(&[flags, 0]);
    message
}

fn forward(link: u32, mac: Mac, host: Ipv4Addr) -> Vec<u8> {
    let mut message = neighbour(libc::AF_BRIDGE as u8, link, NUD_PERMANENT | NUD_NOARP, NTF_SELF);
    push(&mut message, NDA_LLADDR, &mac.0);
    push(&mut message, NDA_DST, &host.octets());
    message
}
