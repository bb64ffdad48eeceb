//! Whether a container instance can take a task, and if not, why, in the words of ECS.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html>

use std::collections::BTreeSet;

use super::{Candidate, Request};
use crate::{
    cluster::{rows::InstanceStatus, tally::Zone},
    instance::ZONE,
};

/// Why not. In the order of the filters: the later, the closer the instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Deregistered or draining.
    Inactive,
    /// Its agent is not connected.
    Agent,
    /// It lacks an attribute that the task definition needs.
    Attribute,
    MemberOf,
    DistinctInstance,
    Cpu,
    Memory,
    Ports,
    Gpu,
}

impl Reason {
    /// The `reason` of a failure.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Inactive => "INACTIVE",
            Reason::Agent => "AGENT",
            Reason::Attribute => "ATTRIBUTE",
            Reason::MemberOf => "MemberOf placement constraint unsatisfied.",
            Reason::DistinctInstance => "DistinctInstance placement constraint unsatisfied.",
            Reason::Cpu => "RESOURCE:CPU",
            Reason::Memory => "RESOURCE:MEMORY",
            Reason::Ports => "RESOURCE:PORTS",
            Reason::Gpu => "RESOURCE:GPU",
        }
    }

    const ALL: [Reason; 9] = [
        Reason::Inactive,
        Reason::Agent,
        Reason::Attribute,
        Reason::MemberOf,
        Reason::DistinctInstance,
        Reason::Cpu,
        Reason::Memory,
        Reason::Ports,
        Reason::Gpu,
    ];

    /// The reason that a failure names.
    pub fn of_failure(text: &str) -> Option<Reason> {
        Reason::ALL.into_iter().find(|reason| reason.as_str() == text)
    }

    /// What is wrong with a container instance, in a few words.
    pub fn lacks(self) -> &'static str {
        match self {
            Reason::Inactive => "not active",
            Reason::Agent => "agent not connected",
            Reason::Attribute => "missing attribute",
            Reason::MemberOf | Reason::DistinctInstance => "placement constraint unsatisfied",
            Reason::Cpu => "insufficient CPU",
            Reason::Memory => "insufficient memory",
            Reason::Ports => "port in use",
            Reason::Gpu => "insufficient GPUs",
        }
    }

    /// The reason that a service event gives.
    pub(super) fn of_event(text: &str) -> Option<Reason> {
        Reason::ALL.into_iter().find(|reason| text.contains(&reason.in_event()))
    }

    /// What the closest container instance of a service event does.
    pub(super) fn in_event(self) -> String {
        match self {
            Reason::Inactive => "is not active".to_owned(),
            Reason::Agent => "doesn't have the agent connected".to_owned(),
            Reason::Attribute => "is missing an attribute required by your task".to_owned(),
            Reason::MemberOf | Reason::DistinctInstance => format!("encountered error \"{}\"", self.as_str()),
            Reason::Cpu => "has insufficient CPU units available".to_owned(),
            Reason::Memory => "has insufficient memory available".to_owned(),
            Reason::Ports => "is already using a port required by your task".to_owned(),
            Reason::Gpu => "has insufficient GPUs available".to_owned(),
        }
    }
}

/// All filters; the first that fails.
pub(super) fn check(candidate: &Candidate<'_>, request: &Request) -> Option<Reason> {
    let constraint = || costly(candidate, request);
    reachable(candidate).or_else(constraint).or_else(|| room(candidate, request))
}

/// Those that hold where no other task may be yet: not the status of an instance that waits for a daemon.
pub(super) fn check_first(candidate: &Candidate<'_>, request: &Request) -> Option<Reason> {
    if !candidate.row.is_held() && candidate.row.status != InstanceStatus::Active {
        return Some(Reason::Inactive);
    }
    let constraint = || costly(candidate, request);
    connected(candidate).or_else(constraint).or_else(|| room(candidate, request))
}

/// The filters that hold whatever runs on the instance.
pub(super) fn suits(candidate: &Candidate<'_>, request: &Request) -> Option<Reason> {
    if request.part().is_some_and(|(name, value)| candidate.attribute(name) != Some(value)) {
        return Some(Reason::Attribute);
    }
    let missing = request.needs.attributes.iter().any(|needed| match candidate.attribute(&needed.name) {
        None => true,
        Some(value) => needed.value.as_deref().is_some_and(|wanted| wanted != value),
    });
    if missing {
        return Some(Reason::Attribute);
    }
    let is_there = |zone: &Zone| candidate.attribute(ZONE).unwrap_or_default() == &**zone;
    let constraints = &request.constraints;
    let holds = constraints.zone.as_ref().is_none_or(is_there)
        && constraints.member_of.iter().all(|query| query.holds(candidate));
    (!holds).then_some(Reason::MemberOf)
}

/// The filters that look through attributes and tasks.
fn costly(candidate: &Candidate<'_>, request: &Request) -> Option<Reason> {
    if let Some(reason) = suits(candidate, request) {
        return Some(reason);
    }
    let taken = request.constraints.distinct_instance && candidate.in_group(&request.group) > 0;
    taken.then_some(Reason::DistinctInstance)
}

fn reachable(candidate: &Candidate<'_>) -> Option<Reason> {
    if candidate.row.status != InstanceStatus::Active {
        return Some(Reason::Inactive);
    }
    connected(candidate)
}

fn connected(candidate: &Candidate<'_>) -> Option<Reason> {
    (!candidate.row.agent_connected).then_some(Reason::Agent)
}

fn room(candidate: &Candidate<'_>, request: &Request) -> Option<Reason> {
    let (needs, used, has) = (&request.needs.resources, candidate.used, &candidate.row.registered);
    let lacks = |has: i64, used: i64, needs: i64| needs > 0 && has.saturating_sub(used) < needs;
    if lacks(has.cpu, used.cpu, needs.cpu) {
        return Some(Reason::Cpu);
    }
    if lacks(has.memory, used.memory, needs.memory) {
        return Some(Reason::Memory);
    }
    let clash = |ports: &BTreeSet<u16>, reserved: &BTreeSet<u16>, used: &BTreeSet<u16>| {
        ports.iter().any(|port| reserved.contains(port) || used.contains(port))
    };
    let taken = clash(&needs.ports_tcp, &has.ports_tcp, &used.ports_tcp)
        || clash(&needs.ports_udp, &has.ports_udp, &used.ports_udp);
    if taken {
        return Some(Reason::Ports);
    }
    let gpus = request.needs.gpus;
    (gpus > 0 && has.gpus.without(&used.gpus).len() < gpus).then_some(Reason::Gpu)
}
