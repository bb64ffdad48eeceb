//! A new volume starts with what the image has in its place.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, SFlag, mknod};

use super::{Root, path_of};

/// Deepest folder that is copied.
const DEPTH_MAX: usize = 256;

/// Copies the content of a folder of the root into `volume`, if that is empty, and gives it the
/// folder's owner and mode. A root without that folder leaves the volume as it is.
pub(crate) fn copy_up(root: &Root, container_path: &Path, volume: &Path) -> io::Result<()> {
    let from = match root.at(container_path, OFlag::O_RDONLY | OFlag::O_DIRECTORY) {
        Ok(from) => File::from(from),
        // A circle of links has nothing either; whoever mounts there says so.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR | libc::ELOOP)) => {
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    if fs::read_dir(volume)?.next().is_some() {
        return Ok(());
    }
    let metadata = from.metadata()?;
    copy_folder(&path_of(&from), volume, DEPTH_MAX, &mut HashMap::new())?;
    copy_owner(&metadata, volume)?;
    fs::set_permissions(volume, fs::Permissions::from_mode(metadata.mode() & 0o7777))
}

/// Files of several names that are copied already: by device and number, where the copy is.
type Copied = HashMap<(u64, u64), PathBuf>;

/// The entries of one folder. No link is followed: each entry is looked at by its own kind, and nothing
/// runs in the container yet that could change them.
fn copy_folder(from: &Path, to: &Path, depth: usize, copied: &mut Copied) -> io::Result<()> {
    if depth == 0 {
        return Err(io::Error::other(format!("{}: folders are nested too deeply", to.display())));
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let metadata = fs::symlink_metadata(&source)?;
        let kind = metadata.file_type();
        if kind.is_symlink() {
            symlink(fs::read_link(&source)?, &target)?;
            copy_owner(&metadata, &target)?;
            continue;
        }
        if kind.is_dir() {
            fs::create_dir(&target)?;
            copy_folder(&source, &target, depth - 1, copied)?;
        } else if let Some(first) = copied.get(&(metadata.dev(), metadata.ino())) {
            fs::hard_link(first, &target)?;
            continue;
        } else if kind.is_file() {
            fs::copy(&source, &target)?;
        } else if kind.is_fifo() || kind.is_char_device() || kind.is_block_device() {
            let mode = Mode::from_bits_truncate(metadata.mode() & 0o7777);
            mknod(&target, SFlag::from_bits_truncate(metadata.mode() & libc::S_IFMT), mode, metadata.rdev())?;
        } else {
            continue;
        }
        if !kind.is_dir() && metadata.nlink() > 1 {
            copied.insert((metadata.dev(), metadata.ino()), target.clone());
        }
        copy_owner(&metadata, &target)?;
        // After the owner: a change of that takes set-user-ID away.
        fs::set_permissions(&target, fs::Permissions::from_mode(metadata.mode() & 0o7777))?;
    }
    Ok(())
}

fn copy_owner(metadata: &Metadata, to: &Path) -> io::Result<()> {
    lchown(to, Some(metadata.uid()), Some(metadata.gid()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_volume_gets_the_image_s_content_once() {
        let dir = tempfile::tempdir().unwrap();
        let (root_dir, volume) = (dir.path().join("root"), dir.path().join("volume"));
        fs::create_dir_all(root_dir.join("data/sub")).unwrap();
        fs::create_dir(&volume).unwrap();
        fs::write(root_dir.join("data/sub/file"), "hello").unwrap();
        fs::set_permissions(root_dir.join("data/sub/file"), fs::Permissions::from_mode(0o4750)).unwrap();
        fs::set_permissions(root_dir.join("data"), fs::Permissions::from_mode(0o700)).unwrap();
        symlink("/etc/shadow", root_dir.join("data/link")).unwrap();
        fs::hard_link(root_dir.join("data/sub/file"), root_dir.join("data/same")).unwrap();
        let root = Root::open(&root_dir).unwrap();
        copy_up(&root, Path::new("/data"), &volume).unwrap();
        assert_eq!(fs::read_to_string(volume.join("sub/file")).unwrap(), "hello");
        assert_eq!(fs::metadata(volume.join("sub/file")).unwrap().mode() & 0o7777, 0o4750);
        assert_eq!(fs::metadata(&volume).unwrap().mode() & 0o7777, 0o700);
        assert_eq!(fs::read_link(volume.join("link")).unwrap(), Path::new("/etc/shadow"));
        let number = |name: &str| fs::metadata(volume.join(name)).unwrap().ino();
        assert_eq!(number("sub/file"), number("same"));
        fs::write(volume.join("sub/file"), "changed").unwrap();
        assert_eq!(fs::read_to_string(volume.join("same")).unwrap(), "changed");
        copy_up(&root, Path::new("/data"), &volume).unwrap();
        assert_eq!(fs::read_to_string(volume.join("sub/file")).unwrap(), "changed");
        copy_up(&root, Path::new("/nowhere"), &volume).unwrap();
    }
}
