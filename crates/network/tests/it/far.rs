//! Interfaces of tasks on two hosts: the lab's own, and one in the place of the neighbouring machine.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use network::{
    Block, Change, Group, Host, Interface, InterfaceSpec, InterfaceState, Mac, Moves, Name, Peer, Rule,
    Traffic, Transport,
};

use crate::lab::*;

const SILENCE: Duration = Duration::from_millis(250);
const NUMBER: u32 = 0x0a_bcde;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 1, last)
}

fn spec(last: u8) -> InterfaceSpec {
    InterfaceSpec {
        id: id(&format!("task{last}")),
        interface: name(&format!("eni-{last}")),
        vpc: name("vpc-1"),
        blocks: vec!["10.0.0.0/16".parse().unwrap()],
        mac: Mac([0x0a, 0, 0, 0, 0, last]),
        ipv4: address(last),
        subnet: "10.0.1.0/24".parse().unwrap(),
        gateway: address(1),
        ipv6: None,
        state: InterfaceState { groups: vec![name("sg-1")], ..Default::default() },
    }
}

/// What a host is told: of the VPC, of its group, which lets all of it in at these ports, and of who is elsewhere.
fn told(own: Ipv4Addr, ports: (u16, u16), elsewhere: &[(u8, Ipv4Addr)]) -> Change {
    let all = |traffic, block: &str| Rule { traffic, peer: Peer::Block(block.parse().unwrap()) };
    let ingress = vec![
        all(Traffic::Tcp(ports.0, ports.1), "10.0.1.0/24"),
        all(Traffic::Udp(ports.0, ports.1), "10.0.1.0/24"),
    ];
    let group = Group { ingress, egress: vec![all(Traffic::All, "0.0.0.0/0")] };
    let blocks: Vec<Block> = vec!["10.0.0.0/16".parse().unwrap()];
    Change {
        whole: true,
        vpcs: vec![(name("vpc-1"), blocks)],
        transports: vec![(name("vpc-1"), Some(Transport::Vxlan(NUMBER)))],
        places: vec![Moves {
            vpc: name("vpc-1"),
            leave: vec![],
            join: elsewhere.iter().map(|(n, host)| (address(*n), *host)).collect(),
        }],
        address: Some(own),
        groups: vec![(name("sg-1"), group)],
        ..Change::default()
    }
}

fn at<T: Send>(interface: &Interface, work: impl FnOnce() -> T + Send) -> T {
    within(&File::open(&interface.netns_path).unwrap(), work)
}

fn ask(to: Ipv4Addr, port: u16) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::new(to.into(), port), SILENCE).ok()?;
    stream.set_read_timeout(Some(SILENCE)).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// A VPC's namespace of the lab's own host.
fn in_vpc(lab: &Lab, args: &[&str]) -> String {
    let dir = lab.config().run_root.join("0123abcd/netns");
    let of_vpc = std::fs::read_dir(dir)
        .unwrap()
        .flatten()
        .find(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with("rw-")));
    within(&File::open(of_vpc.unwrap().path()).unwrap(), || run("ip", args))
}

fn has_far(lab: &Lab) -> bool {
    let table = run("nft", &["list", "tables"]).contains("roadstead_0123abcd_far");
    let link = in_vpc(lab, &["-o", "link"]).contains("far0");
    assert_eq!(table, link);
    link
}

/// Another host in the place of the neighbour, with one task, that serves; all of it goes with the closure's end.
fn two(lab: &Lab, test: impl FnOnce(&Host, &Interface, &Host, &Interface)) {
    let config = lab.config_of("89abcdef");
    within(&lab.neighbour, || {
        run("ip", &["route", "add", "default", "via", "192.0.2.2"]);
    });
    let host = lab.open();
    let other = within(&lab.neighbour, || Host::open(config.clone()).unwrap());
    let a = host.attach_interface(&spec(5)).unwrap();
    let b = within(&lab.neighbour, || other.attach_interface(&spec(6)).unwrap());
    at(&b, || {
        serve_tcp("b", 80);
        serve_tcp("b", 81);
    });
    at(&a, || serve_tcp("a", 80));
    test(&host, &a, &other, &b);
    within(&lab.neighbour, || {
        drop(other);
        network::purge(&config).unwrap();
        assert_eq!(network::audit(&config).unwrap(), Vec::<String>::new());
    });
}

#[test]
fn tasks_of_two_hosts_reach_each_other_as_groups_say() {
    lab(|lab| {
        two(lab, |host, a, other, b| {
            let with = |ports| {
                host.change_rules(told(UPLINK, ports, &[(6, NEIGHBOUR)])).unwrap();
                within(&lab.neighbour, || {
                    other.change_rules(told(NEIGHBOUR, ports, &[(5, UPLINK)])).unwrap()
                });
            };
            // Without others, or where they do not reach this host, there is no link.
            host.change_rules(told(UPLINK, (80, 80), &[(5, UPLINK)])).unwrap();
            assert!(!has_far(lab));
            let alone = Change { address: None, ..told(UPLINK, (80, 80), &[(6, NEIGHBOUR)]) };
            host.change_rules(alone).unwrap();
            assert!(!has_far(lab));
            assert_eq!(at(a, || ask(address(6), 80)), None);
            with((80, 80));
            assert!(has_far(lab));
            assert_eq!(at(a, || ask(address(6), 80)).unwrap(), "b from 10.0.1.5");
            assert_eq!(at(b, || ask(address(5), 80)).unwrap(), "a from 10.0.1.6");
            assert_eq!(at(a, || ask(address(6), 81)), None, "no rule for that port");
            let link = at(a, || run("ip", &["link", "show", "eth0"]));
            assert!(link.contains(&format!("mtu {}", UPLINK_MTU - 50)), "{link}");
            let far = in_vpc(lab, &["-d", "link", "show", "far0"]);
            assert!(far.contains("nolearning") && far.contains(&format!("mtu {}", UPLINK_MTU - 50)), "{far}");
            // A connection that a rule for some has let begin goes on when the rule goes, at both ends.
            with((80, 90));
            at(b, || serve_much(90));
            let mut much = at(a, || TcpStream::connect_timeout(&(address(6), 90).into(), SILENCE).unwrap());
            much.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            much.write_all(&[1]).unwrap();
            let mut block = vec![0; 1 << 20];
            much.read_exact(&mut block).unwrap();
            with((80, 80));
            much.write_all(&[1]).unwrap();
            much.read_exact(&mut block).unwrap();
            assert_eq!(at(a, || ask(address(6), 90)), None);
            // The last one elsewhere leaves.
            let change = Change {
                places: vec![Moves { vpc: name("vpc-1"), leave: vec![address(6)], join: vec![] }],
                address: Some(UPLINK),
                ..Change::default()
            };
            host.change_rules(change).unwrap();
            assert!(!has_far(lab) && at(a, || ask(address(6), 80)).is_none());
            with((80, 80));
            assert!(at(a, || ask(address(6), 80)).is_some());
            host.detach(&id("task5")).unwrap();
            assert!(!run("nft", &["list", "tables"]).contains("_far"));
            // At once another one is there, with a link of the same number.
            let a = host.attach_interface(&spec(5)).unwrap();
            assert!(at(&a, || ask(address(6), 80)).is_some());
        });
    });
}

/// A server that answers each byte with a mebibyte.
fn serve_much(port: u16) {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let block = vec![7; 1 << 20];
            while stream.read_exact(&mut [0]).is_ok() && stream.write_all(&block).is_ok() {}
        }
    });
}

#[test]
fn what_leads_to_other_hosts_outlives_us_and_is_made_again() {
    lab(|lab| {
        two(lab, |host, a, other, _b| {
            within(&lab.neighbour, || {
                other.change_rules(told(NEIGHBOUR, (80, 80), &[(5, UPLINK)])).unwrap();
            });
            host.change_rules(told(UPLINK, (80, 80), &[(6, NEIGHBOUR), (7, NEIGHBOUR)])).unwrap();
            let works = || at(a, || ask(address(6), 80)).is_some();
            assert!(works());
            let index = || in_vpc(lab, &["-o", "link", "show", "far0"]).split(':').next().map(str::to_owned);
            let before = index();
            let again = lab.open();
            assert!(works() && has_far(lab));
            assert_eq!(index(), before, "it is taken up, not made anew");
            in_vpc(lab, &["route", "del", "10.0.1.6"]);
            again.repair().unwrap();
            assert!(works(), "a route");
            in_vpc(lab, &["link", "del", "far0"]);
            again.repair().unwrap();
            assert!(works(), "the link");
            run("nft", &["delete", "table", "inet", "roadstead_0123abcd_far"]);
            again.repair().unwrap();
            assert!(works() && has_far(lab), "what watches over it");
        });
    });
}

/// A packet as a host would send it: from one interface to `10.0.1.5`, port 9 of UDP.
fn packet(number: u32, from: Ipv4Addr, word: &[u8]) -> Vec<u8> {
    let mut ip = vec![0x45, 0];
    ip.extend_from_slice(&u16::try_from(28 + word.len()).unwrap().to_be_bytes());
    ip.extend_from_slice(&[0, 1, 0, 0, 64, 17, 0, 0]);
    ip.extend_from_slice(&from.octets());
    ip.extend_from_slice(&address(5).octets());
    let sum: u32 = ip.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut out = vec![0x08, 0, 0, 0];
    out.extend_from_slice(&(number << 8).to_be_bytes());
    let [a, b, c, d] = UPLINK.octets();
    out.extend_from_slice(&[0x02, 0x76, a, b, c, d, 0x02, 0, 0, 0, 0, 9, 0x08, 0]);
    out.extend_from_slice(&ip);
    out.extend_from_slice(&[0, 9, 0, 9]);
    out.extend_from_slice(&u16::try_from(8 + word.len()).unwrap().to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(word);
    out
}

#[test]
fn nobody_speaks_as_an_interface_of_another_host() {
    lab(|lab| {
        let host = lab.open();
        let a = host.attach_interface(&spec(5)).unwrap();
        let third = Ipv4Addr::new(192, 0, 2, 3);
        host.change_rules(told(UPLINK, (1, 100), &[(6, NEIGHBOUR), (7, third)])).unwrap();
        within(&lab.neighbour, || run("ip", &["addr", "add", "192.0.2.3/24", "dev", "out0"]));
        let heard = at(&a, || UdpSocket::bind((address(5), 9)).unwrap());
        heard.set_read_timeout(Some(SILENCE)).unwrap();
        let comes = |by: Ipv4Addr, number, from| {
            let sent = packet(number, from, b"word");
            within(&lab.neighbour, || {
                let socket = UdpSocket::bind((by, 0)).unwrap();
                socket.send_to(&sent, (UPLINK, 4789)).unwrap();
            });
            heard.recv_from(&mut [0; 64]).is_ok()
        };
        assert!(comes(NEIGHBOUR, NUMBER, address(6)), "as its own host says it");
        assert!(comes(third, NUMBER, address(7)));
        assert!(!comes(third, NUMBER, address(6)), "another host");
        assert!(!comes(NEIGHBOUR, NUMBER, address(7)));
        assert!(!comes(NEIGHBOUR, NUMBER, address(5)), "one of this host");
        assert!(!comes(NEIGHBOUR, NUMBER, address(9)), "one that is nowhere");
        assert!(!comes(NEIGHBOUR, NUMBER, UPLINK) && !comes(NEIGHBOUR, NUMBER + 1, address(6)));
        // It has gone from there.
        let places = vec![Moves { vpc: name("vpc-1"), leave: vec![address(6)], join: vec![] }];
        host.change_rules(Change { places, address: Some(UPLINK), ..Change::default() }).unwrap();
        assert!(!comes(NEIGHBOUR, NUMBER, address(6)));
    });
}

#[test]
fn nothing_on_a_host_speaks_to_others_as_the_host() {
    lab(|lab| {
        let host = lab.open();
        let _a = host.attach_interface(&spec(5)).unwrap();
        let c = host.attach(&bridge("c", &[])).unwrap();
        host.change_rules(told(UPLINK, (1, 100), &[(6, NEIGHBOUR)])).unwrap();
        let listen = |port| within(&lab.neighbour, || UdpSocket::bind((NEIGHBOUR, port)).unwrap());
        let (theirs, another) = (listen(4789), listen(4790));
        let send = || {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
            for port in [4789, 4790] {
                // A program hears that its packet was dropped, or it does not.
                let _ = socket.send_to(b"word", (NEIGHBOUR, port));
            }
        };
        let comes = |socket: &UdpSocket| {
            socket.set_read_timeout(Some(SILENCE)).unwrap();
            socket.recv_from(&mut [0; 64]).is_ok()
        };
        send();
        assert!(comes(&another) && !comes(&theirs), "a program of the host");
        inside(&c, send);
        assert!(comes(&another) && !comes(&theirs), "a container");
    });
}
