//! A certificate and its key in files that an operator gives. They are read again when they change; what cannot be used leaves
//! what was there, and what clients will refuse is said in the log, as only the operator can mend it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use agent_protocol::join::Bundle;
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};
use wire::Timestamp;

use super::{Error, Made};
use crate::kept;

/// Bytes of a file.
const BYTES: u64 = 256 * 1024;
/// Certificates in a chain.
const CHAIN: usize = 10;
/// With so much left an operator is reminded at each start and reading.
const REMIND: i64 = 14 * 24 * 3600 * 1000;

/// Which files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// PEM: the server's certificate, and behind it those up to its CA.
    pub certificate: PathBuf,
    /// PEM: its key.
    pub key: PathBuf,
    /// PEM: the CAs that agents are to trust; without it, the last one in `certificate`.
    pub authority: Option<PathBuf>,
    /// A name that the certificate has to be for, if it is known.
    pub name: Option<String>,
}

impl Files {
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        [&self.certificate, &self.key].into_iter().chain(&self.authority).map(PathBuf::as_path)
    }

    pub(super) fn load(&self, now: Timestamp) -> Result<Made, Error> {
        let mut chain = certificates(&self.certificate)?;
        let key = read(&self.key)?;
        // Without the reader's words: they may quote a key.
        let key = PrivateKeyDer::from_pem_slice(&key)
            .map_err(|_| content(&self.key, "there is no private key in it that can be read"))?;
        let authorities = match &self.authority {
            Some(path) => certificates(path)?,
            None => chain.last().cloned().into_iter().collect(),
        };
        let bundle = Bundle::new(authorities.iter().map(|der| der.to_vec()).collect())?;
        let good = good(&self.certificate, &chain[0])?;
        self.complain(&chain, &authorities, good, now);
        // Who joins knows its CA by the hash alone, so the CA itself has to come along.
        let missing: Vec<_> = authorities.into_iter().filter(|der| !chain.contains(der)).collect();
        chain.extend(missing);
        Ok(Made { chain, key, bundle, good, renew_at: None })
    }

    /// Says what clients will refuse.
    fn complain(
        &self,
        chain: &[CertificateDer<'static>],
        authorities: &[CertificateDer<'static>],
        (from, until): (Timestamp, Timestamp),
        now: Timestamp,
    ) {
        let path = self.certificate.display();
        if now < from || until <= now {
            let (from, until) = (from.to_iso8601(), until.to_iso8601());
            tracing::error!(%path, from, until, "the certificate is not good now: every client refuses it");
        } else if until.0 - now.0 < REMIND {
            tracing::warn!(%path, until = until.to_iso8601(), "the certificate ends soon");
        }
        // The time was looked at: here it is one at which the certificate is good.
        let at = UnixTime::since_unix_epoch(std::time::Duration::from_millis(
            u64::try_from((until.0 - 1000).min(now.0).max(from.0 + 1000)).unwrap_or_default(),
        ));
        if let Err(error) = self.verify(chain, authorities, at) {
            tracing::error!(%path, %error, "agents will refuse this certificate");
        }
    }

    fn verify(
        &self,
        chain: &[CertificateDer<'static>],
        authorities: &[CertificateDer<'static>],
        at: UnixTime,
    ) -> Result<(), rustls::Error> {
        let Some(name) = self.name.as_deref().and_then(|name| ServerName::try_from(name.to_owned()).ok())
        else {
            return Ok(());
        };
        let mut roots = RootCertStore::empty();
        for der in authorities {
            roots.add(der.clone())?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        verifier.verify_server_cert(&chain[0], &chain[1..], &name, &[], at).map(|_| ())
    }
}

/// All certificates in a file, of which there is one at least.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let pem = read(path)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let read =
        read.map_err(|error| content(path, &format!("a certificate in it cannot be read: {error}")))?;
    match read.len() {
        0 => Err(content(path, "there is no certificate in it")),
        1..=CHAIN => Ok(read),
        _ => Err(content(path, &format!("there are more than {CHAIN} certificates in it"))),
    }
}

/// From when to when a certificate is good.
fn good(path: &Path, der: &CertificateDer<'_>) -> Result<(Timestamp, Timestamp), Error> {
    let (_, read) = x509_parser::parse_x509_certificate(der)
        .map_err(|_| content(path, "the first certificate in it cannot be read"))?;
    let at = |time: x509_parser::time::ASN1Time| Timestamp(time.timestamp().saturating_mul(1000));
    Ok((at(read.validity().not_before), at(read.validity().not_after)))
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    kept::read(path, BYTES).map_err(|source| Error::File { path: path.to_owned(), source })
}

fn content(path: &Path, what: &str) -> Error {
    Error::Content { path: path.to_owned(), what: what.to_owned() }
}
