//! The kernel's netfilter over netlink: elements of nftables maps, and connections on record.
//!
//! The rules are written by the `nft` program; only the elements, which come and go with every
//! container, are changed here: it is one message, where starting the program takes milliseconds.
//!
//! Layouts: linux/netfilter/nf_tables.h, linux/netfilter/nfnetlink_conntrack.h.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::net::Ipv4Addr;

use nix::libc;
use nix::sys::socket::{self, MsgFlags};

use crate::netlink::{self, Socket, attributes, find, nest, push, push_name};

/// Elements in one batch at most; an attribute holds 64 KiB and an element takes 32 to 40 bytes.
pub(crate) const ELEMENTS_MAX: usize = 1000;

const NESTED: u16 = libc::NLA_F_NESTED as u16;
const BATCH_BEGIN: u16 = libc::NLMSG_MIN_TYPE as u16;
const BATCH_END: u16 = BATCH_BEGIN + 1;
const NFTABLES: u16 = libc::NFNL_SUBSYS_NFTABLES as u16;
const NEW_ELEMENT: u16 = NFTABLES << 8 | libc::NFT_MSG_NEWSETELEM as u16;
const DELETE_ELEMENT: u16 = NFTABLES << 8 | libc::NFT_MSG_DELSETELEM as u16;
const GET_TABLE: u16 = NFTABLES << 8 | libc::NFT_MSG_GETTABLE as u16;
const GET_CHAIN: u16 = NFTABLES << 8 | libc::NFT_MSG_GETCHAIN as u16;
const GET_RULE: u16 = NFTABLES << 8 | libc::NFT_MSG_GETRULE as u16;
const GET_ELEMENT: u16 = NFTABLES << 8 | libc::NFT_MSG_GETSETELEM as u16;
const NFPROTO_INET: u8 = 1;
/// What a table calls itself, and what its parts call it.
const TABLE_NAME: u16 = 1;
const LIST_TABLE: u16 = 1;
const LIST_SET: u16 = 2;
const LIST_ELEMENTS: u16 = 3;
const LIST_ELEMENT: u16 = 1;
const ELEMENT_KEY: u16 = 1;
const ELEMENT_DATA: u16 = 2;
const DATA_VALUE: u16 = 1;
const CONNTRACK_GET: u16 = (libc::NFNL_SUBSYS_CTNETLINK as u16) << 8 | 1;
const CONNTRACK_DELETE: u16 = (libc::NFNL_SUBSYS_CTNETLINK as u16) << 8 | 2;
const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_PROTO: u16 = 2;
const PROTO_NUMBER: u16 = 1;
const PROTO_DESTINATION: u16 = 3;
const CT_FILTER: u16 = 25;
const FILTER_ORIGINAL: u16 = 1;
const BY_PROTO_NUMBER: u32 = 1 << 3;

/// One change of a map `inet_service : ipv4_addr . inet_service`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Add(u16, (Ipv4Addr, u16)),
    Delete(u16),
}

/// Changes elements of maps of one `inet` table, all or nothing. At most [`ELEMENTS_MAX`] changes;
/// deletions must come before an addition of the same key.
pub(crate) fn change_elements(
    socket: &mut Socket,
    table: &str,
    maps: &[(&str, Vec<Change>)],
) -> io::Result<()> {
    let mut batch = Vec::new();
    let mut last = socket.next_sequence();
    netlink::push_message(&mut batch, BATCH_BEGIN, REQUEST, last, &header(libc::AF_UNSPEC as u8, NFTABLES));
    let first = last;
    for (map, changes) in maps {
        for (kind, flags) in [(DELETE_ELEMENT, REQUEST | ACK), (NEW_ELEMENT, REQUEST | ACK | CREATE)] {
            let of_kind = |c: &&Change| matches!(c, Change::Delete(_)) == (kind == DELETE_ELEMENT);
            let chosen: Vec<&Change> = changes.iter().filter(of_kind).collect();
            if !chosen.is_empty() {
                last = socket.next_sequence();
                netlink::push_message(&mut batch, kind, flags, last, &elements(table, map, &chosen));
            }
        }
    }
    let expected = last.wrapping_sub(first);
    let end = socket.next_sequence();
    netlink::push_message(&mut batch, BATCH_END, REQUEST, end, &header(libc::AF_UNSPEC as u8, NFTABLES));
    socket::send(socket.raw_fd(), &batch, MsgFlags::empty())?;
    socket.await_acks(first, expected)
}

/// A number that stands for what the kernel has of an `inet` table, but for what its maps hold: the
/// same while nobody changes anything. `None` when there is no such table.
pub(crate) fn fingerprint(socket: &mut Socket, table: &str) -> io::Result<Option<u64>> {
    let mut hasher = DefaultHasher::new();
    let mut seen = false;
    for kind in [GET_TABLE, GET_CHAIN, GET_RULE] {
        socket.request(kind, libc::NLM_F_DUMP as u16, &header(NFPROTO_INET, 0), |body| {
            // What comes before the attributes holds a number that every change of any table raises.
            let Some(of_part) = body.get(4..) else { return };
            let name = find(of_part, TABLE_NAME).and_then(|name| name.strip_suffix(&[0]));
            if name == Some(table.as_bytes()) {
                seen = true;
                (kind, of_part).hash(&mut hasher);
            }
        })?;
    }
    Ok(seen.then(|| hasher.finish()))
}

/// What a map `inet_service : ipv4_addr . inet_service` of an `inet` table holds.
pub(crate) fn read_elements(
    socket: &mut Socket,
    table: &str,
    map: &str,
) -> io::Result<BTreeMap<u16, (Ipv4Addr, u16)>> {
    let mut message = header(NFPROTO_INET, 0);
    push_name(&mut message, LIST_TABLE, table);
    push_name(&mut message, LIST_SET, map);
    let mut all = BTreeMap::new();
    socket.request(GET_ELEMENT, libc::NLM_F_DUMP as u16, &message, |body| {
        let listed = find(body.get(4..).unwrap_or_default(), LIST_ELEMENTS).unwrap_or_default();
        all.extend(attributes(listed).filter_map(|(_, element)| {
            let value = |kind| find(element, kind).and_then(|data| find(data, DATA_VALUE));
            let key = u16::from_be_bytes(value(ELEMENT_KEY)?.get(..2)?.try_into().ok()?);
            let data = value(ELEMENT_DATA)?;
            let address = <[u8; 4]>::try_from(data.get(..4)?).ok()?;
            let port = u16::from_be_bytes(data.get(4..6)?.try_into().ok()?);
            Some((key, (Ipv4Addr::from(address), port)))
        }));
    })?;
    Ok(all)
}

/// Forgets UDP connections to these ports, so that the next packet of each finds its way anew.
/// Without this a client that keeps sending from one port reaches the container it first reached
/// for ever, be it gone or not. The kernel walks all its connections: some ms.
pub(crate) fn forget_udp(socket: &mut Socket, ports: &BTreeSet<u16>) -> io::Result<()> {
    let udp = libc::IPPROTO_UDP as u8;
    let mut message = header(libc::AF_INET as u8, 0);
    nest(&mut message, TUPLE_ORIGINAL | NESTED, |m| {
        nest(m, TUPLE_PROTO | NESTED, |m| push(m, PROTO_NUMBER, &[udp]));
    });
    nest(&mut message, CT_FILTER | NESTED, |m| push(m, FILTER_ORIGINAL, &BY_PROTO_NUMBER.to_ne_bytes()));
    let mut found = Vec::new();
    // A kernel before 5.8 takes no notice of the filter, so what comes back is checked.
    socket.request(CONNTRACK_GET, libc::NLM_F_DUMP as u16, &message, |body| {
        let Some(tuple) = find(body.get(4..).unwrap_or_default(), TUPLE_ORIGINAL) else { return };
        let Some(proto) = find(tuple, TUPLE_PROTO) else { return };
        let port =
            find(proto, PROTO_DESTINATION).and_then(|port| Some(u16::from_be_bytes(port.try_into().ok()?)));
        if find(proto, PROTO_NUMBER) == Some(&[udp]) && port.is_some_and(|port| ports.contains(&port)) {
            found.push(tuple.to_vec());
        }
    })?;
    for tuple in found {
        let mut message = header(libc::AF_INET as u8, 0);
        push(&mut message, TUPLE_ORIGINAL | NESTED, &tuple);
        match socket.request(CONNTRACK_DELETE, ACK, &message, |_| ()) {
            Err(e) if e.raw_os_error() != Some(libc::ENOENT) => return Err(e),
            _ => {}
        }
    }
    Ok(())
}

const REQUEST: u16 = libc::NLM_F_REQUEST as u16;
const ACK: u16 = libc::NLM_F_ACK as u16;
const CREATE: u16 = libc::NLM_F_CREATE as u16;

fn elements(table: &str, map: &str, changes: &[&Change]) -> Vec<u8> {
    let mut message = header(NFPROTO_INET, 0);
    push_name(&mut message, LIST_TABLE, table);
    push_name(&mut message, LIST_SET, map);
    nest(&mut message, LIST_ELEMENTS | NESTED, |m| {
        for change in changes {
            nest(m, LIST_ELEMENT | NESTED, |m| {
                let (Change::Add(key, _) | Change::Delete(key)) = change;
                nest(m, ELEMENT_KEY | NESTED, |m| push(m, DATA_VALUE, &key.to_be_bytes()));
                if let Change::Add(_, (address, port)) = change {
                    // Each part of a concatenation is padded to four bytes.
                    let mut value = [0; 8];
                    value[..4].copy_from_slice(&address.octets());
                    value[4..6].copy_from_slice(&port.to_be_bytes());
                    nest(m, ELEMENT_DATA | NESTED, |m| push(m, DATA_VALUE, &value));
                }
            });
        }
    });
    message
}

/// `struct nfgenmsg`.
fn header(family: u8, resource: u16) -> Vec<u8> {
    let [high, low] = resource.to_be_bytes();
    vec![family, 0, high, low]
}
