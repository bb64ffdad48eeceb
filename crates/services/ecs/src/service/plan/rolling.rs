//! The controller of services that replace their tasks within percentages.

use super::{
    Plan,
    percents::{self, Health, Tasks, Want},
    zones,
};
use crate::{
    beyond,
    capacity::strategy,
    cluster::{
        DeploymentId,
        tally::{Class, Place, Standing},
    },
    limits,
    service::view::{View, in_order},
};

/// Plans for a service.
pub fn plan(view: &View) -> Plan {
    within(view, view.service.desired_count, |_| true)
}

/// Plans for a service whose deployment has not begun to replace tasks: none is, and what is lost is made up for with the
/// view's PRIMARY deployment.
pub fn keep_up(view: &View) -> Plan {
    plan(&View { keeps: true, ..*view })
}

/// Plans for those revisions of a service that `which` names, as if there were no others: so many tasks are wanted of the
/// PRIMARY one.
pub fn within(view: &View, desired: i32, which: impl Fn(&DeploymentId) -> bool) -> Plan {
    let want = Want {
        desired,
        moving: view.service.rebalancing.unwrap_or_default().extra,
        minimum_healthy_percent: view.service.minimum_healthy_percent,
        maximum_percent: view.service.maximum_percent,
        upheld: counted(view, |deployment, class| which(deployment) && is_upheld(view, deployment, class)),
        sick: counted(view, |deployment, class| which(deployment) && class.standing == Standing::Sick),
        may_start: view.may_start,
        full: view.full,
        one_at_a_time: beyond::replaces_one_at_a_time(&view.service.tags),
        stalled: view.has_failed(),
    };
    let protected = count(view, &which, |class| class.is_protected);
    let plan = percents::plan(&want, &count(view, &which, |_| true), &protected);
    // What has not started yet does not start on an instance that is to be emptied.
    let late =
        view.tally.newest(limits::SETTLE_TASKS, |deployment, class| which(deployment) && is_late(class));
    let most = limits::SETTLE_TASKS - late.len();
    let mut stop = in_order(late);
    let mut goes = chosen(view, &which, &plan.stop, most);
    // One after the other they go as they are replaced.
    if view.cleans && !want.one_at_a_time {
        goes.extend(left(view, &which, most - goes.len(), &goes));
    }
    stop.extend(in_order(goes));
    let start = usize::try_from(plan.start).unwrap_or(0).min(limits::SETTLE_TASKS);
    Plan { start, stop, blocked: plan.blocked }
}

/// The tasks of other revisions that do not go already.
fn left(view: &View, which: &impl Fn(&DeploymentId) -> bool, most: usize, goes: &[Place]) -> Vec<Place> {
    let all = view.tally.newest(most + goes.len(), |deployment, class| {
        let goes = !is_late(class) && !is_upheld(view, deployment, class) && !class.is_protected;
        which(deployment) && *deployment != view.primary.id && goes
    });
    all.into_iter().filter(|place| !goes.contains(place)).take(most).collect()
}

/// What has not started yet, on an instance that is to be emptied.
fn is_late(class: Class) -> bool {
    class.leaving && class.standing == Standing::Coming && !class.is_protected
}

/// Of the PRIMARY deployment, or of any where none is replaced, on a container instance that is not to be emptied.
fn is_current(view: &View, deployment: &DeploymentId, class: Class) -> bool {
    (view.keeps || *deployment == view.primary.id) && class.stays()
}

/// On its way to make up for one of the revision that serves: what comes of it is not replaced.
fn is_upheld(view: &View, deployment: &DeploymentId, class: Class) -> bool {
    view.upheld == Some(*deployment) && class.is_coming() && !class.leaving
}

/// How many tasks are of revisions and classes that `which` names.
fn counted(view: &View, which: impl Fn(&DeploymentId, Class) -> bool) -> i32 {
    i32::try_from(view.tally.count(which)).unwrap_or(i32::MAX)
}

/// The tasks of revisions that `which` names and of classes that `of_class` does.
fn count(view: &View, which: &impl Fn(&DeploymentId) -> bool, of_class: impl Fn(Class) -> bool) -> Tasks {
    let of = |current: bool, healthy: bool| {
        counted(view, |deployment, class| {
            which(deployment)
                && is_current(view, deployment, class) == current
                && (class.standing == Standing::Healthy) == healthy
                && !is_late(class)
                && !is_upheld(view, deployment, class)
                && of_class(class)
        })
    };
    let health = |current: bool| Health { healthy: of(current, true), not_healthy: of(current, false) };
    Tasks { current: health(true), outdated: health(false) }
}

/// The tasks of the PRIMARY deployment to stop, of some standings: those of the capacity providers to which the last ones
/// came, so that what stays is distributed as it was; of each provider the newest. `gone` go already.
fn by_strategy(view: &View, standings: &[Standing], wanted: usize, gone: &[Place]) -> Vec<Place> {
    let share = view.tally.share(&view.primary.id);
    let items = &view.primary.capacity_provider_strategy;
    let newest = |name: &str| -> Vec<Place> {
        let of = |standing: &Standing| {
            let class = Class { leaving: false, standing: *standing, is_protected: false };
            share.newest_of(name, class, wanted)
        };
        let mut all: Vec<Place> = standings.iter().flat_map(of).collect();
        all.sort_unstable();
        all
    };
    let mut may: Vec<Vec<Place>> = items.iter().map(|item| newest(&item.capacity_provider)).collect();
    let mut have: Vec<usize> =
        items.iter().map(|item| share.count_of(&item.capacity_provider, Class::stays)).collect();
    for (item, have) in items.iter().zip(&mut have) {
        let of = |place: &&Place| share.is_of(&item.capacity_provider, place);
        *have -= gone.iter().filter(of).count();
    }
    let mut chosen = Vec::new();
    while chosen.len() < wanted {
        let Some(at) = strategy::last(items, &have, |at| !may[at].is_empty()) else { break };
        chosen.extend(may[at].pop());
        have[at] -= 1;
    }
    chosen
}

/// The tasks to stop: of each kind the newest that is not protected, of outdated ones those first that are to be replaced
/// whatever their revision; of current ones of one revision as the strategy distributes them, or of the zone that has the most.
fn chosen(view: &View, which: &impl Fn(&DeploymentId) -> bool, stop: &Tasks, most: usize) -> Vec<Place> {
    let mut chosen = Vec::new();
    for (current, health) in [(true, stop.current), (false, stop.outdated)] {
        let of_one = current && !view.keeps;
        for (healthy, wanted) in [(false, health.not_healthy), (true, health.healthy)] {
            let wanted = usize::try_from(wanted).unwrap_or(0).min(most - chosen.len());
            let before = chosen.len();
            if of_one && !view.primary.capacity_provider_strategy.is_empty() {
                let standings: &[Standing] = match healthy {
                    true => &[Standing::Healthy],
                    false => &[Standing::Coming, Standing::Unhealthy],
                };
                let more = by_strategy(view, standings, wanted, &chosen);
                chosen.extend(more);
                continue;
            }
            if of_one && zones::are_spread_over(view.service) {
                let kind = |class: Class| class.stays() && (class.standing == Standing::Healthy) == healthy;
                let zones = view.tally.share(&view.primary.id).in_zones(wanted, kind);
                chosen.extend(zones::fullest_first(zones, wanted).into_iter().map(|(_, place)| place));
                continue;
            }
            // Those whose place others have taken go before those that are as good as new.
            for stays in [false, true] {
                let left = wanted - (chosen.len() - before);
                chosen.extend(view.tally.newest(left, |deployment, class| {
                    which(deployment)
                        && class.stays() == stays
                        && is_current(view, deployment, class) == current
                        && (class.standing == Standing::Healthy) == healthy
                        && !is_late(class)
                        && !is_upheld(view, deployment, class)
                        && !class.is_protected
                }));
            }
        }
    }
    chosen
}
