//! From an event to the targets of the rules that it matches.

use state::Id128;

use super::{call, follow, outcome};
use crate::{
    arn::{self, Arn, Resource},
    limits,
    rows::{ArrivalRow, DeliveryRow, Key, RuleRow, TargetRow},
    state::{Target, Txn},
    transform::{Context, RENDERED_MAX},
};

/// Goes on with an event that did not reach all its targets in the step before.
pub fn go_on(txn: &mut Txn, id: Id128) {
    if let Some(row) = txn.state.arrival(id).cloned() {
        deliver(txn, row.as_ref().clone());
    }
}

/// Hands an event to the targets of all rules that it matches, as far as this step has room; the rest follows in
/// the next ones, and whether there is a rest is a row.
pub fn deliver(txn: &mut Txn, mut arrival: ArrivalRow) {
    let stored = txn.state.arrival(arrival.id).is_some();
    if !stored {
        follow::pass(txn, &arrival);
    }
    if txn.full() {
        if !stored {
            txn.put(arrival);
        }
        return;
    }
    for name in rules(txn, &arrival) {
        let from = match &arrival.after {
            Some((rule, _)) if *rule > name => continue,
            Some((rule, target)) if *rule == name => target.clone(),
            _ => String::new(),
        };
        let Some(rule) = txn.state.rule(&arrival.bus, &name).cloned() else { continue };
        let targets: Vec<Target> = txn.state.targets_after(&rule.key(), &from).cloned().collect();
        for target in targets {
            if txn.full() {
                txn.put(arrival);
                return;
            }
            hand(txn, &arrival, &rule, &target);
            arrival.after = Some((name.clone(), target.row.id.clone()));
        }
    }
    if stored {
        txn.delete(Key::Arrival(arrival.id));
    }
}

/// The rules that it matches, in order.
fn rules(txn: &Txn, arrival: &ArrivalRow) -> Vec<String> {
    if let Some(rule) = &arrival.only {
        return vec![rule.clone()];
    }
    let found = txn.state.matcher(&arrival.bus).map(|matcher| matcher.find(&arrival.event));
    // What cannot be read was refused when it came.
    found.and_then(Result::ok).map(|found| found.rules).unwrap_or_default()
}

fn hand(txn: &mut Txn, arrival: &ArrivalRow, rule: &RuleRow, target: &Target) {
    let row = &target.row;
    let to = Arn::parse(&row.arn);
    if to.is_some_and(|arn| arn.service == "events") {
        return forward(txn, arrival, row);
    }
    let Some(input) = render(txn, arrival, rule, target) else {
        let message = "The input of the target cannot be made of the event, or is too long.";
        return outcome::refuse(txn, row, "InvalidInput", message);
    };
    let role = row.role_arn.as_ref().or(rule.role_arn.as_ref());
    let calls = call::of(row, to, role.map(String::as_str), &arrival.event, &input, arrival.ingested_at);
    if calls.is_empty() {
        let message = "The overrides of the task are too long.";
        return outcome::refuse(txn, row, "InvalidParameterException", message);
    }
    for call in calls {
        push(txn, row, call);
    }
}

/// What the target gets, unless that is too much.
fn render(txn: &Txn, arrival: &ArrivalRow, rule: &RuleRow, target: &Target) -> Option<String> {
    let context = Context {
        rule_arn: &arn::rule(txn.ctx, &rule.bus, &rule.name),
        rule_name: &rule.name,
        ingestion_time: &arrival.ingested_at.to_iso8601(),
    };
    let input = target.input.as_ref()?.of(&arrival.event, &context);
    (input.len() <= RENDERED_MAX).then_some(input)
}

/// To another event bus of this account and region, as it is, and to no third one from there: "EventBridge can't
/// route events received from a sender event bus to a third event bus",
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-bus-to-bus.html>.
fn forward(txn: &mut Txn, arrival: &ArrivalRow, row: &TargetRow) {
    if arrival.forwarded {
        return;
    }
    let Ok(Resource::Bus(bus)) = arn::resource(txn.ctx, &row.arn) else { return };
    if txn.state.bus(&bus).is_none() {
        let message = format!("Event bus {bus} does not exist.");
        return outcome::refuse(txn, row, "ResourceNotFoundException", &message);
    }
    let next = ArrivalRow {
        id: txn.ids.id(),
        bus,
        event: arrival.event.clone(),
        forwarded: true,
        ingested_at: txn.now(),
        only: None,
        after: None,
    };
    deliver(txn, next);
}

/// Puts a call into the outbox.
fn push(txn: &mut Txn, row: &TargetRow, call: state::outbox::Call) {
    if !txn.state.has_room() {
        let message = "Too many deliveries wait already.";
        return outcome::refuse(txn, row, "ThrottlingException", message);
    }
    let retry = row.retry.unwrap_or_default();
    let retries = retry.attempts.and_then(|most| u32::try_from(most).ok()).unwrap_or(limits::RETRIES);
    let seconds = retry.age_seconds.map_or(limits::AGE_SECONDS, i64::from);
    let now = txn.now();
    let delivery = DeliveryRow {
        id: txn.ids.id(),
        bus: row.bus.clone(),
        rule: row.rule.clone(),
        target: row.id.clone(),
        call,
        make_stream: false,
        attempts: 0,
        made_at: now,
        not_before: now,
        ends: now.plus_millis(seconds * 1000),
        retries,
        dead_letter: row.dead_letter.clone(),
    };
    txn.put(delivery);
}
