//! The records of attachments, and of tasks' interfaces, in the run directory: one small file each, so that a change is
//! one rename.
//!
//! The files are not fsynced, on purpose: they speak only of kernel objects, which end with the
//! machine. A killed process loses nothing that was written, and after a power cut there is
//! nothing left to describe. A file that cannot be read is treated as absent: what it may have
//! stood for is made again of what the kernel and the container show (`takeup`), or is an orphan and is removed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::slots::Slot;
use crate::types::{AttachSpec, Attachment, AttachmentId, Subnet};

/// What is known of one attachment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub spec: AttachSpec,
    pub slot: Option<Slot>,
    pub attachment: Attachment,
}

/// What a record is of.
pub(crate) trait Entry: Serialize + DeserializeOwned {
    /// The caller's name for it.
    fn id(&self) -> &AttachmentId;
}

impl Entry for Record {
    fn id(&self) -> &AttachmentId {
        &self.spec.id
    }
}

/// A directory of records.
#[derive(Debug)]
pub(crate) struct Ledger {
    dir: PathBuf,
    files: BTreeMap<AttachmentId, u64>,
    next: u64,
}

impl Ledger {
    /// Reads every record of attachments; removes what cannot be read.
    pub(crate) fn open(run_dir: &Path) -> Result<(Ledger, Vec<Record>)> {
        Ledger::open_at(records_dir(run_dir))
    }

    /// The same of tasks' interfaces.
    pub(crate) fn open_interfaces<R: Entry>(run_dir: &Path) -> Result<(Ledger, Vec<R>)> {
        Ledger::open_at(interfaces_dir(run_dir))
    }

    fn open_at<R: Entry>(dir: PathBuf) -> Result<(Ledger, Vec<R>)> {
        fs::create_dir_all(&dir).map_err(Error::io("create", &dir))?;
        let mut ledger = Ledger { dir, files: BTreeMap::new(), next: 1 };
        let mut records: BTreeMap<u64, R> = BTreeMap::new();
        for path in list(&ledger.dir)? {
            let number = path.file_stem().and_then(|s| s.to_str()).and_then(|s| s.parse::<u64>().ok());
            // Also of one that cannot be read: it may have to stay where it is.
            ledger.next = ledger.next.max(number.map_or(0, |number| number.saturating_add(1)));
            let record = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<R>(&bytes).ok());
            match number.filter(|_| path.extension().is_some_and(|e| e == "json")).zip(record) {
                Some((number, record)) if ledger.files.insert(record.id().clone(), number).is_none() => {
                    records.insert(number, record);
                }
                _ => {
                    tracing::error!(path = %path.display(), "removing a network record that cannot be read");
                    let is_dir = fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir());
                    let removed = if is_dir { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
                    if let Err(error) = removed {
                        tracing::error!(path = %path.display(), %error, "it cannot be removed, and is passed over");
                    }
                }
            }
        }
        Ok((ledger, records.into_values().collect()))
    }

    /// Writes a record before what it describes is published.
    pub(crate) fn write<R: Entry>(&mut self, record: &R) -> Result<()> {
        let number = self.next;
        let bytes = serde_json::to_vec(record).map_err(|e| Error::Invalid(e.to_string()))?;
        let (temporary, path) = (self.dir.join(format!("{number}.tmp")), self.file(number));
        fs::write(&temporary, bytes).map_err(Error::io("write", &temporary))?;
        fs::rename(&temporary, &path).map_err(Error::io("rename to", &path))?;
        self.next += 1;
        self.files.insert(record.id().clone(), number);
        Ok(())
    }

    /// Removes a record; what it described is an orphan from now on.
    pub(crate) fn remove(&mut self, id: &AttachmentId) -> Result<()> {
        let Some(number) = self.files.get(id).copied() else { return Ok(()) };
        let path = self.file(number);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", &path)(e)),
            _ => {
                self.files.remove(id);
                Ok(())
            }
        }
    }

    fn file(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number}.json"))
    }
}

/// The subnet this instance uses, once chosen.
pub(crate) fn read_subnet(state_dir: &Path) -> Option<Subnet> {
    fs::read_to_string(state_dir.join("subnet")).ok()?.trim().parse().ok()
}

/// Keeps the choice of subnet, for the next boot too. A disk that takes none keeps nobody from being served: the
/// next start writes it, or chooses anew when nothing is attached any more.
pub(crate) fn keep_subnet(state_dir: &Path, subnet: Subnet) {
    if read_subnet(state_dir) == Some(subnet) {
        return;
    }
    if let Err(error) = write_subnet(state_dir, subnet) {
        tracing::warn!(%subnet, error = &error as &dyn std::error::Error, "the choice of subnet is not kept");
    }
}

fn write_subnet(state_dir: &Path, subnet: Subnet) -> Result<()> {
    fs::create_dir_all(state_dir).map_err(Error::io("create", state_dir))?;
    let (temporary, path) = (state_dir.join("subnet.tmp"), state_dir.join("subnet"));
    fs::write(&temporary, format!("{subnet}\n")).map_err(Error::io("write", &temporary))?;
    fs::rename(&temporary, &path).map_err(Error::io("rename to", &path))
}

/// Forgets everything: the records and the choice of subnet.
pub(crate) fn remove_all(state_dir: &Path, run_dir: &Path) -> Result<()> {
    for gone in [
        fs::remove_dir_all(records_dir(run_dir)),
        fs::remove_dir_all(interfaces_dir(run_dir)),
        fs::remove_dir_all(vpcs_dir(run_dir)),
        fs::remove_file(state_dir.join("subnet")),
        fs::remove_file(state_dir.join("subnet.tmp")),
    ] {
        match gone {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io("empty", state_dir)(e));
            }
            _ => {}
        }
    }
    Ok(())
}

fn records_dir(run_dir: &Path) -> PathBuf {
    run_dir.join("attachments")
}

fn interfaces_dir(run_dir: &Path) -> PathBuf {
    run_dir.join("interfaces")
}

/// Where it is noted which VPC has which namespace, and what is known of security groups.
pub(crate) fn vpcs_dir(run_dir: &Path) -> PathBuf {
    run_dir.join("vpcs")
}

/// Reads a note; none where there is none that can be read.
pub(crate) fn read_note<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let bytes = fs::read(path).ok()?;
    serde_json::from_slice(&bytes).inspect_err(|error| {
        tracing::error!(path = %path.display(), %error, "what was noted of a network cannot be read, and is passed over");
    }).ok()
}

/// Writes a note, in the place of an older one.
pub(crate) fn write_note<T: Serialize>(path: &Path, note: &T) -> Result<()> {
    let bytes = serde_json::to_vec(note).map_err(|e| Error::Invalid(e.to_string()))?;
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
    let temporary = path.with_extension("tmp");
    fs::write(&temporary, bytes).map_err(Error::io("write", &temporary))?;
    fs::rename(&temporary, path).map_err(Error::io("rename to", path))
}

fn list(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).map_err(Error::io("list", dir))?;
    entries.map(|entry| entry.map(|e| e.path()).map_err(Error::io("list", dir))).collect()
}
