//! A registry on loopback: blobs and manifests in memory, faults on request.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

use super::ImageBuilder;
use crate::Digest;
use crate::manifest::OCI_MANIFEST;

mod serve;

/// The registry; it ends when this is dropped.
#[derive(Debug)]
pub struct Registry {
    address: SocketAddr,
    shared: Arc<Shared>,
    certificate: Option<String>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// What a registry asks of its clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistryAuth {
    /// A user and a password with each request.
    Basic(String, String),
    /// A token from the registry's own token server.
    Token {
        /// What the token server asks for; none for a public repository.
        user: Option<(String, String)>,
        /// Requests that one token is good for.
        uses: u32,
    },
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The next `times` answers with a blob of over `bytes` bytes break off after that many.
    CutBlobs {
        /// Sent before the connection breaks.
        bytes: usize,
        /// How often.
        times: u32,
    },
    /// Blobs come with their first byte changed.
    WrongBlobs,
    /// Blobs come with a byte too many, and no stated length.
    LongBlobs,
    /// Requests for a part of a blob are answered with all of it.
    IgnoreRanges,
    /// The next requests are answered with 503.
    Unavailable {
        /// How often.
        times: u32,
    },
    /// Blobs wait for this long, as if the registry were far away.
    DelayBlobs(Duration),
    /// This blob waits until [`Registry::mend`].
    HoldBlob(Digest),
    /// Blobs are answered with a redirect to this URL and the blob's digest.
    RedirectBlobs(String),
    /// The next `times` requests for this blob are answered with a redirect to this URL.
    RedirectBlob {
        /// Which one.
        digest: Digest,
        /// Where to.
        to: String,
        /// How often.
        times: u32,
    },
    /// Manifests are this many bytes longer than anybody should read.
    HugeManifests(usize),
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Tells blobs that wait to look again.
    mended: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    /// By `repository:tag` and `repository@digest`: media type and content.
    manifests: BTreeMap<String, (String, Vec<u8>)>,
    blobs: BTreeMap<Digest, Vec<u8>>,
    auth: Option<RegistryAuth>,
    faults: Vec<Fault>,
    /// Tokens given out, and what each is still good for.
    tokens: BTreeMap<String, u32>,
    tokens_made: u32,
    requests: Vec<String>,
}

impl Registry {
    /// Starts a registry on a port of loopback that is free; it speaks plain HTTP.
    ///
    /// # Panics
    /// When the host has no loopback, or no threads.
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// Starts a registry that speaks TLS, under a certificate that nobody knows.
    ///
    /// # Panics
    /// When the host has no loopback, or no threads.
    pub fn start_tls() -> Self {
        Self::start_with(Some(serve::Identity::new()))
    }

    fn start_with(identity: Option<serve::Identity>) -> Self {
        let shared = Arc::new(Shared { state: Mutex::default(), mended: watch::channel(()).0 });
        let (stop, stopped) = oneshot::channel();
        let (ready, address) = std::sync::mpsc::channel();
        let certificate = identity.as_ref().map(|identity| identity.certificate_pem.clone());
        let served = shared.clone();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback");
                ready.send(listener.local_addr().expect("bound")).expect("the starter waits");
                tokio::select! {
                    () = serve::forever(listener, identity, served) => {}
                    _ = stopped => {}
                }
            });
        });
        let address = address.recv().expect("the thread binds its port");
        Self { address, shared, certificate, stop: Some(stop), thread: Some(thread) }
    }

    /// The certificate of a registry that speaks TLS, in PEM.
    pub fn certificate_pem(&self) -> Option<&str> {
        self.certificate.as_deref()
    }

    /// `127.0.0.1:port`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// `127.0.0.1:port/repository:tag`, to be put into a task definition.
    pub fn reference(&self, repository: &str, tag: &str) -> String {
        format!("{}/{repository}:{tag}", self.address)
    }

    /// Makes an image available; returns its manifest's digest.
    pub fn push(&self, repository: &str, tag: &str, image: &ImageBuilder) -> Digest {
        self.shared.state.lock().blobs.extend(image.blobs());
        self.push_manifest(repository, tag, OCI_MANIFEST, image.manifest())
    }

    /// Makes a manifest or an index available; returns its digest.
    pub fn push_manifest(&self, repository: &str, tag: &str, media_type: &str, content: Vec<u8>) -> Digest {
        let digest = Digest::of(&content);
        let entry = (media_type.to_owned(), content);
        let mut state = self.shared.state.lock();
        state.manifests.insert(format!("{repository}@{digest}"), entry.clone());
        state.manifests.insert(format!("{repository}:{tag}"), entry);
        digest
    }

    /// Takes a blob away.
    pub fn remove_blob(&self, digest: &Digest) {
        self.shared.state.lock().blobs.remove(digest);
    }

    /// Damages a blob: one byte more than its digest is of, or its first byte changed.
    ///
    /// # Panics
    /// When there is no such blob.
    pub fn damage_blob(&self, digest: &Digest, lengthen: bool) {
        let mut state = self.shared.state.lock();
        let blob = state.blobs.get_mut(digest).expect("a blob that was pushed");
        if lengthen { blob.push(0) } else { blob[0] ^= 1 }
    }

    /// Asks for credentials from now on.
    pub fn require(&self, auth: RegistryAuth) {
        self.shared.state.lock().auth = Some(auth);
    }

    /// Misbehaves from now on.
    pub fn fail(&self, fault: Fault) {
        self.shared.state.lock().faults.push(fault);
    }

    /// Behaves from now on.
    pub fn mend(&self) {
        self.shared.state.lock().faults.clear();
        self.shared.mended.send_replace(());
    }

    /// Every request so far: method, path, and the range asked for.
    pub fn requests(&self) -> Vec<String> {
        self.shared.state.lock().requests.clone()
    }

    /// How many requests so far had `part` in them.
    pub fn count(&self, part: &str) -> usize {
        self.requests().iter().filter(|request| request.contains(part)).count()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
