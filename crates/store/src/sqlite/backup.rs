//! A consistent copy of the file, made while it is in use. It appears under its name only when it is whole,
//! checked and on disk; no file is ever replaced.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::{fault, file, salvage};
use crate::Error;

/// Copies the store in the file `from`, which may be in use by another process; see
/// [`crate::Store::backup`]. Error: [`Error::Corrupt`] as well where a damaged log waits for the next start.
pub fn backup(from: &Path, to: &Path) -> Result<(), Error> {
    if to.symlink_metadata().is_ok() {
        return Err(Error::Invalid(format!("{} exists; a backup replaces no file", to.display())));
    }
    let partial = file::beside(to, ".partial");
    let copied = make(from, &partial, to);
    // Whether it was linked to its name or not, the partial file has done its duty.
    let _ = fs::remove_file(&partial);
    let _ = fs::remove_file(file::beside(&partial, "-journal"));
    copied
}

fn make(from: &Path, partial: &Path, to: &Path) -> Result<(), Error> {
    let io = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Error::Invalid(format!("{} or {} exists", to.display(), partial.display()))
        }
        _ => fault::of_io(to, &error),
    };
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(partial).map_err(io)?;
    copy(from, partial, to)?;
    File::open(partial).and_then(|file| file.sync_all()).map_err(io)?;
    // Unlike a rename, a link never replaces what is there.
    fs::hard_link(partial, to).map_err(io)?;
    file::sync_directory(to)
}

fn copy(from: &Path, partial: &Path, to: &Path) -> Result<(), Error> {
    salvage::refuse_damaged_log(from)?;
    let source = file::connect_stranger(from)?;
    let mut copy = Connection::open(partial).map_err(|e| fault::of_sqlite(to, None, &e))?;
    let run = |copy: &mut Connection| -> rusqlite::Result<Option<String>> {
        // All pages in one step: one read transaction, so one moment; the writer goes on meanwhile.
        if Backup::new(&source, copy)?.step(-1)? != StepResult::Done {
            return Ok(Some("the file is locked by another program".to_owned()));
        }
        // The copy is to be one file: not in WAL mode until it is opened as a store.
        copy.query_row("PRAGMA journal_mode=DELETE", [], |_| Ok(()))?;
        let check: String = copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        Ok((check != "ok").then_some(check))
    };
    match run(&mut copy) {
        Ok(None) => Ok(()),
        Ok(Some(detail)) => Err(Error::Corrupt { path: from.display().to_string(), detail }),
        Err(error) => Err(fault::of_sqlite(to, Some(&copy), &error)),
    }
}
