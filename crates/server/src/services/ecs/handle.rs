//! One cluster at work: its writer, its readers, and who waits for its assignments.

use std::sync::Arc;

use ::ecs::{
    Account, Cluster, Txn,
    cluster::{InstanceId, Key, Row, TaskId, assigned},
};
use ecs_model::errors;
use state::{ShardId, Table};
use wire::Error;

use super::wakers::Wakers;
use crate::runtime::{By, Follow, Shard, Visible};

/// There is no cluster of that name.
pub(super) fn missing() -> Error {
    errors::cluster_not_found("Cluster not found.")
}

/// It was deleted lately.
pub(super) fn inactive() -> Error {
    errors::cluster_not_found("The referenced cluster was inactive.")
}

/// Reads one cluster and sends commands to its writer.
#[derive(Clone)]
pub struct ClusterHandle {
    shard: Shard<Cluster>,
    account: Shard<Account>,
    wakers: Arc<Wakers>,
    /// Up to which container instance the last sweep has compared rows with links.
    swept: Arc<parking_lot::Mutex<InstanceId>>,
}

impl ClusterHandle {
    pub(super) fn start(shard: Shard<Cluster>, account: Shard<Account>) -> ClusterHandle {
        let wakers = Arc::new(Wakers::default());
        let told = wakers.clone();
        shard.follow(Box::new(move |delta| {
            told.wake(assigned(delta.before, delta.after, delta.keys));
        }));
        ClusterHandle { shard, account, wakers, swept: Arc::default() }
    }

    /// Which shard it is.
    pub fn id(&self) -> &ShardId {
        self.shard.id()
    }

    /// The keys in the store that a task's row may have had when it was set aside.
    pub(super) fn task_keys(&self, id: &str) -> impl Iterator<Item = String> {
        let now = TaskId::parse(id).map(|id| Row::path(&Key::Task(id)));
        let earlier = format!("task/{id}");
        now.into_iter().chain([earlier]).map(|row| self.id().key(&row))
    }

    /// The cluster as it stands on disk.
    pub fn read(&self) -> Arc<Visible<Cluster>> {
        self.shard.read()
    }

    /// The account as it stands on disk.
    pub fn account(&self) -> Arc<Visible<Account>> {
        self.account.read()
    }

    /// Runs a command, and answers when what it changed is durable.
    ///
    /// # Errors
    /// The command's own, or that its changes could not be stored.
    pub async fn execute<T: Send + 'static>(
        &self,
        by: impl Into<By>,
        command: impl FnOnce(&mut Txn) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.shard.execute(by, command).await
    }

    /// Has each commit from now on told.
    pub fn follow(&self, follow: Follow<Cluster>) {
        self.shard.follow(follow);
    }

    /// Up to where the last sweep went.
    pub(super) fn swept(&self) -> &parking_lot::Mutex<InstanceId> {
        &self.swept
    }

    /// Runs a command that needs the cluster to be ACTIVE when its turn comes: it may have been deleted since the
    /// request found it.
    ///
    /// # Errors
    /// `ClusterNotFoundException`, and those of [`ClusterHandle::execute`].
    pub async fn command<T: Send + 'static>(
        &self,
        by: impl Into<By>,
        command: impl FnOnce(&mut Txn) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let in_active = |txn: &mut Txn| {
            if !txn.state.row.active {
                return Err(inactive());
            }
            command(txn)
        };
        self.execute(by, in_active).await
    }

    /// Who waits for assignments, and which session of each instance is the newest.
    pub(super) fn wakers(&self) -> &Arc<Wakers> {
        &self.wakers
    }

    /// A counter that moves whenever the assignments of this container instance may have changed.
    pub(super) fn wake_on(&self, instance: &InstanceId) -> tokio::sync::watch::Receiver<u64> {
        self.wakers.subscribe(instance)
    }
}
