//! The task definitions of daemons: RegisterDaemonTaskDefinition, and what is kept of all of them. Each is a task
//! definition of fewer members, checked and filled in as one.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/managed-daemons-task-definitions.html>

pub mod describe;
pub mod retire;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use ecs_model::{self as ecs, errors};
use imbl::OrdMap;
use wire::Error;

use super::{Account, TaskDefinitionRow, Txn, register};
use crate::{
    Ctx, arn,
    convert::{Stored, daemon::of_task},
    limits,
    rows::{DaemonDefinitionRow, DaemonFamilyRow, DaemonTaskDefinitionStatus, TaskDefinitionId},
};

pub use describe::{describe_daemon_task_definition, list_daemon_task_definitions};
pub use retire::{delete_daemon_task_definition, sweep};

/// What an error says of one that is not there: tools look for these words.
const MISSING: &str = "Daemon task definition not found.";

/// All of them, with their families.
#[derive(Debug, Clone, Default)]
pub(super) struct Definitions {
    all: OrdMap<TaskDefinitionId, Arc<DaemonDefinitionRow>>,
    families: OrdMap<String, Arc<DaemonFamilyRow>>,
    /// Those that are DELETE_IN_PROGRESS.
    deleting: OrdMap<TaskDefinitionId, Arc<DaemonDefinitionRow>>,
}

impl Definitions {
    pub(super) fn put(&mut self, row: &Arc<DaemonDefinitionRow>) {
        let id = row.id();
        if row.status == DaemonTaskDefinitionStatus::DeleteInProgress {
            self.deleting.insert(id.clone(), row.clone());
        } else {
            self.deleting.remove(&id);
        }
        self.all.insert(id, row.clone());
    }

    pub(super) fn put_family(&mut self, row: &Arc<DaemonFamilyRow>) {
        self.families.insert(row.name.clone(), row.clone());
    }

    pub(super) fn forget(&mut self, id: &TaskDefinitionId) {
        self.all.remove(id);
        self.deleting.remove(id);
    }

    pub(super) fn forget_family(&mut self, name: &str) {
        self.families.remove(name);
    }
}

impl Account {
    /// A daemon's task definition, whatever its status.
    pub fn daemon_definition(&self, id: &TaskDefinitionId) -> Option<&Arc<DaemonDefinitionRow>> {
        self.daemons.all.get(id)
    }

    /// The newest ACTIVE one of a family.
    pub fn latest_daemon_definition(&self, family: &str) -> Option<&Arc<DaemonDefinitionRow>> {
        let id = |revision| TaskDefinitionId { family: family.to_owned(), revision };
        let mut rows = self.daemons.all.range(id(0)..=id(i32::MAX)).rev();
        rows.find(|(_, row)| row.status == DaemonTaskDefinitionStatus::Active).map(|(_, row)| row)
    }

    /// All of them, by family and revision.
    pub fn daemon_definitions(&self) -> impl Iterator<Item = &TaskDefinitionId> {
        self.daemons.all.keys()
    }

    /// Those that wait for the last daemon that refers to them to end.
    pub fn deleting_daemon_definitions(&self) -> impl Iterator<Item = &TaskDefinitionId> {
        self.daemons.deleting.keys()
    }

    /// The newest revision that a family of them knows of.
    pub fn last_daemon_revision(&self, family: &str) -> Option<i32> {
        self.daemons.families.get(family).map(|row| row.last_revision)
    }

    /// What a request names as `family` (the newest ACTIVE one), `family:revision` or ARN.
    ///
    /// # Errors
    /// `ClientException` where there is none.
    pub fn find_daemon(&self, ctx: &Ctx, named: &str) -> Result<&Arc<DaemonDefinitionRow>, Error> {
        let (family, revision) = arn::daemon_task_definition_name(ctx, named)?;
        let found = match revision {
            Some(revision) => self.daemon_definition(&TaskDefinitionId { family, revision }),
            None => self.latest_daemon_definition(&family),
        };
        found.ok_or_else(|| errors::client(MISSING))
    }

    fn is_full_of_daemons(&self, family: &str) -> bool {
        let new = !self.daemons.families.contains_key(family);
        self.daemons.all.len() >= limits::DAEMON_DEFINITIONS
            || new && self.daemons.families.len() >= limits::FAMILIES
    }
}

/// Gives a new revision of a daemon's task definition. Revisions of a family count up from 1 and are never used again.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RegisterDaemonTaskDefinition.html>
///
/// # Errors
/// `ClientException` as ECS words what is wrong; `UnsupportedFeatureException` for what is not built;
/// `LimitExceededException`.
pub fn register_daemon_task_definition(
    txn: &mut Txn,
    request: ecs::RegisterDaemonTaskDefinitionRequest,
) -> Result<ecs::RegisterDaemonTaskDefinitionResponse, Error> {
    super::members::check_daemon(&request)?;
    let (pid_mode, ipc_mode) = (request.pid_mode.stored(), request.ipc_mode.stored());
    let mut made_of: TaskDefinitionRow = register::checked(txn, of_task(request))?;
    let name = made_of.registered.family.clone();
    if txn.state.is_full_of_daemons(&name) {
        return Err(errors::limit_exceeded("The number of daemon task definitions has reached its limit."));
    }
    let revision = register::next(txn.state.last_daemon_revision(&name))?;
    let named = arn::daemon_task_definition(txn.ctx, &name, revision);
    made_of.registered.task_definition_arn = named.clone();
    made_of.registered.revision = revision;
    txn.put(DaemonFamilyRow { name, last_revision: revision });
    let status = DaemonTaskDefinitionStatus::Active;
    txn.put(DaemonDefinitionRow { made_of, status, pid_mode, ipc_mode, forget_at: None });
    Ok(ecs::RegisterDaemonTaskDefinitionResponse { daemon_task_definition_arn: Some(named) })
}
