//! JSON as text: without the space between, and member by member.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A JSON text without the space that says nothing.
pub(crate) fn compact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    scan(
        text,
        |part, quoted| if quoted { out.push_str(part) } else { out.extend(part.split_ascii_whitespace()) },
    );
    out
}

/// A JSON text without its quotes, to stand in the text of another: what is escaped stays so.
pub(crate) fn unquoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    scan(text, |part, quoted| {
        let part = if quoted { part.strip_prefix('"').unwrap_or(part) } else { part };
        out.push_str(if quoted { part.strip_suffix('"').unwrap_or(part) } else { part });
    });
    out
}

/// The parts of a JSON text in turn: texts with their quotes, and what is between.
fn scan<'t>(text: &'t str, mut part: impl FnMut(&'t str, bool)) {
    let mut rest = text;
    while let Some(begin) = rest.find('"') {
        part(&rest[..begin], false);
        let end = end_of_text(&rest[begin..]);
        part(&rest[begin..begin + end], true);
        rest = &rest[begin + end..];
    }
    part(rest, false);
}

/// Where the text that begins with a quote ends: with everything, if it is no JSON.
fn end_of_text(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The members of a JSON object, as they stand; the values are JSON text.
pub(crate) struct Members<'t>(pub(crate) Vec<(Cow<'t, str>, &'t str)>);

impl<'t> Members<'t> {
    /// `None` if the text is no object.
    pub(crate) fn of(text: &'t str) -> Option<Members<'t>> {
        serde_json::from_str(text).ok()
    }

    /// The value of a key; the last, if there are several.
    pub(crate) fn get(&self, key: &str) -> Option<&'t str> {
        self.0.iter().rfind(|(other, _)| other == key).map(|(_, value)| *value)
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
            members.push((key, value.get()));
        }
        Ok(Members(members))
    }
}

/// Borrowed where it has no escapes.
#[derive(Deserialize)]
struct Key<'t>(#[serde(borrow)] Cow<'t, str>);
