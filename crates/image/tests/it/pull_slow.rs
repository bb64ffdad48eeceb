//! Registries that send a byte now and then: given up, at every stage of a pull, and resumed when they mend.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use image::limits::{Patience, TRIES_MAX};
use image::testing::{Fault, ImageBuilder, Registry, tar_of};
use image::{Digest, Kind, PullOptions, Reference};
use parking_lot::Mutex;

use super::support::{Scratch, incompressible};

fn reference(name: &str) -> Reference {
    name.parse().expect("a reference")
}

/// Little patience, and none but with what advances.
fn options() -> PullOptions {
    let patience = Patience {
        document: Duration::from_millis(300),
        begin: Duration::from_millis(300),
        advance: Duration::from_millis(300),
        advance_bytes: 64 << 10,
        backoff: Duration::from_millis(1),
        ..Patience::default()
    };
    PullOptions { patience, ..PullOptions::default() }
}

/// A server that answers each request with `start` at once, and then with a byte now and then for ever.
struct Trickle {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    ended: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

type Answer = Arc<dyn Fn(&str) -> (Vec<u8>, Vec<u8>) + Send + Sync>;

impl Trickle {
    /// `answer` gives, for a request's path, what comes at once and what comes slowly.
    fn start(answer: impl Fn(&str) -> (Vec<u8>, Vec<u8>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let address = listener.local_addr().expect("bound");
        let (requests, ended) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (seen, end, answer): (_, _, Answer) = (requests.clone(), ended.clone(), Arc::new(answer));
        let thread = std::thread::spawn(move || {
            let mut threads = Vec::new();
            for stream in listener.incoming().flatten() {
                if end.load(Ordering::Relaxed) {
                    break;
                }
                let (seen, end, answer) = (seen.clone(), end.clone(), answer.clone());
                threads.push(std::thread::spawn(move || serve(stream, &seen, &end, &answer)));
            }
            threads.into_iter().for_each(|thread| thread.join().expect("ends"));
        });
        Self { address, requests, ended, thread: Some(thread) }
    }

    fn url(&self) -> String {
        format!("http://{}/there", self.address)
    }

    fn count(&self, part: &str) -> usize {
        self.requests.lock().iter().filter(|path| path.contains(part)).count()
    }
}

impl Drop for Trickle {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(mut stream: TcpStream, seen: &Mutex<Vec<String>>, ended: &AtomicBool, answer: &Answer) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            // Also one that asks whether this speaks TLS, and hangs up.
            _ => return,
        }
        if head[0] == 0x16 {
            return;
        }
    }
    let path = String::from_utf8_lossy(&head).split(' ').nth(1).unwrap_or_default().to_owned();
    let (at_once, slowly) = answer(&path);
    seen.lock().push(path);
    let _ = stream.write_all(&at_once);
    for byte in slowly.iter().chain(std::iter::repeat(&b'a')) {
        if ended.load(Ordering::Relaxed) || slowly.is_empty() || stream.write_all(&[*byte]).is_err() {
            return;
        }
        // The pace is the server's; nothing waits for it to pass.
        std::thread::sleep(Duration::from_millis(2));
    }
}

const HEADERS: &[u8] = b"HTTP/1.1 200 OK\r\nX-Slow: ";
const BODY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_that_trickle_are_given_up() {
    let challenge = |address: &str| {
        let realm = format!("WWW-Authenticate: Bearer realm=\"http://{address}/token\",service=\"x\"\r\n");
        format!("HTTP/1.1 401 Unauthorized\r\n{realm}Content-Length: 0\r\nConnection: close\r\n\r\n")
            .into_bytes()
    };
    for (what, at_once, asked) in [
        ("headers of a manifest", HEADERS, "/manifests/"),
        ("a manifest", BODY, "/manifests/"),
        ("headers of a token", HEADERS, "/token"),
        ("a token", b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n", "/token"),
        ("a refusal's words", b"HTTP/1.1 500 No\r\nContent-Length: 3000\r\n\r\n", "/manifests/"),
    ] {
        let scratch = Scratch::new();
        let address = Arc::new(Mutex::new(String::new()));
        let (known, token) = (address.clone(), asked == "/token");
        let server = Trickle::start(move |path| {
            let is_slow = !token || path.starts_with("/token");
            if is_slow { (at_once.to_vec(), b"a".to_vec()) } else { (challenge(&known.lock()), Vec::new()) }
        });
        *address.lock() = server.address.to_string();
        let name = reference(&format!("{}/x:1", server.address));
        let error = scratch.store.pull(&name, &options()).await.expect_err(what);
        assert_eq!(error.kind(), Kind::Network, "{what}: {error}");
        assert!(error.to_string().contains("had not answered whole after 300ms"), "{what}: {error}");
        assert_eq!(server.count(asked), TRIES_MAX as usize, "{what}");
    }
}

struct Setup {
    scratch: Scratch,
    registry: Registry,
    name: Reference,
    layer: Digest,
    content: Vec<u8>,
}

impl Setup {
    fn new() -> Self {
        let (scratch, registry) = (Scratch::new(), Registry::start());
        let image = ImageBuilder::new().layer(tar_of(&[("big", &incompressible(3_000_000, 7))]));
        registry.push("x", "1", &image);
        let content = image.packed_layers()[0].1.clone();
        let name = reference(&registry.reference("x", "1"));
        Self { scratch, registry, name, layer: Digest::of(&content), content }
    }

    fn elsewhere(&self, server: &Trickle, times: u32) {
        self.registry.fail(Fault::RedirectBlob { digest: self.layer.clone(), to: server.url(), times });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_that_trickles_is_given_up() {
    for (what, at_once, words) in [
        ("its headers", HEADERS, "had not begun to answer after 300ms"),
        ("its bytes", BODY, "the registry is too slow: "),
    ] {
        let setup = Setup::new();
        let server = Trickle::start(move |_| (at_once.to_vec(), b"a".to_vec()));
        setup.elsewhere(&server, u32::MAX);
        let error = setup.scratch.store.pull(&setup.name, &options()).await.expect_err(what);
        assert_eq!(error.kind(), Kind::Network, "{what}: {error}");
        assert!(error.to_string().contains(words), "{what}: {error}");
        assert_eq!(server.count("/there"), TRIES_MAX as usize, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_that_breaks_off_after_each_byte_is_given_up() {
    let setup = Setup::new();
    setup.registry.fail(Fault::CutBlobs { bytes: 2000, times: u32::MAX });
    setup.scratch.store.pull(&setup.name, &options()).await.expect_err("for ever");
    assert_eq!(setup.registry.count(setup.layer.as_str()), TRIES_MAX as usize);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_trickled_is_gone_on_from_when_the_registry_mends() {
    let setup = Setup::new();
    let start = setup.content[..2000].to_vec();
    let server = Trickle::start(move |_| (BODY.to_vec(), start.clone()));
    setup.elsewhere(&server, 1);
    let image = setup.scratch.store.pull(&setup.name, &options()).await.expect("pulls");
    let asked: Vec<String> =
        setup.registry.requests().into_iter().filter(|r| r.contains(setup.layer.as_str())).collect();
    assert!(asked.len() == 2 && asked[1].contains("bytes="), "{asked:?}");
    let file = setup.scratch.path("images/layers").join(image.layers[0].chain.hex()).join("fs/big");
    assert!(std::fs::read(file).expect("the file") == incompressible(3_000_000, 7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_as_a_whole_has_an_end() {
    let setup = Setup::new();
    setup.registry.fail(Fault::HoldBlob(setup.layer.clone()));
    let mut options = options();
    options.patience.begin = Duration::from_secs(60);
    options.patience.pull = Duration::from_millis(300);
    let error = setup.scratch.store.pull(&setup.name, &options).await.expect_err("never");
    assert_eq!(error.kind(), Kind::Network, "{error}");
    assert!(error.to_string().contains("took over 300ms"), "{error}");
    setup.registry.mend();
}
