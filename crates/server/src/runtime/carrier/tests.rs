//! Events come to the bus once each and in order, whoever fails in between; and a shard that is gone is forgotten.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::json;
use state::{
    Agenda, Change, Domain, Txn,
    contract::{Event, Outgoing, SequenceRow, tell},
};
use store::{Store, memory::Memory};

use super::*;
use crate::runtime::{
    Shards,
    testing::{self, place, plain, until},
};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoteRow {
    text: String,
}

impl state::Row for NoteRow {
    fn weight(&self) -> usize {
        64
    }
}

mod table {
    use super::{EventOut, NoteRow, SequenceRow};

    state::rows! {
        /// Notes.
        "note" Note(NoteRow, String): |row| row.text.clone(),
        "event-out" EventOut(EventOut, u64): |row| row.sequence,
        "sequence" Sequence(SequenceRow, ()): |_row| (),
    }
}
use table::{Key, Row};

/// Says of each note that is written that it was.
#[derive(Clone, Default)]
struct Notes {
    outgoing: Outgoing,
    gone: bool,
    agenda: Agenda<Key, ()>,
}

impl Domain for Notes {
    plain!("notes", (), Key::Sequence(()));

    fn take(&mut self, change: &Change<Row>) {
        match change {
            Change::Put(Row::Note(_)) => self.gone = false,
            Change::Put(Row::EventOut(row)) => self.outgoing.put(row),
            Change::Put(Row::Sequence(row)) => self.outgoing.set_sequence(Some(**row)),
            Change::Delete(Key::Note(_)) => self.gone = true,
            Change::Delete(Key::EventOut(sequence)) => self.outgoing.remove(*sequence),
            Change::Delete(Key::Sequence(())) => self.outgoing.set_sequence(None),
        }
    }

    fn listens((): &()) -> bool {
        true
    }

    fn announce(txn: &mut Txn<Notes>, _before: &Notes) {
        let notes = txn.changes().filter_map(|change| match change {
            Change::Put(Row::Note(row)) => Some(row.text.clone()),
            _ => None,
        });
        let event = |text: String| Event {
            source: contract::ECS,
            detail_type: "Note",
            resources: Vec::new(),
            detail: json!({"text": text}),
        };
        let events = notes.map(event).collect();
        tell(txn, events);
    }

    fn gone(&self) -> bool {
        self.gone
    }
}

impl Tells for Notes {
    fn outgoing(&self) -> &Outgoing {
        &self.outgoing
    }

    fn event_key(sequence: u64) -> Key {
        Key::EventOut(sequence)
    }
}

/// Takes at most three events at a time. Every second answer is lost on its way back; every third time there is no
/// room.
#[derive(Default)]
struct Forgetful {
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    asked: usize,
    taken: BTreeMap<String, u64>,
    texts: Vec<String>,
    forgotten: Vec<String>,
}

#[async_trait]
impl EventBus for Forgetful {
    fn listens(&self, _place: &Place, _source: &'static str, _now: Timestamp) -> bool {
        true
    }

    async fn accept(
        &self,
        _place: &Place,
        sender: String,
        events: Vec<Arc<EventOut>>,
    ) -> Result<Option<u64>, Error> {
        let mut heard = self.heard.lock();
        heard.asked += 1;
        let taken = heard.taken.get(&sender).copied();
        if heard.asked.is_multiple_of(3) {
            return Ok(taken);
        }
        let fresh = events.iter().filter(|event| taken.is_none_or(|taken| event.sequence > taken));
        for event in fresh.take(3) {
            heard.texts.push(event.detail["text"].as_str().unwrap().to_owned());
            heard.taken.insert(sender.clone(), event.sequence);
        }
        if heard.asked.is_multiple_of(2) {
            return Err(Error::unavailable("the answer is lost"));
        }
        Ok(heard.taken.get(&sender).copied())
    }

    async fn forget(&self, _place: &Place, sender: String) -> Result<(), Error> {
        let mut heard = self.heard.lock();
        heard.taken.remove(&sender);
        heard.forgotten.push(sender);
        Ok(())
    }
}

fn open(store: &Arc<Memory>, bus: &Arc<Forgetful>) -> Shards<Notes> {
    let bus: Arc<dyn EventBus> = bus.clone();
    testing::open(store, move |shard| start(shard, bus.clone()))
}

async fn write(shard: &Shard<Notes>, numbers: std::ops::Range<usize>) {
    for number in numbers {
        testing::write(shard, [NoteRow { text: format!("n{number}") }]).await.unwrap();
    }
}

fn all(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("n{number}")).collect()
}

#[tokio::test]
async fn each_event_comes_once_and_in_order_though_answers_are_lost() {
    let (store, bus) = (Arc::new(Memory::new()), Arc::new(Forgetful::default()));
    let shards = open(&store, &bus);
    let shard = shards.of(&place()).unwrap();
    write(&shard, 0..50).await;
    until("all are forgotten", || shard.read().state.outgoing.is_empty()).await;
    assert_eq!(bus.heard.lock().texts, all(0..50));
    let left = store.range(&store::Span::prefix("111111111111/us-east-1/notes/@/event-out/"), 0).unwrap();
    assert!(left.entries.is_empty());
}

#[tokio::test]
async fn what_waited_when_the_program_ended_comes_after_its_next_start() {
    let (store, bus) = (Arc::new(Memory::new()), Arc::new(Forgetful::default()));
    let shards = open(&store, &bus);
    let shard = shards.of(&place()).unwrap();
    write(&shard, 0..5).await;
    until("all are forgotten", || shard.read().state.outgoing.is_empty()).await;
    // Nothing can be written, so nothing is forgotten; what the bus has by then it has.
    write(&shard, 5..10).await;
    store.set_fault(Some(store::Error::Closed));
    let weak = shard.downgrade();
    drop((shard, shards));
    until("the program has ended", || weak.upgrade().is_none()).await;
    store.set_fault(None);
    let shards = open(&store, &bus);
    let shard = shards.of(&place()).unwrap();
    write(&shard, 10..15).await;
    until("all are forgotten", || shard.read().state.outgoing.is_empty()).await;
    assert_eq!(bus.heard.lock().texts, all(0..15));
}

#[tokio::test]
async fn the_carrier_ends_with_its_shard_and_a_shard_that_is_gone_is_forgotten() {
    let (store, bus) = (Arc::new(Memory::new()), Arc::new(Forgetful::default()));
    let shards = open(&store, &bus);
    let shard = shards.of(&place()).unwrap();
    write(&shard, 0..1).await;
    until("it is taken", || shard.read().state.outgoing.is_empty()).await;
    let delete = |txn: &mut Txn<Notes>| {
        txn.delete(Key::Note("n0".to_owned()));
        txn.delete(Key::Sequence(()));
        Ok(())
    };
    shard.execute("", delete).await.unwrap();
    until("it is forgotten", || !bus.heard.lock().forgotten.is_empty()).await;
    // It begins anew before it was let go of.
    write(&shard, 1..2).await;
    until("it is taken", || shard.read().state.outgoing.is_empty()).await;
    {
        let heard = bus.heard.lock();
        assert_eq!((&heard.texts, &*heard.forgotten), (&all(0..2), &["notes/@".to_owned()][..]));
    }
    let weak = shard.downgrade();
    drop((shard, shards));
    until("nobody holds it", || weak.upgrade().is_none()).await;
}
