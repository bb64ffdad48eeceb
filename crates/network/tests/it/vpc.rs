//! Interfaces of tasks: who reaches whom, and what security groups let pass.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use network::{
    Block, Change, Egress, Group, Host, Interface, InterfaceSpec, InterfaceState, Mac, Name, Peer, Rule,
    Traffic,
};

use crate::lab::*;

/// What is dropped takes so long to be seen as such.
const SILENCE: Duration = Duration::from_millis(250);
const SETTLE: Duration = Duration::from_secs(10);

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn block(text: &str) -> Block {
    text.parse().unwrap()
}

/// Number `last` of the subnet 10.0.1.0/24 of `vpc-1`.
fn spec(last: u8, groups: &[&str]) -> InterfaceSpec {
    InterfaceSpec {
        id: id(&format!("task{last}")),
        interface: name(&format!("eni-{last}")),
        vpc: name("vpc-1"),
        blocks: vec![block("10.0.0.0/16"), block("fd00:1::/56")],
        mac: Mac([0x0a, 0, 0, 0, 0, last]),
        ipv4: address(last),
        subnet: "10.0.1.0/24".parse().unwrap(),
        gateway: address(1),
        ipv6: None,
        state: InterfaceState { groups: groups.iter().map(|g| name(g)).collect(), ..Default::default() },
    }
}

fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 1, last)
}

fn rule(traffic: Traffic, peer: &str) -> Rule {
    let peer = peer.parse().map_or_else(|_| Peer::Set(name(peer)), Peer::Block);
    Rule { traffic, peer }
}

fn tcp80(peer: &str) -> Vec<Rule> {
    vec![rule(Traffic::Tcp(80, 80), peer)]
}

fn anywhere() -> Vec<Rule> {
    vec![rule(Traffic::All, "0.0.0.0/0"), rule(Traffic::All, "::/0")]
}

fn group(host: &Host, id: &str, ingress: Vec<Rule>, egress: Vec<Rule>) {
    host.change_rules(Change { groups: vec![(name(id), Group { ingress, egress })], ..Change::default() })
        .unwrap();
}

fn members(host: &Host, set: &str, leave: &[&str], join: &[&str]) {
    let blocks = |all: &[&str]| all.iter().map(|b| block(b)).collect();
    host.change_rules(Change { sets: vec![(name(set), blocks(leave), blocks(join))], ..Change::default() })
        .unwrap();
}

fn at<T: Send>(interface: &Interface, work: impl FnOnce() -> T + Send) -> T {
    within(&File::open(&interface.netns_path).unwrap(), work)
}

/// What a server there answers; none where nothing comes through.
fn ask(to: impl Into<IpAddr>, port: u16) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::new(to.into(), port), SILENCE).ok()?;
    stream.set_read_timeout(Some(SILENCE)).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// A connection that stays, and answers each byte with the same.
struct Talk(TcpStream);

impl Talk {
    fn begin(from: &Interface, to: Ipv4Addr, port: u16) -> Talk {
        Talk(at(from, || TcpStream::connect_timeout(&SocketAddr::new(to.into(), port), SILENCE).unwrap()))
    }

    fn goes_on(&mut self) -> bool {
        self.0.set_read_timeout(Some(SILENCE)).unwrap();
        self.0.write_all(b"x").is_ok() && self.0.read_exact(&mut [0]).is_ok()
    }
}

fn serve_echo(port: u16) {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut stream = stream;
                let mut byte = [0];
                while stream.read_exact(&mut byte).is_ok() && stream.write_all(&byte).is_ok() {}
            });
        }
    });
}

/// Two tasks of one group, which lets its members in at port 80, and all out.
fn pair(host: &Host) -> (Interface, Interface) {
    group(host, "sg-1", tcp80("sg-1"), anywhere());
    members(host, "sg-1", &[], &["10.0.1.5", "10.0.1.6"]);
    let a = host.attach_interface(&spec(5, &["sg-1"])).unwrap();
    let b = host.attach_interface(&spec(6, &["sg-1"])).unwrap();
    at(&b, || {
        serve_tcp("b", 80);
        serve_tcp("b", 81);
    });
    (a, b)
}

#[test]
fn a_task_has_the_interface_that_it_was_given() {
    lab(|lab| {
        network::can_carry_interfaces().unwrap();
        let host = lab.open();
        let a = host.attach_interface(&spec(5, &[])).unwrap();
        assert_eq!(host.attach_interface(&spec(5, &["sg-9"])).unwrap(), a, "whatever its groups are by now");
        let mut other = spec(5, &[]);
        other.mac = Mac([0x0a, 1, 1, 1, 1, 1]);
        assert!(matches!(host.attach_interface(&other), Err(network::Error::Exists(_))));
        other.id = id("another");
        let error = host.attach_interface(&other).unwrap_err().to_string();
        assert!(error.contains("in use"), "{error}");
        let shown = at(&a, || run("ip", &["-o", "addr", "show", "eth0"]));
        assert!(shown.contains("inet 10.0.1.5/24"), "{shown}");
        let link = at(&a, || run("ip", &["link", "show", "eth0"]));
        assert!(
            link.contains("0a:00:00:00:00:05") && link.contains(&format!("mtu {}", UPLINK_MTU - 50)),
            "{link}"
        );
        assert!(at(&a, || run("ip", &["route"])).contains("default via 10.0.1.1 dev eth0"));
        at(&a, || serve_tcp("own", 80));
        assert_eq!(at(&a, || ask(Ipv4Addr::LOCALHOST, 80)).unwrap(), "own from 127.0.0.1");
        assert!(host.ids().contains(&id("task5")));
        host.set_parameters(&id("task5"), &[("net.core.somaxconn".to_owned(), "99".to_owned())]).unwrap();
        assert_eq!(at(&a, || fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap()).trim(), "99");
        host.detach(&id("task5")).unwrap();
        host.detach(&id("task5")).expect("twice is fine");
        assert!(!a.netns_path.exists() && host.interface(&id("task5")).is_none());
        assert!(!run("ip", &["-o", "link"]).contains(": rw"), "the VPC's went with its last");
    });
}

#[test]
fn groups_say_who_comes_in() {
    lab(|lab| {
        let host = lab.open();
        let (a, b) = pair(&host);
        assert_eq!(at(&a, || ask(address(6), 80)).unwrap(), "b from 10.0.1.5");
        assert_eq!(at(&a, || ask(address(6), 81)), None, "no rule for that port");
        let stranger = host.attach_interface(&spec(7, &["sg-2"])).unwrap();
        group(&host, "sg-2", vec![], anywhere());
        assert_eq!(at(&stranger, || ask(address(6), 80)), None, "it is no member");
        members(&host, "sg-1", &["10.0.1.5"], &["10.0.1.7"]);
        assert!(at(&stranger, || ask(address(6), 80)).is_some());
        assert_eq!(at(&a, || ask(address(6), 80)), None, "it is none any more");
        // What may go out is asked too.
        group(&host, "sg-2", vec![], tcp80("10.0.1.9/32"));
        assert_eq!(at(&stranger, || ask(address(6), 80)), None);
        group(&host, "sg-2", vec![], tcp80("pl-1"));
        members(&host, "pl-1", &[], &["10.0.0.0/16", "10.0.1.0/24"]);
        assert!(at(&stranger, || ask(address(6), 80)).is_some());
        // And it can be in other groups from now on.
        let state = InterfaceState { groups: vec![], ..Default::default() };
        host.change_rules(Change { interfaces: vec![(name("eni-6"), state)], ..Change::default() }).unwrap();
        assert_eq!(at(&stranger, || ask(address(6), 80)), None);
        let counters = host.counters(&id("task6")).unwrap().unwrap();
        assert!(counters.rx_packets > 0 && counters.tx_packets > 0, "{counters:?}");
        drop(b);
    });
}

/// EC2's own words are in `vpc::compile`.
#[test]
fn a_change_cuts_no_tracked_connection_and_every_other_that_is_not_allowed_any_more() {
    lab(|lab| {
        let host = lab.open();
        let (a, b) = pair(&host);
        at(&b, || serve_echo(82));
        let echo = |peer: &str| vec![rule(Traffic::Tcp(82, 82), peer)];
        // By a rule for some: tracked.
        group(&host, "sg-1", echo("10.0.1.0/24"), anywhere());
        let mut tracked = Talk::begin(&a, address(6), 82);
        assert!(tracked.goes_on());
        group(&host, "sg-1", echo("10.0.1.5"), anywhere());
        assert!(tracked.goes_on(), "it stays allowed");
        group(&host, "sg-1", vec![], anywhere());
        assert_eq!(at(&a, || ask(address(6), 82)), None);
        assert!(tracked.goes_on(), "it was tracked");
        group(&host, "sg-1", vec![], vec![]);
        assert!(tracked.goes_on(), "at both ends");
        // By a rule for all, with all of the answers allowed: not tracked at the end that it comes to.
        group(&host, "sg-1", echo("0.0.0.0/0"), anywhere());
        let mut open = Talk::begin(&a, address(6), 82);
        assert!(open.goes_on());
        group(&host, "sg-1", [echo("0.0.0.0/0"), tcp80("10.0.0.0/8")].concat(), anywhere());
        assert!(open.goes_on());
        group(&host, "sg-1", vec![], anywhere());
        assert!(!open.goes_on(), "its rule is gone");
        // Where what answers is not allowed by itself, it is tracked.
        group(&host, "sg-2", echo("0.0.0.0/0"), vec![]);
        let state = InterfaceState { groups: vec![name("sg-2")], ..Default::default() };
        host.change_rules(Change { interfaces: vec![(name("eni-6"), state)], ..Change::default() }).unwrap();
        let mut answered = Talk::begin(&a, address(6), 82);
        assert!(answered.goes_on());
        group(&host, "sg-2", vec![], vec![]);
        assert!(answered.goes_on());
    });
}

#[test]
fn two_vpcs_with_the_same_block_never_meet() {
    lab(|lab| {
        let host = lab.open();
        let (a, _b) = pair(&host);
        let mut twin = spec(6, &["sg-1"]);
        (twin.id, twin.interface, twin.vpc) = (id("twin"), name("eni-twin"), name("vpc-2"));
        let twin = host.attach_interface(&twin).unwrap();
        at(&twin, || serve_tcp("twin", 80));
        let mut lonely = spec(5, &["sg-1"]);
        (lonely.id, lonely.interface, lonely.vpc) = (id("lonely"), name("eni-lonely"), name("vpc-2"));
        let lonely = host.attach_interface(&lonely).unwrap();
        assert_eq!(at(&a, || ask(address(6), 80)).unwrap(), "b from 10.0.1.5");
        assert_eq!(at(&lonely, || ask(address(6), 80)).unwrap(), "twin from 10.0.1.5");
        host.detach(&id("twin")).unwrap();
        assert_eq!(at(&lonely, || ask(address(6), 80)), None);
        assert_eq!(at(&a, || ask(address(6), 80)).unwrap(), "b from 10.0.1.5");
    });
}

#[test]
fn out_of_the_vpc_goes_who_has_a_way() {
    lab(|lab| {
        let host = lab.open();
        group(&host, "sg-1", tcp80("192.0.2.0/24"), anywhere());
        within(&lab.neighbour, || serve_tcp("world", 80));
        serve_tcp("host", 7000);
        let bridged = serving(&host, "c", 8080);
        let with = |last, egress, public: Option<&str>| {
            let mut spec = spec(last, &["sg-1"]);
            (spec.state.egress, spec.state.public) = (egress, public.map(|p| p.parse().unwrap()));
            host.attach_interface(&spec).unwrap()
        };
        let none = with(5, Egress::None, None);
        let nat = with(6, Egress::Nat, None);
        let direct = with(7, Egress::Direct, Some("198.51.100.7"));
        let homeless = with(8, Egress::Direct, None);
        let world = || ask(NEIGHBOUR, 80);
        assert_eq!((at(&none, world), at(&homeless, world)), (None, None));
        assert_eq!(at(&nat, world).unwrap(), format!("world from {UPLINK}"));
        assert_eq!(at(&direct, world).unwrap(), format!("world from {UPLINK}"));
        // A published port of the host is of the world; the host's own ports, its loopback, and what stands for EC2's own
        // services are not.
        assert_eq!(at(&nat, || ask(UPLINK, 8080)).map(|answer| answer.starts_with("c from")), Some(true));
        let pool = Ipv4Addr::new(169, 254, 172, 1);
        for own in [UPLINK, pool, host.subnet().gateway(), Ipv4Addr::new(169, 254, 169, 254)] {
            assert_eq!(at(&nat, || ask(own, 7000)), None, "{own}");
        }
        assert_eq!(at(&nat, || ask(bridged.ipv4.unwrap(), 80)), None, "what is not published");
        // The world comes in by the public address, as far as groups let it.
        at(&direct, || {
            serve_tcp("direct", 80);
            serve_tcp("direct", 81);
        });
        let public = Ipv4Addr::new(198, 51, 100, 7);
        within(&lab.neighbour, || {
            run("ip", &["route", "add", "198.51.100.0/24", "via", &UPLINK.to_string()]);
            run("ip", &["route", "add", "10.0.0.0/16", "via", &UPLINK.to_string()]);
            assert_eq!(ask(public, 80).unwrap(), format!("direct from {NEIGHBOUR}"));
            assert_eq!(ask(public, 81), None);
            assert_eq!(ask(address(7), 80), None, "not by its private one");
        });
        // By it those of the VPC reach each other too, as what the world sees of them.
        let second = with(9, Egress::Direct, Some("198.51.100.9"));
        assert_eq!(at(&second, || ask(public, 80)), None, "no rule for its public address");
        group(&host, "sg-1", [tcp80("192.0.2.0/24"), tcp80("198.51.100.9")].concat(), anywhere());
        assert_eq!(at(&second, || ask(public, 80)).unwrap(), "direct from 198.51.100.9");
        assert_eq!(at(&nat, || ask(public, 80)).unwrap(), format!("direct from {UPLINK}"));
        let state = InterfaceState { groups: vec![name("sg-1")], ..Default::default() };
        host.change_rules(Change { interfaces: vec![(name("eni-7"), state)], ..Change::default() }).unwrap();
        assert_eq!(within(&lab.neighbour, || ask(public, 80)), None);
        assert_eq!(at(&direct, world), None);
        assert!(!run("ip", &["route"]).contains("198.51.100.7"));
    });
}

#[test]
fn nobody_speaks_as_another() {
    lab(|lab| {
        let host = lab.open();
        let (a, b) = pair(&host);
        let with_more = |what: &[&str]| at(&a, || run("ip", what));
        // An address that is another's, or nobody's.
        with_more(&["addr", "add", "10.0.1.99/32", "dev", "eth0"]);
        members(&host, "sg-1", &[], &["10.0.1.99"]);
        let from = |interface: &Interface, own: &str| {
            let own = own.to_owned();
            at(interface, move || bind_and_ask(own.parse().unwrap(), address(6)))
        };
        assert_eq!(from(&a, "10.0.1.5").as_deref(), Some("b from 10.0.1.5"));
        assert_eq!(from(&a, "10.0.1.99"), None);
        // Nor by another hardware address.
        with_more(&["link", "set", "eth0", "address", "0a:00:00:00:00:06"]);
        assert_eq!(from(&a, "10.0.1.5"), None);
        with_more(&["link", "set", "eth0", "address", "0a:00:00:00:00:05"]);
        assert_eq!(from(&a, "10.0.1.5").as_deref(), Some("b from 10.0.1.5"));
        drop(b);
    });
}

#[test]
fn nobody_on_the_bridge_speaks_as_another() {
    lab(|lab| {
        let host = lab.open();
        let a = host.attach(&bridge("a", &[])).unwrap();
        let b = serving(&host, "b", 8080);
        let c = host.attach(&bridge("c", &[])).unwrap();
        let to = b.ipv4.unwrap();
        let (own, other) = (a.ipv4.unwrap(), c.ipv4.unwrap());
        assert!(inside(&a, || bind_and_ask(own, to)).is_some());
        inside(&a, || run("ip", &["addr", "add", &format!("{other}/32"), "dev", "eth0"]));
        assert_eq!(inside(&a, || bind_and_ask(other, to)), None);
        inside(&a, || run("ip", &["link", "set", "eth0", "address", &c.mac.unwrap().to_string()]));
        assert_eq!(inside(&a, || bind_and_ask(own, to)), None);
    });
}

fn bind_and_ask(own: Ipv4Addr, to: Ipv4Addr) -> Option<String> {
    use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn, sockopt};
    use std::os::fd::AsRawFd;
    let fd = socket::socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    let time = nix::sys::time::TimeVal::new(0, 250_000);
    socket::setsockopt(&fd, sockopt::SendTimeout, &time).unwrap();
    socket::setsockopt(&fd, sockopt::ReceiveTimeout, &time).unwrap();
    let at = |ip, port| SockaddrIn::from(std::net::SocketAddrV4::new(ip, port));
    socket::bind(fd.as_raw_fd(), &at(own, 0)).unwrap();
    socket::connect(fd.as_raw_fd(), &at(to, 80)).ok()?;
    let mut answer = String::new();
    TcpStream::from(fd).read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn ipv6_goes_by_groups_too() {
    lab(|lab| {
        let host = lab.open();
        group(&host, "sg-1", tcp80("sg-1"), anywhere());
        members(&host, "sg-1", &[], &["fd00:1::5"]);
        let with = |last: u8| {
            let mut spec = spec(last, &["sg-1"]);
            spec.ipv6 = Some(format!("fd00:1::{last}").parse().unwrap());
            host.attach_interface(&spec).unwrap()
        };
        let (a, b, c) = (with(5), with(6), with(7));
        at(&b, || {
            let listener = TcpListener::bind(("::", 80)).unwrap();
            std::thread::spawn(move || {
                listener.incoming().flatten().for_each(|mut s| drop(s.write_all(b"six")))
            });
        });
        let to: IpAddr = "fd00:1::6".parse().unwrap();
        assert_eq!(at(&a, || ask(to, 80)).as_deref(), Some("six"));
        assert_eq!(at(&c, || ask(to, 80)), None);
    });
}

#[test]
fn a_restart_takes_up_interfaces_and_removes_the_rest() {
    lab(|lab| {
        let host = lab.open();
        let (a, b) = pair(&host);
        host.attach_interface(&spec(7, &["sg-1"])).unwrap();
        drop(host);
        assert!(at(&a, || ask(address(6), 80)).is_some(), "it works without us");
        let host = lab.open();
        assert_eq!(host.interface(&id("task5")), Some(a.clone()));
        assert_eq!(host.attach_interface(&spec(6, &["sg-1"])).unwrap(), b);
        let done = host.reconcile(&[id("task5"), id("task6"), id("ghost")]).unwrap();
        assert_eq!((done.removed, done.missing), (vec![id("task7")], vec![id("ghost")]));
        assert_eq!(at(&a, || ask(address(6), 80)).unwrap(), "b from 10.0.1.5", "the rules are known yet");
        drop(host);
        // A record that is lost: what it stood for goes.
        let records = lab.config().run_root.join("0123abcd/interfaces");
        fs::remove_dir_all(&records).unwrap();
        let host = lab.open();
        assert!(host.ids().is_empty());
        assert!(host.settle(SETTLE));
        let lines = host.audit().unwrap();
        assert!(!lines.iter().any(|line| line.contains("rt-") || line.contains("rw")), "{lines:#?}");
    });
}

#[test]
fn what_others_take_of_a_vpc_is_made_again() {
    lab(|lab| {
        let host = lab.open();
        let (a, b) = pair(&host);
        let nat = InterfaceState { groups: vec![name("sg-1")], egress: Egress::Nat, public: None };
        host.change_rules(Change { interfaces: vec![(name("eni-5"), nat)], ..Change::default() }).unwrap();
        within(&lab.neighbour, || serve_tcp("world", 80));
        let works = || at(&a, || ask(NEIGHBOUR, 80)).is_some() && at(&a, || ask(address(6), 80)).is_some();
        assert!(works());
        let link = run("ip", &["-o", "link"]);
        let link = link.lines().find_map(|l| l.split(": ").nth(1).filter(|n| n.starts_with("rw"))).unwrap();
        let link = link.split('@').next().unwrap().to_owned();
        run("ip", &["link", "del", &link]);
        eventually("the link to the host is back", works);
        run("ip", &["link", "set", &link, "down"]);
        eventually("and again", works);
        let vpc = lab.config().run_root.join("0123abcd/netns").join(link.replacen("rw", "rw-", 1));
        within(&File::open(&vpc).unwrap(), || run("nft", &["flush", "ruleset"]));
        host.repair().unwrap();
        assert!(works() && at(&a, || ask(address(6), 81)).is_none());
        // All of the VPC's namespace.
        nix::mount::umount2(&vpc, nix::mount::MntFlags::MNT_DETACH).unwrap();
        fs::remove_file(&vpc).unwrap();
        host.repair().unwrap();
        assert!(works(), "with a link for each");
        // And a task's, in which nobody is: it begins anew.
        nix::mount::umount2(&b.netns_path, nix::mount::MntFlags::MNT_DETACH).unwrap();
        host.mend(&id("task6")).unwrap();
        at(&b, || serve_tcp("b2", 80));
        assert_eq!(at(&a, || ask(address(6), 80)).as_deref(), Some("b2 from 10.0.1.5"));
    });
}
