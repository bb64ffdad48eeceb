//! The image store: one folder, any number of processes.
//!
//! ```text
//! index.json        the images; replaced whole, under index.lock
//! index.before.json its version before; index.json.damaged-1: one that could not be read
//! layers/<chain>/   fs/ is an overlay's lower folder; layer.json says that it is whole and on disk
//! holds/<image>/    one empty file a holder
//! used/<image>      its time is the image's last use
//! downloads/        layers on their way: <digest>.part, and <digest> when whole
//! locks/            one file for each layer or download that is being worked on
//! tmp/              layers being unpacked, layers being deleted
//! ```
//!
//! **Who may remove what.** An image leaves the index only under index.lock and holds.lock, when nobody
//! holds it. A layer, a download or a draft is removed only under activity.lock held alone, which every
//! pull and load holds shared from its first look at the store until its image is in the index: so
//! nobody ever loses a layer that he has just found.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use parking_lot::RwLock;

use crate::error::IoContext;
use crate::{Digest, Error, Image, Overlay, Reference, Result, gc};
use index::{Index, Snapshot};
use lock::FileLock;

pub(crate) mod files;
mod index;
pub(crate) mod install;
pub(crate) mod layers;
pub(crate) mod lock;
mod sweep;

/// A handle on the store; clones share it.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    snapshot: RwLock<Arc<Snapshot>>,
}

/// What [`Store::remove`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Names that lead nowhere now.
    pub untagged: Vec<String>,
    /// The image that is gone, when no other name led to it.
    pub deleted: Option<Digest>,
}

/// Longer holders' names are refused: they are file names.
const HOLDER_BYTES_MAX: usize = 200;

impl Store {
    /// Opens the store at `root` (`D/images`), made when it is not there.
    ///
    /// # Errors
    /// When the folder cannot be made or the index cannot be read.
    pub fn open(root: &Path) -> Result<Self> {
        for folder in ["layers", "holds", "used", "downloads", "locks", "tmp"] {
            files::make_private_dir(&root.join(folder))?;
        }
        let root = root.canonicalize().context(|| format!("find {}", root.display()))?;
        let store = Self(Arc::new(Inner { root, snapshot: RwLock::default() }));
        // What needs a name later has it from the beginning: a full disk must not keep an image from being removed.
        for name in ["index.lock", "holds.lock", "activity.lock"] {
            let _ = std::fs::OpenOptions::new().create(true).append(true).open(store.path(name));
        }
        let mut snapshot = store.read_index()?;
        if snapshot.damaged {
            snapshot = store.recover()?;
        }
        *store.0.snapshot.write() = Arc::new(snapshot);
        files::keep_spare(&store.path("index.json"));
        Ok(store)
    }

    /// Sets a damaged index aside, and goes on with what can be read of it.
    fn recover(&self) -> Result<Snapshot> {
        let _lock = FileLock::exclusive(&self.path("index.lock"))?;
        let snapshot = self.read_index()?;
        // Another process may have been first.
        if !snapshot.damaged {
            return Ok(snapshot);
        }
        match index::replace_damaged(&self.path("index.json"), &snapshot.index) {
            Ok(()) => self.read_index(),
            // A disk that is full, say. All is as it was, and what can be read serves until the next change.
            Err(error) => {
                tracing::error!(%error, "the damaged list of images cannot be replaced");
                Ok(snapshot)
            }
        }
    }

    /// The index, or what can be read of a damaged one.
    fn read_index(&self) -> Result<Snapshot> {
        let path = self.path("index.json");
        match Snapshot::read(&path) {
            Err(Error::Invalid(damage)) => {
                let snapshot = Snapshot::of_damaged(&path, |image| self.has_layers(image));
                let images = snapshot.index.images().count();
                tracing::error!(
                    damage,
                    images,
                    "the list of images is damaged; what can be read of it stays"
                );
                Ok(snapshot)
            }
            other => other,
        }
    }

    fn has_layers(&self, image: &Image) -> bool {
        image.layers.iter().all(|layer| matches!(self.layer(&layer.chain), Ok(Some(_))))
    }

    /// The image that `reference` names, if it is here. Cheap: one `stat`, unless another process
    /// changed the index. A reference with a tag and a digest goes by its digest.
    pub fn resolve(&self, reference: &Reference) -> Result<Option<Arc<Image>>> {
        let snapshot = self.snapshot()?;
        let named = snapshot.named(&reference.canonical());
        Ok(named.or_else(|| snapshot.index.get(reference.digest()?)).cloned())
    }

    /// The image with this manifest digest, if it is here.
    pub fn get(&self, digest: &Digest) -> Result<Option<Arc<Image>>> {
        Ok(self.snapshot()?.index.get(digest).cloned())
    }

    /// All images, by digest.
    pub fn list(&self) -> Result<Vec<Arc<Image>>> {
        Ok(self.snapshot()?.index.images().cloned().collect())
    }

    /// When the image was last held or released, or else pulled.
    pub fn last_used(&self, image: &Image) -> Timestamp {
        let used = std::fs::metadata(self.used_path(&image.digest)).and_then(|m| m.modified());
        let used = used.ok().and_then(|time| Timestamp::try_from(time).ok());
        used.map_or(image.pulled_at, |used| used.max(image.pulled_at))
    }

    /// A container's root file system from `image`, to be mounted at `target`: makes what it writes to
    /// under `container_dir`. Mount it with [`Overlay::mount`], and [`Store::hold`] the image for as long
    /// as it is mounted.
    pub fn overlay(&self, image: &Image, container_dir: &Path, target: &Path) -> Result<Overlay> {
        let lower = image.layers.iter().rev().map(|layer| self.layer_dir(&layer.chain).join("fs"));
        Overlay::prepare(lower.collect(), container_dir, target)
    }

    /// Keeps the image from being removed until `holder` releases it. Holding twice is holding once.
    ///
    /// Survives the death of this process. A power cut may lose it, and with it goes every container.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the image has gone meanwhile: pull it again.
    pub fn hold(&self, digest: &Digest, holder: &str) -> Result<()> {
        check_holder(holder)?;
        let lock = self.path("holds.lock");
        let _lock = FileLock::shared(&lock)?;
        if self.get(digest)?.is_none() {
            return Err(Error::NotFound(format!("image {digest} is not in the store")));
        }
        let folder = self.holds_dir(digest);
        files::make_private_dir(&folder)?;
        let path = folder.join(holder);
        // Only the name counts. One more of a file that is there is cheaper than a new file; a file system
        // may not have it, or not so many.
        match std::fs::hard_link(&lock, &path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                std::fs::File::create(&path).context(|| format!("create {}", path.display()))?;
            }
            _ => {}
        }
        self.touch(digest)
    }

    /// Ends a hold; one that is not there counts as ended.
    pub fn release(&self, digest: &Digest, holder: &str) -> Result<()> {
        check_holder(holder)?;
        let path = self.holds_dir(digest).join(holder);
        match std::fs::remove_file(&path) {
            // A full disk has no room for the mark; the time of its pull counts then.
            Ok(()) => self.touch(digest).or(Ok(())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error).context(|| format!("remove {}", path.display())),
        }
    }

    /// Who holds the image, sorted.
    pub fn holders(&self, digest: &Digest) -> Result<Vec<String>> {
        files::names(&self.holds_dir(digest))
    }

    /// Every hold there is, so that an engine can end those of containers that are gone.
    pub fn holds(&self) -> Result<Vec<(Digest, String)>> {
        let mut holds = Vec::new();
        for hex in files::names(&self.path("holds"))? {
            let Ok(digest) = format!("sha256:{hex}").parse::<Digest>() else { continue };
            holds.extend(self.holders(&digest)?.into_iter().map(|holder| (digest.clone(), holder)));
        }
        Ok(holds)
    }

    /// Removes a name; and the image with its layers, when no other tag leads to it or when it was
    /// named by a digest (that of its manifest or of its configuration).
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::InUse`] when the image would go and is held.
    pub fn remove(&self, name: &str) -> Result<Removed> {
        let removed = {
            let _index = FileLock::exclusive(&self.path("index.lock"))?;
            let snapshot = self.snapshot()?;
            let (image, tag) = find(&snapshot, name)?;
            let mut index = snapshot.index.clone();
            match tag.filter(|tag| has_other_tag(&image, tag)) {
                Some(tag) => {
                    index.remove_name(&image.digest, &tag);
                    self.write_index(&index)?;
                    Removed { untagged: vec![tag], deleted: None }
                }
                None => self.delete_locked(index, &image)?,
            }
        };
        self.sweep()?;
        Ok(removed)
    }

    /// One round of garbage collection: images by `policy`, then layers, downloads and drafts that
    /// belong to nothing. An image that came into use since the plan was made stays.
    pub fn collect(&self, policy: &gc::Policy, now: Timestamp) -> Result<Vec<gc::Removal>> {
        let mut plan = gc::plan(&self.candidates()?, self.disk()?, now, policy);
        let mut failure = None;
        plan.retain(|removal| match self.delete(&removal.digest) {
            Ok(()) => true,
            Err(Error::InUse { .. } | Error::NotFound(_)) => false,
            Err(error) => {
                failure.get_or_insert(error);
                false
            }
        });
        self.sweep()?;
        failure.map_or(Ok(plan), Err)
    }

    /// Files `image` under its names; durable on return. Its layers must be whole.
    pub(crate) fn commit(&self, image: Image) -> Result<Arc<Image>> {
        let _lock = FileLock::exclusive(&self.path("index.lock"))?;
        let mut index = self.snapshot()?.index.clone();
        let image = index.insert(image);
        self.write_index(&index)?;
        Ok(image)
    }

    /// Held for the length of a pull or load: see the module's text.
    pub(crate) fn activity(&self) -> Result<FileLock> {
        FileLock::shared(&self.path("activity.lock"))
    }

    /// A path inside the store.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.root.join(name)
    }

    fn delete(&self, digest: &Digest) -> Result<()> {
        let _lock = FileLock::exclusive(&self.path("index.lock"))?;
        let index = self.snapshot()?.index.clone();
        let image = index.get(digest).cloned();
        let image = image.ok_or_else(|| Error::NotFound(format!("No such image: {digest}")))?;
        self.delete_locked(index, &image).map(|_| ())
    }

    /// Takes `image` out of the index; the caller holds index.lock.
    fn delete_locked(&self, mut index: Index, image: &Image) -> Result<Removed> {
        let _holds = FileLock::exclusive(&self.path("holds.lock"))?;
        let holders = self.holders(&image.digest)?;
        if !holders.is_empty() {
            return Err(Error::InUse { image: image.digest.to_string(), holders });
        }
        index.remove(&image.digest);
        self.write_index(&index)?;
        let _ = std::fs::remove_dir(self.holds_dir(&image.digest));
        let _ = std::fs::remove_file(self.used_path(&image.digest));
        Ok(Removed { untagged: image.names.iter().cloned().collect(), deleted: Some(image.digest.clone()) })
    }

    fn candidates(&self) -> Result<Vec<gc::Candidate>> {
        let candidate = |image: Arc<Image>| {
            Ok(gc::Candidate {
                digest: image.digest.clone(),
                layers: image.layers.clone(),
                origin: image.origin,
                held: !self.holders(&image.digest)?.is_empty(),
                last_used: self.last_used(&image),
            })
        };
        self.list()?.into_iter().map(candidate).collect()
    }

    /// The disk that the store is on.
    pub fn disk(&self) -> Result<gc::Disk> {
        let stat = rustix::fs::statvfs(&self.0.root).context(|| format!("read {}", self.0.root.display()))?;
        let total = stat.f_blocks.saturating_mul(stat.f_frsize);
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        Ok(gc::Disk { total, used: total.saturating_sub(free) })
    }

    fn snapshot(&self) -> Result<Arc<Snapshot>> {
        let path = self.path("index.json");
        let cached = self.0.snapshot.read().clone();
        if cached.is_current(&path) {
            return Ok(cached);
        }
        let mut fresh = self.read_index()?;
        if fresh.damaged {
            // And what was known before; the next change writes it anew.
            fresh.add_missing(cached.index.images().filter(|image| self.has_layers(image)));
        }
        let fresh = Arc::new(fresh);
        *self.0.snapshot.write() = fresh.clone();
        Ok(fresh)
    }

    /// Replaces the index by one that was made of [`Store::snapshot`]; the caller holds index.lock.
    fn write_index(&self, index: &Index) -> Result<()> {
        let path = self.path("index.json");
        if self.0.snapshot.read().damaged {
            return index::replace_damaged(&path, index);
        }
        index::write(&path, index)
    }

    fn touch(&self, digest: &Digest) -> Result<()> {
        let path = self.used_path(digest);
        let opened = std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        opened
            .and_then(|file| file.set_modified(SystemTime::now()))
            .context(|| format!("mark {}", path.display()))
    }

    fn holds_dir(&self, digest: &Digest) -> PathBuf {
        self.path("holds").join(digest.hex())
    }

    fn used_path(&self, digest: &Digest) -> PathBuf {
        self.path("used").join(digest.hex())
    }

    pub(crate) fn layer_dir(&self, chain: &Digest) -> PathBuf {
        self.path("layers").join(chain.hex())
    }

    pub(crate) fn download_path(&self, blob: &Digest) -> PathBuf {
        self.path("downloads").join(blob.hex())
    }

    pub(crate) fn lock_path(&self, kind: &str, digest: &Digest) -> PathBuf {
        self.path("locks").join(format!("{kind}-{}", digest.hex()))
    }
}

fn check_holder(holder: &str) -> Result<()> {
    let fits = !holder.is_empty()
        && holder.len() <= HOLDER_BYTES_MAX
        && !holder.starts_with('.')
        && holder.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if fits { Ok(()) } else { Err(Error::Invalid(format!("holder {holder:?} is not a name"))) }
}

/// The image that `name` leads to, and the full name when it was named by tag.
fn find(snapshot: &Snapshot, name: &str) -> Result<(Arc<Image>, Option<String>)> {
    if let Ok(digest) = name.parse::<Digest>() {
        let mut images = snapshot.index.images();
        let found = images.find(|image| image.digest == digest || image.id == digest);
        return found.map(|i| (i.clone(), None)).ok_or_else(|| no_such_image(name));
    }
    let reference: Reference = name.parse()?;
    let canonical = reference.canonical();
    let image = snapshot.named(&canonical).ok_or_else(|| no_such_image(name))?;
    Ok((image.clone(), reference.digest().is_none().then_some(canonical)))
}

fn no_such_image(name: &str) -> Error {
    Error::NotFound(format!("No such image: {name}"))
}

fn has_other_tag(image: &Image, tag: &str) -> bool {
    image.names.iter().any(|name| name != tag && !name.contains('@'))
}
