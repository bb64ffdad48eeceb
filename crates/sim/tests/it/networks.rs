//! Tasks with a network of their own, and what becomes of their interfaces where agents and machines are away.

use std::collections::BTreeSet;

use ecs::{
    Cluster,
    cluster::{AttachmentStatus, TaskRow, TaskStatus},
};
use serde_json::{Value, json};
use sim::{
    scenario::{Order, Scenario},
    subnets,
};

fn begin() -> Scenario {
    let app = json!({"name": "app", "image": "i", "cpu": 100, "memory": 100});
    let input = json!({"family": "net", "networkMode": "awsvpc", "containerDefinitions": [app]});
    let scenario = Scenario::new().machine((2048, 2048), "a", None).machine((2048, 2048), "b", None);
    scenario.call("RegisterTaskDefinition", input)
}

fn network() -> Value {
    json!({"awsvpcConfiguration": {"subnets": subnets()}})
}

fn passes(scenario: Scenario) {
    let done = scenario.telling(std::env::var_os("ROADSTEAD_SIM_TELL").is_some()).run();
    done.unwrap_or_else(|failure| panic!("at {} ms: {}", failure.at_ms, failure.what));
}

/// So many tasks are as is asked for, and no two of them have the same address.
fn are(
    count: usize,
    last: TaskStatus,
    attachment: AttachmentStatus,
) -> impl Fn(&Cluster) -> Result<(), String> {
    move |state| {
        let is = |task: &TaskRow| {
            task.last == last && task.attachment.as_ref().is_some_and(|of| of.status == attachment)
        };
        let found: Vec<_> = state.tasks().filter(|task| is(task)).collect();
        let of = |task: &TaskRow| task.attachment.as_ref()?.interface.as_ref()?.address;
        let addresses: BTreeSet<_> = found.iter().filter_map(|task| of(task)).collect();
        match found.len() == count && addresses.len() == count {
            true => Ok(()),
            false => Err(format!("{} are, with {} addresses", found.len(), addresses.len())),
        }
    }
}

fn stop(at: usize) -> impl Fn(&Cluster) -> Value {
    move |state| {
        let task = state.tasks().nth(at).map(|task| task.id.to_string());
        json!({"cluster": "c", "task": task})
    }
}

#[test]
fn tasks_have_interfaces_of_their_own_and_leave_them() {
    let run = json!({"cluster": "c", "taskDefinition": "net", "count": 6, "networkConfiguration": network()});
    let mut scenario = begin().call("RunTask", run).becomes(
        60,
        "each runs, with an interface",
        are(6, TaskStatus::Running, AttachmentStatus::Attached),
    );
    // Agents that are away say nothing of what has ended: its interface stays until then.
    scenario = scenario.order(0, Order::AgentDies(30_000)).order(1, Order::AgentDies(30_000)).after(1);
    for at in 0..6 {
        scenario = scenario.call_with("StopTask", stop(at));
    }
    let scenario = scenario
        .after(5)
        .becomes(1, "they still have theirs", are(6, TaskStatus::Stopping, AttachmentStatus::Attached))
        .becomes(120, "they have left them", are(6, TaskStatus::Stopped, AttachmentStatus::Deleted));
    passes(scenario);
}

#[test]
fn a_service_has_its_tasks_with_interfaces_again_after_a_machine_was_off() {
    let create = json!({"cluster": "c", "serviceName": "s", "taskDefinition": "net", "desiredCount": 4,
        "networkConfiguration": network()});
    let all = || are(4, TaskStatus::Running, AttachmentStatus::Attached);
    let scenario = begin()
        .call("CreateService", create)
        .becomes(60, "it has all", all())
        .order(0, Order::Off(20_000))
        .after(60)
        .becomes(240, "it has all again", all());
    passes(scenario);
}

#[test]
fn a_machine_that_is_gone_for_good_gives_back_the_interfaces_of_its_tasks() {
    let create = json!({"cluster": "c", "serviceName": "s", "taskDefinition": "net", "desiredCount": 4,
        "networkConfiguration": network()});
    let all = || are(4, TaskStatus::Running, AttachmentStatus::Attached);
    let scenario = begin()
        .call("CreateService", create)
        .becomes(60, "it has all", all())
        .order(0, Order::Vanishes(300_000))
        .after(2)
        .call_with("DeregisterContainerInstance", |state| {
            let row = state.instances().find(|row| {
                ecs::instance::attribute(row, ecs::instance::ZONE).is_some_and(|zone| zone.ends_with('a'))
            });
            json!({"cluster": "c", "containerInstance": row.map(|row| row.id.to_string()), "force": true})
        })
        .becomes(120, "others have come", all());
    passes(scenario);
}
