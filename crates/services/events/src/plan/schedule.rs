//! Rules that run on a schedule, in UTC, on the default event bus. When the next run is stands in a row of its own;
//! what fell due while nothing ran is run once.

use state::schedule::{Dialect, Expression, FlexibleTimeWindow, Timetable, Zone};
use wire::Timestamp;

use super::deliver;
use crate::{
    arn::{self, DEFAULT},
    envelope::Envelope,
    rows::{ArrivalRow, Key, RuleRow, ScheduleRow},
    state::Txn,
};

/// A rule has changed: plans its next run, or none.
pub fn plan(txn: &mut Txn, rule: &RuleRow) {
    let next = next_after(rule, txn.now());
    put(txn, &rule.name, next);
}

/// A rule is gone.
pub fn forget(txn: &mut Txn, rule: &RuleRow) {
    if rule.bus == DEFAULT {
        put(txn, &rule.name, None);
    }
}

fn put(txn: &mut Txn, rule: &str, next: Option<Timestamp>) {
    let planned = txn.state.schedule(rule).map(|row| row.next);
    match next {
        _ if planned == next => {}
        Some(next) => txn.put(ScheduleRow { rule: rule.to_owned(), next }),
        None => txn.delete(Key::Schedule(rule.to_owned())),
    }
}

/// The next run of a rule after then.
fn next_after(rule: &RuleRow, after: Timestamp) -> Option<Timestamp> {
    let text = rule.schedule.as_deref().filter(|_| rule.enabled && rule.bus == DEFAULT)?;
    let timetable = Timetable {
        expression: Expression::parse(text, Dialect::Rules).ok()?,
        zone: Zone::utc(),
        created: rule.anchor,
        start: None,
        end: None,
        window: FlexibleTimeWindow::Off,
    };
    timetable.next_after(after)
}

/// The time of a rule has come.
pub fn run(txn: &mut Txn, name: &str) {
    let Some(schedule) = txn.state.schedule(name).cloned() else { return };
    let Some(rule) = txn.state.rule(DEFAULT, name).cloned() else { return put(txn, name, None) };
    if schedule.next > txn.now() {
        return;
    }
    let next = next_after(&rule, txn.now().max(schedule.next));
    put(txn, name, next);
    let id = txn.ids.uuid();
    let envelope = Envelope {
        id: &id,
        detail_type: "Scheduled Event",
        source: "aws.events",
        account: &txn.ctx.account,
        time: schedule.next.as_seconds(),
        region: &txn.ctx.region,
        resources: &[arn::rule(txn.ctx, DEFAULT, name)],
        detail: "{}",
    };
    let Ok(event) = envelope.to_json() else { return };
    let arrival = ArrivalRow {
        id: txn.ids.id(),
        bus: DEFAULT.to_owned(),
        event,
        forwarded: false,
        ingested_at: txn.now(),
        only: Some(name.to_owned()),
        after: None,
    };
    deliver::deliver(txn, arrival);
}

/// The clock was set back: the next run is no later than it would be by the clock as it is.
pub fn set_back(txn: &mut Txn, name: &str) {
    let Some(schedule) = txn.state.schedule(name).cloned() else { return };
    let Some(rule) = txn.state.rule(DEFAULT, name).cloned() else { return put(txn, name, None) };
    // A rate that began in what is the future now begins now.
    let rule = match rule.anchor > txn.now() {
        true => {
            let rule = RuleRow { anchor: txn.now(), ..rule.as_ref().clone() };
            txn.put(rule.clone());
            rule
        }
        false => rule.as_ref().clone(),
    };
    let next = next_after(&rule, txn.now());
    if next.is_some_and(|next| next < schedule.next) {
        put(txn, name, next);
    }
}
