//! Each index against a plain count of the rows that it is of.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::Arc,
};

use wire::Timestamp;

use crate::{
    capacity::used::Used,
    cluster::{
        Cluster, InstanceId, InstanceRow, TaskRow, TaskStatus, Totals,
        daemons::Resident,
        facets::Facets,
        tally::{Class, Place, Share, Tally, Zone},
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
    residents(state, broken);
    used_capacity(state, broken);
    let twice = state.kept_tasks().filter(|row| state.task(&row.task.id).is_some());
    broken.extend(twice.map(|row| format!("task {} is kept, and shown", row.task.id)));
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
        state
            .interfaces_broken()
            .map(|is| format!("not those want an interface that do by their rows: {is}")),
    );
    broken.extend(state.turns_broken().map(|is| format!("who has the turn of a startedBy is {is}")));
    broken.extend(
        state.waiting_broken().map(|is| format!("not those wait for room that do by their rows: {is}")),
    );
}

/// Where one that has a task on every container instance of a kind has looked, what it keeps is so.
fn residents(state: &Cluster, broken: &mut Vec<String>) {
    for (whose, kept) in state.residents() {
        let live = state.tasks().filter(|task| task.last != TaskStatus::Stopped);
        let live = live.filter(|task| Resident::of(task).as_ref() == Some(whose));
        let has: BTreeSet<InstanceId> = live.filter_map(|task| task.instance).collect();
        let looked = |id: &&InstanceId| !kept.changed().contains(*id);
        for id in kept.eligible().iter().filter(looked) {
            let may_be = |row: &InstanceRow| !row.status.is_to_be_emptied() || row.is_held();
            if state.instance(id).is_none_or(|row| !may_be(row)) {
                broken.push(format!("{whose:?} belongs on {id}, which is to be emptied"));
            }
            if has.contains(id) == (kept.lacking().contains(id) || kept.waiting().contains(id)) {
                broken.push(format!("{whose:?} has not what it keeps of {id}"));
            }
        }
        let sets = [kept.lacking(), kept.waiting(), kept.outdated()];
        for id in sets.iter().flat_map(|set| set.iter()).filter(|id| !kept.eligible().contains(*id)) {
            broken.push(format!("{whose:?} has something to do on {id}, where it does not belong"));
        }
        for id in kept.outdated().iter().filter(looked).filter(|id| !has.contains(*id)) {
            broken.push(format!("{whose:?} has nothing to replace on {id}"));
        }
        for id in kept.lacking() {
            if !state.residents_waiting_on(id).contains(whose) {
                broken.push(format!("{whose:?} does not hear of room on {id}"));
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
    state.daemon_rows().for_each(|row| made.daemon(None, Some(row)));
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
#[derive(Debug, Clone, Default, PartialEq)]
struct Plain {
    running: i32,
    pending: i32,
    live: usize,
    shall_run: BTreeMap<Class, BTreeMap<Zone, BTreeSet<Place>>>,
    by_provider: BTreeMap<(Box<str>, Class, Zone), usize>,
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
    let of_service = |task: &TaskRow| task.service.clone();
    counted(state, state.tallies(), of_service, broken);
    let of_daemon = |task: &TaskRow| task.daemon.as_ref().map(|of| (of.name.clone(), of.revision));
    counted(state, state.crews(), of_daemon, broken);
}

/// The tallies of services, or of daemons; `of` says of which one, and of which part of it, a task is.
fn counted<'a, N: Ord + Debug + 'a, K: Ord + Clone + Debug + 'a>(
    state: &Cluster,
    tallies: impl Iterator<Item = (&'a N, &'a Arc<Tally<K>>)>,
    of: impl Fn(&TaskRow) -> Option<(N, K)>,
    broken: &mut Vec<String>,
) {
    let mut shares: BTreeMap<(N, K), Plain> = BTreeMap::new();
    for task in state.tasks().filter(|task| task.last != TaskStatus::Stopped) {
        if let Some(of) = of(task) {
            shares.entry(of).or_default().count(state, task);
        }
    }
    for (service, tally) in tallies {
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
            let own = shares.keys().find(|(name, of)| name == service && of == deployment);
            let shall_be = own.and_then(|own| shares.get(own)).cloned().unwrap_or_default();
            if is != shall_be {
                broken.push(format!("{service:?} has {is:?} of {deployment:?}, it should have {shall_be:?}"));
            }
            shares.retain(|(name, of), _| name != service || of != deployment);
        }
    }
    broken.extend(shares.keys().map(|(_, of)| format!("the tasks of {of:?} are in no index")));
}

/// How many tasks an index says are of each capacity provider, class and zone.
fn of_providers(share: &Share) -> BTreeMap<(Box<str>, Class, Zone), usize> {
    let mut counts = BTreeMap::new();
    for provider in share.providers() {
        for class in Class::all() {
            let zones =
                share.zones_of(provider, |of| of == class).into_iter().filter(|(_, tasks)| *tasks > 0);
            counts.extend(zones.map(|(zone, tasks)| ((provider.into(), class, zone), tasks)));
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
        let leaving = host.is_some_and(|row| row.status.is_to_be_emptied());
        let zone: Zone = host.and_then(|row| attribute(row, ZONE)).unwrap_or_default().into();
        let class = Class::new(leaving, standing, task.protected_until.is_some());
        if let Some(provider) = &task.capacity_provider {
            *self.by_provider.entry((provider.clone(), class, zone.clone())).or_default() += 1;
        }
        let zones = self.shall_run.entry(class).or_default();
        zones.entry(zone).or_default().insert((task.created_at, task.id));
        self.last_started = self.last_started.max(task.started_at);
    }
}
