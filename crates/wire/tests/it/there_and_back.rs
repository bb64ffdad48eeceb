//! Values of every typed shape, written as a reply and read as a request of the same shape: they come back as they were.
//! For the query protocols, whose requests are forms, a writer of forms stands below. And no bytes make a reader panic.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use wire::protocol::{Incoming, codec};
use wire::schema::{Kind, Member, Operation, Place, Protocol, Service, Shape, TimestampFormat};
use wire::validate::validate;

use crate::generated;

/// Numbers that look random and are the same for the same seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % below
    }

    fn text(&mut self, letters: &str) -> String {
        let letters: Vec<char> = letters.chars().collect();
        (0..self.roll(12)).map(|_| letters[self.roll(letters.len() as u64) as usize]).collect()
    }
}

/// A value of the shape. What is empty is left out, as not every protocol can tell it from what is absent.
fn value(shape: &'static Shape, dice: &mut Dice, depth: usize) -> Option<Value> {
    Some(match &shape.kind {
        Kind::Structure { union, members } => {
            let mut map = Map::new();
            let one = dice.roll(members.len().max(1) as u64) as usize;
            for (at, member) in members.iter().enumerate() {
                // An empty body is an empty payload where there has to be one.
                let must = member.required && member.place == Place::Payload;
                let chosen = if *union { at == one } else { must || dice.roll(3) > 0 };
                if chosen && let Some(value) = placed(member, dice, depth + 1) {
                    map.insert(member.name.to_owned(), value);
                }
            }
            if map.is_empty() && depth > 0 {
                return None;
            }
            Value::Object(map)
        }
        Kind::List { member, .. } => {
            let count = if depth > 6 { 1 } else { 1 + dice.roll(3) };
            let items: Vec<Value> = (0..count).filter_map(|_| value(member.shape, dice, depth + 1)).collect();
            if items.is_empty() {
                return None;
            }
            Value::Array(items)
        }
        Kind::Map { value: inner, .. } => {
            let mut map = Map::new();
            for _ in 0..=dice.roll(2) {
                map.insert(format!("k{}", dice.text("aé\"<&. ")), value(inner.shape, dice, depth + 1)?);
            }
            Value::Object(map)
        }
        // Deep down all ends, or shapes that hold themselves never would.
        _ if depth > 12 => return None,
        Kind::String { .. } => Value::from(dice.text("aZ09 -_.,;:/+%&=<>\"'é€😀\t\n\r")),
        Kind::Integer { .. } => Value::from(dice.roll(1 << 32) as i64 - (1 << 31)),
        Kind::Long { .. } => Value::from(dice.roll(u64::MAX) as i64),
        Kind::Double { .. } => Value::from(dice.roll(1 << 40) as f64 / 1024.0 - 1e6),
        Kind::Boolean => Value::from(dice.roll(2) == 0),
        Kind::Timestamp(Some(TimestampFormat::HttpDate)) => Value::from(dice.roll(4_000_000_000)),
        Kind::Timestamp(_) => Value::from(dice.roll(4_000_000_000) as f64 + 0.125),
        Kind::Blob { .. } => json!(["", "AA==", "/+8=", "AP9ibG9i"][dice.roll(4) as usize]),
        Kind::Document => json!({"any": [null, {"a": 1.5}]}),
    })
}

/// A member's value, which a header may be.
fn placed(member: &'static Member, dice: &mut Dice, depth: usize) -> Option<Value> {
    let word = |dice: &mut Dice| format!("w{}", dice.text("aZ0\", é"));
    match (member.place, &member.shape.kind) {
        // A reply has no labels and parameters, and a request no status.
        (Place::Label | Place::Query | Place::Status, _) => None,
        // It is the text of the header without what spaces it has around it.
        (Place::Header, Kind::String { .. }) => Some(Value::from(word(dice).trim())),
        (Place::Header, Kind::List { .. }) => {
            Some((0..=dice.roll(2)).map(|_| word(dice).trim().to_owned()).collect())
        }
        (Place::Header, Kind::Timestamp(_)) => Some(Value::from(dice.roll(4_000_000_000))),
        (Place::Headers, _) => Some(json!({"a": "x", "b-c": word(dice).trim()})),
        (Place::Payload, Kind::Blob { .. }) => Some(Value::from("AP9ibG9i")),
        (Place::Payload, Kind::String { .. }) => Some(Value::from(word(dice))),
        _ => value(member.shape, dice, depth),
    }
}

/// Every structure that operations have at their ends, with its service.
fn ends() -> Vec<(&'static Service, &'static Shape)> {
    let services = crate::SERVICES.iter().chain(generated::SERVICES);
    let operations =
        services.flat_map(|service| service.operations.iter().map(move |operation| (*service, operation)));
    let operations = operations.filter(|(_, operation)| operation.typed && !operation.event_stream);
    operations
        .flat_map(|(service, operation)| {
            [operation.input, operation.output].into_iter().flatten().map(move |shape| (service, shape))
        })
        .collect()
}

fn is_bound(shape: &Shape) -> bool {
    shape.members().iter().any(|member| member.place != Place::Body)
}

/// Writes and reads a value by one protocol.
fn through(
    protocol: Protocol,
    service: &'static Service,
    operation: &'static Operation,
    output: &Value,
) -> Value {
    let codec = codec(protocol);
    let (mut headers, body) = (HeaderMap::new(), Bytes::from(output.to_string()));
    let body = match protocol {
        Protocol::Query => Bytes::from(form(operation.input.unwrap(), output, false)),
        Protocol::Ec2Query => Bytes::from(form(operation.input.unwrap(), output, true)),
        _ => {
            let reply = codec.response(service, operation, body, "id").unwrap();
            headers.extend(reply.headers);
            let own = |member: &&Member| member.wire_name().eq_ignore_ascii_case("content-type");
            if operation.output_members().iter().find(own).is_some_and(|own| output.get(own.name).is_none()) {
                // The usual type of such a body, which the output does not name.
                headers.remove("content-type");
            }
            reply.body
        }
    };
    let request = Incoming { method: "POST", path: "/", query: "", headers: &headers, body: &body };
    codec.input(operation, &request).unwrap_or_else(|error| panic!("{protocol:?} {output}: {error}"))
}

/// A form, as botocore's serializers of the two query protocols write it.
fn form(shape: &'static Shape, value: &Value, ec2: bool) -> String {
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    structure(shape, value, ec2, "", &mut |name, value| {
        pairs.append_pair(name, value);
    });
    pairs.finish()
}

fn structure(shape: &'static Shape, value: &Value, ec2: bool, prefix: &str, put: &mut dyn FnMut(&str, &str)) {
    for member in shape.members() {
        if let Some(value) = value.get(member.name) {
            let own = match member.location {
                Some(location) if ec2 => location[..1].to_uppercase() + &location[1..],
                _ if ec2 => member.name[..1].to_uppercase() + &member.name[1..],
                _ => member.element_name().to_owned(),
            };
            let own = if ec2 { member.query_name.map_or(own, str::to_owned) } else { own };
            parameters(member, value, ec2, &format!("{prefix}{own}"), put);
        }
    }
}

fn parameters(
    member: &'static Member,
    value: &Value,
    ec2: bool,
    name: &str,
    put: &mut dyn FnMut(&str, &str),
) {
    let flat = member.is_flat();
    match (&member.shape.kind, value) {
        (Kind::Structure { .. }, _) => structure(member.shape, value, ec2, &format!("{name}."), put),
        (Kind::List { member: inner, .. }, Value::Array(items)) => {
            let step =
                if ec2 || flat { String::new() } else { format!(".{}", inner.location.unwrap_or("member")) };
            for (at, item) in items.iter().enumerate() {
                parameters(inner, item, ec2, &format!("{name}{step}.{}", at + 1), put);
            }
        }
        (Kind::Map { key, value: inner, .. }, Value::Object(entries)) => {
            let step = if flat { "" } else { ".entry" };
            for (at, (own, value)) in entries.iter().enumerate() {
                let entry = format!("{name}{step}.{}", at + 1);
                put(&format!("{entry}.{}", key.location.unwrap_or("key")), own);
                parameters(inner, value, ec2, &format!("{entry}.{}", inner.location.unwrap_or("value")), put);
            }
        }
        (Kind::Timestamp(_), time) => {
            let time = serde_json::from_value::<wire::Timestamp>(time.clone()).unwrap();
            put(name, &time.to_iso8601());
        }
        (_, Value::String(text)) => put(name, text),
        (_, other) => put(name, &other.to_string()),
    }
}

/// Times as JSON numbers, whatever form the protocol left them in.
fn canonical(shape: &'static Shape, value: Value) -> Value {
    match (&shape.kind, value) {
        (Kind::Structure { members, .. }, Value::Object(given)) => given
            .into_iter()
            .filter_map(|(name, value)| {
                let member = members.iter().find(|member| member.name == name)?;
                Some((name, canonical(member.shape, value)))
            })
            .collect(),
        (Kind::List { member, .. }, Value::Array(items)) => {
            items.into_iter().map(|item| canonical(member.shape, item)).collect()
        }
        (Kind::Map { value: inner, .. }, Value::Object(entries)) => {
            entries.into_iter().map(|(name, value)| (name, canonical(inner.shape, value))).collect()
        }
        (Kind::Timestamp(_), time) => {
            serde_json::to_value(serde_json::from_value::<wire::Timestamp>(time).unwrap()).unwrap()
        }
        (_, value) => value,
    }
}

/// Where two values differ first, and how.
fn difference(found: &Value, wanted: &Value) -> Option<String> {
    match (found, wanted) {
        (Value::Object(one), Value::Object(other)) if one.keys().eq(other.keys()) => {
            let inner =
                |name: &String| difference(&one[name], &other[name]).map(|inner| format!("{name}.{inner}"));
            one.keys().find_map(inner)
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            one.iter().zip(other).find_map(|(one, other)| difference(one, other))
        }
        _ => (found != wanted).then(|| format!("{found} and not {wanted}")),
    }
}

const ALL: [Protocol; 7] = [
    Protocol::Json10,
    Protocol::Json11,
    Protocol::Query,
    Protocol::Ec2Query,
    Protocol::RestJson,
    Protocol::RestXml,
    Protocol::Cbor,
];

/// Whether the shape can be carried by the protocol at all: only REST puts members elsewhere than into the body, and
/// only JSON has documents.
fn fits(protocol: Protocol, service: &Service, shape: &'static Shape, value: &Value) -> bool {
    let rest = matches!(protocol, Protocol::RestJson | Protocol::RestXml);
    let json = matches!(protocol, Protocol::Json10 | Protocol::Json11 | Protocol::RestJson);
    // Two names are the protocol's own; and only EC2 has names that stay apart with a capital letter.
    let free = !shape.members().iter().any(|member| matches!(member.element_name(), "Action" | "Version"));
    let named = match protocol {
        Protocol::Query => free,
        // Only REST has other names in JSON than those of the members.
        Protocol::Ec2Query | Protocol::Json10 | Protocol::Json11 => service.protocols.contains(&protocol),
        _ => true,
    };
    named && (rest || !is_bound(shape)) && (json || !value.to_string().contains("{\"any\":"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn values_come_back(seed in any::<u64>()) {
        let mut dice = Dice(seed);
        let ends = ends();
        for _ in 0..16 {
            let (service, shape) = ends[dice.roll(ends.len() as u64) as usize];
            let Some(value) = value(shape, &mut dice, 0) else { continue };
            let wanted = canonical(shape, value.clone());
            let operation: &'static Operation = Box::leak(Box::new(Operation::typed("Do").input(shape).output(shape)));
            for protocol in ALL.into_iter().filter(|protocol| fits(*protocol, service, shape, &value)) {
                let found = canonical(shape, through(protocol, service, operation, &value));
                let difference = difference(&found, &wanted);
                prop_assert!(difference.is_none(), "{:?} {}: {:?}", protocol, shape.name, difference);
            }
        }
    }

    #[test]
    fn any_bytes_are_safe(
        body in prop::collection::vec(any::<u8>(), 0..300), path in "/.{0,40}", query in ".{0,40}", seed in any::<u64>(),
    ) {
        let mut dice = Dice(seed);
        let service = generated::SERVICES[dice.roll(generated::SERVICES.len() as u64) as usize];
        let headers = HeaderMap::from_iter([
            (HeaderName::from_static("smithy-protocol"), HeaderValue::from_static("rpc-v2-cbor")),
            (HeaderName::from_static("x-amz-meta-a"), HeaderValue::from_static("\"a, b")),
        ]);
        let request = Incoming { method: "POST", path: &path, query: &query, headers: &headers, body: &body };
        for protocol in ALL {
            let codec = codec(protocol);
            let _ = codec.operation(service, &request);
            for operation in service.operations.iter().filter(|operation| operation.typed) {
                if let Ok(mut input) = codec.input(operation, &request) {
                    let _ = validate(service, operation, &mut input);
                }
            }
        }
    }
}

/// Bodies that are built to be dear: each is refused, at once.
#[test]
fn hostile_bodies_are_refused() {
    let operation = generated::s3::SERVICE.operation("DeleteObjects").unwrap();
    let headers = HeaderMap::new();
    let refuse = |protocol: Protocol, body: &[u8]| {
        let request = Incoming { method: "POST", path: "/b", query: "delete", headers: &headers, body };
        let error = codec(protocol).input(operation, &request).unwrap_err();
        assert!(error.status() == 400, "{error}");
        error.message().to_owned()
    };
    let deep = "<a>".repeat(100_000);
    assert!(refuse(Protocol::RestXml, deep.as_bytes()).contains("nested deeper"));
    let wide = format!("<a>{}</a>", "<b/>".repeat(150_000));
    assert!(refuse(Protocol::RestXml, wide.as_bytes()).contains("more than"));
    let attributes: String = (0..150_000).map(|at| format!(" a{at}=\"\"")).collect();
    assert!(refuse(Protocol::RestXml, format!("<a{attributes}/>").as_bytes()).contains("more than"));
    for text in [
        "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
        "<a>&b;</a>",
        "<a>&#0;</a>",
        "<a></b>",
        "<a/><b/>",
        "<a>",
        "text",
        "<a b=\"&c;\"/>",
    ] {
        refuse(Protocol::RestXml, text.as_bytes());
    }
    for body in [
        &[0x81; 100_000][..],
        &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x7b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0xa0, 0xa0],
        &[0xa1, 0x01, 0x01],
        &[0xff],
        &[0xc1; 1000],
    ] {
        refuse(Protocol::Cbor, body);
    }
}
