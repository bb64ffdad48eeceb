//! The control plane's own CA, with the one that follows it. A CA is made at the first start; when it has a year left
//! another is made, which is told to agents for a month before it signs, and the one before goes then. An operator may begin
//! that at any time. `authority.json` has the keys and is its owner's alone; `ca.pem` is for everybody.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use agent_protocol::join::{Bundle, fingerprint};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use serde::{Deserialize, Serialize};
use wire::Timestamp;

use super::{Error, Made};
use crate::kept::{self, Lock};

/// The file with certificates and keys.
pub const FILE: &str = "authority.json";
/// The file with the certificates alone.
pub const CERTIFICATES: &str = "ca.pem";

const DAY: i64 = 24 * 3600 * 1000;
/// How long a CA is good.
const LIFE: i64 = 3650 * DAY;
/// With so much left a CA gets a successor.
const SUCCEEDED: i64 = 365 * DAY;
/// So long a successor is told before it signs, unless an operator says something else.
pub const OVERLAP: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long a server's certificate is good; it is replaced after two thirds of that.
const CERTIFICATE: i64 = 30 * DAY;
/// What is made is good from an hour ago: clocks differ.
const BEFORE: i64 = 3600 * 1000;
/// CAs at a time: who signs, and one that will.
const MOST: usize = 2;
/// Bytes of the file.
const BYTES: u64 = 64 * 1024;

/// The CAs, the eldest first.
#[derive(Clone, Serialize, Deserialize)]
pub struct Authority {
    /// Of the file.
    v: u32,
    authorities: Vec<Row>,
    #[serde(skip)]
    dir: PathBuf,
}

/// One CA.
#[derive(Clone, Serialize, Deserialize)]
struct Row {
    /// PEM.
    certificate: String,
    /// PEM.
    key: String,
    /// In milliseconds since 1970, as all times here.
    signs_from: i64,
    not_before: i64,
    not_after: i64,
}

/// What there is to tell of a CA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub fingerprint: String,
    /// When it begins to sign.
    pub signs_from: Timestamp,
    pub not_after: Timestamp,
    /// Whether it signs now.
    pub signs: bool,
}

impl Authority {
    /// What is there, made where there is nothing, and brought to where it has to be by now.
    ///
    /// # Errors
    /// Where it can be neither read nor made. One that is damaged is never replaced: every agent trusts it.
    pub fn open(dir: &Path, now: Timestamp) -> Result<Authority, Error> {
        let _lock = lock(dir)?;
        let mut authority = match Authority::read(dir)? {
            Some(authority) => authority,
            None => Authority { v: 1, authorities: Vec::new(), dir: dir.to_owned() },
        };
        if authority.settle(now)? || !dir.join(CERTIFICATES).exists() {
            authority.write()?;
        }
        Ok(authority)
    }

    /// What is there, if anything is.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn read(dir: &Path) -> Result<Option<Authority>, Error> {
        let path = dir.join(FILE);
        let bytes = match kept::read(&path, BYTES) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::File { path, source }),
            Ok(bytes) => bytes,
        };
        // Without the parser's words: they may quote a key.
        let read = serde_json::from_slice::<Authority>(&bytes).ok().filter(|read| read.v == 1);
        let read = read.filter(|read| !read.authorities.is_empty());
        match read {
            Some(read) => Ok(Some(Authority { dir: dir.to_owned(), ..read })),
            None => Err(Error::Content {
                path,
                what: "it cannot be read: put a copy of it in its place".to_owned(),
            }),
        }
    }

    /// Begins to replace who signs: a successor is made, told from now on, and signs after `overlap`. Where one waits already,
    /// that one signs after `overlap` from now. When it will.
    ///
    /// # Errors
    /// Where there is no CA yet, or it cannot be written.
    pub fn rotate(dir: &Path, overlap: Duration, now: Timestamp) -> Result<Timestamp, Error> {
        let _lock = lock(dir)?;
        let nothing = || Error::Content { path: dir.join(FILE), what: "there is no CA yet".to_owned() };
        let mut authority = Authority::read(dir)?.ok_or_else(nothing)?;
        authority.settle(now)?;
        let overlap = i64::try_from(overlap.as_millis()).unwrap_or(LIFE).min(LIFE);
        let at = now.0.saturating_add(overlap);
        match authority.authorities.get_mut(1) {
            Some(next) => next.signs_from = at,
            None => authority.authorities.push(Row::make(now, at)?),
        }
        authority.settle(now)?;
        authority.write()?;
        Ok(Timestamp(at))
    }

    /// Whether something was made or has gone.
    fn settle(&mut self, now: Timestamp) -> Result<bool, Error> {
        let before = self.authorities.len();
        let rows = &mut self.authorities;
        if rows.is_empty() {
            rows.push(Row::make(now, now.0)?);
        }
        if rows.len() < MOST && rows[0].not_after - now.0 < SUCCEEDED {
            let overlap = i64::try_from(OVERLAP.as_millis()).unwrap_or(LIFE);
            // One that is over already, as nobody looked for a year, has no time for that.
            let at = (now.0 + overlap).min(rows[0].not_after - DAY).max(now.0);
            rows.push(Row::make(now, at)?);
            tracing::warn!(
                signs_from = Timestamp(at).to_iso8601(),
                "the CA nears its end: another is made. Agents that connect until then hear of it; the others have to join again"
            );
        }
        let made = rows.len() > before;
        let signs = rows.iter().rposition(|row| row.signs_from <= now.0).unwrap_or(0);
        rows.drain(..signs);
        Ok(made || signs > 0)
    }

    fn write(&self) -> Result<(), Error> {
        let told = |path: PathBuf| move |source| Error::File { path, source };
        let path = self.dir.join(FILE);
        // Numbers and texts always are JSON.
        let json = serde_json::to_vec_pretty(self).unwrap_or_default();
        kept::write(&path, &json, 0o600).map_err(told(path))?;
        let path = self.dir.join(CERTIFICATES);
        kept::write(&path, self.bundle()?.to_pem().as_bytes(), 0o644).map_err(told(path))
    }

    /// Whom agents are to trust.
    ///
    /// # Errors
    /// Where a certificate cannot be read.
    pub fn bundle(&self) -> Result<Bundle, Error> {
        let ders: Result<Vec<Vec<u8>>, Error> =
            self.authorities.iter().map(|row| Ok(row.der(&self.dir)?.to_vec())).collect();
        Ok(Bundle::new(ders?)?)
    }

    /// What there is to tell of each.
    ///
    /// # Errors
    /// Where a certificate cannot be read.
    pub fn tell(&self, now: Timestamp) -> Result<Vec<Told>, Error> {
        let signs = self.authorities.iter().rposition(|row| row.signs_from <= now.0).unwrap_or(0);
        let tell = |(at, row): (usize, &Row)| {
            Ok(Told {
                fingerprint: fingerprint(&row.der(&self.dir)?),
                signs_from: Timestamp(row.signs_from),
                not_after: Timestamp(row.not_after),
                signs: at == signs,
            })
        };
        self.authorities.iter().enumerate().map(tell).collect()
    }

    /// A certificate of a server with these names and addresses, and a key of its own, by the CA that signs.
    ///
    /// # Errors
    /// Where a name cannot be in a certificate, or the CA cannot be used.
    pub fn issue(&self, names: &[String], now: Timestamp) -> Result<Made, Error> {
        let at = self.authorities.iter().rposition(|row| row.signs_from <= now.0).unwrap_or(0);
        let row = &self.authorities[at];
        let authority = row.der(&self.dir)?;
        let issuer = Issuer::from_ca_cert_der(&authority, KeyPair::from_pem(&row.key)?)?;
        let mut params = CertificateParams::new(names)?;
        let from = (now.0 - BEFORE).max(row.not_before);
        let until = (now.0 + CERTIFICATE).min(row.not_after);
        good(&mut params, from, until);
        params.distinguished_name.push(DnType::CommonName, "Roadstead control plane");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?;
        // When another one signs, the certificate of the one before has to go with it.
        let next = self.authorities.get(at + 1).map_or(i64::MAX, |next| next.signs_from);
        let renew_at = now.0 + (until - now.0).max(0) / 3 * 2;
        // Of one that is over there is nothing better to be had; it is tried again, and not at every look.
        let renew_at = renew_at.max(now.0 + 60_000).min(next);
        Ok(Made {
            chain: vec![certificate.der().clone(), authority],
            key: PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der())),
            bundle: self.bundle()?,
            good: (Timestamp(from), Timestamp(until)),
            renew_at: Some(Timestamp(renew_at)),
        })
    }
}

impl Row {
    fn make(now: Timestamp, signs_from: i64) -> Result<Row, Error> {
        let (from, until) = (now.0 - BEFORE, now.0 + LIFE);
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        good(&mut params, from, until);
        // Each has a name of its own: a client that knows two finds the right one by it.
        let number = &uuid::Uuid::new_v4().simple().to_string()[..8];
        params.distinguished_name.push(DnType::CommonName, format!("Roadstead CA {number}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let (certificate, key) = (certificate.pem(), key.serialize_pem());
        Ok(Row { certificate, key, signs_from, not_before: from, not_after: until })
    }

    fn der(&self, dir: &Path) -> Result<CertificateDer<'static>, Error> {
        let damaged =
            |_| Error::Content { path: dir.join(FILE), what: "a certificate in it is damaged".to_owned() };
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).map_err(damaged)
    }
}

fn lock(dir: &Path) -> Result<Lock, Error> {
    Lock::take(dir).map_err(|source| Error::File { path: dir.to_owned(), source })
}

/// From when to when a certificate is good: whole seconds, none before 1970.
fn good(params: &mut CertificateParams, from: i64, until: i64) {
    let since = |ms: i64| Duration::from_secs(u64::try_from(ms / 1000).unwrap_or_default());
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + since(from);
    params.not_after = rcgen::date_time_ymd(1970, 1, 1) + since(until);
}
