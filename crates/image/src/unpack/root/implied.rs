//! Folders that a tar implies without describing them.
//!
//! In an overlay the topmost folder's owner and mode show. A layer with `tmp/x` but no entry for `tmp`
//! must not turn `tmp` into root's own: it gets the looks of the layer below that has it.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{CWD, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::Errno;

use super::{Place, Root, chmod, host_error, open_beneath, set_time};
use crate::Result;

impl Root {
    /// Gives each implied folder the looks that it has in `below`, top first.
    pub(super) fn describe_implied(&mut self, below: &[PathBuf]) -> Result<()> {
        if self.implied.is_empty() || below.is_empty() {
            return Ok(());
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut layers = Vec::with_capacity(below.len());
        for layer in below {
            let dir = rustix::fs::openat(CWD, layer, flags, Mode::empty());
            layers.push(dir.map_err(|errno| host_error(errno, layer.as_os_str().as_encoded_bytes()))?);
        }
        for path in std::mem::take(&mut self.implied) {
            let Some(place) = self.find(&path)? else { continue };
            if let Some(like) = find_below(&layers, &path)? {
                copy_looks(&like, &place)?;
            }
        }
        Ok(())
    }

    /// Forgets what was implied under a folder that is being removed.
    pub(super) fn forget_implied(&mut self, path: &[u8]) {
        let inside = [path, b"/"].concat();
        self.implied.retain(|implied| implied != path && !implied.starts_with(&inside));
    }
}

/// The folder that shows at `path` from the layers below.
fn find_below(layers: &[OwnedFd], path: &[u8]) -> Result<Option<rustix::fs::Stat>> {
    for layer in layers {
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        match open_beneath(layer.as_fd(), path, how) {
            Ok(dir) => return rustix::fs::fstat(&dir).map(Some).map_err(|errno| host_error(errno, path)),
            Err(Errno::NOENT) => {}
            // Something else stands there, or on the way, and hides what is under it.
            Err(Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(errno) => return Err(host_error(errno, path)),
        }
    }
    Ok(None)
}

fn copy_looks(like: &rustix::fs::Stat, place: &Place) -> Result<()> {
    let (uid, gid) = (Some(Uid::from_raw(like.st_uid)), Some(Gid::from_raw(like.st_gid)));
    rustix::fs::chownat(&place.dir, place.name.as_slice(), uid, gid, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
        .and_then(|()| chmod(place, like.st_mode & 0o7777))
        .map_err(|errno| host_error(errno, &place.path))?;
    set_time(place, (like.st_mtime, u32::try_from(like.st_mtime_nsec).unwrap_or(0)))
}
