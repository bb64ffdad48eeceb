//! Which tasks want a network interface, and which wait to hear of theirs. An index of the rows of tasks, beside the rows by
//! which EC2 hears of it.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use state::{
    Id128,
    contract::{Given, Has, InterfaceWanted, Wants},
};

use super::{Cluster, Key, Row, Txn, Writes, rows::*};
use crate::task::{
    self,
    lifecycle::{self, Happening},
};

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Interfaces {
    wanted: OrdMap<TaskId, Arc<InterfaceWanted>>,
    /// Tasks that are PROVISIONING, or DEPROVISIONING, for their interface.
    waiting: OrdSet<TaskId>,
}

impl Interfaces {
    pub(super) fn put(&mut self, row: &Arc<InterfaceWanted>) {
        self.wanted.insert(TaskId(row.task), row.clone());
    }

    pub(super) fn forget(&mut self, id: &TaskId) {
        self.wanted.remove(id);
    }

    /// A task is written or forgotten.
    pub(super) fn task(&mut self, id: &TaskId, new: Option<&TaskRow>) {
        match new.is_some_and(TaskRow::awaits_interface) {
            true => drop(self.waiting.insert(*id)),
            false => drop(self.waiting.remove(id)),
        }
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = Row> {
        self.wanted.values().cloned().map(Row::InterfaceWanted)
    }
}

impl Cluster {
    /// The interface that a task is to have.
    pub fn interface_wanted(&self, id: &TaskId) -> Option<&Arc<InterfaceWanted>> {
        self.interfaces.wanted.get(id)
    }

    /// What is wrong with the interfaces that are wanted: each is of a task that holds one, and each such task has it.
    pub fn interfaces_broken(&self) -> Option<String> {
        let holds = |row: &&Arc<TaskRow>| row.holds_interface();
        let held: OrdSet<TaskId> = self.tasks.values().filter(holds).map(|row| row.id).collect();
        let waits = |row: &&Arc<TaskRow>| row.awaits_interface();
        let waiting: OrdSet<TaskId> = self.tasks.values().filter(waits).map(|row| row.id).collect();
        let wanted: OrdSet<TaskId> =
            self.interfaces.wanted.keys().filter(|id| self.tasks.contains_key(id)).copied().collect();
        (held != wanted || waiting != self.interfaces.waiting).then(|| format!("{:?}", self.interfaces))
    }
}

impl Wants for Cluster {
    fn wanted(&self, task: Id128) -> Option<&Arc<InterfaceWanted>> {
        self.interface_wanted(&TaskId(task))
    }

    fn concerned(&self) -> Vec<Id128> {
        let all: OrdSet<TaskId> =
            self.interfaces.wanted.keys().chain(&self.interfaces.waiting).copied().collect();
        all.into_iter().map(|id| id.0).collect()
    }

    fn concerns(key: &Key) -> Option<Id128> {
        match key {
            Key::InterfaceWanted(id) => Some(id.0),
            _ => None,
        }
    }

    fn hear(txn: &mut Txn, told: Vec<(Id128, Given)>) -> Vec<(Id128, Given)> {
        let mut told = told.into_iter();
        while !txn.full()
            && let Some((id, given)) = told.next()
        {
            let Some(before) = txn.state.task(&TaskId(id)).cloned() else { continue };
            let happening = match given {
                Given::Interface(interface) => Happening::InterfaceGiven(interface),
                Given::Refused { code, .. } => Happening::InterfaceRefused { code },
                Given::Gone => Happening::InterfaceGone,
            };
            let after = lifecycle::step(&before, &happening, txn.now());
            if after != *before {
                let after = txn.put_task(after);
                has(txn, &after);
                task::has_ended(txn, &before, &after);
            }
        }
        told.collect()
    }
}

/// Says of the interface that a task wants which one it has.
fn has(txn: &mut Txn, task: &TaskRow) {
    let Some(wanted) = txn.state.interface_wanted(&task.id).filter(|wanted| wanted.has.is_none()).cloned()
    else {
        return;
    };
    let interface = task.attachment.as_ref().and_then(|attachment| attachment.interface.as_ref());
    if let Some((interface, address)) = interface.and_then(|of| Some((of, of.address?))) {
        let has = Some(Has { id: interface.id.clone(), address, public: interface.public });
        txn.put(InterfaceWanted { has, ..wanted.as_ref().clone() });
    }
}

impl TaskRow {
    /// Whether it waits for its interface to be there, or to be gone.
    pub fn awaits_interface(&self) -> bool {
        let waits = match self.last {
            TaskStatus::Provisioning => self.instance.is_some(),
            last => last == TaskStatus::Deprovisioning,
        };
        waits && self.attachment.is_some()
    }

    /// Whether something of it may have an address: its interface is wanted from when it has a host, until the host has let go
    /// of it.
    pub fn holds_interface(&self) -> bool {
        let holds = |attachment: &AttachmentRow| {
            attachment.subnet.is_some() && attachment.status < AttachmentStatus::Detaching
        };
        self.attachment.as_ref().is_some_and(|attachment| holds(attachment))
    }

    /// Whether its agent is to know of it: not before it has all that it is assigned with, and not after the agent has said
    /// that nothing of it is left.
    pub fn is_for_agent(&self) -> bool {
        self.instance.is_some()
            && !matches!(
                self.last,
                TaskStatus::Provisioning | TaskStatus::Deprovisioning | TaskStatus::Stopped
            )
    }
}
