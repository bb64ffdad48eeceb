//! What the kernel can do: file systems, namespaces, devices, filters. From /proc and the kernel's own
//! configuration; nothing is loaded or made to find out.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Check;

/// The oldest kernel that is expected to work: it has `cgroup.kill` and `mount_setattr`.
const OLDEST: (u32, u32) = (5, 14);
/// The namespaces that a container has.
const NAMESPACES: [&str; 6] = ["mnt", "pid", "net", "ipc", "uts", "cgroup"];

/// A part of the kernel that may be built in, a module, or absent.
struct Part {
    name: &'static str,
    /// Without `CONFIG_`; all are needed.
    options: &'static [&'static str],
    /// The modules to load, for the remedy.
    modules: &'static str,
}

const PARTS: [Part; 3] = [
    Part { name: "veth", options: &["VETH"], modules: "veth" },
    Part { name: "bridge", options: &["BRIDGE"], modules: "bridge" },
    Part {
        name: "nf_tables",
        options: &["NF_TABLES", "NFT_NAT", "NFT_MASQ", "NF_TABLES_INET"],
        modules: "nf_tables nft_chain_nat nft_masq",
    },
];

/// All of the kernel.
pub(super) fn run() -> Vec<Check> {
    let config = read_config();
    let filesystems = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let mut checks = vec![overlayfs(&filesystems, config.as_deref())];
    let present: Vec<&str> =
        NAMESPACES.into_iter().filter(|name| Path::new("/proc/self/ns").join(name).exists()).collect();
    checks.push(namespaces(&present));
    checks.push(seccomp(&fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_default()));
    checks.extend(PARTS.iter().map(|part| config_part(part, config.as_deref())));
    checks
}

/// The kernel's age.
pub(super) fn release_check() -> Check {
    release(fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim())
}

pub(super) fn release(text: &str) -> Check {
    let mut numbers = text.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) if (major, minor) >= OLDEST => {
            Check::ok("kernel", format!("Linux {text}"))
        }
        (Some(_), Some(_)) => Check::fail(
            "kernel",
            format!("Linux {text} is older than {}.{}", OLDEST.0, OLDEST.1),
            "install a newer kernel of the distribution",
        ),
        _ => Check::warn("kernel", format!("the release {text:?} is not understood"), "mount /proc"),
    }
}

/// `text` is /proc/filesystems, where a module stands only once it is loaded; the kernel loads it with the
/// first mount.
pub(super) fn overlayfs(text: &str, config: Option<&str>) -> Check {
    let known = text.lines().any(|line| line.split_whitespace().next_back() == Some("overlay"));
    if known {
        Check::ok("overlayfs", "images are stacked by overlayfs")
    } else {
        judge_part("overlayfs", &["OVERLAY_FS"], "overlay", config)
    }
}

/// `present` are the names in /proc/self/ns.
pub(super) fn namespaces(present: &[&str]) -> Check {
    let missing: Vec<&str> = NAMESPACES.into_iter().filter(|name| !present.contains(name)).collect();
    if missing.is_empty() {
        return Check::ok("namespaces", NAMESPACES.join(", "));
    }
    let mend = "use a kernel with CONFIG_NAMESPACES and all kinds below it, or mount /proc";
    Check::fail("namespaces", format!("not offered: {}", missing.join(", ")), mend)
}

/// `text` is /proc/sys/kernel/seccomp/actions_avail.
pub(super) fn seccomp(text: &str) -> Check {
    if text.split_whitespace().any(|action| action == "errno") {
        return Check::ok("seccomp", "containers get the default profile");
    }
    let mend = "use a kernel with CONFIG_SECCOMP_FILTER";
    Check::fail("seccomp", "the kernel cannot filter system calls, so no container can be confined", mend)
}

/// How an option of the kernel is set: `y`, `m`, or not.
fn option(config: &str, name: &str) -> Option<char> {
    let wanted = format!("CONFIG_{name}=");
    config.lines().find_map(|line| line.strip_prefix(&wanted)?.chars().next())
}

fn config_part(part: &Part, config: Option<&str>) -> Check {
    judge_part(part.name, part.options, part.modules, config)
}

/// `config` is the kernel's configuration, where it can be read.
pub(super) fn judge_part(name: &'static str, options: &[&str], modules: &str, config: Option<&str>) -> Check {
    let Some(config) = config else {
        let detail = "the kernel's configuration cannot be read, so this was not found out";
        return Check::warn(
            name,
            detail,
            format!("run `modprobe -a {modules}`; if that succeeds all is well"),
        );
    };
    let missing: Vec<&str> = options.iter().copied().filter(|o| option(config, o).is_none()).collect();
    if !missing.is_empty() {
        let options = missing.iter().map(|o| format!("CONFIG_{o}")).collect::<Vec<_>>().join(", ");
        return Check::fail(
            name,
            format!("this kernel lacks {options}"),
            format!("use a kernel with {options}"),
        );
    }
    if options.iter().all(|o| option(config, o) == Some('y')) {
        Check::ok(name, "built into the kernel")
    } else {
        Check::ok(name, "a module, which the kernel loads when it is needed")
    }
}

/// The kernel's configuration from where kernels and distributions keep it.
fn read_config() -> Option<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    let plain = [format!("/boot/config-{release}"), format!("/lib/modules/{release}/config")];
    plain.iter().find_map(|path| fs::read_to_string(path).ok()).or_else(unpack_config)
}

/// /proc/config.gz by way of gzip, which every Debian has.
fn unpack_config() -> Option<String> {
    let packed = fs::File::open("/proc/config.gz").ok()?;
    let mut gzip = Command::new("gzip")
        .arg("-dc")
        .stdin(packed)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut text = String::new();
    // A configuration has some 300 kB.
    let read = gzip.stdout.take()?.take(4 << 20).read_to_string(&mut text);
    let ended = gzip.wait();
    (read.is_ok() && ended.is_ok_and(|status| status.success())).then_some(text)
}
