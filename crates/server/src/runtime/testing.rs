//! What tests of domains share: what a plain domain says of itself, and its shards over a store in memory.

use std::{sync::Arc, time::Duration};

use state::Domain;
use store::memory::Memory;
use wire::{Error, Timestamp};

use super::{Found, Place, Shard, Shards, load};

/// What a domain of tests says that has nothing to settle: its service, its ports, and some key. Its rows are `Row` by
/// `Key`, what there is to do is in its field `agenda`, and a shard begins as its default.
macro_rules! plain {
    ($service:literal, $ports:ty, $key:expr) => {
        type Rows = Row;
        type Mark = ();
        type Ports = $ports;

        const SERVICE: &'static str = $service;

        fn new(_shard: &::state::ShardId) -> Self {
            Self::default()
        }

        fn agenda(&self) -> &::state::Agenda<Key, ()> {
            &self.agenda
        }

        fn agenda_mut(&mut self) -> &mut ::state::Agenda<Key, ()> {
            &mut self.agenda
        }

        fn settle(_txn: &mut ::state::Txn<Self>, (): ()) {}

        fn marked(&self, (): &()) -> Key {
            $key
        }
    };
}
pub(crate) use plain;

/// An account and a region.
pub(crate) fn place() -> Place {
    ("111111111111".into(), "us-east-1".into())
}

/// A domain's shards as a start of the program finds them; `started` is called for each.
pub(crate) fn open<D: Domain<Ports = ()>>(
    store: &Arc<Memory>,
    started: impl Fn(&Shard<D>) + Send + Sync + 'static,
) -> Shards<D> {
    let mut found = Found::default();
    load::load(store.as_ref(), Timestamp(1), &mut [&mut found]).unwrap();
    Shards::start(found, "aws", store.clone(), Arc::new(|_| ()), Arc::new(started))
}

/// Writes rows in one step.
pub(crate) async fn write<D: Domain, R: Into<D::Rows>>(
    shard: &Shard<D>,
    rows: impl IntoIterator<Item = R> + Send + 'static,
) -> Result<(), Error> {
    let put = |txn: &mut state::Txn<D>| {
        rows.into_iter().for_each(|row| txn.put(row));
        Ok(())
    };
    shard.execute("", put).await
}

/// Waits until `reached` says so; fails after half a minute.
pub(crate) async fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let reached = async {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), reached).await.expect(what);
}
