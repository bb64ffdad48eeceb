//! Many histories, and the replay of one.

// The lint's exception for tests does not reach the helpers of an integration test.
#![allow(clippy::unwrap_used)]

#[path = "it/networks.rs"]
mod networks;
#[path = "it/scenarios.rs"]
mod scenarios;

use std::time::{Duration, Instant};

use sim::{Amount, Break, Options};

/// How long histories are lived through in every run; for the hours of a night with `ROADSTEAD_LONG=1`.
const TIME: Duration = Duration::from_secs(110);
const LONG: Duration = Duration::from_secs(8 * 3600);
/// How many at the same time.
const JOBS: usize = 2;
/// No more than these in the usual run: a quicker machine meets no seed that nobody has seen.
const MOST: u64 = 2000;

#[test]
fn no_history_breaks_a_promise() {
    let (time, histories) =
        if std::env::var_os("ROADSTEAD_LONG").is_some() { (LONG, u64::MAX) } else { (TIME, MOST) };
    let began = Instant::now();
    let all = sim::many(Options::of(0), Amount { histories, time: Some(time), jobs: JOBS });
    let all = all.unwrap_or_else(|failure| panic!("{failure}"));
    println!("{all} in {:?}", began.elapsed());
    let each = |count: u64| count / all.histories.max(1);
    assert!(
        each(all.steps) > 100
            && each(all.started) > 10
            && each(all.restarts) > 0
            && each(all.faults) > 5
            && each(all.noted) > 100
            && all.kept > 0,
        "the histories are too quiet to prove anything: {all:?}"
    );
}

/// One history, or `ROADSTEAD_SIM_HISTORIES` of them, with all that is to be said of each.
#[test]
fn replay() {
    let Ok(seed) = std::env::var("ROADSTEAD_SIM_SEED") else { return };
    let seed: u64 = seed.parse().expect("ROADSTEAD_SIM_SEED is a number");
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let minutes = number("ROADSTEAD_SIM_MINUTES").and_then(|minutes| minutes.try_into().ok());
    let machines = number("ROADSTEAD_SIM_MACHINES").and_then(|many| many.try_into().ok());
    let broken = std::env::var("ROADSTEAD_SIM_BREAK").ok().and_then(|name| Break::named(&name));
    let tells = std::env::var_os("ROADSTEAD_SIM_TELL").is_some();
    let mut failures = 0;
    for seed in seed..seed + number("ROADSTEAD_SIM_HISTORIES").unwrap_or(1) {
        let (usual, began) = (Options::of(seed), Instant::now());
        match sim::run(Options {
            minutes: minutes.unwrap_or(usual.minutes),
            machines,
            broken,
            tells,
            ..usual
        }) {
            Ok(outcome) => println!("seed {seed}: {outcome:?} in {:?}", began.elapsed()),
            Err(failure) => {
                failures += 1;
                println!("{failure} (in {:?})", began.elapsed());
            }
        }
    }
    assert_eq!(failures, 0);
}

#[test]
fn the_same_seed_is_the_same_history() {
    for seed in [7, 8] {
        let one = sim::run(Options::of(seed));
        assert_eq!(one, sim::run(Options::of(seed)));
    }
}

/// How many go at the same time makes no difference, also where a promise is broken.
#[test]
fn the_same_seeds_come_to_the_same_on_one_thread_and_on_some() {
    let many = |broken, jobs| {
        let first = Options { broken, minutes: 4, ..Options::of(20) };
        sim::many(first, Amount { histories: 6, time: None, jobs })
    };
    assert!(many(None, 1).is_ok_and(|all| all.histories == 6));
    for broken in [None, Some(Break::StrategiesDropped)] {
        assert_eq!(many(broken, 1), many(broken, 3));
    }
}

/// Each deliberate bug is found within some seeds.
#[test]
fn every_deliberate_bug_is_found() {
    let mut missed = Vec::new();
    for (name, bug) in Break::ALL {
        let found =
            (0..60).find_map(|seed| sim::run(Options { broken: Some(*bug), ..Options::of(seed) }).err());
        match found {
            Some(failure) => println!("{name}: {failure}"),
            None => missed.push(*name),
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}
