//! Folders that a tar implies without describing them.
//!
//! In an overlay the topmost folder's owner and mode show. A layer with `tmp/x` but no entry for `tmp`
//! must not turn `tmp` into root's own: it gets the looks of the layer below that has it.

use rustix::fs::{FileType, Gid, Stat, Uid};

use super::lower::Shown;
use super::{Place, Root, chmod, host_error, set_time};
use crate::Result;

impl Root<'_> {
    /// Gives each implied folder the looks that it has below.
    pub(super) fn describe_implied(&mut self) -> Result<()> {
        for path in std::mem::take(&mut self.implied) {
            let Some(place) = self.find(&path)? else { continue };
            if let Shown::There { stat, .. } = self.below.shown(&path)?
                && FileType::from_raw_mode(stat.st_mode) == FileType::Directory
            {
                copy_looks(&stat, &place)?;
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

fn copy_looks(like: &Stat, place: &Place) -> Result<()> {
    let (uid, gid) = (Some(Uid::from_raw(like.st_uid)), Some(Gid::from_raw(like.st_gid)));
    rustix::fs::chownat(&place.dir, place.name.as_slice(), uid, gid, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
        .and_then(|()| chmod(place, like.st_mode & 0o7777))
        .map_err(|errno| host_error(errno, &place.path))?;
    set_time(place, (like.st_mtime, u32::try_from(like.st_mtime_nsec).unwrap_or(0)))
}
