//! The log of changes on disk: one frame a commit, whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::{Catalog, Change, recover};
use crate::error::{Error, Result};
use crate::segment;

/// The log of changes on disk.
pub(crate) struct CatalogLog {
    dir: PathBuf,
    file: File,
    len: u64,
    changes: usize,
    /// A write or sync failed: what the file holds is not known, so it is written anew first.
    spoiled: bool,
}

/// What the bytes of a log say.
struct Replayed {
    catalog: Catalog,
    past: recover::Past,
    /// Up to where it is whole, damage passed over.
    len: usize,
    changes: usize,
    /// Offset and length of what is damaged.
    gaps: Vec<(usize, usize)>,
}

/// Makes the changes again, in order, passing over what is damaged.
fn replay(bytes: &[u8], dir: &Path) -> Replayed {
    let catalog = Catalog { next_id: 1, ..Catalog::default() };
    let mut all = Replayed { catalog, past: recover::Past::default(), len: 0, changes: 0, gaps: Vec::new() };
    loop {
        while let Some((commit, frame_len)) = decode(&bytes[all.len..]) {
            for change in &commit {
                all.past.note(change, &all.catalog);
                all.catalog.apply(change, dir);
            }
            all.len += frame_len;
            all.changes += commit.len();
        }
        let Some(next) = next_frame(bytes, all.len) else { return all };
        all.gaps.push((all.len, next - all.len));
        all.len = next;
    }
}

/// The catalog of the store in `dir`, as its log says, whether or not the store is open. Changes nothing.
pub(crate) fn look(dir: &Path) -> Catalog {
    let bytes = fs::read(dir.join("catalog.log")).unwrap_or_default();
    replay(&bytes, dir).catalog
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
        let Replayed { mut catalog, past, len, changes, mut gaps } = replay(&bytes, dir);
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
