//! The handle on this instance's network.

use crate::error::{Error, Result};
use crate::types::{AttachSpec, Attachment, AttachmentId, Config, Counters, Reconciled, Subnet};

/// This instance's network on this host. Cheap to clone; the last clone stops the workers.
#[derive(Clone)]
pub struct Host {}

fn unbuilt<T>() -> Result<T> {
    Err(Error::Invalid("host networking is not built yet".to_owned()))
}

impl Host {
    /// Makes or adopts the bridge, the table and the stock of namespaces. Tens of milliseconds.
    pub fn open(_config: Config) -> Result<Host> {
        unbuilt()
    }

    /// Gives a container its network. Idempotent for the same spec. Some 5 ms with ports, under
    /// one without.
    pub fn attach(&self, _spec: &AttachSpec) -> Result<Attachment> {
        unbuilt()
    }

    /// Takes it away: when this returns the ports are free; links go in the background. Not an
    /// error when there is none.
    pub fn detach(&self, _id: &AttachmentId) -> Result<()> {
        unbuilt()
    }

    /// The attachment of that id, also one made before a restart.
    pub fn get(&self, _id: &AttachmentId) -> Option<Attachment> {
        None
    }

    /// Removes every attachment not in `keep`, and says which of `keep` are not there. To be called
    /// once after `open`, before the first `attach`.
    pub fn reconcile(&self, _keep: &[AttachmentId]) -> Result<Reconciled> {
        unbuilt()
    }

    /// Traffic counters of a bridge-mode attachment; `None` in other modes.
    pub fn counters(&self, _id: &AttachmentId) -> Result<Option<Counters>> {
        unbuilt()
    }

    /// The bridge's subnet.
    pub fn subnet(&self) -> Result<Subnet> {
        unbuilt()
    }

    /// Every object on this host that carries our id, one a line, sorted.
    pub fn audit(&self) -> Result<Vec<String>> {
        unbuilt()
    }

    /// Stops the workers and removes everything this instance made. Idempotent. The same without
    /// an open host: [`crate::purge`].
    pub fn purge(&self) -> Result<()> {
        unbuilt()
    }
}

/// Removes everything the instance made; needs no open [`Host`] and must not run beside one.
pub fn purge(_config: &Config) -> Result<()> {
    unbuilt()
}

/// Every object on this host that carries the instance's id, one a line, sorted.
pub fn audit(_config: &Config) -> Result<Vec<String>> {
    unbuilt()
}
