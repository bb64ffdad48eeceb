//! Ranges of numbers, and which of them hold a number: in steps of the number's bits, however many ranges there are.
//!
//! A binary tree over all numbers of so many bits, of which only the nodes exist that are needed. A range is kept at
//! the few nodes that make it up; a number is looked up along its own bits. Copies share what did not change.

use std::sync::Arc;

use super::ids::{Id, Ids};

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Segments {
    /// Of a number, at most 128.
    bits: u32,
    root: Option<Arc<Node>>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// Ranges that cover all numbers below this node, and not all below the one above.
    ids: Ids,
    /// By the next bit.
    below: [Option<Arc<Node>>; 2],
}

impl Node {
    fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.below.iter().all(Option::is_none)
    }
}

/// A change to make: the range, whose, and whether it comes or goes.
struct Change {
    first: u128,
    last: u128,
    id: Id,
    add: bool,
}

impl Segments {
    pub(super) fn new(bits: u32) -> Segments {
        Segments { bits, root: None }
    }

    pub(super) fn insert(&mut self, first: u128, last: u128, id: Id) {
        change(&mut self.root, 0, self.bits, &Change { first, last, id, add: true });
    }

    pub(super) fn remove(&mut self, first: u128, last: u128, id: Id) {
        change(&mut self.root, 0, self.bits, &Change { first, last, id, add: false });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// The sets of the ranges that hold `number`. Counts the nodes it looks at.
    pub(super) fn find<'a>(&'a self, number: u128, out: &mut Vec<&'a Ids>, steps: &mut u64) {
        let (mut at, mut bits) = (self.root.as_deref(), self.bits);
        while let Some(node) = at {
            *steps += 1;
            if !node.ids.is_empty() {
                out.push(&node.ids);
            }
            if bits == 0 {
                return;
            }
            bits -= 1;
            at = node.below[usize::from(number >> bits & 1 == 1)].as_deref();
        }
    }
}

/// Goes as deep as a number has bits.
fn change(slot: &mut Option<Arc<Node>>, base: u128, bits: u32, wanted: &Change) {
    let last = base | 1u128.checked_shl(bits).map_or(u128::MAX, |size| size - 1);
    if wanted.last < base || wanted.first > last {
        return;
    }
    let node = Arc::make_mut(slot.get_or_insert_default());
    if wanted.first <= base && wanted.last >= last {
        if wanted.add {
            node.ids.insert(wanted.id);
        } else {
            node.ids.remove(wanted.id);
        }
    } else {
        let half = bits - 1;
        change(&mut node.below[0], base, half, wanted);
        change(&mut node.below[1], base | 1 << half, half, wanted);
    }
    if node.is_empty() {
        *slot = None;
    }
}
