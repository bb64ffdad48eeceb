//! Why a service that somebody else deploys is in its state: how each of its task sets is.

use super::{Explanation, Look, count, refusals, service};
use crate::{
    cluster::{ServiceRow, Tally},
    service::plan::external,
};

/// Of an ACTIVE service of the controller EXTERNAL.
pub fn add(look: Look<'_>, row: &ServiceRow, tally: &Tally, told: &mut Explanation) {
    let mut none = true;
    for set in look.state.task_sets(&row.name) {
        none = false;
        let deployment = row.deployments.iter().find(|of| of.id == set.id);
        let status = match (set.draining, deployment.is_some_and(|of| of.primary)) {
            (true, _) => "DRAINING",
            (_, true) => "PRIMARY",
            _ => "ACTIVE",
        };
        let (share, stable) = (tally.share(&set.id), if set.steady { "STEADY_STATE" } else { "STABILIZING" });
        let wanted = external::computed(row.desired_count, set.scale);
        told.because.push(format!(
            "task set {} is {status}: {} % of {} are {}, {} RUNNING, {} pending; {stable} since {}",
            set.id,
            set.scale,
            row.desired_count,
            count(usize::try_from(wanted).unwrap_or(0), "task"),
            share.running,
            share.pending,
            set.steady_at.to_iso8601()
        ));
        if set.draining {
            told.waits_for.push(format!("the end of {} of task set {}", count(share.live, "task"), set.id));
        } else if !set.steady {
            told.waits_for.push(format!("task set {} to have its tasks, all of them healthy", set.id));
        }
        let Some(deployment) = deployment.filter(|_| !set.steady && !set.draining) else { continue };
        service::back_off(look, row, deployment, told);
        if row.unplaced.is_some() && told.refused.is_empty() {
            refusals::add(look, &refusals::requests(look, row, deployment), told);
        }
    }
    if let Some((why, at)) = &row.unplaced {
        told.because.push(format!("since {}: it was unable to place a task because {why}", at.to_iso8601()));
        told.waits_for.push("room for its next task".to_owned());
    }
    if none {
        told.because.push("it has no task set, and so no task".to_owned());
        told.would_change.push("CreateTaskSet".to_owned());
    } else if told.waits_for.is_empty() {
        told.would_change
            .push("UpdateTaskSet, with another scale; UpdateService, with another desired count".to_owned());
    }
}
