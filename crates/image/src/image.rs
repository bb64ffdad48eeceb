//! What the store knows of an image.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Config, Digest, Reference};

/// An image whose layers are all unpacked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The digest of the image's manifest: its identity here.
    pub digest: Digest,
    /// The digest of its configuration: Docker's image id.
    pub id: Digest,
    /// Full names that lead here, by tag and by digest, sorted.
    pub names: BTreeSet<String>,
    /// Defaults for its containers.
    pub config: Config,
    /// `linux`.
    pub os: String,
    /// As Go names it: `amd64`, `arm64`.
    pub architecture: String,
    /// Bottom first.
    pub layers: Vec<Layer>,
    /// When it was built, if it says so.
    pub created: Option<Timestamp>,
    /// When it was last pulled or loaded.
    pub pulled_at: Timestamp,
    /// How it came here.
    pub origin: Origin,
}

/// One layer of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// What the layer and all below it make: the name of its folder.
    pub chain: Digest,
    /// The digest of the uncompressed tar.
    pub diff_id: Digest,
    /// What it takes on disk, unpacked, in bytes.
    pub size: u64,
}

/// Where an image came from. What was loaded by hand cannot be pulled again, so it is never collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// From a registry.
    Pulled,
    /// From a file.
    Loaded,
}

impl Image {
    /// The digest by which the repository of `reference` has it: of an index where it was pulled by one, else its own.
    pub fn digest_in(&self, reference: &Reference) -> Digest {
        let of = |name: &String| name.parse::<Reference>().ok();
        let others = self.names.iter().filter_map(of).filter(|name| {
            name.registry() == reference.registry() && name.repository() == reference.repository()
        });
        let mut digests = others.filter_map(|name| name.digest().cloned());
        let of_index = digests.rfind(|digest| *digest != self.digest);
        reference.digest().cloned().or(of_index).unwrap_or_else(|| self.digest.clone())
    }

    /// What the layers take on disk, in bytes; layers shared with other images count for each.
    pub fn size(&self) -> u64 {
        self.layers.iter().map(|layer| layer.size).sum()
    }
}
