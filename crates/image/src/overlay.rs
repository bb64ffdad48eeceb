//! A container's root file system: the image's layers below, a folder of the container's own above.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Gid, Mode, Uid};
use rustix::io::Errno;
use rustix::mount::{self, FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, UnmountFlags};

use crate::Result;
use crate::error::IoContext;

/// An overlay that can be mounted: plain paths, so that another process (the supervisor, in its own
/// mount namespace) can do it as well.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Overlay {
    /// The image's layers, top first.
    pub lower: Vec<PathBuf>,
    /// What the container writes.
    pub upper: PathBuf,
    /// The kernel's scratch space, on the same file system as `upper`.
    pub work: PathBuf,
    /// Where the root file system appears.
    pub target: PathBuf,
}

impl Overlay {
    /// Makes `upper` and `work` under `container_dir`, and `target`, with what is above them.
    ///
    /// The root of an overlay shows the owner and mode of its topmost folder, so `upper` takes those
    /// of the image.
    pub(crate) fn prepare(lower: Vec<PathBuf>, container_dir: &Path, target: &Path) -> Result<Self> {
        let dir = |name: &str| container_dir.join(name);
        let overlay = Self { lower, upper: dir("upper"), work: dir("work"), target: target.to_owned() };
        for path in [&overlay.upper, &overlay.work, &overlay.target] {
            std::fs::create_dir_all(path).context(|| format!("create {}", path.display()))?;
        }
        if let Some(top) = overlay.lower.first() {
            copy_owner_and_mode(top, &overlay.upper)?;
        }
        Ok(overlay)
    }

    /// Mounts it at `target`, in this process's mount namespace.
    pub fn mount(&self) -> Result<()> {
        let context = || format!("mount overlay at {}", self.target.display());
        match self.mount_by_descriptors() {
            // Kernels before 6.8 know no `lowerdir+`, those before 5.2 no fsopen.
            Err(Errno::INVAL | Errno::NOSYS) => self.mount_by_string(),
            other => other.context(context),
        }
    }

    /// One call for each layer: no limit on the length of the list, and no character is special.
    fn mount_by_descriptors(&self) -> rustix::io::Result<()> {
        let fs = mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        mount::fsconfig_set_string(fs.as_fd(), "source", "overlay")?;
        for layer in &self.lower {
            mount::fsconfig_set_string(fs.as_fd(), "lowerdir+", layer)?;
        }
        mount::fsconfig_set_string(fs.as_fd(), "upperdir", &self.upper)?;
        mount::fsconfig_set_string(fs.as_fd(), "workdir", &self.work)?;
        mount::fsconfig_create(fs.as_fd())?;
        let made = mount::fsmount(fs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
        mount::move_mount(made.as_fd(), "", CWD, &self.target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
    }

    /// The old call takes all options in one page: descriptors make the paths short, and free of the
    /// characters that are special in it.
    fn mount_by_string(&self) -> Result<()> {
        let open = |path: &PathBuf| {
            let flags = (rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY).bits();
            std::fs::OpenOptions::new()
                .read(true)
                .custom_flags(flags as i32)
                .open(path)
                .context(|| format!("open {}", path.display()))
        };
        let lower = self.lower.iter().map(open).collect::<Result<Vec<File>>>()?;
        let (upper, work) = (open(&self.upper)?, open(&self.work)?);
        let name = |file: &File| {
            use std::os::fd::AsRawFd;
            format!("/proc/self/fd/{}", file.as_raw_fd())
        };
        let lowers = lower.iter().map(name).collect::<Vec<_>>().join(":");
        let options = format!("lowerdir={lowers},upperdir={},workdir={}", name(&upper), name(&work));
        let options = std::ffi::CString::new(options).expect("digits and slashes hold no NUL");
        mount::mount("overlay", &self.target, "overlay", mount::MountFlags::empty(), Some(options.as_c_str()))
            .context(|| format!("mount overlay at {}", self.target.display()))
    }

    /// Unmounts it. What is not mounted, or not there, counts as unmounted; what is busy goes when its
    /// last user does.
    pub fn unmount(&self) -> Result<()> {
        match mount::unmount(&self.target, UnmountFlags::NOFOLLOW) {
            Ok(()) | Err(Errno::INVAL | Errno::NOENT) => Ok(()),
            Err(Errno::BUSY) => mount::unmount(&self.target, UnmountFlags::NOFOLLOW | UnmountFlags::DETACH)
                .context(|| format!("unmount {}", self.target.display())),
            Err(error) => Err(error).context(|| format!("unmount {}", self.target.display())),
        }
    }
}

fn copy_owner_and_mode(from: &Path, to: &Path) -> Result<()> {
    let metadata = std::fs::metadata(from).context(|| format!("read {}", from.display()))?;
    let owner = (Uid::from_raw(metadata.uid()), Gid::from_raw(metadata.gid()));
    rustix::fs::chown(to, Some(owner.0), Some(owner.1))
        .and_then(|()| rustix::fs::chmod(to, Mode::from_raw_mode(metadata.mode())))
        .context(|| format!("set owner and mode of {}", to.display()))
}
