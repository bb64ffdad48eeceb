//! What an account has beside its clusters: task definitions, their families, and account settings.
//! A persistent map each, so a snapshot is a clone. `Account::take` is the only place that changes them.

pub mod change;
pub mod daemon;
pub mod describe;
pub(crate) mod effective;
mod image;
pub mod keys;
pub mod members;
mod needs;
pub mod payload;
pub mod providers;
pub mod register;
mod required;
pub mod retire;
pub mod settings;
pub mod tags;
mod units;
mod validate;

use std::sync::Arc;

use ecs_model::errors;
use imbl::{OrdMap, OrdSet};
use state::{Agenda, Domain, ShardId};
use wire::{Error, Timestamp};

use crate::{
    Ctx, arn, limits,
    rows::{
        DaemonDefinitionRow, DaemonFamilyRow, InstanceId, TaskDefinitionId, TaskDefinitionStatus, TaskRow,
    },
};

pub use crate::rows::{AgentKeyRow, CapacityProviderRow, FamilyRow, SettingRow, TaskDefinitionRow};
pub use change::{Change, Key, Row, SettingId};
pub use describe::{describe_task_definition, list_task_definition_families, list_task_definitions};
pub use register::register_task_definition;
pub use retire::{delete_task_definitions, deregister_task_definition, sweep};
pub(crate) use units::{cpu_units, memory_mib};
pub use validate::health_check_runs;

/// The state.
#[derive(Debug, Clone, Default)]
pub struct Account {
    definitions: OrdMap<TaskDefinitionId, Arc<TaskDefinitionRow>>,
    families: OrdMap<String, Arc<FamilyRow>>,
    settings: OrdMap<SettingId, Arc<SettingRow>>,
    /// How many ACTIVE task definitions a family has.
    active: OrdMap<String, usize>,
    /// What waits in DELETE_IN_PROGRESS.
    deleting: OrdMap<TaskDefinitionId, ()>,
    daemons: daemon::Definitions,
    /// The keys of agents, by access key.
    agent_keys: OrdMap<String, Arc<AgentKeyRow>>,
    /// The access key of each container instance (by cluster and id) that has one.
    key_of: OrdMap<(String, InstanceId), String>,
    providers: OrdMap<String, Arc<CapacityProviderRow>>,
    /// Those of which something is begun.
    providers_unsettled: OrdSet<String>,
    agenda: Agenda<Key, Never>,
}

/// Nothing of an account is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Never {}

/// A command at work on an account.
pub type Txn<'a> = state::Txn<'a, Account>;

impl Domain for Account {
    type Rows = Row;
    type Mark = Never;
    type Ports = ();

    const SERVICE: &'static str = "ecs";
    const KEPT_MS: i64 = limits::INACTIVE_KEPT_MS;
    const SHORTEST_MS: i64 = limits::INACTIVE_KEPT_MS;

    fn new(_shard: &ShardId) -> Account {
        Account::default()
    }

    fn agenda(&self) -> &Agenda<Key, Never> {
        &self.agenda
    }

    fn agenda_mut(&mut self) -> &mut Agenda<Key, Never> {
        &mut self.agenda
    }

    fn timer(&self, key: &Key) -> Option<Timestamp> {
        match key {
            Key::CapacityProvider(name) => self.provider_row(name)?.forget_at,
            Key::DaemonDefinition(id) => self.daemon_definition(id)?.forget_at,
            _ => None,
        }
    }

    fn due(txn: &mut Txn, key: Key) {
        match key {
            Key::CapacityProvider(_) => txn.delete(key),
            Key::DaemonDefinition(id) => daemon::retire::forget(txn, id),
            _ => {}
        }
    }

    fn forgets(&self, key: &Key) -> bool {
        matches!(key, Key::CapacityProvider(_) | Key::DaemonDefinition(_))
    }

    fn set_back(txn: &mut Txn, key: Key) {
        match key {
            Key::CapacityProvider(name) => providers::retire::set_back(txn, &name),
            Key::DaemonDefinition(id) => daemon::retire::set_back(txn, &id),
            _ => {}
        }
    }

    fn take(&mut self, change: &Change) {
        match change {
            Change::Put(Row::TaskDefinition(row)) => self.put_definition(row),
            Change::Put(Row::Family(row)) => {
                self.families.insert(row.name.clone(), row.clone());
            }
            Change::Put(Row::DaemonDefinition(row)) => self.daemons.put(row),
            Change::Put(Row::DaemonFamily(row)) => self.daemons.put_family(row),
            Change::Put(Row::AgentKey(row)) => self.put_key(row),
            Change::Put(Row::CapacityProvider(row)) => self.put_provider(row),
            Change::Put(Row::Setting(row)) => {
                let id = SettingId { principal: row.principal.clone(), name: row.name };
                self.settings.insert(id, row.clone());
            }
            Change::Delete(Key::CapacityProvider(name)) => self.forget_provider(name),
            Change::Delete(Key::AgentKey(access_key)) => self.forget_key(access_key),
            Change::Delete(Key::TaskDefinition(id)) => self.forget(id),
            Change::Delete(Key::Family(name)) => {
                self.families.remove(name);
            }
            Change::Delete(Key::DaemonDefinition(id)) => self.daemons.forget(id),
            Change::Delete(Key::DaemonFamily(name)) => self.daemons.forget_family(name),
            Change::Delete(Key::Setting(id)) => {
                self.settings.remove(id);
            }
        }
    }

    fn settle(_txn: &mut Txn, mark: Never) {
        match mark {}
    }

    fn marked(&self, mark: &Never) -> Key {
        match *mark {}
    }
}

impl state::Row for TaskDefinitionRow {
    fn weight(&self) -> usize {
        // Large ones are registered one at a time: a commit has room for a few.
        8192
    }
}

impl state::Row for FamilyRow {
    fn weight(&self) -> usize {
        128 + self.name.len()
    }
}

impl state::Row for DaemonDefinitionRow {
    fn weight(&self) -> usize {
        self.made_of.weight()
    }
}

impl state::Row for DaemonFamilyRow {
    fn weight(&self) -> usize {
        128 + self.name.len()
    }
}

impl state::Row for SettingRow {
    fn weight(&self) -> usize {
        128 + self.principal.len()
    }
}

impl state::Row for CapacityProviderRow {
    fn weight(&self) -> usize {
        let settings = self.managed.as_ref().map_or(0, |managed| 2 * managed.settings.len());
        1024 + 2 * self.name.len() + settings + 384 * self.tags.len()
    }
}

impl state::Row for AgentKeyRow {
    fn weight(&self) -> usize {
        512
    }
}

impl Account {
    /// A task definition, whatever its status.
    pub fn task_definition(&self, id: &TaskDefinitionId) -> Option<&Arc<TaskDefinitionRow>> {
        self.definitions.get(id)
    }

    /// What a task was made of: a task definition, or what a daemon's is made of.
    pub fn definition_of(&self, task: &TaskRow) -> Option<&TaskDefinitionRow> {
        let id = &task.task_definition;
        match task.daemon {
            Some(_) => self.daemon_definition(id).map(|row| &row.made_of),
            None => self.task_definition(id).map(AsRef::as_ref),
        }
    }

    /// The newest ACTIVE task definition of a family.
    pub fn latest(&self, family: &str) -> Option<&Arc<TaskDefinitionRow>> {
        self.active.get(family)?;
        let id = |revision| TaskDefinitionId { family: family.to_owned(), revision };
        let mut rows = self.definitions.range(id(0)..=id(i32::MAX)).rev();
        rows.find(|(_, row)| row.status() == TaskDefinitionStatus::Active).map(|(_, row)| row)
    }

    /// All task definitions, by family and revision.
    pub fn task_definitions(&self) -> impl Iterator<Item = &TaskDefinitionId> {
        self.definitions.keys()
    }

    /// The newest revision that a family's own row knows of.
    pub fn last_revision(&self, family: &str) -> Option<i32> {
        self.families.get(family).map(|row| row.last_revision)
    }

    /// The task definitions that wait for their last reference to end.
    pub fn deleting(&self) -> impl Iterator<Item = &TaskDefinitionId> {
        self.deleting.keys()
    }

    /// What a request names as `family` (the newest ACTIVE one), `family:revision` or ARN, to run it.
    ///
    /// # Errors
    /// `ClientException` if there is none.
    pub fn resolve(&self, ctx: &Ctx, named: &str) -> Result<&Arc<TaskDefinitionRow>, Error> {
        self.find(ctx, named)?.ok_or_else(|| errors::client("TaskDefinition not found."))
    }

    fn find(&self, ctx: &Ctx, named: &str) -> Result<Option<&Arc<TaskDefinitionRow>>, Error> {
        let (family, revision) = arn::task_definition_name(ctx, named)?;
        Ok(match revision {
            Some(revision) => self.task_definition(&TaskDefinitionId { family, revision }),
            None => self.latest(&family),
        })
    }

    /// Whether no task definition of this family can be added.
    fn is_full(&self, family: &str) -> bool {
        let new = !self.families.contains_key(family);
        self.definitions.len() >= limits::TASK_DEFINITIONS || new && self.families.len() >= limits::FAMILIES
    }

    fn put_definition(&mut self, row: &Arc<TaskDefinitionRow>) {
        let id = row.id();
        self.forget(&id);
        match row.status() {
            TaskDefinitionStatus::Active => *self.active.entry(id.family.clone()).or_default() += 1,
            TaskDefinitionStatus::DeleteInProgress => {
                self.deleting.insert(id.clone(), ());
            }
            TaskDefinitionStatus::Inactive => {}
        }
        self.definitions.insert(id, row.clone());
    }

    /// Takes a task definition out of the rows and every index.
    fn forget(&mut self, id: &TaskDefinitionId) {
        let Some(old) = self.definitions.remove(id) else { return };
        self.deleting.remove(id);
        if old.status() != TaskDefinitionStatus::Active {
            return;
        }
        match self.active.get_mut(&id.family) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                self.active.remove(&id.family);
            }
        }
    }
}

#[cfg(test)]
mod tests;
