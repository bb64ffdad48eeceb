//! Tests of schedule expressions: what the guides and the services say of grammar, runs and time zones, and
//! properties against a clock that is watched minute by minute.

mod fixed;
mod grammar;
mod oracle;
mod zones;

use wire::Timestamp;

use super::{Dialect, Expression, Zone};

/// Long before all tests: the anchor where it does not matter.
const EPOCH: Timestamp = Timestamp(0);

fn time(text: &str) -> Timestamp {
    Timestamp::parse_iso8601(text).expect("a time")
}

fn rule(text: &str) -> Expression {
    Expression::parse(text, Dialect::Rules).expect(text)
}

fn schedule(text: &str) -> Expression {
    Expression::parse(text, Dialect::Scheduler).expect(text)
}

fn zone(name: &str) -> Zone {
    Zone::named(name).expect(name)
}

/// The first `count` runs after `after`, as `2026-11-23T10:00Z`.
fn runs(expression: &Expression, zone: &Zone, after: &str, count: usize) -> Vec<String> {
    let next = |time: &Timestamp| expression.next_after(EPOCH, *time, zone);
    let runs = std::iter::successors(next(&time(after)), next);
    runs.take(count).map(|run| run.to_iso8601().replace(":00.000Z", "Z")).collect()
}

/// As [`runs`], of a rule.
fn of_rule(text: &str, after: &str, count: usize) -> Vec<String> {
    runs(&rule(text), &Zone::utc(), after, count)
}
