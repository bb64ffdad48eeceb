//! Many histories, some at the same time, each on a thread of its own, until one breaks a promise.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use crate::{Failure, Options, Outcome, run};

/// As many at the same time, where nobody says.
const MOST_JOBS: usize = 8;

/// How many histories.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    pub histories: u64,
    /// None begins once so much time has passed.
    pub time: Option<Duration>,
    /// How many at the same time.
    pub jobs: usize,
}

/// How many histories go at the same time where nobody says: one a processor of this host, up to a limit.
pub fn jobs() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(MOST_JOBS)
}

/// Lives through the history of a seed and those of the seeds that follow it. What comes of them does not depend on how many
/// go at the same time: they begin in the order of their seeds, and one that has begun goes on to its end.
///
/// # Errors
/// Of the promises that were broken that of the lowest seed.
pub fn many(first: Options, amount: Amount) -> Result<Outcome, Failure> {
    let (next, end) =
        (AtomicU64::new(first.seed), AtomicU64::new(first.seed.saturating_add(amount.histories)));
    let began = Instant::now();
    let work = || {
        let mut all = Outcome::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let is_over = amount.time.is_some_and(|time| began.elapsed() > time);
            if is_over || seed >= end.load(Ordering::Relaxed) {
                return Ok(all);
            }
            match run(Options { seed, ..first }) {
                Ok(outcome) => all.add(&outcome),
                Err(failure) => {
                    end.store(0, Ordering::Relaxed);
                    return Err(failure);
                }
            }
        }
    };
    let outcomes: Vec<Result<Outcome, Failure>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..amount.jobs.max(1)).map(|_| scope.spawn(work)).collect();
        let outcome = |worker: std::thread::ScopedJoinHandle<'_, _>| {
            worker.join().unwrap_or_else(|why| std::panic::resume_unwind(why))
        };
        workers.into_iter().map(outcome).collect()
    });
    let mut all = Outcome::default();
    let mut failures = Vec::new();
    for outcome in outcomes {
        match outcome {
            Ok(outcome) => all.add(&outcome),
            Err(failure) => failures.push(failure),
        }
    }
    match failures.into_iter().min_by_key(|failure| failure.seed) {
        Some(failure) => Err(failure),
        None => Ok(all),
    }
}
