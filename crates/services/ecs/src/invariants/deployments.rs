//! What services are deployed by: revisions and deployments, and that nothing of them is missing or too much.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    cluster::{
        Cluster, DeploymentControllerType, DeploymentId, DeploymentRolloutState, DeploymentRow, ServiceRow,
        ServiceStatus, TaskSetRow,
    },
    limits,
};

/// What is broken, in words.
pub(super) fn check(state: &Cluster, broken: &mut Vec<String>) {
    for service in state.services() {
        match service.controller {
            DeploymentControllerType::Ecs => revisions(state, service, broken),
            DeploymentControllerType::External => task_sets(state, service, broken),
        }
        deployments(state, service, broken);
    }
    let rows = state.services().flat_map(|service| state.service_deployments(&service.name, u64::MAX));
    let calls: usize = rows.map(|row| row.calls().count()).sum();
    if calls != state.calls().len() {
        broken.push(format!("{calls} hooks call functions, and {} calls wait", state.calls().len()));
    }
    let spare = state.all_images().filter(|row| state.revision(&row.service, row.id).is_none());
    broken.extend(
        spare.map(|row| format!("{} of service {} has images, and is not there", row.id, row.service)),
    );
    let strays = state.deployed().filter(|name| state.service(name).is_none());
    broken.extend(strays.map(|name| format!("service {name} is deployed, and not there")));
}

/// What runs has its revision, and each revision is named by something.
fn revisions(state: &Cluster, service: &ServiceRow, broken: &mut Vec<String>) {
    let mut named: BTreeSet<DeploymentId> = service.completed.into_iter().collect();
    for deployment in &service.deployments {
        named.insert(deployment.id);
        let Some(revision) = state.revision(&service.name, deployment.id) else {
            broken.push(format!("{} of service {} has no revision", deployment.id, service.name));
            continue;
        };
        if revision.task_definition != deployment.task_definition {
            broken.push(format!("{} of service {} is of another definition", deployment.id, service.name));
        }
    }
    if service.deployments.first().is_some_and(|primary| primary.task_definition != service.task_definition) {
        broken.push(format!("service {} wants another definition than its PRIMARY deployment", service.name));
    }
    for row in state.service_deployments(&service.name, u64::MAX) {
        named.extend(row.sources.iter().copied().chain([row.target]));
    }
    let spare = state.revisions(&service.name).filter(|row| !named.contains(&row.id));
    broken.extend(spare.map(|row| format!("nothing names {} of service {}", row.id, service.name)));
}

/// Each task set stands among the deployments of its service, and nothing else does.
fn task_sets(state: &Cluster, service: &ServiceRow, broken: &mut Vec<String>) {
    let sets: BTreeMap<DeploymentId, &TaskSetRow> =
        state.task_sets(&service.name).map(|set| (set.id, set.as_ref())).collect();
    let here: BTreeMap<DeploymentId, &DeploymentRow> =
        service.deployments.iter().map(|deployment| (deployment.id, deployment)).collect();
    if !sets.keys().eq(here.keys()) && service.status == ServiceStatus::Active {
        broken.push(format!("service {} has the task sets {sets:?}, and keeps {here:?}", service.name));
    }
    for (id, deployment) in here {
        if sets.get(&id).is_some_and(|set| set.task_definition != deployment.task_definition) {
            broken.push(format!("{id} of service {} is of another definition", service.name));
        }
    }
}

/// Only the newest goes on, to what is PRIMARY or back from it; one that has ended says how it was.
fn deployments(state: &Cluster, service: &ServiceRow, broken: &mut Vec<String>) {
    let newest = state.service_deployment(&service.name).map(|row| row.number);
    let mut all = 0;
    for row in state.service_deployments(&service.name, u64::MAX) {
        all += 1;
        let ended = row.status.has_ended();
        for (wrong, what) in [
            (!ended && Some(row.number) != newest, "goes on, though another one has begun"),
            (ended != row.end.is_some(), "has an end, and has not ended"),
            (ended != row.finished_at.is_some(), "has not ended when it ended"),
            (ended != row.forget_at.is_some(), "is kept for ever"),
        ] {
            if wrong {
                broken.push(format!("deployment {} of service {} {what}: {row:?}", row.id, service.name));
            }
        }
        let ours = service.controller == DeploymentControllerType::Ecs;
        if !ours && !ended {
            broken
                .push(format!("deployment {} of service {} goes on beside task sets", row.id, service.name));
        }
        let Some(primary) = service.deployments.first().filter(|_| !ended && ours) else { continue };
        let wanted = row.rollback.as_ref().and_then(|rollback| rollback.to).unwrap_or(row.target);
        if primary.id != wanted || primary.rollout != DeploymentRolloutState::InProgress {
            broken.push(format!("deployment {} of service {} goes nowhere: {row:?}", row.id, service.name));
        }
    }
    if all > limits::SERVICE_DEPLOYMENTS {
        broken.push(format!("service {} keeps {all} deployments", service.name));
    }
}
