//! A change to one row of the account, and its form in the store: key below [`PREFIX`], value JSON.

use std::sync::Arc;

use ecs_model::SettingName;
use serde::{Deserialize, Serialize};

use super::{AgentKeyRow, FamilyRow, SettingRow, TaskDefinitionRow};
use crate::cluster::{change::Unreadable, rows::TaskDefinitionId};

/// Where all rows of the account begin.
pub const PREFIX: &str = "a/";

/// Names a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    TaskDefinition(TaskDefinitionId),
    Family(String),
    /// The principal (empty: the account's default) and the setting's name.
    Setting(String, SettingName),
    /// The access key.
    AgentKey(String),
}

/// A row.
#[derive(Debug, Clone, PartialEq)]
pub enum Row {
    TaskDefinition(Arc<TaskDefinitionRow>),
    Family(FamilyRow),
    Setting(SettingRow),
    AgentKey(Arc<AgentKeyRow>),
}

/// A change to one row.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    Put(Row),
    Delete(Key),
}

impl Key {
    /// The key in the store; task definitions sort by family, then by revision.
    pub fn encode(&self) -> String {
        match self {
            Key::TaskDefinition(id) => format!("{PREFIX}td/{}/{:010}", id.family, id.revision),
            Key::Family(name) => format!("{PREFIX}family/{name}"),
            Key::AgentKey(access_key) => format!("{PREFIX}agent-key/{access_key}"),
            Key::Setting(principal, name) => format!("{PREFIX}setting/{name}/{principal}"),
        }
    }
}

impl Row {
    /// The row's key.
    pub fn key(&self) -> Key {
        match self {
            Row::TaskDefinition(row) => Key::TaskDefinition(row.id()),
            Row::Family(row) => Key::Family(row.name.clone()),
            Row::AgentKey(row) => Key::AgentKey(row.access_key.clone()),
            Row::Setting(row) => Key::Setting(row.principal.clone(), row.name),
        }
    }

    /// The row's value in the store.
    pub fn encode(&self) -> Vec<u8> {
        fn json(row: &impl Serialize) -> Vec<u8> {
            serde_json::to_vec(row).expect("rows have string keys and finite numbers only")
        }
        match self {
            Row::TaskDefinition(row) => json(row.as_ref()),
            Row::Family(row) => json(row),
            Row::Setting(row) => json(row),
            Row::AgentKey(row) => json(row.as_ref()),
        }
    }

    /// Reads a stored row back; `key` is the whole key in the store.
    pub fn decode(key: &str, value: &[u8]) -> Result<Row, Unreadable> {
        fn row<'a, T: Deserialize<'a>>(key: &str, value: &'a [u8]) -> Result<T, Unreadable> {
            let read = serde_json::from_slice(value);
            read.map_err(|error| Unreadable { key: key.to_owned(), source: Some(error) })
        }
        match key.strip_prefix(PREFIX).and_then(|key| key.split('/').next()) {
            Some("td") => row(key, value).map(|row| Row::TaskDefinition(Arc::new(row))),
            Some("family") => row(key, value).map(Row::Family),
            Some("agent-key") => row(key, value).map(|row| Row::AgentKey(Arc::new(row))),
            Some("setting") => row(key, value).map(Row::Setting),
            _ => Err(Unreadable { key: key.to_owned(), source: None }),
        }
    }
}

impl Change {
    /// The key of the row that changes.
    pub fn key(&self) -> Key {
        match self {
            Change::Put(row) => row.key(),
            Change::Delete(key) => key.clone(),
        }
    }

    pub(super) fn put(row: TaskDefinitionRow) -> Change {
        Change::Put(Row::TaskDefinition(Arc::new(row)))
    }
}
