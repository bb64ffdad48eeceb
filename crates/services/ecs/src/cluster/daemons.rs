//! What is kept between two looks of each that has a task on every container instance of a kind (a service of strategy
//! DAEMON, or a daemon): on which container instances it belongs, where its task is missing, and which of them have
//! changed since. It follows from rows and from its task definition, which is no row of a cluster: so it is made at the
//! first look, and brought forward by what changes after that.

use imbl::{OrdMap, OrdSet};

use super::{Cluster, Mark, rows::*};

/// What has a task on every container instance of a kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resident {
    /// A service of strategy DAEMON.
    Service(ServiceName),
    /// A daemon.
    Daemon(DaemonName),
}

/// What is kept of one of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Daemon {
    of: Basis,
    eligible: OrdSet<InstanceId>,
    lacking: OrdSet<InstanceId>,
    waiting: OrdSet<InstanceId>,
    outdated: OrdSet<InstanceId>,
    changed: OrdSet<InstanceId>,
}

/// What decides where it belongs: another one, and all container instances are looked at anew.
#[derive(Debug, Clone, PartialEq)]
pub enum Basis {
    Service {
        /// The PRIMARY deployment, and so the task definition.
        deployment: DeploymentId,
        constraints: Vec<PlacementConstraint>,
        /// Whether what runs on a container instance decides too.
        of_tasks: bool,
    },
    Daemon {
        /// Whose container instances it belongs on.
        providers: Vec<String>,
        /// What its tasks shall be of.
        target: DaemonRevisionId,
    },
}

/// What a look at one container instance found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It does not belong there.
    NotEligible,
    /// It belongs there, and a task of it is there that is not STOPPED.
    Has,
    /// It belongs there and none is: there is no room, or starts are spaced out.
    Lacks,
    /// Likewise, and that task is to be replaced.
    Outdated,
    /// It belongs there and none is: as many others come first as a deployment takes up at a time.
    Waits,
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Daemons {
    kept: OrdMap<Resident, Daemon>,
    /// Where a task is missing: who looks again when room comes on a container instance.
    lacking: OrdSet<(InstanceId, Resident)>,
    /// Whose place what runs decides: who looks again when a task there has stopped.
    of_tasks: OrdSet<Resident>,
}

impl Resident {
    /// That it is to be settled.
    pub fn mark(&self) -> Mark {
        match self {
            Resident::Service(name) => Mark::Service(name.clone()),
            Resident::Daemon(name) => Mark::Daemon(name.clone()),
        }
    }

    /// Whose a task is, if it is of any.
    pub fn of(task: &TaskRow) -> Option<Resident> {
        let daemon = task.daemon.as_ref().map(|daemon| Resident::Daemon(daemon.name.clone()));
        daemon.or_else(|| task.service.as_ref().map(|(name, _)| Resident::Service(name.clone())))
    }
}

impl From<&ServiceName> for Resident {
    fn from(name: &ServiceName) -> Resident {
        Resident::Service(name.clone())
    }
}

impl From<&DaemonName> for Resident {
    fn from(name: &DaemonName) -> Resident {
        Resident::Daemon(name.clone())
    }
}

impl Daemon {
    /// What it was made for.
    pub fn of(&self) -> &Basis {
        &self.of
    }

    /// Where it belongs: its desired count.
    pub fn eligible(&self) -> &OrdSet<InstanceId> {
        &self.eligible
    }

    /// Where it belongs and none of its tasks is, though one may start.
    pub fn lacking(&self) -> &OrdSet<InstanceId> {
        &self.lacking
    }

    /// Where it belongs and none of its tasks is, as others come first.
    pub fn waiting(&self) -> &OrdSet<InstanceId> {
        &self.waiting
    }

    /// Where it belongs and a task of it is that is to be replaced; of a service, its tally says so.
    pub fn outdated(&self) -> &OrdSet<InstanceId> {
        &self.outdated
    }

    /// What has changed since it was looked at.
    pub fn changed(&self) -> &OrdSet<InstanceId> {
        &self.changed
    }
}

impl Daemons {
    fn place(&mut self, whose: &Resident, id: &InstanceId, place: Place) {
        let Some(daemon) = self.kept.get_mut(whose) else { return };
        daemon.changed.remove(id);
        match place {
            Place::NotEligible => daemon.eligible.remove(id).is_some(),
            _ => daemon.eligible.insert(*id).is_some(),
        };
        for (of, set) in [(Place::Waits, &mut daemon.waiting), (Place::Outdated, &mut daemon.outdated)] {
            match place == of {
                true => set.insert(*id).is_some(),
                false => set.remove(id).is_some(),
            };
        }
        if place == Place::Lacks {
            daemon.lacking.insert(*id);
            self.lacking.insert((*id, whose.clone()));
        } else if daemon.lacking.remove(id).is_some() {
            self.lacking.remove(&(*id, whose.clone()));
        }
    }

    pub(super) fn forget(&mut self, whose: &Resident) {
        let Some(daemon) = self.kept.remove(whose) else { return };
        for id in daemon.lacking {
            self.lacking.remove(&(id, whose.clone()));
        }
        self.of_tasks.remove(whose);
    }
}

impl Cluster {
    /// What is kept of one; `None` before its first look.
    pub fn resident(&self, whose: &Resident) -> Option<&Daemon> {
        self.daemons.kept.get(whose)
    }

    /// All of which something is kept.
    pub fn residents(&self) -> impl Iterator<Item = (&Resident, &Daemon)> {
        self.daemons.kept.iter()
    }

    /// Those whose task is missing on a container instance, and those for whom what runs there decides.
    pub fn residents_waiting_on(&self, id: &InstanceId) -> Vec<Resident> {
        let from = (*id, Resident::Service(ServiceName::default()));
        let lacking =
            self.daemons.lacking.range(from..).take_while(|(at, _)| at == id).map(|(_, whose)| whose);
        lacking.chain(&self.daemons.of_tasks).cloned().collect()
    }

    /// Those on a container instance, if nothing else is there that is not STOPPED.
    pub fn only_residents(&self, id: &InstanceId) -> Option<Vec<Resident>> {
        let of = |group: &String| {
            if let Some(name) = group.strip_prefix("daemon:") {
                return Some(Resident::Daemon(name.into()));
            }
            let name = ServiceName::from(group.strip_prefix("service:")?);
            self.service(&name).is_some_and(|row| row.daemon()).then_some(Resident::Service(name))
        };
        self.usage(id)?.groups.keys().map(of).collect()
    }

    /// One is looked at for the first time, or anew: it belongs on `eligible`, and of its places `changed` are
    /// still to be looked at.
    pub fn resident_begins(
        &mut self,
        whose: &Resident,
        of: Basis,
        eligible: OrdSet<InstanceId>,
        changed: OrdSet<InstanceId>,
    ) {
        self.daemons.forget(whose);
        if matches!(of, Basis::Service { of_tasks: true, .. }) {
            self.daemons.of_tasks.insert(whose.clone());
        }
        let (lacking, waiting, outdated) = Default::default();
        let daemon = Daemon { of, eligible, lacking, waiting, outdated, changed };
        self.daemons.kept.insert(whose.clone(), daemon);
    }

    /// One is to look at a container instance again. Nothing before its first look, which is at all of them.
    pub fn resident_changed(&mut self, whose: &Resident, id: &InstanceId) {
        if let Some(daemon) = self.daemons.kept.get_mut(whose) {
            daemon.changed.insert(*id);
        }
    }

    /// One is to look again at all places where its task is missing.
    pub fn resident_retries(&mut self, whose: &Resident) {
        if let Some(daemon) = self.daemons.kept.get_mut(whose) {
            daemon.changed = daemon.changed.clone().union(daemon.lacking.clone());
        }
    }

    /// One has looked at a container instance.
    pub fn resident_looked(&mut self, whose: &Resident, id: &InstanceId, found: Place) {
        self.daemons.place(whose, id, found);
    }

    /// One is to look at all container instances again, or is none any more.
    pub fn resident_forgotten(&mut self, whose: &Resident) {
        self.daemons.forget(whose);
    }
}
