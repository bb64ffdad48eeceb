//! Over random schedules, absences, faults and restarts: every run is carried out once, or is recorded; and what was
//! stored behaves as what was in memory.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;
use state::Domain;
use wire::{Error, Timestamp};

use crate::{
    limits,
    testing::{HOUR, MINUTE, World, encoded},
};

#[derive(Debug, Clone)]
enum Step {
    /// Time passes, and what is due happens at its time.
    Pass(i64),
    /// Nothing runs here for so long.
    Away(i64),
    /// So many calls are made; what comes of each.
    Carry(Vec<u8>),
    /// A call is made, and the process dies before the outcome is written.
    Crash,
    /// The process dies.
    Restart,
    /// Another schedule is changed and changed back: nothing of this one's.
    Describe(u8),
    /// The clock is set back, by less than what makes it count as wrong.
    Back(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3 * HOUR).prop_map(Step::Pass),
        1 => (0..30 * HOUR).prop_map(Step::Away),
        4 => proptest::collection::vec(0..10u8, 0..20).prop_map(Step::Carry),
        1 => Just(Step::Crash),
        2 => Just(Step::Restart),
        1 => (0..9u8).prop_map(Step::Describe),
        1 => (0..limits::SET_BACK_MS / 4).prop_map(Step::Back),
    ]
}

fn expression() -> impl Strategy<Value = String> {
    prop_oneof![
        (5..200u32).prop_map(|n| format!("rate({n} minutes)")),
        (0..60u8, 1..6u8).prop_map(|(minute, hours)| format!("cron({minute} 0/{hours} * * ? *)")),
        (0..24u8).prop_map(|hour| format!("at(2026-11-24T{hour:02}:00:00)")),
    ]
}

/// What became of each run of the schedule `s`.
#[derive(Default)]
struct Seen {
    /// Calls by scheduled time and token: with the same token, a target does it once.
    done: BTreeMap<Timestamp, usize>,
}

fn carry(world: &mut World, seen: &mut Seen, how: &[u8]) {
    for (choice, (id, _)) in how.iter().zip(world.ready()) {
        let run = world.state.invocation(&id).unwrap().run;
        let outcome = match choice {
            0 => Err(Error::unavailable("busy")),
            1 => Err(Error::new("ThrottlingException", 400, "slow")),
            2 => Err(Error::new("ClientException", 400, "no")),
            _ => Ok(json!({})),
        };
        if outcome.is_ok() {
            *seen.done.entry(run).or_default() += 1;
        }
        world.told(id, outcome);
    }
}

fn apply(world: &mut World, seen: &mut Seen, step: &Step) {
    match step {
        Step::Pass(millis) => world.pass(*millis),
        Step::Away(millis) => {
            world.ctx.now = world.ctx.now.plus_millis(*millis);
            world.restart();
            world.settle();
        }
        Step::Carry(how) => carry(world, seen, how),
        Step::Crash => {
            let ready = world.ready();
            world.restart();
            let calls = |ready: &[(state::Id128, state::outbox::Call)]| -> Vec<serde_json::Value> {
                ready.iter().map(|(_, call)| call.input.clone()).collect()
            };
            assert_eq!(calls(&world.ready()), calls(&ready), "a call is made again with the same token");
        }
        Step::Restart => world.restart(),
        Step::Describe(text) => {
            let row = world.row("s");
            let mut request = crate::testing::schedule("s", &row.expression);
            request["Description"] = text.to_string().into();
            request["FlexibleTimeWindow"] = match row.window {
                Some(minutes) => json!({"Mode": "FLEXIBLE", "MaximumWindowInMinutes": minutes}),
                None => json!({"Mode": "OFF"}),
            };
            request["Target"]["RetryPolicy"] = json!({"MaximumEventAgeInSeconds": row.target.max_age});
            world.call("UpdateSchedule", request).unwrap();
        }
        Step::Back(millis) => {
            world.set_clock(world.ctx.now.plus_millis(-*millis));
            world.settle();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_run_is_carried_out_once_or_is_recorded(
        expression in expression(),
        window in prop_oneof![Just(None), (1..200u16).prop_map(Some)],
        age in prop_oneof![Just(86_400), 60..86_400i32],
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let mut world = World::new();
        let window = match window {
            Some(minutes) => json!({"Mode": "FLEXIBLE", "MaximumWindowInMinutes": minutes}),
            None => json!({"Mode": "OFF"}),
        };
        let policy = json!({"RetryPolicy": {"MaximumEventAgeInSeconds": age}});
        world.schedule("s", &expression, json!({"FlexibleTimeWindow": window, "Target": policy}));
        let table = world.row("s").timetable().unwrap();
        let begin = world.ctx.now.plus_millis(-1);
        let mut seen = Seen::default();
        for step in &steps {
            apply(&mut world, &mut seen, step);
        }
        // Everything that began ends, with a target that is well again.
        // New ones may come as long as that takes.
        let begun = world.ctx.now;
        while world.state.invocations().any(|run| run.run <= begun) {
            let ready = world.ready();
            carry(&mut world, &mut seen, &vec![9; ready.len()]);
            world.pass(if ready.is_empty() { MINUTE } else { 0 });
        }
        for (run, times) in &seen.done {
            prop_assert_eq!(*times, 1, "{} ran {} times", run.to_iso8601(), times);
        }
        let last = world.row("s").last;
        let expected = last.and_then(|last| table.runs_between(begin, last)).map_or(0, |runs| runs.count);
        let failed: u64 = world.state.failures().map(|row| row.runs).sum();
        let going = world.state.invocation_count() as u64;
        prop_assert_eq!(seen.done.len() as u64 + failed + going, expected, "of {} until {:?}", expression, last);
        // No run is left out: the next one is the first after the last.
        let next = world.row("s").next.map(|next| next.run);
        prop_assert_eq!(next, table.next_after(last.unwrap_or(begin)));
    }

    #[test]
    fn what_was_stored_behaves_as_what_was_in_memory(
        expressions in proptest::collection::vec(expression(), 1..4),
        steps in proptest::collection::vec(step(), 1..20),
    ) {
        let mut world = World::new();
        world.schedule("s", "rate(30 minutes)", json!({}));
        for (n, expression) in expressions.iter().enumerate() {
            let tags = json!([{"key": "roadstead:concurrency", "value": "1"}]);
            let target = json!({"EcsParameters": {"Tags": tags}});
            let more = json!({"Target": target, "ActionAfterCompletion": "DELETE"});
            world.schedule(&format!("t{n}"), expression, more);
        }
        let (mut seen, mut also) = (Seen::default(), Seen::default());
        for step in steps.iter().filter(|step| !matches!(step, Step::Restart | Step::Crash | Step::Away(_))) {
            let mut other = world.clone();
            other.restart();
            prop_assert_eq!(other.state.agenda().wake_at().is_some(), world.state.agenda().wake_at().is_some());
            apply(&mut world, &mut seen, step);
            apply(&mut other, &mut also, step);
            prop_assert_eq!(encoded(&world.state), encoded(&other.state));
            prop_assert_eq!(world.ready(), other.ready());
        }
    }
}
