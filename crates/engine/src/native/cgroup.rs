//! Control groups of tasks and containers: `/roadstead-<id8>/<task>/<container>`, in every hierarchy
//! of a v1 or hybrid host, or in the one of a v2 host.
//!
//! Paths and values are pure (`values`, `mounts`); this file does the writing. It must not decide
//! limits: it is told them.

mod devices;
mod enter;
mod freezer;
mod mounts;
mod room;
mod usage;
mod values;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub(crate) use enter::{enter, follow, show};
pub(crate) use freezer::{holds, thaw};
pub(crate) use mounts::Hierarchy;
pub(crate) use usage::{forks_refused, oom_kills, usage};
pub(crate) use values::{DeviceRule, Limits, default_devices};

/// The group of processes that belong to no task: supervisors and their spawner.
pub(crate) const SUPERVISORS: &str = "_supervisors";

/// How long a killed group may take to empty before that is an error.
const EMPTY_WAIT: Duration = Duration::from_secs(10);

/// A group's path from the root of each hierarchy; relative.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct GroupPath(PathBuf);

impl GroupPath {
    /// All of an instance.
    pub(crate) fn instance(id8: &str) -> GroupPath {
        GroupPath(PathBuf::from(format!("roadstead-{id8}")))
    }

    /// A group inside this one.
    pub(crate) fn child(&self, name: &str) -> GroupPath {
        // The v1 files without a dot in their name; ECS names hold no dots, so nothing else becomes this.
        let clash = matches!(name, "tasks" | "notify_on_release" | "release_agent");
        GroupPath(self.0.join(if clash { format!("{name}.") } else { name.to_owned() }))
    }

    /// Where a process is: the group that has its memory, or all of it.
    pub(crate) fn of_process(pid: i32) -> io::Result<GroupPath> {
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
        let fields = text.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
        let with_memory = |(controllers, _): &(&str, &str)| controllers.split(',').any(|c| c == "memory");
        let mut fields: Vec<_> = fields.collect();
        fields.sort_by_key(|field| (!with_memory(field), !field.0.is_empty()));
        let path = fields.first().map(|(_, path)| path.trim_start_matches('/'));
        Ok(GroupPath(PathBuf::from(path.unwrap_or_default())))
    }

    /// As libcontainer wants it.
    pub(crate) fn absolute(&self) -> PathBuf {
        Path::new("/").join(&self.0)
    }

    pub(crate) fn relative(&self) -> &Path {
        &self.0
    }
}

/// Makes a group of a task or a container with its limits; parents are made too. One that exists is set.
pub(crate) fn make(hierarchy: &Hierarchy, group: &GroupPath, limits: &Limits) -> io::Result<()> {
    match hierarchy {
        Hierarchy::V1(_) => {
            for mount in hierarchy.task_trees() {
                make_v1(mount, &mount.path.join(group.relative()))?;
            }
            for value in values::v1(limits) {
                let Some(root) = hierarchy.root_of(value.controller) else {
                    if value.optional {
                        continue;
                    }
                    let missing = format!("this host has no cgroup controller {}", value.controller);
                    return Err(io::Error::new(io::ErrorKind::Unsupported, missing));
                };
                set(&root.join(group.relative()), &value)?;
            }
        }
        Hierarchy::V2(root) => {
            make_v2(root, group)?;
            let dir = root.join(group.relative());
            for value in values::v2(limits) {
                set(&dir, &value)?;
            }
            if let Some(rules) = &limits.devices {
                devices::attach(&dir, rules)?;
            }
        }
    }
    Ok(())
}

fn make_v1(mount: &mounts::Mount, dir: &Path) -> io::Result<()> {
    match fs::create_dir(dir) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(parent) = dir.parent().filter(|p| p.starts_with(&mount.path)) {
                make_v1(mount, parent)?;
            }
            match fs::create_dir(dir) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
                other => other?,
            }
        }
        Err(error) => return Err(error),
    }
    if mount.has("cpuset")
        && let Some(parent) = dir.parent()
    {
        // A new cpuset is empty, and nothing can join an empty one.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let value = fs::read_to_string(parent.join(file))?;
            fs::write(dir.join(file), value.trim())?;
        }
    }
    Ok(())
}

/// Makes every level and hands its controllers down to the next.
fn make_v2(root: &Path, group: &GroupPath) -> io::Result<()> {
    room::make_room(root)?;
    let available = fs::read_to_string(root.join("cgroup.controllers"))?;
    let wanted: Vec<String> = available
        .split_whitespace()
        .filter(|c| matches!(*c, "cpu" | "cpuset" | "io" | "memory" | "pids"))
        .map(|c| format!("+{c}"))
        .collect();
    let mut dir = root.to_owned();
    for part in group.relative() {
        for controller in &wanted {
            // One by one: a controller that cannot be handed down here must not stop the others; a limit
            // that needs it fails with its own file's name.
            let _ = fs::write(dir.join("cgroup.subtree_control"), controller);
        }
        dir.push(part);
        match fs::create_dir(&dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn set(dir: &Path, value: &values::Value) -> io::Result<()> {
    let path = dir.join(value.file);
    // Without O_CREAT: in a cgroup file system that would only blur the error.
    let written = fs::OpenOptions::new().write(true).open(&path).and_then(|mut file| {
        use std::io::Write;
        file.write_all(value.value.as_bytes())
    });
    match written {
        Err(error) if value.optional && error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => {
            Err(io::Error::new(error.kind(), format!("write {} to {}: {error}", value.value, path.display())))
        }
        Ok(()) => Ok(()),
    }
}

/// Moves this process into a group of no task, made in every tree.
pub(crate) fn join(hierarchy: &Hierarchy, group: &GroupPath) -> io::Result<()> {
    match hierarchy {
        Hierarchy::V1(mounts) => {
            for mount in mounts {
                let dir = mount.path.join(group.relative());
                make_v1(mount, &dir)?;
                enter::write_pid(&dir)?;
            }
            Ok(())
        }
        Hierarchy::V2(root) => {
            make_v2(root, group)?;
            enter::write_pid(&root.join(group.relative()))
        }
    }
}

/// Has the kernel make ready for a process to change groups, which takes it some ten milliseconds where
/// none did lately: moves `pid` to where it is. To be called from a thread that may wait, a little
/// before a container starts.
pub(crate) fn make_ready(hierarchy: &Hierarchy, group: &GroupPath, pid: u32) {
    if let Some(root) = hierarchy.roots().next() {
        let _ = fs::write(root.join(group.relative()).join("cgroup.procs"), pid.to_string());
    }
}

/// The trees in which a group may be: a task's are in those for tasks only, all others in each.
fn trees<'a>(hierarchy: &'a Hierarchy, group: &GroupPath) -> Vec<&'a Path> {
    let mut parts = group.relative().components().skip(1);
    let of_task = parts.next().is_some_and(|part| part.as_os_str() != SUPERVISORS);
    match hierarchy {
        Hierarchy::V1(_) if of_task => hierarchy.task_trees().map(|tree| tree.path.as_path()).collect(),
        _ => hierarchy.roots().collect(),
    }
}

/// The processes of a group and of those inside it.
pub(crate) fn processes(hierarchy: &Hierarchy, group: &GroupPath) -> Vec<i32> {
    let mut pids = Vec::new();
    for root in trees(hierarchy, group) {
        walk(&root.join(group.relative()), &mut |dir| {
            let text = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
            pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
        });
    }
    pids.sort_unstable();
    pids.dedup();
    pids
}

/// Sends SIGKILL to every process of a group.
pub(crate) fn kill(hierarchy: &Hierarchy, group: &GroupPath) {
    // Since Linux 5.14, in one step.
    let file = hierarchy.unified().map(|root| root.join(group.relative()).join("cgroup.kill"));
    let killed = file.is_some_and(|file| {
        let opened = fs::OpenOptions::new().write(true).open(file);
        opened.and_then(|mut file| io::Write::write_all(&mut file, b"1")).is_ok()
    });
    if !killed {
        kill_each(hierarchy, group);
    }
}

/// [`kill`] one by one, in every tree; says whether there was one.
fn kill_each(hierarchy: &Hierarchy, group: &GroupPath) -> bool {
    let pids = processes(hierarchy, group);
    for pid in &pids {
        // SAFETY: kill(2) touches no memory of ours. The group is ours alone, so its processes are.
        unsafe { libc::kill(*pid, libc::SIGKILL) };
    }
    !pids.is_empty()
}

/// Removes a group if it is empty now; says whether it is gone.
pub(crate) fn try_remove(hierarchy: &Hierarchy, group: &GroupPath) -> bool {
    let mut gone = true;
    for root in trees(hierarchy, group) {
        // Each, also after one that is not empty.
        gone &= remove_tree(&root.join(group.relative())).is_ok();
    }
    gone
}

/// Kills what is in a group and removes it with all inside. What is not there counts as removed.
/// Blocks until the kernel has let the processes go; they need a parent that reaps them.
pub(crate) fn remove(hierarchy: &Hierarchy, group: &GroupPath) -> io::Result<()> {
    let deadline = Instant::now() + EMPTY_WAIT;
    let mut pause = Duration::from_micros(200);
    kill(hierarchy, group);
    let mut busy = true;
    loop {
        let mut left = None;
        for root in trees(hierarchy, group) {
            left = left.or(remove_tree(&root.join(group.relative())).err());
        }
        match left {
            None => return Ok(()),
            Some(error) if Instant::now() > deadline => return Err(error),
            Some(error) if !busy && error.raw_os_error() != Some(libc::EBUSY) => return Err(error),
            Some(_) => std::thread::sleep(pause),
        }
        // Whoever is in one tree only, as a process that was killed on its way in.
        busy = kill_each(hierarchy, group);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// [`remove`], also where only another runtime than ours makes groups: it has one in each hierarchy.
pub(crate) fn remove_from_all(hierarchy: &Hierarchy, group: &GroupPath) -> io::Result<()> {
    let mut removed = remove(hierarchy, group);
    for root in hierarchy.roots() {
        removed = removed.and(remove_tree(&root.join(group.relative())));
    }
    removed
}

fn remove_tree(dir: &Path) -> io::Result<()> {
    match fs::remove_dir(dir) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(_) => {}
    }
    let mut dirs = Vec::new();
    walk(dir, &mut |d| dirs.push(d.to_owned()));
    for dir in dirs.iter().rev() {
        match fs::remove_dir(dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Calls `visit` for `dir` and every folder below, parents first.
fn walk(dir: &Path, visit: &mut dyn FnMut(&Path)) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    visit(dir);
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            walk(&entry.path(), visit);
        }
    }
}

/// Every group of an instance that exists, as `hierarchy-root/path`, sorted.
pub(crate) fn list(hierarchy: &Hierarchy, instance: &GroupPath) -> Vec<String> {
    let mut found = Vec::new();
    for root in hierarchy.roots() {
        walk(&root.join(instance.relative()), &mut |dir| found.push(dir.display().to_string()));
    }
    found.sort();
    found
}

/// The tasks that have a group, in any hierarchy.
pub(crate) fn tasks(hierarchy: &Hierarchy, instance: &GroupPath) -> Vec<String> {
    let mut names: Vec<String> = hierarchy
        .roots()
        .flat_map(|root| super::layout::folders(&root.join(instance.relative())).unwrap_or_default())
        .filter(|name| name != SUPERVISORS)
        .collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_may_be_named_as_a_cgroup_file_is() {
        let task = GroupPath::instance("0123abcd").child("t1");
        assert_eq!(task.child("web").absolute(), Path::new("/roadstead-0123abcd/t1/web"));
        assert_eq!(task.child("tasks").absolute(), Path::new("/roadstead-0123abcd/t1/tasks."));
    }
}
