//! ECS: every operation, from call to answer, by its tables (`ecs::api`). Commands go to the writer of their cluster (or of
//! the account), reads to its newest snapshot; what takes several of them, or knows of the world outside, is carried out
//! here. Beside it stands what runs of ECS: a writer for each cluster, and what the agent link asks of them. Nothing is
//! decided here.

mod agents;
mod assignments;
mod capacity;
mod clusters;
mod daemons;
mod deployments;
mod explaining;
mod feed;
mod found;
mod handle;
mod home;
mod homes;
mod interrupting;
mod link;
pub mod migrate;
mod presence;
mod room;
mod tags;
#[cfg(test)]
pub(crate) mod tests;
mod wakers;

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use ::ecs::{
    Account, Cluster, api,
    task::{describe, stop},
};
use async_trait::async_trait;
use bytes::Bytes;
use ecs_model::{self as ecs, errors};
use futures_util::future::BoxFuture;
use serde::Serialize;
use state::{
    Domain,
    api::{Built, Handler, Operation},
};
use wire::Error;

use super::hosted;
use crate::gate::{Call, Service, Support, Wrong};

pub use explaining::{Explaining, PATH as EXPLAIN};
pub use handle::ClusterHandle;
pub use home::Home;
pub use homes::Homes;
pub use interrupting::{Interrupting, PATH as INTERRUPT};

/// The ECS API of all accounts and regions.
pub struct Ecs {
    homes: Arc<Homes>,
    table: HashMap<&'static str, Entry>,
}

/// One operation.
struct Entry {
    built: &'static Built,
    way: Way,
}

/// What carries it out.
#[derive(Clone, Copy)]
enum Way {
    Account(Handler<Account>),
    /// On the cluster that the input names.
    Cluster(Handler<Cluster>),
    Outside(Outside),
}

/// Carries out what the tables leave to the server.
type Outside = for<'a> fn(&'a Ecs, &'a Home, Call) -> BoxFuture<'a, Result<Bytes, Error>>;

/// All of that.
const OUTSIDE: &[(&str, Outside)] = &[
    ("CreateCluster", |_, home, call| Box::pin(clusters::create(home, call))),
    ("DescribeClusters", |_, home, call| Box::pin(async { clusters::describe(home, call) })),
    ("ListClusters", |_, home, call| Box::pin(async { clusters::list(home, call) })),
    ("CreateCapacityProvider", |_, home, call| Box::pin(capacity::create(home, call))),
    ("DeleteCapacityProvider", |_, home, call| Box::pin(capacity::delete(home, call))),
    ("DescribeCapacityProviders", |_, home, call| Box::pin(async { capacity::describe(home, call) })),
    ("DescribeServiceDeployments", |_, home, call| Box::pin(async { deployments::describe(home, call) })),
    ("DescribeServiceRevisions", |_, home, call| {
        Box::pin(async { deployments::describe_revisions(home, call) })
    }),
    ("CreateDaemon", |_, home, call| Box::pin(daemons::create(home, call))),
    ("UpdateDaemon", |_, home, call| Box::pin(daemons::update(home, call))),
    ("DeleteDaemon", |_, home, call| Box::pin(daemons::delete(home, call))),
    ("DescribeDaemon", |_, home, call| Box::pin(async { daemons::describe(home, call) })),
    ("ListDaemons", |_, home, call| Box::pin(async { daemons::list(home, call) })),
    ("ListDaemonDeployments", |_, home, call| Box::pin(async { daemons::list_deployments(home, call) })),
    ("DescribeDaemonDeployments", |_, home, call| {
        Box::pin(async { daemons::describe_deployments(home, call) })
    }),
    ("DescribeDaemonRevisions", |_, home, call| Box::pin(async { daemons::describe_revisions(home, call) })),
    ("StopServiceDeployment", |_, home, call| Box::pin(deployments::stop(home, call))),
    ("ContinueServiceDeployment", |_, home, call| Box::pin(deployments::proceed(home, call))),
    ("DescribeTasks", |_, home, call| Box::pin(async { describe_tasks(home, call) })),
    ("StopTask", |_, home, call| Box::pin(stop_task(home, call))),
    ("RegisterContainerInstance", |ecs, home, call| Box::pin(agents::register(&ecs.homes, home, call))),
    ("DiscoverPollEndpoint", |_, home, call| Box::pin(async { link::discover_poll_endpoint(home, call) })),
    ("TagResource", |_, home, call| Box::pin(tags::tag(home, call))),
    ("UntagResource", |_, home, call| Box::pin(tags::untag(home, call))),
    ("ListTagsForResource", |_, home, call| Box::pin(async { tags::list(home, call) })),
];

/// What of ECS is built.
pub static SUPPORT: LazyLock<Support> = LazyLock::new(|| {
    let account = api::ACCOUNT.iter().map(|operation| operation.built);
    Support::made(account.chain(api::CLUSTER.iter().map(|operation| operation.built)), api::ABSENT)
});

#[async_trait]
impl Service for Ecs {
    fn schema(&self) -> &'static wire::schema::Service {
        &ecs::SERVICE
    }

    fn support(&self) -> &'static Support {
        &SUPPORT
    }

    async fn call(&self, call: Call) -> Result<Bytes, Error> {
        let name = call.operation.name;
        let missing = || errors::server(format!("{name} is listed as built but has no handler."));
        let Entry { built, way } = self.table.get(name).ok_or_else(missing)?;
        let home = self.homes.home(&call.caller.account, &call.region)?;
        room::check(self.homes.runtime(), built)?;
        match *way {
            Way::Account(handler) => hosted::on_shard(home.account_shard(), handler, call).await,
            Way::Cluster(handler) => on_cluster(&home, handler, call).await,
            Way::Outside(run) => run(self, &home, call).await,
        }
    }
}

impl Ecs {
    /// The ECS API of these.
    ///
    /// # Errors
    /// An operation that the tables leave to the server is carried out by nobody, or the other way round.
    pub fn new(homes: Arc<Homes>) -> Result<Ecs, Wrong> {
        let left = hosted::left(api::ACCOUNT).chain(hosted::left(api::CLUSTER));
        hosted::check(&ecs::SERVICE, left, OUTSIDE.iter().map(|(name, _)| *name))?;
        let outside = OUTSIDE.iter().map(|(name, run)| (*name, Way::Outside(*run)));
        let ways = ways(api::ACCOUNT, Way::Account).chain(ways(api::CLUSTER, Way::Cluster)).chain(outside);
        let ways: HashMap<&str, Way> = ways.collect();
        let entry = |built: &'static Built| {
            Some((built.operation, Entry { built, way: *ways.get(built.operation)? }))
        };
        let table = SUPPORT.built.iter().filter_map(entry).collect();
        Ok(Ecs { homes, table })
    }
}

/// What of a table is carried out on one shard.
fn ways<D: Domain>(
    operations: &'static [Operation<Handler<D>>],
    on: fn(Handler<D>) -> Way,
) -> impl Iterator<Item = (&'static str, Way)> {
    let own = operations.iter().filter(|operation| !matches!(operation.handler, Handler::Outside));
    own.map(move |operation| (operation.built.operation, on(operation.handler)))
}

/// A command on the cluster that the input names, or a look at it.
async fn on_cluster(home: &Home, handler: Handler<Cluster>, call: Call) -> Result<Bytes, Error> {
    let ctx = home.ctx(&call.caller, call.now);
    let cluster = home.cluster(&ctx, call.input.get("cluster").and_then(|named| named.as_str()))?;
    let output = match handler {
        Handler::Write(read) => cluster.command(&call.caller, read(call.input)?).await?()?,
        Handler::Read(look) => look(&cluster.read().state, &ctx, call.input)?,
        Handler::Outside => return Err(errors::server("It is no matter of one cluster.")),
    };
    Ok(output.into())
}

/// DescribeTasks, of tasks in a cluster that was deleted lately too: they are remembered as long as others.
fn describe_tasks(home: &Home, mut call: Call) -> Result<Bytes, Error> {
    let request: ecs::DescribeTasksRequest = call.typed()?;
    let ctx = home.ctx(&call.caller, call.now);
    let cluster = home.known_cluster(&ctx, request.cluster.as_deref())?;
    json(&describe::describe_tasks(&cluster.read().state, &ctx, &request)?)
}

/// StopTask, of a task whose row was set aside too.
async fn stop_task(home: &Home, mut call: Call) -> Result<Bytes, Error> {
    let request: ecs::StopTaskRequest = call.typed()?;
    let ctx = home.ctx(&call.caller, call.now);
    let cluster = home.cluster(&ctx, request.cluster.as_deref())?;
    let id = request.task.rsplit('/').next().unwrap_or_default().to_owned();
    if home.give_up(&cluster, &id).await? {
        let shown = stop::unreadable(&ctx, &cluster.read().state.row.name, &id);
        return json(&ecs::StopTaskResponse { task: Some(shown) });
    }
    json(&cluster.execute(&call.caller, move |txn| stop::stop_task(txn, request)).await?)
}

fn json(reply: &impl Serialize) -> Result<Bytes, Error> {
    let bytes = serde_json::to_vec(reply).map_err(|error| errors::server(error.to_string()))?;
    Ok(bytes.into())
}
