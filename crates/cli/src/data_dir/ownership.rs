//! Whose a folder is. Only a folder that bears our mark, or holds nothing of anybody's, is taken as a data
//! directory; and only what Roadstead makes in it is ever removed, by name, through no link and no mount.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::{
        ffi::OsStringExt,
        fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use anyhow::Context;

use crate::advice::fail;

/// The mark: a file with eight hexadecimal digits.
const ID: &str = "id";

/// What Roadstead makes directly in a data directory, beside `state.db*` and what is on its way to its name.
/// What is added to a data directory is added here, or `down --purge` leaves it.
const NAMES: [&str; 10] =
    ["agent", "credentials.toml", "engine", ID, "images", "lock", "logs", "network", "tls", "tokens"];

/// The one folder that a file system may have from the beginning.
const LOST_AND_FOUND: &str = "lost+found";

/// Most names of what is somebody else's that are said.
const SAID: usize = 5;

/// The id of the data directory at `path`, which is made, and marked, where there was none.
///
/// # Errors
/// When the folder holds what is not ours, or cannot be used.
pub fn claim(path: &Path) -> anyhow::Result<String> {
    if let Some(id) = read_id(path)? {
        keep_others_out(path)?;
        return Ok(id);
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make the data directory {}", path.display()))?;
    check_unmarked(path)?;
    keep_others_out(path)?;
    make_id(path).with_context(|| format!("cannot mark {} as a data directory", path.display()))?;
    read_id(path)?.with_context(|| format!("{} has gone", path.join(ID).display()))
}

/// Makes the folder nobody else's, whoever made it. What containers write lies in it as they wrote it: through a folder
/// that others may look into, a program that a container made setuid would be root's on the host; and logs, keys and
/// environments are nobody else's.
fn keep_others_out(path: &Path) -> anyhow::Result<()> {
    let change = || -> rustix::io::Result<()> {
        let flags = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
        let folder = rustix::fs::open(path, flags, rustix::fs::Mode::empty())?;
        let (stat, own) = (rustix::fs::fstat(&folder)?, rustix::process::geteuid());
        if stat.st_uid != own.as_raw() {
            rustix::fs::fchown(&folder, Some(own), None)?;
        }
        if stat.st_mode & 0o077 != 0 {
            rustix::fs::fchmod(&folder, rustix::fs::Mode::RWXU)?;
        }
        Ok(())
    };
    match change() {
        // Stopping tasks needs no writing.
        Ok(()) | Err(rustix::io::Errno::ROFS) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot keep others out of {}", path.display())),
    }
}

/// Whether there is anything of Roadstead's at `path`; makes nothing.
///
/// # Errors
/// When the folder holds what is not ours, and bears no mark.
pub fn find(path: &Path) -> anyhow::Result<bool> {
    if read_id(path)?.is_some() {
        return Ok(true);
    }
    match names(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        names => {
            let names = names.with_context(|| format!("cannot look into {}", path.display()))?;
            if names.iter().all(|name| name == LOST_AND_FOUND) {
                return Ok(false);
            }
            check_unmarked(path).map(|()| true)
        }
    }
}

/// A folder without our mark is ours to take when it is no place of others, and empty but for what a first
/// start that was cut short, `image load` of an older version, or a backup that is to be used leaves there.
fn check_unmarked(path: &Path) -> anyhow::Result<()> {
    let place = fs::canonicalize(path).with_context(|| format!("cannot find {}", path.display()))?;
    if place == Path::new("/") || is_home(&place) {
        fail!("a folder in it with `--data-dir`", "{} cannot be a data directory", path.display());
    }
    let foreign = names(path)?.into_iter().filter(|name| !may_be_unmarked(path, name));
    let foreign: Vec<String> = foreign.collect();
    // Marked since it was looked for, by another program that starts at the same moment, it is ours whatever is in it.
    if !foreign.is_empty() && read_id(path)?.is_none() {
        fail!(
            "a new or empty folder with `--data-dir`",
            "{} is no data directory of Roadstead: it has no `{ID}`, but holds {}",
            path.display(),
            some(&foreign)
        );
    }
    Ok(())
}

fn may_be_unmarked(dir: &Path, name: &str) -> bool {
    let path = dir.join(name);
    match name {
        "lock" | LOST_AND_FOUND => true,
        "state.db" => is_state(&path).unwrap_or(false),
        "images" => path.join("holds").is_dir() && path.join("layers").is_dir(),
        _ => is_draft(name),
    }
}

/// A SQLite file with our application id, which stands at byte 68, or an empty one.
fn is_state(path: &Path) -> io::Result<bool> {
    let mut mark = [0; 4];
    let file = open_plain(path)?;
    Ok(file.metadata()?.len() == 0 || (file.read_at(&mut mark, 68)? == 4 && &mark == b"RSTD"))
}

/// What is on its way to the name of one of our files.
fn is_draft(name: &str) -> bool {
    [ID, "credentials"].iter().any(|of| {
        name.strip_prefix(of)
            .and_then(|rest| rest.strip_suffix(".part"))
            .is_some_and(|rest| rest.is_empty() || rest.strip_prefix('.').is_some_and(is_id))
    })
}

fn is_ours(name: &str) -> bool {
    NAMES.contains(&name) || name.starts_with("state.db") || is_draft(name)
}

fn is_home(path: &Path) -> bool {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut homes = users.lines().filter_map(|line| line.split(':').nth(5)).map(Path::new);
    homes.any(|home| home == path) || std::env::var_os("HOME").is_some_and(|home| Path::new(&home) == path)
}

/// The id at `path`, if there is one; no link is followed to it.
fn read_id(path: &Path) -> anyhow::Result<Option<String>> {
    let name = path.join(ID);
    let mut file = match open_plain(&name) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", name.display())),
    };
    let mut id = String::new();
    let read = (&mut file).take(64).read_to_string(&mut id);
    read.with_context(|| format!("cannot read {}", name.display()))?;
    let id = id.trim().to_owned();
    if !is_id(&id) {
        fail!(
            "another folder with `--data-dir`; or put the eight digits back, which stand in the names of this host's `roadstead-…` cgroups",
            "{} does not hold eight hexadecimal digits: this is no data directory",
            name.display()
        );
    }
    Ok(Some(id))
}

fn is_id(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// A regular file, to read; no link is followed to it.
pub(super) fn open_plain(path: &Path) -> io::Result<File> {
    let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is no regular file")),
    }
}

/// Of several that come at once, one makes the id.
fn make_id(path: &Path) -> anyhow::Result<()> {
    let id = uuid::Uuid::new_v4().simple().to_string()[..8].to_owned();
    let part = path.join(format!("{ID}.{id}.part"));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    file.write_all(id.as_bytes())?;
    file.sync_all()?;
    // Unlike a rename, a link never takes the place of what is there.
    let linked = match fs::hard_link(&part, path.join(ID)) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        // A file system without links.
        Err(error)
            if error.kind() == ErrorKind::Unsupported || error.kind() == ErrorKind::PermissionDenied =>
        {
            fs::rename(&part, path.join(ID))
        }
        linked => linked,
    };
    let _ = fs::remove_file(&part);
    linked?;
    File::open(path)?.sync_all()?;
    Ok(())
}

/// What [`remove`] left.
#[derive(Debug, PartialEq, Eq)]
pub enum Left {
    /// Nothing: the folder is gone too.
    Nothing,
    /// The empty folder, on which a file system is mounted.
    MountPoint,
}

/// Whether [`remove`] may do its work at `path`; to be asked before anything is stopped.
///
/// # Errors
/// When `path` is a symbolic link, or something is mounted inside that does not go with its tasks.
pub fn check_removable(path: &Path) -> anyhow::Result<()> {
    check(path, engine::native::is_disk_of_task)
}

fn check(path: &Path, goes: impl Fn(&Path) -> bool) -> anyhow::Result<()> {
    if fs::symlink_metadata(path)?.is_symlink() {
        let target = fs::canonicalize(path)?;
        fail!(
            format!("`--data-dir {}`, which it leads to", target.display()),
            "{} is a symbolic link",
            path.display()
        );
    }
    let path = fs::canonicalize(path)?;
    let is_inside = |point: &PathBuf| {
        point.strip_prefix(&path).is_ok_and(|below| !below.as_os_str().is_empty() && !goes(below))
    };
    if let Some(point) = mount_points()?.into_iter().find(is_inside) {
        fail!(
            format!("`umount {}` first", point.display()),
            "{} is mounted inside of {}",
            point.display(),
            path.display()
        );
    }
    Ok(())
}

/// Removes what Roadstead made in the data directory at `path`, and the folder when nothing else is in it.
/// The mark goes last, so that a removal that was cut short can be done again.
///
/// # Errors
/// When something is left: all of ours that can be removed is.
pub fn remove(path: &Path) -> anyhow::Result<Left> {
    check(path, |_| false)?;
    let mut ours: Vec<String> = names(path)?.into_iter().filter(|name| is_ours(name)).collect();
    ours.sort_by_key(|name| ["lock", ID].iter().position(|last| last == name));
    for name in ours {
        let entry = path.join(name);
        let is_dir = fs::symlink_metadata(&entry)?.is_dir();
        let removed = if is_dir { fs::remove_dir_all(&entry) } else { fs::remove_file(&entry) };
        removed.with_context(|| format!("cannot remove {}", entry.display()))?;
    }
    let is_mount_point = mount_points()?.contains(&fs::canonicalize(path)?);
    let left = names(path)?.into_iter().filter(|name| !is_mount_point || name != LOST_AND_FOUND);
    let left: Vec<String> = left.collect();
    if !left.is_empty() {
        fail!(
            "to look at what is left, and to remove it by hand if nobody wants it",
            "{} stays, for it holds what is not Roadstead's: {}",
            path.display(),
            some(&left)
        );
    }
    if is_mount_point {
        return Ok(Left::MountPoint);
    }
    fs::remove_dir(path).with_context(|| format!("cannot remove {}", path.display()))?;
    Ok(Left::Nothing)
}

/// The names in a folder, sorted.
fn names(path: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(path)?;
    let names = entries.map(|entry| entry.map(|e| e.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<String> = names.collect::<io::Result<_>>()?;
    names.sort();
    Ok(names)
}

fn some(names: &[String]) -> String {
    let more = names.len().saturating_sub(SAID);
    let shown = names[..names.len() - more].join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

/// Where anything is mounted in this process's sight.
fn mount_points() -> anyhow::Result<Vec<PathBuf>> {
    let table = fs::read("/proc/self/mountinfo").context("cannot read /proc/self/mountinfo")?;
    let lines = table.split(|byte| *byte == b'\n');
    let points = lines.filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    Ok(points.map(unescape).collect())
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| *first == b'\\');
        let code =
            digits.and_then(|d| std::str::from_utf8(d).ok()).and_then(|d| u8::from_str_radix(d, 8).ok());
        plain.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[3..] } else { after };
    }
    PathBuf::from(std::ffi::OsString::from_vec(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_folder_of_others_is_never_taken() {
        for name in ["thesis.txt", "images", "logs", "state.db", ".git", "agent", "credentials.toml"] {
            let dir = folder();
            match name.contains('.') {
                true => fs::write(dir.path().join(name), vec![b'x'; 100]).unwrap(),
                false => fs::create_dir(dir.path().join(name)).unwrap(),
            }
            let told = claim(dir.path()).unwrap_err().to_string();
            assert!(told.contains("no data directory") && told.contains(name), "{told}");
            assert!(find(dir.path()).is_err());
            assert_eq!(names(dir.path()).unwrap(), [name], "nothing was made");
        }
        for place in ["/", "/root"] {
            assert!(claim(Path::new(place)).is_err(), "{place}");
        }
    }

    #[test]
    fn a_mark_that_is_no_mark_is_refused() {
        for bad in ["", "1234567", "123456789", "0123456g", "0123ABCD", "../../.."] {
            let dir = folder();
            fs::write(dir.path().join(ID), bad).unwrap();
            assert!(claim(dir.path()).is_err() && find(dir.path()).is_err(), "{bad:?}");
        }
        let dir = folder();
        fs::write(dir.path().join("elsewhere"), "01234567").unwrap();
        std::os::unix::fs::symlink("elsewhere", dir.path().join(ID)).unwrap();
        assert!(claim(dir.path()).is_err());
    }

    #[test]
    fn what_a_first_start_leaves_is_taken_up() {
        let dir = folder();
        assert!(!find(dir.path()).unwrap() && !find(&dir.path().join("absent")).unwrap());
        for name in ["lock", "id.part", "id.0123abcd.part"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        for name in ["lost+found", "images/holds", "images/layers"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        let mut head = vec![0; 100];
        head[68..72].copy_from_slice(b"RSTD");
        fs::write(dir.path().join("state.db"), head).unwrap();
        assert!(find(dir.path()).unwrap());
        let id = claim(dir.path()).unwrap();
        assert_eq!((id.len(), claim(dir.path()).unwrap()), (8, id));
    }

    #[test]
    fn one_id_however_many_come_at_once() {
        let dir = folder();
        let path = dir.path().join("a/b");
        let ids = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|_| scope.spawn(|| claim(&path).unwrap())).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }

    #[test]
    fn only_what_is_ours_is_removed_and_no_link_is_followed() {
        let outside = folder();
        fs::write(outside.path().join("kept"), "").unwrap();
        let dir = folder();
        let path = dir.path().join("data");
        claim(&path).unwrap();
        for name in NAMES.iter().filter(|name| !name.contains('.') && **name != ID && **name != "lock") {
            fs::create_dir_all(path.join(name).join("deep")).unwrap();
            std::os::unix::fs::symlink(outside.path(), path.join(name).join("out")).unwrap();
        }
        std::os::unix::fs::symlink(outside.path(), path.join("state.db-link")).unwrap();
        fs::write(path.join("mine.txt"), "").unwrap();
        let told = remove(&path).unwrap_err().to_string();
        assert!(told.contains("mine.txt"), "{told}");
        assert_eq!(names(&path).unwrap(), ["mine.txt"]);
        assert_eq!(names(outside.path()).unwrap(), ["kept"]);
        fs::remove_file(path.join("mine.txt")).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(remove(&link).unwrap_err().to_string().contains("symbolic link"));
        assert_eq!(remove(&path).unwrap(), Left::Nothing);
        assert!(!path.exists());
    }

    #[test]
    fn mount_points_are_read_as_the_kernel_writes_them() {
        assert_eq!(unescape(br"/a\040b\134c"), Path::new(r"/a b\c"));
        assert_eq!(unescape(b"/plain"), Path::new("/plain"));
        assert!(mount_points().unwrap().contains(&PathBuf::from("/proc")));
    }
}
