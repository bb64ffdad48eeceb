//! Where tasks of a VPC ask for names: the VPC's namespace has the resolver's addresses, as Amazon's resolver is at 169.254.169.253
//! and at the second address of the VPC's block. The sockets there are opened here and answered by somebody else. No
//! security group is asked about them, as EC2 asks none.
//! <https://docs.aws.amazon.com/vpc/latest/userguide/AmazonDNS-concepts.html>

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, listen, setsockopt, socket, sockopt,
};
use serde::{Deserialize, Serialize};

use super::{Block, Name};
use crate::error::{Error, Result};

/// Where the resolver is in every VPC.
pub(crate) const EVERYWHERE: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 253);
const PORT: u16 = 53;
/// Longest name of a domain, in bytes.
const DOMAIN_MAX: usize = 253;
/// Connections that wait to be taken.
const BACKLOG: i32 = 128;

/// The names of a VPC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dns {
    /// Where its tasks ask, besides 169.254.169.253.
    pub address: Ipv4Addr,
    /// The domain of its names.
    pub domain: String,
}

/// Where tasks of one VPC ask.
#[derive(Debug)]
pub struct Doors {
    /// The VPC.
    pub vpc: Name,
    /// Its blocks: who is in none of them does not ask.
    pub blocks: Vec<Block>,
    /// The domain of its names.
    pub domain: String,
    /// For datagrams.
    pub udp: Vec<UdpSocket>,
    /// For connections.
    pub tcp: Vec<TcpListener>,
}

/// Who answers tasks that ask for names. Called on any thread, while a lock is held: it must not call back.
pub trait Resolver: Send + Sync {
    /// Answers there from now on, in place of where it did for the same VPC.
    fn open(&self, doors: Doors);
    /// Answers for the VPC no more: nobody is there, or it is to have no names.
    fn close(&self, vpc: &Name);
}

impl Dns {
    pub(crate) fn check(&self) -> Result<()> {
        let bytes = self.domain.bytes();
        let is_domain = (1..=DOMAIN_MAX).contains(&self.domain.len())
            && bytes.into_iter().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
        match is_domain && super::is_host(std::net::IpAddr::V4(self.address)) {
            true => Ok(()),
            false => Err(Error::Invalid(format!("{} at {} gives no names", self.domain, self.address))),
        }
    }

    /// Where it is asked.
    pub(crate) fn addresses(&self) -> [Ipv4Addr; 2] {
        [self.address, EVERYWHERE]
    }
}

/// Opens both kinds at an address of this thread's namespace. Others that were opened here before may be open still.
pub(crate) fn open(at: Ipv4Addr) -> Result<(UdpSocket, TcpListener)> {
    let failed = |e: nix::Error| Error::io("listen at", at.to_string())(e.into());
    let made = |kind| -> nix::Result<OwnedFd> {
        let made = socket(AddressFamily::Inet, kind, SockFlag::SOCK_CLOEXEC, None)?;
        setsockopt(&made, sockopt::ReuseAddr, &true)?;
        setsockopt(&made, sockopt::ReusePort, &true)?;
        bind(made.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(at, PORT)))?;
        Ok(made)
    };
    let udp = made(SockType::Datagram).map_err(failed)?;
    let tcp = made(SockType::Stream).map_err(failed)?;
    listen(&tcp, Backlog::new(BACKLOG).map_err(failed)?).map_err(failed)?;
    Ok((UdpSocket::from(udp), TcpListener::from(tcp)))
}
