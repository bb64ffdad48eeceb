//! Carries what domains say happened to the event bus of their account and region. Events are rows of their sender
//! until the bus has them; the bus remembers up to which number it has taken them; so each is taken once, whoever
//! dies in between.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::FutureExt;
use state::contract::{self, EventOut, Tells};
use tokio::sync::watch;
use wire::{Error, Timestamp};

use super::{Place, shard::Shard};
use crate::world;

/// Events that are given to the bus together, at most.
const TOGETHER: usize = 256;
/// The first and the longest wait where the bus has no room, or something could not be stored.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(10));

/// The event buses of all accounts and regions, as those see them who send.
#[async_trait]
pub trait EventBus: Send + Sync + 'static {
    /// Whether anybody there may want events of a source. Asked for each batch of a sender, so it answers from memory.
    fn listens(&self, place: &Place, source: &'static str, now: Timestamp) -> bool;

    /// Gives it events of a sender, as [`contract::Bus::accept`] takes them.
    ///
    /// # Errors
    /// What could not be stored.
    async fn accept(
        &self,
        place: &Place,
        sender: String,
        events: Vec<Arc<EventOut>>,
    ) -> Result<Option<u64>, Error>;

    /// A sender is gone.
    ///
    /// # Errors
    /// What could not be stored.
    async fn forget(&self, place: &Place, sender: String) -> Result<(), Error>;
}

/// There is none: what runs without EventBridge.
pub struct NoBus;

#[async_trait]
impl EventBus for NoBus {
    fn listens(&self, _place: &Place, _source: &'static str, _now: Timestamp) -> bool {
        false
    }

    async fn accept(&self, _: &Place, _: String, events: Vec<Arc<EventOut>>) -> Result<Option<u64>, Error> {
        Ok(events.last().map(|event| event.sequence))
    }

    async fn forget(&self, _place: &Place, _sender: String) -> Result<(), Error> {
        Ok(())
    }
}

/// What a look of a carrier comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    /// Nothing waits.
    ToTheEnd,
    /// Events were carried; there may be more.
    Further,
    /// The bus has no room.
    Nowhere,
}

/// Begins to carry the events of this shard, for as long as anybody else holds it.
pub fn start<D: Tells>(shard: &Shard<D>, bus: Arc<dyn EventBus>) {
    let (tell, mut told) = watch::channel(());
    let place = (shard.id().account.clone(), shard.id().region.clone());
    let sender = EventOut::sender(shard.id());
    // It goes with the shard, and so the carrier hears of the shard's end.
    shard.follow(Box::new(move |delta| {
        if !delta.after.outgoing().is_empty() || delta.after.gone() {
            tell.send_replace(());
        }
    }));
    let shard = shard.downgrade();
    world::spawn(async move {
        let (mut wait, mut lost) = (RETRY.0, 0);
        loop {
            let Some(held) = shard.upgrade() else { return };
            tell_lost(&held, &mut lost);
            let came = AssertUnwindSafe(carry(&held, bus.as_ref(), &place, &sender)).catch_unwind().await;
            let came = came.unwrap_or_else(|_| Err(Error::internal("Carrying them broke an assertion.")));
            drop(held);
            match came {
                Ok(Came::Further) => wait = RETRY.0,
                Ok(Came::ToTheEnd) => {
                    wait = RETRY.0;
                    if told.changed().await.is_err() {
                        return;
                    }
                }
                Ok(Came::Nowhere) | Err(_) => {
                    if let Err(error) = came {
                        tracing::warn!(%error, sender, "events could not be carried; trying again");
                    }
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(RETRY.1);
                }
            }
        }
    });
}

/// Says how many events were lost since this was told, if any.
fn tell_lost<D: Tells>(shard: &Shard<D>, told: &mut u64) {
    let lost = shard.read().state.outgoing().sequence().unwrap_or_default().lost;
    if lost > *told {
        let (shard, new) = (shard.id().to_string(), lost - *told);
        tracing::error!(shard, new, lost, "too many events waited for the event bus; the oldest are lost");
    }
    *told = lost;
}

async fn carry<D: Tells>(
    shard: &Shard<D>,
    bus: &dyn EventBus,
    place: &Place,
    sender: &str,
) -> Result<Came, Error> {
    let visible = shard.read();
    if visible.state.gone() {
        bus.forget(place, sender.to_owned()).await?;
        return Ok(Came::ToTheEnd);
    }
    let events: Vec<_> = visible.state.outgoing().waiting().take(TOGETHER).cloned().collect();
    drop(visible);
    let Some(first) = events.first().map(|event| event.sequence) else { return Ok(Came::ToTheEnd) };
    let taken = bus.accept(place, sender.to_owned(), events).await?;
    let Some(taken) = taken.filter(|taken| *taken >= first) else { return Ok(Came::Nowhere) };
    while !shard.execute("", move |txn| Ok(contract::forget(txn, taken))).await? {}
    Ok(Came::Further)
}

#[cfg(test)]
mod tests;
