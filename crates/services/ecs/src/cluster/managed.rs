//! The rows of daemons, with their revisions and deployments, and their tasks counted.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use super::{Cluster, Key, Row, Tally, looks, rows::*};
use crate::limits;

/// Of all daemons.
#[derive(Debug, Clone, Default)]
pub(super) struct Managed {
    rows: OrdMap<DaemonName, Arc<DaemonRow>>,
    revisions: OrdMap<DaemonName, OrdMap<DaemonRevisionId, Arc<DaemonRevisionRow>>>,
    deployments: OrdMap<DaemonName, OrdMap<u64, Arc<DaemonDeploymentRow>>>,
    pub(super) crews: OrdMap<DaemonName, Arc<Tally<DaemonRevisionId>>>,
    /// The container instances that wait for a daemon: REGISTERING, or to be repaired.
    held: OrdSet<InstanceId>,
}

impl InstanceRow {
    /// Whether it waits for a critical daemon.
    pub fn is_held(&self) -> bool {
        self.status == InstanceStatus::Registering || self.status == InstanceStatus::Draining && self.repair
    }
}

impl Managed {
    /// Gives what was there.
    pub(super) fn put(&mut self, row: &Arc<DaemonRow>) -> Option<Arc<DaemonRow>> {
        self.rows.insert(row.name.clone(), row.clone())
    }

    pub(super) fn put_revision(&mut self, row: &Arc<DaemonRevisionRow>) {
        self.revisions.entry(row.daemon.clone()).or_default().insert(row.id, row.clone());
    }

    pub(super) fn put_deployment(&mut self, row: &Arc<DaemonDeploymentRow>) {
        self.deployments.entry(row.daemon.clone()).or_default().insert(row.number, row.clone());
    }

    pub(super) fn forget(&mut self, name: &DaemonName) -> Option<Arc<DaemonRow>> {
        self.rows.remove(name)
    }

    pub(super) fn forget_revision(&mut self, (daemon, id): &(DaemonName, DaemonRevisionId)) {
        let Some(revisions) = self.revisions.get_mut(daemon) else { return };
        revisions.remove(id);
        if revisions.is_empty() {
            self.revisions.remove(daemon);
        }
    }

    pub(super) fn forget_deployment(&mut self, (daemon, number): &(DaemonName, u64)) {
        let Some(deployments) = self.deployments.get_mut(daemon) else { return };
        deployments.remove(number);
        if deployments.is_empty() {
            self.deployments.remove(daemon);
        }
    }

    pub(super) fn host(&mut self, id: &InstanceId, row: Option<&InstanceRow>) {
        if row.is_some_and(InstanceRow::is_held) {
            self.held.insert(*id);
        } else {
            self.held.remove(id);
        }
    }

    /// All rows: those that others belong to come last.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row> {
        let deployments = self.deployments.values().flat_map(OrdMap::values).cloned();
        let revisions = self.revisions.values().flat_map(OrdMap::values).cloned();
        let daemons = self.rows.values().cloned();
        deployments
            .map(Row::DaemonDeployment)
            .chain(revisions.map(Row::DaemonRevision))
            .chain(daemons.map(Row::Daemon))
    }
}

impl Cluster {
    /// A daemon by name, a deleted one too.
    pub fn daemon_row(&self, name: &DaemonName) -> Option<&Arc<DaemonRow>> {
        looks::one();
        self.managed.rows.get(name)
    }

    /// All daemons in order of their names, deleted ones too.
    pub fn daemon_rows(&self) -> impl Iterator<Item = &Arc<DaemonRow>> {
        self.managed.rows.values().inspect(|_| looks::one())
    }

    /// Daemons whose name is greater than `after`, in order.
    pub fn daemon_rows_after(&self, after: &DaemonName) -> impl Iterator<Item = &Arc<DaemonRow>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let rows = self.managed.rows.range((Excluded(after.clone()), Unbounded));
        rows.map(|(_, row)| row).inspect(|_| looks::one())
    }

    /// The tasks of a daemon, counted and in order.
    pub fn crew(&self, name: &DaemonName) -> Arc<Tally<DaemonRevisionId>> {
        self.managed.crews.get(name).cloned().unwrap_or_default()
    }

    /// The daemons that have tasks which are not STOPPED, whether there is a row of them or not.
    pub fn crews(&self) -> impl Iterator<Item = (&DaemonName, &Arc<Tally<DaemonRevisionId>>)> {
        self.managed.crews.iter()
    }

    /// The container instances that wait for a daemon: REGISTERING, or to be repaired.
    pub fn held(&self) -> &OrdSet<InstanceId> {
        &self.managed.held
    }

    /// A revision of a daemon.
    pub fn daemon_revision(
        &self,
        daemon: &DaemonName,
        id: &DaemonRevisionId,
    ) -> Option<&Arc<DaemonRevisionRow>> {
        looks::one();
        self.managed.revisions.get(daemon)?.get(id)
    }

    /// All revisions of a daemon.
    pub fn daemon_revisions(&self, daemon: &DaemonName) -> impl Iterator<Item = &Arc<DaemonRevisionRow>> {
        let revisions = self.managed.revisions.get(daemon).into_iter();
        revisions.flat_map(OrdMap::values).inspect(|_| looks::one())
    }

    /// The newest deployment of a daemon: the only one that may go on.
    pub fn daemon_deployment(&self, daemon: &DaemonName) -> Option<&Arc<DaemonDeploymentRow>> {
        looks::one();
        self.managed.deployments.get(daemon)?.get_max().map(|(_, row)| row)
    }

    /// The deployments of a daemon whose number is below `below`, the newest first.
    pub fn daemon_deployments(
        &self,
        daemon: &DaemonName,
        below: u64,
    ) -> impl Iterator<Item = &Arc<DaemonDeploymentRow>> {
        let deployments = self.managed.deployments.get(daemon).into_iter();
        let deployments = deployments.flat_map(move |all| all.range(..below).rev());
        deployments.map(|(_, row)| row).inspect(|_| looks::one())
    }

    /// One of them, by its number.
    pub fn daemon_deployment_by_number(
        &self,
        (daemon, number): &(DaemonName, u64),
    ) -> Option<&Arc<DaemonDeploymentRow>> {
        self.managed.deployments.get(daemon)?.get(number)
    }

    /// The revisions, or the deployments, of all daemons: whether there is a row of these or not.
    pub fn daemons_deployed(&self) -> impl Iterator<Item = &DaemonName> {
        self.managed.revisions.keys().chain(self.managed.deployments.keys())
    }

    /// The oldest deployment of a daemon that has more than it keeps.
    pub fn surplus_daemon_deployment(&self, daemon: &DaemonName) -> Option<Key> {
        let deployments = self.managed.deployments.get(daemon)?;
        let (oldest, _) =
            deployments.get_min().filter(|_| deployments.len() > limits::SERVICE_DEPLOYMENTS)?;
        Some(Key::DaemonDeployment((daemon.clone(), *oldest)))
    }

    /// Whether a daemon is of a daemon's task definition, or may be again, or a task of it is that is not STOPPED.
    pub fn daemons_refer_to(&self, definition: &TaskDefinitionId) -> bool {
        let wanted = self.managed.rows.values().filter(|row| row.status != DaemonStatus::Deleted);
        let wanted =
            wanted.flat_map(|row| row.completed.iter().chain([&row.target]).map(move |id| (&row.name, id)));
        let crews = self.managed.crews.iter();
        let crews = crews.flat_map(|(name, crew)| crew.shares().map(move |(id, _)| (name, id)));
        let mut all = wanted.chain(crews).filter_map(|(name, id)| self.daemon_revision(name, id));
        all.any(|revision| revision.task_definition == *definition)
    }
}
