//! Broken constraints, collected and put into words. The wording is that of AWS's own framework, so that
//! clients and people who know it read what they expect.

use std::fmt::Write;

use serde_json::{Map, Value};

use crate::schema::Pattern;

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
    pub fn missing(&mut self, path: String) {
        self.add(|| "null".to_owned(), &path, || "Member must not be null".to_owned());
    }

    /// The length of a list, map or blob.
    pub fn length(
        &mut self,
        length: usize,
        min: Option<i64>,
        max: Option<i64>,
        path: impl Fn() -> String,
        value: &dyn Shown,
    ) {
        if let Some(text) = length_text(length, min, max) {
            self.add(|| quoted(&value.shown()), &path(), || text);
        }
    }

    /// Length, pattern and values of a string. The length counts characters.
    pub fn string(
        &mut self,
        text: &str,
        (min, max): (Option<i64>, Option<i64>),
        pattern: Option<&Pattern>,
        values: &[&str],
        path: &str,
    ) {
        if (min.is_some() || max.is_some())
            && let Some(constraint) = length_text(text.chars().count(), min, max)
        {
            self.add(|| quoted(text), path, || constraint);
        }
        if let Some(pattern) = pattern
            && !pattern.matches(text)
        {
            let source = pattern.source();
            self.add(
                || quoted(text),
                path,
                || format!("Member must satisfy regular expression pattern: {source}"),
            );
        }
        if !values.is_empty() && !values.contains(&text) {
            let set = values.join(", ");
            self.add(|| quoted(text), path, || format!("Member must satisfy enum value set: [{set}]"));
        }
    }

    /// The value of a whole number.
    pub fn range(&mut self, number: i64, min: Option<i64>, max: Option<i64>, path: &str) {
        let constraint = match (min, max) {
            (Some(min), _) if number < min => {
                format!("Member must have value greater than or equal to {min}")
            }
            (_, Some(max)) if number > max => format!("Member must have value less than or equal to {max}"),
            _ => return,
        };
        self.add(|| quoted(&number.to_string()), path, || constraint);
    }

    /// The value of a number.
    pub fn double_range(&mut self, number: f64, min: Option<f64>, max: Option<f64>, path: &str) {
        let constraint = match (min, max) {
            (Some(min), _) if number < min => {
                format!("Member must have value greater than or equal to {min}")
            }
            (_, Some(max)) if number > max => format!("Member must have value less than or equal to {max}"),
            _ => return,
        };
        self.add(|| quoted(&number.to_string()), path, || constraint);
    }

    fn add(&mut self, value: impl Fn() -> String, path: &str, constraint: impl FnOnce() -> String) {
        if self.0.len() < MAX_TOLD {
            let value = value();
            self.0.push(format!("Value {value} at '{path}' failed to satisfy constraint: {}", constraint()));
        }
    }
}

fn length_text(length: usize, min: Option<i64>, max: Option<i64>) -> Option<String> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    match (min, max) {
        (Some(min), _) if length < min => {
            Some(format!("Member must have length greater than or equal to {min}"))
        }
        (_, Some(max)) if length > max => {
            Some(format!("Member must have length less than or equal to {max}"))
        }
        _ => None,
    }
}

fn quoted(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("'{}…'", &text[..end]),
        None => format!("'{text}'"),
    }
}

/// A value as a message shows it.
pub trait Shown {
    /// The text; it may be long, the message cuts it.
    fn shown(&self) -> String;
}

impl Shown for String {
    fn shown(&self) -> String {
        self.clone()
    }
}

impl Shown for Vec<Value> {
    fn shown(&self) -> String {
        let mut text = String::from("[");
        for item in self {
            if text.len() > MAX_SHOWN * 4 {
                break;
            }
            let comma = if text.len() > 1 { ", " } else { "" };
            let _ = write!(text, "{comma}{}", plain(item));
        }
        text + "]"
    }
}

impl Shown for Map<String, Value> {
    fn shown(&self) -> String {
        let mut text = String::from("{");
        for (key, value) in self {
            if text.len() > MAX_SHOWN * 4 {
                break;
            }
            let comma = if text.len() > 1 { ", " } else { "" };
            let _ = write!(text, "{comma}{key}={}", plain(value));
        }
        text + "}"
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
