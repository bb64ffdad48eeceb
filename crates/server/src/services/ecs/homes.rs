//! ECS of all accounts and regions.

use std::{
    collections::{BTreeMap, HashMap},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};

use ::ecs::{account, cluster::Keeps};
use futures_util::FutureExt;
use parking_lot::RwLock;
use store::Store;
use wire::Error;

use super::{
    Home,
    found::{Found, OfPlace},
    home::Asked,
};
use crate::gate::Gate;
use crate::runtime::{
    Identity, Loads, Place, Runtime,
    carrier::{EventBus, NoBus},
    ferry::{NoVpcs, Vpcs},
    outbox::Line,
};
use crate::world;

/// Between looks for task definitions that can be deleted.
const SWEEP: Duration = Duration::from_secs(5);
/// Accounts and regions that anything may be kept for: each costs two tasks and some memory.
const HOMES: usize = 10_000;

/// All of them.
pub struct Homes {
    runtime: Arc<Runtime>,
    /// Where what happens is told.
    bus: Arc<dyn EventBus>,
    /// What makes the network interfaces of tasks.
    vpcs: Arc<dyn Vpcs>,
    /// The way of what clusters call.
    line: Arc<Line>,
    /// After how long without its agent a container instance is lost to services.
    lost_after: Option<Duration>,
    /// Which STOPPED tasks are kept beyond the hour that the API shows them.
    keeps: Option<Keeps>,
    homes: RwLock<BTreeMap<Place, Arc<Home>>>,
    /// Of which account and region an agent's key is.
    agent_keys: Arc<RwLock<HashMap<String, Place>>>,
}

/// All rows, as they were read.
pub struct Read {
    found: Found,
    runtime: Arc<Runtime>,
    vpcs: Arc<dyn Vpcs>,
    lost_after: Option<Duration>,
    keeps: Option<Keeps>,
}

impl Read {
    /// This makes the network interfaces of tasks; without it there are none.
    pub fn in_vpcs(self, vpcs: Option<Arc<dyn Vpcs>>) -> Read {
        Read { vpcs: vpcs.unwrap_or(self.vpcs), ..self }
    }

    /// After so long without its agent the tasks of services on a container instance are given up; `None` is never.
    pub fn giving_up_after(self, lost_after: Option<Duration>) -> Read {
        Read { lost_after, ..self }
    }

    /// STOPPED tasks are kept for so long, and so many of each cluster, for those who ask why; `None` is for the hour that the
    /// API shows them.
    pub fn keeping(self, keeps: Option<Keeps>) -> Read {
        Read { keeps, ..self }
    }

    /// Starts the writers of ECS; what happens is told to this bus.
    pub fn start(self, bus: Arc<dyn EventBus>) -> Arc<Homes> {
        let Read { found, runtime, vpcs, lost_after, keeps } = self;
        let (homes, agent_keys, line) = Default::default();
        let homes = Arc::new(Homes { runtime, bus, vpcs, line, lost_after, keeps, homes, agent_keys });
        for (place, found) in found.places {
            let home = homes.start_home(&place, found);
            homes.homes.write().insert(place, home);
        }
        homes.own();
        homes
    }
}

impl Homes {
    /// Reads all rows, those of other services into `others`.
    ///
    /// # Errors
    /// The store's. A row that cannot be read is none: it is set aside.
    pub fn read(
        store: Arc<dyn Store>,
        identity: Identity,
        others: &mut [&mut dyn Loads],
    ) -> Result<Read, store::Error> {
        let mut found = Found::default();
        let mut all: Vec<&mut dyn Loads> = vec![&mut found];
        all.extend(others.iter_mut().map(|other| &mut **other as &mut dyn Loads));
        let runtime = Runtime::open(store, identity, &mut all)?;
        Ok(Read { found, runtime, vpcs: Arc::new(NoVpcs), lost_after: None, keeps: None })
    }

    /// Reads them and starts the writers of ECS, without an event bus.
    ///
    /// # Errors
    /// As [`Homes::read`].
    pub fn open(
        store: Arc<dyn Store>,
        identity: Identity,
        others: &mut [&mut dyn Loads],
    ) -> Result<Arc<Homes>, store::Error> {
        Ok(Homes::read(store, identity, others)?.start(Arc::new(NoBus)))
    }

    fn start_home(&self, place: &Place, found: OfPlace) -> Arc<Home> {
        let asked = Asked {
            bus: self.bus.clone(),
            vpcs: self.vpcs.clone(),
            calls: self.line.clone(),
            lost_after: self.lost_after,
            keeps: self.keeps,
        };
        let home = Home::start(found, place, &self.runtime, asked);
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
        home.or_insert_with(|| self.start_home(place, OfPlace::default())).clone()
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
        let Identity { account, region, .. } = self.runtime.identity();
        self.at(&(account.as_str().into(), region.as_str().into()))
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

    /// From now on what clusters call goes through this gate, and not before.
    pub fn call_through(&self, gate: &Arc<Gate>) {
        self.line.lead_to(gate);
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
    /// forgotten, for as long as anybody holds this.
    pub fn sweep(self: &Arc<Homes>) {
        let homes = Arc::downgrade(self);
        world::spawn(async move {
            loop {
                tokio::time::sleep(SWEEP).await;
                let Some(homes) = homes.upgrade() else { return };
                for home in homes.homes() {
                    match AssertUnwindSafe(home.sweep_once()).catch_unwind().await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => tracing::warn!(%error, "task definitions could not be deleted"),
                        Err(_) => tracing::error!("a sweep breaks an assertion; the next one is tried"),
                    }
                }
            }
        });
    }

    /// What makes the network interfaces of tasks.
    pub(super) fn vpcs(&self) -> &Arc<dyn Vpcs> {
        &self.vpcs
    }

    /// What they stand on.
    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }
}
