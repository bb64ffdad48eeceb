//! Services of scheduling strategy DAEMON: one task on each container instance that can carry it. A look at one
//! costs by the container instances that changed, not by how many there are.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service_scheduler.html>

use std::collections::BTreeMap;

use imbl::OrdSet;

use super::{carry, plan, view::View};
use crate::{
    account::TaskDefinitionRow,
    cluster::{
        DeploymentRolloutState, DeploymentRow, Desired, InstanceId, InstanceStatus, Mark, ServiceRow, TaskId,
        TaskRow, TaskStatus, Txn,
        daemons::{Basis, Place, Resident},
    },
    limits, placement,
};

/// A daemon at its turn.
struct Turn<'a> {
    definition: &'a TaskDefinitionRow,
    wanted: placement::Request,
    /// What is to run everywhere: the PRIMARY deployment, or the one that serves until that begins to start tasks.
    primary: DeploymentRow,
    /// It has not failed, and no back-off holds it up.
    may_start: bool,
    started: Vec<TaskId>,
    /// Why there was no room, by the first ones that had none.
    refused: Vec<String>,
    /// Tasks that must not be where they are.
    surplus: Vec<(InstanceId, TaskId)>,
}

/// Starts the task where it is missing, stops it where it must not be, and replaces outdated ones within
/// minimumHealthyPercent (maximumPercent of a daemon is 100: the old one stops before the new one starts).
pub fn advance(txn: &mut Txn, service: &mut ServiceRow) {
    let going = txn.state.service_deployment(&service.name).map(AsRef::as_ref);
    let Some(wanted) = plan::stages::everywhere(service, going) else { return };
    let Some(primary) = service.deployments.iter().find(|of| of.id == wanted).cloned() else { return };
    let Some(definition) = txn.ports.account.task_definition(&primary.task_definition).cloned() else {
        return;
    };
    let group = format!("service:{}", service.name);
    let constraints = &service.placement_constraints;
    let Ok(wanted) = placement::Request::new(&definition, &Default::default(), &group, constraints, &[])
    else {
        return;
    };
    let (whose, constraints) = (Resident::from(&service.name), constraints.clone());
    let of = Basis::Service { deployment: primary.id, constraints, of_tasks: wanted.of_tasks() };
    if txn.state.resident(&whose).is_none_or(|kept| *kept.of() != of) {
        begin(txn, service, &wanted, of);
    }
    let mut turn = Turn {
        definition: &definition,
        wanted,
        may_start: primary.rollout != DeploymentRolloutState::Failed
            && primary.not_before.is_none_or(|at| at <= txn.now()),
        primary,
        started: Vec::new(),
        refused: Vec::new(),
        surplus: Vec::new(),
    };
    let changed = txn.state.resident(&whose).map(|kept| kept.changed().clone()).unwrap_or_default();
    for host in &changed {
        let done = turn.started.len() >= limits::SETTLE_TASKS || turn.surplus.len() >= limits::SETTLE_TASKS;
        if done || (!turn.started.is_empty() && txn.full()) {
            // The rest has its turn in the next step.
            txn.mark(Mark::Service(service.name.clone()));
            break;
        }
        let found = turn.look(txn, service, host);
        txn.state.resident_looked(&whose, host, found);
    }
    replace(txn, service, &turn);
    carry::say_started(txn, service, None, &turn.started);
    for why in &turn.refused {
        carry::unplaced(txn, service, None, why);
    }
    if txn.state.resident(&whose).is_some_and(|kept| kept.lacking().is_empty()) {
        service.unplaced = None;
    }
}

/// Finds out where the daemon belongs, by a look at all container instances: those where something is to be done
/// are looked at again.
fn begin(txn: &mut Txn, service: &ServiceRow, wanted: &placement::Request, of: Basis) {
    let all = txn.state.instances();
    let eligible: OrdSet<InstanceId> =
        all.filter(|row| placement::eligible(txn.state, wanted, &row.id)).map(|row| row.id).collect();
    let mut here: BTreeMap<InstanceId, usize> = BTreeMap::new();
    for task in txn.state.tasks_of_service(&service.name) {
        if let Some(host) = task.instance.filter(|_| task.last != TaskStatus::Stopped) {
            *here.entry(host).or_default() += 1;
        }
    }
    let bare = eligible.iter().filter(|host| !here.contains_key(*host)).copied();
    let odd = here.iter().filter(|(host, count)| **count > 1 || !eligible.contains(*host));
    let changed = bare.chain(odd.map(|(host, _)| *host)).collect();
    txn.state.resident_begins(&Resident::from(&service.name), of, eligible, changed);
}

impl Turn<'_> {
    /// Looks at one container instance: starts the task where it is missing, and notes those that must go.
    fn look(&mut self, txn: &mut Txn, service: &ServiceRow, host: &InstanceId) -> Place {
        let belongs = placement::eligible(txn.state, &self.wanted, host);
        // A daemon is the last to go where everything goes: those that are there may need it until then.
        let drains = txn.state.instance(host).is_some_and(|row| row.status == InstanceStatus::Draining);
        let may_stay = belongs || drains && txn.state.only_residents(host).is_none();
        let own = |task: &TaskRow| {
            let of = task.service.as_ref().filter(|(name, _)| *name == service.name);
            of.map(|(_, deployment)| *deployment == self.primary.id)
        };
        let here = txn.state.tasks_on(host);
        let here: Vec<_> = here.filter_map(|task| Some((task.clone(), own(task)?))).collect();
        let mut live: Vec<_> = here.iter().filter(|(task, _)| task.desired == Desired::Running).collect();
        live.sort_by_key(|(task, _)| (task.created_at, task.id));
        let keep = live.iter().find(|(_, current)| *current).or(live.first()).map(|(task, _)| task.id);
        let goes = live.iter().filter(|(task, _)| !may_stay || Some(task.id) != keep);
        let goes = goes.filter(|(task, _)| task.protected_until.is_none());
        self.surplus.extend(goes.map(|(task, _)| (*host, task.id)));
        if !belongs {
            return Place::NotEligible;
        }
        // Also one that is still stopping: its resources are not free yet.
        if !here.is_empty() {
            return Place::Has;
        }
        // What is critical comes first.
        let waits = txn.state.instance(host).is_some_and(|row| row.status == InstanceStatus::Registering);
        if !self.may_start || waits {
            return Place::Lacks;
        }
        match placement::place_on(txn.state, &self.wanted, host) {
            Ok(()) => {
                self.started.push(carry::start_on(txn, service, &self.primary, self.definition, *host, None));
                Place::Has
            }
            Err(why) => {
                if self.refused.len() < limits::REFUSED_NAMED {
                    self.refused.push(why.explain());
                }
                Place::Lacks
            }
        }
    }
}

/// Stops what its controller wants to be stopped; what must not be where it is, and still runs, is looked at again.
fn replace(txn: &mut Txn, service: &mut ServiceRow, turn: &Turn) {
    let whose = Resident::from(&service.name);
    let Some(kept) = txn.state.resident(&whose) else { return };
    let eligible = kept.eligible().len();
    service.desired_count = i32::try_from(eligible).unwrap_or(i32::MAX);
    let surplus: Vec<TaskId> = turn.surplus.iter().map(|(_, id)| *id).collect();
    let tally = txn.state.tally(&service.name);
    let view = View {
        service,
        primary: &turn.primary,
        tally: &tally,
        may_start: turn.may_start,
        full: false,
        upheld: None,
        cleans: false,
        keeps: false,
    };
    let plan = plan::daemon::plan(&view, eligible, &surplus);
    carry::stop(txn, service, None, &plan);
    for (host, id) in &turn.surplus {
        if txn.state.task(id).is_some_and(|task| task.desired == Desired::Running) {
            txn.state.resident_changed(&whose, host);
            txn.mark(Mark::Service(service.name.clone()));
        }
    }
}
