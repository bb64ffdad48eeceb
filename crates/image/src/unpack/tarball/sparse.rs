//! Sparse files: GNU's old entries, and its three ways of saying it in PAX records. The tar has only the
//! pieces that hold something.

use std::io::{self, Read};

use tar::{GnuExtSparseHeader, GnuSparseHeader, Header};

use super::pax::Sparse;
use super::{BLOCK, TarReader, field, read_block};
use crate::{Error, Result, limits};

/// A piece of a sparse file that the tar has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Where in the file it belongs.
    pub offset: u64,
    /// How long it is.
    pub length: u64,
}

/// Where the pieces of one file belong.
#[derive(Debug, Default)]
pub struct Map {
    /// The file's size, holes included.
    pub size: u64,
    /// In order.
    pub pieces: Vec<Piece>,
}

/// What a number of a map takes at most: the digits of 2^64, and what ends it.
const NUMBER_BYTES_MAX: usize = 21;

impl Map {
    /// Checks that the pieces lie in the file, one after another, and are what the tar has.
    pub fn check(&self, stored: u64) -> Result<()> {
        let (mut end, mut sum) = (0, 0_u64);
        for piece in &self.pieces {
            let piece_end = piece.offset.checked_add(piece.length).filter(|end| *end <= self.size);
            let Some(piece_end) = piece_end.filter(|_| piece.offset >= end) else { return Err(bad()) };
            end = piece_end;
            sum += piece.length;
        }
        if sum == stored { Ok(()) } else { Err(bad()) }
    }

    fn push(&mut self, offset: u64, length: u64) -> Result<()> {
        if self.pieces.len() >= limits::SPARSE_PIECES_MAX {
            return Err(Error::Limit(format!(
                "a sparse file has more than {} pieces",
                limits::SPARSE_PIECES_MAX
            )));
        }
        self.pieces.push(Piece { offset, length });
        Ok(())
    }

    fn push_all(&mut self, numbers: &[u64]) -> Result<()> {
        let mut pairs = numbers.chunks_exact(2);
        if !pairs.remainder().is_empty() {
            return Err(bad());
        }
        pairs.try_for_each(|pair| self.push(pair[0], pair[1]))
    }
}

fn bad() -> Error {
    Error::invalid("the layer is damaged: the map of a sparse file does not fit the file")
}

impl<R: Read> TarReader<R> {
    /// The map of an entry that is a sparse file; the reader stands at its first piece then.
    pub(super) fn sparse_map(
        &mut self,
        header: &Header,
        said: Sparse,
        is_file: bool,
        stored: u64,
    ) -> Result<Option<Map>> {
        if header.entry_type().is_gnu_sparse() {
            let map = self.old_map(header)?;
            self.set_size(stored, true);
            return Ok(Some(map));
        }
        let is_sparse = said.version.0.is_some() || !said.map.is_empty();
        if !is_sparse || !is_file {
            return Ok(None);
        }
        let mut map = Map { size: said.size.ok_or_else(bad)?, pieces: Vec::new() };
        self.set_size(stored, true);
        match said.version {
            (None | Some(0), None | Some(0 | 1)) => map.push_all(&said.map)?,
            (Some(1), None | Some(0)) => self.read_map(&mut map)?,
            (major, minor) => {
                let (major, minor) = (major.unwrap_or(0), minor.unwrap_or(0));
                return Err(Error::Invalid(format!(
                    "sparse files of version {major}.{minor} are not supported"
                )));
            }
        }
        Ok(Some(map))
    }

    /// The map that stands in the header, and in blocks of its own behind it.
    fn old_map(&mut self, header: &Header) -> Result<Map> {
        let gnu = header.as_gnu().ok_or_else(bad)?;
        let mut map = Map { size: field(gnu.real_size(), "size")?, pieces: Vec::new() };
        take(&mut map, &gnu.sparse)?;
        let mut more = gnu.is_extended();
        while more {
            let mut block = GnuExtSparseHeader::new();
            if !read_block(&mut self.input, block.as_mut_bytes())? {
                return Err(bad());
            }
            self.position += BLOCK as u64;
            take(&mut map, block.sparse())?;
            more = block.is_extended();
        }
        Ok(map)
    }

    /// The map that stands in front of the pieces: decimal numbers, each on a line of its own, in blocks.
    fn read_map(&mut self, map: &mut Map) -> Result<()> {
        let mut lines = Lines { block: [0; BLOCK], at: BLOCK };
        let count = lines.number(self)?;
        for _ in 0..count {
            let (offset, length) = (lines.number(self)?, lines.number(self)?);
            map.push(offset, length)?;
        }
        Ok(())
    }
}

fn take(map: &mut Map, entries: &[GnuSparseHeader]) -> Result<()> {
    for entry in entries.iter().take_while(|entry| !entry.is_empty()) {
        map.push(field(entry.offset(), "offset")?, field(entry.length(), "length")?)?;
    }
    Ok(())
}

/// Lines in blocks.
struct Lines {
    block: [u8; BLOCK],
    at: usize,
}

impl Lines {
    fn number(&mut self, tar: &mut impl Read) -> Result<u64> {
        let mut digits = Vec::with_capacity(NUMBER_BYTES_MAX);
        loop {
            if self.at == BLOCK {
                tar.read_exact(&mut self.block).map_err(|error| match error.kind() {
                    io::ErrorKind::UnexpectedEof => bad(),
                    _ => super::read_error(error),
                })?;
                self.at = 0;
            }
            let byte = self.block[self.at];
            self.at += 1;
            match byte {
                b'\n' => break,
                b'0'..=b'9' if digits.len() < NUMBER_BYTES_MAX => digits.push(byte),
                _ => return Err(bad()),
            }
        }
        std::str::from_utf8(&digits).ok().and_then(|text| text.parse().ok()).ok_or_else(bad)
    }
}
