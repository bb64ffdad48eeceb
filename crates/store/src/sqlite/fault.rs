//! SQLite's and the system's errors in the store's words. The only place that looks at their codes.

use std::io;
use std::path::Path;

use rusqlite::{Connection, ErrorCode, ffi};

use crate::Error;

/// What `error` means for the store in `path`. `conn` is the connection it came from, when there is one.
pub(super) fn of_sqlite(path: &Path, conn: Option<&Connection>, error: &rusqlite::Error) -> Error {
    let (path_text, detail) = (path.display().to_string(), error.to_string());
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Error::DiskFull { path: path_text, detail },
        Some(ErrorCode::ReadOnly) => Error::ReadOnly { path: path_text, detail },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            Error::Corrupt { path: path_text, detail }
        }
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => match conn {
            Some(conn) => of_errno(path, system_errno(conn), detail),
            // Without a connection SQLite does not tell the cause.
            None => check_writable(path).err().unwrap_or(Error::Io { path: path_text, detail }),
        },
        _ => Error::Io { path: path_text, detail },
    }
}

/// Asks the system whether the file may be written. Never by opening it: closing it again would drop the
/// locks that SQLite holds on it, for POSIX locks belong to the process.
pub(super) fn check_writable(path: &Path) -> Result<(), Error> {
    let access = rustix::fs::access(path, rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK);
    access.map_err(|errno| of_io(path, &errno.into()))
}

/// What an input or output error of our own means for the store in `path`.
pub(super) fn of_io(path: &Path, error: &io::Error) -> Error {
    of_errno(path, error.raw_os_error().unwrap_or(0), error.to_string())
}

fn of_errno(path: &Path, errno: i32, detail: String) -> Error {
    let path = path.display().to_string();
    let cause = io::Error::from_raw_os_error(errno);
    let detail =
        if errno == 0 || detail.contains(&cause.to_string()) { detail } else { format!("{detail}: {cause}") };
    match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::DiskFull { path, detail },
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            Error::ReadOnly { path, detail }
        }
        _ => Error::Io { path, detail },
    }
}

/// The system's error number behind the connection's last failed input or output; 0 for none.
fn system_errno(conn: &Connection) -> i32 {
    // SAFETY: the handle belongs to `conn`, which is borrowed and therefore open; the call only reads it.
    unsafe { ffi::sqlite3_system_errno(conn.handle()) }
}
