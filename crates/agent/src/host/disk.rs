//! Looks after the disk that tasks write to. Before it is full, the task that fills it is ended, and hears why:
//! what a host needs to end tasks, to report and to begin must not be taken by one of them.
//!
//! To look costs one system call, the more often the less is left. Who wrote how much is measured only when
//! little is left, for that takes a look at each file.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use store::space::Space;

use super::{Host, Message};
use crate::task::Fact;

/// Between looks, at least and at most.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// What a fast disk takes in, in bytes a second: no look comes later than it could be full.
const DISK_SPEED: u64 = 2 << 30;
/// Little is left at this many times the floor: from then on it is known who wrote how much before.
const LOW: u64 = 4;
/// After a task was ended its files must go before another is; and what was measured is measured anew, at most
/// this often.
const MEASURE_EVERY: Duration = Duration::from_secs(3);
/// A task is ended only if it wrote this part of the floor, and this much each second on average: what was
/// written long ago fills no disk now.
const LEAST_PART: u64 = 8;
const LEAST_SPEED: u64 = 64 << 10;

/// What is said where a task cannot begin.
pub(super) fn full(space: &Space) -> String {
    format!("DiskFullError: no task begins on this container instance, whose disk has {} left", space.left())
}

/// One task's files at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Usage {
    bytes: u64,
    inodes: u64,
    /// The container that wrote most, and how much.
    most: Option<(String, u64)>,
}

/// What was measured.
type Measured = BTreeMap<engine::TaskId, Usage>;

/// Whom to end.
#[derive(Debug, PartialEq, Eq)]
struct Filler {
    task: engine::TaskId,
    container: Option<String>,
    bytes: u64,
    inodes: u64,
}

/// Picks the task that writes fastest, of those that wrote much. `before`: an earlier measure and its age;
/// what was not there then counts since it was made, `ages` ago.
fn pick(
    space: &Space,
    now: &Measured,
    before: Option<(&Measured, Duration)>,
    ages: &BTreeMap<engine::TaskId, Duration>,
) -> Option<Filler> {
    let bytes_short = space.free_bytes < space.floor_bytes();
    let least = |floor: u64| (floor / LEAST_PART).max(1);
    let mut fastest: Option<(u64, Filler)> = None;
    for (task, usage) in now {
        let Some(age) = ages.get(task) else { continue };
        let then = before.and_then(|(measured, age)| Some((measured.get(task)?, age)));
        let (bytes, inodes, time) = match then {
            Some((then, age)) => {
                (usage.bytes.saturating_sub(then.bytes), usage.inodes.saturating_sub(then.inodes), age)
            }
            None => (usage.bytes, usage.inodes, *age),
        };
        let (grown, least, least_speed) = match bytes_short {
            true => (bytes, least(space.floor_bytes()), LEAST_SPEED),
            false => (inodes, least(space.floor_inodes()), 1),
        };
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
        let speed = grown.saturating_mul(1000) / millis;
        if grown < least || speed < least_speed || fastest.as_ref().is_some_and(|(other, _)| *other >= speed)
        {
            continue;
        }
        let container = usage.most.as_ref().map(|(name, _)| name.clone());
        let filler = Filler { task: task.clone(), container, bytes: usage.bytes, inodes: usage.inodes };
        fastest = Some((speed, filler));
    }
    fastest.map(|(_, filler)| filler)
}

/// When to look again.
fn pause(space: &Space) -> Duration {
    let spare = space.free_bytes.saturating_sub(space.floor_bytes());
    Duration::from_millis(spare / (DISK_SPEED / 1000)).clamp(LOOK_EVERY.0, LOOK_EVERY.1)
}

fn is_low(space: &Space) -> bool {
    space.free_bytes < LOW * space.floor_bytes() || space.free_inodes < LOW * space.floor_inodes()
}

impl Host {
    /// The disk that tasks write to, at this moment.
    pub(super) fn space(&self) -> Option<Space> {
        Space::of(self.disk.as_ref()?).ok()
    }

    /// Looks after the disk. Never returns.
    pub async fn watch_disk(self: Arc<Host>) {
        // What was measured when little was left, and when.
        let mut before: Option<(Measured, Instant)> = None;
        let mut rest_until = None;
        loop {
            let Some(space) = self.space() else { return std::future::pending().await };
            if !is_low(&space) {
                before = None;
            } else if rest_until.is_none_or(|until| until <= Instant::now()) {
                let now = self.measure().await;
                if space.is_tight() {
                    self.end_filler(&space, &now, before.as_ref());
                }
                let at = Instant::now();
                rest_until = Some(at + MEASURE_EVERY);
                // While all goes well the newest counts; once it is tight, who came to it and how fast.
                if !space.is_tight() || before.is_none() {
                    before = Some((now, at));
                }
            }
            tokio::time::sleep(pause(&space)).await;
        }
    }

    async fn measure(&self) -> Measured {
        let mut measured = Measured::new();
        match self.engine.written().await {
            Ok(all) => {
                for one in all {
                    let usage: &mut Usage = measured.entry(one.task).or_default();
                    usage.bytes += one.bytes;
                    usage.inodes += one.inodes;
                    if let Some(name) = one.container
                        && usage.most.as_ref().is_none_or(|(_, most)| one.bytes > *most)
                    {
                        usage.most = Some((name, one.bytes));
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "what tasks have written cannot be measured"),
        }
        measured
    }

    fn end_filler(&self, space: &Space, now: &Measured, before: Option<&(Measured, Instant)>) {
        let handles: Vec<_> = self.tasks.lock().iter().map(|(id, h)| (id.clone(), h.clone())).collect();
        let now_ms = crate::api::now().as_millis();
        let age =
            |since_ms: i64| Duration::from_millis(now_ms.saturating_sub(since_ms).max(0).unsigned_abs());
        let since = |handle: &super::Handle| {
            let snapshot = handle.snapshot.lock();
            // One that is over writes no more.
            let made = snapshot.containers.iter().filter_map(|container| container.created_at_ms);
            if snapshot.known == crate::task::Known::Stopped { None } else { made.min() }
        };
        let ages =
            handles.iter().filter_map(|(id, handle)| Some((id.clone(), age(since(handle)?)))).collect();
        let before = before.map(|(measured, at)| (measured, at.elapsed()));
        let Some(filler) = pick(space, now, before, &ages) else {
            tracing::warn!(left = space.left(), "the disk is nearly full, and no task is what fills it");
            return;
        };
        let written = match space.free_bytes < space.floor_bytes() {
            true => format!("{} MiB", filler.bytes >> 20),
            false => format!("{} files", filler.inodes),
        };
        let reason = format!(
            "DiskFullError: the task has written {written}, and the disk of its container instance has {} left",
            space.left()
        );
        tracing::warn!(task = filler.task, reason, "a task is ended");
        let handle = handles.iter().find(|(id, _)| *id == filler.task).map(|(_, handle)| handle);
        let Some(handle) = handle else { return };
        let container = filler.container.and_then(|name| {
            handle.snapshot.lock().containers.iter().position(|container| container.id.name == name)
        });
        self.tell(&filler.task, Message::Fact(Fact::FilledDisk { container, reason }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn space(free_mib: u64, free_inodes: u64) -> Space {
        let (total_bytes, total_inodes) = (10_000 * MIB, 100_000);
        Space { total_bytes, free_bytes: free_mib * MIB, total_inodes, free_inodes, read_only: false }
    }

    fn measured(all: &[(&str, u64, u64)]) -> Measured {
        let usage = |mib: u64, inodes| Usage { bytes: mib * MIB, inodes, most: Some(("main".into(), mib)) };
        all.iter().map(|(task, mib, inodes)| ((*task).to_owned(), usage(*mib, *inodes))).collect()
    }

    fn ages(all: &[(&str, u64)]) -> BTreeMap<String, Duration> {
        all.iter().map(|(task, seconds)| ((*task).to_owned(), Duration::from_secs(*seconds))).collect()
    }

    fn ended(picked: Option<Filler>) -> Option<String> {
        picked.map(|filler| filler.task)
    }

    #[test]
    fn the_one_that_fills_the_disk_is_ended_not_the_one_that_has_most() {
        let now = measured(&[("database", 5000, 10), ("runaway", 900, 10), ("small", 1, 1)]);
        let ages = ages(&[("database", 30 * 24 * 3600), ("runaway", 5), ("small", 1)]);
        assert_eq!(ended(pick(&space(100, 50_000), &now, None, &ages)).as_deref(), Some("runaway"));
        // Of old ones too, by what came since.
        let before = measured(&[("database", 5000, 10), ("runaway", 800, 10)]);
        let old = [("database", 9_000_000), ("runaway", 9_000_000)];
        let picked =
            pick(&space(100, 50_000), &now, Some((&before, Duration::from_secs(9))), &self::ages(&old));
        assert_eq!(ended(picked).as_deref(), Some("runaway"));
    }

    #[test]
    fn nobody_is_ended_for_what_others_wrote() {
        let now = measured(&[("database", 5000, 10), ("small", 20, 1)]);
        let ages = ages(&[("database", 30 * 24 * 3600), ("small", 3)]);
        assert_eq!(pick(&space(0, 50_000), &now, None, &ages), None);
        let before = (&now.clone(), Duration::from_secs(5));
        assert_eq!(pick(&space(0, 50_000), &now, Some(before), &ages), None);
        // One that is over, too.
        assert_eq!(pick(&space(0, 50_000), &measured(&[("gone", 9000, 1)]), None, &ages), None);
    }

    #[test]
    fn inodes_run_out_as_bytes_do() {
        let now = measured(&[("files", 30, 90_000), ("bytes", 900, 10)]);
        let ages = ages(&[("files", 9), ("bytes", 9)]);
        assert_eq!(ended(pick(&space(5000, 100), &now, None, &ages)).as_deref(), Some("files"));
        assert_eq!(ended(pick(&space(10, 50_000), &now, None, &ages)).as_deref(), Some("bytes"));
    }

    #[test]
    fn the_less_is_left_the_sooner_is_looked_again() {
        assert_eq!(pause(&space(10_000, 50_000)), Duration::from_millis(4785));
        assert_eq!(pause(&Space { free_bytes: 1 << 40, ..space(0, 1) }), LOOK_EVERY.1);
        assert_eq!(pause(&space(1, 50_000)), LOOK_EVERY.0);
        assert!(is_low(&space(700, 50_000)) && is_low(&space(5000, 3000)) && !is_low(&space(900, 50_000)));
    }
}
