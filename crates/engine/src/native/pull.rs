//! Images for containers: present by the behaviour asked for, and found again at create.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{Inner, chain};
use crate::error::{Error, Kind};
use crate::spec::{ContainerSpec, PullBehavior, PullRequest, PulledImage};

/// Makes an image present.
pub(super) async fn pull(inner: &Inner, request: &PullRequest) -> Result<PulledImage, Error> {
    let images = &inner.config.images;
    let reference: image::Reference = request.image.parse().map_err(|e| failed(&e))?;
    let present = images.resolve(&reference).map_err(|e| failed(&e))?;
    // What was loaded from a file has no registry to be asked first.
    let loaded = present.as_ref().is_some_and(|image| image.origin == image::Origin::Loaded);
    if let Some(image) = &present
        && (request.behavior == PullBehavior::PreferCached
            || loaded && request.behavior == PullBehavior::Default)
    {
        return Ok(answer(&image.digest_in(&reference)));
    }
    let mut options = inner.config.pull.clone();
    if let Some(auth) = &request.auth {
        options.auth =
            image::Auth::Basic { username: auth.username.clone(), password: auth.password.clone() };
    }
    let log = Arc::new(Log::of(&request.image));
    options.progress = Some({
        let log = log.clone();
        Arc::new(move |progress| log.tell(progress))
    });
    match (images.pull_resolved(&reference, &options).await, present) {
        (Ok((image, digest)), _) => {
            log.end(&image);
            Ok(answer(&digest))
        }
        (Err(error), Some(image)) if request.behavior == PullBehavior::Default => {
            tracing::warn!(
                image = request.image,
                error = chain(&error),
                "not pulled; the cached one is used"
            );
            Ok(answer(&image.digest_in(&reference)))
        }
        (Err(error), _) => Err(failed(&error)),
    }
}

/// What an operator is told of a pull: what there is to come, how far it is from time to time, and its end. A
/// pull that finds all of the image here is no news.
struct Log {
    image: String,
    /// Bytes at the last line; none before the first.
    told: Mutex<Option<u64>>,
}

/// A line after each so many bytes.
const LOG_BYTES: u64 = 64 << 20;

impl Log {
    fn of(image: &str) -> Self {
        Self { image: image.to_owned(), told: Mutex::new(None) }
    }

    fn tell(&self, progress: image::Progress) {
        let image::Progress { layers, layers_done, bytes, bytes_done, .. } = progress;
        let mut told = self.told.lock();
        if bytes == 0 || told.is_some_and(|told| bytes_done < told.saturating_add(LOG_BYTES)) {
            return;
        }
        *told = Some(bytes_done);
        tracing::info!(image = self.image, layers, layers_done, bytes, bytes_done, "pulling");
    }

    fn end(&self, image: &image::Image) {
        if self.told.lock().is_some() {
            let (layers, bytes) = (image.layers.len(), image.size());
            tracing::info!(image = self.image, layers, unpacked_bytes = bytes, digest = %image.digest, "pulled");
        }
    }
}

fn answer(digest: &image::Digest) -> PulledImage {
    PulledImage { digest: digest.to_string() }
}

fn failed(error: &image::Error) -> Error {
    let temporary = matches!(error.kind(), image::Kind::Network | image::Kind::Storage);
    Error { kind: Kind::Pull, message: chain(error), temporary }
}

/// The image of a container that is to be made.
pub(super) fn find(inner: &Inner, spec: &ContainerSpec) -> Result<Arc<image::Image>, Error> {
    let images = &inner.config.images;
    let by_digest = spec.image_digest.as_deref().and_then(|d| d.parse().ok());
    let reference: Result<image::Reference, _> = spec.image.parse();
    let found = reference.and_then(|reference| match by_digest {
        Some(digest) => images.resolve(&reference.at(&digest)),
        None => images.resolve(&reference),
    });
    let found = found.map_err(|e| Error::fatal(Kind::Create, chain(&e)))?;
    found.ok_or_else(|| Error::fatal(Kind::Create, format!("No such image: {}", spec.image)))
}
