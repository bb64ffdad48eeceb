//! What rows are listed by: of a task, an instance, a service the numbers under which its id stands in an index. A page
//! of a list begins where the last one ended, and looks at what its filters name; which index serves which question
//! stands in ARCHITECTURE.md. An index of all rows, changed only where they are applied.

use std::sync::Arc;

use ecs_model::SchedulingStrategy;
use imbl::{OrdMap, OrdSet};

use super::{
    Cluster, Usage, looks,
    rows::*,
    seek::{First, Index, Seek, Successor},
};
use crate::digest::digest;

/// How far a task is from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It shall run.
    Running,
    /// It shall be stopped, and is not STOPPED yet.
    Stopping,
    Stopped,
}

impl Phase {
    /// Those of tasks that are not STOPPED.
    pub const LIVE: &'static [Phase] = &[Phase::Running, Phase::Stopping];
    /// Each.
    pub const ALL: &'static [Phase] = &[Phase::Running, Phase::Stopping, Phase::Stopped];
}

/// By what tasks are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskFacet<'a> {
    LaunchType(LaunchType),
    Family(&'a str),
    StartedBy(&'a str),
    Service(&'a ServiceName),
    Daemon(&'a DaemonName),
}

impl TaskFacet<'_> {
    fn number(self, phase: Phase) -> u64 {
        let number = match self {
            TaskFacet::LaunchType(launch_type) => digest(&["launchType", launch_type.as_str()]),
            TaskFacet::Family(family) => digest(&["family", family]),
            TaskFacet::StartedBy(by) => digest(&["startedBy", by]),
            TaskFacet::Service(name) => digest(&["service", &name.0]),
            TaskFacet::Daemon(name) => digest(&["daemon", &name.0]),
        };
        number << 2 | phase as u64
    }

    fn holds(self, row: &TaskRow) -> bool {
        match self {
            TaskFacet::LaunchType(launch_type) => row.launch_type == launch_type,
            TaskFacet::Family(family) => row.daemon.is_none() && row.task_definition.family == family,
            TaskFacet::StartedBy(by) => row.started_by.as_deref() == Some(by),
            TaskFacet::Service(name) => row.service.as_ref().is_some_and(|(service, _)| service == name),
            TaskFacet::Daemon(name) => row.daemon.as_ref().is_some_and(|of| of.name == *name),
        }
    }
}

/// By what container instances are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceFacet<'a> {
    Status(InstanceStatus),
    /// Whether its agent is connected.
    Connected(bool),
    Ec2InstanceId(&'a str),
    /// It has an attribute of that name.
    Attribute(&'a str),
    /// It has an attribute of that name and value.
    AttributeValue(&'a str, &'a str),
}

impl InstanceFacet<'_> {
    fn number(self) -> u64 {
        match self {
            InstanceFacet::Status(status) => digest(&["status", status.as_str()]),
            InstanceFacet::Connected(connected) => digest(&["connected", if connected { "1" } else { "0" }]),
            InstanceFacet::Ec2InstanceId(id) => digest(&["ec2InstanceId", id]),
            InstanceFacet::Attribute(name) => digest(&["attribute", name]),
            InstanceFacet::AttributeValue(name, value) => digest(&["attribute", name, value]),
        }
    }
}

/// The indexes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facets {
    tasks: Index<TaskId>,
    instances: Index<InstanceId>,
    /// Services that are not INACTIVE.
    services: Index<ServiceName>,
    /// How many tasks that are not STOPPED, services that are not INACTIVE and deployments of them are of a definition.
    references: OrdMap<TaskDefinitionId, usize>,
}

/// Moves an id from what it stood under to what it stands under.
fn renumber<I: Successor>(index: &mut Index<I>, id: &I, old: &[u64], new: &[u64]) {
    for number in old.iter().filter(|number| !new.contains(number)) {
        index.remove(&(*number, id.clone()));
    }
    for number in new.iter().filter(|number| !old.contains(number)) {
        index.insert((*number, id.clone()));
    }
}

impl Facets {
    /// As the rows of a cluster make them.
    pub fn of(state: &Cluster) -> Facets {
        let mut facets = Facets::default();
        state.tasks().for_each(|row| facets.task(None, Some(row)));
        state.instances().for_each(|row| facets.instance(None, Some(row)));
        state.services().for_each(|row| facets.service(None, Some(row)));
        facets
    }

    /// A task is written or forgotten.
    pub(super) fn task(&mut self, old: Option<&TaskRow>, new: Option<&TaskRow>) {
        if let (Some(old), Some(new)) = (old, new)
            && listed_alike(old, new)
        {
            return;
        }
        let Some(id) = new.or(old).map(|row| row.id) else { return };
        let of = |row: Option<&TaskRow>| row.map(task_numbers).unwrap_or_default();
        renumber(&mut self.tasks, &id, &of(old), &of(new));
        // A daemon's is of a definition of another kind.
        let refers = |row: &&TaskRow| row.last != TaskStatus::Stopped && row.daemon.is_none();
        if let Some(new) = new.filter(refers) {
            self.refer(&new.task_definition);
        }
        if let Some(old) = old.filter(refers) {
            self.release(&old.task_definition);
        }
    }

    /// A container instance is written or forgotten.
    pub(super) fn instance(&mut self, old: Option<&InstanceRow>, new: Option<&InstanceRow>) {
        let Some(id) = new.or(old).map(|row| row.id) else { return };
        let same = old.zip(new).is_some_and(|(old, new)| old.attributes == new.attributes);
        let of = |row: Option<&InstanceRow>| row.map(|row| instance_numbers(row, !same)).unwrap_or_default();
        renumber(&mut self.instances, &id, &of(old), &of(new));
    }

    /// A service is written or forgotten.
    pub(super) fn service(&mut self, old: Option<&ServiceRow>, new: Option<&ServiceRow>) {
        let live = |row: &&ServiceRow| row.status != ServiceStatus::Inactive;
        let (old, new) = (old.filter(live), new.filter(live));
        let Some(name) = new.or(old).map(|row| &row.name) else { return };
        let listed = |row: &&ServiceRow| row.status == ServiceStatus::Active;
        let of = |row: &ServiceRow| vec![service_number(row.scheduling, row.launch_type)];
        let of = |row: Option<&ServiceRow>| row.filter(listed).map(of).unwrap_or_default();
        renumber(&mut self.services, name, &of(old), &of(new));
        if old.zip(new).is_some_and(|(old, new)| definitions(old).eq(definitions(new))) {
            return;
        }
        new.into_iter().flat_map(definitions).for_each(|id| self.refer(id));
        old.into_iter().flat_map(definitions).for_each(|id| self.release(id));
    }

    fn refer(&mut self, id: &TaskDefinitionId) {
        match self.references.get_mut(id) {
            Some(count) => *count += 1,
            None => drop(self.references.insert(id.clone(), 1)),
        }
    }

    fn release(&mut self, id: &TaskDefinitionId) {
        match self.references.get_mut(id) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.references.remove(id)),
        }
    }
}

fn definitions(row: &ServiceRow) -> impl Iterator<Item = &TaskDefinitionId> {
    let of_deployments = row.deployments.iter().map(|deployment| &deployment.task_definition);
    std::iter::once(&row.task_definition).chain(of_deployments)
}

fn listed_alike(old: &TaskRow, new: &TaskRow) -> bool {
    old.phase() == new.phase()
        && old.launch_type == new.launch_type
        && old.started_by == new.started_by
        && old.service == new.service
        && old.daemon == new.daemon
        && old.task_definition == new.task_definition
}

fn task_numbers(row: &TaskRow) -> Vec<u64> {
    let phase = row.phase();
    let facets = [
        Some(TaskFacet::LaunchType(row.launch_type)),
        Some(TaskFacet::Family(&row.task_definition.family)).filter(|_| row.daemon.is_none()),
        row.started_by.as_deref().map(TaskFacet::StartedBy),
        row.service.as_ref().map(|(name, _)| TaskFacet::Service(name)),
        row.daemon.as_ref().map(|of| TaskFacet::Daemon(&of.name)),
    ];
    facets.into_iter().flatten().map(|facet| facet.number(phase)).collect()
}

fn instance_numbers(row: &InstanceRow, with_attributes: bool) -> Vec<u64> {
    use InstanceFacet::{Attribute, AttributeValue, Connected, Ec2InstanceId, Status};
    let own = [Some(Status(row.status)), Some(Connected(row.agent_connected))].into_iter();
    let own = own.chain([row.ec2_instance_id.as_deref().map(Ec2InstanceId)]).flatten();
    let attributes = row.attributes.iter().filter(|_| with_attributes);
    let attributes = attributes.flat_map(|a| {
        let value = a.value.as_deref().map(|value| AttributeValue(&a.name, value));
        value.into_iter().chain([Attribute(&a.name)])
    });
    own.chain(attributes).map(InstanceFacet::number).collect()
}

fn service_number(scheduling: Scheduling, launch_type: LaunchType) -> u64 {
    let scheduling = match scheduling {
        Scheduling::Replica => SchedulingStrategy::Replica,
        Scheduling::Daemon => SchedulingStrategy::Daemon,
    };
    digest(&[scheduling.as_str(), launch_type.as_str()])
}

impl Usage {
    /// Gives the first of the tasks that are not STOPPED and shall be so.
    fn first(&self, desired: Desired) -> First<'_, TaskId> {
        Box::new(move |from| {
            let mut live = self.tasks.range(*from..).inspect(|_| looks::one());
            live.find(|(_, of)| **of == desired).map(|(id, _)| *id)
        })
    }
}

impl TaskRow {
    /// How far it is from its end.
    pub fn phase(&self) -> Phase {
        match (self.desired, self.last) {
            (_, TaskStatus::Stopped) => Phase::Stopped,
            (Desired::Stopped, _) => Phase::Stopping,
            (Desired::Running, _) => Phase::Running,
        }
    }
}

impl Cluster {
    /// The indexes by which rows are listed.
    pub fn facets(&self) -> &Facets {
        &self.facets
    }

    /// Tasks by a facet, in some phases. Among them may be one of another value, where both have the same number.
    pub fn seek_tasks(&self, facet: TaskFacet, phases: &[Phase]) -> Seek<'_, TaskId> {
        let of = |phase: &Phase| Seek::Index(&self.facets.tasks, facet.number(*phase));
        Seek::Any(phases.iter().map(of).collect())
    }

    /// The tasks on a container instance, in some phases.
    pub fn seek_tasks_on(&self, instance: &InstanceId, phases: &[Phase]) -> Seek<'_, TaskId> {
        let Some(usage) = self.usage.get(instance) else { return Seek::Any(Vec::new()) };
        let of = |phase: &Phase| match phase {
            Phase::Stopped => Seek::Set(&usage.ended),
            Phase::Running => Seek::Of(usage.first(Desired::Running)),
            Phase::Stopping => Seek::Of(usage.first(Desired::Stopped)),
        };
        Seek::Any(phases.iter().map(of).collect())
    }

    /// The tasks of a facet and phases, those of one phase after those of another.
    pub fn tasks_by<'a>(
        &'a self,
        facet: TaskFacet<'a>,
        phases: &'a [Phase],
    ) -> impl Iterator<Item = &'a Arc<TaskRow>> {
        let ids = phases.iter().flat_map(move |phase| {
            let number = facet.number(*phase);
            self.facets.tasks.range((number, TaskId::default())..).take_while(move |(of, _)| *of == number)
        });
        ids.filter_map(|(_, id)| self.task(id)).filter(move |row| facet.holds(row))
    }

    /// Container instances by a facet. Among them may be one of another value, where both have the same number.
    pub fn seek_instances(&self, facet: InstanceFacet) -> Seek<'_, InstanceId> {
        Seek::Index(&self.facets.instances, facet.number())
    }

    /// The container instances that a task of a group is on which is not STOPPED.
    pub fn seek_instances_of_group(&self, group: &str) -> Seek<'_, InstanceId> {
        let slots = self.slots.of_group(group).filter_map(|slot| self.slots.id(slot));
        let ids: OrdSet<InstanceId> = slots.inspect(|_| looks::one()).copied().collect();
        Seek::Of(Box::new(move |from| ids.get_next(from).copied()))
    }

    /// Services that are ACTIVE, of these scheduling strategies and launch types.
    pub fn seek_services(
        &self,
        scheduling: &[Scheduling],
        launch_types: &[LaunchType],
    ) -> Seek<'_, ServiceName> {
        let each = scheduling.iter().flat_map(|scheduling| launch_types.iter().map(|of| (*scheduling, *of)));
        let of = |(scheduling, launch_type)| {
            Seek::Index(&self.facets.services, service_number(scheduling, launch_type))
        };
        Seek::Any(each.map(of).collect())
    }

    /// Whether a task that is not STOPPED, or a service that is not INACTIVE, is of a task definition.
    pub fn refers_to(&self, definition: &TaskDefinitionId) -> bool {
        self.facets.references.contains_key(definition)
    }
}
