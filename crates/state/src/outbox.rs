//! Outboxes: rows that say "call this operation as this principal". A worker outside carries each out, at least once,
//! and writes what came of it back as a command; so nothing that a domain wishes of another is lost by a crash, and
//! there is no transaction over two shards.

use imbl::OrdSet;
use serde::{Deserialize, Serialize};
use wire::{Error, Timestamp};

use crate::{Domain, Id128, Txn, domain::KeyOf};

/// A call to be made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// As whom: the ARN of a role, or a service's name such as `events.amazonaws.com`.
    pub principal: String,
    /// The service's name in the models.
    pub service: String,
    /// The operation's name.
    pub operation: String,
    /// The input, an idempotency token included where the operation has one: the call may be made twice.
    pub input: serde_json::Value,
}

/// Something that was to be called and was given up, for people to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUp {
    /// When.
    pub at: Timestamp,
    /// For whom it was to be called: a rule with its target, a schedule.
    pub for_whom: String,
    /// What: an operation, or a target's ARN.
    pub what: String,
    /// How many there were, where several were given up together.
    pub times: u64,
    /// How often each was tried.
    pub attempts: u32,
    /// The last error.
    pub code: String,
    pub message: String,
    /// The limit of a retry policy that was met.
    pub limit: Option<String>,
}

/// Which calls wait, and until when. A domain keeps it in [`Domain::take`].
#[derive(Debug, Clone, Default)]
pub struct Outbox {
    waiting: OrdSet<(Timestamp, Id128)>,
}

impl Outbox {
    /// A call waits until then.
    pub fn put(&mut self, at: Timestamp, id: Id128) {
        self.waiting.insert((at, id));
    }

    /// It does no longer.
    pub fn remove(&mut self, at: Timestamp, id: Id128) {
        self.waiting.remove(&(at, id));
    }

    /// The calls that may be made at `now`, in the order of their times.
    pub fn ready(&self, now: Timestamp) -> impl Iterator<Item = Id128> {
        self.waiting.iter().take_while(move |(at, _)| *at <= now).map(|(_, id)| *id)
    }

    /// When the next one may be made after `now`.
    pub fn wake_after(&self, now: Timestamp) -> Option<Timestamp> {
        let later = (Timestamp(now.0.saturating_add(1)), Id128(0));
        self.waiting.range(later..).next().map(|(at, _)| *at)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// A domain that has an outbox.
pub trait Sends: Domain {
    /// Which calls wait.
    fn outbox(&self) -> &Outbox;

    /// One that waits.
    fn call(&self, id: Id128) -> Option<Call>;

    /// What came of it: the operation's output, or its refusal. It is removed, or waits for its next attempt.
    fn carried_out(txn: &mut Txn<Self>, id: Id128, outcome: Result<serde_json::Value, Error>);

    /// What the row says was given up; none if it is no such row.
    fn given_up(&self, key: &KeyOf<Self>) -> Option<GivenUp>;

    /// The rows of what was given up and is remembered, the latest first.
    fn all_given_up(&self) -> Vec<KeyOf<Self>>;
}
