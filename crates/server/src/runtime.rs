//! The runtime: the pure domains' only contact with the world. It reads the rows from the store at start, runs one
//! writer for each shard, gives every reader a consistent snapshot, and tells followers what changed. It decides
//! nothing.

mod aside;
mod assignments;
pub mod carrier;
mod clock;
mod cluster;
mod home;
mod load;
pub mod migrate;
pub mod outbox;
mod presence;
mod shard;
mod shards;
#[cfg(test)]
pub(crate) mod tests;
mod wakers;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use ::ecs::account;
use parking_lot::RwLock;
use state::{Ctx, Id128, Ids};
use store::Store;
use wire::{Error, Timestamp};

use crate::gate::{Caller, Role};

use carrier::{EventBus, NoBus};

pub use clock::{now, undoubted};
pub use cluster::ClusterHandle;
pub use home::Home;
pub use load::Loads;
pub use shard::{Shard, Visible};
pub use shards::{Found, PortsOf, Shards, Started};

/// Between looks for task definitions that can be deleted.
const SWEEP: Duration = Duration::from_secs(5);
/// Accounts and regions that anything may be kept for: each costs two tasks and some memory.
const HOMES: usize = 10_000;

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

/// All that runs, of all accounts and regions.
pub struct Runtime {
    identity: Identity,
    store: Arc<dyn Store>,
    homes: RwLock<BTreeMap<Place, Arc<Home>>>,
    /// Of which account and region an agent's key is.
    agent_keys: Arc<RwLock<HashMap<String, Place>>>,
    /// Rows that could not be read.
    aside: Arc<aside::Aside>,
    /// Where what happens is told.
    bus: Arc<dyn EventBus>,
}

/// All rows of ECS, as they were read.
pub struct Read {
    store: Arc<dyn Store>,
    identity: Identity,
    rows: load::Rows,
}

impl Read {
    /// Starts the writers of ECS; what happens is told to this bus.
    pub fn start(self, bus: Arc<dyn EventBus>) -> Arc<Runtime> {
        let Read { store, identity, rows } = self;
        let (homes, agent_keys) = (RwLock::default(), Arc::default());
        let aside = Arc::new(rows.aside);
        let runtime = Arc::new(Runtime { identity, store, homes, agent_keys, aside, bus });
        for (place, found) in rows.places {
            let home = runtime.start_home(&place, found);
            runtime.homes.write().insert(place, home);
        }
        let own = (runtime.identity.account.as_str().into(), runtime.identity.region.as_str().into());
        runtime.at(&own);
        runtime
    }
}

impl Runtime {
    /// Reads all rows: those of ECS, and those of other services into `others`.
    ///
    /// # Errors
    /// The store's. A row that cannot be read is none: it is set aside.
    pub fn read(
        store: Arc<dyn Store>,
        identity: Identity,
        others: &mut [&mut dyn Loads],
    ) -> Result<Read, store::Error> {
        let rows = load::load(store.as_ref(), now(), others)?;
        Ok(Read { store, identity, rows })
    }

    /// Reads them and starts the writers of ECS, without an event bus.
    ///
    /// # Errors
    /// As [`Runtime::read`].
    pub fn open(
        store: Arc<dyn Store>,
        identity: Identity,
        others: &mut [&mut dyn Loads],
    ) -> Result<Arc<Runtime>, store::Error> {
        Ok(Runtime::read(store, identity, others)?.start(Arc::new(NoBus)))
    }

    fn start_home(&self, place: &Place, found: load::Found) -> Arc<Home> {
        let partition = self.identity.partition.as_str();
        let home =
            Home::start(found, place, partition, self.store.clone(), self.aside.clone(), self.bus.clone());
        let known = home.account().state.agent_keys_after("", usize::MAX);
        for row in known {
            self.agent_keys.write().entry(row.access_key.clone()).or_insert_with(|| place.clone());
        }
        let (keys, place) = (self.agent_keys.clone(), place.clone());
        home.account_shard().follow(Box::new(move |delta| {
            for key in delta.keys {
                let account::Key::AgentKey(key) = key else { continue };
                let (mut keys, is_bound) = (keys.write(), delta.after.agent_key(key).is_some());
                // It stays whose it was, should two ever have bound it at once.
                let is_own = *keys.entry(key.clone()).or_insert_with(|| place.clone()) == place;
                if is_own && !is_bound {
                    keys.remove(key);
                }
            }
        }));
        home
    }

    /// What there is of an account in a region; begun with nothing where there was nothing.
    fn at(&self, place: &Place) -> Arc<Home> {
        if let Some(home) = self.homes.read().get(place) {
            return home.clone();
        }
        let mut homes = self.homes.write();
        let home = homes.entry(place.clone());
        home.or_insert_with(|| self.start_home(place, load::Found::default())).clone()
    }

    /// ECS of an account in a region.
    ///
    /// # Errors
    /// `ServerException` where there are too many of them.
    pub fn home(&self, account: &Arc<str>, region: &Arc<str>) -> Result<Arc<Home>, Error> {
        let place = (account.clone(), region.clone());
        // One look on the way of every call; how many there are matters to a new one alone.
        if let Some(home) = self.homes.read().get(&place) {
            return Ok(home.clone());
        }
        if self.homes.read().len() >= HOMES {
            let text = "The number of accounts and regions has reached its limit.";
            return Err(Error::new("ServerException", 500, text));
        }
        Ok(self.at(&place))
    }

    /// That of an account in a region, if there is one.
    pub fn known_home(&self, place: &Place) -> Option<Arc<Home>> {
        self.homes.read().get(place).cloned()
    }

    /// That of the account and region of whoever names none.
    pub fn own(&self) -> Arc<Home> {
        self.at(&(self.identity.account.as_str().into(), self.identity.region.as_str().into()))
    }

    /// All of them.
    pub fn homes(&self) -> Vec<Arc<Home>> {
        self.homes.read().values().cloned().collect()
    }

    /// That of an agent's key.
    pub fn of_agent_key(&self, access_key: &str) -> Option<Arc<Home>> {
        let place = self.agent_keys.read().get(access_key).cloned()?;
        self.homes.read().get(&place).cloned()
    }

    /// Begins to serve: until its agent connects again, no container instance counts as connected.
    ///
    /// # Errors
    /// What could not be stored.
    pub async fn start(&self) -> Result<(), Error> {
        for home in self.homes() {
            home.disconnect_all().await?;
        }
        Ok(())
    }

    /// Deletes the task definitions that wait for their last reference to end, and lets go of clusters that are
    /// forgotten, for as long as the runtime lives.
    pub fn sweep(self: &Arc<Runtime>) {
        let runtime = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(SWEEP).await;
                let Some(runtime) = runtime.upgrade() else { return };
                for home in runtime.homes() {
                    if let Err(error) = home.sweep_once().await {
                        tracing::warn!(%error, "task definitions could not be deleted");
                    }
                }
            }
        });
    }

    /// Whose control plane this is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The store under it.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }
}

fn context(partition: &Arc<str>, (account, region): (&Arc<str>, &Arc<str>), by: &By, now: Timestamp) -> Ctx {
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
    Ids::new(uuid::Uuid::new_v4().as_u128())
}
