//! JSON bodies by the model: names on the wire, and times in the form that a member has.

use serde_json::{Map, Value};

use crate::protocol::scalar;
use crate::schema::{Kind, Place, Service, Shape, TimestampFormat};

/// A body, with the names that handlers know. What is no member is left out; what has the wrong type is left as it is,
/// for validation to say so.
pub fn from_wire(shape: &'static Shape, value: Value) -> Value {
    match (&shape.kind, value) {
        (Kind::Structure { members, .. }, Value::Object(mut given)) => {
            let mut found = Map::new();
            for member in members.iter().filter(|member| member.place == Place::Body) {
                if let Some(value) = given.remove(member.wire_name()) {
                    found.insert(member.name.to_owned(), from_wire(member.shape, value));
                }
            }
            Value::Object(found)
        }
        (Kind::List { member, .. }, Value::Array(items)) => {
            items.into_iter().map(|item| from_wire(member.shape, item)).collect()
        }
        (Kind::Map { value: inner, .. }, Value::Object(entries)) => {
            entries.into_iter().map(|(name, value)| (name, from_wire(inner.shape, value))).collect()
        }
        (Kind::Timestamp(_), Value::String(text)) => {
            scalar::read(shape, text.clone(), TimestampFormat::EpochSeconds).unwrap_or(Value::String(text))
        }
        (_, value) => value,
    }
}

/// The body of an output: its members that stand there, under their names on the wire.
pub fn to_wire(shape: &'static Shape, value: Value) -> Value {
    match (&shape.kind, value) {
        (Kind::Structure { members, .. }, Value::Object(mut given)) => {
            let mut found = Map::new();
            for member in members.iter().filter(|member| member.place == Place::Body) {
                if let Some(value) = given.remove(member.name) {
                    found.insert(member.wire_name().to_owned(), to_wire(member.shape, value));
                }
            }
            Value::Object(found)
        }
        (Kind::List { member, .. }, Value::Array(items)) => {
            items.into_iter().map(|item| to_wire(member.shape, item)).collect()
        }
        (Kind::Map { value: inner, .. }, Value::Object(entries)) => {
            entries.into_iter().map(|(name, value)| (name, to_wire(inner.shape, value))).collect()
        }
        (Kind::Timestamp(Some(TimestampFormat::Iso8601 | TimestampFormat::HttpDate)), value)
            if !value.is_null() =>
        {
            Value::String(scalar::write(shape, &value, TimestampFormat::EpochSeconds))
        }
        (_, value) => value,
    }
}

/// Whether every output of the service is the same on the wire as handlers give it.
pub fn is_plain(service: &'static Service) -> bool {
    let mut seen = std::collections::HashSet::new();
    let mut open: Vec<&'static Shape> =
        service.operations.iter().filter_map(|operation| operation.output).collect();
    while let Some(shape) = open.pop() {
        if !seen.insert(std::ptr::from_ref(shape)) {
            continue;
        }
        match &shape.kind {
            Kind::Structure { members, .. } => {
                let same = |member: &crate::schema::Member| {
                    member.place == Place::Body && member.wire_name() == member.name
                };
                if !members.iter().all(same) {
                    return false;
                }
                open.extend(members.iter().map(|member| member.shape));
            }
            Kind::List { member, .. } => open.push(member.shape),
            Kind::Map { value, .. } => open.push(value.shape),
            Kind::Timestamp(Some(TimestampFormat::Iso8601 | TimestampFormat::HttpDate)) => return false,
            _ => {}
        }
    }
    true
}
