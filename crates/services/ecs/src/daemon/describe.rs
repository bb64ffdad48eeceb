//! DescribeDaemon, ListDaemons, and what is shown of deployments and revisions. While a deployment goes on it is shown as
//! its daemon is; how it was at its end is kept.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeDaemon.html>

use ecs_model::{self as ecs, errors};
use wire::Error;

use super::{change, deployment};
use crate::{
    Ctx,
    arn::{self, Resource},
    cluster::{
        Cluster, DaemonDeploymentRow, DaemonInstances, DaemonName, DaemonProviderInstances, DaemonRevisionId,
        DaemonRevisionRow, DaemonRow, DaemonStatus,
    },
    convert::Shown,
    limits, paging,
    service::images,
    task::describe::missing,
};

/// ECS pages deployments by twenty.
const PAGE: i32 = 20;

/// What ARNs name that are of one cluster: the names of their daemons, and their last parts.
type Named = (String, Vec<(DaemonName, String)>);

/// The daemon of an ARN, if it is not deleted.
///
/// # Errors
/// `DaemonNotFoundException`, `InvalidParameterException`.
pub(super) fn find<'a>(state: &'a Cluster, ctx: &Ctx, named: &str) -> Result<&'a DaemonRow, Error> {
    let (_, name) = arn::daemon_name(ctx, named)?;
    let found = state.daemon_row(&DaemonName(name)).filter(|row| row.status != DaemonStatus::Deleted);
    found.map(AsRef::as_ref).ok_or_else(|| errors::daemon_not_found("Daemon not found."))
}

/// Describes a daemon.
///
/// # Errors
/// `DaemonNotFoundException`, `InvalidParameterException`.
pub fn describe_daemon(
    state: &Cluster,
    ctx: &Ctx,
    request: &ecs::DescribeDaemonRequest,
) -> Result<ecs::DescribeDaemonResponse, Error> {
    let row = find(state, ctx, &request.daemon_arn)?;
    let (cluster, name) = (&state.row.name, &row.name.0);
    let crew = state.crew(&row.name);
    // What is wanted comes first, whether there is a task of it or not.
    let others = crew.shares().map(|(id, _)| *id).filter(|id| *id != row.target);
    let revision = |id| {
        let DaemonInstances { providers, .. } = deployment::of_revision(state, row, &row.providers, id);
        let provider = |of: &DaemonProviderInstances| ecs::DaemonCapacityProvider {
            arn: Some(arn::capacity_provider(ctx, &of.provider)),
            running_count: Some(of.running),
            without_daemon_count: Some(of.without),
        };
        ecs::DaemonRevisionDetail {
            arn: Some(arn::daemon_revision(ctx, cluster, name, id)),
            capacity_providers: Some(providers.iter().map(provider).collect()),
            total_running_count: Some(providers.iter().map(|of| of.running).sum()),
            total_without_daemon_count: Some(providers.iter().map(|of| of.without).sum()),
        }
    };
    let newest = state.daemon_deployment(&row.name);
    let daemon = ecs::DaemonDetail {
        daemon_arn: Some(arn::daemon(ctx, cluster, name)),
        cluster_arn: Some(arn::cluster(ctx, cluster)),
        status: row.status.shown(),
        current_revisions: Some([row.target].into_iter().chain(others).map(revision).collect()),
        deployment_arn: newest.map(|newest| arn::daemon_deployment(ctx, cluster, name, &newest.id)),
        created_at: Some(row.created_at),
        updated_at: Some(row.updated_at),
    };
    Ok(ecs::DescribeDaemonResponse { daemon: Some(daemon) })
}

/// Lists the daemons of a cluster by name; those of any of the capacity providers that are named.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListDaemons.html>
///
/// # Errors
/// `InvalidParameterException` for pages that cannot be, and what names no capacity provider.
pub fn list_daemons(
    state: &Cluster,
    ctx: &Ctx,
    request: &ecs::ListDaemonsRequest,
) -> Result<ecs::ListDaemonsResponse, Error> {
    let page = paging::read(request.max_results, request.next_token.as_deref())?;
    let providers = change::named(ctx, request.capacity_provider_arns.as_deref().unwrap_or_default())?;
    let wanted = |row: &&std::sync::Arc<DaemonRow>| {
        row.status != DaemonStatus::Deleted
            && (providers.is_empty() || row.providers.iter().any(|own| providers.contains(own)))
    };
    let after = page.after().map(DaemonName::from).unwrap_or_default();
    let found = state.daemon_rows_after(&after).filter(wanted);
    let (rows, next_token) = page.cut(found, |row| row.name.0.clone());
    let summary = |row: &std::sync::Arc<DaemonRow>| ecs::DaemonSummary {
        daemon_arn: Some(arn::daemon(ctx, &state.row.name, &row.name.0)),
        status: row.status.shown(),
        created_at: Some(row.created_at),
        updated_at: Some(row.updated_at),
    };
    let daemon_summaries_list = Some(rows.into_iter().map(summary).collect());
    Ok(ecs::ListDaemonsResponse { daemon_summaries_list, next_token })
}

/// Lists the deployments of a daemon, the newest first; those of a deleted one as long as they are kept.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListDaemonDeployments.html>
///
/// # Errors
/// `InvalidParameterException` for pages that cannot be, `ClientException` where there is no daemon.
pub fn list_daemon_deployments(
    state: &Cluster,
    ctx: &Ctx,
    request: &ecs::ListDaemonDeploymentsRequest,
) -> Result<ecs::ListDaemonDeploymentsResponse, Error> {
    let page = paging::read_up_to(PAGE, 100, request.max_results, request.next_token.as_deref())?;
    let below = paging::behind(&page, |text| text.parse().ok())?.unwrap_or(u64::MAX);
    let (cluster, name) = arn::daemon_name(ctx, &request.daemon_arn)?;
    let name = DaemonName(name);
    state.daemon_row(&name).ok_or_else(|| errors::client("Daemon not found."))?;
    let statuses = request.status.as_deref().unwrap_or_default();
    let wanted = |row: &&std::sync::Arc<DaemonDeploymentRow>| {
        let within = request.created_at.as_ref().is_none_or(|range| {
            range.after.is_none_or(|after| row.created_at >= after)
                && range.before.is_none_or(|before| row.created_at <= before)
        });
        within && (statuses.is_empty() || statuses.contains(&row.status.shown()))
    };
    let found = state.daemon_deployments(&name, below).filter(wanted);
    let (rows, next_token) = page.cut(found, |row| row.number.to_string());
    let brief = |row: &std::sync::Arc<DaemonDeploymentRow>| ecs::DaemonDeploymentSummary {
        daemon_deployment_arn: Some(arn::daemon_deployment(ctx, &cluster, &name.0, &row.id)),
        daemon_arn: Some(arn::daemon(ctx, &cluster, &name.0)),
        cluster_arn: Some(arn::cluster(ctx, &cluster)),
        status: Some(row.status.shown()),
        status_reason: row.status_reason.clone(),
        target_daemon_revision_arn: row.target.map(|id| arn::daemon_revision(ctx, &cluster, &name.0, id)),
        created_at: Some(row.created_at),
        started_at: row.started_at,
        stopped_at: row.stopped_at,
        finished_at: row.finished_at,
    };
    let daemon_deployments = Some(rows.into_iter().map(brief).collect());
    Ok(ecs::ListDaemonDeploymentsResponse { daemon_deployments, next_token })
}

/// Reads ARNs of deployments of daemons, which name a cluster too.
///
/// # Errors
/// `InvalidParameterException` for none, too many, those of several clusters, and those that are anything else.
pub fn deployments_named(ctx: &Ctx, arns: &[String]) -> Result<Named, Error> {
    named(ctx, arns, |resource| match resource {
        Resource::DaemonDeployment { cluster, daemon, id } => Some((cluster, daemon, id)),
        _ => None,
    })
}

/// Likewise, of revisions.
///
/// # Errors
/// `InvalidParameterException`.
pub fn revisions_named(ctx: &Ctx, arns: &[String]) -> Result<Named, Error> {
    named(ctx, arns, |resource| match resource {
        Resource::DaemonRevision { cluster, daemon, id } => Some((cluster, daemon, id)),
        _ => None,
    })
}

fn named(
    ctx: &Ctx,
    arns: &[String],
    of_kind: fn(Resource) -> Option<(String, String, String)>,
) -> Result<Named, Error> {
    if arns.is_empty() || arns.len() > limits::DESCRIBE_DEPLOYMENTS {
        return Err(errors::invalid_parameter("Between 1 and 20 ARNs must be specified."));
    }
    let mut found: Option<Named> = None;
    for arn in arns {
        let read = of_kind(arn::own(ctx, arn)?);
        let (cluster, daemon, id) = read.ok_or_else(|| {
            errors::invalid_parameter(format!("Invalid identifier: {}", limits::cut(arn, 256)))
        })?;
        match &mut found {
            None => found = Some((cluster, vec![(DaemonName(daemon), id)])),
            Some((of, all)) if *of == cluster => all.push((DaemonName(daemon), id)),
            Some(_) => return Err(errors::invalid_parameter("All ARNs must be of one cluster.")),
        }
    }
    found.ok_or_else(|| errors::invalid_parameter("Between 1 and 20 ARNs must be specified."))
}

/// Describes deployments; the ones that are not there are among the failures.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeDaemonDeployments.html>
///
/// # Errors
/// `InvalidParameterException` for what names no deployments.
pub fn describe_daemon_deployments(
    state: &Cluster,
    ctx: &Ctx,
    request: &ecs::DescribeDaemonDeploymentsRequest,
) -> Result<ecs::DescribeDaemonDeploymentsResponse, Error> {
    let (_, all) = deployments_named(ctx, &request.daemon_deployment_arns)?;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for (arn, (daemon, id)) in request.daemon_deployment_arns.iter().zip(&all) {
        let row = state.daemon_deployments(daemon, u64::MAX).find(|row| row.id == *id);
        match state.daemon_row(daemon).zip(row) {
            Some((daemon, row)) => found.push(shown(state, ctx, daemon, row)),
            None => failures.push(missing(arn.clone())),
        }
    }
    let (daemon_deployments, failures) = (Some(found), Some(failures));
    Ok(ecs::DescribeDaemonDeploymentsResponse { daemon_deployments, failures })
}

/// A deployment as the API shows it. Nobody watches alarms yet.
fn shown(state: &Cluster, ctx: &Ctx, daemon: &DaemonRow, row: &DaemonDeploymentRow) -> ecs::DaemonDeployment {
    let (cluster, name) = (&state.row.name, &row.daemon.0);
    let counted = row.breaker.unwrap_or_else(|| deployment::counted(state, daemon, row));
    let ended = row.status.has_ended();
    let instances = if ended { row.end.clone() } else { deployment::instances(state, daemon, row) };
    let revision = |id: DaemonRevisionId| arn::daemon_revision(ctx, cluster, name, id);
    let provider = |of: &DaemonProviderInstances| ecs::DaemonDeploymentCapacityProvider {
        arn: Some(arn::capacity_provider(ctx, &of.provider)),
        running_instance_count: Some(of.running),
        without_daemon_instance_count: Some(of.without),
        draining_instance_count: Some(of.draining),
    };
    let detail = |of: &DaemonInstances| ecs::DaemonDeploymentRevisionDetail {
        arn: Some(revision(of.revision)),
        capacity_providers: Some(of.providers.iter().map(provider).collect()),
        total_running_instance_count: Some(of.providers.iter().map(|of| of.running).sum()),
        total_without_daemon_instance_count: Some(of.providers.iter().map(|of| of.without).sum()),
        total_draining_instance_count: Some(of.providers.iter().map(|of| of.draining).sum()),
    };
    let is_target = |of: &&DaemonInstances| Some(of.revision) == row.target;
    ecs::DaemonDeployment {
        daemon_deployment_arn: Some(arn::daemon_deployment(ctx, cluster, name, &row.id)),
        cluster_arn: Some(arn::cluster(ctx, cluster)),
        status: Some(row.status.shown()),
        status_reason: row.status_reason.clone(),
        target_daemon_revision: instances.iter().find(is_target).map(detail),
        source_daemon_revisions: Some(instances.iter().filter(|of| !is_target(of)).map(detail).collect()),
        circuit_breaker: Some(counted.shown()),
        alarms: Some(ecs::DaemonDeploymentAlarms {
            status: Some(ecs::DaemonDeploymentRollbackMonitorsStatus::Disabled),
            ..Default::default()
        }),
        rollback: row.rollback.as_ref().map(|rollback| ecs::DaemonRollback {
            reason: Some(rollback.reason.clone()),
            started_at: Some(rollback.started_at),
            rollback_target_daemon_revision_arn: Some(revision(rollback.to)),
            rollback_capacity_providers: Some(
                row.providers.iter().map(|name| arn::capacity_provider(ctx, name)).collect(),
            ),
        }),
        deployment_configuration: Some(row.configuration.shown()),
        created_at: Some(row.created_at),
        started_at: row.started_at,
        stopped_at: row.stopped_at,
        finished_at: row.finished_at,
    }
}

/// Describes revisions; the ones that are not there are among the failures.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeDaemonRevisions.html>
///
/// # Errors
/// `InvalidParameterException` for what names no revisions.
pub fn describe_daemon_revisions(
    state: &Cluster,
    ctx: &Ctx,
    request: &ecs::DescribeDaemonRevisionsRequest,
) -> Result<ecs::DescribeDaemonRevisionsResponse, Error> {
    let (_, all) = revisions_named(ctx, &request.daemon_revision_arns)?;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for (arn, (daemon, id)) in request.daemon_revision_arns.iter().zip(&all) {
        match arn::daemon_revision_id(id).and_then(|id| state.daemon_revision(daemon, &id)) {
            Some(row) => found.push(revision(ctx, &state.row.name, row)),
            None => failures.push(missing(arn.clone())),
        }
    }
    let (daemon_revisions, failures) = (Some(found), Some(failures));
    Ok(ecs::DescribeDaemonRevisionsResponse { daemon_revisions, failures })
}

fn revision(ctx: &Ctx, cluster: &str, row: &DaemonRevisionRow) -> ecs::DaemonRevision {
    let (daemon, definition) = (&row.daemon.0, &row.task_definition);
    ecs::DaemonRevision {
        daemon_revision_arn: Some(arn::daemon_revision(ctx, cluster, daemon, row.id)),
        cluster_arn: Some(arn::cluster(ctx, cluster)),
        daemon_arn: Some(arn::daemon(ctx, cluster, daemon)),
        daemon_task_definition_arn: Some(arn::daemon_task_definition(
            ctx,
            &definition.family,
            definition.revision,
        )),
        created_at: Some(row.created_at),
        container_images: Some(images::shown_of_daemon(row)),
        propagate_tags: Some(row.propagate_tags.shown()),
        enable_ecs_managed_tags: Some(row.enable_ecs_managed_tags),
        enable_execute_command: Some(false),
        critical: Some(row.critical),
    }
}
