//! Layers from tar to folder: decompressed, measured, hashed and laid out as an overlay's lower folder.
//!
//! Whatever the tar says, nothing outside the target folder is read, made or changed.

use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::{Digest, Error, Result};
use allowance::Allowance;
use measure::{Bounded, Measured};
use root::Root;
use tarball::TarReader;

pub(crate) mod allowance;
mod compression;
mod measure;
mod root;
pub(crate) mod tarball;

/// What a layer turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// The digest of the tar, uncompressed.
    pub diff_id: Digest,
    /// What it takes on disk, in bytes.
    pub size: u64,
}

/// Unpacks one layer, compressed or not, into the empty folder `target`.
///
/// `below` are the folders of the layers under it, top first: a folder that the tar implies without
/// describing it looks as it does there, and a hard link may lead to a file of theirs.
pub fn unpack(input: impl Read, target: &Path, below: &[PathBuf], allowance: &Allowance) -> Result<Unpacked> {
    let mut measured = measured(input, allowance)?;
    let mut root = Root::open(target, below, allowance)?;
    let mut tar = TarReader::new(&mut measured);
    while let Some(entry) = tar.next_entry()? {
        root.apply(&entry, &mut tar)?;
    }
    let size = root.finish()?;
    Ok(Unpacked { diff_id: measured.finish()?, size })
}

/// The digest of a layer's tar, uncompressed, without unpacking it.
pub fn diff_id(input: impl Read, allowance: &Allowance) -> Result<Digest> {
    measured(input, allowance)?.finish()
}

/// Decompresses an archive, whatever its compression is, held to the limits of a layer.
pub fn decompress<'a>(input: impl Read + 'a, allowance: &'a Allowance) -> Result<impl Read + 'a> {
    bounded(input, allowance, "the archive")
}

/// Whether `start`, the first bytes of a file, are those of a compressed one.
pub fn is_compressed(start: &[u8]) -> bool {
    compression::Compression::of(start) != compression::Compression::None
}

const BUFFER_BYTES: usize = 128 << 10;

fn measured<'a>(input: impl Read + 'a, allowance: &'a Allowance) -> Result<Measured<'a>> {
    bounded(input, allowance, "a layer").map(Measured::new)
}

fn bounded<'a>(input: impl Read + 'a, allowance: &'a Allowance, what: &'static str) -> Result<Bounded<'a>> {
    let (input, read) = measure::Counter::new(input, allowance);
    let plain = compression::decoder(BufReader::with_capacity(BUFFER_BYTES, input))?;
    Ok(Bounded::new(plain, read, allowance, what))
}

/// An error of reading a layer: one of ours that came up through the readers, the tar's fault, or the
/// host's.
pub(crate) fn read_error(error: io::Error) -> Error {
    use io::ErrorKind as K;
    let broken = matches!(error.kind(), K::InvalidData | K::InvalidInput | K::UnexpectedEof)
        || error.raw_os_error().is_none();
    match error.downcast::<Error>() {
        Ok(ours) => ours,
        Err(error) if broken => Error::Invalid(format!("the layer is damaged: {error}")),
        Err(error) => Error::Io { what: "read a layer".into(), source: error },
    }
}

#[cfg(test)]
mod tests;
