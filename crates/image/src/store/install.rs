//! From layers to an image: unpacks what is missing, then files the image.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::Store;
use super::lock::KeyLock;
use crate::manifest::{Configuration, chain_ids};
use crate::unpack::allowance::Allowance;
use crate::unpack::unpack;
use crate::{Digest, Error, Image, Layer, Origin, Result};

/// An image about to be filed.
#[derive(Debug)]
pub struct Draft {
    /// Its manifest's digest.
    pub digest: Digest,
    /// Its configuration's digest.
    pub id: Digest,
    /// Its configuration.
    pub configuration: Configuration,
    /// Full names.
    pub names: Vec<String>,
    /// Where it comes from.
    pub origin: Origin,
}

impl Store {
    /// Files an image whose layers are all here.
    pub(crate) fn file_image(&self, draft: Draft, layers: Vec<Layer>) -> Result<Arc<Image>> {
        let created = draft.configuration.created();
        self.commit(Image {
            digest: draft.digest,
            id: draft.id,
            names: draft.names.into_iter().collect(),
            config: draft.configuration.config,
            os: draft.configuration.os,
            architecture: draft.configuration.architecture,
            layers,
            created,
            pulled_at: Timestamp::now(),
            origin: draft.origin,
        })
    }

    /// The layers with these ids, bottom first; `open` gives the tar of one that is missing, by its place.
    ///
    /// Blocks. Two callers that want the same layer do the work once.
    pub(crate) fn unpack_layers<R: Read>(
        &self,
        diff_ids: &[Digest],
        allowance: &Allowance,
        mut open: impl FnMut(usize) -> Result<R>,
        mut done: impl FnMut(usize),
    ) -> Result<Vec<Layer>> {
        let mut layers = Vec::with_capacity(diff_ids.len());
        for (i, (chain, diff_id)) in chain_ids(diff_ids).into_iter().zip(diff_ids).enumerate() {
            let layer = match self.layer(&chain)? {
                Some(layer) => layer,
                None => self.unpack_layer(chain, diff_id, &layers, allowance, || open(i))?,
            };
            layers.push(layer);
            done(i);
        }
        Ok(layers)
    }

    fn unpack_layer<R: Read>(
        &self,
        chain: Digest,
        diff_id: &Digest,
        below: &[Layer],
        allowance: &Allowance,
        open: impl FnOnce() -> Result<R>,
    ) -> Result<Layer> {
        let _lock = KeyLock::acquire_blocking(self.lock_path("layer", &chain))?;
        if let Some(layer) = self.layer(&chain)? {
            return Ok(layer);
        }
        let draft = self.draft_layer()?;
        let below: Vec<PathBuf> = below.iter().rev().map(|l| self.layer_dir(&l.chain).join("fs")).collect();
        let unpacked = unpack(open()?, &draft.fs(), &below, allowance)?;
        if unpacked.diff_id != *diff_id {
            return Err(Error::Invalid(format!(
                "a layer unpacks to {}, but the image's configuration says {diff_id}",
                unpacked.diff_id
            )));
        }
        let layer = Layer { chain, diff_id: unpacked.diff_id, size: unpacked.size };
        self.commit_layer(draft, &layer)?;
        Ok(layer)
    }
}
