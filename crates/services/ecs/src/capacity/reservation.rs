//! How much of what a capacity provider has is needed: the figure CapacityProviderReservation, by which an Auto Scaling group
//! grows and shrinks. [`figures`] takes a look at a provider in a cluster, [`needed`] and [`reservation`] are what follows.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/managed-scaling-behavior.html>

use std::collections::BTreeMap;

use super::{ATTRIBUTE, distribution::of_waiting};
use crate::{
    Account,
    cluster::{Cluster, InstanceFacet, InstanceId, InstanceStatus},
    placement::{Capacity, Request, Shape},
    rows::ManagedScaling,
};

/// A provider in a cluster, as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Container instances that are ACTIVE.
    pub instances: usize,
    /// Those of them without a task that is not a daemon's.
    pub empty: usize,
    /// Tasks that wait for it to grow.
    pub waiting: usize,
    /// How many instances there should be.
    pub needed: usize,
    /// CapacityProviderReservation, in percent.
    pub reservation: usize,
}

/// How many instances there should be, where there are `instances`, `empty` ones of them have nothing to do, and tasks that
/// are alike need `more` each; none where no task waits. Tasks that fit no instance are not among them.
pub fn needed(instances: usize, empty: usize, more: Option<&[usize]>, scaling: &ManagedScaling) -> usize {
    let steps = |count: i32| usize::try_from(count).unwrap_or(1).max(1);
    let (least, most) = (steps(scaling.minimum_scaling_step_size), steps(scaling.maximum_scaling_step_size));
    match more {
        None => instances.saturating_sub(empty),
        // What waits fits nowhere: another instance of the kind would be of no use.
        Some([]) => instances,
        Some(more) => {
            let more = more.iter().copied().max().unwrap_or(0);
            instances.saturating_add(more.clamp(least, most.max(least)))
        }
    }
}

/// The figure, in percent, rounded down. From nothing the first step is 200.
pub fn reservation(needed: usize, instances: usize) -> usize {
    match (needed, instances) {
        (0, 0) => 100,
        (_, 0) => 200,
        _ => needed.saturating_mul(100) / instances,
    }
}

/// Looks at a provider that is an Auto Scaling group or of managed instances: at its container instances and at the tasks
/// that wait for it.
pub fn figures(state: &Cluster, account: &Account, provider: &str) -> Figures {
    let ids = state.seek_instances(InstanceFacet::AttributeValue(ATTRIBUTE, provider)).after(None);
    let ids: Vec<InstanceId> = ids.filter(|id| is_active(state, id, provider)).collect();
    let empty = ids.iter().filter(|id| is_empty(state, id)).count();
    let waiting = waiting(state, account, provider);
    let scaling = account.provider_row(provider).and_then(|row| row.group.as_ref());
    let scaling = scaling.map(|group| group.managed_scaling.clone()).unwrap_or_default();
    let hosts: Vec<Capacity> = ids.iter().filter_map(|id| Capacity::of(state, id)).collect();
    // Nobody says here how large the next instance is: as those that are there are.
    let more = (!waiting.is_empty()).then(|| match hosts.is_empty() {
        true => vec![1],
        false => waiting
            .values()
            .filter_map(|(request, tasks)| instances_for(request, *tasks, &hosts))
            .collect::<Vec<_>>(),
    });
    let needed = needed(ids.len(), empty, more.as_deref(), &scaling);
    Figures {
        instances: ids.len(),
        empty,
        waiting: waiting.values().map(|(_, tasks)| tasks).sum(),
        needed,
        reservation: reservation(needed, ids.len()),
    }
}

/// What waits for a provider: what is asked for, and how many tasks ask for the same.
fn waiting(state: &Cluster, account: &Account, provider: &str) -> BTreeMap<Shape, (Request, usize)> {
    let mut groups: BTreeMap<Shape, (Request, usize)> = BTreeMap::new();
    for task in state.provisioning_tasks().filter(|task| task.capacity_provider.as_deref() == Some(provider))
    {
        let definition = account.task_definition(&task.task_definition);
        let Some(request) = definition.and_then(|definition| of_waiting(task, definition)) else { continue };
        groups.entry(request.shape()).or_insert((request, 0)).1 += 1;
    }
    groups
}

/// How many more instances of the largest size tasks that are alike need, beside what is free. None where one does not
/// fit the smallest.
fn instances_for(request: &Request, tasks: usize, hosts: &[Capacity]) -> Option<usize> {
    let whole = |host: &Capacity| request.fit_into(&host.registered());
    if hosts.iter().map(whole).min()? == 0 {
        return None;
    }
    let largest = hosts.iter().map(whole).max()?;
    let free = hosts.iter().fold(0, |free: usize, host| free.saturating_add(request.fit_into(host)));
    Some(tasks.saturating_sub(free).div_ceil(largest.max(1)))
}

fn is_active(state: &Cluster, id: &InstanceId, provider: &str) -> bool {
    let row = state.instance(id).filter(|row| row.status == InstanceStatus::Active);
    row.is_some_and(|row| super::of_instance(row) == Some(provider))
}

/// Whether all that is on a container instance is of daemons, managed ones or services of the strategy DAEMON.
fn is_empty(state: &Cluster, id: &InstanceId) -> bool {
    // Of a service several tasks may be here.
    let mut daemons = BTreeMap::new();
    state.tasks_on(id).all(|task| {
        let service = task.service.as_ref().map(|(name, _)| name);
        let of_service = service.is_some_and(|name| {
            *daemons.entry(name).or_insert_with(|| state.service(name).is_some_and(|row| row.daemon()))
        });
        of_service || task.daemon.is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_follow_from_what_is_there_and_what_waits() {
        let scaling = |least, most| ManagedScaling {
            minimum_scaling_step_size: least,
            maximum_scaling_step_size: most,
            ..ManagedScaling::default()
        };
        let any = (1, 10_000);
        // Instances, empty ones, what waits, the steps; how many are needed, and the figure.
        type Case = (usize, usize, Option<&'static [usize]>, (i32, i32), usize, usize);
        let table: &[Case] = &[
            (0, 0, None, any, 0, 100),
            (0, 0, Some(&[1]), any, 1, 200),
            (0, 0, Some(&[5]), any, 5, 200),
            (4, 0, None, any, 4, 100),
            (4, 1, None, any, 3, 75),
            (4, 4, None, any, 0, 0),
            (4, 0, Some(&[1, 2]), any, 6, 150),
            (4, 2, Some(&[1]), any, 5, 125),
            (4, 0, Some(&[]), any, 4, 100),
            (4, 0, Some(&[1]), (3, 10), 7, 175),
            (4, 0, Some(&[50]), (1, 2), 6, 150),
            (3, 0, Some(&[0]), any, 4, 133),
        ];
        for (instances, empty, more, (least, most), expected, figure) in table {
            let needed = needed(*instances, *empty, *more, &scaling(*least, *most));
            assert_eq!(
                (needed, reservation(needed, *instances)),
                (*expected, *figure),
                "{instances} {empty} {more:?}"
            );
        }
    }
}
