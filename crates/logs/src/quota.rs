//! How much all segments may take. The writer counts what it adds, looks at the files again when that comes to
//! too much, and then has the group that holds the most delete its oldest segments: so a container that floods
//! the logs pushes out its own, and what others said stays.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::catalog::{Catalog, Group};
use crate::error::{Error, Result};

/// The writer's account of the bytes on disk.
pub(crate) struct Quota {
    groups: PathBuf,
    total_bytes: u64,
    /// What is on disk, at most: what was deleted since the last look is still in it.
    held: Option<u64>,
}

impl Quota {
    pub fn new(dir: &Path, total_bytes: u64) -> Self {
        Self { groups: dir.join("groups"), total_bytes, held: None }
    }

    /// Much may have been deleted: the next round looks.
    pub fn count_again(&mut self) {
        self.held = None;
    }

    /// Makes room for so many bytes, and counts them.
    pub fn make_room(&mut self, wanted: u64, catalog: &Catalog) -> Result<()> {
        if self.total_bytes == u64::MAX {
            return Ok(());
        }
        let mut held = self.held.unwrap_or_else(|| stored(&self.groups));
        if held + wanted > self.total_bytes {
            held = stored(&self.groups);
        }
        if held + wanted > self.total_bytes {
            // A little more than is needed, so that this is not done for each batch.
            let target = (self.total_bytes - self.total_bytes / 16).saturating_sub(wanted);
            held = self.shed(held, target, catalog)?;
            if held + wanted > self.total_bytes {
                self.held = None;
                return Err(Error::Full { total_bytes: self.total_bytes });
            }
        }
        self.held = Some(held + wanted);
        Ok(())
    }

    fn shed(&self, mut held: u64, target: u64, catalog: &Catalog) -> Result<u64> {
        let bytes = |group: &Arc<Group>| stored_in(group.files.dir());
        let mut groups: Vec<(u64, Arc<Group>)> =
            catalog.groups.values().map(|group| (bytes(group), Arc::clone(group))).collect();
        while held > target {
            groups.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
            let second = groups.get(1).map_or(0, |(bytes, _)| *bytes);
            let Some((largest, group)) = groups.first_mut().filter(|(bytes, _)| *bytes > 0) else { break };
            // Down to the next largest, and no further before that one gives its part.
            let most = (held - target).min((*largest - second).max(1));
            let gone = group.files.shed(most)?;
            if gone == 0 {
                *largest = 0;
                continue;
            }
            let (name, limit) = (&group.name, self.total_bytes);
            tracing::warn!(group = %name, bytes = gone, limit, "the logs take all they may; the oldest of the largest group went");
            *largest = largest.saturating_sub(gone);
            held = held.saturating_sub(gone);
        }
        Ok(held)
    }
}

/// What the events of the store in `dir` take on disk, whether or not it is open.
pub fn stored_bytes(dir: &Path) -> u64 {
    stored(&dir.join("groups"))
}

/// What all groups take on disk.
fn stored(groups: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(groups) else { return 0 };
    entries.flatten().map(|entry| stored_in(&entry.path())).sum()
}

/// What a group takes on disk, its indexes included.
fn stored_in(group: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(group) else { return 0 };
    entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|file| file.size()).sum()
}
