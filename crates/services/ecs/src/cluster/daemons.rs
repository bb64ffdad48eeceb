//! What is kept of each DAEMON service between two looks at it: on which container instances it belongs, where its task
//! is missing, and which of them have changed since. It follows from rows and from the service's task definition, which
//! is no row of a cluster: so it is made at the service's first look, and brought forward by what changes after that.

use imbl::{OrdMap, OrdSet};

use super::{Cluster, rows::*};

/// What is kept of one daemon.
#[derive(Debug, Clone, PartialEq)]
pub struct Daemon {
    of: Basis,
    eligible: OrdSet<InstanceId>,
    lacking: OrdSet<InstanceId>,
    changed: OrdSet<InstanceId>,
}

/// What decides where a daemon belongs: another one, and all container instances are looked at anew.
#[derive(Debug, Clone, PartialEq)]
pub struct Basis {
    /// The PRIMARY deployment, and so the task definition.
    pub deployment: DeploymentId,
    pub constraints: Vec<PlacementConstraint>,
    /// Whether what runs on a container instance decides too.
    pub of_tasks: bool,
}

/// What a look at one container instance found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The daemon does not belong there.
    NotEligible,
    /// It belongs there, and a task of it is there that is not STOPPED.
    Has,
    /// It belongs there and none is: there is no room, or starts are spaced out.
    Lacks,
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Daemons {
    kept: OrdMap<ServiceName, Daemon>,
    /// Where a task is missing: who looks again when room comes on a container instance.
    lacking: OrdSet<(InstanceId, ServiceName)>,
    /// Whose place what runs decides: who looks again when a task there has stopped.
    of_tasks: OrdSet<ServiceName>,
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

    /// Where it belongs and none of its tasks is.
    pub fn lacking(&self) -> &OrdSet<InstanceId> {
        &self.lacking
    }

    /// What has changed since it was looked at.
    pub fn changed(&self) -> &OrdSet<InstanceId> {
        &self.changed
    }
}

impl Daemons {
    fn place(&mut self, name: &ServiceName, id: &InstanceId, place: Place) {
        let Some(daemon) = self.kept.get_mut(name) else { return };
        daemon.changed.remove(id);
        match place {
            Place::NotEligible => daemon.eligible.remove(id).is_some(),
            Place::Has | Place::Lacks => daemon.eligible.insert(*id).is_some(),
        };
        if place == Place::Lacks {
            daemon.lacking.insert(*id);
            self.lacking.insert((*id, name.clone()));
        } else if daemon.lacking.remove(id).is_some() {
            self.lacking.remove(&(*id, name.clone()));
        }
    }

    pub(super) fn forget(&mut self, name: &ServiceName) {
        let Some(daemon) = self.kept.remove(name) else { return };
        for id in daemon.lacking {
            self.lacking.remove(&(id, name.clone()));
        }
        self.of_tasks.remove(name);
    }
}

impl Cluster {
    /// What is kept of a daemon; `None` before its first look.
    pub fn daemon(&self, name: &ServiceName) -> Option<&Daemon> {
        self.daemons.kept.get(name)
    }

    /// All daemons of which something is kept.
    pub fn daemons(&self) -> impl Iterator<Item = (&ServiceName, &Daemon)> {
        self.daemons.kept.iter()
    }

    /// The daemons whose task is missing on a container instance, and those for whom what runs there decides.
    pub fn daemons_waiting_on(&self, id: &InstanceId) -> Vec<ServiceName> {
        let from = (*id, ServiceName::default());
        let lacking = self.daemons.lacking.range(from..).take_while(|(at, _)| at == id).map(|(_, name)| name);
        lacking.chain(&self.daemons.of_tasks).cloned().collect()
    }

    /// The daemons on a container instance, if nothing else is there that is not STOPPED.
    pub fn only_daemons(&self, id: &InstanceId) -> Option<Vec<ServiceName>> {
        let of = |group: &String| {
            let name = ServiceName::from(group.strip_prefix("service:")?);
            self.service(&name).is_some_and(|row| row.daemon()).then_some(name)
        };
        self.usage(id)?.groups.keys().map(of).collect()
    }

    /// A daemon is looked at for the first time, or anew: it belongs on `eligible`, and of its places `changed` are
    /// still to be looked at.
    pub fn daemon_begins(
        &mut self,
        name: &ServiceName,
        of: Basis,
        eligible: OrdSet<InstanceId>,
        changed: OrdSet<InstanceId>,
    ) {
        self.daemons.forget(name);
        if of.of_tasks {
            self.daemons.of_tasks.insert(name.clone());
        }
        let daemon = Daemon { of, eligible, lacking: OrdSet::new(), changed };
        self.daemons.kept.insert(name.clone(), daemon);
    }

    /// A daemon is to look at a container instance again. Nothing before its first look, which is at all of them.
    pub fn daemon_changed(&mut self, name: &ServiceName, id: &InstanceId) {
        if let Some(daemon) = self.daemons.kept.get_mut(name) {
            daemon.changed.insert(*id);
        }
    }

    /// A daemon is to look again at all places where its task is missing.
    pub fn daemon_retries(&mut self, name: &ServiceName) {
        if let Some(daemon) = self.daemons.kept.get_mut(name) {
            daemon.changed = daemon.changed.clone().union(daemon.lacking.clone());
        }
    }

    /// A daemon has looked at a container instance.
    pub fn daemon_looked(&mut self, name: &ServiceName, id: &InstanceId, found: Place) {
        self.daemons.place(name, id, found);
    }

    /// A daemon is to look at all container instances again, or is none any more.
    pub fn daemon_forgotten(&mut self, name: &ServiceName) {
        self.daemons.forget(name);
    }
}
