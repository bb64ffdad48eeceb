//! Which log groups and streams there are: in memory whole, on disk as a log of changes.
//!
//! A version of the catalog never changes; the writer makes the next one, puts the change on disk, and only
//! then lets readers see it. The log is written anew, as the shortest log that gives the same catalog, once
//! most of it is history.

use std::cmp::Reverse;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::group::GroupFiles;
use crate::types::Tags;

mod log;
mod recover;

pub(crate) use log::{CatalogLog, look};

/// One version of all groups and streams.
#[derive(Clone, Default)]
pub(crate) struct Catalog {
    pub groups: OrdMap<Arc<str>, Arc<Group>>,
    /// Over all groups.
    pub stream_count: usize,
    /// The names of the groups that have streams, by how many they have; of those that have as many the oldest last.
    pub by_size: OrdMap<(usize, Reverse<u64>), Arc<str>>,
    /// Streams that gave way to others since the store was made.
    pub gave_way: u64,
    next_id: u64,
}

/// The name of each stream of a group that is not deleted.
pub(crate) type Names = OrdMap<u64, Arc<str>>;

/// One log group.
#[derive(Clone)]
pub(crate) struct Group {
    pub id: u64,
    pub name: Arc<str>,
    pub created_ms: i64,
    pub retention_days: Option<i32>,
    pub tags: Arc<Tags>,
    pub streams: OrdMap<Arc<str>, Stream>,
    pub names: Names,
    pub files: Arc<GroupFiles>,
}

/// One log stream.
#[derive(Clone, Copy)]
pub(crate) struct Stream {
    pub id: u64,
    pub created_ms: i64,
}

/// One change, as the log keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t")]
pub(crate) enum Change {
    NextId {
        id: u64,
        /// Streams that gave way before the log was written anew.
        #[serde(default)]
        gave_way: u64,
    },
    CreateGroup {
        id: u64,
        name: String,
        at: i64,
        tags: Tags,
    },
    DeleteGroup {
        name: String,
    },
    SetRetention {
        name: String,
        days: Option<i32>,
    },
    SetTags {
        name: String,
        tags: Tags,
    },
    CreateStream {
        group: String,
        id: u64,
        name: String,
        at: i64,
    },
    DeleteStream {
        group: String,
        name: String,
        /// Nobody asked for it: it made room for newer ones.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        gave_way: bool,
    },
}

impl Change {
    /// Whether there is more afterwards, which a full disk does not take.
    pub fn is_creation(&self) -> bool {
        matches!(self, Change::CreateGroup { .. } | Change::CreateStream { .. })
    }
}

impl Catalog {
    pub fn group(&self, name: &str) -> Result<&Arc<Group>> {
        self.groups.get(name).ok_or(Error::GROUP_MISSING)
    }

    /// A number that no group or stream has or ever had.
    pub fn next_id(&self) -> u64 {
        self.next_id
    }

    /// Makes one change. The change has been checked, or comes from the log; what no longer fits is passed over.
    pub fn apply(&mut self, change: &Change, dir: &Path) {
        match change {
            Change::NextId { id, gave_way } => {
                self.next_id = self.next_id.max(*id);
                self.gave_way = self.gave_way.max(*gave_way);
            }
            Change::CreateGroup { id, name, at, tags } => {
                self.next_id = self.next_id.max(id + 1);
                let name: Arc<str> = name.as_str().into();
                let group = Group {
                    id: *id,
                    name: Arc::clone(&name),
                    created_ms: *at,
                    retention_days: None,
                    tags: Arc::new(tags.clone()),
                    streams: OrdMap::new(),
                    names: OrdMap::new(),
                    files: Arc::new(GroupFiles::new(group_dir(dir, *id))),
                };
                self.groups.insert(name, Arc::new(group));
            }
            Change::DeleteGroup { name } => {
                if let Some(group) = self.groups.remove(name.as_str()) {
                    self.resized(&group, group.streams.len(), 0);
                }
            }
            Change::SetRetention { name, days } => self.change(name, |group| group.retention_days = *days),
            Change::SetTags { name, tags } => self.change(name, |group| group.tags = Arc::new(tags.clone())),
            Change::CreateStream { group, id, name, at } => {
                self.next_id = self.next_id.max(id + 1);
                self.change(group, |group| {
                    let name: Arc<str> = name.as_str().into();
                    group.names.insert(*id, Arc::clone(&name));
                    group.streams.insert(name, Stream { id: *id, created_ms: *at });
                });
            }
            Change::DeleteStream { group, name, gave_way } => {
                self.gave_way += u64::from(*gave_way);
                self.change(group, |group| {
                    if let Some(stream) = group.streams.remove(name.as_str()) {
                        group.names.remove(&stream.id);
                    }
                });
            }
        }
    }

    fn change(&mut self, name: &str, change: impl FnOnce(&mut Group)) {
        let Some(group) = self.groups.get_mut(name) else { return };
        let before = group.streams.len();
        change(Arc::make_mut(group));
        let (group, after) = (Arc::clone(group), group.streams.len());
        self.resized(&group, before, after);
    }

    /// A group has another number of streams, 0 when it is gone.
    fn resized(&mut self, group: &Group, before: usize, after: usize) {
        if before == after {
            return;
        }
        self.stream_count = self.stream_count + after - before;
        self.by_size.remove(&(before, Reverse(group.id)));
        if after > 0 {
            self.by_size.insert((after, Reverse(group.id)), Arc::clone(&group.name));
        }
    }

    /// The shortest list of changes that gives this catalog.
    fn snapshot(&self) -> Vec<Change> {
        let mut changes = vec![Change::NextId { id: self.next_id, gave_way: self.gave_way }];
        for group in self.groups.values() {
            let name = group.name.to_string();
            changes.push(Change::CreateGroup {
                id: group.id,
                name: name.clone(),
                at: group.created_ms,
                tags: (*group.tags).clone(),
            });
            if group.retention_days.is_some() {
                changes.push(Change::SetRetention { name: name.clone(), days: group.retention_days });
            }
            changes.extend(group.streams.iter().map(|(stream, Stream { id, created_ms })| {
                Change::CreateStream {
                    group: name.clone(),
                    id: *id,
                    name: stream.to_string(),
                    at: *created_ms,
                }
            }));
        }
        changes
    }

    /// How many changes [`Catalog::snapshot`] makes, about.
    fn size(&self) -> usize {
        self.groups.len() + self.stream_count
    }
}

/// Where a group's segments lie.
pub(crate) fn group_dir(dir: &Path, id: u64) -> PathBuf {
    dir.join("groups").join(id.to_string())
}

/// Takes away the directories of groups that are no longer in the catalog.
pub(crate) fn remove_orphans(dir: &Path, catalog: &Catalog) -> io::Result<()> {
    let entries = match fs::read_dir(dir.join("groups")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    let live: std::collections::BTreeSet<u64> = catalog.groups.values().map(|group| group.id).collect();
    for entry in entries {
        let path = entry?.path();
        let id = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
        if id.is_some_and(|id: u64| id < catalog.next_id && !live.contains(&id)) {
            fs::remove_dir_all(path)?;
        }
    }
    Ok(())
}
