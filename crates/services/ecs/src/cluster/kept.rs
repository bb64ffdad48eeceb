//! STOPPED tasks that the API shows no longer, kept for those who ask why; and what goes first of all that is remembered.
//! None of it is in any other index, and nothing but a look by a person reads it.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use wire::Timestamp;

use super::{Cluster, Key, Row, rows::*};
use crate::limits;

/// All of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    tasks: OrdMap<TaskId, Arc<KeptTaskRow>>,
    /// Those that go first before the others.
    by_age: OrdSet<(Timestamp, TaskId)>,
}

impl Kept {
    pub(super) fn put(&mut self, row: &Arc<KeptTaskRow>) {
        self.forget(&row.task.id);
        self.by_age.insert((row.forget_at, row.task.id));
        self.tasks.insert(row.task.id, row.clone());
    }

    pub(super) fn forget(&mut self, id: &TaskId) {
        if let Some(old) = self.tasks.remove(id) {
            self.by_age.remove(&(old.forget_at, *id));
        }
    }

    /// All of it.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row> {
        self.tasks.values().cloned().map(Row::KeptTask)
    }
}

/// So many of a kind go in one step.
const FEW: usize = 4;

/// How many of these go now.
fn surplus(have: usize, most: usize) -> usize {
    have.saturating_sub(most).min(FEW)
}

impl Cluster {
    /// A task that the API shows no longer.
    pub fn kept_task(&self, id: &TaskId) -> Option<&Arc<KeptTaskRow>> {
        self.kept.tasks.get(id)
    }

    /// All of them, those that were stopped last first.
    pub fn kept_tasks(&self) -> impl Iterator<Item = &Arc<KeptTaskRow>> {
        self.kept.by_age.iter().rev().filter_map(|(_, id)| self.kept.tasks.get(id))
    }

    /// The oldest of them where more than `most` are kept, a few.
    pub fn surplus_kept(&self, most: usize) -> Vec<Key> {
        let few = surplus(self.kept.by_age.len(), most);
        self.kept.by_age.iter().take(few).map(|(_, id)| Key::KeptTask(*id)).collect()
    }

    /// The oldest of what is remembered beyond the limits: STOPPED tasks and client tokens, a few of each.
    pub fn surplus(&self) -> Vec<Key> {
        let tokens = surplus(self.tokens.len(), limits::TOKENS);
        let tokens = self.tokens_by_age.iter().take(tokens).map(|(_, token)| Key::Token(token.clone()));
        let tasks = surplus(self.totals.stopped, limits::STOPPED_TASKS);
        let tasks = self.stopped_by_age.iter().take(tasks).map(|(_, id)| Key::Task(*id));
        tasks.chain(tokens).collect()
    }
}
