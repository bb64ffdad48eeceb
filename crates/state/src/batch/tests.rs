//! Batches whose commands are refused, or break, on the way.

use imbl::{OrdMap, OrdSet};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::*;
use crate::{Agenda, Row, ShardId};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Number {
    name: u64,
    value: u64,
}

impl Row for Number {
    fn weight(&self) -> usize {
        16
    }
}

mod rows {
    use super::Number;

    crate::rows! {
        /// Numbers by name.
        "number" Number(Number, u64): |row| row.name,
    }
}

use rows::{Key, Row as Rows};

/// Numbers, their sum, and what has been looked at, which is in no row.
#[derive(Debug, Clone, Default)]
struct Numbers {
    numbers: OrdMap<u64, u64>,
    sum: u64,
    looked: OrdSet<u64>,
    agenda: Agenda<Key, u64>,
}

impl Domain for Numbers {
    type Rows = Rows;
    type Mark = u64;
    type Ports = ();

    const SERVICE: &'static str = "numbers";

    fn new(_shard: &ShardId) -> Numbers {
        Numbers::default()
    }

    fn agenda(&self) -> &Agenda<Key, u64> {
        &self.agenda
    }

    fn agenda_mut(&mut self) -> &mut Agenda<Key, u64> {
        &mut self.agenda
    }

    fn take(&mut self, change: &Change<Rows>) {
        let Key::Number(name) = change.key();
        self.sum -= self.numbers.remove(&name).unwrap_or_default();
        if let Change::Put(Rows::Number(row)) = change {
            self.numbers.insert(name, row.value);
            self.sum += row.value;
        }
    }

    /// What is settled has been looked at; thirteen is broken, after it has looked.
    fn settle(txn: &mut Txn<Numbers>, mark: u64) {
        txn.state.looked.insert(mark);
        txn.put(Number { name: 1000 + mark, value: 1 });
        assert_ne!(mark, 13, "a broken step");
    }

    fn marked(&self, mark: &u64) -> Key {
        Key::Number(*mark)
    }

    fn recall(&mut self, given_up: &Numbers) {
        self.looked = given_up.looked.clone();
    }
}

/// What a command does once it has changed something.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Ends {
    Well,
    Refused,
    Broken,
    /// Refused before it changes anything.
    Early,
}

fn ctx() -> Ctx {
    let (account, region, partition) = ("111122223333".into(), "us-east-1".into(), "aws".into());
    Ctx { now: Timestamp(5), account, region, partition, caller_arn: "".into(), agent: None }
}

fn run(
    batch: &mut Batch<Numbers, BTreeMap<Key, Change<Rows>>>,
    number: &Number,
    ends: Ends,
) -> Option<Result<u64, Error>> {
    let number = number.clone();
    batch.command(&ctx(), &mut Ids::new(1), move |txn| {
        let refused = || Error::new("Refused", 400, "no");
        if ends == Ends::Early {
            return Err(refused());
        }
        txn.mark(number.name);
        txn.put(number);
        assert_ne!(ends, Ends::Broken, "a broken command");
        if ends == Ends::Refused {
            Err(refused())
        } else {
            Ok(txn.state.numbers.range(..1000).map(|(_, value)| value).sum())
        }
    })
}

proptest! {
    /// Whatever fails on the way, and however, what is left is what the others make by themselves, in the state, in the
    /// store, and of what is to be settled at least as much.
    #[test]
    fn what_fails_leaves_nothing(steps in prop::collection::vec((0..20_u64, 0..9_u64, 0..6_u8), 0..40)) {
        let (mut batch, mut alone) = (
            Batch::new(Numbers::default(), (), BTreeMap::new()),
            Batch::new(Numbers::default(), (), BTreeMap::new()),
        );
        for (name, value, ends) in steps {
            let ends = [Ends::Well, Ends::Refused, Ends::Broken, Ends::Early, Ends::Well, Ends::Well][usize::from(ends)];
            let number = Number { name, value };
            let reply = run(&mut batch, &number, ends);
            if ends == Ends::Well {
                prop_assert_eq!(reply.unwrap().unwrap(), run(&mut alone, &number, ends).unwrap().unwrap());
            } else {
                prop_assert!(!matches!(reply, Some(Ok(_))));
            }
            if value == 8 {
                batch.settle(&ctx(), &mut Ids::new(1));
                alone.settle(&ctx(), &mut Ids::new(1));
            }
        }
        let numbers = |of: &Numbers| of.numbers.iter().filter(|(name, _)| **name < 1000).map(|(a, b)| (*a, *b)).collect::<Vec<_>>();
        prop_assert_eq!(numbers(&batch.state), numbers(&alone.state));
        prop_assert_eq!(batch.state.sum, batch.state.numbers.values().sum::<u64>());
        prop_assert!(!batch.state.looked.contains(&13) && !batch.state.numbers.contains_key(&1013));
        prop_assert!(alone.state.looked.iter().all(|name| batch.state.looked.contains(name)));
        let stored: Vec<(u64, u64)> = batch.sink.values().filter_map(|change| match change {
            Change::Put(Rows::Number(row)) => Some((row.name, row.value)),
            Change::Delete(_) => None,
        }).collect();
        prop_assert_eq!(stored, batch.state.numbers.iter().map(|(a, b)| (*a, *b)).collect::<Vec<_>>());
        let is_aside = |of: &Numbers| of.agenda.aside_until(&Key::Number(13)).is_some();
        prop_assert!(!is_aside(&alone.state) || is_aside(&batch.state));
        prop_assert!(alone.state.agenda.marks().all(|mark| batch.state.agenda.marks().any(|other| other == mark)));
    }
}
