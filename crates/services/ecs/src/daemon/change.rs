//! CreateDaemon and UpdateDaemon.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateDaemon.html>

use std::collections::BTreeSet;

use ecs_model::{self as ecs, errors};
use wire::Error;

use super::deployment;
use crate::{
    Ctx,
    account::providers::Kind,
    arn,
    cluster::{
        ContainerImage, DaemonDeploymentConfiguration, DaemonName, DaemonPropagateTags, DaemonRevisionId,
        DaemonRevisionRow, DaemonRow, DaemonStatus, Txn, Writes,
    },
    convert::{Shown, Stored},
    limits,
    rows::{ContainerDefinition, DaemonDefinitionRow, DaemonTaskDefinitionStatus},
    tags,
    task::run,
};

/// What CreateDaemon and UpdateDaemon give alike: the whole of it, as an update takes over nothing but the tags.
struct Given {
    definition: std::sync::Arc<DaemonDefinitionRow>,
    providers: Vec<String>,
    configuration: DaemonDeploymentConfiguration,
    propagate_tags: DaemonPropagateTags,
    enable_ecs_managed_tags: bool,
    critical: bool,
}

/// Makes a daemon, and begins the deployment of its first revision.
///
/// # Errors
/// `InvalidParameterException`, `ClientException`.
pub fn create_daemon(
    txn: &mut Txn,
    request: ecs::CreateDaemonRequest,
) -> Result<ecs::CreateDaemonResponse, Error> {
    let name = DaemonName(arn::plain_name(&request.daemon_name, "Daemon name")?);
    run::check_token(request.client_token.as_deref(), limits::SERVICE_TOKEN_LENGTH)?;
    let made_by = request.client_token.as_ref().map(|_| run::fingerprint(&request));
    if let Some(row) = existing(txn, &name, made_by.as_deref())? {
        return Ok(created(txn, &row));
    }
    let live = txn.state.daemon_rows().filter(|row| row.status != DaemonStatus::Deleted).count();
    if live >= limits::DAEMONS {
        return Err(errors::client("The number of daemons in this cluster has reached its limit."));
    }
    tags::check(request.tags.as_deref().unwrap_or_default())?;
    let given = Given {
        definition: definition(txn, &request.daemon_task_definition_arn)?,
        providers: providers(txn, &request.capacity_provider_arns)?,
        configuration: configuration(request.deployment_configuration.as_ref())?,
        propagate_tags: request.propagate_tags.stored().unwrap_or(DaemonPropagateTags::None),
        enable_ecs_managed_tags: request.enable_ecs_managed_tags.unwrap_or(false),
        critical: request.critical.unwrap_or(true),
    };
    let mut row = DaemonRow {
        name,
        status: DaemonStatus::Active,
        target: DaemonRevisionId::default(),
        completed: None,
        providers: given.providers.clone(),
        stalled: false,
        failures: 0,
        consecutive_failures: 0,
        not_before: None,
        unplaced: None,
        wake_at: None,
        tags: request.tags.unwrap_or_default().stored(),
        created_at: txn.now(),
        updated_at: txn.now(),
        made_by,
        forget_at: None,
    };
    deploy(txn, &mut row, given);
    Ok(created(txn, &row))
}

fn created(txn: &Txn, row: &DaemonRow) -> ecs::CreateDaemonResponse {
    ecs::CreateDaemonResponse {
        daemon_arn: Some(arn::daemon(txn.ctx, &txn.state.row.name, &row.name.0)),
        status: row.status.shown(),
        created_at: Some(row.created_at),
        deployment_arn: newest(txn, &row.name),
    }
}

/// The same request with the same client token gives the same daemon again; another one of that name is refused.
fn existing(txn: &Txn, name: &DaemonName, made_by: Option<&str>) -> Result<Option<DaemonRow>, Error> {
    let Some(row) = txn.state.daemon_row(name) else { return Ok(None) };
    match row.status {
        DaemonStatus::Deleted => Ok(None),
        DaemonStatus::DeleteInProgress => {
            Err(errors::invalid_parameter("Unable to create a daemon that is still being deleted."))
        }
        DaemonStatus::Active if made_by.is_some() && row.made_by.as_deref() == made_by => {
            Ok(Some(row.as_ref().clone()))
        }
        DaemonStatus::Active => Err(errors::invalid_parameter("Creation of daemon was not idempotent.")),
    }
}

/// Changes a daemon: what is not given is as of a new one. It begins a deployment of a new revision, whatever changes.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateDaemon.html>
///
/// # Errors
/// `DaemonNotFoundException`, `DaemonNotActiveException`, `InvalidParameterException`, `ClientException`.
pub fn update_daemon(
    txn: &mut Txn,
    request: ecs::UpdateDaemonRequest,
) -> Result<ecs::UpdateDaemonResponse, Error> {
    let mut row = find(txn, &request.daemon_arn)?;
    if row.status != DaemonStatus::Active {
        return Err(errors::daemon_not_active("The daemon is not ACTIVE."));
    }
    let given = Given {
        definition: definition(txn, &request.daemon_task_definition_arn)?,
        providers: providers(txn, &request.capacity_provider_arns)?,
        configuration: configuration(request.deployment_configuration.as_ref())?,
        propagate_tags: request.propagate_tags.stored().unwrap_or(DaemonPropagateTags::None),
        enable_ecs_managed_tags: request.enable_ecs_managed_tags.unwrap_or(false),
        critical: request.critical.unwrap_or(true),
    };
    deploy(txn, &mut row, given);
    Ok(ecs::UpdateDaemonResponse {
        daemon_arn: Some(request.daemon_arn),
        status: row.status.shown(),
        created_at: Some(row.created_at),
        updated_at: Some(row.updated_at),
        deployment_arn: newest(txn, &row.name),
    })
}

/// Begins the deployment of a new revision of a daemon, and writes its row.
fn deploy(txn: &mut Txn, row: &mut DaemonRow, given: Given) {
    let image = |container: &ContainerDefinition| ContainerImage {
        container_name: container.name.clone(),
        image: container.image.clone(),
    };
    let revision = DaemonRevisionRow {
        daemon: row.name.clone(),
        id: DaemonRevisionId(txn.ids.id()),
        created_at: txn.now(),
        task_definition: given.definition.id(),
        images: given.definition.made_of.containers().iter().map(image).collect(),
        digests: Vec::new(),
        propagate_tags: given.propagate_tags,
        enable_ecs_managed_tags: given.enable_ecs_managed_tags,
        critical: given.critical,
    };
    let target = revision.id;
    txn.put(revision);
    row.providers = given.providers;
    row.updated_at = txn.now();
    row.wake_at = None;
    deployment::begin(txn, row, Some(target), given.configuration);
    txn.put_daemon(row.clone());
}

/// The ARN of the newest deployment of a daemon.
pub(super) fn newest(txn: &Txn, name: &DaemonName) -> Option<String> {
    let newest = txn.state.daemon_deployment(name)?;
    Some(arn::daemon_deployment(txn.ctx, &txn.state.row.name, &name.0, &newest.id))
}

/// The daemon of an ARN, if it is not deleted.
///
/// # Errors
/// `DaemonNotFoundException`, `InvalidParameterException`.
pub(super) fn find(txn: &Txn, named: &str) -> Result<DaemonRow, Error> {
    Ok(super::describe::find(txn.state, txn.ctx, named)?.clone())
}

/// The ACTIVE task definition that a request names.
fn definition(txn: &Txn, named: &str) -> Result<std::sync::Arc<DaemonDefinitionRow>, Error> {
    let row = txn.ports.account.find_daemon(txn.ctx, named)?;
    if row.status != DaemonTaskDefinitionStatus::Active {
        return Err(errors::client("The daemon task definition is being deleted."));
    }
    Ok(row.clone())
}

/// The names of the capacity providers of a request: such of its cluster as container instances can belong to.
fn providers(txn: &Txn, given: &[String]) -> Result<Vec<String>, Error> {
    if given.is_empty() {
        return Err(errors::invalid_parameter("Capacity providers cannot be empty."));
    }
    if given.len() > limits::DAEMON_PROVIDERS {
        return Err(errors::invalid_parameter("Too many capacity providers were specified."));
    }
    let mut seen = BTreeSet::new();
    let mut names = named(txn.ctx, given)?;
    names.retain(|name| seen.insert(name.clone()));
    for name in &names {
        match txn.ports.account.provider(name) {
            None => {
                return Err(errors::invalid_parameter(
                    "The specified capacity provider was not found. Specify a valid capacity provider and try again.",
                ));
            }
            Some(Kind::Fargate) => {
                return Err(errors::invalid_parameter(format!(
                    "Daemons cannot be on the instances of {name}."
                )));
            }
            Some(Kind::Group(_) | Kind::Managed { .. }) => {}
        }
        if !txn.state.row.capacity_providers.contains(name) {
            return Err(errors::invalid_parameter(format!(
                "The capacity provider {name} is not associated with the cluster."
            )));
        }
    }
    Ok(names)
}

/// The names of capacity providers that a request names by name or ARN.
///
/// # Errors
/// `InvalidParameterException`.
pub(super) fn named(ctx: &Ctx, given: &[String]) -> Result<Vec<String>, Error> {
    given.iter().map(|given| arn::capacity_provider_name(ctx, given)).collect()
}

/// How a deployment goes, with what is not given filled in.
fn configuration(
    given: Option<&ecs::DaemonDeploymentConfiguration>,
) -> Result<DaemonDeploymentConfiguration, Error> {
    let default = DaemonDeploymentConfiguration::default();
    let Some(given) = given else { return Ok(default) };
    if given.alarms.as_ref().is_some_and(|alarms| alarms.enable == Some(true)) {
        return Err(errors::unsupported_feature(
            "deploymentConfiguration.alarms is not built yet. See docs/support.md.",
        ));
    }
    let drain_percent = given.drain_percent.unwrap_or(default.drain_percent);
    let bake_time_in_minutes = given.bake_time_in_minutes.unwrap_or(0);
    if !(0.0..=100.0).contains(&drain_percent) {
        return Err(errors::invalid_parameter("drainPercent must be between 0 and 100."));
    }
    if !(0..=limits::BAKE_MINUTES).contains(&bake_time_in_minutes) {
        return Err(errors::invalid_parameter("bakeTimeInMinutes must be between 0 and 1440."));
    }
    Ok(DaemonDeploymentConfiguration { drain_percent, bake_time_in_minutes })
}
