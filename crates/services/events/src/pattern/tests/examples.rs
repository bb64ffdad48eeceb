//! Patterns and events, each with what AWS says of them: the guide's examples, and what TestEventPattern answers.

use super::matches;

fn table(cases: &[(&str, &str, bool)]) {
    for (pattern, event, wanted) in cases {
        assert_eq!(matches(pattern, event), *wanted, "{pattern} on {event}");
    }
}

#[test]
fn values() {
    table(&[
        (r#"{"a": ["x"]}"#, r#"{"a": "x"}"#, true),
        (r#"{"a": ["x"]}"#, r#"{"a": "X"}"#, false),
        (r#"{"A": ["x"]}"#, r#"{"a": "x"}"#, false),
        (r#"{"a": ["x", "y"]}"#, r#"{"a": "y"}"#, true),
        (r#"{"a": ["x"], "b": ["y"]}"#, r#"{"a": "x", "b": "z"}"#, false),
        (r#"{"a": [""]}"#, r#"{"a": ""}"#, true),
        (r#"{"a": ["é🚀 "]}"#, r#"{"a": "é🚀 "}"#, true),
        (r#"{"a": ["\u00e9"]}"#, r#"{"a": "é"}"#, true),
        (r#"{"a": [false]}"#, r#"{"a": false}"#, true),
        (r#"{"a": [false]}"#, r#"{"a": true}"#, false),
        (r#"{"a": [null]}"#, r#"{"a": null}"#, true),
        (r#"{"a": [null]}"#, r#"{"a": "null"}"#, false),
        (r#"{"a": [null]}"#, r#"{"a": []}"#, false),
        (r#"{"a": [null]}"#, r#"{}"#, false),
        (r#"{"a": ["true"]}"#, r#"{"a": true}"#, false),
        (r#"{"a": [300]}"#, r#"{"a": 300.0}"#, true),
        (r#"{"a": [300.0]}"#, r#"{"a": 3e2}"#, true),
        (r#"{"a": [300]}"#, r#"{"a": "300"}"#, false),
        (r#"{"a": ["300"]}"#, r#"{"a": 300}"#, false),
        (r#"{"a": [0]}"#, r#"{"a": -0.0}"#, true),
        (r#"{"a": [123456789012]}"#, r#"{"a": 123456789012}"#, true),
        (r#"{"a": [123456789012]}"#, r#"{"a": 123456789013}"#, false),
        (r#"{"a": [18446744073709551615]}"#, r#"{"a": 18446744073709551615}"#, true),
        (r#"{"a": [18446744073709551615]}"#, r#"{"a": 18446744073709551614}"#, false),
        (r#"{"a": [{"exactly": "x"}]}"#, r#"{"a": "x"}"#, true),
    ]);
}

#[test]
fn texts() {
    table(&[
        (r#"{"time": [{"prefix": "2022-07-13"}]}"#, r#"{"time": "2022-07-13T13:48:01Z"}"#, true),
        (r#"{"time": [{"prefix": "2022-07-99"}]}"#, r#"{"time": "2022-07-13T13:48:01Z"}"#, false),
        (r#"{"a": [{"prefix": ""}]}"#, r#"{"a": "x"}"#, true),
        (r#"{"a": [{"prefix": ""}]}"#, r#"{"a": 1}"#, false),
        (r#"{"a": [{"prefix": "xyz"}]}"#, r#"{"a": "xy"}"#, false),
        (r#"{"a": [{"prefix": "xy"}]}"#, r#"{"a": "xy"}"#, true),
        (r#"{"a": [{"prefix": {"equals-ignore-case": "EventB"}}]}"#, r#"{"a": "eVeNtBridge"}"#, true),
        (r#"{"a": [{"prefix": {"equals-ignore-case": "ÉV"}}]}"#, r#"{"a": "évent"}"#, true),
        (r#"{"f": [{"suffix": ".png"}]}"#, r#"{"f": "image.png"}"#, true),
        (r#"{"f": [{"suffix": ".PNG"}]}"#, r#"{"f": "image.png"}"#, false),
        (r#"{"f": [{"suffix": ""}]}"#, r#"{"f": ""}"#, true),
        (r#"{"f": [{"suffix": {"equals-ignore-case": ".png"}}]}"#, r#"{"f": "image.PNG"}"#, true),
        (r#"{"f": [{"suffix": {"equals-ignore-case": ".png"}}]}"#, r#"{"f": "image.jpg"}"#, false),
        (r#"{"a": [{"equals-ignore-case": "ec2 instance"}]}"#, r#"{"a": ["EC2 Instance"]}"#, true),
        (r#"{"a": [{"equals-ignore-case": ""}]}"#, r#"{"a": ""}"#, true),
        (r#"{"a": [{"equals-ignore-case": ""}]}"#, r#"{"a": "x"}"#, false),
        (r#"{"a": [{"exists": true}, {"prefix": "no"}, {"suffix": "no"}]}"#, r#"{"a": "yes"}"#, true),
    ]);
}

#[test]
fn wildcards() {
    let arn = r#"{"a": "arn:aws:events:us-east-1:123456789012:event-bus/myEventBus"}"#;
    table(&[
        (r#"{"a": [{"wildcard": "arn:aws:events:us-east-1:*:event-bus/*"}]}"#, arn, true),
        (r#"{"a": [{"wildcard": ""}]}"#, arn, false),
        (r#"{"a": [{"wildcard": "*"}]}"#, arn, true),
        (r#"{"a": [{"wildcard": "*"}]}"#, r#"{"a": 1}"#, false),
        (r#"{"a": [{"wildcard": "arn:*"}]}"#, arn, true),
        (r#"{"a": [{"wildcard": "*Bus"}]}"#, arn, true),
        (r#"{"a": [{"wildcard": "*bus"}]}"#, arn, false),
        (r#"{"a": [{"wildcard": "*event*Bus"}]}"#, arn, true),
        (r#"{"a": [{"wildcard": "arn"}]}"#, arn, false),
        (r#"{"a": [{"wildcard": "/Users/*/doc.txt"}]}"#, r#"{"a": "/Users/u/dir/dir/doc.txt"}"#, true),
        (r#"{"a": [{"wildcard": "/Users/*/doc.txt"}]}"#, r#"{"a": "/Users/u/dir/notdoc.txt"}"#, false),
        (
            r#"{"a": [{"wildcard": "/Users/*/dir/dir/dir/dir/dir/doc.txt"}]}"#,
            r#"{"a": "/Users/u/dir/dir/dir/dir/dir/dir/doc.txt"}"#,
            true,
        ),
        (r#"{"a": [{"wildcard": "a*a"}]}"#, r#"{"a": "a"}"#, false),
        (r#"{"a": [{"wildcard": "a*a"}]}"#, r#"{"a": "aa"}"#, true),
        (r#"{"a": [{"wildcard": "a*b*"}]}"#, r#"{"a": "ab"}"#, true),
        (r#"{"a": [{"wildcard": "a\\*b"}]}"#, r#"{"a": "a*b"}"#, true),
        (r#"{"a": [{"wildcard": "a\\*b"}]}"#, r#"{"a": "axb"}"#, false),
        (r#"{"a": [{"wildcard": "a\\\\*b"}]}"#, r#"{"a": "a\\xb"}"#, true),
        (r#"{"a": [{"wildcard": "*é*"}]}"#, r#"{"a": "aéb"}"#, true),
    ]);
}

#[test]
fn anything_but() {
    table(&[
        (r#"{"a": [{"anything-but": "x"}]}"#, r#"{"a": "y"}"#, true),
        (r#"{"a": [{"anything-but": "x"}]}"#, r#"{"a": "x"}"#, false),
        (r#"{"a": [{"anything-but": "x"}]}"#, r#"{"a": null}"#, true),
        (r#"{"a": [{"anything-but": "x"}]}"#, r#"{"a": 1}"#, true),
        (r#"{"a": [{"anything-but": "x"}]}"#, r#"{}"#, false),
        (r#"{"a": [{"anything-but": "x"}]}"#, r#"{"a": {"b": 1}}"#, false),
        (r#"{"a": [{"anything-but": "x"}]}"#, r#"{"a": ["x", "y"]}"#, true),
        (r#"{"a": [{"anything-but": 123}]}"#, r#"{"a": 123.0}"#, false),
        (r#"{"a": [{"anything-but": 0}]}"#, r#"{"a": 789}"#, true),
        (r#"{"a": [{"anything-but": 123}]}"#, r#"{"a": "123"}"#, true),
        (r#"{"a": [{"anything-but": ["x", "y"]}]}"#, r#"{"a": "y"}"#, false),
        (r#"{"a": [{"anything-but": ["x", "y"]}]}"#, r#"{"a": "z"}"#, true),
        (r#"{"a": [{"anything-but": [100, 200]}]}"#, r#"{"a": 1e2}"#, false),
        (r#"{"a": [{"anything-but": [100, 200]}]}"#, r#"{"a": 101}"#, true),
        (r#"{"a": [{"anything-but": {"prefix": "in"}}]}"#, r#"{"a": "init"}"#, false),
        (r#"{"a": [{"anything-but": {"prefix": "in"}}]}"#, r#"{"a": "post-in"}"#, true),
        (r#"{"a": [{"anything-but": {"prefix": "in"}}]}"#, r#"{"a": 12}"#, true),
        (r#"{"a": [{"anything-but": {"prefix": ["in", "po"]}}]}"#, r#"{"a": "post"}"#, false),
        (r#"{"a": [{"anything-but": {"suffix": ".txt"}}]}"#, r#"{"a": "f.txt"}"#, false),
        (r#"{"a": [{"anything-but": {"suffix": [".txt", ".rtf"]}}]}"#, r#"{"a": "f.rtf"}"#, false),
        (r#"{"a": [{"anything-but": {"suffix": [".txt", ".rtf"]}}]}"#, r#"{"a": "f.txt.bak"}"#, true),
        (r#"{"a": [{"anything-but": {"equals-ignore-case": "x"}}]}"#, r#"{"a": "X"}"#, false),
        (r#"{"a": [{"anything-but": {"equals-ignore-case": ["x", "y"]}}]}"#, r#"{"a": "Z"}"#, true),
        (r#"{"a": [{"anything-but": {"wildcard": "*/lib/*"}}]}"#, r#"{"a": "a/lib/b"}"#, false),
        (r#"{"a": [{"anything-but": {"wildcard": ["*/lib/*", "*/bin/*"]}}]}"#, r#"{"a": "a/bin/b"}"#, false),
        (r#"{"a": [{"anything-but": {"wildcard": ["*/lib/*", "*/bin/*"]}}]}"#, r#"{"a": "bin/a"}"#, true),
        (r#"{"a": [{"anything-but": {"wildcard": ""}}]}"#, r#"{"a": "x"}"#, true),
        (r#"{"a": [{"anything-but": ["x"]}, {"exists": false}]}"#, r#"{}"#, true),
        (r#"{"a": [{"numeric": [">", 100]}, {"anything-but": "101"}]}"#, r#"{"a": "101"}"#, false),
        (r#"{"a": [{"numeric": [">", 100]}, {"anything-but": "101"}]}"#, r#"{"a": "42"}"#, true),
    ]);
}

#[test]
fn numbers() {
    let range = r#"{"a": [{"numeric": [">", 0, "<=", 5]}]}"#;
    table(&[
        (range, r#"{"a": 0}"#, false),
        (range, r#"{"a": 0.000001}"#, true),
        (range, r#"{"a": 5}"#, true),
        (range, r#"{"a": 5.000001}"#, false),
        (range, r#"{"a": "3"}"#, false),
        (range, r#"{"a": null}"#, false),
        (r#"{"a": [{"numeric": ["<", 10]}]}"#, r#"{"a": -5e9}"#, true),
        (r#"{"a": [{"numeric": ["<", 10]}]}"#, r#"{"a": 10}"#, false),
        (r#"{"a": [{"numeric": [">=", 10]}]}"#, r#"{"a": 10.0}"#, true),
        (r#"{"a": [{"numeric": [">=", 10]}]}"#, r#"{"a": 5e9}"#, true),
        // Comparison works up to five billion.
        (r#"{"a": [{"numeric": [">=", 10]}]}"#, r#"{"a": 5000000001}"#, false),
        (r#"{"a": [{"numeric": ["=", 3.018e2]}]}"#, r#"{"a": 301.8}"#, true),
        (r#"{"a": [{"numeric": ["=", -3]}]}"#, r#"{"a": -3.0}"#, true),
        (r#"{"a": [{"numeric": [">", -5e9, "<", -1]}]}"#, r#"{"a": -2}"#, true),
        (r#"{"a": [{"numeric": [">", -5e9, "<", -1]}]}"#, r#"{"a": 2}"#, false),
    ]);
}

#[test]
fn addresses() {
    let six = r#"{"a": [{"cidr": "2001:db8:1234:1a00::/64"}]}"#;
    table(&[
        (r#"{"a": [{"cidr": "10.0.0.0/24"}]}"#, r#"{"a": "10.0.0.255"}"#, true),
        (r#"{"a": [{"cidr": "10.0.0.0/24"}]}"#, r#"{"a": "10.0.0.256"}"#, false),
        (r#"{"a": [{"cidr": "10.0.0.7/24"}]}"#, r#"{"a": "10.0.1.0"}"#, false),
        (r#"{"a": [{"cidr": "10.0.0.0/24"}]}"#, r#"{"a": 123}"#, false),
        (r#"{"a": [{"cidr": "0.0.0.0/0"}]}"#, r#"{"a": "255.255.255.255"}"#, true),
        (r#"{"a": [{"cidr": "0.0.0.0/0"}]}"#, r#"{"a": "::1"}"#, false),
        (six, r#"{"a": "2001:0db8:1234:1a00:0000:0000:0000:0000"}"#, true),
        (six, r#"{"a": "2001:0db8:123f:1a01:0000:0000:0000:0000"}"#, false),
        (r#"{"a": [{"cidr": "::/0"}]}"#, r#"{"a": "ffff::"}"#, true),
        // An address is the same however it is written.
        (r#"{"a": ["::1"]}"#, r#"{"a": "0:0:0:0:0:0:0:1"}"#, true),
        (r#"{"a": ["10.0.0.1"]}"#, r#"{"a": "10.0.0.1"}"#, true),
        (r#"{"a": ["10.0.0.1"]}"#, r#"{"a": "10.0.0.2"}"#, false),
    ]);
}

#[test]
fn existence_is_of_leaves() {
    table(&[
        (r#"{"d": {"s": [{"exists": true}]}}"#, r#"{"d": {"i": "x", "s": "y"}}"#, true),
        (r#"{"d": {"s": [{"exists": true}]}}"#, r#"{"d": {"c": {"s": 1}}}"#, false),
        (r#"{"d": [{"exists": true}]}"#, r#"{"d": {"s": "x"}}"#, false),
        (r#"{"d": [{"exists": false}]}"#, r#"{"d": {"s": "x"}}"#, true),
        (r#"{"d": [{"exists": true}]}"#, r#"{"d": []}"#, false),
        (r#"{"d": [{"exists": false}]}"#, r#"{"d": []}"#, true),
        (r#"{"d": [{"exists": true}]}"#, r#"{"d": null}"#, true),
        (r#"{"d": {"s": [{"exists": false}]}}"#, r#"{}"#, true),
        (r#"{"d": {"s": [{"exists": false}]}}"#, r#"{"d": {"s": ""}}"#, false),
        (r#"{"d": {"s": [{"exists": false}, "x"]}}"#, r#"{"d": {"s": "x"}}"#, true),
        (r#"{"d": {"id": [{"exists": true}]}}"#, r#"{"d": [{"k": 1}, {"id": 2}, {"k": 3}]}"#, true),
    ]);
}

#[test]
fn dots_join() {
    table(&[
        (r#"{"d": {"s": {"t": ["x"]}}}"#, r#"{"d": {"s.t": "x"}}"#, true),
        (r#"{"d": {"s.t": ["x"]}}"#, r#"{"d": {"s": {"t": "x"}}}"#, true),
        (r#"{"d": {"s": {"t": ["x"]}}}"#, r#"{"d": {"s.t": {"t": "x"}}}"#, false),
        (r#"{"d": {"s.t": {"t": ["x"]}}}"#, r#"{"d": {"s": {"t": "x"}}}"#, false),
        (r#"{"d": {"k": ["x"]}}"#, r#"{"d": "{\"k\": \"x\"}"}"#, false),
        (r#"{"": ["x"]}"#, r#"{"": "x"}"#, true),
        (r#"{".": ["x"]}"#, r#"{"": {"": "x"}}"#, true),
    ]);
}

#[test]
fn alternatives() {
    let counts = r#"{"d": {"$or": [
        {"c": [{"numeric": [">", 0, "<=", 5]}]}, {"e": [{"numeric": ["<", 10]}]}, {"x": [{"numeric": ["=", 3.018e2]}]}
    ]}}"#;
    let nested = r#"{"source": ["s"], "$or": [
        {"a": ["1"], "$or": [{"b": ["2"]}, {"c": ["3"]}]}, {"e": {"f": ["4"]}}
    ], "z": ["5"]}"#;
    table(&[
        (counts, r#"{"d": {"c": 0, "e": 0, "x": 901.8}}"#, true),
        (counts, r#"{"d": {"c": 0, "e": 10, "x": 901.8}}"#, false),
        (counts, r#"{"d": {"c": 0, "e": 10, "x": 301.8}}"#, true),
        (nested, r#"{"source": "s", "z": "5", "a": "1", "c": "3"}"#, true),
        (nested, r#"{"source": "s", "z": "5", "a": "1", "c": "4"}"#, false),
        (nested, r#"{"source": "s", "z": "5", "e": {"f": "4"}}"#, true),
        (nested, r#"{"source": "s", "z": "6", "e": {"f": "4"}}"#, false),
        (nested, r#"{"source": "t", "z": "5", "e": {"f": "4"}}"#, false),
        // Twice the same: what comes last holds.
        (r#"{"a": ["1"], "a": ["2"]}"#, r#"{"a": "1"}"#, false),
        (r#"{"a": ["1"], "a": ["2"]}"#, r#"{"a": "2"}"#, true),
    ]);
}

#[test]
fn arrays() {
    let resources = r#"{"r": ["i-1", "i-2"]}"#;
    let both = r#"{"l": {"a": ["1"], "b": ["2"]}}"#;
    let inner = r#"{"l": {"n": ["x"], "m": {"a": ["1"], "b": ["2"]}}}"#;
    let without = r#"{"l": {"a": ["1"], "b": [{"exists": false}]}}"#;
    let first = r#"{"l": {"a": [{"exists": false}], "b": ["1"]}}"#;
    table(&[
        (resources, r#"{"r": ["asg", "i-2"]}"#, true),
        (resources, r#"{"r": ["asg"]}"#, false),
        (resources, r#"{"r": [["i-3"], [["i-1"]]]}"#, true),
        (both, r#"{"l": [{"a": "1", "b": "2"}]}"#, true),
        (both, r#"{"l": [{"a": "1", "b": "3"}, {"a": "2", "b": "2"}]}"#, false),
        (both, r#"{"l": [{"a": "1", "b": "3"}, {"a": "1", "b": "2"}]}"#, true),
        (both, r#"{"l": [{"a": "1"}, {"b": "2"}]}"#, false),
        (both, r#"{"l": {"a": ["0", "1"], "b": ["2", "3"]}}"#, true),
        (inner, r#"{"l": [{"n": "x", "m": [{"a": "1"}, {"a": "1", "b": "2"}]}]}"#, true),
        (inner, r#"{"l": [{"n": "x", "m": [{"a": "1"}]}, {"m": [{"a": "1", "b": "2"}]}]}"#, false),
        (inner, r#"{"l": [{"n": "x", "m": [{"a": "1"}, {"b": "2"}]}]}"#, false),
        // Two arrays that have nothing to do with each other.
        (r#"{"k": {"a": ["1"]}, "l": {"a": ["1"]}}"#, r#"{"k": [{"a": "1"}], "l": [{}, {"a": "1"}]}"#, true),
        // An element without a value, beside others that have one.
        (without, r#"{"l": [{"a": "1"}, {"b": "2"}]}"#, true),
        (without, r#"{"l": [{"a": "1", "b": "2"}]}"#, false),
        (without, r#"{"l": [{"a": "1", "b": "2"}, {"a": "1"}]}"#, true),
        // A field that comes first in order is looked for everywhere.
        (first, r#"{"l": [{"b": "1"}, {"a": "2"}]}"#, false),
        (first, r#"{"l": [{"b": "1"}]}"#, true),
        (r#"{"l": {"a": [{"exists": false}]}}"#, r#"{"l": [{"a": 1}, {"b": 1}]}"#, false),
    ]);
}

#[test]
fn events_that_are_none_are_told() {
    let matcher = super::Matcher::<u8>::new();
    for event in ["", "[]", "1", "{", "{} x", r#"{"a":}"#] {
        assert!(matcher.find(event).is_err(), "{event}");
    }
    assert!(matcher.find("{}").expect("an event").rules.is_empty());
}
