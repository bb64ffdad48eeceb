//! Patterns as Go reads them: what each finds, what it does not, and what Go refuses.

use proptest::prelude::*;

use super::*;

#[test]
fn patterns_mean_what_they_mean_to_go() {
    for (pattern, found, not) in [
        (r"^{", &["{\"a\":1}"][..], &["a{"][..]),
        (r"^\{", &["{"], &["x"]),
        (r"a{,2}", &["a{,2}"], &["aa"]),
        (r"a{x}", &["a{x}"], &["a"]),
        (r"a{2", &["a{2"], &["aa"]),
        (r"a{01}", &["a{01}"], &["a"]),
        (r"^a{2,3}$", &["aa", "aaa"], &["a", "aaaa"]),
        (r"^a{2,}?b", &["aaab"], &["ab"]),
        (r"}]", &["}]"], &["]}"]),
        (r"\QSTART.\E+", &["START..."], &["STARTx"]),
        (r"\Qa|b", &["a|b"], &["a"]),
        (r"^\Q\E$", &[""], &["x"]),
        (r"end\z", &["the end"], &["the end\n"]),
        (r"^\d+$", &["12"], &["\u{663}", "1a"]),
        (r"^\w+$", &["a_1"], &["\u{e9}"]),
        (r"a\sb", &["a b", "a\tb", "a\x0cb"], &["a\x0bb", "a\u{a0}b"]),
        (r"\bERR\b", &["an ERR."], &["ERRA"]),
        (r"\bx", &["\u{e9}x"], &["ax"]),
        (r"^.$", &["\u{e9}", "x"], &["\n", "xy"]),
        (r"(?s)^.$", &["\n"], &[""]),
        (r"(?U)^a+$", &["aa"], &["b"]),
        (r"(?i)error", &["ERROR", "eRRor"], &["err"]),
        (r"(?i:e)r", &["Er"], &["eR"]),
        (r"(?m)^b", &["a\nb"], &["ab"]),
        (r"^b", &["b"], &["a\nb"]),
        (r"a$", &["ba"], &["a\n"]),
        (r"(?P<year>\d{4})-(?<1>\d)", &["2026-1"], &["26-1"]),
        (r"[[:alpha:]]+\d", &["ab1"], &["11"]),
        (r"^[[:^digit:]]$", &["a"], &["1"]),
        (r"^[[a]$", &["[", "a"], &["]"]),
        (r"^[]a]$", &["]", "a"], &["["]),
        (r"^[^]a]$", &["b", "\n"], &["]", "a"]),
        (r"^[a&&b]$", &["a", "&", "b"], &["c"]),
        (r"^[a~~b]$", &["~"], &["c"]),
        (r"^[!--]$", &["-", "!", "+"], &["a"]),
        (r"^[a-b-d]$", &["a", "-", "d"], &["c"]),
        (r"^[\d-z]$", &["1", "-", "z"], &["a"]),
        (r"^[\D]$", &["a"], &["1"]),
        (r"^[^\D]$", &["1"], &["a"]),
        (r"^[\w.]+$", &["a.b"], &["a b"]),
        (r"^[[:word:]\x{e9}]$", &["\u{e9}", "_"], &["-"]),
        (r"^\pL\p{Greek}\P{^Lu}$", &["a\u{3b1}A"], &["a\u{3b1}a"]),
        (r"^[\pL\PL]$", &["1", "a"], &[""]),
        (r"^\p{^L}$", &["1"], &["a"]),
        (r"\012", &["\n"], &["12"]),
        (r"^\0$", &["\0"], &["0"]),
        (r"\x41\x{1F600}\a\f\v\r\t", &["A\u{1F600}\x07\x0c\x0b\r\t"], &["A"]),
        (r"\<b\>\_\-\ ", &["<b>_- "], &["b"]),
        ("a b # c", &["a b # c"], &["ab"]),
        (r"^(?:\[|\|)x", &["[x", "|x"], &["x"]),
        (r"a||b|", &[""], &[]),
        (r"^*a", &["ba"], &["b"]),
        ("", &["", "x"], &[]),
    ] {
        let regexp = Regexp::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        for text in found {
            assert!(regexp.is_match(text.as_bytes()), "{pattern} is not found in {text:?}");
        }
        for text in not {
            assert!(!regexp.is_match(text.as_bytes()), "{pattern} is found in {text:?}");
        }
    }
}

#[test]
fn what_is_not_utf8_is_read_as_go_reads_it() {
    let three = Regexp::new("^...$").unwrap();
    assert!(three.is_match(b"a\xf0\x9f") && three.is_match(b"\xff\xff\xff"));
    assert!(!three.is_match(b"a\xff"));
    assert!(Regexp::new(r"^\x{FFFD}x").unwrap().is_match(b"\xffx"));
}

#[test]
fn what_go_refuses_is_refused_in_its_words() {
    for (pattern, what) in [
        ("*", "missing argument to repetition operator: `*`"),
        ("a|*", "missing argument to repetition operator: `*`"),
        ("(+)", "missing argument to repetition operator: `+`"),
        ("{2}", "missing argument to repetition operator: `{2}`"),
        ("a**", "invalid nested repetition operator: `*`"),
        ("a*+", "invalid nested repetition operator: `+`"),
        ("a{2}{3}", "invalid nested repetition operator: `{3}`"),
        ("a???", "invalid nested repetition operator: `?`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("a{3,2}", "invalid repeat count: `{3,2}`"),
        ("a{99999999999}", "invalid repeat count: `{99999999999}`"),
        ("(?!dev).*", "invalid or unsupported Perl syntax"),
        ("(?<=a)b", "invalid named capture"),
        ("(?x)a b", "invalid or unsupported Perl syntax: `?x)`"),
        ("(?>a)", "invalid or unsupported Perl syntax"),
        ("(?P<a>x)(?P<a>y)", "duplicate capture group name: `a`"),
        ("(?i", "missing closing )"),
        (r"(a)\1", r"invalid escape sequence: `\1`"),
        (r"\C", r"invalid escape sequence: `\C`"),
        (r"a\Z", r"invalid escape sequence: `\Z`"),
        (r"\E", r"invalid escape sequence: `\E`"),
        (r"\h", r"invalid escape sequence: `\h`"),
        (r"\8", r"invalid escape sequence: `\8`"),
        (r"\xz", r"invalid escape sequence: `\x`"),
        (r"\x{110000}", r"invalid escape sequence: `\x`"),
        (r"[\b]", r"invalid escape sequence: `\b`"),
        ("\\\u{e9}", "invalid escape sequence: `\\\u{e9}`"),
        ("a\\", "trailing backslash at end of expression: ``"),
        ("[\\", "trailing backslash at end of expression: ``"),
        ("[", "missing closing ]: `[`"),
        ("[]", "missing closing ]: `[]`"),
        ("[a-", "missing closing ]: `[a-`"),
        ("[z-a]", "invalid character class range: `z-a`"),
        ("[[:nope:]]", "invalid character class range: `[:nope:]`"),
        (r"\p{Nope}", "invalid syntax"),
        (r"\p{L&}", "invalid character class range"),
        (r"\p", "invalid character class range"),
        ("(a", "missing closing ): `(a`"),
        ("a)b", "unexpected ): `)b`"),
        (r"(\pL{1000}){1000}", "expression is too large"),
    ] {
        let error = Regexp::new(pattern).expect_err(pattern).to_string();
        assert!(error.contains(what), "{pattern}: {error}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(pattern in r"[\\\[\](){}?*+|^$.:a-z0-9,PQEx<>=!é-]{0,24}", text in prop::collection::vec(any::<u8>(), 0..16)) {
        if let Ok(regexp) = Regexp::new(&pattern) {
            regexp.is_match(&text);
        }
    }
}
