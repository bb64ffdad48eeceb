//! One daemon, one step further: what becomes of its deployment, where its task is missing, and where it is to be
//! replaced. A look costs by the container instances that changed, and by how many are taken up, not by how many there
//! are.

use imbl::{OrdMap, OrdSet};

use super::{deployment, hold, outcome, plan, provider_of};
use crate::{
    cluster::{
        DaemonDeploymentStatus, DaemonPropagateTags, DaemonRevisionRow, DaemonRow, Desired, InstanceId,
        InstanceStatus, Mark, OfDaemon, TaskId, TaskRow, TaskStatus, TaskStopCode, Txn, UnplacedRow, Writes,
        daemons::{Basis, Daemon, Place, Resident},
        tally::Standing,
    },
    limits, placement,
    rows::DaemonDefinitionRow,
    tags,
    task::{self, run::Origin},
};

/// Does for the daemon what can be done now, and writes its row if anything changed.
pub fn advance(txn: &mut Txn, before: DaemonRow) {
    let mut daemon = before.clone();
    deployment::turn(txn, &mut daemon);
    step(txn, &mut daemon);
    deployment::progress(txn, &mut daemon);
    if daemon != before {
        txn.put_daemon(daemon);
    }
}

/// A daemon at its turn.
struct Turn {
    whose: Resident,
    revision: std::sync::Arc<DaemonRevisionRow>,
    /// None where it was deleted: nothing is started then.
    definition: Option<std::sync::Arc<DaemonDefinitionRow>>,
    wanted: Option<placement::Request>,
    /// It is not given up, and no back-off holds it up.
    may_start: bool,
    /// How many container instances more may be taken up.
    budget: usize,
    started: usize,
    /// Where there was no room, and why.
    refused: Vec<(InstanceId, String)>,
    /// Tasks that must not be where they are.
    surplus: Vec<(InstanceId, TaskId)>,
}

/// Starts the task where it is missing, stops it where it must not be, and takes up as many container instances as the
/// deployment may.
fn step(txn: &mut Txn, daemon: &mut DaemonRow) {
    let Some(revision) = txn.state.daemon_revision(&daemon.name, &daemon.target).cloned() else { return };
    let definition = txn.ports.account.daemon_definition(&revision.task_definition).cloned();
    let group = format!("daemon:{}", daemon.name);
    let wanted = definition.as_ref().and_then(|definition| {
        placement::Request::new(&definition.made_of, &Default::default(), &group, &[], &[]).ok()
    });
    let whose = Resident::from(&daemon.name);
    let of = Basis::Daemon { providers: daemon.providers.clone(), target: daemon.target };
    if txn.state.resident(&whose).is_none_or(|kept| *kept.of() != of) {
        begin(txn, daemon, &whose, of);
    }
    let Some(kept) = txn.state.resident(&whose) else { return };
    let newest = txn.state.daemon_deployment(&daemon.name);
    let fails = newest.is_some_and(|newest| newest.status == DaemonDeploymentStatus::StopRequested);
    let may_start = !daemon.stalled && !fails && daemon.not_before.is_none_or(|at| at <= txn.now());
    let budget = plan::budget(&view(txn, daemon, kept, may_start));
    let mut turn = Turn {
        whose,
        revision,
        definition,
        wanted,
        may_start,
        budget,
        started: 0,
        refused: Vec::new(),
        surplus: Vec::new(),
    };
    let changed: Vec<InstanceId> = kept.changed().iter().copied().collect();
    let waiting: Vec<InstanceId> = kept.waiting().iter().take(budget).copied().collect();
    turn.look_at(txn, daemon, changed, false);
    turn.look_at(txn, daemon, waiting, true);
    turn.take_down(txn, daemon);
    turn.say(txn, daemon);
}

/// How many container instances there are of which kind.
fn view(txn: &Txn, daemon: &DaemonRow, kept: &Daemon, may_start: bool) -> plan::View {
    let crew = txn.state.crew(&daemon.name);
    let is_new = |standing: Standing| standing != Standing::Healthy;
    let going = txn.state.daemon_deployment(&daemon.name).filter(|newest| !newest.status.has_ended());
    plan::View {
        eligible: kept.eligible().len(),
        lacking: kept.lacking().len(),
        coming: crew.count(|revision, class| *revision == daemon.target && is_new(class.standing)),
        stopping: crew.live() - crew.count(|_, _| true),
        drain_percent: going.map(|newest| newest.configuration.drain_percent),
        may_start,
    }
}

/// Finds out where the daemon belongs, by a look at all container instances: those where something is to be done are
/// looked at again.
fn begin(txn: &mut Txn, daemon: &DaemonRow, whose: &Resident, of: Basis) {
    let belongs = txn.state.instances().filter(|row| {
        (row.is_held() || row.status == InstanceStatus::Active) && provider_of(daemon, row).is_some()
    });
    let eligible: OrdSet<InstanceId> = belongs.map(|row| row.id).collect();
    // How many tasks there are where, and whether the last one is what is wanted.
    let mut here: OrdMap<InstanceId, (usize, bool)> = OrdMap::new();
    for task in txn.state.tasks_of_daemon(&daemon.name).filter(|task| task.last != TaskStatus::Stopped) {
        if let Some(host) = task.instance {
            let (count, _) = here.get(&host).copied().unwrap_or_default();
            here.insert(host, (count + 1, current(task, daemon) && task.desired == Desired::Running));
        }
    }
    let bare = eligible.iter().filter(|host| !here.contains_key(*host)).copied();
    let odd = here.iter().filter(|(host, of)| **of != (1, true) || !eligible.contains(*host));
    let changed = bare.chain(odd.map(|(host, _)| *host)).collect();
    txn.state.resident_begins(whose, of, eligible, changed);
}

fn current(task: &TaskRow, daemon: &DaemonRow) -> bool {
    task.daemon.as_ref().is_some_and(|of| of.revision == daemon.target)
}

impl Turn {
    /// Looks at container instances, as far as this step can take it. Of those that wait no more than may be taken up.
    fn look_at(&mut self, txn: &mut Txn, daemon: &DaemonRow, hosts: Vec<InstanceId>, of_waiting: bool) {
        for host in hosts {
            if of_waiting && self.budget == 0 {
                return;
            }
            let done = self.started >= limits::SETTLE_TASKS || self.surplus.len() >= limits::SETTLE_TASKS;
            if done || (self.started > 0 && txn.full()) {
                // The rest has its turn in the next step.
                txn.mark(self.whose.mark());
                return;
            }
            let found = self.look(txn, daemon, &host);
            txn.state.resident_looked(&self.whose, &host, found);
            if txn.state.held().contains(&host) {
                txn.mark(Mark::Held(host));
            }
        }
    }

    /// Looks at one container instance: starts the task where it is missing, and notes those that must go.
    fn look(&mut self, txn: &mut Txn, daemon: &DaemonRow, host: &InstanceId) -> Place {
        let row = txn.state.instance(host).filter(|row| provider_of(daemon, row).is_some()).cloned();
        let belongs = row.as_ref().filter(|row| row.is_held() || row.status == InstanceStatus::Active);
        // A daemon is the last to go where everything goes: those that are there may need it until then.
        let drains = row.as_ref().is_some_and(|row| row.status == InstanceStatus::Draining);
        let may_stay = belongs.is_some() || drains && txn.state.only_residents(host).is_none();
        let own =
            |task: &&std::sync::Arc<TaskRow>| task.daemon.as_ref().is_some_and(|of| of.name == daemon.name);
        let here: Vec<_> = txn.state.tasks_on(host).filter(own).cloned().collect();
        let mut live: Vec<_> = here.iter().filter(|task| task.desired == Desired::Running).collect();
        live.sort_by_key(|task| (task.created_at, task.id));
        let keep = live.iter().find(|task| current(task, daemon)).or(live.first()).copied();
        let goes = live.iter().filter(|task| !may_stay || keep.is_none_or(|keep| keep.id != task.id));
        self.surplus.extend(goes.map(|task| (*host, task.id)));
        let Some(belongs) = belongs else { return Place::NotEligible };
        match keep {
            Some(keep) if !current(keep, daemon) => Place::Outdated,
            // Also one that is still stopping: its resources are not free yet.
            _ if !here.is_empty() => Place::Has,
            // Nobody would start it, and what is there goes on: it is looked at again when its agent is back.
            _ if !belongs.agent_connected => Place::NotEligible,
            _ => self.start(txn, daemon, host, belongs.is_held()),
        }
    }

    /// Starts the task where none is, if it may now.
    fn start(&mut self, txn: &mut Txn, daemon: &DaemonRow, host: &InstanceId, held: bool) -> Place {
        let (Some(definition), Some(wanted), true) = (&self.definition, &self.wanted, self.may_start) else {
            return Place::Lacks;
        };
        // Where it lacks the task it is under way already; what is held takes no other task, and waits for nobody.
        let is_under_way = txn.state.resident(&self.whose).is_some_and(|kept| kept.lacking().contains(host));
        if !is_under_way {
            match self.budget.checked_sub(1) {
                Some(left) => self.budget = left,
                None if held => {}
                None => return Place::Waits,
            }
        }
        if let Err(why) = placement::place_first(txn.state, wanted, host) {
            if self.refused.len() < limits::REFUSED_NAMED {
                self.refused.push((*host, why.reason().to_owned()));
            }
            return Place::Lacks;
        }
        let definition = definition.clone();
        if self.revision.critical {
            hold::hold(txn, host);
        }
        let origin = self.origin(txn, daemon, host);
        task::run::start(txn, &definition.made_of, origin, *host);
        self.started += 1;
        Place::Has
    }

    fn origin(&self, txn: &Txn, daemon: &DaemonRow, host: &InstanceId) -> Origin {
        let mut all = match self.revision.propagate_tags {
            DaemonPropagateTags::Daemon => daemon.tags.clone(),
            DaemonPropagateTags::None => Vec::new(),
        };
        if self.revision.enable_ecs_managed_tags {
            tags::add_missing(&mut all, &[tags::tag("aws:ecs:clusterName", &txn.state.row.name)]);
        }
        let provider = txn.state.instance(host).and_then(|row| provider_of(daemon, row).map(Into::into));
        Origin {
            group: format!("daemon:{}", daemon.name),
            daemon: Some(Box::new(OfDaemon { name: daemon.name.clone(), revision: daemon.target })),
            started_by: Some(format!("daemon/{}", daemon.name)),
            capacity_provider: provider,
            tags: all,
            ..Origin::default()
        }
    }

    /// Stops what must not be where it is, and what is to be replaced on as many container instances as may be taken
    /// up. One whose agent is away is left alone: nobody would stop it.
    fn take_down(&mut self, txn: &mut Txn, daemon: &DaemonRow) {
        let Some(kept) = txn.state.resident(&self.whose) else { return };
        let connected = |id: &&InstanceId| txn.state.instance(id).is_some_and(|row| row.agent_connected);
        let next: Vec<InstanceId> =
            kept.outdated().iter().filter(connected).take(self.budget).copied().collect();
        let mut goes = std::mem::take(&mut self.surplus);
        for host in next {
            let own = |task: &TaskRow| task.daemon.as_ref().is_some_and(|of| of.name == daemon.name);
            let live = txn.state.tasks_on(&host).filter(|task| own(task) && task.desired == Desired::Running);
            goes.extend(live.map(|task| (host, task.id)).collect::<Vec<_>>());
            if self.revision.critical {
                hold::hold(txn, &host);
            }
        }
        let reason = match txn.state.daemon_deployment(&daemon.name) {
            Some(newest) => format!("Scaling activity initiated by (daemon deployment {})", newest.id),
            None => "Scaling activity initiated by the daemon".to_owned(),
        };
        for (at, (host, id)) in goes.into_iter().enumerate() {
            if at > 0 && txn.full() {
                txn.state.resident_changed(&self.whose, &host);
                txn.mark(self.whose.mark());
                continue;
            }
            task::stop::want(txn, &id, TaskStopCode::ServiceSchedulerInitiated, reason.clone());
        }
    }

    /// What its row says of where there was no room: it is tried again a little later.
    fn say(&self, txn: &Txn, daemon: &mut DaemonRow) {
        let now = txn.now();
        for (instance, reason) in &self.refused {
            outcome::counted(txn, daemon);
            daemon.unplaced = Some(UnplacedRow { instance: *instance, reason: reason.clone(), at: now });
            let retry = now.plus_millis(limits::PLACEMENT_RETRY_MS);
            daemon.wake_at = Some(daemon.wake_at.map_or(retry, |at| at.min(retry)));
        }
        if txn.state.resident(&self.whose).is_some_and(|kept| kept.lacking().is_empty()) {
            daemon.unplaced = None;
        }
    }
}
