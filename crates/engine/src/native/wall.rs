//! What a task behind a wall may not have, as it would lead through it. Pure.

use crate::spec::{ContainerSpec, IpcMode, Isolation, NetworkMode, PidMode, TaskSpec, Volume};

/// The one capability that may be added, as on Fargate: it reaches no further than the container's own processes.
const CAPABILITY: &str = "SYS_PTRACE";

/// Refuses what a task shares with its host.
///
/// # Errors
/// What it is, in ECS's words.
pub(super) fn check_task(task: &TaskSpec) -> Result<(), String> {
    if task.isolation.is_shared() {
        return Ok(());
    }
    let host = task.volumes.iter().find(|(_, volume)| matches!(volume, Volume::Host(_)));
    if let Some((name, _)) = host {
        return Err(refusal(task.isolation, &format!("volume {name}, which is a folder of the host")));
    }
    let sandbox = task.isolation == Isolation::Gvisor;
    let modes = [
        (task.pid_mode == PidMode::Host, "pidMode host"),
        (task.ipc_mode == IpcMode::Host, "ipcMode host"),
        (sandbox && task.ipc_mode == IpcMode::Task, "ipcMode task"),
    ];
    first(task.isolation, &modes)
}

/// Refuses what a container shares with its host, and rights over it.
///
/// # Errors
/// What it is, in ECS's words.
pub(super) fn check_container(task: &TaskSpec, spec: &ContainerSpec) -> Result<(), String> {
    let isolation = task.isolation;
    if isolation.is_shared() {
        return Ok(());
    }
    let is_capability = |name: &String| {
        let name = name.to_ascii_uppercase();
        name.strip_prefix("CAP_").unwrap_or(&name) == CAPABILITY
    };
    let unconfined = |option: &String| option.split(['=', ':']).nth(1) == Some("unconfined");
    first(
        isolation,
        &[
            (spec.privileged, "privileged"),
            (spec.network == NetworkMode::Host, "networkMode host"),
            (!spec.devices.is_empty(), "devices"),
            (!spec.capabilities_add.iter().all(is_capability), "capabilities.add but SYS_PTRACE"),
            (spec.security_options.iter().any(unconfined), "dockerSecurityOptions unconfined"),
        ],
    )
    .and_then(|()| if isolation == Isolation::Gvisor { check_guest(task, spec) } else { Ok(()) })
}

/// Refuses what a sandbox, in which all containers of a task are together, cannot do for one of them.
fn check_guest(task: &TaskSpec, spec: &ContainerSpec) -> Result<(), String> {
    // What the whole task may take holds for each of its containers too.
    let below = |own: Option<u64>| own.is_some_and(|own| task.memory_bytes.is_none_or(|all| own < all));
    let swap = spec.memory_swap_bytes.is_some() || spec.swappiness.is_some();
    first(
        task.isolation,
        &[
            (spec.network == NetworkMode::Bridge, "networkMode bridge"),
            (spec.network == NetworkMode::None && task.network.is_some(), "networkMode none"),
            (below(spec.memory_bytes), "a container's memory below its task's"),
            (swap, "linuxParameters.maxSwap and swappiness"),
            (spec.init_process, "linuxParameters.initProcessEnabled"),
            (!spec.sysctls.is_empty(), "systemControls"),
        ],
    )
}

fn first(isolation: Isolation, found: &[(bool, &str)]) -> Result<(), String> {
    let refused = found.iter().find(|(present, _)| *present);
    refused.map_or(Ok(()), |(_, what)| Err(refusal(isolation, what)))
}

fn refusal(isolation: Isolation, what: &str) -> String {
    format!("{what} is not possible with isolation {isolation}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(isolation: Isolation) -> TaskSpec {
        TaskSpec { isolation, ..TaskSpec::default() }
    }

    #[test]
    fn nothing_of_the_host_is_shared() {
        let task = TaskSpec { isolation: Isolation::Namespaces, ..TaskSpec::default() };
        assert_eq!(check_task(&task), Ok(()));
        let volumes = [("data".to_owned(), Volume::Host("/data".into()))].into();
        for (spec, what) in [
            (TaskSpec { volumes, ..task.clone() }, "volume data"),
            (TaskSpec { pid_mode: PidMode::Host, ..task.clone() }, "pidMode host"),
            (TaskSpec { ipc_mode: IpcMode::Host, ..task }, "ipcMode host"),
        ] {
            let error = check_task(&spec).unwrap_err();
            assert!(error.starts_with(what) && error.ends_with("isolation namespaces"), "{error}");
            assert_eq!(check_task(&TaskSpec { isolation: Isolation::Shared, ..spec }), Ok(()));
        }
    }

    #[test]
    fn nothing_is_privileged() {
        let none = ContainerSpec { network: NetworkMode::None, ..ContainerSpec::default() };
        let list = |word: &str| vec![word.to_owned()];
        let device = crate::spec::Device {
            host_path: "/dev/fuse".into(),
            container_path: "/dev/fuse".into(),
            permissions: "r".into(),
        };
        for (spec, what) in [
            (ContainerSpec { privileged: true, ..none.clone() }, "privileged"),
            (ContainerSpec { network: NetworkMode::Host, ..none.clone() }, "networkMode host"),
            (ContainerSpec { devices: vec![device], ..none.clone() }, "devices"),
            (ContainerSpec { capabilities_add: list("sys_admin"), ..none.clone() }, "capabilities.add"),
            (ContainerSpec { capabilities_add: list("ALL"), ..none.clone() }, "capabilities.add"),
            (
                ContainerSpec { security_options: list("seccomp=unconfined"), ..none.clone() },
                "dockerSecurity",
            ),
            (
                ContainerSpec { security_options: list("apparmor:unconfined"), ..none.clone() },
                "dockerSecurity",
            ),
        ] {
            for isolation in [Isolation::Namespaces, Isolation::Gvisor] {
                assert!(check_container(&within(isolation), &spec).unwrap_err().starts_with(what), "{what}");
            }
            assert_eq!(check_container(&within(Isolation::Shared), &spec), Ok(()));
        }
        let fine = ContainerSpec {
            capabilities_add: list("CAP_SYS_PTRACE"),
            security_options: list("no-new-privileges"),
            ..none
        };
        assert_eq!(check_container(&within(Isolation::Namespaces), &fine), Ok(()));
        assert_eq!(check_container(&within(Isolation::Gvisor), &fine), Ok(()));
    }

    #[test]
    fn what_a_sandbox_cannot_do_for_one_of_its_containers_is_refused() {
        let none = ContainerSpec { network: NetworkMode::None, ..ContainerSpec::default() };
        let small = TaskSpec { memory_bytes: Some(64), ..within(Isolation::Gvisor) };
        for (spec, what) in [
            (ContainerSpec { network: NetworkMode::Bridge, ..none.clone() }, "networkMode bridge"),
            (ContainerSpec { memory_bytes: Some(63), ..none.clone() }, "a container's memory"),
            (ContainerSpec { memory_swap_bytes: Some(-1), ..none.clone() }, "linuxParameters.maxSwap"),
            (ContainerSpec { swappiness: Some(1), ..none.clone() }, "linuxParameters.maxSwap"),
            (ContainerSpec { init_process: true, ..none.clone() }, "linuxParameters.initProcess"),
            (
                ContainerSpec { sysctls: [("net.core.somaxconn".into(), "1".into())].into(), ..none.clone() },
                "systemControls",
            ),
        ] {
            let error = check_container(&small, &spec).unwrap_err();
            assert!(error.starts_with(what) && error.ends_with("isolation gvisor"), "{error}");
            let other = TaskSpec { isolation: Isolation::Namespaces, ..small.clone() };
            assert_eq!(check_container(&other, &spec), Ok(()));
        }
        let whole = ContainerSpec { memory_bytes: Some(64), ..none.clone() };
        assert_eq!(check_container(&small, &whole), Ok(()));
        assert!(check_container(&within(Isolation::Gvisor), &whole).is_err(), "of a task without a limit");
        let shared = TaskSpec { ipc_mode: IpcMode::Task, ..small };
        assert!(check_task(&shared).unwrap_err().starts_with("ipcMode task"));
    }
}
