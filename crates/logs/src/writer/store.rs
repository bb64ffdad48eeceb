//! One store as the writer has it: its catalog, the log that keeps it, and the next version while it is made.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use arc_swap::ArcSwap;

use super::Done;
use crate::ages::Ages;
use crate::catalog::{Catalog, CatalogLog, Change};
use crate::error::Result;
use crate::group::Maintenance;
use crate::limits::Limits;

/// One store.
pub(crate) struct Store {
    dir: PathBuf,
    log: CatalogLog,
    catalog: Arc<ArcSwap<Catalog>>,
    /// Of the groups that had to give streams away, by their numbers.
    ages: HashMap<u64, Ages>,
}

/// The next version of a catalog, before it is on disk.
pub(super) struct Draft {
    before: Arc<Catalog>,
    pub after: Catalog,
    changes: Vec<Change>,
    /// Those who hear what became of it.
    pub waiting: Vec<Done>,
    dir: PathBuf,
}

impl Draft {
    /// Makes a change, if there is one. `done` hears what became of it.
    pub fn take(&mut self, change: Option<Change>, done: Option<Done>) {
        if let Some(change) = change {
            self.after.apply(&change, &self.dir);
            self.changes.push(change);
        }
        self.waiting.extend(done);
    }

    /// How many streams it has more than before.
    pub fn growth(&self) -> usize {
        self.after.stream_count.saturating_sub(self.before.stream_count)
    }

    /// How many streams give way in it, by the names of their groups.
    pub fn gave_way(&self) -> BTreeMap<String, usize> {
        let mut gone = BTreeMap::new();
        for change in &self.changes {
            if let Change::DeleteStream { group, gave_way: true, .. } = change {
                *gone.entry(group.clone()).or_default() += 1;
            }
        }
        gone
    }
}

impl Store {
    pub fn new(dir: PathBuf, log: CatalogLog, catalog: Arc<ArcSwap<Catalog>>) -> Self {
        Self { dir, log, catalog, ages: HashMap::new() }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The newest version.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.load_full()
    }

    /// Whether the disk takes deletions alone.
    pub(super) fn is_full(&self) -> bool {
        self.log.is_full()
    }

    /// Somebody writes to a stream.
    pub(super) fn wrote(&mut self, group: u64, stream: u64, now_ms: i64) {
        if let Some(ages) = self.ages.get_mut(&group) {
            ages.touch(stream, now_ms);
        }
    }

    /// The next version, which is as this one yet.
    pub(super) fn draft(&self) -> Draft {
        let before = self.catalog();
        let after = (*before).clone();
        Draft { before, after, changes: Vec::new(), waiting: Vec::new(), dir: self.dir.clone() }
    }

    /// The deletion of the stream that nobody wrote to for longest, of the largest group that has one to give: what
    /// is made in the same draft has its turn later. It is to be made in this draft.
    pub(super) fn oldest(&mut self, draft: &Draft) -> Option<Change> {
        for name in draft.after.by_size.values().rev() {
            let (group, known) = (draft.after.groups.get(name)?, draft.before.groups.get(name));
            let Some(known) = known.filter(|known| known.id == group.id) else { continue };
            let ages = self.ages.entry(group.id).or_insert_with(|| Ages::of(known));
            while let Some(stream) = ages.take_oldest() {
                // Else its deletion is in the draft already.
                if let Some(stream) = group.names.get(&stream) {
                    let (group, name) = (name.to_string(), stream.to_string());
                    return Some(Change::DeleteStream { group, name, gave_way: true });
                }
            }
        }
        None
    }

    /// Puts the next version on disk, and lets readers see it.
    pub(super) fn commit(&mut self, draft: Draft) -> Result<()> {
        let Draft { before, after, changes, .. } = draft;
        let kept = if changes.is_empty() { Ok(()) } else { self.log.append(&changes, &before) };
        if kept.is_ok() {
            let after = Arc::new(after);
            self.catalog.store(Arc::clone(&after));
            changes.iter().for_each(|change| self.follow(change, &before, &after));
        } else {
            // Streams that were to go have been taken out.
            self.ages.clear();
        }
        kept
    }

    /// What a change asks for beyond the catalog.
    fn follow(&mut self, change: &Change, before: &Catalog, after: &Catalog) {
        match change {
            Change::CreateStream { group, id, at, .. } => {
                if let Some(group) =
                    after.groups.get(group.as_str()).filter(|group| group.names.contains_key(id))
                    && let Some(ages) = self.ages.get_mut(&group.id)
                {
                    ages.add(*id, *at);
                }
            }
            Change::DeleteStream { group, name, .. } => {
                if let Some(group) = before.groups.get(group.as_str())
                    && let Some(stream) = group.streams.get(name.as_str())
                {
                    group.files.forget(stream.id);
                    self.ages.get_mut(&group.id).into_iter().for_each(|ages| ages.remove(stream.id));
                }
            }
            Change::DeleteGroup { name } => {
                let Some(group) = before.groups.get(name.as_str()) else { return };
                self.ages.remove(&group.id);
                let dir = group.files.dir().to_owned();
                // Large directories take a while; if this is cut short, the next open takes up the rest.
                let _ =
                    thread::Builder::new().name("logs-delete".into()).spawn(move || fs::remove_dir_all(dir));
            }
            Change::SetRetention { name, .. } => {
                if let Some(group) = before.groups.get(name.as_str()) {
                    group.files.forget_expiry();
                }
            }
            Change::NextId { .. } | Change::CreateGroup { .. } | Change::SetTags { .. } => {}
        }
    }

    pub(super) fn maintain(&self, now_ms: i64, limits: &Limits) -> Result<()> {
        let catalog = self.catalog();
        let mut may_load = Self::LOADS_A_ROUND;
        let mut outcome = Ok(());
        for group in catalog.groups.values() {
            if group.retention_days.is_some() && group.files.expiry_unknown() {
                if may_load == 0 {
                    continue;
                }
                may_load -= 1;
            }
            let (retention_days, names) = (group.retention_days, &group.names);
            let done = group.files.maintain(&Maintenance { now_ms, limits, retention_days, names });
            // One group's failure keeps no other from its turn.
            outcome = outcome.and(done);
        }
        outcome
    }

    /// Groups whose files one round of housekeeping may read to learn what expires: puts wait meanwhile.
    const LOADS_A_ROUND: usize = 8;
}
