//! Many histories, and the replay of one.

use std::time::Instant;

/// Seeds of every run; more with `ROADSTEAD_LONG=1`.
const SEEDS: u64 = 300;

#[test]
fn no_history_breaks_a_promise() {
    let seeds = if std::env::var_os("ROADSTEAD_LONG").is_some() { 20_000 } else { SEEDS };
    let began = Instant::now();
    let (mut steps, mut tasks, mut faults) = (0, 0, 0);
    for seed in 0..seeds {
        match sim::run(seed) {
            Ok(outcome) => {
                steps += outcome.steps;
                tasks += outcome.tasks_started;
                faults += outcome.faults + outcome.restarts;
            }
            Err(failure) => panic!("{failure}"),
        }
    }
    println!("{seeds} histories: {steps} steps, {tasks} tasks, {faults} faults in {:?}", began.elapsed());
    assert!(
        steps > seeds * 100 && tasks > seeds * 10 && faults > seeds,
        "the histories are too quiet to prove anything"
    );
}

#[test]
fn replay() {
    let Ok(seed) = std::env::var("ROADSTEAD_SIM_SEED") else { return };
    let seed = seed.parse().expect("ROADSTEAD_SIM_SEED is a number");
    match sim::run(seed) {
        Ok(outcome) => println!("seed {seed}: {outcome:?}"),
        Err(failure) => panic!("{failure}"),
    }
}

#[test]
fn the_same_seed_is_the_same_history() {
    assert_eq!(sim::run(7), sim::run(7));
}
