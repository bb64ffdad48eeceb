//! CloudWatch Logs: every built operation, from request to answer. The store does the work; here only the
//! wire's types become its types, and back. Nothing is decided and nothing is kept here.

mod arn;
mod error;
mod events;
mod groups;
mod stores;
mod support;
mod writers;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use logs::Logs as Store;
use logs_model as api;
use serde::Serialize;
use tokio::sync::oneshot;
use wire::{Error, Request};

use crate::{
    gate::{Call, Service, Support},
    runtime::Identity,
    services::ecs::Homes,
};

pub use stores::{Stores, stored_bytes};
pub(crate) use support::SUPPORT;

/// The CloudWatch Logs API of all accounts and regions.
pub struct Logs {
    stores: Stores,
    partition: String,
    writers: Option<writers::Writers>,
}

/// One call, on a thread that may wait for the disk.
struct Context {
    store: Store,
    identity: Identity,
    operation: &'static wire::schema::Operation,
    now_ms: i64,
}

#[async_trait]
impl Service for Logs {
    fn schema(&self) -> &'static wire::schema::Service {
        &api::SERVICE
    }

    fn support(&self) -> &'static Support {
        &SUPPORT
    }

    /// A batch of log events may have 1 MiB of text, and JSON can write one byte as six.
    fn body_bytes(&self) -> Option<usize> {
        Some(8 * 1024 * 1024)
    }

    async fn call(&self, call: Call) -> Result<Bytes, Error> {
        if let Some(writers) = &self.writers {
            writers.check(&call)?;
        }
        match call.operation.name {
            "PutLogEvents" => self.put_log_events(call).await,
            "GetLogEvents" => self.run(call, events::get_log_events).await,
            "FilterLogEvents" => self.run(call, events::filter_log_events).await,
            "CreateLogGroup" => self.run(call, groups::create_log_group).await,
            "DeleteLogGroup" => self.run(call, groups::delete_log_group).await,
            "DescribeLogGroups" => self.run(call, groups::describe_log_groups).await,
            "ListLogGroups" => self.run(call, groups::list_log_groups).await,
            "CreateLogStream" => self.run(call, groups::create_log_stream).await,
            "DeleteLogStream" => self.run(call, groups::delete_log_stream).await,
            "DescribeLogStreams" => self.run(call, groups::describe_log_streams).await,
            "PutRetentionPolicy" => self.run(call, groups::put_retention_policy).await,
            "DeleteRetentionPolicy" => self.run(call, groups::delete_retention_policy).await,
            "TagLogGroup" => self.run(call, groups::tag_log_group).await,
            "UntagLogGroup" => self.run(call, groups::untag_log_group).await,
            "ListTagsLogGroup" => self.run(call, groups::list_tags_log_group).await,
            "TagResource" => self.run(call, groups::tag_resource).await,
            "UntagResource" => self.run(call, groups::untag_resource).await,
            "ListTagsForResource" => self.run(call, groups::list_tags_for_resource).await,
            name => Err(Error::internal(format!("{name} is listed as built but has no handler."))),
        }
    }
}

impl Logs {
    /// The API of these stores. The partition stands in ARNs.
    pub fn new(stores: Stores, partition: &str) -> Logs {
        Logs { stores, partition: partition.to_owned(), writers: None }
    }

    /// What a call works on.
    fn context(&self, call: &Call) -> Result<Context, Error> {
        let place = (call.caller.account.clone(), call.region.clone());
        let store = self.stores.of(&place).map_err(|error| error::of(call.operation, error))?;
        let identity = Identity {
            account: place.0.to_string(),
            region: place.1.to_string(),
            partition: self.partition.clone(),
        };
        Ok(Context { store, identity, operation: call.operation, now_ms: call.now.as_millis() })
    }

    /// Holds agents to the log groups of their own tasks, which ECS knows.
    pub fn with_agents(mut self, homes: Arc<Homes>) -> Logs {
        self.writers = Some(writers::Writers::new(homes));
        self
    }

    /// Waits for the disk without holding a thread, so that any number of puts share its syncs.
    async fn put_log_events(&self, mut call: Call) -> Result<Bytes, Error> {
        let request: api::PutLogEventsRequest = call.typed()?;
        let (answer, wait) = oneshot::channel();
        let Context { store, .. } = self.context(&call)?;
        store.put_log_events(events::put_request(request), call.now.as_millis(), move |kept| {
            // A client that went away does not undo what is on disk.
            let _ = answer.send(kept);
        });
        let kept = wait.await.unwrap_or(Err(logs::Error::Closed));
        json(&events::put_response(kept.map_err(|error| error::of(call.operation, error))?))
    }

    async fn run<R, T>(&self, mut call: Call, handler: Handler<R, T>) -> Result<Bytes, Error>
    where
        R: Request<Response = T> + Send + 'static,
        T: Serialize + Send + 'static,
    {
        let request: R = call.typed()?;
        let context = self.context(&call)?;
        let answer = tokio::task::spawn_blocking(move || json(&handler(&context, request)?)).await;
        answer.unwrap_or_else(|error| Err(Error::internal(format!("the call ended early: {error}"))))
    }
}

/// One operation.
type Handler<R, T> = fn(&Context, R) -> Result<T, Error>;

impl Context {
    /// A store's failure as this operation says it.
    fn failed(&self, error: logs::Error) -> Error {
        error::of(self.operation, error)
    }
}

fn json(reply: &impl Serialize) -> Result<Bytes, Error> {
    let bytes = serde_json::to_vec(reply).map_err(|error| Error::internal(error.to_string()))?;
    Ok(bytes.into())
}
