//! What is known of one connection, for all of its requests.

use std::net::SocketAddr;

/// Both ends of a connection, and our socket's own number (`SO_COOKIE`), by which it cannot be taken for another one
/// between the same ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// The client's end.
    pub peer: SocketAddr,
    /// Our end.
    pub local: SocketAddr,
    /// Our socket's cookie.
    pub cookie: u64,
}

/// One connection.
pub(super) struct Connection {
    pub ends: Ends,
}
