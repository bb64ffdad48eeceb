//! The `roadstead` program: the only place that wires the parts together.
//!
//! Exit codes: 0 done; 1 it failed; 2 the command line is wrong; 64 the configuration is wrong.

mod advice;
mod commands;
mod config;
mod data_dir;
mod doctor;
mod length;
mod output;
mod progress;
mod running;
mod services;
mod takeover;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Amazon ECS on your own machines.
#[derive(Parser)]
#[command(name = "roadstead", version, about = "Amazon ECS on your own machines", after_help = EXIT_CODES)]
struct Cli {
    // The command's own settings have the values.
    #[command(flatten)]
    _place: commands::up::Place,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str =
    "Exit codes: 0 done; 1 it failed; 2 the command line is wrong; 64 the configuration is wrong.";

#[derive(Subcommand)]
enum Command {
    /// Run everything on this machine: control plane and one agent, in the foreground
    Up(commands::up::Args),
    /// Run the control plane alone
    Server(commands::up::Args),
    /// Run an agent alone, against a control plane elsewhere
    Agent(commands::agent::Args),
    /// Keys for agents that bring none of their own
    AgentKey(commands::agent_key::Args),
    /// Tokens by which other hosts join this control plane
    Token(commands::token::Args),
    /// The CA of this control plane, by which agents and clients know it
    Tls(commands::tls::Args),
    /// Stop every task of a data directory and remove what they made on this host
    Down(commands::down::Args),
    /// Print the settings that point the AWS CLI and SDKs here
    Env(commands::env::Args),
    /// Images on this host
    Image(commands::image::Args),
    /// Write a consistent copy of the state while the control plane runs
    Backup(commands::backup::Args),
    /// List the rows that could not be read and were set aside; put them back or forget them
    Repair(commands::repair::Args),
    /// Show the events of the default event bus
    Events(commands::events::Args),
    /// Say why a task, service, deployment or container instance is in its state
    Explain(commands::explain::Args),
    /// Change a service by several calls of ECS
    Service(commands::service::Args),
    /// List the calls of rules and schedules that were given up
    Failures(commands::failures::Args),
    /// Say how much of what each capacity provider has is needed
    Capacity(commands::capacity::Args),
    /// Interrupt tasks of FARGATE_SPOT
    Fargate(commands::fargate::Args),
    /// Measure a control plane, as `make bench` does
    Bench(commands::bench::Args),
    /// Live through simulated histories with faults, and check that every promise holds
    Simulate(commands::simulate::Args),
    /// Check that this machine can run tasks, and say how to mend what is missing
    Doctor(commands::doctor::Args),
}

fn main() -> ExitCode {
    // A supervisor must be small: nothing may be set up before it takes over.
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == "supervise") {
        return engine::native::supervisor::main(words);
    }
    let cli = Cli::parse();
    let otherwise = cli.command.otherwise();
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", advice::told(&error, otherwise));
            let bad_configuration = error.chain().any(|cause| cause.is::<config::Error>());
            ExitCode::from(if bad_configuration { 64 } else { 1 })
        }
    }
}

impl Command {
    /// What to try when a command fails, and the error tells no more.
    fn otherwise(&self) -> &'static str {
        match self {
            Command::Up(_) | Command::Server(_) | Command::Agent(_) => {
                "`roadstead doctor`, which looks for what this machine lacks"
            }
            Command::Down(_) => "again; `roadstead doctor` says whether something is in the way",
            Command::AgentKey(_) => "`roadstead agent-key --help`",
            Command::Token(_) | Command::Tls(_) => "docs/joining.md",
            Command::Env(_) => "`roadstead env --help`",
            Command::Image(_) => "`roadstead image --help`",
            Command::Backup(_) => "another file, on a disk with room for the state",
            Command::Repair(_) => "`roadstead repair --help`, or docs/repair.md",
            Command::Events(_) => {
                "`roadstead env`, which says how to reach the control plane, or docs/events.md"
            }
            Command::Explain(_) => {
                "`--cluster` where it is not in `default`, or `roadstead env`, which says how to reach the control plane"
            }
            Command::Service(_) => {
                "`roadstead service --help`, or `roadstead env`, which says how to reach the control plane"
            }
            Command::Fargate(_) => {
                "`--cluster` where it is not in `default`, or `roadstead env`, which says how to reach the control plane"
            }
            Command::Failures(_) | Command::Capacity(_) => "`--data-dir` of a control plane on this host",
            Command::Bench(_) => {
                "`roadstead up` in another terminal, and `--endpoint` with the address that it says"
            }
            Command::Simulate(_) => "`roadstead simulate --help`",
            Command::Doctor(_) => "what stands behind `mend`, then `roadstead doctor` again",
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Up(args) => commands::up::run(args, commands::up::Parts::All),
        Command::Server(args) => commands::up::run(args, commands::up::Parts::Server),
        Command::Agent(args) => commands::agent::run(args),
        Command::AgentKey(args) => commands::agent_key::run(args),
        Command::Token(args) => commands::token::run(args),
        Command::Tls(args) => commands::tls::run(args),
        Command::Down(args) => commands::down::run(args),
        Command::Env(args) => commands::env::run(args),
        Command::Image(args) => commands::image::run(args),
        Command::Backup(args) => commands::backup::run(args),
        Command::Repair(args) => commands::repair::run(args),
        Command::Events(args) => commands::events::run(args),
        Command::Explain(args) => commands::explain::run(args),
        Command::Service(args) => commands::service::run(args),
        Command::Failures(args) => commands::failures::run(args),
        Command::Capacity(args) => commands::capacity::run(args),
        Command::Fargate(args) => commands::fargate::run(args),
        Command::Bench(args) => commands::bench::run(args),
        Command::Simulate(args) => commands::simulate::run(args),
        Command::Doctor(args) => commands::doctor::run(args),
    }
}
