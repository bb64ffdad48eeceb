//! Layers on disk: found by their marker, put there in one step.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Store, files};
use crate::error::IoContext;
use crate::{Digest, Layer, Result};

/// What `layer.json` says: the layer beside it is whole, and was on disk before the marker was.
#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    layer: Layer,
}

/// A layer being unpacked; gone again unless it is committed.
#[derive(Debug)]
pub struct Draft {
    dir: PathBuf,
    committed: bool,
}

impl Draft {
    /// Where to unpack.
    pub fn fs(&self) -> PathBuf {
        self.dir.join("fs")
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.committed {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

impl Store {
    /// The layer, if it is here and whole.
    pub(crate) fn layer(&self, chain: &Digest) -> Result<Option<Layer>> {
        let path = self.layer_dir(chain).join("layer.json");
        let content = match std::fs::read(&path) {
            Ok(content) => content,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context(|| format!("read {}", path.display())),
        };
        Ok(serde_json::from_slice::<Marker>(&content).ok().map(|marker| marker.layer))
    }

    /// A place to unpack a layer.
    pub(crate) fn draft_layer(&self) -> Result<Draft> {
        let draft = Draft { dir: files::unique(&self.path("tmp"), "layer"), committed: false };
        files::make_private_dir(&draft.fs())?;
        Ok(draft)
    }

    /// Makes `draft` the layer; durable on return. The caller holds the lock of its chain.
    ///
    /// The marker is written when all the rest is on disk, and the folder gets its name after that: a
    /// power cut at any point leaves the whole layer or none.
    pub(crate) fn commit_layer(&self, mut draft: Draft, layer: &Layer) -> Result<()> {
        let fs = draft.fs();
        std::fs::File::open(&fs)
            .and_then(|dir| Ok(rustix::fs::syncfs(&dir)?))
            .context(|| format!("sync {}", fs.display()))?;
        let marker = serde_json::to_vec(&Marker { layer: layer.clone() }).expect("a layer is plain data");
        files::write_synced(&draft.dir.join("layer.json"), &marker)?;
        files::sync_dir(&draft.dir)?;

        let target = self.layer_dir(&layer.chain);
        if target.exists() {
            // Only a damaged marker brings us here: a whole layer is never unpacked again.
            self.discard(&target)?;
        }
        std::fs::rename(&draft.dir, &target).context(|| format!("rename to {}", target.display()))?;
        draft.committed = true;
        files::sync_dir(&self.path("layers"))
    }

    /// Takes `path` away at once, and then its content.
    pub(crate) fn discard(&self, path: &std::path::Path) -> Result<()> {
        let trash = files::unique(&self.path("tmp"), "trash");
        std::fs::rename(path, &trash).context(|| format!("remove {}", path.display()))?;
        let _ = std::fs::remove_dir_all(&trash);
        Ok(())
    }
}
