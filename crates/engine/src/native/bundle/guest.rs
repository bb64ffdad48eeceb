//! The specification of a container in its task's sandbox. What is of the host's kernel is not in it (control groups,
//! devices, system controls, seccomp, AppArmor): gVisor's own kernel has none of it, and what a task asks of it is refused
//! (`wall`).

use serde_json::{Value, json};

use super::Given;
use super::mounts::{self, Volumes};
use crate::native::runsc;
use crate::spec::{ContainerSpec, PidMode};

/// Made of the same parts as any other's.
pub(super) fn document(
    given: &Given<'_>,
    spec: &ContainerSpec,
    mut process: Value,
    volumes: &Volumes,
) -> Result<Value, String> {
    if let Some(process) = process.as_object_mut() {
        process.remove("apparmorProfile");
    }
    // Without a PID namespace of its own a container is in the sandbox's first, which is the task's.
    let own =
        ["mount", "ipc", "uts"].into_iter().chain((given.task.pid_mode == PidMode::Own).then_some("pid"));
    let mut namespaces: Vec<Value> = own.map(|kind| json!({ "type": kind })).collect();
    if let Some(path) = &given.netns {
        // The sandbox's, which is in it already.
        namespaces.push(json!({ "type": "network", "path": path }));
    }
    Ok(json!({
        "ociVersion": "1.0.2",
        "hostname": given.hostname,
        "root": { "path": given.overlay.target, "readonly": spec.readonly_root },
        "process": process,
        "mounts": mounts::of_guest(given, spec, volumes)?,
        // No label of the user's: some mean something to gVisor.
        "annotations": { runsc::KIND: "container", runsc::OF: runsc::HOLDER },
        "linux": { "namespaces": namespaces },
    }))
}
