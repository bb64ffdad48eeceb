//! The keys of agents: which access key is which container instance's. A key is bound once, to one container
//! instance, and stays so for as long as that is remembered.

use std::sync::Arc;

use ecs_model::errors;
use wire::Error;

use super::{Account, AgentKeyRow, Key, Txn};
use crate::{
    limits,
    rows::{InstanceId, LogDriver},
};

/// A key that asks to be bound.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    pub access_key: String,
    pub secret: Option<String>,
    pub cluster: String,
    /// The container instance that is to be its own: a new one, or one that nobody has claimed.
    pub instance: InstanceId,
    /// Whether it has to be this one: else, a key that is bound already keeps the one that it has.
    pub named: bool,
}

/// Binds a key, and answers with its container instance. Asked again, as when the answer was lost, it answers
/// the same.
///
/// # Errors
/// `AccessDeniedException` where the key, or the container instance, belongs to another.
pub fn bind(txn: &mut Txn, claim: Claim) -> Result<InstanceId, Error> {
    let (state, ctx) = (&txn.state, txn.ctx);
    let denied = |what: &str| {
        Err(errors::access_denied(format!("User: {} is not authorized to register: {what}", ctx.caller_arn)))
    };
    if let Some(row) = state.agent_key(&claim.access_key) {
        let same = row.secret == claim.secret && row.cluster == claim.cluster;
        if !same || (claim.named && row.instance != claim.instance) {
            return denied("the key belongs to another container instance.");
        }
        return Ok(row.instance);
    }
    if state.key_of_instance(&claim.cluster, &claim.instance).is_some() {
        return denied("the container instance has a key of its own.");
    }
    if state.agent_keys.len() >= limits::AGENT_KEYS {
        return Err(errors::limit_exceeded("The number of agents' keys has reached its limit."));
    }
    let Claim { access_key, secret, cluster, instance, .. } = claim;
    txn.put(AgentKeyRow { access_key, secret, cluster, instance, bound_at: ctx.now });
    Ok(instance)
}

/// Forgets keys whose container instance is forgotten, if none of them is so young that its container instance
/// may be about to be written.
pub fn forget(txn: &mut Txn, gone: Vec<String>) {
    let now = txn.now();
    let old = |row: &Arc<AgentKeyRow>| row.bound_at.plus_millis(limits::UNUSED_KEY_KEPT_MS) <= now;
    for key in gone {
        if txn.state.agent_key(&key).is_some_and(old) {
            txn.delete(Key::AgentKey(key));
        }
    }
}

impl Account {
    /// The key of that id, if it is bound.
    pub fn agent_key(&self, access_key: &str) -> Option<&Arc<AgentKeyRow>> {
        self.agent_keys.get(access_key)
    }

    /// Some bound keys whose ids are greater than `after`, in order.
    pub fn agent_keys_after(&self, after: &str, limit: usize) -> Vec<Arc<AgentKeyRow>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let range = (Excluded(after.to_owned()), Unbounded);
        self.agent_keys.range(range).take(limit).map(|(_, row)| row.clone()).collect()
    }

    /// The access key that is bound to a container instance.
    pub fn key_of_instance(&self, cluster: &str, instance: &InstanceId) -> Option<&String> {
        self.key_of.get(&(cluster.to_owned(), *instance))
    }

    pub(super) fn put_key(&mut self, row: &Arc<AgentKeyRow>) {
        self.forget_key(&row.access_key);
        self.key_of.insert((row.cluster.clone(), row.instance), row.access_key.clone());
        self.agent_keys.insert(row.access_key.clone(), row.clone());
    }

    pub(super) fn forget_key(&mut self, access_key: &str) {
        if let Some(old) = self.agent_keys.remove(access_key) {
            self.key_of.remove(&(old.cluster.clone(), old.instance));
        }
    }
}

/// The log groups that a task definition's containers write to.
pub fn log_groups(definition: &super::TaskDefinitionRow) -> impl Iterator<Item = &str> {
    let logs = definition.containers().iter().filter_map(|container| container.log_configuration.as_ref());
    let logs = logs.filter(|log| log.log_driver == LogDriver::Awslogs);
    logs.filter_map(|log| log.options.as_ref()?.get("awslogs-group").map(String::as_str))
}
