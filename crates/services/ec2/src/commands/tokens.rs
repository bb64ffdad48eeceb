//! Client tokens: the same request with the same token is carried out once.
//! <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html>

use std::fmt::Debug;

use sha2::{Digest, Sha256};
use wire::Error;

use crate::{
    Txn, limits, refuse,
    rows::{Resource, TokenRow},
};

/// A request and the token that it came with.
pub struct Request {
    token: Option<String>,
    digest: String,
}

impl Request {
    /// Of an operation's input.
    pub fn of(operation: &str, token: Option<&String>, input: &impl Debug) -> Request {
        let digest = Sha256::digest(format!("{operation} {input:?}"));
        let token = token.filter(|token| !token.is_empty()).cloned();
        Request { token, digest: hex::encode(&digest[..16]) }
    }

    /// What it made, if it was carried out already and that is still there.
    ///
    /// # Errors
    /// `IdempotentParameterMismatch` where another request came with the token, and `InvalidParameterValue` for a token
    /// that is too long.
    pub fn made(&self, txn: &Txn) -> Result<Option<Resource>, Error> {
        let Some(token) = &self.token else { return Ok(None) };
        if token.chars().count() > limits::TOKEN {
            return Err(refuse::parameter("clientToken", token));
        }
        let Some(row) = txn.state.token(token) else {
            return match txn.state.token_count() < limits::TOKENS {
                true => Ok(None),
                false => Err(Error::unavailable("There are too many client tokens; try again later.")),
            };
        };
        if row.digest != self.digest {
            let message = "The client token was already used with another request.";
            return Err(refuse::with("IdempotentParameterMismatch", message));
        }
        Ok(Some(row.made).filter(|made| txn.state.has(*made)))
    }

    /// It was carried out; gives its token.
    pub fn remember(self, txn: &mut Txn, made: impl Into<Resource>) -> Option<String> {
        let token = self.token?;
        let forget_at = txn.now().plus_millis(limits::TOKEN_KEPT_MS);
        txn.put(TokenRow { token: token.clone(), digest: self.digest, made: made.into(), forget_at });
        Some(token)
    }
}
