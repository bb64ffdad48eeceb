//! Where a task goes: [`place`] picks the container instance, or [`Refused`] says why none would do.
//! Pure: reads the cluster, and changes nothing but what it keeps to find the next one by.
//!
//! The instances that have room come in the order of the strategies, as far as they are asked for; the costly filters
//! (attributes, memberOf, ports) are asked only of those that would win.

pub mod constraint;
pub mod filter;
mod places;
pub mod query;
mod refused;
mod rehearsal;
mod room;
pub mod score;
mod search;
pub mod slots;
pub mod split;
mod trie;
mod view;

use std::cmp::Reverse;

use imbl::OrdMap;
use wire::Error;

use crate::{
    Cluster, Ids,
    account::TaskDefinitionRow,
    capacity,
    cluster::{InstanceFacet, tally::Zone},
    fargate,
    instance::ZONE,
    rows::{
        Attribute, InstanceId, InstanceRow, LaunchType, PlacementConstraint, PlacementStrategy, Resources,
        TaskOverride,
    },
};

pub use constraint::Constraints;
pub use filter::Reason;
pub use places::Places;
pub use refused::{NO_CAPACITY, Refused};
pub use rehearsal::Rehearsal;
pub use room::Capacity;
pub use score::Strategy;
pub use slots::Slots;
use split::Layout;

/// What is in use on one container instance, beside its row.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    pub row: &'a InstanceRow,
    /// Held by tasks that are not STOPPED.
    pub used: &'a Resources,
    /// How many tasks of each group are on it.
    pub groups: &'a OrdMap<String, i32>,
    /// Tasks that are RUNNING on it.
    pub running: i32,
    /// Its slot.
    pub slot: u32,
}

impl<'a> Candidate<'a> {
    /// The value of an attribute: empty where it has none, `None` where it is absent.
    pub fn attribute(&self, name: &str) -> Option<&'a str> {
        let found = self.row.attributes.iter().find(|attribute| attribute.name == name)?;
        Some(found.value.as_deref().unwrap_or_default())
    }

    fn in_group(&self, group: &str) -> i64 {
        if self.groups.is_empty() { 0 } else { self.groups.get(group).copied().unwrap_or(0).into() }
    }
}

/// Whether constraints and strategies of a service read well, whatever it is to run.
///
/// # Errors
/// `InvalidParameterException` for one that is wrong.
pub fn check(constraints: &[PlacementConstraint], strategy: &[PlacementStrategy]) -> Result<(), Error> {
    Constraints::compile(&[], constraints)?;
    Strategy::compile(strategy).map(|_| ())
}

/// What a task needs of its host.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Needs {
    /// CPU, memory and static host ports.
    pub resources: Resources,
    /// How many GPUs; which is decided once the task is placed.
    pub gpus: usize,
    /// Attributes that must be there, with that value where one is given.
    pub attributes: Vec<Attribute>,
}

/// Tasks to place, all alike.
#[derive(Debug, Clone)]
pub struct Request {
    needs: Needs,
    /// What `spread` and `distinctInstance` count.
    group: String,
    constraints: Constraints,
    /// The first decides, the next ones break ties; what is left is decided by chance.
    strategy: Vec<Strategy>,
    /// How the best one is found by them.
    layout: Layout,
    /// The capacity provider whose instances alone will do.
    provider: Option<Box<str>>,
    /// Hosts that are given to Fargate alone will do, whosever they are.
    fargate: bool,
}

impl Request {
    /// Reads what a task of this definition asks for.
    ///
    /// # Errors
    /// `InvalidParameterException` for a constraint or strategy that is wrong.
    pub fn new(
        definition: &TaskDefinitionRow,
        overrides: &TaskOverride,
        group: &str,
        constraints: &[PlacementConstraint],
        strategy: &[PlacementStrategy],
    ) -> Result<Request, Error> {
        let of_definition = &definition.registered.placement_constraints;
        let strategy = match strategy {
            [] if group.starts_with("service:") => Strategy::of_service(),
            given => Strategy::compile(given)?,
        };
        Ok(Request {
            needs: definition.needs(overrides),
            group: group.to_owned(),
            constraints: Constraints::compile(of_definition, constraints)?,
            layout: score::layout(&strategy),
            strategy,
            provider: None,
            fargate: false,
        })
    }

    /// The same on instances of a capacity provider alone: one of Fargate has all hosts that are given to Fargate.
    pub fn of_provider(mut self, provider: &str) -> Request {
        self.provider = Some(provider.into());
        match fargate::is_provider(provider) {
            true => self.on_fargate(),
            false => self.parted_by(capacity::ATTRIBUTE),
        }
    }

    /// The same on hosts that are given to Fargate alone.
    pub fn on_fargate(mut self) -> Request {
        self.fargate = true;
        self.parted_by(fargate::ATTRIBUTE)
    }

    /// The same for tasks of a launch type.
    pub fn on(self, launch_type: LaunchType) -> Request {
        match launch_type {
            LaunchType::Fargate => self.on_fargate(),
            _ => self,
        }
    }

    /// Those that alone will do are a part of their own, so nothing looks at the others.
    fn parted_by(mut self, attribute: &str) -> Request {
        if !self.layout.attributes.iter().any(|name| name == attribute) {
            self.layout.attributes.push(attribute.to_owned());
        }
        self
    }

    /// The attribute, and its value, of the instances that alone will do.
    pub(crate) fn part(&self) -> Option<(&'static str, &str)> {
        match (self.fargate, &self.provider) {
            (true, _) => Some((fargate::ATTRIBUTE, fargate::GIVEN)),
            (false, provider) => Some((capacity::ATTRIBUTE, provider.as_deref()?)),
        }
    }

    /// Whether it is for Fargate, where there are no container instances to be seen.
    pub fn is_on_fargate(&self) -> bool {
        self.fargate
    }

    /// The capacity provider whose instances alone will do.
    pub fn provider(&self) -> Option<&str> {
        self.provider.as_deref()
    }

    /// The same in one zone.
    pub fn in_zone(&self, zone: &Zone) -> Request {
        let constraints = Constraints { zone: Some(zone.clone()), ..self.constraints.clone() };
        Request { constraints, ..self.clone() }
    }

    /// Whether what is left of CPU and memory is enough.
    fn fits(&self, cpu: i64, memory: i64) -> bool {
        let needs = &self.needs.resources;
        let enough = |left: i64, needs: i64| needs <= 0 || left >= needs;
        enough(cpu, needs.cpu) && enough(memory, needs.memory)
    }
}

/// All that decides on which container instances there is room for a task: requests that are alike in it are refused
/// and served by the same ones. Those that need much memory come first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    memory: Reverse<i64>,
    cpu: i64,
    gpus: usize,
    ports: Vec<(bool, u16)>,
    provider: Option<Box<str>>,
    fargate: bool,
    attributes: Vec<(String, Option<String>)>,
    constraints: Vec<String>,
    zone: Option<Zone>,
    /// The group of which no other task may be there.
    distinct: Option<String>,
}

impl Shape {
    /// The first that needs no more than so many MiB.
    pub fn most(memory: i64) -> Shape {
        Shape {
            memory: Reverse(memory),
            cpu: i64::MIN,
            gpus: 0,
            ports: Vec::new(),
            provider: None,
            fargate: false,
            attributes: Vec::new(),
            constraints: Vec::new(),
            zone: None,
            distinct: None,
        }
    }
}

impl Request {
    /// What decides where there is room for it.
    pub fn shape(&self) -> Shape {
        let Needs { resources, gpus, attributes } = &self.needs;
        let constraints = self.constraints.member_of.iter().map(|query| query.text().to_owned());
        Shape {
            memory: Reverse(resources.memory),
            cpu: resources.cpu,
            gpus: *gpus,
            ports: ports(resources).collect(),
            provider: self.provider.clone(),
            fargate: self.fargate,
            attributes: attributes.iter().map(|a| (a.name.clone(), a.value.clone())).collect(),
            constraints: constraints.collect(),
            zone: self.constraints.zone.clone(),
            distinct: self.constraints.distinct_instance.then(|| self.group.clone()),
        }
    }

    /// Whether what runs on a container instance decides if the task may be there, beside the room that it leaves.
    pub fn of_tasks(&self) -> bool {
        self.constraints.member_of.iter().any(query::Query::of_tasks)
    }
}

impl Request {
    /// Why a container instance does not take it now.
    pub(crate) fn refused_by(&self, candidate: &Candidate<'_>) -> Option<Reason> {
        filter::check(candidate, self)
    }

    /// What it needs of its host.
    pub fn needs(&self) -> &Needs {
        &self.needs
    }

    /// What has to apply to its host.
    pub fn member_of(&self) -> Vec<&str> {
        self.constraints.member_of.iter().map(query::Query::text).collect()
    }
}

/// The host ports in it; `true` for udp.
fn ports(of: &Resources) -> impl Iterator<Item = (bool, u16)> {
    let number = |udp: bool| move |port: &u16| (udp, *port);
    of.ports_tcp.iter().map(number(false)).chain(of.ports_udp.iter().map(number(true)))
}

/// Picks the container instance for one task alone.
///
/// # Errors
/// Why no container instance will do.
pub fn place(state: &mut Cluster, request: &Request, ids: &mut Ids) -> Result<InstanceId, Refused> {
    Places::new(request.clone()).next(state, ids)
}

/// Whether one container instance, which the caller names, can take one task now.
///
/// # Errors
/// Why it cannot.
pub fn place_on(state: &Cluster, request: &Request, id: &InstanceId) -> Result<(), Refused> {
    let refused = |reason| Refused::by_one(request, *id, reason);
    let Some(candidate) = state.candidate(id) else { return Err(refused(Reason::Inactive)) };
    filter::check(&candidate, request).map_or(Ok(()), |reason| Err(refused(reason)))
}

/// Whether a zone has an ACTIVE container instance on which the task may be, whatever runs there now. Looks at those of
/// the zone until it finds one.
pub fn is_in_zone(state: &Cluster, request: &Request, zone: &Zone) -> bool {
    let (there, here) =
        (state.seek_instances(InstanceFacet::AttributeValue(ZONE, zone)), request.in_zone(zone));
    there.after(None).any(|id| eligible(state, &here, &id))
}

/// Likewise, for a task that is started where no other one may be yet: a daemon's.
///
/// # Errors
/// Why it cannot.
pub fn place_first(state: &Cluster, request: &Request, id: &InstanceId) -> Result<(), Refused> {
    let refused = |reason| Refused::by_one(request, *id, reason);
    let Some(candidate) = state.candidate(id) else { return Err(refused(Reason::Inactive)) };
    filter::check_first(&candidate, request).map_or(Ok(()), |reason| Err(refused(reason)))
}

/// Whether a task of a DAEMON service belongs on a container instance, whatever runs there now.
pub fn eligible(state: &Cluster, request: &Request, id: &InstanceId) -> bool {
    state.candidate(id).is_some_and(|candidate| {
        !candidate.row.status.is_to_be_emptied() && filter::suits(&candidate, request).is_none()
    })
}

#[cfg(test)]
mod tests;
