//! What a restart finds: adoption, reconciling, rules flushed by others, and kill -9 at any point.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use network::{Attachment, AttachmentId, Config, Containers, Host, Mode, Remembered};

use crate::lab::*;

const SETTLE: Duration = Duration::from_secs(10);

#[test]
fn a_restart_adopts_what_is_kept_and_removes_the_rest() {
    lab(|lab| {
        let host = lab.open();
        let a = serving(&host, "a", 8080);
        let b = host.attach(&bridge("b", &[tcp(80, 8081), udp(53, 0)])).unwrap();
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

/// What an engine would know.
struct Engine {
    /// A thread of the host's.
    host: i32,
    living: Mutex<BTreeMap<AttachmentId, Child>>,
    made: Mutex<Vec<Attachment>>,
}

impl Engine {
    fn new() -> Arc<Engine> {
        let host = nix::unistd::gettid().as_raw();
        Arc::new(Engine { host, living: Mutex::default(), made: Mutex::default() })
    }

    /// Starts a process that lives in the container.
    fn start(&self, a: &Attachment) {
        let child = inside(a, || Command::new("sleep").arg("1000").spawn().unwrap());
        self.living.lock().unwrap().insert(a.id.clone(), child);
        self.made.lock().unwrap().push(a.clone());
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for child in self.living.get_mut().unwrap().values_mut() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Containers for Engine {
    fn processes(&self, id: &AttachmentId) -> Vec<i32> {
        let living = self.living.lock().unwrap();
        // One of the host's too, as of a process that is on its way in.
        living.get(id).map(|child| vec![self.host, child.id() as i32]).unwrap_or_default()
    }

    fn remembered(&self, known: &dyn Fn(&AttachmentId) -> bool) -> Vec<Remembered> {
        let made = self.made.lock().unwrap().clone();
        let lost = made.into_iter().filter(|a| !known(&a.id));
        lost.map(|Attachment { id, netns_path, ipv4, bindings, .. }| Remembered {
            id,
            netns_path,
            ipv4,
            bindings,
        })
        .collect()
    }
}

/// By hand, or by a container with the host's /run.
fn take_file_away(a: &Attachment) {
    let path = a.netns_path.as_ref().unwrap();
    nix::mount::umount2(path, nix::mount::MntFlags::MNT_DETACH).unwrap();
    fs::remove_file(path).unwrap();
}

fn answers() -> bool {
    ask_tcp(UPLINK, 8080).is_ok_and(|answer| answer.starts_with("a from"))
}

#[test]
fn a_namespace_whose_file_is_gone_is_found_by_who_lives_there() {
    lab(|lab| {
        let engine = Engine::new();
        let open = || Host::open_with(lab.config(), engine.clone()).unwrap();
        let host = open();
        let a = serving(&host, "a", 8080);
        engine.start(&a);
        let ended = host.attach(&bridge("ended", &[])).unwrap();
        drop(host);
        [&a, &ended].into_iter().for_each(take_file_away);
        let host = open();
        assert!(answers());
        let done = host.reconcile(&[id("a"), id("ended")]).unwrap();
        assert_eq!((done.removed, done.missing), (vec![], vec![]));
        assert_consistent(&host, 2);
        // While the host is open: at the next start, and when the link goes too.
        [&a, &ended].into_iter().for_each(take_file_away);
        host.mend(&id("a")).unwrap();
        assert!(answers());
        take_file_away(&a);
        run("ip", &["link", "del", &veth(&a)]);
        eventually("it is on the bridge again", answers);
        // One that has ended begins anew, at its own address, in a folder that went as well.
        let dir = a.netns_path.as_ref().unwrap().parent().unwrap();
        assert!(host.settle(SETTLE));
        for entry in fs::read_dir(dir).unwrap() {
            nix::mount::umount2(&entry.unwrap().path(), nix::mount::MntFlags::MNT_DETACH).unwrap();
        }
        fs::remove_dir_all(dir).unwrap();
        host.mend(&id("ended")).unwrap();
        host.mend(&id("a")).unwrap();
        let shown = inside(&ended, || run("ip", &["-4", "-o", "addr", "show", "eth0"]));
        assert!(shown.contains(&ended.ipv4.unwrap().to_string()), "{shown}");
        assert!(inside(&ended, || ask_tcp(a.ipv4.unwrap(), 80)).is_ok());
        assert!(matches!(host.mend(&id("nobody")), Err(network::Error::NotFound(_))));
    });
}

#[test]
fn a_record_that_is_lost_is_made_again_of_who_lives_there() {
    lab(|lab| {
        let engine = Engine::new();
        let open = || Host::open_with(lab.config(), engine.clone()).unwrap();
        let records = lab.config().run_root.join("0123abcd/attachments");
        let deeds: [fn(&Path); 3] = [
            |path| fs::write(path, "{\"spec\":").unwrap(),
            |path| fs::remove_file(path).unwrap(),
            |path| {
                fs::remove_file(path).unwrap();
                fs::create_dir_all(path.join("not/a/file")).unwrap();
            },
        ];
        let host = open();
        let a = serving(&host, "a", 8080);
        engine.start(&a);
        let ended = host.attach(&bridge("ended", &[tcp(80, 8081)])).unwrap();
        engine.made.lock().unwrap().push(ended);
        drop(host);
        for deed in deeds {
            for entry in fs::read_dir(&records).unwrap() {
                deed(&entry.unwrap().path());
            }
            run("nft", &["flush", "ruleset"]);
            let host = open();
            assert_eq!(host.get(&id("a")), Some(a.clone()));
            assert!(answers());
            assert_eq!(host.attach(&bridge("a", &[tcp(80, 8080)])).unwrap(), a);
            assert!(host.attach(&bridge("x", &[tcp(80, 8080)])).is_err(), "the port is its own");
            assert!(host.get(&id("ended")).is_none(), "it may have given back what it had");
            assert_consistent(&host, 1);
        }
        // Where nobody remembers, it is gone, and what there was of it.
        for entry in fs::read_dir(&records).unwrap() {
            deeds[0](&entry.unwrap().path());
        }
        let host = lab.open();
        assert!(host.get(&id("a")).is_none());
        assert_consistent(&host, 0);
    });
}

#[test]
fn the_subnet_that_is_in_use_stays_where_its_note_is_gone() {
    lab(|lab| {
        let host = lab.open();
        serving(&host, "a", 8080);
        let subnet = host.subnet();
        drop(host);
        fs::write(lab.config().state_dir.join("subnet"), "10.1.2.0/24\n").unwrap();
        run("ip", &["link", "del", "rs0123abcd"]);
        let host = lab.open();
        assert_eq!(host.subnet(), subnet);
        assert!(answers());
        assert_consistent(&host, 1);
    });
}

#[test]
fn flushed_rules_come_back_with_the_next_change_or_restart() {
    lab(|lab| {
        let host = lab.open();
        serving(&host, "a", 8080);
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
    let mut all = BTreeMap::new();
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
