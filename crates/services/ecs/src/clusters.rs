//! The operations on clusters themselves. Which clusters there are is the driver's to know; what a
//! cluster is, and when it may go, is decided here.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/clusters.html>

use ::state::Table;
use ecs_model::{self as ecs, ClusterField, KeyValuePair, errors};
use wire::Error;

use crate::{
    Account, Ctx,
    account::providers::Kind,
    arn,
    capacity::{attach, strategy},
    cluster::{
        Cluster, ClusterRow, ClusterSetting, ClusterSettingName, DaemonStatus, Key, Totals, Txn, Writes,
    },
    convert::{Shown, Stored},
    limits,
    rows::SettingName,
    tags,
};

/// The row of a new cluster. Where the request does not say whether it has Container Insights, the account's settings do.
/// Whether it may have its capacity providers is asked with the account beside it: [`attach::check`].
///
/// # Errors
/// `InvalidParameterException`, `ClientException` for members that do not fit.
pub fn create_cluster(
    ctx: &Ctx,
    account: &Account,
    request: ecs::CreateClusterRequest,
) -> Result<ClusterRow, Error> {
    let name = arn::cluster_name(ctx, request.cluster_name.as_deref())?;
    tags::check(request.tags.as_deref().unwrap_or_default())?;
    let given = request.settings.unwrap_or_default();
    check_settings(&given)?;
    let mut settings = Vec::new();
    replace(&mut settings, given.stored());
    if !settings.iter().any(|s| s.name == Some(ClusterSettingName::ContainerInsights)) {
        settings.push(insights(account.setting(ctx, &ctx.caller_arn, SettingName::ContainerInsights)));
    }
    check_configuration(request.configuration.as_ref())?;
    Ok(ClusterRow {
        name,
        active: true,
        created_at: ctx.now,
        settings,
        configuration: request.configuration.stored(),
        capacity_providers: attach::distinct(request.capacity_providers.unwrap_or_default()),
        default_capacity_provider_strategy: strategy::filled(
            request.default_capacity_provider_strategy.unwrap_or_default().stored(),
        ),
        service_connect_defaults: None,
        tags: request.tags.unwrap_or_default().stored(),
        forget_at: None,
    })
}

/// Whether a cluster that is there already is as a request has it that would make one of its name. What is not given can
/// be as it is, and so can what the cluster has besides.
///
/// # Errors
/// `InvalidParameterException`.
pub fn check_same(
    account: &Account,
    have: &ClusterRow,
    asked: &ecs::CreateClusterRequest,
) -> Result<(), Error> {
    let mut settings = Vec::new();
    replace(&mut settings, asked.settings.clone().unwrap_or_default().stored());
    let tags = asked.tags.clone().unwrap_or_default().stored();
    let mut strategy =
        strategy::filled(asked.default_capacity_provider_strategy.clone().unwrap_or_default().stored());
    let mut standing = have.default_capacity_provider_strategy.clone();
    for items in [&mut strategy, &mut standing] {
        items.sort_by(|a, b| a.capacity_provider.cmp(&b.capacity_provider));
    }
    let providers = asked.capacity_providers.as_deref().unwrap_or_default();
    // Those of managed instances are its own, named or not.
    let own = |name: &String| matches!(account.provider(name), Some(Kind::Managed { .. }));
    let same_providers = providers.iter().all(|name| have.capacity_providers.contains(name))
        && have.capacity_providers.iter().all(|name| providers.contains(name) || own(name));
    let same = settings.iter().all(|setting| have.settings.contains(setting))
        && tags.iter().all(|tag| have.tags.contains(tag))
        && (providers.is_empty() || same_providers)
        && (strategy.is_empty() || strategy == standing);
    match same {
        true => Ok(()),
        false => Err(errors::invalid_parameter(
            "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
        )),
    }
}

/// UpdateCluster; the answer has what is attached to the cluster too.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateCluster.html>
///
/// # Errors
/// `InvalidParameterException`; `UnsupportedFeatureException` for what is not built.
pub fn update_cluster(
    txn: &mut Txn,
    request: ecs::UpdateClusterRequest,
) -> Result<ecs::UpdateClusterResponse, Error> {
    let mut row = txn.state.row.as_ref().clone();
    set(&mut row, request.settings.unwrap_or_default())?;
    check_configuration(request.configuration.as_ref())?;
    row.configuration = request.configuration.stored().or(row.configuration);
    txn.put_cluster(row);
    let shown = cluster(
        txn.state,
        &txn.ports.account,
        txn.ctx,
        &[ClusterField::Settings, ClusterField::Configurations, ClusterField::Attachments],
    );
    Ok(ecs::UpdateClusterResponse { cluster: Some(shown) })
}

/// UpdateClusterSettings.
pub fn update_cluster_settings(
    txn: &mut Txn,
    request: ecs::UpdateClusterSettingsRequest,
) -> Result<ecs::UpdateClusterSettingsResponse, Error> {
    let mut row = txn.state.row.as_ref().clone();
    set(&mut row, request.settings)?;
    txn.put_cluster(row);
    let shown = cluster(txn.state, &txn.ports.account, txn.ctx, &[ClusterField::Settings]);
    Ok(ecs::UpdateClusterSettingsResponse { cluster: Some(shown) })
}

/// DeleteCluster: refused while anything is in it.
pub fn delete_cluster(
    txn: &mut Txn,
    _request: ecs::DeleteClusterRequest,
) -> Result<ecs::DeleteClusterResponse, Error> {
    let totals = txn.state.totals();
    if totals.instances_live() > 0 {
        return Err(errors::cluster_contains_container_instances(
            "The Cluster cannot be deleted while Container Instances are active or draining.",
        ));
    }
    if totals.services_live() > 0 {
        return Err(errors::cluster_contains_services(
            "The Cluster cannot be deleted while Services are active.",
        ));
    }
    if txn.state.daemon_rows().any(|row| row.status != DaemonStatus::Deleted) {
        return Err(errors::client("The Cluster cannot be deleted while Daemons are active."));
    }
    if txn.state.tasks_kept() > totals.stopped {
        return Err(errors::cluster_contains_tasks("The Cluster cannot be deleted while Tasks are active."));
    }
    let managed = |name: &String| matches!(txn.ports.account.provider(name), Some(Kind::Managed { .. }));
    if txn.state.row.capacity_providers.iter().any(managed) {
        return Err(errors::cluster_contains_capacity_provider(
            "The Cluster cannot be deleted while Cluster Scoped Capacity Providers are attached to the cluster.",
        ));
    }
    let mut row = txn.state.row.as_ref().clone();
    row.active = false;
    row.forget_at = Some(txn.now().plus_millis(limits::INACTIVE_KEPT_MS));
    txn.put_cluster(row);
    Ok(ecs::DeleteClusterResponse { cluster: Some(cluster(txn.state, &txn.ports.account, txn.ctx, &[])) })
}

/// Forgets a cluster that is INACTIVE long enough, with all that is left of it; its own row last, and in the
/// next steps if this one has no room for all.
pub fn forget(txn: &mut Txn) {
    let keys = txn.state.rows().map(|row| row.key());
    let keys: Vec<Key> = keys.take(::state::limits::STEP_CHANGES + 1).collect();
    for key in keys {
        if txn.full() {
            return;
        }
        txn.delete(key);
    }
}

/// A cluster as the API shows it, with the parts that are asked for.
pub fn cluster(state: &Cluster, account: &Account, ctx: &Ctx, include: &[ClusterField]) -> ecs::Cluster {
    let row = &state.row;
    let asked = |field: ClusterField| include.contains(&field);
    let totals = state.totals();
    let (running, pending) = totals.task_counts();
    let count = |n: usize| Some(i32::try_from(n).unwrap_or(i32::MAX));
    let attached = asked(ClusterField::Attachments).then(|| attach::attachments(account, row));
    let (attachments, attachments_status) = attached.unzip();
    ecs::Cluster {
        cluster_arn: Some(arn::cluster(ctx, &row.name)),
        cluster_name: Some(row.name.clone()),
        configuration: row.configuration.shown().filter(|_| asked(ClusterField::Configurations)),
        status: Some(if row.active { "ACTIVE" } else { "INACTIVE" }.to_owned()),
        registered_container_instances_count: count(totals.instances_live()),
        running_tasks_count: Some(running),
        pending_tasks_count: Some(pending),
        active_services_count: count(totals.services_active()),
        statistics: Some(if asked(ClusterField::Statistics) { statistics(totals) } else { Vec::new() }),
        tags: Some(if asked(ClusterField::Tags) { row.tags.shown() } else { Vec::new() }),
        settings: Some(if asked(ClusterField::Settings) { row.settings.shown() } else { Vec::new() }),
        capacity_providers: Some(row.capacity_providers.clone()),
        default_capacity_provider_strategy: Some(row.default_capacity_provider_strategy.shown()),
        attachments,
        attachments_status: attachments_status.flatten(),
        ..Default::default()
    }
}

/// Counts by launch type, in ECS's names.
fn statistics(totals: &Totals) -> Vec<KeyValuePair> {
    let mut all = Vec::new();
    for (at, kind) in ["EC2", "Fargate", "External"].into_iter().enumerate() {
        for (name, value) in [
            (format!("running{kind}TasksCount"), totals.tasks[at].running.to_string()),
            (format!("pending{kind}TasksCount"), totals.tasks[at].pending.to_string()),
            (format!("active{kind}ServiceCount"), totals.services[at].active.to_string()),
            (format!("draining{kind}ServiceCount"), totals.services[at].draining.to_string()),
        ] {
            all.push(KeyValuePair { name: Some(name), value: Some(value) });
        }
    }
    all
}

fn insights(value: &str) -> ClusterSetting {
    ClusterSetting { name: Some(ClusterSettingName::ContainerInsights), value: Some(value.to_owned()) }
}

fn set(row: &mut ClusterRow, settings: Vec<ecs::ClusterSetting>) -> Result<(), Error> {
    check_settings(&settings)?;
    replace(&mut row.settings, settings.stored());
    Ok(())
}

/// Each setting once; the last one counts.
fn replace(settings: &mut Vec<ClusterSetting>, given: Vec<ClusterSetting>) {
    for setting in given {
        settings.retain(|have| have.name != setting.name);
        settings.push(setting);
    }
}

fn check_settings(settings: &[ecs::ClusterSetting]) -> Result<(), Error> {
    for setting in settings {
        let value = setting.value.as_deref().unwrap_or_default();
        if setting.name.is_none() || !["enabled", "disabled", "enhanced"].contains(&value) {
            return Err(errors::invalid_parameter(
                "Invalid cluster setting value. Valid values are enabled, disabled and enhanced.",
            ));
        }
    }
    Ok(())
}

fn check_configuration(given: Option<&ecs::ClusterConfiguration>) -> Result<(), Error> {
    let Some(given) = given else { return Ok(()) };
    if given.managed_storage_configuration.is_some() {
        return Err(errors::unsupported_feature(
            "configuration.managedStorageConfiguration is not built yet. See docs/support.md.",
        ));
    }
    let exec = given.execute_command_configuration.as_ref();
    let overrides =
        |exec: &&ecs::ExecuteCommandConfiguration| exec.logging == Some(ecs::ExecuteCommandLogging::Override);
    match exec.filter(|exec| exec.log_configuration.is_some()).is_none_or(|exec| overrides(&exec)) {
        true => Ok(()),
        false => Err(errors::invalid_parameter(
            "You must set logging to 'OVERRIDE' when you supply a log configuration.",
        )),
    }
}

#[cfg(test)]
mod tests;
