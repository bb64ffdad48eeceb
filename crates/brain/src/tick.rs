//! Time passes: every row that waits for a time that has come is looked at.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wire::Timestamp;

use crate::{
    Cluster, Ctx, Ids, Step,
    account::Account,
    cluster::{ClusterRow, InstanceRow, Key, TaskRow, TokenRow, Txn},
    clusters, instance, limits, service, task,
};

/// Rows that one tick looks at; the driver ticks again at once while more are due, or left unfinished.
const DUE: usize = 256;

/// Does what is due at the time of this step.
pub fn tick(txn: &mut Txn) {
    for key in txn.state.due(txn.ctx.now, DUE) {
        if txn.full() {
            break;
        }
        one(txn, key);
    }
    finish(txn);
}

fn one(txn: &mut Txn, key: Key) {
    match key {
        Key::Service(name) => service::woken(txn, &name),
        Key::Task(id) => task::report::forget(txn, &id),
        Key::Instance(id) => instance::state::forget(txn, &id),
        Key::Token(token) => txn.delete(Key::Token(token)),
        Key::Cluster => clusters::forget(txn),
    }
}

/// Goes on with what earlier steps left.
fn finish(txn: &mut Txn) {
    while !txn.full()
        && let Some(id) = txn.resume_instance()
    {
        instance::state::give_up(txn, &id);
    }
    txn.resume_services();
}

/// A step that does what is due. A row that breaks an assertion is set aside: the others have their turn.
pub fn step(state: &Cluster, account: &Account, ctx: &Ctx, ids: &mut Ids) -> Step<()> {
    let all = whole(state, account, ctx, ids, tick);
    all.unwrap_or_else(|| one_by_one(state, account, ctx, ids))
}

/// A step, unless it breaks an assertion.
fn whole(
    state: &Cluster,
    account: &Account,
    ctx: &Ctx,
    ids: &mut Ids,
    command: impl FnOnce(&mut Txn),
) -> Option<Step<()>> {
    let run = || {
        state.step(account, ctx, ids, |txn| {
            command(txn);
            Ok(())
        })
    };
    catch_unwind(AssertUnwindSafe(run)).ok()?.ok()
}

fn one_by_one(state: &Cluster, account: &Account, ctx: &Ctx, ids: &mut Ids) -> Step<()> {
    let (changes, assignments, broken) = Default::default();
    let mut all = Step { state: state.clone(), changes, assignments, broken, reply: () };
    let join = |all: &mut Step<()>, step: Step<()>| {
        all.state = step.state;
        all.changes.extend(step.changes);
        all.assignments.extend(step.assignments);
        all.broken.extend(step.broken);
    };
    // Few at a time: what each changes has to fit into one commit with what the others do.
    for key in state.due(ctx.now, DUE / 8) {
        match whole(&all.state, account, ctx, ids, |txn| one(txn, key.clone())) {
            Some(step) => join(&mut all, step),
            None => {
                all.state.set_aside(&key, ctx.now.plus_millis(limits::ASIDE_MS));
                all.broken.push(key);
            }
        }
    }
    match whole(&all.state, account, ctx, ids, finish) {
        Some(step) => join(&mut all, step),
        None => all.broken.extend(all.state.drop_unfinished()),
    }
    all
}

/// The clock was set, and may have been set ahead: what seems old enough to be forgotten may have come about a
/// moment ago, and somebody waits to see it. It stays as long as it does at the most.
pub fn hold(txn: &mut Txn) {
    let until = txn.ctx.now.plus_millis(limits::STOPPED_TASK_KEPT_MS);
    for key in txn.state.due(txn.ctx.now, usize::MAX) {
        let forgets = match &key {
            Key::Service(name) => txn.state.service(name).is_some_and(|row| row.forget_at.is_some()),
            Key::Task(_) | Key::Instance(_) | Key::Token(_) | Key::Cluster => true,
        };
        if forgets {
            txn.state.set_aside(&key, until);
        }
    }
}

/// The clock was set back, perhaps while nothing ran here: what waits for longer than anything of its kind ever
/// does waits for a time that never was. To be repeated while it changes something.
pub fn set_back(txn: &mut Txn) {
    let now = txn.ctx.now;
    let shortest = limits::SHORT_LIFE_MS;
    let late: Vec<Key> = txn.state.due_after(now.plus_millis(shortest)).cloned().collect();
    for key in late {
        if txn.full() {
            return;
        }
        let within = |at: Option<Timestamp>, most: i64| at.map(|at| at.min(now.plus_millis(most)));
        match key {
            Key::Task(id) => {
                let Some(row) = txn.state.task(&id).cloned() else { continue };
                let forget_at = within(row.forget_at, limits::STOPPED_TASK_KEPT_MS);
                if forget_at != row.forget_at {
                    txn.put_task(TaskRow { forget_at, ..row.as_ref().clone() });
                }
            }
            Key::Instance(id) => {
                let Some(row) = txn.state.instance(&id).cloned() else { continue };
                let forget_at = within(row.forget_at, limits::INACTIVE_KEPT_MS);
                if forget_at != row.forget_at {
                    txn.put_instance(InstanceRow { forget_at, ..row.as_ref().clone() });
                }
            }
            Key::Token(token) => {
                let Some(row) = txn.state.token(&token).cloned() else { continue };
                let forget_at = row.forget_at.min(now.plus_millis(limits::TOKEN_KEPT_MS));
                if forget_at != row.forget_at {
                    txn.put_token(TokenRow { forget_at, ..row.as_ref().clone() });
                }
            }
            Key::Cluster => {
                let row = txn.state.row.clone();
                let forget_at = within(row.forget_at, limits::INACTIVE_KEPT_MS);
                if forget_at != row.forget_at {
                    txn.put_cluster(ClusterRow { forget_at, ..row.as_ref().clone() });
                }
            }
            Key::Service(name) => service::set_back(txn, &name),
        }
    }
}

#[cfg(test)]
mod tests;
