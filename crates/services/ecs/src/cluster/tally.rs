//! The tasks of one service or daemon, counted and in order: what its next step is planned from, without a look at each
//! of them. An index of the rows of tasks and of container instances, changed only where those are applied.

use std::{collections::BTreeMap, sync::Arc};

use imbl::{OrdMap, OrdSet};
use wire::Timestamp;

use super::{looks, rows::*};
use crate::task::describe;

/// How far a task that shall run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Not RUNNING yet.
    Coming,
    /// RUNNING, but an essential container is not HEALTHY.
    Unhealthy,
    /// RUNNING, and its health checks failed when it had no more time to become healthy: it is to be replaced.
    Sick,
    /// RUNNING and, where health is checked, HEALTHY.
    Healthy,
}

/// Tasks of one deployment that are alike for the planner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Class {
    /// On a container instance that is to be emptied: one that is there and not ACTIVE.
    pub leaving: bool,
    pub standing: Standing,
    /// Protected from being chosen to be stopped, which one that is to be replaced is not.
    pub is_protected: bool,
}

/// A zone by its name; empty where none is known.
pub type Zone = Arc<str>;

/// Where a task is, as its service sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Site {
    /// As of a [`Class`].
    pub leaving: bool,
    pub zone: Zone,
}

/// Tasks of one zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InZone {
    pub zone: Zone,
    /// How many there are.
    pub tasks: usize,
    /// Some of those that may go, the newest first.
    pub may_go: Vec<Place>,
}

/// Where a task stands among those of its class: older ones first.
pub type Place = (Timestamp, TaskId);

/// Tasks by class.
type Classes = [OrdSet<Place>; 16];

/// How many are of classes that `which` names.
fn count(classes: &Classes, which: impl Fn(Class) -> bool) -> usize {
    Class::all().filter(|class| which(*class)).map(|class| classes[class.index()].len()).sum()
}

/// The tasks of one deployment of a service, or revision of a daemon, that are not STOPPED.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Share {
    /// RUNNING, as DescribeServices counts.
    pub running: i32,
    /// On the way there, as DescribeServices counts.
    pub pending: i32,
    /// Not STOPPED: a deployment is there as long as any is.
    pub live: usize,
    /// Those that shall run, of each class by zone: which of them to stop, and how many there are.
    shall_run: [OrdMap<Zone, OrdSet<Place>>; 16],
    /// Those that are of a capacity provider, by it and by zone.
    by_provider: OrdMap<Box<str>, OrdMap<Zone, Classes>>,
    /// When those that shall run have started: how long the youngest has lived.
    started: OrdSet<Place>,
}

/// All tasks of a service or daemon that are not STOPPED, by deployment or revision `K`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally<K: Ord + Clone = DeploymentId> {
    /// Those that have any.
    shares: OrdMap<K, Arc<Share>>,
}

impl<K: Ord + Clone> Default for Tally<K> {
    fn default() -> Self {
        Tally { shares: OrdMap::new() }
    }
}

impl Class {
    /// Every class.
    pub fn all() -> impl Iterator<Item = Class> {
        use Standing::{Coming, Healthy, Sick, Unhealthy};
        let places = [(false, false), (false, true), (true, false), (true, true)];
        places.into_iter().flat_map(|(leaving, is_protected)| {
            let of = move |standing| Class { leaving, standing, is_protected };
            [Coming, Unhealthy, Sick, Healthy].into_iter().map(of)
        })
    }

    fn of(row: &TaskRow, site: &Site) -> Option<Class> {
        row.standing().map(|standing| Class::new(site.leaving, standing, row.protected_until.is_some()))
    }

    /// That of a task that may be protected.
    pub fn new(leaving: bool, standing: Standing, is_protected: bool) -> Class {
        Class { leaving, standing, is_protected: is_protected && standing != Standing::Sick }
    }

    /// Whether it is as good as a new one: it is not to be replaced where it is, nor for its health.
    pub fn stays(self) -> bool {
        !self.leaving && self.standing != Standing::Sick
    }

    /// Whether it may become healthy still.
    pub fn is_coming(self) -> bool {
        matches!(self.standing, Standing::Coming | Standing::Unhealthy)
    }

    fn index(self) -> usize {
        self.standing as usize + 4 * usize::from(self.leaving) + 8 * usize::from(self.is_protected)
    }
}

impl Share {
    /// The tasks of a class by zone, the oldest first.
    pub fn class(&self, class: Class) -> &OrdMap<Zone, OrdSet<Place>> {
        &self.shall_run[class.index()]
    }

    /// How many of the tasks that shall run are of classes that `which` names, in each zone where there are any.
    pub fn zones(&self, which: impl Fn(Class) -> bool) -> BTreeMap<Zone, usize> {
        let mut counted = BTreeMap::new();
        for (zone, tasks) in Class::all().filter(|class| which(*class)).flat_map(|class| self.class(class)) {
            *counted.entry(zone.clone()).or_default() += tasks.len();
        }
        counted
    }

    /// The tasks that shall run and are of classes that `which` names, by zone; of those that are not protected, at most
    /// `most` of each.
    pub fn in_zones(&self, most: usize, which: impl Fn(Class) -> bool) -> Vec<InZone> {
        let counted = self.zones(&which).into_iter();
        let mut zones: Vec<_> =
            counted.map(|(zone, tasks)| InZone { zone, tasks, may_go: Vec::new() }).collect();
        for class in Class::all().filter(|class| !class.is_protected && which(*class)) {
            for zone in &mut zones {
                let tasks = self.class(class).get(&zone.zone).into_iter();
                zone.may_go
                    .extend(tasks.flat_map(|tasks| tasks.iter().rev().take(most)).inspect(|_| looks::one()));
            }
        }
        for zone in &mut zones {
            zone.may_go.sort_unstable_by(|a, b| b.cmp(a));
            zone.may_go.truncate(most);
        }
        zones
    }

    /// How many of the tasks that shall run are of classes that `which` names.
    pub fn count(&self, which: impl Fn(Class) -> bool) -> usize {
        let of = |class| self.class(class).values().map(OrdSet::len).sum::<usize>();
        Class::all().filter(|class| which(*class)).map(of).sum()
    }

    /// How many of the tasks that shall run are of a capacity provider and of classes that `which` names.
    pub fn count_of(&self, provider: &str, which: impl Fn(Class) -> bool) -> usize {
        let zones = self.by_provider.get(provider).into_iter().flat_map(OrdMap::values);
        zones.map(|classes| count(classes, &which)).sum()
    }

    /// Likewise, in each zone where it has any.
    pub fn zones_of(&self, provider: &str, which: impl Fn(Class) -> bool) -> BTreeMap<Zone, usize> {
        let zones = self.by_provider.get(provider).into_iter().flatten();
        zones.map(|(zone, classes)| (zone.clone(), count(classes, &which))).collect()
    }

    /// Of each zone at most `most` of the tasks of a capacity provider that shall run, are not protected, and are of classes
    /// that `which` names: the newest ones, the oldest of them first.
    pub fn may_go_of(
        &self,
        provider: &str,
        most: usize,
        which: impl Fn(Class) -> bool,
    ) -> BTreeMap<Zone, Vec<Place>> {
        let zones = self.by_provider.get(provider).into_iter().flatten();
        let of = |classes: &Classes| -> Vec<Place> {
            let may_go = Class::all().filter(|class| !class.is_protected && which(*class));
            let newest = may_go.flat_map(|class| classes[class.index()].iter().rev().take(most));
            let mut all: Vec<Place> = newest.inspect(|_| looks::one()).copied().collect();
            all.sort_unstable();
            all.split_off(all.len().saturating_sub(most))
        };
        zones.map(|(zone, classes)| (zone.clone(), of(classes))).collect()
    }

    /// At most `most` of the tasks of a capacity provider and a class that shall run, the newest first.
    pub fn newest_of(&self, provider: &str, class: Class, most: usize) -> Vec<Place> {
        let zones = self.by_provider.get(provider).into_iter().flat_map(OrdMap::values);
        let newest = zones.flat_map(|classes| classes[class.index()].iter().rev().take(most));
        let mut all: Vec<Place> = newest.inspect(|_| looks::one()).copied().collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        all.truncate(most);
        all
    }

    /// The capacity providers that any of the tasks that shall run is of.
    pub fn providers(&self) -> impl Iterator<Item = &str> {
        self.by_provider.keys().map(|name| &**name)
    }

    /// Whether a task that shall run is of a capacity provider.
    pub fn is_of(&self, provider: &str, place: &Place) -> bool {
        let mut classes = self.by_provider.get(provider).into_iter().flat_map(OrdMap::values).flatten();
        classes.any(|class| class.contains(place))
    }

    fn leave_provider(&mut self, row: &TaskRow, class: usize, zone: &Zone) {
        let Some(provider) = &row.capacity_provider else { return };
        let Some(zones) = self.by_provider.get_mut(provider) else { return };
        let Some(classes) = zones.get_mut(zone) else { return };
        classes[class].remove(&(row.created_at, row.id));
        if classes.iter().all(OrdSet::is_empty) {
            zones.remove(zone);
        }
        if zones.is_empty() {
            self.by_provider.remove(provider);
        }
    }

    /// When the youngest of the tasks that shall run started, of those that started until `now`.
    pub fn last_started(&self, now: Timestamp) -> Option<Timestamp> {
        let until = (now, TaskId(state::Id128(u128::MAX)));
        self.started.range(..=until).next_back().map(|(at, _)| *at)
    }

    /// Whether any of the tasks that shall run started after `since` and until `until`.
    pub fn has_started_within(&self, since: Timestamp, until: Timestamp) -> bool {
        self.last_started(until).is_some_and(|last| last > since)
    }
}

impl<K: Ord + Clone> Tally<K> {
    /// A deployment's share; one of nothing where none of its tasks is left.
    pub fn share(&self, deployment: &K) -> Arc<Share> {
        self.shares.get(deployment).cloned().unwrap_or_default()
    }

    /// The deployments that have a task which is not STOPPED.
    pub fn shares(&self) -> impl Iterator<Item = (&K, &Arc<Share>)> {
        self.shares.iter()
    }

    /// RUNNING, and on the way there.
    pub fn counts(&self) -> (i32, i32) {
        self.shares.values().fold((0, 0), |sum, share| (sum.0 + share.running, sum.1 + share.pending))
    }

    /// How many are not STOPPED.
    pub fn live(&self) -> usize {
        self.shares.values().map(|share| share.live).sum()
    }

    /// How many of the tasks that shall run are of deployments and classes that `which` names.
    pub fn count(&self, which: impl Fn(&K, Class) -> bool) -> usize {
        self.shares.iter().map(|(id, share)| share.count(|class| which(id, class))).sum()
    }

    /// At most `most` of the tasks that shall run and are of deployments and classes that `which` names, the newest
    /// first.
    pub fn newest(&self, most: usize, which: impl Fn(&K, Class) -> bool) -> Vec<Place> {
        let mut found = Vec::new();
        for (id, share) in &self.shares {
            for class in Class::all().filter(|class| which(id, *class)) {
                let zones = share.class(class).values();
                let newest = zones.flat_map(|tasks| tasks.iter().rev().take(most));
                found.extend(newest.inspect(|_| looks::one()).copied());
            }
        }
        found.sort_unstable_by(|a, b| b.cmp(a));
        found.truncate(most);
        found
    }

    /// Whether all of its tasks shall run: none is being stopped.
    pub fn is_whole(&self) -> bool {
        self.shares.values().all(|share| share.live == share.count(|_| true))
    }

    /// Whether nothing is left of it.
    pub(super) fn is_empty(&self) -> bool {
        self.shares.is_empty()
    }

    /// A task that is not STOPPED is there, or is as this row says from now on.
    pub(super) fn add(&mut self, of: &K, row: &TaskRow, site: &Site) {
        let share = Arc::make_mut(self.shares.entry(of.clone()).or_default());
        let (running, pending) = row.counts();
        share.running += running;
        share.pending += pending;
        share.live += 1;
        if let Some(class) = Class::of(row, site) {
            let here = share.shall_run[class.index()].entry(site.zone.clone()).or_default();
            here.insert((row.created_at, row.id));
            if let Some(provider) = &row.capacity_provider {
                let zones = share.by_provider.entry(provider.clone()).or_default();
                let classes = zones.entry(site.zone.clone()).or_default();
                classes[class.index()].insert((row.created_at, row.id));
            }
            share.started.extend(row.started_at.map(|at| (at, row.id)));
        }
    }

    /// A task is no longer as this row says.
    pub(super) fn subtract(&mut self, of: &K, row: &TaskRow, site: &Site) {
        let Some(share) = self.shares.get_mut(of) else { return };
        let share = Arc::make_mut(share);
        let (running, pending) = row.counts();
        share.running -= running;
        share.pending -= pending;
        share.live -= 1;
        if let Some(class) = Class::of(row, site) {
            let zones = &mut share.shall_run[class.index()];
            if let Some(here) = zones.get_mut(&site.zone) {
                here.remove(&(row.created_at, row.id));
                if here.is_empty() {
                    zones.remove(&site.zone);
                }
            }
            share.leave_provider(row, class.index(), &site.zone);
            if let Some(at) = row.started_at {
                share.started.remove(&(at, row.id));
            }
        }
        if share.live == 0 {
            self.shares.remove(of);
        }
    }
}

impl TaskRow {
    /// (1, 0) when RUNNING, (0, 1) when on the way there, (0, 0) after, as ECS counts tasks.
    pub fn counts(&self) -> (i32, i32) {
        match self.last {
            TaskStatus::Provisioning | TaskStatus::Pending | TaskStatus::Activating => (0, 1),
            TaskStatus::Running => (1, 0),
            _ => (0, 0),
        }
    }

    /// Likewise, as its container instance counts it: what is on Fargate is on none that anybody sees.
    pub fn counts_on_instance(&self) -> (i32, i32) {
        if self.is_on_fargate() { (0, 0) } else { self.counts() }
    }

    /// Whether anybody checks its health.
    pub fn is_checked(&self) -> bool {
        self.containers.iter().any(|container| container.essential && container.health_checked)
    }

    /// How far it has come; `None` where it shall not run.
    pub fn standing(&self) -> Option<Standing> {
        if self.desired != Desired::Running {
            return None;
        }
        Some(match self.last {
            TaskStatus::Running if !self.is_checked() || describe::health(self) == HealthStatus::Healthy => {
                Standing::Healthy
            }
            last if last < TaskStatus::Running => Standing::Coming,
            _ if self.failed_health => Standing::Sick,
            _ => Standing::Unhealthy,
        })
    }

    /// Whether an index of services counts it as another row of the same task.
    pub(super) fn counts_alike(&self, other: &TaskRow) -> bool {
        let of = |row: &TaskRow| (row.last, row.standing(), row.started_at, row.created_at, row.instance);
        let is_protected = |row: &TaskRow| row.protected_until.is_some();
        of(self) == of(other)
            && is_protected(self) == is_protected(other)
            && self.service == other.service
            && self.daemon == other.daemon
            && self.capacity_provider == other.capacity_provider
    }
}
