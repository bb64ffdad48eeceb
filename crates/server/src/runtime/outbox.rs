//! Carries out the calls in a shard's outbox: each through the gate, at least once, and what came of it goes back as a
//! command. A call that is under way when the control plane ends is made again by the next start, with the same
//! idempotency token.

use std::{
    collections::BTreeSet,
    panic::AssertUnwindSafe,
    sync::{Arc, Weak},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::FutureExt;
use serde_json::Value;
use state::{
    Delta, Id128,
    outbox::{Call, GivenUp, Sends},
};
use tokio::{sync::watch, task::JoinSet};
use wire::Error;

use super::{
    Place, clock,
    shard::{Shard, WeakShard},
};
use crate::{gate::Gate, world};

/// Calls of one shard that are under way at a time.
const TOGETHER: usize = 32;
/// The first and the longest wait after an outcome could not be stored.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// Makes calls on behalf of somebody.
#[async_trait]
pub trait Calls: Send + Sync + 'static {
    /// Makes one, in an account and region.
    ///
    /// # Errors
    /// The operation's own.
    async fn call(&self, place: &Place, call: Call) -> Result<Value, Error>;
}

/// The way from outboxes to the gate, which holds the services, which hold their shards. Calls wait until it leads somewhere.
pub struct Line(watch::Sender<Option<Weak<Gate>>>);

impl Default for Line {
    fn default() -> Line {
        Line(watch::Sender::new(None))
    }
}

impl Line {
    /// One that leads to this gate.
    pub fn to(gate: &Arc<Gate>) -> Line {
        Line(watch::Sender::new(Some(Arc::downgrade(gate))))
    }

    /// Leads it there.
    pub fn lead_to(&self, gate: &Arc<Gate>) {
        self.0.send_replace(Some(Arc::downgrade(gate)));
    }
}

#[async_trait]
impl Calls for Line {
    async fn call(&self, place: &Place, call: Call) -> Result<Value, Error> {
        let mut leads = self.0.subscribe();
        let gate = leads.wait_for(Option::is_some).await.ok().and_then(|gate| gate.as_ref()?.upgrade());
        match gate {
            Some(gate) => Calls::call(&*gate, place, call).await,
            None => Err(Error::unavailable("The control plane ends.")),
        }
    }
}

/// Begins to carry out what waits in the outbox of this shard, for as long as anybody else holds the shard.
pub fn start<D: Sends>(shard: &Shard<D>, calls: Arc<dyn Calls>) {
    let (tell, mut told) = watch::channel(());
    // It goes with the shard, and so the worker hears of the shard's end.
    shard.follow(Box::new(move |delta| {
        tell_given_up(delta);
        tell.send_replace(());
    }));
    let shard = shard.downgrade();
    world::spawn(async move {
        let mut wait = RETRY.0;
        loop {
            let work = AssertUnwindSafe(run(&shard, &calls, &mut told));
            if let Ok(End::Shard) = work.catch_unwind().await {
                return;
            }
            // What is under way is broken off, and made again with the same idempotency token.
            tracing::error!(service = D::SERVICE, "an outbox breaks an assertion; it begins anew");
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY.1);
        }
    });
}

/// Says what a commit gave up, in one line however much it is.
fn tell_given_up<D: Sends>(delta: &Delta<D>) {
    let new = delta.keys.iter().filter(|key| delta.before.given_up(key).is_none());
    let mut new = new.filter_map(|key| delta.after.given_up(key));
    let Some(GivenUp { for_whom, what, attempts, code, message: why, .. }) = new.next() else { return };
    let (service, all) = (D::SERVICE, 1 + new.count());
    tracing::warn!(service, for_whom, what, attempts, code, why, all, "a call was given up");
}

/// Why the work on an outbox ends.
enum End {
    /// Nobody holds the shard any more.
    Shard,
    /// A call that was under way broke an assertion outside of itself.
    Broken,
}

async fn run<D: Sends>(shard: &WeakShard<D>, calls: &Arc<dyn Calls>, told: &mut watch::Receiver<()>) -> End {
    let mut under_way: BTreeSet<Id128> = BTreeSet::new();
    let mut working = JoinSet::new();
    loop {
        let Some(held) = shard.upgrade() else { return End::Shard };
        let place: Place = (held.id().account.clone(), held.id().region.clone());
        let visible = held.read();
        let now = clock::now();
        // Those that are under way stay in the outbox until their outcome is stored.
        let ready = visible.state.outbox().ready(now).filter(|id| !under_way.contains(id));
        let next: Vec<Id128> = ready.take(TOGETHER - under_way.len().min(TOGETHER)).collect();
        for id in next {
            let Some(call) = visible.state.call(id) else { continue };
            under_way.insert(id);
            working.spawn(one(held.clone(), calls.clone(), place.clone(), id, call));
        }
        let wake = visible.state.outbox().wake_after(now);
        drop((visible, held));
        tokio::select! {
            biased;
            done = working.join_next(), if !working.is_empty() => {
                match done {
                    Some(Ok(id)) => drop(under_way.remove(&id)),
                    // Which of those under way it was is not known.
                    Some(Err(_)) => return End::Broken,
                    None => {}
                }
            }
            changed = told.changed() => if changed.is_err() { return End::Shard },
            () = clock::sleep_until(wake, None, Some(clock::steps())) => {}
        }
    }
}

async fn one<D: Sends>(shard: Shard<D>, calls: Arc<dyn Calls>, place: Place, id: Id128, call: Call) -> Id128 {
    let (service, operation) = (call.service.clone(), call.operation.clone());
    let outcome = AssertUnwindSafe(calls.call(&place, call)).catch_unwind().await;
    let outcome = outcome.unwrap_or_else(|_| Err(Error::internal("The call broke an assertion.")));
    if let Err(error) = &outcome {
        tracing::debug!(%error, service, operation, "a call from an outbox was refused");
    }
    let mut wait = RETRY.0;
    loop {
        let told = outcome.clone();
        let stored = shard.execute("", move |txn| {
            // Somebody may have taken it back meanwhile.
            if txn.state.call(id).is_some() {
                D::carried_out(txn, id, told);
            }
            Ok(())
        });
        match stored.await {
            Ok(()) => return id,
            Err(error) => tracing::warn!(%error, "what came of a call could not be stored; trying again"),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RETRY.1);
    }
}

#[cfg(test)]
mod tests;
