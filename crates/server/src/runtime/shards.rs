//! The shards of a domain that has one for each account and region, started when they are first asked for.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::RwLock;
use state::{
    Change, Domain, ShardId, Table, Unreadable,
    shard::{KeyParts, MAIN},
};
use store::Store;
use wire::Error;

use super::{
    Place,
    load::{AnyRow, Loads, Reads},
    shard::{Setting, Shard},
};

/// Accounts and regions that a domain may be kept for: each shard costs a task and some memory.
const MOST: usize = 10_000;

/// What is done with each shard once, as it starts: followers and workers are given to it here.
pub type Started<D> = Arc<dyn Fn(&Shard<D>) + Send + Sync>;
/// What the shard of an account and region may read of others.
pub type PortsOf<D> = Arc<dyn Fn(&Place) -> <D as Domain>::Ports + Send + Sync>;

/// All of them.
pub struct Shards<D: Domain> {
    partition: Arc<str>,
    store: Arc<dyn Store>,
    ports: PortsOf<D>,
    started: Started<D>,
    open: RwLock<BTreeMap<Place, Shard<D>>>,
}

/// The states of a domain as they are read from the store.
pub struct Found<D>(BTreeMap<Place, D>);

impl<D> Default for Found<D> {
    fn default() -> Self {
        Found(BTreeMap::new())
    }
}

impl<D> Found<D> {
    /// Those that were found, with their account and region.
    pub fn states(&self) -> impl Iterator<Item = (&Place, &D)> {
        self.0.iter()
    }
}

impl<D: Domain> Loads for Found<D> {
    fn service(&self) -> &'static str {
        D::SERVICE
    }

    fn reads(&self) -> Reads {
        |parts, value| {
            if parts.shard != MAIN {
                return Err(Unreadable::Kind);
            }
            let (row, moved) = D::Rows::decode_at(parts.row, value)?;
            Ok((Box::new(row), moved))
        }
    }

    fn take(&mut self, parts: &KeyParts, row: AnyRow) {
        let row = *row.downcast::<D::Rows>().expect("it is what `reads` gives");
        let place: Place = (parts.account.into(), parts.region.into());
        let state = self.0.entry(place).or_insert_with_key(|place| D::new(&id::<D>(place)));
        state.apply(&Change::Put(row));
    }
}

impl<D: Domain> Shards<D> {
    /// Starts those that were found.
    pub fn start(
        found: Found<D>,
        partition: &str,
        store: Arc<dyn Store>,
        ports: PortsOf<D>,
        started: Started<D>,
    ) -> Shards<D> {
        let shards = Shards { partition: partition.into(), store, ports, started, open: RwLock::default() };
        for (place, state) in found.0 {
            let shard = shards.run(&place, state);
            shards.open.write().insert(place, shard);
        }
        shards
    }

    fn run(&self, place: &Place, state: D) -> Shard<D> {
        let (ports, at) = (self.ports.clone(), place.clone());
        let setting = Setting {
            id: id::<D>(place),
            partition: self.partition.clone(),
            store: self.store.clone(),
            ports: Arc::new(move || ports(&at)),
        };
        let shard = Shard::start(state, setting);
        (self.started)(&shard);
        shard
    }

    /// That of an account in a region; begun with nothing where there was nothing.
    ///
    /// # Errors
    /// `ServiceUnavailable` where there are too many.
    pub fn of(&self, place: &Place) -> Result<Shard<D>, Error> {
        if let Some(shard) = self.open.read().get(place) {
            return Ok(shard.clone());
        }
        let mut open = self.open.write();
        if !open.contains_key(place) && open.len() >= MOST {
            return Err(Error::unavailable("The number of accounts and regions has reached its limit."));
        }
        let shard = open.entry(place.clone());
        Ok(shard.or_insert_with(|| self.run(place, D::new(&id::<D>(place)))).clone())
    }

    /// That of an account in a region, if there is one.
    pub fn known(&self, place: &Place) -> Option<Shard<D>> {
        self.open.read().get(place).cloned()
    }

    /// All that there are.
    pub fn all(&self) -> Vec<Shard<D>> {
        self.open.read().values().cloned().collect()
    }
}

fn id<D: Domain>((account, region): &Place) -> ShardId {
    ShardId { account: account.clone(), region: region.clone(), service: D::SERVICE, name: MAIN.into() }
}
