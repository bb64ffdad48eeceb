//! Finding and becoming a container's program, by the rules of the Go runtime that Docker's users know: a name
//! with a slash is a path, any other is the first file of that name on the PATH that may be executed, and what
//! the kernel does not take is not given to a shell. Errors are in Docker's words, which users search the web
//! for.

use std::ffi::{CString, OsStr};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, execv, faccessat};

/// The longest first line that the kernel reads.
const FIRST_LINE_BYTES: u64 = 256;

/// Becomes the program; returns only the reason why it could not.
pub(super) fn replace(arguments: &[CString], path: &OsStr) -> String {
    let name = OsStr::from_bytes(arguments[0].as_bytes());
    let why = match find(name, path) {
        Ok(file) => match CString::new(file.clone().into_os_string().into_vec()) {
            Ok(program) => {
                let Err(error) = execv(&program, arguments);
                refused(&file, error)
            }
            Err(_) => "its path holds a NUL byte".to_owned(),
        },
        Err(why) => why,
    };
    format!("OCI runtime create failed: unable to start container process: exec: {name:?}: {why}")
}

/// Where the program is.
fn find(name: &OsStr, path: &OsStr) -> Result<PathBuf, String> {
    if name.as_bytes().contains(&b'/') {
        let file = Path::new(name);
        return executable(file).map(|()| file.to_owned()).map_err(|error| match error {
            Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP => {
                format!("stat {}: {}", file.display(), words(error))
            }
            other => words(other),
        });
    }
    let folders = path.as_bytes().split(|b| *b == b':').filter(|_| !path.is_empty());
    for folder in folders {
        let folder = if folder.is_empty() { b"." } else { folder };
        let file = Path::new(OsStr::from_bytes(folder)).join(name);
        if executable(&file).is_ok() {
            return Ok(file);
        }
    }
    Err("executable file not found in $PATH".to_owned())
}

fn executable(file: &Path) -> Result<(), Errno> {
    let metadata = fs::metadata(file).map_err(|e| Errno::from_raw(e.raw_os_error().unwrap_or(0)))?;
    if metadata.is_dir() {
        return Err(Errno::EISDIR);
    }
    faccessat(AT_FDCWD, file, AccessFlags::X_OK, AtFlags::AT_EACCESS)
}

/// Why the kernel did not take a file that is there and may be executed.
fn refused(file: &Path, error: Errno) -> String {
    match error {
        Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES => match interpreter(file) {
            Some(interpreter) => {
                format!("{}: it is a script for {interpreter:?}, which cannot be run here", words(error))
            }
            None if error == Errno::EACCES => words(error),
            None => format!("{}: the loader that it was linked for is not in the image", words(error)),
        },
        Errno::ENOEXEC => {
            format!("{}: neither a script with a first line #! nor a program for this machine", words(error))
        }
        other => words(other),
    }
}

/// The interpreter that a script names.
fn interpreter(file: &Path) -> Option<String> {
    // To open a pipe would wait for somebody who writes to it.
    fs::metadata(file).ok().filter(fs::Metadata::is_file)?;
    let mut start = Vec::new();
    File::open(file).ok()?.take(FIRST_LINE_BYTES).read_to_end(&mut start).ok()?;
    let line = start.split(|b| *b == b'\n').next()?.strip_prefix(b"#!")?;
    // A carriage return at the end is part of the name for the kernel, and must be seen.
    let words = line.split(|b| matches!(b, b' ' | b'\t'));
    let name = words.into_iter().find(|word| !word.is_empty())?;
    Some(String::from_utf8_lossy(name).into_owned())
}

fn words(error: Errno) -> String {
    error.desc().to_lowercase()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn file(path: &Path, content: &str, mode: u32) {
        fs::write(path, content).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn every_reason_is_docker_s() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        file(&at("empty"), "", 0o755);
        file(&at("plain"), "echo never\n", 0o755);
        file(&at("broken"), "\x7fELF and no more", 0o755);
        file(&at("lost"), "#!/nowhere/sh -e\n", 0o755);
        file(&at("windows"), "#!/bin/sh\r\n", 0o755);
        file(&at("mine"), "#!/bin/sh\n", 0o644);
        fs::create_dir(at("folder")).unwrap();
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::from_bits_truncate(0o755)).unwrap();
        symlink(at("gone"), at("dangling")).unwrap();
        symlink(at("circle"), at("circle")).unwrap();
        let path = OsStr::from_bytes(dir.path().as_os_str().as_bytes());
        let full = |name: &str| at(name).display().to_string();
        for (name, want) in [
            (full("empty"), "exec format error"),
            (full("plain"), "exec format error"),
            (full("broken"), "exec format error"),
            (full("lost"), "no such file or directory: it is a script for \"/nowhere/sh\""),
            (full("windows"), "it is a script for \"/bin/sh\\r\""),
            (full("mine"), "permission denied"),
            (full("folder"), "is a directory"),
            (full("pipe"), "permission denied"),
            (full("none"), "none: no such file or directory"),
            (full("dangling"), "dangling: no such file or directory"),
            (full("empty") + "/x", "not a directory"),
            (full("circle"), "too many symbolic links"),
            ("none".into(), "executable file not found in $PATH"),
            ("folder".into(), "executable file not found in $PATH"),
            ("mine".into(), "executable file not found in $PATH"),
            ("plain".into(), "exec format error"),
        ] {
            let arguments = [CString::new(name.clone()).unwrap()];
            let why = replace(&arguments, path);
            assert!(why.contains(&format!("exec: {name:?}: ")) && why.contains(want), "{why}");
        }
        assert!(find(OsStr::new("sh"), OsStr::new("")).is_err());
        assert!(find(OsStr::new("sh"), OsStr::new("/nowhere:/bin")).is_ok());
    }
}
