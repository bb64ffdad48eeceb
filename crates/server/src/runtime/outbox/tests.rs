//! Calls in an outbox are made until one succeeds, over restarts too, and in every account and region apart.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::json;
use state::{Agenda, Change, Domain, Txn, outbox::Outbox};
use store::{Store, memory::Memory};
use wire::Timestamp;

use super::*;
use crate::runtime::{
    Shards,
    testing::{self, place, plain, until},
};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LetterRow {
    id: Id128,
    text: String,
    attempts: u32,
    at: Timestamp,
}

impl state::Row for LetterRow {
    fn weight(&self) -> usize {
        128 + self.text.len()
    }
}

mod table {
    use super::{Id128, LetterRow};

    state::rows! {
        /// Letters.
        "letter" Letter(LetterRow, Id128): |row| row.id,
    }
}
use table::{Key, Row};

/// How often a letter was looked at that breaks an assertion the first times.
static POISON: AtomicU32 = AtomicU32::new(0);

/// Letters that wait to be carried out.
#[derive(Clone, Default)]
struct Letters {
    rows: std::collections::BTreeMap<Id128, Arc<LetterRow>>,
    outbox: Outbox,
    agenda: Agenda<Key, ()>,
}

impl Letters {
    fn forget(&mut self, id: Id128) {
        if let Some(old) = self.rows.remove(&id) {
            self.outbox.remove(old.at, id);
        }
    }
}

impl Domain for Letters {
    plain!("letters", (), Key::Letter(Id128(0)));

    fn take(&mut self, change: &Change<Row>) {
        match change {
            Change::Put(Row::Letter(row)) => {
                self.forget(row.id);
                self.outbox.put(row.at, row.id);
                self.rows.insert(row.id, row.clone());
            }
            Change::Delete(Key::Letter(id)) => self.forget(*id),
        }
    }
}

impl Sends for Letters {
    fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    fn call(&self, id: Id128) -> Option<Call> {
        let row = self.rows.get(&id)?;
        assert!(row.text != "poison" || POISON.fetch_add(1, Relaxed) > 1, "a letter that cannot be read");
        Some(Call {
            principal: "letters.example".to_owned(),
            service: "post".to_owned(),
            operation: "Send".to_owned(),
            input: json!({"text": row.text, "token": id.to_string()}),
        })
    }

    fn carried_out(txn: &mut Txn<Letters>, id: Id128, outcome: Result<Value, Error>) {
        match (outcome, txn.state.rows.get(&id).cloned()) {
            (Ok(_), _) => txn.delete(Key::Letter(id)),
            (Err(_), Some(row)) => {
                let attempts = row.attempts + 1;
                txn.put(LetterRow { attempts, at: txn.now().plus_millis(1), ..row.as_ref().clone() });
            }
            (Err(_), None) => {}
        }
    }

    fn given_up(&self, _key: &Key) -> Option<GivenUp> {
        None
    }

    fn all_given_up(&self) -> Vec<Key> {
        Vec::new()
    }
}

/// Takes letters, but refuses each the first time, and breaks an assertion the second.
#[derive(Default)]
struct Post {
    seen: Mutex<Vec<(String, String, u32)>>,
}

#[async_trait]
impl Calls for Post {
    async fn call(&self, (account, region): &Place, call: Call) -> Result<Value, Error> {
        let text = call.input["text"].as_str().unwrap().to_owned();
        let place = format!("{account}/{region}");
        let times = {
            let mut seen = self.seen.lock();
            let times = seen.iter().filter(|(at, letter, _)| (at, letter) == (&place, &text)).count() as u32;
            seen.push((place, text, times));
            times
        };
        match times {
            0 => Err(Error::unavailable("not yet")),
            1 => panic!("a call that breaks an assertion"),
            _ => Ok(json!({})),
        }
    }
}

fn open(store: &Arc<Memory>, post: &Arc<Post>) -> Shards<Letters> {
    let calls: Arc<dyn Calls> = post.clone();
    testing::open(store, move |shard| start(shard, calls.clone()))
}

async fn write(shard: &Shard<Letters>, number: u128, text: &str) {
    let row = LetterRow { id: Id128(number), text: text.to_owned(), attempts: 0, at: Timestamp(0) };
    testing::write(shard, [row]).await.unwrap();
}

async fn until_empty(shards: &Shards<Letters>) {
    let is_empty = |shard: &Shard<Letters>| shard.read().state.outbox.is_empty();
    until("all are delivered", || shards.all().iter().all(is_empty)).await;
}

#[tokio::test]
async fn what_waits_is_called_until_it_succeeds_and_no_more() {
    let (store, post) = (Arc::new(Memory::new()), Arc::new(Post::default()));
    let shards = open(&store, &post);
    for (account, region) in [("111111111111", "us-east-1"), ("111111111111", "eu-west-1")] {
        let shard = shards.of(&(account.into(), region.into())).unwrap();
        write(&shard, 1, "a").await;
        write(&shard, 2, "b").await;
    }
    until_empty(&shards).await;
    let mut seen = post.seen.lock().clone();
    seen.sort();
    let places = ["111111111111/eu-west-1", "111111111111/us-east-1"];
    let expected: Vec<_> = places
        .iter()
        .flat_map(|place| ["a", "b"].map(|text| (place.to_string(), text.to_owned())))
        .flat_map(|(place, text)| (0..3).map(move |times| (place.clone(), text.clone(), times)))
        .collect();
    assert_eq!(seen, expected, "each is called until it succeeds");
}

#[tokio::test]
async fn what_waited_when_the_program_ended_is_called_by_the_next() {
    let (store, post) = (Arc::new(Memory::new()), Arc::new(Post::default()));
    let letter = |number: u128| LetterRow {
        id: Id128(number),
        text: format!("t{number}"),
        attempts: 4,
        at: Timestamp(5),
    };
    for number in 0..100 {
        let row = Row::from(letter(number));
        let key = format!("111111111111/us-east-1/letters/@/letter/{}", Id128(number));
        store.commit(store::Commit::new().put(key, state::Table::encode(&row))).unwrap();
    }
    let shards = open(&store, &post);
    assert_eq!(shards.all().len(), 1);
    until_empty(&shards).await;
    assert_eq!(post.seen.lock().len(), 300);
    let left = store.range(&store::Span::prefix("111111111111/us-east-1/letters/"), 0).unwrap();
    assert!(left.entries.is_empty());
}

#[tokio::test]
async fn an_outbox_that_breaks_an_assertion_begins_anew() {
    let (store, post) = (Arc::new(Memory::new()), Arc::new(Post::default()));
    let shards = open(&store, &post);
    let shard = shards.of(&place()).unwrap();
    write(&shard, 1, "poison").await;
    write(&shard, 2, "a").await;
    until_empty(&shards).await;
    let delivered = post.seen.lock().iter().filter(|(_, _, times)| *times == 2).count();
    assert_eq!(delivered, 2);
}
