//! Use of resources by running containers: samples of the engine, put together for TCS. Samples come each
//! second while few containers run, and more slowly with many; with none, nothing is done at all.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use agent_protocol::tcs;
use engine::{ContainerId, Stats};
use tokio::time::Instant;

use crate::host::{Host, Snapshot};

const PERIOD: Duration = Duration::from_secs(1);
/// Containers that may be sampled each second; with more, all are sampled less often.
const PER_SECOND: usize = 25;

/// Samples, and what they add up to.
pub(crate) struct Sampler {
    host: Arc<Host>,
    next: Instant,
    /// Of this period; the first is the last of the period before.
    samples: BTreeMap<ContainerId, Vec<Stats>>,
}

impl Sampler {
    pub(crate) fn new(host: Arc<Host>) -> Sampler {
        Sampler { host, next: Instant::now() + PERIOD, samples: BTreeMap::new() }
    }

    /// Waits for the time of the next sample and takes it. Safe to drop.
    pub(crate) async fn sample(&mut self) {
        tokio::time::sleep_until(self.next).await;
        let running: Vec<ContainerId> = self
            .host
            .snapshots()
            .into_iter()
            .flat_map(|task| task.containers)
            .filter(|container| container.running)
            .map(|container| container.id)
            .collect();
        self.next =
            Instant::now() + PERIOD.max(PERIOD * u32::try_from(running.len() / PER_SECOND).unwrap_or(60));
        for id in running {
            // One that ends just now has no statistics.
            if let Ok(stats) = self.host.engine.stats(&id).await {
                self.samples.entry(id).or_default().push(stats);
            }
        }
    }

    /// What the samples since the last call say, task by task. Containers that were sampled less than
    /// twice are left out.
    pub(crate) fn take(&mut self) -> Vec<tcs::TaskMetric> {
        let mut samples = std::mem::take(&mut self.samples);
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let snapshots = self.host.snapshots();
        let metrics = snapshots
            .into_iter()
            .filter_map(|task| task_metric(task, &mut samples, cores, &mut self.samples));
        metrics.collect()
    }
}

fn task_metric(
    task: Snapshot,
    samples: &mut BTreeMap<ContainerId, Vec<Stats>>,
    cores: usize,
    kept: &mut BTreeMap<ContainerId, Vec<Stats>>,
) -> Option<tcs::TaskMetric> {
    let mut container_metrics = Vec::new();
    for container in &task.containers {
        let Some(samples) = samples.remove(&container.id) else { continue };
        if let Some(mut metric) = container_metric(&samples, cores) {
            metric.container_name = Some(container.id.name.clone());
            let restart_count = Some(i64::from(container.restarts));
            metric.restart_stats_set =
                (container.restarts > 0).then_some(tcs::RestartStatsSet { restart_count });
            container_metrics.push(metric);
        }
        // The next period's first difference is to this one.
        if let Some(last) = samples.into_iter().last() {
            kept.insert(container.id.clone(), vec![last]);
        }
    }
    let found = !container_metrics.is_empty();
    found.then(|| tcs::TaskMetric {
        task_arn: Some(task.arn),
        cluster_arn: Some(task.cluster_arn),
        task_definition_family: Some(task.family),
        task_definition_version: Some(task.version),
        container_metrics,
        ..Default::default()
    })
}

fn container_metric(samples: &[Stats], cores: usize) -> Option<tcs::ContainerMetric> {
    if samples.len() < 2 {
        return None;
    }
    // Differences between neighbours; a counter that fell belongs to a restarted container.
    let pairs = || {
        samples.windows(2).filter(|pair| pair[1].at_ms > pair[0].at_ms && pair[1].cpu_ns >= pair[0].cpu_ns)
    };
    let elapsed_s = |pair: &[Stats]| (pair[1].at_ms - pair[0].at_ms) as f64 / 1000.0;
    // Percent of the whole host.
    let cpu = pairs().map(|p| (p[1].cpu_ns - p[0].cpu_ns) as f64 / 1e7 / elapsed_s(p) / cores as f64);
    let memory = samples[1..].iter().map(|s| s.memory_bytes as f64 / f64::from(1 << 20));
    let rate = |counter: fn(&Stats) -> u64| {
        doubles(pairs().map(move |p| counter(&p[1]).saturating_sub(counter(&p[0])) as f64 / elapsed_s(p)))
    };
    let counts = |counter: fn(&Stats) -> u64| longs(samples[1..].iter().map(counter));
    Some(tcs::ContainerMetric {
        cpu_stats_set: stats_set(cpu),
        memory_stats_set: stats_set(memory),
        network_stats_set: Some(tcs::NetworkStatsSet {
            rx_bytes_per_second: rate(|s| s.rx.bytes),
            rx_bytes: counts(|s| s.rx.bytes),
            rx_dropped: counts(|s| s.rx.dropped),
            rx_errors: counts(|s| s.rx.errors),
            rx_packets: counts(|s| s.rx.packets),
            tx_bytes_per_second: rate(|s| s.tx.bytes),
            tx_bytes: counts(|s| s.tx.bytes),
            tx_dropped: counts(|s| s.tx.dropped),
            tx_errors: counts(|s| s.tx.errors),
            tx_packets: counts(|s| s.tx.packets),
        }),
        storage_stats_set: Some(tcs::StorageStatsSet {
            read_size_bytes: counts(|s| s.block_read_bytes),
            write_size_bytes: counts(|s| s.block_write_bytes),
        }),
        ..Default::default()
    })
}

/// Minimum, maximum, count, sum.
fn fold(values: impl Iterator<Item = f64>) -> Option<(f64, f64, i64, f64)> {
    values.fold(None, |so_far, value| {
        let (min, max, count, sum) = so_far.unwrap_or((value, value, 0, 0.0));
        Some((min.min(value), max.max(value), count + 1, sum + value))
    })
}

fn stats_set(values: impl Iterator<Item = f64>) -> Option<tcs::CWStatsSet> {
    let (min, max, count, sum) = fold(values)?;
    Some(tcs::CWStatsSet { min: Some(min), max: Some(max), sample_count: Some(count), sum: Some(sum) })
}

fn doubles(values: impl Iterator<Item = f64>) -> Option<tcs::UDoubleCWStatsSet> {
    let (min, max, count, sum) = fold(values)?;
    Some(tcs::UDoubleCWStatsSet { min: Some(min), max: Some(max), sample_count: Some(count), sum: Some(sum) })
}

/// As the protocol splits unsigned numbers: what is over the highest signed one goes apart.
fn longs(values: impl Iterator<Item = u64>) -> Option<tcs::ULongStatsSet> {
    let values: Vec<u64> = values.collect();
    let sum: u128 = values.iter().map(|value| u128::from(*value)).sum();
    let split = |value: u128| {
        let low = value.min(i64::MAX as u128);
        let over = (value - low).min(i64::MAX as u128);
        (Some(low as i64), Some(over as i64))
    };
    let (min, overflow_min) = split(u128::from(*values.iter().min()?));
    let (max, overflow_max) = split(u128::from(*values.iter().max()?));
    let (sum, overflow_sum) = split(sum);
    let sample_count = i64::try_from(values.len()).ok();
    Some(tcs::ULongStatsSet { min, max, sample_count, sum, overflow_min, overflow_max, overflow_sum })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_add_up() {
        let sample = |at_ms: i64, cpu_ns: u64, memory: u64| Stats {
            at_ms,
            cpu_ns,
            memory_bytes: memory << 20,
            ..Stats::default()
        };
        // One of two cores busy, then none.
        let samples = [sample(0, 0, 1), sample(1000, 1_000_000_000, 2), sample(2000, 1_000_000_000, 4)];
        let metric = container_metric(&samples, 2).unwrap();
        let cpu = metric.cpu_stats_set.unwrap();
        assert_eq!(
            (cpu.min, cpu.max, cpu.sum, cpu.sample_count),
            (Some(0.0), Some(50.0), Some(50.0), Some(2))
        );
        let memory = metric.memory_stats_set.unwrap();
        assert_eq!((memory.min, memory.max, memory.sum), (Some(2.0), Some(4.0), Some(6.0)));
        assert!(container_metric(&samples[..1], 2).is_none());
    }

    #[test]
    fn what_is_too_large_overflows_apart() {
        let set = longs([u64::MAX, 1].into_iter()).unwrap();
        assert_eq!((set.min, set.overflow_min), (Some(1), Some(0)));
        assert_eq!(set.max, Some(i64::MAX));
        assert_eq!(set.overflow_max, Some(i64::MAX), "2^64-1 is 2^63-1 and 2^63, cut");
    }
}
