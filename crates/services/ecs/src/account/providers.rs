//! Capacity providers of an account and region: CreateCapacityProvider, UpdateCapacityProvider, and what clusters ask of
//! those that they name. An Auto Scaling group's is the account's; one of managed instances belongs to a cluster, which
//! is told of it by the driver. FARGATE and FARGATE_SPOT are always there, and have no rows.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cluster-capacity-providers.html>

pub mod describe;
pub mod retire;
#[cfg(test)]
mod tests;

use ecs_model::{self as ecs, errors};
use wire::Error;

use super::{Account, Txn};
use crate::{
    Ctx, arn,
    convert::Stored,
    limits,
    rows::{
        AutoScalingGroupProvider, CapacityProviderRow, CapacityProviderStatus, CapacityProviderUpdateStatus,
        ManagedInstancesProvider, ManagedScalingStatus, ManagedTerminationProtection,
    },
    tags,
};

/// Those of Fargate, which every account has.
pub const FARGATE: [&str; 2] = ["FARGATE", "FARGATE_SPOT"];

/// Where the capacity of a provider comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind<'a> {
    Fargate,
    /// The hosts that name it.
    Group(&'a AutoScalingGroupProvider),
    /// Instances that belong to one cluster.
    Managed {
        cluster: &'a str,
    },
}

impl Account {
    /// A capacity provider's row, whatever its status.
    pub fn provider_row(&self, name: &str) -> Option<&CapacityProviderRow> {
        self.providers.get(name).map(|row| row.as_ref())
    }

    /// A capacity provider that can be used.
    pub fn provider(&self, name: &str) -> Option<Kind<'_>> {
        if FARGATE.contains(&name) {
            return Some(Kind::Fargate);
        }
        let row = self.provider_row(name).filter(|row| row.is_usable())?;
        match (&row.group, &row.managed) {
            (Some(group), _) => Some(Kind::Group(group)),
            (None, Some(managed)) => Some(Kind::Managed { cluster: &managed.cluster }),
            (None, None) => None,
        }
    }

    /// Why a capacity provider cannot be used by a cluster: there is none, or none that is ACTIVE.
    pub fn unusable(&self, name: &str) -> Error {
        match self.provider_row(name).filter(|row| is_there(row) && !row.is_usable()) {
            Some(_) => errors::invalid_parameter(format!(
                "The specified capacity provider '{name}' is not in an ACTIVE state. Specify a valid capacity provider and \
                 try again."
            )),
            None => errors::invalid_parameter(
                "The specified capacity provider was not found. Specify a valid capacity provider and try again.",
            ),
        }
    }

    /// Whether tasks wait for this provider to grow, rather than to fail where there is no room.
    pub fn grows(&self, name: &str) -> bool {
        match self.provider(name) {
            Some(Kind::Group(group)) => group.managed_scaling.status == ManagedScalingStatus::Enabled,
            Some(Kind::Managed { .. }) => true,
            Some(Kind::Fargate) | None => false,
        }
    }

    /// The providers of which something is begun that is not carried out.
    pub fn providers_unsettled(&self) -> impl Iterator<Item = &String> {
        self.providers_unsettled.iter()
    }

    pub(super) fn put_provider(&mut self, row: &std::sync::Arc<CapacityProviderRow>) {
        self.forget_provider(&row.name);
        if row.is_unsettled() {
            self.providers_unsettled.insert(row.name.clone());
        }
        self.providers.insert(row.name.clone(), row.clone());
    }

    pub(super) fn forget_provider(&mut self, name: &str) {
        self.providers.remove(name);
        self.providers_unsettled.remove(name);
    }
}

/// Makes a capacity provider; `cluster` is that of one of managed instances.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateCapacityProvider.html>
///
/// # Errors
/// `ClientException`, `InvalidParameterException`, `LimitExceededException`.
pub fn create(
    txn: &mut Txn,
    request: ecs::CreateCapacityProviderRequest,
    cluster: Option<String>,
) -> Result<ecs::CreateCapacityProviderResponse, Error> {
    check_name(&request.name)?;
    tags::check(request.tags.as_deref().unwrap_or_default())?;
    let (group, managed) = match (request.auto_scaling_group_provider, request.managed_instances_provider) {
        (Some(group), None) => (Some(self::group(txn, &request.name, group, request.cluster)?), None),
        (None, Some(given)) => (None, Some(managed(cluster, given)?)),
        (None, None) | (Some(_), Some(_)) => {
            return Err(errors::invalid_parameter(
                "Exactly one of autoScalingGroupProvider and managedInstancesProvider must be specified.",
            ));
        }
    };
    if let Some(old) = txn.state.provider_row(&request.name).filter(|old| is_there(old)) {
        return Err(errors::client(match (&old.managed, &managed) {
            (Some(_), None) => ALREADY_IN_CLUSTER,
            (None, Some(_)) => ALREADY_ELSEWHERE,
            _ => ALREADY,
        }));
    }
    if txn.state.providers.len() >= limits::CAPACITY_PROVIDERS {
        return Err(errors::limit_exceeded("The number of capacity providers has reached its limit."));
    }
    // Its cluster does not know it yet.
    let (status, update) = match managed.is_some() {
        true => (CapacityProviderStatus::Provisioning, CapacityProviderUpdateStatus::CreateInProgress),
        false => (CapacityProviderStatus::Active, CapacityProviderUpdateStatus::CreateComplete),
    };
    let row = CapacityProviderRow {
        name: request.name,
        created_at: txn.now(),
        status,
        update,
        update_reason: None,
        group,
        managed,
        tags: request.tags.unwrap_or_default().stored(),
        forget_at: None,
    };
    txn.put(row.clone());
    Ok(ecs::CreateCapacityProviderResponse { capacity_provider: Some(describe::shown(txn.ctx, &row, true)) })
}

/// Changes how a capacity provider grows: what is not given stays. Nothing has to be carried out for it.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateCapacityProvider.html>
///
/// # Errors
/// `ClientException`, `InvalidParameterException`.
pub fn update_capacity_provider(
    txn: &mut Txn,
    request: ecs::UpdateCapacityProviderRequest,
) -> Result<ecs::UpdateCapacityProviderResponse, Error> {
    let mut row = find(txn.state, txn.ctx, &request.name, request.cluster.as_deref())?.clone();
    if row.is_unsettled() {
        return Err(errors::update_in_progress("The specified capacity provider is being updated."));
    }
    let (given_group, given_managed) =
        (request.auto_scaling_group_provider, request.managed_instances_provider);
    match (&mut row.group, &mut row.managed, given_group, given_managed) {
        (Some(group), _, Some(given), None) => {
            let next = group.clone().with(given);
            check_group(&next)?;
            *group = next;
        }
        (None, Some(managed), None, Some(given)) => {
            managed.settings = settings_with(&managed.settings, given)?
        }
        (Some(_), ..) => {
            return Err(errors::invalid_parameter("autoScalingGroupProvider must be specified."));
        }
        (None, ..) => {
            return Err(errors::invalid_parameter("managedInstancesProvider must be specified."));
        }
    }
    row.update = CapacityProviderUpdateStatus::UpdateComplete;
    row.update_reason = None;
    txn.put(row.clone());
    Ok(ecs::UpdateCapacityProviderResponse { capacity_provider: Some(describe::shown(txn.ctx, &row, true)) })
}

const ALREADY: &str = "The specified capacity provider already exists. To change the configuration of an existing \
                       capacity provider, update the capacity provider.";
const ALREADY_IN_CLUSTER: &str = "The specified capacity provider already exists with cluster scope. To change the \
                                  configuration of or delete the capacity provider, update or delete the capacity \
                                  provider with the cluster parameter.";
const ALREADY_ELSEWHERE: &str =
    "The specified capacity provider already exists with account or a different cluster.";
const NOT_THERE: &str =
    "The specified capacity provider does not exist. Specify a valid name or ARN and try again.";
const RESERVED: &str = "The specified capacity provider is reserved and cannot be changed.";

fn is_there(row: &CapacityProviderRow) -> bool {
    row.status != CapacityProviderStatus::Inactive
}

/// The name of the capacity provider that a request names by name or ARN.
fn named(ctx: &Ctx, given: &str) -> Option<String> {
    if !given.starts_with("arn:") {
        return Some(given.to_owned());
    }
    let arn =
        arn::Arn::parse(given).filter(|arn| *arn.account == *ctx.account && *arn.region == *ctx.region)?;
    match arn.resource {
        arn::Resource::CapacityProvider { name } => Some(name),
        _ => None,
    }
}

/// The row of one that is to be changed, which is not INACTIVE.
fn find<'a>(
    state: &'a Account,
    ctx: &Ctx,
    given: &str,
    cluster: Option<&str>,
) -> Result<&'a CapacityProviderRow, Error> {
    let name = named(ctx, given).ok_or_else(|| errors::client(NOT_THERE))?;
    if FARGATE.contains(&&*name) {
        return Err(errors::client(RESERVED));
    }
    let row = state.provider_row(&name).filter(|row| is_there(row));
    let row = row.ok_or_else(|| errors::client(NOT_THERE))?;
    let cluster = cluster.map(|named| arn::cluster_name(ctx, Some(named))).transpose()?;
    match (&row.managed, cluster) {
        (Some(_), None) => Err(errors::client(ALREADY_IN_CLUSTER)),
        (Some(managed), Some(cluster)) if managed.cluster != cluster => Err(errors::client(
            "Capacity provider active cluster name does not match the cluster name in the request.",
        )),
        (None, Some(_)) => {
            Err(errors::client("Capacity provider is not Amazon ECS Managed Instances capacity provider."))
        }
        _ => Ok(row),
    }
}

/// Up to 255 letters, digits, hyphens and underscores; three beginnings are ECS's own.
fn check_name(name: &str) -> Result<(), Error> {
    let lower = name.to_ascii_lowercase();
    let reserved = ["aws", "ecs", "fargate"].iter().any(|prefix| lower.starts_with(prefix));
    let fits = (1..=255).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    match fits && !reserved {
        true => Ok(()),
        false => Err(errors::client(
            "The specified capacity provider name is invalid. Up to 255 characters are allowed, including letters \
             (upper and lowercase), numbers, underscores, and hyphens. The name cannot be prefixed with \"aws\", \
             \"ecs\", or \"fargate\". Specify a valid name and try again.",
        )),
    }
}

fn group(
    txn: &Txn,
    name: &str,
    given: ecs::AutoScalingGroupProvider,
    cluster: Option<String>,
) -> Result<AutoScalingGroupProvider, Error> {
    if cluster.is_some() {
        return Err(errors::invalid_parameter(
            "A cluster cannot be specified for an Auto Scaling group capacity provider.",
        ));
    }
    let group: AutoScalingGroupProvider = given.stored();
    let of = &group.auto_scaling_group_arn;
    if of.is_empty() || of.len() > limits::GROUP_ARN_LENGTH || of.chars().any(char::is_control) {
        return Err(errors::client(
            "The specified Auto Scaling group ARN is invalid. Specify a valid Auto Scaling group ARN and try again.",
        ));
    }
    let others = txn.state.providers.values().filter(|row| row.name != name && is_there(row));
    let mut others = others.filter_map(|row| row.group.as_ref());
    if others.any(|other| group_name(&other.auto_scaling_group_arn) == group_name(of)) {
        return Err(errors::client(
            "The specified Auto Scaling group ARN is already being used by another capacity provider. Specify a unique \
             Auto Scaling group ARN and try again.",
        ));
    }
    check_group(&group)?;
    Ok(group)
}

/// The name of the group that is named by name or ARN.
fn group_name(named: &str) -> &str {
    named.rsplit_once("autoScalingGroupName/").map_or(named, |(_, name)| name)
}

fn check_group(group: &AutoScalingGroupProvider) -> Result<(), Error> {
    let scaling = &group.managed_scaling;
    if scaling.minimum_scaling_step_size > scaling.maximum_scaling_step_size {
        return Err(errors::client(
            "The minimum or maximum scaling step size value is invalid. Specify a minimum scaling step size value that \
             is less than or equal to the maximum scaling step size value and try again.",
        ));
    }
    let protects = group.managed_termination_protection == ManagedTerminationProtection::Enabled;
    if protects && scaling.status == ManagedScalingStatus::Disabled {
        return Err(errors::client(
            "The managed termination protection setting for the capacity provider is invalid. To enable managed \
             termination protection for a capacity provider, managed scaling must be enabled.",
        ));
    }
    Ok(())
}

fn managed(
    cluster: Option<String>,
    given: ecs::CreateManagedInstancesProviderConfiguration,
) -> Result<ManagedInstancesProvider, Error> {
    let cluster = cluster.ok_or_else(|| {
        errors::client("Amazon ECS Managed Instances Provider is not supported without a Cluster Name.")
    })?;
    let settings = ecs::ManagedInstancesProvider {
        infrastructure_role_arn: Some(given.infrastructure_role_arn),
        instance_launch_template: Some(given.instance_launch_template),
        propagate_tags: given.propagate_tags,
        infrastructure_optimization: given.infrastructure_optimization,
        auto_repair_configuration: given.auto_repair_configuration,
    };
    Ok(ManagedInstancesProvider { cluster, settings: written(&settings)? })
}

/// What is asked of a provider of managed instances, as it is kept.
fn written(settings: &ecs::ManagedInstancesProvider) -> Result<String, Error> {
    let lacks = |what: &str| {
        Err(errors::client(format!("Amazon ECS Managed Instances capacity provider must specify {what}.")))
    };
    let template = settings.instance_launch_template.clone().unwrap_or_default();
    if settings.infrastructure_role_arn.as_deref().is_none_or(str::is_empty) {
        return lacks("an InfrastructureRole");
    }
    if template.ec2_instance_profile_arn.is_empty() {
        return lacks("an instance profile");
    }
    if template.network_configuration.subnets.as_deref().is_none_or(<[String]>::is_empty) {
        return lacks("a Network Configuration with non empty subnets");
    }
    let after = settings.infrastructure_optimization.as_ref().and_then(|given| given.scale_in_after);
    if after.is_some_and(|seconds| !(-1..=limits::SCALE_IN_AFTER_SECONDS).contains(&seconds)) {
        return Err(errors::invalid_parameter("scaleInAfter must be -1 or between 0 and 3600."));
    }
    let local = template.local_storage_configuration.and_then(|given| given.use_local_storage);
    if local == Some(true) && template.nitro_enclaves_enabled == Some(true) {
        return Err(errors::invalid_parameter(
            "nitroEnclavesEnabled and useLocalStorage cannot both be true.",
        ));
    }
    let text = serde_json::to_string(settings).map_err(|error| errors::server(error.to_string()))?;
    match text.len() <= limits::MANAGED_SETTINGS_BYTES {
        true => Ok(text),
        false => Err(errors::client("The managedInstancesProvider is too large.")),
    }
}

/// What UpdateCapacityProvider gives, taken into what stands.
fn settings_with(
    standing: &str,
    given: ecs::UpdateManagedInstancesProviderConfiguration,
) -> Result<String, Error> {
    let standing = describe::settings(standing);
    let mut template = standing.instance_launch_template.unwrap_or_default();
    let ecs::InstanceLaunchTemplateUpdate {
        ec2_instance_profile_arn,
        network_configuration,
        storage_configuration,
        instance_metadata_tags_propagation,
        local_storage_configuration,
        monitoring,
        instance_requirements,
        capacity_reservations,
    } = given.instance_launch_template;
    template = ecs::InstanceLaunchTemplate {
        ec2_instance_profile_arn: ec2_instance_profile_arn.unwrap_or(template.ec2_instance_profile_arn),
        network_configuration: network_configuration.unwrap_or(template.network_configuration),
        storage_configuration: storage_configuration.or(template.storage_configuration),
        instance_metadata_tags_propagation: instance_metadata_tags_propagation
            .or(template.instance_metadata_tags_propagation),
        local_storage_configuration: local_storage_configuration.or(template.local_storage_configuration),
        monitoring: monitoring.or(template.monitoring),
        instance_requirements: instance_requirements.or(template.instance_requirements),
        capacity_reservations: capacity_reservations.or(template.capacity_reservations),
        ..template
    };
    written(&ecs::ManagedInstancesProvider {
        infrastructure_role_arn: Some(given.infrastructure_role_arn),
        instance_launch_template: Some(template),
        propagate_tags: given.propagate_tags.or(standing.propagate_tags),
        infrastructure_optimization: given
            .infrastructure_optimization
            .or(standing.infrastructure_optimization),
        auto_repair_configuration: given.auto_repair_configuration.or(standing.auto_repair_configuration),
    })
}
