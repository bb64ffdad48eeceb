//! DescribeServiceDeployments. While a deployment goes on it is shown as its service is; how it was at its end is kept.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeServiceDeployments.html>

use ecs_model as ecs;
use wire::Error;

use super::{
    breaker,
    named::{self, Kind},
    stages,
};
use crate::{
    Ctx, arn,
    cluster::{
        BreakerRow, Cluster, DeploymentConfiguration, EndRow, HookRow, RevisionTasks, RollbackRow,
        ServiceDeploymentRow, ServiceRow, StageRow,
    },
    convert::Shown,
    service::configuration,
    task::describe::missing,
};

/// Describes deployments of one service; the ones that are not there are among the failures.
///
/// # Errors
/// `InvalidParameterException` for what names no deployments of one service, `ServiceNotFoundException`.
pub fn describe_service_deployments(
    state: &Cluster,
    ctx: &Ctx,
    request: &ecs::DescribeServiceDeploymentsRequest,
) -> Result<ecs::DescribeServiceDeploymentsResponse, Error> {
    let named = named::read(ctx, Kind::Deployment, &request.service_deployment_arns)?;
    let service = named.service(state)?;
    let (mut deployments, mut failures) = (Vec::new(), Vec::new());
    for (arn, id) in request.service_deployment_arns.iter().zip(&named.ids) {
        match state.service_deployment_by_id(&service.name, id) {
            Some(row) => deployments.push(shown(state, ctx, service, row)),
            None => failures.push(missing(arn.clone())),
        }
    }
    let (service_deployments, failures) = (Some(deployments), Some(failures));
    Ok(ecs::DescribeServiceDeploymentsResponse { service_deployments, failures })
}

/// A deployment as the API shows it. One that just rolls has no stages; only those that go by all of them shift traffic.
fn shown(
    state: &Cluster,
    ctx: &Ctx,
    service: &ServiceRow,
    row: &ServiceDeploymentRow,
) -> ecs::ServiceDeployment {
    let (cluster, name) = (&state.row.name, &service.name.0);
    let EndRow { configuration, tasks } = row.end.clone().unwrap_or_else(|| now(state, service, row));
    let counted = row.breaker.unwrap_or_else(|| breaker::counted(service, row));
    let revision = |id| arn::service_revision(ctx, cluster, name, id);
    let summary = |tasks: &RevisionTasks| {
        let (test, production) = stages::traffic(service, row, tasks.revision).unzip();
        ecs::ServiceRevisionSummary {
            arn: Some(revision(tasks.revision)),
            requested_task_count: Some(tasks.requested),
            running_task_count: Some(tasks.running),
            pending_task_count: Some(tasks.pending),
            requested_test_traffic_weight: test,
            requested_production_traffic_weight: production,
        }
    };
    let rollback = |rollback: &RollbackRow| ecs::Rollback {
        reason: Some(rollback.reason.clone()),
        started_at: Some(rollback.started_at),
        service_revision_arn: rollback.to.map(revision),
    };
    ecs::ServiceDeployment {
        service_deployment_arn: Some(arn::service_deployment(ctx, cluster, name, &row.id)),
        service_arn: Some(arn::service(ctx, cluster, name)),
        cluster_arn: Some(arn::cluster(ctx, cluster)),
        created_at: Some(row.created_at),
        started_at: row.started_at,
        finished_at: row.finished_at,
        stopped_at: row.stopped_at,
        updated_at: Some(row.updated_at),
        source_service_revisions: Some(tasks.iter().skip(1).map(summary).collect()),
        target_service_revision: tasks.first().map(summary),
        status: Some(row.status.shown()),
        status_reason: row.status_reason.clone(),
        lifecycle_stage: row.stage.as_ref().map(|stage| stage.stage.shown()),
        lifecycle_hook_details: row.stage.as_ref().map(hooks).filter(|hooks| !hooks.is_empty()),
        rollback: row.rollback.as_ref().map(rollback),
        deployment_circuit_breaker: Some(circuit_breaker(counted)),
        alarms: Some(alarms(&configuration, row)),
        deployment_configuration: Some(configuration.shown()),
    }
}

fn hooks(stage: &StageRow) -> Vec<ecs::DeploymentLifecycleHookDetail> {
    let one = |hook: &HookRow| ecs::DeploymentLifecycleHookDetail {
        hook_id: Some(hook.id.clone()),
        target_type: Some(match hook.function {
            None => ecs::DeploymentLifecycleHookTargetType::Pause,
            Some(_) => ecs::DeploymentLifecycleHookTargetType::AwsLambda,
        }),
        target_arn: hook.function.as_ref().map(|function| function.arn.clone()),
        status: Some(hook.status.shown()),
        expires_at: Some(hook.expires_at),
        timeout_action: Some(hook.timeout_action.shown()),
    };
    stage.hooks.iter().map(one).collect()
}

fn now(state: &Cluster, service: &ServiceRow, row: &ServiceDeploymentRow) -> EndRow {
    EndRow {
        configuration: configuration::of_deployment(service, row),
        tasks: super::tasks(state, service, row),
    }
}

fn circuit_breaker(counted: BreakerRow) -> ecs::ServiceDeploymentCircuitBreaker {
    ecs::ServiceDeploymentCircuitBreaker {
        status: Some(counted.status.shown()),
        failure_count: Some(counted.failures),
        threshold: Some(counted.threshold),
    }
}

/// DISABLED where it is watched by none.
fn alarms(
    configuration: &DeploymentConfiguration,
    row: &ServiceDeploymentRow,
) -> ecs::ServiceDeploymentAlarms {
    let names = configuration.alarms.as_ref().map(|alarms| alarms.alarm_names.clone());
    let status = row.alarms.as_ref().map(|alarms| alarms.status.shown());
    let triggered = row.alarms.as_ref().map(|alarms| alarms.triggered.clone());
    ecs::ServiceDeploymentAlarms {
        status: status.or(Some(ecs::ServiceDeploymentRollbackMonitorsStatus::Disabled)),
        alarm_names: names.filter(|names| !names.is_empty()),
        triggered_alarm_names: triggered.filter(|names| !names.is_empty()),
    }
}
