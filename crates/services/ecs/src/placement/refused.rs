//! Why no container instance takes a task, in the two forms in which ECS says it: the failures of RunTask
//! and StartTask, and the event of a service.

use ecs_model as ecs;

use super::{Candidate, Reason, Request, filter};
use crate::{
    Cluster, Ctx, arn,
    cluster::{
        InstanceFacet,
        rows::{InstanceId, InstanceStatus},
    },
};

/// The most container instances that a refusal names.
const MAX_NAMED: usize = 100;

/// The reason where there is none.
const NO_INSTANCES: &str = "NO ACTIVE INSTANCES";
/// The reason where the capacity provider has none.
const EMPTY_PROVIDER: &str = "EMPTY CAPACITY PROVIDER";
/// What ECS says where Fargate has no room, whatever it is that lacks.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html>
pub const NO_CAPACITY: &str =
    "Capacity is unavailable at this time. Please try again later or in a different availability zone";

/// Why no container instance takes a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The ACTIVE container instances, in order, each with its reason.
    pub(super) each: Vec<(InstanceId, Reason)>,
    /// The one that fails at the last filter, and of those the one with the most memory left.
    pub(super) closest: Option<(InstanceId, Reason)>,
    /// Instances of one capacity provider alone were asked.
    of_provider: bool,
    /// Hosts that are given to Fargate were.
    of_fargate: bool,
}

impl Refused {
    /// Asks every ACTIVE container instance for its reason: of a capacity provider, where the request is for one.
    pub(super) fn by_all(state: &Cluster, request: &Request) -> Refused {
        let Some((name, value)) = request.part() else { return Refused::by(state.candidates(), request) };
        let ids = state.seek_instances(InstanceFacet::AttributeValue(name, value)).after(None);
        Refused::by(ids.filter_map(|id| state.candidate(&id)), request)
    }

    /// By the one container instance that was asked.
    pub(super) fn by_one(request: &Request, id: InstanceId, reason: Reason) -> Refused {
        let none = Refused::none(request);
        Refused { each: vec![(id, reason)], closest: Some((id, reason)), ..none }
    }

    fn none(request: &Request) -> Refused {
        let of_fargate = request.is_on_fargate();
        let of_provider = request.provider().is_some() && !of_fargate;
        Refused { each: Vec::new(), closest: None, of_provider, of_fargate }
    }

    fn by<'a>(candidates: impl Iterator<Item = Candidate<'a>>, request: &Request) -> Refused {
        let mut refused = Refused::none(request);
        let mut best = None;
        for candidate in candidates {
            if candidate.row.status != InstanceStatus::Active {
                continue;
            }
            let Some(reason) = filter::check(&candidate, request) else { continue };
            if refused.each.len() < MAX_NAMED {
                refused.each.push((candidate.row.id, reason));
            }
            let left = candidate.row.registered.memory.saturating_sub(candidate.used.memory);
            if best.is_none_or(|best| (reason, left) > best) {
                best = Some((reason, left));
                refused.closest = Some((candidate.row.id, reason));
            }
        }
        refused
    }

    /// Whether it is Fargate that has no room.
    pub fn is_of_fargate(&self) -> bool {
        self.of_fargate
    }

    /// The `failures` of RunTask and StartTask.
    /// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html>
    pub fn failures(&self, ctx: &Ctx, cluster: &str) -> Vec<ecs::Failure> {
        let failure = |arn: String, reason: &str| ecs::Failure {
            arn: Some(arn),
            reason: Some(reason.to_owned()),
            detail: None,
        };
        if self.of_fargate {
            // Of no container instance of it is ever said anything.
            return vec![ecs::Failure { reason: Some(NO_CAPACITY.to_owned()), ..ecs::Failure::default() }];
        }
        if self.each.is_empty() {
            return vec![failure(arn::cluster(ctx, cluster), self.reason())];
        }
        let named = self.each.iter();
        named
            .map(|(id, reason)| failure(arn::container_instance(ctx, cluster, id), reason.as_str()))
            .collect()
    }

    /// The reason of the closest container instance, or that there is none.
    pub fn reason(&self) -> &'static str {
        match self.closest {
            _ if self.of_fargate => NO_CAPACITY,
            Some((_, reason)) => reason.as_str(),
            None if self.of_provider => EMPTY_PROVIDER,
            None => NO_INSTANCES,
        }
    }

    /// The reason in what [`Refused::explain`] says, as RunTask would name it.
    pub fn reason_in(explained: &str) -> &'static str {
        if explained == NO_CAPACITY {
            return NO_CAPACITY;
        }
        let none =
            if explained.contains("in your capacity provider.") { EMPTY_PROVIDER } else { NO_INSTANCES };
        Reason::of_event(explained).map_or(none, Reason::as_str)
    }

    /// What stands in a service's event after "was unable to place a task because ".
    /// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html>
    pub fn explain(&self) -> String {
        if self.of_fargate {
            return NO_CAPACITY.to_owned();
        }
        let start = "no container instance met all of its requirements.";
        let end = "For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.";
        match &self.closest {
            None => {
                let whose = if self.of_provider { "capacity provider" } else { "cluster" };
                format!("{start} Reason: No Container Instances were found in your {whose}. {end}")
            }
            Some((id, reason)) => {
                let why = reason.in_event();
                format!("{start} The closest matching (container-instance {id}) {why}. {end}")
            }
        }
    }
}
