//! Images of a Docker archive as `docker save` wrote it before it wrote OCI layouts.

use serde::Deserialize;

use super::archive::Archive;
use super::{Found, check_count, stand_in_manifest};
use crate::config::null_as_default;
use crate::manifest::Configuration;
use crate::store::install::Draft;
use crate::{Error, Origin, Reference, Result, limits};

/// One image of `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    #[serde(default, deserialize_with = "null_as_default")]
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

/// Every image of the archive.
pub fn images(archive: &Archive) -> Result<Vec<Found>> {
    let content = archive.document("manifest.json", limits::MANIFEST_BYTES_MAX)?;
    let items: Vec<Item> = serde_json::from_slice(&content)
        .map_err(|error| Error::Invalid(format!("manifest.json is not that of a Docker archive: {error}")))?;
    check_count(items.len())?;
    items.into_iter().map(|item| image(archive, item)).collect()
}

fn image(archive: &Archive, item: Item) -> Result<Found> {
    let content = archive.document(&item.config, limits::CONFIG_BYTES_MAX)?;
    let configuration = Configuration::parse(&content)?;
    let (digest, id) = stand_in_manifest(&content, &configuration.rootfs.diff_ids);
    let tags = item.repo_tags.iter().map(|tag| Ok(tag.parse::<Reference>()?.canonical()));
    let names = tags.collect::<Result<Vec<String>>>()?;
    let draft = Draft { digest, id, configuration, names, origin: Origin::Loaded };
    Ok(Found { draft, layers: item.layers })
}
