//! The language, mostly by the examples of the user guide.

use proptest::prelude::*;

use super::{Error, Pattern};

fn matches(pattern: &str, message: &str) -> bool {
    Pattern::parse(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}")).matches(message)
}

/// Each pattern with the messages it matches and those it does not.
fn check(cases: &[(&str, &[&str], &[&str])]) {
    for (pattern, yes, no) in cases {
        for message in *yes {
            assert!(matches(pattern, message), "{pattern} should match {message}");
        }
        for message in *no {
            assert!(!matches(pattern, message), "{pattern} should not match {message}");
        }
    }
}

#[test]
fn terms() {
    let [bad, unauthorized, missing, invalid] = [
        "[ERROR 400] BAD REQUEST",
        "[ERROR 401] UNAUTHORIZED REQUEST",
        "[ERROR 419] MISSING ARGUMENTS",
        "[ERROR 420] INVALID ARGUMENTS",
    ];
    check(&[
        ("", &["", "anything"], &[]),
        ("   ", &["anything"], &[]),
        ("ERROR", &[bad, unauthorized, "Exiting with ERRORCODE: -1"], &["error", "WARN"]),
        ("ERROR ARGUMENTS", &[missing, invalid], &[bad, unauthorized]),
        ("?ERROR ?ARGUMENTS", &[bad, missing, "ARGUMENTS"], &["WARN"]),
        ("?ERROR ?WARN", &["ERROR WARN message", "ERROR message", "WARN message"], &["INFO"]),
        ("\"INTERNAL SERVER ERROR\"", &["[ERROR 500] INTERNAL SERVER ERROR"], &["INTERNAL  SERVER ERROR"]),
        ("ERROR -ARGUMENTS", &[bad, unauthorized], &[missing, invalid, "INFO"]),
        ("\"ERROR\" - \"Exiting\"", &["[ERROR] A fatal exception"], &["Exiting with ERRORCODE: -1"]),
        ("-WARN", &["INFO"], &["WARN"]),
        (
            "Failed to process the request",
            &["[ERROR] Unable to continue: Failed to process the request"],
            &["Failed"],
        ),
        // Either-terms are void beside others.
        ("ERROR ?ARGUMENTS", &[bad], &["ARGUMENTS"]),
        ("?ERROR -INVALID", &["ARGUMENTS"], &["INVALID"]),
        ("\"say \\\"hi\\\"\"", &["they say \"hi\""], &["they say hi"]),
        ("under_score", &["an under_score"], &["under-score"]),
        ("\"\"", &["", "x"], &[]),
    ]);
}

#[test]
fn regular_expressions() {
    check(&[
        (
            "%AUTHORIZED%",
            &["[ERROR 401] UNAUTHORIZED REQUEST", "[SUCCESS 200] AUTHORIZED REQUEST"],
            &["DENIED"],
        ),
        ("%gray|grey%", &["a gray cat", "a grey cat"], &["a green cat"]),
        ("%colou?r%", &["color", "colour"], &["colouur"]),
        ("%^ERR%", &["ERR 1"], &["an ERR"]),
        ("%[0-9]{3}$%", &["code 404"], &["404 code"]),
        ("%10\\.10\\.0\\.1%", &["from 10.10.0.1 to"], &["from 10a10b0c1 to"]),
        ("%\\d+\\%%", &["load 97%"], &["load 97"]),
        ("?%foo% ?bar", &["foo", "bar"], &["baz"]),
        // The guide's own, and what the crate below would read otherwise.
        ("%^starting|^shutting down%", &["shutting down now"], &["not shutting down"]),
        ("%^a{,3}$%", &["", "aaa"], &["aaaa"]),
        ("%\\[.\\]%", &["[a]", "[]]"], &["[]"]),
        ("%abcc|ab[^c]$%", &["abcc x", "aba"], &["aac"]),
        ("%\\x3A\\x28%", &["a:(b"], &["a("]),
        ("%^\\d\\w$%", &["1a"], &["\u{663}a", "1\u{e9}"]),
        ("%^\\W$%", &["\u{e9}"], &["a"]),
        ("%[\\d_]x%", &["1x", "_x"], &["ax"]),
        ("%\\<b\\>%", &["<b>"], &["b"]),
        ("%^a\\}+$%", &["a}}"], &["a"]),
        ("%^[[a]$%", &["[", "a"], &["]"]),
        ("%^[]a]$%", &["]"], &["["]),
        ("%^[a-]$%", &["-"], &["b"]),
        ("%^[+--]$%", &["-", ","], &["+-"]),
        ("%^[[:a]+$%", &["[:a"], &["b"]),
        ("ERROR -%40[0-9]%", &["ERROR 500"], &["ERROR 404"]),
        ("{ $.eventType = %Trail% }", &[r#"{"eventType":"UpdateTrail"}"#], &[r#"{"eventType":"Update"}"#]),
        ("{ $.n != %^1% }", &[r#"{"n":21}"#], &[r#"{"n":12}"#, "{}"]),
        ("[ip=%127\\.0\\.0\\.[1-9]%, user]", &["127.0.0.5 joe"], &["127.0.0.0 joe"]),
    ]);
}

const GUIDE: &str = r#"{"eventType": "UpdateTrail", "sourceIPAddress": "111.111.111.111",
  "arrayKey": ["value", "another value"], "objectList": [{"name": "a", "id": 1}, {"name": "b", "id": 2}],
  "SomeObject": null, "ThisFlag": true}"#;

#[test]
fn json() {
    check(&[
        (
            "{ $.eventType = \"UpdateTrail\" }",
            &[GUIDE],
            &["UpdateTrail", "{", "{} x", r#"{"eventType":"x"}"#],
        ),
        ("{ $.sourceIPAddress != 123.123.* }", &[GUIDE], &[r#"{"sourceIPAddress":"123.123.1.1"}"#]),
        ("{ $.arrayKey[0] = \"value\" }", &[GUIDE], &[r#"{"arrayKey":"value"}"#]),
        ("{ $.objectList[1].id = 2 }", &[GUIDE], &[r#"{"objectList":[{"id":2}]}"#]),
        ("{ $.SomeObject IS NULL }", &[GUIDE], &["{}", r#"{"SomeObject":0}"#]),
        ("{ $.SomeOtherObject NOT EXISTS }", &[GUIDE, "{}"], &[r#"{"SomeOtherObject":null}"#]),
        ("{ $.ThisFlag IS TRUE }", &[GUIDE], &[r#"{"ThisFlag":false}"#, r#"{"ThisFlag":"true"}"#]),
        ("{ $.ThisFlag IS FALSE }", &[r#"{"ThisFlag":false}"#], &[GUIDE]),
        ("{ $.ThisFlag = true }", &[GUIDE], &[r#"{"ThisFlag":false}"#]),
        ("{ $.eventType = * }", &[GUIDE], &["{}"]),
        ("{$.eventType=*Trail}", &[GUIDE], &[r#"{"eventType":"TrailUpdate"}"#]),
        ("{$.eventType=\"*date*\"}", &[GUIDE], &[]),
        ("{$.e=Ev*ent}", &[r#"{"e":"Ev*ent"}"#], &[r#"{"e":"Ev1ent"}"#]),
        ("{ $.objectList[*].id = 2 }", &[GUIDE], &[r#"{"objectList":[{"id":3}]}"#]),
        ("{ $.*.id = 2 }", &[r#"{"a":{"id":2}}"#], &[r#"{"a":{"id":3}}"#]),
        ("{ $.['a b'] = 1 || $[\"c\"] = 2 }", &[r#"{"a b":1}"#, r#"{"c":2}"#], &["{}"]),
        // Neither holds for arrays and objects, nor where there is nothing.
        ("{ $.users = 1 }", &[], &[r#"{"users":[1,2,3]}"#]),
        ("{ $.users != 1 }", &[r#"{"users":2}"#], &[r#"{"users":[1,2,3]}"#, "{}"]),
    ]);
}

#[test]
fn json_numbers() {
    check(&[
        (
            "{ $.latency >= 500 }",
            &[r#"{"latency":500}"#, r#"{"latency":5e3}"#],
            &[r#"{"latency":499.9}"#, "{}"],
        ),
        ("{ $.numbers[0] < 10e3 }", &[r#"{"numbers":[9999]}"#], &[r#"{"numbers":[10000]}"#]),
        ("{ $.numbers[0] < 10e-3 }", &[r#"{"numbers":[0.001]}"#], &[r#"{"numbers":[1]}"#]),
        ("{ $.p[4].run <= 55.5 }", &[r#"{"p":[0,0,0,0,{"run":55.5}]}"#], &[r#"{"p":[0,0,0,0,{"run":56}]}"#]),
        (
            "{ $.errorCode = 400 }",
            &[r#"{"errorCode":400}"#, r#"{"errorCode":400.0}"#],
            &[r#"{"errorCode":401}"#],
        ),
        ("{ $.errorCode != 500 }", &[r#"{"errorCode":400}"#], &[r#"{"errorCode":500}"#]),
        ("{ $.latency > +1000 }", &[r#"{"latency":1001}"#], &[r#"{"latency":-1001}"#]),
        ("{ $.latency > -5 }", &[r#"{"latency":-4}"#], &[r#"{"latency":-6}"#]),
        ("{ $.status = 4* }", &[r#"{"status":404}"#, r#"{"status":"404"}"#], &[r#"{"status":504}"#]),
    ]);
}

#[test]
fn json_conditions_combine() {
    let event = r#"{"user": {"id": 1, "email": "John.Stiles@example.com"},
      "users": [{"id": 2, "email": "John.Doe@example.com"}, {"id": 3, "email": "Jane.Doe@example.com"}],
      "actions": ["GET", "PUT", "DELETE"], "coordinates": [[0, 1, 2], [4, 5, 6], [7, 8, 9]]}"#;
    check(&[
        ("{ ($.user.id = 1) && ($.users[0].email = \"John.Doe@example.com\") }", &[event], &[]),
        ("{ ($.user.id = 2 && $.users[0].email = \"nonmatch\") || $.actions[2] = \"GET\" }", &[], &[event]),
        (
            "{ $.user.email = \"John.Stiles@example.com\" || $.coordinates[0][1] = nonmatch && $.actions[2] = nomatch }",
            &[event],
            &[],
        ),
        (
            "{ ($.user.email = \"John.Stiles@example.com\" || $.coordinates[0][1] = nonmatch) && $.actions[2] = nomatch }",
            &[],
            &[event],
        ),
        ("{$.foo = bar || $.foo = baz }", &[r#"{"foo":"bar"}"#, r#"{"foo":"baz"}"#], &[r#"{"foo":"x"}"#]),
        ("{((($.user.id=1)))}", &[event], &[]),
        ("{$.user.id=1&&$.coordinates[1][2]=6}", &[event], &[]),
    ]);
}

#[test]
fn fields() {
    let [ok, failed] = [
        "127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] \"GET /apache_pb.gif HTTP/1.0\" 200 1534",
        "127.0.0.1 - frank [10/Oct/2000:13:35:22 -0700] \"GET /index.html HTTP/1.0\" 404 5324",
    ];
    check(&[
        ("[ip, user, username, timestamp, request, status_code, bytes]", &[ok, failed], &["one two", ""]),
        ("[..., status_code, bytes]", &[ok, failed, "a b"], &["a"]),
        ("[ip, user, ..., status_code, bytes]", &[ok, "a b c d"], &["a b c"]),
        ("[ip, user, ...]", &[ok, "a b"], &["a"]),
        ("[...]", &["", "a", ok], &[]),
        ("[ip, user, username, timestamp, request, status_code, bytes > 1534]", &[failed], &[ok]),
        ("[ip, user, username, timestamp, request, status_code = 200, bytes]", &[ok], &[failed]),
        ("[ip, user, username, timestamp, request =*.html*, status_code = 4*, bytes]", &[failed], &[ok]),
        ("[..., status_code = 4* && status_code != 403, bytes]", &[failed], &[ok]),
        ("[..., status_code = 404 || status_code = 410, bytes]", &[failed], &[ok]),
        ("[..., request=*.html*, status_code=4*,]", &[failed], &[ok]),
        ("[w1=ERROR, w2]", &["ERROR message"], &["ERROR WARN message", "WARN message"]),
        ("[w1=ERROR || w1=WARN, w2]", &["ERROR message", "WARN message"], &["INFO message"]),
        ("[w1!=ERROR&&w1!=WARN, w2]", &["INFO message"], &["ERROR message", "WARN message"]),
        ("[w1=!ERROR&&w1=!WARN, w2]", &["INFO message"], &["ERROR message"]),
        ("[time = \"*-0700\", x]", &["[13:25 -0700] y"], &["[13:25 +0200] y"]),
        ("[a, b >= 1.5]", &["x 1.5", "x 2"], &["x 1", "x y", "x inf"]),
        ("[a]", &["\"unclosed", "[x y]"], &["\"not closed"]),
    ]);
}

#[test]
fn what_is_no_pattern_is_refused() {
    assert_eq!(Pattern::parse("a:b").unwrap_err(), Error::Term("a:b".into()));
    let deep = format!("{{ {}$.a = 1{} }}", "(".repeat(33), ")".repeat(33));
    let long = "x".repeat(1025);
    let wrong = [
        "\"open",
        "-",
        "ERROR ?",
        "%open",
        "%a(b)%",
        "%é%",
        "%a\tb%",
        "%a!%",
        "%a*+%",
        "%a{2}{3}%",
        "%\\bx%",
        "%\\pL%",
        "%\\A%",
        "%\\x{41}%",
        "%\\xFF%",
        "%[z-a]%",
        "%[a-\\d]%",
        "%a\\%",
        "%[%",
        "%%",
        "%a% %b% %c%",
        "{",
        "{}",
        "{ $ = 1 }",
        "{ $.a }",
        "{ $.a = }",
        "{ $.a = 1",
        "{ $.a = 1 } x",
        "{ $.a IS 1 }",
        "{ $.a NOT NULL }",
        "{ $.a[x] = 1 }",
        "{ $.a < \"x\" }",
        "{ $.a < x }",
        "{ $.a = 1 && }",
        "{ $.a = 1 & $.b = 2 }",
        "{ ($.a = 1 }",
        "{ a = 1 }",
        "{ $.*.* = 1 }",
        "{ $.a[*].b[*] = 1 }",
        "{ $.*=1 && $.*=1 && $.*=1 && $.*=1 }",
        "[",
        "[a",
        "[a b]",
        "[..., ...]",
        "[a=1 || b=2]",
        "[a=1 && a]",
        "[a=]",
        "[a] x",
        &deep,
        &long,
    ];
    for pattern in wrong {
        assert!(Pattern::parse(pattern).is_err(), "{pattern} should be refused");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(pattern in ".{0,80}", message in ".{0,80}") {
        if let Ok(pattern) = Pattern::parse(&pattern) {
            pattern.matches(&message);
        }
    }

    #[test]
    fn no_near_pattern_makes_it_panic(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "{", "}", "[", "]", "(", ")", "$", ".a", "[0]", "[*]", ".*", "=", "!=", "<", "&&", "||", "1", "x*",
                "\"", "\\", "%", "IS", "NULL", "NOT", "EXISTS", " ", ",", "...", "-", "?", "é", "'",
            ]), 0..24),
        message in proptest::sample::select(vec!["{\"a\":[1]}", "a b c", "[x] \"y\" z", "é", ""]),
    ) {
        if let Ok(pattern) = Pattern::parse(&parts.concat()) {
            pattern.matches(message);
        }
    }

    #[test]
    fn a_word_matches_as_a_substring(word in "[A-Za-z0-9_]{1,10}", before in ".{0,10}", after in ".{0,10}") {
        let message = format!("{before}{word}{after}");
        prop_assert!(matches(&word, &message));
        let without = format!("-{word}");
        prop_assert!(!matches(&without, &message));
    }
}
