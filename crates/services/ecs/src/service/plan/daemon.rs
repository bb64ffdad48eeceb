//! The controller of services of scheduling strategy DAEMON: what goes of the tasks that are there. Where one is missing
//! is found by a look at each container instance (`service::daemon`); maximumPercent is 100, so an outdated task stops
//! before its place is taken.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service_scheduler.html>

use std::collections::BTreeSet;

use super::Plan;
use crate::{
    cluster::{TaskId, tally::Standing},
    limits,
    service::view::View,
};

/// Plans for a daemon that belongs on so many container instances, of which `surplus` are where they must not be.
pub fn plan(view: &View, eligible: usize, surplus: &[TaskId]) -> Plan {
    let is_healthy = |standing: Standing| standing == Standing::Healthy;
    let is_outdated = |deployment| deployment != view.primary.id;
    let healthy = view.tally.count(|_, class| is_healthy(class.standing));
    let floor = (eligible * usize::try_from(view.service.minimum_healthy_percent).unwrap_or(0)).div_ceil(100);
    let spare = healthy.saturating_sub(floor).min(limits::SETTLE_TASKS);
    let goes: BTreeSet<&TaskId> = surplus.iter().collect();
    let mut stop = surplus.to_vec();
    // While the PRIMARY deployment does not scale up yet, the view is of the one that serves: nothing is replaced by that.
    let replaces = view.primary.primary && !view.has_failed();
    for (of_healthy, most) in [(false, limits::SETTLE_TASKS), (true, spare)] {
        if !replaces {
            break;
        }
        let outdated = view.tally.newest(most + goes.len(), |deployment, class| {
            is_outdated(*deployment) && is_healthy(class.standing) == of_healthy && !class.is_protected
        });
        let outdated = outdated.into_iter().map(|(_, id)| id).filter(|id| !goes.contains(id));
        stop.extend(outdated.take(most));
    }
    stop.truncate(limits::SETTLE_TASKS);
    // All that there can be runs, and is needed: no task is on its way that would let an outdated one go.
    let full = healthy == view.tally.count(|_, _| true) && healthy >= eligible;
    let outdated = view.tally.count(|deployment, _| is_outdated(*deployment));
    let blocked = full && stop.is_empty() && outdated > 0 && replaces;
    Plan { start: 0, stop, blocked }
}
