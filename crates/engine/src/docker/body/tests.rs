//! What Docker is asked for, for what is asked of the engine.

use std::collections::BTreeMap;

use super::*;
use crate::spec::{Mount as Asked, Tmpfs};

fn body(task: &TaskSpec, spec: &ContainerSpec) -> Result<ContainerCreateBody, String> {
    let id = ContainerId { task: "t".into(), name: "c".into() };
    let given = Given {
        id8: "0123abcd",
        id: &id,
        task,
        image: "sha256:1".into(),
        folder: Path::new("/d/t/c"),
        group: GroupPath::instance("0123abcd").child("t"),
        cgroupfs: true,
        task_holder: Some("th".into()),
        own_holder: (spec.network == NetworkMode::Bridge).then(|| "oh".into()),
        hostname: Some("web".into()),
        linked: vec!["A=linked".into()],
        volume_name: &|name| format!("v-{name}"),
        container_name: &|name| format!("n-{name}"),
    };
    container(&given, spec)
}

fn host(task: &TaskSpec, spec: &ContainerSpec) -> HostConfig {
    body(task, spec).unwrap().host_config.unwrap()
}

#[test]
fn namespaces_are_joined_through_holders() {
    let spec = |network| ContainerSpec { network, ..ContainerSpec::default() };
    let task = TaskSpec { pid_mode: PidMode::Task, ipc_mode: IpcMode::Task, ..TaskSpec::default() };
    for (network, want) in [
        (NetworkMode::Bridge, "container:oh"),
        (NetworkMode::Task, "container:th"),
        (NetworkMode::Host, "host"),
        (NetworkMode::None, "none"),
    ] {
        let asked = body(&task, &spec(network)).unwrap();
        let host = asked.host_config.unwrap();
        assert_eq!(host.network_mode.as_deref(), Some(want));
        assert_eq!(host.pid_mode.as_deref(), Some("container:th"));
        assert_eq!(host.ipc_mode.as_deref(), Some("container:th"));
        // Docker takes no name from one that joins another's network.
        assert_eq!(asked.hostname.is_some(), !want.starts_with("container:"), "{want}");
    }
    let own = host(&TaskSpec::default(), &spec(NetworkMode::Host));
    assert_eq!((own.pid_mode, own.ipc_mode.as_deref()), (None, Some("private")));
    assert_eq!(own.cgroup_parent.as_deref(), Some("/roadstead-0123abcd/t"));
}

#[test]
fn the_mark_cannot_be_changed_by_a_label() {
    let labels = BTreeMap::from([(INSTANCE.to_owned(), "other".to_owned()), ("a".into(), "b".into())]);
    let spec = ContainerSpec { labels, network: NetworkMode::Host, ..ContainerSpec::default() };
    let labels = body(&TaskSpec::default(), &spec).unwrap().labels.unwrap();
    assert_eq!(
        (labels[INSTANCE].as_str(), labels["a"].as_str(), labels[TASK].as_str()),
        ("0123abcd", "b", "t")
    );
}

#[test]
fn volumes_and_the_files_of_etc() {
    let volumes = [("data".into(), Volume::Empty), ("host".into(), Volume::Host("/srv".into()))];
    let task = TaskSpec { volumes: volumes.into(), ..TaskSpec::default() };
    let mount = |volume: &str, path: &str| Asked {
        source_volume: volume.into(),
        container_path: path.into(),
        read_only: volume == "host",
    };
    let spec = ContainerSpec {
        mounts: vec![mount("data", "/data"), mount("host", "/etc/hosts")],
        network: NetworkMode::Host,
        volumes_from: vec![("a".into(), true), ("b".into(), false)],
        tmpfs: vec![Tmpfs { container_path: "/t".into(), size_bytes: 5, options: vec!["mode=700".into()] }],
        ..ContainerSpec::default()
    };
    let host = host(&task, &spec);
    let mounts: Vec<_> =
        host.mounts.unwrap().into_iter().map(|m| (m.source.unwrap(), m.target.unwrap())).collect();
    let want = [
        ("v-data", "/data"),
        ("/srv", "/etc/hosts"),
        ("/d/t/c/resolv.conf", "/etc/resolv.conf"),
        ("/d/t/c/hostname", "/etc/hostname"),
    ];
    assert_eq!(mounts, want.map(|(source, target)| (source.to_owned(), target.to_owned())));
    assert_eq!(host.volumes_from.unwrap(), ["n-a:ro", "n-b"]);
    assert_eq!(host.tmpfs.unwrap()["/t"], "size=5,mode=700");
    let unknown = ContainerSpec { mounts: vec![mount("none", "/x")], ..spec };
    assert!(body(&task, &unknown).unwrap_err().contains("no volume \"none\""));
}

#[test]
fn no_default_of_the_daemon_s_counts_for_output() {
    let options = |output| log(&output).config.unwrap();
    for output in [OutputPolicy::Blocking, OutputPolicy::NonBlocking { max_bytes: 7 }] {
        let options = options(output);
        assert_eq!((options["max-size"].as_str(), options["mode"].as_str()), (NO_LIMIT, "blocking"));
    }
    let file = options(OutputPolicy::JsonFile { max_bytes: 10, files: 3 });
    assert_eq!((file["max-size"].as_str(), file["max-file"].as_str()), ("10", "3"));
    assert_eq!(log(&OutputPolicy::Discard).typ.as_deref(), Some("none"));
}

#[test]
fn what_asks_for_selinux_is_refused() {
    let spec = ContainerSpec {
        security_options: vec!["label:type:x".into()],
        network: NetworkMode::Host,
        ..ContainerSpec::default()
    };
    assert!(body(&TaskSpec::default(), &spec).unwrap_err().contains("SELinux"));
}
