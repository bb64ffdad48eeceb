//! The driver: the brain's only contact with the world. It reads the rows from the store at start, runs one
//! writer for each ECS cluster and one for the account, gives every reader a consistent snapshot, and tells
//! the agent link whose assignments changed. It decides nothing.

mod aside;
mod assignments;
mod clock;
mod cluster;
mod load;
mod presence;
#[cfg(test)]
pub(crate) mod tests;
mod wakers;
mod writer;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use brain::{
    Cluster, Ctx, Ids,
    account::{self, Account},
    arn,
    cluster::{ClusterRow, InstanceId},
    instance, limits,
};
use ecs_model::errors;
use parking_lot::RwLock;
use store::Store;
use wire::{Error, Timestamp};

use crate::front_door::{Caller, Role};

pub use clock::{now, undoubted};
pub use cluster::ClusterHandle;
pub use writer::Visible;
use writer::{Handle, Machine, Outcome};

/// Between looks for task definitions that can be deleted.
const SWEEP: Duration = Duration::from_secs(5);

/// Keys of agents that one such look takes up.
const KEYS_SWEPT: usize = 100;

/// Whose control plane this is.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Twelve digits.
    pub account: String,
    pub region: String,
    pub partition: String,
}

/// By whom a command is given.
#[derive(Debug, Clone, Default)]
pub struct By {
    /// Empty for the control plane itself.
    pub arn: String,
    /// The container instance whose agent it is.
    pub agent: Option<InstanceId>,
}

impl From<&str> for By {
    fn from(arn: &str) -> By {
        By { arn: arn.to_owned(), agent: None }
    }
}

impl From<&Caller> for By {
    fn from(caller: &Caller) -> By {
        let agent = match &caller.role {
            Role::Agent { instance, .. } => Some(InstanceId::from(instance.as_ref())),
            Role::User | Role::NewAgent | Role::NewAgentOfOperator => None,
        };
        By { arn: caller.arn.to_string(), agent }
    }
}

/// The running state of one account.
pub struct Driver {
    identity: Arc<Identity>,
    store: Arc<dyn Store>,
    account: Handle<Account>,
    clusters: RwLock<BTreeMap<String, ClusterHandle>>,
    /// Held while a cluster is made, so that each name has one writer.
    making: tokio::sync::Mutex<()>,
    /// Up to where the last sweep has looked through the keys of agents.
    keys_swept: parking_lot::Mutex<String>,
    /// Rows that could not be read.
    aside: Arc<aside::Aside>,
}

impl Driver {
    /// Reads all rows and starts the writers.
    pub fn open(store: Arc<dyn Store>, identity: Identity) -> Result<Arc<Driver>, store::Error> {
        let rows = load::load(store.as_ref(), now())?;
        let identity = Arc::new(identity);
        let account = Handle::start(rows.account, store.clone(), Arc::new(|_, _| None));
        let start = |state: Cluster| ClusterHandle::start(state, &store, &account, &identity);
        let clusters = rows.clusters.into_iter().map(|(name, state)| (name, start(state))).collect();
        let (clusters, making) = (RwLock::new(clusters), tokio::sync::Mutex::default());
        let keys_swept = parking_lot::Mutex::default();
        let aside = Arc::new(rows.aside);
        Ok(Arc::new(Driver { identity, store, account, clusters, making, keys_swept, aside }))
    }

    /// Begins to serve: until its agent connects again, no container instance counts as connected.
    pub async fn start(&self) -> Result<(), Error> {
        for cluster in self.clusters() {
            while cluster.execute("", |txn| Ok(instance::state::disconnect_all(txn))).await? {}
        }
        Ok(())
    }

    /// Deletes the task definitions that wait for their last reference to end, and lets go of clusters that are
    /// forgotten, for as long as the driver lives.
    pub fn sweep(self: &Arc<Driver>) {
        let driver = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(SWEEP).await;
                let Some(driver) = driver.upgrade() else { return };
                if let Err(error) = driver.sweep_once().await {
                    tracing::warn!(%error, "task definitions could not be deleted");
                }
            }
        });
    }

    /// One such look.
    async fn sweep_once(&self) -> Result<(), Error> {
        self.drop_gone().await;
        self.sweep_keys().await?;
        self.sweep_presence().await;
        let mut free: BTreeSet<_> = self.account().state.deleting().cloned().collect();
        if free.is_empty() {
            return Ok(());
        }
        // No new reference to any of them can begin, but a batch at work may have looked at the account before,
        // and its tasks are not visible yet: each writer is heard once, behind whatever it had begun.
        for cluster in self.clusters() {
            cluster.execute("", |_| Ok(())).await?;
        }
        self.clusters().iter().for_each(|cluster| cluster.read().state.retain_unreferenced(&mut free));
        let sweep = move |account: &Account, _: &Ctx| {
            Ok(account::Step { changes: account::sweep(account, |id| !free.contains(id)), reply: () })
        };
        self.execute_account("", sweep).await
    }

    /// Compares some container instances of each cluster with their links.
    async fn sweep_presence(&self) {
        for cluster in self.clusters() {
            let after = std::mem::take(&mut *cluster.swept().lock());
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
        self.execute_account("", move |state, ctx| Ok(account::keys::forget(state, ctx, &gone))).await
    }

    /// Ends the writers of clusters of which nothing is left.
    async fn drop_gone(&self) {
        let _making = self.making.lock().await;
        self.clusters.write().retain(|_, cluster| !cluster.read().state.gone());
    }

    /// Whose control plane this is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The store under it.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The context of a command by `caller_arn` at `now`.
    pub fn ctx(&self, caller: impl Into<By>, now: Timestamp) -> Ctx {
        context(&self.identity, &caller.into(), now)
    }

    /// The account as it stands.
    pub fn account(&self) -> Arc<Visible<Account>> {
        self.account.read()
    }

    /// Runs a command on the account.
    pub async fn execute_account<T: Send + 'static>(
        &self,
        caller: impl Into<By>,
        command: impl FnOnce(&Account, &Ctx) -> Result<account::Step<T>, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (identity, caller) = (self.identity.clone(), caller.into());
        let run = move |state: &Account, now| {
            let step = command(state, &context(&identity, &caller, now))?;
            let mut state = state.clone();
            step.changes.iter().for_each(|change| state.apply(change));
            Ok((Outcome { state, changes: step.changes, effect: None }, step.reply))
        };
        self.account.execute(run).await
    }

    /// The ACTIVE cluster that a request names by name or ARN; `default` if it names none.
    ///
    /// # Errors
    /// `ClusterNotFoundException`.
    pub fn cluster(&self, ctx: &Ctx, named: Option<&str>) -> Result<ClusterHandle, Error> {
        let found = self.cluster_by_name(&arn::cluster_name(ctx, named)?);
        let active = found.filter(|cluster| cluster.read().state.row.active);
        active.ok_or_else(|| errors::cluster_not_found("Cluster not found."))
    }

    /// A cluster by its plain name, INACTIVE ones too.
    pub fn cluster_by_name(&self, name: &str) -> Option<ClusterHandle> {
        self.clusters.read().get(name).cloned()
    }

    /// All clusters in the order of their names, INACTIVE ones too.
    pub fn clusters(&self) -> Vec<ClusterHandle> {
        self.clusters.read().values().cloned().collect()
    }

    /// Gives up a task whose row was set aside: its agent is asked what it runs, and told to stop it. False when
    /// there is no such task.
    pub async fn give_up(&self, cluster: &ClusterHandle, id: &str) -> Result<bool, Error> {
        let name = cluster.read().state.row.name.clone();
        if cluster.read().state.task(&id.into()).is_some() || !self.aside.may_be_task(&name, id) {
            return Ok(false);
        }
        let commits = self.aside.give_up(self.store.as_ref(), &name, id);
        for commit in commits.map_err(|error| writer::could_not_be_stored(&error))? {
            let (tell, told) = tokio::sync::oneshot::channel();
            self.store.submit(commit, Box::new(move |outcome| drop(tell.send(outcome))));
            let stored = told.await.unwrap_or(Err(store::Error::Closed));
            stored.map_err(|error| writer::could_not_be_stored(&error))?;
        }
        cluster.wakers().ask_what_runs();
        Ok(true)
    }

    /// Makes a cluster, or gives the ACTIVE one of that name.
    pub async fn create_cluster(
        &self,
        caller: impl Into<By>,
        row: ClusterRow,
    ) -> Result<ClusterHandle, Error> {
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
        // It is INACTIVE, and no request finds it, until its row is on disk.
        let unmade = || Cluster::new(ClusterRow { active: false, ..row.clone() });
        let fresh = || ClusterHandle::start(unmade(), &self.store, &self.account, &self.identity);
        let cluster = known.unwrap_or_else(fresh);
        let put = move |txn: &mut brain::Txn| {
            txn.put_cluster(row);
            Ok(())
        };
        cluster.execute(caller, put).await?;
        self.clusters.write().insert(name, cluster.clone());
        Ok(cluster)
    }
}

impl Machine for Account {
    type Change = account::Change;

    fn encode(&self, change: &account::Change) -> store::Change {
        let key = change.key().encode();
        match change {
            account::Change::Put(row) => store::Change::Put { key, value: row.encode().into() },
            account::Change::Delete(_) => store::Change::Delete { key },
        }
    }

    fn wake_at(&self) -> Option<Timestamp> {
        None
    }
}

fn context(identity: &Identity, caller: &By, now: Timestamp) -> Ctx {
    let Identity { account, region, partition } = identity.clone();
    let By { arn: caller_arn, agent } = caller.clone();
    Ctx { now, account, region, partition, caller_arn, agent }
}

fn ids() -> Ids {
    Ids::new(uuid::Uuid::new_v4().as_u128())
}
