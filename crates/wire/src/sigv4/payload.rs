//! A body that comes in pieces, held to what the signature of its head covers.

use http::HeaderMap;
use sha2::{Digest, Sha256};

use super::signature::{Place, Signature};
use super::{Refusal, Rules, UNSIGNED_PAYLOAD};
use crate::headers::CONTENT_SHA256;

/// The SHA-256 of nothing.
const OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// What a verified head promises of its body.
#[derive(Debug, Clone)]
pub struct Payload {
    /// What was promised, and what has come so far; `None` where the client signed that it promises nothing.
    promised: Option<([u8; 32], Sha256)>,
}

impl Payload {
    /// One that may be anything.
    pub fn any() -> Payload {
        Payload { promised: None }
    }

    /// What a head promises, and how that stands in the canonical request.
    pub(super) fn promised(
        signature: &Signature,
        headers: &HeaderMap,
        rules: Rules,
    ) -> Result<(Payload, String), Refusal> {
        let told = match (headers.get(CONTENT_SHA256), signature.place) {
            // A presigned S3 URL never covers the body.
            (None, Place::Query { .. }) if rules == Rules::S3 => UNSIGNED_PAYLOAD.as_bytes(),
            (told, _) => told.map_or(OF_NOTHING.as_bytes(), |told| told.as_bytes()),
        };
        if told == UNSIGNED_PAYLOAD.as_bytes() && rules.unsigned_payload {
            return Ok((Payload::any(), UNSIGNED_PAYLOAD.to_owned()));
        }
        let mut hash = [0; 32];
        hex::decode_to_slice(told, &mut hash).map_err(|_| Refusal::DoesNotMatch)?;
        Ok((Payload { promised: Some((hash, Sha256::new())) }, hex::encode(hash)))
    }

    /// The next piece of the body.
    pub fn piece(&mut self, piece: &[u8]) {
        if let Some((_, come)) = &mut self.promised {
            come.update(piece);
        }
    }

    /// Whether the whole body is what was signed. Nothing that came before counts if not.
    ///
    /// # Errors
    /// [`Refusal::DoesNotMatch`].
    pub fn end(self) -> Result<(), Refusal> {
        let right = self.promised.is_none_or(|(hash, come)| come.finalize()[..] == hash);
        if right { Ok(()) } else { Err(Refusal::DoesNotMatch) }
    }
}
