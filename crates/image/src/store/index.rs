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

    /// Reads the file; none is an empty index.
    pub fn read(path: &Path) -> Result<Self> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error).context(|| format!("open {}", path.display())),
        };
        let metadata = file.metadata().context(|| format!("read {}", path.display()))?;
        if metadata.size() > limits::INDEX_BYTES_MAX {
            return Err(Error::Limit(format!(
                "{} is over {} bytes",
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
            return Err(Error::Invalid(format!(
                "image index {} has version {found}, not {VERSION}",
                path.display()
            )));
        }
        let names =
            index.images().flat_map(|i| i.names.iter().map(|n| (n.clone(), i.digest.clone()))).collect();
        Ok(Self { stamp: Stamp::of(&metadata), _file: Some(file), index, names })
    }

    /// The image with this full name.
    pub fn named(&self, name: &str) -> Option<&Arc<Image>> {
        self.index.get(self.names.get(name)?)
    }
}

/// Replaces the file; durable on return.
pub fn write(path: &Path, index: &Index) -> Result<()> {
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
    files::replace(path, &content)
}
