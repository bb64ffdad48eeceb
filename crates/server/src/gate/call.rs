//! What the gate is given: the services behind it, and who asks them for what.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use wire::{Timestamp, schema};

use super::Support;
use crate::front_door::Origin;

/// One AWS service, ready to be called.
#[async_trait]
pub trait Service: Send + Sync {
    /// The service's model.
    fn schema(&self) -> &'static schema::Service;

    /// What of the model is built.
    fn support(&self) -> &'static Support;

    /// The longest body of its requests, in bytes, where that is not the usual one.
    fn body_bytes(&self) -> Option<usize> {
        None
    }

    /// Whether it is one for all regions: requests may be signed for any.
    fn is_global(&self) -> bool {
        false
    }

    /// Carries out one operation that [`Service::support`] lists as built. Returns the output structure as
    /// JSON (`{}` when it has no member); whoever called renders it in the client's protocol.
    async fn call(&self, call: Call) -> Result<Bytes, wire::Error>;
}

/// One authenticated call with an input that meets the model.
#[derive(Debug)]
pub struct Call {
    /// What to do.
    pub operation: &'static schema::Operation,
    /// The input, a JSON object: every constraint of the model holds, there is no `null` and no member that
    /// the model does not know, and no member that [`Built::refused`](super::Built) names.
    pub input: Value,
    /// Who asks.
    pub caller: Caller,
    /// The id that the client gets in `x-amzn-RequestId`.
    pub request_id: String,
    /// The region that it is for: the one that the client signed for.
    pub region: Arc<str>,
    /// When the call came in.
    pub now: Timestamp,
    /// The URL by which this client reaches us.
    pub origin: Origin,
}

impl Call {
    /// The input as the operation's structure. Fails only if the model's types and tables disagree.
    pub fn typed<R: wire::Request>(&mut self) -> Result<R, wire::Error> {
        serde_json::from_value(self.input.take())
            .map_err(|error| wire::Error::internal(format!("{} cannot be read: {error}", R::OPERATION)))
    }
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Twelve digits.
    pub account: Arc<str>,
    /// The principal's ARN.
    pub arn: Arc<str>,
    /// The principal's unique id (the account for root).
    pub user_id: Arc<str>,
    /// The access key that signed.
    pub access_key: Arc<str>,
    /// What kind of caller it is.
    pub role: Role,
}

impl Caller {
    /// The partition that its ARN is of.
    pub fn partition(&self) -> &str {
        self.arn.split(':').nth(1).unwrap_or("aws")
    }
}

/// What kind of caller a key makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// The account's administrator.
    User,
    /// An agent that is not registered yet, by the key that all agents share.
    NewAgent,
    /// One by a key that an operator made for it, which becomes its own.
    NewAgentOfOperator,
    /// The agent of a container instance (cluster and id), by that one's own key.
    Agent { cluster: Arc<str>, instance: Arc<str> },
}
