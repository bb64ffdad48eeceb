//! The front door: one for every service, whichever listener leads to it. It authenticates, finds the service and the operation, and hands
//! the call to the [gate](crate::gate); what is not a call, to a [`Surface`]. It knows no service by name, no operation, and
//! keeps no state of its own.

mod auth;
mod bodies;
mod body;
mod connection;
mod handle;
mod http2;
mod listen;
mod names;
mod open;
mod places;
mod regions;
mod reply;
mod route;
mod service;
mod stream;
mod surface;

use std::sync::Arc;
use std::time::Duration;

use wire::Timestamp;
use wire::sigv4::Verifier;

use crate::gate::Gate;

pub use body::BodyStream;
pub use connection::Ends;
pub use listen::Listener;
pub use names::Names;
pub use open::{Knock, OpenDoor};
pub use regions::Regions;
pub use reply::ReplyBody;
pub use service::{Key, Keys, Origin, Peers};
pub use surface::{Site, Surface, SurfaceCall};

/// What stands behind the listeners.
pub struct FrontDoor {
    config: Config,
    keys: Arc<dyn Keys>,
    peers: Arc<dyn Peers>,
    surfaces: Vec<(Site, Arc<dyn Surface>)>,
    open: Vec<Arc<dyn OpenDoor>>,
    gate: Arc<Gate>,
    verifier: Verifier,
    bodies: bodies::Bodies,
    /// Replies that are streams.
    streams: Arc<tokio::sync::Semaphore>,
}

/// What a front door is told once.
#[derive(Debug, Clone)]
pub struct Config {
    /// The regions that this control plane is; requests signed for another are refused, but for services that are one
    /// for all regions.
    pub regions: Regions,
    /// Gives the time; never goes back.
    pub clock: fn() -> Timestamp,
    /// By which names it may be called.
    pub names: Names,
    /// What is refused.
    pub limits: Limits,
}

/// What one client may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at a time; further ones take the place of those that have said nothing right for the longest time. One that
    /// a surface has taken over, as an agent's sockets, is none of them any more.
    pub connections: usize,
    /// Connections beyond those, for `/health` and for users of this host whom the known pair serves.
    pub reserve: usize,
    /// The longest that two may take to agree on TLS.
    pub handshake_timeout: Duration,
    /// Requests at a time of one connection, where it can have several.
    pub concurrent: u32,
    /// Bytes of a request's head.
    pub head_bytes: usize,
    /// Headers of a request.
    pub headers: usize,
    /// The longest wait for a whole head; on a kept-alive connection this is its idle time too.
    pub head_timeout: Duration,
    /// The longest wait for a whole body, or for the next 16 KiB of one that is streamed.
    pub body_timeout: Duration,
    /// The longest that a reply may wait for its client to take it; of a stream, its next 16 KiB.
    pub write_timeout: Duration,
    /// Bytes of all bodies together: so many for those up to 64 KiB, as many for larger ones, and as many for streams.
    pub all_bodies_bytes: usize,
    /// Bytes of all replies together that wait for their clients to take them; those that have waited for the longest time
    /// are cut when there are more.
    pub all_replies_bytes: usize,
    /// Replies at a time that are streams.
    pub streams: usize,
    /// Bytes of a body, for services that do not say.
    pub body_bytes: usize,
    /// How long requests under way may take after shutdown was asked for.
    pub grace: Duration,
    /// How long a connection that was in use until then is kept for its client's next request, after which it is
    /// told that the connection ends.
    pub linger: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 16_384,
            reserve: 64,
            handshake_timeout: Duration::from_secs(10),
            concurrent: 100,
            head_bytes: 32 * 1024,
            headers: 100,
            head_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            all_bodies_bytes: 32 * 1024 * 1024,
            all_replies_bytes: 64 * 1024 * 1024,
            streams: 1024,
            body_bytes: 1024 * 1024,
            grace: Duration::from_secs(5),
            linger: Duration::from_millis(500),
        }
    }
}

impl FrontDoor {
    /// Puts a gate and surfaces behind a front door.
    pub fn new(
        config: Config,
        gate: Arc<Gate>,
        keys: Arc<dyn Keys>,
        peers: Arc<dyn Peers>,
        surfaces: Vec<Arc<dyn Surface>>,
    ) -> Self {
        let bodies = bodies::Bodies::new(config.limits.all_bodies_bytes);
        let verifier = Verifier::default();
        let streams = Arc::new(tokio::sync::Semaphore::new(config.limits.streams));
        let surfaces = surface::in_order(surfaces);
        Self { config, keys, peers, surfaces, open: Vec::new(), gate, verifier, bodies, streams }
    }

    /// With a place where nobody signs.
    pub fn with_open(mut self, door: Arc<dyn OpenDoor>) -> Self {
        self.open.push(door);
        self
    }
}

#[cfg(test)]
mod tests;
