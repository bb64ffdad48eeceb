//! A change to one row, and its form in the store: key `c/<cluster>/<kind>/<id>`, value JSON.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::rows::*;

/// Names a row of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    Cluster,
    Instance(InstanceId),
    Service(ServiceName),
    Task(TaskId),
    Token(String),
}

/// A row of a cluster.
#[derive(Debug, Clone, PartialEq)]
pub enum Row {
    Cluster(Arc<ClusterRow>),
    Instance(Arc<InstanceRow>),
    Service(Arc<ServiceRow>),
    Task(Arc<TaskRow>),
    Token(Arc<TokenRow>),
}

/// A change to one row.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    Put(Row),
    Delete(Key),
}

/// A stored row that cannot be read: the store was written by something else.
#[derive(Debug, thiserror::Error)]
#[error("the stored row {key} cannot be read")]
pub struct Unreadable {
    pub key: String,
    #[source]
    pub source: Option<serde_json::Error>,
}

/// Where all rows of a cluster begin.
pub fn prefix(cluster: &str) -> String {
    format!("c/{cluster}/")
}

impl Key {
    /// The key in the store.
    pub fn encode(&self, cluster: &str) -> String {
        match self {
            Key::Cluster => format!("c/{cluster}/cluster"),
            Key::Instance(id) => format!("c/{cluster}/instance/{id}"),
            Key::Service(name) => format!("c/{cluster}/service/{name}"),
            Key::Task(id) => format!("c/{cluster}/task/{id}"),
            Key::Token(token) => format!("c/{cluster}/token/{token}"),
        }
    }
}

impl Row {
    /// The row's key.
    pub fn key(&self) -> Key {
        match self {
            Row::Cluster(_) => Key::Cluster,
            Row::Instance(row) => Key::Instance(row.id.clone()),
            Row::Service(row) => Key::Service(row.name.clone()),
            Row::Task(row) => Key::Task(row.id.clone()),
            Row::Token(row) => Key::Token(row.token.clone()),
        }
    }

    /// The row's value in the store.
    pub fn encode(&self) -> Vec<u8> {
        fn json(row: &impl Serialize) -> Vec<u8> {
            serde_json::to_vec(row).expect("rows have string keys and finite numbers only")
        }
        match self {
            Row::Cluster(row) => json(row.as_ref()),
            Row::Instance(row) => json(row.as_ref()),
            Row::Service(row) => json(row.as_ref()),
            Row::Task(row) => json(row.as_ref()),
            Row::Token(row) => json(row.as_ref()),
        }
    }

    /// Reads a stored row back; `key` is the whole key in the store.
    pub fn decode(key: &str, value: &[u8]) -> Result<Row, Unreadable> {
        fn row<'a, T: Deserialize<'a>>(key: &str, value: &'a [u8]) -> Result<Arc<T>, Unreadable> {
            let read = serde_json::from_slice(value);
            read.map(Arc::new).map_err(|error| Unreadable { key: key.to_owned(), source: Some(error) })
        }
        match key.split('/').nth(2) {
            Some("cluster") => row(key, value).map(Row::Cluster),
            Some("instance") => row(key, value).map(Row::Instance),
            Some("service") => row(key, value).map(Row::Service),
            Some("task") => row(key, value).map(Row::Task),
            Some("token") => row(key, value).map(Row::Token),
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
}
