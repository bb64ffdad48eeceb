//! How a task stands against what is written of it: when its record is written, what may wait for company, and what may not
//! happen before it is on disk. Pure, as the planner is: time is passed in, and whoever has the ledger writes. One write of a
//! record at a time.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use crate::{
    plan::{self, Step},
    task::{Fact, Task, TaskState},
};

/// How long a change that is not needed at once may be missing from the record. Whatever a crash takes of it,
/// the engine still knows, or the control plane hears again.
const WRITE_DELAY: Duration = Duration::from_millis(100);

/// See the module.
#[derive(Debug)]
pub struct Draft {
    /// Counts what changes of the record: state, reports, removed.
    version: u64,
    /// The newest version that is on disk.
    written: u64,
    writing: bool,
    /// The newest version that must not wait for company: something waits for it, or a container ran or ended,
    /// which the engine forgets when the host's tasks are taken down.
    needed: u64,
    write_at: Option<Instant>,
    /// Starts that wait for the record to say that they may have happened: container to version.
    waiting_starts: BTreeMap<usize, u64>,
    /// The version that says that a container is made.
    made_at: BTreeMap<usize, u64>,
    /// The version that says how the task ended.
    ended_at: Option<u64>,
}

impl Default for Draft {
    /// Of a task that was just taken up: its record is to be written.
    fn default() -> Draft {
        let (written, writing, needed, write_at) = Default::default();
        let (waiting_starts, made_at, ended_at) = Default::default();
        Draft { version: 1, written, writing, needed, write_at, waiting_starts, made_at, ended_at }
    }
}

impl Draft {
    /// Has the planner move the task on.
    pub fn step(&mut self, task: &Task, state: &mut TaskState, now_ms: i64) -> Step {
        let before = state.clone();
        let step = plan::step(task, state, now_ms);
        if *state != before && !state.is_kept_as(&before) {
            self.version += 1;
        }
        step
    }

    /// Has the planner take in what became known.
    pub fn apply(&mut self, task: &Task, state: &mut TaskState, fact: Fact, now_ms: i64) {
        let lasting = matches!(fact, Fact::Started(..) | Fact::Exited(..) | Fact::Vanished(..));
        let before = matches!(fact, Fact::Probed { .. }).then(|| state.clone());
        plan::apply(task, state, fact, now_ms);
        // A probe that finds what the last one found leaves nothing to write down.
        if before.is_none_or(|before| !state.is_kept_as(&before)) {
            self.version += 1;
        }
        if lasting {
            self.needed = self.version;
        }
    }

    /// Something else of the record has changed.
    pub fn changed(&mut self) {
        self.version += 1;
    }

    /// A container is being made, which is written down at once.
    pub fn makes(&mut self, container: usize) {
        self.made_at.insert(container, self.version);
        self.needed = self.version;
    }

    /// A container is to be started. That may only happen once the ledger knows that it may have: after a restart of the
    /// host, a container that ran must not be taken for one that never did.
    pub fn starts(&mut self, container: usize) {
        let version = self.made_at.get(&container).copied().unwrap_or(self.version);
        self.waiting_starts.insert(container, version);
    }

    /// What may be started by now. Before the assignment is on disk nothing may: a dead agent's next
    /// self would know nothing of the task, and start it once more when it is assigned again.
    pub fn may_start(&mut self, is_assigned: bool) -> Vec<usize> {
        if !is_assigned {
            return Vec::new();
        }
        let written = self.written;
        let waiting = self.waiting_starts.iter().filter(|(_, version)| **version <= written);
        let due: Vec<usize> = waiting.map(|(container, _)| *container).collect();
        for container in &due {
            self.waiting_starts.remove(container);
        }
        due
    }

    /// The task has ended, which is written down at once.
    pub fn ends(&mut self) {
        let ended_at = *self.ended_at.get_or_insert(self.version);
        self.needed = self.needed.max(ended_at);
    }

    /// Whether it is on disk how the task ended: its exit codes, which the engine forgets with it.
    pub fn has_end(&self) -> bool {
        self.ended_at.is_some_and(|ended_at| ended_at <= self.written)
    }

    /// Whether the record is to be written now, and which version that is; [`Draft::wrote`] hears what came of it. At once
    /// where something waits for it, else once for all that changes within a moment.
    pub fn begin_write(&mut self, now: Instant) -> Option<u64> {
        if self.writing || self.written == self.version {
            return None;
        }
        if self.needed <= self.written && *self.write_at.get_or_insert(now + WRITE_DELAY) > now {
            return None;
        }
        self.write_at = None;
        self.writing = true;
        Some(self.version)
    }

    /// When to ask again, if nothing happens before.
    pub fn write_at(&self) -> Option<Instant> {
        self.write_at
    }

    /// The write of a version has ended; `is_written`: on disk.
    pub fn wrote(&mut self, version: u64, is_written: bool) {
        self.writing = false;
        if is_written {
            self.written = self.written.max(version);
        }
    }

    /// Whether a write is under way.
    pub fn is_writing(&self) -> bool {
        self.writing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = WRITE_DELAY;

    #[test]
    fn what_is_not_needed_waits_for_company_and_what_is_does_not() {
        let (mut draft, now) = (Draft::default(), Instant::now());
        assert_eq!((draft.begin_write(now), draft.write_at()), (None, Some(now + MOMENT)));
        draft.changed();
        let later = now + MOMENT;
        assert_eq!((draft.begin_write(later), draft.write_at()), (Some(2), None));
        draft.makes(0);
        assert_eq!(draft.begin_write(later), None, "one write at a time");
        draft.wrote(2, true);
        draft.changed();
        draft.makes(0);
        assert_eq!(draft.begin_write(later), Some(3));
        draft.wrote(3, false);
        assert_eq!(draft.begin_write(later), Some(3), "again, at once, as it is still needed");
        draft.wrote(3, true);
        assert_eq!((draft.begin_write(later), draft.write_at()), (None, None));
    }

    #[test]
    fn a_start_waits_for_the_assignment_and_for_its_record() {
        let (mut draft, now) = (Draft::default(), Instant::now());
        draft.changed();
        draft.makes(0);
        let version = draft.begin_write(now);
        draft.changed();
        draft.starts(0);
        draft.starts(1);
        assert!(draft.may_start(true).is_empty());
        draft.wrote(version.unwrap(), true);
        assert!(draft.may_start(false).is_empty(), "not before the assignment");
        assert_eq!(draft.may_start(true), [0], "the other's record is not written");
        assert!(draft.may_start(true).is_empty(), "once");
    }

    #[test]
    fn an_end_is_on_disk_before_the_task_goes() {
        let (mut draft, now) = (Draft::default(), Instant::now());
        draft.changed();
        draft.ends();
        draft.changed();
        draft.ends();
        assert!(!draft.has_end());
        let version = draft.begin_write(now).unwrap();
        draft.wrote(version, false);
        assert!(!draft.has_end());
        let version = draft.begin_write(now).unwrap();
        draft.wrote(version, true);
        assert!(draft.has_end());
    }
}
