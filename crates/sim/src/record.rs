//! What users know: of each thing that is theirs, how it may be, by what they were answered. A call that is under way, or
//! whose answer was lost, leaves it open; one that was acknowledged does not.

use std::collections::{BTreeMap, BTreeSet};

use ::ecs::cluster::{Cluster, Desired, Phase, ServiceName, ServiceStatus, TaskFacet, TaskId};
use events::Events;
use scheduler::{Scheduler, rows::ScheduleId};

/// Something that users make and change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    Service(String),
    Rule(String),
    Schedule(String),
}

/// How it is: it is not there, or it is so.
pub type Is = Option<i64>;

/// What a call makes of a thing.
#[derive(Debug, Clone, Copy)]
pub enum Makes {
    /// It is there from then on, and so.
    Be(i64),
    /// It is so from then on, if it is there.
    Become(i64),
    /// It is gone.
    Gone,
}

impl Makes {
    fn of(self, is: Is) -> Is {
        match self {
            Makes::Be(so) => Some(so),
            Makes::Become(so) => is.map(|_| so),
            Makes::Gone => None,
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Record {
    things: BTreeMap<Thing, BTreeSet<Is>>,
    /// How many tasks were asked for, by `startedBy`.
    runs: BTreeMap<String, usize>,
    /// Tasks that a user was told exist, with the time.
    tasks: Vec<(TaskId, i64)>,
    /// Tasks that a user was told will stop.
    stopped: BTreeSet<TaskId>,
}

/// A call under way.
pub struct Under {
    thing: Thing,
    before: BTreeSet<Is>,
    makes: Makes,
}

impl Record {
    /// A call begins.
    pub fn begin(&mut self, thing: Thing, makes: Makes) -> Under {
        let open = self.things.entry(thing.clone()).or_insert_with(|| BTreeSet::from([None]));
        let before = open.clone();
        open.extend(before.iter().map(|is| makes.of(*is)));
        Under { thing, before, makes }
    }

    /// It was acknowledged.
    pub fn done(&mut self, under: Under) {
        let known = under.before.iter().map(|is| under.makes.of(*is)).collect();
        self.things.insert(under.thing, known);
    }

    /// It was refused, and changed nothing.
    pub fn refused(&mut self, under: Under) {
        self.things.insert(under.thing, under.before);
    }

    /// Nobody counts on it any more.
    pub fn forget(&mut self, thing: &Thing) {
        self.things.remove(thing);
    }

    /// Somebody asks for tasks.
    pub fn asks(&mut self, started_by: String, count: usize) {
        self.runs.insert(started_by, count);
    }

    /// Somebody was told of tasks.
    pub fn told_of(&mut self, tasks: impl Iterator<Item = TaskId>, at: i64) {
        self.tasks.extend(tasks.map(|task| (task, at)));
    }

    /// Somebody was told that a task will stop.
    pub fn stops(&mut self, task: TaskId) {
        self.stopped.insert(task);
    }

    /// What was acknowledged and is not so. `since`: tasks that were told of before may be forgotten.
    pub fn broken(&mut self, cluster: &Cluster, others: Others, since: i64) -> Option<String> {
        for (thing, may_be) in &self.things {
            let is = match thing {
                Thing::Service(name) => service(cluster, name),
                Thing::Rule(name) => {
                    let Some(events) = others.events else { continue };
                    events.rule("default", name).map(|_| 1)
                }
                Thing::Schedule(name) => {
                    let Some(scheduler) = others.scheduler else { continue };
                    let id = ScheduleId { group: "default".to_owned(), name: name.clone() };
                    scheduler.schedule(&id).map(|_| 1)
                }
            };
            if !may_be.contains(&is) {
                return Some(format!("{thing:?} is {is:?}, users know that it is one of {may_be:?}"));
            }
        }
        self.tasks.retain(|(_, at)| *at >= since);
        if let Some((lost, _)) = self.tasks.iter().find(|(id, _)| cluster.task(id).is_none()) {
            return Some(format!("a user was told of task {lost}, which is not there"));
        }
        let runs = self.stopped.iter().filter_map(|id| cluster.task(id));
        if let Some(task) = runs.into_iter().find(|task| task.desired != Desired::Stopped) {
            return Some(format!("a user was told that task {} stops, and it shall run", task.id));
        }
        let many = |by: &str| cluster.tasks_by(TaskFacet::StartedBy(by), Phase::ALL).count();
        let twice = self.runs.iter().find(|(by, asked)| many(by) > **asked);
        twice.map(|(by, asked)| format!("{asked} tasks were asked for as {by}, there are {}", many(by)))
    }
}

/// Other services as they stand, where they are there.
#[derive(Clone, Copy)]
pub struct Others<'a> {
    pub events: Option<&'a Events>,
    pub scheduler: Option<&'a Scheduler>,
}

fn service(cluster: &Cluster, name: &str) -> Is {
    let row = cluster.service(&ServiceName(name.to_owned()))?;
    (row.status == ServiceStatus::Active).then_some(i64::from(row.desired_count))
}
