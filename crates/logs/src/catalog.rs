//! Which log groups and streams there are: in memory whole, on disk as a log of changes.
//!
//! A version of the catalog never changes; the writer makes the next one, puts the change on disk, and only
//! then lets readers see it. The log is written anew, as the shortest log that gives the same catalog, once
//! most of it is history.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::group::GroupFiles;
use crate::segment;
use crate::types::Tags;

mod recover;

/// One version of all groups and streams.
#[derive(Clone, Default)]
pub(crate) struct Catalog {
    pub groups: OrdMap<Arc<str>, Arc<Group>>,
    pub stream_count: usize,
    next_id: u64,
}

/// One log group.
#[derive(Clone)]
pub(crate) struct Group {
    pub id: u64,
    pub name: Arc<str>,
    pub created_ms: i64,
    pub retention_days: Option<i32>,
    pub tags: Arc<Tags>,
    pub streams: OrdMap<Arc<str>, Stream>,
    /// The name of each stream that is not deleted.
    pub names: OrdMap<u64, Arc<str>>,
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
    NextId { id: u64 },
    CreateGroup { id: u64, name: String, at: i64, tags: Tags },
    DeleteGroup { name: String },
    SetRetention { name: String, days: Option<i32> },
    SetTags { name: String, tags: Tags },
    CreateStream { group: String, id: u64, name: String, at: i64 },
    DeleteStream { group: String, name: String },
}

impl Change {
    /// Whether there is more afterwards.
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
            Change::NextId { id } => self.next_id = self.next_id.max(*id),
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
                    self.stream_count -= group.streams.len();
                }
            }
            Change::SetRetention { name, days } => self.change(name, |group| group.retention_days = *days),
            Change::SetTags { name, tags } => self.change(name, |group| group.tags = Arc::new(tags.clone())),
            Change::CreateStream { group, id, name, at } => {
                self.next_id = self.next_id.max(id + 1);
                self.stream_count += usize::from(self.groups.contains_key(group.as_str()));
                self.change(group, |group| {
                    let name: Arc<str> = name.as_str().into();
                    group.names.insert(*id, Arc::clone(&name));
                    group.streams.insert(name, Stream { id: *id, created_ms: *at });
                });
            }
            Change::DeleteStream { group, name } => {
                let mut gone = 0;
                self.change(group, |group| {
                    if let Some(stream) = group.streams.remove(name.as_str()) {
                        group.names.remove(&stream.id);
                        gone = 1;
                    }
                });
                self.stream_count -= gone;
            }
        }
    }

    fn change(&mut self, name: &str, change: impl FnOnce(&mut Group)) {
        if let Some(group) = self.groups.get_mut(name) {
            change(Arc::make_mut(group));
        }
    }

    /// The shortest list of changes that gives this catalog.
    fn snapshot(&self) -> Vec<Change> {
        let mut changes = vec![Change::NextId { id: self.next_id }];
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

/// The log of changes on disk.
pub(crate) struct CatalogLog {
    dir: PathBuf,
    file: File,
    len: u64,
    changes: usize,
    /// A write or sync failed: what the file holds is not known, so it is written anew first.
    spoiled: bool,
}

impl CatalogLog {
    /// Reads the log, cutting a change that a crash left half written at its end. What is damaged otherwise is
    /// passed over: the log is kept as it was beside the new one, and what the lost changes named is found again.
    pub fn open(dir: &Path) -> Result<(Self, Catalog)> {
        let path = dir.join("catalog.log");
        let is_new = !path.exists();
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(Error::write)?;
        if is_new {
            segment::sync_parent(&path).map_err(Error::write)?;
        }
        let bytes = fs::read(&path).map_err(Error::read)?;
        let mut catalog = Catalog { next_id: 1, ..Catalog::default() };
        let mut past = recover::Past::default();
        let (mut len, mut changes, mut gaps) = (0, 0, Vec::new());
        loop {
            while let Some((commit, frame_len)) = decode(&bytes[len..]) {
                for change in &commit {
                    past.note(change, &catalog);
                    catalog.apply(change, dir);
                }
                len += frame_len;
                changes += commit.len();
            }
            let Some(next) = next_frame(&bytes, len) else { break };
            gaps.push((len, next - len));
            len = next;
        }
        let has_odd_tail = len < bytes.len() && !is_cut_short(&bytes[len..]);
        let mut log = Self { dir: dir.to_owned(), file, len: len as u64, changes, spoiled: false };
        if !gaps.is_empty() || has_odd_tail {
            if has_odd_tail {
                gaps.push((len, bytes.len() - len));
            }
            log.keep_damaged(&path, &gaps)?;
            past.recover(dir, &mut catalog)?;
            log.rewrite(&catalog)?;
        } else if len < bytes.len() {
            log.file.set_len(len as u64).and_then(|()| log.file.sync_data()).map_err(Error::write)?;
        }
        log.keep_room();
        Ok((log, catalog))
    }

    fn keep_damaged(&self, path: &Path, gaps: &[(usize, usize)]) -> Result<()> {
        let kept =
            (1..).map(|n| self.dir.join(format!("catalog.log.damaged-{n}"))).find(|path| !path.exists());
        let kept = kept.expect("a directory has a free name");
        fs::copy(path, &kept).and_then(|_| segment::sync_parent(&kept)).map_err(Error::write)?;
        for (offset, bytes) in gaps {
            let (path, kept) = (path.display(), kept.display());
            tracing::error!(%path, offset, bytes, %kept, "the catalog of the logs is damaged here; changes are lost");
        }
        Ok(())
    }

    /// Puts changes on disk. On an error none of them is kept.
    pub fn append(&mut self, changes: &[Change], before: &Catalog) -> Result<()> {
        if self.spoiled {
            self.rewrite(before)?;
        } else if self.changes > 2 * before.size() + 4096 {
            // It only becomes shorter by this; a full disk does without.
            let _ = self.rewrite(before);
        }
        let mut bytes = Vec::new();
        encode(changes, &mut bytes);
        let written = self.file.write_all_at(&bytes, self.len).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            let _ = self.file.set_len(self.len);
            // The refused changes may be on the disk, whole. A log written anew does not have them; where it cannot
            // be written, the next change tries again.
            self.spoiled = true;
            let _ = self.rewrite(before);
            return Err(Error::write(error));
        }
        self.len += bytes.len() as u64;
        self.changes += changes.len();
        self.keep_room();
        Ok(())
    }

    /// Whether the disk is so full that the file's own room is for deletions alone.
    pub fn is_full(&self) -> bool {
        let free = rustix::fs::fstatvfs(&self.file).map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize));
        free.is_ok_and(|free| free < 2 * ROOM_BYTES)
    }

    /// Gives the file blocks beyond its end, so that a group can be deleted when the disk is full. Where that
    /// cannot be, a full disk is as it would be without.
    fn keep_room(&self) {
        let kept = rustix::fs::FallocateFlags::KEEP_SIZE;
        let _ = rustix::fs::fallocate(&self.file, kept, self.len, ROOM_BYTES);
    }

    fn rewrite(&mut self, catalog: &Catalog) -> Result<()> {
        let changes = catalog.snapshot();
        let mut bytes = Vec::new();
        for commit in changes.chunks(1000) {
            encode(commit, &mut bytes);
        }
        let (path, part) = (self.dir.join("catalog.log"), self.dir.join("catalog.log-part"));
        segment::write_durably(&part, &bytes).map_err(Error::write)?;
        let file = OpenOptions::new().read(true).write(true).open(&part).map_err(Error::write)?;
        fs::rename(&part, &path).and_then(|()| segment::sync_parent(&path)).map_err(Error::write)?;
        (self.file, self.len, self.changes, self.spoiled) = (file, bytes.len() as u64, changes.len(), false);
        Ok(())
    }
}

/// What the file keeps beyond its end, in bytes.
const ROOM_BYTES: u64 = 64 << 10;
const FRAME_HEAD: usize = 8;
const FRAME_MAX: usize = 1 << 30;

/// One frame a commit, so that a torn one is torn whole.
fn encode(commit: &[Change], bytes: &mut Vec<u8>) {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; FRAME_HEAD]);
    serde_json::to_writer(&mut *bytes, commit)
        .expect("a change has string keys and a vector takes all bytes");
    let body = &bytes[start + FRAME_HEAD..];
    let (len, crc) = ((body.len() as u32).to_le_bytes(), crc32fast::hash(body).to_le_bytes());
    bytes[start..start + 4].copy_from_slice(&len);
    bytes[start + 4..start + FRAME_HEAD].copy_from_slice(&crc);
}

fn decode(bytes: &[u8]) -> Option<(Vec<Change>, usize)> {
    let head = bytes.get(..FRAME_HEAD)?;
    let len = body_len(head)?;
    let body = bytes.get(FRAME_HEAD..FRAME_HEAD + len)?;
    if crc32fast::hash(body) != crate::record::u32_at(head, 4) {
        return None;
    }
    Some((serde_json::from_slice(body).ok()?, FRAME_HEAD + len))
}

fn body_len(head: &[u8]) -> Option<usize> {
    let len = crate::record::u32_at(head, 0) as usize;
    (2..=FRAME_MAX).contains(&len).then_some(len)
}

/// Where the next whole frame behind `from` begins.
fn next_frame(bytes: &[u8], from: usize) -> Option<usize> {
    // A frame of changes is a list: its brackets tell most places apart without a checksum.
    let may_begin = |at: &usize| {
        let head = bytes.get(*at..*at + FRAME_HEAD).and_then(body_len);
        let body = head.and_then(|len| bytes.get(*at + FRAME_HEAD..*at + FRAME_HEAD + len));
        body.is_some_and(|body| body.starts_with(b"[{") && body.ends_with(b"}]"))
    };
    (from + 1..bytes.len()).filter(may_begin).find(|&at| decode(&bytes[at..]).is_some())
}

/// Whether the end of the log is a frame that was not written to its end.
fn is_cut_short(rest: &[u8]) -> bool {
    let Some(head) = rest.get(..FRAME_HEAD) else { return true };
    let body = &rest[FRAME_HEAD..];
    // A whole body behind a head that claims more is damage.
    let is_short = body_len(head).is_some_and(|len| len > body.len());
    rest.iter().all(|&byte| byte == 0) || (is_short && serde_json::from_slice::<Vec<Change>>(body).is_err())
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
