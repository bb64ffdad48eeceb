//! The kernel's own record of one TCP socket (`sock_diag`), found by both ends of its connection: one look-up,
//! whatever else the host does.

use std::net::{IpAddr, SocketAddr};

use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload, Nla as _};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP, TCP_ESTABLISHED};
use netlink_packet_sock_diag::inet::{
    ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags, nlas::Nla,
};
use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};

use super::Error;
use crate::front_door::Ends;

/// `INET_DIAG_CGROUP_ID` of linux/inet_diag.h: the control group, of the one hierarchy, in which it was made.
const CGROUP_ID: u16 = 21;
/// Any socket, whatever its cookie.
const ANY: [u8; 8] = [0xff; 8];

/// The client's socket.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Client {
    /// Who made it, as a number of our own user namespace.
    pub user: u32,
    /// Its inode, never 0.
    pub inode: u32,
    /// The id of the control group (v2) in which it was made; kernels before 5.8 do not say.
    pub group: Option<u64>,
}

/// The socket at the client's end, while it is open and somebody's. The kernel says user 0 of a socket that was closed
/// while its last bytes are on their way, and says inode 0 with it.
pub(super) fn client(ends: &Ends) -> Result<Client, Error> {
    let found = look_up(ends.peer, ends.local, ANY)?;
    if found.header.state != TCP_ESTABLISHED || found.header.inode == 0 {
        return Err(Error::Gone);
    }
    Ok(Client { user: found.header.uid, inode: found.header.inode, group: group(&found) })
}

/// Whether our own socket is still the one that it was, and its client's end is open.
pub(super) fn is_open(ends: &Ends) -> Result<(), Error> {
    let found = look_up(ends.local, ends.peer, ends.cookie.to_ne_bytes())?;
    if found.header.state == TCP_ESTABLISHED { Ok(()) } else { Err(Error::Gone) }
}

fn group(found: &InetResponse) -> Option<u64> {
    found.nlas.iter().find_map(|nla| match nla {
        Nla::Other(other) if other.kind() == CGROUP_ID && other.value_len() == 8 => {
            let mut id = [0; 8];
            other.emit_value(&mut id);
            Some(u64::from_ne_bytes(id))
        }
        _ => None,
    })
}

fn look_up(source: SocketAddr, destination: SocketAddr, cookie: [u8; 8]) -> Result<InetResponse, Error> {
    let unknown = |error: &dyn std::fmt::Display| Error::Unknown(error.to_string());
    let (source_ip, destination_ip) = (source.ip().to_canonical(), destination.ip().to_canonical());
    let request = InetRequest {
        family: if matches!(source_ip, IpAddr::V4(_)) { AF_INET } else { AF_INET6 },
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::all(),
        socket_id: SocketId {
            source_port: source.port(),
            destination_port: destination.port(),
            source_address: source_ip,
            destination_address: destination_ip,
            interface_id: 0,
            cookie,
        },
    };
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut out = vec![0; message.buffer_len()];
    message.serialize(&mut out);
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(SOCK_DIAG))
        .map_err(|error| unknown(&error))?;
    sendto(&socket, &out, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))
        .map_err(|error| unknown(&error))?;
    let mut answer = vec![0; 8192];
    // The kernel has answered before the request returns.
    let (_, length) = recv(&socket, &mut answer[..], RecvFlags::DONTWAIT).map_err(|error| unknown(&error))?;
    let answer = answer.get(..length).unwrap_or_default();
    match NetlinkMessage::<SockDiagMessage>::deserialize(answer).map_err(|error| unknown(&error))?.payload {
        NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => Ok(*response),
        NetlinkPayload::Error(error) if error.raw_code() == -libc::ENOENT => Err(Error::Gone),
        NetlinkPayload::Error(error) => Err(unknown(&error)),
        _ => Err(unknown(&"another answer than was asked for")),
    }
}
