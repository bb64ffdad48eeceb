//! ECS of one account in one region: its task definitions and its clusters, each with its writer.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use ::ecs::{
    Cluster, Ctx,
    account::{self, Account},
    arn,
    capacity::attach,
    cluster::{ClusterRow, Keeps, TaskId, Writes},
    instance, limits,
};
use ecs_model::errors;
use parking_lot::{Mutex, RwLock};
use state::{Domain, ShardId, contract, shard::MAIN};
use wire::{Error, Timestamp};

use super::{ClusterHandle, found::OfPlace, handle, presence};
use crate::runtime::{
    By, Place, Runtime, Setting, Shard, Visible,
    carrier::{self, EventBus},
    context, could_not_be_stored,
    ferry::{self, Vpcs},
    now,
    outbox::{self, Calls},
};

/// Keys of agents that one look takes up.
const KEYS_SWEPT: usize = 100;

/// Whom clusters tell and ask, and what was configured of them.
pub(super) struct Asked {
    pub bus: Arc<dyn EventBus>,
    pub vpcs: Arc<dyn Vpcs>,
    pub calls: Arc<dyn Calls>,
    pub lost_after: Option<Duration>,
    pub keeps: Option<Keeps>,
}

/// The networks of one account and region.
struct InPlace(Place, Arc<dyn Vpcs>);

impl contract::Networks for InPlace {
    fn network(
        &self,
        subnets: &[String],
        groups: &[String],
    ) -> Result<contract::Network, contract::NotANetwork> {
        self.1.network(&self.0, subnets, groups)
    }
}

/// The running state of one account in one region.
pub struct Home {
    place: Place,
    partition: Arc<str>,
    runtime: Arc<Runtime>,
    bus: Arc<dyn EventBus>,
    vpcs: Arc<dyn Vpcs>,
    calls: Arc<dyn Calls>,
    lost_after_ms: Option<i64>,
    keeps: Option<Keeps>,
    account: Shard<Account>,
    clusters: RwLock<BTreeMap<String, ClusterHandle>>,
    /// Held while a cluster is made, so that each name has one writer.
    making: tokio::sync::Mutex<()>,
    /// Up to where the last sweep has looked through the keys of agents.
    keys_swept: Mutex<String>,
}

impl Home {
    pub(super) fn start(found: OfPlace, place: &Place, runtime: &Arc<Runtime>, asked: Asked) -> Arc<Home> {
        let (place, partition): (Place, Arc<str>) =
            (place.clone(), runtime.identity().partition.as_str().into());
        let id = shard_id(&place, MAIN);
        let (store, ports) = (runtime.store().clone(), Arc::new(|| ()));
        let setting = Setting { id, partition: partition.clone(), store, ports };
        let account = Shard::start(found.account, setting);
        let (clusters, making, keys_swept) = Default::default();
        let Asked { bus, vpcs, calls, lost_after, keeps } = asked;
        let runtime = runtime.clone();
        let lost_after_ms = lost_after.and_then(|after| i64::try_from(after.as_millis()).ok());
        let home = Home {
            place,
            partition,
            runtime,
            bus,
            vpcs,
            calls,
            lost_after_ms,
            keeps,
            account,
            clusters,
            making,
            keys_swept,
        };
        let started = found.clusters.into_iter().map(|(name, state)| {
            let cluster = home.start_cluster(&name, state);
            (name, cluster)
        });
        let started: BTreeMap<String, ClusterHandle> = started.collect();
        *home.clusters.write() = started;
        Arc::new(home)
    }

    fn start_cluster(&self, name: &str, state: Cluster) -> ClusterHandle {
        let account = self.account.clone();
        let (bus, place) = (self.bus.clone(), self.place.clone());
        let networks: Arc<dyn contract::Networks> = Arc::new(InPlace(self.place.clone(), self.vpcs.clone()));
        let (lost_after_ms, keeps) = (self.lost_after_ms, self.keeps);
        let ports = move || ecs::cluster::Ports {
            account: account.read().state.clone(),
            listened: bus.listens(&place, contract::ECS, now()),
            lost_after_ms,
            // Nothing evaluates alarms until CloudWatch is built.
            alarms: Arc::new(contract::NoAlarms),
            networks: networks.clone(),
            keeps,
        };
        let setting = Setting {
            id: shard_id(&self.place, name),
            partition: self.partition.clone(),
            store: self.runtime.store().clone(),
            ports: Arc::new(ports),
        };
        let shard = Shard::start(state, setting);
        carrier::start(&shard, self.bus.clone());
        ferry::start(&shard, self.vpcs.clone());
        outbox::start(&shard, self.calls.clone());
        ClusterHandle::start(shard, self.account.clone())
    }

    /// Its account and region.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The context of a command by `by` at `now`.
    pub fn ctx(&self, by: impl Into<By>, now: Timestamp) -> Ctx {
        context(&self.partition, (&self.place.0, &self.place.1), &by.into(), now)
    }

    /// Task definitions and settings as they stand.
    pub fn account(&self) -> Arc<Visible<Account>> {
        self.account.read()
    }

    /// Their shard.
    pub fn account_shard(&self) -> &Shard<Account> {
        &self.account
    }

    /// The ACTIVE cluster that a request names by name or ARN; `default` if it names none.
    ///
    /// # Errors
    /// `InvalidParameterException`; `ClusterNotFoundException`, which says so of one that is INACTIVE.
    pub fn cluster(&self, ctx: &Ctx, named: Option<&str>) -> Result<ClusterHandle, Error> {
        let cluster = self.known_cluster(ctx, named)?;
        match cluster.read().state.row.active {
            true => Ok(cluster),
            false => Err(handle::inactive()),
        }
    }

    /// Likewise, an INACTIVE one too.
    ///
    /// # Errors
    /// `InvalidParameterException`, `ClusterNotFoundException`.
    pub fn known_cluster(&self, ctx: &Ctx, named: Option<&str>) -> Result<ClusterHandle, Error> {
        let found = self.cluster_by_name(&arn::cluster_name(ctx, named)?);
        found.ok_or_else(handle::missing)
    }

    /// A cluster by its plain name, INACTIVE ones too.
    pub fn cluster_by_name(&self, name: &str) -> Option<ClusterHandle> {
        self.clusters.read().get(name).cloned()
    }

    /// All clusters in the order of their names, INACTIVE ones too.
    pub fn clusters(&self) -> Vec<ClusterHandle> {
        self.clusters.read().values().cloned().collect()
    }

    #[cfg(test)]
    pub(super) fn clusters_mut(&self) -> parking_lot::RwLockWriteGuard<'_, BTreeMap<String, ClusterHandle>> {
        self.clusters.write()
    }

    /// Held while a cluster is made.
    pub(super) fn making(&self) -> &tokio::sync::Mutex<()> {
        &self.making
    }

    /// What it stands on.
    pub(super) fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    pub(super) async fn disconnect_all(&self) -> Result<(), Error> {
        for cluster in self.clusters() {
            while cluster.execute("", |txn| Ok(instance::state::disconnect_all(txn))).await? {}
        }
        Ok(())
    }

    /// One look for what can be deleted.
    pub(super) async fn sweep_once(&self) -> Result<(), Error> {
        self.drop_gone().await;
        self.settle_providers().await?;
        self.sweep_keys().await?;
        self.sweep_presence().await;
        let account = self.account();
        let mut free: BTreeSet<_> = account.state.deleting().cloned().collect();
        let mut of_daemons: BTreeSet<_> = account.state.deleting_daemon_definitions().cloned().collect();
        if free.is_empty() && of_daemons.is_empty() {
            return Ok(());
        }
        // No new reference to any of them can begin, but a batch at work may have looked at the account before,
        // and its tasks are not visible yet: each writer is heard once, behind whatever it had begun.
        for cluster in self.clusters() {
            cluster.execute("", |_| Ok(())).await?;
        }
        for cluster in self.clusters() {
            let visible = cluster.read();
            free.retain(|id| !visible.state.refers_to(id));
            of_daemons.retain(|id| !visible.state.daemons_refer_to(id));
        }
        let sweep = move |txn: &mut account::Txn| {
            account::sweep(txn, |id| !free.contains(id));
            account::daemon::sweep(txn, |id| !of_daemons.contains(id));
            Ok(())
        };
        self.account.execute("", sweep).await
    }

    /// Compares some container instances of each cluster with their links.
    async fn sweep_presence(&self) {
        for cluster in self.clusters() {
            let after = *cluster.swept().lock();
            let next = presence::sweep(&cluster, after).await;
            *cluster.swept().lock() = next;
        }
    }

    /// Forgets the keys of container instances that are forgotten: looks at some more of them each time.
    async fn sweep_keys(&self) -> Result<(), Error> {
        let after = self.keys_swept.lock().clone();
        let rows = self.account().state.agent_keys_after(&after, KEYS_SWEPT);
        *self.keys_swept.lock() = match rows.last() {
            Some(last) if rows.len() == KEYS_SWEPT => last.access_key.clone(),
            _ => String::new(),
        };
        let forgotten = |row: &&Arc<account::AgentKeyRow>| {
            let cluster = self.cluster_by_name(&row.cluster);
            cluster.is_none_or(|cluster| cluster.read().state.instance(&row.instance).is_none())
        };
        let gone: Vec<String> = rows.iter().filter(forgotten).map(|row| row.access_key.clone()).collect();
        if gone.is_empty() {
            return Ok(());
        }
        let forget = move |txn: &mut account::Txn| {
            account::keys::forget(txn, gone);
            Ok(())
        };
        self.account.execute("", forget).await
    }

    /// Ends the writers of clusters of which nothing is left.
    async fn drop_gone(&self) {
        let _making = self.making.lock().await;
        self.clusters.write().retain(|_, cluster| !cluster.read().state.gone());
    }

    /// Gives up a task whose row was set aside: its agent is asked what it runs, and told to stop it. False when
    /// there is no such task.
    ///
    /// # Errors
    /// What could not be stored.
    pub async fn give_up(&self, cluster: &ClusterHandle, id: &str) -> Result<bool, Error> {
        let is_there = TaskId::parse(id).is_some_and(|id| cluster.read().state.task(&id).is_some());
        let (store, aside) = (self.runtime.store(), self.runtime.aside());
        if is_there || !cluster.task_keys(id).any(|key| aside.may_be(&key)) {
            return Ok(false);
        }
        for key in cluster.task_keys(id) {
            let commits = aside.give_up(store.as_ref(), &key);
            for commit in commits.map_err(|error| could_not_be_stored(&error))? {
                let (tell, told) = tokio::sync::oneshot::channel();
                store.submit(commit, Box::new(move |outcome| drop(tell.send(outcome))));
                let stored = told.await.unwrap_or(Err(store::Error::Closed));
                stored.map_err(|error| could_not_be_stored(&error))?;
            }
        }
        cluster.wakers().ask_what_runs();
        // Nobody would say of it any more that its interface may go.
        let forget = TaskId::parse(id);
        let forget = move |txn: &mut ::ecs::Txn| {
            if let Some(id) = forget.filter(|id| txn.state.interface_wanted(id).is_some()) {
                txn.delete(::ecs::cluster::Key::InterfaceWanted(id));
            }
            Ok(())
        };
        cluster.execute("", forget).await?;
        Ok(true)
    }

    /// Makes a cluster, or gives the ACTIVE one of that name.
    ///
    /// # Errors
    /// `ClientException` at the limit, what its capacity providers are refused for, or that it could not be stored.
    pub async fn create_cluster(&self, by: impl Into<By>, row: ClusterRow) -> Result<ClusterHandle, Error> {
        let _making = self.making.lock().await;
        let name = row.name.clone();
        let known = self.cluster_by_name(&name);
        if let Some(known) = known.as_ref().filter(|known| known.read().state.row.active) {
            return Ok(known.clone());
        }
        let all = self.clusters.read().len();
        let live = || self.clusters().iter().filter(|cluster| cluster.read().state.row.active).count();
        if limits::is_full(limits::CLUSTERS, all, live) {
            return Err(errors::client("The number of clusters has reached its limit."));
        }
        let fresh = || self.start_cluster(&name, Cluster::new(&shard_id(&self.place, &name)));
        let cluster = known.unwrap_or_else(fresh);
        let put = move |txn: &mut ::ecs::Txn| {
            attach::check(&txn.ports.account, &row)?;
            txn.put_cluster(row);
            Ok(())
        };
        cluster.execute(by, put).await?;
        self.clusters.write().insert(name, cluster.clone());
        Ok(cluster)
    }
}

/// The shard of a cluster, or [`MAIN`].
pub(super) fn shard_id(place: &Place, name: &str) -> ShardId {
    ShardId {
        account: place.0.clone(),
        region: place.1.clone(),
        service: Cluster::SERVICE,
        name: name.into(),
    }
}
