//! One cluster at work: its writer, its readers, and who waits for its assignments.

use std::{collections::BTreeSet, sync::Arc};

use brain::{
    Cluster, Step, Txn,
    account::Account,
    cluster::{Change, InstanceId, Key},
    tick,
};
use ecs_model::errors;
use store::Store;
use wire::{Error, Timestamp};

use super::{
    By, Identity, context, ids,
    wakers::Wakers,
    writer::{Handle, Machine, Outcome, Set, Visible},
};

/// Reads one cluster and sends commands to its writer.
#[derive(Clone)]
pub struct ClusterHandle {
    handle: Handle<Cluster>,
    account: Handle<Account>,
    identity: Arc<Identity>,
    wakers: Arc<Wakers>,
    /// Up to which container instance the last sweep has compared rows with links.
    swept: Arc<parking_lot::Mutex<InstanceId>>,
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
            move |state: &Cluster, at| due(state, &account.read().state, &identity, at, &wakers)
        };
        let handle = Handle::start(state, store.clone(), Arc::new(tick));
        let (account, identity, swept) = (account.clone(), identity.clone(), Arc::default());
        ClusterHandle { handle, account, identity, wakers, swept }
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
            let Step { state, changes, assignments, broken, reply } = step;
            tell_broken(&state.row.name, &broken);
            Ok((outcome(state, changes, assignments, &wakers), reply))
        };
        self.handle.execute(run).await
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
        caller: impl Into<By>,
        command: impl FnOnce(&mut Txn) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let in_active = |txn: &mut Txn| {
            if !txn.state.row.active {
                return Err(errors::cluster_not_found("Cluster not found."));
            }
            command(txn)
        };
        self.execute(caller, in_active).await
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

/// Does what is due, or brings times into line with a clock that was set.
fn due(
    state: &Cluster,
    account: &Account,
    identity: &Identity,
    (now, set): (Timestamp, Set),
    wakers: &Arc<Wakers>,
) -> Option<Outcome<Cluster>> {
    let ctx = context(identity, &By::default(), now);
    if set != Set::No {
        let run = |txn: &mut Txn| {
            if set == Set::Seen {
                tick::hold(txn);
            }
            tick::set_back(txn);
            Ok(())
        };
        let step = state.step(account, &ctx, &mut ids(), run).ok()?;
        tell_broken(&state.row.name, &step.broken);
        return Some(outcome(step.state, step.changes, step.assignments, wakers));
    }
    Cluster::wake_at(state).filter(|at| *at <= now)?;
    let step = tick::step(state, account, &ctx, &mut ids());
    tell_broken(&state.row.name, &step.broken);
    Some(outcome(step.state, step.changes, step.assignments, wakers))
}

/// Says what was set aside. The panic hook has printed why.
fn tell_broken(cluster: &str, broken: &[Key]) {
    for key in broken {
        let row = key.encode(cluster);
        tracing::error!(row, "a row breaks an assertion; it is left alone for a minute, the others go on");
    }
}
