//! Smithy RPC v2: `POST /service/<service>/operation/<operation>`, CBOR in and out.
//!
//! <https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html>

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ciborium::Value as Item;
use http::header::{HeaderName, HeaderValue};
use serde_json::{Map, Number, Value};

use super::{
    Codec, Incoming, MAX_DEPTH, Reply, by_name, content_type, message_name, output_value, query_error,
    request_id_header, scalar, serialization, shape_of, target, unknown_operation,
};
use crate::schema::{Kind, Operation, Protocol, Service, Shape};
use crate::{Error, Timestamp};

/// The tag of a time in seconds since 1970.
const EPOCH: u64 = 1;

/// The protocol; it has no state.
pub struct Cbor;

impl Codec for Cbor {
    fn operation(&self, service: &'static Service, request: &Incoming) -> Result<&'static Operation, Error> {
        let unknown = |text: String| unknown_operation(Protocol::Cbor, text);
        let Some((prefix, name)) = target(request) else {
            return Err(unknown("The path names no service and operation".to_owned()));
        };
        if request.method != "POST" || service.target_prefix != Some(prefix) {
            let method = request.method;
            return Err(unknown(format!("{} has no operation {method} {prefix}.{name}", service.service_id)));
        }
        by_name(Protocol::Cbor, service, name)
    }

    fn input(&self, operation: &'static Operation, request: &Incoming) -> Result<Value, Error> {
        if request.body.is_empty() {
            return Ok(Value::Object(Map::new()));
        }
        let bad = |why: &str| serialization(format!("The body is no CBOR that can be read: {why}"));
        let mut rest = request.body;
        let item: Item = ciborium::de::from_reader_with_recursion_limit(&mut rest, MAX_DEPTH)
            .map_err(|error| bad(&error.to_string()))?;
        if !rest.is_empty() {
            return Err(bad("something follows behind it"));
        }
        from_item(operation.input, item).map_err(|why| bad(&why))
    }

    fn response(
        &self,
        _service: &'static Service,
        operation: &'static Operation,
        output: Bytes,
        request_id: &str,
    ) -> Result<Reply, Error> {
        let body = match operation.output {
            None => Bytes::new(),
            Some(shape) => bytes(&to_item(Some(shape), &output_value(operation, &output)?))?,
        };
        Ok(Reply { status: 200, headers: headers(request_id), body })
    }

    fn error(&self, service: Option<&'static Service>, error: &Error, request_id: &str) -> Reply {
        let shape = shape_of(service, error);
        let text = |text: &str| Item::Text(text.to_owned());
        let mut members = vec![
            (text("__type"), text(shape.map_or(error.code(), |shape| shape.name))),
            (text(message_name(shape)), text(error.message())),
        ];
        for (name, value) in error.fields() {
            let member = shape.and_then(|shape| shape.shape.member(name));
            members.push((text(name), to_item(member.map(|member| member.shape), value)));
        }
        let mut headers = headers(request_id);
        headers.extend(query_error(service, error));
        let body = bytes(&Item::Map(members)).unwrap_or_default();
        Reply { status: error.status(), headers, body }
    }
}

fn headers(request_id: &str) -> Vec<(HeaderName, HeaderValue)> {
    let protocol = (HeaderName::from_static("smithy-protocol"), HeaderValue::from_static("rpc-v2-cbor"));
    vec![content_type("application/cbor"), protocol, request_id_header(request_id)]
}

fn bytes(item: &Item) -> Result<Bytes, Error> {
    let mut body = Vec::new();
    ciborium::into_writer(item, &mut body)
        .map_err(|error| Error::internal(format!("An output cannot be written: {error}")))?;
    Ok(body.into())
}

/// An item as the JSON that handlers read. Bytes are base64 where the shape has them, and an error elsewhere.
fn from_item(shape: Option<&'static Shape>, item: Item) -> Result<Value, String> {
    let kind = shape.map(|shape| &shape.kind);
    Ok(match item {
        Item::Null => Value::Null,
        Item::Bool(flag) => Value::Bool(flag),
        Item::Integer(number) => {
            let number = i128::from(number);
            let small = i64::try_from(number).map(Value::from);
            small.or_else(|_| u64::try_from(number).map(Value::from)).map_err(|_| "a number is too large")?
        }
        Item::Float(number) => Value::Number(Number::from_f64(number).ok_or("a number is not finite")?),
        // Text is no bytes, though base64 would look the same behind this line.
        Item::Text(_) if matches!(kind, Some(Kind::Blob { .. })) => {
            return Err("text where bytes must be".to_owned());
        }
        Item::Text(text) => Value::String(text),
        Item::Bytes(bytes) => match kind {
            Some(Kind::Blob { .. }) | None => Value::String(STANDARD.encode(bytes)),
            Some(_) => return Err("bytes where there must be none".to_owned()),
        },
        Item::Tag(EPOCH, item) => {
            let seconds = match *item {
                Item::Integer(number) => i128::from(number) as f64,
                Item::Float(number) => number,
                _ => return Err("a time is no number".to_owned()),
            };
            scalar::seconds(Timestamp::from_fraction(seconds).ok_or("a time is out of range")?)
        }
        Item::Tag(tag, _) => return Err(format!("the tag {tag} has no meaning here")),
        Item::Array(items) => {
            let inner = match kind {
                Some(Kind::List { member, .. }) => Some(member.shape),
                _ => None,
            };
            items.into_iter().map(|item| from_item(inner, item)).collect::<Result<_, _>>()?
        }
        Item::Map(entries) => {
            let mut map = Map::new();
            for (name, item) in entries {
                let Item::Text(name) = name else { return Err("a key is no text".to_owned()) };
                let inner = match kind {
                    Some(Kind::Map { value, .. }) => Some(value.shape),
                    _ => shape.and_then(|shape| shape.member(&name)).map(|member| member.shape),
                };
                let value = from_item(inner, item)?;
                map.insert(name, value);
            }
            Value::Object(map)
        }
        _ => return Err("an item is of no known kind".to_owned()),
    })
}

/// JSON that a handler gave, as an item; what is no member is left out.
fn to_item(shape: Option<&'static Shape>, value: &Value) -> Item {
    match (shape.map(|shape| &shape.kind), value) {
        (Some(Kind::Structure { members, .. }), Value::Object(given)) => {
            let given = members.iter().filter_map(|member| {
                let value = given.get(member.name).filter(|value| !value.is_null())?;
                Some((Item::Text(member.name.to_owned()), to_item(Some(member.shape), value)))
            });
            Item::Map(given.collect())
        }
        (Some(Kind::Map { value: inner, .. }), Value::Object(entries)) => {
            let entries = entries.iter();
            Item::Map(
                entries
                    .map(|(name, value)| (Item::Text(name.clone()), to_item(Some(inner.shape), value)))
                    .collect(),
            )
        }
        (Some(Kind::List { member, .. }), Value::Array(items)) => {
            Item::Array(items.iter().map(|item| to_item(Some(member.shape), item)).collect())
        }
        (Some(Kind::Blob { .. }), Value::String(text)) => {
            Item::Bytes(STANDARD.decode(text).unwrap_or_default())
        }
        (Some(Kind::Timestamp(_)), value) => {
            let time = serde_json::from_value::<Timestamp>(value.clone()).unwrap_or_default();
            Item::Tag(EPOCH, Box::new(to_item(None, &scalar::seconds(time))))
        }
        (Some(Kind::Double { .. }), Value::Number(number)) => {
            Item::Float(number.as_f64().unwrap_or_default())
        }
        (_, Value::Null) => Item::Null,
        (_, Value::Bool(flag)) => Item::Bool(*flag),
        (_, Value::String(text)) => Item::Text(text.clone()),
        (_, Value::Number(number)) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Item::Integer(number.into()),
            (None, Some(number)) => Item::Integer(number.into()),
            (None, None) => Item::Float(number.as_f64().unwrap_or_default()),
        },
        (_, Value::Array(items)) => Item::Array(items.iter().map(|item| to_item(None, item)).collect()),
        (_, Value::Object(entries)) => {
            let entries = entries.iter();
            Item::Map(entries.map(|(name, value)| (Item::Text(name.clone()), to_item(None, value))).collect())
        }
    }
}
