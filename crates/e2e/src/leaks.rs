//! The leak checker: what there is on this host that a container engine makes, so that a test can
//! compare before and after. Looks only; needs root to see everything.
//!
//! Two views. [`Snapshot::take`] sees the whole host: any mount, link, namespace file or nftables
//! rule that came or went counts, whoever made it, so nothing else may run meanwhile.
//! [`Snapshot::of`] sees only what bears one of the given marks (an instance's 8 hex digits, a data
//! directory), so tests can run side by side.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// How deep cgroup trees and run directories are walked.
const DEPTH_MAX: usize = 8;
/// What our cgroups, tables and program are named after.
const OURS: &str = "roadstead";
const POLL: Duration = Duration::from_millis(20);

/// Everything seen at one moment, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    objects: BTreeMap<Object, usize>,
    marks: Vec<String>,
}

/// One thing on the host: what it is and how it is called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Object {
    kind: &'static str,
    name: String,
}

impl Snapshot {
    /// Looks at the whole host.
    pub fn take() -> Snapshot {
        Snapshot::look(Vec::new())
    }

    /// Looks at what bears one of these marks.
    pub fn of(marks: &[&str]) -> Snapshot {
        Snapshot::look(marks.iter().map(|mark| (*mark).to_owned()).collect())
    }

    /// Looks again, in the same way, until nothing differs from `self` or `patience` is over; what
    /// still differs then. Removal goes on in the background after a task has stopped.
    pub fn diff_when_settled(&self, patience: Duration) -> Vec<String> {
        let deadline = Instant::now() + patience;
        loop {
            let differences = diff(self, &Snapshot::look(self.marks.clone()));
            if differences.is_empty() || Instant::now() >= deadline {
                return differences;
            }
            thread::sleep(POLL);
        }
    }

    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    fn look(marks: Vec<String>) -> Snapshot {
        let mut snapshot = Snapshot { objects: BTreeMap::new(), marks };
        let mounts = mounts();
        for mount in &mounts {
            snapshot.see("mount", format!("{} ({})", mount.point, mount.kind), "");
        }
        for name in names(Path::new("/sys/class/net")) {
            snapshot.see("link", name, "");
        }
        for path in namespace_files() {
            snapshot.see("netns", path.display().to_string(), "");
        }
        for line in nft_objects() {
            snapshot.see("nft", line, "");
        }
        for path in mounts.iter().filter(|m| m.kind.starts_with("cgroup")).flat_map(|m| cgroups(&m.point)) {
            snapshot.see("cgroup", path.display().to_string(), "");
        }
        for process in processes() {
            snapshot.see("process", process.name, &process.text);
        }
        if let Ok(value) = fs::read_to_string("/proc/sys/net/ipv4/ip_forward") {
            snapshot.see("sysctl", format!("net.ipv4.ip_forward={}", value.trim()), "");
        }
        snapshot
    }

    /// `text` is more that may bear a mark, without being part of the name.
    fn see(&mut self, kind: &'static str, name: String, text: &str) {
        let is_wanted = self.marks.is_empty()
            || self.marks.iter().any(|mark| name.contains(mark.as_str()) || text.contains(mark.as_str()));
        if is_wanted {
            *self.objects.entry(Object { kind, name }).or_insert(0) += 1;
        }
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (object, count) in &self.objects {
            writeln!(f, "{count:>3} {} {}", object.kind, object.name)?;
        }
        Ok(())
    }
}

/// What came and what went between two snapshots, one a line, sorted. Empty when nothing leaked.
pub fn diff(before: &Snapshot, after: &Snapshot) -> Vec<String> {
    let count = |snapshot: &Snapshot, object: &Object| snapshot.objects.get(object).copied().unwrap_or(0);
    let mut all: Vec<&Object> = before.objects.keys().chain(after.objects.keys()).collect();
    all.sort();
    all.dedup();
    let line = |object: &Object| {
        let (was, is) = (count(before, object), count(after, object));
        let word = if is > was { "left behind" } else { "gone" };
        (was != is).then(|| format!("{word}: {} {} ({was} before, {is} now)", object.kind, object.name))
    };
    all.into_iter().filter_map(line).collect()
}

struct Mount {
    point: String,
    kind: String,
}

/// Mounts of our own mount namespace (proc_pid_mountinfo(5): the kind follows a lone dash).
fn mounts() -> Vec<Mount> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let parse = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let (point, kind) = (left.split(' ').nth(4)?, right.split(' ').next()?);
        Some(Mount { point: point.to_owned(), kind: kind.to_owned() })
    };
    text.lines().filter_map(parse).collect()
}

/// Namespace files: ours, and those of `ip netns`.
fn namespace_files() -> Vec<PathBuf> {
    let root = Path::new("/run/roadstead");
    let instances = names(root).into_iter().map(|id| root.join(id).join("netns"));
    let dirs = instances.chain([PathBuf::from("/run/netns")]);
    dirs.flat_map(|dir| names(&dir).into_iter().map(move |name| dir.join(name))).collect()
}

/// Tables, chains, rules and map elements of every table; many alike are counted.
fn nft_objects() -> Vec<String> {
    let program = ["/usr/sbin/nft", "/sbin/nft"].into_iter().find(|path| Path::new(path).exists());
    let output = Command::new(program.unwrap_or("nft")).args(["-j", "list", "ruleset"]).output();
    let json = output.ok().and_then(|o| serde_json::from_slice::<serde_json::Value>(&o.stdout).ok());
    let listed = json.as_ref().and_then(|json| json["nftables"].as_array());
    listed.into_iter().flatten().flat_map(nft_lines).collect()
}

fn nft_lines(entry: &serde_json::Value) -> Vec<String> {
    let Some((kind, object)) = entry.as_object().and_then(|entry| entry.iter().next()) else { return vec![] };
    let text = |key: &str| object[key].as_str().unwrap_or("").to_owned();
    let place = format!("{} {}", text("family"), text("table"));
    match kind.as_str() {
        "table" => vec![format!("table {} {}", text("family"), text("name"))],
        "chain" => vec![format!("chain {place} {}", text("name"))],
        "rule" => vec![format!("rule {place} {}", text("chain"))],
        "map" | "set" => {
            let name = text("name");
            let count = object["elem"].as_array().map_or(0, Vec::len);
            let element = format!("element {place} {name}");
            [format!("{kind} {place} {name}")].into_iter().chain(vec![element; count]).collect()
        }
        _ => vec![],
    }
}

/// Control groups of ours in one hierarchy, v1 or v2.
fn cgroups(mount_point: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(Path::new(mount_point), DEPTH_MAX, &mut found);
    found.retain(|path| path.to_string_lossy().contains(OURS));
    found
}

fn walk(dir: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let path = entry.path();
            if depth > 0 {
                walk(&path, depth - 1, found);
            }
            found.push(path);
        }
    }
}

struct Process {
    name: String,
    /// Where else a mark may be.
    text: String,
}

/// Processes of ours: those that run our program (also one that was replaced on disk), and those in
/// a control group of ours. Named by pid and start time, for pids come again.
fn processes() -> Vec<Process> {
    names(Path::new("/proc")).iter().filter_map(|pid| process(pid.parse().ok()?)).collect()
}

fn process(pid: u32) -> Option<Process> {
    let dir = PathBuf::from(format!("/proc/{pid}"));
    let read =
        |file: &str| fs::read(dir.join(file)).ok().map(|b| String::from_utf8_lossy(&b).replace('\0', " "));
    let program = fs::read_link(dir.join("exe")).unwrap_or_default();
    let program = program.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let cgroup = read("cgroup").unwrap_or_default();
    let is_ours = program.strip_suffix(" (deleted)").unwrap_or(&program) == OURS || cgroup.contains(OURS);
    if !is_ours {
        return None;
    }
    let stat = read("stat")?;
    // The name in parentheses may hold anything; start time is the 20th field after it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let (state, start) = (fields.first()?, fields.get(19)?);
    let command = read("cmdline").filter(|c| !c.is_empty()).unwrap_or_else(|| program.clone());
    let zombie = if *state == "Z" { " (zombie)" } else { "" };
    let name = format!("{pid}@{start} {}{zombie}", command.trim());
    let text = format!("{cgroup} {}", read("environ").unwrap_or_default());
    Some(Process { name, text })
}

/// Names in a directory; none when there is no such directory.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_left_behind_is_told_and_its_removal_too() {
        // A name that no other test or instance can have, up to the number of this process.
        let name = format!("lk{:08x}", std::process::id());
        let ip = |args: &[&str]| assert!(Command::new("ip").args(args).status().unwrap().success());
        let before = Snapshot::of(&[&name]);
        assert!(before.is_empty());
        ip(&["link", "add", &name, "type", "bridge"]);
        let during = Snapshot::of(&[&name]);
        ip(&["link", "del", &name]);
        assert_eq!(diff(&before, &during), [format!("left behind: link {name} (0 before, 1 now)")]);
        assert_eq!(before.diff_when_settled(Duration::from_secs(5)), Vec::<String>::new());
        assert_eq!(diff(&during, &before), [format!("gone: link {name} (1 before, 0 now)")]);
    }

    #[test]
    fn the_whole_host_has_mounts_and_a_loopback() {
        let all = Snapshot::take();
        assert!(all.to_string().contains("1 link lo\n"), "{all}");
        assert!(all.to_string().contains("mount / ("), "{all}");
        assert_eq!(diff(&all, &all), Vec::<String>::new());
    }

    #[test]
    fn rules_and_elements_are_counted() {
        let lines = |text: &str| nft_lines(&serde_json::from_str(text).unwrap());
        assert_eq!(lines(r#"{"rule": {"family": "inet", "table": "t", "chain": "c"}}"#), ["rule inet t c"]);
        assert_eq!(
            lines(r#"{"map": {"family": "inet", "table": "t", "name": "m", "elem": [[80, 1], [81, 2]]}}"#),
            ["map inet t m", "element inet t m", "element inet t m"]
        );
        assert_eq!(lines(r#"{"metainfo": {"version": "1"}}"#), Vec::<String>::new());
        assert_eq!(lines("[]"), Vec::<String>::new());
    }
}
