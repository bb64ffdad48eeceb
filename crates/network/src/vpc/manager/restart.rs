//! What a restart finds of VPCs and interfaces: on record, on the host, and by who lives there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{Name, Network, Record, State, Vpcs};
use crate::error::Result;
use crate::ledger;
use crate::netlink::Socket;
use crate::netns;
use crate::slots::{Names, Slot};
use crate::takeup::Containers;
use crate::vpc::router::{Note, Router};

impl Vpcs {
    /// Takes up VPCs' namespaces, but for those to be made anew.
    pub(super) fn take_up(&self, dir: &Path, anew: &BTreeSet<Name>) -> Result<()> {
        let mut state = self.state.lock();
        let mut notes = Vec::new();
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|e| e == "json") && !path.ends_with("rules.json") {
                notes.extend(ledger::read_note::<Note>(&path));
            }
        }
        let wanted: BTreeSet<Name> = state.records.values().map(|record| record.spec.vpc.clone()).collect();
        for note in notes {
            let path = self.names.vpc_netns(note.slot);
            let is_known = anew.contains(&note.vpc) || state.networks.contains_key(&note.vpc);
            let is_needed = wanted.contains(&note.vpc) && !is_known;
            match Router::adopt(&path).ok().filter(|_| is_needed && netns::exists(&path)) {
                Some(router) => {
                    state.networks.insert(note.vpc.clone(), Network::new(note, router, false));
                }
                None => self.remove_network(note.slot)?,
            }
        }
        self.remove_strays(&state)
    }

    /// Removes VPCs' namespaces, and links to them, that no interface needs.
    fn remove_strays(&self, state: &State) -> Result<()> {
        let networks: BTreeSet<Slot> = state.networks.values().map(|network| network.note.slot).collect();
        let mut strays = BTreeSet::new();
        for entry in fs::read_dir(self.names.netns_dir()).into_iter().flatten().flatten() {
            let name = entry.file_name();
            strays.extend(name.to_str().and_then(|name| self.names.slot_of_vpc_netns(name)));
        }
        let links = Socket::open()?.links()?;
        strays.extend(links.iter().filter_map(|link| self.names.slot_of_vpc_link(&link.name)));
        strays
            .into_iter()
            .filter(|slot| !networks.contains(slot))
            .try_for_each(|slot| self.remove_network(slot))
    }
}

impl State {
    /// Puts on record again what was lost of interfaces whose tasks live: one that has ended may have given its back.
    /// Answers whose VPCs' namespaces are to be made anew: nothing says any more which link in them is whose.
    pub(super) fn remember(&mut self, names: &Names, containers: &dyn Containers) -> BTreeSet<Name> {
        let mut anew = BTreeSet::new();
        let mut given = containers.interfaces();
        // Those that must have a certain slot before those that take any.
        given.sort_by_key(|(_, path)| path.is_none());
        for (spec, path) in given {
            let is_lost = !self.records.contains_key(&spec.id) && spec.check().is_ok();
            if !is_lost || containers.processes(&spec.id).is_empty() {
                continue;
            }
            let named = path.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
            let slot = match named {
                Some(name) => names.slot_of_task_netns(name).filter(|slot| self.is_free(*slot)),
                None => self.take_slot().ok(),
            };
            let Some(slot) = slot else {
                tracing::error!(id = %spec.id, "what is on record of a task's interface is lost");
                continue;
            };
            anew.insert(spec.vpc.clone());
            let record = Record { spec, slot, sysctls: Vec::new() };
            tracing::warn!(id = %record.spec.id, "the lost record of a task's interface is made again");
            if let Err(error) = self.ledger.write(&record) {
                let error = &error as &dyn std::error::Error;
                tracing::error!(id = %record.spec.id, error, "it cannot be written down yet");
            }
            self.records.insert(record.spec.id.clone(), record);
        }
        anew
    }
}

/// Removes files of tasks' namespaces that no record is of. Who lives there keeps the namespace.
pub(super) fn remove_stray_tasks(names: &Names, state: &State) -> Result<()> {
    let tasks: BTreeSet<Slot> = state.records.values().map(|record| record.slot).collect();
    for entry in fs::read_dir(names.netns_dir()).into_iter().flatten().flatten() {
        let slot = entry.file_name().to_str().and_then(|name| names.slot_of_task_netns(name));
        if slot.is_some_and(|slot| !tasks.contains(&slot)) {
            netns::remove(&entry.path())?;
        }
    }
    Ok(())
}
