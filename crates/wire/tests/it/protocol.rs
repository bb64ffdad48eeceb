//! The protocols of the services that are built, from head to body: routing, odd input, rendering. The golden requests
//! of botocore are in `golden`, the other protocols in `routes` and `there_and_back`.

use bytes::Bytes;
use ecs_model as ecs;
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use serde_json::{Value, json};
use sts_model as sts;
use wire::Error;
use wire::protocol::{Incoming, Reply, codec, pick};
use wire::schema::{ErrorShape, Kind, Member, Operation, Protocol, Shape};

const TARGET: &str = "AmazonEC2ContainerServiceV20141113.ListClusters";

fn json_headers(target: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-target", HeaderValue::from_static(target));
    headers.insert("content-type", HeaderValue::from_static("application/x-amz-json-1.1"));
    headers
}

fn text(reply: &Reply) -> &str {
    std::str::from_utf8(&reply.body).unwrap()
}

#[test]
fn json_names_its_operation_by_the_target() {
    let headers = json_headers(TARGET);
    let request =
        Incoming { method: "POST", path: "/", query: "", headers: &headers, body: b"{\"maxResults\": 3}" };
    let codec = codec(pick(&ecs::SERVICE, &request));
    let operation = codec.operation(&ecs::SERVICE, &request).unwrap();
    assert_eq!(operation.name, "ListClusters");
    assert_eq!(codec.input(operation, &request).unwrap(), json!({"maxResults": 3}));
    let empty = Incoming { body: b"", ..request };
    assert_eq!(codec.input(operation, &empty).unwrap(), json!({}));
    for body in [&b"{"[..], b"\xff", b"{\"a\":1}x", "[".repeat(200).as_bytes()] {
        let error = codec.input(operation, &Incoming { body, ..request }).unwrap_err();
        assert_eq!(error.code(), "SerializationException");
    }
    for target in ["AmazonEC2ContainerServiceV20141113.NoSuch", "Logs_20140328.ListClusters", "nonsense", ""]
    {
        let headers = json_headers(target);
        let error = codec.operation(&ecs::SERVICE, &Incoming { headers: &headers, ..request }).unwrap_err();
        assert_eq!(error.code(), "UnknownOperationException", "{target}");
    }
}

#[test]
fn json_errors_carry_type_message_and_fields() {
    let codec = codec(Protocol::Json11);
    let error = ecs::errors::conflict("in use").with("resourceIds", json!(["a"]));
    let reply = codec.error(Some(&ecs::SERVICE), &error, "id-1");
    assert_eq!(reply.status, 400);
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(body, json!({"__type": "ConflictException", "message": "in use", "resourceIds": ["a"]}));
    let header = |name: &str| reply.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.to_str().unwrap());
    assert_eq!(header("x-amzn-requestid"), Some("id-1"));
    assert_eq!(header("x-amzn-errortype"), Some("ConflictException"));
    assert_eq!(header("content-type"), Some("application/x-amz-json-1.1"));
    assert_eq!(codec.error(None, &ecs::errors::server("x"), "id\n").status, 500);
}

#[test]
fn query_names_its_operation_by_the_action() {
    let headers = HeaderMap::new();
    let body = b"Action=GetCallerIdentity&Version=2011-06-15";
    let post = Incoming { method: "POST", path: "/", query: "", headers: &headers, body };
    let get = Incoming {
        method: "GET",
        path: "/",
        query: "Action=GetCallerIdentity&Version=2011-06-15",
        headers: &headers,
        body: b"",
    };
    let codec = codec(pick(&sts::SERVICE, &post));
    for request in [post, get] {
        assert_eq!(codec.operation(&sts::SERVICE, &request).unwrap().name, "GetCallerIdentity");
    }
    for (body, code) in [
        (&b"Action=GetCallerIdentity&Version=2010-01-01"[..], "InvalidAction"),
        (b"Action=No&Version=2011-06-15", "InvalidAction"),
        (b"Version=2011-06-15", "MissingAction"),
        (b"Action=GetCallerIdentity&Version=2011-06-15&Action=GetCallerIdentity", "MalformedQueryString"),
    ] {
        let error = codec.operation(&sts::SERVICE, &Incoming { body, ..post }).unwrap_err();
        assert_eq!(error.code(), code);
    }
}

#[test]
fn query_renders_xml() {
    let codec = codec(Protocol::Query);
    let operation = sts::SERVICE.operation("GetCallerIdentity").unwrap();
    let output = Bytes::from_static(b"{\"UserId\":\"a<&>\\u0001\",\"Account\":\"000000000000\"}");
    let reply = codec.response(&sts::SERVICE, operation, output, "id").unwrap();
    assert_eq!(
        text(&reply),
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <UserId>a&lt;&amp;&gt;\u{fffd}</UserId><Account>000000000000</Account></GetCallerIdentityResult>\
         <ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
    );
    let error =
        Error::new("InvalidClientTokenId", 403, "The security token included in the request is invalid");
    let reply = codec.error(Some(&sts::SERVICE), &error, "id");
    assert_eq!(reply.status, 403);
    assert_eq!(
        text(&reply),
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
         <Code>InvalidClientTokenId</Code><Message>The security token included in the request is invalid</Message>\
         </Error><RequestId>id</RequestId></ErrorResponse>"
    );
    assert!(codec.response(&sts::SERVICE, operation, Bytes::from_static(b"{"), "id").is_err());
}

static TEXT: Shape =
    Shape { name: "Text", kind: Kind::String { min: None, max: None, pattern: None, values: &[] } };
static NUMBER: Shape = Shape { name: "Number", kind: Kind::Integer { min: None, max: None } };
static FLAG: Shape = Shape { name: "Flag", kind: Kind::Boolean };
static WHEN: Shape = Shape { name: "When", kind: Kind::Timestamp(None) };
static TAG: Shape = Shape {
    name: "Tag",
    kind: Kind::Structure {
        union: false,
        members: &[Member::new("key", &TEXT).located("Key"), Member::new("n", &NUMBER)],
    },
};
static TAGS: Shape = Shape {
    name: "Tags",
    kind: Kind::List { member: &Member::new("member", &TAG), flattened: false, min: None, max: None },
};
static FLAT: Shape = Shape {
    name: "Flat",
    kind: Kind::List { member: &Member::new("member", &TEXT), flattened: true, min: None, max: None },
};
static MAP: Shape = Shape {
    name: "Map",
    kind: Kind::Map {
        key: &Member::new("key", &TEXT),
        value: &Member::new("value", &NUMBER),
        flattened: false,
        min: None,
        max: None,
    },
};
static EVERYTHING: Shape = Shape {
    name: "Everything",
    kind: Kind::Structure {
        union: false,
        members: &[
            Member::new("Tags", &TAGS),
            Member::new("Flat", &FLAT),
            Member::new("Map", &MAP),
            Member::new("Flag", &FLAG),
            Member::new("When", &WHEN),
        ],
    },
};
static DO: Operation = Operation::typed("Do").input(&EVERYTHING).output(&EVERYTHING);
static BROKEN: ErrorShape = ErrorShape { name: "BrokenFault", code: "Broken", status: 409, shape: &TAG };

#[test]
fn query_reads_lists_maps_and_structures() {
    let body =
        b"Action=Do&Tags.member.10.Key=last&Tags.member.2.Key=a%20b&Tags.member.2.n=7&Flat.2=y&Flat.1=x\
        &Map.entry.1.key=k&Map.entry.1.value=3&Flag=true&Unknown.1.x=1&When=2026-01-01T00:00:00Z";
    let headers = HeaderMap::new();
    let request = Incoming { method: "POST", path: "/", query: "", headers: &headers, body };
    let codec = codec(Protocol::Query);
    assert_eq!(
        codec.input(&DO, &request).unwrap(),
        json!({
            "Tags": [{"key": "a b", "n": 7}, {"key": "last"}], "Flat": ["x", "y"], "Map": {"k": 3}, "Flag": true,
            "When": 1_767_225_600,
        })
    );
    let empty = codec.input(&DO, &Incoming { body: b"Tags=&Map=", ..request }).unwrap();
    assert_eq!(empty, json!({"Tags": [], "Map": {}}));
    for body in ["Flag=TRUE", "Tags.member.x.Key=a", "Map.entry.1.key=a&Map.entry.1.value=x"] {
        let error = codec.input(&DO, &Incoming { body: body.as_bytes(), ..request }).unwrap_err();
        assert_eq!(error.code(), "MalformedInput", "{body}");
    }
    let deep = format!("{}=1", ["a"; 300].join("."));
    assert!(codec.input(&DO, &Incoming { body: deep.as_bytes(), ..request }).is_err());
}

#[test]
fn query_writes_lists_maps_and_times() {
    let output = json!({
        "Tags": [{"key": "a"}], "Flat": ["x", "y"], "Map": {"k": 3}, "Flag": false, "When": 1_700_000_000.5, "Extra": 1,
    });
    let reply = codec(Protocol::Query).response(&sts::SERVICE, &DO, output.to_string().into(), "id").unwrap();
    assert!(text(&reply).contains(
        "<DoResult><Tags><member><Key>a</Key></member></Tags><Flat>x</Flat><Flat>y</Flat><Map><entry><key>k</key>\
         <value>3</value></entry></Map><Flag>false</Flag><When>2023-11-14T22:13:20.500Z</When></DoResult>"
    ));
    assert_eq!(Error::of(&BROKEN, "x").code(), "Broken");
}

proptest! {
    /// No bytes make a parser panic, and what it accepts validation can look at.
    #[test]
    fn any_bytes_are_safe(body in prop::collection::vec(any::<u8>(), 0..200), query in ".{0,40}") {
        let headers = json_headers(TARGET);
        let request = Incoming { method: "POST", path: "/", query: &query, headers: &headers, body: &body };
        for protocol in [Protocol::Json11, Protocol::Query] {
            if let Ok(mut input) = codec(protocol).input(&DO, &request) {
                let _ = wire::validate::validate(&ecs::SERVICE, &DO, &mut input);
            }
        }
    }

    /// What XML carries comes back as the same text.
    #[test]
    fn query_text_survives(text in "[ -~\u{a0}-\u{d7ff}]{0,20}") {
        let body = form_urlencoded::Serializer::new(String::new()).append_pair("Tags.member.1.Key", &text).finish();
        let headers = HeaderMap::new();
        let request = Incoming { method: "POST", path: "/", query: "", headers: &headers, body: body.as_bytes() };
        let input = codec(Protocol::Query).input(&DO, &request).unwrap();
        prop_assert_eq!(&input["Tags"][0]["key"], &Value::from(text));
    }
}
