//! Shows the events of an event bus to people as they come: `roadstead events`. Who follows asks again and again for what
//! is behind the last number that it has seen, and waits for an answer; so it misses nothing while it asks, even
//! where the control plane ends in between. What is kept for it is bounded, and that something was missed is said.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::Response;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use state::contract::{Bus, Filter};
use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;
use wire::Error;

use crate::{
    front_door::{ReplyBody, Site, Surface, SurfaceCall},
    runtime::{Place, Shard},
};

/// Where it is.
pub const PATH: &str = "/_roadstead/events";
/// The longest request, in bytes: it holds an event pattern.
const LONGEST: u64 = 64 * 1024;
/// The longest wait for an event.
const WAIT: Duration = Duration::from_secs(20);
/// Events of one answer, at most, and after how many bytes it is full.
const EVENTS: usize = 500;
const BYTES: usize = 1 << 20;
/// Requests that wait at a time.
const WAITING: usize = 64;

/// The buses of a domain, by account and region.
pub type Buses<D> = Arc<dyn Fn(&Place) -> Result<Shard<D>, Error> + Send + Sync>;

/// See the module.
pub struct Following<D: Bus> {
    buses: Buses<D>,
    /// Changes whenever something is kept that was not.
    came: Mutex<BTreeMap<Place, watch::Receiver<u64>>>,
    waiting: Semaphore,
    stop: CancellationToken,
}

/// What is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Request {
    /// The number of the last event that was seen; none to begin with what comes from now on.
    after: Option<u64>,
    /// An event pattern.
    pattern: Option<String>,
    /// Whether to wait for events and have them kept. What is kept already is shown in any case.
    follow: bool,
}

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    /// What to ask for next.
    after: u64,
    /// Events came after the last one that was seen, and are not kept any more.
    missed: bool,
    events: Vec<Box<RawValue>>,
}

impl<D: Bus> Following<D> {
    /// Shows these; no request waits beyond `stop`.
    pub fn new(buses: Buses<D>, stop: CancellationToken) -> Following<D> {
        Following { buses, came: Mutex::default(), waiting: Semaphore::new(WAITING), stop }
    }

    /// The number of the last event that is kept, now and whenever it changes.
    fn last(&self, place: &Place, shard: &Shard<D>) -> watch::Receiver<u64> {
        let mut came = self.came.lock();
        let known = came.entry(place.clone()).or_insert_with(|| {
            let (tell, told) = watch::channel(last(&*shard.read().state));
            shard.follow(Box::new(move |delta| {
                let now = last(delta.after);
                tell.send_if_modified(|known| std::mem::replace(known, now) != now);
            }));
            told
        });
        known.clone()
    }

    /// From JSON to JSON.
    async fn told(&self, place: &Place, request: &[u8]) -> Result<Bytes, Error> {
        let request = serde_json::from_slice(request)
            .map_err(|error| Error::new("ValidationException", 400, error.to_string()))?;
        let answer = self.answer(place, request).await?;
        serde_json::to_vec(&answer).map(Bytes::from).map_err(|error| Error::internal(error.to_string()))
    }

    async fn answer(&self, place: &Place, request: Request) -> Result<Answer, Error> {
        let filter = request.pattern.as_deref().map(D::filter).transpose()?;
        let shard = (self.buses)(place)?;
        let _waits = self.waiting.try_acquire().map_err(|_| {
            Error::new("ThrottlingException", 400, "Too many follow the events of this control plane.")
        })?;
        if request.follow {
            let follow = |txn: &mut state::Txn<D>| {
                D::follow(txn);
                Ok(())
            };
            shard.execute("", follow).await?;
        }
        let mut came = self.last(place, &shard);
        let Some(mut after) = request.after else {
            let after = last(&*shard.read().state);
            return Ok(Answer { after, missed: false, events: Vec::new() });
        };
        let until = Instant::now() + WAIT;
        loop {
            came.borrow_and_update();
            let answer = page(&*shard.read().state, after, filter.as_ref());
            if !request.follow || answer.missed || !answer.events.is_empty() {
                return Ok(answer);
            }
            after = answer.after;
            let waited = tokio::select! {
                waited = timeout_at(until, came.changed()) => waited.is_ok_and(|changed| changed.is_ok()),
                () = self.stop.cancelled() => false,
            };
            if !waited {
                return Ok(answer);
            }
        }
    }
}

fn last<D: Bus>(state: &D) -> u64 {
    state.passed_after(0).next_back().map_or(0, |(number, _)| number)
}

/// What is kept behind a number, as much as one answer takes.
fn page<D: Bus>(state: &D, after: u64, filter: Option<&Filter>) -> Answer {
    let mut answer = Answer { after, missed: false, events: Vec::new() };
    let mut bytes = 0;
    for (number, event) in state.passed_after(after) {
        if answer.events.len() >= EVENTS || bytes >= BYTES {
            break;
        }
        answer.missed |= answer.after > 0 && number > answer.after + 1;
        answer.after = number;
        if filter.is_some_and(|wanted| !wanted(event)) {
            continue;
        }
        bytes += event.len();
        answer.events.extend(RawValue::from_string(event.to_owned()));
    }
    answer
}

#[async_trait]
impl<D: Bus> Surface for Following<D> {
    fn sites(&self) -> Vec<Site> {
        vec![Site::Path(PATH)]
    }

    fn signed_for(&self) -> &str {
        D::SERVICE
    }

    fn body_bytes(&self) -> u64 {
        LONGEST
    }

    async fn handle(&self, call: SurfaceCall) -> Response<ReplyBody> {
        let place = (call.caller.account, call.region);
        let told = async { self.told(&place, &call.body.whole().await?).await };
        self.json(told.await, &call.request_id)
    }
}

#[cfg(test)]
mod tests;
