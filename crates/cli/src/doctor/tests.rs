//! The judgements, by tables; and one look at this very host.

use store::space::Space;

use super::*;

fn status_of(cases: &[(Check, Status)]) {
    for (check, expected) in cases {
        assert_eq!(check.status, *expected, "{check:?}");
        assert_eq!(check.mend.is_some(), *expected != Status::Ok, "{check:?}");
    }
}

#[test]
fn kernels_are_judged_by_release() {
    status_of(&[
        (kernel::release("6.18.44-fc-v669"), Status::Ok),
        (kernel::release("5.14.0-570.el9"), Status::Ok),
        (kernel::release("5.10.0-28-amd64"), Status::Fail),
        (kernel::release("5.4.0"), Status::Fail),
        (kernel::release("4.19-rc1"), Status::Fail),
        (kernel::release(""), Status::Warn),
        (kernel::release("99999999999.1"), Status::Warn),
    ]);
}

#[test]
fn kernel_features_are_read_from_proc() {
    status_of(&[
        (kernel::overlayfs("nodev\tsysfs\n\text4\nnodev\toverlay\n", None), Status::Ok),
        (kernel::overlayfs("nodev\tsysfs\n\text4\nnodev\toverlayfoo\n", Some("")), Status::Fail),
        (kernel::overlayfs("nodev\tsysfs\n", Some("CONFIG_OVERLAY_FS=m\n")), Status::Ok),
        (kernel::overlayfs("", None), Status::Warn),
        (kernel::namespaces(&["mnt", "pid", "net", "ipc", "uts", "cgroup", "time"]), Status::Ok),
        (kernel::namespaces(&["mnt", "pid", "ipc", "uts"]), Status::Fail),
        (kernel::seccomp("kill_process trap errno allow\n"), Status::Ok),
        (kernel::seccomp(""), Status::Fail),
    ]);
    assert_eq!(kernel::namespaces(&["mnt", "pid", "ipc", "uts"]).detail, "not offered: net, cgroup");
}

#[test]
fn kernel_parts_are_read_from_its_configuration() {
    let config = "CONFIG_VETH=m\nCONFIG_BRIDGE=y\n# CONFIG_NFT_NAT is not set\nCONFIG_NF_TABLES=y\n";
    let judge = |options: &[&str], config| kernel::judge_part("part", options, "mod", config);
    status_of(&[
        (judge(&["BRIDGE"], Some(config)), Status::Ok),
        (judge(&["VETH"], Some(config)), Status::Ok),
        (judge(&["NF_TABLES", "NFT_NAT"], Some(config)), Status::Fail),
        (judge(&["NF_TABLES"], Some("")), Status::Fail),
        (judge(&["NF_TABLES"], None), Status::Warn),
    ]);
    assert_eq!(judge(&["NF_TABLES", "NFT_NAT"], Some(config)).detail, "this kernel lacks CONFIG_NFT_NAT");
}

#[test]
fn cgroups_of_every_layout_are_known() {
    let v1 = |names: &[&str]| -> String {
        let line = |name: &&str| {
            format!("32 31 0:29 / /sys/fs/cgroup/{name} rw,relatime - cgroup cgroup rw,{name}\n")
        };
        names.iter().map(line).collect()
    };
    let v2 = "38 31 0:41 / /sys/fs/cgroup/unified rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    let all = v1(&["cpu,cpuacct", "memory", "pids", "devices", "freezer", "name=systemd"]);
    let few = v1(&["cpu", "pids", "devices", "freezer"]);
    let cases = [
        (all.clone(), "", Status::Ok, "version 1"),
        (format!("{all}{v2}"), "", Status::Ok, "hybrid"),
        (format!("{few}{v2}"), "memory hugetlb", Status::Ok, "hybrid"),
        (few, "", Status::Fail, "version 1, without memory"),
        (v2.to_owned(), "cpuset cpu io memory pids", Status::Ok, "version 2"),
        (v2.to_owned(), "cpu io pids", Status::Fail, "version 2, without memory"),
        (v2.to_owned(), "", Status::Fail, "version 2, without cpu, memory, pids"),
        ("no such thing\n1 2 - \n - cgroup\n".to_owned(), "", Status::Fail, "no control groups"),
    ];
    for (mounts, unified, status, detail) in cases {
        let check = cgroups::judge(&cgroups::parse(&mounts), unified);
        assert_eq!(check.status, status, "{mounts}{check:?}");
        assert!(check.detail.starts_with(detail), "{check:?}");
    }
    assert_eq!(cgroups::parse(v2).unified.as_deref(), Some("/sys/fs/cgroup/unified"));
}

fn space(free_bytes: u64, free_inodes: u64) -> Space {
    Space { total_bytes: 100 << 30, free_bytes, total_inodes: 2_000_000, free_inodes, read_only: false }
}

#[test]
fn disks_ports_and_parameters_are_judged() {
    let gib = 1 << 30;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().map(|address| (address, taken)).expect("bound");
    status_of(&[
        (host::judge_space("/d", &space(80 * gib, 1_000_000)), Status::Ok),
        (host::judge_space("/d", &Space { total_inodes: 0, ..space(80 * gib, 0) }), Status::Ok),
        (host::judge_space("/d", &space(80 * gib, 50_000)), Status::Warn),
        (host::judge_space("/d", &space(80 * gib, 10)), Status::Fail),
        (host::judge_space("/d", &space(2 * gib, 1_000_000)), Status::Warn),
        (host::judge_space("/d", &space(1 << 20, 1_000_000)), Status::Fail),
        (host::judge_space("/d", &Space { read_only: true, ..space(80 * gib, 1_000_000) }), Status::Fail),
        (host::judge_room(&[("state.db", 8 << 20)], &space(gib, 1)).expect("one"), Status::Ok),
        (
            host::judge_room(&[("state.db", 8 << 20), ("x", 1 << 20)], &space(gib, 1)).expect("one"),
            Status::Warn,
        ),
        (host::filesystem("/d", 0xef53), Status::Ok),
        (host::filesystem("/d", 0x794c_7630), Status::Fail),
        (host::sysctl("s", Some("1"), false, "c"), Status::Ok),
        (host::sysctl("s", Some("0"), true, "c"), Status::Ok),
        (host::sysctl("s", Some("0"), false, "c"), Status::Fail),
        (host::sysctl("s", None, false, "c"), Status::Fail),
        (host::port(([127, 0, 0, 1], 0).into()), Status::Ok),
        (host::port(taken.0), Status::Warn),
        (host::port(([192, 0, 2, 1], 1).into()), Status::Fail),
    ]);
}

#[test]
fn reports_are_read_by_people_and_programs() {
    let ok = Check::ok("one", "fine");
    let warn = Check::warn("two", "so so", "do this");
    let fail = Check::fail("three", "broken", "do that");
    let report = Report { checks: vec![ok.clone(), warn.clone()] };
    assert!(report.healthy());
    let report = Report { checks: vec![ok, warn, fail] };
    assert!(!report.healthy());
    let text = "ok    one             fine\n\
                WARN  two             so so\n                      to mend: do this\n\
                FAIL  three           broken\n                      to mend: do that\n\
                This host is not ready for Roadstead; failures: 1, warnings: 1.\n";
    assert_eq!(report.to_string(), text);
    let json = report.to_json();
    assert_eq!(json["checks"][0], serde_json::json!({"name": "one", "status": "ok", "detail": "fine"}));
    assert_eq!((&json["healthy"], &json["checks"][2]["mend"]), (&false.into(), &"do that".into()));
}

#[test]
fn this_host_is_looked_at_whole() {
    let missing = std::env::temp_dir().join("no-such-directory/of-roadstead");
    let report = run(&Args {
        data_dir: missing,
        listen: ([127, 0, 0, 1], 0).into(),
        logs: Default::default(),
        docker: None,
    });
    let names: Vec<&str> = report.checks.iter().map(|check| check.name).collect();
    let expected = [
        "root",
        "kernel",
        "overlayfs",
        "namespaces",
        "seccomp",
        "veth",
        "bridge",
        "nf_tables",
        "cgroups",
        "nft",
    ];
    assert_eq!(names[..expected.len()], expected);
    for name in ["forwarding", "ip_forward", "route_localnet", "port", "disk", "filesystem"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
}

#[test]
fn a_kernel_that_does_not_say_whose_a_connection_is_is_told() {
    let silent = host::judge_known_pair(Err("the kernel does not say whose this connection is".to_owned()));
    assert!(silent.detail.starts_with("`test`/`test` serves nobody: the kernel does not say"), "{silent:?}");
    status_of(&[(host::judge_known_pair(Ok(())), Status::Ok), (silent, Status::Warn)]);
    assert_eq!(host::known_pair("10.0.0.1:4566".parse().unwrap()), None, "it is not there to be served");
}

#[test]
fn what_is_missing_for_walls_is_told() {
    status_of(&[
        (walls::user_namespaces("6.1.0-18-amd64\n", "96365", true), Status::Ok),
        (walls::user_namespaces("5.15.0", "96365", true), Status::Warn),
        (walls::user_namespaces("6.1.0", "0", true), Status::Warn),
        (walls::user_namespaces("6.1.0", "", false), Status::Warn),
        (walls::gvisor(Some(Ok("0.0~20240729.0".into()))), Status::Ok),
        (walls::gvisor(Some(Err("runsc release-20230101.0 is older".into()))), Status::Warn),
        (walls::gvisor(None), Status::Ok),
        (walls::storage(true, true), Status::Ok),
        (walls::storage(false, true), Status::Warn),
        (walls::storage(true, false), Status::Warn),
    ]);
}
