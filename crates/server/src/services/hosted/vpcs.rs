//! A hosted domain that makes the network interfaces of tasks, as clusters and hosts see it.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use parking_lot::Mutex;
use state::{
    Id128,
    api::Api,
    contract::{Given, HostNetwork, Interfaces, Network, NotANetwork, Want},
};
use tokio::sync::broadcast;
use wire::Error;

use super::Hosted;
use crate::runtime::{
    By, Place,
    ferry::{Touched, Vpcs},
    now,
};

/// Commits that whoever listens may be behind; beyond, it looks at all that it cares for.
const BEHIND: usize = 256;

/// Its interfaces.
pub(super) struct Made<D: Api> {
    hosted: Arc<Hosted<D>>,
    /// Where commits are told, of each account and region that somebody listens to.
    told: Mutex<HashMap<Place, broadcast::Sender<Touched>>>,
}

impl<D: Api> Made<D> {
    pub fn new(hosted: Arc<Hosted<D>>) -> Made<D> {
        Made { hosted, told: Mutex::default() }
    }
}

#[async_trait]
impl<D: Api + Interfaces> Vpcs for Made<D> {
    fn network(&self, place: &Place, subnets: &[String], groups: &[String]) -> Result<Network, NotANetwork> {
        let shard = self.hosted.shard(place).map_err(|_| NotANetwork::Unknown)?;
        shard.read().state.network(&shard.ctx(&By::default(), now()), subnets, groups)
    }

    fn given_to(&self, place: &Place, sender: &str) -> Option<Vec<Id128>> {
        let shards = self.hosted.shards()?;
        Some(shards.known(place).map(|shard| shard.read().state.given_to(sender)).unwrap_or_default())
    }

    fn on_host(&self, place: &Place, sender: &str, tasks: &[Id128]) -> Option<HostNetwork> {
        let shards = self.hosted.shards()?;
        Some(shards.known(place).map(|shard| shard.read().state.on_host(sender, tasks)).unwrap_or_default())
    }

    fn touched(&self, place: &Place) -> Option<broadcast::Receiver<Touched>> {
        let shard = self.hosted.shard(place).ok()?;
        let mut told = self.told.lock();
        let tell = told.entry(place.clone()).or_insert_with(|| {
            let tell = broadcast::Sender::new(BEHIND);
            let telling = tell.clone();
            shard.follow(Box::new(move |delta| {
                let ids = D::touched(delta);
                if ids.as_ref().is_none_or(|ids| !ids.is_empty()) {
                    drop(telling.send(ids.map(Arc::new)));
                }
            }));
            tell
        });
        Some(tell.subscribe())
    }

    async fn bring(
        &self,
        place: &Place,
        sender: String,
        wants: Vec<Want>,
    ) -> Result<Option<Vec<(Id128, Given)>>, Error> {
        let Some(shards) = self.hosted.shards() else { return Ok(None) };
        let given = shards.of(place)?.execute("", move |txn| Ok(D::bring(txn, &sender, &wants))).await?;
        Ok(Some(given))
    }
}
