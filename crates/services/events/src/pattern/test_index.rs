//! Many tests of one field at once: which of them take a value, without trying each.

use std::sync::Arc;

use imbl::OrdMap;

use super::address::{Address, Block};
use super::event::Value;
use super::ids::{Id, Ids};
use super::leaf::{Scalar, Test, fold};
use super::number::Number;
use super::segments::Segments;
use super::trie::{End, Symbol, Trie};

/// Tests and whose they are. Copies share what did not change.
#[derive(Clone, Debug, Default)]
pub(super) struct TestIndex {
    texts: OrdMap<Arc<str>, Ids>,
    numbers: OrdMap<Number, Ids>,
    null: Ids,
    bools: [Ids; 2],
    /// Most fields have none of the rest.
    rest: Option<Arc<Rest>>,
}

#[derive(Clone, Debug)]
struct Rest {
    folded: OrdMap<Arc<str>, Ids>,
    /// Beginnings; ends, from the back; and both of texts without their case.
    prefixes: Trie,
    suffixes: Trie,
    folded_prefixes: Trie,
    folded_suffixes: Trie,
    wildcards: Trie,
    ranges: Segments,
    four: Segments,
    six: Segments,
}

impl Default for Rest {
    fn default() -> Rest {
        Rest {
            folded: OrdMap::new(),
            prefixes: Trie::default(),
            suffixes: Trie::default(),
            folded_prefixes: Trie::default(),
            folded_suffixes: Trie::default(),
            wildcards: Trie::default(),
            ranges: Segments::new(64),
            four: Segments::new(32),
            six: Segments::new(128),
        }
    }
}

impl TestIndex {
    pub(super) fn insert(&mut self, test: &Test, id: Id) {
        match test {
            Test::Exact(Scalar::Text(text)) => self.texts.entry(Arc::clone(text)).or_default().insert(id),
            Test::Exact(Scalar::Number(number)) => self.numbers.entry(*number).or_default().insert(id),
            Test::Exact(Scalar::Null) => self.null.insert(id),
            Test::Exact(Scalar::Bool(value)) => self.bools[usize::from(*value)].insert(id),
            test => Arc::make_mut(self.rest.get_or_insert_default()).insert(test, id),
        }
    }

    /// Undoes an [`insert`](Self::insert) of the same.
    pub(super) fn remove(&mut self, test: &Test, id: Id) {
        match test {
            Test::Exact(Scalar::Text(text)) => remove(&mut self.texts, text, id),
            Test::Exact(Scalar::Number(number)) => remove(&mut self.numbers, number, id),
            Test::Exact(Scalar::Null) => self.null.remove(id),
            Test::Exact(Scalar::Bool(value)) => self.bools[usize::from(*value)].remove(id),
            test => {
                let Some(rest) = &mut self.rest else { return };
                let rest = Arc::make_mut(rest);
                rest.remove(test, id);
                if rest.is_empty() {
                    self.rest = None;
                }
            }
        }
    }

    /// The sets of those whose test takes the value. Counts what it looks at.
    pub(super) fn find<'a>(&'a self, value: &Value<'_>, out: &mut Vec<&'a Ids>, steps: &mut u64) {
        *steps += 1;
        match value {
            Value::Null => out.push(&self.null),
            Value::Bool(value) => out.push(&self.bools[usize::from(*value)]),
            Value::Number(number) => {
                out.extend(self.numbers.get(number));
                if let (Some(rest), Number::Comparable(number)) = (&self.rest, number) {
                    rest.ranges.find(u128::from(*number), out, steps);
                }
            }
            Value::Text(text) => {
                out.extend(self.texts.get(&**text));
                if let Some(rest) = &self.rest {
                    rest.find(text, out, steps);
                }
            }
        }
    }
}

impl Rest {
    fn insert(&mut self, test: &Test, id: Id) {
        match test {
            Test::EqualsIgnoreCase(text) => self.folded.entry(Arc::clone(text)).or_default().insert(id),
            Test::Prefix(text) => self.prefixes.insert(forward(text), End::Open, id),
            Test::Suffix(text) => self.suffixes.insert(backward(text), End::Open, id),
            Test::PrefixIgnoreCase(text) => self.folded_prefixes.insert(forward(text), End::Open, id),
            Test::SuffixIgnoreCase(text) => self.folded_suffixes.insert(backward(text), End::Open, id),
            Test::Wildcard(symbols) => {
                let (symbols, end) = split(symbols);
                self.wildcards.insert(symbols.iter().copied(), end, id);
            }
            Test::Range(first, last) if first <= last => {
                self.ranges.insert(u128::from(*first), u128::from(*last), id);
            }
            Test::Address(block) => {
                let (segments, first) = self.addresses(block);
                segments.insert(first, block.last, id);
            }
            Test::Range(..) | Test::Exact(_) => {}
        }
    }

    fn remove(&mut self, test: &Test, id: Id) {
        match test {
            Test::EqualsIgnoreCase(text) => remove(&mut self.folded, text, id),
            Test::Prefix(text) => self.prefixes.remove(forward(text), End::Open, id),
            Test::Suffix(text) => self.suffixes.remove(backward(text), End::Open, id),
            Test::PrefixIgnoreCase(text) => self.folded_prefixes.remove(forward(text), End::Open, id),
            Test::SuffixIgnoreCase(text) => self.folded_suffixes.remove(backward(text), End::Open, id),
            Test::Wildcard(symbols) => {
                let (symbols, end) = split(symbols);
                self.wildcards.remove(symbols.iter().copied(), end, id);
            }
            Test::Range(first, last) if first <= last => {
                self.ranges.remove(u128::from(*first), u128::from(*last), id);
            }
            Test::Address(block) => {
                let (segments, first) = self.addresses(block);
                segments.remove(first, block.last, id);
            }
            Test::Range(..) | Test::Exact(_) => {}
        }
    }

    fn addresses(&mut self, block: &Block) -> (&mut Segments, u128) {
        match block.first {
            Address::V4(first) => (&mut self.four, first),
            Address::V6(first) => (&mut self.six, first),
        }
    }

    fn is_empty(&self) -> bool {
        let tries =
            [&self.prefixes, &self.suffixes, &self.folded_prefixes, &self.folded_suffixes, &self.wildcards];
        self.folded.is_empty()
            && tries.into_iter().all(Trie::is_empty)
            && [&self.ranges, &self.four, &self.six].into_iter().all(Segments::is_empty)
    }

    fn find<'a>(&'a self, text: &str, out: &mut Vec<&'a Ids>, steps: &mut u64) {
        self.prefixes.find(text.bytes(), out, steps);
        self.suffixes.find(text.bytes().rev(), out, steps);
        self.wildcards.find(text.bytes(), out, steps);
        if !(self.folded.is_empty() && self.folded_prefixes.is_empty() && self.folded_suffixes.is_empty()) {
            let folded = fold(text);
            *steps += 1;
            out.extend(self.folded.get(folded.as_str()));
            self.folded_prefixes.find(folded.bytes(), out, steps);
            self.folded_suffixes.find(folded.bytes().rev(), out, steps);
        }
        if !(self.four.is_empty() && self.six.is_empty()) {
            match Address::parse(text) {
                Some(Address::V4(number)) => self.four.find(number, out, steps),
                Some(Address::V6(number)) => self.six.find(number, out, steps),
                None => {}
            }
        }
    }
}

fn remove<K: Ord + Clone>(map: &mut OrdMap<K, Ids>, key: &K, id: Id) {
    let Some(ids) = map.get_mut(key) else { return };
    ids.remove(id);
    if ids.is_empty() {
        map.remove(key);
    }
}

fn forward(text: &str) -> impl Iterator<Item = Symbol> + Clone {
    text.bytes().map(Symbol::Byte)
}

fn backward(text: &str) -> impl Iterator<Item = Symbol> + Clone {
    text.bytes().rev().map(Symbol::Byte)
}

/// A last `*` is an open end.
fn split(symbols: &[Symbol]) -> (&[Symbol], End) {
    match symbols {
        [symbols @ .., Symbol::Any] => (symbols, End::Open),
        symbols => (symbols, End::Here),
    }
}
