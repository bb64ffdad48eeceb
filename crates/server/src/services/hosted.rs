//! A service that is one domain: its operations table and its shards are all that there is to it.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use state::{
    Domain,
    api::{Built, Handler, Operation},
};
use wire::{Error, schema};

use crate::{
    gate::{Call, Service, Support, Wrong},
    runtime::{By, Shards},
};

/// The API of a domain.
pub struct Hosted<D: Domain> {
    schema: &'static schema::Service,
    support: &'static Support,
    handlers: HashMap<&'static str, Handler<D>>,
    shards: Arc<Shards<D>>,
    outside: Option<Arc<dyn Outside>>,
}

/// Carries out what a table leaves to the server ([`Handler::Outside`]): what takes several shards, or waits.
#[async_trait]
pub trait Outside: Send + Sync {
    /// The operations that it carries out.
    fn names(&self) -> &'static [&'static str];

    /// Carries out one of them; as [`Service::call`].
    async fn call(&self, call: Call) -> Result<Bytes, Error>;
}

impl<D: Domain> Hosted<D> {
    /// The API of these shards, with what carries out the rest.
    ///
    /// # Errors
    /// An operation that the table leaves to the server is carried out by nobody, or the other way round.
    pub fn new(
        schema: &'static schema::Service,
        operations: &'static [Operation<D>],
        shards: Arc<Shards<D>>,
        outside: Option<Arc<dyn Outside>>,
    ) -> Result<Hosted<D>, Wrong> {
        let names = outside.as_ref().map_or(&[] as &[_], |outside| outside.names());
        check(schema, operations, names)?;
        let handler = |operation: &Operation<D>| (operation.built.operation, operation.handler);
        let handlers = operations.iter().map(handler).collect();
        Ok(Hosted { schema, support: support(operations), handlers, shards, outside })
    }
}

/// What of a service is built, from its table. Made once for each service, for as long as the program runs.
pub fn support<D: Domain>(operations: &[Operation<D>]) -> &'static Support {
    let built: Vec<Built> = operations.iter().map(|operation| operation.built).collect();
    Box::leak(Box::new(Support { built: built.leak(), absent: &[] }))
}

/// Whether what a table leaves to the server is what the server carries out.
///
/// # Errors
/// The first operation of which it is not so.
pub fn check<D: Domain>(
    schema: &schema::Service,
    operations: &[Operation<D>],
    outside: &[&'static str],
) -> Result<(), Wrong> {
    let left = operations.iter().filter(|operation| matches!(operation.handler, Handler::Outside));
    let left: BTreeSet<&str> = left.map(|operation| operation.built.operation).collect();
    let done: BTreeSet<&str> = outside.iter().copied().collect();
    let wrong = |name: &&str| match left.contains(name) {
        true => format!("{name} is carried out by nobody"),
        false => format!("{name} is not left to the server"),
    };
    match left.symmetric_difference(&done).next() {
        Some(name) => Err(Wrong::new(schema.name, wrong(name))),
        None => Ok(()),
    }
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
        let missing = || Error::internal(format!("{name} has no handler."));
        let handler = self.handlers.get(name).copied().ok_or_else(missing)?;
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
            Handler::Outside => return self.outside.as_ref().ok_or_else(missing)?.call(call).await,
        };
        Ok(output.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_to_the_server_is_carried_out_by_somebody() {
        fn write(_: &mut ::ecs::Txn, _: serde_json::Value) -> Result<Vec<u8>, Error> {
            Ok(Vec::new())
        }
        let table: &[Operation<::ecs::Cluster>] = &[
            Operation::new("RunTask", Handler::Write(write)),
            Operation::new("CreateCluster", Handler::Outside),
        ];
        let told = |names: &[&'static str]| {
            check(&ecs_model::SERVICE, table, names).map_err(|wrong| wrong.to_string())
        };
        let wrong = |what: &str| Err(format!("the support table of ecs is wrong: {what}"));
        assert_eq!(told(&["CreateCluster"]), Ok(()));
        assert_eq!(told(&[]), wrong("CreateCluster is carried out by nobody"));
        assert_eq!(told(&["CreateCluster", "RunTask"]), wrong("RunTask is not left to the server"));
        assert_eq!(support(table).built.len(), 2);
    }
}
