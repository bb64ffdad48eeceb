//! The services that wait for room, by what they need: when room comes on a container instance, those that it could
//! serve are found without a look at the others. What a service needs follows from its task definition, which is no
//! row of a cluster: so it is noted when a look finds no room, and forgotten when the row no longer says that it waits.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use imbl::{OrdMap, OrdSet};

use super::{Cluster, looks, rows::*};
use crate::placement::{self, Request, Shape};

/// A service among those that wait: they come by what they need, those of much memory first.
pub type Turn = (Arc<Shape>, ServiceName);

/// Services that need the same.
#[derive(Debug, Clone)]
struct Alike {
    /// What each of them asks for.
    request: Arc<Request>,
    names: OrdSet<ServiceName>,
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Waiting {
    /// Those that were not looked at since a start.
    unknown: OrdSet<ServiceName>,
    known: OrdMap<ServiceName, OrdSet<Arc<Shape>>>,
    shapes: OrdMap<Arc<Shape>, Alike>,
}

impl Waiting {
    /// A service's row says whether it waits.
    pub(super) fn row(&mut self, row: &ServiceRow) {
        let waits = row.status == ServiceStatus::Active && row.unplaced.is_some() && !row.daemon();
        if !waits {
            self.forget(&row.name);
        } else if !self.known.contains_key(&row.name) {
            self.unknown.insert(row.name.clone());
        }
    }

    pub(super) fn forget(&mut self, name: &ServiceName) {
        self.unknown.remove(name);
        for shape in self.known.remove(name).into_iter().flatten() {
            let Some(alike) = self.shapes.get_mut(&shape) else { continue };
            alike.names.remove(name);
            if alike.names.is_empty() {
                self.shapes.remove(&shape);
            }
        }
    }

    fn note<'a>(&mut self, name: &ServiceName, requests: impl Iterator<Item = &'a Request>) {
        let wanted: Vec<(Arc<Shape>, &Request)> =
            requests.map(|request| (Arc::new(request.shape()), request)).collect();
        let shapes: OrdSet<Arc<Shape>> = wanted.iter().map(|(shape, _)| shape.clone()).collect();
        if self.known.get(name) == Some(&shapes) {
            return;
        }
        self.forget(name);
        for (shape, request) in wanted {
            let made = || Alike { request: Arc::new(request.clone()), names: OrdSet::new() };
            self.shapes.entry(shape).or_insert_with(made).names.insert(name.clone());
        }
        self.known.insert(name.clone(), shapes);
    }

    /// What is wrong with it, where `waits` are the services that wait by their rows.
    fn broken(&self, waits: &BTreeSet<&ServiceName>) -> Option<String> {
        let here: BTreeSet<&ServiceName> = self.unknown.iter().chain(self.known.keys()).collect();
        let places =
            self.shapes.iter().flat_map(|(shape, alike)| alike.names.iter().map(move |name| (name, shape)));
        let mut by_name: BTreeMap<&ServiceName, OrdSet<Arc<Shape>>> = BTreeMap::new();
        places.for_each(|(name, shape)| drop(by_name.entry(name).or_default().insert(shape.clone())));
        let twice = self.unknown.iter().any(|name| self.known.contains_key(name));
        (here != *waits
            || !self.known.iter().eq(by_name.iter().map(|(name, shapes)| (*name, shapes)))
            || twice)
            .then(|| format!("{self:?}"))
    }
}

impl Cluster {
    /// What is wrong with the index of services that wait.
    pub fn waiting_broken(&self) -> Option<String> {
        let waits = self
            .services
            .values()
            .filter(|row| row.status == ServiceStatus::Active && row.unplaced.is_some() && !row.daemon());
        self.waiting.broken(&waits.map(|row| &row.name).collect())
    }

    /// A look found no room for tasks of a service, which ask for these: one for each capacity provider that has none.
    pub fn waits_for<'a>(&mut self, name: &ServiceName, requests: impl Iterator<Item = &'a Request>) {
        self.waiting.note(name, requests);
    }

    /// Those that wait, and were not looked at since a start.
    pub fn waiting_unknown(&self) -> impl Iterator<Item = &ServiceName> {
        self.waiting.unknown.iter().inspect(|_| looks::one())
    }

    /// The first service behind another one that waits for what a container instance has room for now.
    pub fn next_waiting_for(&self, host: &InstanceId, behind: Option<&Turn>) -> Option<Turn> {
        let slot = self.usage(host)?.slot?;
        let left = self.slots.get(slot)?.memory.max(0);
        let from = match behind {
            Some((shape, _)) => Bound::Included(shape.clone()),
            None => Bound::Included(Arc::new(Shape::most(left))),
        };
        for (shape, alike) in self.waiting.shapes.range((from, Bound::Unbounded)) {
            looks::one();
            let after = behind.filter(|(of, _)| of == shape).map(|(_, name)| name);
            let after = after.map_or(Bound::Unbounded, |name| Bound::Excluded(name.clone()));
            let Some(name) = alike.names.range((after, Bound::Unbounded)).next() else { continue };
            if placement::place_on(self, &alike.request, host).is_ok() {
                return Some((shape.clone(), name.clone()));
            }
        }
        None
    }
}
