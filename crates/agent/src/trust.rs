//! By which CAs the control plane is known: those that a host got when it joined, which follow the control plane's own, or
//! those of the host. And what went wrong, in words that name what is to be mended. Opens no socket.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use agent_protocol::join::{Bundle, fingerprint};
use arc_swap::ArcSwap;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use wire::Timestamp;

/// The file with the CAs that a host trusts, in the agent's folder.
pub const FILE: &str = "ca.pem";
/// Bytes of that file.
const BYTES: u64 = 256 * 1024;

/// Why there is nobody to trust.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("{path}: there are no CAs in it that can be read: {what}")]
    Content { path: PathBuf, what: String },
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// Whom to trust.
pub struct Trust(Kind);

enum Kind {
    /// The CAs of this host, which are looked for when they are first needed.
    Host(OnceLock<Result<Arc<ClientConfig>, String>>),
    /// Those in a file, which may follow the control plane's.
    Told { file: PathBuf, follows: bool, state: ArcSwap<State> },
}

struct State {
    bundle: Bundle,
    config: Arc<ClientConfig>,
}

impl Trust {
    /// The CAs that this host trusts for everything.
    pub fn of_host() -> Trust {
        Trust(Kind::Host(OnceLock::new()))
    }

    /// Those in a PEM file of a host that joined; the file is written when the control plane tells of others.
    ///
    /// # Errors
    /// Where it cannot be read, or there are none in it.
    pub fn of_joined(file: &Path) -> Result<Trust, Error> {
        Trust::of_file(file, true)
    }

    /// Those in a PEM file that an operator gives, and no others.
    ///
    /// # Errors
    /// Where it cannot be read, or there are none in it.
    pub fn of_given(file: &Path) -> Result<Trust, Error> {
        Trust::of_file(file, false)
    }

    fn of_file(file: &Path, follows: bool) -> Result<Trust, Error> {
        let bundle = read(file)?;
        let config = Arc::new(trusting(&bundle)?);
        let state = ArcSwap::from_pointee(State { bundle, config });
        Ok(Trust(Kind::Told { file: file.to_owned(), follows, state }))
    }

    /// What a connection is made with.
    ///
    /// # Errors
    /// Where this host has no CAs.
    pub fn config(&self) -> Result<Arc<ClientConfig>, Error> {
        match &self.0 {
            Kind::Told { state, .. } => Ok(state.load().config.clone()),
            Kind::Host(found) => found.get_or_init(of_host).clone().map_err(Error::Tls),
        }
    }

    /// Hears which CAs the control plane has, from itself: what is new is on disk before it is trusted. Whether it is new.
    ///
    /// # Errors
    /// Where it is none, or cannot be written; all stays as it was.
    pub fn learn(&self, header: &str) -> Result<bool, Error> {
        let Kind::Told { file, follows: true, state } = &self.0 else { return Ok(false) };
        let bundle = Bundle::from_header(header)
            .map_err(|error| Error::Content { path: file.clone(), what: error.to_string() })?;
        if state.load().bundle == bundle {
            return Ok(false);
        }
        let config = Arc::new(trusting(&bundle)?);
        write_whole(file, bundle.to_pem().as_bytes())?;
        state.store(Arc::new(State { bundle, config }));
        Ok(true)
    }
}

/// A connection that takes one server alone: the one that has a certificate of a CA with one of these fingerprints.
pub(crate) fn pinned(authorities: &[String]) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Pinned { authorities: authorities.to_vec(), provider: provider.clone() };
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| Error::Tls(error.to_string()))?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    Ok(http1(builder.with_no_client_auth()))
}

fn trusting(bundle: &Bundle) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    for der in bundle.certificates() {
        roots.add(CertificateDer::from(der.clone())).map_err(|error| Error::Tls(error.to_string()))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| Error::Tls(error.to_string()))?;
    Ok(http1(builder.with_root_certificates(roots).with_no_client_auth()))
}

fn of_host() -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = rustls_platform_verifier::Verifier::new(provider.clone())
        .map_err(|error| format!("this host's CAs cannot be read: {error}"))?;
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    // The name says "dangerous" only for verifiers of one's own; this one is the platform's.
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    Ok(Arc::new(http1(builder.with_no_client_auth())))
}

/// Web sockets are upgrades of HTTP/1.1.
fn http1(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

fn read(path: &Path) -> Result<Bundle, Error> {
    let told = |source| Error::File { path: path.to_owned(), source };
    let content = |what: String| Error::Content { path: path.to_owned(), what };
    if fs::metadata(path).map_err(told)?.len() > BYTES {
        return Err(content(format!("it has more than {BYTES} bytes")));
    }
    let pem = fs::read(path).map_err(told)?;
    let read: Result<Vec<Vec<u8>>, _> =
        CertificateDer::pem_slice_iter(&pem).map(|der| der.map(|der| der.to_vec())).collect();
    Bundle::new(read.map_err(|error| content(error.to_string()))?).map_err(|error| content(error.to_string()))
}

/// A file that is there whole or not at all, even after a power cut, for its owner alone; so is its folder where it is missing.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let write = || -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let part = path.with_extension("part");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(|source| Error::File { path: path.to_owned(), source })
}

/// Takes a certificate of a CA that is known by its hash alone, and came along.
#[derive(Debug)]
struct Pinned {
    authorities: Vec<String>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let is_known = |der: &&CertificateDer<'_>| self.authorities.contains(&fingerprint(der));
        let all = intermediates.iter().rev().chain([end_entity]);
        let found: Vec<&CertificateDer<'_>> = all.clone().filter(is_known).collect();
        if found.is_empty() {
            let last = all.map(|der| fingerprint(der)).next().unwrap_or_default();
            return Err(rustls::Error::General(format!(
                "the control plane's CA is not the one that the token names: it is {last}, and not {}. The token is of another \
                 control plane, its CA was replaced since, or somebody stands in between",
                self.authorities.join(" or ")
            )));
        }
        let mut roots = RootCertStore::empty();
        for der in found {
            roots.add(der.clone().into_owned())?;
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone())
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What an error of TLS means, and what is to be mended.
pub(crate) fn words(error: &io::Error) -> String {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(tls) = tls else { return error.to_string() };
    let at = |time: &UnixTime| {
        Timestamp(i64::try_from(time.as_secs()).unwrap_or(i64::MAX / 1000).saturating_mul(1000)).to_iso8601()
    };
    match tls {
        rustls::Error::General(text) => text.clone(),
        rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { time, not_after }) => format!(
            "the control plane's certificate ended at {}, and this host's clock says {}: one of the two is to be set right",
            at(not_after),
            at(time)
        ),
        rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext { time, not_before }) => format!(
            "the control plane's certificate begins at {}, and this host's clock says {}: set the clock that is wrong",
            at(not_before),
            at(time)
        ),
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => "the control plane's certificate is of no CA that this host trusts: docs/joining.md says what to do".to_owned(),
        rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { expected, presented }) => {
            format!(
                "the control plane's certificate is not for {}, but for {}: `server.names` of its configuration lacks it",
                expected.to_str(),
                presented.join(", ")
            )
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_wrong_names_what_to_mend() {
        let time = |secs| UnixTime::since_unix_epoch(std::time::Duration::from_secs(secs));
        let told = |error| {
            words(&io::Error::new(io::ErrorKind::InvalidData, rustls::Error::InvalidCertificate(error)))
        };
        let expired = told(CertificateError::ExpiredContext { time: time(200), not_after: time(100) });
        assert!(
            expired.contains("ended at 1970-01-01T00:01:40") && expired.contains("says 1970-01-01T00:03:20"),
            "{expired}"
        );
        let early = told(CertificateError::NotValidYetContext { time: time(100), not_before: time(200) });
        assert!(early.contains("begins at 1970-01-01T00:03:20"), "{early}");
        assert!(told(CertificateError::UnknownIssuer).contains("no CA that this host trusts"));
        let plain = io::Error::new(io::ErrorKind::ConnectionReset, "gone");
        assert_eq!(words(&plain), "gone");
    }

    #[test]
    fn what_is_no_bundle_is_not_learned() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(FILE);
        assert!(matches!(Trust::of_joined(&file), Err(Error::File { .. })));
        fs::write(&file, "nothing").unwrap();
        assert!(matches!(Trust::of_joined(&file), Err(Error::Content { .. })));
        assert!(!Trust::of_host().learn("AAAA").unwrap());
    }
}
