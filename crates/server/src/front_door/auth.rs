//! Who asks: looks up the key that a request was signed with and verifies the signature with it.

use std::sync::Arc;

use http::request::Parts;
use subtle::ConstantTimeEq;
use wire::Timestamp;
use wire::sigv4::{Refusal, Rules, Signature, Signed};

use super::{FrontDoor, Key};

impl FrontDoor {
    /// The key of a request whose signature is right for `service`.
    pub(super) fn authenticate(
        &self,
        signature: &Signature,
        parts: &Parts,
        body: &[u8],
        service: &str,
        now: Timestamp,
    ) -> Result<Arc<Key>, Refusal> {
        let key = self.keys.find(&signature.access_key).ok_or(Refusal::UnknownKey)?;
        let Some(secret) = &key.secret else { return Ok(key) };
        check_session(&key, signature, now)?;
        if signature.service != service {
            return Err(Refusal::Invalid(format!(
                "Credential should be scoped to correct service: '{service}'. "
            )));
        }
        if service != "sts" && *signature.region != *self.config.region {
            return Err(Refusal::Invalid("Credential should be scoped to a valid region. ".to_owned()));
        }
        signature.check_covered(&parts.headers)?;
        let request = Signed {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            headers: &parts.headers,
            body,
        };
        self.verifier.verify(signature, &request, secret, Rules::default(), now)?;
        Ok(key)
    }
}

/// The session token has to be the key's own, and the session not over.
fn check_session(key: &Key, signature: &Signature, now: Timestamp) -> Result<(), Refusal> {
    let same = match (&key.session_token, &signature.token) {
        (None, None) => true,
        (Some(own), Some(sent)) => bool::from(own.as_bytes().ct_eq(sent.as_bytes())),
        _ => false,
    };
    if !same {
        return Err(Refusal::UnknownKey);
    }
    match key.expires {
        Some(end) if end <= now => Err(Refusal::ExpiredToken),
        _ => Ok(()),
    }
}
