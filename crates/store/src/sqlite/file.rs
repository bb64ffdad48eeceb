//! The file: how it is made, known again, refused, and connected to.
//!
//! Tables: `entries` holds the newest value of every row; `history` the changes of the newest revisions, for
//! watches (its id is the revision and the change's place within the commit); `leases`; and `state`, one row.
//! The tables with values have a rowid: a value of a kilobyte would not fit the pages of a table without.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::fault;
use crate::{Error, Lease, Revision, limits};

/// "RSTD": marks the file as ours.
pub(super) const APPLICATION_ID: i64 = 0x5253_5444;
/// The schema that this program writes.
pub(super) const SCHEMA_VERSION: i64 = 2;
/// From version 1, whose rows have no checksum.
const FROM_1: &str = "ALTER TABLE entries ADD COLUMN crc INTEGER;";
/// How long to wait for another program (a person's `sqlite3`) that holds the file's locks.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A change's id in `history` is its revision shifted by this, plus its place in the commit.
pub(super) const HISTORY_SHIFT: u32 = 12;
const _: () = assert!(limits::MAX_CHANGES <= 1 << HISTORY_SHIFT);

const SCHEMA: &str = "
    CREATE TABLE entries (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        value BLOB NOT NULL,
        revision INTEGER NOT NULL,
        crc INTEGER
    ) STRICT;
    CREATE TABLE history (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL,
        value BLOB,
        at INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE leases (
        name TEXT PRIMARY KEY,
        holder TEXT NOT NULL,
        token INTEGER NOT NULL,
        ttl_millis INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE state (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        revision INTEGER NOT NULL,
        oldest_watch INTEGER NOT NULL,
        history_changes INTEGER NOT NULL,
        history_bytes INTEGER NOT NULL
    ) STRICT;
    INSERT INTO state VALUES (1, 0, 0, 0, 0);
";

/// The row of `state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) revision: Revision,
    pub(super) oldest_watch: Revision,
    pub(super) history_changes: u64,
    pub(super) history_bytes: u64,
}

/// How the file's connections are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct How {
    /// The log stays when the last connection goes.
    pub(super) keeps_log: bool,
    /// Its index is in memory, and other processes are kept out: a full disk has no room for the file that the
    /// index is in otherwise, which SQLite makes anew at each start.
    pub(super) alone: bool,
}

/// SQLite's layer that keeps the index of the log in memory.
const ALONE: &str = "unix-excl";

/// An opened file.
pub(super) struct Opened {
    pub(super) conn: Connection,
    pub(super) how: How,
    pub(super) state: State,
    pub(super) leases: Vec<Lease>,
}

/// The file beside `path` whose name ends in `suffix`.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// What tells a row that was damaged: over its key, its value and its revision.
pub(super) fn checksum(key: &[u8], value: &[u8], revision: Revision) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&revision.to_le_bytes());
    crc.update(&(key.len() as u64).to_le_bytes());
    crc.update(key);
    crc.update(value);
    crc.finalize()
}

/// Makes sure that the names in the directory of `path` survive a power cut.
pub(super) fn sync_directory(path: &Path) -> Result<(), Error> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent).and_then(|dir| dir.sync_all()).map_err(|e| fault::of_io(path, &e))
}

/// Opens the file for writing; makes it when there is none.
pub(super) fn open(path: &Path, keeps_log: bool) -> Result<Opened, Error> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => sync_directory(path)?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(fault::of_io(path, &error)),
    }
    if !fs::metadata(path).map_err(|e| fault::of_io(path, &e))?.is_file() {
        return Err(foreign(path, "it is not a regular file"));
    }
    let how = How { keeps_log, alone: false };
    match connect(path, how) {
        // SQLite says no more than that it failed, so the disk is not asked whether it is full.
        Err(error @ (Error::DiskFull { .. } | Error::Io { .. })) => {
            connect(path, How { alone: true, ..how }).map_err(|_| error)
        }
        connected => connected,
    }
}

/// Connects to the existing file for writing, having checked whose it is.
pub(super) fn connect(path: &Path, how: How) -> Result<Opened, Error> {
    fault::check_writable(path)?;
    let conn = dial(path, OpenFlags::SQLITE_OPEN_READ_WRITE, how)?;
    let fail = |error: rusqlite::Error| fault::of_sqlite(path, Some(&conn), &error);
    conn.busy_timeout(BUSY_TIMEOUT).map_err(fail)?;
    let version = identify(path, &conn)?;
    if conn.is_readonly("main").map_err(fail)? {
        let detail = "the system lets it be opened for reading only".to_owned();
        return Err(Error::ReadOnly { path: path.display().to_string(), detail });
    }
    configure(&conn).map_err(fail)?;
    if version != SCHEMA_VERSION {
        let change = if version == 0 { SCHEMA } else { FROM_1 };
        let mark = format!("PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={SCHEMA_VERSION};");
        conn.execute_batch(&format!("BEGIN IMMEDIATE; {change} {mark} COMMIT;")).map_err(fail)?;
    }
    let state = read_state(&conn).map_err(fail)?;
    let leases = read_leases(&conn).map_err(fail)?;
    Ok(Opened { conn, how, state, leases })
}

fn dial(path: &Path, access: OpenFlags, how: How) -> Result<Connection, Error> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = match how.alone {
        true => Connection::open_with_flags_and_vfs(path, flags, ALONE),
        false => Connection::open_with_flags(path, flags),
    };
    let conn = conn.map_err(|e| fault::of_sqlite(path, None, &e))?;
    let kept = conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, how.keeps_log);
    kept.map_err(|e| fault::of_sqlite(path, Some(&conn), &e))?;
    Ok(conn)
}

/// Connects to the existing file, which is ours, for reading.
pub(super) fn connect_reader(path: &Path, how: How) -> Result<Connection, Error> {
    let conn = open_reader(path, how)?;
    keep_plans(&conn).map_err(|e| fault::of_sqlite(path, Some(&conn), &e))?;
    // Small, for there may be several: 512 KiB.
    let pragmas = "PRAGMA query_only=ON; PRAGMA cache_size=-512; PRAGMA temp_store=MEMORY;";
    conn.execute_batch(pragmas).map_err(|e| fault::of_sqlite(path, Some(&conn), &e))?;
    Ok(conn)
}

/// Connects to the existing file for reading, having checked whose it is.
pub(super) fn connect_stranger(path: &Path) -> Result<Connection, Error> {
    let conn = open_reader(path, How { keeps_log: true, alone: false })?;
    if identify(path, &conn)? == 0 {
        return Err(foreign(path, "it is empty"));
    }
    Ok(conn)
}

fn open_reader(path: &Path, how: How) -> Result<Connection, Error> {
    // A descriptor that only reads would let other processes in again.
    let access = if how.alone { OpenFlags::SQLITE_OPEN_READ_WRITE } else { OpenFlags::SQLITE_OPEN_READ_ONLY };
    let conn = dial(path, access, how)?;
    conn.busy_timeout(BUSY_TIMEOUT).map_err(|e| fault::of_sqlite(path, Some(&conn), &e))?;
    Ok(conn)
}

fn configure(conn: &Connection) -> rusqlite::Result<()> {
    keep_plans(conn)?;
    conn.query_row("PRAGMA journal_mode=WAL", [], |_| Ok(()))?;
    // The writer checkpoints between batches, see `writer`. A log that grew is cut back to 32 MiB when it
    // starts over. Memory: 4 MiB of pages.
    conn.execute_batch(
        "PRAGMA synchronous=FULL;
         PRAGMA wal_autocheckpoint=0;
         PRAGMA journal_size_limit=33554432;
         PRAGMA cache_size=-4096;
         PRAGMA temp_store=MEMORY;
         PRAGMA cell_size_check=ON;
         PRAGMA trusted_schema=OFF;",
    )
}

/// Statements stay prepared whatever values they are given. SQLite would prepare those that compare with a
/// value again for each new one, to look whether another plan suits it better; ours have one.
fn keep_plans(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

/// The schema version of a file of ours, 0 for a new (empty) one; refuses all else, before anything is written
/// to it.
fn identify(path: &Path, conn: &Connection) -> Result<i64, Error> {
    let number = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0));
    let read = || -> rusqlite::Result<(i64, i64, i64)> {
        let tables = number("SELECT count(*) FROM sqlite_schema")?;
        Ok((number("PRAGMA application_id")?, number("PRAGMA user_version")?, tables))
    };
    let (application, version, tables) = read().map_err(|e| match e.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => foreign(path, "it is no database, or its head is damaged"),
        _ => fault::of_sqlite(path, Some(conn), &e),
    })?;
    match (application, version) {
        (0, 0) if tables == 0 => Ok(0),
        (APPLICATION_ID, found) if (1..=SCHEMA_VERSION).contains(&found) => Ok(found),
        (APPLICATION_ID, found) if found > SCHEMA_VERSION => {
            Err(Error::TooNew { path: path.display().to_string(), found, known: SCHEMA_VERSION })
        }
        (APPLICATION_ID, found) => Err(Error::Corrupt {
            path: path.display().to_string(),
            detail: format!("no Roadstead ever wrote schema version {found}"),
        }),
        (other, _) => Err(foreign(path, &format!("it is a database of application {other:#x}"))),
    }
}

fn foreign(path: &Path, detail: &str) -> Error {
    Error::Foreign { path: path.display().to_string(), detail: detail.to_owned() }
}

/// Reads the row of `state`.
pub(super) fn read_state(conn: &Connection) -> rusqlite::Result<State> {
    let mut statement =
        conn.prepare_cached("SELECT revision, oldest_watch, history_changes, history_bytes FROM state")?;
    statement.query_row([], |row| {
        Ok(State {
            revision: row.get(0)?,
            oldest_watch: row.get(1)?,
            history_changes: row.get(2)?,
            history_bytes: row.get(3)?,
        })
    })
}

fn read_leases(conn: &Connection) -> rusqlite::Result<Vec<Lease>> {
    let mut statement = conn.prepare("SELECT name, holder, token, ttl_millis FROM leases")?;
    let leases = statement.query_map([], |row| {
        Ok(Lease {
            name: row.get(0)?,
            holder: row.get(1)?,
            token: row.get(2)?,
            ttl: Duration::from_millis(row.get(3)?),
        })
    })?;
    leases.collect()
}
