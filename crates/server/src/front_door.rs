//! The front door: one listener for every service. It authenticates, finds the service and the operation, and hands
//! the call to the [gate](crate::gate). It knows no operation and keeps no state of its own.

mod auth;
mod bodies;
mod connection;
mod handle;
mod listen;
mod names;
mod places;
mod regions;
mod route;
mod service;
mod stream;
mod surface;

use std::sync::Arc;
use std::time::Duration;

use wire::Timestamp;
use wire::sigv4::Verifier;

use crate::gate::Gate;

pub use connection::Ends;
pub use names::Names;
pub use regions::Regions;
pub use service::{Key, Keys, Origin, Peers, Upgrade, UpgradeCall};
pub use surface::{Surface, SurfaceCall};

/// How many connections at a time are looked up.
const ASKING: usize = 4;

/// The listener with all that stands behind it.
pub struct FrontDoor {
    config: Config,
    keys: Arc<dyn Keys>,
    peers: Arc<dyn Peers>,
    upgrade: Option<Arc<dyn Upgrade>>,
    surfaces: Vec<Arc<dyn Surface>>,
    gate: Arc<Gate>,
    verifier: Verifier,
    bodies: bodies::Bodies,
    /// How many at a time may ask `peers`: what it does may cost as much as the host has processes.
    asking: tokio::sync::Semaphore,
}

/// What a front door is told once.
#[derive(Debug, Clone)]
pub struct Config {
    /// The regions that this control plane is; requests signed for another are refused (STS takes any, as its
    /// global endpoint does).
    pub regions: Regions,
    /// Gives the time; never goes back.
    pub clock: fn() -> Timestamp,
    /// By which names it may be called.
    pub names: Names,
    /// Paths below which web sockets are handed over, such as `/acs`.
    pub upgrade_paths: Vec<String>,
    /// What is refused.
    pub limits: Limits,
}

/// What one client may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at a time; further ones take the place of those that have said nothing right for the longest time.
    pub connections: usize,
    /// Connections beyond those, for `/health` and for users of this host whom the known pair serves.
    pub reserve: usize,
    /// Bytes of a request's head.
    pub head_bytes: usize,
    /// Headers of a request.
    pub headers: usize,
    /// The longest wait for a whole head; on a kept-alive connection this is its idle time too.
    pub head_timeout: Duration,
    /// The longest wait for a whole body.
    pub body_timeout: Duration,
    /// The longest that a reply may wait for its client to take it.
    pub write_timeout: Duration,
    /// Bytes of all bodies together: so many for those up to 64 KiB, and as many for larger ones.
    pub all_bodies_bytes: usize,
    /// Bytes of all replies together that wait for their clients to take them; those that have waited for the longest time
    /// are cut when there are more.
    pub all_replies_bytes: usize,
    /// Bytes of a body, for services not in `service_body_bytes`.
    pub body_bytes: usize,
    /// Bytes of a body, by service name. A batch of log events may have 1 MiB of text, and JSON can write one
    /// byte as six.
    pub service_body_bytes: Vec<(&'static str, usize)>,
    /// How long requests under way may take after shutdown was asked for.
    pub grace: Duration,
    /// How long a connection that was in use until then is kept for its client's next request, after which it is
    /// told that the connection ends.
    pub linger: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 8192,
            reserve: 64,
            head_bytes: 32 * 1024,
            headers: 100,
            head_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            all_bodies_bytes: 32 * 1024 * 1024,
            all_replies_bytes: 64 * 1024 * 1024,
            body_bytes: 1024 * 1024,
            service_body_bytes: vec![("logs", 8 * 1024 * 1024)],
            grace: Duration::from_secs(5),
            linger: Duration::from_millis(500),
        }
    }
}

impl FrontDoor {
    /// Puts a gate behind a front door.
    pub fn new(
        config: Config,
        gate: Arc<Gate>,
        keys: Arc<dyn Keys>,
        peers: Arc<dyn Peers>,
        upgrade: Option<Arc<dyn Upgrade>>,
    ) -> Self {
        let bodies = bodies::Bodies::new(config.limits.all_bodies_bytes);
        let (verifier, asking) = (Verifier::default(), tokio::sync::Semaphore::new(ASKING));
        Self { config, keys, peers, upgrade, surfaces: Vec::new(), gate, verifier, bodies, asking }
    }
}

impl Limits {
    /// The longest body of a service's request, in bytes.
    fn body_bytes_of(&self, service: Option<&str>) -> usize {
        let own = self.service_body_bytes.iter().find(|(name, _)| Some(*name) == service);
        own.map_or(self.body_bytes, |(_, bytes)| *bytes)
    }
}

#[cfg(test)]
mod tests;
