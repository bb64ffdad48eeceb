//! The files of an archive by name, whether it is a tar or a folder.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::error::IoContext;
use crate::store::files;
use crate::unpack::{self, tarball::Kind, tarball::TarReader};
use crate::{Digest, Error, Result, limits};

/// An opened archive.
pub enum Archive {
    /// A tar, not compressed (any more), and where its files are in it.
    Tar { file: File, places: BTreeMap<String, Place> },
    /// A folder.
    Folder(PathBuf),
}

/// One name in a tar.
pub enum Place {
    /// Bytes from, and how many.
    Content(u64, u64),
    /// Another name for that one.
    Link(String),
}

/// `docker save` once wrote a repeated layer as a link; a link to a link is more than it ever did.
const LINKS_MAX: usize = 4;

impl Archive {
    /// Opens `path`; a compressed tar is decompressed into `scratch`.
    pub fn open(path: &Path, scratch: &Path) -> Result<Self> {
        if path.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        let file = plain_tar(path, scratch)?;
        let places = places(&file)?;
        Ok(Self::Tar { file, places })
    }

    /// Whether there is a file of this name.
    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::Tar { places, .. } => places.contains_key(name),
            Self::Folder(folder) => folder.join(name).is_file(),
        }
    }

    /// The content of a file.
    pub fn reader(&self, name: &str) -> Result<Box<dyn Read + '_>> {
        let missing = || Error::Invalid(format!("the archive lacks {name}"));
        match self {
            Self::Tar { file, places } => {
                let (at, left) = follow(places, name).ok_or_else(missing)?;
                Ok(Box::new(Section { file, at, left }))
            }
            Self::Folder(folder) => match File::open(folder.join(name)) {
                Ok(file) => Ok(Box::new(file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Err(missing()),
                Err(error) => Err(error).context(|| format!("open {}", folder.join(name).display())),
            },
        }
    }

    /// A document of at most `max` bytes.
    pub fn document(&self, name: &str, max: u64) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        self.reader(name)?.take(max + 1).read_to_end(&mut content).context(|| format!("read {name}"))?;
        if content.len() as u64 > max {
            return Err(Error::Limit(format!("{name} is over {max} bytes")));
        }
        Ok(content)
    }

    /// A document that is named by its digest, and is what that says.
    pub fn blob(&self, digest: &Digest, max: u64) -> Result<Vec<u8>> {
        let content = self.document(&blob_name(digest), max)?;
        let found = Digest::of(&content);
        if found == *digest {
            return Ok(content);
        }
        Err(Error::Invalid(format!("{} has digest {found}", blob_name(digest))))
    }
}

/// Opens a tar; a compressed one is decompressed into `scratch` first.
pub fn plain_tar(path: &Path, scratch: &Path) -> Result<File> {
    let file = File::open(path).context(|| format!("open {}", path.display()))?;
    let mut start = [0; 8];
    let n = file.read_at(&mut start, 0).context(|| format!("read {}", path.display()))?;
    if unpack::is_compressed(&start[..n]) { decompressed(&file, scratch) } else { Ok(file) }
}

/// A file from its start, whatever its descriptor's own place is.
pub fn from_start(file: &File) -> impl Read + '_ {
    Section { file, at: 0, left: u64::MAX }
}

/// Where an OCI layout keeps a blob.
pub fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// A part of a file.
struct Section<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let n = self.file.read_at(&mut buffer[..wanted], self.at)?;
        self.at += n as u64;
        self.left -= n as u64;
        Ok(n)
    }
}

/// Decompressed into a file without a name, which goes with its descriptor.
fn decompressed(file: &File, scratch: &Path) -> Result<File> {
    let path = files::unique(scratch, "archive");
    let mut plain = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .context(|| format!("create {}", path.display()))?;
    std::fs::remove_file(&path).context(|| format!("remove {}", path.display()))?;
    let mut input = unpack::decompress(file)?.take(limits::UNPACKED_BYTES_MAX);
    io::copy(&mut input, &mut plain).map_err(unpack::read_error)?;
    if input.limit() == 0 {
        return Err(Error::Limit(format!("the archive is over {} bytes", limits::UNPACKED_BYTES_MAX)));
    }
    Ok(plain)
}

fn places(file: &File) -> Result<BTreeMap<String, Place>> {
    let mut places = BTreeMap::new();
    let mut tar = TarReader::new(BufReader::with_capacity(64 << 10, from_start(file)));
    while let Some(entry) = tar.next_entry()? {
        let Ok(name) = String::from_utf8(entry.path) else { continue };
        let name = name.trim_start_matches("./").to_owned();
        let place = match entry.kind {
            Kind::File(size) => Place::Content(tar.position(), size),
            Kind::Hardlink(target) => Place::Link(String::from_utf8_lossy(&target).into_owned()),
            Kind::Symlink(target) => Place::Link(beside(&name, &String::from_utf8_lossy(&target))),
            _ => continue,
        };
        places.insert(name, place);
    }
    Ok(places)
}

/// What `target` means in a link called `name`.
fn beside(name: &str, target: &str) -> String {
    let mut parts: Vec<&str> = name.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

fn follow(places: &BTreeMap<String, Place>, name: &str) -> Option<(u64, u64)> {
    let mut name = name;
    for _ in 0..LINKS_MAX {
        match places.get(name)? {
            Place::Content(at, size) => return Some((*at, *size)),
            Place::Link(target) => name = target,
        }
    }
    None
}
