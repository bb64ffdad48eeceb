//! The log driver `awslogs`: ships what one container writes to CloudWatch Logs. What is shipped is
//! written down only after it was acknowledged, so a line arrives at least once, also across restarts of
//! the agent; until then it waits on disk, in the engine's keeping.

mod events;
mod stream;

pub use stream::ensure;

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{api::BackOff, host::Host, ledger::Shipped};
use events::{Assembler, Batch};
use stream::Outcome;

/// Most bytes read at a time.
const READ_BYTES: usize = 256 << 10;
/// How often the engine is asked even though it has not said that there is something.
const FALLBACK: Duration = Duration::from_secs(5);
/// How often it is asked once the container has ended but not all is read.
const ENDING: Duration = Duration::from_millis(20);

/// How much output without events is let go at a time.
const IDLE_BYTES: u64 = 64 << 10;
/// Between warnings of one container's dropped output.
const WARN_PERIOD: Duration = Duration::from_secs(10);

/// Ships the output of one container.
pub(crate) struct Shipper {
    pub host: Arc<Host>,
    pub id: engine::ContainerId,
    pub group: String,
    pub stream: String,
    pub create_group: bool,
    /// A line that matches starts a new event.
    pub event_start: [Option<String>; 2],
    /// Fires when the container will never write again.
    pub finish: CancellationToken,
}

/// What was said of dropped output, and when.
struct Warned {
    bytes: u64,
    at: Option<Instant>,
}

/// A log group that does not take anything.
#[derive(Default)]
struct Absence {
    /// Since when, if it is so now.
    since: Option<Instant>,
    /// Events that were dropped for it.
    dropped: u64,
    /// How many were when it was last said, and when that was.
    told: (u64, Option<Instant>),
}

impl Shipper {
    /// Ships until the container has ended for good and all is shipped, or patience is at its end.
    pub async fn run(self) {
        let notify = Arc::new(Notify::new());
        self.host.watch_output(&self.id, &notify);
        let patience = self.host.timers.output_patience;
        let finish = self.finish.clone();
        let patience = async move {
            finish.cancelled().await;
            tokio::time::sleep(patience).await;
        };
        tokio::select! {
            () = self.ship(&notify) => {}
            () = patience => tracing::error!(container = %self.id, "output could not be shipped in time; it is lost"),
        }
        self.host.unwatch_output(&self.id);
    }

    async fn ship(&self, notify: &Notify) {
        let start = self.shipped_before().await;
        let (mut released, mut warned) = (start.cursor, Warned { bytes: start.dropped_bytes, at: None });
        let mut assembler = Assembler::new(self.event_start.each_ref().map(Option::as_deref), start);
        let mut absence = Absence::default();
        loop {
            let finishing = self.finish.is_cancelled();
            let chunk = match self.host.engine.output(&self.id, assembler.at().cursor, READ_BYTES).await {
                Ok(chunk) => chunk,
                Err(error) if error.kind == engine::Kind::NoSuchContainer => return,
                Err(error) => {
                    tracing::warn!(container = %self.id, %error, "output cannot be read; trying again");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
            };
            if chunk.dropped_bytes > 0 {
                assembler.dropped(chunk.dropped_bytes);
            }
            let nothing = chunk.records.is_empty();
            for record in chunk.records {
                assembler.push(record);
            }
            let over = finishing && chunk.ended;
            if over {
                assembler.finish();
            }
            self.warn_dropped(assembler.at(), &mut warned, over);
            self.put(&mut assembler, nothing || over, &mut released, &mut absence).await;
            if over {
                self.warn_absent(&mut absence, true);
                return;
            }
            if nothing {
                self.wait(notify, &assembler, finishing).await;
            }
        }
    }

    /// Where to go on.
    async fn shipped_before(&self) -> Shipped {
        loop {
            match self.host.ledger.shipped(&self.id) {
                Ok(shipped) => return shipped,
                Err(error) => tracing::error!(container = %self.id, %error, "the ledger cannot be read"),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Says now and then, and in the end, how much was dropped since the container was made.
    fn warn_dropped(&self, at: Shipped, warned: &mut Warned, over: bool) {
        let early = warned.at.is_some_and(|at| at.elapsed() < WARN_PERIOD) && !over;
        if at.dropped_bytes == warned.bytes || early {
            return;
        }
        *warned = Warned { bytes: at.dropped_bytes, at: Some(Instant::now()) };
        let (lines, bytes) = (at.dropped_lines, at.dropped_bytes);
        tracing::warn!(container = %self.id, lines, bytes, "output was dropped, as its log mode is non-blocking");
    }

    /// Waits for output, then a moment more for company.
    async fn wait(&self, notify: &Notify, assembler: &Assembler, finishing: bool) {
        if finishing {
            tokio::time::sleep(ENDING).await;
            return;
        }
        let most = if assembler.holds_event() { events::EVENT_PATIENCE } else { FALLBACK };
        tokio::select! {
            () = self.finish.cancelled() => {}
            woken = timeout(most, notify.notified()) => if woken.is_ok() {
                let flush = timeout(self.host.timers.output_flush, self.finish.cancelled());
                // Either way there is something to read now.
                let _ = flush.await;
            }
        }
    }

    /// Ships what is whole. `all`: also what does not fill a batch yet.
    async fn put(&self, assembler: &mut Assembler, all: bool, released: &mut u64, absence: &mut Absence) {
        assembler.release_old(Instant::now());
        while let Some(batch) = assembler.batch(all) {
            let at = batch.at;
            self.put_batch(batch, absence).await;
            self.shipped(at, released).await;
        }
        // Empty lines make no events, but take up space.
        if let Some(at) = assembler.idle_at().filter(|at| at.cursor > *released + IDLE_BYTES) {
            self.shipped(at, released).await;
        }
    }

    /// Output up to there is safe elsewhere.
    async fn shipped(&self, at: Shipped, released: &mut u64) {
        if let Err(error) = self.host.ledger.set_shipped(&self.id, at).await {
            // Then it is shipped again after a restart, at worst.
            tracing::warn!(container = %self.id, %error, "the output's cursor cannot be written");
        }
        if let Err(error) = self.host.engine.release_output(&self.id, at.cursor).await {
            tracing::warn!(container = %self.id, %error, "shipped output cannot be released");
        }
        *released = at.cursor;
    }

    async fn put_batch(&self, batch: Batch, absence: &mut Absence) {
        let request = logs_model::PutLogEventsRequest {
            log_group_name: self.group.clone(),
            log_stream_name: self.stream.clone(),
            log_events: batch.events,
            ..Default::default()
        };
        let mut back_off = BackOff::new(Duration::from_millis(200), 2.0, Duration::from_secs(30));
        loop {
            let error = match stream::put(&self.host.api, &request).await {
                Outcome::Done => {
                    self.warn_absent(absence, true);
                    absence.since = None;
                    return;
                }
                Outcome::Refused(error) => {
                    tracing::error!(container = %self.id, %error, "a batch of output was refused; it is lost");
                    return;
                }
                Outcome::NoStream => {
                    match ensure(&self.host.api, &self.group, &self.stream, self.create_group).await {
                        Ok(()) => continue,
                        Err(error) => error,
                    }
                }
                Outcome::Denied(error) => error,
                Outcome::Later(error) => {
                    tracing::debug!(container = %self.id, %error, "output did not get through; trying again");
                    self.host.api.rest(back_off.wait()).await;
                    continue;
                }
            };
            let wait = back_off.wait();
            if error.passes() {
                self.host.api.rest(wait).await;
                continue;
            }
            let patience = self.host.timers.log_group_patience;
            if absence.since.is_none() {
                let group = self.group.as_str();
                tracing::warn!(container = %self.id, group, %error, ?patience, "output waits for its log group");
            }
            let left = patience.saturating_sub(absence.since.get_or_insert_with(Instant::now).elapsed());
            if left.is_zero() {
                absence.dropped += request.log_events.len() as u64;
                self.warn_absent(absence, false);
                return;
            }
            tokio::time::sleep(wait.min(left)).await;
        }
    }

    /// Says now and then, and when it is over, how much was dropped for want of a log group.
    fn warn_absent(&self, absence: &mut Absence, over: bool) {
        let (said, at) = absence.told;
        let early = at.is_some_and(|at| at.elapsed() < WARN_PERIOD) && !over;
        if absence.dropped == said || early {
            return;
        }
        absence.told = (absence.dropped, Some(Instant::now()));
        let (group, events) = (self.group.as_str(), absence.dropped);
        tracing::error!(container = %self.id, group, events, "output was dropped, as its log group takes none");
    }
}
