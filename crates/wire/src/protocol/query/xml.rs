//! Writes XML from JSON by the shape of the output. Writing only; nothing here reads XML.

use bytes::Bytes;
use serde_json::Value;

use crate::Timestamp;
use crate::schema::{Kind, Member, Shape, TimestampFormat};

/// A document that grows.
pub struct Writer(String);

impl Writer {
    pub fn new() -> Self {
        Self(String::with_capacity(1024))
    }

    pub fn into_bytes(self) -> Bytes {
        self.0.into()
    }

    /// Opens the root element with its namespace.
    pub fn open_root(&mut self, name: &str, namespace: Option<&str>) {
        match namespace {
            Some(namespace) => {
                self.0.push_str(&format!("<{name} xmlns=\""));
                self.escaped(namespace);
                self.0.push_str("\">");
            }
            None => self.open(name),
        }
    }

    pub fn open(&mut self, name: &str) {
        self.0.push('<');
        self.0.push_str(name);
        self.0.push('>');
    }

    pub fn close(&mut self, name: &str) {
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    pub fn text_element(&mut self, name: &str, text: &str) {
        self.open(name);
        self.escaped(text);
        self.close(name);
    }

    /// The members of a structure, without an element around them.
    pub fn members(&mut self, shape: &Shape, value: &Value) {
        for member in shape.members() {
            match value.get(member.name) {
                None | Some(Value::Null) => {}
                Some(value) => self.member(member, value),
            }
        }
    }

    /// One member under its wire name.
    pub fn member(&mut self, member: &Member, value: &Value) {
        self.element(member.wire_name(), member, value);
    }

    fn element(&mut self, name: &str, member: &Member, value: &Value) {
        match &member.shape.kind {
            Kind::List { member: inner, flattened, .. } => {
                let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
                if *flattened || member.flattened {
                    // A flattened list's entries go by the inner name where the model gives one.
                    items.iter().for_each(|item| self.element(inner.location.unwrap_or(name), inner, item));
                } else {
                    self.open(name);
                    items
                        .iter()
                        .for_each(|item| self.element(inner.location.unwrap_or("member"), inner, item));
                    self.close(name);
                }
            }
            Kind::Map { key, value: inner, flattened, .. } => {
                let flat = *flattened || member.flattened;
                if !flat {
                    self.open(name);
                }
                for (entry_key, entry) in value.as_object().into_iter().flatten() {
                    let around = if flat { name } else { "entry" };
                    self.open(around);
                    self.text_element(key.location.unwrap_or("key"), entry_key);
                    self.element(inner.location.unwrap_or("value"), inner, entry);
                    self.close(around);
                }
                if !flat {
                    self.close(name);
                }
            }
            Kind::Structure { .. } => {
                self.open(name);
                self.members(member.shape, value);
                self.close(name);
            }
            Kind::Timestamp(format) => self.text_element(name, &time(*format, value)),
            _ => match value {
                Value::String(text) => self.text_element(name, text),
                other => self.text_element(name, &other.to_string()),
            },
        }
    }

    /// Text with the characters that XML keeps for itself escaped; what XML 1.0 cannot hold at all becomes
    /// U+FFFD.
    fn escaped(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\r' => self.0.push_str("&#xD;"),
                '\t' | '\n' => self.0.push(c),
                '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => self.0.push('\u{fffd}'),
                c => self.0.push(c),
            }
        }
    }
}

fn time(format: TimestampFormat, value: &Value) -> String {
    let time = serde_json::from_value::<Timestamp>(value.clone()).unwrap_or_default();
    match format {
        TimestampFormat::EpochSeconds => value.to_string(),
        TimestampFormat::Iso8601 => time.to_iso8601(),
        TimestampFormat::HttpDate => time.to_http_date(),
    }
}
