//! What a container finds in its namespace, and whom it reaches.

use std::fs;
use std::net::Ipv4Addr;
use std::time::Duration;

use network::{AttachSpec, Host, Mode};

use crate::lab::*;

#[test]
fn a_container_has_an_address_a_route_and_loopback() {
    lab(|lab| {
        let host = lab.open();
        let a = host.attach(&bridge("a", &[])).unwrap();
        let address = a.ipv4.unwrap();
        assert_eq!(a.gateway, Some(host.subnet().gateway()));
        let shown = inside(&a, || run("ip", &["-4", "-o", "addr"]));
        assert!(shown.contains(&format!("inet {address}/20")), "{shown}");
        let link = inside(&a, || run("ip", &["link", "show", "eth0"]));
        assert!(link.contains(&format!("mtu {UPLINK_MTU}")), "{link}");
        assert!(link.contains(&a.mac.unwrap().to_string()), "{link}");
        let route = inside(&a, || run("ip", &["route"]));
        assert!(route.contains(&format!("default via {} dev eth0", a.gateway.unwrap())), "{route}");
        serve_in(&a, "a", 80);
        assert_eq!(inside(&a, || ask_tcp(Ipv4Addr::LOCALHOST, 80)).unwrap(), "a from 127.0.0.1");
    });
}

#[test]
fn containers_reach_each_other_the_host_and_the_world() {
    lab(|lab| {
        let host = lab.open();
        let a = host.attach(&bridge("a", &[])).unwrap();
        let b = host.attach(&bridge("b", &[])).unwrap();
        serve_in(&b, "b", 80);
        serve_tcp("host", 7000);
        within(&lab.neighbour, || serve_tcp("world", 80));
        let from_a = format!("from {}", a.ipv4.unwrap());
        assert_eq!(inside(&a, || ask_tcp(b.ipv4.unwrap(), 80)).unwrap(), format!("b {from_a}"));
        assert_eq!(inside(&a, || ask_tcp(UPLINK, 7000)).unwrap(), format!("host {from_a}"));
        // The world sees the host.
        assert_eq!(inside(&a, || ask_tcp(NEIGHBOUR, 80)).unwrap(), format!("world from {UPLINK}"));
    });
}

#[test]
fn the_world_reaches_only_what_is_published() {
    lab(|lab| {
        let host = lab.open();
        let a = host.attach(&bridge("a", &[tcp(80, 8080)])).unwrap();
        serve_in(&a, "a", 80);
        serve_in(&a, "secret", 81);
        let (address, subnet) = (a.ipv4.unwrap(), host.subnet().to_string());
        within(&lab.neighbour, || {
            run("ip", &["route", "add", &subnet, "via", &UPLINK.to_string()]);
            assert_eq!(ask_tcp(UPLINK, 8080).unwrap(), format!("a from {NEIGHBOUR}"));
            let socket = std::net::SocketAddr::from((address, 81));
            assert!(std::net::TcpStream::connect_timeout(&socket, Duration::from_millis(300)).is_err());
        });
        // Nor does a container reach the host's own loopback.
        serve_tcp("host", 7000);
        let gateway = a.gateway.unwrap().to_string();
        inside(&a, || {
            run("ip", &["addr", "flush", "dev", "lo"]);
            fs::write("/proc/sys/net/ipv4/conf/eth0/route_localnet", "1").unwrap();
            run("ip", &["route", "add", "127.0.0.1/32", "via", &gateway, "dev", "eth0"]);
            let socket = std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, 7000));
            assert!(std::net::TcpStream::connect_timeout(&socket, Duration::from_millis(300)).is_err());
        });
    });
}

#[test]
fn none_has_only_loopback_and_host_has_the_host() {
    lab(|lab| {
        let host = lab.open();
        let spec = |name: &str, mode| AttachSpec { id: id(name), mode, ports: vec![], sysctls: vec![] };
        let none = host.attach(&spec("none", Mode::None)).unwrap();
        assert_eq!(inside(&none, links), ["lo"]);
        assert_eq!((none.ipv4, none.bindings.len()), (None, 0));
        assert_eq!(host.counters(&id("none")).unwrap(), None);
        let mut wanted = spec("host", Mode::Host);
        wanted.ports = vec![tcp(8080, 0)];
        let as_host = host.attach(&wanted).unwrap();
        assert_eq!(as_host.netns_path, None);
        assert_eq!(as_host.bindings[0].host_port, 8080);
        let mut refused = spec("no", Mode::None);
        refused.ports = vec![tcp(1, 1)];
        assert!(host.attach(&refused).is_err());
    });
}

#[test]
fn system_controls_are_the_containers_own() {
    lab(|lab| {
        let host = lab.open();
        let mut spec = bridge("a", &[]);
        let name = "net.ipv4.ip_unprivileged_port_start";
        spec.sysctls = vec![(name.to_owned(), "80".to_owned())];
        let a = host.attach(&spec).unwrap();
        let path = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
        assert_eq!(inside(&a, || fs::read_to_string(path).unwrap()).trim(), "80");
        assert_eq!(fs::read_to_string(path).unwrap().trim(), "1024");
        let usual = host.attach(&bridge("usual", &[])).unwrap();
        assert_eq!(inside(&usual, || fs::read_to_string(path).unwrap()).trim(), "0", "as Docker has it");
        let mut unknown = bridge("b", &[tcp(80, 8080)]);
        unknown.sysctls = vec![("net.ipv4.no_such_thing".to_owned(), "1".to_owned())];
        assert!(host.attach(&unknown).is_err());
        // A process that another test starts at this moment holds the port until it runs its own program.
        eventually("the port of the failed attach is free", || {
            host.attach(&bridge("c", &[tcp(80, 8080)])).is_ok()
        });
        assert!(host.get(&id("b")).is_none());
    });
}

#[test]
fn counters_tell_the_containers_side() {
    lab(|lab| {
        let host = lab.open();
        let a = host.attach(&bridge("a", &[])).unwrap();
        within(&lab.neighbour, || serve_udp("world", 53));
        let before = host.counters(&id("a")).unwrap().unwrap();
        inside(&a, || {
            let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
            (0..10).for_each(|_| assert!(socket.send_to(&[0; 1000], (NEIGHBOUR, 9999)).is_ok()));
        });
        eventually("ten packets counted", || {
            let after = host.counters(&id("a")).unwrap().unwrap();
            after.tx_packets >= before.tx_packets + 10
                && after.tx_bytes >= before.tx_bytes + 10_000
                && after.rx_bytes < after.tx_bytes
        });
        assert!(host.counters(&id("nobody")).is_err());
    });
}

#[test]
fn instances_live_side_by_side() {
    lab(|lab| {
        let (one, two) = (lab.open(), Host::open(lab.config_of("89abcdef")).unwrap());
        assert!(!one.subnet().overlaps(&two.subnet()));
        let a = one.attach(&bridge("same", &[tcp(80, 8080)])).unwrap();
        let b = two.attach(&bridge("same", &[tcp(80, 8081)])).unwrap();
        serve_in(&a, "one", 80);
        serve_in(&b, "two", 80);
        assert!(ask_tcp(UPLINK, 8080).unwrap().starts_with("one"));
        assert!(ask_tcp(UPLINK, 8081).unwrap().starts_with("two"));
        assert!(two.attach(&bridge("clash", &[tcp(80, 8080)])).is_err(), "the other instance holds 8080");
        one.purge().unwrap();
        assert!(ask_tcp(UPLINK, 8081).unwrap().starts_with("two"), "purging one leaves the other");
        two.purge().unwrap();
        assert_eq!(network::audit(&lab.config_of("89abcdef")).unwrap(), Vec::<String>::new());
    });
}

fn serve_in(attachment: &network::Attachment, name: &str, port: u16) {
    inside(attachment, || serve_tcp(name, port));
}
