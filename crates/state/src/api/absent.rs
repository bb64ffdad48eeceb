//! Members of an input that ask for nothing. Many tools send every member they know, with the value that it would have
//! anyway; such a value is as good as none.

use serde_json::Value;

/// A member whose value may ask for nothing, in some operations.
#[derive(Debug)]
pub struct Absent {
    /// The operations whose input has it.
    pub operations: &'static [&'static str],
    /// Its path, with dots; lists are looked through.
    pub member: &'static str,
    /// The values that are as good as none, beside what is empty.
    pub value: Neutral,
}

/// Which values of a member ask for nothing. What is empty always does: `null`, an empty text, list or map, a map
/// that holds only such, and `false`, which is left where it stands since ECS gives it back.
#[derive(Debug, Clone, Copy)]
pub enum Neutral {
    /// Only what is empty.
    Empty,
    /// Also this text, which is the default.
    Text(&'static str),
    /// Also 0.
    Zero,
    /// Also a map in which this flag is `false`, whatever else it says.
    Off(&'static str),
    /// Also any text but these.
    Other(&'static [&'static str]),
}

impl Neutral {
    /// Whether a value asks for nothing.
    pub fn holds(self, value: &Value) -> bool {
        is_empty(value)
            || match self {
                Neutral::Empty => false,
                Neutral::Text(text) => value == text,
                Neutral::Zero => value.as_f64() == Some(0.0),
                Neutral::Off(flag) => value.get(flag).is_some_and(|flag| *flag == Value::Bool(false)),
                Neutral::Other(known) => value.as_str().is_some_and(|text| !known.contains(&text)),
            }
    }

    /// What it is, for the page of what is built.
    pub fn words(self) -> String {
        match self {
            Neutral::Empty => "empty".to_owned(),
            Neutral::Text(text) => format!("`\"{text}\"`"),
            Neutral::Zero => "`0`".to_owned(),
            Neutral::Off(flag) => format!("`{{\"{flag}\": false}}`"),
            Neutral::Other(known) => format!("any text but `{}`", known.join("`, `")),
        }
    }
}

/// Null, false, an empty text, list or map, and a map that holds only such.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.values().all(is_empty),
        Value::Bool(true) | Value::Number(_) => false,
    }
}
