//! Who asks: looks up the key that a request was signed with and verifies the signature with it.

use std::sync::Arc;

use http::request::Parts;
use subtle::ConstantTimeEq;
use wire::Timestamp;
use wire::sigv4::{Refusal, Rules, Signature, Signed};

use super::connection::Connection;
use super::{FrontDoor, Key};

/// For which service a request has to be signed.
pub(super) struct Scope<'a> {
    /// By its name in a credential's scope.
    pub service: &'a str,
    /// It is one for all regions.
    pub global: bool,
}

impl FrontDoor {
    /// The key that a request says it was signed with, as far as its head alone tells: known, in scope, in time, and
    /// free to be used on this connection. Nothing is proven before [`FrontDoor::verify`].
    pub(super) async fn identify(
        &self,
        signature: &Signature,
        parts: &Parts,
        connection: &Connection,
        scope: Scope<'_>,
        now: Timestamp,
    ) -> Result<Arc<Key>, Refusal> {
        let key = self.keys.find(&signature.access_key).ok_or(Refusal::UnknownKey)?;
        if key.known {
            let admitted = connection.admitted(&*self.peers).await;
            admitted.map_err(|why| not_for_all(&signature.access_key, &why))?;
        }
        if key.secret.is_none() {
            return Ok(key);
        }
        check_session(&key, signature, now)?;
        if signature.service != scope.service {
            return Err(Refusal::Invalid(format!(
                "Credential should be scoped to correct service: '{}'. ",
                scope.service
            )));
        }
        if !scope.global && !self.config.regions.has(&signature.region) {
            return Err(Refusal::Invalid("Credential should be scoped to a valid region. ".to_owned()));
        }
        if let Some(own) = key.region.as_deref().filter(|own| *own != signature.region) {
            return Err(Refusal::Invalid(format!(
                "Credential should be scoped to a valid region: the container instance of this key is in {own}. "
            )));
        }
        signature.check_covered(&parts.headers)?;
        signature.check_time(now)?;
        Ok(key)
    }

    /// Whether the signature is right.
    pub(super) fn verify(
        &self,
        key: &Key,
        signature: &Signature,
        parts: &Parts,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let Some(secret) = &key.secret else { return Ok(()) };
        let request = Signed {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            headers: &parts.headers,
            body,
        };
        self.verifier.verify(signature, &request, secret, Rules::default(), now)
    }
}

/// Why a key that everybody knows is refused here, and what to do.
fn not_for_all(access_key: &str, why: &str) -> Refusal {
    Refusal::NotHere(format!(
        "The security token included in the request is invalid. '{}' is a key that everybody knows: it serves root, the \
         user who started this control plane, and those in server.known_pair_users of its configuration, outside of \
         containers; {why}. Use a key pair of your own, or the administrator's in credentials.toml of the data \
         directory (docs/security.md)",
        access_key.chars().take(128).collect::<String>()
    ))
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
