//! Published ports: from everywhere they are asked, and who gets which.

use std::net::{Ipv4Addr, TcpListener, TcpStream};

use network::{Error, Protocol};

use crate::lab::*;

#[test]
fn a_published_port_answers_from_everywhere() {
    lab(|lab| {
        let (host, a, b) = siblings(lab);
        let ask = || {
            let both = (ask_tcp(UPLINK, 8080).unwrap(), ask_udp(UPLINK, 5353).unwrap());
            assert_eq!(both.0, both.1);
            both.0
        };
        let gateway = host.subnet().gateway();
        // The host by loopback, by its address and by the bridge's; all are local addresses of the
        // host, so the container sees the bridge's.
        assert_eq!(ask_tcp(Ipv4Addr::LOCALHOST, 8080).unwrap(), format!("a from {gateway}"));
        assert_eq!(ask_udp(Ipv4Addr::LOCALHOST, 5353).unwrap(), format!("a from {gateway}"));
        assert_eq!(ask_tcp(gateway, 8080).unwrap(), format!("a from {gateway}"));
        assert!(ask().starts_with("a from "));
        // Another machine is seen as itself.
        assert_eq!(within(&lab.neighbour, ask), format!("a from {NEIGHBOUR}"));
        // A sibling, and the container itself, through the host's port.
        assert_eq!(inside(&b, ask), format!("a from {gateway}"));
        assert_eq!(inside(&a, ask), format!("a from {gateway}"));
        host.detach(&id("a")).unwrap();
        assert!(ask_tcp(UPLINK, 8080).is_err());
    });
}

#[test]
fn a_udp_client_that_keeps_sending_follows_the_port() {
    lab(|lab| {
        let host = lab.open();
        let client = within(&lab.neighbour, || std::net::UdpSocket::bind("0.0.0.0:0").unwrap());
        client.set_read_timeout(Some(std::time::Duration::from_millis(20))).unwrap();
        let answer = || {
            let mut buffer = [0; 64];
            let _ = client.send_to(b"?", (UPLINK, 5353));
            client.recv(&mut buffer).ok().map(|n| String::from_utf8_lossy(&buffer[..n]).into_owned())
        };
        assert_eq!(answer(), None, "nobody there yet, and this is on record");
        for name in ["one", "two"] {
            let a = host.attach(&bridge(name, &[udp(53, 5353)])).unwrap();
            inside(&a, || serve_udp(name, 53));
            eventually("the new container answers", || answer().is_some_and(|text| text.starts_with(name)));
            host.detach(&id(name)).unwrap();
            answer();
        }
    });
}

#[test]
fn a_taken_port_is_refused_as_docker_says_it() {
    lab(|lab| {
        let host = lab.open();
        let own = TcpListener::bind("0.0.0.0:9000").unwrap();
        host.attach(&bridge("a", &[tcp(80, 8080)])).unwrap();
        let clash = host.attach(&bridge("b", &[tcp(81, 8081), tcp(80, 8080)])).unwrap_err();
        assert_eq!(clash.to_string(), "Bind for 0.0.0.0:8080 failed: port is already allocated");
        let clash = host.attach(&bridge("b", &[tcp(81, 8081), tcp(80, 9000)])).unwrap_err();
        assert_eq!(clash.to_string(), "listen tcp4 0.0.0.0:9000: bind: address already in use");
        assert!(TcpListener::bind("0.0.0.0:8080").is_err(), "the port is held against the host too");
        // Nothing of a refused attach stays; another transport is another port.
        host.attach(&bridge("b", &[tcp(81, 8081), udp(80, 8080)])).unwrap();
        host.detach(&id("a")).unwrap();
        host.attach(&bridge("c", &[tcp(80, 8080)])).unwrap();
        drop(own);
        host.attach(&bridge("d", &[tcp(80, 9000)])).unwrap();
    });
}

#[test]
fn a_port_in_time_wait_is_free() {
    lab(|lab| {
        let host = lab.open();
        let listener = TcpListener::bind("127.0.0.1:9000").unwrap();
        let client = TcpStream::connect("127.0.0.1:9000").unwrap();
        // The side that closes first keeps the port in TIME_WAIT.
        drop(listener.accept().unwrap());
        drop(listener);
        drop(client);
        // 9000 and TIME_WAIT, as the kernel writes them: what was sent last may be taken in a little later.
        eventually("one side waits", || {
            let all = std::fs::read_to_string("/proc/thread-self/net/tcp").unwrap();
            all.lines().any(|line| line.contains(":2328 ") && line.contains(" 06 "))
        });
        host.attach(&bridge("a", &[tcp(80, 9000)])).unwrap();
        assert!(TcpListener::bind("0.0.0.0:9000").is_err(), "and held");
    });
}

#[test]
fn dynamic_ports_come_from_the_range_in_turn() {
    lab(|lab| {
        let mut config = lab.config();
        config.dynamic_ports = Some(40000..=40003);
        let host = network::Host::open(config).unwrap();
        let _own = TcpListener::bind("0.0.0.0:40001").unwrap();
        let mapping =
            network::PortMapping { container_port: 80, host_port: None, protocol: Protocol::Tcp, more: 0 };
        let a = host.attach(&bridge("a", &[mapping, tcp(81, 40000)])).unwrap();
        let given: Vec<_> = a.bindings.iter().map(|b| (b.container_port, b.host_port)).collect();
        assert_eq!(given, [(80, 40002), (81, 40000)], "in the order asked for, fixed ones first served");
        inside(&a, || serve_tcp("a", 80));
        assert!(ask_tcp(UPLINK, 40002).unwrap().starts_with("a from"));
        let b = host.attach(&bridge("b", &[tcp(80, 0)])).unwrap();
        assert_eq!(b.bindings[0].host_port, 40003);
        assert!(matches!(host.attach(&bridge("c", &[tcp(80, 0)])), Err(Error::NoFreePort)));
        host.detach(&id("a")).unwrap();
        assert_eq!(host.attach(&bridge("c", &[tcp(80, 0)])).unwrap().bindings[0].host_port, 40000);
    });
}

#[test]
fn a_range_takes_ports_that_lie_side_by_side() {
    lab(|lab| {
        let mut config = lab.config();
        config.dynamic_ports = Some(40000..=40007);
        let host = network::Host::open(config).unwrap();
        let _own = TcpListener::bind("0.0.0.0:40002").unwrap();
        let range = |more: u16| network::PortMapping {
            container_port: 8000,
            host_port: None,
            protocol: Protocol::Tcp,
            more,
        };
        let a = host.attach(&bridge("a", &[range(2), tcp(80, 0)])).unwrap();
        let given: Vec<_> = a.bindings.iter().map(|b| (b.container_port, b.host_port)).collect();
        assert_eq!(given, [(8000, 40003), (8001, 40004), (8002, 40005), (80, 40006)], "past what is taken");
        inside(&a, || serve_tcp("a", 8002));
        assert!(ask_tcp(UPLINK, 40005).unwrap().starts_with("a from"));
        assert!(TcpListener::bind("0.0.0.0:40004").is_err(), "each is held");
        assert!(matches!(host.attach(&bridge("b", &[range(2)])), Err(Error::NoFreePort)));
        let b = host.attach(&bridge("b", &[range(1)])).unwrap();
        assert_eq!(b.bindings.iter().map(|b| b.host_port).collect::<Vec<_>>(), [40000, 40001]);
        host.detach(&id("a")).unwrap();
        let c = host.attach(&bridge("c", &[range(4)])).unwrap();
        assert_eq!(
            c.bindings.iter().map(|b| b.host_port).collect::<Vec<_>>(),
            [40003, 40004, 40005, 40006, 40007]
        );
        for wrong in [
            network::PortMapping { host_port: Some(9000), ..range(1) },
            network::PortMapping { container_port: 65535, ..range(1) },
            range(1000),
        ] {
            assert!(matches!(host.attach(&bridge("d", &[wrong])), Err(Error::Invalid(_))), "{wrong:?}");
        }
    });
}
