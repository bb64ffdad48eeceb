//! Client tokens: the same request with the same token is carried out once.
//! <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html>

use std::fmt::Debug;

use scheduler_model::errors;
use sha2::{Digest, Sha256};
use wire::Error;

use crate::{Txn, limits, rows::TokenRow};

/// A request and the token that it came with.
pub struct Request {
    token: Option<String>,
    digest: String,
}

impl Request {
    /// Of an operation's input.
    pub fn of(operation: &str, token: Option<&String>, input: &impl Debug) -> Request {
        let digest = Sha256::digest(format!("{operation} {input:?}"));
        Request { token: token.cloned(), digest: hex::encode(&digest[..16]) }
    }

    /// What it was answered with, if it was carried out already.
    ///
    /// # Errors
    /// `ConflictException` where another request came with the token.
    pub fn answered(&self, txn: &Txn) -> Result<Option<Option<String>>, Error> {
        let Some(row) = self.token.as_ref().and_then(|token| txn.state.token(token)) else { return Ok(None) };
        if row.digest != self.digest {
            return Err(errors::conflict("The ClientToken was already used with another request."));
        }
        Ok(Some(row.arn.clone()))
    }

    /// It was carried out.
    pub fn remember(self, txn: &mut Txn, arn: Option<&str>) {
        let Some(token) = self.token else { return };
        let forget_at = txn.now().plus_millis(limits::TOKEN_KEPT_MS);
        txn.put(TokenRow { token, digest: self.digest, arn: arn.map(str::to_owned), forget_at });
        for key in txn.state.surplus() {
            txn.delete(key);
        }
    }
}
