//! How many tasks that are alike a container instance could take, by CPU, memory, ports and GPUs.

use super::Request;
use crate::{
    Cluster,
    rows::{InstanceId, Resources},
};

/// A container instance's room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capacity {
    registered: Resources,
    used: Resources,
}

impl Capacity {
    /// That of a container instance.
    pub fn of(state: &Cluster, id: &InstanceId) -> Option<Capacity> {
        let used = state.usage(id).map(|usage| usage.used.clone()).unwrap_or_default();
        Some(Capacity { registered: state.instance(id)?.registered.clone(), used })
    }

    /// With nothing on it.
    pub fn registered(&self) -> Capacity {
        Capacity { registered: self.registered.clone(), used: Resources::default() }
    }
}

impl Request {
    /// How many of the tasks fit. Of what placement constraints say, only that each is to have its own instance counts.
    pub fn fit_into(&self, host: &Capacity) -> usize {
        let (needs, has, used) = (&self.needs.resources, &host.registered, &host.used);
        let times = |has: i64, used: i64, needs: i64| match needs {
            ..=0 => usize::MAX,
            needs => usize::try_from(has.saturating_sub(used) / needs).unwrap_or(0),
        };
        let gpus = match self.needs.gpus {
            0 => usize::MAX,
            gpus => has.gpus.without(&used.gpus).len() / gpus,
        };
        let clash = |wanted: &std::collections::BTreeSet<u16>,
                     taken: [&std::collections::BTreeSet<u16>; 2]| {
            taken.iter().any(|taken| !wanted.is_disjoint(taken))
        };
        let ports = match needs.ports_tcp.is_empty() && needs.ports_udp.is_empty() {
            true => usize::MAX,
            false if clash(&needs.ports_tcp, [&has.ports_tcp, &used.ports_tcp]) => 0,
            false if clash(&needs.ports_udp, [&has.ports_udp, &used.ports_udp]) => 0,
            false => 1,
        };
        let own = if self.constraints.distinct_instance { 1 } else { usize::MAX };
        let cpu = times(has.cpu, used.cpu, needs.cpu);
        let memory = times(has.memory, used.memory, needs.memory);
        cpu.min(memory).min(gpus).min(ports).min(own)
    }
}
