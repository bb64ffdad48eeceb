//! `roadstead simulate`: lives through histories of a simulated control plane with its agents and users, and faults.

use std::time::{Duration, Instant};

use anyhow::anyhow;
use sim::{Amount, Break, Options};

use crate::{advice::Advise, output::say};

/// Arguments of `roadstead simulate`.
#[derive(clap::Args)]
pub struct Args {
    /// The first history: one seed is one history
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How long faults and users act in each, in minutes of its own time
    #[arg(long, default_value_t = Options::of(0).minutes, value_parser = clap::value_parser!(u32).range(1..=1440))]
    minutes: u32,
    /// How many machines there are; a few, as the seed has it, where nothing is said
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    machines: Option<u32>,
    /// How many histories, each of the seed after the one before
    #[arg(long, default_value_t = 1)]
    histories: u64,
    /// Begin no further history after so many hours; without --histories as many as go into them
    #[arg(long)]
    hours: Option<f64>,
    /// How many histories at the same time; without it one a processor, and no more than 8
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Tell on standard error what happens
    #[arg(long)]
    tell: bool,
    /// Give the world a deliberate bug, which has to be found
    #[arg(long = "break", value_name = "BUG", value_parser = bug)]
    bug: Option<Break>,
}

fn bug(name: &str) -> Result<Break, String> {
    let known = || Break::ALL.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    Break::named(name).ok_or_else(|| format!("known are {}", known()))
}

/// Lives through them; fails with the first promise that is broken.
pub fn run(args: Args) -> anyhow::Result<()> {
    let first = Options {
        seed: args.seed,
        minutes: args.minutes,
        machines: args.machines,
        broken: args.bug,
        tells: args.tell,
    };
    let time = args.hours.and_then(|hours| Duration::try_from_secs_f64(hours * 3600.0).ok());
    let histories = if time.is_some() && args.histories == 1 { u64::MAX } else { args.histories };
    let began = Instant::now();
    let jobs = args.jobs.map_or_else(sim::jobs, usize::from);
    match sim::many(first, Amount { histories, time, jobs }) {
        Ok(outcome) => {
            say!("{outcome}, in {:.1} s", began.elapsed().as_secs_f64());
            if let (1, Some(_)) = (outcome.histories, args.bug) {
                say!("the bug was not found by this seed");
            }
            Ok(())
        }
        Err(failure) => {
            let (seed, at_ms, what) = (failure.seed, failure.at_ms, &failure.what);
            Err(anyhow!("a promise is broken by seed {seed} at {at_ms} ms: {what}")).advise(failure.replay())
        }
    }
}
