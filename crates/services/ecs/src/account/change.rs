//! The rows of an account, by kind.

use super::{AgentKeyRow, CapacityProviderRow, FamilyRow, SettingRow, TaskDefinitionRow};
use crate::rows::{DaemonDefinitionRow, DaemonFamilyRow, SettingName, TaskDefinitionId};

/// Which setting, and whose (empty: the account's default).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SettingId {
    pub principal: String,
    pub name: SettingName,
}

impl state::row::KeyPart for SettingId {
    fn write(&self, out: &mut String) {
        out.push_str(&format!("{}/{}", self.name, self.principal));
    }
}

state::rows! {
    /// A row of an account.
    "td" TaskDefinition(TaskDefinitionRow, TaskDefinitionId): |row| row.id(),
    "family" Family(FamilyRow, String): |row| row.name.clone(),
    "daemon-td" DaemonDefinition(DaemonDefinitionRow, TaskDefinitionId): |row| row.id(),
    "daemon-family" DaemonFamily(DaemonFamilyRow, String): |row| row.name.clone(),
    "setting" Setting(SettingRow, SettingId): |row| SettingId { principal: row.principal.clone(), name: row.name },
    "capacity-provider" CapacityProvider(CapacityProviderRow, String): |row| row.name.clone(),
    "agent-key" AgentKey(AgentKeyRow, String): |row| row.access_key.clone(),
}

/// A change to one row.
pub type Change = state::Change<Row>;
