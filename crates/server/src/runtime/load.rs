//! Reads all rows from the store at start: one thread takes them from the disk, others read their JSON, and the one that
//! asked has each taken into its service's state, in the order of the store. A row that cannot be read is set aside, with
//! its bytes and its key said, and everything else is kept; what the others need of it is made anew where that can be.

use std::{
    any::Any,
    collections::BTreeMap,
    mem,
    panic::resume_unwind,
    sync::{Arc, mpsc},
    thread,
};

use parking_lot::Mutex;
use state::{Unreadable, shard::KeyParts};
use store::{Commit, Entry, Error, Span, Store, aside};
use wire::Timestamp;

use super::aside::Aside;

/// Rows that are handed on together.
const AT_ONCE: usize = 256;
/// Rows that one commit moves to other keys, at most.
const MOVED: usize = 1000;
/// Bytes after which it moves no more.
const MOVED_BYTES: usize = 2 << 20;
/// So many times as many wait to be read, and to be taken.
const AHEAD: usize = 16;
/// Threads that read, at most.
const READERS: usize = 4;

/// Takes the rows of one service as they are read.
pub trait Loads {
    /// The service's name in the keys.
    fn service(&self) -> &'static str;

    /// What reads a row of it; on another thread.
    fn reads(&self) -> Reads;

    /// Takes one that was read so, in the order of the store.
    fn take(&mut self, parts: &KeyParts, row: AnyRow);

    /// All rows were read. Makes what is gone anew, where something stands on it: gives those rows with their keys, to be
    /// stored.
    fn mend(&mut self, _lost: &Lost) -> Vec<(String, Vec<u8>)> {
        Vec::new()
    }
}

/// Reads a stored row. Errors: what is wrong with it.
pub type Reads = fn(&KeyParts, &[u8]) -> Result<(AnyRow, Option<String>), Unreadable>;

/// A row of whichever service, as it was read. With it comes where in its shard it is to be from now on, if an earlier
/// version stored it elsewhere.
pub type AnyRow = Box<dyn Any + Send>;

/// What could not be read, of all services.
pub struct Lost<'a> {
    /// The keys of the rows that this start has set aside.
    pub keys: &'a [String],
    /// All that ever were.
    pub aside: &'a Aside,
    /// The time of this start.
    pub now: Timestamp,
}

/// Reads them. An error is the store's alone.
pub fn load(store: &dyn Store, now: Timestamp, services: &mut [&mut dyn Loads]) -> Result<Aside, Error> {
    let mut bad: Vec<(Entry, String)> = Vec::new();
    let mut moved: Vec<(String, String)> = Vec::new();
    let reads: Vec<(&str, Reads)> =
        services.iter().map(|service| (service.service(), service.reads())).collect();
    each(store, &reads, |found| match found {
        Found::Row { key, of, row, moved: to } => {
            let parts = KeyParts::parse(&key).expect("it was taken apart before");
            services[of].take(&parts, row);
            moved.extend(to.map(|to| (key, to)));
        }
        Found::Bad(entry, reason) => bad.push((entry, reason)),
    })?;
    move_all(store, &moved)?;
    for (entry, reason) in &bad {
        let key = &entry.key;
        tracing::error!(key, reason, "a row cannot be read; it is set aside: docs/repair.md");
        if let Err(error) = store.commit(aside::commit(entry, reason)) {
            // It is passed over all the same; the next start tries again.
            tracing::error!(key, %error, "it could not be moved, and stays where it is");
        }
    }
    let keys: Vec<String> = bad.into_iter().map(|(entry, _)| entry.key).collect();
    let aside = Aside::read(store, keys.iter().map(String::as_str))?;
    let lost = Lost { keys: &keys, aside: &aside, now };
    for (key, value) in services.iter_mut().flat_map(|service| service.mend(&lost)) {
        tracing::warn!(key, "a row that others need was lost; it is made anew");
        if let Err(error) = store.commit(Commit::new().put(key.as_str(), value)) {
            tracing::error!(key, %error, "the new row could not be written down; the next start makes it again");
        }
    }
    Ok(aside)
}

/// What was found in the store.
enum Found {
    Row {
        key: String,
        /// Which of the services it is of.
        of: usize,
        row: AnyRow,
        /// The key that it is to have from now on, if it has another one.
        moved: Option<String>,
    },
    /// What cannot be read, and why.
    Bad(Entry, String),
}

/// Rows that were read together, and which of all those they are.
type Lot<R> = (usize, Vec<R>);

/// Hands all rows on, but those that were set aside. The next ones are read meanwhile.
fn each(store: &dyn Store, reads: &[(&str, Reads)], mut take: impl FnMut(Found)) -> Result<(), Error> {
    thread::scope(|scope| {
        let (tell, told) = mpsc::sync_channel::<Lot<Entry>>(AHEAD);
        let stored = scope.spawn(move || stored(store, &tell));
        let told = Arc::new(Mutex::new(told));
        let (hand, handed) = mpsc::sync_channel::<Lot<Found>>(AHEAD);
        for _ in 0..thread::available_parallelism().map_or(1, usize::from).min(READERS) {
            let (told, hand) = (told.clone(), hand.clone());
            scope.spawn(move || {
                let next = || told.lock().recv().ok();
                while let Some((number, some)) = next() {
                    let some = some.into_iter().map(|entry| read(entry, reads)).collect();
                    // Whoever takes them ends by a panic alone.
                    let _ = hand.send((number, some));
                }
            });
        }
        // Only the readers hold them: when one ends, so does what is behind it.
        drop((told, hand));
        let (mut early, mut next) = (BTreeMap::new(), 0);
        for (number, some) in handed {
            early.insert(number, some);
            while let Some(some) = early.remove(&next) {
                some.into_iter().for_each(&mut take);
                next += 1;
            }
        }
        stored.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Tells of all rows in the store, but those that were set aside.
fn stored(store: &dyn Store, tell: &mpsc::SyncSender<Lot<Entry>>) -> Result<(), Error> {
    let (mut some, mut number) = (Vec::with_capacity(AT_ONCE), 0);
    store.scan(&Span::all(), &mut |entry: Entry| {
        if !entry.key.starts_with(aside::PREFIX) {
            some.push(entry);
        }
        if some.len() == AT_ONCE {
            let full = mem::replace(&mut some, Vec::with_capacity(AT_ONCE));
            // Nobody hears it once a reader is broken.
            let _ = tell.send((number, full));
            number += 1;
        }
    })?;
    let _ = tell.send((number, some));
    Ok(())
}

fn read(entry: Entry, reads: &[(&str, Reads)]) -> Found {
    if !entry.whole {
        return Found::Bad(entry, "it does not match its checksum".to_owned());
    }
    let outcome = KeyParts::parse(&entry.key).ok_or(Unreadable::Kind).and_then(|parts| {
        let of = reads.iter().position(|(service, _)| *service == parts.service).ok_or(Unreadable::Kind)?;
        let (row, path) = reads[of].1(&parts, &entry.value)?;
        let moved = path.map(|path| entry.key[..entry.key.len() - parts.row.len()].to_owned() + &path);
        Ok((of, row, moved))
    });
    match outcome {
        Ok((of, row, moved)) => Found::Row { key: entry.key, of, row, moved },
        Err(error) => Found::Bad(entry, error.to_string()),
    }
}

/// Moves rows of an earlier version to their keys of today, each in one piece, before anything of them can change: a start
/// that is interrupted is gone on from by the next.
fn move_all(store: &dyn Store, moved: &[(String, String)]) -> Result<(), Error> {
    for some in moved.chunks(MOVED) {
        let mut commit = Commit::new();
        for (from, to) in some {
            if let Some(entry) = store.get(from)? {
                commit = commit.delete(from.as_str()).put(to.as_str(), entry.value);
            }
            if commit.size() >= MOVED_BYTES {
                store.commit(mem::take(&mut commit))?;
            }
        }
        store.commit(commit)?;
    }
    if !moved.is_empty() {
        tracing::info!(rows = moved.len(), "rows of an earlier version have their keys of this one");
    }
    Ok(())
}
