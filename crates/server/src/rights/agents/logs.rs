//! Into which log groups an agent may write: those that the tasks on its container instance name. The answer is
//! remembered. In them it may write to all streams but those that are named after the tasks of others.

use std::collections::{HashMap, HashSet};

use ::ecs::{
    account::keys,
    cluster::{InstanceId, TaskId},
};
use parking_lot::RwLock;
use state::api::text;

use super::Own;
use crate::gate::Asked;

/// Log groups that are remembered for one container instance.
const GROUPS: usize = 1000;

/// Those of which it is known that a container instance writes to them. Those that are gone are few and small: a host
/// writes to few groups.
#[derive(Default)]
pub struct Groups(RwLock<HashMap<String, HashSet<String>>>);

/// The log group, and the stream if there is one.
pub fn are_its_tasks(own: &Own, asked: &Asked) -> bool {
    let named = |member: &str| text(asked.input, member).unwrap_or_default();
    let (group, stream) = (named("logGroupName"), named("logStreamName"));
    let task = stream.rsplit('/').next().unwrap_or_default();
    // Hosts share groups; a stream is one task's.
    if own.has_task(task) == Some(false) {
        return false;
    }
    let Groups(known) = own.groups;
    if known.read().get(own.instance).is_some_and(|groups| groups.contains(group)) {
        return true;
    }
    if !is_named(own, (group, task)) {
        return false;
    }
    let mut known = known.write();
    let groups = known.entry(own.instance.to_owned()).or_default();
    if groups.len() >= GROUPS {
        groups.clear();
    }
    groups.insert(group.to_owned());
    true
}

/// Whether a task on the container instance logs to the group. A stream mostly says of which task it is.
fn is_named(own: &Own, (group, task): (&str, &str)) -> bool {
    let (Some(visible), Some(instance)) = (own.cluster(), InstanceId::parse(own.instance)) else {
        return false;
    };
    let account = own.home.account();
    let logs_there = |id: &TaskId| {
        let task = visible.state.task(id).filter(|task| task.instance.as_ref() == Some(&instance));
        let definition = task.and_then(|task| account.state.definition_of(task));
        definition.is_some_and(|definition| keys::log_groups(definition).any(|named| named == group))
    };
    let usage = || visible.state.usage(&instance);
    let on_host = || usage().is_some_and(|usage| usage.tasks.keys().any(&logs_there));
    let ended = || usage().is_some_and(|usage| usage.ended.iter().any(&logs_there));
    TaskId::parse(task).is_some_and(|id| logs_there(&id)) || on_host() || ended()
}
