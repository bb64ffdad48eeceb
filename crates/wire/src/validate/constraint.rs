//! Broken constraints, collected and put into words. The wording is that of AWS's own framework, so that
//! clients and people who know it read what they expect.

use std::fmt::Write;

use serde_json::{Map, Value};

use crate::schema::{Kind, Pattern};

/// AWS tells at most this many at once.
const MAX_TOLD: usize = 10;
/// A value longer than this is cut in the message, in characters.
const MAX_SHOWN: usize = 256;

/// The constraints that an input breaks, in the order of the model.
#[derive(Default)]
pub struct Violations(Vec<String>);

impl Violations {
    /// `1 validation error detected: …`; `None` when all constraints hold.
    pub fn message(&self) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let plural = if self.0.len() == 1 { "" } else { "s" };
        Some(format!("{} validation error{plural} detected: {}", self.0.len(), self.0.join("; ")))
    }

    /// A required member that is not there.
    pub fn missing(&mut self, path: &str) {
        self.tell("null", path, "Member must not be null");
    }

    /// A value that breaks a constraint.
    pub fn add(&mut self, value: &Value, path: &str, constraint: &str) {
        if self.0.len() < MAX_TOLD {
            self.tell(&quoted(&shown(value)), path, constraint);
        }
    }

    fn tell(&mut self, value: &str, path: &str, constraint: &str) {
        if self.0.len() < MAX_TOLD {
            self.0.push(format!("Value {value} at '{path}' failed to satisfy constraint: {constraint}"));
        }
    }
}

/// What of the constraints of such a value itself, not of what is in it, this one breaks.
pub fn broken(kind: &Kind, value: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    match (kind, value) {
        (Kind::String { min, max, pattern, values }, Value::String(text)) => {
            broken.extend(length_broken(text, *min, *max));
            broken.extend(pattern.filter(|pattern| !pattern.matches(text)).map(pattern_text));
            broken.extend((!has(values, text)).then(|| values_text(values)));
        }
        (Kind::List { min, max, .. }, Value::Array(items)) => broken.extend(length(items.len(), *min, *max)),
        (Kind::Map { min, max, .. }, Value::Object(entries)) => {
            broken.extend(length(entries.len(), *min, *max));
        }
        (Kind::Blob { min, max }, value) if min.is_some() || max.is_some() => {
            broken.extend(blob_bytes(value).and_then(|bytes| length(bytes, *min, *max)));
        }
        (Kind::Integer { min, max } | Kind::Long { min, max }, value) => {
            broken.extend(value.as_i64().and_then(|number| range(number, *min, *max)));
        }
        (Kind::Double { min, max }, value) => {
            broken.extend(value.as_f64().and_then(|number| range(number, *min, *max)));
        }
        _ => {}
    }
    broken
}

/// Whether a map's key breaks a constraint.
pub fn breaks_text(kind: &Kind, text: &str) -> bool {
    let Kind::String { min, max, pattern, values } = kind else { return false };
    length_broken(text, *min, *max).is_some()
        || pattern.is_some_and(|pattern| !pattern.matches(text))
        || !has(values, text)
}

/// All constraints of the items of a list or of the keys or values of a map, which are told together. `whose` is
/// `Member`, `Map keys` or `Map value`.
pub fn of_all(whose: &str, kind: &Kind) -> String {
    let mut all = Vec::new();
    match kind {
        Kind::String { min, max, pattern, values } => {
            all.extend(max.map(longest).into_iter().chain(min.map(shortest)));
            all.extend(pattern.map(pattern_text));
            all.extend((!values.is_empty()).then(|| values_text(values)));
        }
        Kind::List { min, max, .. } | Kind::Map { min, max, .. } | Kind::Blob { min, max } => {
            all.extend(max.map(longest).into_iter().chain(min.map(shortest)));
        }
        Kind::Integer { min, max } | Kind::Long { min, max } => {
            all.extend(max.map(largest).into_iter().chain(min.map(least)));
        }
        Kind::Double { min, max } => all.extend(max.map(largest).into_iter().chain(min.map(least))),
        Kind::Structure { .. } | Kind::Boolean | Kind::Timestamp(_) | Kind::Document => {}
    }
    format!("{whose} must satisfy constraint: [{}]", all.join(", "))
}

/// How many bytes a blob has; `None` is none.
pub fn blob_bytes(value: &Value) -> Option<usize> {
    serde_json::from_value::<crate::Blob>(value.clone()).ok().map(|blob| blob.0.len())
}

/// The length of a text counts characters.
fn length_broken(text: &str, min: Option<i64>, max: Option<i64>) -> Option<String> {
    if min.is_none() && max.is_none() { None } else { length(text.chars().count(), min, max) }
}

fn length(length: usize, min: Option<i64>, max: Option<i64>) -> Option<String> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let short = min.filter(|min| length < *min).map(shortest);
    short.or_else(|| max.filter(|max| length > *max).map(longest))
}

fn range<T: PartialOrd + std::fmt::Debug>(number: T, min: Option<T>, max: Option<T>) -> Option<String> {
    let small = min.filter(|min| number < *min).map(least);
    small.or_else(|| max.filter(|max| number > *max).map(largest))
}

fn has(values: &[&str], text: &str) -> bool {
    values.is_empty() || values.contains(&text)
}

fn shortest(min: i64) -> String {
    format!("Member must have length greater than or equal to {min}")
}

fn longest(max: i64) -> String {
    format!("Member must have length less than or equal to {max}")
}

// `Debug` writes a whole number of a `double` as AWS does: `1.0`.
fn least(min: impl std::fmt::Debug) -> String {
    format!("Member must have value greater than or equal to {min:?}")
}

fn largest(max: impl std::fmt::Debug) -> String {
    format!("Member must have value less than or equal to {max:?}")
}

fn pattern_text(pattern: &Pattern) -> String {
    format!("Member must satisfy regular expression pattern: {}", pattern.source())
}

fn values_text(values: &[&str]) -> String {
    format!("Member must satisfy enum value set: [{}]", values.join(", "))
}

fn quoted(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("'{}…'", &text[..end]),
        None => format!("'{text}'"),
    }
}

/// A value as a message shows it; it may be long, the message cuts it.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(items) => shown_list(items),
        Value::Object(entries) => shown_map(entries),
        other => plain(other),
    }
}

fn shown_list(items: &[Value]) -> String {
    let mut text = String::from("[");
    for item in items {
        if text.len() > MAX_SHOWN * 4 {
            break;
        }
        let comma = if text.len() > 1 { ", " } else { "" };
        let _ = write!(text, "{comma}{}", plain(item));
    }
    text + "]"
}

fn shown_map(entries: &Map<String, Value>) -> String {
    let mut text = String::from("{");
    for (key, value) in entries {
        if text.len() > MAX_SHOWN * 4 {
            break;
        }
        let comma = if text.len() > 1 { ", " } else { "" };
        let _ = write!(text, "{comma}{key}={}", plain(value));
    }
    text + "}"
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
