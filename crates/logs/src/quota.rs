//! How much all segments of all stores may take. The writer counts what it adds, looks at the files again when that
//! comes to too much, and then has the group that holds the most delete its oldest segments: so a container that floods
//! the logs pushes out its own, and what others said stays.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use crate::catalog::{self, Group};
use crate::error::{Error, Result};
use crate::writer::Store;

/// The limit, as the writer keeps it.
pub(crate) struct Quota {
    total_bytes: u64,
    /// What is on disk, at most: what was deleted since the last look is still in it.
    held: Option<u64>,
}

impl Quota {
    /// So many bytes.
    pub fn new(total_bytes: u64) -> Self {
        Self { total_bytes, held: None }
    }

    /// Much may have been deleted, or a store has come: the next round looks.
    pub fn count_again(&mut self) {
        self.held = None;
    }

    /// Makes room for so many bytes in these stores, and counts them.
    pub fn make_room(&mut self, wanted: u64, stores: &BTreeMap<u64, Store>) -> Result<()> {
        let total_bytes = self.total_bytes;
        if total_bytes == u64::MAX {
            return Ok(());
        }
        let count = || stores.values().map(|store| stored_bytes(store.dir())).sum();
        let mut held: u64 = self.held.unwrap_or_else(count);
        if held + wanted > total_bytes {
            held = count();
        }
        if held + wanted > total_bytes {
            // A little more than is needed, so that this is not done for each batch.
            let target = (total_bytes - total_bytes / 16).saturating_sub(wanted);
            let (left, failed) = shed(stores, held, target, total_bytes);
            held = left;
            if held + wanted > total_bytes {
                self.held = None;
                return Err(failed.unwrap_or(Error::Full { total_bytes }));
            }
        }
        self.held = Some(held + wanted);
        Ok(())
    }
}

/// Takes from the largest groups until no more than `target` is held. Gives what is held then, and what failed.
fn shed(stores: &BTreeMap<u64, Store>, mut held: u64, target: u64, limit: u64) -> (u64, Option<Error>) {
    let of = |store: &Store| {
        let groups: Vec<Arc<Group>> = store.catalog().groups.values().cloned().collect();
        groups.into_iter().map(|group| (stored_in(group.files.dir()), group))
    };
    let mut groups: Vec<(u64, Arc<Group>)> = stores.values().flat_map(of).collect();
    let mut failed = None;
    while held > target {
        groups.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        let second = groups.get(1).map_or(0, |(bytes, _)| *bytes);
        let Some((largest, group)) = groups.first_mut().filter(|(bytes, _)| *bytes > 0) else {
            break;
        };
        // Down to the next largest, and no further before that one gives its part.
        let most = (held - target).min((*largest - second).max(1));
        let gone = group.files.shed(&group.names, most).unwrap_or_else(|error| {
            failed.get_or_insert(error);
            0
        });
        if gone == 0 {
            *largest = 0;
            continue;
        }
        let (name, files) = (&group.name, group.files.dir().display());
        tracing::warn!(group = %name, %files, bytes = gone, limit, "the logs take all they may; the oldest of the largest group went");
        *largest = largest.saturating_sub(gone);
        held = held.saturating_sub(gone);
    }
    (held, failed)
}

/// What the events of the store in `dir` take on disk, whether or not it is open.
pub fn stored_bytes(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir.join("groups")) else { return 0 };
    entries.flatten().map(|entry| stored_in(&entry.path())).sum()
}

/// Streams of a store, or of several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoredStreams {
    /// How many there are.
    pub held: usize,
    /// How many have given way to others since the store was made.
    pub gave_way: u64,
}

impl std::ops::AddAssign for StoredStreams {
    fn add_assign(&mut self, other: Self) {
        self.held += other.held;
        self.gave_way += other.gave_way;
    }
}

/// The streams of the store in `dir`, whether or not it is open. Reads all of its catalog.
pub fn stored_streams(dir: &Path) -> StoredStreams {
    let catalog = catalog::look(dir);
    StoredStreams { held: catalog.stream_count, gave_way: catalog.gave_way }
}

/// What a group takes on disk, its indexes included.
fn stored_in(group: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(group) else { return 0 };
    entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|file| file.size()).sum()
}
