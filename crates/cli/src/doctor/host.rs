//! What is around the kernel: rights, the `nft` program, ports, disk, kernel parameters.

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use store::space::Space;

use super::Check;

/// Free bytes below which images and logs soon fill the disk, and below which nothing can be run.
const DISK_WARN_BYTES: u64 = 5 << 30;
const DISK_FAIL_BYTES: u64 = 512 << 20;
/// Free inodes below which images cannot be unpacked.
const INODES_WARN: u64 = 100_000;

/// Who runs this.
pub(super) fn root() -> Check {
    if rustix::process::geteuid().is_root() {
        Check::ok("root", "namespaces, mounts and rules can be made")
    } else {
        Check::fail("root", "not root: namespaces, mounts and rules cannot be made", "use sudo")
    }
}

/// The `nft` program.
pub(super) fn nft() -> Check {
    let version = Command::new("nft").arg("--version").output();
    let version = match &version {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        _ => return Check::fail("nft", "the program nft is not there", "apt-get install nftables"),
    };
    match Command::new("nft").args(["list", "tables"]).output() {
        Ok(output) if output.status.success() => Check::ok("nft", version),
        Ok(output) => {
            let error = String::from_utf8_lossy(&output.stderr);
            let detail =
                format!("{version}, but it cannot list tables: {}", error.lines().next().unwrap_or(""));
            Check::fail("nft", detail, "run as root, on a kernel with nf_tables")
        }
        Err(error) => Check::fail("nft", format!("{version}, but it does not run: {error}"), "run as root"),
    }
}

/// What the network part finds in its way: other programs' rules, mostly.
pub(super) fn network() -> Vec<Check> {
    let findings = network::doctor::examine();
    if findings.is_empty() {
        return vec![Check::ok("forwarding", "no other rules drop containers' packets")];
    }
    findings.into_iter().map(|found| Check::warn("forwarding", found.problem, found.remedy)).collect()
}

/// Kernel parameters. Roadstead turns on forwarding by itself, so these only matter where it may not.
pub(super) fn sysctls() -> Vec<Check> {
    let parameters = [
        ("ip_forward", "net/ipv4/ip_forward", "sysctl -w net.ipv4.ip_forward=1"),
        (
            "route_localnet",
            "net/ipv4/conf/all/route_localnet",
            "sysctl -w net.ipv4.conf.all.route_localnet=1",
        ),
    ];
    let judge = |(name, path, command)| {
        let path = Path::new("/proc/sys").join(path);
        let value = fs::read_to_string(&path).ok();
        let writable = rustix::fs::access(&path, rustix::fs::Access::WRITE_OK).is_ok();
        sysctl(name, value.as_deref().map(str::trim), writable, command)
    };
    parameters.into_iter().map(judge).collect()
}

/// `value` is the parameter's, where it can be read.
pub(super) fn sysctl(name: &'static str, value: Option<&str>, writable: bool, command: &str) -> Check {
    match (value, writable) {
        (None, _) => Check::fail(name, "the parameter cannot be read", "mount /proc"),
        (Some("0"), false) => {
            let detail = "off, and /proc/sys cannot be written: published ports will not be reachable";
            Check::fail(name, detail, format!("on the host: {command}"))
        }
        (Some("0"), true) => Check::ok(name, "off; `roadstead up` turns it on where it needs it"),
        (Some(_), _) => Check::ok(name, "on"),
    }
}

/// Whether the API's port can be had.
pub(super) fn port(listen: SocketAddr) -> Check {
    match TcpListener::bind(listen) {
        Ok(_) => Check::ok("port", format!("{listen} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Check::warn(
            "port",
            format!("something listens on {listen} already"),
            "if that is Roadstead all is well; else stop it, or use `--listen` with another port",
        ),
        Err(error) => Check::fail(
            "port",
            format!("{listen} cannot be listened on: {error}"),
            "use `--listen` with an address of this host, and a port above 1023 unless root",
        ),
    }
}

/// Whether the key pair that everybody knows can serve anybody: only whom the kernel vouches for.
pub(super) fn known_pair(listen: SocketAddr) -> Option<Check> {
    listen.ip().is_loopback().then(|| judge_known_pair(server::peer::check_kernel()))
}

pub(super) fn judge_known_pair(asked: Result<(), String>) -> Check {
    let name = "known-pair";
    match asked {
        Ok(()) => Check::ok(name, "the kernel says whose a connection is"),
        Err(error) => Check::warn(
            name,
            format!("`test`/`test` serves nobody: {error}"),
            "`modprobe tcp_diag`, on a kernel with CONFIG_INET_DIAG; or the pair that `roadstead env` gives",
        ),
    }
}

/// Space and kind of the file system that holds, or will hold, the data directory.
pub(super) fn disk(data_dir: &Path) -> Vec<Check> {
    let existing = data_dir.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let shown = existing.display().to_string();
    let found = Space::of(existing);
    let space = match &found {
        Ok(space) => judge_space(&shown, space),
        Err(error) => {
            Check::fail("disk", format!("{shown}: {error}"), "use `--data-dir` with another directory")
        }
    };
    let kind = rustix::fs::statfs(existing).map_or(0, |stat| stat.f_type as u32);
    let room = found.ok().and_then(|space| room(data_dir, &space));
    [Some(space), room, Some(filesystem(&shown, kind))].into_iter().flatten().collect()
}

/// What the control plane's state and the agent's ledger keep inside their files for when the disk is full.
fn room(data_dir: &Path, space: &Space) -> Option<Check> {
    let files = ["state.db", "agent/ledger.db"];
    let kept: Vec<(&str, u64)> = files
        .into_iter()
        .filter_map(|name| Some((name, store::sqlite::kept(&data_dir.join(name))?)))
        .collect();
    judge_room(&kept, space)
}

/// `kept`: what each file keeps.
pub(super) fn judge_room(kept: &[(&str, u64)], space: &Space) -> Option<Check> {
    let least = kept.iter().map(|(_, bytes)| *bytes).min()?;
    let each: Vec<String> =
        kept.iter().map(|(name, bytes)| format!("{name} keeps {} KiB", bytes >> 10)).collect();
    let detail = format!("for stops and deletes on a full disk, {}", each.join(", "));
    Some(match least < space.kept_bytes() / 2 {
        true => {
            Check::warn("disk-room", detail, "free some space; a running Roadstead fills it up by itself")
        }
        false => Check::ok("disk-room", detail),
    })
}

pub(super) fn judge_space(at: &str, space: &Space) -> Check {
    let floor = space.floor_bytes();
    let free = format!(
        "{at}: {} free; below {} MiB nothing new begins and the task that fills it is ended",
        space.left(),
        floor >> 20
    );
    let mend = "free some space there, or use `--data-dir` on another disk";
    if space.read_only {
        let mend = "mount it for writing, or use `--data-dir` on another disk";
        return Check::fail("disk", format!("{at} is mounted read-only"), mend);
    }
    if space.free_bytes < DISK_FAIL_BYTES.max(floor) || space.is_tight() {
        return Check::fail("disk", free, mend);
    }
    let few_inodes = space.total_inodes > 0 && space.free_inodes < INODES_WARN;
    match few_inodes {
        _ if space.free_bytes < DISK_WARN_BYTES => Check::warn("disk", free, mend),
        true => Check::warn("disk", format!("{free}; only {} inodes are free", space.free_inodes), mend),
        false => Check::ok("disk", free),
    }
}

/// `kind` is the file system's magic number. overlayfs needs an upper layer with extended attributes and
/// whiteouts, which these cannot be.
pub(super) fn filesystem(at: &str, kind: u32) -> Check {
    let name = match kind {
        0x794c_7630 => "overlayfs (a container's own root)",
        0x6969 => "NFS",
        0xff53_4d42 | 0xfe53_4d42 | 0x517b => "SMB",
        0x4d44 => "FAT",
        0x0102_1997 => "9p",
        _ => return Check::ok("filesystem", format!("{at} can hold containers' layers")),
    };
    let mend = "use `--data-dir` on ext4, xfs or btrfs (in a container: on a volume)";
    Check::fail("filesystem", format!("{at} is on {name}, on which overlayfs cannot stack layers"), mend)
}
