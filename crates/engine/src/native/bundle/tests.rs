//! The plan of a container, as a whole.

use std::path::Path;

use super::*;
use crate::native::layout::EngineDir;
use crate::spec::{Mount, Volume};

fn planned(hierarchy: &Hierarchy, spec: &ContainerSpec, image: &image::Config) -> Result<Plan, String> {
    let data = tempfile::tempdir().unwrap();
    let engine = EngineDir::new(data.path(), data.path());
    let task_dir = engine.task("t");
    let dir = task_dir.container("c");
    let task =
        TaskSpec { id: "t".into(), volumes: [("v".into(), Volume::Empty)].into(), ..TaskSpec::default() };
    let path = |name: &str| dir.file(name);
    let overlay = image::Overlay {
        lower: vec!["/lower".into()],
        upper: path("upper"),
        work: path("work"),
        target: dir.rootfs(),
    };
    let given = Given {
        task: &task,
        task_dir: &task_dir,
        dir: &dir,
        runtime_id: "ab".repeat(32),
        image_digest: "sha256:0".into(),
        image,
        overlay,
        ids: None,
        hierarchy,
        group: GroupPath::instance("01234567").child("t").child("c"),
        netns: Some("/run/netns/x".into()),
        attached: true,
        linked: Vec::new(),
        apparmor: &AppArmor::default(),
        hostname: "h".into(),
        seccomp_dir: &engine.seccomp(),
        volumes_of: &|_| None,
    };
    plan(given, spec)
}

fn v2() -> Hierarchy {
    Hierarchy::V2("/sys/fs/cgroup".into())
}

fn shell() -> ContainerSpec {
    ContainerSpec { command: Some(vec!["sh".into()]), ..ContainerSpec::default() }
}

fn destinations(plan: &Plan) -> Vec<String> {
    let mounts = plan.spec.mounts().as_ref().unwrap();
    mounts.iter().map(|m| m.destination().display().to_string()).collect()
}

#[test]
fn v2_has_a_group_namespace_and_one_mount_for_groups() {
    let plan = planned(&v2(), &shell(), &image::Config::default()).unwrap();
    let linux = plan.spec.linux().as_ref().unwrap();
    let kinds: Vec<String> =
        linux.namespaces().as_ref().unwrap().iter().map(|n| n.typ().to_string()).collect();
    assert_eq!(kinds, ["pid", "mnt", "ipc", "uts", "net", "cgroup"]);
    assert_eq!(linux.cgroups_path().as_deref(), Some(Path::new("/roadstead-01234567/t/c")));
    assert_eq!(destinations(&plan).iter().filter(|d| d.starts_with("/sys/fs/cgroup")).count(), 1);
    assert!(linux.resources().is_none(), "limits are ours to write");
    assert!(plan.confine.is_some() && linux.seccomp().is_none());
    assert_eq!((plan.stop_signal, plan.user.as_str()), (libc::SIGTERM, ""));
}

#[test]
fn volumes_hide_the_image_s_and_come_after_what_they_lie_in() {
    let image = image::Config {
        volumes: vec!["/data".into(), "/data/deep".into()],
        user: "web".into(),
        stop_signal: "SIGQUIT".into(),
        ..image::Config::default()
    };
    let mount =
        |path: &str| Mount { source_volume: "v".into(), container_path: path.into(), read_only: true };
    let spec = ContainerSpec { mounts: vec![mount("/data/"), mount("/etc/hosts")], ..shell() };
    let plan = planned(&v2(), &spec, &image).unwrap();
    let paths: Vec<String> =
        destinations(&plan).into_iter().filter(|d| d.starts_with("/data") || d.starts_with("/etc")).collect();
    assert_eq!(paths, ["/data", "/etc/resolv.conf", "/etc/hostname", "/data/deep", "/etc/hosts"]);
    assert_eq!(plan.volumes.len(), 3);
    assert!(plan.volumes.iter().filter(|v| v.read_only).count() == 2);
    assert_eq!((plan.stop_signal, plan.user.as_str()), (libc::SIGQUIT, "web"));
}

#[test]
fn the_files_of_the_network_are_as_writable_as_the_root_and_not_in_memory() {
    for readonly_root in [false, true] {
        let spec = ContainerSpec { readonly_root, ..shell() };
        let plan = planned(&v2(), &spec, &image::Config::default()).unwrap();
        let mounts = plan.spec.mounts().clone().unwrap();
        let etc: Vec<_> = mounts.iter().filter(|m| m.destination().starts_with("/etc")).collect();
        assert_eq!(etc.len(), 3);
        for mount in etc {
            let read_only = mount.options().as_ref().unwrap().iter().any(|option| option == "ro");
            assert_eq!(read_only, readonly_root);
            let source = mount.source().as_ref().unwrap();
            assert!(source.to_string_lossy().contains("/engine/tasks/"), "{}", source.display());
        }
    }
}

#[test]
fn what_cannot_be_is_refused_in_words() {
    let mount = |volume: &str, path: &str| ContainerSpec {
        mounts: vec![Mount { source_volume: volume.into(), container_path: path.into(), read_only: false }],
        ..shell()
    };
    let sysctl =
        |name: &str| ContainerSpec { sysctls: [(name.to_owned(), "1".to_owned())].into(), ..shell() };
    for (spec, want) in [
        (ContainerSpec::default(), "no command specified"),
        (mount("none", "/x"), "unknown volume"),
        (mount("v", "/"), "invalid mount path"),
        (mount("v", "/a/../.."), "invalid mount path"),
        (mount("v", "relative"), "invalid mount path"),
        (sysctl("kernel.panic"), "is not allowed"),
        (ContainerSpec { volumes_from: vec![("x".into(), false)], ..shell() }, "volumesFrom"),
        (ContainerSpec { stop_signal: Some("SIGNOPE".into()), ..shell() }, "invalid signal"),
        (ContainerSpec { working_directory: Some("here".into()), ..shell() }, "absolute path"),
    ] {
        let error = planned(&v2(), &spec, &image::Config::default()).unwrap_err();
        assert!(error.contains(want), "{error}");
    }
}

#[test]
fn privileged_is_confined_by_nothing() {
    let spec = ContainerSpec { privileged: true, ..shell() };
    let plan = planned(&v2(), &spec, &image::Config::default()).unwrap();
    let linux = plan.spec.linux().as_ref().unwrap();
    assert!(plan.confine.is_none() && plan.limits.devices.is_none());
    assert!(linux.masked_paths().is_none() && linux.readonly_paths().is_none());
}

#[test]
fn the_network_is_told_its_own_controls_only() {
    let mut spec = shell();
    spec.sysctls.insert("net.ipv4.ip_unprivileged_port_start".into(), "1024".into());
    spec.sysctls.insert("kernel.shmmax".into(), "1".into());
    let asked = ("net.ipv4.ip_unprivileged_port_start".to_owned(), "1024".to_owned());
    assert_eq!(network_sysctls(&spec), [asked]);
    assert!(network_sysctls(&shell()).is_empty());
}

#[test]
fn an_image_that_declares_ports_without_end_costs_little() {
    let exposed_ports = (0..2000).map(|n| format!("0-65535/{}", ["tcp", "udp", "x"][n % 3])).collect();
    let image = image::Config { exposed_ports, ..image::Config::default() };
    let ports = planned(&v2(), &shell(), &image).unwrap().shown.ports;
    assert_eq!(ports.len(), 1024);
}
