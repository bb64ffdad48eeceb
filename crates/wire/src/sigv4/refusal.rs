//! Why a request is not let in, in AWS's words. JSON and query services name the same things differently.

use crate::Error;
use crate::schema::Protocol;

/// Why a signature is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request is not signed at all.
    #[error("Missing Authentication Token")]
    Missing,
    /// The signature lacks a part or is not written as it should be.
    #[error("{0}")]
    Incomplete(String),
    /// Nobody has this access key, or the session token is not the key's.
    #[error("The security token included in the request is invalid.")]
    UnknownKey,
    /// The key is right, and not for this client; says why, and what to do.
    #[error("{0}")]
    NotHere(String),
    /// The key's session is over.
    #[error("The security token included in the request is expired")]
    ExpiredToken,
    /// Signed with another secret, or the request was changed.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
         Access Key and signing method. Consult the service documentation for details."
    )]
    DoesNotMatch,
    /// Signed too long ago, too far ahead, or for another day, region or service.
    #[error("{0}")]
    Invalid(String),
}

impl Refusal {
    /// The error in the names of the protocol: JSON services say `InvalidSignatureException` where query and
    /// XML services say `SignatureDoesNotMatch`. Those of restJson say it with the status of the latter.
    pub fn into_error(self, protocol: Protocol) -> Error {
        let json = !matches!(protocol, Protocol::Query | Protocol::Ec2Query | Protocol::RestXml);
        let (code, status) = match (&self, json) {
            (Self::Missing, true) => ("MissingAuthenticationTokenException", 400),
            (Self::Missing, false) => ("MissingAuthenticationToken", 403),
            (Self::Incomplete(_), true) => ("IncompleteSignatureException", 400),
            (Self::Incomplete(_), false) => ("IncompleteSignature", 400),
            (Self::UnknownKey | Self::NotHere(_), true) => ("UnrecognizedClientException", 400),
            (Self::UnknownKey | Self::NotHere(_), false) => ("InvalidClientTokenId", 403),
            (Self::ExpiredToken, true) => ("ExpiredTokenException", 400),
            (Self::ExpiredToken, false) => ("ExpiredToken", 403),
            (Self::DoesNotMatch | Self::Invalid(_), true) => ("InvalidSignatureException", 400),
            (Self::DoesNotMatch | Self::Invalid(_), false) => ("SignatureDoesNotMatch", 403),
        };
        let status = if protocol == Protocol::RestJson { 403 } else { status };
        let message = match (&self, json) {
            (Self::Missing, false) => "Request is missing Authentication Token".to_owned(),
            _ => self.to_string(),
        };
        Error::new(code, status, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_protocol_has_its_own_names() {
        for (protocol, code, status) in [
            (Protocol::Json11, "UnrecognizedClientException", 400),
            (Protocol::Cbor, "UnrecognizedClientException", 400),
            (Protocol::RestJson, "UnrecognizedClientException", 403),
            (Protocol::Query, "InvalidClientTokenId", 403),
            (Protocol::Ec2Query, "InvalidClientTokenId", 403),
            (Protocol::RestXml, "InvalidClientTokenId", 403),
        ] {
            let error = Refusal::UnknownKey.into_error(protocol);
            assert_eq!((error.code(), error.status()), (code, status), "{protocol:?}");
        }
    }
}
