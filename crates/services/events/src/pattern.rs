//! Event patterns: read once, matched many at a time.
//!
//! A [`Pattern`] is what PutRule and TestEventPattern take; a [`Matcher`] holds the patterns of many rules and says
//! which of them an event matches, without trying each. The language is that of
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html> and
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern.html>; where these are silent, it does as
//! AWS's open implementation does (<https://github.com/aws/event-ruler>, its README).
//!
//! What a pattern means:
//! - A field's path is its keys, joined by dots: `{"a": {"b": [1]}}` and `{"a.b": [1]}` are the same pattern, and the
//!   same holds for events.
//! - All fields must match, each by any of its leaves. `$or` makes alternatives of whole groups of fields; each way
//!   through them is a branch.
//! - A field that is an array matches by any element. Elements of an array of objects are not mixed: fields below one
//!   array must be met by the same element.
//! - `exists` looks at leaves alone: an object is no value, and neither is an empty array.
//!
//! How the matcher finds rules: each branch is a chain of its fields, the choosiest first; branches that begin alike
//! share nodes; a node looks an event's value up among the leaves of all its followers at once.

mod address;
mod consistent;
mod error;
mod event;
mod ids;
mod index;
mod json;
mod leaf;
mod matcher;
mod number;
mod operators;
mod parse;
mod paths;
mod segments;
mod test_index;
mod trie;
mod wildcard;

#[cfg(test)]
mod naive;
#[cfg(test)]
mod tests;

pub use error::{Error, MalformedEvent, Result};
pub use matcher::{Found, Matcher};
pub use parse::{BRANCHES_MAX, DEPTH_MAX, PATTERN_MAX, Pattern};
