//! The daemon's images, for an operator: taking them in, listing and removing them.

use std::path::Path;

use bollard::auth::DockerCredentials;
use bollard::query_parameters::{
    CreateImageOptions, ImportImageOptions, ListImagesOptions, RemoveImageOptions, TagImageOptions,
};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use image::Reference;
use tokio_util::io::ReaderStream;

use super::daemon::Daemon;
use super::images::fetch;
use crate::error::{Error, Kind};
use crate::spec::RegistryAuth;

/// An image as the daemon lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub names: Vec<String>,
    /// Its id in Docker, `sha256:…`.
    pub id: String,
    pub bytes: u64,
}

/// The images of a daemon.
pub struct Images(Daemon);

impl Images {
    /// # Errors
    /// When the daemon does not answer or is not fit.
    pub async fn connect(socket: &Path) -> Result<Images, Error> {
        Daemon::connect(socket).await.map(Images)
    }

    /// Takes in an archive as `docker save` writes it, and gives what it holds that name too. Answers the names, or ids.
    ///
    /// # Errors
    /// What the daemon says, and when the file cannot be read.
    pub async fn load(&self, file: &Path, name: Option<&Reference>) -> Result<Vec<String>, Error> {
        let body = bollard::body_try_stream(archive(file).await?);
        let loaded = self.0.api.import_image(ImportImageOptions::default(), body, None);
        let told: Vec<_> = loaded.try_collect().await.map_err(|e| self.0.failed(Kind::Pull, e))?;
        let all: String = told.into_iter().filter_map(|line| line.stream).collect();
        let prefixes = ["Loaded image: ", "Loaded image ID: "];
        let names =
            all.lines().filter_map(|line| prefixes.iter().find_map(|prefix| line.strip_prefix(prefix)));
        let names: Vec<String> = names.map(|name| name.trim().to_owned()).collect();
        let Some(name) = name else { return Ok(names) };
        let [only] = &names[..] else {
            let why = format!("the archive holds {} images, which cannot all be called {name}", names.len());
            return Err(Error::fatal(Kind::Pull, why));
        };
        let options =
            TagImageOptions { repo: Some(name.familiar_repository()), tag: name.tag().map(str::to_owned) };
        self.0.api.tag_image(only, Some(options)).await.map_err(|e| self.0.failed(Kind::Pull, e))?;
        Ok(vec![name.familiar()])
    }

    /// Takes in the archive of a root file system, with changes in a Dockerfile's words. Answers the image's id.
    ///
    /// # Errors
    /// As [`Images::load`].
    pub async fn import(&self, file: &Path, name: &Reference, changes: Vec<String>) -> Result<String, Error> {
        let options = CreateImageOptions {
            from_src: Some("-".to_owned()),
            repo: Some(name.familiar_repository()),
            tag: name.tag().map(str::to_owned),
            changes,
            ..Default::default()
        };
        let body = bollard::body_try_stream(archive(file).await?);
        let imported = self.0.api.create_image(Some(options), Some(body), None::<DockerCredentials>);
        let told: Vec<_> = imported.try_collect().await.map_err(|e| self.0.failed(Kind::Pull, e))?;
        Ok(told.into_iter().filter_map(|line| line.status).next_back().unwrap_or_default())
    }

    /// Fetches an image; answers its id.
    ///
    /// # Errors
    /// What the daemon says.
    pub async fn pull(&self, reference: &Reference, auth: Option<&RegistryAuth>) -> Result<String, Error> {
        fetch(&self.0, reference, auth).await?;
        let image = self.0.api.inspect_image(&reference.familiar()).await;
        Ok(image.map_err(|e| self.0.failed(Kind::Pull, e))?.id.unwrap_or_default())
    }

    /// # Errors
    /// What the daemon says.
    pub async fn list(&self) -> Result<Vec<Listed>, Error> {
        let listed = self.0.api.list_images(None::<ListImagesOptions>).await;
        let listed = listed.map_err(|e| self.0.failed(Kind::Inspect, e))?;
        let listed = listed.into_iter().map(|image| Listed {
            names: image.repo_tags.into_iter().filter(|name| !name.starts_with("<none>")).collect(),
            id: image.id,
            bytes: u64::try_from(image.size).unwrap_or_default(),
        });
        Ok(listed.collect())
    }

    /// Forgets a name; the image goes with its last one. Answers what was untagged, and what was deleted.
    ///
    /// # Errors
    /// What the daemon says, as of an image that a container uses.
    pub async fn remove(&self, name: &str) -> Result<(Vec<String>, Vec<String>), Error> {
        let removed = self.0.api.remove_image(name, None::<RemoveImageOptions>, None).await;
        let removed = removed.map_err(|e| self.0.failed(Kind::Inspect, e))?;
        let untagged = removed.iter().filter_map(|item| item.untagged.clone()).collect();
        Ok((untagged, removed.into_iter().filter_map(|item| item.deleted).collect()))
    }
}

/// The bytes of an archive.
async fn archive(file: &Path) -> Result<impl Stream<Item = std::io::Result<Bytes>> + Send + 'static, Error> {
    let unreadable =
        |e: std::io::Error| Error::fatal(Kind::Pull, format!("cannot read {}: {e}", file.display()));
    let opened = tokio::fs::File::open(file).await.map_err(unreadable)?;
    if opened.metadata().await.map_err(unreadable)?.is_dir() {
        let path = file.display();
        return Err(Error::fatal(
            Kind::Pull,
            format!(
                "{path} is a folder: the Docker daemon takes archives only, as `docker save` writes them"
            ),
        ));
    }
    Ok(ReaderStream::new(opened))
}
