//! What the kernel tells of changes, whoever made them.
//!
//! Layouts: linux/rtnetlink.h, linux/netconf.h, linux/netfilter/nf_tables.h.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::libc;
use nix::sys::socket::{
    self, AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, sockopt,
};

use super::{Link, RECEIVE_BYTES, align, find, parse_link, u16_at, u32_at};
use crate::error::{Error, Result};

/// Bits of `RTNLGRP_LINK`, `_TC`, `_IPV4_IFADDR` and `_IPV4_NETCONF`.
const ROUTE_GROUPS: u32 = 1 | 1 << 3 | 1 << 4 | 1 << 23;
/// The bit of `NFNLGRP_NFTABLES`.
const NFTABLES_GROUP: u32 = 1 << 6;
/// What may wait to be read; a full one makes [`News::Missed`].
const WAITING_BYTES: usize = 1 << 20;
const NETCONF_IFINDEX: u16 = 1;
const NETCONF_ALL: u32 = u32::MAX;
const RTM_NEWNETCONF: u16 = 80;
const NFTABLES: u8 = libc::NFNL_SUBSYS_NFTABLES as u8;
/// Every message of nftables about a part of a table names the table here.
const NFTA_TABLE: u16 = 1;

/// Something changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// A link is there, as it is now.
    Link(Link),
    /// A link is gone, or has left its bridge.
    LinkGone(Link),
    /// An address of the link of that number is gone.
    AddressGone(u32),
    /// Forwarding was set, on the link of that number or on all (`None`).
    Forwarding(Option<u32>),
    /// A queue or a filter of the link of that number is gone.
    FilterGone(u32),
    /// A part of the table of nftables of that name was changed by the socket of that number.
    Table(String, u32),
    /// More happened than could be told.
    Missed,
}

/// A socket that hears of changes in the network namespace of the thread that opened it.
pub(crate) struct Listener {
    fd: OwnedFd,
    protocol: SockProtocol,
    buffer: Vec<u8>,
}

impl Listener {
    /// Hears of links, addresses, filters and forwarding.
    pub(crate) fn route() -> Result<Listener> {
        Listener::open(SockProtocol::NetlinkRoute, ROUTE_GROUPS)
    }

    /// Hears of nftables.
    pub(crate) fn nftables() -> Result<Listener> {
        Listener::open(SockProtocol::NetlinkNetFilter, NFTABLES_GROUP)
    }

    fn open(protocol: SockProtocol, groups: u32) -> Result<Listener> {
        let open = || -> io::Result<OwnedFd> {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            let fd = socket::socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
            // Beyond the limit, if we may; what is missed all the same is told.
            let _ = socket::setsockopt(&fd, sockopt::RcvBufForce, &WAITING_BYTES);
            socket::bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
            Ok(fd)
        };
        let fd = open().map_err(|source| Error::Netlink { what: "listen".to_owned(), source })?;
        Ok(Listener { fd, protocol, buffer: vec![0; RECEIVE_BYTES] })
    }

    /// Hands over what has been told by now; never waits.
    pub(crate) fn read(&mut self, mut each: impl FnMut(News)) -> io::Result<()> {
        loop {
            match socket::recv(self.fd.as_raw_fd(), &mut self.buffer, MsgFlags::empty()) {
                Ok(received) => self.parse(&self.buffer[..received], &mut each),
                Err(nix::Error::EAGAIN) => return Ok(()),
                Err(nix::Error::EINTR) => {}
                Err(nix::Error::ENOBUFS) => each(News::Missed),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn parse(&self, mut data: &[u8], each: &mut impl FnMut(News)) {
        while data.len() >= 16 {
            let length = u32_at(data, 0) as usize;
            let Some(body) = data.get(16..length) else { return };
            let (kind, port) = (u16_at(data, 4), u32_at(data, 12));
            let news = match self.protocol {
                SockProtocol::NetlinkNetFilter => table(kind, port, body),
                _ => change(kind, body),
            };
            news.into_iter().for_each(&mut *each);
            data = data.get(align(length)..).unwrap_or_default();
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn table(kind: u16, port: u32, body: &[u8]) -> Option<News> {
    let [high, _] = kind.to_be_bytes();
    let name = find(body.get(4..)?, NFTA_TABLE).filter(|_| high == NFTABLES)?;
    let name = String::from_utf8_lossy(name.strip_suffix(&[0]).unwrap_or(name)).into_owned();
    Some(News::Table(name, port))
}

fn change(kind: u16, body: &[u8]) -> Option<News> {
    let number = |at: usize| body.get(at..at + 4).map(|v| u32_at(v, 0));
    match kind {
        // A bridge tells of its ports by its own family; of those only that one left is news.
        libc::RTM_NEWLINK if body.first() == Some(&0) => parse_link(body).map(News::Link),
        libc::RTM_DELLINK => parse_link(body).map(News::LinkGone),
        libc::RTM_DELADDR => number(4).map(News::AddressGone),
        libc::RTM_DELQDISC | libc::RTM_DELTFILTER => number(4).map(News::FilterGone),
        RTM_NEWNETCONF => {
            // `struct netconfmsg` is one byte, padded.
            let index =
                find(body.get(4..)?, NETCONF_IFINDEX).filter(|v| v.len() == 4).map(|v| u32_at(v, 0))?;
            Some(News::Forwarding(Some(index).filter(|index| *index != NETCONF_ALL)))
        }
        _ => None,
    }
}
