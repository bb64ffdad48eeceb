//! A disk of a task's own, of the size that it may write: a file with holes in the task's folder, which takes of the host's
//! disk what is written and no more, mounted by a loop device. Inside it is full when it is full; outside nobody notices.
//!
//! Quotas of the host's file system would do less. Few hosts have them on; and where an overlay is root's, ext4 lets what
//! is written through it go beyond them.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::mount::{MntFlags, MsFlags};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use super::layout::{DISK, TaskDir};

/// The program that makes the file system; of the package e2fsprogs.
const MKFS: &str = "mkfs.ext4";

/// What the kernel needs not do for a file system that nobody wants back after a power cut.
const MKFS_OPTIONS: [&str; 7] =
    ["-q", "-F", "-m0", "-O^has_journal,^resize_inode", "-Elazy_itable_init=1,nodiscard", "-L", "task"];

/// What was freed inside is freed outside, and nothing is written that nobody asked for.
const MOUNT_OPTIONS: &str = "discard,noinit_itable";

/// The smallest that a file system fits on, in bytes.
const BYTES_MIN: u64 = 4 << 20;

/// The major number of loop devices.
const LOOP_MAJOR: u64 = 7;

/// How often another program may take the loop device that was free.
const LOOP_TRIES: usize = 100;

/// Makes a task's disk, and mounts it where it is not; blocks.
pub(super) fn make(dir: &TaskDir, bytes: u64) -> io::Result<()> {
    let (image, place) = (dir.disk_image(), dir.own_disk());
    if is_mounted(&place)? {
        return Ok(());
    }
    if !image.exists() {
        make_image(&image, bytes.max(BYTES_MIN))?;
    }
    fs::create_dir_all(&place)?;
    let (device, path) = attach(&image)?;
    let flags = MsFlags::MS_NOATIME | MsFlags::MS_NODEV;
    nix::mount::mount(Some(&path), &place, Some("ext4"), flags, Some(MOUNT_OPTIONS))
        .map_err(|e| named(e.into(), &format!("mount {}", image.display())))?;
    // From now on the device goes when the mount does.
    drop(device);
    Ok(())
}

/// Whether what is mounted there, told from the data directory on, is a task's own disk, which goes with the task.
pub fn is_disk_of_task(below: &Path) -> bool {
    let names: Vec<_> = below.iter().collect();
    matches!(names[..], [engine, tasks, _, disk] if engine == "engine" && tasks == "tasks" && disk == DISK)
}

/// Unmounts a task's disk and gives its room back. What is not there counts as gone; blocks.
pub(super) fn remove(dir: &TaskDir) -> io::Result<()> {
    unmount(&dir.own_disk())?;
    match fs::remove_file(dir.disk_image()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Takes a mount out of this process's mount namespace.
pub(crate) fn unmount(place: &Path) -> io::Result<()> {
    match nix::mount::umount2(place, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
        Ok(()) | Err(nix::Error::EINVAL | nix::Error::ENOENT) => Ok(()),
        Err(error) => Err(named(error.into(), &format!("unmount {}", place.display()))),
    }
}

/// Whether a disk has hardly any room left, so that whoever writes there fails.
pub(crate) fn is_full(place: &Path) -> bool {
    /// What programs write at a time, which fails where there is less.
    const LEAST_BYTES: u64 = 1 << 20;
    nix::sys::statvfs::statvfs(place).is_ok_and(|found| {
        let bytes = |blocks: u64| blocks.saturating_mul(found.fragment_size());
        bytes(found.blocks_available()) < LEAST_BYTES + bytes(found.blocks()) / 1000
            || found.files_available() == 0
    })
}

/// What a disk takes of the host's, in bytes.
pub(super) fn taken(dir: &TaskDir) -> Option<u64> {
    const BLOCK_BYTES: u64 = 512;
    fs::metadata(dir.disk_image()).ok().map(|image| image.blocks() * BLOCK_BYTES)
}

/// Whether this host can have such disks.
///
/// # Errors
/// What is missing, for the operator.
pub(super) fn check() -> Result<(), String> {
    let found = Command::new(MKFS)
        .arg("-V")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !found.is_ok_and(|status| status.success()) {
        return Err(format!("the program {MKFS} is not there (apt-get install e2fsprogs)"));
    }
    if !Path::new("/dev/loop-control").exists() {
        return Err("there are no loop devices (modprobe loop)".to_owned());
    }
    Ok(())
}

fn make_image(image: &Path, bytes: u64) -> io::Result<()> {
    let mut draft = image.as_os_str().to_owned();
    draft.push(".new");
    let draft = PathBuf::from(draft);
    let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&draft)?;
    file.set_len(bytes)?;
    drop(file);
    let made = Command::new(MKFS).args(MKFS_OPTIONS).arg(&draft).stdin(Stdio::null()).output();
    let made = made.map_err(|e| named(e, MKFS))?;
    if !made.status.success() {
        let said = String::from_utf8_lossy(&made.stderr);
        return Err(io::Error::other(format!("{MKFS}: {}", said.lines().next().unwrap_or("failed"))));
    }
    fs::rename(&draft, image)
}

fn is_mounted(place: &Path) -> io::Result<bool> {
    let device = |path: &Path| fs::metadata(path).map(|found| found.dev());
    match device(place) {
        Ok(here) => Ok(here != device(place.parent().unwrap_or(place))?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// As the kernel reads it: `struct loop_config` with a `struct loop_info64` in it.
#[repr(C)]
struct LoopConfig {
    file: u32,
    block_size: u32,
    numbers: [u64; 5],
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    names: [u8; 160],
    init: [u64; 2],
    reserved: [u64; 8],
}

const LOOP_CONFIGURE: libc::c_ulong = 0x4c0a;
const LOOP_CTL_GET_FREE: libc::c_ulong = 0x4c82;
/// The device lets go of its file with its last user.
const LO_FLAGS_AUTOCLEAR: u32 = 4;

/// Gives a file a loop device, which stays for as long as it is open or mounted.
fn attach(image: &Path) -> io::Result<(OwnedFd, PathBuf)> {
    let both = |path: &Path| {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|e| named(e, &path.display().to_string()))
    };
    let (control, file) = (both(Path::new("/dev/loop-control"))?, both(image)?);
    for _ in 0..LOOP_TRIES {
        // SAFETY: takes no argument.
        let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE as _) };
        let number =
            u64::try_from(number).map_err(|_| named(io::Error::last_os_error(), "a free loop device"))?;
        let path = PathBuf::from(format!("/dev/loop{number}"));
        if !path.exists() {
            // A /dev that nobody keeps.
            let mode = Mode::from_bits_truncate(0o660);
            mknod(&path, SFlag::S_IFBLK, mode, makedev(LOOP_MAJOR, number))?;
        }
        let device = both(&path)?;
        match configure(&device, &file) {
            Ok(()) => return Ok((device.into(), path)),
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
            Err(error) => return Err(named(error, &path.display().to_string())),
        }
    }
    Err(io::Error::other("no loop device stays free"))
}

fn configure(device: &File, file: &File) -> io::Result<()> {
    let config = LoopConfig {
        file: u32::try_from(file.as_raw_fd()).map_err(io::Error::other)?,
        block_size: 0,
        numbers: [0; 5],
        number: 0,
        encrypt_type: 0,
        encrypt_key_size: 0,
        flags: LO_FLAGS_AUTOCLEAR,
        names: [0; 160],
        init: [0; 2],
        reserved: [0; 8],
    };
    // SAFETY: laid out as the kernel reads it, and outlives the call.
    match unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE as _, &raw const config) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn named(error: io::Error, what: &str) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// Disks that are mounted below a folder: where.
pub(super) fn mounted_below(folder: &Path) -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let places = table.lines().filter_map(|line| line.split(' ').nth(4));
    let mut found: Vec<String> = places
        .filter(|place| Path::new(place).starts_with(folder) && Path::new(place) != folder)
        .map(str::to_owned)
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_reads_has_its_size() {
        assert_eq!(size_of::<LoopConfig>(), 304);
        assert!(check().is_ok());
    }
}
