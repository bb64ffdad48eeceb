//! Who waits for the assignments of a container instance. A wake is only a hint to look at the newest
//! snapshot: one that comes too often costs a look, and none is ever needed to find the truth.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use ::ecs::cluster::InstanceId;
use parking_lot::Mutex;
use tokio::sync::watch;

/// Counters that are never too many.
const FEW: usize = 64;

/// One counter for each container instance with a link.
#[derive(Default)]
pub struct Wakers {
    counters: Mutex<Counters>,
    sessions: Mutex<Sessions>,
    /// How often all agents were to be asked what they run.
    asked: AtomicU64,
}

/// Those of links that are gone, too, until there are twice as many as were left when these were forgotten last: a link
/// that comes is not made to look at all others.
#[derive(Default)]
struct Counters {
    of: BTreeMap<InstanceId, watch::Sender<u64>>,
    forget_at: usize,
}

/// Which session of each container instance is the newest.
#[derive(Default)]
struct Sessions {
    /// The number of the last one that began, of any instance.
    last: u64,
    /// The number of the newest, for each instance that has one.
    newest: BTreeMap<InstanceId, u64>,
}

impl Wakers {
    /// A receiver that sees every wake from now on.
    pub fn subscribe(&self, instance: &InstanceId) -> watch::Receiver<u64> {
        let mut counters = self.counters.lock();
        if counters.of.len() >= counters.forget_at {
            counters.of.retain(|_, counter| counter.receiver_count() > 0);
            counters.forget_at = (2 * counters.of.len()).max(FEW);
        }
        counters.of.entry(*instance).or_insert_with(|| watch::channel(0).0).subscribe()
    }

    /// Begins a session of this instance; gives its number.
    pub fn begin_session(&self, instance: &InstanceId) -> u64 {
        let mut sessions = self.sessions.lock();
        sessions.last += 1;
        let number = sessions.last;
        sessions.newest.insert(*instance, number);
        number
    }

    /// Forgets a session that ended, if none began after it.
    pub fn end_session(&self, instance: &InstanceId, session: u64) {
        let mut sessions = self.sessions.lock();
        if sessions.newest.get(instance) == Some(&session) {
            sessions.newest.remove(instance);
        }
    }

    /// Whether no session began after this one.
    pub fn is_newest(&self, instance: &InstanceId, session: u64) -> bool {
        self.sessions.lock().newest.get(instance) == Some(&session)
    }

    /// Has all agents of the cluster asked what they run.
    pub fn ask_what_runs(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.counters.lock().of.values().for_each(|counter| counter.send_modify(|count| *count += 1));
    }

    /// Changes when the agents are to be asked again.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Whether the container instance has a session.
    pub fn has_session(&self, instance: &InstanceId) -> bool {
        self.sessions.lock().newest.contains_key(instance)
    }

    /// Wakes the links of these instances, each once.
    pub fn wake(&self, instances: impl Iterator<Item = InstanceId>) {
        let instances: BTreeSet<InstanceId> = instances.collect();
        let counters = self.counters.lock();
        for counter in instances.iter().filter_map(|id| counters.of.get(id)) {
            counter.send_modify(|count| *count += 1);
        }
    }
}
