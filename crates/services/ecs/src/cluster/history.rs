//! What is kept of services beside their rows: what each has said, in order, and the client token that made it. A look
//! at what was said begins with the newest, and costs what it shows.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use super::{Cluster, Key, Row, looks, rows::*};
use crate::limits;

/// Of all services.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    events: OrdMap<ServiceName, OrdMap<u64, Arc<ServiceEventRow>>>,
    tokens: OrdMap<ServiceName, Arc<ServiceTokenRow>>,
    /// Services whose stored row is of an earlier version: what is kept beside them is not stored but in it.
    unwritten: OrdSet<ServiceName>,
}

impl History {
    pub(super) fn put_event(&mut self, row: &Arc<ServiceEventRow>) {
        self.events.entry(row.service.clone()).or_default().insert(row.number, row.clone());
    }

    pub(super) fn forget_event(&mut self, (service, number): &(ServiceName, u64)) {
        let Some(events) = self.events.get_mut(service) else { return };
        events.remove(number);
        if events.is_empty() {
            self.events.remove(service);
        }
    }

    pub(super) fn put_token(&mut self, row: &Arc<ServiceTokenRow>) {
        self.tokens.insert(row.service.clone(), row.clone());
    }

    pub(super) fn forget_token(&mut self, service: &ServiceName) {
        self.tokens.remove(service);
    }

    /// All of it.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row> {
        let events = self.events.values().flat_map(OrdMap::values).cloned().map(Row::ServiceEvent);
        events.chain(self.tokens.values().cloned().map(Row::ServiceToken))
    }

    /// Whether the row of a service that is stored holds what is kept beside it.
    pub(super) fn set_unwritten(&mut self, service: &ServiceName, is: bool) {
        if is {
            self.unwritten.insert(service.clone());
        } else {
            self.unwritten.remove(service);
        }
    }
}

impl Cluster {
    /// What a service has said, the newest first.
    pub fn service_events(&self, service: &ServiceName) -> impl Iterator<Item = &Arc<ServiceEventRow>> {
        let events = self.history.events.get(service).into_iter();
        events.flat_map(|events| events.values().rev()).inspect(|_| looks::one())
    }

    /// One event of a service.
    pub fn service_event(&self, service: &ServiceName, number: u64) -> Option<&Arc<ServiceEventRow>> {
        looks::one();
        self.history.events.get(service)?.get(&number)
    }

    /// What all services have said, by service, the oldest first.
    pub fn all_service_events(&self) -> impl Iterator<Item = &Arc<ServiceEventRow>> {
        self.history.events.values().flat_map(OrdMap::values).inspect(|_| looks::one())
    }

    /// The number of the next event of a service.
    pub fn next_service_event(&self, service: &ServiceName) -> u64 {
        let newest = self.history.events.get(service).and_then(OrdMap::get_max);
        newest.map_or(1, |(number, _)| number.saturating_add(1))
    }

    /// The oldest event of a service that has more than it keeps.
    pub fn surplus_service_event(&self, service: &ServiceName) -> Option<Key> {
        let events = self.history.events.get(service)?;
        let (oldest, _) = events.get_min().filter(|_| events.len() > limits::SERVICE_EVENTS)?;
        Some(Key::ServiceEvent((service.clone(), *oldest)))
    }

    /// The client token that made a service.
    pub fn service_token(&self, service: &ServiceName) -> Option<&Arc<ServiceTokenRow>> {
        self.history.tokens.get(service)
    }

    /// All client tokens that made services.
    pub fn service_tokens(&self) -> impl Iterator<Item = &Arc<ServiceTokenRow>> {
        self.history.tokens.values()
    }

    /// The rows that are kept beside the row of a service.
    pub fn beside_service(&self, service: &ServiceName) -> impl Iterator<Item = Row> {
        let events = self.service_events(service).cloned().map(Row::ServiceEvent);
        let deployments = self.service_deployments(service, u64::MAX).cloned().map(Row::ServiceDeployment);
        let revisions = self.revisions(service).cloned().map(Row::ServiceRevision);
        let images = self.revisions(service).filter_map(|row| self.images(service, row.id));
        let revisions = revisions.chain(images.cloned().map(Row::ServiceImages));
        let sets = self.task_sets(service).cloned().map(Row::TaskSet);
        let token = self.service_token(service).cloned().map(Row::ServiceToken);
        events.chain(token).chain(deployments).chain(revisions).chain(sets)
    }

    /// Whether these are stored nowhere but in the row of the service, which an earlier version wrote.
    pub fn is_unwritten(&self, service: &ServiceName) -> bool {
        self.history.unwritten.contains(service)
    }
}
