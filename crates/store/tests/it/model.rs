//! Random commits, leases, restarts and the passing of time, against a model of a page.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use store::memory::Memory;
use store::sqlite::{Options, Sqlite};
use store::{Change, Commit, Condition, Entry, Error, Event, Lease, ManualClock, Revision, Span, Store};

const TTL: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
enum Op {
    Commit { changes: BTreeMap<u8, Option<u8>>, condition: Option<(u8, Guess)>, fence: Option<usize> },
    Acquire { holder: u8 },
    Renew { nth: usize },
    Release { nth: usize },
    Advance { seconds: u64 },
    Restart,
}

/// What a condition expects of a key, relative to the truth, so that both outcomes are met often.
#[derive(Clone, Debug)]
enum Guess {
    Right,
    Absent,
    Stale,
}

fn op() -> impl Strategy<Value = Op> {
    let guess = prop_oneof![Just(Guess::Right), Just(Guess::Absent), Just(Guess::Stale)];
    let changes = prop::collection::btree_map(0..6_u8, prop::option::weighted(0.7, any::<u8>()), 0..5);
    let commit = (changes, prop::option::of((0..6_u8, guess)), prop::option::weighted(0.3, 0..4_usize));
    prop_oneof![
        8 => commit.prop_map(|(changes, condition, fence)| Op::Commit { changes, condition, fence }),
        2 => (0..2_u8).prop_map(|holder| Op::Acquire { holder }),
        1 => (0..4_usize).prop_map(|nth| Op::Renew { nth }),
        1 => (0..4_usize).prop_map(|nth| Op::Release { nth }),
        1 => (1..12_u64).prop_map(|seconds| Op::Advance { seconds }),
        1 => Just(Op::Restart),
    ]
}

#[derive(Default)]
struct Model {
    rows: BTreeMap<String, (Vec<u8>, Revision)>,
    events: Vec<Event>,
    revision: Revision,
    lease: Option<(Lease, u64)>,
    now: u64,
}

impl Model {
    fn held(&self, lease: &Lease) -> bool {
        self.lease.as_ref().is_some_and(|(held, until)| held.token == lease.token && self.now < *until)
    }

    fn commit(&mut self, commit: &Commit) -> Result<Revision, ()> {
        for condition in &commit.conditions {
            let holds = match condition {
                Condition::Revision { key, revision } => {
                    self.rows.get(key).map(|row| row.1) == Some(*revision)
                }
                Condition::Absent { key } => !self.rows.contains_key(key),
                Condition::Lease { token, .. } => {
                    self.lease.as_ref().is_some_and(|(held, until)| held.token == *token && self.now < *until)
                }
            };
            if !holds {
                return Err(());
            }
        }
        let mut changes = commit.changes.clone();
        changes.retain(|change| matches!(change, Change::Put { .. }) || self.rows.contains_key(change.key()));
        if changes.is_empty() {
            return Ok(self.revision);
        }
        self.revision += 1;
        for change in &changes {
            match change {
                Change::Put { key, value } => {
                    drop(self.rows.insert(key.clone(), (value.to_vec(), self.revision)))
                }
                Change::Delete { key } => drop(self.rows.remove(key)),
            }
        }
        self.events.push(Event { revision: self.revision, changes });
        Ok(self.revision)
    }
}

/// A store and the model beside it.
struct Pair<'a> {
    model: Model,
    store: Option<Arc<dyn Store>>,
    open: &'a dyn Fn() -> Arc<dyn Store>,
    restarts: bool,
    clock: Arc<ManualClock>,
    leases: Vec<Lease>,
}

impl Pair<'_> {
    fn store(&self) -> Arc<dyn Store> {
        self.store.clone().expect("it is only gone during a restart")
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Commit { changes, condition, fence } => {
                let commit = self.commit_of(changes, condition, fence);
                let (store, model) = (self.store().commit(commit.clone()), self.model.commit(&commit));
                match &store {
                    Err(Error::Conflict { .. } | Error::Fenced { .. }) => {
                        assert!(model.is_err(), "{store:?}")
                    }
                    other => assert_eq!(other.as_ref().ok(), model.ok().as_ref(), "{commit:?}: {other:?}"),
                }
            }
            Op::Acquire { holder } => self.acquire(format!("holder {holder}")),
            Op::Renew { nth } => {
                let Some(lease) = self.leases.get(nth).cloned() else { return };
                let held = self.model.held(&lease);
                assert_eq!(self.store().renew_lease(&lease).is_ok(), held);
                if let (true, Some((_, until))) = (held, &mut self.model.lease) {
                    *until = self.model.now + TTL.as_secs();
                }
            }
            Op::Release { nth } => {
                let Some(lease) = self.leases.get(nth).cloned() else { return };
                let held = self.model.held(&lease);
                assert_eq!(self.store().release_lease(&lease).is_ok(), held);
                if held {
                    self.model.revision += 1;
                    self.model.lease = None;
                }
            }
            Op::Advance { seconds } => {
                self.clock.advance(Duration::from_secs(seconds));
                self.model.now += seconds;
            }
            Op::Restart if self.restarts => {
                self.store = None;
                self.store = Some((self.open)());
                if let Some((_, until)) = &mut self.model.lease {
                    *until = self.model.now + TTL.as_secs();
                }
            }
            Op::Restart => {}
        }
    }

    fn acquire(&mut self, holder: String) {
        let acquired = self.store().acquire_lease("l", &holder, TTL);
        let free = self
            .model
            .lease
            .as_ref()
            .is_none_or(|(held, until)| held.holder == holder || self.model.now >= *until);
        assert_eq!(acquired.is_ok(), free, "{acquired:?}");
        let Ok(lease) = acquired else { return };
        self.model.revision += 1;
        assert_eq!(lease.token, self.model.revision);
        self.model.lease = Some((lease.clone(), self.model.now + TTL.as_secs()));
        self.leases.insert(0, lease);
    }

    fn commit_of(
        &self,
        changes: BTreeMap<u8, Option<u8>>,
        guess: Option<(u8, Guess)>,
        fence: Option<usize>,
    ) -> Commit {
        let mut commit = changes.into_iter().fold(Commit::new(), |commit, (key, value)| match value {
            Some(value) => commit.put(format!("k/{key}"), vec![value; value as usize]),
            None => commit.delete(format!("k/{key}")),
        });
        if let Some((key, guess)) = guess {
            let key = format!("k/{key}");
            let found = self.model.rows.get(&key).map(|row| row.1);
            commit = commit.when(match (guess, found) {
                (Guess::Right, Some(revision)) => Condition::Revision { key, revision },
                (Guess::Stale, _) => Condition::Revision { key, revision: found.unwrap_or(2) - 1 },
                _ => Condition::Absent { key },
            });
        }
        match fence.and_then(|nth| self.leases.get(nth)) {
            Some(lease) => commit.when(Condition::Lease { name: "l".to_owned(), token: lease.token }),
            None => commit,
        }
    }

    fn check(&self, live: &mut Option<store::Watch>) {
        let store = self.store();
        let range = store.range(&Span::all(), 0).expect("read");
        let rows = self.model.rows.iter().map(|(key, (value, revision))| Entry {
            key: key.clone(),
            value: value.clone().into(),
            revision: *revision,
            whole: true,
        });
        assert_eq!(range.entries, rows.collect::<Vec<_>>());
        assert_eq!((range.revision, store.revision()), (self.model.revision, self.model.revision));
        for from in [0, self.model.revision / 2] {
            let mut watch = store.watch(Span::all(), from).expect("the history is there");
            let events: Vec<Event> =
                std::iter::from_fn(|| watch.try_recv().expect("the watch works")).collect();
            let expected: Vec<Event> =
                self.model.events.iter().filter(|event| event.revision > from).cloned().collect();
            assert_eq!(events, expected, "from {from}");
        }
        if let Some(watch) = live {
            let seen = std::iter::from_fn(|| watch.try_recv().expect("the watch works")).count();
            assert_eq!(seen, self.model.events.len());
        }
    }
}

fn run(ops: Vec<Op>, clock: Arc<ManualClock>, restarts: bool, open: &dyn Fn() -> Arc<dyn Store>) {
    let mut pair =
        Pair { model: Model::default(), store: Some(open()), open, restarts, clock, leases: Vec::new() };
    // A restart ends it, so only a store that is never restarted has one.
    let mut live = (!restarts).then(|| pair.store().watch(Span::all(), 0).expect("watch"));
    for op in ops {
        pair.step(op);
    }
    pair.check(&mut live);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_does_what_the_model_does(ops in prop::collection::vec(op(), 1..60)) {
        let clock = Arc::new(ManualClock::default());
        run(ops, clock.clone(), false, &|| Arc::new(Memory::with(clock.clone(), 100_000)));
    }

    #[test]
    fn sqlite_does_what_the_model_does(ops in prop::collection::vec(op(), 1..60)) {
        let clock = Arc::new(ManualClock::default());
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("state.db");
        run(ops, clock.clone(), true, &|| {
            let options = Options { clock: clock.clone(), ..Options::default() };
            Arc::new(Sqlite::open(&path, options).expect("the store opens"))
        });
    }
}
