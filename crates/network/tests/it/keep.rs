//! What others take away while a host is open comes back by itself, and until then no container gets
//! where it may not.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use nix::libc;

use crate::lab::*;

const TABLE: &str = "roadstead_0123abcd";
const BRIDGE: &str = "rs0123abcd";

fn set(parameter: &str, value: &str) {
    fs::write(format!("/proc/sys/net/ipv4/{parameter}"), value).unwrap();
}

#[test]
fn what_others_take_away_is_made_again() {
    lab(|lab| {
        let (host, a, b) = siblings(lab);
        let veth = veth(&a);
        let conf = format!("conf/{BRIDGE}");
        type Deed<'a> = Box<dyn Fn() + 'a>;
        let nft = |line: &str| -> Deed<'_> {
            let line = line.replace("TABLE", &format!("inet {TABLE}"));
            Box::new(move || drop(run("nft", &[&line])))
        };
        let ip = |line: &str| -> Deed<'_> {
            let line = line.replace("BRIDGE", BRIDGE).replace("VETH", &veth);
            Box::new(move || drop(run("ip", &line.split(' ').collect::<Vec<_>>())))
        };
        let deeds: Vec<(&str, Deed<'_>)> = vec![
            ("flush", nft("flush ruleset")),
            ("delete table", nft("delete table TABLE")),
            ("flush chain", nft("flush chain TABLE published")),
            ("delete element", nft("delete element TABLE tcp_ports { 8080 }")),
            ("drop rule", nft("insert rule TABLE forward drop")),
            ("dormant", nft("add table TABLE { flags dormant; }")),
            ("bridge deleted", ip("link del BRIDGE")),
            ("bridge down", ip("link set BRIDGE down")),
            ("address", ip("addr flush dev BRIDGE")),
            ("off the bridge", ip("link set VETH nomaster")),
            ("link down", ip("link set VETH down")),
            ("link deleted", ip("link del VETH")),
            ("ip_forward", Box::new(|| set("ip_forward", "0"))),
            ("forwarding", Box::new(|| set(&format!("{conf}/forwarding"), "0"))),
            ("route_localnet", Box::new(|| set(&format!("{conf}/route_localnet"), "0"))),
        ];
        for (name, deed) in deeds {
            let before = host.restored();
            deed();
            eventually(&format!("{name} is undone"), || host.restored() > before);
            let answers = || {
                let here = ask_tcp(Ipv4Addr::LOCALHOST, 8080).ok()?;
                let there = within(&lab.neighbour, || ask_udp(UPLINK, 5353))?;
                let sibling = inside(&b, || ask_tcp(UPLINK, 8080)).ok()?;
                Some([here, there, sibling])
            };
            eventually(&format!("after {name} it answers"), || {
                answers().is_some_and(|all| all.iter().all(|answer| answer.starts_with("a from")))
            });
        }
        // What was ready for the next has not suffered either.
        run("ip", &["link", "del", BRIDGE]);
        for n in 0..4u16 {
            serving(&host, &format!("c{n}"), 8081 + n);
            eventually("a new one answers", || {
                ask_tcp(UPLINK, 8081 + n).is_ok_and(|answer| answer.starts_with(&format!("c{n} from")))
            });
        }
        assert!(host.settle(Duration::from_secs(10)));
        let quiet = host.restored();
        host.detach(&id("a")).unwrap();
        host.repair().unwrap();
        assert_eq!(host.restored(), quiet, "nothing is amiss");
    });
}

/// Whoever may change his own network can keep us from mending it, but not from mending what is others'.
#[test]
fn one_that_cannot_be_mended_keeps_no_other_from_it() {
    lab(|lab| {
        let host = lab.open();
        serving(&host, "a", 8080);
        let odd = host.attach(&bridge("odd", &[])).unwrap();
        inside(&odd, || {
            run("ip", &["link", "del", "eth0"]);
            run("ip", &["link", "add", "eth0", "type", "veth", "peer", "name", "other"]);
        });
        for deed in [&["nft", "flush", "ruleset"][..], &["ip", "link", "del", BRIDGE]] {
            run(deed[0], &deed[1..]);
            eventually("the others are mended", || {
                ask_tcp(UPLINK, 8080).is_ok_and(|answer| answer.starts_with("a from"))
            });
        }
        drop(host);
        let host = lab.open();
        host.detach(&id("odd")).unwrap();
        assert!(ask_tcp(UPLINK, 8080).unwrap().starts_with("a from"));
    });
}

/// With all privileges in its namespace, without a rule on the host, and nobody who looks after it.
#[test]
fn a_container_never_reaches_the_hosts_own_loopback() {
    lab(|lab| {
        let host = lab.open();
        let a = host.attach(&bridge("a", &[])).unwrap();
        let gateway = a.gateway.unwrap().to_string();
        drop(host);
        run("nft", &["delete", "table", "inet", TABLE]);
        assert_eq!(
            fs::read_to_string(format!("/proc/sys/net/ipv4/conf/{BRIDGE}/route_localnet")).unwrap(),
            "1\n"
        );
        serve_tcp("host", 7000);
        let secret = UdpSocket::bind("127.0.0.1:7001").unwrap();
        secret.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let heard = || secret.recv(&mut [0; 8]).is_ok();
        let mac = hardware(BRIDGE);
        // A packet socket is what every container may open. Tags: the kernel takes off any number of the
        // network 0.
        let none: &[u16] = &[];
        for tags in [none, &[0x8100], &[0x8100, 0x8100], &[0x88a8, 0x8100, 0x8100]] {
            let knock = || inside(&a, || send_frame(mac, a.ipv4.unwrap(), tags));
            knock();
            assert!(!heard(), "{tags:x?}");
            if tags.is_empty() {
                inside(&a, || {
                    run("ip", &["addr", "flush", "dev", "lo"]);
                    set("conf/eth0/route_localnet", "1");
                    run("ip", &["route", "add", "127.0.0.1/32", "via", &gateway, "dev", "eth0"]);
                    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 7000));
                    let patience = Duration::from_millis(300);
                    assert!(std::net::TcpStream::connect_timeout(&address, patience).is_err());
                });
            }
            // It is the link's own look at what comes in that makes the difference.
            let filter = run("tc", &["filter", "show", "dev", &veth(&a), "ingress"]);
            assert!(filter.contains("bpf"), "{filter}");
            run("tc", &["qdisc", "del", "dev", &veth(&a), "clsact"]);
            knock();
            assert!(heard(), "{tags:x?}: this test would not see it");
            // A restart puts it back, and so does hearing that it is gone.
            let host = lab.open();
            run("tc", &["qdisc", "del", "dev", &veth(&a), "clsact"]);
            eventually("the filter is back", || {
                run("tc", &["filter", "show", "dev", &veth(&a), "ingress"]).contains("bpf")
            });
            drop(host);
            run("nft", &["delete", "table", "inet", TABLE]);
        }
    });
}

fn hardware(link: &str) -> [u8; 6] {
    let shown = run("ip", &["link", "show", link]);
    let mut bytes = shown.split("link/ether ").nth(1).unwrap()[..17].split(':');
    std::array::from_fn(|_| u8::from_str_radix(bytes.next().unwrap(), 16).unwrap())
}

/// Sends a datagram to 127.0.0.1:7001 as a raw frame through `eth0`.
fn send_frame(to: [u8; 6], from: Ipv4Addr, tags: &[u16]) {
    let mut frame = [to, hardware("eth0")].concat();
    for tag in tags {
        frame.extend_from_slice(&tag.to_be_bytes());
        frame.extend_from_slice(&[0, 0]);
    }
    frame.extend_from_slice(&[0x08, 0x00]);
    let mut header = vec![0x45, 0, 0, 29, 0, 0, 0, 0, 64, 17, 0, 0];
    header.extend_from_slice(&from.octets());
    header.extend_from_slice(&[127, 0, 0, 1]);
    let words = header.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum: u32 = words.sum();
    let sum = !(((sum & 0xffff) + (sum >> 16)) as u16);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    frame.extend_from_slice(&header);
    // From port 9 to 7001, nine bytes, no checksum.
    frame.extend_from_slice(&[0, 9, 0x1b, 0x59, 0, 9, 0, 0, b'?']);
    frame.resize(frame.len().max(60), 0);
    let index = nix::net::if_::if_nametoindex("eth0").unwrap();
    // SAFETY: plain system calls; the address is filled in before it is read, and lives until then.
    unsafe {
        let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0);
        assert!(fd >= 0);
        let mut address: libc::sockaddr_ll = std::mem::zeroed();
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_ifindex = index as i32;
        address.sll_halen = 6;
        let length = size_of::<libc::sockaddr_ll>() as u32;
        let sent =
            libc::sendto(fd, frame.as_ptr().cast(), frame.len(), 0, (&raw const address).cast(), length);
        assert_eq!(sent, frame.len() as isize);
        libc::close(fd);
    }
}
