//! Keys, spans and limits, without an engine.

use proptest::prelude::*;

use super::*;

#[test]
fn a_prefix_span_ends_at_the_next_string() {
    let ends = [("", None), ("a", Some("b")), ("a/", Some("a0")), ("\u{D7FF}", Some("\u{E000}"))];
    for (prefix, end) in ends {
        assert_eq!(Span::prefix(prefix).end(), end, "{prefix:?}");
    }
    assert_eq!(Span::prefix("a\u{10FFFF}").end(), Some("b"));
    assert_eq!(Span::prefix("\u{10FFFF}").end(), None);
}

#[test]
fn commits_beyond_the_limits_are_refused() {
    let big = vec![0; limits::MAX_VALUE_BYTES];
    let many = (0..=limits::MAX_CHANGES).fold(Commit::new(), |commit, i| commit.delete(format!("{i}")));
    let heavy = (0..9).fold(Commit::new(), |commit, i| commit.put(format!("{i}"), big.clone()));
    let refused = [
        ("empty key", Commit::new().put("", "")),
        ("NUL in key", Commit::new().delete("a\0b")),
        ("long key", Commit::new().put("k".repeat(limits::MAX_KEY_BYTES + 1), "")),
        ("large value", Commit::new().put("k", vec![0; limits::MAX_VALUE_BYTES + 1])),
        ("key twice", Commit::new().put("k", "").delete("k")),
        ("many changes", many),
        ("heavy commit", heavy),
    ];
    for (what, commit) in refused {
        assert!(matches!(commit.validate(), Err(Error::Invalid(_))), "{what}");
    }
    let taken = Commit::new().put("k".repeat(limits::MAX_KEY_BYTES), big).delete("é");
    assert_eq!(taken.validate(), Ok(()));
}

proptest! {
    #[test]
    fn a_prefix_span_holds_what_begins_with_it(prefix in ".{0,3}", key in ".{0,4}") {
        prop_assert_eq!(Span::prefix(&prefix).contains(&key), key.starts_with(&prefix));
        let longer = format!("{prefix}{key}");
        prop_assert!(Span::prefix(&prefix).contains(&longer));
    }

    #[test]
    fn after_a_key_comes_the_rest(start in "[a-c]{0,2}", key in "[a-c]{1,3}", other in "[a-c]{1,3}") {
        let span = Span::prefix(&start);
        prop_assert_eq!(span.after(&key).contains(&other), span.contains(&other) && other > key);
    }
}
