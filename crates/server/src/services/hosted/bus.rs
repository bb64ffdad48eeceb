//! A hosted domain that is the event bus of all others: what they and the front door see of it.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use state::{
    api::Api,
    contract::{Bus, EventOut, SOURCES},
};
use tokio_util::sync::CancellationToken;
use wire::{Error, Timestamp};

use super::Hosted;
use crate::{
    front_door::Surface,
    runtime::{Found, Place, carrier::EventBus, now},
    services::following::Following,
};

type MakeBus<D> = fn(&Arc<Hosted<D>>, &Found<D>) -> Arc<dyn EventBus>;
type MakeSurface<D> = fn(&Arc<Hosted<D>>, CancellationToken) -> Arc<dyn Surface>;

/// What a domain that is a bus has besides.
pub(super) struct AsBus<D: Api> {
    pub bus: MakeBus<D>,
    pub surface: MakeSurface<D>,
}

impl<D: Api + Bus> AsBus<D> {
    pub fn new() -> AsBus<D> {
        AsBus {
            bus: |hosted, found| Arc::new(Buses { hosted: hosted.clone(), early: listening(found) }),
            surface: |hosted, stop| {
                let hosted = hosted.clone();
                Arc::new(Following::<D>::new(Arc::new(move |place| hosted.shard(place)), stop))
            },
        }
    }
}

/// Where somebody listens to which source, as the rows say that were found.
fn listening<D: Bus>(found: &Found<D>) -> BTreeSet<(Place, &'static str)> {
    let at = now();
    let sources = |(place, state): (&Place, &D)| {
        let place = place.clone();
        SOURCES
            .into_iter()
            .filter(move |source| state.listens(source, at))
            .map(move |source| (place.clone(), source))
            .collect::<Vec<_>>()
    };
    found.states().flat_map(sources).collect()
}

/// Its buses.
struct Buses<D: Api> {
    hosted: Arc<Hosted<D>>,
    /// Who listened before the shards started: senders are at work earlier than that.
    early: BTreeSet<(Place, &'static str)>,
}

#[async_trait]
impl<D: Api + Bus> EventBus for Buses<D> {
    fn listens(&self, place: &Place, source: &'static str, now: Timestamp) -> bool {
        match self.hosted.shards() {
            Some(shards) => shards.known(place).is_some_and(|shard| shard.read().state.listens(source, now)),
            None => !self.early.is_empty() && self.early.contains(&(place.clone(), source)),
        }
    }

    async fn accept(
        &self,
        place: &Place,
        sender: String,
        events: Vec<Arc<EventOut>>,
    ) -> Result<Option<u64>, Error> {
        // Not yet.
        let Some(shards) = self.hosted.shards() else { return Ok(None) };
        shards.of(place)?.execute("", move |txn| Ok(D::accept(txn, &sender, &events))).await
    }

    async fn forget(&self, place: &Place, sender: String) -> Result<(), Error> {
        let forget = move |txn: &mut state::Txn<D>| {
            D::forget(txn, &sender);
            Ok(())
        };
        match self.hosted.shards().and_then(|shards| shards.known(place)) {
            Some(shard) => shard.execute("", forget).await,
            None => Ok(()),
        }
    }
}
