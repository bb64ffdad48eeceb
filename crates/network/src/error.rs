//! What can go wrong with host networking, worded as Docker and the ECS agent word it where a
//! client sees it.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use crate::types::AttachmentId;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation on the host's network failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another container of this instance publishes the port (Docker's wording; the ECS agent puts
    /// `CannotStartContainerError: Error response from daemon: ` before it).
    #[error("Bind for {ip}:{port} failed: port is already allocated")]
    PortAllocated {
        /// Address of the binding, `0.0.0.0`.
        ip: Ipv4Addr,
        /// The host port asked for.
        port: u16,
    },
    /// A process on the host listens on the port (Docker's wording).
    #[error("listen {protocol}4 {ip}:{port}: bind: address already in use")]
    PortInUse {
        /// `tcp` or `udp`.
        protocol: &'static str,
        /// Address of the binding, `0.0.0.0`.
        ip: Ipv4Addr,
        /// The host port asked for.
        port: u16,
    },
    /// No host port of the dynamic range is free.
    #[error("all ports are allocated")]
    NoFreePort,
    /// No address of the subnet is free.
    #[error("no available IPv4 addresses on this network's address pools: {0}")]
    NoFreeAddress(String),
    /// Every candidate subnet overlaps a route or an address of this host.
    #[error("could not find an available, non-overlapping IPv4 address pool for the bridge")]
    NoFreeSubnet,
    /// The same id was attached before with another specification.
    #[error("attachment {0} exists with another specification")]
    Exists(AttachmentId),
    /// Another attach or detach of the same id is under way.
    #[error("attachment {0} is being changed")]
    Busy(AttachmentId),
    /// There is no such attachment.
    #[error("no attachment {0}")]
    NotFound(AttachmentId),
    /// The caller's input is not acceptable.
    #[error("{0}")]
    Invalid(String),
    /// The `nft` program refused a batch or could not be run.
    #[error("nft: {0}")]
    Nft(String),
    /// A netlink request failed.
    #[error("netlink {what}")]
    Netlink {
        /// The request, for people.
        what: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A file, mount or namespace operation failed.
    #[error("{what} {path}")]
    Io {
        /// The operation, for people.
        what: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A background thread of this crate is gone.
    #[error("network worker has stopped")]
    Stopped,
}

impl Error {
    pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
        let path = path.into();
        move |source| Error::Io { what, path, source }
    }
}
