//! What one value is tested by.

use std::sync::Arc;

use super::address::{Address, Block};
use super::event::Value;
use super::number::Number;
use super::trie::Symbol;
use super::wildcard;

/// One alternative of a field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Leaf {
    Is(Test),
    /// Anything but what any of these takes. Values of another kind, null too, are anything but a text.
    Not(Arc<[Test]>),
    Exists,
    Absent,
}

/// A test of a value that is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Test {
    Exact(Scalar),
    Prefix(Arc<str>),
    Suffix(Arc<str>),
    /// These three hold what [`fold`] makes of their text.
    EqualsIgnoreCase(Arc<str>),
    PrefixIgnoreCase(Arc<str>),
    SuffixIgnoreCase(Arc<str>),
    Wildcard(Arc<[Symbol]>),
    /// From the first to the second, both taken; see [`ordered`](super::number::ordered).
    Range(u64, u64),
    Address(Block),
}

/// A value that is no object and no array.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Number(Number),
    Text(Arc<str>),
}

impl Test {
    pub(super) fn text(text: &str) -> Test {
        Test::Exact(Scalar::Text(text.into()))
    }

    /// A text among a field's values: an address is met however it is written, as
    /// <https://github.com/aws/event-ruler> does it.
    pub(super) fn value(text: &str) -> Test {
        Address::parse(text).map_or_else(|| Test::text(text), |address| Test::Address(Block::one(address)))
    }

    /// By itself; the index asks many at once.
    pub(super) fn matches(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Test::Exact(Scalar::Null), Value::Null) => true,
            (Test::Exact(Scalar::Bool(wanted)), Value::Bool(value)) => wanted == value,
            (Test::Exact(Scalar::Number(wanted)), Value::Number(value)) => wanted == value,
            (Test::Range(first, last), Value::Number(Number::Comparable(value))) => {
                (first..=last).contains(&value)
            }
            (test, Value::Text(text)) => test.matches_text(text),
            _ => false,
        }
    }

    fn matches_text(&self, text: &str) -> bool {
        match self {
            Test::Exact(Scalar::Text(wanted)) => **wanted == *text,
            Test::Prefix(prefix) => text.starts_with(&**prefix),
            Test::Suffix(suffix) => text.ends_with(&**suffix),
            Test::EqualsIgnoreCase(folded) => fold(text) == **folded,
            Test::PrefixIgnoreCase(folded) => fold(text).starts_with(&**folded),
            Test::SuffixIgnoreCase(folded) => fold(text).ends_with(&**folded),
            Test::Wildcard(symbols) => wildcard::matches(symbols, text.as_bytes()),
            Test::Address(block) => Address::parse(text).is_some_and(|address| block.contains(address)),
            Test::Exact(_) | Test::Range(..) => false,
        }
    }
}

impl Leaf {
    /// Whether a value that is there is taken.
    pub(super) fn takes(&self, value: &Value<'_>) -> bool {
        match self {
            Leaf::Is(test) => test.matches(value),
            Leaf::Not(tests) => !tests.iter().any(|test| test.matches(value)),
            Leaf::Exists => true,
            Leaf::Absent => false,
        }
    }

    /// How little a leaf says: what is looked at first should turn most events away.
    pub(super) fn vagueness(&self) -> u8 {
        match self {
            Leaf::Is(Test::Exact(_) | Test::EqualsIgnoreCase(_) | Test::Address(_)) => 0,
            Leaf::Is(_) => 1,
            Leaf::Not(_) => 2,
            Leaf::Exists => 3,
            Leaf::Absent => 4,
        }
    }
}

/// What texts that differ in nothing but case have in common.
pub(super) fn fold(text: &str) -> String {
    if text.is_ascii() {
        text.to_ascii_lowercase()
    } else {
        text.chars().flat_map(char::to_lowercase).collect()
    }
}
