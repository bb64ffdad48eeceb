//! AWS Signature Version 4: reads what a request was signed with, verifies it in constant time, and signs.
//! No clock and no key store: `now` and the secret come from the caller. Nothing here logs a secret.
//!
//! Verifying has two steps, because between them the caller has to look up the key:
//! [`Signature::read`] takes the signature apart, [`Verifier::verify`] computes it again.

mod canonical;
mod key;
mod payload;
mod refusal;
mod sign;
mod signature;

use http::HeaderMap;
use subtle::ConstantTimeEq;

use crate::Timestamp;

pub use canonical::payload_hash;
pub use key::KeyCache;
pub use payload::Payload;
pub use refusal::Refusal;
pub use sign::{Credentials, sign};
pub use signature::{Place, Signature};

/// How far a signature's time may be from ours, in either direction, in milliseconds.
pub const MAX_SKEW_MS: i64 = 5 * 60 * 1000;
/// The longest life of a presigned URL, in seconds.
pub const MAX_EXPIRES_S: u32 = 7 * 24 * 3600;

pub(crate) const ALGORITHM: &str = "AWS4-HMAC-SHA256";
pub(crate) const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// The parts of a request that a signature covers.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// HTTP method.
    pub method: &'a str,
    /// The path as it came, still escaped.
    pub path: &'a str,
    /// The query as it came, without the question mark.
    pub query: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The whole body.
    pub body: &'a [u8],
}

/// What differs from service to service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules {
    /// The client may leave the body out of the signature (`UNSIGNED-PAYLOAD`).
    pub unsigned_payload: bool,
    /// Dot segments and double slashes of the path are signed as they came (S3).
    pub keep_path: bool,
    /// The path is escaped once in the canonical request, not once more than it came (S3).
    pub escape_once: bool,
}

impl Rules {
    /// What S3 does.
    pub const S3: Self = Self { unsigned_payload: true, keep_path: true, escape_once: true };
}

/// Verifies signatures; keeps the signing keys that it derived.
#[derive(Debug, Default)]
pub struct Verifier {
    keys: KeyCache,
}

impl Verifier {
    /// Checks time and signature of a request with the secret of the key that [`Signature::access_key`]
    /// names. The caller checks session token, region and service.
    pub fn verify(
        &self,
        signature: &Signature,
        request: &Signed,
        secret: &str,
        rules: Rules,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        signature.check_time(now)?;
        let payload = canonical::payload(signature, request, rules)?;
        self.verify_with(signature, request, &payload, secret, rules)
    }

    /// As [`Self::verify`], before the body is there, which `request` leaves empty. The signature has to cover what
    /// `x-amz-content-sha256` says of the body; without that header there must be none.
    pub fn verify_head(
        &self,
        signature: &Signature,
        request: &Signed,
        secret: &str,
        rules: Rules,
        now: Timestamp,
    ) -> Result<Payload, Refusal> {
        signature.check_time(now)?;
        let (payload, text) = Payload::promised(signature, request.headers, rules)?;
        self.verify_with(signature, request, &text, secret, rules)?;
        Ok(payload)
    }

    fn verify_with(
        &self,
        signature: &Signature,
        request: &Signed,
        payload: &str,
        secret: &str,
        rules: Rules,
    ) -> Result<(), Refusal> {
        let canonical = canonical::request(signature, request, payload, rules);
        let text = canonical::string_to_sign(signature, &canonical);
        let key = self.keys.get(secret, signature);
        let expected = key::hmac(&key, text.as_bytes());
        if bool::from(expected.ct_eq(&signature.value)) { Ok(()) } else { Err(Refusal::DoesNotMatch) }
    }
}

/// A secret of 64 characters that follows from `master` for one access key, and tells nothing of it.
pub fn derived_secret(master: &str, access_key: &str) -> String {
    hex::encode(key::hmac(master.as_bytes(), access_key.as_bytes()))
}

#[cfg(test)]
mod tests;
