//! Writes XML from JSON by the shape of the output.

use bytes::Bytes;
use serde_json::Value;

use crate::protocol::scalar;
use crate::schema::{Kind, Member, Place, Shape, TimestampFormat};

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
                self.0.push('<');
                self.0.push_str(name);
                self.attribute("xmlns", namespace);
                self.0.push('>');
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

    /// The members of a structure that stand in the body, without an element around them.
    pub fn members(&mut self, shape: &Shape, value: &Value) {
        for member in shape.members() {
            match value.get(member.name) {
                Some(value) if !value.is_null() && !member.attribute && member.place == Place::Body => {
                    self.member(member, value);
                }
                _ => {}
            }
        }
    }

    /// One member under its wire name.
    pub fn member(&mut self, member: &Member, value: &Value) {
        self.element(member.wire_name(), member, value);
    }

    /// A structure that is the whole document.
    pub fn root(&mut self, name: &str, shape: &Shape, namespace: Option<&str>, value: &Value) {
        self.start(name, namespace.map(|uri| ("", uri)), shape, value);
        self.members(shape, value);
        self.close(name);
    }

    /// The tag that opens a structure, with its namespace and attributes.
    fn start(&mut self, name: &str, namespace: Option<(&str, &str)>, shape: &Shape, value: &Value) {
        self.0.push('<');
        self.0.push_str(name);
        if let Some((prefix, uri)) = namespace {
            let name = if prefix.is_empty() { "xmlns".to_owned() } else { format!("xmlns:{prefix}") };
            self.attribute(&name, uri);
        }
        for member in shape.members().iter().filter(|member| member.attribute) {
            if let Some(Value::String(text)) = value.get(member.name) {
                self.attribute(member.wire_name(), text);
            }
        }
        self.0.push('>');
    }

    fn attribute(&mut self, name: &str, text: &str) {
        self.0.push(' ');
        self.0.push_str(name);
        self.0.push_str("=\"");
        // A reader makes spaces of these in an attribute, and of nothing that is written as its number.
        for part in text.split_inclusive(['\t', '\n']) {
            self.escaped(part.trim_end_matches(['\t', '\n']));
            match part.chars().next_back() {
                Some('\t') => self.0.push_str("&#x9;"),
                Some('\n') => self.0.push_str("&#xA;"),
                _ => {}
            }
        }
        self.0.push('"');
    }

    fn element(&mut self, name: &str, member: &Member, value: &Value) {
        match &member.shape.kind {
            Kind::List { member: inner, .. } => {
                let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
                if member.is_flat() {
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
            Kind::Map { key, value: inner, .. } => {
                let flat = member.is_flat();
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
                self.start(
                    name,
                    member.namespace.filter(|(prefix, _)| !prefix.is_empty()),
                    member.shape,
                    value,
                );
                self.members(member.shape, value);
                self.close(name);
            }
            _ => self.text_element(name, &scalar::write(member.shape, value, TimestampFormat::Iso8601)),
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
