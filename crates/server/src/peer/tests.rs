//! Real connections of this process, and of children that are somebody else or somewhere else.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;

use futures_util::FutureExt;

use super::*;

/// Both ends of a connection by `client`, with the server's socket.
fn accept(listener: &TcpListener) -> (Ends, TcpStream) {
    let (stream, peer) = listener.accept().unwrap();
    let cookie = rustix::net::sockopt::socket_cookie(&stream).unwrap();
    (Ends { peer, local: stream.local_addr().unwrap(), cookie }, stream)
}

fn listeners() -> Vec<TcpListener> {
    ["127.0.0.1:0", "[::1]:0"].iter().filter_map(|address| TcpListener::bind(address).ok()).collect()
}

fn own() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[tokio::test]
async fn the_kernel_says_whose_a_connection_is() {
    for listener in listeners() {
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (ends, _server) = accept(&listener);
        assert_eq!(diag::client(&ends).unwrap().user, own());
        assert_eq!(LocalUsers::new([own()]).admit(&ends).await, Ok(()));
        let refused = LocalUsers::new([own() + 1]).admit(&ends).await.unwrap_err();
        assert_eq!(refused, format!("this connection belongs to user {}", own()));
        // Another connection between the same ends is not this one.
        let other = Ends { cookie: ends.cookie + 1, ..ends };
        assert!(LocalUsers::new([own()]).admit(&other).await.is_err());
        drop(client);
    }
}

#[test]
fn the_kernel_is_asked_whether_it_says_so() {
    assert_eq!(check_kernel(), Ok(()));
}

#[tokio::test]
async fn a_socket_that_a_container_holds_too_is_the_containers() {
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    if own() != 0 || groups.lines().all(|line| line.starts_with("0:")) {
        return;
    }
    use std::io::Read;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // The last process is the youngest of those that hold the socket, and in no container.
    let script = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{port}; \
         unshare --pid --fork --kill-child sh -c 'echo; exec sleep 60' | (read line; sh -c 'echo x >&3; exec sleep 60'; true)"
    );
    let mut child = std::process::Command::new("setsid").args(["bash", "-c", &script]).spawn().unwrap();
    let (ends, mut server) = accept(&listener);
    server.read_exact(&mut [0]).unwrap();
    let refused = LocalUsers::new([0]).admit(&ends).await.unwrap_err();
    let group = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
    child.wait().unwrap();
    assert_eq!(refused, "this connection was made in a container (a pid namespace of its own)");
}

#[tokio::test]
async fn a_client_that_has_left_is_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ends, _server) = accept(&listener);
    drop(client);
    // The kernel says user 0 of what is left of it.
    let refused = LocalUsers::new([0, own()]).admit(&ends).await.unwrap_err();
    assert_eq!(refused, Error::Gone.to_string());
    let nobody: SocketAddr = "192.0.2.1:9".parse().unwrap();
    assert_eq!(
        LocalUsers::new([0, own()]).admit(&Ends { peer: nobody, ..ends }).await.unwrap_err(),
        Error::Gone.to_string()
    );
}

#[tokio::test]
async fn a_process_of_another_pid_namespace_is_in_a_container() {
    if own() != 0 {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port}; read line <&3");
    let mut child = std::process::Command::new("unshare")
        .args(["--pid", "--fork", "--kill-child", "bash", "-c", &script])
        .spawn()
        .unwrap();
    let (ends, server) = accept(&listener);
    let refused = LocalUsers::new([0]).admit(&ends).await.unwrap_err();
    assert_eq!(refused, "this connection was made in a container (a pid namespace of its own)");
    drop(server);
    child.wait().unwrap();
}

/// A control group of the one hierarchy (v2) that is named as a container's.
struct Group(PathBuf);

impl Group {
    fn new() -> Option<Group> {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mount = mounts.lines().find(|line| line.contains(" - cgroup2 "))?.split(' ').nth(4)?.to_owned();
        let path = PathBuf::from(mount).join(format!("docker-test-{}", std::process::id()));
        std::fs::create_dir(&path).ok()?;
        Some(Group(path))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[tokio::test]
async fn what_the_kernel_says_at_once_waits_for_no_turn() {
    let at_once =
        |user: u32, ends: &Ends| LocalUsers { turns: Turns::never([user]) }.admit(ends).now_or_never();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = TcpStream::connect(address).unwrap();
    let (ends, _server) = accept(&listener);
    assert_eq!(at_once(own(), &ends), None, "it waits for its turn");
    let whose = format!("this connection belongs to user {}", own());
    assert_eq!(at_once(own() + 1, &ends), Some(Err(whose)));
    drop(client);
    assert_eq!(at_once(own(), &ends), Some(Err(Error::Gone.to_string())));

    let Some(group) = Group::new() else { return };
    let (procs, port) = (group.0.join("cgroup.procs"), address.port());
    let script = format!("echo $$ > {}; exec 3<>/dev/tcp/127.0.0.1/{port}; read line <&3", procs.display());
    let mut child = std::process::Command::new("bash").args(["-c", &script]).spawn().unwrap();
    let (ends, server) = accept(&listener);
    let told = diag::client(&ends).unwrap().group;
    let refused = at_once(own(), &ends);
    drop(server);
    child.wait().unwrap();
    let name = group.0.file_name().unwrap().to_str().unwrap();
    let made = Some(Err(format!("this connection was made in a container ({name})")));
    assert_eq!(refused, made.filter(|_| told.is_some()), "kernels before 5.8 do not say");
}
