//! The runtime: the pure domains' only contact with the world. It reads the rows from the store at start, runs one
//! writer for each shard, gives every reader a consistent snapshot, and tells followers what changed. It knows no
//! service, and decides nothing.

mod aside;
pub mod carrier;
mod clock;
pub mod ferry;
mod load;
pub mod outbox;
mod shard;
mod shards;
#[cfg(test)]
pub(crate) mod testing;

use std::sync::Arc;

use state::{Ctx, Id128, Ids};
use store::Store;
use wire::Timestamp;

use crate::{
    gate::{Caller, Role},
    world,
};

pub use aside::Aside;
pub(crate) use clock::Clock;
pub use clock::{now, undoubted};
pub use load::{AnyRow, Loads, Lost, Reads};
pub(crate) use shard::could_not_be_stored;
pub use shard::{Follow, Setting, Shard, Visible};
pub use shards::{Found, PortsOf, Shards, Started};

/// An account and a region.
pub type Place = (Arc<str>, Arc<str>);

/// Whose control plane this is.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Twelve digits: the account of whoever names none, and of the agents that `up` starts.
    pub account: String,
    /// Likewise its region.
    pub region: String,
    pub partition: String,
}

/// By whom a command is given.
#[derive(Debug, Clone, Default)]
pub struct By {
    /// Empty for the control plane itself.
    pub arn: Arc<str>,
    /// The container instance whose agent it is.
    pub agent: Option<Id128>,
}

impl From<&str> for By {
    fn from(arn: &str) -> By {
        By { arn: arn.into(), agent: None }
    }
}

impl From<&Caller> for By {
    fn from(caller: &Caller) -> By {
        let agent = match &caller.role {
            // Whatever is no identifier of ours speaks for nobody.
            Role::Agent { instance, .. } => Some(instance.parse().unwrap_or_default()),
            Role::User | Role::NewAgent | Role::NewAgentOfOperator => None,
        };
        By { arn: caller.arn.clone(), agent }
    }
}

/// What all shards stand on.
pub struct Runtime {
    identity: Identity,
    store: Arc<dyn Store>,
    aside: Arc<Aside>,
}

impl Runtime {
    /// Reads all rows, each service's into its `loads`. Their shards are started by whoever knows the service.
    ///
    /// # Errors
    /// The store's. A row that cannot be read is none: it is set aside.
    pub fn open(
        store: Arc<dyn Store>,
        identity: Identity,
        loads: &mut [&mut dyn Loads],
    ) -> Result<Arc<Runtime>, store::Error> {
        let aside = Arc::new(load::load(store.as_ref(), now(), loads)?);
        Ok(Arc::new(Runtime { identity, store, aside }))
    }

    /// Whose control plane this is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The store under it.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The rows that were set aside.
    pub fn aside(&self) -> &Arc<Aside> {
        &self.aside
    }
}

/// The context of a command or look in an account and region.
pub(crate) fn context(
    partition: &Arc<str>,
    (account, region): (&Arc<str>, &Arc<str>),
    by: &By,
    now: Timestamp,
) -> Ctx {
    Ctx {
        now,
        account: account.clone(),
        region: region.clone(),
        partition: partition.clone(),
        caller_arn: by.arn.clone(),
        agent: by.agent,
    }
}

fn ids() -> Ids {
    Ids::new(world::uuid().as_u128())
}
