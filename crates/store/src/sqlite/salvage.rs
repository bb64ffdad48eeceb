//! A file with damaged pages, or a damaged log: it is kept as it is, under another name, and what can be read of it is
//! taken over into a new file. Rows that cannot be are named among those set aside; where not even their keys can be
//! read, the mark for that is. A log in which only bytes are not as they were is made whole, and goes on.
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
use super::wal::{self, Log};
use crate::{Error, aside};

/// Files up to this size are checked at each start; larger ones when reading or writing them has failed.
const CHECKED: u64 = 32 << 20;

/// Asks the next start to take the file over.
pub(super) fn ask(path: &Path) {
    // Where even this fails, the next start finds the damage again.
    let _ = File::create(file::beside(path, ".damaged")).and_then(|file| file.sync_all());
}

/// Opens the file for writing; makes it when there is none. See the module. With it comes, in words, what was damaged.
pub(super) fn open(path: &Path, keeps_log: bool) -> Result<(Opened, Option<String>), Error> {
    let (mark, ready) = (file::beside(path, ".damaged"), file::beside(path, ".salvaged"));
    if ready.exists() {
        take_place(path, &ready)?;
    }
    let mut log = read_log(path)?;
    if !mark.exists() && !log.is_broken() {
        let mended = (log.mends() > 0).then(|| mend(path, &log)).transpose()?;
        match file::open(path, keeps_log).and_then(|opened| checked(path, opened, mended.is_some())) {
            Err(Error::Corrupt { .. }) => {}
            outcome => return outcome.map(|opened| (opened, mended)),
        }
        // SQLite has had it, and may have moved it to the file.
        log = read_log(path)?;
    }
    let kept = keep(path)?;
    let draft = file::beside(path, ".partial");
    remove(&draft)?;
    rebuild(path, &log, &draft)?;
    fs::rename(&draft, &ready).map_err(|e| fault::of_io(path, &e))?;
    file::sync_directory(path)?;
    take_place(path, &ready)?;
    remove(&mark)?;
    let what = if log.is_broken() { "the log of " } else { "" };
    let damage = format!(
        "{what}{} was damaged; what can be read was taken over into a new file. As it was: {}",
        path.display(),
        kept.display()
    );
    Ok((file::open(path, keeps_log)?, Some(damage)))
}

/// Looks at the log of a file that is ours, before SQLite does.
fn read_log(path: &Path) -> Result<Log, Error> {
    let io = |e: std::io::Error| fault::of_io(path, &e);
    let log = wal::look(path).map_err(io)?;
    let is_damaged = log.is_broken() || log.mends() > 0;
    // One of others is refused by its head, and left alone.
    let is_foreign = is_damaged && log.is_foreign(path, file::APPLICATION_ID as u32).map_err(io)?;
    Ok(if is_foreign { Log::default() } else { log })
}

/// Refuses to read past damage in the log, which SQLite would take for its end.
pub(super) fn refuse_damaged_log(path: &Path) -> Result<(), Error> {
    let log = read_log(path)?;
    if !log.is_broken() && log.mends() == 0 {
        return Ok(());
    }
    Err(Error::Corrupt {
        path: path.display().to_string(),
        detail: "its log does not fit its checksums".into(),
    })
}

/// Makes the log whole, and says so.
fn mend(path: &Path, log: &Log) -> Result<String, Error> {
    let wal = file::beside(path, "-wal");
    let kept = free_name(&wal);
    // The bytes that change are the ones that were wrong: a disk that has no room for the copy loses nothing.
    let copied = fs::copy(&wal, &kept).and_then(|_| File::open(&kept)?.sync_all());
    let as_it_was = match copied {
        Ok(()) => format!("as it was: {}", kept.display()),
        Err(error) => {
            remove(&kept)?;
            format!("it could not be kept as it was: {error}")
        }
    };
    log.mend(path).map_err(|e| fault::of_io(path, &e))?;
    Ok(format!("{} was damaged in {} places, and is whole again; {as_it_was}", wal.display(), log.mends()))
}

/// Looks for damaged pages where that is quickly done; for all that a wrong byte could do where one was `mended`.
fn checked(path: &Path, opened: Opened, mended: bool) -> Result<Opened, Error> {
    let check = if mended { "PRAGMA integrity_check(1)" } else { "PRAGMA quick_check(1)" };
    if !mended && fs::metadata(path).is_ok_and(|file| file.len() > CHECKED) {
        return Ok(opened);
    }
    let found = opened.conn.query_row(check, [], |row| row.get::<_, String>(0));
    match found.map_err(|e| fault::of_sqlite(path, Some(&opened.conn), &e))? {
        ok if ok == "ok" => Ok(opened),
        detail => Err(Error::Corrupt { path: path.display().to_string(), detail }),
    }
}

/// Copies the file, with its log, to a name that is free.
fn keep(path: &Path) -> Result<PathBuf, Error> {
    let io = |e: std::io::Error| fault::of_io(path, &e);
    let kept = free_name(path);
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

fn free_name(path: &Path) -> PathBuf {
    let free = (1..).map(|n| file::beside(path, &format!(".damaged-{n}"))).find(|path| !path.exists());
    free.expect("a directory has a free name")
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

impl Raw {
    /// Whether it is as it was written, as far as that is known, and how new it is: of two, the greater is taken.
    fn rank(&self) -> (bool, i64) {
        let crc = file::checksum(&self.key, &self.value, self.revision.cast_unsigned());
        (self.crc.is_none_or(|found| found == i64::from(crc)), self.revision)
    }
}

/// What was read of a damaged file.
struct Rows {
    by_key: BTreeMap<String, Raw>,
    /// Keys of rows that cannot be read.
    lost: BTreeSet<String>,
    /// Why not all that is lost may have a name.
    unknown: Option<&'static str>,
    newest: i64,
}

/// Reads what can be read of the store at `path`, with its `log`, into the new file `draft`. Where the log is broken
/// there are two ways to see the file, with the pages that do not fit and without: the best of both is taken.
fn rebuild(path: &Path, log: &Log, draft: &Path) -> Result<(), Error> {
    let io = |e: std::io::Error| fault::of_io(path, &e);
    if log.mends() > 0 {
        log.mend(path).map_err(io)?;
    }
    let mut rows = Rows { by_key: BTreeMap::new(), lost: BTreeSet::new(), unknown: None, newest: 0 };
    if log.is_broken() {
        rows.unknown = Some(
            "a part of the log is damaged: rows may be lost, or as they were before, or there though deleted",
        );
    }
    let view = file::beside(path, ".view");
    let ways: &[bool] = if log.is_broken() { &[true, false] } else { &[true] };
    let mut seen = Vec::new();
    for doubtful in ways {
        remove_view(&view)?;
        log.view(path, &view, *doubtful).map_err(io)?;
        seen.push(gather(&view, &mut rows));
    }
    remove_view(&view)?;
    // One is enough.
    match seen.into_iter().min_by_key(Result::is_err) {
        Some(Err(error)) => Err(error),
        _ => write(&rows, draft),
    }
}

fn remove_view(view: &Path) -> Result<(), Error> {
    ["", "-wal", "-shm"].iter().try_for_each(|suffix| remove(&file::beside(view, suffix)))
}

/// Adds what can be read of the file `view`.
fn gather(view: &Path, rows: &mut Rows) -> Result<(), Error> {
    let conn = file::connect_stranger(view)?;
    let (found, lost, all_known) = read(&conn).map_err(|e| fault::of_sqlite(view, Some(&conn), &e))?;
    let known = file::read_state(&conn).map_or(0, |state| state.revision.cast_signed());
    rows.newest = rows.newest.max(known);
    for row in found.into_values() {
        rows.newest = rows.newest.max(row.revision);
        let key = String::from_utf8_lossy(&row.key).into_owned();
        match rows.by_key.get(&key) {
            Some(other) if other.rank() > row.rank() => {}
            _ => drop(rows.by_key.insert(key, row)),
        }
    }
    rows.lost.extend(lost);
    rows.lost.retain(|key| !rows.by_key.contains_key(key));
    if !all_known {
        rows.unknown.get_or_insert("its page of the file is damaged");
    }
    Ok(())
}

/// Writes the new file, which is on disk when this returns.
fn write(rows: &Rows, draft: &Path) -> Result<(), Error> {
    let mut opened = file::open(draft, false)?;
    let conn = &mut opened.conn;
    let fill = |conn: &mut Connection| -> rusqlite::Result<()> {
        const PUT: &str =
            "INSERT OR REPLACE INTO entries (key, value, revision, crc) VALUES (?1, ?2, ?3, ?4)";
        let moment = conn.transaction()?;
        for (key, row) in &rows.by_key {
            moment.prepare_cached(PUT)?.execute(params![key, row.value, row.revision, row.crc])?;
        }
        let lost = rows.lost.iter().map(|key| (key.as_str(), "its page of the file is damaged"));
        for (key, reason) in lost.chain(rows.unknown.map(|reason| (aside::UNKNOWN, reason))) {
            let (key, why) = aside::lost(key, reason);
            let crc = file::checksum(key.as_bytes(), &why, rows.newest.cast_unsigned());
            moment.prepare_cached(PUT)?.execute(params![key, why, rows.newest, crc])?;
        }
        moment.execute("UPDATE state SET revision = ?1, oldest_watch = ?1", [rows.newest])?;
        moment.commit()?;
        // One file, without a log, until it is opened under its own name.
        conn.query_row("PRAGMA journal_mode=DELETE", [], |_| Ok(()))
    };
    fill(conn).map_err(|e| fault::of_sqlite(draft, Some(conn), &e))?;
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
