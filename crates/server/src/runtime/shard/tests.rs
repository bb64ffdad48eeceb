//! One writer over a domain of plain texts: what one command, or a timer, does wrong harms no other.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use serde::{Deserialize, Serialize};
use state::Agenda;
use store::memory::Memory;

use super::*;
use crate::runtime::testing::{self, plain};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextRow {
    key: String,
    value: String,
}

impl state::Row for TextRow {
    fn weight(&self) -> usize {
        self.value.len()
    }
}

mod table {
    use super::TextRow;

    state::rows! {
        /// Texts.
        "text" Text(TextRow, String): |row| row.key.clone(),
    }
}
use table::{Key, Row};

/// Rows by key. The row `wake`, if there is one, is due at once.
#[derive(Clone, Default)]
struct Texts {
    rows: BTreeMap<String, String>,
    agenda: Agenda<Key, ()>,
}

/// What the timer does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Timer {
    Panics,
    IsTooLong,
}

impl Domain for Texts {
    plain!("texts", Timer, Key::Text(String::new()));

    fn timer(&self, Key::Text(key): &Key) -> Option<Timestamp> {
        (key == "wake" && self.rows.contains_key(key)).then_some(Timestamp(0))
    }

    fn take(&mut self, change: &Change<Row>) {
        match change {
            Change::Put(Row::Text(row)) => drop(self.rows.insert(row.key.clone(), row.value.clone())),
            Change::Delete(Key::Text(key)) => drop(self.rows.remove(key)),
        }
    }

    fn due(txn: &mut Txn<Texts>, _key: Key) {
        assert!(*txn.ports != Timer::Panics, "a timer that breaks an assertion");
        txn.put(TextRow { key: "k".repeat(2000), value: "1".to_owned() });
    }
}

fn start(store: Arc<dyn Store>, timer: Timer) -> Shard<Texts> {
    Shard::start(Texts::default(), setting(store, timer))
}

fn setting(store: Arc<dyn Store>, timer: Timer) -> Setting<Texts> {
    let id = ShardId {
        account: "000000000000".into(),
        region: "us-east-1".into(),
        service: Texts::SERVICE,
        name: state::shard::MAIN.into(),
    };
    Setting { id, partition: "aws".into(), store, ports: Arc::new(move || timer) }
}

async fn write(shard: &Shard<Texts>, key: &str, value: &str) -> Result<(), Error> {
    testing::write(shard, [TextRow { key: key.to_owned(), value: value.to_owned() }]).await
}

fn keys(shard: &Shard<Texts>) -> Vec<String> {
    shard.read().state.rows.keys().cloned().collect()
}

#[tokio::test]
async fn what_no_store_takes_fails_alone() {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let shard = start(store.clone(), Timer::Panics);
    let (long, key) = ("x".repeat(store::limits::MAX_VALUE_BYTES + 1), "k".repeat(2000));
    let (one, two, three, four) = tokio::join!(
        write(&shard, "one", "1"),
        write(&shard, "two", &long),
        write(&shard, &key, "1"),
        write(&shard, "four", "1"),
    );
    assert_eq!((one, four), (Ok(()), Ok(())));
    for refused in [two, three] {
        assert_eq!(refused.unwrap_err().code(), "ServerException");
    }
    assert_eq!(keys(&shard), ["four", "one"], "the state holds what is stored and no more");
    let stored = |key: &str| store.get(&shard.id().key(&format!("text/{key}"))).unwrap();
    assert!(stored("four").is_some() && stored("two").is_none());
}

#[tokio::test]
async fn commands_go_on_while_a_timer_fails() {
    for timer in [Timer::Panics, Timer::IsTooLong] {
        let shard = start(Arc::new(Memory::new()), timer);
        for key in ["wake", "one", "two"] {
            assert_eq!(write(&shard, key, "1").await, Ok(()));
        }
        assert_eq!(keys(&shard), ["one", "two", "wake"]);
    }
}

#[tokio::test]
async fn followers_hear_of_each_commit_once_it_is_there_and_of_nothing_else() {
    let store = Arc::new(Memory::new());
    let shard = start(store.clone(), Timer::Panics);
    let heard = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let told = heard.clone();
    shard.follow(Box::new(move |delta| {
        for Key::Text(key) in delta.keys {
            let (before, after) = (delta.before.rows.get(key).cloned(), delta.after.rows.get(key).cloned());
            told.lock().push((key.clone(), before, after));
        }
    }));
    write(&shard, "a", "1").await.unwrap();
    write(&shard, "a", "2").await.unwrap();
    store.set_fault(Some(store::Error::Closed));
    assert!(write(&shard, "a", "3").await.is_err());
    shard.execute("", |_| Ok(())).await.unwrap();
    let text = |text: &str| Some(text.to_owned());
    let expected = [("a".to_owned(), None, text("1")), ("a".to_owned(), text("1"), text("2"))];
    assert_eq!(*heard.lock(), expected);
}

#[tokio::test]
async fn a_follower_that_breaks_an_assertion_costs_neither_the_others_nor_the_writer() {
    let shard = start(Arc::new(Memory::new()), Timer::Panics);
    let heard = Arc::new(parking_lot::Mutex::new(0));
    shard.follow(Box::new(|_| panic!("a follower")));
    let told = heard.clone();
    shard.follow(Box::new(move |_| *told.lock() += 1));
    for key in ["one", "two"] {
        assert_eq!(write(&shard, key, "1").await, Ok(()));
    }
    assert_eq!((keys(&shard), *heard.lock()), (vec!["one".to_owned(), "two".to_owned()], 2));
}

#[tokio::test]
async fn a_batch_that_breaks_an_assertion_is_heard_of_and_the_writer_goes_on() {
    let broken = Arc::new(AtomicBool::new(true));
    let now = broken.clone();
    let setting = Setting {
        ports: Arc::new(move || {
            assert!(!now.load(Ordering::Relaxed), "a look at another shard");
            Timer::Panics
        }),
        ..setting(Arc::new(Memory::new()), Timer::Panics)
    };
    let shard = Shard::start(Texts::default(), setting);
    assert_eq!(write(&shard, "one", "1").await.unwrap_err().code(), "ServerException");
    broken.store(false, Ordering::Relaxed);
    assert_eq!(write(&shard, "two", "1").await, Ok(()));
    assert_eq!(keys(&shard), ["two"]);
}

/// A store whose disk takes a commit when it is told to.
#[derive(Default)]
struct Slow {
    inner: Memory,
    waiting: parking_lot::Mutex<VecDeque<(Commit, store::Done)>>,
}

impl Slow {
    fn waits(&self) -> usize {
        self.waiting.lock().len()
    }

    /// The first that waits is written, or fails.
    fn let_go(&self, well: bool) {
        let (commit, done) = self.waiting.lock().pop_front().unwrap();
        if well { self.inner.submit(commit, done) } else { done(Err(store::Error::Closed)) }
    }
}

impl Store for Slow {
    fn submit(&self, commit: Commit, done: store::Done) {
        self.waiting.lock().push_back((commit, done));
    }

    fn revision(&self) -> Revision {
        self.inner.revision()
    }

    fn get(&self, key: &str) -> Result<Option<store::Entry>, store::Error> {
        self.inner.get(key)
    }

    fn range(&self, span: &store::Span, limit: usize) -> Result<store::Range, store::Error> {
        self.inner.range(span, limit)
    }

    fn scan(&self, span: &store::Span, each: &mut dyn FnMut(store::Entry)) -> Result<Revision, store::Error> {
        self.inner.scan(span, each)
    }

    fn watch(&self, span: store::Span, from: Revision) -> Result<store::Watch, store::Error> {
        self.inner.watch(span, from)
    }

    fn acquire_lease(&self, name: &str, holder: &str, ttl: Duration) -> Result<store::Lease, store::Error> {
        self.inner.acquire_lease(name, holder, ttl)
    }

    fn renew_lease(&self, lease: &store::Lease) -> Result<(), store::Error> {
        self.inner.renew_lease(lease)
    }

    fn release_lease(&self, lease: &store::Lease) -> Result<(), store::Error> {
        self.inner.release_lease(lease)
    }

    fn backup(&self, to: &std::path::Path) -> Result<(), store::Error> {
        self.inner.backup(to)
    }

    fn close(&self) {
        self.inner.close();
    }

    fn health(&self) -> store::Health {
        self.inner.health()
    }
}

/// Waits until it holds, while others work.
async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_batch_runs_while_the_one_before_is_stored_and_is_nothing_without_it() {
    for well in [false, true] {
        let store = Arc::new(Slow::default());
        let (seen, newer) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let look = newer.clone();
        let ports = move || if look.load(Ordering::Relaxed) { Timer::IsTooLong } else { Timer::Panics };
        let setting = Setting { ports: Arc::new(ports), ..setting(store.clone(), Timer::Panics) };
        let shard = Shard::start(Texts::default(), setting);
        let put = |key: &'static str| {
            let (shard, seen) = (shard.clone(), seen.clone());
            let command = move |txn: &mut Txn<Texts>| {
                let found = (txn.state.rows.len(), *txn.ports == Timer::IsTooLong);
                txn.put(TextRow { key: key.to_owned(), value: "1".to_owned() });
                seen.fetch_add(1, Ordering::Relaxed);
                Ok(found)
            };
            tokio::spawn(async move { shard.execute("", command).await })
        };
        let one = put("one");
        until(|| store.waits() == 1).await;
        let two = put("two");
        until(|| seen.load(Ordering::Relaxed) == 2).await;
        // What others have answered meanwhile is seen by whatever comes after it.
        newer.store(true, Ordering::Relaxed);
        let three = put("three");
        until(|| seen.load(Ordering::Relaxed) == 3).await;
        assert_eq!(
            (store.waits(), keys(&shard)),
            (1, Vec::new()),
            "nothing is shown or stored before its time"
        );
        store.let_go(well);
        if well {
            assert_eq!(one.await.unwrap(), Ok((0, false)));
            assert_eq!(keys(&shard), ["one"]);
            until(|| store.waits() == 1).await;
            store.let_go(true);
            assert_eq!((two.await.unwrap(), three.await.unwrap()), (Ok((1, false)), Ok((2, true))));
            assert_eq!(keys(&shard), ["one", "three", "two"]);
        } else {
            for refused in [one.await.unwrap(), two.await.unwrap(), three.await.unwrap()] {
                assert_eq!(refused.unwrap_err().code(), "ServerException");
            }
            assert_eq!((store.waits(), keys(&shard)), (0, Vec::new()));
            let again = put("again");
            until(|| store.waits() == 1).await;
            store.let_go(true);
            assert_eq!(again.await.unwrap(), Ok((0, true)));
        }
    }
}
