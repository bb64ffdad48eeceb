//! Why no container instance takes a task, in the two forms in which ECS says it: the failures of RunTask
//! and StartTask, and the event of a service.

use ecs_model as ecs;

use super::{Reason, Request, filter};
use crate::{
    Cluster, Ctx, arn,
    cluster::rows::{InstanceId, InstanceStatus},
};

/// The most container instances that a refusal names.
const MAX_NAMED: usize = 100;

/// The reason where there is none.
const NO_INSTANCES: &str = "NO ACTIVE INSTANCES";

/// Why no container instance takes a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The ACTIVE container instances, in order, each with its reason.
    pub(super) each: Vec<(InstanceId, Reason)>,
    /// The one that fails at the last filter, and of those the one with the most memory left.
    pub(super) closest: Option<(InstanceId, Reason)>,
}

impl Refused {
    /// Asks every ACTIVE container instance for its reason.
    pub(super) fn by_all(state: &Cluster, request: &Request) -> Refused {
        let mut refused = Refused { each: Vec::new(), closest: None };
        let mut best = None;
        for candidate in state.candidates() {
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

    /// The `failures` of RunTask and StartTask.
    /// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html>
    pub fn failures(&self, ctx: &Ctx, cluster: &str) -> Vec<ecs::Failure> {
        let failure = |arn: String, reason: &str| ecs::Failure {
            arn: Some(arn),
            reason: Some(reason.to_owned()),
            detail: None,
        };
        if self.each.is_empty() {
            return vec![failure(arn::cluster(ctx, cluster), NO_INSTANCES)];
        }
        let named = self.each.iter();
        named
            .map(|(id, reason)| failure(arn::container_instance(ctx, cluster, id), reason.as_str()))
            .collect()
    }

    /// The reason in what [`Refused::explain`] says, as RunTask would name it.
    pub fn reason_in(explained: &str) -> &'static str {
        Reason::of_event(explained).map_or(NO_INSTANCES, Reason::as_str)
    }

    /// What stands in a service's event after "was unable to place a task because ".
    /// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html>
    pub fn explain(&self) -> String {
        let start = "no container instance met all of its requirements.";
        let end = "For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.";
        match &self.closest {
            None => format!("{start} Reason: No Container Instances were found in your cluster. {end}"),
            Some((id, reason)) => {
                let why = reason.in_event();
                format!("{start} The closest matching (container-instance {id}) {why}. {end}")
            }
        }
    }
}
