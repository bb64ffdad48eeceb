//! The revisions, with the images that they came to, the deployments and task sets of services. A look at deployments begins with the newest, and costs what it
//! shows.

use std::sync::Arc;

use imbl::OrdMap;
use state::{Id128, outbox::Outbox};

use super::{Cluster, Key, Row, looks, rows::*};
use crate::limits;

/// Of all services.
#[derive(Debug, Clone, Default)]
pub(super) struct Deployed {
    revisions: OrdMap<ServiceName, OrdMap<DeploymentId, Arc<ServiceRevisionRow>>>,
    images: OrdMap<(ServiceName, DeploymentId), Arc<ServiceImagesRow>>,
    deployments: OrdMap<ServiceName, OrdMap<u64, Arc<ServiceDeploymentRow>>>,
    task_sets: OrdMap<ServiceName, OrdMap<DeploymentId, Arc<TaskSetRow>>>,
    /// The hooks whose functions are to be called, and of which deployments they are.
    calls: Outbox,
    called: OrdMap<Id128, (ServiceName, u64)>,
}

impl Deployed {
    pub(super) fn put_revision(&mut self, row: &Arc<ServiceRevisionRow>) {
        self.revisions.entry(row.service.clone()).or_default().insert(row.id, row.clone());
    }

    pub(super) fn put_images(&mut self, row: &Arc<ServiceImagesRow>) {
        self.images.insert((row.service.clone(), row.id), row.clone());
    }

    pub(super) fn forget_images(&mut self, id: &(ServiceName, DeploymentId)) {
        self.images.remove(id);
    }

    pub(super) fn put_deployment(&mut self, row: &Arc<ServiceDeploymentRow>) {
        let id = (row.service.clone(), row.number);
        self.take_back_calls(&id);
        for (execution, function) in row.calls() {
            self.calls.put(function.call_at, execution);
            self.called.insert(execution, id.clone());
        }
        self.deployments.entry(row.service.clone()).or_default().insert(row.number, row.clone());
    }

    pub(super) fn put_task_set(&mut self, row: &Arc<TaskSetRow>) {
        self.task_sets.entry(row.service.clone()).or_default().insert(row.id, row.clone());
    }

    pub(super) fn forget_task_set(&mut self, (service, id): &(ServiceName, DeploymentId)) {
        let Some(sets) = self.task_sets.get_mut(service) else { return };
        sets.remove(id);
        if sets.is_empty() {
            self.task_sets.remove(service);
        }
    }

    pub(super) fn forget_revision(&mut self, (service, id): &(ServiceName, DeploymentId)) {
        let Some(revisions) = self.revisions.get_mut(service) else { return };
        revisions.remove(id);
        if revisions.is_empty() {
            self.revisions.remove(service);
        }
    }

    fn take_back_calls(&mut self, (service, number): &(ServiceName, u64)) {
        let Some(row) = self.deployments.get(service).and_then(|all| all.get(number)) else { return };
        for (execution, function) in row.calls() {
            self.calls.remove(function.call_at, execution);
            self.called.remove(&execution);
        }
    }

    pub(super) fn forget_deployment(&mut self, id: &(ServiceName, u64)) {
        self.take_back_calls(id);
        let (service, number) = id;
        let Some(deployments) = self.deployments.get_mut(service) else { return };
        deployments.remove(number);
        if deployments.is_empty() {
            self.deployments.remove(service);
        }
    }

    /// All of it; what belongs to a revision before that.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row> {
        let deployments = self.deployments.values().flat_map(OrdMap::values).cloned();
        let revisions = self.revisions.values().flat_map(OrdMap::values).cloned();
        let sets = self.task_sets.values().flat_map(OrdMap::values).cloned();
        let images = self.images.values().cloned().map(Row::ServiceImages);
        let deployments = deployments.map(Row::ServiceDeployment).chain(images);
        deployments.chain(revisions.map(Row::ServiceRevision)).chain(sets.map(Row::TaskSet))
    }
}

impl Cluster {
    /// Which hooks call functions, and when.
    pub fn calls(&self) -> &Outbox {
        &self.deployed.calls
    }

    /// The deployment one of whose hooks calls a function, by the id of its execution.
    pub fn service_deployment_that_calls(&self, execution: Id128) -> Option<&Arc<ServiceDeploymentRow>> {
        self.deployed.called.get(&execution).and_then(|id| self.service_deployment_by_number(id))
    }

    /// A revision of a service.
    pub fn revision(&self, service: &ServiceName, id: DeploymentId) -> Option<&Arc<ServiceRevisionRow>> {
        looks::one();
        self.deployed.revisions.get(service)?.get(&id)
    }

    /// All revisions of a service, in order of their numbers.
    pub fn revisions(&self, service: &ServiceName) -> impl Iterator<Item = &Arc<ServiceRevisionRow>> {
        let revisions = self.deployed.revisions.get(service).into_iter();
        revisions.flat_map(OrdMap::values).inspect(|_| looks::one())
    }

    /// What the images of a revision of a service are resolved to, where any is.
    pub fn images(&self, service: &ServiceName, id: DeploymentId) -> Option<&Arc<ServiceImagesRow>> {
        looks::one();
        self.deployed.images.get(&(service.clone(), id))
    }

    /// Those of all revisions of all services.
    pub fn all_images(&self) -> impl Iterator<Item = &Arc<ServiceImagesRow>> {
        self.deployed.images.values()
    }

    /// The newest deployment of a service: the only one that may go on.
    pub fn service_deployment(&self, service: &ServiceName) -> Option<&Arc<ServiceDeploymentRow>> {
        looks::one();
        self.deployed.deployments.get(service)?.get_max().map(|(_, row)| row)
    }

    /// The deployments of a service whose number is below `below`, the newest first.
    pub fn service_deployments(
        &self,
        service: &ServiceName,
        below: u64,
    ) -> impl Iterator<Item = &Arc<ServiceDeploymentRow>> {
        let deployments = self.deployed.deployments.get(service).into_iter();
        let deployments = deployments.flat_map(move |all| all.range(..below).rev());
        deployments.map(|(_, row)| row).inspect(|_| looks::one())
    }

    /// One of them, by the last part of its ARN.
    pub fn service_deployment_by_id(
        &self,
        service: &ServiceName,
        id: &str,
    ) -> Option<&Arc<ServiceDeploymentRow>> {
        self.service_deployments(service, u64::MAX).find(|row| row.id == id)
    }

    /// One of them, by its number.
    pub fn service_deployment_by_number(
        &self,
        (service, number): &(ServiceName, u64),
    ) -> Option<&Arc<ServiceDeploymentRow>> {
        self.deployed.deployments.get(service)?.get(number)
    }

    /// A task set of a service.
    pub fn task_set(&self, service: &ServiceName, id: DeploymentId) -> Option<&Arc<TaskSetRow>> {
        looks::one();
        self.deployed.task_sets.get(service)?.get(&id)
    }

    /// All task sets of a service, in order of their numbers.
    pub fn task_sets(&self, service: &ServiceName) -> impl Iterator<Item = &Arc<TaskSetRow>> {
        let sets = self.deployed.task_sets.get(service).into_iter();
        sets.flat_map(OrdMap::values).inspect(|_| looks::one())
    }

    /// The revisions, or the deployments or task sets, of all services: whether there is a row of these or not.
    pub fn deployed(&self) -> impl Iterator<Item = &ServiceName> {
        let Deployed { revisions, deployments, task_sets, images: _, calls: _, called: _ } = &self.deployed;
        revisions.keys().chain(deployments.keys()).chain(task_sets.keys())
    }

    /// The oldest deployment of a service that has more than it keeps.
    pub fn surplus_service_deployment(&self, service: &ServiceName) -> Option<Key> {
        let deployments = self.deployed.deployments.get(service)?;
        let (oldest, _) =
            deployments.get_min().filter(|_| deployments.len() > limits::SERVICE_DEPLOYMENTS)?;
        Some(Key::ServiceDeployment((service.clone(), *oldest)))
    }
}
