//! The leaves of one field, of all that follow a node: who of them takes an event's value.

use std::sync::Arc;

use imbl::OrdMap;

use super::event::Value;
use super::ids::{Id, Ids};
use super::leaf::{Leaf, Test};
use super::test_index::TestIndex;

/// See the module. Copies share what did not change.
#[derive(Clone, Debug, Default)]
pub(super) struct LeafIndex {
    is: TestIndex,
    not: Option<Arc<Negations>>,
    exists: Ids,
    absent: Ids,
}

/// `anything-but`: all of them take a value, except those whose tests do.
#[derive(Clone, Debug, Default)]
struct Negations {
    /// Of each negation.
    tests: TestIndex,
    /// Whose each is.
    owners: OrdMap<Id, Id>,
    /// Which it is.
    numbers: OrdMap<(Id, Arc<[Test]>), Id>,
    next: Id,
}

impl LeafIndex {
    pub(super) fn insert(&mut self, leaves: &[Leaf], id: Id) {
        for leaf in leaves {
            match leaf {
                Leaf::Is(test) => self.is.insert(test, id),
                Leaf::Not(tests) => Arc::make_mut(self.not.get_or_insert_default()).insert(tests, id),
                Leaf::Exists => self.exists.insert(id),
                Leaf::Absent => self.absent.insert(id),
            }
        }
    }

    /// Undoes an [`insert`](Self::insert) of the same.
    pub(super) fn remove(&mut self, leaves: &[Leaf], id: Id) {
        for leaf in leaves {
            match leaf {
                Leaf::Is(test) => self.is.remove(test, id),
                Leaf::Not(tests) => {
                    let Some(not) = &mut self.not else { continue };
                    let not = Arc::make_mut(not);
                    not.remove(tests, id);
                    if not.owners.is_empty() {
                        self.not = None;
                    }
                }
                Leaf::Exists => self.exists.remove(id),
                Leaf::Absent => self.absent.remove(id),
            }
        }
    }

    /// Those that take a value that is there, in no order and perhaps twice. Counts what it looks at.
    pub(super) fn find(&self, value: &Value<'_>, out: &mut Vec<Id>, steps: &mut u64) {
        let mut sets = vec![&self.exists];
        self.is.find(value, &mut sets, steps);
        for ids in sets {
            *steps += ids.len() as u64;
            ids.append_to(out);
        }
        if let Some(not) = &self.not {
            not.find(value, out, steps);
        }
    }

    /// Those that take it that there is no value.
    pub(super) fn absent(&self) -> &Ids {
        &self.absent
    }
}

impl Negations {
    fn insert(&mut self, tests: &Arc<[Test]>, owner: Id) {
        let id = self.next;
        self.next += 1;
        self.owners.insert(id, owner);
        self.numbers.insert((owner, Arc::clone(tests)), id);
        for test in &**tests {
            self.tests.insert(test, id);
        }
    }

    fn remove(&mut self, tests: &Arc<[Test]>, owner: Id) {
        let Some(id) = self.numbers.remove(&(owner, Arc::clone(tests))) else { return };
        self.owners.remove(&id);
        for test in &**tests {
            self.tests.remove(test, id);
        }
    }

    fn find(&self, value: &Value<'_>, out: &mut Vec<Id>, steps: &mut u64) {
        let mut sets = Vec::new();
        self.tests.find(value, &mut sets, steps);
        // Where one value rules all of them out, as where all say the same, none is looked at.
        if sets.iter().any(|ids| ids.len() == self.owners.len()) {
            return;
        }
        let mut failed = Vec::new();
        for ids in sets {
            ids.append_to(&mut failed);
        }
        failed.sort_unstable();
        failed.dedup();
        *steps += failed.len() as u64;
        if failed.len() == self.owners.len() {
            return;
        }
        let mut failed = failed.into_iter().peekable();
        for (id, owner) in &self.owners {
            *steps += 1;
            if failed.next_if_eq(id).is_none() {
                out.push(*owner);
            }
        }
    }
}
