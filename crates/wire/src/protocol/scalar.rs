//! Single values as text, as parameters, labels, headers and XML have them. `default` is the format that timestamps have
//! in such a place.

use serde_json::{Number, Value};

use crate::Timestamp;
use crate::schema::{Kind, Shape, TimestampFormat};

/// The value that a text spells, or what is wrong with it. Times become seconds.
pub fn read(shape: &Shape, text: String, default: TimestampFormat) -> Result<Value, String> {
    let bad = |kind: &str| format!("{:?} is no {kind}", shown(&text));
    Ok(match &shape.kind {
        Kind::Integer { .. } | Kind::Long { .. } => {
            Value::from(text.parse::<i64>().map_err(|_| bad("integer"))?)
        }
        Kind::Double { .. } => {
            let number: f64 = text.parse().map_err(|_| bad("number"))?;
            Value::Number(Number::from_f64(number).ok_or_else(|| bad("number"))?)
        }
        Kind::Boolean => match text.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => return Err(bad("boolean")),
        },
        Kind::Timestamp(format) => {
            let time = time(&text, format.unwrap_or(default)).ok_or_else(|| bad("timestamp"))?;
            seconds(time)
        }
        Kind::String { .. } | Kind::Blob { .. } => Value::String(text),
        Kind::Structure { .. } | Kind::List { .. } | Kind::Map { .. } | Kind::Document => {
            return Err(bad(shape.name));
        }
    })
}

/// The text of a value.
pub fn write(shape: &Shape, value: &Value, default: TimestampFormat) -> String {
    match (&shape.kind, value) {
        (Kind::Timestamp(format), value) => {
            let time = serde_json::from_value::<Timestamp>(value.clone()).unwrap_or_default();
            match format.unwrap_or(default) {
                TimestampFormat::EpochSeconds => seconds(time).to_string(),
                TimestampFormat::Iso8601 => time.to_iso8601(),
                TimestampFormat::HttpDate => time.to_http_date(),
            }
        }
        (_, Value::String(text)) => text.clone(),
        (_, other) => other.to_string(),
    }
}

/// A time as JSON has it.
pub fn seconds(time: Timestamp) -> Value {
    serde_json::to_value(time).unwrap_or_default()
}

/// A time in the given format; ISO 8601 is read everywhere.
fn time(text: &str, format: TimestampFormat) -> Option<Timestamp> {
    let own = match format {
        TimestampFormat::EpochSeconds => text.parse().ok().and_then(Timestamp::from_fraction),
        TimestampFormat::Iso8601 => None,
        TimestampFormat::HttpDate => Timestamp::parse_http_date(text),
    };
    own.or_else(|| Timestamp::parse_iso8601(text))
}

/// Client text in a message, cut.
fn shown(text: &str) -> &str {
    text.char_indices().nth(128).map_or(text, |(end, _)| &text[..end])
}
