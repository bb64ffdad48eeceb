//! The host's ledger of CPU, memory and ports. Tasks are let in first come, first served: one that does
//! not fit holds back those behind it, as in the ECS agent (agent protocol, section b.7). Pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use engine::TaskId;

/// What one task takes, or what a host has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// 1024 a core.
    pub cpu: u64,
    pub memory_mib: u64,
    /// Static host ports.
    pub ports_tcp: BTreeSet<u16>,
    pub ports_udp: BTreeSet<u16>,
}

/// Who has what, and who waits.
#[derive(Debug)]
pub struct Admission {
    total: Needs,
    cpu_used: u64,
    memory_used_mib: u64,
    ports_tcp: BTreeSet<u16>,
    ports_udp: BTreeSet<u16>,
    holders: BTreeMap<TaskId, Holder>,
    waiting: VecDeque<TaskId>,
}

#[derive(Debug)]
struct Holder {
    needs: Needs,
    admitted: bool,
    /// CPU and memory are given back already; the ports not yet.
    stopped: bool,
}

impl Admission {
    /// A host with `total`; the ports in it are those that are reserved.
    pub fn new(total: Needs) -> Admission {
        Admission {
            cpu_used: 0,
            memory_used_mib: 0,
            ports_tcp: total.ports_tcp.clone(),
            ports_udp: total.ports_udp.clone(),
            holders: BTreeMap::new(),
            waiting: VecDeque::new(),
            total,
        }
    }

    /// Puts a task at the end of the queue. Asking again changes nothing.
    pub fn ask(&mut self, task: &TaskId, needs: Needs) {
        if self.holders.contains_key(task) {
            return;
        }
        self.holders.insert(task.clone(), Holder { needs, admitted: false, stopped: false });
        self.waiting.push_back(task.clone());
    }

    /// Counts a task that was admitted before the agent restarted, whether it fits or not.
    pub fn readmit(&mut self, task: &TaskId, needs: Needs) {
        if self.holders.contains_key(task) {
            return;
        }
        self.take(&needs);
        self.holders.insert(task.clone(), Holder { needs, admitted: true, stopped: false });
    }

    /// Lets in whom it can, and names them in order.
    pub fn admit(&mut self) -> Vec<TaskId> {
        let mut admitted = Vec::new();
        while let Some(task) = self.waiting.front() {
            let fits = self.holders.get(task).is_none_or(|holder| self.fits(&holder.needs));
            if !fits {
                break;
            }
            let Some(task) = self.waiting.pop_front() else { break };
            if let Some(holder) = self.holders.get_mut(&task) {
                holder.admitted = true;
                let needs = holder.needs.clone();
                self.take(&needs);
                admitted.push(task);
            }
        }
        admitted
    }

    /// The task's containers have all ended: its CPU and memory are free, and its ports too unless
    /// the engine may still hold them.
    pub fn stopped(&mut self, task: &TaskId) {
        let Some(holder) = self.holders.get_mut(task) else { return };
        if holder.admitted && !holder.stopped {
            holder.stopped = true;
            self.cpu_used = self.cpu_used.saturating_sub(holder.needs.cpu);
            self.memory_used_mib = self.memory_used_mib.saturating_sub(holder.needs.memory_mib);
        }
    }

    /// The task is gone from the host, or will never be on it.
    pub fn removed(&mut self, task: &TaskId) {
        self.stopped(task);
        self.waiting.retain(|waiting| waiting != task);
        if let Some(holder) = self.holders.remove(task)
            && holder.admitted
        {
            self.ports_tcp
                .retain(|p| !holder.needs.ports_tcp.contains(p) || self.total.ports_tcp.contains(p));
            self.ports_udp
                .retain(|p| !holder.needs.ports_udp.contains(p) || self.total.ports_udp.contains(p));
        }
    }

    /// How many tasks wait for room.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn fits(&self, needs: &Needs) -> bool {
        self.cpu_used + needs.cpu <= self.total.cpu
            && self.memory_used_mib + needs.memory_mib <= self.total.memory_mib
            && self.ports_tcp.is_disjoint(&needs.ports_tcp)
            && self.ports_udp.is_disjoint(&needs.ports_udp)
    }

    fn take(&mut self, needs: &Needs) {
        self.cpu_used += needs.cpu;
        self.memory_used_mib += needs.memory_mib;
        self.ports_tcp.extend(&needs.ports_tcp);
        self.ports_udp.extend(&needs.ports_udp);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(cpu: u64, memory_mib: u64, ports: &[u16]) -> Needs {
        Needs { cpu, memory_mib, ports_tcp: ports.iter().copied().collect(), ports_udp: BTreeSet::new() }
    }

    fn ids(names: &[&str]) -> Vec<TaskId> {
        names.iter().map(|n| n.to_string()).collect()
    }

    #[test]
    fn the_first_that_does_not_fit_holds_back_the_rest() {
        let mut host = Admission::new(needs(1024, 1000, &[22]));
        host.ask(&"a".into(), needs(1000, 10, &[]));
        host.ask(&"b".into(), needs(100, 10, &[]));
        host.ask(&"c".into(), needs(1, 1, &[]));
        assert_eq!(host.admit(), ids(&["a"]));
        assert_eq!(host.waiting(), 2);
        host.stopped(&"a".into());
        assert_eq!(host.admit(), ids(&["b", "c"]));
    }

    #[test]
    fn a_port_is_free_only_when_its_task_is_removed() {
        let mut host = Admission::new(needs(1024, 1000, &[22]));
        host.ask(&"a".into(), needs(1, 1, &[80]));
        host.ask(&"b".into(), needs(1, 1, &[80]));
        host.ask(&"ssh".into(), needs(1, 1, &[22]));
        assert_eq!(host.admit(), ids(&["a"]));
        host.stopped(&"a".into());
        assert!(host.admit().is_empty());
        host.removed(&"a".into());
        assert_eq!(host.admit(), ids(&["b"]));
        host.removed(&"b".into());
        assert!(host.admit().is_empty(), "22 is reserved");
    }

    #[test]
    fn nothing_is_given_back_twice() {
        let mut host = Admission::new(needs(10, 10, &[]));
        host.readmit(&"a".into(), needs(10, 10, &[]));
        host.stopped(&"a".into());
        host.stopped(&"a".into());
        host.removed(&"a".into());
        host.removed(&"a".into());
        host.ask(&"b".into(), needs(6, 6, &[]));
        host.ask(&"c".into(), needs(6, 6, &[]));
        assert_eq!(host.admit(), ids(&["b"]));
    }
}
