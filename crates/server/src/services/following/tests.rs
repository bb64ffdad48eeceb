//! A bus of numbered texts, followed by somebody who asks again and again.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use state::{Agenda, Change, Domain, Txn, contract::EventOut};
use store::memory::Memory;
use wire::Timestamp;

use super::*;
use crate::runtime::{
    Shards,
    testing::{self, place, plain},
};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextRow {
    number: u64,
    text: String,
}

impl state::Row for TextRow {
    fn weight(&self) -> usize {
        64 + self.text.len()
    }
}

mod table {
    use super::TextRow;

    state::rows! {
        /// Texts.
        "text" Text(TextRow, u64): |row| row.number,
    }
}
use table::{Key, Row};

#[derive(Clone, Default)]
struct Texts {
    texts: BTreeMap<u64, String>,
    agenda: Agenda<Key, ()>,
}

impl Domain for Texts {
    plain!("texts", (), Key::Text(0));

    fn take(&mut self, change: &Change<Row>) {
        match change {
            Change::Put(Row::Text(row)) => drop(self.texts.insert(row.number, row.text.clone())),
            Change::Delete(Key::Text(number)) => drop(self.texts.remove(number)),
        }
    }
}

impl Bus for Texts {
    fn accept(_txn: &mut Txn<Texts>, _sender: &str, _events: &[Arc<EventOut>]) -> Option<u64> {
        None
    }

    fn forget(_txn: &mut Txn<Texts>, _sender: &str) {}

    fn listens(&self, _source: &str, _now: Timestamp) -> bool {
        true
    }

    /// The number 7 says that somebody follows.
    fn follow(txn: &mut Txn<Texts>) {
        if txn.state.texts.is_empty() {
            txn.put(TextRow { number: 7, text: json!({"followed": true}).to_string() });
        }
    }

    fn passed_after(&self, after: u64) -> impl DoubleEndedIterator<Item = (u64, &str)> {
        self.texts.range(after.saturating_add(1)..).map(|(number, text)| (*number, text.as_str()))
    }

    /// A pattern is a text that is somewhere in the event.
    fn filter(pattern: &str) -> Result<Filter, Error> {
        let pattern = pattern.to_owned();
        match pattern.is_empty() {
            true => Err(Error::new("InvalidEventPatternException", 400, "It is empty.")),
            false => Ok(Box::new(move |event| event.contains(&pattern))),
        }
    }
}

struct Plane {
    shards: Arc<Shards<Texts>>,
    following: Arc<Following<Texts>>,
    stop: CancellationToken,
}

impl Plane {
    fn open(store: &Arc<Memory>) -> Plane {
        let shards = Arc::new(testing::open(store, |_: &Shard<Texts>| ()));
        let (of, stop) = (shards.clone(), CancellationToken::new());
        let following = Following::new(Arc::new(move |place: &Place| of.of(place)), stop.clone());
        Plane { shards, following: Arc::new(following), stop }
    }

    async fn write(&self, numbers: std::ops::Range<u64>) {
        let row = |number: u64| TextRow { number, text: json!({"n": number}).to_string() };
        testing::write(&self.shards.of(&place()).unwrap(), numbers.map(row)).await.unwrap();
    }
}

async fn ask(following: &Following<Texts>, request: Value) -> Result<Value, Error> {
    let answer = following.told(&place(), request.to_string().as_bytes()).await?;
    Ok(serde_json::from_slice(&answer).unwrap())
}

fn answer(after: u64, missed: bool, numbers: std::ops::Range<u64>) -> Value {
    let events: Vec<Value> = numbers.map(|number| json!({"n": number})).collect();
    json!({"after": after, "missed": missed, "events": events})
}

#[tokio::test]
async fn who_follows_sees_each_event_once_over_a_restart_too() {
    let store = Arc::new(Memory::new());
    let plane = Plane::open(&store);
    let follow = |after: Option<u64>| json!({"after": after, "follow": true});
    assert_eq!(ask(&plane.following, follow(None)).await.unwrap(), answer(7, false, 0..0));
    let waits = plane.following.clone();
    let waits = tokio::spawn(async move { ask(&waits, json!({"after": 7, "follow": true})).await });
    tokio::task::yield_now().await;
    plane.write(8..10).await;
    assert_eq!(waits.await.unwrap().unwrap(), answer(9, false, 8..10));
    plane.write(10..11).await;
    drop(plane);
    let plane = Plane::open(&store);
    assert_eq!(ask(&plane.following, follow(Some(9))).await.unwrap(), answer(10, false, 10..11));
    plane.write(20..21).await;
    assert_eq!(ask(&plane.following, follow(Some(10))).await.unwrap(), answer(20, true, 20..21));
    // What is kept is shown to anybody who asks, at once.
    let kept = ask(&plane.following, json!({"after": 0, "pattern": "\"n\":1"})).await.unwrap();
    assert_eq!(kept["events"], json!([{"n": 10}]));
    assert_eq!(ask(&plane.following, json!({"after": 20})).await.unwrap(), answer(20, false, 0..0));
}

#[tokio::test]
async fn an_answer_is_bounded_and_goes_on_where_it_ended() {
    let plane = Plane::open(&Arc::new(Memory::new()));
    plane.write(1..1201).await;
    let (mut after, mut seen) = (0, Vec::new());
    for most in [500, 500, 200] {
        let answer = ask(&plane.following, json!({"after": after})).await.unwrap();
        let events = answer["events"].as_array().unwrap().clone();
        assert_eq!((events.len(), answer["missed"].as_bool()), (most, Some(false)));
        seen.extend(events.into_iter().map(|event| event["n"].as_u64().unwrap()));
        after = answer["after"].as_u64().unwrap();
    }
    assert!(seen.into_iter().eq(1..1201));
}

#[tokio::test]
async fn nobody_waits_beyond_the_end_of_the_program_and_what_does_not_match_is_passed_over() {
    let plane = Plane::open(&Arc::new(Memory::new()));
    plane.write(1..4).await;
    let request = json!({"after": 0, "follow": true, "pattern": "nothing"});
    let waits = plane.following.clone();
    let waits = tokio::spawn(async move { ask(&waits, request).await });
    tokio::task::yield_now().await;
    plane.write(4..6).await;
    plane.stop.cancel();
    let answered = waits.await.unwrap().unwrap();
    assert!(answered["after"].as_u64().unwrap() >= 3 && answered["events"] == json!([]), "{answered}");
    for (request, code) in [
        (json!({"pattern": ""}), "InvalidEventPatternException"),
        (json!({"after": "x"}), "ValidationException"),
        (json!({"unknown": 1}), "ValidationException"),
        (json!(7), "ValidationException"),
    ] {
        assert_eq!(ask(&plane.following, request).await.unwrap_err().code(), code);
    }
}
