//! The files of one log group: its closed segments, and the one that takes new batches.
//!
//! Nothing is read until the group is used. Only the writer's thread appends, closes, deletes and unloads;
//! readers may load, which also cuts a batch that a crash left half written at the end of the last segment.
//! Nothing else is ever cut: a segment that ends otherwise is closed as it is.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::catalog::Names;
use crate::error::{Error, Result};
use crate::limits::{DAY_MS, Limits};
use crate::record::{Batch, Head};
use crate::segment::{self, Contents, SEGMENT_MAGIC, Sealed, StreamSpan};

/// One group's files. Shared by every version of the catalog that knows the group.
pub(crate) struct GroupFiles {
    dir: PathBuf,
    loaded: RwLock<Option<Loaded>>,
    /// When somebody last used it, by the clock that callers pass in.
    last_used_ms: AtomicI64,
    /// No segment can expire before this; 0 when not known.
    expires_ms: AtomicI64,
    /// Streams were deleted since the last look for segments that nobody needs.
    pub streams_deleted: AtomicBool,
}

/// What is known of a group's files while it is in use.
pub(crate) struct Loaded {
    pub sealed: Vec<Arc<Sealed>>,
    pub active: Active,
    /// Over all segments, without streams that were deleted before they were read.
    pub streams: HashMap<u64, StreamSpan>,
}

/// The segment that takes new batches.
pub(crate) struct Active {
    pub path: PathBuf,
    /// Published content: all of it is on disk.
    pub contents: Contents,
    /// Absent until the first batch.
    pub file: Option<Arc<File>>,
    /// A sync failed, so this file takes no more.
    spoiled: bool,
    /// The file's name is known to be on disk.
    is_named: bool,
}

/// Batches of one round of the writer, appended but not yet synced.
pub(crate) struct Appended {
    file: Arc<File>,
    heads: Vec<Head>,
    is_named: bool,
    names: Names,
}

impl GroupFiles {
    pub fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            loaded: RwLock::new(None),
            last_used_ms: AtomicI64::new(0),
            expires_ms: AtomicI64::new(0),
            streams_deleted: AtomicBool::new(false),
        }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the group holds, for reading; loads it if need be. `names` are the group's, of whichever version.
    pub fn read(&self, names: &Names, now_ms: i64) -> Result<impl std::ops::Deref<Target = Loaded> + '_> {
        self.last_used_ms.fetch_max(now_ms, Ordering::Relaxed);
        loop {
            if let Ok(loaded) = RwLockReadGuard::try_map(self.loaded.read(), Option::as_ref) {
                return Ok(loaded);
            }
            drop(self.write(names)?);
        }
    }

    fn write(&self, names: &Names) -> Result<parking_lot::MappedRwLockWriteGuard<'_, Loaded>> {
        let mut loaded = self.loaded.write();
        if loaded.is_none() {
            *loaded = Some(load(&self.dir, names)?);
        }
        Ok(RwLockWriteGuard::map(loaded, |loaded| loaded.as_mut().expect("loaded just above")))
    }

    /// The numbers of all streams that the files tell of, deleted ones too, in order.
    pub fn streams_found(&self) -> Result<Vec<u64>> {
        let mut found: Vec<u64> = load(&self.dir, &Names::new())?.streams.into_keys().collect();
        found.sort_unstable();
        Ok(found)
    }

    /// A stream was deleted.
    pub fn forget(&self, stream: u64) {
        self.streams_deleted.store(true, Ordering::Relaxed);
        if let Some(loaded) = self.loaded.write().as_mut() {
            loaded.streams.remove(&stream);
        }
    }

    /// Bytes on disk, without loading.
    pub fn stored_bytes(&self) -> u64 {
        if let Some(loaded) = self.loaded.read().as_ref() {
            return loaded.sealed.iter().map(|sealed| sealed.len).sum::<u64>() + loaded.active.payload();
        }
        let Ok(entries) = fs::read_dir(&self.dir) else { return 0 };
        entries
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "seg"))
            .filter_map(|entry| entry.metadata().ok())
            .map(|metadata| metadata.len().saturating_sub(SEGMENT_MAGIC.len() as u64))
            .sum()
    }

    /// Writes batches after the last one. Nothing is visible until [`GroupFiles::publish`]; on an error nothing
    /// was kept.
    pub fn append(
        &self,
        names: &Names,
        batches: &mut [Batch],
        limits: &Limits,
        now_ms: i64,
    ) -> Result<Appended> {
        self.last_used_ms.fetch_max(now_ms, Ordering::Relaxed);
        let mut loaded = self.write(names)?;
        if loaded.active.is_full(limits, now_ms) {
            loaded.roll(&self.dir)?;
        }
        let file = loaded.active.open(&self.dir)?;
        let is_named = loaded.active.is_named;
        let (start, mut sequence) = (loaded.active.contents.len, loaded.active.contents.last_sequence);
        // Readers go on while the bytes are written: nobody reads past the published length.
        drop(loaded);
        let mut bytes = Vec::with_capacity(batches.iter().map(|batch| batch.head.len()).sum());
        for batch in &mut *batches {
            sequence += 1;
            batch.head.sequence = sequence;
            bytes.extend_from_slice(&batch.head.encode());
            bytes.extend_from_slice(&batch.body);
        }
        if let Err(error) = file.write_all_at(&bytes, start) {
            // What part was written lies past the end that readers know; taking it away frees the space.
            let _ = file.set_len(start);
            return Err(Error::write(error));
        }
        let heads = batches.iter().map(|batch| batch.head).collect();
        Ok(Appended { file, heads, is_named, names: names.clone() })
    }

    /// Syncs what [`GroupFiles::append`] wrote.
    pub fn sync(&self, appended: &Appended) -> Result<()> {
        let synced = appended.file.sync_data().and_then(|()| match appended.is_named {
            true => Ok(()),
            false => sync_dirs(&self.dir),
        });
        synced.map_err(|error| {
            // After a failed sync the kernel may hold pages as clean that never reached the disk, so this file
            // takes no more; what it held before was synced before.
            if let Ok(mut loaded) = self.write(&appended.names) {
                let _ = appended.file.set_len(loaded.active.contents.len);
                loaded.active.spoiled = true;
                // The refused batches may be on the disk, whole. Its index says where the file ends, so with that
                // they stay refused, whatever happens next; where it cannot be written, the next put tries again.
                let _ = loaded.roll(&self.dir);
            }
            Error::write(error)
        })
    }

    /// Lets readers see what is now on disk.
    pub fn publish(&self, appended: &Appended) -> Result<()> {
        let mut loaded = self.write(&appended.names)?;
        loaded.active.is_named = true;
        for head in &appended.heads {
            loaded.active.contents.push(head);
            let span = StreamSpan::of(head);
            loaded.streams.entry(head.stream).and_modify(|known| known.merge(&span)).or_insert(span);
        }
        Ok(())
    }

    /// Deletes segments that are older than the retention or that hold only deleted streams; closes the active
    /// one when it is old; unloads the group when nobody uses it.
    pub fn maintain(&self, plan: &Maintenance<'_>) -> Result<()> {
        let cutoff = plan.retention_days.map(|days| plan.now_ms - i64::from(days) * DAY_MS);
        let may_expire = cutoff.is_some() && plan.now_ms >= self.expires_ms.load(Ordering::Relaxed);
        let litter = self.streams_deleted.swap(false, Ordering::Relaxed);
        if self.loaded.read().is_none() && !may_expire && !litter {
            return Ok(());
        }
        let mut loaded = self.write(plan.names)?;
        let expired =
            cutoff.is_some_and(|cutoff| loaded.active.newest().is_some_and(|newest| newest < cutoff));
        if expired || loaded.active.is_old(plan.limits, plan.now_ms) {
            loaded.roll(&self.dir)?;
        }
        let is_old = |sealed: &Sealed| cutoff.is_some_and(|cutoff| sealed.max_timestamp < cutoff);
        let is_litter =
            |sealed: &Sealed| litter && !sealed.has_live_stream(|id| plan.names.contains_key(&id));
        let (doomed, kept): (Vec<_>, Vec<_>) =
            loaded.sealed.iter().cloned().partition(|sealed| is_old(sealed) || is_litter(sealed));
        let oldest = kept.iter().map(|sealed| sealed.max_timestamp).chain(loaded.active.newest()).min();
        self.note_expiry(oldest, plan.retention_days);
        let idle = plan.now_ms - self.last_used_ms.load(Ordering::Relaxed) >= plan.limits.idle_ms;
        drop(loaded);
        let deleted: Result<()> = doomed.iter().try_for_each(|sealed| sealed.delete()).map_err(Error::write);
        if deleted.is_err() && litter {
            self.streams_deleted.store(true, Ordering::Relaxed);
        }
        // Litter holds nothing of the streams that there are, so what is known of those stays.
        let stays_known = !idle && deleted.is_ok() && !doomed.iter().any(|sealed| is_old(sealed));
        let mut loaded = self.loaded.write();
        if !stays_known {
            *loaded = None;
        } else if let Some(loaded) = loaded.as_mut().filter(|_| !doomed.is_empty()) {
            loaded.sealed = kept;
        }
        deleted
    }

    /// Deletes the oldest closed segments until `bytes` are gone, at least one; closes the active one when there
    /// is no other. Answers how many bytes went: 0 when nothing is left.
    pub fn shed(&self, names: &Names, bytes: u64) -> Result<u64> {
        let mut loaded = self.write(names)?;
        if loaded.sealed.is_empty() && !loaded.active.contents.batches.is_empty() {
            loaded.roll(&self.dir)?;
        }
        let doomed = loaded.sealed.clone();
        drop(loaded);
        let mut gone = 0;
        for sealed in doomed {
            if gone > 0 && gone >= bytes {
                break;
            }
            gone += sealed.stored();
            sealed.delete().map_err(Error::write)?;
        }
        if gone > 0 {
            *self.loaded.write() = None;
        }
        Ok(gone)
    }

    /// Another retention means another expiry.
    pub fn forget_expiry(&self) {
        self.expires_ms.store(0, Ordering::Relaxed);
    }

    /// Whether [`GroupFiles::maintain`] would have to read files to know what expires.
    pub fn expiry_unknown(&self) -> bool {
        self.expires_ms.load(Ordering::Relaxed) == 0 && self.loaded.read().is_none()
    }

    fn note_expiry(&self, oldest: Option<i64>, retention_days: Option<i32>) {
        let Some(days) = retention_days else { return };
        let expires = oldest.map_or(i64::MAX, |oldest| oldest.saturating_add(i64::from(days) * DAY_MS));
        self.expires_ms.store(expires.max(1), Ordering::Relaxed);
    }
}

/// What [`GroupFiles::maintain`] goes by.
pub(crate) struct Maintenance<'a> {
    pub now_ms: i64,
    pub limits: &'a Limits,
    pub retention_days: Option<i32>,
    pub names: &'a Names,
}

impl Loaded {
    /// Closes the active segment and starts the next, whose file comes with its first batch.
    fn roll(&mut self, dir: &Path) -> Result<()> {
        if self.active.contents.batches.is_empty() {
            if self.active.spoiled && self.active.file.is_some() {
                // Nothing in it was ever taken, and what was refused must not be found.
                fs::remove_file(&self.active.path)
                    .and_then(|()| segment::sync_parent(&self.active.path))
                    .map_err(Error::write)?;
            }
            let sequence = self.active.contents.last_sequence;
            self.active = Active::after(dir, sequence);
            return Ok(());
        }
        let sealed = Sealed::seal(self.active.path.clone(), &self.active.contents)?;
        let sequence = sealed.last_sequence;
        self.sealed.push(Arc::new(sealed));
        self.active = Active::after(dir, sequence);
        Ok(())
    }
}

impl Active {
    fn after(dir: &Path, sequence: u64) -> Self {
        let contents = Contents { last_sequence: sequence, ..Contents::empty() };
        Self {
            path: dir.join(format!("{:020}.seg", sequence + 1)),
            contents,
            file: None,
            spoiled: false,
            is_named: false,
        }
    }

    fn open(&mut self, dir: &Path) -> Result<Arc<File>> {
        if let Some(file) = &self.file {
            return Ok(Arc::clone(file));
        }
        fs::create_dir_all(dir).map_err(Error::write)?;
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&self.path);
        let file = file.map_err(Error::write)?;
        file.write_all_at(SEGMENT_MAGIC, 0).map_err(Error::write)?;
        let file = Arc::new(file);
        self.file = Some(Arc::clone(&file));
        Ok(file)
    }

    fn is_full(&self, limits: &Limits, now_ms: i64) -> bool {
        self.spoiled
            || self.contents.len >= limits.segment_bytes
            || self.contents.batches.len() >= limits.segment_batches
            || self.is_old(limits, now_ms)
    }

    fn is_old(&self, limits: &Limits, now_ms: i64) -> bool {
        self.contents.first_ingestion.is_some_and(|first| now_ms - first >= limits.segment_age_ms)
    }

    fn newest(&self) -> Option<i64> {
        self.contents.times().map(|(_, newest)| newest)
    }

    fn payload(&self) -> u64 {
        self.contents.len.saturating_sub(SEGMENT_MAGIC.len() as u64)
    }
}

/// Reads what a group's directory holds, cutting a torn end. Streams without a name were deleted, and cost no
/// memory, unless they may be newer than the names: numbers rise.
fn load(dir: &Path, names: &Names) -> Result<Loaded> {
    let newest = names.get_max().map_or(0, |(id, _)| *id);
    let is_there = |(stream, _): &(u64, StreamSpan)| *stream > newest || names.contains_key(stream);
    let paths = segment_paths(dir).map_err(Error::read)?;
    let mut loaded = Loaded { sealed: Vec::new(), active: Active::after(dir, 0), streams: HashMap::new() };
    for (place, path) in paths.iter().enumerate() {
        let is_last = place + 1 == paths.len();
        if let Some((sealed, spans)) = Sealed::load(path)? {
            loaded.active = Active::after(dir, sealed.last_sequence);
            loaded.sealed.push(Arc::new(sealed));
            merge(&mut loaded.streams, spans.into_iter().filter(is_there));
            continue;
        }
        let file = OpenOptions::new().read(true).write(true).open(path);
        // A disk that takes no writes can still be read.
        let writable = file.is_ok();
        let file = file.or_else(|_| File::open(path)).map_err(Error::read)?;
        let mut contents = segment::scan(&file, path)?;
        let spans = contents.streams.iter().map(|(&stream, &span)| (stream, span));
        merge(&mut loaded.streams, spans.filter(is_there));
        let known = loaded.active.contents.last_sequence.max(first_sequence(path).saturating_sub(1));
        contents.last_sequence = contents.last_sequence.max(known);
        if contents.has_odd_tail {
            contents.len = file.metadata().map_err(Error::read)?.len();
            // A file whose every batch is lost keeps its name.
            contents.last_sequence = contents.last_sequence.max(first_sequence(path));
        }
        if (!is_last && !contents.batches.is_empty()) || (contents.has_odd_tail && writable) {
            loaded.active = Active::after(dir, contents.last_sequence);
            loaded.sealed.push(Arc::new(Sealed::seal(path.clone(), &contents)?));
        } else if is_last {
            loaded.active = match writable {
                true => resume(path.clone(), file, contents)?,
                false => Active { path: path.clone(), contents, file: None, spoiled: true, is_named: true },
            };
        }
    }
    Ok(loaded)
}

/// The last segment, open for more, its torn end cut.
fn resume(path: PathBuf, file: File, mut contents: Contents) -> Result<Active> {
    let len = file.metadata().map_err(Error::read)?.len();
    if contents.len == 0 {
        // Not even the magic is whole: the file was being made.
        file.set_len(0).and_then(|()| file.write_all_at(SEGMENT_MAGIC, 0)).map_err(Error::write)?;
        contents.len = SEGMENT_MAGIC.len() as u64;
    } else if contents.len < len {
        file.set_len(contents.len).and_then(|()| file.sync_data()).map_err(Error::write)?;
    }
    Ok(Active { path, contents, file: Some(Arc::new(file)), spoiled: false, is_named: false })
}

fn merge(streams: &mut HashMap<u64, StreamSpan>, spans: impl IntoIterator<Item = (u64, StreamSpan)>) {
    for (stream, span) in spans {
        streams.entry(stream).and_modify(|known| known.merge(&span)).or_insert(span);
    }
}

/// The segments of a directory by first sequence number; none when the group was never written.
fn segment_paths(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut paths = BTreeMap::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "seg") {
            paths.insert(first_sequence(&path), path);
        }
    }
    Ok(paths.into_values().collect())
}

fn first_sequence(path: &Path) -> u64 {
    path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok()).unwrap_or(0)
}

/// Makes a new segment's name durable, and its directory's.
fn sync_dirs(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()?;
    segment::sync_parent(dir)
}
