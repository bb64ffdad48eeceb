//! The matcher against the plain reading, on patterns and events made up so that they often meet.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::pattern::{Matcher, Pattern, naive};

const KEYS: [&str; 4] = ["a", "b", "c", "d-e"];
const TEXTS: [&str; 12] =
    ["", "a", "ab", "abc", "abab", "b", "B", "AB", "é", "10.0.0.1", "10.0.0.200", "2001:db8::1"];

fn number() -> impl Strategy<Value = Value> {
    select(vec![json!(0), json!(1), json!(1.5), json!(-2), json!(2.0), json!(5e9), json!(6_000_000_000_u64)])
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => select(TEXTS.to_vec()).prop_map(|text| json!(text)),
        2 => number(),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ]
}

fn range() -> impl Strategy<Value = Value> {
    prop_oneof![
        select(vec!["=", "<", "<=", ">", ">="]).prop_map(|operator| json!([operator, 1])),
        (select(vec![">", ">="]), select(vec!["<", "<="])).prop_map(|(low, high)| json!([low, 0, high, 2])),
    ]
}

fn texts() -> impl Strategy<Value = Value> {
    prop_oneof![
        select(TEXTS[1..].to_vec()).prop_map(|text| json!(text)),
        prop::collection::vec(select(TEXTS[1..].to_vec()), 1..3).prop_map(|texts| json!(texts)),
    ]
}

fn wildcard() -> impl Strategy<Value = Value> {
    select(vec!["a*", "*b", "a*c", "*", "*a*", "ab", "a*b*", "*b*b", "", "\\*", "10.*.1", "*é"])
        .prop_map(|text| json!(text))
}

fn leaf() -> impl Strategy<Value = Value> {
    let text = || select(TEXTS.to_vec());
    prop_oneof![
        6 => scalar(),
        1 => text().prop_map(|text| json!({"prefix": text})),
        1 => text().prop_map(|text| json!({"suffix": text})),
        1 => text().prop_map(|text| json!({"equals-ignore-case": text})),
        1 => text().prop_map(|text| json!({"prefix": {"equals-ignore-case": text}})),
        1 => text().prop_map(|text| json!({"suffix": {"equals-ignore-case": text}})),
        1 => wildcard().prop_map(|text| json!({"wildcard": text})),
        2 => range().prop_map(|range| json!({"numeric": range})),
        1 => select(vec!["10.0.0.0/24", "10.0.0.128/25", "0.0.0.0/0", "2001:db8::/32"])
            .prop_map(|block| json!({"cidr": block})),
        2 => any::<bool>().prop_map(|there| json!({"exists": there})),
        1 => texts().prop_map(|texts| json!({"anything-but": texts})),
        1 => select(vec![json!(1), json!([1, 2]), json!([1.5, -2])])
            .prop_map(|numbers| json!({"anything-but": numbers})),
        1 => (select(vec!["prefix", "suffix", "equals-ignore-case"]), texts())
            .prop_map(|(operator, texts)| json!({"anything-but": {operator: texts}})),
        1 => prop_oneof![wildcard(), prop::collection::vec(wildcard(), 1..3).prop_map(Value::from)]
            .prop_map(|texts| json!({"anything-but": {"wildcard": texts}})),
    ]
}

fn fields() -> impl Strategy<Value = Value> {
    let leaves = prop::collection::vec(leaf(), 1..3).prop_map(Value::from);
    leaves.prop_recursive(3, 12, 3, |inner| {
        let object =
            prop::collection::btree_map(select(KEYS.to_vec()), inner, 1..4).prop_map(|map| json!(map));
        prop_oneof![
            3 => object.clone(),
            1 => (object.clone(), object.clone(), object).prop_map(|(mut around, one, other)| {
                let alternatives: Vec<Value> = [one, other].into_iter().filter(Value::is_object).collect();
                if alternatives.len() == 2 {
                    around["$or"] = json!(alternatives);
                }
                around
            }),
        ]
    })
}

fn pattern() -> impl Strategy<Value = Arc<Pattern>> {
    prop::collection::btree_map(select(KEYS.to_vec()), fields(), 1..4).prop_map(|map| {
        let text = json!(map).to_string();
        Arc::new(Pattern::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}")))
    })
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            2 => prop::collection::btree_map(select(KEYS.to_vec()), inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

fn event() -> impl Strategy<Value = Value> {
    prop::collection::btree_map(select(KEYS.to_vec()), value(), 0..5).prop_map(|map| json!(map))
}

fn check(matcher: &Matcher<usize>, patterns: &[(usize, Arc<Pattern>)], event: &Value) {
    let text = event.to_string();
    let found = matcher.find(&text).expect("an event").rules;
    assert_eq!(found, matcher.find_value(event).expect("an event").rules, "{event}");
    let wanted: Vec<usize> = patterns
        .iter()
        .filter(|(_, pattern)| naive::matches(pattern, event))
        .map(|(rule, _)| *rule)
        .collect();
    assert_eq!(found, wanted, "{event} of {patterns:#?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn the_matcher_is_the_plain_reading(
        patterns in prop::collection::vec(pattern(), 1..12),
        events in prop::collection::vec(event(), 1..6),
        gone in any::<u16>(),
    ) {
        let all: Vec<(usize, Arc<Pattern>)> = patterns.into_iter().enumerate().collect();
        let mut matcher = Matcher::new();
        for (rule, pattern) in &all {
            matcher.insert(*rule, Arc::clone(pattern));
        }
        let before = matcher.clone();
        let is_left = |rule: usize| gone >> rule & 1 == 0;
        for (rule, _) in all.iter().filter(|(rule, _)| !is_left(*rule)) {
            prop_assert!(matcher.remove(rule));
        }
        let left: Vec<_> = all.iter().filter(|(rule, _)| is_left(*rule)).cloned().collect();
        for event in &events {
            check(&before, &all, event);
            check(&matcher, &left, event);
        }
        // Another pattern for each rule, and then none.
        let turned: Vec<_> = all.iter().map(|(rule, _)| (*rule, Arc::clone(&all[all.len() - 1 - rule].1))).collect();
        for (rule, pattern) in &turned {
            matcher.insert(*rule, Arc::clone(pattern));
        }
        prop_assert_eq!(matcher.len(), all.len());
        for event in &events {
            check(&matcher, &turned, event);
        }
        for (rule, _) in &all {
            prop_assert!(matcher.remove(rule));
        }
        prop_assert!(matcher.is_bare() && !before.is_bare());
    }

    #[test]
    fn no_text_does_harm(pattern in "\\PC{0,40}", event in "[\\[\\]{}\",:a$0-9.*\\\\-]{0,40}") {
        let _ = Pattern::parse(&pattern);
        let _ = Pattern::parse(&event);
        let mut matcher = Matcher::new();
        matcher.insert(1, Pattern::parse(r#"{"a": [{"wildcard": "*a*"}], "0": [{"exists": false}]}"#).unwrap().into());
        let _ = matcher.find(&event);
    }
}
