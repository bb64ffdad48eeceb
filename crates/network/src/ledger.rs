//! The record of attachments, in the run directory: one small file each, so that a change is one rename.
//!
//! The files are not fsynced, on purpose: they speak only of kernel objects, which end with the
//! machine. A killed process loses nothing that was written, and after a power cut there is
//! nothing left to describe. A file that cannot be read is treated as absent; what it may have
//! stood for is then an orphan and is removed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

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

/// The directory of records.
#[derive(Debug)]
pub(crate) struct Ledger {
    dir: PathBuf,
    files: BTreeMap<AttachmentId, u64>,
    next: u64,
}

impl Ledger {
    /// Reads every record; removes what cannot be read.
    pub(crate) fn open(run_dir: &Path) -> Result<(Ledger, Vec<Record>)> {
        let dir = records_dir(run_dir);
        fs::create_dir_all(&dir).map_err(Error::io("create", &dir))?;
        let mut ledger = Ledger { dir, files: BTreeMap::new(), next: 1 };
        let mut records: BTreeMap<u64, Record> = BTreeMap::new();
        for path in list(&ledger.dir)? {
            let number = path.file_stem().and_then(|s| s.to_str()).and_then(|s| s.parse::<u64>().ok());
            let record = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Record>(&bytes).ok());
            match number.filter(|_| path.extension().is_some_and(|e| e == "json")).zip(record) {
                Some((number, record)) if ledger.files.insert(record.spec.id.clone(), number).is_none() => {
                    ledger.next = ledger.next.max(number + 1);
                    records.insert(number, record);
                }
                _ => {
                    tracing::warn!(path = %path.display(), "removing an unreadable network record");
                    fs::remove_file(&path).map_err(Error::io("remove", &path))?;
                }
            }
        }
        Ok((ledger, records.into_values().collect()))
    }

    /// Writes a record before what it describes is published.
    pub(crate) fn write(&mut self, record: &Record) -> Result<()> {
        let number = self.next;
        let bytes = serde_json::to_vec(record).map_err(|e| Error::Invalid(e.to_string()))?;
        let (temporary, path) = (self.dir.join(format!("{number}.tmp")), self.file(number));
        fs::write(&temporary, bytes).map_err(Error::io("write", &temporary))?;
        fs::rename(&temporary, &path).map_err(Error::io("rename to", &path))?;
        self.next += 1;
        self.files.insert(record.spec.id.clone(), number);
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

/// Keeps the choice of subnet, for the next boot too. A full disk keeps none, and nobody from being served: the
/// next start writes it, or chooses anew when nothing is attached any more.
pub(crate) fn keep_subnet(state_dir: &Path, subnet: Subnet) -> Result<()> {
    if read_subnet(state_dir) == Some(subnet) {
        return Ok(());
    }
    match write_subnet(state_dir, subnet) {
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::StorageFull => {
            tracing::warn!(%subnet, "the disk is full: the choice of subnet is not kept");
            Ok(())
        }
        written => written,
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

fn list(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).map_err(Error::io("list", dir))?;
    entries.map(|entry| entry.map(|e| e.path()).map_err(Error::io("list", dir))).collect()
}
