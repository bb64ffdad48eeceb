//! Calls: one to look at, or as many as can be made.

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::task::LocalSet;

use super::{
    super::client::{Client, Target},
    summary,
};

/// Before anything is counted.
const WARM_UP: Duration = Duration::from_millis(500);
/// In a body, stands for a number that no other call of this run has.
const NUMBER: &str = "{n}";

/// Arguments of `roadstead bench call`.
#[derive(clap::Args)]
pub struct Call {
    #[command(flatten)]
    target: Target,
    /// Operation, such as DescribeTasks
    operation: String,
    /// Its input, JSON
    #[arg(default_value = "{}")]
    body: String,
}

impl Call {
    /// The answer.
    pub async fn run(self) -> anyhow::Result<Value> {
        let mut client = Client::connect(&self.target).await?;
        Ok(serde_json::from_slice(&client.call(&self.operation, self.body).await?)?)
    }
}

/// Arguments of `roadstead bench calls`.
#[derive(clap::Args)]
pub struct Calls {
    #[command(flatten)]
    target: Target,
    /// Operation, such as DescribeTasks
    operation: String,
    /// Its input, JSON; `{n}` becomes a number of its own in every call
    #[arg(default_value = "{}")]
    body: String,
    /// Connections, each with one call at a time
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// For how long
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

/// What the connections of a run have in common.
struct Run {
    operation: String,
    body: String,
    next: Cell<u64>,
    /// Counted are the calls that begin after this,
    begin: Instant,
    /// and end before this.
    end: Instant,
}

impl Calls {
    /// Rate and latencies.
    pub async fn run(self) -> anyhow::Result<Value> {
        let mut clients = Vec::new();
        for _ in 0..self.connections {
            clients.push(Client::connect(&self.target).await?);
        }
        let begin = Instant::now() + WARM_UP;
        let end = begin + Duration::from_secs_f64(self.seconds);
        let run = Run { operation: self.operation, body: self.body, next: Cell::new(0), begin, end };
        let run = Rc::new(run);
        let local = LocalSet::new();
        let working: Vec<_> =
            clients.into_iter().map(|client| local.spawn_local(repeat(client, run.clone()))).collect();
        let mut times = Vec::new();
        local
            .run_until(async {
                for worker in working {
                    times.extend(worker.await??);
                }
                anyhow::Ok(())
            })
            .await?;
        let per_second = (times.len() as f64 / self.seconds).round();
        Ok(json!({ "per_second": per_second, "latency": summary(times) }))
    }
}

/// Calls until the time is over; how long each took. The first failure ends it: a rate of errors is none.
async fn repeat(mut client: Client, run: Rc<Run>) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::new();
    loop {
        let number = run.next.replace(run.next.get() + 1);
        let body = run.body.replace(NUMBER, &number.to_string());
        let at = Instant::now();
        if at >= run.end {
            return Ok(times);
        }
        client.call(&run.operation, body).await?;
        if at >= run.begin && Instant::now() <= run.end {
            times.push(at.elapsed());
        }
    }
}
