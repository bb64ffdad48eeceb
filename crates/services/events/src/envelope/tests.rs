//! Entries and events, as AWS was seen to answer.

use serde_json::json;

use super::*;

fn good() -> Entry<'static> {
    Entry { source: Some("my.app"), detail_type: Some("T"), detail: Some("{}"), ..Entry::default() }
}

#[test]
fn entries_are_refused_one_by_one() {
    let long = "x".repeat(129);
    let argument = "InvalidArgument";
    let table = [
        (
            Entry { source: None, ..good() },
            argument,
            "Parameter Source is not valid. Reason: Source is a required argument.",
        ),
        (
            Entry { source: Some(""), ..good() },
            argument,
            "Parameter Source is not valid. Reason: Source is a required argument.",
        ),
        (
            Entry { detail_type: None, ..good() },
            argument,
            "Parameter DetailType is not valid. Reason: DetailType is a required argument.",
        ),
        (
            Entry { detail: None, ..good() },
            argument,
            "Parameter Detail is not valid. Reason: Detail is a required argument.",
        ),
        (
            Entry { detail_type: Some(&long), ..good() },
            argument,
            "Parameter DetailType is not valid. Reason: DetailType is longer than 128 characters.",
        ),
        (
            Entry { source: Some("aws.ec2"), ..good() },
            "NotAuthorizedForSourceException",
            "Not authorized for the source.",
        ),
    ];
    for (entry, code, message) in table {
        let error = entry.check().expect_err(message);
        assert_eq!((error.code(), error.to_string().as_str()), (code, message));
    }
    for detail in ["text", "\"text\"", "[1]", "1", "{\"a\"}", "{} {}", "null"] {
        let error = Entry { detail: Some(detail), ..good() }.check().expect_err(detail);
        assert_eq!((error.code(), error.to_string().as_str()), ("MalformedDetail", "Detail is malformed."));
    }
    for (depth, good_detail) in [(126, true), (127, false)] {
        let detail = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        let checked = Entry { detail: Some(&detail), ..good() }.check();
        assert_eq!(checked.is_ok(), good_detail, "{depth}");
        let event = format!("{{\"detail\":{detail}}}");
        assert!(!good_detail || crate::pattern::Matcher::<u8>::new().find(&event).is_ok(), "{depth}");
    }
    assert_eq!(Entry { detail: Some("{\"a\":1e999}"), ..good() }.check(), Err(EntryError::MalformedDetail));
    let entry = Entry { source: Some("aws-some.app"), detail: Some("{ \"b\" : [ 1, \"x  y\" ] }"), ..good() };
    assert_eq!(entry.check(), Ok(("aws-some.app", "T", r#"{"b":[1,"x  y"]}"#.to_owned())));
}

#[test]
fn size_is_of_the_call() {
    let resources = ["arn".to_owned(), "é".to_owned()];
    let entry = Entry { has_time: true, resources: &resources, ..good() };
    assert_eq!(entry.size(), 14 + 6 + 1 + 2 + 3 + 2);
    let detail = "x".repeat(REQUEST_MAX - 8);
    let almost = Entry { detail: Some(&detail), ..good() };
    assert_eq!((almost.size(), check_size([almost])), (REQUEST_MAX - 1, Ok(())));
    assert_eq!(check_size([almost, good()]), Err(TooBig));
    assert_eq!(TooBig.to_string(), "Total size of the entries in the request is over the limit.");
}

#[test]
fn an_event_is_in_its_order() {
    let resources = ["arn:aws:ec2:us-east-1:123456789012:instance/i-1".to_owned()];
    let envelope = Envelope {
        id: "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        detail_type: "EC2 \"x\"",
        source: "my.app",
        account: "111122223333",
        time: 1_513_968_217,
        region: "us-west-1",
        resources: &resources,
        detail: r#"{"z":1,"a":[1.50]}"#,
    };
    let event = envelope.to_json().expect("an event");
    assert_eq!(
        event,
        r#"{"version":"0","id":"6a7e8feb-b491-4cf7-a9f1-bf3703467718","detail-type":"EC2 \"x\"","source":"my.app","account":"111122223333","time":"2017-12-22T18:43:37Z","region":"us-west-1","resources":["arn:aws:ec2:us-east-1:123456789012:instance/i-1"],"detail":{"z":1,"a":[1.50]}}"#
    );
    assert!(is_event(&event));
    for member in ["id", "account", "source", "time", "region", "detail-type"] {
        let mut without: serde_json::Value = serde_json::from_str(&event).expect("JSON");
        without.as_object_mut().expect("an object").remove(member);
        assert!(!is_event(&without.to_string()), "{member}");
    }
    for text in ["plain string", "[\"plain string\"]", "{\"testEvent\": \"value\"}"] {
        assert!(!is_event(text), "{text}");
    }
    assert!(!is_event(&json!(event).to_string()));
    assert_eq!(Envelope { time: i64::MAX, ..envelope }.to_json(), Err(OutOfRange));
    assert_eq!(Envelope { detail: "{", ..envelope }.to_json(), Err(OutOfRange));
}
