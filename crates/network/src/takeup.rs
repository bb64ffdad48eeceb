//! What a restart finds of containers' networks, and making it whole: records of the ledger, what is left on the host,
//! and what only the host's user knows. A namespace lives as long as a process in it, also where its file
//! is gone; whoever lives there leads back to it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::ledger::{Ledger, Record};
use crate::netlink::Socket;
use crate::netns;
use crate::slots::{Names, Slot, mac_of};
use crate::stock::PEER;
use crate::types::{AttachSpec, Attachment, AttachmentId, Binding, Mode, PortMapping, Subnet};
use crate::vpc::InterfaceSpec;

/// What only the user of a [`crate::Host`] knows of its containers.
pub trait Containers: Send + Sync {
    /// Processes that live in a container, by their numbers on this host.
    fn processes(&self, id: &AttachmentId) -> Vec<i32>;

    /// Attachments that were made before and are not `known`: what is on record of them was lost. Asked once, at
    /// [`crate::Host::open_with`].
    fn remembered(&self, known: &dyn Fn(&AttachmentId) -> bool) -> Vec<Remembered>;

    /// Interfaces that tasks were given, whether or not they still have them, with the files of their namespaces where
    /// somebody has them written down: those go on to be so called. Asked once, too.
    fn interfaces(&self) -> Vec<(InterfaceSpec, Option<PathBuf>)> {
        Vec::new()
    }
}

/// A user that knows nothing.
pub(crate) struct Nothing;

impl Containers for Nothing {
    fn processes(&self, _: &AttachmentId) -> Vec<i32> {
        Vec::new()
    }

    fn remembered(&self, _: &dyn Fn(&AttachmentId) -> bool) -> Vec<Remembered> {
        Vec::new()
    }
}

/// What a user remembers of an attachment, as it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// The user's name for it.
    pub id: AttachmentId,
    /// As [`Attachment::netns_path`].
    pub netns_path: Option<PathBuf>,
    /// As [`Attachment::ipv4`].
    pub ipv4: Option<Ipv4Addr>,
    /// As [`Attachment::bindings`].
    pub bindings: Vec<Binding>,
}

/// What is taken up.
pub(crate) struct TakenUp {
    pub attached: BTreeMap<AttachmentId, Record>,
    /// Those whose namespaces are gone with all that lived in them: they need new ones.
    pub bare: Vec<Record>,
}

impl TakenUp {
    /// The subnet that containers have addresses in.
    pub(crate) fn subnet(&self) -> Option<Subnet> {
        self.attached.values().find_map(|record| {
            let Attachment { gateway, prefix_len, .. } = record.attachment;
            Subnet::new(gateway?, prefix_len).ok()
        })
    }
}

/// Takes up what is on record, and what was lost of it where its container lives. `subnet` is the bridge's.
pub(crate) fn take_up(
    ledger: &mut Ledger,
    records: Vec<Record>,
    names: &Names,
    subnet: Option<Subnet>,
    containers: &dyn Containers,
) -> TakenUp {
    let mut taken = TakenUp { attached: BTreeMap::new(), bare: Vec::new() };
    for record in records {
        taken.attached.insert(record.spec.id.clone(), record);
    }
    let lost = containers.remembered(&|id| taken.attached.contains_key(id));
    let mut owned: BTreeSet<Slot> = taken.attached.values().filter_map(|record| record.slot).collect();
    for remembered in lost {
        // One that has ended may have been taken off the network: only who lives shows that it was not.
        if containers.processes(&remembered.id).is_empty() {
            continue;
        }
        let id = remembered.id.clone();
        let Some(record) = rebuild(remembered, names, subnet, &owned) else {
            tracing::error!(%id, "what is on record of a container's network is lost: its ports are not published");
            continue;
        };
        tracing::warn!(%id, "the lost record of a container's network is made again of what the kernel shows");
        if let Err(error) = ledger.write(&record) {
            tracing::error!(%id, error = &error as &dyn std::error::Error, "it cannot be written down yet");
        }
        owned.extend(record.slot);
        taken.attached.insert(id, record);
    }
    for record in taken.attached.values() {
        let id = &record.spec.id;
        let Some(slot) = record.slot else { continue };
        match netns::exists(&names.netns(slot)) || rebind(names, slot, id, containers) {
            true => {}
            false => taken.bare.push(record.clone()),
        }
    }
    taken
}

/// A record as it must have been; none where what is remembered does not go with what is on the host.
fn rebuild(
    remembered: Remembered,
    names: &Names,
    subnet: Option<Subnet>,
    owned: &BTreeSet<Slot>,
) -> Option<Record> {
    let Remembered { id, netns_path, ipv4, bindings } = remembered;
    let slot = match &netns_path {
        Some(path) => Some(slot_of(path, names).filter(|slot| !owned.contains(slot))?),
        None => None,
    };
    let mode = match (slot, ipv4) {
        (None, _) => Mode::Host,
        (Some(_), None) => Mode::None,
        (Some(_), Some(_)) => Mode::Bridge,
    };
    let subnet = subnet.filter(|_| mode == Mode::Bridge);
    if let Some(slot) = slot.filter(|_| mode == Mode::Bridge)
        && subnet.map(|subnet| subnet.at(slot)) != ipv4
    {
        return None;
    }
    let port = |binding: &Binding| PortMapping {
        container_port: binding.container_port,
        host_port: Some(binding.host_port),
        protocol: binding.protocol,
        more: 0,
    };
    let spec =
        AttachSpec { id: id.clone(), mode, ports: bindings.iter().map(port).collect(), sysctls: Vec::new() };
    let attachment = Attachment {
        id,
        mode,
        netns_path,
        ipv4,
        prefix_len: subnet.map_or(0, |subnet| subnet.prefix_len()),
        gateway: subnet.map(|subnet| subnet.gateway()),
        mac: ipv4.map(mac_of),
        bindings,
    };
    Some(Record { spec, slot, attachment })
}

fn slot_of(path: &Path, names: &Names) -> Option<Slot> {
    let slot = names.slot_of_netns(path.file_name()?.to_str()?)?;
    (names.netns(slot) == path).then_some(slot)
}

/// Binds the namespace of a container's living processes to its file again; false when there is none.
pub(crate) fn rebind(names: &Names, slot: Slot, id: &AttachmentId, containers: &dyn Containers) -> bool {
    rebind_at(&names.netns(slot), id, containers)
}

/// [`rebind`], by the file's path.
pub(crate) fn rebind_at(path: &Path, id: &AttachmentId, containers: &dyn Containers) -> bool {
    let bound = living(id, containers).and_then(|found| match found {
        Some(netns) => netns::bind(&netns, path).map(|()| true),
        None => Ok(false),
    });
    match bound {
        Ok(true) => {
            tracing::warn!(%id, path = %path.display(), "the file of a container's network namespace is made again");
            true
        }
        Ok(false) => false,
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::error!(%id, error, "the file of a container's network namespace cannot be made again");
            false
        }
    }
}

/// The namespace that a container's processes are in: of several, as a privileged one may make them, that with
/// what it was given, else that of the first.
fn living(id: &AttachmentId, containers: &dyn Containers) -> Result<Option<File>> {
    const OWN: &str = "/proc/thread-self/ns/net";
    let own = std::fs::metadata(OWN).map_err(Error::io("look at", OWN))?.ino();
    let mut seen = BTreeSet::from([own]);
    let mut namespaces = Vec::new();
    for pid in containers.processes(id) {
        let Ok(file) = File::open(format!("/proc/{pid}/ns/net")) else { continue };
        // A process on its way into the container may still be in ours.
        if file.metadata().is_ok_and(|m| seen.insert(m.ino())) {
            namespaces.push((pid, file));
        }
    }
    // Only now that they are open does this tell that the numbers still mean the same.
    let still = containers.processes(id);
    let mut namespaces: Vec<File> =
        namespaces.into_iter().filter(|(pid, _)| still.contains(pid)).map(|(_, file)| file).collect();
    let has_link = |file: &File| {
        let index = netns::within(file, || Socket::open()?.index(PEER));
        index.is_ok_and(|index| index.is_some())
    };
    let at = namespaces.iter().position(has_link).unwrap_or(0);
    Ok((at < namespaces.len()).then(|| namespaces.swap_remove(at)))
}
