//! What a group has used, read from its files. The parsing is pure.

use std::fs;
use std::path::PathBuf;

use super::{GroupPath, Hierarchy};
use crate::state::Stats;

/// How many processes of the group the kernel killed for want of memory, since the group was made.
/// Counts the victims that were in this group, also when it was a parent's limit that was hit.
pub(crate) fn oom_kills(hierarchy: &Hierarchy, group: &GroupPath) -> u64 {
    let files = match hierarchy {
        Hierarchy::V1(_) => ["memory.oom_control", ""],
        Hierarchy::V2(_) => ["memory.events.local", "memory.events"],
    };
    let Some(dir) = dir(hierarchy, group, "memory") else { return 0 };
    let text = files.iter().filter(|f| !f.is_empty()).find_map(|f| fs::read_to_string(dir.join(f)).ok());
    field(&text.unwrap_or_default(), "oom_kill").unwrap_or(0)
}

/// How many forks the kernel refused in a group because of its limit; with v1, of the limit of a group around it too.
pub(crate) fn forks_refused(hierarchy: &Hierarchy, group: &GroupPath) -> u64 {
    let text = dir(hierarchy, group, "pids").and_then(|dir| fs::read_to_string(dir.join("pids.events")).ok());
    field(&text.unwrap_or_default(), "max").unwrap_or(0)
}

/// Use of resources at this moment, without the network.
pub(crate) fn usage(hierarchy: &Hierarchy, group: &GroupPath) -> Stats {
    match hierarchy {
        Hierarchy::V1(_) => usage_v1(hierarchy, group),
        Hierarchy::V2(_) => usage_v2(hierarchy, group),
    }
}

fn usage_v1(hierarchy: &Hierarchy, group: &GroupPath) -> Stats {
    let read = |controller: &str, file: &str| {
        dir(hierarchy, group, controller)
            .and_then(|d| fs::read_to_string(d.join(file)).ok())
            .unwrap_or_default()
    };
    let (block_read_bytes, block_write_bytes) =
        blkio_v1(&read("blkio", "blkio.throttle.io_service_bytes_recursive"));
    Stats {
        cpu_ns: number(&read("cpuacct", "cpuacct.usage")),
        memory_bytes: number(&read("memory", "memory.usage_in_bytes"))
            .saturating_sub(field(&read("memory", "memory.stat"), "total_inactive_file").unwrap_or(0)),
        memory_limit_bytes: limit(&read("memory", "memory.limit_in_bytes")),
        pids: number(&read("pids", "pids.current")),
        block_read_bytes,
        block_write_bytes,
        ..Stats::default()
    }
}

fn usage_v2(hierarchy: &Hierarchy, group: &GroupPath) -> Stats {
    let read = |file: &str| {
        dir(hierarchy, group, "").and_then(|d| fs::read_to_string(d.join(file)).ok()).unwrap_or_default()
    };
    let (block_read_bytes, block_write_bytes) = io_v2(&read("io.stat"));
    Stats {
        cpu_ns: field(&read("cpu.stat"), "usage_usec").unwrap_or(0).saturating_mul(1000),
        memory_bytes: number(&read("memory.current"))
            .saturating_sub(field(&read("memory.stat"), "inactive_file").unwrap_or(0)),
        memory_limit_bytes: limit(&read("memory.max")),
        pids: number(&read("pids.current")),
        block_read_bytes,
        block_write_bytes,
        ..Stats::default()
    }
}

fn dir(hierarchy: &Hierarchy, group: &GroupPath, controller: &str) -> Option<PathBuf> {
    hierarchy.root_of(controller).map(|root| root.join(group.relative()))
}

fn number(text: &str) -> u64 {
    text.trim().parse().unwrap_or(0)
}

/// `max`, and the near-endless number that v1 shows for it, are no limit.
fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|bytes| *bytes < 1 << 62)
}

/// The value after `name ` at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Lines such as `254:0 Read 4096`; the `Total` line has no device.
fn blkio_v1(text: &str) -> (u64, u64) {
    let sum = |kind: &str| {
        text.lines()
            .filter_map(|line| {
                let mut words = line.split(' ');
                let found = words.next()?.contains(':') && words.next()? == kind;
                found.then(|| words.next()?.parse::<u64>().ok()).flatten()
            })
            .fold(0, u64::saturating_add)
    };
    (sum("Read"), sum("Write"))
}

/// Lines such as `254:0 rbytes=1 wbytes=2 rios=…`.
fn io_v2(text: &str) -> (u64, u64) {
    let sum = |name: &str| {
        text.split_whitespace()
            .filter_map(|word| word.strip_prefix(name)?.parse::<u64>().ok())
            .fold(0, u64::saturating_add)
    };
    (sum("rbytes="), sum("wbytes="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_by_whole_name() {
        let text = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
        assert_eq!(field(text, "oom_kill"), Some(3));
        assert_eq!(field("low 0\noom 2\noom_kill 1\noom_group_kill 0\n", "oom_kill"), Some(1));
        assert_eq!(field("", "oom_kill"), None);
    }

    #[test]
    fn block_counters_are_summed_over_devices() {
        assert_eq!(blkio_v1("254:0 Read 10\n254:0 Write 5\n254:0 Total 15\n8:0 Read 1\nTotal 16\n"), (11, 5));
        assert_eq!(io_v2("254:0 rbytes=10 wbytes=5 rios=1 wios=1\n8:0 rbytes=1 wbytes=0\n"), (11, 5));
        assert_eq!((blkio_v1(""), io_v2("")), ((0, 0), (0, 0)));
    }

    #[test]
    fn no_limit_is_none() {
        assert_eq!(
            (limit("max\n"), limit("9223372036854771712\n"), limit("4096\n")),
            (None, None, Some(4096))
        );
    }
}
