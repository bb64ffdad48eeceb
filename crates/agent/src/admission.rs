//! The host's ledger of CPU, memory, ports and GPUs. The scheduler has counted what it places here, by the same
//! numbers, so a task waits only while one that has ended still gives back what it had. Tasks are let in in
//! the order in which they ask, but one that must wait holds up no other that has room, unless it has been
//! passed by many: then nobody gets what it waits for before it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use engine::TaskId;

/// So many tasks are let in before one that waits, then no more that would take what it needs.
const PASSES_MAX: u64 = 64;

/// What one task takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// 1024 a core.
    pub cpu: u64,
    pub memory_mib: u64,
    /// Static host ports.
    pub ports_tcp: BTreeSet<u16>,
    pub ports_udp: BTreeSet<u16>,
    pub gpus: BTreeSet<String>,
}

/// Who has what, and who waits.
#[derive(Debug)]
pub struct Admission {
    cpu: u64,
    memory_mib: u64,
    taken: Taken,
    holders: BTreeMap<TaskId, Holder>,
    /// By the turns in which they asked.
    waiting: BTreeMap<u64, TaskId>,
    next_turn: u64,
    /// How many were ever let in.
    admissions: u64,
}

/// What some tasks take together.
#[derive(Debug, Clone, Default)]
struct Taken {
    cpu: u64,
    memory_mib: u64,
    /// By how many.
    ports_tcp: BTreeMap<u16, u32>,
    ports_udp: BTreeMap<u16, u32>,
    gpus: BTreeMap<String, u32>,
}

#[derive(Debug)]
struct Holder {
    needs: Needs,
    turn: u64,
    /// [`Admission::admissions`] when it asked.
    asked_at: u64,
    phase: Phase,
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    Waiting,
    Admitted,
    /// CPU, memory and GPUs are given back already; the ports not yet.
    Stopped,
}

impl Admission {
    /// An empty host with so much CPU (1024 a core) and memory (MiB).
    pub fn new(cpu: u64, memory_mib: u64) -> Admission {
        Admission {
            cpu,
            memory_mib,
            taken: Taken::default(),
            holders: BTreeMap::new(),
            waiting: BTreeMap::new(),
            next_turn: 0,
            admissions: 0,
        }
    }

    /// Asks for room for a task. True: it has it. Else it waits, and [`Admission::admit`] names it one day.
    /// Asking again changes nothing.
    pub fn ask(&mut self, task: &TaskId, needs: Needs) -> bool {
        if let Some(holder) = self.holders.get(task) {
            return holder.phase != Phase::Waiting;
        }
        let needs = self.at_most_the_host(needs);
        let fits = self.fits(&needs, &self.claimed());
        self.hold(task, needs, if fits { Phase::Admitted } else { Phase::Waiting });
        fits
    }

    /// Counts a task that was admitted before the agent restarted, whether it fits or not.
    pub fn readmit(&mut self, task: &TaskId, needs: Needs) {
        if !self.holders.contains_key(task) {
            let needs = self.at_most_the_host(needs);
            self.hold(task, needs, Phase::Admitted);
        }
    }

    /// Lets in whom it can of those that wait, and names them in order.
    pub fn admit(&mut self) -> Vec<TaskId> {
        let (mut admitted, mut claimed) = (Vec::new(), Taken::default());
        let waiting = std::mem::take(&mut self.waiting);
        for (turn, task) in waiting {
            let Some(holder) = self.holders.get(&task) else { continue };
            if self.fits(&holder.needs, &claimed) {
                self.taken.add(&holder.needs);
                self.admissions += 1;
                if let Some(holder) = self.holders.get_mut(&task) {
                    holder.phase = Phase::Admitted;
                }
                admitted.push(task);
                continue;
            }
            if self.has_waited_long(holder) {
                claimed.add(&holder.needs);
            }
            self.waiting.insert(turn, task);
        }
        admitted
    }

    /// The task's containers have all ended: its CPU, memory and GPUs are free. Its ports are once the engine has
    /// given them back. One that still waits does so no more.
    pub fn stopped(&mut self, task: &TaskId) {
        let Some(holder) = self.holders.get_mut(task) else { return };
        match holder.phase {
            Phase::Waiting => self.released(task),
            Phase::Admitted => {
                holder.phase = Phase::Stopped;
                self.taken.give_back_size(&holder.needs);
            }
            Phase::Stopped => {}
        }
    }

    /// The task takes nothing of the host any more, or never will.
    pub fn released(&mut self, task: &TaskId) {
        let Some(holder) = self.holders.remove(task) else { return };
        if holder.phase == Phase::Waiting {
            self.waiting.remove(&holder.turn);
        } else {
            if holder.phase == Phase::Admitted {
                self.taken.give_back_size(&holder.needs);
            }
            give_back(&mut self.taken.ports_tcp, &holder.needs.ports_tcp);
            give_back(&mut self.taken.ports_udp, &holder.needs.ports_udp);
        }
    }

    /// How many tasks wait for room.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// More than there is counts as all there is, as when a host came back with less: on an empty host
    /// every task has room.
    fn at_most_the_host(&self, needs: Needs) -> Needs {
        Needs { cpu: needs.cpu.min(self.cpu), memory_mib: needs.memory_mib.min(self.memory_mib), ..needs }
    }

    fn hold(&mut self, task: &TaskId, needs: Needs, phase: Phase) {
        let turn = self.next_turn;
        self.next_turn += 1;
        if phase == Phase::Admitted {
            self.taken.add(&needs);
            self.admissions += 1;
        } else {
            self.waiting.insert(turn, task.clone());
        }
        let asked_at = self.admissions;
        self.holders.insert(task.clone(), Holder { needs, turn, asked_at, phase });
    }

    fn has_waited_long(&self, holder: &Holder) -> bool {
        self.admissions.saturating_sub(holder.asked_at) >= PASSES_MAX
    }

    /// What those wait for that have been passed by enough others: the first in the queue, if any.
    fn claimed(&self) -> Taken {
        let mut claimed = Taken::default();
        let long = self.waiting.values().map_while(|task| {
            let holder = self.holders.get(task)?;
            self.has_waited_long(holder).then_some(holder)
        });
        long.for_each(|holder| claimed.add(&holder.needs));
        claimed
    }

    fn fits(&self, needs: &Needs, claimed: &Taken) -> bool {
        // As the scheduler counts: who needs none of something does not mind that there is none.
        let room = |has: u64, taken: u64, claimed: u64, needs: u64| {
            needs == 0 || taken.saturating_add(claimed).saturating_add(needs) <= has
        };
        fn free<T: Ord>(wanted: &BTreeSet<T>, taken: &BTreeMap<T, u32>, claimed: &BTreeMap<T, u32>) -> bool {
            wanted.iter().all(|one| !taken.contains_key(one) && !claimed.contains_key(one))
        }
        let taken = &self.taken;
        room(self.cpu, taken.cpu, claimed.cpu, needs.cpu)
            && room(self.memory_mib, taken.memory_mib, claimed.memory_mib, needs.memory_mib)
            && free(&needs.ports_tcp, &taken.ports_tcp, &claimed.ports_tcp)
            && free(&needs.ports_udp, &taken.ports_udp, &claimed.ports_udp)
            && free(&needs.gpus, &taken.gpus, &claimed.gpus)
    }
}

impl Taken {
    fn add(&mut self, needs: &Needs) {
        self.cpu = self.cpu.saturating_add(needs.cpu);
        self.memory_mib = self.memory_mib.saturating_add(needs.memory_mib);
        needs.ports_tcp.iter().for_each(|port| *self.ports_tcp.entry(*port).or_default() += 1);
        needs.ports_udp.iter().for_each(|port| *self.ports_udp.entry(*port).or_default() += 1);
        needs.gpus.iter().for_each(|gpu| *self.gpus.entry(gpu.clone()).or_default() += 1);
    }

    fn give_back_size(&mut self, needs: &Needs) {
        self.cpu = self.cpu.saturating_sub(needs.cpu);
        self.memory_mib = self.memory_mib.saturating_sub(needs.memory_mib);
        give_back(&mut self.gpus, &needs.gpus);
    }
}

fn give_back<T: Ord>(taken: &mut BTreeMap<T, u32>, held: &BTreeSet<T>) {
    for one in held {
        match taken.get_mut(one) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(taken.remove(one)),
        }
    }
}

#[cfg(test)]
mod tests;
