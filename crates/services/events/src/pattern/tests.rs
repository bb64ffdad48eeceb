//! Patterns: what they match, what is refused, and that the matcher agrees with the plain reading and stays cheap.

mod examples;
mod properties;
mod refusals;
mod work;

use super::{Matcher, Pattern};

/// Whether the event matches the pattern, by the matcher.
fn matches(pattern: &str, event: &str) -> bool {
    let pattern = Pattern::parse(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    let alone = pattern.matches(event).expect("an event");
    let mut matcher = Matcher::new();
    matcher.insert("rule", pattern.into());
    let found = matcher.find(event).expect("an event");
    let parsed = serde_json::from_str(event).expect("an event");
    assert_eq!(matcher.find_value(&parsed).expect("an event"), found, "text and value agree");
    assert_eq!(alone, found.rules == ["rule"], "{event}");
    alone
}
