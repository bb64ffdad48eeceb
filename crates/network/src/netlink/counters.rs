//! What a link has carried.

use nix::libc;

use super::{Socket, find, link_header, push_name};
use crate::error::{Error, Result};
use crate::types::Counters;

impl Socket {
    /// Traffic counters of a link, as the link itself sees them.
    pub(crate) fn counters(&mut self, name: &str) -> Result<Option<Counters>> {
        let mut message = link_header(0, 0, 0);
        push_name(&mut message, libc::IFLA_IFNAME, name);
        let mut found = None;
        let answer = self.request(libc::RTM_GETLINK, 0, &message, |body| found = parse_counters(body));
        match answer {
            Ok(()) => Ok(found),
            Err(source) if source.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            Err(source) => Err(Error::Netlink { what: format!("get counters of {name}"), source }),
        }
    }
}

/// `struct rtnl_link_stats64` begins rx_packets, tx_packets, rx_bytes, tx_bytes, rx_errors,
/// tx_errors, rx_dropped, tx_dropped.
fn parse_counters(body: &[u8]) -> Option<Counters> {
    let stats = find(body.get(16..)?, libc::IFLA_STATS64)?;
    let mut numbers = stats.chunks_exact(8).map(|c| c.try_into().map_or(0, u64::from_ne_bytes));
    let mut next = || numbers.next();
    Some(Counters {
        rx_packets: next()?,
        tx_packets: next()?,
        rx_bytes: next()?,
        tx_bytes: next()?,
        rx_errors: next()?,
        tx_errors: next()?,
        rx_dropped: next()?,
        tx_dropped: next()?,
    })
}
