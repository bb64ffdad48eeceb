//! The scene of a test: a "host" (a thread in namespaces of its own) with an uplink to a
//! neighbouring machine, and small servers and clients to put anywhere.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use network::{AttachSpec, Attachment, AttachmentId, Config, Host, Mode, PortMapping, Protocol};
use nix::mount::MsFlags;
use nix::sched::{CloneFlags, setns, unshare};

pub const UPLINK: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
pub const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// Not 1500, so that a default cannot pass for the uplink's.
pub const UPLINK_MTU: u32 = 1400;
const PATIENCE: Duration = Duration::from_secs(10);

/// The scene. Removes what the instance made when it ends, also by a panic, and checks that
/// nothing is left.
pub struct Lab {
    dir: tempfile::TempDir,
    pub neighbour: File,
}

/// Runs `test` in a lab.
pub fn lab(test: impl FnOnce(&Lab) + Send) {
    let done = thread::scope(|scope| {
        scope
            .spawn(|| {
                unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("these tests need root");
                let private = MsFlags::MS_PRIVATE | MsFlags::MS_REC;
                nix::mount::mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
                // A new namespace takes its settings from the host's, which may well forward.
                fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
                let lab = Lab { dir: tempfile::tempdir().unwrap(), neighbour: neighbour() };
                test(&lab);
                lab.leave_nothing();
            })
            .join()
    });
    if let Err(panic) = done {
        std::panic::resume_unwind(panic);
    }
}

impl Lab {
    pub fn config(&self) -> Config {
        self.config_of("0123abcd")
    }

    pub fn config_of(&self, id8: &str) -> Config {
        let mut config = Config::new(id8.parse().unwrap(), self.dir.path().join(id8));
        config.run_root = self.dir.path().join("run");
        config.dynamic_ports = Some(40000..=40099);
        config.pool_size = 2;
        config
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn open(&self) -> Host {
        Host::open(self.config()).unwrap()
    }

    /// Purges the usual instance and checks that the host is as it was.
    fn leave_nothing(&self) {
        network::purge(&self.config()).unwrap();
        network::purge(&self.config()).expect("purge is idempotent");
        assert_eq!(network::audit(&self.config()).unwrap(), Vec::<String>::new());
        assert_eq!(links(), ["lo", "up0"]);
        assert_eq!(run("nft", &["list", "ruleset"]), "");
        assert_eq!(fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap().trim(), "0");
        let mounts = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
        assert!(!mounts.contains(self.dir.path().to_str().unwrap()), "{mounts}");
    }
}

/// A machine at the other end of the uplink, with a route to no container.
fn neighbour() -> File {
    let file = thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        File::open("/proc/thread-self/ns/net").unwrap()
    });
    let file = file.join().unwrap();
    let path = fd_path(&file);
    run("ip", &["link", "set", "lo", "up"]);
    run("ip", &["link", "add", "up0", "type", "veth", "peer", "name", "out0"]);
    run("ip", &["link", "set", "out0", "netns", &path]);
    run("ip", &["addr", "add", "192.0.2.2/24", "dev", "up0"]);
    run("ip", &["link", "set", "up0", "mtu", &UPLINK_MTU.to_string(), "up"]);
    run("ip", &["route", "add", "default", "via", "192.0.2.1"]);
    within(&file, || {
        run("ip", &["link", "set", "lo", "up"]);
        run("ip", &["addr", "add", "192.0.2.1/24", "dev", "out0"]);
        run("ip", &["link", "set", "out0", "mtu", &UPLINK_MTU.to_string(), "up"]);
    });
    file
}

fn fd_path(file: &File) -> String {
    use std::os::fd::AsRawFd;
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
}

/// Runs `work` in a network namespace.
pub fn within<T: Send>(netns: &File, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            setns(netns, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        });
        worker.join().unwrap()
    })
}

/// Runs `work` in a container's network namespace.
pub fn inside<T: Send>(attachment: &Attachment, work: impl FnOnce() -> T + Send) -> T {
    let netns = File::open(attachment.netns_path.as_ref().unwrap()).unwrap();
    within(&netns, work)
}

pub fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Names of the links of this thread's namespace, sorted.
pub fn links() -> Vec<String> {
    let mut names: Vec<String> = run("ip", &["-o", "link"])
        .lines()
        .filter_map(|line| line.split(": ").nth(1))
        .map(|name| name.split('@').next().unwrap().to_owned())
        // Left by modules that put a link into every namespace.
        .filter(|name| !name.starts_with("ifb") && !name.ends_with("tnl0") && name != "sit0")
        .collect();
    names.sort();
    names
}

pub fn id(text: &str) -> AttachmentId {
    AttachmentId::new(text).unwrap()
}

pub fn tcp(container_port: u16, host_port: u16) -> PortMapping {
    PortMapping { container_port, host_port: Some(host_port), protocol: Protocol::Tcp, more: 0 }
}

pub fn udp(container_port: u16, host_port: u16) -> PortMapping {
    PortMapping { container_port, host_port: Some(host_port), protocol: Protocol::Udp, more: 0 }
}

pub fn bridge(name: &str, ports: &[PortMapping]) -> AttachSpec {
    AttachSpec { id: id(name), mode: Mode::Bridge, ports: ports.to_vec(), sysctls: Vec::new() }
}

/// Attaches a container that answers at this port of the host.
pub fn serving(host: &Host, name: &str, host_port: u16) -> Attachment {
    let attachment = host.attach(&bridge(name, &[tcp(80, host_port)])).unwrap();
    inside(&attachment, || serve_tcp(name, 80));
    attachment
}

/// A host with `a`, which answers at 8080 (TCP) and 5353 (UDP), and its sibling `b`, which does nothing.
pub fn siblings(lab: &Lab) -> (Host, Attachment, Attachment) {
    let host = lab.open();
    let a = host.attach(&bridge("a", &[tcp(80, 8080), udp(53, 5353)])).unwrap();
    let b = host.attach(&bridge("b", &[])).unwrap();
    inside(&a, || {
        serve_tcp("a", 80);
        serve_udp("a", 53);
    });
    (host, a, b)
}

/// A container's link on the host.
pub fn veth(a: &Attachment) -> String {
    let [.., high, low] = a.ipv4.unwrap().octets();
    format!("rv0123abcd-{:04x}", u16::from_be_bytes([high & 0xf, low]))
}

/// A TCP server in this thread's namespace that answers `name from ADDRESS`.
pub fn serve_tcp(name: &str, port: u16) {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
    let name = name.to_owned();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let Ok(peer) = stream.peer_addr() else { continue };
            let _ = write!(stream, "{name} from {}", peer.ip());
        }
    });
}

/// A UDP server of the same kind.
pub fn serve_udp(name: &str, port: u16) {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
    let name = name.to_owned();
    thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((_, peer)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(format!("{name} from {}", peer.ip()).as_bytes(), peer);
        }
    });
}

/// What the server at that address answers to this thread's namespace; `Err` says how it failed.
pub fn ask_tcp(ip: Ipv4Addr, port: u16) -> Result<String, std::io::ErrorKind> {
    let address = SocketAddr::new(IpAddr::V4(ip), port);
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(|e| e.kind())?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|e| e.kind())?;
    Ok(answer)
}

pub fn ask_udp(ip: Ipv4Addr, port: u16) -> Option<String> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(b"?", (ip, port)).ok()?;
    let mut buffer = [0; 128];
    let (length, _) = socket.recv_from(&mut buffer).ok()?;
    Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

/// Waits until `condition` holds.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "still not: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}
