//! Carries what tasks want of a network to the domain that makes interfaces, and back what they are given. It is told of
//! keys, and looks at the newest snapshots; at its start, and where too much was told, it looks at all that either side
//! has. Nothing is remembered here, and each step may be taken twice: so both sides come to the same whoever dies when.

mod ears;

use std::{collections::BTreeSet, mem, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::FutureExt;
use parking_lot::Mutex;
use state::{
    Id128,
    contract::{Given, HostNetwork, Network, NotANetwork, Want, Wants},
};
use tokio::sync::Notify;
use wire::Error;

pub use self::ears::{Ear, Ears};
use super::{Place, shard::Shard};
use crate::world;

/// Tasks that are brought together, at most.
const TOGETHER: usize = 256;
/// Tasks that are remembered one by one; beyond, all are looked at.
const REMEMBERED: usize = 100_000;
/// The first and the longest wait where nobody makes interfaces yet, or something could not be stored.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(10));

/// What makes interfaces, of all accounts and regions, as those see it who want some.
#[async_trait]
pub trait Vpcs: Send + Sync + 'static {
    /// What a request means by subnets and security groups.
    ///
    /// # Errors
    /// What of it cannot be.
    fn network(&self, place: &Place, subnets: &[String], groups: &[String]) -> Result<Network, NotANetwork>;

    /// The tasks of a sender that have an interface; none where nobody can say yet.
    fn given_to(&self, place: &Place, sender: &str) -> Option<Vec<Id128>>;

    /// What is to hold on a host for the interfaces of these tasks of a sender; none where nobody can say yet.
    fn on_host(&self, place: &Place, sender: &str, tasks: &[Id128]) -> Option<HostNetwork>;

    /// One who listens to what may change of identifiers of EC2's that is to hold on hosts; none where nobody can tell yet.
    fn listen(&self, place: &Place) -> Option<Ear>;

    /// Has there be the interfaces that are wanted, as `contract::Interfaces::bring` does; none where nobody can yet.
    ///
    /// # Errors
    /// What could not be stored.
    async fn bring(
        &self,
        place: &Place,
        sender: String,
        wants: Vec<Want>,
    ) -> Result<Option<Vec<(Id128, Given)>>, Error>;
}

/// There are none: what runs without EC2.
pub struct NoVpcs;

#[async_trait]
impl Vpcs for NoVpcs {
    fn network(&self, _: &Place, _: &[String], _: &[String]) -> Result<Network, NotANetwork> {
        Err(NotANetwork::Unknown)
    }

    fn given_to(&self, _: &Place, _: &str) -> Option<Vec<Id128>> {
        Some(Vec::new())
    }

    fn on_host(&self, _: &Place, _: &str, _: &[Id128]) -> Option<HostNetwork> {
        Some(HostNetwork::default())
    }

    fn listen(&self, _: &Place) -> Option<Ear> {
        None
    }

    async fn bring(
        &self,
        _: &Place,
        _: String,
        wants: Vec<Want>,
    ) -> Result<Option<Vec<(Id128, Given)>>, Error> {
        let none = |(task, wanted): Want| {
            let code = "UnsupportedOperation".to_owned();
            let refused = Given::Refused { code, message: "There are no networks.".to_owned() };
            (task, wanted.map_or(Given::Gone, |_| refused))
        };
        Ok(Some(wants.into_iter().map(none).collect()))
    }
}

/// What is to be looked at.
struct Told {
    ids: BTreeSet<Id128>,
    all: bool,
}

impl Told {
    fn add(&mut self, ids: impl IntoIterator<Item = Id128>) {
        self.ids.extend(ids);
        if self.ids.len() > REMEMBERED {
            self.ids.clear();
            self.all = true;
        }
    }

    fn is_empty(&self) -> bool {
        self.ids.is_empty() && !self.all
    }
}

/// Begins to carry for this shard, for as long as anybody else holds it.
pub fn start<D: Wants>(shard: &Shard<D>, vpcs: Arc<dyn Vpcs>) {
    let told = Arc::new((Mutex::new(Told { ids: BTreeSet::new(), all: true }), Notify::new()));
    let place = (shard.id().account.clone(), shard.id().region.clone());
    let sender = shard.id().name.to_string();
    // It goes with the shard, and so this hears of the shard's end.
    let (ends, ended) = tokio::sync::watch::channel(());
    let tell = told.clone();
    shard.follow(Box::new(move |delta| {
        let _held = &ends;
        let ids: Vec<Id128> = delta.keys.iter().filter_map(D::concerns).collect();
        let gone = delta.after.gone() && !delta.before.gone();
        if !ids.is_empty() || gone {
            let mut kept = tell.0.lock();
            kept.add(ids);
            kept.all |= gone;
            drop(kept);
            tell.1.notify_one();
        }
    }));
    let shard = shard.downgrade();
    world::spawn(async move {
        let (mut wait, mut ended) = (RETRY.0, ended);
        loop {
            let Some(held) = shard.upgrade() else { return };
            let came =
                AssertUnwindSafe(carry(&held, vpcs.as_ref(), &place, &sender, &told.0)).catch_unwind().await;
            let came = came.unwrap_or_else(|_| Err(Error::internal("Carrying them broke an assertion.")));
            drop(held);
            match came {
                Ok(true) => {
                    wait = RETRY.0;
                    if !told.0.lock().is_empty() {
                        continue;
                    }
                    tokio::select! {
                        () = told.1.notified() => {}
                        _ = ended.changed() => return,
                    }
                }
                Ok(false) | Err(_) => {
                    if let Err(error) = came {
                        tracing::warn!(%error, sender, "network interfaces could not be carried; trying again");
                    }
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(RETRY.1);
                }
            }
        }
    });
}

/// Carries for some of what is to be looked at. What it does not come to the end of stays to be looked at. False where nobody
/// makes interfaces yet.
async fn carry<D: Wants>(
    shard: &Shard<D>,
    vpcs: &dyn Vpcs,
    place: &Place,
    sender: &str,
    told: &Mutex<Told>,
) -> Result<bool, Error> {
    if told.lock().all {
        // What is told from now on is added to it.
        told.lock().all = false;
        let given = vpcs.given_to(place, sender);
        let mut kept = told.lock();
        match given {
            Some(given) => kept.ids.extend(given.into_iter().chain(shard.read().state.concerned())),
            None => {
                kept.all = true;
                return Ok(false);
            }
        }
    }
    let ids: Vec<Id128> = {
        let mut kept = told.lock();
        let mut ids = mem::take(&mut kept.ids);
        if let Some(rest) = ids.iter().nth(TOGETHER).copied() {
            kept.ids = ids.split_off(&rest);
        }
        ids.into_iter().collect()
    };
    if ids.is_empty() {
        return Ok(true);
    }
    let done = bring(shard, vpcs, place, sender, &ids).await;
    match done {
        Ok(Some(heard)) => {
            told.lock().add(ids.into_iter().filter(|id| !heard.contains(id)));
            Ok(true)
        }
        Ok(None) => {
            told.lock().add(ids);
            Ok(false)
        }
        Err(error) => {
            told.lock().add(ids);
            Err(error)
        }
    }
}

/// Brings what some tasks want, and has them hear what came of it; gives those that did.
async fn bring<D: Wants>(
    shard: &Shard<D>,
    vpcs: &dyn Vpcs,
    place: &Place,
    sender: &str,
    ids: &[Id128],
) -> Result<Option<BTreeSet<Id128>>, Error> {
    let visible = shard.read();
    let wants: Vec<Want> = ids.iter().map(|id| (*id, visible.state.wanted(*id).cloned())).collect();
    drop(visible);
    let Some(given) = vpcs.bring(place, sender.to_owned(), wants).await? else { return Ok(None) };
    let mut heard: BTreeSet<Id128> = given.iter().map(|(id, _)| *id).collect();
    let left = shard.execute("", move |txn| Ok(D::hear(txn, given))).await?;
    for (id, _) in left {
        heard.remove(&id);
    }
    Ok(Some(heard))
}

#[cfg(test)]
mod tests;
