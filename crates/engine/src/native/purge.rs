//! What exists on this host of one instance, and taking it all away. Works without an open engine too.

use std::io;

use super::cgroup::{self, GroupPath, Hierarchy};
use super::layout::{self, EngineDir};
use super::{disk, ids, tree};

/// Every object of the instance, one a line, sorted: groups, processes in them, task folders, disks, ranges of ids,
/// and the network's own list.
pub(super) fn audit(
    hierarchy: &Hierarchy,
    instance: &GroupPath,
    dir: &EngineDir,
    network: Option<&network::Config>,
) -> Vec<String> {
    let mut all: Vec<String> =
        cgroup::list(hierarchy, instance).into_iter().map(|path| format!("cgroup {path}")).collect();
    all.extend(cgroup::processes(hierarchy, instance).into_iter().map(|pid| format!("process {pid}")));
    for tasks in [dir.tasks(), dir.run()] {
        for task in layout::folders(&tasks).unwrap_or_default() {
            all.push(format!("task {}", tasks.join(task).display()));
        }
    }
    all.extend(disk::mounted_below(&dir.tasks()).into_iter().map(|place| format!("disk {place}")));
    let ids = ids::read(&dir.ids()).unwrap_or_default();
    all.extend(ids.into_iter().map(|(base, task)| format!("ids {base} of task {task}")));
    all.extend(network.and_then(|config| network::audit(config).ok()).unwrap_or_default());
    all.sort();
    all
}

/// Removes what is left when no task is: groups, with whatever runs in them, folders, and holds on
/// images.
pub(super) fn remove_rest(
    hierarchy: &Hierarchy,
    instance: &GroupPath,
    dir: &EngineDir,
    images: &image::Store,
) -> io::Result<()> {
    let groups = cgroup::remove(hierarchy, instance);
    for (digest, holder) in images.holds().unwrap_or_default() {
        let _ = images.release(&digest, &holder);
    }
    // Each, whatever becomes of the others: a disk that takes nothing keeps its own folders alone.
    let memory = dir.remove_memory();
    let removed = tree::remove(dir.root()).map_err(|error| {
        let path = dir.root().display();
        io::Error::new(error.kind(), format!("the folder {path} cannot be removed: {error}"))
    });
    groups.and(memory).and(removed)
}
