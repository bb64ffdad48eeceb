//! The operations table of a service: one entry an operation. It holds its name and handler, what of its input is
//! refused or without effect, and what a caller must be allowed it on. Dispatch, the gate and the page of what is
//! built are read from it, so they cannot disagree. Services that are domains have a [`Handler`] in each entry; those
//! whose data is no rows, or that have none, a handler of their own kind.
//!
//! ```ignore
//! pub static OPERATIONS: &[Operation<Handler<Events>>] = &[
//!     Operation::new("DeleteRule", write!(rules::delete_rule)).on(|ctx, input| rule(ctx, input, "Name")),
//!     Operation::new("ListRules", read!(describe::list_rules)),
//! ];
//! ```

mod absent;

use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use wire::{Error, schema};

use crate::{Ctx, Domain, Txn, port::Others};

pub use absent::{Absent, Neutral};

/// A domain that is a whole AWS service, with one shard for each account and region.
pub trait Api: Domain {
    /// Its model.
    fn schema() -> &'static schema::Service;

    /// Its table: what of the model is built.
    fn operations() -> &'static [Operation<Handler<Self>>];

    /// What a shard may look at of `others`, those of its account and region.
    fn ports(others: &Arc<dyn Others>) -> Self::Ports;
}

/// One operation that is built, and what carries it out: a [`Handler`] where it works on the rows of a domain.
#[derive(Debug, Clone, Copy)]
pub struct Operation<H> {
    pub built: Built,
    pub handler: H,
}

/// What is known of an operation that is built, whoever carries it out. A member of its input that is in neither
/// list is built.
#[derive(Debug, Clone, Copy)]
pub struct Built {
    /// Its name in the model.
    pub operation: &'static str,
    /// Input members that are refused by name (`UnsupportedFeatureException`, or the nearest error that the service's
    /// model has) when a client sends them with a value that asks for something.
    pub refused: &'static [&'static str],
    /// Input members that are taken and change nothing, each with the reason. Inner ones by their path, with dots.
    pub no_effect: &'static [(&'static str, &'static str)],
    /// The ARNs of what a caller must be allowed it on, each of them; `*` where the service authorization reference
    /// names no resource. The input met the model, but what it names may not exist, and may be another account's.
    pub on: fn(&Ctx, &Value) -> Vec<String>,
    /// Keys that the conditions of a policy may name, besides those that every request has.
    pub conditions: &'static [Condition],
    /// Whether everybody may who is known, and no right to it can be taken from anybody.
    pub for_all: bool,
    /// Whether it makes rows, or makes them longer: refused while the disk is nearly full, so that the room that is left
    /// is there for what ends something.
    pub grows: bool,
}

/// A condition key of an operation, and where in the input its values are.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/>
#[derive(Debug, Clone, Copy)]
pub enum Condition {
    /// The key, and the path of the member, with dots: lists are looked through, and give a value each.
    Member(&'static str, &'static str),
    /// The key, and what makes its values.
    Made(&'static str, fn(&Ctx, &Value) -> Vec<String>),
    /// The path of tags, as a list of keys and values or as a map: `aws:RequestTag/…` and `aws:TagKeys`.
    Tags(&'static str),
}

/// What carries an operation out, on the shard of the caller's account and region. The input meets the model; the
/// output is JSON.
pub enum Handler<D: Domain> {
    /// A command of the shard's writer, as it is read from the input before its turn comes.
    Write(fn(Value) -> Result<Command<D>, Error>),
    /// A look at its newest snapshot.
    Read(fn(&D, &Ctx, Value) -> Result<Vec<u8>, Error>),
    /// What takes several shards, or waits for something: the server carries it out, by its name. That it does is
    /// checked at start.
    Outside,
}

/// A command that waits for its turn.
pub type Command<D> = Box<dyn FnOnce(&mut Txn<D>) -> Result<Answer, Error> + Send>;
/// What it answers, which is made JSON by whoever waits for it: the writer has others waiting.
pub type Answer = Box<dyn FnOnce() -> Result<Vec<u8>, Error> + Send>;

impl<D: Domain> Clone for Handler<D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D: Domain> Copy for Handler<D> {}

impl Built {
    /// An operation of which every member is built, and which is on no resource of its own.
    pub const fn whole(operation: &'static str) -> Built {
        Built {
            operation,
            refused: &[],
            no_effect: &[],
            on: everything,
            conditions: &[],
            for_all: false,
            grows: false,
        }
    }

    /// With members that are refused.
    pub const fn refusing(self, refused: &'static [&'static str]) -> Built {
        Built { refused, ..self }
    }

    /// With members that change nothing.
    pub const fn without_effect(self, no_effect: &'static [(&'static str, &'static str)]) -> Built {
        Built { no_effect, ..self }
    }

    /// The values of its condition keys in an input, each key once. A key without a value is not there.
    pub fn condition_values(&self, ctx: &Ctx, input: &Value) -> Vec<(String, Vec<String>)> {
        let mut all = Vec::new();
        let mut put = |key: &str, values: Vec<String>| {
            if !values.is_empty() {
                all.push((key.to_owned(), values));
            }
        };
        for condition in self.conditions {
            match condition {
                Condition::Member(key, path) => put(key, texts(input, path)),
                Condition::Made(key, made) => put(key, made(ctx, input)),
                Condition::Tags(path) => {
                    let tags = tags(input, path);
                    put("aws:TagKeys", tags.iter().map(|(key, _)| key.clone()).collect());
                    tags.into_iter()
                        .for_each(|(key, value)| put(&format!("aws:RequestTag/{key}"), vec![value]));
                }
            }
        }
        all
    }
}

impl<H: Copy> Operation<H> {
    /// An operation of which every member is built, and which is on no resource of its own.
    pub const fn new(name: &'static str, handler: H) -> Operation<H> {
        Operation { built: Built::whole(name), handler }
    }

    /// With members that are refused.
    pub const fn refusing(self, refused: &'static [&'static str]) -> Operation<H> {
        Operation { built: Built { refused, ..self.built }, handler: self.handler }
    }

    /// With members that change nothing.
    pub const fn without_effect(self, no_effect: &'static [(&'static str, &'static str)]) -> Operation<H> {
        Operation { built: Built { no_effect, ..self.built }, handler: self.handler }
    }

    /// On these resources.
    pub const fn on(self, on: fn(&Ctx, &Value) -> Vec<String>) -> Operation<H> {
        Operation { built: Built { on, ..self.built }, handler: self.handler }
    }

    /// As one that everybody may, whatever the policies say.
    pub const fn for_all(self) -> Operation<H> {
        Operation { built: Built { for_all: true, ..self.built }, handler: self.handler }
    }

    /// As one that makes rows, or makes them longer.
    pub const fn growing(self) -> Operation<H> {
        Operation { built: Built { grows: true, ..self.built }, handler: self.handler }
    }

    /// With these condition keys.
    pub const fn with(self, conditions: &'static [Condition]) -> Operation<H> {
        Operation { built: Built { conditions, ..self.built }, handler: self.handler }
    }
}

/// The operation of that name.
pub fn named<H>(table: &'static [Operation<H>], name: &str) -> Option<&'static Operation<H>> {
    table.iter().find(|operation| operation.built.operation == name)
}

/// [`Built::on`] of what is on no resource of its own.
pub fn everything(_ctx: &Ctx, _input: &Value) -> Vec<String> {
    vec!["*".to_owned()]
}

/// The text that the input has in a member; none where it is empty or not there.
pub fn text<'a>(input: &'a Value, member: &str) -> Option<&'a str> {
    input.get(member)?.as_str().filter(|text| !text.is_empty())
}

/// All texts at a path, with dots, through lists.
pub fn texts(input: &Value, path: &str) -> Vec<String> {
    let one = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    };
    at(input, path).into_iter().filter_map(one).collect()
}

/// The values at a path; of a list, its elements.
fn at<'a>(value: &'a Value, path: &str) -> Vec<&'a Value> {
    match value {
        Value::Array(items) => items.iter().flat_map(|item| at(item, path)).collect(),
        _ if path.is_empty() => vec![value],
        _ => {
            let (name, rest) = path.split_once('.').unwrap_or((path, ""));
            value.get(name).map(|inner| at(inner, rest)).unwrap_or_default()
        }
    }
}

fn tags(input: &Value, path: &str) -> Vec<(String, String)> {
    let member = |tag: &Value, names: [&str; 2]| {
        names.iter().find_map(|name| tag.get(*name)?.as_str()).map(str::to_owned)
    };
    let mut tags = Vec::new();
    for value in at(input, path) {
        match (member(value, ["key", "Key"]), value) {
            (Some(key), _) => tags.push((key, member(value, ["value", "Value"]).unwrap_or_default())),
            (None, Value::Object(map)) => {
                let pair = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
                tags.extend(map.iter().filter_map(pair));
            }
            (None, _) => {}
        }
    }
    tags
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

/// A command with its input, ready for its turn.
///
/// # Errors
/// As [`typed`].
pub fn command<D: Domain, R: DeserializeOwned + Send + 'static, T: Serialize + Send + 'static>(
    input: Value,
    command: fn(&mut Txn<D>, R) -> Result<T, Error>,
) -> Result<Command<D>, Error> {
    let request: R = typed(input)?;
    Ok(Box::new(move |txn| {
        let reply = command(txn, request)?;
        Ok(Box::new(move || json(&reply)) as Answer)
    }))
}

/// A handler of a command `fn(&mut Txn<D>, Request) -> Result<Response, Error>`.
#[macro_export]
macro_rules! write {
    ($command:path) => {
        $crate::api::Handler::Write(|input| $crate::api::command(input, $command))
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

#[cfg(test)]
mod tests;
