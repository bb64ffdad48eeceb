//! A domain of plain things, which says of each that is written that it was.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::{Agenda, Batch, Change, Ctx, Ids, ShardId, Table};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct ThingRow {
    name: u64,
}

impl Row for ThingRow {
    fn weight(&self) -> usize {
        64
    }
}

mod table {
    use super::{EventOut, SequenceRow, ThingRow};

    crate::rows! {
        /// Things.
        "thing" Thing(ThingRow, u64): |row| row.name,
        "event-out" EventOut(EventOut, u64): |row| row.sequence,
        "sequence" Sequence(SequenceRow, ()): |_row| (),
    }
}
use table::{Key, Row as Rows};

#[derive(Clone, Default)]
struct Things {
    things: BTreeMap<u64, Arc<ThingRow>>,
    outgoing: Outgoing,
    agenda: Agenda<Key, ()>,
}

impl Domain for Things {
    type Rows = Rows;
    type Mark = ();
    type Ports = bool;

    const SERVICE: &'static str = "things";

    fn new(_shard: &ShardId) -> Things {
        Things::default()
    }

    fn agenda(&self) -> &Agenda<Key, ()> {
        &self.agenda
    }

    fn agenda_mut(&mut self) -> &mut Agenda<Key, ()> {
        &mut self.agenda
    }

    fn take(&mut self, change: &Change<Rows>) {
        match change {
            Change::Put(Rows::Thing(row)) => drop(self.things.insert(row.name, row.clone())),
            Change::Put(Rows::EventOut(row)) => self.outgoing.put(row),
            Change::Put(Rows::Sequence(row)) => self.outgoing.set_sequence(Some(**row)),
            Change::Delete(Key::Thing(name)) => drop(self.things.remove(name)),
            Change::Delete(Key::EventOut(sequence)) => self.outgoing.remove(*sequence),
            Change::Delete(Key::Sequence(())) => self.outgoing.set_sequence(None),
        }
    }

    fn announces(&self, listened: &bool, change: &Change<Rows>) -> (usize, usize) {
        if *listened && matches!(change, Change::Put(Rows::Thing(_))) { (2, 512) } else { (0, 0) }
    }

    fn listens(listened: &bool) -> bool {
        *listened
    }

    fn announce(txn: &mut Txn<Things>, before: &Things) {
        let fresh = txn.changes().filter_map(|change| match change {
            Change::Put(Rows::Thing(row)) if !before.things.contains_key(&row.name) => Some(row.name),
            _ => None,
        });
        let event = |name: u64| Event {
            source: super::super::ECS,
            detail_type: "Thing",
            resources: vec![format!("thing/{name}")],
            detail: json!({"name": name}),
        };
        let events = fresh.map(event).collect();
        tell(txn, events);
    }

    fn settle(_txn: &mut Txn<Things>, (): ()) {}

    fn marked(&self, (): &()) -> Key {
        Key::Sequence(())
    }
}

impl Tells for Things {
    fn outgoing(&self) -> &Outgoing {
        &self.outgoing
    }

    fn event_key(sequence: u64) -> Key {
        Key::EventOut(sequence)
    }
}

struct World {
    state: Things,
    stored: BTreeMap<String, Vec<u8>>,
    listened: bool,
    now: i64,
    ids: Ids,
}

impl World {
    fn new() -> World {
        let (state, stored) = Default::default();
        World { state, stored, listened: true, now: 1_700_000_000_000, ids: Ids::new(7) }
    }

    /// Runs a command; gives its answer and how many rows it changed.
    fn run<T>(&mut self, command: impl FnOnce(&mut Txn<Things>) -> T) -> (T, usize) {
        let ctx = Ctx {
            now: Timestamp(self.now),
            account: "000000000000".into(),
            region: "us-east-1".into(),
            partition: "aws".into(),
            caller_arn: "".into(),
            agent: None,
        };
        let mut batch = Batch::new(self.state.clone(), self.listened, BTreeMap::new());
        let reply = batch.command(&ctx, &mut self.ids, |txn| Ok(command(txn))).unwrap().unwrap();
        let done = batch.done();
        self.state = done.state;
        for (key, change) in done.sink {
            match change {
                Change::Put(row) => drop(self.stored.insert(Rows::path(&key), row.encode())),
                Change::Delete(_) => drop(self.stored.remove(&Rows::path(&key))),
            }
        }
        (reply, done.keys.len())
    }

    /// Writes as many things of these names as fit into one step; gives how many did, and how many rows changed.
    fn write(&mut self, names: std::ops::Range<u64>) -> (usize, usize) {
        self.run(|txn| {
            let mut written = 0;
            for name in names {
                if txn.full() {
                    break;
                }
                txn.put(ThingRow { name });
                written += 1;
            }
            written
        })
    }

    fn waiting(&self) -> Vec<(u64, u64)> {
        let name = |row: &Arc<EventOut>| row.detail["name"].as_u64().unwrap();
        self.state.outgoing.waiting().map(|row| (row.sequence, name(row))).collect()
    }

    /// The control plane ends, and starts again from its rows.
    fn restart(&mut self) {
        self.state = Things::default();
        for (path, value) in self.stored.iter().rev() {
            self.state.apply(&Change::Put(Rows::decode(path, value).unwrap()));
        }
    }
}

#[test]
fn a_number_is_used_once_whatever_is_forgotten_and_whatever_the_clock_does() {
    let mut world = World::new();
    world.write(0..3);
    let first = 1_700_000_000_000_000;
    assert_eq!(world.waiting(), [(first + 1, 0), (first + 2, 1), (first + 3, 2)]);
    assert!(world.run(|txn| forget(txn, first + 2)).0);
    world.restart();
    assert_eq!(world.waiting(), [(first + 3, 2)]);
    world.run(|txn| forget(txn, u64::MAX));
    assert_eq!(world.waiting(), []);
    world.restart();
    world.now -= 86_400_000;
    world.write(3..4);
    assert_eq!(world.waiting(), [(first + 4, 3)]);
    // Its row is damaged, and set aside.
    world.stored.remove("sequence");
    world.restart();
    world.write(4..5);
    assert_eq!(world.waiting(), [(first + 4, 3), (first + 5, 4)]);
    // All is forgotten, and the name is used again: by then it is later.
    world.stored.clear();
    world.restart();
    world.now += 86_400_000 + 3_600_000;
    world.write(5..6);
    assert!(world.waiting()[0].0 > first + 5);
}

#[test]
fn nothing_is_written_where_nobody_listens() {
    let mut world = World::new();
    world.listened = false;
    assert_eq!(world.write(0..10), (10, 10));
    assert!(world.state.outgoing.is_empty() && world.state.outgoing.sequence().is_none());
}

#[test]
fn a_step_keeps_room_for_what_announces_it() {
    let mut world = World::new();
    let (written, changed) = world.write(0..10_000);
    assert!(written < 400 && changed == 2 * written + 1, "{written} things, {changed} rows");
    world.listened = false;
    assert_eq!(world.write(10_000..20_000), (limits::STEP_CHANGES, limits::STEP_CHANGES));
}

#[test]
fn the_oldest_are_lost_beyond_the_limit_and_counted() {
    let mut world = World::new();
    let mut next = 0;
    while next < limits::EVENTS_WAITING as u64 + 500 {
        next += world.write(next..next + 10_000).0 as u64;
    }
    let (waiting, lost) = (world.waiting(), world.state.outgoing.sequence().unwrap().lost);
    assert_eq!((waiting.len(), lost), (limits::EVENTS_WAITING, next - limits::EVENTS_WAITING as u64));
    assert!(waiting.iter().map(|(_, name)| *name).eq(lost..next), "the newest are there, in order");
    // They are forgotten in steps that fit.
    let mut steps = 1;
    while !world.run(|txn| forget(txn, u64::MAX)).0 {
        steps += 1;
    }
    assert_eq!((steps, world.waiting().len()), (limits::EVENTS_WAITING.div_ceil(limits::STEP_CHANGES), 0));
    assert_eq!(world.stored.keys().filter(|path| path.starts_with("event-out/")).count(), 0);
}

#[test]
fn the_last_number_is_stored_as_it_was_in_version_1() {
    let golden = r#"{"v":1,"row":{"last":7,"lost":2}}"#;
    let row: SequenceRow = crate::row::decode(golden.as_bytes()).unwrap();
    assert_eq!(row, SequenceRow { last: 7, lost: 2 });
    assert_eq!(String::from_utf8(crate::row::encode(&row)).unwrap(), golden);
}
