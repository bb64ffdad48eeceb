//! Routes, addresses and neighbours of both families, as routing between interfaces needs them.
//!
//! Layouts: rtnetlink(7), linux/neighbour.h.

use std::net::IpAddr;

use nix::libc;

use super::{CREATE, Socket, ignore, push};
use crate::error::Result;
use crate::types::Mac;

const RTNH_F_ONLINK: u32 = 4;
pub(super) const NDA_DST: u16 = 1;
pub(super) const NDA_LLADDR: u16 = 2;
pub(super) const NUD_PERMANENT: u16 = 0x80;
pub(super) const RTM_NEWNEIGH: u16 = 28;
pub(super) const REPLACE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16;

/// Where packets to a destination go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route {
    pub to: IpAddr,
    pub prefix_len: u8,
    /// Directly where there is none. It need be in no network of the link's.
    pub via: Option<IpAddr>,
    pub link: u32,
}

impl Socket {
    /// Gives a link an address that nobody is asked about; not an error when it has it already.
    pub(crate) fn add_ip(&mut self, link: u32, address: IpAddr, prefix_len: u8) -> Result<()> {
        let mut message = vec![family(address), prefix_len, libc::IFA_F_NODAD as u8, libc::RT_SCOPE_UNIVERSE];
        message.extend_from_slice(&link.to_ne_bytes());
        push(&mut message, libc::IFA_LOCAL, &octets(address));
        push(&mut message, libc::IFA_ADDRESS, &octets(address));
        let added = self
            .change(libc::RTM_NEWADDR, CREATE, &message, || format!("add address {address}/{prefix_len}"));
        ignore(libc::EEXIST, added)
    }

    /// Adds a route, or puts it in the place of the one to the same destination.
    pub(crate) fn set_route(&mut self, route: &Route) -> Result<()> {
        self.change(libc::RTM_NEWROUTE, REPLACE, &route.message(), || {
            format!("set the route to {}", route.to)
        })
    }

    /// Deletes a route; not an error when it is not there.
    pub(crate) fn delete_route(&mut self, route: &Route) -> Result<()> {
        let deleted = self
            .change(libc::RTM_DELROUTE, 0, &route.message(), || format!("delete the route to {}", route.to));
        ignore(libc::ESRCH, deleted)
    }

    /// Says for good which hardware address a neighbour has.
    pub(crate) fn set_neighbour(&mut self, link: u32, address: IpAddr, mac: Mac) -> Result<()> {
        // `struct ndmsg`.
        let mut message = vec![family(address), 0, 0, 0];
        message.extend_from_slice(&link.to_ne_bytes());
        message.extend_from_slice(&NUD_PERMANENT.to_ne_bytes());
        message.extend_from_slice(&[0, 0]);
        push(&mut message, NDA_DST, &octets(address));
        push(&mut message, NDA_LLADDR, &mac.0);
        self.change(RTM_NEWNEIGH, REPLACE, &message, || format!("set the neighbour {address}"))
    }
}

impl Route {
    /// `struct rtmsg` of the main table, and its attributes.
    fn message(&self) -> Vec<u8> {
        let scope = if self.via.is_none() && self.to.is_ipv4() {
            libc::RT_SCOPE_LINK
        } else {
            libc::RT_SCOPE_UNIVERSE
        };
        let mut out = vec![family(self.to), self.prefix_len, 0, 0];
        out.extend_from_slice(&[libc::RT_TABLE_MAIN, libc::RTPROT_BOOT, scope, libc::RTN_UNICAST]);
        let flags = if self.via.is_some() { RTNH_F_ONLINK } else { 0 };
        out.extend_from_slice(&flags.to_ne_bytes());
        if self.prefix_len > 0 {
            push(&mut out, libc::RTA_DST, &octets(self.to));
        }
        push(&mut out, libc::RTA_OIF, &self.link.to_ne_bytes());
        if let Some(via) = self.via {
            push(&mut out, libc::RTA_GATEWAY, &octets(via));
        }
        out
    }
}

pub(super) fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { libc::AF_INET as u8 } else { libc::AF_INET6 as u8 }
}

pub(super) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(a) => a.octets().to_vec(),
        IpAddr::V6(a) => a.octets().to_vec(),
    }
}
