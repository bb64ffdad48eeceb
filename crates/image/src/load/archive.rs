//! The files of an archive by name, whether it is a tar or a folder.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

use crate::error::IoContext;
use crate::progress::{Listener, Tracker};
use crate::store::files;
use crate::unpack::allowance::{Allowance, Room};
use crate::unpack::tarball::{Kind, Piece, TarReader};
use crate::{Digest, Error, Result, limits, unpack};

/// An opened archive.
pub struct Archive {
    form: Form,
    /// Bytes of documents that were read so far.
    documents: Cell<u64>,
}

enum Form {
    /// A tar, not compressed (any more), where its files are in it, and the size of what was given.
    Tar { file: File, places: BTreeMap<String, Place>, bytes: u64 },
    /// A folder.
    Folder(PathBuf),
}

/// One name in a tar.
enum Place {
    /// A file.
    Content(Content),
    /// Another name for that one.
    Link(String),
}

/// A file in a tar: the pieces that the tar has, one after another from `at`; the rest is holes.
struct Content {
    at: u64,
    size: u64,
    pieces: Vec<Piece>,
}

/// `docker save` once wrote a repeated layer as a link; a link to a link is more than it ever did.
const LINKS_MAX: usize = 4;
const BUFFER_BYTES: usize = 128 << 10;

impl Archive {
    /// Opens `path`; a compressed tar is decompressed into `scratch`.
    pub fn open(path: &Path, scratch: &Path, listener: &Option<Listener>) -> Result<Self> {
        let form = if path.is_dir() {
            Form::Folder(path.to_owned())
        } else {
            let (file, bytes) = plain_tar(path, scratch, listener)?;
            let places = places(&file)?;
            Form::Tar { file, places, bytes }
        };
        Ok(Self { form, documents: Cell::new(0) })
    }

    /// What its layers may become, on the disk of `dir`.
    pub fn allowance(&self, dir: &Path) -> Allowance {
        match &self.form {
            Form::Tar { bytes, .. } => Allowance::by_size(dir, *bytes),
            Form::Folder(_) => Allowance::by_reading(dir),
        }
    }

    /// Whether there is a file of this name.
    pub fn has(&self, name: &str) -> bool {
        match &self.form {
            Form::Tar { places, .. } => places.contains_key(name),
            Form::Folder(folder) => folder.join(name).is_file(),
        }
    }

    /// How long a file is, as far as that is known.
    pub fn size(&self, name: &str) -> u64 {
        match &self.form {
            Form::Tar { places, .. } => follow(places, name).map_or(0, |content| content.size),
            Form::Folder(folder) => folder.join(name).metadata().map_or(0, |metadata| metadata.len()),
        }
    }

    /// The content of a file.
    pub fn reader(&self, name: &str) -> Result<Box<dyn Read + '_>> {
        let missing = || Error::Invalid(format!("the archive lacks {name}"));
        match &self.form {
            Form::Tar { file, places, .. } => {
                let content = follow(places, name).ok_or_else(missing)?;
                Ok(Box::new(Section { file, content, read: 0, piece: 0, piece_at: content.at }))
            }
            Form::Folder(folder) => {
                let path = folder.join(name);
                // A name of the archive leads into the archive, and to what can be read to its end.
                let is_inside = Path::new(name).components().all(|c| matches!(c, Component::Normal(_)));
                if !is_inside || !path.is_file() {
                    return Err(missing());
                }
                Ok(Box::new(File::open(&path).context(|| format!("open {}", path.display()))?))
            }
        }
    }

    /// A document of at most `max` bytes.
    pub fn document(&self, name: &str, max: u64) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        self.reader(name)?.take(max + 1).read_to_end(&mut content).context(|| format!("read {name}"))?;
        if content.len() as u64 > max {
            return Err(Error::Limit(format!("{name} is over {max} bytes")));
        }
        // The same document may be asked for a thousand times, and each answer is kept for a while.
        self.documents.set(self.documents.get() + content.len() as u64);
        if self.documents.get() > limits::ARCHIVE_DOCUMENTS_BYTES_MAX {
            return Err(Error::Limit(format!(
                "the archive's manifests and configurations have more than {} bytes",
                limits::ARCHIVE_DOCUMENTS_BYTES_MAX
            )));
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

/// Opens a tar, and says its size; a compressed one is decompressed into `scratch` first.
pub fn plain_tar(path: &Path, scratch: &Path, listener: &Option<Listener>) -> Result<(File, u64)> {
    let file = File::open(path).context(|| format!("open {}", path.display()))?;
    let read = || format!("read {}", path.display());
    let bytes = file.metadata().context(read)?.len();
    let mut start = [0; 8];
    let n = file.read_at(&mut start, 0).context(read)?;
    if !unpack::is_compressed(&start[..n]) {
        return Ok((file, bytes));
    }
    let tracker = Tracker::of_archive(bytes, listener.clone()).layer(0);
    Ok((decompressed(tracker.reading(file), bytes, scratch)?, bytes))
}

/// A file from its start, whatever its descriptor's own place is.
pub fn from_start(file: &File) -> impl Read + '_ {
    Whole { file, at: 0 }
}

/// Where an OCI layout keeps a blob.
pub fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

struct Whole<'a> {
    file: &'a File,
    at: u64,
}

impl Read for Whole<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buffer, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

/// A file of a tar; its holes read as zeros.
struct Section<'a> {
    file: &'a File,
    content: &'a Content,
    /// How much of the file was read.
    read: u64,
    /// The piece that comes next, and where the tar has it.
    piece: usize,
    piece_at: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Content { size, pieces, .. } = self.content;
        while let Some(piece) = pieces.get(self.piece).filter(|p| self.read >= p.offset + p.length) {
            (self.piece, self.piece_at) = (self.piece + 1, self.piece_at + piece.length);
        }
        let piece = pieces.get(self.piece);
        let (end, place) = match piece {
            Some(piece) if self.read >= piece.offset => {
                (piece.offset + piece.length, Some(self.piece_at + (self.read - piece.offset)))
            }
            Some(piece) => (piece.offset, None),
            None => (*size, None),
        };
        let wanted = buffer.len().min(usize::try_from(end - self.read).unwrap_or(usize::MAX));
        let n = match place {
            Some(place) => self.file.read_at(&mut buffer[..wanted], place)?,
            None => {
                buffer[..wanted].fill(0);
                wanted
            }
        };
        self.read += n as u64;
        Ok(n)
    }
}

/// Decompressed into a file without a name, which goes with its descriptor.
fn decompressed(file: impl Read, bytes: u64, scratch: &Path) -> Result<File> {
    let path = files::unique(scratch, "archive");
    let mut plain = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .context(|| format!("create {}", path.display()))?;
    std::fs::remove_file(&path).context(|| format!("remove {}", path.display()))?;
    let allowance = Allowance::by_size(scratch, bytes);
    let mut input = unpack::decompress(file, &allowance)?;
    let room = Room::of(scratch);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let n = match input.read(&mut buffer) {
            Ok(0) => return Ok(plain),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unpack::read_error(error)),
        };
        room.take(n as u64)?;
        plain.write_all(&buffer[..n]).context(|| format!("write {}", path.display()))?;
    }
}

fn places(file: &File) -> Result<BTreeMap<String, Place>> {
    let mut places = BTreeMap::new();
    let mut names_bytes = 0;
    let mut pieces_count = 0;
    let mut tar = TarReader::new(BufReader::with_capacity(64 << 10, from_start(file)));
    while let Some(entry) = tar.next_entry()? {
        let Ok(name) = String::from_utf8(entry.path) else { continue };
        let name = name.trim_start_matches("./").to_owned();
        names_bytes += name.len();
        let place = match entry.kind {
            Kind::File(size) => {
                let pieces = entry.pieces.unwrap_or_else(|| vec![Piece { offset: 0, length: size }]);
                pieces_count += pieces.len();
                Place::Content(Content { at: tar.position(), size, pieces })
            }
            Kind::Hardlink(target) => Place::Link(String::from_utf8_lossy(&target).into_owned()),
            Kind::Symlink(target) => Place::Link(beside(&name, &String::from_utf8_lossy(&target))),
            _ => continue,
        };
        if let Place::Link(target) = &place {
            names_bytes += target.len();
        }
        places.insert(name, place);
        if places.len() > limits::ARCHIVE_FILES_MAX
            || names_bytes > limits::ARCHIVE_NAMES_BYTES_MAX
            || pieces_count > limits::SPARSE_PIECES_MAX
        {
            return Err(Error::Limit("the archive has more files, or longer names, than any image".into()));
        }
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

fn follow<'a>(places: &'a BTreeMap<String, Place>, name: &str) -> Option<&'a Content> {
    let mut name = name;
    for _ in 0..LINKS_MAX {
        match places.get(name)? {
            Place::Content(content) => return Some(content),
            Place::Link(target) => name = target,
        }
    }
    None
}
