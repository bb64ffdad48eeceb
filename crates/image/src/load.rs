//! Images from files: an OCI layout, a Docker archive, or the tar of a root file system.

use std::path::Path;
use std::sync::Arc;

use crate::{Config, Error, Image, Reference, Result, Store};

/// How to take a file in.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// The image's name. Without it, those that the archive states.
    pub name: Option<Reference>,
    /// For the tar of a root file system, which says nothing of how to run it.
    pub rootfs: Option<RootfsOptions>,
}

/// What a root file system's tar cannot say of itself.
#[derive(Debug, Clone, Default)]
pub struct RootfsOptions {
    /// Defaults for containers.
    pub config: Config,
}

impl Store {
    /// Takes in every image of `file` (of an index, the one for this host) and returns them.
    ///
    /// Blocks; call it off the async threads.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the file is none of the three kinds, or is not what its digests say.
    pub fn load(&self, file: &Path, _options: &LoadOptions) -> Result<Vec<Arc<Image>>> {
        Err(Error::Invalid(format!("loading {} is not built yet", file.display())))
    }
}
