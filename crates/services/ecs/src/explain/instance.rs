//! Why a container instance is in its state, and what it has left.

use ecs_model::errors;
use wire::Error;

use super::{Explanation, Look, count};
use crate::{
    arn,
    cluster::{InstanceId, InstanceRow, InstanceStatus},
    daemon::hold,
};

pub fn explain(look: Look<'_>, named: &str) -> Result<Explanation, Error> {
    let id = arn::container_instance_id(look.ctx, &look.state.row.name, named)?;
    let row = InstanceId::parse(&id).and_then(|id| look.state.instance(&id));
    let row =
        row.ok_or_else(|| errors::invalid_parameter("The referenced container instance was not found."))?;
    let agent = if row.agent_connected { "agent connected" } else { "agent not connected" };
    let state = format!("{}, {agent}", row.status.as_str());
    let mut told = Explanation::new(format!("container instance {}", row.id), state, None);
    let usage = look.state.usage(&row.id).cloned().unwrap_or_default();
    let (has, used) = (&row.registered, &usage.used);
    told.because.push(format!(
        "of {} CPU units {} are left, of {} MiB {}; {} RUNNING, {} pending",
        has.cpu,
        has.cpu - used.cpu,
        has.memory,
        has.memory - used.memory,
        count(usize::try_from(usage.running).unwrap_or(0), "task"),
        usage.pending
    ));
    match row.status {
        InstanceStatus::Active => {}
        InstanceStatus::Registering => {
            told.because.push("it takes no other task until its critical daemons run there".to_owned());
            told.waits_for.push(daemons(look, row));
        }
        InstanceStatus::Draining if row.repair => {
            told.because
                .push("a critical daemon failed there: other tasks go until it runs again".to_owned());
            told.waits_for.push(daemons(look, row));
        }
        InstanceStatus::Draining => draining(look, row.id, &mut told),
        InstanceStatus::Inactive => {
            told.because.push("it was deregistered; nothing is placed on it any more".to_owned());
        }
    }
    if !row.agent_connected && row.status != InstanceStatus::Inactive {
        told.because.push(
            "nothing new is placed on it while its agent is away, and what runs there goes on".to_owned(),
        );
        told.waits_for.push("its agent".to_owned());
        told.would_change.push(format!(
            "the agent connecting again; or, if the host is gone for good, `aws ecs deregister-container-instance \
             --force --container-instance {}`",
            row.id
        ));
    }
    Ok(told)
}

/// Which critical daemons do not run there.
fn daemons(look: Look<'_>, row: &InstanceRow) -> String {
    let missing: Vec<&str> = hold::missing(look.state, row).map(|daemon| &*daemon.name.0).collect();
    format!("its critical daemons: {} (`roadstead explain daemon NAME`)", missing.join(", "))
}

/// What it takes until it is empty.
fn draining(look: Look<'_>, id: InstanceId, told: &mut Explanation) {
    let (mut of_services, mut of_daemons, mut alone) = (0, 0, 0);
    let mut protected = Vec::new();
    for task in look.state.tasks_on(&id) {
        protected.extend(task.protected_until);
        *(if task.service.is_some() {
            &mut of_services
        } else if task.daemon.is_some() {
            &mut of_daemons
        } else {
            &mut alone
        }) += 1;
    }
    told.because.push("it is to be emptied: nothing new is placed on it".to_owned());
    if of_services > 0 {
        told.waits_for
            .push(format!("{} of services, as their percentages allow", count(of_services, "task")));
    }
    if let Some(until) = protected.iter().max() {
        let until = until.to_iso8601();
        told.waits_for.push(format!(
            "the end of the protection of {} of them, at {until} at the latest",
            protected.len()
        ));
    }
    if alone > 0 {
        told.waits_for.push(format!(
            "{} of no service, until they end by themselves or are stopped",
            count(alone, "task")
        ));
        told.would_change.push("StopTask of those".to_owned());
    }
    if of_daemons > 0 {
        told.waits_for.push(format!("{} of daemons, once nothing else is there", count(of_daemons, "task")));
    }
    if of_services + of_daemons + alone == 0 {
        told.because.push("it is empty, and can be deregistered".to_owned());
    }
}
