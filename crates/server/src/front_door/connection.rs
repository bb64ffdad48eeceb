//! What is known of one connection, for all of its requests.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::Peers;
use super::places::Place;
use super::stream::Framing;

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
    /// It is TLS to us, and not only to a proxy in front.
    pub tls: bool,
    pub place: Arc<Place>,
    pub framing: Arc<Framing>,
    /// The program stops.
    pub stopping: CancellationToken,
    /// Whether a key that everybody knows serves it, and why not; asked when such a key is first used.
    admitted: OnceCell<Result<(), String>>,
}

impl Connection {
    pub fn new(ends: Ends, tls: bool, place: Arc<Place>, stopping: CancellationToken) -> Self {
        Self { ends, tls, place, framing: Default::default(), stopping, admitted: OnceCell::new() }
    }

    /// What `peers` says of this connection, which is asked once.
    pub async fn admitted(&self, peers: &dyn Peers) -> Result<(), String> {
        self.admitted.get_or_init(|| peers.admit(&self.ends)).await.clone()
    }
}
