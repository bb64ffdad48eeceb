//! The operations table of a service: one entry an operation, with its handler and what of its input is refused or
//! without effect. Dispatch and the page of what is built are read from it, so they cannot disagree.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use wire::Error;

use crate::{Ctx, Domain, Txn};

/// One operation that is built.
pub struct Operation<D: Domain> {
    /// Its name in the model.
    pub name: &'static str,
    pub handler: Handler<D>,
    /// Input members that are refused by name when a client sends them with a value that asks for something.
    pub refused: &'static [&'static str],
    /// Input members that are taken and change nothing, each with the reason.
    pub no_effect: &'static [(&'static str, &'static str)],
}

/// What carries it out, on the shard of the caller's account and region. The input meets the model; the output is
/// JSON.
pub enum Handler<D: Domain> {
    /// A command of the shard's writer.
    Write(fn(&mut Txn<D>, Value) -> Result<Vec<u8>, Error>),
    /// A look at its newest snapshot.
    Read(fn(&D, &Ctx, Value) -> Result<Vec<u8>, Error>),
}

impl<D: Domain> Clone for Handler<D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D: Domain> Copy for Handler<D> {}

impl<D: Domain> Operation<D> {
    /// An operation of which every member is built.
    pub const fn new(name: &'static str, handler: Handler<D>) -> Operation<D> {
        Operation { name, handler, refused: &[], no_effect: &[] }
    }

    /// With members that are refused.
    pub const fn refusing(self, refused: &'static [&'static str]) -> Operation<D> {
        Operation { refused, ..self }
    }

    /// With members that change nothing.
    pub const fn without_effect(self, no_effect: &'static [(&'static str, &'static str)]) -> Operation<D> {
        Operation { no_effect, ..self }
    }
}

/// The input as the operation's structure.
///
/// # Errors
/// Only if the model's types and tables disagree.
pub fn typed<R: DeserializeOwned>(input: Value) -> Result<R, Error> {
    serde_json::from_value(input)
        .map_err(|error| Error::internal(format!("an input cannot be read: {error}")))
}

/// The output as JSON.
///
/// # Errors
/// Never, for structures of a model.
pub fn json(reply: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(reply).map_err(|error| Error::internal(error.to_string()))
}

/// A handler of a command `fn(&mut Txn<D>, Request) -> Result<Response, Error>`.
#[macro_export]
macro_rules! write {
    ($command:path) => {
        $crate::api::Handler::Write(|txn, input| {
            $crate::api::json(&$command(txn, $crate::api::typed(input)?)?)
        })
    };
}

/// A handler of a look `fn(&D, &Ctx, &Request) -> Result<Response, Error>`.
#[macro_export]
macro_rules! read {
    ($look:path) => {
        $crate::api::Handler::Read(|state, ctx, input| {
            $crate::api::json(&$look(state, ctx, &$crate::api::typed(input)?)?)
        })
    };
}
