//! Counts and hashes what passes, and stops what grows beyond its limits.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use sha2::{Digest as _, Sha256};

use super::allowance::{Allowance, fair};
use super::read_error;
use crate::{Digest, Error, Result, limits};

/// Counts the bytes read from something compressed.
pub struct Counter<'a, R> {
    input: R,
    read: Rc<Cell<u64>>,
    allowance: &'a Allowance,
}

impl<'a, R> Counter<'a, R> {
    /// A counting reader, and its count.
    pub fn new(input: R, allowance: &'a Allowance) -> (Self, Rc<Cell<u64>>) {
        let read = Rc::new(Cell::new(0));
        (Self { input, read: read.clone(), allowance }, read)
    }
}

impl<R: Read> Read for Counter<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(buffer)?;
        self.read.set(self.read.get() + n as u64);
        self.allowance.read(n as u64);
        Ok(n)
    }
}

/// Something decompressed, held to [`limits`] while it is read.
pub struct Bounded<'a> {
    plain: Box<dyn Read + 'a>,
    packed: Rc<Cell<u64>>,
    unpacked: u64,
    allowance: &'a Allowance,
    /// For messages.
    what: &'static str,
}

impl<'a> Bounded<'a> {
    /// Measures `plain`, for which `packed` bytes have been read so far.
    pub fn new(
        plain: Box<dyn Read + 'a>,
        packed: Rc<Cell<u64>>,
        allowance: &'a Allowance,
        what: &'static str,
    ) -> Self {
        Self { plain, packed, unpacked: 0, allowance, what }
    }
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.plain.read(buffer)?;
        self.unpacked += n as u64;
        if let Some(limit) = passed_limit(self.packed.get(), self.unpacked) {
            return Err(io::Error::other(Error::Limit(format!("{} unpacks to {limit}", self.what))));
        }
        self.allowance.unpacked(n as u64).map_err(io::Error::other)?;
        Ok(n)
    }
}

/// The uncompressed layer: bounded, and hashed.
pub struct Measured<'a> {
    plain: Bounded<'a>,
    hash: Sha256,
}

impl<'a> Measured<'a> {
    /// Hashes what is read of `plain`.
    pub fn new(plain: Bounded<'a>) -> Self {
        Self { plain, hash: Sha256::new() }
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
        self.hash.update(&buffer[..n]);
        Ok(n)
    }
}

/// The limit that is passed when `packed` bytes have become `unpacked` bytes.
fn passed_limit(packed: u64, unpacked: u64) -> Option<String> {
    if unpacked > limits::UNPACKED_BYTES_MAX {
        return Some(format!("more than {} bytes", limits::UNPACKED_BYTES_MAX));
    }
    (unpacked > fair(packed)).then(|| format!("more than {} times its size", limits::EXPANSION_RATIO_MAX))
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

    #[test]
    fn what_comes_together_is_measured_together() {
        let dir = tempfile::tempdir().expect("a folder");
        let free = limits::EXPANSION_FREE_BYTES;
        // Ten layers, each within its own limit.
        let by_reading = Allowance::by_reading(dir.path());
        let layer = |allowance: &Allowance| {
            allowance.read(1000);
            allowance.unpacked(free)
        };
        assert!(layer(&by_reading).is_ok());
        assert!((0..9).any(|_| layer(&by_reading).is_err()));
        // The same part of an archive, read again and again.
        let by_size = Allowance::by_size(dir.path(), 1000);
        assert!((0..10).any(|_| layer(&by_size).is_err()));
        // Little to read, and much to store.
        let many = Allowance::by_reading(dir.path());
        assert!((0..free / 4096).all(|_| many.take(4096).is_ok()));
        assert!(many.take(4096).is_err());
    }
}
