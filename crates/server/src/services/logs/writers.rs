//! Into which log groups an agent may write: those that the tasks on its container instance name. The answer is
//! remembered. In them it may write to all streams but those that are named after the tasks of others.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use ::ecs::{
    account::keys,
    cluster::{InstanceId, TaskId},
};
use logs_model::errors;
use parking_lot::RwLock;
use wire::Error;

use crate::{
    gate::{Call, Role},
    services::ecs::Homes,
};

/// Log groups that are remembered for one container instance.
const GROUPS: usize = 1000;

/// Asks and remembers.
pub struct Writers {
    homes: Arc<Homes>,
    /// By container instance. Those that are gone are few and small: a host writes to few groups.
    known: RwLock<HashMap<Arc<str>, HashSet<String>>>,
}

impl Writers {
    /// Over the clusters of these.
    pub fn new(homes: Arc<Homes>) -> Writers {
        Writers { homes, known: RwLock::default() }
    }

    /// Refuses what an agent may not write.
    pub fn check(&self, call: &Call) -> Result<(), Error> {
        let Role::Agent { cluster, instance } = &call.caller.role else { return Ok(()) };
        let text = |name: &str| call.input.get(name).and_then(|value| value.as_str()).unwrap_or_default();
        let (group, stream) = (text("logGroupName"), text("logStreamName"));
        // Hosts share groups; a stream is one task's.
        if self.is_of_another(call, (cluster, instance), stream) {
            let (arn, operation) = (&call.caller.arn, call.operation.name);
            return Err(errors::access_denied(format!(
                "User: {arn} is not authorized to perform: logs:{operation} on the log stream {stream}: its task is \
                 on another container instance."
            )));
        }
        if self.known.read().get(instance).is_some_and(|groups| groups.contains(group)) {
            return Ok(());
        }
        if !self.names(call, (cluster, instance), (group, stream)) {
            let (arn, operation) = (&call.caller.arn, call.operation.name);
            return Err(errors::access_denied(format!(
                "User: {arn} is not authorized to perform: logs:{operation} on the log group {group}: no task on \
                 its container instance names it."
            )));
        }
        let mut known = self.known.write();
        let groups = known.entry(instance.clone()).or_default();
        if groups.len() >= GROUPS {
            groups.clear();
        }
        groups.insert(group.to_owned());
        Ok(())
    }

    /// Whether the stream is named after a task that runs elsewhere.
    fn is_of_another(&self, call: &Call, (cluster, instance): (&str, &str), stream: &str) -> bool {
        let Some(id) = stream.rsplit('/').next().and_then(TaskId::parse) else { return false };
        let home = self.homes.home(&call.caller.account, &call.region).ok();
        let cluster = home.and_then(|home| home.cluster_by_name(cluster)).map(|cluster| cluster.read());
        let task = cluster.as_ref().and_then(|visible| visible.state.task(&id));
        task.is_some_and(|task| task.instance != InstanceId::parse(instance))
    }

    /// Whether a task on the container instance logs to the group. A stream mostly says of which task it is.
    fn names(&self, call: &Call, (cluster, instance): (&str, &str), (group, stream): (&str, &str)) -> bool {
        let Ok(home) = self.homes.home(&call.caller.account, &call.region) else { return false };
        let (Some(cluster), Some(instance)) = (home.cluster_by_name(cluster), InstanceId::parse(instance))
        else {
            return false;
        };
        let (visible, account) = (cluster.read(), home.account());
        let logs_there = |id: &TaskId| {
            let task = visible.state.task(id).filter(|task| task.instance.as_ref() == Some(&instance));
            let definition = task.and_then(|task| account.state.task_definition(&task.task_definition));
            definition.is_some_and(|definition| keys::log_groups(definition).any(|named| named == group))
        };
        let of_stream =
            stream.rsplit('/').next().is_some_and(|id| TaskId::parse(id).is_some_and(|id| logs_there(&id)));
        let usage = || visible.state.usage(&instance);
        let on_host = || usage().is_some_and(|usage| usage.tasks.keys().any(&logs_there));
        let ended = || usage().is_some_and(|usage| usage.ended.iter().any(&logs_there));
        of_stream || on_host() || ended()
    }
}
