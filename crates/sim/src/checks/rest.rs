//! What must hold at the end: all is at rest where it was asked to be.

use std::collections::BTreeSet;

use ::ecs::{
    Cluster,
    account::providers::Kind,
    arn,
    cluster::{Desired, TaskRow, TaskStatus},
    instance::{ZONE, attribute},
};
use state::{contract::Tells, outbox::Sends};

use super::{
    daemons,
    room::{self, Wanted},
    services,
};
use crate::{
    interfaces,
    machine::{self, MANAGED},
    server::{CLUSTER, Server, place},
    users::definitions::is_restless,
    world::World,
};

/// How late a timer may be.
const LATE_MS: i64 = 60_000;

/// What is not at rest, if anything: no task is half way, every service that has room has what it wants, what the rows say
/// is what machines do, and nothing waits between one part and another.
pub fn at_rest(world: &World, server: &Server) -> Option<String> {
    let Some(visible) = server.state() else { return Some("the cluster is not there".to_owned()) };
    let state = &visible.state;
    connected(world, state)
        .or_else(|| tasks(world, state))
        .or_else(|| daemons::at_rest(state))
        .or_else(|| services::at_rest(world, state))
        .or_else(|| told(world, server, state))
        .or_else(|| interfaces::at_rest(server, state))
        .or_else(|| contracts(world, server, state))
}

/// Every machine's agent is connected, and where it is said to be.
fn connected(world: &World, state: &Cluster) -> Option<String> {
    world.machines.iter().find_map(|machine| {
        let arn = machine.host.lock().instance.clone();
        let id = arn.as_deref().and_then(|arn| arn.rsplit('/').next());
        let row = id.and_then(::ecs::cluster::InstanceId::parse).and_then(|id| state.instance(&id));
        if !row.is_some_and(|row| row.agent_connected) {
            return Some(format!("the agent of machine {} is not connected", machine.number));
        }
        let zone = machine::zone(machine.host.lock().zone);
        let told = row.and_then(|row| attribute(row, ZONE));
        (told.as_ref() != Some(&zone))
            .then(|| format!("machine {} is in zone {zone}, not in {told:?}", machine.number))
    })
}

fn tasks(world: &World, state: &Cluster) -> Option<String> {
    let runs = world.runs.lock();
    for task in state.tasks().filter(|task| !is_restless(&task.task_definition.family)) {
        if task.is_provisioning() {
            if let Some(broken) = waits(world, state, task) {
                return Some(broken);
            }
            continue;
        }
        let settled = match task.last {
            TaskStatus::Running => task.desired == Desired::Running,
            last => last == TaskStatus::Stopped,
        };
        if !settled {
            return Some(format!("task {} is still {:?} (desired {:?})", task.id, task.last, task.desired));
        }
        if task.last == TaskStatus::Running && !runs.contains_key(&task.id.to_string()) {
            return Some(format!("task {} is RUNNING, and runs nowhere", task.id));
        }
    }
    let wanted = |id: &String| {
        let task = ::ecs::cluster::TaskId::parse(id).and_then(|id| state.task(&id));
        task.is_some_and(|task| task.desired == Desired::Running || is_restless(&task.task_definition.family))
    };
    let unwanted = runs.keys().find(|id| !wanted(id));
    unwanted.map(|id| format!("task {id} runs, and nobody wants it"))
}

/// What waits for its capacity provider to grow waits in vain, and not for longer than such do; in a patient world none is
/// left that no service would start again.
fn waits(world: &World, state: &Cluster, task: &TaskRow) -> Option<String> {
    let Some(waits) = &task.waits else { return Some(format!("task {} waits for nothing", task.id)) };
    if !world.sets_clocks() && waits.until.plus_millis(LATE_MS) < world.now() {
        return Some(format!("task {} still waits for room, and its time is over", task.id));
    }
    if task.service.is_none() && world.is_patient() {
        return Some(format!("task {} waits for room", task.id));
    }
    if !waits.placement_constraints.is_empty() {
        return None;
    }
    let wanted = Wanted { family: &task.task_definition.family, provider: task.capacity_provider.as_deref() };
    let host = room::found(state, &wanted)?;
    Some(format!("task {} waits for room, which is on {host}", task.id))
}

/// The bus has heard how each task is that is still remembered.
fn told(world: &World, server: &Server, state: &Cluster) -> Option<String> {
    let bus = world.bus.lock();
    let lost = state.outgoing().sequence().unwrap_or_default().lost;
    if !bus.rule_stands || lost > 0 {
        return None;
    }
    let ctx = server.homes.own().ctx("", world.now());
    let since = bus.rule_stood_at;
    for task in state.tasks().filter(|task| task.created_at > since) {
        let arn = arn::task(&ctx, CLUSTER, task.id);
        let told = bus.last_of(&arn);
        if !is_restless(&task.task_definition.family)
            && told != Some((task.last.as_str(), task.desired.as_str()))
        {
            return Some(format!("of task {} was told {told:?}, it is {:?}", task.id, task.last));
        }
    }
    None
}

/// Of no capacity provider anything is half way, and the cluster has those that are its own, and none that is not there.
fn providers(server: &Server, state: &Cluster) -> Option<String> {
    let account = server.homes.own().account();
    if let Some(name) = account.state.providers_unsettled().next() {
        return Some(format!("of capacity provider {name} something is begun and not carried out"));
    }
    let has = &state.row.capacity_providers;
    if let Some(name) = has.iter().find(|name| account.state.provider(name).is_none()) {
        return Some(format!("the cluster has capacity provider {name}, which is not there"));
    }
    let own = matches!(account.state.provider(MANAGED), Some(Kind::Managed { .. }));
    (own && !has.iter().any(|name| name == MANAGED))
        .then(|| format!("capacity provider {MANAGED} is there, and its cluster does not have it"))
}

/// What goes from one part to another has come there.
fn contracts(world: &World, server: &Server, state: &Cluster) -> Option<String> {
    let many = state.outgoing().len();
    if many > 200 {
        return Some(format!("{many} events wait for the bus"));
    }
    if let Some(broken) = providers(server, state) {
        return Some(broken);
    }
    let scheduler = server.scheduler.shards()?.known(&place());
    if let Some(waits) = scheduler.map(|shard| shard.read().state.outbox().len()).filter(|many| *many > 0) {
        return Some(format!("{waits} runs of schedules wait"));
    }
    let events = server.events.shards()?.known(&place())?.read();
    // What restless tasks say is on its way all the time.
    if events.state.outbox().len() > 200 {
        return Some(format!("{} deliveries wait", events.state.outbox().len()));
    }
    if events.state.dead_letters().next().is_some() {
        return None;
    }
    let bus = world.bus.lock();
    let waits: BTreeSet<String> = events.state.deliveries().map(|row| row.call.input.to_string()).collect();
    let came =
        |id: &&String| world.delivered.has(id) || waits.iter().any(|input| input.contains(id.as_str()));
    bus.to_deliver.iter().find(|id| !came(id)).map(|id| format!("event {id} was never delivered"))
}
