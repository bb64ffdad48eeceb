//! Reads tar entries: ustar, GNU long names and numbers, PAX records.
//!
//! The `tar` crate decodes header fields. Walking the entries is done here, because that crate reads
//! long names without a limit and splits PAX records at newlines, which breaks binary values such as
//! file capabilities. Where tars differ in reading, this follows Go's reader, since builders check their
//! images with Docker and containerd.

use std::io::{self, Read};

use tar::{EntryType, Header};

use super::read_error;
use crate::{Error, Result, limits};

mod pax;
mod sparse;

pub use sparse::Piece;

const BLOCK: usize = 512;

/// One entry, long names and PAX records applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// As written: may be absolute, may hold `.` and `..`.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits, setuid and its like included.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds and nanoseconds since 1970.
    pub mtime: (i64, u32),
    /// Names and values.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Of a sparse file, what the tar has of it, in order; the rest is holes.
    pub pieces: Option<Vec<Piece>>,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A file of this many bytes; they, or its pieces, are read from the reader next.
    File(u64),
    Directory,
    Symlink(Vec<u8>),
    /// Another name for an entry before it.
    Hardlink(Vec<u8>),
    CharDevice(u32, u32),
    BlockDevice(u32, u32),
    Fifo,
}

/// Reads entry after entry; reading from it reads the current file's content.
pub struct TarReader<R> {
    input: R,
    /// Bytes of the current entry that are still to be read.
    remaining: u64,
    /// Bytes that fill up its last block.
    padding: u64,
    entries: u64,
    position: u64,
}

/// What extension headers said of the entry that follows them.
#[derive(Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    pax: pax::Records,
}

impl<R: Read> TarReader<R> {
    /// Reads from the start of a tar.
    pub fn new(input: R) -> Self {
        Self { input, remaining: 0, padding: 0, entries: 0, position: 0 }
    }

    /// The next entry; what is left of the current one is skipped.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        let mut extensions = Extensions::default();
        loop {
            let Some(header) = self.next_header()? else { return Ok(None) };
            let kind = header.entry_type();
            if kind.is_gnu_longname() {
                extensions.path = Some(self.read_long_name(&header)?);
            } else if kind.is_gnu_longlink() {
                extensions.link = Some(self.read_long_name(&header)?);
            } else if kind.is_pax_local_extensions() {
                let content = self.read_extension(&header)?;
                extensions.pax = pax::Records::parse(&content)?;
            } else if kind.is_pax_global_extensions() {
                self.set_size(field(header.entry_size(), "size")?, true);
            } else {
                return self.entry(&header, extensions).map(Some);
            }
        }
    }

    /// How far the tar has been read, in bytes: after [`Self::next_entry`], where the content starts.
    pub fn position(&self) -> u64 {
        self.position
    }

    fn next_header(&mut self) -> Result<Option<Header>> {
        self.skip_rest()?;
        self.entries += 1;
        if self.entries > limits::ENTRIES_MAX {
            return Err(Error::Limit(format!("a layer has more than {} entries", limits::ENTRIES_MAX)));
        }
        let mut header = Header::new_old();
        if !read_block(&mut self.input, header.as_mut_bytes())? {
            return Ok(None);
        }
        self.position += BLOCK as u64;
        // A block of zeros ends the archive; like Go, do not ask for the second one.
        if header.as_bytes().iter().all(|&b| b == 0) {
            return Ok(None);
        }
        check_sum(&header)?;
        Ok(Some(header))
    }

    fn entry(&mut self, header: &Header, extensions: Extensions) -> Result<Entry> {
        let Extensions { path, link, pax } = extensions;
        let path = pax.sparse.name.clone().or(pax.path).or(path);
        let path = path.unwrap_or_else(|| header.path_bytes().into_owned());
        let link = pax.link.or(link).or_else(|| header.link_name_bytes().map(|l| l.into_owned()));
        let size = match pax.size {
            Some(size) => size,
            None => field(header.entry_size(), "size")?,
        };
        let mut kind = kind_of(header, &path, link, size)?;
        let map = self.sparse_map(header, pax.sparse, matches!(kind, Kind::File(_)), size)?;
        let pieces = match map {
            None => {
                self.set_size(size, matches!(kind, Kind::File(_)));
                None
            }
            Some(map) => {
                map.check(self.remaining)?;
                kind = Kind::File(map.size);
                Some(map.pieces)
            }
        };
        Ok(Entry {
            mode: field(header.mode(), "mode")? & 0o7777,
            uid: owner(pax.uid, header.uid(), "uid")?,
            gid: owner(pax.gid, header.gid(), "gid")?,
            mtime: pax.mtime.unwrap_or((header.mtime().unwrap_or(0).try_into().unwrap_or(0), 0)),
            xattrs: pax.xattrs,
            pieces,
            path,
            kind,
        })
    }

    /// Only some kinds of entries have content, whatever their size field says.
    fn set_size(&mut self, size: u64, has_content: bool) {
        self.remaining = if has_content { size } else { 0 };
        let end = self.remaining.checked_next_multiple_of(BLOCK as u64);
        self.padding = end.map_or(0, |end| end - self.remaining);
    }

    fn read_long_name(&mut self, header: &Header) -> Result<Vec<u8>> {
        let mut name = self.read_extension(header)?;
        let end = name.iter().position(|&b| b == 0).unwrap_or(name.len());
        name.truncate(end);
        Ok(name)
    }

    fn read_extension(&mut self, header: &Header) -> Result<Vec<u8>> {
        let size = field(header.entry_size(), "size")?;
        if size > limits::TAR_EXTENSION_BYTES_MAX {
            return Err(Error::Limit(format!("a tar header extension has {size} bytes")));
        }
        self.set_size(size, true);
        let mut content = vec![0; size as usize];
        self.read_exact(&mut content).map_err(read_error)?;
        Ok(content)
    }

    fn skip_rest(&mut self) -> Result<()> {
        let mut rest = (&mut self.input).take(self.remaining.saturating_add(self.padding));
        self.position += io::copy(&mut rest, &mut io::sink()).map_err(read_error)?;
        // A tar that ends inside its last padding is whole; one that ends inside a file is not.
        if rest.limit() > self.padding {
            return Err(Error::invalid("the layer is damaged: its tar ends inside a file"));
        }
        (self.remaining, self.padding) = (0, 0);
        Ok(())
    }
}

impl<R: Read> Read for TarReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.remaining).unwrap_or(usize::MAX));
        let n = self.input.read(&mut buffer[..wanted])?;
        self.remaining -= n as u64;
        self.position += n as u64;
        Ok(n)
    }
}

fn kind_of(header: &Header, path: &[u8], link: Option<Vec<u8>>, size: u64) -> Result<Kind> {
    let link = || {
        link.filter(|l| !l.is_empty())
            .ok_or_else(|| Error::Invalid(format!("the link {} leads nowhere", lossy(path))))
    };
    Ok(match header.entry_type() {
        // Old tars mark folders by a slash alone.
        EntryType::Regular | EntryType::Continuous if path.ends_with(b"/") => Kind::Directory,
        EntryType::Regular | EntryType::Continuous => Kind::File(size),
        EntryType::Directory => Kind::Directory,
        EntryType::Symlink => Kind::Symlink(link()?),
        EntryType::Link => Kind::Hardlink(link()?),
        EntryType::Fifo => Kind::Fifo,
        EntryType::Char => device(header).map(|(major, minor)| Kind::CharDevice(major, minor))?,
        EntryType::Block => device(header).map(|(major, minor)| Kind::BlockDevice(major, minor))?,
        EntryType::GNUSparse => Kind::File(size),
        other => {
            let byte = other.as_byte();
            return Err(Error::Invalid(format!("{} is a tar entry of unknown type {byte:#x}", lossy(path))));
        }
    })
}

fn device(header: &Header) -> Result<(u32, u32)> {
    let major = field(header.device_major(), "device major")?.unwrap_or(0);
    let minor = field(header.device_minor(), "device minor")?.unwrap_or(0);
    Ok((major, minor))
}

fn owner(pax: Option<u64>, header: io::Result<u64>, what: &str) -> Result<u32> {
    let id = match pax {
        Some(id) => id,
        None => field(header, what)?,
    };
    // The largest id means "leave as it is" to chown.
    u32::try_from(id)
        .ok()
        .filter(|&id| id != u32::MAX)
        .ok_or_else(|| Error::Invalid(format!("a tar header has {what} {id}")))
}

fn field<T>(value: io::Result<T>, what: &str) -> Result<T> {
    value.map_err(|error| Error::Invalid(format!("a tar header has a bad {what}: {error}")))
}

/// Reads a block; false at the end of the input.
fn read_block(input: &mut impl Read, block: &mut [u8; BLOCK]) -> Result<bool> {
    let mut filled = 0;
    while filled < BLOCK {
        match input.read(&mut block[filled..]) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(Error::invalid("the layer is damaged: its tar ends inside a header")),
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(read_error(error)),
        }
    }
    Ok(true)
}

/// The sum of the header's bytes, with its own field as blanks; old tars summed signed bytes.
fn check_sum(header: &Header) -> Result<()> {
    let stated = field(header.cksum(), "checksum")?;
    let bytes = header.as_bytes().iter().enumerate();
    let blanked = bytes.map(|(i, &b)| if (148..156).contains(&i) { b' ' } else { b });
    let (unsigned, signed) =
        blanked.fold((0_u32, 0_i32), |(u, s), b| (u + u32::from(b), s + i32::from(b as i8)));
    if stated == unsigned || i64::from(stated) == i64::from(signed) {
        return Ok(());
    }
    Err(Error::invalid("the layer is damaged: a tar header has a wrong checksum"))
}

/// A path for messages.
pub fn lossy(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
