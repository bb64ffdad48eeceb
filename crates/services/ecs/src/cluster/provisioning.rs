//! Tasks in PROVISIONING: they wait for room on a container instance, of their capacity provider where they have one, by what
//! they need, so that room that comes is offered to those that it could serve. Those that wait for their turn before that
//! stand in `turns`. What a task needs follows from its task definition, which is
//! no row of a cluster: it is noted when the task is made, and anew once after a start.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use wire::Timestamp;

use super::{Cluster, looks, rows::*};
use crate::placement::{self, Request, Shape};

/// Tasks that need the same.
#[derive(Debug, Clone)]
struct Alike {
    /// What each of them asks for.
    request: Arc<Request>,
    /// The oldest first.
    tasks: OrdSet<(Timestamp, TaskId)>,
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Provisioning {
    /// Those that nobody has looked at since a start.
    unknown: OrdSet<TaskId>,
    known: OrdMap<TaskId, (Timestamp, Arc<Shape>)>,
    shapes: OrdMap<Arc<Shape>, Alike>,
}

impl Provisioning {
    /// A task is written or forgotten.
    pub(super) fn task(&mut self, id: &TaskId, new: Option<&TaskRow>) {
        if !new.is_some_and(TaskRow::awaits_room) {
            self.forget(id);
        } else if !self.known.contains_key(id) {
            self.unknown.insert(*id);
        }
    }

    fn forget(&mut self, id: &TaskId) {
        self.unknown.remove(id);
        let Some((at, shape)) = self.known.remove(id) else { return };
        let Some(alike) = self.shapes.get_mut(&shape) else { return };
        alike.tasks.remove(&(at, *id));
        if alike.tasks.is_empty() {
            self.shapes.remove(&shape);
        }
    }
}

impl Cluster {
    /// How many tasks wait in PROVISIONING.
    pub fn provisioning(&self) -> usize {
        self.provisioning.unknown.len() + self.provisioning.known.len() + self.awaiting_turn()
    }

    /// Those of which it is not known what they ask for.
    pub fn provisioning_unknown(&self) -> impl Iterator<Item = &TaskId> {
        self.provisioning.unknown.iter().inspect(|_| looks::one())
    }

    /// What a task in PROVISIONING asks for.
    pub fn provisions(&mut self, task: &TaskRow, request: &Request) {
        let kept = &mut self.provisioning;
        if !kept.unknown.contains(&task.id) {
            return;
        }
        kept.unknown.remove(&task.id);
        let shape = Arc::new(request.shape());
        let made = || Alike { request: Arc::new(request.clone()), tasks: OrdSet::new() };
        kept.shapes.entry(shape.clone()).or_insert_with(made).tasks.insert((task.created_at, task.id));
        kept.known.insert(task.id, (task.created_at, shape));
    }

    /// The task in PROVISIONING that a container instance has room for now: one of those that need the most memory, and
    /// of these the oldest.
    pub fn next_provisioning_for(&self, host: &InstanceId) -> Option<TaskId> {
        let left = self.slots.get(self.usage(host)?.slot?)?.memory.max(0);
        let mut fitting = self.provisioning.shapes.range(Arc::new(Shape::most(left))..);
        let fits = fitting.find(|(_, alike)| {
            looks::one();
            placement::place_on(self, &alike.request, host).is_ok()
        });
        let (_, id) = fits?.1.tasks.get_min()?;
        Some(*id)
    }

    /// The tasks in PROVISIONING that wait for room.
    pub fn provisioning_tasks(&self) -> impl Iterator<Item = &Arc<TaskRow>> {
        let ids = self.provisioning.unknown.iter().chain(self.provisioning.known.keys());
        ids.filter_map(|id| self.task(id))
    }

    /// What is wrong with the index of tasks in PROVISIONING.
    pub fn provisioning_broken(&self) -> Option<String> {
        let waits: OrdSet<TaskId> =
            self.tasks.values().filter(|row| row.awaits_room()).map(|row| row.id).collect();
        let kept = &self.provisioning;
        let here: OrdSet<TaskId> = kept.unknown.iter().chain(kept.known.keys()).copied().collect();
        let places = kept.shapes.values().flat_map(|alike| alike.tasks.iter().map(|(_, id)| *id));
        let shaped: OrdSet<TaskId> = places.collect();
        let known: OrdSet<TaskId> = kept.known.keys().copied().collect();
        (here != waits || shaped != known || here.len() + self.awaiting_turn() != self.provisioning())
            .then(|| format!("{kept:?}"))
    }
}

impl TaskRow {
    /// Whether it waits, for room or for its turn.
    pub fn is_provisioning(&self) -> bool {
        self.waits.is_some() && self.last == TaskStatus::Provisioning
    }

    /// Whether it waits for room alone.
    pub fn awaits_room(&self) -> bool {
        self.is_provisioning() && !self.awaits_turn()
    }
}
