//! The documents of an image: index, manifest, configuration. Docker's schema 2 and OCI's have the same
//! members; media types tell them apart only where a registry asks.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::config::null_as_default;
use crate::{Config, Digest, Error, Result, limits};

/// Docker's manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's index.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// OCI's manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI's index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI's configuration.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// OCI's layer, not compressed.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// A pointer to a document or blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    #[serde(default)]
    pub media_type: String,
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What a manifest of an index is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    pub os: String,
    pub architecture: String,
}

impl Platform {
    /// This host's.
    pub fn host() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" => "ppc64le",
            same => same,
        };
        Self { os: "linux".into(), architecture: architecture.into() }
    }
}

/// Configuration and layers of one image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub schema_version: u32,
    #[serde(default)]
    pub media_type: String,
    pub config: Descriptor,
    /// Bottom first.
    pub layers: Vec<Descriptor>,
}

/// One image's manifests for several platforms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    pub schema_version: u32,
    #[serde(default)]
    pub media_type: String,
    pub manifests: Vec<Descriptor>,
}

/// What a registry may answer for a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    Manifest(Manifest),
    Index(Index),
}

/// The members that tell a document's kind.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Probe {
    schema_version: u32,
    #[serde(default)]
    media_type: String,
    manifests: Option<serde::de::IgnoredAny>,
}

impl Document {
    /// Reads a manifest or an index.
    pub fn parse(content: &[u8]) -> Result<Self> {
        let bad = |error| Error::Invalid(format!("the image's manifest is not well formed: {error}"));
        let probe: Probe = serde_json::from_slice(content).map_err(bad)?;
        if probe.schema_version != 2 {
            let version = probe.schema_version;
            return Err(Error::Invalid(format!(
                "image manifests of schema version {version} are not supported"
            )));
        }
        match probe.media_type.as_str() {
            DOCKER_LIST | OCI_INDEX => serde_json::from_slice(content).map(Self::Index).map_err(bad),
            "" if probe.manifests.is_some() => serde_json::from_slice(content).map(Self::Index).map_err(bad),
            DOCKER_MANIFEST | OCI_MANIFEST | "" => Manifest::parse(content).map(Self::Manifest),
            other => Err(Error::Invalid(format!("manifests of type {other:?} are not supported"))),
        }
    }
}

impl Manifest {
    fn parse(content: &[u8]) -> Result<Self> {
        let manifest: Self = serde_json::from_slice(content)
            .map_err(|error| Error::Invalid(format!("the image's manifest is not well formed: {error}")))?;
        let layers = manifest.layers.len();
        if layers > limits::LAYERS_MAX {
            return Err(Error::Limit(format!("the image has {layers} layers, over {}", limits::LAYERS_MAX)));
        }
        if let Some(layer) = manifest.layers.iter().find(|l| l.size > limits::LAYER_BYTES_MAX) {
            return Err(Error::Limit(format!(
                "a layer has {} bytes, over {}",
                layer.size,
                limits::LAYER_BYTES_MAX
            )));
        }
        if manifest.config.size > limits::CONFIG_BYTES_MAX {
            let size = manifest.config.size;
            return Err(Error::Limit(format!(
                "the configuration has {size} bytes, over {}",
                limits::CONFIG_BYTES_MAX
            )));
        }
        Ok(manifest)
    }
}

impl Index {
    /// The manifest for `platform`; a lone manifest that names no platform is for all.
    pub fn choose(&self, platform: &Platform) -> Result<&Descriptor> {
        let lone = match self.manifests.as_slice() {
            [only] if only.platform.is_none() => Some(only),
            _ => None,
        };
        let fitting = self.manifests.iter().find(|m| m.platform.as_ref() == Some(platform));
        fitting.or(lone).ok_or_else(|| {
            let Platform { os, architecture } = platform;
            Error::NotFound(format!(
                "no matching manifest for {os}/{architecture} in the manifest list entries"
            ))
        })
    }
}

/// An image's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    #[serde(default)]
    pub architecture: String,
    #[serde(default)]
    pub os: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub config: Config,
    pub rootfs: LayerIds,
}

/// The layers of an image, by what they hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerIds {
    #[serde(rename = "type", default)]
    kind: String,
    /// Bottom first.
    #[serde(default, deserialize_with = "null_as_default")]
    pub diff_ids: Vec<Digest>,
}

impl Configuration {
    /// For a root file system of this host's platform.
    pub fn of(config: Config, diff_ids: Vec<Digest>) -> Self {
        let Platform { os, architecture } = Platform::host();
        let rootfs = LayerIds { kind: "layers".into(), diff_ids };
        Self { created: None, architecture, os, config, rootfs }
    }

    /// Reads a configuration.
    pub fn parse(content: &[u8]) -> Result<Self> {
        let document: Self = serde_json::from_slice(content).map_err(|error| {
            Error::Invalid(format!("the image's configuration is not well formed: {error}"))
        })?;
        let layers = document.rootfs.diff_ids.len();
        if layers == 0 {
            return Err(Error::invalid("the image has no layers"));
        }
        if layers > limits::LAYERS_MAX {
            return Err(Error::Limit(format!("the image has {layers} layers, over {}", limits::LAYERS_MAX)));
        }
        if !matches!(document.os.as_str(), "" | "linux") {
            return Err(Error::Invalid(format!(
                "image operating system {:?} cannot be used on linux",
                document.os
            )));
        }
        Ok(document)
    }

    /// When the image was built; nonsense counts as silence.
    pub fn created(&self) -> Option<Timestamp> {
        self.created.as_deref()?.parse().ok()
    }
}

/// What each layer makes together with those below it (OCI's ChainID).
pub fn chain_ids(diff_ids: &[Digest]) -> Vec<Digest> {
    let mut chains: Vec<Digest> = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        let chain = match chains.last() {
            None => diff_id.clone(),
            Some(below) => Digest::finish(Sha256::new_with_prefix(format!("{below} {diff_id}"))),
        };
        chains.push(chain);
    }
    chains
}

/// JSON of one of these documents.
pub fn to_json(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(document).expect("documents have only string keys")
}

#[cfg(test)]
mod tests;
