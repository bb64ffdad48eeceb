//! Compressions of layers, told by their first bytes: registries' media types are often wrong.

use std::io::{BufRead, Read};

use super::read_error;
use crate::{Error, Result};

/// The ways a layer may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
    Bzip2,
    Xz,
}

impl Compression {
    /// The compression of what starts with `start`.
    pub fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            // A skippable frame, with which chunked zstd layers may start.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [b'B', b'Z', b'h', ..] => Self::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            _ => Self::None,
        }
    }
}

/// Window sizes over 128 MiB (the `zstd` program's own limit) would let a small file ask for much memory.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// A reader of what `input` holds, decompressed.
pub fn decoder<'a>(mut input: impl BufRead + 'a) -> Result<Box<dyn Read + 'a>> {
    let start = input.fill_buf().map_err(read_error)?;
    match Compression::of(start) {
        Compression::None => Ok(Box::new(input)),
        Compression::Gzip => Ok(Box::new(flate2::bufread::MultiGzDecoder::new(input))),
        Compression::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(input).map_err(read_error)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(read_error)?;
            Ok(Box::new(decoder))
        }
        Compression::Bzip2 | Compression::Xz => Err(Error::Invalid(
            "only gzip, zstd and uncompressed tars are supported, not bzip2 or xz".to_owned(),
        )),
    }
}
