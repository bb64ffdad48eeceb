//! The certificate of the listener that takes TLS: the control plane's own CA ([`authority`]), or files that an operator gives
//! ([`files`]). What a connection is made by is looked up at its handshake, so that a new certificate needs no restart and
//! cuts nothing. Must not know what is spoken on a connection, nor who may speak.

pub mod authority;
pub mod files;
#[cfg(test)]
mod tests;

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use agent_protocol::join::Bundle;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::{
    ServerConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use wire::Timestamp;

use crate::kept::Stamp;

/// Between looks at whether a certificate is to be made or read anew.
const LOOK: Duration = Duration::from_secs(2);

/// What could not be used is tried again after so many milliseconds.
const AGAIN: i64 = 60_000;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    /// In a file that we write ourselves, or that an operator gives.
    #[error("{path}: {what}")]
    Content { path: PathBuf, what: String },
    #[error("a certificate cannot be made: {0}")]
    Made(#[from] rcgen::Error),
    #[error("a certificate and its key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
    #[error("the CAs cannot be told to agents: {0}")]
    Bundle(#[from] agent_protocol::join::BundleError),
}

/// Where certificates come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// The control plane's own CA, kept below this folder; certificates are for these names and addresses.
    Own { dir: PathBuf, names: Vec<String> },
    /// Files that an operator gives.
    Files(files::Files),
}

/// A certificate with all that belongs to it, as a source gives it.
pub struct Made {
    /// From the server's own to those of the CAs.
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    /// Whom agents are to trust.
    bundle: Bundle,
    /// When it is good, and when another one has to be made; an operator's is not ours to make.
    good: (Timestamp, Timestamp),
    renew_at: Option<Timestamp>,
}

/// The certificate of the day.
pub struct Tls {
    source: Source,
    current: Arc<ArcSwap<Current>>,
    acceptor: TlsAcceptor,
    /// What could not be used, and when: it is tried and told again after a while, or when it changes.
    refused: Mutex<Option<(Vec<Stamp>, Timestamp)>>,
}

struct Current {
    key: Arc<CertifiedKey>,
    bundle: Bundle,
    good: (Timestamp, Timestamp),
    renew_at: Option<Timestamp>,
    stamps: Vec<Stamp>,
}

/// Gives each handshake the certificate of the day.
struct Resolver(Arc<ArcSwap<Current>>);

impl Tls {
    /// Makes or reads the first certificate.
    ///
    /// # Errors
    /// Where there is none that could be shown. One that is shown in vain, as it has ended, is only said in the log.
    pub fn open(source: Source, now: Timestamp) -> Result<Tls, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let current = Arc::new(ArcSwap::from_pointee(make(&source, &provider, now)?));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Resolver(current.clone())));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Tls { source, current, acceptor: TlsAcceptor::from(Arc::new(config)), refused: Mutex::new(None) })
    }

    /// What a connection is taken by.
    pub(crate) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    /// The CAs of the day: those that agents are to trust.
    pub fn bundle(&self) -> Bundle {
        self.current.load().bundle.clone()
    }

    /// From when to when the certificate of the day is good.
    pub fn good(&self) -> (Timestamp, Timestamp) {
        self.current.load().good
    }

    /// Makes or reads another certificate where it is time, or where files have changed. Whether it did.
    ///
    /// # Errors
    /// Why not; what was there stays. It is not said again for a minute, unless a file changes.
    pub fn refresh(&self, now: Timestamp) -> Result<bool, Error> {
        let current = self.current.load();
        let stamps = self.source.stamps();
        let changed = current.stamps != stamps;
        // A clock that was set back leaves a certificate that is not good yet.
        let due = current.renew_at.is_some_and(|at| at <= now || now < current.good.0);
        let refused = self
            .refused
            .lock()
            .as_ref()
            .is_some_and(|(before, at)| *before == stamps && (0..AGAIN).contains(&(now.0 - at.0)));
        if refused || !(changed || due) {
            return Ok(false);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        match make(&self.source, &provider, now) {
            Ok(made) => {
                self.current.store(Arc::new(made));
                *self.refused.lock() = None;
                Ok(true)
            }
            Err(error) => {
                *self.refused.lock() = Some((stamps, now));
                Err(error)
            }
        }
    }

    /// Keeps the certificate good until `stop`.
    pub async fn keep(self: Arc<Self>, clock: fn() -> Timestamp, stop: CancellationToken) {
        while tokio::time::timeout(LOOK, stop.cancelled()).await.is_err() {
            let own = self.clone();
            let looked = tokio::task::spawn_blocking(move || own.refresh(clock())).await;
            match looked {
                Ok(Ok(true)) => {
                    let (_, ends) = self.good();
                    tracing::info!(good_until = ends.to_iso8601(), "a new certificate is shown from now on");
                }
                Ok(Err(error)) => tracing::error!(%error, "the certificate stays as it was"),
                _ => {}
            }
        }
    }
}

impl Source {
    fn stamps(&self) -> Vec<Stamp> {
        match self {
            Source::Own { dir, .. } => vec![Stamp::of(&dir.join(authority::FILE))],
            Source::Files(files) => files.paths().map(Stamp::of).collect(),
        }
    }
}

fn make(source: &Source, provider: &CryptoProvider, now: Timestamp) -> Result<Current, Error> {
    // A file that changes while it is read is read again.
    let mut stamps = source.stamps();
    let made = match source {
        Source::Own { dir, names } => {
            let authority = authority::Authority::open(dir, now)?;
            stamps = source.stamps();
            authority.issue(names, now)?
        }
        Source::Files(files) => files.load(now)?,
    };
    let Made { chain, key, bundle, good, renew_at } = made;
    let key = Arc::new(CertifiedKey::from_der(chain, key, provider)?);
    Ok(Current { key, bundle, good, renew_at, stamps })
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load().key.clone())
    }
}

impl std::fmt::Debug for Resolver {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resolver")
    }
}
