//! Where tasks ask for names: by which addresses, who is heard, and when doors open and close.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use network::{Change, Dns, Doors, Host, Interface, InterfaceSpec, Mac, Name, Resolver};

use crate::lab::*;

/// What is dropped takes so long to be seen as such.
const SILENCE: Duration = Duration::from_millis(250);
const EVERYWHERE: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 253);
const SECOND: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A task whose groups let nothing through.
fn spec(last: u8) -> InterfaceSpec {
    InterfaceSpec {
        id: id(&format!("task{last}")),
        interface: name(&format!("eni-{last}")),
        vpc: name("vpc-1"),
        blocks: vec!["10.0.0.0/16".parse().unwrap()],
        mac: Mac([0x0a, 0, 0, 0, 0, last]),
        ipv4: Ipv4Addr::new(10, 0, 0, last),
        subnet: "10.0.0.0/24".parse().unwrap(),
        gateway: Ipv4Addr::new(10, 0, 0, 1),
        ipv6: None,
        state: Default::default(),
    }
}

/// Answers each datagram with the domain and who asked.
#[derive(Default)]
struct Echo {
    /// What is open, by VPC; the sockets end with the process.
    open: Mutex<BTreeMap<String, String>>,
    opened: Mutex<usize>,
}

impl Resolver for Echo {
    fn open(&self, doors: Doors) {
        assert_eq!(doors.blocks, ["10.0.0.0/16".parse().unwrap()]);
        for socket in doors.udp {
            let domain = doors.domain.clone();
            thread::spawn(move || {
                let mut buffer = [0; 64];
                while let Ok((_, peer)) = socket.recv_from(&mut buffer) {
                    let _ = socket.send_to(format!("{domain} to {}", peer.ip()).as_bytes(), peer);
                }
            });
        }
        for listener in doors.tcp {
            thread::spawn(move || {
                listener.incoming().flatten().for_each(|mut one| drop(one.write_all(b"tcp")))
            });
        }
        self.open.lock().unwrap().insert(doors.vpc.to_string(), doors.domain);
        *self.opened.lock().unwrap() += 1;
    }

    fn close(&self, vpc: &Name) {
        self.open.lock().unwrap().remove(vpc.as_str());
    }
}

impl Echo {
    fn open(&self) -> Vec<String> {
        self.open.lock().unwrap().iter().map(|(vpc, domain)| format!("{vpc} {domain}")).collect()
    }
}

fn names(host: &Host, domain: Option<&str>) {
    let dns = domain.map(|domain| Dns { address: SECOND, domain: domain.to_owned() });
    let vpcs = vec![(name("vpc-1"), vec!["10.0.0.0/16".parse().unwrap()])];
    host.change_rules(Change { vpcs, dns: vec![(name("vpc-1"), dns)], ..Change::default() }).unwrap();
}

fn asks(from: &Interface, at: Ipv4Addr, port: u16) -> Option<String> {
    within(&File::open(&from.netns_path).unwrap(), || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        socket.set_read_timeout(Some(SILENCE)).unwrap();
        socket.send_to(b"?", (at, port)).ok()?;
        let mut buffer = [0; 128];
        let (length, from) = socket.recv_from(&mut buffer).ok()?;
        assert_eq!(from, SocketAddr::from((at, port)), "it answers as who was asked");
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    })
}

fn connects(from: &Interface, at: Ipv4Addr, port: u16) -> bool {
    let to = SocketAddr::from((at, port));
    within(&File::open(&from.netns_path).unwrap(), || TcpStream::connect_timeout(&to, SILENCE).is_ok())
}

#[test]
fn tasks_ask_at_both_addresses_whatever_their_groups_say() {
    lab(|lab| {
        let (host, echo) = (lab.open(), Arc::new(Echo::default()));
        let a = host.attach_interface(&spec(5)).unwrap();
        host.answer_names(echo.clone());
        assert!(echo.open().is_empty() && asks(&a, SECOND, 53).is_none(), "the VPC has no names");
        names(&host, Some("ec2.internal"));
        assert_eq!(echo.open(), ["vpc-1 ec2.internal"]);
        for at in [SECOND, EVERYWHERE] {
            assert_eq!(asks(&a, at, 53).as_deref(), Some("ec2.internal to 10.0.0.5"), "{at}");
            assert!(connects(&a, at, 53), "{at}");
            assert!(asks(&a, at, 54).is_none() && !connects(&a, at, 80), "{at}: nothing else is there");
        }
        let b = host.attach_interface(&spec(6)).unwrap();
        assert_eq!(asks(&b, SECOND, 53).as_deref(), Some("ec2.internal to 10.0.0.6"));
        assert_eq!(*echo.opened.lock().unwrap(), 1, "the doors are the VPC's");
        names(&host, None);
        assert!(echo.open().is_empty());
        for at in [SECOND, EVERYWHERE] {
            assert!(asks(&a, at, 53).is_none() && !connects(&a, at, 53), "{at}");
        }
        names(&host, Some("ec2.internal"));
        assert!(asks(&a, EVERYWHERE, 53).is_some());
        host.detach(&id("task5")).unwrap();
        assert_eq!(echo.open(), ["vpc-1 ec2.internal"]);
        host.detach(&id("task6")).unwrap();
        assert!(echo.open().is_empty(), "nobody is there");
    });
}

#[test]
fn names_of_a_vpc_are_kept_over_restarts() {
    lab(|lab| {
        let host = lab.open();
        names(&host, Some("eu-west-1.compute.internal"));
        let a = host.attach_interface(&spec(5)).unwrap();
        drop(host);
        let (host, echo) = (lab.open(), Arc::new(Echo::default()));
        host.answer_names(echo.clone());
        assert_eq!(echo.open(), ["vpc-1 eu-west-1.compute.internal"]);
        assert!(asks(&a, SECOND, 53).is_some());
        let error = Change {
            dns: vec![(name("vpc-1"), Some(Dns { address: SECOND, domain: "no domain".to_owned() }))],
            ..Change::default()
        };
        assert!(matches!(host.change_rules(error), Err(network::Error::Invalid(_))));
        assert!(asks(&a, SECOND, 53).is_some(), "what is refused changes nothing");
    });
}
