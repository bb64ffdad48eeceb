//! The reading half: connections that are handed out, one a read, and come back. Each read sees one moment.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, Rows, params};

use super::file::{HISTORY_SHIFT, State};
use super::{fault, file, salvage};
use crate::aside::Aside;
use crate::row::Budget;
use crate::watch::{History, Page};
use crate::{Change, Entry, Error, Event, Range, Revision, Span, limits};

/// Connections kept open while nobody reads.
const MAX_IDLE: usize = 4;

/// See the module.
pub(super) struct Readers {
    path: PathBuf,
    how: file::How,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(path: &Path, how: file::How) -> Self {
        Self { path: path.to_owned(), how, idle: Mutex::default() }
    }

    /// Says that the next start is to take over what can be read into a new file.
    fn noted(&self, error: Error) -> Error {
        if let Error::Corrupt { .. } = error {
            salvage::ask(&self.path);
        }
        error
    }

    pub(super) fn state(&self) -> Result<State, Error> {
        self.read(file::read_state)
    }

    pub(super) fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        self.read(|conn| {
            let mut statement =
                conn.prepare_cached("SELECT key, value, revision, crc FROM entries WHERE key = ?1")?;
            statement.query_row([key], entry).optional()
        })
    }

    pub(super) fn range(&self, span: &Span, limit: usize) -> Result<Range, Error> {
        self.read(|conn| {
            let moment = conn.unchecked_transaction()?;
            let mut range = Range { revision: file::read_state(&moment)?.revision, ..Range::default() };
            let mut budget = Budget::new(limit);
            each_entry(&moment, span, |entry| {
                range.more = !budget.spend(&entry);
                if !range.more {
                    range.entries.push(entry);
                }
                !range.more
            })?;
            Ok(range)
        })
    }

    pub(super) fn scan(&self, span: &Span, each: &mut dyn FnMut(Entry)) -> Result<Revision, Error> {
        let conn = self.connection()?;
        let scanned = (|| {
            let moment = conn.unchecked_transaction()?;
            let revision = file::read_state(&moment)?.revision;
            let told = |entry| {
                each(entry);
                true
            };
            if span.start().is_empty() && span.end().is_none() {
                // As they lie in the file. By their keys each would be looked for by itself.
                let mut all = moment.prepare_cached("SELECT key, value, revision, crc FROM entries")?;
                walk(all.query([])?, told)?;
            } else {
                each_entry(&moment, span, told)?;
            }
            Ok(revision)
        })();
        match scanned {
            Ok(revision) => {
                self.give_back(conn);
                Ok(revision)
            }
            Err(error) => Err(self.noted(fault::of_sqlite(&self.path, Some(&conn), &error))),
        }
    }

    /// Runs a read; once more on a new connection when the first fails, for a connection may have been
    /// spoiled by a disk that is well again.
    fn read<T>(&self, mut act: impl FnMut(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        let conn = self.connection()?;
        if let Ok(value) = act(&conn) {
            self.give_back(conn);
            return Ok(value);
        }
        drop(conn);
        let conn = file::connect_reader(&self.path, self.how)?;
        match act(&conn) {
            Ok(value) => {
                self.give_back(conn);
                Ok(value)
            }
            Err(error) => Err(self.noted(fault::of_sqlite(&self.path, Some(&conn), &error))),
        }
    }

    fn connection(&self) -> Result<Connection, Error> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| file::connect_reader(&self.path, self.how), Ok)
    }

    fn give_back(&self, conn: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(conn);
        }
    }
}

/// Hands the rows of `span` in key order to `each`, until it answers false.
fn each_entry(conn: &Connection, span: &Span, each: impl FnMut(Entry) -> bool) -> rusqlite::Result<()> {
    // Two statements: with an end that may be none, SQLite would read on to the end of the table.
    match span.end() {
        Some(end) => walk(
            conn.prepare_cached(
                "SELECT key, value, revision, crc FROM entries WHERE key >= ?1 AND key < ?2 ORDER BY key",
            )?
            .query([span.start(), end])?,
            each,
        ),
        None => walk(
            conn.prepare_cached(
                "SELECT key, value, revision, crc FROM entries WHERE key >= ?1 ORDER BY key",
            )?
            .query([span.start()])?,
            each,
        ),
    }
}

/// Hands rows to `each`, until it answers false.
fn walk(mut rows: Rows<'_>, mut each: impl FnMut(Entry) -> bool) -> rusqlite::Result<()> {
    while let Some(row) = rows.next()? {
        if !each(entry(row)?) {
            break;
        }
    }
    Ok(())
}

/// What cannot be what was written is read as far as it can be, and said not to be whole.
pub(super) fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let bytes = |value: ValueRef<'_>| match value {
        ValueRef::Blob(bytes) | ValueRef::Text(bytes) => bytes.to_vec(),
        _ => Vec::new(),
    };
    let (key, value) = (bytes(row.get_ref(0)?), bytes(row.get_ref(1)?));
    let revision = row.get_ref(2)?.as_i64().unwrap_or(0).cast_unsigned();
    // Rows of the first version have none.
    let crc = match row.get_ref(3)? {
        ValueRef::Null => None,
        crc => Some(crc.as_i64().unwrap_or(-1)),
    };
    let matches = crc.is_none_or(|crc| crc == i64::from(file::checksum(&key, &value, revision)));
    let whole = matches && std::str::from_utf8(&key).is_ok();
    Ok(Entry { key: String::from_utf8_lossy(&key).into_owned(), value: value.into(), revision, whole })
}

impl History for Readers {
    fn read(&self, span: &Span, after: Revision) -> Result<Page, Error> {
        let (oldest, page) = Readers::read(self, |conn| {
            let moment = conn.unchecked_transaction()?;
            let state = file::read_state(&moment)?;
            let page = Page { events: VecDeque::new(), upto: state.revision };
            if after < state.oldest_watch {
                return Ok((state.oldest_watch, page));
            }
            Ok((0, read_history(&moment, span, after, page)?))
        })?;
        if after < oldest { Err(Error::Compacted { oldest }) } else { Ok(page) }
    }
}

fn read_history(conn: &Connection, span: &Span, after: Revision, mut page: Page) -> rusqlite::Result<Page> {
    let mut statement = conn.prepare_cached(
        "SELECT id, key, value FROM history
         WHERE id >= ?1 AND key >= ?2 AND (?3 IS NULL OR key < ?3) ORDER BY id",
    )?;
    let mut rows = statement.query(params![(after + 1) << HISTORY_SHIFT, span.start(), span.end()])?;
    let (mut changes, mut bytes) = (0, 0);
    while let Some(row) = rows.next()? {
        let revision = row.get::<_, u64>(0)? >> HISTORY_SHIFT;
        let begins = page.events.back().is_none_or(|event| event.revision != revision);
        if begins && (changes >= limits::HISTORY_PAGE || bytes >= limits::HISTORY_PAGE_BYTES) {
            page.upto = revision - 1;
            break;
        }
        let change = change(row)?;
        (changes, bytes) = (changes + 1, bytes + change.size());
        match page.events.back_mut() {
            Some(event) if !begins => event.changes.push(change),
            _ => page.events.push_back(Event { revision, changes: vec![change] }),
        }
    }
    Ok(page)
}

fn change(row: &Row<'_>) -> rusqlite::Result<Change> {
    let key = row.get(1)?;
    let value = row.get_ref(2)?.as_blob_or_null().map_err(rusqlite::Error::from)?;
    Ok(match value {
        Some(value) => Change::Put { key, value: Bytes::copy_from_slice(value) },
        None => Change::Delete { key },
    })
}

/// Hands every row of the file `path`, which may be in use by another process, to `each`, as of one moment.
///
/// # Errors
/// The file is none of ours, is damaged, or is of an earlier version.
pub fn look(path: &Path, each: &mut dyn FnMut(Entry)) -> Result<(), Error> {
    let conn = file::connect_stranger(path)?;
    let told = |entry| {
        each(entry);
        true
    };
    each_entry(&conn, &Span::all(), told).map_err(|e| fault::of_sqlite(path, Some(&conn), &e))
}

/// What was set aside in the file `path`, which may be in use by another process: see [`crate::aside::list`].
pub fn aside(path: &Path) -> Result<Vec<Aside>, Error> {
    let conn = file::connect_stranger(path)?;
    let mut all = Vec::new();
    // Of any version: those without a checksum never set anything aside.
    let mut read = || -> rusqlite::Result<()> {
        let mut statement =
            conn.prepare("SELECT key, value FROM entries WHERE key >= 'aside/' AND key < 'aside0'")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            all.extend(crate::aside::read(&row.get::<_, String>(0)?, &row.get::<_, Vec<u8>>(1)?));
        }
        Ok(())
    };
    read().map_err(|e| fault::of_sqlite(path, Some(&conn), &e))?;
    Ok(all)
}
