//! One reader's view of what changes: a cursor over the commits. The commits still in memory come from the
//! [`Hub`], older ones from the engine's history; a slow reader therefore costs the writer nothing and
//! misses nothing until the history itself is trimmed.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::hub::{Hub, Next};
use crate::{Change, Error, Revision, Span};

/// The changes that one commit made within a watched span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The commit's revision.
    pub revision: Revision,
    /// Its changes within the span, in the commit's order; at least one.
    pub changes: Vec<Change>,
}

/// Older commits, as an engine keeps them.
pub(crate) trait History: Send + Sync + 'static {
    /// The commits after `after` that touch `span`: about `limits::HISTORY_PAGE` changes, whole commits
    /// only. Error: [`Error::Compacted`].
    fn read(&self, span: &Span, after: Revision) -> Result<Page, Error>;
}

/// A piece of history.
pub(crate) struct Page {
    /// In order.
    pub(crate) events: VecDeque<Event>,
    /// Everything up to this revision is in `events`.
    pub(crate) upto: Revision,
}

/// Every change within a span after a revision, in order and without gaps. Dropping it ends the watch.
pub struct Watch {
    hub: Arc<Hub>,
    history: Arc<dyn History>,
    id: u64,
    span: Span,
    page: VecDeque<Event>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("span", &self.span).finish_non_exhaustive()
    }
}

impl Watch {
    /// Starts a watch on a store that is at `current` and whose history reaches back to `oldest`.
    pub(crate) fn open(
        hub: Arc<Hub>,
        history: Arc<dyn History>,
        span: Span,
        from: Revision,
        (oldest, current): (Revision, Revision),
    ) -> Result<Self, Error> {
        if from < oldest {
            return Err(Error::Compacted { oldest });
        }
        if from > current {
            return Err(Error::FutureRevision { asked: from, current });
        }
        let id = hub.join(span.clone(), from);
        Ok(Self { hub, history, id, span, page: VecDeque::new() })
    }

    /// The next event, if there is one now. May read the disk when the watch is far behind. Errors:
    /// [`Error::Compacted`] when the watch fell so far behind that history was trimmed (it is of no more
    /// use then), [`Error::Closed`] after the last event of a store that was closed, the disk's errors.
    pub fn try_recv(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.page.pop_front() {
                return Ok(Some(event));
            }
            match self.hub.next(self.id, &self.span)? {
                Next::Event(event) => return Ok(Some(event)),
                Next::Nothing => return Ok(None),
                Next::History(after) => {
                    let page = self.history.read(&self.span, after)?;
                    self.page = page.events;
                    self.hub.seen(self.id, page.upto);
                }
            }
        }
    }

    /// Waits for the next event. Errors as [`Watch::try_recv`].
    pub fn recv(&mut self) -> Result<Event, Error> {
        loop {
            if let Some(event) = self.try_recv()? {
                return Ok(event);
            }
            self.hub.wait(self.id, None);
        }
    }

    /// Waits for the next event for at most `timeout`. Errors as [`Watch::try_recv`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<Event>, Error> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(event) = self.try_recv()? {
                return Ok(Some(event));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.hub.wait(self.id, Some(left));
        }
    }

    /// Has `ready` called whenever the watch goes from having no event to having one, and once at the
    /// store's end; also right now if there may be one already. Then call `try_recv` until it answers none.
    /// `ready` runs on the writer's thread: it must only pass the word on (wake a task, notify a channel).
    pub fn on_ready(&mut self, ready: impl Fn() + Send + Sync + 'static) {
        let pending = !self.page.is_empty();
        self.hub.set_waker(self.id, Arc::new(ready), pending);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.hub.leave(self.id);
    }
}
