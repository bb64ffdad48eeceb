//! A map from numbers to small values of which every part knows a sum: how many there are, the least, the most. A
//! search that knows what it looks for leaves out the parts whose sum says that it is not there. Cloning is cheap.

use std::{fmt::Debug, sync::Arc};

/// Values that stand side by side before they are parted.
const BUCKET: usize = 16;

/// What stands in a trie.
pub trait Entry: Copy + Debug {
    type Sum: Sum;

    /// The sum of this one alone.
    fn sum(&self) -> Self::Sum;
}

/// What is known of several values without a look at each.
pub trait Sum: Copy + Debug {
    /// Of no value at all.
    const NONE: Self;

    /// Of both.
    fn and(self, other: Self) -> Self;
}

/// The numbers that are alike in their high bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The least of them.
    pub from: u64,
    /// The bits in which they may differ, all of them low ones.
    pub free: u64,
}

impl Span {
    /// All numbers.
    pub const ALL: Span = Span { from: 0, free: u64::MAX };

    fn holds(self, number: u64) -> bool {
        number & !self.free == self.from
    }
}

/// The map.
#[derive(Debug, Clone)]
pub struct Trie<T: Entry>(Option<Arc<Node<T>>>);

/// A part of it.
#[derive(Debug, Clone)]
pub enum Node<T: Entry> {
    /// A few values, by their numbers.
    Leaf(T::Sum, Vec<(u64, T)>),
    Fork(Fork<T>),
}

/// Numbers that are parted by the highest bit in which they differ.
#[derive(Debug, Clone)]
pub struct Fork<T: Entry> {
    sum: T::Sum,
    from: u64,
    bit: u64,
    halves: [Arc<Node<T>>; 2],
}

impl<T: Entry> Default for Trie<T> {
    fn default() -> Self {
        Trie(None)
    }
}

impl<T: Entry + PartialEq> PartialEq for Trie<T> {
    fn eq(&self, other: &Self) -> bool {
        self.entries() == other.entries()
    }
}

impl<T: Entry> Trie<T> {
    /// All of it, unless it is empty.
    pub fn root(&self) -> Option<&Arc<Node<T>>> {
        self.0.as_ref()
    }

    /// The sum of the values in a span.
    pub fn sum(&self, span: Span) -> T::Sum {
        let Some(mut node) = self.0.as_ref() else { return T::Sum::NONE };
        loop {
            match node.as_ref() {
                Node::Leaf(_, entries) => {
                    return sum(entries.iter().filter(|(number, _)| span.holds(*number)));
                }
                Node::Fork(fork) => {
                    let own = fork.span();
                    if own.free & !span.free == 0 {
                        return if span.holds(own.from) { fork.sum } else { T::Sum::NONE };
                    }
                    if !own.holds(span.from) {
                        return T::Sum::NONE;
                    }
                    node = &fork.halves[fork.side(span.from)];
                }
            }
        }
    }

    /// The value of a number.
    pub fn get(&self, number: u64) -> Option<&T> {
        let mut node = self.0.as_ref()?;
        loop {
            match node.as_ref() {
                Node::Leaf(_, entries) => {
                    let at = entries.binary_search_by_key(&number, |(number, _)| *number).ok()?;
                    return entries.get(at).map(|(_, value)| value);
                }
                Node::Fork(fork) => node = &fork.halves[fork.side(number)],
            }
        }
    }

    /// All numbers with their values, in order.
    pub fn entries(&self) -> Vec<(u64, T)> {
        let (mut all, mut ahead) = (Vec::new(), Vec::from_iter(&self.0));
        while let Some(node) = ahead.pop() {
            match node.as_ref() {
                Node::Leaf(_, entries) => all.extend_from_slice(entries),
                Node::Fork(fork) => ahead.extend(fork.halves.iter().rev()),
            }
        }
        all
    }

    /// Sets the value of a number.
    pub fn insert(&mut self, number: u64, value: T) {
        match &mut self.0 {
            Some(root) => insert(root, number, value),
            None => self.0 = Some(Arc::new(leaf(vec![(number, value)]))),
        }
    }

    /// Forgets a number.
    pub fn remove(&mut self, number: u64) {
        if self.get(number).is_some() && self.0.as_mut().is_some_and(|root| remove(root, number)) {
            self.0 = None;
        }
    }
}

impl<T: Entry> Node<T> {
    /// The sum of its values.
    pub fn sum(&self) -> T::Sum {
        match self {
            Node::Leaf(sum, _) => *sum,
            Node::Fork(fork) => fork.sum,
        }
    }
}

impl<T: Entry> Fork<T> {
    /// Its halves, the low numbers first, each with where its numbers are.
    pub fn halves(&self) -> [(Span, &Arc<Node<T>>); 2] {
        let free = self.bit - 1;
        let [low, high] = &self.halves;
        [(Span { from: self.from, free }, low), (Span { from: self.from | self.bit, free }, high)]
    }

    fn span(&self) -> Span {
        Span { from: self.from, free: self.bit | (self.bit - 1) }
    }

    fn side(&self, number: u64) -> usize {
        usize::from(number & self.bit != 0)
    }

    fn recount(&mut self) {
        let [low, high] = &self.halves;
        self.sum = low.sum().and(high.sum());
    }
}

fn sum<'a, T: Entry + 'a>(entries: impl IntoIterator<Item = &'a (u64, T)>) -> T::Sum {
    entries.into_iter().fold(T::Sum::NONE, |sum, (_, value)| sum.and(value.sum()))
}

fn leaf<T: Entry>(entries: Vec<(u64, T)>) -> Node<T> {
    Node::Leaf(sum(&entries), entries)
}

/// Two nodes, of which the numbers differ in these bits at the highest.
fn fork<T: Entry>(differ: u64, number: u64, halves: [Arc<Node<T>>; 2]) -> Node<T> {
    let bit = 1 << differ.ilog2();
    let mut fork = Fork { sum: T::Sum::NONE, from: number & !(bit | (bit - 1)), bit, halves };
    fork.recount();
    Node::Fork(fork)
}

fn insert<T: Entry>(node: &mut Arc<Node<T>>, number: u64, value: T) {
    if let Node::Fork(old) = node.as_ref()
        && !old.span().holds(number)
    {
        let (new, differ) = (Arc::new(leaf(vec![(number, value)])), number ^ old.from);
        let halves = if number > old.from { [node.clone(), new] } else { [new, node.clone()] };
        *node = Arc::new(fork(differ, number, halves));
        return;
    }
    let changed = Arc::make_mut(node);
    match changed {
        Node::Fork(fork) => {
            let side = fork.side(number);
            insert(&mut fork.halves[side], number, value);
            fork.recount();
        }
        Node::Leaf(known, entries) => {
            match entries.binary_search_by_key(&number, |(number, _)| *number) {
                Ok(at) => entries[at].1 = value,
                Err(at) => entries.insert(at, (number, value)),
            }
            *known = sum(entries.iter());
            if let [(first, _), .., (last, _)] = entries.as_slice()
                && entries.len() > BUCKET
            {
                let differ = first ^ last;
                let (number, bit) = (*first, 1u64 << differ.ilog2());
                let high = entries.split_off(entries.partition_point(|(number, _)| number & bit == 0));
                let halves = [Arc::new(leaf(std::mem::take(entries))), Arc::new(leaf(high))];
                *changed = fork(differ, number, halves);
            }
        }
    }
}

/// Forgets a number that is there; true when nothing is left of the node.
fn remove<T: Entry>(node: &mut Arc<Node<T>>, number: u64) -> bool {
    let changed = Arc::make_mut(node);
    match changed {
        Node::Leaf(known, entries) => {
            entries.retain(|(other, _)| *other != number);
            *known = sum(entries.iter());
            entries.is_empty()
        }
        Node::Fork(fork) => {
            let side = fork.side(number);
            if remove(&mut fork.halves[side], number) {
                let other = fork.halves[1 - side].clone();
                *node = other;
                return false;
            }
            fork.recount();
            if let [Node::Leaf(_, low), Node::Leaf(_, high)] =
                fork.halves.each_ref().map(|half| half.as_ref())
                && low.len() + high.len() <= BUCKET / 2
            {
                *changed = leaf([low.as_slice(), high].concat());
            }
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    impl Entry for u32 {
        type Sum = (usize, u64);

        fn sum(&self) -> (usize, u64) {
            (1, u64::from(*self))
        }
    }

    impl Sum for (usize, u64) {
        const NONE: (usize, u64) = (0, 0);

        fn and(self, other: Self) -> Self {
            (self.0 + other.0, self.1 + other.1)
        }
    }

    /// The most nodes above a value, of which every part holds what its sum says, and its span.
    fn depth(node: &Node<u32>, span: Span) -> usize {
        match node {
            Node::Leaf(known, entries) => {
                assert!(!entries.is_empty() && entries.len() <= BUCKET);
                assert!(entries.is_sorted_by_key(|(number, _)| *number));
                assert!(entries.iter().all(|(number, _)| span.holds(*number)));
                assert_eq!(*known, sum(entries));
                0
            }
            Node::Fork(fork) => {
                let [low, high] = fork.halves();
                assert_eq!(fork.sum, low.1.sum().and(high.1.sum()));
                1 + depth(low.1, low.0).max(depth(high.1, high.0))
            }
        }
    }

    proptest! {
        /// It holds what a map holds, and every sum is that of a look at all.
        #[test]
        fn it_is_a_map_that_knows_its_sums(
            steps in prop::collection::vec((any::<bool>(), 0..60u64, 0..4u32, any::<u32>()), 1..300),
            from in any::<u64>(),
        ) {
            let (mut trie, mut map) = (Trie::default(), BTreeMap::new());
            for (put, low, high, value) in steps {
                let number = low | u64::from(high) << 40;
                let (before, were) = (trie.clone(), Vec::from_iter(map.clone()));
                if put {
                    trie.insert(number, value);
                    map.insert(number, value);
                } else {
                    trie.remove(number);
                    map.remove(&number);
                }
                prop_assert_eq!(trie.get(number), map.get(&number));
                prop_assert_eq!(before.entries(), were, "a copy stays as it was");
            }
            prop_assert_eq!(trie.entries(), Vec::from_iter(map.clone()));
            if let Some(root) = trie.root() {
                depth(root, Span::ALL);
            }
            for bits in 0..=64 {
                let free = 1u64.checked_shl(bits).unwrap_or(0).wrapping_sub(1);
                let known = map.keys().next().copied().unwrap_or(0);
                for number in [from, known] {
                    let span = Span { from: number & !free, free };
                    let of = map.iter().filter(|(number, _)| span.holds(**number));
                    let all = of.fold((0, 0), |sum, (_, value)| sum.and(value.sum()));
                    prop_assert_eq!(trie.sum(span), all);
                }
            }
        }
    }

    #[test]
    fn it_stays_shallow_and_gives_back_what_it_took() {
        let mut trie = Trie::default();
        for number in 0..10_000u32 {
            trie.insert(number.reverse_bits().into(), number);
        }
        assert!(depth(trie.root().unwrap(), Span::ALL) <= 12);
        for number in 0..10_000u32 {
            trie.remove(number.reverse_bits().into());
        }
        assert!(trie.root().is_none());
    }
}
