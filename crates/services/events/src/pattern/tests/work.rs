//! What an event costs: not more for ten thousand rules that it does not match than for ten.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::pattern::{Matcher, Pattern};

/// A text of letters that no other number has as its beginning, its end or inside.
fn word(number: usize) -> String {
    let mut word = String::from("k");
    for digit in number.to_string().bytes() {
        word.push((b'a' + (digit - b'0')) as char);
    }
    word + "q"
}

fn matcher(rules: usize, pattern: impl Fn(usize) -> String) -> Matcher<usize> {
    let mut matcher = Matcher::new();
    for rule in 0..rules {
        let text = pattern(rule);
        let pattern = Pattern::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        matcher.insert(rule, Arc::new(pattern));
    }
    matcher
}

const EVENT: &str = r#"{"source": "app", "detail-type": "T", "detail": {
    "id": "nobody", "count": -7, "ip": "192.0.2.1", "state": "stopped", "items": [{"id": "nobody"}, {"id": "none"}]}}"#;

#[test]
fn rules_that_do_not_match_cost_nothing() {
    type Family = (&'static str, fn(usize) -> String);
    let families: [Family; 13] = [
        ("exact", |rule| format!(r#"{{"source": ["app"], "detail": {{"id": ["{}"]}}}}"#, word(rule))),
        ("lists", |rule| format!(r#"{{"source": ["app", "{0}"], "detail": {{"id": ["{0}"]}}}}"#, word(rule))),
        ("prefix", |rule| format!(r#"{{"detail": {{"id": [{{"prefix": "{}"}}]}}}}"#, word(rule))),
        ("suffix", |rule| format!(r#"{{"detail": {{"id": [{{"suffix": "{}"}}]}}}}"#, word(rule))),
        ("case", |rule| format!(r#"{{"detail": {{"id": [{{"equals-ignore-case": "{}"}}]}}}}"#, word(rule))),
        ("wildcard", |rule| format!(r#"{{"detail": {{"id": [{{"wildcard": "*{0}*{0}*"}}]}}}}"#, word(rule))),
        ("range", |rule| format!(r#"{{"detail": {{"count": [{{"numeric": [">", {rule}]}}]}}}}"#)),
        ("interval", |rule| {
            format!(
                r#"{{"detail": {{"count": [{{"numeric": [">", {rule}.25, "<", {}.5]}}]}}}}"#,
                rule * 2 + 1
            )
        }),
        ("cidr", |rule| {
            let (third, fourth) = (rule / 256, rule % 256);
            format!(r#"{{"detail": {{"ip": [{{"cidr": "10.{third}.{fourth}.0/25"}}]}}}}"#)
        }),
        ("anything-but", |rule| {
            format!(r#"{{"detail": {{"state": [{{"anything-but": ["stopped", "{}"]}}]}}}}"#, word(rule))
        }),
        ("anything-but and exact", |rule| {
            format!(r#"{{"detail": {{"state": [{{"anything-but": "{0}"}}], "id": ["{0}"]}}}}"#, word(rule))
        }),
        ("paths", |rule| format!(r#"{{"source": ["app"], "detail": {{"f{rule}": ["x"]}}}}"#)),
        ("elements", |rule| {
            format!(
                r#"{{"source": ["app"], "detail": {{"items": {{"id": ["{}"], "no": [1]}}}}}}"#,
                word(rule)
            )
        }),
    ];
    for (name, pattern) in families {
        let steps = [10, 10_000].map(|rules| {
            let found = matcher(rules, pattern).find(EVENT).expect("an event");
            assert!(found.rules.is_empty(), "{name}: {:?}", found.rules);
            found.steps
        });
        assert!(steps[1] <= steps[0] + 64, "{name}: {steps:?}");
    }
}

#[test]
fn matches_cost_by_their_number() {
    let mut matcher = matcher(10_000, |rule| format!(r#"{{"detail": {{"id": ["{}"]}}}}"#, word(rule)));
    for rule in 10_000..10_010 {
        matcher.insert(rule, Arc::new(Pattern::parse(r#"{"detail": {"id": [{"exists": true}]}}"#).unwrap()));
    }
    let found = matcher.find(EVENT).expect("an event");
    assert_eq!(found.rules, (10_000..10_010).collect::<Vec<_>>());
    assert!(found.steps < 100, "{}", found.steps);
}

#[test]
fn many_elements_cost_by_their_number() {
    // Every element takes both fields of two arrays: a choice of one from each, and of one for every field, would be
    // more than all of them.
    let fields = ["a", "b", "c", "d"].map(|key| format!(r#""{key}": ["x"]"#)).join(", ");
    let pattern = format!(r#"{{"k": {{{fields}}}, "l": {{{fields}, "no": ["y"]}}}}"#);
    let steps = [100, 1000].map(|elements| {
        let mut list = String::new();
        for _ in 0..elements {
            write!(list, r#"{{"a": "x", "b": "x", "c": "x", "d": "x", "no": "z"}}, "#).expect("a text");
        }
        let event = format!(r#"{{"k": [{list} {{"no": "y"}}], "l": [{list} {{"no": "y"}}]}}"#);
        let mut matcher = Matcher::new();
        matcher.insert(1, Arc::new(Pattern::parse(&pattern).unwrap()));
        let found = matcher.find(&event).expect("an event");
        assert!(found.rules.is_empty());
        found.steps
    });
    assert!(steps[1] <= steps[0] * 11, "{steps:?}");
}

#[test]
fn long_patterns_do_no_harm() {
    // As many fields, and as long a text, as a pattern may have; a copy is dropped on a small stack.
    let mut fields = String::new();
    for number in 0..330 {
        write!(fields, r#""{number}":["x"],"#).expect("a text");
    }
    let many = format!(r#"{{{fields} "z": [1]}}"#);
    let long = format!(r#"{{"a": [{{"prefix": "{}"}}]}}"#, "x".repeat(4000));
    let mut event: serde_json::Map<String, serde_json::Value> =
        (0..330).map(|number| (number.to_string(), "x".into())).collect();
    event.insert("z".to_owned(), 1.into());
    event.insert("a".to_owned(), "x".repeat(5000).into());
    let mut matcher = Matcher::new();
    matcher.insert("many", Arc::new(Pattern::parse(&many).unwrap()));
    matcher.insert("long", Arc::new(Pattern::parse(&long).unwrap()));
    let event = serde_json::Value::Object(event);
    assert_eq!(matcher.find_value(&event).expect("an event").rules, ["long", "many"]);
    let mut less = event.clone();
    less["7"] = "y".into();
    assert_eq!(matcher.find_value(&less).expect("an event").rules, ["long"]);
    let small = std::thread::Builder::new().stack_size(128 * 1024);
    small.spawn(move || drop(matcher)).expect("a thread").join().expect("no overflow");
}
