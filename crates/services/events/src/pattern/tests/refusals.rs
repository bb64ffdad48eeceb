//! Patterns that PutRule and TestEventPattern refuse, with AWS's words.

use super::Pattern;
use crate::pattern::{BRANCHES_MAX, PATTERN_MAX};

fn reason(pattern: &str) -> String {
    Pattern::parse(pattern).expect_err(pattern).reason
}

/// The reason, and the column that it names; 0 for none.
fn table(cases: &[(&str, &str, usize)]) {
    for (pattern, wanted, column) in cases {
        let place = match column {
            0 => String::new(),
            column => format!("\n at [Source: (String)\"{pattern}\"; line: 1, column: {column}]"),
        };
        assert_eq!(reason(pattern), format!("{wanted}{place}"), "{pattern}");
    }
}

#[test]
fn fields() {
    table(&[
        (r#"{"int": 42}"#, r#""int" must be an object or an array"#, 11),
        (r#"{"string": "my-value"}"#, r#""string" must be an object or an array"#, 13),
        (r#"{"resources": []}"#, "Empty arrays are not allowed", 17),
        (r#"{"source": ["aws.health"], "detail": {}}"#, "Empty objects are not allowed", 40),
        (r#"["not", "a", "dict", "but valid json"]"#, "Filter is not an object", 2),
        (r#"{"a": [[1]]}"#, "Match value must be String, number, true, false, or null", 9),
        (r#"{"$or": {}}"#, "It must be an Array followed with $or.", 10),
        (r#"{"$or": [1, 2]}"#, "Only JSON object is allowed in array of $or relationship.", 11),
        (r#"{"$or": [{"a": [1]}]}"#, "There must have at least 2 Objects in $or relationship.", 21),
        (
            r#"{"$or": [{"prefix": [1]}, {"b": [1]}]}"#,
            "prefix is Ruler reserved fieldName which cannot be used inside $or.",
            22,
        ),
    ]);
    let or = format!(r#""$or": [{}]"#, vec![r#"{"a":[1]}"#; 32].join(", "));
    let combinations = format!("{{{or}, {or}}}");
    assert_eq!(reason(&combinations), "Event pattern leads to over 1000 rule combinations");
    assert_eq!(BRANCHES_MAX, 1000);
    let long = format!(r#"{{"a": ["{}"]}}"#, "x".repeat(PATTERN_MAX));
    assert_eq!(reason(&long), "Event pattern is longer than 4096 characters");
    let deep = format!("{}[1]{}", r#"{"a":"#.repeat(200), "}".repeat(200));
    assert!(reason(&deep).starts_with("Document nesting depth (128) exceeds the maximum allowed (127)"));
    let dotted = format!(r#"{{"{}": [1]}}"#, "a.".repeat(200));
    assert!(reason(&dotted).starts_with("Path is longer than 127 keys"));
}

#[test]
fn operators() {
    table(&[
        (r#"{"my_key": [{"EXISTS": true}]}"#, "Unrecognized match type EXISTS", 28),
        (r#"{"detail": {"equal": [{"NUMERIC": ["=", 5]}]}}"#, "Unrecognized match type NUMERIC", 36),
        (r#"{"a": [{}]}"#, "Match expression name not found", 10),
        (r#"{"a": [{"exists": 1}]}"#, "exists match pattern must be either true or false.", 20),
        (r#"{"a": [{"exists": true, "prefix": "x"}]}"#, "Only one key allowed in match expression", 36),
        (
            r#"{"detail-type": [{"equals-ignore-case": ["ec2 instance state-change notification"]}]}"#,
            "equals-ignore-case match pattern must be a string",
            42,
        ),
        (r#"{"time": [{"prefix": ["2022-07-13"]}]}"#, "prefix match pattern must be a string", 23),
        (r#"{"time": [{"prefix": 123}]}"#, "prefix match pattern must be a string", 25),
        (r#"{"FileName": [{"suffix": 123}]}"#, "suffix match pattern must be a string", 29),
        (r#"{"FileName": [{"suffix": [".png"]}]}"#, "suffix match pattern must be a string", 27),
        (r#"{"a": [{"prefix": {"prefix": "x"}}]}"#, "Unsupported prefix pattern: prefix", 31),
        (r#"{"EventBusArn": [{"wildcard": 123}]}"#, "wildcard match pattern must be a string", 34),
        (
            r#"{"EventBusArn": [{"wildcard": "arn:aws:events:us-east-1:**:event-bus/*"}]}"#,
            "Consecutive wildcard characters at pos 26",
            72,
        ),
        (r#"{"a": [{"wildcard": "a\\b"}]}"#, "Invalid escape character at pos 2", 27),
        (
            r#"{"EventBusArn": [{"wildcard": "*:*:*:*:*:event-bus/*"}]}"#,
            "Rule is too complex - try using fewer wildcard characters or fewer repeating character sequences after a wildcard character",
            0,
        ),
        (r#"{"a": [{"cidr": "bad-ip"}]}"#, "Malformed CIDR, one '/' required", 0),
        (r#"{"a": [{"cidr": "10.0.0.0/xx"}]}"#, "Malformed CIDR, mask bits must be an integer", 0),
        (r#"{"a": [{"cidr": "10.0.0.0/-1"}]}"#, "Malformed CIDR, mask bits must not be negative", 0),
        (r#"{"a": [{"cidr": "xx.11.xx/8"}]}"#, "Nonstandard IP address: xx.11.xx", 0),
        (
            r#"{"a": [{"cidr": "xxxx:db8:1234:1a00::/64"}]}"#,
            "Nonstandard IP address: xxxx:db8:1234:1a00::",
            0,
        ),
        (r#"{"a": [{"cidr": "10.0.0.0/32"}]}"#, "IPv4 mask bits must be < 32", 0),
        (r#"{"a": [{"cidr": "::/128"}]}"#, "IPv6 mask bits must be < 128", 0),
        (
            r#"{"detail": {"sourceIPAddress": [{"cidr": ["bad-type"]}]}}"#,
            "prefix match pattern must be a string",
            43,
        ),
    ]);
}

#[test]
fn numeric() {
    table(&[
        (r#"{"detail": {"c-count": [{"numeric": 10}]}}"#, "Value of numeric must be an array.", 39),
        (r#"{"detail": {"c-count": [{"numeric": [">", 0, ">", 0]}]}}"#, "Bad numeric range operator: >", 49),
        (r#"{"detail": {"c-count": [{"numeric": [">", 0, "<"]}]}}"#, "Value of < must be numeric", 50),
        (r#"{"a": [{"numeric": [1]}]}"#, "Invalid member in numeric match: 1", 22),
        (r#"{"a": [{"numeric": ["~", 1]}]}"#, "Unrecognized numeric range operator: ~", 27),
        (r#"{"a": [{"numeric": ["=", "1"]}]}"#, "Value of equals must be numeric", 27),
        (r#"{"a": [{"numeric": ["=", 1, 2]}]}"#, "Too many elements in numeric expression", 30),
        (r#"{"a": [{"numeric": [">", 1, 2]}]}"#, "Bad value in numeric range: 2", 30),
        (r#"{"a": [{"numeric": [">", 1, "<", 2, 3]}]}"#, "Too many terms in numeric range expression", 38),
        (r#"{"a": [{"numeric": [">", 2, "<", 2]}]}"#, "Bottom must be less than top", 36),
        (
            r#"{"a": [{"numeric": [">", 5000000001]}]}"#,
            "Value must be between -5.0E9 and 5.0E9, inclusive",
            36,
        ),
    ]);
}

#[test]
fn anything_but() {
    let twice = [
        (
            r#"{"detail": {"state": [{"anything-but": {"equals-ignore-case": [123, 456]}}]}}"#,
            "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported.",
            67,
        ),
        (
            r#"{"detail": {"state": [{"anything-but": {"wildcard": [123, "*/dir/*"]}}]}}"#,
            "wildcard match pattern must be a string",
            57,
        ),
        (
            r#"{"detail": {"state": [{"anything-but": {"prefix": [123, "test"]}}]}}"#,
            "prefix/suffix match pattern must be a string",
            55,
        ),
        (
            r#"{"detail": {"FileName": [{"anything-but": {"suffix": [null, ".txt"]}}]}}"#,
            "prefix/suffix match pattern must be a string",
            59,
        ),
        (
            r#"{"detail": {"state": [{"anything-but": ["stopped", null]}]}}"#,
            "Inside anything but list, start|null|boolean is not supported.",
            56,
        ),
    ];
    for (pattern, wanted, column) in twice {
        let place = format!("\n at [Source: (String)\"{pattern}\"; line: 1, column: {column}]");
        assert_eq!(reason(pattern), format!("{wanted}{place}{place}"), "{pattern}");
    }
    let shape = "Value of anything-but must be an array or single string/number value.";
    table(&[
        (
            r#"{"detail": {"state": [{"anything-but": {"equals-ignore-case": 123}}]}}"#,
            "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported.",
            66,
        ),
        (
            r#"{"detail": {"FilePath": [{"anything-but": {"wildcard": 123}}]}}"#,
            "wildcard match pattern must be a string",
            59,
        ),
        (
            r#"{"detail": {"FileName": [{"anything-but": {"suffix": 123}}]}}"#,
            "prefix/suffix match pattern must be a string",
            57,
        ),
        (
            r#"{"detail": {"FileName": [{"anything-but": {"prefix": {"equals-ignore-case": "file"}}}]}}"#,
            shape,
            55,
        ),
        (
            r#"{"detail": {"FileName": [{"anything-but": {"prefix": ""}}]}}"#,
            "Null prefix/suffix not allowed",
            56,
        ),
        (r#"{"detail": {"state": [{"anything-but": null}]}}"#, shape, 44),
        (r#"{"a": [{"anything-but": {"cidr": "x"}}]}"#, "Unsupported anything-but pattern: cidr", 35),
        (
            r#"{"a": [{"anything-but": ["x", 1]}]}"#,
            "Inside anything but list, either all values are number or string, mixed type is not supported",
            33,
        ),
        (r#"{"a": [{"anything-but": 5e10}]}"#, "Value must be between -5.0E9 and 5.0E9, inclusive", 0),
    ]);
}

#[test]
fn text_that_is_no_json() {
    let values = "was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')";
    table(&[
        ("this is valid json but not a dict", &format!("Unrecognized token 'this': {values}"), 5),
        (r#"{"not": closed mark""#, &format!("Unrecognized token 'closed': {values}"), 15),
        (
            "{'bad': 'quotation'}",
            "Unexpected character (''' (code 39)): was expecting double-quote to start field name",
            2,
        ),
        (
            r#"{"a" [1]}"#,
            "Unexpected character ('[' (code 91)): was expecting a colon to separate field name and value",
            6,
        ),
        (
            r#"{"a": [1 2]}"#,
            "Unexpected character ('2' (code 50)): was expecting comma to separate Array entries",
            10,
        ),
        (
            r#"{"a": [1] "b": [2]}"#,
            "Unexpected character ('\"' (code 34)): was expecting comma to separate Object entries",
            11,
        ),
        (r#"{"a": ["x]}"#, "Unexpected end-of-input: was expecting closing quote for a string value", 12),
    ]);
    assert!(reason(r#"{"a": [1]"#).starts_with(
        "Unexpected end-of-input: expected close marker for Object (start marker at [Source: (String)"
    ));
    for text in [
        "",
        " ",
        "{",
        "[",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":[",
        "{\"a\":[1],",
        "{\"a\": [01]}",
        "{\"a\": [\"\\x\"]}",
    ] {
        reason(text);
    }
    assert!(reason("{\"a\": [1]} x").starts_with("Unexpected character ('x' (code 120))"));
    let second = reason("{\n  \"a\": 1 }");
    assert!(second.ends_with("; line: 2, column: 9]"), "{second}");
    let long = reason(&format!("{{\"a\": [\"{}\"], \"b\": 1}}", "x".repeat(600)));
    assert!(long.contains("x\"[truncated 119 chars]; line: 1, column: "), "{long}");
}
