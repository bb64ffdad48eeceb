//! The list of images: one file, replaced whole, read again when it is another file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::files;
use crate::error::IoContext;
use crate::{Digest, Error, Image, Result, limits};

/// What the index file holds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Index {
    version: u32,
    images: BTreeMap<Digest, Arc<Image>>,
}

const VERSION: u32 = 1;

impl Index {
    /// The image with this manifest digest.
    pub fn get(&self, digest: &Digest) -> Option<&Arc<Image>> {
        self.images.get(digest)
    }

    /// All images, by digest.
    pub fn images(&self) -> impl Iterator<Item = &Arc<Image>> {
        self.images.values()
    }

    /// Adds or renews `image`; its names leave whatever image had them.
    pub fn insert(&mut self, mut image: Image) -> Arc<Image> {
        if let Some(old) = self.images.get(&image.digest) {
            image.names.extend(old.names.iter().cloned());
            if old.origin == crate::Origin::Loaded {
                image.origin = crate::Origin::Loaded;
            }
        }
        for other in self.images.values_mut() {
            if other.digest != image.digest && !other.names.is_disjoint(&image.names) {
                Arc::make_mut(other).names.retain(|name| !image.names.contains(name));
            }
        }
        let image = Arc::new(image);
        self.images.insert(image.digest.clone(), image.clone());
        image
    }

    /// Adds those that are not there; names that have led elsewhere since stay where they lead.
    fn add_missing<'a>(&mut self, images: impl Iterator<Item = &'a Arc<Image>>) {
        let taken: std::collections::BTreeSet<String> =
            self.images().flat_map(|image| image.names.iter().cloned()).collect();
        for image in images {
            if !self.images.contains_key(&image.digest) {
                let mut image = Image::clone(image);
                image.names.retain(|name| !taken.contains(name));
                self.images.insert(image.digest.clone(), Arc::new(image));
            }
        }
    }

    /// Takes one name away from an image.
    pub fn remove_name(&mut self, digest: &Digest, name: &str) {
        if let Some(image) = self.images.get_mut(digest) {
            Arc::make_mut(image).names.remove(name);
        }
    }

    /// Takes an image out.
    pub fn remove(&mut self, digest: &Digest) -> Option<Arc<Image>> {
        self.images.remove(digest)
    }
}

/// The index as read from one version of the file, with its names looked up.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Which version of the file it was.
    stamp: Stamp,
    /// Whether that could not be read as a whole: it is set aside when it is replaced.
    pub damaged: bool,
    /// Kept open, so that no later version gets the same inode; none when there was no file yet.
    _file: Option<File>,
    /// What it said.
    pub index: Index,
    names: BTreeMap<String, Digest>,
}

/// Tells one version of the file from another: each is a new file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(metadata: &std::fs::Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

impl Snapshot {
    /// Whether the file at `path` is still the one that this was read from.
    pub fn is_current(&self, path: &Path) -> bool {
        match std::fs::metadata(path) {
            Ok(metadata) => Stamp::of(&metadata) == self.stamp,
            Err(_) => false,
        }
    }

    /// Reads the file; none is an empty index, unless there was one before.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the file is damaged or lost.
    pub fn read(path: &Path) -> Result<Self> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && before(path).exists() => {
                return Err(Error::Invalid(format!("image index {} is gone", path.display())));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error).context(|| format!("open {}", path.display())),
        };
        let metadata = file.metadata().context(|| format!("read {}", path.display()))?;
        // None that long is written.
        if metadata.size() > limits::INDEX_BYTES_MAX {
            return Err(Error::Invalid(format!(
                "image index {} is damaged: it is over {} bytes",
                path.display(),
                limits::INDEX_BYTES_MAX
            )));
        }
        let mut content = Vec::new();
        file.read_to_end(&mut content).context(|| format!("read {}", path.display()))?;
        let index: Index = serde_json::from_slice(&content)
            .map_err(|error| Error::Invalid(format!("image index {} is damaged: {error}", path.display())))?;
        if index.version != VERSION {
            let found = index.version;
            return Err(Error::Io {
                what: format!("image index {} has version {found}, not {VERSION}", path.display()),
                source: std::io::ErrorKind::Unsupported.into(),
            });
        }
        let names = names(&index);
        Ok(Self { stamp: Stamp::of(&metadata), damaged: false, _file: Some(file), names, index })
    }

    /// What is known in the place of a damaged file, until that changes.
    pub fn of_damaged(path: &Path, is_whole: impl Fn(&Image) -> bool) -> Self {
        // Opened first: should another come into its place meanwhile, that is seen.
        let file = File::open(path).ok();
        let metadata = file.as_ref().and_then(|file| file.metadata().ok());
        let stamp = metadata.map(|metadata| Stamp::of(&metadata)).unwrap_or_default();
        let index = salvage(path, is_whole);
        Self { stamp, damaged: true, _file: file, names: names(&index), index }
    }

    /// Adds those images that are not there.
    pub fn add_missing<'a>(&mut self, images: impl Iterator<Item = &'a Arc<Image>>) {
        self.index.add_missing(images);
        self.names = names(&self.index);
    }

    /// The image with this full name.
    pub fn named(&self, name: &str) -> Option<&Arc<Image>> {
        self.index.get(self.names.get(name)?)
    }
}

fn names(index: &Index) -> BTreeMap<String, Digest> {
    index.images().flat_map(|i| i.names.iter().map(|n| (n.clone(), i.digest.clone()))).collect()
}

/// An index whose images are looked at one by one.
#[derive(Deserialize)]
struct Loose {
    images: BTreeMap<String, serde_json::Value>,
}

/// What can still be read of a damaged file: all images that are whole in it, or else, where the file as a
/// whole cannot be read, those of the version before it. `is_whole` says whether an image's layers are here.
fn salvage(path: &Path, is_whole: impl Fn(&Image) -> bool) -> Index {
    let read = |path: &Path| -> Option<Loose> {
        let file = File::open(path).ok()?;
        let mut content = Vec::new();
        file.take(limits::INDEX_BYTES_MAX).read_to_end(&mut content).ok()?;
        serde_json::from_slice(&content).ok()
    };
    let mut index = Index { version: VERSION, images: BTreeMap::new() };
    let Some(found) = read(path).or_else(|| read(&before(path))) else { return index };
    for (name, value) in found.images {
        let image = serde_json::from_value::<Image>(value).ok();
        match image.filter(|image| image.digest.as_str() == name && is_whole(image)) {
            Some(image) => {
                index.insert(image);
            }
            None => tracing::error!(
                image = name,
                "an image of a damaged index is lost; it has to be fetched again"
            ),
        }
    }
    index
}

/// Where the version before the newest is kept.
fn before(path: &Path) -> std::path::PathBuf {
    path.with_extension("before.json")
}

/// Replaces the file; durable on return. Its version before is kept, when there is a new one.
pub fn write(path: &Path, index: &Index) -> Result<()> {
    let content = encode(index)?;
    let (before, kept) = (before(path), path.with_extension("kept"));
    // Only a help for the case of damage: without it, the newest alone is there.
    let _ = std::fs::remove_file(&kept);
    let _ = std::fs::hard_link(path, &kept);
    let written = files::replace(path, &content).or_else(|error| match error {
        // On a full disk, what is needed comes before what may help.
        Error::Io { ref source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
            std::fs::remove_file(&before).map_err(|_| error)?;
            files::replace(path, &content)
        }
        error => Err(error),
    });
    if written.is_err() {
        let _ = std::fs::remove_file(&kept);
        return written;
    }
    if std::fs::rename(&kept, &before).is_ok() {
        // There is room now for what a full disk may have had none for.
        files::keep_spare(path);
    }
    written
}

/// Replaces a damaged file, which stays beside it; the version before it stays as it is. Durable on return; a
/// failure leaves all as it was.
pub fn replace_damaged(path: &Path, index: &Index) -> Result<()> {
    let content = encode(index)?;
    let aside = (1..).map(|n| path.with_extension(format!("json.damaged-{n}"))).find(|aside| !aside.exists());
    let aside = aside.expect("one of all numbers is free");
    if path.exists() {
        let kept = std::fs::hard_link(path, &aside).or_else(|_| std::fs::copy(path, &aside).map(drop));
        kept.context(|| format!("keep {} as {}", path.display(), aside.display()))?;
    }
    files::replace(path, &content).inspect_err(|_| {
        let _ = std::fs::remove_file(&aside);
    })?;
    tracing::warn!(kept_in = %aside.display(), "a damaged list of images is replaced by what could be read of it");
    Ok(())
}

fn encode(index: &Index) -> Result<Vec<u8>> {
    let index = Index { version: VERSION, images: index.images.clone() };
    let content = serde_json::to_vec(&index).expect("an index has only string keys");
    // What could not be read again may not be written: with it, every image would be out of reach.
    if content.len() as u64 > limits::INDEX_BYTES_MAX {
        return Err(Error::Limit(format!(
            "the list of images would have {} bytes, over {}",
            content.len(),
            limits::INDEX_BYTES_MAX
        )));
    }
    Ok(content)
}
