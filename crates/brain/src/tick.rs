//! Time passes: every row that waits for a time that has come is looked at.

use crate::{
    cluster::{Key, Txn},
    clusters, instance, service, task,
};

/// Rows that one tick looks at; the driver ticks again at once while more are due, or left unfinished.
const DUE: usize = 256;

/// Does what is due at the time of this step.
pub fn tick(txn: &mut Txn) {
    for key in txn.state.due(txn.ctx.now, DUE) {
        if txn.full() {
            break;
        }
        match key {
            Key::Service(name) => service::woken(txn, &name),
            Key::Task(id) => task::report::forget(txn, &id),
            Key::Instance(id) => instance::state::forget(txn, &id),
            Key::Token(token) => txn.delete(Key::Token(token)),
            Key::Cluster => clusters::forget(txn),
        }
    }
    while !txn.full()
        && let Some(id) = txn.resume_instance()
    {
        instance::state::give_up(txn, &id);
    }
    txn.resume_services();
}
