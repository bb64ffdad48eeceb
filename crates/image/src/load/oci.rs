//! Images of an OCI layout; `docker save` and containerd write such ones, too.

use super::archive::{Archive, blob_name};
use super::{Found, check_count};
use crate::manifest::{Configuration, Descriptor, Document, Index, Manifest, Platform};
use crate::store::install::Draft;
use crate::{Digest, Error, Origin, Reference, Result, limits};

/// The full name, as containerd and Docker write it.
const FULL_NAME: &str = "io.containerd.image.name";
/// A name or only a tag, as OCI has it.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Indexes inside indexes.
const NESTING_MAX: usize = 4;

/// Every image of the layout: of an index in it, the one for this host.
pub fn images(archive: &Archive) -> Result<Vec<Found>> {
    let content = archive.document("index.json", limits::MANIFEST_BYTES_MAX)?;
    let index: Index = serde_json::from_slice(&content)
        .map_err(|error| Error::Invalid(format!("index.json is not well formed: {error}")))?;
    // One image may stand there once for each of its names.
    let mut found: Vec<Found> = Vec::new();
    for descriptor in candidates(&index)? {
        let names = names(descriptor);
        let (digest, manifest) = manifest(archive, descriptor, 0)?;
        match found.iter_mut().find(|f| f.draft.digest == digest) {
            Some(known) => known.draft.names.extend(names),
            None => found.push(image(archive, digest, manifest, names)?),
        }
    }
    check_count(found.len())?;
    Ok(found)
}

/// A layout for several platforms may list them side by side; then only one is meant.
fn candidates(index: &Index) -> Result<Vec<&Descriptor>> {
    check_count(index.manifests.len())?;
    if index.manifests.iter().any(|m| m.platform.is_some())
        && index.manifests.iter().all(|m| names(m).is_empty())
    {
        return Ok(vec![index.choose(&Platform::host())?]);
    }
    let host = Platform::host();
    let fits = |m: &&Descriptor| m.platform.as_ref().is_none_or(|p| *p == host);
    let fitting: Vec<&Descriptor> = index.manifests.iter().filter(fits).collect();
    if fitting.is_empty() { Ok(vec![index.choose(&host)?]) } else { Ok(fitting) }
}

fn manifest(archive: &Archive, descriptor: &Descriptor, nesting: usize) -> Result<(Digest, Manifest)> {
    let content = archive.blob(&descriptor.digest, limits::MANIFEST_BYTES_MAX)?;
    match Document::parse(&content)? {
        Document::Manifest(manifest) => Ok((descriptor.digest.clone(), manifest)),
        Document::Index(index) if nesting < NESTING_MAX => {
            self::manifest(archive, index.choose(&Platform::host())?, nesting + 1)
        }
        Document::Index(_) => {
            Err(Error::Limit(format!("more than {NESTING_MAX} indexes inside one another")))
        }
    }
}

fn image(archive: &Archive, digest: Digest, manifest: Manifest, names: Vec<String>) -> Result<Found> {
    let content = archive.blob(&manifest.config.digest, limits::CONFIG_BYTES_MAX)?;
    let configuration = Configuration::parse(&content)?;
    let layers = manifest.layers.iter().map(|layer| blob_name(&layer.digest)).collect();
    let id = manifest.config.digest;
    Ok(Found { draft: Draft { digest, id, configuration, names, origin: Origin::Loaded }, layers })
}

/// The names that the layout gives an image. A bare tag names nothing.
fn names(descriptor: &Descriptor) -> Vec<String> {
    let name = descriptor
        .annotations
        .get(FULL_NAME)
        .or_else(|| descriptor.annotations.get(REF_NAME).filter(|name| name.contains([':', '/'])));
    name.and_then(|name| name.parse::<Reference>().ok()).map(|r| r.canonical()).into_iter().collect()
}
