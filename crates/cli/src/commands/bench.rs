//! `roadstead bench`: the measuring client of `make bench`. It speaks to any ECS endpoint as the SDKs do,
//! signed, on kept-alive connections, and prints one line of JSON. It starts no server and judges nothing; `scale` alone
//! runs a control plane in itself.

mod calls;
mod scale;
mod tasks;

use crate::output::say;
use std::time::Duration;

/// Arguments of `roadstead bench`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Make one call and print the answer
    Call(calls::Call),
    /// Make the same call on many connections and print the rate and the latencies
    Calls(calls::Calls),
    /// Start tasks one after another; print the time from RunTask to a RUNNING that a client sees
    Start(tasks::Start),
    /// Start many short tasks; print the rate at which they are over and gone
    Churn(tasks::Churn),
    /// Run the control plane alone, with many tasks and container instances in this process; print rates and ratios
    Scale(scale::Scale),
}

/// Measures.
pub fn run(args: Args) -> anyhow::Result<()> {
    let mut runtime = match args.what {
        What::Scale(_) => tokio::runtime::Builder::new_multi_thread(),
        // One thread, so that the client can be kept on one core.
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = runtime.enable_all().build()?;
    let answer = runtime.block_on(async {
        match args.what {
            What::Call(call) => call.run().await,
            What::Calls(calls) => calls.run().await,
            What::Start(start) => start.run().await,
            What::Churn(churn) => churn.run().await,
            What::Scale(scale) => scale.run().await,
        }
    })?;
    say!("{answer}");
    Ok(())
}

/// What is usually told of a set of latencies, in milliseconds.
fn summary(mut times: Vec<Duration>) -> serde_json::Value {
    times.sort_unstable();
    let ms = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
    let at = |percent: usize| times.get((times.len() * percent / 100).min(times.len().saturating_sub(1)));
    let percentile = |percent| at(percent).copied().map(ms);
    serde_json::json!({
        "count": times.len(),
        "min_ms": percentile(0),
        "p50_ms": percentile(50),
        "p90_ms": percentile(90),
        "p99_ms": percentile(99),
        "max_ms": percentile(100),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_sorted_times() {
        let told = summary((1..=100).rev().map(Duration::from_millis).collect());
        assert_eq!(told["min_ms"], 1.0);
        assert_eq!(told["p50_ms"], 51.0);
        assert_eq!(told["p99_ms"], 100.0);
        assert_eq!(told["max_ms"], 100.0);
        assert_eq!(summary(Vec::new())["p50_ms"], serde_json::Value::Null);
    }
}
