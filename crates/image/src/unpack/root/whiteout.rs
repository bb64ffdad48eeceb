//! What a layer removes from those below it: OCI's whiteout files become overlayfs's own marks.

use std::os::fd::AsFd;

use rustix::fs::{FileType, Mode, XattrFlags};

use super::{Place, Root, host_error, open_for_reading, path, stat};
use crate::unpack::tarball::lossy;
use crate::{Error, Result};

/// Names with this start are marks, not files.
pub const PREFIX: &[u8] = b".wh.";
/// After [`PREFIX`]: all that is below in this folder is removed.
const OPAQUE: &[u8] = b".wh..opq";
/// After [`PREFIX`]: other marks of aufs, which say nothing to anybody else.
const OTHER: &[u8] = b".wh.";
const OPAQUE_XATTR: &str = "trusted.overlay.opaque";

impl Root<'_> {
    /// Carries out the whiteout at `place`, whose name after [`PREFIX`] is `hidden`.
    ///
    /// A whiteout is about lower layers only: what this layer itself has under the hidden name stays,
    /// whichever of the two comes first.
    pub(super) fn white_out(&mut self, place: &Place, hidden: &[u8]) -> Result<()> {
        if hidden == OPAQUE {
            return self.make_parent_opaque(place);
        }
        if hidden.starts_with(OTHER) {
            return Ok(());
        }
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(Error::Invalid(format!("{} is no whiteout of a file", lossy(&place.path))));
        }
        let (parent, _) = path::split(&place.path);
        let path = if parent.is_empty() { hidden.to_vec() } else { [parent, b"/", hidden].concat() };
        let target = Place { dir: place.dir.clone(), name: hidden.to_vec(), path };
        match self.type_at(&target)? {
            None => self.make_whiteout(&target),
            Some(FileType::Directory) => self.make_opaque(&target),
            // Only here for another name to lead to it; that name keeps it.
            Some(_) if self.copied.contains(&target.path) => {
                self.clear(&target)?;
                self.make_whiteout(&target)
            }
            Some(_) => Ok(()),
        }
    }

    /// A folder whose name is a mark, with something in it: aufs's own, which is remembered until the end.
    pub(super) fn mark_dir(&mut self, path: &[u8], name: &[u8]) -> Result<()> {
        if name.strip_prefix(PREFIX).is_none_or(|rest| !rest.starts_with(OTHER) || rest == OPAQUE) {
            return Err(Error::Invalid(format!("{} is a whiteout, and no folder", lossy(path))));
        }
        self.marks.insert(path.to_vec());
        Ok(())
    }

    /// Takes aufs's own folders away; what hard links lead to in them stays under its other names.
    pub(super) fn remove_marks(&mut self) -> Result<()> {
        for path in std::mem::take(&mut self.marks) {
            if let Some(place) = self.find(&path)? {
                self.clear(&place)?;
            }
        }
        Ok(())
    }

    fn make_whiteout(&mut self, place: &Place) -> Result<()> {
        let kind = FileType::CharacterDevice;
        rustix::fs::mknodat(&place.dir, place.name.as_slice(), kind, Mode::empty(), 0)
            .map_err(|errno| host_error(errno, &place.path))
    }

    /// Whether the character device at `place` is overlayfs's whiteout.
    pub(super) fn is_whiteout(&self, place: &Place) -> Result<bool> {
        Ok(stat(place)?.is_some_and(|stat| stat.st_rdev == 0))
    }

    /// Hides what the layers below have in the folder at `place`.
    pub(super) fn make_opaque(&self, place: &Place) -> Result<()> {
        let dir = open_for_reading(place.dir.as_fd(), &place.name)
            .map_err(|errno| host_error(errno, &place.path))?;
        rustix::fs::fsetxattr(&dir, OPAQUE_XATTR, b"y", XattrFlags::empty())
            .map_err(|errno| host_error(errno, &place.path))
    }

    fn make_parent_opaque(&self, place: &Place) -> Result<()> {
        let parent = Place { dir: place.dir.clone(), name: b".".to_vec(), path: place.path.clone() };
        self.make_opaque(&parent)
    }
}
