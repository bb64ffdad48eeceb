//! A service that is one domain: its operations table and its shards are all that there is to it.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use state::{
    Domain,
    api::{Handler, Operation},
};
use wire::{Error, schema};

use crate::{
    gate::{Built, Call, Service, Support},
    runtime::{By, Shards},
};

/// The API of a domain.
pub struct Hosted<D: Domain> {
    schema: &'static schema::Service,
    support: &'static Support,
    handlers: HashMap<&'static str, Handler<D>>,
    shards: Arc<Shards<D>>,
}

impl<D: Domain> Hosted<D> {
    /// The API of these shards. `support` is [`support`] of the same table.
    pub fn new(
        schema: &'static schema::Service,
        support: &'static Support,
        operations: &'static [Operation<D>],
        shards: Arc<Shards<D>>,
    ) -> Hosted<D> {
        let handlers = operations.iter().map(|operation| (operation.name, operation.handler)).collect();
        Hosted { schema, support, handlers, shards }
    }
}

/// What of a service is built, from its table. Made once for each service, for as long as the program runs.
pub fn support<D: Domain>(operations: &'static [Operation<D>]) -> &'static Support {
    let built = |operation: &'static Operation<D>| Built {
        operation: operation.name,
        refused: operation.refused,
        no_effect: operation.no_effect,
    };
    let built: Vec<Built> = operations.iter().map(built).collect();
    Box::leak(Box::new(Support { built: built.leak(), absent: &[] }))
}

#[async_trait]
impl<D: Domain> Service for Hosted<D> {
    fn schema(&self) -> &'static schema::Service {
        self.schema
    }

    fn support(&self) -> &'static Support {
        self.support
    }

    async fn call(&self, call: Call) -> Result<Bytes, Error> {
        let name = call.operation.name;
        let handler = self.handlers.get(name).copied();
        let handler = handler.ok_or_else(|| Error::internal(format!("{name} has no handler.")))?;
        let shard = self.shards.of(&(call.caller.account.clone(), call.region.clone()))?;
        let by = By::from(&call.caller);
        let output = match handler {
            Handler::Write(command) => {
                let input = call.input;
                shard.execute(by, move |txn| command(txn, input)).await?
            }
            Handler::Read(look) => {
                let ctx = shard.ctx(&by, call.now);
                look(&shard.read().state, &ctx, call.input)?
            }
        };
        Ok(output.into())
    }
}
