//! What restJson and restXml share: the operation by method and path, and what of input and output stands outside of a
//! document: labels, parameters, headers, the status, and bodies that are bytes or text.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::router::{Router, labels};
use super::{Incoming, no_stream, scalar, serialization, unknown_operation};
use crate::Error;
use crate::schema::{Kind, Member, Operation, Place, Protocol, Service, Shape, TimestampFormat};

/// The operation that method, path and query name.
pub fn operation(
    protocol: Protocol,
    service: &'static Service,
    request: &Incoming,
) -> Result<&'static Operation, Error> {
    let router = service.index.router.get_or_init(|| Router::new(service));
    let operation = router.find(request).ok_or_else(|| {
        let path: String = request.path.chars().take(128).collect();
        unknown_operation(
            protocol,
            format!("{} has no operation {} {path}", service.service_id, request.method),
        )
    })?;
    no_stream(protocol, operation)
}

/// The input, of which `document` reads a body that is one: as a whole, or as one member.
pub fn input(
    operation: &'static Operation,
    request: &Incoming,
    document: impl Fn(&[u8], Document) -> Result<Value, Error>,
) -> Result<Value, Error> {
    let Some(shape) = operation.input else { return Ok(Value::Object(Map::new())) };
    let mut members = head(operation, request)?;
    if let Some(member) = shape.members().iter().find(|member| member.place == Place::Payload) {
        // An empty body is an empty payload only where there has to be one, and bytes or text can be empty.
        let text = matches!(member.shape.kind, Kind::Blob { .. } | Kind::String { .. });
        if !request.body.is_empty() || member.required && text {
            members.insert(member.name.to_owned(), payload(member, request.body, document)?);
        }
    } else if !request.body.is_empty() && shape.members().iter().any(|member| member.place == Place::Body) {
        match document(request.body, Document::Members(shape))? {
            Value::Object(body) => members.extend(body),
            other => return Ok(other),
        }
    }
    Ok(Value::Object(members))
}

/// What a body that is a document holds.
#[derive(Debug, Clone, Copy)]
pub enum Document {
    /// The members of the structure that stand in the body.
    Members(&'static Shape),
    /// One member, whole.
    Member(&'static Member),
}

fn payload(
    member: &'static Member,
    body: &[u8],
    document: impl Fn(&[u8], Document) -> Result<Value, Error>,
) -> Result<Value, Error> {
    match &member.shape.kind {
        Kind::Blob { .. } => Ok(Value::String(STANDARD.encode(body))),
        Kind::String { .. } => match std::str::from_utf8(body) {
            Ok(text) => Ok(Value::from(text)),
            Err(_) => Err(serialization("The body is not UTF-8")),
        },
        _ => document(body, Document::Member(member)),
    }
}

/// The members of the input that stand in path, query and headers.
fn head(operation: &'static Operation, request: &Incoming) -> Result<Map<String, Value>, Error> {
    let labels = labels(operation, request.path);
    let query: Vec<Pair> = form_urlencoded::parse(request.query.as_bytes()).collect();
    let mut members = Map::new();
    for member in operation.input_members() {
        let found = match member.place {
            Place::Label => {
                let label = labels.iter().find(|(name, _)| *name == member.wire_name());
                label.map(|(_, text)| one(member, text.clone(), TimestampFormat::Iso8601)).transpose()?
            }
            Place::Query => parameter(operation, member, &query)?,
            Place::Header => header(member, request.headers)?,
            Place::Headers => prefixed(member, request.headers),
            Place::Body | Place::Payload | Place::Status => None,
        };
        if let Some(value) = found {
            members.insert(member.name.to_owned(), value);
        }
    }
    Ok(members)
}

type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

fn one(member: &Member, text: String, format: TimestampFormat) -> Result<Value, Error> {
    scalar::read(member.shape, text, format).map_err(|why| serialization(format!("{}: {why}", member.name)))
}

fn parameter(
    operation: &'static Operation,
    member: &'static Member,
    query: &[Pair],
) -> Result<Option<Value>, Error> {
    let format = TimestampFormat::Iso8601;
    let name = member.wire_name();
    let mut given = query.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_ref().to_owned());
    match &member.shape.kind {
        Kind::Map { value, .. } => Ok(parameters(operation, value, query)),
        Kind::List { member: inner, .. } => {
            let items: Vec<Value> = given.map(|text| one(inner, text, format)).collect::<Result<_, _>>()?;
            Ok((!items.is_empty()).then_some(Value::Array(items)))
        }
        _ => given.next().map(|text| one(member, text, format)).transpose(),
    }
}

/// All parameters that have no other place, as a map.
fn parameters(operation: &'static Operation, inner: &Member, query: &[Pair]) -> Option<Value> {
    let literal = operation.uri.split_once('?').map_or("", |(_, literal)| literal);
    let taken = |name: &str| {
        let own = |member: &Member| member.place == Place::Query && member.wire_name() == name;
        let named = |pair: &str| pair.split('=').next() == Some(name);
        operation.input_members().iter().any(own) || literal.split('&').any(named)
    };
    let mut map = Map::new();
    for (name, value) in query.iter().filter(|(name, _)| !taken(name)) {
        let value = Value::from(value.as_ref());
        match (&inner.shape.kind, map.get_mut(name.as_ref())) {
            (Kind::List { .. }, Some(Value::Array(items))) => items.push(value),
            (Kind::List { .. }, _) => {
                map.insert(name.clone().into_owned(), Value::Array(vec![value]));
            }
            _ => {
                map.insert(name.clone().into_owned(), value);
            }
        }
    }
    (!map.is_empty()).then_some(Value::Object(map))
}

fn header(member: &'static Member, headers: &HeaderMap) -> Result<Option<Value>, Error> {
    let format = TimestampFormat::HttpDate;
    let mut values = headers.get_all(member.wire_name()).iter().map(text);
    if let Kind::List { member: inner, .. } = &member.shape.kind {
        let items: Vec<String> = values.flat_map(|text| split(&text)).collect();
        let items: Vec<Value> =
            items.into_iter().map(|text| one(inner, text, format)).collect::<Result<_, _>>()?;
        return Ok((!items.is_empty()).then_some(Value::Array(items)));
    }
    let Some(text) = values.next() else { return Ok(None) };
    if member.json_value {
        let bytes = STANDARD.decode(&text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let text =
            bytes.ok_or_else(|| serialization(format!("{}: it is not JSON in base64", member.name)))?;
        return Ok(Some(Value::String(text)));
    }
    one(member, text, format).map(Some)
}

/// All headers that begin with the member's name, which is their prefix.
fn prefixed(member: &Member, headers: &HeaderMap) -> Option<Value> {
    let prefix = member.wire_name().to_ascii_lowercase();
    let found = headers.iter().filter_map(|(name, value)| {
        let rest = name.as_str().strip_prefix(prefix.as_str())?;
        Some((rest.to_owned(), Value::String(text(value))))
    });
    let map: Map<String, Value> = found.collect();
    (!map.is_empty()).then_some(Value::Object(map))
}

/// UTF-8, or else what Latin-1 makes of it, as HTTP once said.
fn text(value: &HeaderValue) -> String {
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => value.as_bytes().iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// The items of a list in a header: between commas, in quotes where they hold one.
fn split(text: &str) -> Vec<String> {
    let mut items = Vec::new();
    let mut item = String::new();
    let (mut quoted, mut was_quoted) = (false, false);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' if quoted => item.extend(chars.next()),
            '"' if quoted || item.trim().is_empty() => {
                if !quoted {
                    item.clear();
                }
                quoted = !quoted;
                was_quoted = true;
            }
            ',' if !quoted => {
                items.push(finished(&mut item, &mut was_quoted));
            }
            c if was_quoted && !quoted && c == ' ' => {}
            c => item.push(c),
        }
    }
    items.push(finished(&mut item, &mut was_quoted));
    items.retain(|(text, quoted)| *quoted || !text.is_empty());
    items.into_iter().map(|(text, _)| text).collect()
}

fn finished(item: &mut String, was_quoted: &mut bool) -> (String, bool) {
    let text = std::mem::take(item);
    let quoted = std::mem::take(was_quoted);
    (if quoted { text } else { text.trim().to_owned() }, quoted)
}

/// What of an output stands outside of a document.
pub struct Head {
    /// The HTTP status.
    pub status: u16,
    /// The headers that members are.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body, where it is no document.
    pub body: Option<Bytes>,
}

impl Head {
    /// Adds the body's type, unless a member says it.
    pub fn typed(&mut self, content_type: &'static str) {
        if !self.headers.iter().any(|(name, _)| name == CONTENT_TYPE) {
            self.headers.push(super::content_type(content_type));
        }
    }
}

/// Takes out of an output what stands outside of a document.
pub fn head_of(operation: &Operation, output: &Value) -> Result<Head, Error> {
    let mut head = Head { status: operation.status, headers: Vec::new(), body: None };
    for member in operation.output_members() {
        let Some(value) = output.get(member.name).filter(|value| !value.is_null()) else { continue };
        match (member.place, &member.shape.kind) {
            (Place::Status, _) => {
                let status = value.as_u64().and_then(|status| u16::try_from(status).ok());
                head.status = status.filter(|status| (100..1000).contains(status)).unwrap_or(head.status);
            }
            (Place::Payload, Kind::Blob { .. }) => {
                let bytes = value.as_str().and_then(|text| STANDARD.decode(text).ok());
                let bytes = bytes.ok_or_else(|| Error::internal(format!("{} is no base64", member.name)))?;
                head.body = Some(bytes.into());
                head.typed("application/octet-stream");
            }
            (Place::Payload, Kind::String { .. }) => {
                head.body = Some(value.as_str().unwrap_or_default().to_owned().into());
                head.typed("text/plain");
            }
            _ => {}
        }
    }
    for (name, value) in headers_of(operation.output_members(), |name| output.get(name))? {
        // A member's own type of the body goes before the usual one.
        head.headers.retain(|(own, _)| *own != name || name != CONTENT_TYPE);
        head.headers.push((name, value));
    }
    Ok(head)
}

/// The headers that members of an output or error are.
pub fn headers_of<'a>(
    members: &'static [Member],
    value: impl Fn(&str) -> Option<&'a Value>,
) -> Result<Vec<(HeaderName, HeaderValue)>, Error> {
    let mut headers = Vec::new();
    let mut push = |name: &str, text: &str| {
        let value = HeaderValue::from_bytes(text.as_bytes());
        match (HeaderName::from_bytes(name.as_bytes()), value) {
            (Ok(name), Ok(value)) => headers.push((name, value)),
            _ => return Err(Error::internal(format!("{} cannot be a header", name.escape_debug()))),
        }
        Ok(())
    };
    for member in members {
        let Some(value) = value(member.name).filter(|value| !value.is_null()) else { continue };
        match (member.place, value) {
            (Place::Header, Value::Array(items)) => {
                let Kind::List { member: inner, .. } = &member.shape.kind else { continue };
                let items: Vec<String> = items.iter().map(|item| list_item(inner, item)).collect();
                if !items.is_empty() {
                    push(member.wire_name(), &items.join(","))?;
                }
            }
            (Place::Header, value) => {
                let text = scalar::write(member.shape, value, TimestampFormat::HttpDate);
                let text = if member.json_value { STANDARD.encode(text) } else { text };
                push(member.wire_name(), &text)?;
            }
            (Place::Headers, Value::Object(entries)) => {
                for (name, value) in entries {
                    push(&format!("{}{name}", member.wire_name()), value.as_str().unwrap_or_default())?;
                }
            }
            _ => {}
        }
    }
    Ok(headers)
}

fn list_item(inner: &Member, item: &Value) -> String {
    let text = scalar::write(inner.shape, item, TimestampFormat::HttpDate);
    let is_text = matches!(inner.shape.kind, Kind::String { .. });
    if is_text && text.contains(['"', ',']) {
        return format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_in_a_header_is_split_at_its_commas() {
        for (text, items) in [
            ("a,b", vec!["a", "b"]),
            (" a , b ", vec!["a", "b"]),
            ("\"a,b\", c", vec!["a,b", "c"]),
            ("\"a\\\"b\"", vec!["a\"b"]),
            ("\"\",x", vec!["", "x"]),
            ("", vec![]),
            (",,", vec![]),
            ("\"open", vec!["open"]),
        ] {
            assert_eq!(split(text), items, "{text}");
        }
    }
}
