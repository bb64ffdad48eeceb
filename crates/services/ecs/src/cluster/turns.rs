//! Whose turn it is among the tasks of a `startedBy` of which only so many may go on at a time, as a tag of their RunTask
//! says. Those of services and daemons have one that ECS gives, and count nowhere here. An index of the rows of tasks,
//! changed only where those are applied.

use imbl::{OrdMap, OrdSet};
use wire::Timestamp;

use super::{Cluster, looks, rows::*};

/// The tasks that are not STOPPED, by `startedBy`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Turns {
    /// How many go on: they run, will run, are being stopped, or wait for room alone.
    going: OrdMap<String, usize>,
    /// Those that wait for their turn, the oldest first.
    waiting: OrdMap<String, OrdSet<(Timestamp, TaskId)>>,
    /// How many these are.
    all_waiting: usize,
}

/// What a task does of a `startedBy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part<'a> {
    Goes(&'a str),
    Waits(&'a str),
}

impl<'a> Part<'a> {
    fn of(row: &'a TaskRow) -> Option<Part<'a>> {
        let is_ours = row.service.is_none() && row.daemon.is_none() && row.last != TaskStatus::Stopped;
        let started_by = row.started_by.as_deref().filter(|_| is_ours)?;
        Some(if row.awaits_turn() { Part::Waits(started_by) } else { Part::Goes(started_by) })
    }
}

impl Turns {
    /// As the rows of a cluster make it.
    fn of(state: &Cluster) -> Turns {
        let mut turns = Turns::default();
        state.tasks().for_each(|row| drop(turns.task(None, Some(row))));
        turns
    }

    /// A task is written or forgotten. Gives the `startedBy` of which somebody may have the turn now.
    pub(super) fn task(&mut self, old: Option<&TaskRow>, new: Option<&TaskRow>) -> Option<String> {
        let (was, is) = (old.and_then(Part::of), new.and_then(Part::of));
        if was == is {
            return None;
        }
        if let (Some(part), Some(row)) = (was, old) {
            self.leave(part, row);
        }
        if let (Some(part), Some(row)) = (is, new) {
            self.join(part, row);
        }
        let (Part::Goes(started_by) | Part::Waits(started_by)) = was.or(is)?;
        let is_waited_for = self.waiting.contains_key(started_by);
        (is_waited_for && !matches!(is, Some(Part::Goes(_)))).then(|| started_by.to_owned())
    }

    fn join(&mut self, part: Part, row: &TaskRow) {
        match part {
            Part::Goes(started_by) => match self.going.get_mut(started_by) {
                Some(count) => *count += 1,
                None => drop(self.going.insert(started_by.to_owned(), 1)),
            },
            Part::Waits(started_by) => {
                self.waiting.entry(started_by.to_owned()).or_default().insert((row.created_at, row.id));
                self.all_waiting += 1;
            }
        }
    }

    fn leave(&mut self, part: Part, row: &TaskRow) {
        match part {
            Part::Goes(started_by) => match self.going.get_mut(started_by) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(self.going.remove(started_by)),
            },
            Part::Waits(started_by) => {
                let Some(waiting) = self.waiting.get_mut(started_by) else { return };
                waiting.remove(&(row.created_at, row.id));
                self.all_waiting -= 1;
                if waiting.is_empty() {
                    self.waiting.remove(started_by);
                }
            }
        }
    }
}

impl Cluster {
    /// How many tasks of a `startedBy` go on that no service and no daemon made.
    pub fn going(&self, started_by: &str) -> usize {
        self.turns.going.get(started_by).copied().unwrap_or_default()
    }

    /// How many tasks wait for their turn.
    pub fn awaiting_turn(&self) -> usize {
        self.turns.all_waiting
    }

    /// The tasks of a `startedBy` that wait for their turn, the oldest first.
    pub fn turns(&self, started_by: &str) -> impl Iterator<Item = TaskId> {
        let waiting = self.turns.waiting.get(started_by).into_iter().flatten();
        waiting.inspect(|_| looks::one()).map(|(_, id)| *id)
    }

    /// The task of a `startedBy` that is the next to have its turn, and fewer than how many have to go on then.
    pub fn next_turn(&self, started_by: &str) -> Option<(TaskId, usize)> {
        let id = self.turns(started_by).next()?;
        let most = self.task(&id)?.waits.as_ref()?.turn?;
        Some((id, usize::try_from(most).unwrap_or(usize::MAX)))
    }

    /// What is wrong with it.
    pub fn turns_broken(&self) -> Option<String> {
        let made = Turns::of(self);
        (self.turns != made).then(|| format!("{:?}, it should be {made:?}", self.turns))
    }
}

impl TaskRow {
    /// Whether it waits for its turn.
    pub fn awaits_turn(&self) -> bool {
        self.is_provisioning() && self.waits.as_ref().is_some_and(|waits| waits.turn.is_some())
    }
}
