//! Revisions of services: what a deployment deploys. Each is made once, never changed, and kept as long as something
//! names it. DescribeServiceRevisions.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-revision.html>

use std::collections::BTreeSet;

use ecs_model as ecs;
use wire::Error;

use super::{
    deployment::named::{self, Kind},
    images,
};
use crate::{
    Ctx, arn,
    cluster::{Cluster, ContainerImage, DeploymentId, Key, ServiceRevisionRow, ServiceRow, Txn},
    convert::Shown,
    fargate,
    task::describe::missing,
};

/// Makes a revision of what the row of a service wants.
pub fn make(txn: &mut Txn, service: &ServiceRow) -> DeploymentId {
    let definition = txn.ports.account.task_definition(&service.task_definition);
    let containers = definition.map(|definition| definition.containers()).unwrap_or_default();
    let image = |container: &crate::cluster::ContainerDefinition| ContainerImage {
        container_name: container.name.clone(),
        image: container.image.clone(),
    };
    let images = containers.iter().map(image).collect();
    let id = DeploymentId(txn.ids.number19());
    txn.put(ServiceRevisionRow {
        service: service.name.clone(),
        id,
        created_at: txn.now(),
        task_definition: service.task_definition.clone(),
        launch_type: service.launch_type,
        capacity_provider_strategy: service.capacity_provider_strategy.clone(),
        network: service.network.clone(),
        platform: service.platform.as_deref().map(|given| Box::new(fargate::resolved(given))),
        images,
    });
    id
}

/// Forgets the revisions of a service that nothing names any more: neither what it runs and may be rolled back to, nor a
/// deployment that is shown.
pub fn prune(txn: &mut Txn, service: &ServiceRow) {
    let live = service.deployments.iter().map(|deployment| deployment.id).chain(service.completed);
    let shown = txn.state.service_deployments(&service.name, u64::MAX);
    let shown = shown.flat_map(|row| row.sources.iter().copied().chain([row.target]));
    let named: BTreeSet<DeploymentId> = live.chain(shown).collect();
    let all = txn.state.revisions(&service.name).map(|row| row.id);
    let gone: Vec<DeploymentId> = all.filter(|id| !named.contains(id)).collect();
    for id in gone {
        if txn.state.images(&service.name, id).is_some() {
            txn.delete(Key::ServiceImages((service.name.clone(), id)));
        }
        txn.delete(Key::ServiceRevision((service.name.clone(), id)));
    }
}

/// Describes revisions of one service; the ones that are not there are among the failures.
///
/// # Errors
/// `InvalidParameterException` for what names no revisions of one service, `ServiceNotFoundException`.
pub fn describe_service_revisions(
    state: &Cluster,
    ctx: &Ctx,
    request: &ecs::DescribeServiceRevisionsRequest,
) -> Result<ecs::DescribeServiceRevisionsResponse, Error> {
    let named = named::read(ctx, Kind::Revision, &request.service_revision_arns)?;
    let service = named.service(state)?;
    let (mut revisions, mut failures) = (Vec::new(), Vec::new());
    for (arn, id) in request.service_revision_arns.iter().zip(&named.ids) {
        let row = id.parse().ok().and_then(|id| state.revision(&service.name, DeploymentId(id)));
        match row {
            Some(row) => revisions.push(shown(state, ctx, row)),
            None => failures.push(missing(arn.clone())),
        }
    }
    let (service_revisions, failures) = (Some(revisions), Some(failures));
    Ok(ecs::DescribeServiceRevisionsResponse { service_revisions, failures })
}

fn shown(state: &Cluster, ctx: &Ctx, row: &ServiceRevisionRow) -> ecs::ServiceRevision {
    let (cluster, definition) = (&state.row.name, &row.task_definition);
    let by_type = row.capacity_provider_strategy.is_empty();
    ecs::ServiceRevision {
        service_revision_arn: Some(arn::service_revision(ctx, cluster, &row.service.0, row.id)),
        service_arn: Some(arn::service(ctx, cluster, &row.service.0)),
        cluster_arn: Some(arn::cluster(ctx, cluster)),
        task_definition: Some(arn::task_definition(ctx, &definition.family, definition.revision)),
        launch_type: by_type.then(|| row.launch_type.shown()),
        capacity_provider_strategy: (!by_type).then(|| row.capacity_provider_strategy.shown()),
        network_configuration: row.network.as_ref().map(|network| network.shown()),
        platform_version: row.platform.as_ref().map(|of| of.version.clone()),
        platform_family: row.platform.as_ref().map(|of| of.family.clone()),
        container_images: Some(images::shown(state, row)).filter(|images| !images.is_empty()),
        guard_duty_enabled: Some(false),
        created_at: Some(row.created_at),
        ..Default::default()
    }
}
