//! Times round-trip through every form that AWS uses.

use super::Timestamp;

#[test]
fn json_is_seconds_with_a_fraction() {
    let json = |time: Timestamp| serde_json::to_string(&time).unwrap();
    assert_eq!(json(Timestamp(1_700_000_000_123)), "1700000000.123");
    assert_eq!(json(Timestamp(1_700_000_000_000)), "1700000000");
    for text in ["1700000000.123", "1.700000000123E9", "\"2023-11-14T22:13:20.123Z\""] {
        assert_eq!(serde_json::from_str::<Timestamp>(text).unwrap(), Timestamp(1_700_000_000_123), "{text}");
    }
    for text in ["1e300", "\"soon\"", "true", "null"] {
        assert!(serde_json::from_str::<Timestamp>(text).is_err(), "{text}");
    }
}

#[test]
fn text_forms() {
    let time = Timestamp(1_700_000_000_123);
    assert_eq!(time.to_iso8601(), "2023-11-14T22:13:20.123Z");
    assert_eq!(Timestamp::parse_iso8601("2023-11-14T23:13:20.123+01:00"), Some(time));
    assert_eq!(time.to_amz_date(), "20231114T221320Z");
    assert_eq!(Timestamp::parse_amz_date("20231114T221320Z"), Some(Timestamp(1_700_000_000_000)));
    for text in ["", "20231114T2213200", "20231314T221320Z", "20231114T+21320Z", "2023111\u{e9}T22132Z"] {
        assert_eq!(Timestamp::parse_amz_date(text), None, "{text}");
    }
    // Out of range is clamped, not a panic.
    assert!(Timestamp(i64::MAX).to_iso8601().starts_with("9999"));
}
