//! Room inside the files themselves, so that the store can be written when its disk is full: blocks that
//! belong to the write-ahead log beyond its end, and free pages in the file. What is written goes there first
//! by itself; both are filled up again while there is space.
//!
//! The log is overwritten in place, never taken away: closing leaves it (see `file::configure`), with its head
//! cleared where all of it is in the file, so that it says nothing to a file put beside it later.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rusqlite::Connection;
use rustix::fs::FallocateFlags;

use super::file;
use crate::space::Space;

/// With less than this free, in bytes, the room is filled up at once; else when there is time for it.
const SOON_BYTES: u64 = 1 << 30;
/// Pages are of SQLite's usual size, in bytes.
const PAGE_BYTES: u64 = 4096;
/// Free pages are made by so much at a time, in bytes.
const PIECE_BYTES: u64 = 256 << 10;
/// The head of a write-ahead log, in bytes.
const WAL_HEAD: usize = 32;

/// Gives the log of the store at `path` its blocks. A file system that cannot do so only keeps less.
pub(super) fn reserve_log(path: &Path, space: &Space) {
    let reserve = || -> io::Result<()> {
        let wal = file::beside(path, "-wal");
        let wal = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(wal)?;
        rustix::fs::fallocate(&wal, FallocateFlags::KEEP_SIZE, 0, space.kept_bytes())?;
        Ok(())
    };
    // On a disk that is full already the log has what it has.
    let _ = reserve();
}

/// Makes free pages in the file, if it lacks some and there is space. Says whether it has enough now.
/// `idle`: there is time.
pub(super) fn fill(conn: &Connection, space: &Space, idle: bool) -> rusqlite::Result<bool> {
    let wanted = space.kept_bytes() / PAGE_BYTES;
    let free: u64 = conn.prepare_cached("PRAGMA freelist_count")?.query_row([], |row| row.get(0))?;
    if free >= wanted / 2 {
        return Ok(true);
    }
    let soon = space.free_bytes < SOON_BYTES;
    // It passes through the log on its way.
    let fits = space.free_bytes > space.floor_bytes() + 2 * space.kept_bytes();
    if space.is_tight() || !fits || !(idle || soon) {
        return Ok(false);
    }
    conn.execute_batch("CREATE TABLE IF NOT EXISTS room (filler BLOB NOT NULL) STRICT")?;
    for _ in 0..((wanted - free) * PAGE_BYTES).div_ceil(PIECE_BYTES) {
        by_piece(conn, "INSERT INTO room VALUES (zeroblob(?1))", PIECE_BYTES)?;
    }
    // In the file, so that its pages have blocks, before they are free.
    conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
    while by_piece(conn, "DELETE FROM room WHERE rowid IN (SELECT rowid FROM room LIMIT ?1)", 1)? > 0 {}
    Ok(true)
}

/// One step of many. What passes through would stay in memory, as much again as is kept.
fn by_piece(conn: &Connection, sql: &str, value: u64) -> rusqlite::Result<usize> {
    let changed = conn.execute(sql, [value])?;
    conn.execute_batch("PRAGMA shrink_memory")?;
    Ok(changed)
}

/// What the store at `path` keeps at this moment, in bytes: the blocks of its log, and the free pages that the
/// head of its file tells of. `None` where there is none. May be asked while another process has it.
pub fn kept(path: &Path) -> Option<u64> {
    let mut pages = [0; 4];
    // Never through a descriptor of our own where this process has the store: closing it would drop its locks.
    File::open(path).and_then(|file| file.read_exact_at(&mut pages, FREE_PAGES_AT)).ok()?;
    let log =
        std::fs::metadata(file::beside(path, "-wal")).map_or(0, |metadata| metadata.blocks() * BLOCK_BYTES);
    Some(log + u64::from(u32::from_be_bytes(pages)) * PAGE_BYTES)
}

/// Where the head of a SQLite file says how many free pages it has.
const FREE_PAGES_AT: u64 = 36;
/// What the system counts blocks in, in bytes.
const BLOCK_BYTES: u64 = 512;

/// Clears the head of the log at `path`, all of which is in the file. Nobody may write at the time.
pub(super) fn clear_log(path: &Path) -> io::Result<()> {
    let wal: File = OpenOptions::new().write(true).open(file::beside(path, "-wal"))?;
    if wal.metadata()?.len() >= WAL_HEAD as u64 {
        wal.write_all_at(&[0; WAL_HEAD], 0)?;
        wal.sync_data()?;
    }
    Ok(())
}
