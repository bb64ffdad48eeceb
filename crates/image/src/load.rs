//! Images from files: an OCI layout, a Docker archive, or the tar of a root file system.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::error::IoContext;
use crate::manifest::{self, Configuration, Descriptor, Manifest};
use crate::progress::{Listener, Tracker};
use crate::store::install::Draft;
use crate::unpack::allowance::Allowance;
use crate::{Config, Digest, Error, Image, Layer, Origin, Reference, Result, Store, limits, unpack};
use archive::Archive;

mod archive;
mod docker;
mod oci;

/// How to take a file in.
#[derive(Clone, Default)]
pub struct LoadOptions {
    /// The image's name. Without it, those that the archive states.
    pub name: Option<Reference>,
    /// Takes the file for the tar of a root file system, which says nothing of how to run it.
    pub rootfs: Option<RootfsOptions>,
    /// Told how far the load is: of the archive first, where that has to be read for itself, then of each
    /// image.
    pub progress: Option<Listener>,
}

impl fmt::Debug for LoadOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadOptions")
            .field("name", &self.name)
            .field("rootfs", &self.rootfs)
            .finish_non_exhaustive()
    }
}

/// What a root file system's tar cannot say of itself.
#[derive(Debug, Clone, Default)]
pub struct RootfsOptions {
    /// Defaults for containers.
    pub config: Config,
}

/// An image found in an archive.
struct Found {
    draft: Draft,
    /// The archive's name for each layer, bottom first.
    layers: Vec<String>,
}

impl Store {
    /// Takes in every image of `file` (of an index, the one for this host) and returns them.
    ///
    /// `file` is a tar, which may be compressed, or the folder of an OCI layout. Blocks; call it off
    /// the async threads.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the file is none of the three kinds, or is not what its digests say;
    /// [`Error::Limit`] when it would become too much. Nothing of a refused file stays.
    pub fn load(&self, file: &Path, options: &LoadOptions) -> Result<Vec<Arc<Image>>> {
        let loaded = self.activity().and_then(|_activity| self.take_in(file, options));
        if loaded.is_err() {
            // Layers that were unpacked before the refusal belong to nothing. A sweep that cannot be made now
            // is made by the next round of collection.
            if let Err(error) = self.sweep() {
                tracing::warn!(%error, "what a refused archive left was not removed");
            }
        }
        loaded
    }

    fn take_in(&self, file: &Path, options: &LoadOptions) -> Result<Vec<Arc<Image>>> {
        if let Some(rootfs) = &options.rootfs {
            return Ok(vec![self.load_rootfs(file, options, rootfs)?]);
        }
        let archive = Archive::open(file, &self.path("tmp"), &options.progress)?;
        let mut found = if archive.has("oci-layout") && archive.has("index.json") {
            oci::images(&archive)?
        } else if archive.has("manifest.json") {
            docker::images(&archive)?
        } else {
            return Err(Error::Invalid(format!(
                "{} is neither an OCI layout nor a Docker archive; if it is the tar of a root file system, \
                 say what a container of it runs (--cmd)",
                file.display()
            )));
        };
        if let Some(name) = &options.name {
            let [only] = found.as_mut_slice() else {
                let count = found.len();
                return Err(Error::Invalid(format!(
                    "{} holds {count} images, not one to be named",
                    file.display()
                )));
            };
            only.draft.names = vec![name.canonical()];
        }
        // All is unpacked before the first image is filed: an archive that is refused leaves nothing.
        let allowance = archive.allowance(&self.path("layers"));
        let mut whole = Vec::with_capacity(found.len());
        for Found { draft, layers: names } in found {
            let layers = self.unpack_found(&archive, &draft, &names, &allowance, &options.progress)?;
            whole.push((draft, layers));
        }
        whole.into_iter().map(|(draft, layers)| self.file_image(draft, layers)).collect()
    }

    fn unpack_found(
        &self,
        archive: &Archive,
        draft: &Draft,
        names: &[String],
        allowance: &Allowance,
        listener: &Option<Listener>,
    ) -> Result<Vec<Layer>> {
        let diff_ids = &draft.configuration.rootfs.diff_ids;
        if names.len() != diff_ids.len() {
            let (has, says) = (names.len(), diff_ids.len());
            return Err(Error::Invalid(format!(
                "the image has {has} layers, but its configuration says {says}"
            )));
        }
        let mut sizes = Vec::with_capacity(names.len());
        for (name, chain) in names.iter().zip(manifest::chain_ids(diff_ids)) {
            let is_here = self.layer(&chain)?.is_some();
            sizes.push(if is_here { 0 } else { archive.size(name) });
        }
        let tracker = Tracker::new(&sizes, listener.clone());
        let open = |i: usize| Ok(tracker.layer(i).reading(archive.reader(&names[i])?));
        self.unpack_layers(diff_ids, allowance, open, |i| tracker.layer_done(i))
    }

    fn load_rootfs(&self, file: &Path, options: &LoadOptions, rootfs: &RootfsOptions) -> Result<Arc<Image>> {
        let (tar, bytes) = archive::plain_tar(file, &self.path("tmp"), &options.progress)?;
        let allowance = || Allowance::by_size(&self.path("layers"), bytes);
        let plain = tar.metadata().context(|| format!("read {}", file.display()))?.len();
        let reading = Tracker::of_archive(plain, options.progress.clone()).layer(0);
        let diff_id = unpack::diff_id(reading.reading(archive::from_start(&tar)), &allowance())?;
        let configuration = Configuration::of(rootfs.config.clone(), vec![diff_id]);
        let diff_ids = &configuration.rootfs.diff_ids;
        let tracker = Tracker::new(&[plain], options.progress.clone());
        let open = |i| Ok(tracker.layer(i).reading(archive::from_start(&tar)));
        let layers = self.unpack_layers(diff_ids, &allowance(), open, |i| tracker.layer_done(i))?;
        let (digest, id) = stand_in_manifest(&manifest::to_json(&configuration), diff_ids);
        let names = options.name.iter().map(Reference::canonical).collect();
        self.file_image(Draft { digest, id, configuration, names, origin: Origin::Loaded }, layers)
    }
}

/// The digests of a manifest, and of the configuration, for an image that came without a manifest: the
/// same image always gets the same.
fn stand_in_manifest(configuration: &[u8], diff_ids: &[Digest]) -> (Digest, Digest) {
    let descriptor = |media_type: &str, digest: Digest, size| Descriptor {
        media_type: media_type.into(),
        digest,
        size,
        platform: None,
        annotations: Default::default(),
    };
    let id = Digest::of(configuration);
    let document = Manifest {
        schema_version: 2,
        media_type: manifest::OCI_MANIFEST.into(),
        config: descriptor(manifest::OCI_CONFIG, id.clone(), configuration.len() as u64),
        // Sizes would only say how the archive was written.
        layers: diff_ids.iter().map(|d| descriptor(manifest::OCI_LAYER, d.clone(), 0)).collect(),
    };
    (Digest::of(&manifest::to_json(&document)), id)
}

fn check_count(images: usize) -> Result<()> {
    match images {
        0 => Err(Error::invalid("the archive holds no image")),
        _ if images > limits::IMAGES_PER_ARCHIVE_MAX => Err(Error::Limit(format!(
            "the archive holds {images} images, over {}",
            limits::IMAGES_PER_ARCHIVE_MAX
        ))),
        _ => Ok(()),
    }
}
