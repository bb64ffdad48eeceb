//! The networks of the control plane as clusters ask for interfaces there, and what tasks are assigned of them: held against
//! what is there and what runs.

use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc};

use ::ecs::{
    Cluster,
    cluster::{TaskId, TaskRow, TaskStatus},
};
use agent_protocol::acs;
use async_trait::async_trait;
use server::runtime::{
    Place,
    ferry::{Ear, Vpcs},
};
use state::{
    Id128,
    contract::{Given, HostNetwork, Interfaces, Network, NotANetwork, Want},
};
use wire::Error;

use crate::{
    breaks::Break,
    server::{ACCOUNT, CLUSTER, REGION, Server, place},
    world::World,
};

/// What tasks were assigned with: by task, the VPC and the address there.
pub type Assigned = BTreeMap<String, (String, Ipv4Addr)>;

/// The subnets of the default VPC, one of each zone: they follow from the names of account and region.
pub fn subnets() -> Vec<String> {
    let ctx = ec2::Ctx {
        now: wire::Timestamp(0),
        account: ACCOUNT.into(),
        region: REGION.into(),
        partition: "aws".into(),
        caller_arn: "".into(),
        agent: None,
    };
    let state = ec2::Ec2::default();
    ec2::seed::seen(&state, &ctx).subnets().keys().map(ToString::to_string).collect()
}

/// What makes interfaces, and loses its way where a bug has it so.
pub struct Carried {
    world: Arc<World>,
    inner: Arc<dyn Vpcs>,
}

impl Carried {
    /// Around what makes them.
    pub fn new(world: &Arc<World>, inner: Arc<dyn Vpcs>) -> Carried {
        Carried { world: world.clone(), inner }
    }
}

#[async_trait]
impl Vpcs for Carried {
    fn network(&self, place: &Place, subnets: &[String], groups: &[String]) -> Result<Network, NotANetwork> {
        self.inner.network(place, subnets, groups)
    }

    fn given_to(&self, place: &Place, sender: &str) -> Option<Vec<Id128>> {
        self.inner.given_to(place, sender)
    }

    fn on_host(&self, place: &Place, sender: &str, tasks: &[Id128]) -> Option<HostNetwork> {
        self.inner.on_host(place, sender, tasks)
    }

    fn listen(&self, place: &Place) -> Option<Ear> {
        self.inner.listen(place)
    }

    async fn bring(
        &self,
        place: &Place,
        sender: String,
        mut wants: Vec<Want>,
    ) -> Result<Option<Vec<(Id128, Given)>>, Error> {
        let mut swallowed = Vec::new();
        if self.world.has(Break::ReleasesSwallowed) {
            wants.retain(|(id, wanted)| {
                let is = wanted.is_none() && self.world.percent(30);
                swallowed.extend(is.then_some((*id, Given::Gone)));
                !is
            });
        }
        let given = self.inner.bring(place, sender, wants).await?;
        Ok(given.map(|given| given.into_iter().chain(swallowed).collect()))
    }
}

/// An assignment comes to an agent. One of mode `awsvpc` comes with its interface, and always with the same.
pub fn assigned(world: &World, task: &acs::Task) {
    if task.network_mode.as_deref() != Some("awsvpc") {
        return;
    }
    let id = task.arn.as_deref().map(::agent::task::id_in).unwrap_or_default().to_owned();
    let interface = task.elastic_network_interfaces.first();
    let address =
        interface.and_then(|one| one.ipv4_addresses.first()?.private_address.as_ref()?.parse().ok());
    match interface.and_then(|one| one.vpc.as_ref()).zip(address) {
        Some((vpc, address)) => {
            let now = (vpc.vpc_id.clone(), address);
            let before = world.assigned.lock().insert(id.clone(), now.clone());
            if before.is_some_and(|before| before != now) {
                world.fail(format!("task {id} was assigned with two interfaces"));
            }
        }
        None => world.fail(format!("task {id} is assigned without its interface")),
    }
}

/// A task runs from now on: with an address that no other one has which runs.
pub fn runs(world: &World, id: &str) {
    let assigned = world.assigned.lock();
    let Some(own) = assigned.get(id) else { return };
    let runs = world.runs.lock();
    if let Some(other) = runs.keys().find(|other| *other != id && assigned.get(*other) == Some(own)) {
        world.fail(format!("tasks {id} and {other} run, and both have {}", own.1));
    }
}

/// Each task that has an interface is one that EC2 has made one for, and the other way round.
pub fn at_rest(server: &Server, state: &Cluster) -> Option<String> {
    let networks = server.networks.shards()?;
    let given =
        networks.known(&place()).map(|shard| shard.read().state.given_to(CLUSTER)).unwrap_or_default();
    let holds = |task: &TaskRow| task.holds_interface() && task.last == TaskStatus::Running;
    for id in &given {
        if state.task(&TaskId(*id)).is_none_or(|task| !task.holds_interface()) {
            return Some(format!("task {id} has an interface, and does not want it"));
        }
    }
    let lacks = state.tasks().find(|task| holds(task) && !given.contains(&task.id.0));
    lacks.map(|task| format!("task {} runs, and has no interface", task.id))
}
