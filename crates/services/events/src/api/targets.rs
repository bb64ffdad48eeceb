//! PutTargets and RemoveTargets.
//! <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutTargets.html>

use std::collections::BTreeSet;

use events_model::{PutTargetsRequest, PutTargetsResponse, RemoveTargetsRequest, RemoveTargetsResponse};
use wire::Error;

use super::{rules, target};
use crate::{limits, refuse, rows::Key, state::Txn};

/// PutTargets: all of them, or none. A target that is there is replaced.
pub fn put_targets(txn: &mut Txn, request: PutTargetsRequest) -> Result<PutTargetsResponse, Error> {
    let rule = rules::rule(txn.state, txn.ctx, request.event_bus_name.as_deref(), &request.rule)?.clone();
    rules::guard(&rule, None)?;
    let key = rule.key();
    let mut rows = Vec::with_capacity(request.targets.len());
    for target in request.targets {
        rows.push(target::read(txn, &rule, target)?);
    }
    let ids: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let others = txn.state.targets_after(&key, "").filter(|target| !ids.contains(target.row.id.as_str()));
    if others.count() + ids.len() > limits::TARGETS {
        return Err(refuse::too_many());
    }
    for mut row in rows {
        let old = txn.state.target(&row.key()).map(|target| &target.row);
        row.stream = match old.filter(|old| old.arn == row.arn).map(|old| old.stream) {
            Some(stream) => stream,
            None => txn.ids.id(),
        };
        txn.put(row);
    }
    Ok(PutTargetsResponse { failed_entry_count: Some(0), failed_entries: Some(Vec::new()) })
}

/// RemoveTargets: those that are not there are removed already.
pub fn remove_targets(txn: &mut Txn, request: RemoveTargetsRequest) -> Result<RemoveTargetsResponse, Error> {
    let rule = rules::rule(txn.state, txn.ctx, request.event_bus_name.as_deref(), &request.rule)?.clone();
    rules::guard(&rule, request.force)?;
    for id in request.ids {
        let key = (rule.key(), id);
        if txn.state.target(&key).is_some() {
            txn.delete(Key::Target(key));
        }
    }
    Ok(RemoveTargetsResponse { failed_entry_count: Some(0), failed_entries: Some(Vec::new()) })
}
