//! A profile in the AWS files of a user: that of the user who called sudo, where one did.
//!
//! The files are the user's, and so are the folders and links on the way to them: before the first is looked
//! at, this process becomes that user for good. What else is in the files stays as it is, byte for byte, and a
//! profile that was not made here is left alone.

mod section;

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use rustix::process::{Gid, Uid, geteuid};

use super::Access;
use crate::advice::{Advise, fail};

/// The files that a profile was written to.
pub struct Written {
    pub config: PathBuf,
    pub credentials: PathBuf,
}

/// Longer files are no AWS files.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// A user of this host.
struct User {
    uid: u32,
    gid: u32,
    home: PathBuf,
}

/// Where the user's files are, for a profile called `name`; this process has no more rights than the user
/// from here on.
pub fn enter(name: &str) -> anyhow::Result<PathBuf> {
    let fits = !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.@+".contains(&b));
    if !fits {
        fail!("up to 64 letters, digits and -_.@+", "{name:?} is no name for a profile");
    }
    match sudo_user()? {
        Some(user) => {
            turn_into(&user).context("cannot act as the user who called sudo")?;
            Ok(user.home)
        }
        None => own_home(),
    }
}

/// Writes the profile `name`.
pub fn write(name: &str, home: &Path, access: &Access) -> anyhow::Result<Written> {
    let config = file(home, "AWS_CONFIG_FILE", "config");
    let credentials = file(home, "AWS_SHARED_CREDENTIALS_FILE", "credentials");
    let section = if name == "default" { name.to_owned() } else { format!("profile {name}") };
    // Both are looked at before either is changed.
    let new_config =
        edited(&config, &section, &[("region", &access.region), ("endpoint_url", &access.endpoint)])?;
    let new_credentials = edited(
        &credentials,
        name,
        &[
            ("aws_access_key_id", &access.keys.access_key),
            ("aws_secret_access_key", &access.keys.secret),
            ("aws_account_id", &access.account),
        ],
    )?;
    let owned = "to look at whose the folder is, which must be the user's: `ls -ld` shows it";
    replace(&credentials, &new_credentials, true).advise(owned)?;
    replace(&config, &new_config, false).advise(owned)?;
    Ok(Written { config, credentials })
}

/// Who called sudo, if that is how this process came to be root.
fn sudo_user() -> anyhow::Result<Option<User>> {
    let Some(uid) = std::env::var("SUDO_UID").ok().filter(|_| geteuid().is_root()) else { return Ok(None) };
    let uid: u32 = uid.parse().context("SUDO_UID is no number")?;
    if uid == 0 {
        return Ok(None);
    }
    let user = user(uid)?.with_context(|| format!("there is no user {uid}"));
    user.map(Some).advise("the same without sudo, as the user whom the profile is for")
}

/// A user by number: of this host's own file, or of whatever else it asks for users.
fn user(uid: u32) -> anyhow::Result<Option<User>> {
    let of_host = fs::read("/etc/passwd").context("cannot read /etc/passwd")?;
    if let Some(user) = of_host.split(|&b| b == b'\n').find_map(|line| parse_user(line, uid)) {
        return Ok(Some(user));
    }
    let asked = Command::new("getent").arg("passwd").arg(uid.to_string()).output();
    Ok(asked.ok().and_then(|answer| parse_user(answer.stdout.trim_ascii_end(), uid)))
}

/// `name:x:uid:gid:comment:home:shell`
fn parse_user(line: &[u8], wanted: u32) -> Option<User> {
    let fields: Vec<&[u8]> = line.split(|&b| b == b':').collect();
    let [_, _, uid, gid, _, home, ..] = fields.as_slice() else { return None };
    let number = |field: &[u8]| std::str::from_utf8(field).ok()?.parse::<u32>().ok();
    let (uid, gid) = (number(uid)?, number(gid)?);
    let home = PathBuf::from(OsStr::from_bytes(home));
    (uid == wanted && home.is_absolute()).then_some(User { uid, gid, home })
}

fn own_home() -> anyhow::Result<PathBuf> {
    if let Some(home) = std::env::var_os("HOME").filter(|home| Path::new(home).is_absolute()) {
        return Ok(home.into());
    }
    let uid = geteuid().as_raw();
    let user = user(uid)?.with_context(|| format!("user {uid} has no home"));
    user.map(|user| user.home).advise("again with HOME set to a folder")
}

/// Gives up all rights but the user's. This thread is the only one.
fn turn_into(user: &User) -> rustix::io::Result<()> {
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    rustix::thread::set_thread_groups(&[gid])?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)
}

/// Where the AWS tools look for a file.
fn file(home: &Path, variable: &str, name: &str) -> PathBuf {
    match std::env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from) {
        // As the tools read it.
        Some(path) => path.strip_prefix("~").map(|rest| home.join(rest)).unwrap_or(path),
        None => home.join(".aws").join(name),
    }
}

/// The file's content with the profile in it.
fn edited(path: &Path, header: &str, keys: &[(&str, &str)]) -> anyhow::Result<Vec<u8>> {
    let content = read(path)
        .with_context(|| format!("cannot read {}", path.display()))
        .advise("to look at whose it is, and what: `ls -l` shows it")?;
    section::put(&content, header, keys)
        .with_context(|| {
            format!("{} has a section [{header}] that was not made by roadstead env", path.display())
        })
        .advise("another name with `--profile`, or again once that section is out of the file")
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    // A pipe would be waited for.
    let nonblock = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let file = match OpenOptions::new().read(true).custom_flags(nonblock).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened?,
    };
    let mut content = Vec::new();
    if file.metadata()?.is_file()
        && file.take(FILE_BYTES_MAX + 1).read_to_end(&mut content)? as u64 <= FILE_BYTES_MAX
    {
        return Ok(content);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file of settings"))
}

/// Replaces the file in one step; a link stays one, and leads to the new content.
fn replace(path: &Path, content: &[u8], is_secret: bool) -> anyhow::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("cannot make {}", dir.display()))?;
    let target = match fs::canonicalize(path) {
        Ok(target) => target,
        Err(_) => {
            let is_link = fs::symlink_metadata(path).is_ok();
            ensure!(!is_link, "{} is a link that leads nowhere", path.display());
            path.to_owned()
        }
    };
    let old = fs::metadata(&target).ok();
    let mode = old.as_ref().map_or(0o600, |old| old.mode() & 0o777);
    let mode = if is_secret { mode & 0o700 } else { mode };
    let name = target.file_name().context("a file has a name")?;
    let draft = target.with_file_name(format!(".{}.roadstead-{}", name.display(), std::process::id()));
    let written = write_draft(&draft, content, mode, old.as_ref()).and_then(|()| fs::rename(&draft, &target));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written.with_context(|| format!("cannot write {}", target.display()))
}

fn write_draft(draft: &Path, content: &[u8], mode: u32, old: Option<&fs::Metadata>) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    if let Some(old) = old.filter(|_| geteuid().is_root()) {
        std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()))?;
    }
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.sync_all()
}
