//! One cluster at work: its writer, its readers, and who waits for its assignments.

use std::{collections::BTreeSet, sync::Arc};

use brain::{
    Cluster, Step, Txn,
    account::Account,
    cluster::{Change, InstanceId},
    tick,
};
use store::Store;
use wire::{Error, Timestamp};

use super::{
    By, Identity, context, ids,
    wakers::Wakers,
    writer::{Handle, Machine, Outcome, Visible},
};

/// Reads one cluster and sends commands to its writer.
#[derive(Clone)]
pub struct ClusterHandle {
    handle: Handle<Cluster>,
    account: Handle<Account>,
    identity: Arc<Identity>,
    wakers: Arc<Wakers>,
}

impl ClusterHandle {
    pub(super) fn start(
        state: Cluster,
        store: &Arc<dyn Store>,
        account: &Handle<Account>,
        identity: &Arc<Identity>,
    ) -> ClusterHandle {
        let wakers = Arc::new(Wakers::default());
        let tick = {
            let (account, identity, wakers) = (account.clone(), identity.clone(), wakers.clone());
            move |state: &Cluster, now| due(state, &account.read().state, &identity, now, &wakers)
        };
        let handle = Handle::start(state, store.clone(), Arc::new(tick));
        ClusterHandle { handle, account: account.clone(), identity: identity.clone(), wakers }
    }

    /// The cluster as it stands on disk.
    pub fn read(&self) -> Arc<Visible<Cluster>> {
        self.handle.read()
    }

    /// The account as it stands on disk.
    pub fn account(&self) -> Arc<Visible<Account>> {
        self.account.read()
    }

    /// Runs a command, and answers when what it changed is durable.
    pub async fn execute<T: Send + 'static>(
        &self,
        caller: impl Into<By>,
        command: impl FnOnce(&mut Txn) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (account, identity, wakers) = (self.account.clone(), self.identity.clone(), self.wakers.clone());
        let caller = caller.into();
        let run = move |state: &Cluster, now: Timestamp| {
            let ctx = context(&identity, &caller, now);
            let step = state.step(&account.read().state, &ctx, &mut ids(), command)?;
            let Step { state, changes, assignments, reply } = step;
            Ok((outcome(state, changes, assignments, &wakers), reply))
        };
        self.handle.execute(run).await
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

impl Machine for Cluster {
    type Change = Change;

    fn encode(&self, change: &Change) -> store::Change {
        let key = change.key().encode(&self.row.name);
        match change {
            Change::Put(row) => store::Change::Put { key, value: row.encode().into() },
            Change::Delete(_) => store::Change::Delete { key },
        }
    }

    fn wake_at(&self) -> Option<Timestamp> {
        Cluster::wake_at(self)
    }
}

fn outcome(
    state: Cluster,
    changes: Vec<Change>,
    assignments: BTreeSet<InstanceId>,
    wakers: &Arc<Wakers>,
) -> Outcome<Cluster> {
    let wakers = wakers.clone();
    let told = !assignments.is_empty();
    let wake: Box<dyn FnOnce() + Send> = Box::new(move || wakers.wake(&assignments));
    Outcome { state, changes, effect: told.then_some(wake) }
}

fn due(
    state: &Cluster,
    account: &Account,
    identity: &Identity,
    now: Timestamp,
    wakers: &Arc<Wakers>,
) -> Option<Outcome<Cluster>> {
    Cluster::wake_at(state).filter(|at| *at <= now)?;
    let ctx = context(identity, &By::default(), now);
    let ticked = state.step(account, &ctx, &mut ids(), |txn| {
        tick::tick(txn);
        Ok(())
    });
    let step = ticked.inspect_err(|error| tracing::error!(%error, "a timer failed")).ok()?;
    Some(outcome(step.state, step.changes, step.assignments, wakers))
}
