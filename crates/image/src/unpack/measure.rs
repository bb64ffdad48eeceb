//! Counts and hashes what passes, and stops what grows beyond its limits.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use sha2::{Digest as _, Sha256};

use super::read_error;
use crate::{Digest, Error, Result, limits};

/// Counts the bytes read from a compressed layer.
pub struct Counter<R> {
    input: R,
    read: Rc<Cell<u64>>,
}

impl<R> Counter<R> {
    /// A counting reader, and its count.
    pub fn new(input: R) -> (Self, Rc<Cell<u64>>) {
        let read = Rc::new(Cell::new(0));
        (Self { input, read: read.clone() }, read)
    }
}

impl<R: Read> Read for Counter<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(buffer)?;
        self.read.set(self.read.get() + n as u64);
        Ok(n)
    }
}

/// The uncompressed layer: hashed, and held to [`limits`] while it is read.
pub struct Measured<'a> {
    plain: Box<dyn Read + 'a>,
    packed: Rc<Cell<u64>>,
    unpacked: u64,
    hash: Sha256,
}

impl<'a> Measured<'a> {
    /// Measures `plain`, for which `packed` bytes have been read so far.
    pub fn new(plain: Box<dyn Read + 'a>, packed: Rc<Cell<u64>>) -> Self {
        Self { plain, packed, unpacked: 0, hash: Sha256::new() }
    }

    /// Reads on to the end (the digest covers what follows a tar's last entry, too).
    pub fn finish(mut self) -> Result<Digest> {
        let mut buffer = vec![0; 64 << 10];
        while self.read(&mut buffer).map_err(read_error)? > 0 {}
        Ok(Digest::finish(self.hash))
    }
}

impl Read for Measured<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.plain.read(buffer)?;
        self.unpacked += n as u64;
        if let Some(limit) = passed_limit(self.packed.get(), self.unpacked) {
            return Err(io::Error::other(Error::Limit(limit)));
        }
        self.hash.update(&buffer[..n]);
        Ok(n)
    }
}

/// The limit that is passed when `packed` bytes have become `unpacked` bytes.
fn passed_limit(packed: u64, unpacked: u64) -> Option<String> {
    if unpacked > limits::UNPACKED_BYTES_MAX {
        return Some(format!("a layer unpacks to more than {} bytes", limits::UNPACKED_BYTES_MAX));
    }
    let fair =
        limits::EXPANSION_FREE_BYTES.saturating_add(packed.saturating_mul(limits::EXPANSION_RATIO_MAX));
    (unpacked > fair)
        .then(|| format!("a layer unpacks to more than {} times its size", limits::EXPANSION_RATIO_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_where_they_say() {
        let free = limits::EXPANSION_FREE_BYTES;
        for (packed, unpacked, passed) in [
            (0, free, false),
            (0, free + 1, true),
            (1000, free + 1000 * limits::EXPANSION_RATIO_MAX, false),
            (1000, free + 1000 * limits::EXPANSION_RATIO_MAX + 1, true),
            (u64::MAX, limits::UNPACKED_BYTES_MAX, false),
            (u64::MAX, limits::UNPACKED_BYTES_MAX + 1, true),
        ] {
            assert_eq!(passed_limit(packed, unpacked).is_some(), passed, "{packed} to {unpacked}");
        }
    }
}
