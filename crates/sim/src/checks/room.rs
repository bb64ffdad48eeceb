//! Whether there is room for a task, by what users know that it needs: told without the placement that is checked.

use ::ecs::{
    Cluster, capacity,
    cluster::{InstanceId, InstanceRow, InstanceStatus},
};

use crate::users::definitions::{DAEMONS, FAMILIES};

/// A task that somebody would like to have.
#[derive(Debug)]
pub struct Wanted<'a> {
    pub family: &'a str,
    /// Of which capacity provider, where that matters.
    pub provider: Option<&'a str>,
}

/// A container instance that takes tasks and has room for it, if any has.
pub fn found(state: &Cluster, wanted: &Wanted) -> Option<InstanceId> {
    let is_open = |row: &InstanceRow| {
        let of = capacity::of_instance(row);
        let is_of = wanted.provider.is_none() || of == wanted.provider;
        row.status == InstanceStatus::Active && row.agent_connected && is_of
    };
    let open = state.instances().filter(|row| is_open(row));
    open.map(|row| row.id).find(|id| on(state, id, wanted.family))
}

/// Whether a container instance has room for a task of a family.
pub fn on(state: &Cluster, id: &InstanceId, family: &str) -> bool {
    let mut known = FAMILIES.iter().chain(&DAEMONS);
    let Some((_, cpu, memory)) = known.find(|(known, ..)| *known == family) else { return false };
    let containers = if family == "pair" { 2 } else { 1 };
    let (cpu, memory) = (i64::from(cpu * containers), i64::from(memory * containers));
    let Some((row, usage)) = state.instance(id).zip(state.usage(id)) else { return false };
    let port_is_free = family != "port" || !usage.used.ports_tcp.contains(&8080);
    let left = (row.registered.cpu - usage.used.cpu, row.registered.memory - usage.used.memory);
    left.0 >= cpu && left.1 >= memory && port_is_free
}
