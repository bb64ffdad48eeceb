//! Each index against a plain count of the rows that it is of.

use std::collections::{BTreeMap, BTreeSet};

use wire::Timestamp;

use crate::{
    capacity::used::Used,
    cluster::{
        Cluster, DeploymentId, InstanceId, InstanceStatus, ServiceName, TaskRow, TaskStatus, Totals,
        facets::Facets,
        tally::{Class, Place, Share, Zone},
        totals::Way,
    },
    instance::{ZONE, attribute},
};

/// What is broken, in words.
pub(super) fn check(state: &Cluster, broken: &mut Vec<String>) {
    totals(state, broken);
    facets(state, broken);
    tallies(state, broken);
    zones(state, broken);
    daemons(state, broken);
    used_capacity(state, broken);
    let splits = state.slots().broken(|| state.candidates());
    broken.extend(
        splits.iter().map(|layout| format!("what is kept of {layout:?} is not what would be made anew")),
    );
    broken.extend(
        state
            .provisioning_broken()
            .map(|is| format!("not those are PROVISIONING that are by their rows: {is}")),
    );
    broken.extend(
        state.waiting_broken().map(|is| format!("not those wait for room that do by their rows: {is}")),
    );
}

/// Where a daemon has looked, what it keeps is so.
fn daemons(state: &Cluster, broken: &mut Vec<String>) {
    for (name, kept) in state.daemons() {
        let live = state.tasks_of_service(name).filter(|task| task.last != TaskStatus::Stopped);
        let has: BTreeSet<InstanceId> = live.filter_map(|task| task.instance).collect();
        let looked = |id: &&InstanceId| !kept.changed().contains(*id);
        for id in kept.eligible().iter().filter(looked) {
            if state.instance(id).is_none_or(|row| row.status != InstanceStatus::Active) {
                broken.push(format!("daemon {name} belongs on {id}, which is not ACTIVE"));
            }
            if has.contains(id) == kept.lacking().contains(id) {
                broken.push(format!("daemon {name} has not what it keeps of {id}"));
            }
        }
        let strays = kept.lacking().iter().filter(|id| !kept.eligible().contains(*id));
        broken
            .extend(strays.map(|id| format!("daemon {name} lacks a task on {id}, where it does not belong")));
        for id in kept.lacking() {
            if !state.daemons_waiting_on(id).contains(name) {
                broken.push(format!("daemon {name} does not hear of room on {id}"));
            }
        }
    }
}

/// An index of rows is what the rows would make of an empty one.
fn facets(state: &Cluster, broken: &mut Vec<String>) {
    let made = Facets::of(state);
    if *state.facets() != made {
        broken.push(format!("rows are listed by {:?}, they should be by {made:?}", state.facets()));
    }
}

/// Which capacity providers are used.
fn used_capacity(state: &Cluster, broken: &mut Vec<String>) {
    let mut made = Used::default();
    state.tasks().for_each(|row| made.task(None, Some(row)));
    state.services().for_each(|row| made.service(None, Some(row)));
    if *state.used_capacity() != made {
        broken.push(format!("the use of capacity is {:?}, it should be {made:?}", state.used_capacity()));
    }
}

fn totals(state: &Cluster, broken: &mut Vec<String>) {
    let mut totals = Totals::default();
    state.instances().for_each(|row| totals.instance(row, Way::In));
    state.services().for_each(|row| totals.service(row, Way::In));
    state.tasks().for_each(|row| totals.task(row, Way::In));
    if *state.totals() != totals || state.tasks_kept() != state.tasks().count() {
        broken.push(format!("the totals are {:?}, they should be {totals:?}", state.totals()));
    }
}

/// What an index says of the tasks of one deployment.
#[derive(Debug, Default, PartialEq)]
struct Plain {
    running: i32,
    pending: i32,
    live: usize,
    shall_run: BTreeMap<Class, BTreeMap<Zone, BTreeSet<Place>>>,
    by_provider: BTreeMap<(Box<str>, Class), usize>,
    last_started: Option<Timestamp>,
}

fn zones(state: &Cluster, broken: &mut Vec<String>) {
    let mut zones: BTreeMap<Zone, usize> = BTreeMap::new();
    for row in state.instances().filter(|row| row.is_open()) {
        *zones.entry(attribute(row, ZONE).unwrap_or_default().into()).or_default() += 1;
    }
    if !state.zones().iter().eq(&zones) {
        broken.push(format!("the zones are {:?}, they should be {zones:?}", state.zones()));
    }
}

fn tallies(state: &Cluster, broken: &mut Vec<String>) {
    let mut shares: BTreeMap<(&ServiceName, &DeploymentId), Plain> = BTreeMap::new();
    for task in state.tasks() {
        let Some((service, deployment)) = &task.service else { continue };
        if task.last != TaskStatus::Stopped {
            shares.entry((service, deployment)).or_default().count(state, task);
        }
    }
    for (service, tally) in state.tallies() {
        for (deployment, share) in tally.shares() {
            let classes = Class::all().filter(|class| !share.class(*class).is_empty());
            let of = |class: Class| {
                let zones = share.class(class).iter();
                zones.map(|(zone, tasks)| (zone.clone(), tasks.iter().copied().collect())).collect()
            };
            let is = Plain {
                running: share.running,
                pending: share.pending,
                live: share.live,
                shall_run: classes.map(|class| (class, of(class))).collect(),
                by_provider: of_providers(share),
                last_started: share.last_started(Timestamp(i64::MAX)),
            };
            let shall_be = shares.remove(&(service, deployment)).unwrap_or_default();
            if is != shall_be {
                broken.push(format!("{service} has {is:?} of {deployment}, it should have {shall_be:?}"));
            }
        }
    }
    broken.extend(shares.keys().map(|(_, deployment)| format!("the tasks of {deployment} are in no index")));
}

/// How many tasks an index says are of each capacity provider and class.
fn of_providers(share: &Share) -> BTreeMap<(Box<str>, Class), usize> {
    let mut counts = BTreeMap::new();
    for provider in share.providers() {
        for class in Class::all() {
            let count = share.count_of(provider, |of| of == class);
            if count > 0 {
                counts.insert((provider.into(), class), count);
            }
        }
    }
    counts
}

impl Plain {
    fn count(&mut self, state: &Cluster, task: &TaskRow) {
        let (running, pending) = task.counts();
        self.running += running;
        self.pending += pending;
        self.live += 1;
        let Some(standing) = task.standing() else { return };
        let host = task.instance.as_ref().and_then(|id| state.instance(id));
        let leaving = host.is_some_and(|row| row.status != InstanceStatus::Active);
        let zone: Zone = host.and_then(|row| attribute(row, ZONE)).unwrap_or_default().into();
        let class = Class { leaving, standing, is_protected: task.protected_until.is_some() };
        if let Some(provider) = &task.capacity_provider {
            *self.by_provider.entry((provider.clone(), class)).or_default() += 1;
        }
        let zones = self.shall_run.entry(class).or_default();
        zones.entry(zone).or_default().insert((task.created_at, task.id));
        self.last_started = self.last_started.max(task.started_at);
    }
}
