//! What a restart finds: adoption, reconciling, rules flushed by others, and kill -9 at any point.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use network::{Attachment, Config, Host, Mode};

use crate::lab::*;

const SETTLE: Duration = Duration::from_secs(10);

#[test]
fn a_restart_adopts_what_is_kept_and_removes_the_rest() {
    lab(|lab| {
        let host = lab.open();
        let a = host.attach(&bridge("a", &[tcp(80, 8080)])).unwrap();
        let b = host.attach(&bridge("b", &[tcp(80, 8081), udp(53, 0)])).unwrap();
        inside(&a, || serve_tcp("a", 80));
        let subnet = host.subnet();
        drop(host);
        assert!(ask_tcp(UPLINK, 8080).unwrap().starts_with("a "), "works without us");

        let host = lab.open();
        assert_eq!(host.subnet(), subnet);
        assert_eq!(host.get(&id("a")), Some(a.clone()));
        assert_eq!(host.attach(&bridge("a", &[tcp(80, 8080)])).unwrap(), a, "the same again");
        assert!(host.attach(&bridge("a", &[])).is_err(), "but not another under its name");
        assert!(host.attach(&bridge("x", &[tcp(80, 8081)])).is_err(), "ports are adopted too");
        let done = host.reconcile(&[id("a"), id("ghost")]).unwrap();
        assert_eq!((done.removed, done.missing), (vec![id("b")], vec![id("ghost")]));
        assert!(host.settle(SETTLE));
        assert!(ask_tcp(UPLINK, 8080).unwrap().starts_with("a "));
        assert!(!b.netns_path.unwrap().exists());
        let c = host.attach(&bridge("c", &[tcp(80, 8081)])).unwrap();
        assert_ne!(c.ipv4, b.ipv4, "an address rests before it is used again");
        assert_consistent(&host, 2);
    });
}

#[test]
fn one_id_asked_for_by_many_is_attached_once() {
    lab(|lab| {
        let host = lab.open();
        let spec = bridge("a", &[tcp(80, 8080)]);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| match host.attach(&spec) {
                    Ok(a) => assert_eq!(a.bindings[0].host_port, 8080),
                    Err(error) => assert!(matches!(error, network::Error::Busy(_)), "{error}"),
                });
            }
        });
        assert_consistent(&host, 1);
        host.detach(&id("a")).unwrap();
        host.detach(&id("a")).expect("twice is fine");
        assert_consistent(&host, 0);
    });
}

#[test]
fn a_lost_namespace_is_reported_and_its_rest_removed() {
    lab(|lab| {
        let host = lab.open();
        let a = host.attach(&bridge("a", &[tcp(80, 8080)])).unwrap();
        drop(host);
        nix::mount::umount(a.netns_path.as_ref().unwrap()).unwrap();
        // A record cut short is no record.
        fs::write(lab.config().run_root.join("0123abcd/attachments/99.json"), "{\"spec\":").unwrap();
        let host = lab.open();
        let done = host.reconcile(&[id("a")]).unwrap();
        assert_eq!((done.removed, done.missing), (vec![], vec![id("a")]));
        assert!(host.settle(SETTLE));
        host.attach(&bridge("a", &[tcp(80, 8080)])).unwrap();
        assert_consistent(&host, 1);
    });
}

#[test]
fn flushed_rules_come_back_with_the_next_change_or_restart() {
    lab(|lab| {
        let host = lab.open();
        let a = host.attach(&bridge("a", &[tcp(80, 8080)])).unwrap();
        inside(&a, || serve_tcp("a", 80));
        run("nft", &["flush", "ruleset"]);
        host.attach(&bridge("b", &[tcp(80, 8081)])).unwrap();
        assert!(ask_tcp(UPLINK, 8080).unwrap().starts_with("a "));
        run("nft", &["flush", "ruleset"]);
        host.repair().unwrap();
        assert!(ask_tcp(UPLINK, 8080).unwrap().starts_with("a "));
        drop(host);
        run("nft", &["flush", "ruleset"]);
        run("ip", &["link", "del", "rs0123abcd"]);
        let host = lab.open();
        assert!(ask_tcp(UPLINK, 8080).unwrap().starts_with("a "), "also when the bridge was deleted");
        assert_consistent(&host, 2);
    });
}

#[test]
fn a_subnet_can_be_given_and_stays_while_in_use() {
    lab(|lab| {
        let with = |subnet: &str| Config { subnet: Some(subnet.parse().unwrap()), ..lab.config() };
        let host = Host::open(with("10.9.0.0/24")).unwrap();
        let a = host.attach(&bridge("a", &[])).unwrap();
        assert_eq!(a.ipv4.unwrap().octets()[..3], [10, 9, 0]);
        drop(host);
        assert!(Host::open(with("10.10.0.0/24")).is_err());
        let host = Host::open(with("10.9.0.0/24")).unwrap();
        host.reconcile(&[]).unwrap();
        assert!(host.settle(SETTLE));
        drop(host);
        assert_eq!(Host::open(with("10.10.0.0/24")).unwrap().subnet().to_string(), "10.10.0.0/24");
        assert!(Host::open(with("10.0.0.0/8")).is_err());
        // Without a choice of the user's, one that is taken meanwhile is left.
        network::purge(&lab.config()).unwrap();
        let first = lab.open().subnet();
        run("ip", &["link", "del", "rs0123abcd"]);
        run("ip", &["route", "add", &first.to_string(), "via", &NEIGHBOUR.to_string()]);
        let second = lab.open().subnet();
        assert!(!second.overlaps(&first), "{second} {first}");
    });
}

#[test]
fn kill_9_at_any_point_leaves_what_can_be_told() {
    lab(|lab| {
        for round in 0..10u32 {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "recovery::child_that_is_killed", "--nocapture", "--include-ignored"])
                .env("NETWORK_LAB", lab.path())
                .env("NETWORK_ROUND", round.to_string())
                .stdout(Stdio::null())
                .process_group(0)
                .spawn()
                .unwrap();
            let log = lab.path().join("log");
            eventually("the child is at work", || {
                fs::read_to_string(&log).is_ok_and(|text| text.contains(&format!("round {round}\n")))
            });
            // Somewhere in the middle of it: that is the point, not a wait for something.
            std::thread::sleep(Duration::from_millis(u64::from(round) * 7 % 60));
            child.kill().unwrap();
            child.wait().unwrap();

            let host = lab.open();
            let kept: Vec<_> = acknowledged(&log).into_iter().map(|a| a.id).collect();
            let done = host.reconcile(&kept).unwrap();
            assert_eq!(done.missing, [], "round {round}: what was acknowledged is there");
            for expected in acknowledged(&log) {
                assert_eq!(host.get(&expected.id).as_ref(), Some(&expected), "round {round}");
            }
            assert!(host.settle(SETTLE), "round {round}");
            assert_consistent(&host, kept.len());
        }
    });
}

/// Attachments that the log says were made and not taken away since.
fn acknowledged(log: &std::path::Path) -> Vec<Attachment> {
    let mut all = std::collections::BTreeMap::new();
    for line in fs::read_to_string(log).unwrap().lines() {
        if let Some(json) = line.strip_prefix("attached ") {
            let attachment: Attachment = serde_json::from_str(json).unwrap();
            all.insert(attachment.id.clone(), attachment);
        } else if let Some(name) = line.strip_prefix("detaching ") {
            all.remove(&id(name));
        }
    }
    all.into_values().collect()
}

/// Attaches and detaches for ever, logging as a caller would that keeps a ledger of its own.
#[test]
#[ignore = "started by kill_9_at_any_point_leaves_what_can_be_told"]
fn child_that_is_killed() {
    let Ok(dir) = std::env::var("NETWORK_LAB") else { return };
    let round = std::env::var("NETWORK_ROUND").unwrap();
    let dir = std::path::PathBuf::from(dir);
    let mut config = Config::new("0123abcd".parse().unwrap(), dir.join("0123abcd"));
    config.run_root = dir.join("run");
    config.dynamic_ports = Some(40000..=40099);
    let log = |line: String| {
        use std::io::Write;
        let mut file = fs::OpenOptions::new().create(true).append(true).open(dir.join("log")).unwrap();
        file.write_all(format!("{line}\n").as_bytes()).unwrap();
    };
    log(format!("round {round}"));
    let host = Host::open(config).unwrap();
    for n in 0.. {
        let name = format!("r{round}-{n}");
        let mut spec = bridge(&name, &[tcp(80, 0), udp(53, 0)]);
        if n % 5 == 4 {
            spec.mode = Mode::None;
            spec.ports.clear();
        }
        let attachment = host.attach(&spec).unwrap();
        log(format!("attached {}", serde_json::to_string(&attachment).unwrap()));
        if n >= 2 {
            let oldest = format!("r{round}-{}", n - 2);
            log(format!("detaching {oldest}"));
            host.detach(&id(&oldest)).unwrap();
        }
    }
}

/// The host bears exactly `attached` containers and the stock.
fn assert_consistent(host: &Host, attached: usize) {
    assert!(host.settle(SETTLE));
    let lines = host.audit().unwrap();
    let count = |prefix: &str| lines.iter().filter(|line| line.starts_with(prefix)).count();
    let config = host.config();
    let records = config.run_root.join(config.instance_id8.to_string()).join("attachments");
    let records = fs::read_dir(records).unwrap().count();
    assert_eq!(records, attached, "records");
    assert_eq!(count("netns "), attached + 2, "{lines:#?}");
    assert_eq!(count("mount "), attached + 2, "{lines:#?}");
    assert_eq!(count("table "), 1, "{lines:#?}");
}
