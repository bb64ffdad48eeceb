//! CloudWatch Logs: each call carried out by the service's table, on the store of its account and region.

mod stores;

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use bytes::Bytes;
use logs_api::{
    Context,
    api::{Handler, OPERATIONS},
    failed,
};
use tokio::sync::oneshot;
use wire::{Error, schema};

use super::entry;
use crate::{
    gate::{Call, Service, Support},
    runtime::{self, By},
};

pub use stores::{Stores, stored_bytes, stored_streams};

/// The CloudWatch Logs API of all accounts and regions.
pub struct Logs {
    stores: Stores,
    partition: Arc<str>,
}

/// What of CloudWatch Logs is built.
pub(crate) static SUPPORT: LazyLock<Support> = LazyLock::new(|| Support::by(OPERATIONS));

#[async_trait]
impl Service for Logs {
    fn schema(&self) -> &'static schema::Service {
        &logs_model::SERVICE
    }

    fn support(&self) -> &'static Support {
        &SUPPORT
    }

    /// A batch of log events may have 1 MiB of text, and JSON can write one byte as six.
    fn body_bytes(&self) -> Option<usize> {
        Some(8 * 1024 * 1024)
    }

    async fn call(&self, call: Call) -> Result<Bytes, Error> {
        let handler = entry(OPERATIONS, &call)?.handler;
        let Call { operation, input, caller, region, now, .. } = call;
        let place = (caller.account.clone(), region);
        let store = self.stores.of(&place).map_err(|error| failed(operation, error))?;
        let ctx = runtime::context(&self.partition, (&place.0, &place.1), &By::from(&caller), now);
        let context = Context { store, ctx, operation };
        let output = match handler {
            Handler::Waits(run) => {
                let answer = tokio::task::spawn_blocking(move || run(&context, input)).await;
                answer.unwrap_or_else(|error| Err(Error::internal(format!("the call ended early: {error}"))))
            }
            Handler::Tells(run) => {
                let (tell, told) = oneshot::channel();
                // A client that went away does not undo what is on disk.
                run(&context, input, Box::new(move |output| drop(tell.send(output))))?;
                told.await.unwrap_or_else(|_| Err(failed(operation, ::logs::Error::Closed)))
            }
        };
        output.map(Bytes::from)
    }
}

impl Logs {
    /// The API of these stores. The partition stands in ARNs.
    pub fn new(stores: Stores, partition: &str) -> Logs {
        Logs { stores, partition: partition.into() }
    }
}
