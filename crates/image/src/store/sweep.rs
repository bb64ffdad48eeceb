//! Removes what belongs to no image: layers, downloads, drafts, locks.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Duration, FileLock, Store, files};
use crate::Result;
use crate::error::IoContext;

/// A download that nobody has gone on with for this long is given up.
const PARTIAL_AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

impl Store {
    /// Sweeps, unless a pull or load is under way: the next round does it then.
    pub(crate) fn sweep(&self) -> Result<()> {
        let Some(lock) = FileLock::try_exclusive(&self.path("activity.lock"))? else { return Ok(()) };
        let mut trash = self.orphan_layers()?;
        for name in files::names(&self.path("tmp"))? {
            trash.push(self.path("tmp").join(name));
        }
        let trash = self.set_aside(trash)?;
        self.sweep_downloads()?;
        for name in files::names(&self.path("locks"))? {
            let _ = std::fs::remove_file(self.path("locks").join(name));
        }
        // Nobody waits for the slow part.
        drop(lock);
        for path in trash {
            delete(&path);
        }
        Ok(())
    }

    fn orphan_layers(&self) -> Result<Vec<PathBuf>> {
        let snapshot = self.snapshot()?;
        // Of an image that a damaged list has lost, nobody knows the layers, and its containers run on them.
        if self.holds()?.iter().any(|(image, _)| snapshot.index.get(image).is_none()) {
            tracing::warn!(
                "an image in use is not in the list of images; unused layers stay until it is free"
            );
            return Ok(Vec::new());
        }
        let wanted: BTreeSet<&str> =
            snapshot.index.images().flat_map(|image| &image.layers).map(|layer| layer.chain.hex()).collect();
        let found = files::names(&self.path("layers"))?;
        let orphans = found.iter().filter(|name| !wanted.contains(name.as_str()));
        Ok(orphans.map(|name| self.path("layers").join(name)).collect())
    }

    /// Moves what is to go where nobody looks.
    fn set_aside(&self, paths: Vec<PathBuf>) -> Result<Vec<PathBuf>> {
        let mut trash = Vec::new();
        for path in paths {
            let place = files::unique(&self.path("tmp"), "trash");
            match std::fs::rename(&path, &place) {
                Ok(()) => trash.push(place),
                // Another sweep is deleting it.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).context(|| format!("remove {}", path.display())),
            }
        }
        Ok(trash)
    }

    fn sweep_downloads(&self) -> Result<()> {
        for name in files::names(&self.path("downloads"))? {
            let path = self.path("downloads").join(name);
            let modified = std::fs::metadata(&path).and_then(|m| m.modified());
            let age = modified.ok().and_then(|time| SystemTime::now().duration_since(time).ok());
            if age.is_some_and(|age| age > PARTIAL_AGE_MAX) {
                let _ = std::fs::remove_file(&path);
            }
        }
        Ok(())
    }
}

/// What cannot be deleted now is in `tmp`, for the next sweep.
fn delete(path: &Path) {
    let result = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    if let Err(error) = result {
        tracing::warn!(path = %path.display(), %error, "could not delete an unused layer");
    }
}
