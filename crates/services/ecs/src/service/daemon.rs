//! Services of scheduling strategy DAEMON: one task on each container instance that can carry it.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service_scheduler.html>

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{events, rollout};
use crate::{
    account::TaskDefinitionRow,
    cluster::{InstanceId, InstanceStatus, ServiceRow, TaskId, TaskRow, TaskStatus, Txn, tally::Standing},
    limits, placement,
};

/// Starts the task where it is missing, stops it where it must not be, and replaces outdated ones within
/// minimumHealthyPercent (maximumPercent of a daemon is 100: the old one stops before the new one starts).
pub fn advance(txn: &mut Txn, service: &mut ServiceRow) {
    let live = rollout::in_order(txn.state.tally(&service.name).newest(usize::MAX, |_, _| true));
    let tasks: Vec<Arc<TaskRow>> = live.iter().filter_map(|id| txn.state.task(id).cloned()).collect();
    let healthy_one = |task: &TaskRow| task.standing() == Some(Standing::Healthy);
    let Some(primary) = service.deployments.first().cloned() else { return };
    let Some(definition) = txn.ports.account.task_definition(&primary.task_definition).cloned() else {
        return;
    };
    let group = format!("service:{}", service.name);
    let constraints = &service.placement_constraints;
    let Ok(wanted) = placement::Request::new(&definition, &Default::default(), &group, constraints, &[])
    else {
        return;
    };
    let eligible: Vec<InstanceId> = txn
        .state
        .instances()
        .filter(|row| {
            row.status == InstanceStatus::Active && placement::eligible(&txn.state, &wanted, &row.id)
        })
        .map(|row| row.id)
        .collect();
    let mut by_host: BTreeMap<&InstanceId, Vec<&TaskRow>> = BTreeMap::new();
    for task in &tasks {
        if let Some(host) = &task.instance {
            by_host.entry(host).or_default().push(task);
        }
    }
    service.desired_count = i32::try_from(eligible.len()).unwrap_or(i32::MAX);
    let current = |task: &TaskRow| task.service.as_ref().is_some_and(|(_, id)| *id == primary.id);
    let healthy = tasks.iter().filter(|task| healthy_one(task)).count();
    let floor =
        (eligible.len() * usize::try_from(service.minimum_healthy_percent).unwrap_or(0)).div_ceil(100);
    let mut spare = healthy.saturating_sub(floor);
    let mut stop: Vec<&TaskRow> = Vec::new();
    for (host, here) in &by_host {
        let belongs = eligible.binary_search(host).is_ok();
        let keep = here.iter().find(|task| current(task)).or(here.first()).map(|task| &task.id);
        for task in here {
            let surplus = !belongs || Some(&task.id) != keep;
            let outdated = !current(task) && (!healthy_one(task) || spare > 0);
            if surplus || outdated {
                spare -= usize::from(!surplus && healthy_one(task) && spare > 0);
                stop.push(task);
            }
        }
    }
    stop.truncate(limits::SETTLE_TASKS);
    let ids: Vec<TaskId> = stop.iter().map(|task| task.id).collect();
    rollout::stop_all(txn, service, &ids);
    // All that there can be runs, and is needed: no task is on its way that would let an outdated one go.
    let full = healthy == tasks.len() && healthy >= eligible.len();
    if full && stop.is_empty() && tasks.iter().any(|task| !current(task)) {
        events::add_blocked(txn, service);
    }
    if primary.not_before.is_some_and(|at| at > txn.now()) {
        return;
    }
    // Also one that is still stopping: its resources are not free yet.
    let taken: BTreeSet<InstanceId> = txn
        .state
        .tasks_of_service(&service.name)
        .filter(|task| task.last != TaskStatus::Stopped)
        .filter_map(|task| task.instance)
        .collect();
    let bare: Vec<InstanceId> = eligible.into_iter().filter(|host| !taken.contains(host)).collect();
    fill(txn, service, &definition, &wanted, bare);
}

/// Starts a task on each of these container instances, as many as one step can take.
fn fill(
    txn: &mut Txn,
    service: &mut ServiceRow,
    definition: &TaskDefinitionRow,
    wanted: &placement::Request,
    bare: Vec<InstanceId>,
) {
    let (mut started, mut refused) = (Vec::new(), Vec::new());
    for host in bare {
        if started.len() >= limits::SETTLE_TASKS || (!started.is_empty() && txn.full()) {
            break;
        }
        match placement::place_on(&txn.state, wanted, &host) {
            Ok(()) => started.push(rollout::start_on(txn, service, definition, host)),
            Err(why) if refused.len() < limits::REFUSED_NAMED => refused.push(why.explain()),
            Err(_) => {}
        }
    }
    rollout::say_started(txn, service, &started);
    service.unplaced = None;
    for why in refused {
        rollout::unplaced(txn, service, &why);
    }
}
