//! A hosted domain that makes the network interfaces of tasks, as clusters and hosts see it.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use parking_lot::Mutex;
use state::{
    Id128,
    api::Api,
    contract::{Given, HostNetwork, Interfaces, Network, NotANetwork, Want},
};
use wire::Error;

use super::Hosted;
use crate::runtime::{
    By, Place,
    ferry::{Ear, Ears, Vpcs},
    now,
};

/// Its interfaces.
pub(super) struct Made<D: Api> {
    hosted: Arc<Hosted<D>>,
    /// Who listens, by account and region.
    told: Mutex<HashMap<Place, Arc<Ears>>>,
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
        let shard = shards.known(place);
        Some(shard.map(|shard| shard.read().state.on_host(&place.1, sender, tasks)).unwrap_or_default())
    }

    fn listen(&self, place: &Place) -> Option<Ear> {
        let shard = self.hosted.shard(place).ok()?;
        let mut told = self.told.lock();
        let ears = told.entry(place.clone()).or_insert_with(|| {
            let ears = Arc::new(Ears::default());
            let telling = ears.clone();
            shard.follow(Box::new(move |delta| {
                telling.tell(D::touched(delta).as_deref());
            }));
            ears
        });
        Some(ears.listen())
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
