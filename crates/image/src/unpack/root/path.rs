//! Paths as tars write them: pure.

use std::ffi::OsStr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::unpack::tarball::lossy;
use crate::{Error, Result, limits};

/// `path` relative to the root, without `.` and empty components; empty for the root.
///
/// # Errors
/// For `..`, which no builder writes, and for what no file system takes.
pub fn clean(path: &[u8]) -> Result<Vec<u8>> {
    if path.len() > limits::PATH_BYTES_MAX || path.contains(&0) {
        return Err(Error::invalid("a layer has a path that is too long or holds a NUL"));
    }
    let mut cleaned = Vec::with_capacity(path.len());
    for component in path.split(|&b| b == b'/') {
        match component {
            b"" | b"." => {}
            b".." => return Err(Error::Invalid(format!("{} leads out of its folder", lossy(path)))),
            _ => {
                if !cleaned.is_empty() {
                    cleaned.push(b'/');
                }
                cleaned.extend_from_slice(component);
            }
        }
    }
    Ok(cleaned)
}

/// Folder and name of a cleaned path.
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&b| b == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

/// Where each folder on a cleaned path ends, the path itself included.
pub fn prefixes(path: &[u8]) -> impl Iterator<Item = usize> {
    let slashes = path.iter().enumerate().filter(|&(_, &b)| b == b'/').map(|(i, _)| i);
    slashes.chain((!path.is_empty()).then_some(path.len()))
}

/// A path to `name` in an open folder, for calls that take no descriptor.
pub fn by_descriptor(dir: BorrowedFd<'_>, name: &[u8]) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd())).join(OsStr::from_bytes(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_or_refused() {
        for (given, cleaned) in [
            ("", Some("")),
            ("/", Some("")),
            ("./", Some("")),
            ("a", Some("a")),
            ("/a//b/./c/", Some("a/b/c")),
            ("...", Some("...")),
            ("a/..b", Some("a/..b")),
            ("..", None),
            ("/..", None),
            ("a/../b", None),
            ("a/..", None),
            ("a\0b", None),
        ] {
            assert_eq!(clean(given.as_bytes()).ok().as_deref(), cleaned.map(str::as_bytes), "{given:?}");
        }
        assert!(clean(&[b'a'; 5000]).is_err());
        assert_eq!(prefixes(b"a/bc/d").collect::<Vec<_>>(), [1, 4, 6]);
        assert_eq!(prefixes(b"").count(), 0);
        assert_eq!(split(b"a/b/c"), (&b"a/b"[..], &b"c"[..]));
        assert_eq!(split(b"c"), (&b""[..], &b"c"[..]));
    }

    proptest::proptest! {
        #[test]
        fn a_cleaned_path_stays_inside(path in proptest::collection::vec(proptest::sample::select(b"a./\0".to_vec()), 0..12)) {
            if let Ok(cleaned) = clean(&path) {
                proptest::prop_assert!(!cleaned.starts_with(b"/") && !cleaned.ends_with(b"/"));
                proptest::prop_assert!(cleaned.split(|&b| b == b'/').all(|c| c != b".." && c != b"."));
                proptest::prop_assert_eq!(clean(&cleaned).expect("clean already"), cleaned);
            }
        }
    }
}
