//! The writing half: one transaction a batch, one sync a transaction; the history trimmed as it grows; the
//! write-ahead log checkpointed between batches, after everybody has their answer.
//!
//! After a failure nothing of the batch remains, in the file or in memory, and the next batch tries anew:
//! on the same connection when space was all that lacked, on a new one otherwise. Another connection is open
//! all the time: were the writer's the only one, opening it again would read the log as after a crash, and find
//! in it, whole, what was refused because its sync failed.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension, params};

use super::file::{HISTORY_SHIFT, How, Opened, State};
use super::{HistoryLimits, Options, fault, file, room, salvage};
use crate::apply::{Batch, Rows};
use crate::lease::Leases;
use crate::queue::{Applied, Backend, Work};
use crate::space::Space;
use crate::{Change, Error, Lease, Revision};

/// Pages in the write-ahead log from which on it is checkpointed: 8 MiB.
const CHECKPOINT_PAGES: i64 = 2048;
/// The same where the disk is full: the log must do with the blocks it has.
const CHECKPOINT_PAGES_TIGHT: i64 = 16;
/// History rows trimmed with a batch at most, beyond twice those that the batch added.
const TRIM_ROWS: usize = 64;

/// See the module.
pub(super) struct SqliteBackend {
    path: PathBuf,
    /// Kept open, and looked at once: see the module. Closed before `conn`, which then takes the log away.
    anchor: Option<Connection>,
    conn: Option<Connection>,
    how: How,
    options: Options,
    state: State,
    leases: Leases,
}

impl SqliteBackend {
    pub(super) fn new(path: &Path, opened: Opened, options: Options) -> Result<Self, Error> {
        let mut leases = Leases::default();
        let now = options.clock.now();
        opened.leases.into_iter().for_each(|lease| leases.adopt(lease, now));
        let Opened { conn, how, state, .. } = opened;
        let anchor = file::connect_reader(path, how)?;
        file::read_state(&anchor).map_err(|e| fault::of_sqlite(path, Some(&anchor), &e))?;
        let (path, conn) = (path.to_owned(), Some(conn));
        let mut backend = Self { path, conn, how, options, state, leases, anchor: Some(anchor) };
        if let Some(space) = backend.space() {
            room::reserve_log(&backend.path, &space);
            backend.keep_room(&space, false);
        }
        Ok(backend)
    }

    /// The disk, for a store that keeps room on it.
    fn space(&self) -> Option<Space> {
        self.options.keeps_room.then(|| Space::of(&self.path).ok()).flatten()
    }

    /// A failure only means that there is less room; the next time tries again.
    fn keep_room(&mut self, space: &Space, idle: bool) {
        if let Some(conn) = &self.conn {
            let _ = room::fill(conn, space, idle);
        }
    }

    /// Gives a connection to `act` inside a transaction. When anything fails, all of it is undone.
    fn transact<T>(
        &mut self,
        act: impl FnOnce(&mut Self, &Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => {
                let opened = file::connect(&self.path, self.how)?;
                self.state = opened.state;
                opened.conn
            }
        };
        let run = |sql: &str| {
            let done = conn.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
            done.map_err(|e| fault::of_sqlite(&self.path, Some(&conn), &e)).map(drop)
        };
        let begun = run("BEGIN IMMEDIATE");
        let outcome = begun.and_then(|()| {
            let value = act(self, &conn)?;
            let done = conn.prepare_cached("COMMIT").and_then(|mut statement| statement.execute([]));
            done.map_err(|e| fault::of_sqlite(&self.path, Some(&conn), &e))?;
            Ok(value)
        });
        match &outcome {
            Ok(_) => self.conn = Some(conn),
            Err(Error::DiskFull { .. }) => {
                if !conn.is_autocommit() && conn.execute_batch("ROLLBACK").is_err() {
                    return outcome;
                }
                // What is in the log can be moved to where there is room already; the log starts over then.
                checkpoint(&conn);
                self.conn = Some(conn);
            }
            // Dropping the connection rolls back and forgets whatever state the failure left it in.
            Err(_) => drop(conn),
        }
        outcome
    }

    fn apply_in(&mut self, conn: &Connection, works: Vec<Work>) -> Result<(Applied, State), Error> {
        let keeps_history = self.options.history != HistoryLimits::NONE;
        let rows =
            SqliteRows { conn, path: &self.path, keeps_history, at: unix_seconds(), added: 0, bytes: 0 };
        let mut batch = Batch::new(rows, &mut self.leases, self.state.revision, self.options.clock.now());
        batch.run(works)?;
        let Batch { rows, revision, outcomes, commits, .. } = batch;
        let mut state = State {
            revision,
            history_changes: self.state.history_changes + rows.added as u64,
            history_bytes: self.state.history_bytes + rows.bytes as u64,
            ..self.state
        };
        let added = rows.added;
        if state.revision != self.state.revision {
            // Leases move the revision too, so it is the revision that says whether something was written.
            let trimmed = self.trim(conn, &mut state, added);
            if !keeps_history {
                state.oldest_watch = revision;
            }
            let written = trimmed.and_then(|()| save_state(conn, &state));
            written.map_err(|e| fault::of_sqlite(&self.path, Some(conn), &e))?;
        }
        Ok((Applied { outcomes, commits, revision, oldest_watch: state.oldest_watch }, state))
    }

    /// Removes history beyond the limits: whole commits, oldest first, a bounded number at a time.
    fn trim(&self, conn: &Connection, state: &mut State, added: usize) -> rusqlite::Result<()> {
        if state.history_changes == 0 {
            return Ok(());
        }
        let Some(last) = self.last_expired(conn, state, added * 2 + TRIM_ROWS)? else { return Ok(()) };
        // The commit's other changes go with it.
        let mut delete = conn.prepare_cached(
            "DELETE FROM history WHERE id < ?1
             RETURNING octet_length(key) + ifnull(octet_length(value), 0)",
        )?;
        let mut gone = delete.query([(last + 1) << HISTORY_SHIFT])?;
        while let Some(row) = gone.next()? {
            state.history_changes = state.history_changes.saturating_sub(1);
            state.history_bytes = state.history_bytes.saturating_sub(row.get(0)?);
        }
        state.oldest_watch = last;
        Ok(())
    }

    /// The newest of the oldest `most` changes' revisions that is beyond the limits.
    fn last_expired(
        &self,
        conn: &Connection,
        state: &State,
        most: usize,
    ) -> rusqlite::Result<Option<Revision>> {
        let keep = &self.options.history;
        let (mut changes, mut bytes) = (state.history_changes, state.history_bytes);
        let expired = unix_seconds().saturating_sub(i64::try_from(keep.age.as_secs()).unwrap_or(i64::MAX));
        let mut last = None;
        let mut statement = conn.prepare_cached(
            "SELECT id, at, octet_length(key) + ifnull(octet_length(value), 0) FROM history ORDER BY id LIMIT ?1",
        )?;
        let mut rows = statement.query([most])?;
        while let Some(row) = rows.next()? {
            if changes <= keep.changes && bytes <= keep.bytes && row.get::<_, i64>(1)? > expired {
                break;
            }
            last = Some(row.get::<_, u64>(0)? >> HISTORY_SHIFT);
            changes = changes.saturating_sub(1);
            bytes = bytes.saturating_sub(row.get(2)?);
        }
        Ok(last)
    }
}

impl Backend for SqliteBackend {
    fn apply(&mut self, works: Vec<Work>) -> Result<Applied, Error> {
        let leases_change = works.iter().any(|work| !matches!(work, Work::Commit(_)));
        let leases_before = leases_change.then(|| self.leases.clone());
        match self.transact(|this, conn| this.apply_in(conn, works)) {
            Ok((applied, state)) => {
                self.state = state;
                Ok(applied)
            }
            Err(error) => {
                if let Some(leases) = leases_before {
                    self.leases = leases;
                }
                match error {
                    Error::Corrupt { .. } => salvage::ask(&self.path),
                    // A sync that failed leaves the refused transaction whole in the log, where a crash would find
                    // it. The next one is written over it: at once, before anybody hears of the refusal. Where that
                    // fails too, the probes go on trying.
                    _ => drop(self.probe()),
                }
                Err(error)
            }
        }
    }

    fn probe(&mut self) -> Result<(), Error> {
        // The first page is written whatever is in it; a row that stays as it is would not be.
        let same = format!("PRAGMA user_version={}", file::SCHEMA_VERSION);
        self.transact(|this, conn| {
            conn.execute_batch(&same).map_err(|e| fault::of_sqlite(&this.path, Some(conn), &e))
        })
    }

    fn tend(&mut self) {
        let space = self.space();
        let Some(conn) = &self.conn else { return };
        let tight = space.is_some_and(|space| space.is_tight());
        let most = if tight { CHECKPOINT_PAGES_TIGHT } else { CHECKPOINT_PAGES };
        if wal_pages(conn).is_ok_and(|pages| pages >= most) {
            checkpoint(conn);
        }
        if let Some(space) = space {
            self.keep_room(&space, false);
        }
    }

    fn idle(&mut self) {
        if let Some(space) = self.space() {
            self.keep_room(&space, true);
        }
    }
}

impl Drop for SqliteBackend {
    fn drop(&mut self) {
        let Some(conn) = self.conn.take() else { return };
        let whole = checkpoint(&conn);
        drop(self.anchor.take());
        drop(conn);
        if self.how.keeps_log && whole {
            // Not needed for what is stored; it stands in the file.
            let _ = room::clear_log(&self.path);
        }
    }
}

/// How many pages the write-ahead log holds.
fn wal_pages(conn: &Connection) -> rusqlite::Result<i64> {
    conn.prepare_cached("PRAGMA wal_checkpoint(NOOP)")?.query_row([], |row| row.get(1))
}

/// Moves what it can from the log to the file, without waiting for readers. Not needed for anything to be
/// durable, so a failure only means that the log stays long; the next batch tries again. Says whether all of
/// the log is in the file.
fn checkpoint(conn: &Connection) -> bool {
    let moved = conn.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)");
    let numbers = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?));
    let moved = moved.and_then(|mut statement| statement.query_row([], numbers));
    moved.is_ok_and(|(pages, in_file)| pages == in_file)
}

fn save_state(conn: &Connection, state: &State) -> rusqlite::Result<()> {
    let mut statement = conn.prepare_cached(
        "UPDATE state SET revision = ?1, oldest_watch = ?2, history_changes = ?3, history_bytes = ?4",
    )?;
    statement.execute(params![
        state.revision,
        state.oldest_watch,
        state.history_changes,
        state.history_bytes
    ])?;
    Ok(())
}

fn unix_seconds() -> i64 {
    // A clock before 1970 only makes history look older than it is.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs() as i64)
}

/// The rows inside a transaction.
struct SqliteRows<'a> {
    conn: &'a Connection,
    path: &'a Path,
    keeps_history: bool,
    at: i64,
    /// What went into the history: changes, and their bytes.
    added: usize,
    bytes: usize,
}

impl SqliteRows<'_> {
    fn run(&self, sql: &str, params: impl rusqlite::Params) -> Result<usize, Error> {
        let done = self.conn.prepare_cached(sql).and_then(|mut statement| statement.execute(params));
        done.map_err(|e| fault::of_sqlite(self.path, Some(self.conn), &e))
    }
}

impl Rows for SqliteRows<'_> {
    fn revision_of(&mut self, key: &str) -> Result<Option<Revision>, Error> {
        let statement = self.conn.prepare_cached("SELECT revision FROM entries WHERE key = ?1");
        let found =
            statement.and_then(|mut statement| statement.query_row([key], |row| row.get(0)).optional());
        found.map_err(|e| fault::of_sqlite(self.path, Some(self.conn), &e))
    }

    fn change(&mut self, change: &Change, revision: Revision, nth: usize) -> Result<bool, Error> {
        let value = match change {
            Change::Put { key, value } => {
                self.run(
                    "INSERT INTO entries (key, value, revision, crc) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (key) DO UPDATE
                     SET value = excluded.value, revision = excluded.revision, crc = excluded.crc",
                    params![key, &value[..], revision, file::checksum(key.as_bytes(), value, revision)],
                )?;
                Some(&value[..])
            }
            Change::Delete { key } => {
                if self.run("DELETE FROM entries WHERE key = ?1", [key])? == 0 {
                    return Ok(false);
                }
                None
            }
        };
        if !self.keeps_history {
            return Ok(true);
        }
        let id = (revision << HISTORY_SHIFT) | nth as u64;
        self.run(
            "INSERT INTO history (id, key, value, at) VALUES (?1, ?2, ?3, ?4)",
            params![id, change.key(), value, self.at],
        )?;
        self.added += 1;
        self.bytes += change.size();
        Ok(true)
    }

    fn put_lease(&mut self, lease: &Lease) -> Result<(), Error> {
        let ttl = u64::try_from(lease.ttl.as_millis()).unwrap_or(u64::MAX >> 1);
        self.run(
            "INSERT OR REPLACE INTO leases (name, holder, token, ttl_millis) VALUES (?1, ?2, ?3, ?4)",
            params![lease.name, lease.holder, lease.token, ttl],
        )?;
        Ok(())
    }

    fn delete_lease(&mut self, name: &str) -> Result<(), Error> {
        self.run("DELETE FROM leases WHERE name = ?1", [name]).map(drop)
    }
}
