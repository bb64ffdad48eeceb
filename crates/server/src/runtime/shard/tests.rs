//! One writer over a domain of plain texts: what one command, or a timer, does wrong harms no other.

use std::collections::BTreeMap;

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
    let broken = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let now = broken.clone();
    let setting = Setting {
        ports: Arc::new(move || {
            assert!(!now.load(std::sync::atomic::Ordering::Relaxed), "a look at another shard");
            Timer::Panics
        }),
        ..setting(Arc::new(Memory::new()), Timer::Panics)
    };
    let shard = Shard::start(Texts::default(), setting);
    assert_eq!(write(&shard, "one", "1").await.unwrap_err().code(), "ServerException");
    broken.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(write(&shard, "two", "1").await, Ok(()));
    assert_eq!(keys(&shard), ["two"]);
}
