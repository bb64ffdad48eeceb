//! How a host joins: the token that an operator carries to it, what it is traded for, and the CAs by which the control
//! plane's certificate is known. Must not read a certificate, nor say whether one is good.

mod token;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use token::{Token, TokenError, is_id};

/// Where a token is traded, by POST and over TLS.
pub const PATH: &str = "/_roadstead/join";
/// The header of a web socket's `101` that has the CAs of the day, as [`Bundle::to_header`].
pub const TRUST: &str = "x-roadstead-trust";
/// How far two clocks may be apart, in milliseconds: beyond, no signature of one is taken by the other (SigV4).
pub const SKEW_MS: i64 = 5 * 60 * 1000;

/// CAs in a bundle, at the most.
const AUTHORITIES: usize = 8;
/// Bytes of all CAs in a bundle: they go in a header.
const BUNDLE_BYTES: usize = 24 * 1024;

/// What a host sends to trade its token.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trade {
    /// Of the token.
    pub id: String,
    /// Of the token.
    pub secret: String,
    /// The host's own number, which it keeps until it has an answer: whoever says the same gets the same.
    pub claim: String,
    /// The host's clock, in milliseconds since 1970.
    pub now: i64,
}

/// What a token is good for: a key that registers one container instance, and what else the host needs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Granted {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub region: String,
    /// The cluster to register into.
    pub cluster: String,
    /// The CAs to trust from now on, as [`Bundle::to_header`].
    pub trust: String,
}

/// Why a token was not traded. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// For programs.
    pub error: Reason,
    /// For people.
    pub message: String,
}

/// The kinds of refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// Not a trade at all.
    Malformed,
    /// No such token, or another secret.
    Unknown,
    Expired,
    Revoked,
    /// Another host has it.
    Used,
    /// The clocks are too far apart.
    Clock,
    /// Too many try at once; it may be tried again.
    Busy,
    /// The control plane could not carry it out; it may be tried again.
    Failed,
}

/// CAs, each as the DER of its certificate; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle(Vec<Vec<u8>>);

/// Why a bundle is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    #[error("there is no CA")]
    Empty,
    #[error("there are more than {AUTHORITIES} CAs, or more than {BUNDLE_BYTES} bytes of them")]
    Large,
    #[error("it is damaged")]
    Damaged,
}

impl Bundle {
    /// These certificates.
    ///
    /// # Errors
    /// Where there is none, or too much.
    pub fn new(certificates: Vec<Vec<u8>>) -> Result<Bundle, BundleError> {
        if certificates.is_empty() {
            return Err(BundleError::Empty);
        }
        if certificates.len() > AUTHORITIES || certificates.iter().map(Vec::len).sum::<usize>() > BUNDLE_BYTES
        {
            return Err(BundleError::Large);
        }
        Ok(Bundle(certificates))
    }

    /// The certificates.
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.0
    }

    /// The fingerprint of each.
    pub fn fingerprints(&self) -> Vec<String> {
        self.0.iter().map(|der| fingerprint(der)).collect()
    }

    /// In base64, with commas between.
    pub fn to_header(&self) -> String {
        self.0.iter().map(|der| BASE64_STANDARD.encode(der)).collect::<Vec<_>>().join(",")
    }

    /// Reads what [`Bundle::to_header`] wrote.
    ///
    /// # Errors
    /// Where it is none.
    pub fn from_header(text: &str) -> Result<Bundle, BundleError> {
        if text.len() > 2 * BUNDLE_BYTES {
            return Err(BundleError::Large);
        }
        let parts = text.split(',').filter(|part| !part.trim().is_empty());
        let read: Result<Vec<_>, _> = parts.map(|part| BASE64_STANDARD.decode(part.trim())).collect();
        Bundle::new(read.map_err(|_| BundleError::Damaged)?)
    }

    /// As a PEM file.
    pub fn to_pem(&self) -> String {
        let mut pem = String::new();
        for der in &self.0 {
            pem.push_str("-----BEGIN CERTIFICATE-----\n");
            let text = BASE64_STANDARD.encode(der);
            // Base64 is ASCII: every place is a boundary.
            for line in text.as_bytes().chunks(64) {
                pem.extend(line.iter().map(|byte| char::from(*byte)));
                pem.push('\n');
            }
            pem.push_str("-----END CERTIFICATE-----\n");
        }
        pem
    }
}

/// How a certificate is known: the SHA-256 of its DER, in 64 lower-case digits.
pub fn fingerprint(der: &[u8]) -> String {
    hash(der)
}

/// How a secret is stored: its SHA-256, in 64 lower-case digits. Secrets here are 32 random bytes, so nobody finds one by
/// trying.
pub fn hash(secret: &[u8]) -> String {
    Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_goes_in_a_header_and_in_a_file() {
        let bundle = Bundle::new(vec![vec![1; 100], vec![2; 5]]).unwrap();
        assert_eq!(Bundle::from_header(&bundle.to_header()), Ok(bundle.clone()));
        let pem = bundle.to_pem();
        assert_eq!(pem.matches("BEGIN CERTIFICATE").count(), 2);
        assert!(pem.lines().all(|line| line.len() <= 64), "{pem}");
        assert_eq!(bundle.fingerprints()[1].len(), 64);
    }

    #[test]
    fn what_is_no_bundle_is_refused() {
        for (text, why) in [
            ("", BundleError::Empty),
            (" , ", BundleError::Empty),
            ("AAAA,%%", BundleError::Damaged),
            ("AA==,AA==,AA==,AA==,AA==,AA==,AA==,AA==,AA==", BundleError::Large),
        ] {
            assert_eq!(Bundle::from_header(text), Err(why), "{text}");
        }
        assert_eq!(Bundle::from_header(&"A".repeat(100_000)), Err(BundleError::Large));
        assert_eq!(Bundle::new(vec![vec![0; BUNDLE_BYTES + 1]]), Err(BundleError::Large));
    }
}
