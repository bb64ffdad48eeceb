//! Images are the daemon's: they are pulled by it, and found again at create by what was pulled.

use bollard::auth::DockerCredentials;
use bollard::models::ImageInspect;
use bollard::query_parameters::CreateImageOptions;
use futures_util::TryStreamExt;
use image::Reference;

use super::Inner;
use super::daemon::{Daemon, found};
use crate::error::{Error, Kind};
use crate::spec::{ContainerSpec, PullBehavior, PullRequest, PulledImage, RegistryAuth};

/// Makes an image present.
pub(super) async fn pull(inner: &Inner, request: &PullRequest) -> Result<PulledImage, Error> {
    let reference: Reference = request.image.parse().map_err(|e| Error::fatal(Kind::Pull, e))?;
    let present = present(inner, &reference, Kind::Pull).await?;
    // What was loaded from a file has no registry to be asked first.
    let loaded = present.as_ref().is_some_and(|image| image.repo_digests.as_ref().is_none_or(Vec::is_empty));
    if let Some(image) = &present
        && (request.behavior == PullBehavior::PreferCached
            || loaded && request.behavior == PullBehavior::Default)
    {
        return Ok(answer(&reference, image));
    }
    match (fetch(&inner.daemon, &reference, request.auth.as_ref()).await, present) {
        (Ok(()), _) => {
            let image = look(inner, &reference.familiar(), Kind::Pull).await?;
            let gone = || Error::temporary(Kind::Pull, "somebody removed the image that was pulled");
            image.map(|image| answer(&reference, &image)).ok_or_else(gone)
        }
        (Err(error), Some(image)) if request.behavior == PullBehavior::Default => {
            tracing::warn!(
                image = request.image,
                error = error.message,
                "not pulled; the cached one is used"
            );
            Ok(answer(&reference, &image))
        }
        (Err(error), _) => Err(error),
    }
}

pub(super) async fn fetch(
    daemon: &Daemon,
    reference: &Reference,
    auth: Option<&RegistryAuth>,
) -> Result<(), Error> {
    let options = CreateImageOptions { from_image: Some(reference.familiar()), ..Default::default() };
    let credentials = auth.map(|auth| DockerCredentials {
        username: Some(auth.username.clone()),
        password: Some(auth.password.clone()),
        serveraddress: Some(reference.registry().to_owned()),
        ..Default::default()
    });
    let pulled = daemon.api.create_image(Some(options), None, credentials);
    // Half of it is progress that nobody waits for.
    let pulled = pulled.try_for_each(|_| async { Ok(()) }).await;
    pulled.map_err(|e| {
        let error = daemon.failed(Kind::Pull, e);
        // A registry that is away answers through the daemon.
        Error { temporary: error.temporary || error.message.contains("timeout"), ..error }
    })
}

/// The digest that the name was resolved to; of an image that has none, as one that was loaded, its id.
fn answer(reference: &Reference, image: &ImageInspect) -> PulledImage {
    let repository = format!("{}@", reference.familiar_repository());
    let mut digests = image.repo_digests.iter().flatten();
    let of_repository = digests.find_map(|digest| digest.strip_prefix(&repository));
    PulledImage { digest: of_repository.or(image.id.as_deref()).unwrap_or_default().to_owned() }
}

/// What is here of that name. A deployment asks by digest for what its first task had, and of an image that was loaded
/// that is its id.
async fn present(inner: &Inner, reference: &Reference, kind: Kind) -> Result<Option<ImageInspect>, Error> {
    let named = look(inner, &reference.familiar(), kind).await?;
    match (named, reference.digest()) {
        (None, Some(digest)) => look(inner, &digest.to_string(), kind).await,
        (named, _) => Ok(named),
    }
}

async fn look(inner: &Inner, name: &str, kind: Kind) -> Result<Option<ImageInspect>, Error> {
    found(inner.daemon.api.inspect_image(name).await).map_err(|e| inner.daemon.failed(kind, e))
}

/// The image of a container that is to be made: by the digest that was pulled, if there is one, whatever its name says by now.
pub(super) async fn find(inner: &Inner, spec: &ContainerSpec) -> Result<ImageInspect, Error> {
    let reference: Reference = spec.image.parse().map_err(|e| Error::fatal(Kind::Create, e))?;
    let reference = match spec.image_digest.as_deref().and_then(|digest| digest.parse().ok()) {
        Some(digest) => reference.at(&digest),
        None => reference,
    };
    if let Some(image) = present(inner, &reference, Kind::Create).await? {
        return Ok(image);
    }
    Err(Error::fatal(Kind::Create, format!("No such image: {}", spec.image)))
}
