//! What is mounted in a container: Docker's own mounts, the files of its network, and volumes.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Given;
use crate::native::cgroup::Hierarchy;
use crate::native::ids::Ids;
use crate::native::layout;
use crate::native::plan::{BoundVolume, CopyUp};
use crate::spec::{ContainerSpec, IpcMode, Volume};

/// Docker's size of /dev/shm, in bytes.
pub(crate) const SHM_BYTES: u64 = 64 << 20;

/// What other programs may show in place of the kernel's, by runc's rule.
const SHOWN_IN_PROC: [&str; 10] = [
    "cpuinfo",
    "diskstats",
    "meminfo",
    "stat",
    "swaps",
    "uptime",
    "loadavg",
    "slabinfo",
    "net/dev",
    "sys/kernel/ns_last_pid",
];

/// A container's volumes.
#[derive(Debug, Default)]
pub(super) struct Volumes {
    pub(super) bound: Vec<BoundVolume>,
    pub(super) copy_up: Vec<CopyUp>,
}

impl Volumes {
    /// A later mount at a path takes the place of an earlier one.
    fn add(&mut self, volume: BoundVolume, copy_up: bool) {
        self.bound.retain(|b| b.container_path != volume.container_path);
        self.copy_up.retain(|c| c.container_path != volume.container_path);
        if copy_up {
            self.copy_up.push(CopyUp {
                container_path: volume.container_path.clone(),
                volume: volume.host_path.clone(),
            });
        }
        self.bound.push(volume);
    }
}

/// The volumes: those that the image declares, then those of other containers, then what is asked.
pub(super) fn volumes(given: &Given<'_>, spec: &ContainerSpec) -> Result<Volumes, String> {
    let mut out = Volumes::default();
    for (number, path) in given.image.volumes.iter().enumerate() {
        let host_path = given.dir.file("volumes").join(number.to_string());
        let container_path = inside(Path::new(path))?;
        out.add(BoundVolume { name: None, host_path, container_path, read_only: false }, true);
    }
    for (name, read_only) in &spec.volumes_from {
        let from = (given.volumes_of)(name)
            .ok_or_else(|| format!("volumesFrom names container {name}, which is not there"))?;
        for volume in from {
            let read_only = volume.read_only || *read_only;
            out.add(BoundVolume { read_only, ..volume }, false);
        }
    }
    for mount in &spec.mounts {
        let name = &mount.source_volume;
        let volume = given.task.volumes.get(name).ok_or_else(|| format!("unknown volume '{name}'"))?;
        let (host_path, copy_up) = match volume {
            Volume::Empty if layout::is_safe_name(name) => (given.task_dir.volume(name), true),
            Volume::Empty => return Err(format!("volume name '{name}' is not valid")),
            Volume::Host(path) if path.is_absolute() => (path.clone(), false),
            Volume::Host(path) => return Err(format!("volume path '{}' is not absolute", path.display())),
        };
        let container_path = inside(&mount.container_path)?;
        let (name, read_only) = (Some(name.clone()), mount.read_only);
        out.add(BoundVolume { name, host_path, container_path, read_only }, copy_up);
    }
    Ok(out)
}

/// A path of the container that something may be mounted on.
fn inside(path: &Path) -> Result<PathBuf, String> {
    let clean: PathBuf = path.components().collect();
    let up = clean.components().any(|c| matches!(c, std::path::Component::ParentDir));
    if !clean.is_absolute() || up || clean == Path::new("/") {
        return Err(format!("invalid mount path: '{}' must be absolute and not the root", path.display()));
    }
    let shown_by_others = SHOWN_IN_PROC.iter().any(|file| clean == Path::new("/proc").join(file));
    if clean.starts_with("/proc") && !shown_by_others {
        return Err(format!(
            "invalid mount path: '{}' is inside /proc, where only the kernel's own are",
            path.display()
        ));
    }
    Ok(clean)
}

/// All mounts, in the order in which they are made: a folder before what is in it.
pub(super) fn all(given: &Given<'_>, spec: &ContainerSpec, volumes: &Volumes) -> Result<Vec<Value>, String> {
    let mut user: Vec<(PathBuf, Value)> = Vec::new();
    // As Docker's: as writable as the root that they are in.
    for file in layout::ETC_FILES {
        let path = Path::new("/etc").join(file);
        user.push((path.clone(), bind(&given.dir.etc(file), &path, spec.readonly_root)));
    }
    for tmpfs in &spec.tmpfs {
        let mut options: Vec<String> = ["nosuid", "nodev", "noexec"].map(str::to_owned).into();
        for option in &tmpfs.options {
            // The opposite of a default takes its place.
            options.retain(|o| o.strip_prefix("no") != Some(option.as_str()));
            options.push(option.clone());
        }
        if tmpfs.size_bytes > 0 {
            options.push(format!("size={}", tmpfs.size_bytes));
        }
        let path = inside(&tmpfs.container_path)?;
        let options = owned(given.ids, "tmpfs", options)?;
        user.push((path, mount("tmpfs", "tmpfs", &tmpfs.container_path, &options)));
    }
    for volume in &volumes.bound {
        user.retain(|(path, _)| *path != volume.container_path);
        let mut value = bind(&volume.host_path, &volume.container_path, volume.read_only);
        if let (Some(_), Some(options)) = (given.ids, value["options"].as_array_mut()) {
            options.push(json!("nodev"));
        }
        user.push((volume.container_path.clone(), value));
    }
    // Stable: equals stay in the order asked.
    user.sort_by_key(|(path, _)| path.components().count());
    let mut out: Vec<Value> = system(given, spec)?
        .into_iter()
        .filter(|m| !user.iter().any(|(path, _)| m["destination"].as_str() == path.to_str()))
        .collect();
    out.extend(user.into_iter().map(|(_, value)| value));
    Ok(out)
}

/// What gVisor's kernel has no file systems for.
const NOT_OF_GUESTS: [&str; 2] = ["/sys/fs/cgroup", "/dev/mqueue"];

/// [`all`] for a container of a sandbox.
pub(super) fn of_guest(
    given: &Given<'_>,
    spec: &ContainerSpec,
    volumes: &Volumes,
) -> Result<Vec<Value>, String> {
    let mut all = all(given, spec, volumes)?;
    all.retain(|m| !m["destination"].as_str().is_some_and(|path| NOT_OF_GUESTS.contains(&path)));
    Ok(all)
}

/// The options of a new file system as the host is to read them: users and groups are those of the task's range, and
/// its root is the task's.
fn owned(ids: Option<Ids>, kind: &str, mut options: Vec<String>) -> Result<Vec<String>, String> {
    let Some(ids) = ids else { return Ok(options) };
    for name in ["uid=", "gid="] {
        let there = options.iter_mut().find(|option| option.starts_with(name));
        match there {
            Some(option) => {
                let id =
                    option[name.len()..].parse().map_err(|_| format!("invalid mount option: {option}"))?;
                *option = format!("{name}{}", ids.host(id).map_err(|e| format!("{option}: {e}"))?);
            }
            None if kind == "tmpfs" => options.push(format!("{name}{}", ids.base)),
            None => {}
        }
    }
    Ok(options)
}

fn system(given: &Given<'_>, spec: &ContainerSpec) -> Result<Vec<Value>, String> {
    let own = |kind: &str, path: &str, options: &[&str]| -> Result<Value, String> {
        let options = options.iter().map(|o| (*o).to_owned()).collect();
        Ok(mount(kind, kind, Path::new(path), &owned(given.ids, kind, options)?))
    };
    let sys_access = if spec.privileged { "rw" } else { "ro" };
    let shm = format!("size={}", spec.shm_bytes.unwrap_or(SHM_BYTES));
    let mut out = vec![
        own("proc", "/proc", &["nosuid", "noexec", "nodev"])?,
        own("tmpfs", "/dev", &["nosuid", "strictatime", "mode=755", "size=65536k"])?,
        own(
            "devpts",
            "/dev/pts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        )?,
        own("sysfs", "/sys", &["nosuid", "noexec", "nodev", sys_access])?,
    ];
    out.push(cgroups(given, sys_access));
    out.push(own("mqueue", "/dev/mqueue", &["nosuid", "noexec", "nodev"])?);
    let shared = |of: &Path| {
        let options = ["rbind", "rprivate", "nosuid", "noexec", "nodev", "rw"].map(str::to_owned);
        mount("bind", &of.to_string_lossy(), Path::new("/dev/shm"), &options)
    };
    match given.task.ipc_mode {
        IpcMode::Own => {
            out.push(own("tmpfs", "/dev/shm", &["nosuid", "noexec", "nodev", "mode=1777", &shm])?);
        }
        IpcMode::Task => out.push(shared(&given.task_dir.shm())),
        IpcMode::Host => out.push(shared(Path::new("/dev/shm"))),
        IpcMode::None => {}
    }
    Ok(out)
}

/// The container's own groups. With v1 the runner lays them out, which takes a tenth of the calls that
/// libcontainer would make.
fn cgroups(given: &Given<'_>, access: &str) -> Value {
    let root = Path::new("/sys/fs/cgroup");
    let options = |more: &[&str]| -> Vec<String> {
        ["nosuid", "noexec", "nodev", access].iter().chain(more).map(|o| (*o).to_owned()).collect()
    };
    match given.hierarchy {
        Hierarchy::V2(_) => mount("cgroup", "cgroup", root, &options(&[])),
        Hierarchy::V1(_) => {
            mount("bind", &given.dir.groups().to_string_lossy(), root, &options(&["rbind", "rprivate"]))
        }
    }
}

fn bind(host: &Path, container: &Path, read_only: bool) -> Value {
    let access = if read_only { "ro" } else { "rw" };
    let options = ["rbind", "rprivate", access].map(str::to_owned);
    mount("bind", &host.to_string_lossy(), container, &options)
}

fn mount(kind: &str, source: &str, destination: &Path, options: &[String]) -> Value {
    json!({ "destination": destination, "type": kind, "source": source, "options": options })
}
