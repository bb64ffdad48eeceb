//! What agents may: bring themselves in, and then what their own container instance needs, of it and its tasks alone.
//! Everything that a call names has to be the agent's own; what is not there is nobody's. Looks at snapshots of ECS, and
//! changes nothing.

mod logs;

use std::sync::Arc;

use ::ecs::{
    arn::{self, Arn, Resource},
    cluster::TaskId,
};
use state::api::{text, texts};
use wire::protocol::Denied;

use crate::{
    gate::{Asked, Rights, Role},
    runtime::{Place, Visible},
    services::ecs::{Home, Homes},
};

/// The agents of all accounts and regions.
pub struct Agents {
    homes: Arc<Homes>,
    groups: logs::Groups,
}

/// What an agent may that is not registered yet: bring itself in, into any cluster of its account.
const NEW: &[&str] = &["ecs:RegisterContainerInstance"];

/// What the agent of a container instance may (agent protocol, section a.2, and what its awslogs driver calls), and when.
const REGISTERED: &[(&str, Holds)] = &[
    ("ecs:DiscoverPollEndpoint", names_its_own),
    ("ecs:ListTagsForResource", is_its_own),
    ("ecs:RegisterContainerInstance", names_its_own),
    ("ecs:SubmitAttachmentStateChanges", names_its_own),
    ("ecs:SubmitContainerStateChange", names_its_own),
    ("ecs:SubmitTaskStateChange", names_its_own),
    ("ecs:UpdateContainerInstancesState", names_its_own),
    ("logs:CreateLogGroup", logs::are_its_tasks),
    ("logs:CreateLogStream", logs::are_its_tasks),
    ("logs:PutLogEvents", logs::are_its_tasks),
];

/// Whether all that a call names is this agent's.
type Holds = fn(&Own, &Asked) -> bool;

/// An agent's container instance.
struct Own<'a> {
    cluster: &'a str,
    instance: &'a str,
    home: Arc<Home>,
    groups: &'a logs::Groups,
}

impl Agents {
    /// By what these know.
    pub fn new(homes: Arc<Homes>) -> Agents {
        Agents { homes, groups: logs::Groups::default() }
    }
}

impl Rights for Agents {
    fn allow(&self, asked: &Asked) -> Result<(), Denied> {
        let action = asked.action();
        let allowed = match &asked.who.role {
            Role::User => true,
            Role::NewAgent | Role::NewAgentOfOperator => NEW.contains(&&*action),
            Role::Agent { cluster, instance } => {
                let place: Place = (asked.ctx.account.clone(), asked.ctx.region.clone());
                let groups = &self.groups;
                let own = self.homes.known_home(&place).map(|home| Own { cluster, instance, home, groups });
                let holds = REGISTERED.iter().find(|(known, _)| *known == action).map(|(_, holds)| holds);
                own.zip(holds).is_some_and(|(own, holds)| holds(&own, asked))
            }
        };
        if allowed { Ok(()) } else { Err(asked.denied(not_its_own(asked))) }
    }
}

/// The first of what a call is on that is not the agent's cluster or container instance; of all that are, the first.
fn not_its_own(asked: &Asked) -> String {
    let own = match &asked.who.role {
        Role::Agent { cluster, instance } => {
            vec![arn::cluster(asked.ctx, cluster), arn::container_instance(asked.ctx, cluster, instance)]
        }
        _ => Vec::new(),
    };
    let mut resources = asked.resources();
    let at = resources.iter().position(|resource| !own.contains(resource)).unwrap_or(0);
    resources.swap_remove(at)
}

/// Cluster, container instances and task, wherever the input names any.
fn names_its_own(own: &Own, asked: &Asked) -> bool {
    let Asked { ctx, input, .. } = asked;
    let cluster = arn::cluster_name(ctx, text(input, "cluster"));
    let is_own = |named: &String| {
        arn::container_instance_id(ctx, own.cluster, named).is_ok_and(|id| id == own.instance)
    };
    let instances = ["containerInstance", "containerInstanceArn", "containerInstances"];
    let mut instances =
        instances.iter().flat_map(|member| texts(input, member)).filter(|named| !named.is_empty());
    // A task that nobody knows may be told of: it is one of the agent's that is forgotten.
    let is_not_anothers =
        |named: &str| arn::task_id(ctx, own.cluster, named).is_ok_and(|id| own.has_task(&id) != Some(false));
    cluster.is_ok_and(|named| named == own.cluster)
        && instances.all(|named| is_own(&named))
        && text(input, "task").is_none_or(is_not_anothers)
}

/// The container instance itself, or a task on it.
fn is_its_own(own: &Own, asked: &Asked) -> bool {
    let resource = text(asked.input, "resourceArn").and_then(Arn::parse);
    let here = |arn: &Arn| *arn.account == *asked.ctx.account && *arn.region == *asked.ctx.region;
    match resource.filter(here).map(|arn| arn.resource) {
        Some(Resource::ContainerInstance { cluster, id }) => cluster == own.cluster && id == own.instance,
        Some(Resource::Task { cluster, id }) => cluster == own.cluster && own.has_task(&id) == Some(true),
        _ => false,
    }
}

impl Own<'_> {
    /// Its cluster, as it stands.
    fn cluster(&self) -> Option<Arc<Visible<::ecs::Cluster>>> {
        self.home.cluster_by_name(self.cluster).map(|cluster| cluster.read())
    }

    /// Whether a task of its cluster is on the container instance; `None` if there is no such task.
    fn has_task(&self, id: &str) -> Option<bool> {
        let cluster = self.cluster()?;
        let task = cluster.state.task(&TaskId::parse(id)?)?;
        Some(task.instance.is_some_and(|instance| instance.to_string() == self.instance))
    }
}
