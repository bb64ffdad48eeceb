//! Why a service is in its state.

use ecs_model::errors;
use wire::{Error, Timestamp};

use super::{Explanation, Look, count, deployment, refusals, stage, task_sets};
use crate::{
    arn, beyond,
    cluster::{
        DeploymentControllerType, DeploymentRow, ServiceName, ServiceRow, ServiceStatus, Tally,
        tally::{Class, Standing},
    },
    service::{events, rebalancing},
};

pub fn explain(look: Look<'_>, named: &str) -> Result<Explanation, Error> {
    let name = ServiceName(arn::service_name(look.ctx, &look.state.row.name, named)?);
    let row = look.state.service(&name).ok_or_else(|| errors::service_not_found("Service not found."))?;
    let tally = look.state.tally(&name);
    let (running, pending) = tally.counts();
    let wanted = match row.daemon() {
        true => "one task on each container instance that suits".to_owned(),
        false => format!("desired {}", row.desired_count),
    };
    let status = match row.status {
        ServiceStatus::Active => "ACTIVE",
        ServiceStatus::Draining => "DRAINING",
        ServiceStatus::Inactive => "INACTIVE",
    };
    let state = format!("{status}, {wanted}, running {running}, pending {pending}");
    let mut told = Explanation::new(format!("service {name}"), state, Some(row.created_at));
    match row.status {
        ServiceStatus::Active => {
            active(look, row, &tally, &mut told);
            told.because.extend(beyond::without_effect(row));
        }
        ServiceStatus::Draining => {
            told.because.push("it was deleted".to_owned());
            told.waits_for.push(format!("the end of {}", count(tally.live(), "task")));
        }
        ServiceStatus::Inactive if tally.live() > 0 => {
            told.because.push("it was deleted".to_owned());
            told.waits_for.push(format!("the end of {}", count(tally.live(), "task")));
        }
        ServiceStatus::Inactive => told.because.push("it was deleted, and has no task left".to_owned()),
    }
    Ok(told)
}

fn active(look: Look<'_>, row: &ServiceRow, tally: &Tally, told: &mut Explanation) {
    if row.controller == DeploymentControllerType::External {
        return task_sets::add(look, row, tally, told);
    }
    if row.steady && row.rebalancing.is_none_or(|of| of.extra <= 0) {
        told.because.push("it has reached a steady state".to_owned());
        rebalanced(look, row, told);
        if let Some((why, at)) = row.unplaced.as_ref().filter(|(why, _)| events::is_of_zones(why)) {
            told.because.push(format!("since {}: it {why}", at.to_iso8601()));
        }
        return;
    }
    let newest = look.state.service_deployment(&row.name).filter(|newest| !newest.status.has_ended());
    if let Some(newest) = newest {
        told.because.push(format!("its deployment {} is {}", newest.id, newest.status.as_str()));
        stage::alarms(newest, told);
        deployment::goes_on(look, newest, row, told);
    }
    wants(look, row, tally, told);
    let is_told = |message: &str| row.unplaced.as_ref().is_some_and(|(why, _)| message.contains(why));
    if let Some(event) = look.state.service_events(&row.name).next().filter(|event| !is_told(&event.message))
    {
        told.because.push(format!("the last it said, at {}: {}", event.at.to_iso8601(), event.message));
    }
}

/// What it lacks, and what stands in the way.
pub fn wants(look: Look<'_>, row: &ServiceRow, tally: &Tally, told: &mut Explanation) {
    let Some(primary) = row.deployments.first() else { return };
    back_off(look, row, primary, told);
    if let Some((why, at)) = &row.unplaced {
        let was = if events::is_of_zones(why) { "it " } else { "it was unable to place a task because " };
        told.because.push(format!("since {}: {was}{why}", at.to_iso8601()));
        told.waits_for.push("room for its next task".to_owned());
        refusals::add(look, &refusals::requests(look, row, primary), told);
    }
    let share = tally.share(&primary.id);
    let standing = |standing| share.count(|class: Class| class.standing == standing);
    let (coming, unhealthy) = (standing(Standing::Coming), standing(Standing::Unhealthy));
    if coming > 0 {
        told.waits_for.push(format!("{} of its PRIMARY deployment to be RUNNING", count(coming, "task")));
    }
    if unhealthy > 0 {
        told.waits_for.push(format!("{} of its PRIMARY deployment to be HEALTHY", count(unhealthy, "task")));
    }
    let sick = standing(Standing::Sick);
    if sick > 0 {
        let tasks = count(sick, "task");
        told.waits_for
            .push(format!("{tasks} of its PRIMARY deployment whose health checks failed to be replaced"));
    }
    let old: usize = tally.shares().filter(|(id, _)| **id != primary.id).map(|(_, share)| share.live).sum();
    if old > 0 {
        told.waits_for.push(format!("{} of earlier revisions to be replaced", count(old, "task")));
    }
    protected(look, row, primary, tally, told);
    rebalanced(look, row, told);
    let leaving = share.count(|class| class.leaving);
    if leaving > 0 {
        told.waits_for
            .push(format!("{} on DRAINING container instances to be replaced", count(leaving, "task")));
    }
}

/// Protected tasks that would have been stopped: of earlier revisions, beyond the desired count, or where they must not stay.
fn protected(
    look: Look<'_>,
    row: &ServiceRow,
    primary: &DeploymentRow,
    tally: &Tally,
    told: &mut Explanation,
) {
    let all = tally.live();
    let old = tally.newest(all, |id, class| *id != primary.id && class.is_protected);
    let leaving = tally.newest(all, |id, class| *id == primary.id && class.is_protected && class.leaving);
    let own = tally.newest(all, |id, class| *id == primary.id && class.is_protected && class.stays());
    let has = tally.share(&primary.id).count(Class::stays);
    let most = if row.daemon() { has } else { usize::try_from(row.desired_count).unwrap_or(0) };
    let surplus = own.len().min(has.saturating_sub(most));
    for (tasks, which) in [
        (&old[..], "of earlier revisions"),
        (&own[..surplus], "beyond the desired count"),
        (&leaving[..], "on DRAINING container instances"),
    ] {
        let until = tasks.iter().filter_map(|(_, id)| look.state.task(id)?.protected_until).max();
        let Some(until) = until.map(Timestamp::to_iso8601) else { continue };
        told.waits_for.push(format!(
            "the end of the protection of {} {which}, at {until} at the latest",
            count(tasks.len(), "task")
        ));
        let ids: Vec<String> = tasks.iter().take(NAMED).map(|(_, id)| id.to_string()).collect();
        told.would_change.push(format!(
            "UpdateTaskProtection with protectionEnabled false, of {}{}",
            ids.join(", "),
            if tasks.len() > NAMED { " and others" } else { "" }
        ));
    }
}

/// So many tasks are named one by one.
const NAMED: usize = 5;

/// That it is rebalanced, over zones or onto fewer container instances.
fn rebalanced(look: Look<'_>, row: &ServiceRow, told: &mut Explanation) {
    let Some(of) = row.rebalancing else { return };
    let again = of.not_before.filter(|at| *at > look.ctx.now).map(Timestamp::to_iso8601);
    let is_packed = rebalancing::is_packed(row);
    if of.extra <= 0 && is_packed {
        let looks =
            |at| format!("whether its tasks fit onto fewer container instances is looked at again at {at}");
        return told.because.extend(again.map(looks));
    }
    let extra = count(usize::try_from(of.extra).unwrap_or(0), "task");
    let mut then = "all of its tasks to be healthy; then as many stop where there are too many".to_owned();
    match (of.extra, is_packed) {
        (..=0, _) => {}
        (_, false) => told.because.push(format!(
            "it is rebalanced over zones: it has {extra} more than it wants, where there are too few"
        )),
        (_, true) => {
            let from = of.from.map(|host| format!(" {host}")).unwrap_or_default();
            told.because.push(format!(
                "it is moved onto fewer container instances: it has {extra} more than it wants, elsewhere than on{from}"
            ));
            then = format!("all of its tasks to be healthy; then one stops on{from}");
        }
    }
    match again {
        Some(at) => told.waits_for.push(format!("the next attempt to rebalance it, at {at}")),
        None if of.extra > 0 => told.waits_for.push(then),
        None => {}
    }
}

/// What holds up a task of one of its revisions or task sets.
pub fn back_off(look: Look<'_>, row: &ServiceRow, primary: &DeploymentRow, told: &mut Explanation) {
    if look.account.task_definition(&primary.task_definition).is_none() {
        let definition = &primary.task_definition;
        told.because.push(format!("its task definition {definition} is not known any more"));
        told.would_change.push(format!("UpdateService of {} with another task definition", row.name));
    }
    let failures = primary.consecutive_failures;
    let Some(at) = primary.not_before.filter(|at| *at > look.ctx.now) else { return };
    told.because.push(format!(
        "{} in a row: the last {} of its PRIMARY deployment did not stay",
        count(failures as usize, "failure"),
        if failures == 1 { "task" } else { "tasks" }
    ));
    told.waits_for.push(format!("the next attempt, at {}", at.to_iso8601()));
    told.would_change.push(format!(
        "a task that stays; `aws ecs describe-tasks` of the STOPPED ones (`aws ecs list-tasks \
         --service-name {} --desired-status STOPPED`) says why they ended; UpdateService begins anew at once",
        row.name
    ));
}
