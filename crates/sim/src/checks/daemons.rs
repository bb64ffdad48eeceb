//! Of daemons: one task of each on a container instance, and at the end on each where one belongs.

use std::collections::BTreeSet;

use ::ecs::{
    Cluster, capacity,
    cluster::{
        DaemonRow, DaemonStatus, Desired, InstanceId, InstanceRow, InstanceStatus, TaskRow, TaskStatus,
        daemons::Resident,
    },
};

use super::room;

/// A daemon has no two tasks on a container instance, of whichever deployment.
pub fn alone(state: &Cluster, task: &TaskRow) -> Option<String> {
    let own = task.daemon.as_ref().filter(|_| task.last != TaskStatus::Stopped)?;
    let same = |other: &&std::sync::Arc<TaskRow>| other.daemon.as_ref().is_some_and(|of| of.name == own.name);
    let many = state.tasks_on(task.instance.as_ref()?).filter(same).count();
    (many > 1).then(|| format!("daemon {} has {many} tasks on one container instance", own.name))
}

fn of_providers<'a>(daemon: &'a DaemonRow, host: &'a InstanceRow) -> bool {
    capacity::of_instance(host).is_some_and(|name| daemon.providers.iter().any(|own| own == name))
}

/// Where a task of each has to be.
fn takes_tasks(row: &InstanceRow) -> bool {
    row.status == InstanceStatus::Active || row.is_held()
}

/// What is kept of each is where it belongs, and nothing is left to be looked at; each deployment has come to its end, and
/// no container instance waits for one that is there.
pub fn at_rest(state: &Cluster) -> Option<String> {
    for (whose, kept) in state.residents() {
        let belongs = |row: &InstanceRow| match whose {
            Resident::Service(_) => !row.status.is_to_be_emptied(),
            Resident::Daemon(name) => {
                takes_tasks(row) && state.daemon_row(name).is_some_and(|row_| of_providers(row_, row))
            }
        };
        let rows = state.instances().filter(|row| row.status != InstanceStatus::Inactive && belongs(row));
        let eligible: BTreeSet<InstanceId> = rows.map(|row| row.id).collect();
        if !kept.eligible().iter().eq(&eligible) || !kept.changed().is_empty() {
            return Some(format!("{whose:?} is not at rest: {kept:?}, it belongs on {eligible:?}"));
        }
    }
    let daemons = || state.daemon_rows();
    for daemon in daemons().filter(|daemon| daemon.status == DaemonStatus::Active && !daemon.stalled) {
        if let Some(broken) = stands(state, daemon) {
            return Some(broken);
        }
    }
    let going = daemons().find(|daemon| daemon.status == DaemonStatus::DeleteInProgress);
    if let Some(daemon) = going {
        return Some(format!("daemon {} is still being deleted", daemon.name));
    }
    let lacks_room = daemons().any(|daemon| daemon.unplaced.is_some());
    let held = state.instances().find(|row| row.is_held() && !lacks_room)?;
    Some(format!("container instance {} is {:?}, and waits for no daemon", held.id, held.status))
}

fn stands(state: &Cluster, daemon: &DaemonRow) -> Option<String> {
    let name = &daemon.name;
    if let Some(unplaced) = &daemon.unplaced {
        let target = state.daemon_revision(name, &daemon.target)?;
        let has_room = room::on(state, &unplaced.instance, &target.task_definition.family);
        return has_room.then(|| format!("daemon {name} has no room where there is: {unplaced:?}"));
    }
    let newest = state.daemon_deployment(name)?;
    if !newest.status.has_ended() {
        return Some(format!("deployment {} of daemon {name} is still {:?}", newest.id, newest.status));
    }
    let hosts = state.instances().filter(|row| takes_tasks(row) && of_providers(daemon, row));
    for host in hosts {
        let live = state.tasks_on(&host.id).filter(|task| {
            let own = task.daemon.as_ref().is_some_and(|of| of.name == *name && of.revision == daemon.target);
            own && task.desired == Desired::Running && task.last == TaskStatus::Running
        });
        let live = live.count();
        if live != 1 {
            return Some(format!("daemon {name} has {live} tasks on {}", host.id));
        }
    }
    let mut others = state.tasks_of_daemon(name).filter(|task| task.desired == Desired::Running);
    let stray = others.find(|task| {
        let host = task.instance.and_then(|id| state.instance(&id));
        !host.is_some_and(|host| of_providers(daemon, host))
    });
    stray.map(|task| format!("task {} of daemon {name} is where none belongs", task.id))
}
