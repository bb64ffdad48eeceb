//! Layers from the registry to a file: resumed, hashed on the way, and each downloaded by one at a time.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use reqwest::header::CONTENT_RANGE;
use reqwest::{Response, StatusCode};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::client::Client;
use super::{Missing, in_background, words};
use crate::error::IoContext;
use crate::limits::Patience;
use crate::manifest::Descriptor;
use crate::progress::LayerTracker;
use crate::store::lock::{FileLock, KeyLock};
use crate::unpack::allowance::Room;
use crate::{Digest, Error, Kind, Result, Store, limits};

/// Bytes that are gathered before a thread writes them.
const BATCH_BYTES: usize = 512 << 10;

/// A file that grows towards a blob. It keeps the locks: a write that is under way when the pull is
/// dropped ends before anybody else touches the file.
struct Partial {
    file: File,
    path: PathBuf,
    hash: Sha256,
    length: u64,
    _locks: Locks,
}

/// The blob's own lock, and the store's against the sweep.
type Locks = (KeyLock, Arc<FileLock>);

impl Store {
    /// The file of a layer's blob, whole and checked; none when the layer was unpacked meanwhile.
    pub(super) async fn download(
        &self,
        client: &Client,
        Missing { blob, chain }: &Missing,
        activity: Arc<FileLock>,
        tracker: &LayerTracker,
    ) -> Result<Option<File>> {
        let lock = KeyLock::acquire(self.lock_path("download", &blob.digest)).await?;
        if self.layer(chain)?.is_some() {
            tracker.received(blob.size);
            return Ok(None);
        }
        let whole = self.download_path(&blob.digest);
        if let Ok(file) = File::open(&whole) {
            tracker.received(blob.size);
            return Ok(Some(file));
        }
        let mut partial =
            in_background(move || Partial::open(whole.with_extension("part"), (lock, activity))).await?;
        if partial.length > blob.size {
            partial = in_background(move || partial.restarted()).await?;
        }
        tracker.received(partial.length);
        Room::of(&self.path("downloads")).look(blob.size - partial.length)?;
        partial = fill(client, blob, partial, tracker).await?;
        let (digest, whole) = (blob.digest.clone(), self.download_path(&blob.digest));
        in_background(move || partial.finish(&digest, &whole)).await.map(Some)
    }

    /// Removes a blob that is unpacked.
    pub(super) fn forget_download(&self, blob: &Digest) -> Result<()> {
        let path = self.download_path(blob);
        if !path.exists() {
            return Ok(());
        }
        let _lock = KeyLock::acquire_blocking(self.lock_path("download", blob))?;
        let _ = std::fs::remove_file(path);
        Ok(())
    }
}

/// Downloads what `partial` lacks of `blob`, from as many answers as it takes.
async fn fill(
    client: &Client,
    blob: &Descriptor,
    mut partial: Partial,
    tracker: &LayerTracker,
) -> Result<Partial> {
    let mut tries = client.tries();
    // How far it was when the tries were last counted from the first.
    let mut counted = partial.length;
    while partial.length < blob.size {
        let failure = match client.blob_from(&blob.digest, partial.length).await {
            Ok(response) => {
                let pace = Pace::new(client.patience());
                let failure;
                (partial, failure) = take(response, blob, partial, pace, tracker).await?;
                if partial.length >= counted.saturating_add(limits::TRY_BYTES) {
                    counted = partial.length;
                    tries.reset();
                }
                failure
            }
            Err(error) => Some(error),
        };
        match failure {
            Some(error) if error.kind() == Kind::Network => tries.wait(error).await?,
            Some(error) => return Err(error),
            None if partial.length < blob.size => tries.wait(cut_short(blob, &partial)).await?,
            None => {}
        }
    }
    Ok(partial)
}

/// Whether a layer advances: every so often it must have, by so much.
struct Pace<'a> {
    patience: &'a Patience,
    deadline: Instant,
    bytes: u64,
}

impl<'a> Pace<'a> {
    fn new(patience: &'a Patience) -> Self {
        Self { patience, deadline: Instant::now() + patience.advance, bytes: 0 }
    }

    fn advanced(&mut self, bytes: u64) {
        self.bytes += bytes;
        if self.bytes >= self.patience.advance_bytes {
            *self = Self::new(self.patience);
        }
    }

    fn too_slow(&self, blob: &Descriptor) -> Error {
        let (bytes, wait) = (self.bytes, self.patience.advance);
        Error::Network(format!("the registry is too slow: {bytes} bytes of {} in {wait:?}", blob.digest))
    }
}

fn cut_short(blob: &Descriptor, partial: &Partial) -> Error {
    Error::Network(format!("{} broke off after {} of {} bytes", blob.digest, partial.length, blob.size))
}

/// Adds one answer to `partial`. What the network broke off is returned beside what had arrived.
async fn take(
    response: Response,
    blob: &Descriptor,
    mut partial: Partial,
    mut pace: Pace<'_>,
    tracker: &LayerTracker,
) -> Result<(Partial, Option<Error>)> {
    if !continues(&response, partial.length) {
        tracker.lost(partial.length);
        partial = in_background(move || partial.restarted()).await?;
        if response.status() != StatusCode::OK {
            return Ok((partial, Some(Error::Network("the registry refuses to resume a layer".into()))));
        }
    }
    let mut chunks = response.bytes_stream();
    let (mut batch, mut gathered) = (Vec::new(), 0);
    let mut failure = None;
    loop {
        match tokio::time::timeout_at(pace.deadline, chunks.next()).await {
            Err(_) => failure = Some(pace.too_slow(blob)),
            Ok(Some(Ok(chunk))) => {
                pace.advanced(chunk.len() as u64);
                gathered += chunk.len();
                batch.push(chunk);
                if partial.length + gathered as u64 > blob.size {
                    return Err(Error::Invalid(format!("{} is longer than its manifest says", blob.digest)));
                }
                if gathered < BATCH_BYTES {
                    continue;
                }
            }
            Ok(Some(Err(error))) => failure = Some(words::unreachable(&error)),
            Ok(None) => {}
        }
        let ended = gathered < BATCH_BYTES;
        let write = std::mem::take(&mut batch);
        let since = Instant::now();
        partial = in_background(move || partial.append(&write)).await?;
        // While its bytes are written, it is not the registry that is waited for.
        pace.deadline += since.elapsed();
        tracker.received(gathered as u64);
        gathered = 0;
        if ended {
            return Ok((partial, failure));
        }
    }
}

/// Whether an answer goes on at `offset`. A registry may ignore the question and send all.
fn continues(response: &Response, offset: u64) -> bool {
    match response.status() {
        StatusCode::OK => offset == 0,
        StatusCode::PARTIAL_CONTENT => {
            let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
            range.and_then(range_start) == Some(offset)
        }
        _ => false,
    }
}

/// The first byte of `bytes 5-9/10`.
fn range_start(range: &str) -> Option<u64> {
    range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

impl Partial {
    /// Opens the file and hashes what an earlier pull has left in it.
    fn open(path: PathBuf, locks: Locks) -> Result<Self> {
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .context(|| format!("open {}", path.display()))?;
        let mut hash = Sha256::new();
        let mut length = 0;
        let mut buffer = vec![0; 128 << 10];
        loop {
            match file.read(&mut buffer).context(|| format!("read {}", path.display()))? {
                0 => return Ok(Self { file, path, hash, length, _locks: locks }),
                n => {
                    hash.update(&buffer[..n]);
                    length += n as u64;
                }
            }
        }
    }

    fn append(mut self, chunks: &[Bytes]) -> Result<Self> {
        for chunk in chunks {
            self.file.write_all(chunk).context(|| format!("write {}", self.path.display()))?;
            self.hash.update(chunk);
            self.length += chunk.len() as u64;
        }
        Ok(self)
    }

    fn restarted(mut self) -> Result<Self> {
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .context(|| format!("empty {}", self.path.display()))?;
        (self.hash, self.length) = (Sha256::new(), 0);
        Ok(self)
    }

    /// Checks the digest and gives the file its final name: a file of that name is whole, and on disk.
    fn finish(mut self, digest: &Digest, whole: &Path) -> Result<File> {
        let found = Digest::finish(std::mem::take(&mut self.hash));
        if found != *digest {
            let _ = std::fs::remove_file(&self.path);
            return Err(Error::Invalid(format!("filesystem layer verification failed for digest {digest}")));
        }
        self.file.sync_data().context(|| format!("sync {}", self.path.display()))?;
        std::fs::rename(&self.path, whole).context(|| format!("rename to {}", whole.display()))?;
        self.file.rewind().context(|| format!("rewind {}", whole.display()))?;
        self.file.try_clone().context(|| format!("use {}", whole.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        for (text, start) in
            [("bytes 5-9/10", Some(5)), ("bytes 0-0/*", Some(0)), ("bytes */10", None), ("", None)]
        {
            assert_eq!(range_start(text), start, "{text}");
        }
    }
}
