//! A file with damaged pages: it is kept as it is, under another name, and what can be read of it is taken over
//! into a new file. Rows that cannot be are named among those set aside; where not even their keys can be read, the
//! mark for that is.
//!
//! The new file takes the old one's place only once it is whole and on disk, and a start that was cut short in
//! between goes on there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};

use super::fault;
use super::file::{self, Opened};
use crate::{Error, aside};

/// Files up to this size are checked at each start; larger ones when reading or writing them has failed.
const CHECKED: u64 = 32 << 20;

/// Asks the next start to take the file over.
pub(super) fn ask(path: &Path) {
    // Where even this fails, the next start finds the damage again.
    let _ = File::create(file::beside(path, ".damaged")).and_then(|file| file.sync_all());
}

/// Opens the file for writing; makes it when there is none. See the module.
pub(super) fn open(path: &Path, keeps_log: bool) -> Result<Opened, Error> {
    let (mark, ready) = (file::beside(path, ".damaged"), file::beside(path, ".salvaged"));
    if ready.exists() {
        take_place(path, &ready)?;
    }
    if !mark.exists() {
        match file::open(path, keeps_log).and_then(|opened| checked(path, opened)) {
            Err(Error::Corrupt { .. }) => {}
            outcome => return outcome,
        }
    }
    let kept = keep(path)?;
    let draft = file::beside(path, ".partial");
    remove(&draft)?;
    rebuild(&kept, &draft)?;
    fs::rename(&draft, &ready).map_err(|e| fault::of_io(path, &e))?;
    file::sync_directory(path)?;
    take_place(path, &ready)?;
    remove(&mark)?;
    file::open(path, keeps_log)
}

/// Looks for damaged pages where that is quickly done.
fn checked(path: &Path, opened: Opened) -> Result<Opened, Error> {
    if fs::metadata(path).is_ok_and(|file| file.len() > CHECKED) {
        return Ok(opened);
    }
    let found = opened.conn.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    match found.map_err(|e| fault::of_sqlite(path, Some(&opened.conn), &e))? {
        ok if ok == "ok" => Ok(opened),
        detail => Err(Error::Corrupt { path: path.display().to_string(), detail }),
    }
}

/// Copies the file, with its log, to a name that is free.
fn keep(path: &Path) -> Result<PathBuf, Error> {
    let io = |e: std::io::Error| fault::of_io(path, &e);
    let free = (1..).map(|n| file::beside(path, &format!(".damaged-{n}"))).find(|path| !path.exists());
    let kept = free.expect("a directory has a free name");
    // The log first: a copy that was cut short is not taken for a whole one.
    for suffix in ["-wal", ""] {
        let (from, to) = (file::beside(path, suffix), file::beside(&kept, suffix));
        if from.exists() {
            fs::copy(&from, &to).and_then(|_| File::open(&to)?.sync_all()).map_err(io)?;
        }
    }
    file::sync_directory(path)?;
    Ok(kept)
}

/// Puts the finished file in the place of the damaged one, whose log must not be taken for its own.
fn take_place(path: &Path, ready: &Path) -> Result<(), Error> {
    for suffix in ["-wal", "-shm"] {
        remove(&file::beside(path, suffix))?;
    }
    fs::rename(ready, path).map_err(|e| fault::of_io(path, &e))?;
    file::sync_directory(path)
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(fault::of_io(path, &error)),
        _ => Ok(()),
    }
}

/// A row as it lies in the file.
struct Raw {
    key: Vec<u8>,
    value: Vec<u8>,
    revision: i64,
    crc: Option<i64>,
}

/// Reads what can be read of `kept` into the new file `draft`.
fn rebuild(kept: &Path, draft: &Path) -> Result<(), Error> {
    let old = Connection::open(kept).map_err(|e| fault::of_sqlite(kept, None, &e))?;
    let (rows, lost, all_known) = read(&old).map_err(|e| fault::of_sqlite(kept, Some(&old), &e))?;
    let mut opened = file::open(draft, false)?;
    let conn = &mut opened.conn;
    let write = |conn: &mut Connection| -> rusqlite::Result<()> {
        let moment = conn.transaction()?;
        let known = file::read_state(&old).map_or(0, |state| state.revision.cast_signed());
        let mut newest = known.max(0);
        // By id: where two have one key, the later one stands.
        for row in rows.values() {
            newest = newest.max(row.revision);
            moment
                .prepare_cached(
                    "INSERT OR REPLACE INTO entries (key, value, revision, crc) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![String::from_utf8_lossy(&row.key), row.value, row.revision, row.crc])?;
        }
        let unknown = (!all_known).then(|| aside::UNKNOWN.to_owned());
        for key in lost.iter().chain(&unknown) {
            let (key, why) = aside::lost(key, "its page of the file is damaged");
            let crc = file::checksum(key.as_bytes(), &why, newest.cast_unsigned());
            moment
                .prepare_cached(
                    "INSERT OR REPLACE INTO entries (key, value, revision, crc) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![key, why, newest, crc])?;
        }
        moment.execute("UPDATE state SET revision = ?1, oldest_watch = ?1", [newest])?;
        moment.commit()?;
        // One file, without a log, until it is opened under its own name.
        conn.query_row("PRAGMA journal_mode=DELETE", [], |_| Ok(()))
    };
    write(conn).map_err(|e| fault::of_sqlite(draft, Some(conn), &e))?;
    drop(opened);
    File::open(draft).and_then(|file| file.sync_all()).map_err(|e| fault::of_io(draft, &e))
}

type Found = (BTreeMap<i64, Raw>, BTreeSet<String>, bool);

/// The rows by id, the keys of rows that cannot be read, and whether these are all that are missing. An error only
/// where not even the schema can be read.
fn read(conn: &Connection) -> rusqlite::Result<Found> {
    let mut rows = BTreeMap::new();
    // From both ends, for what lies between two damaged pages is out of reach of either.
    for order in ["", "DESC"] {
        let sql =
            format!("SELECT id, key, value, revision, crc FROM entries NOT INDEXED ORDER BY id {order}");
        let sql = if has_checksums(conn) { sql } else { sql.replace("crc", "NULL") };
        let mut statement = conn.prepare(&sql)?;
        if walk(&mut statement, &mut rows).is_ok() {
            return Ok((rows, BTreeSet::new(), true));
        }
    }
    let (mut lost, mut all_known) = (BTreeSet::new(), false);
    let column = if has_checksums(conn) { "crc" } else { "NULL" };
    let mut one =
        conn.prepare(&format!("SELECT id, key, value, revision, {column} FROM entries WHERE id = ?1"))?;
    for order in ["", "DESC"] {
        let mut index = conn.prepare(&format!("SELECT id, key FROM entries ORDER BY key {order}"))?;
        let mut names = index.query([])?;
        loop {
            match names.next() {
                Ok(Some(name)) => {
                    let (id, key) = (name.get_ref(0)?.as_i64().unwrap_or(0), bytes(name.get_ref(1)?));
                    if rows.contains_key(&id) {
                        continue;
                    }
                    match one.query_row([id], raw) {
                        Ok((id, row)) => drop(rows.insert(id, row)),
                        Err(_) => drop(lost.insert(String::from_utf8_lossy(&key).into_owned())),
                    }
                }
                Ok(None) => {
                    all_known = true;
                    break;
                }
                Err(_) => break,
            }
        }
        if all_known {
            break;
        }
    }
    Ok((rows, lost, all_known))
}

fn has_checksums(conn: &Connection) -> bool {
    conn.prepare("SELECT crc FROM entries").is_ok()
}

fn walk(statement: &mut rusqlite::Statement<'_>, rows: &mut BTreeMap<i64, Raw>) -> rusqlite::Result<()> {
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let (id, row) = raw(row)?;
        rows.insert(id, row);
    }
    Ok(())
}

fn raw(row: &rusqlite::Row<'_>) -> rusqlite::Result<(i64, Raw)> {
    let number = |at: usize| Ok::<_, rusqlite::Error>(row.get_ref(at)?.as_i64().ok());
    let raw = Raw {
        key: bytes(row.get_ref(1)?),
        value: bytes(row.get_ref(2)?),
        revision: number(3)?.unwrap_or(0),
        crc: number(4)?,
    };
    Ok((number(0)?.unwrap_or(0), raw))
}

fn bytes(value: ValueRef<'_>) -> Vec<u8> {
    match value {
        ValueRef::Blob(bytes) | ValueRef::Text(bytes) => bytes.to_vec(),
        _ => Vec::new(),
    }
}
