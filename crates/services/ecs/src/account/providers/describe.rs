//! DescribeCapacityProviders, and a capacity provider as the API shows it.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeCapacityProviders.html>

use std::collections::BTreeSet;

use ecs_model::{self as ecs, CapacityProviderField, CapacityProviderType, errors};
use wire::Error;

use super::{FARGATE, named};
use crate::{
    Account, Ctx, arn, convert::Shown, limits, paging, rows::CapacityProviderRow, task::describe::missing,
};

/// The longest page, and the one where none is asked for.
const PAGE: i32 = 10;

/// Describes those that are named, or all; `of_cluster` are those of the cluster that is asked about.
///
/// # Errors
/// `InvalidParameterException` for too many names or a page that cannot be given.
pub fn describe_capacity_providers(
    state: &Account,
    ctx: &Ctx,
    request: &ecs::DescribeCapacityProvidersRequest,
    of_cluster: Option<&[String]>,
) -> Result<ecs::DescribeCapacityProvidersResponse, Error> {
    let page = paging::read_up_to(PAGE, PAGE, request.max_results, request.next_token.as_deref())?;
    let given = request.capacity_providers.as_deref().unwrap_or_default();
    if given.len() > limits::DESCRIBE {
        return Err(errors::invalid_parameter("Capacity providers cannot have more than 100 elements."));
    }
    let wanted: BTreeSet<String> = match (given, of_cluster) {
        ([], Some(of_cluster)) => of_cluster.iter().cloned().collect(),
        ([], None) => {
            FARGATE.iter().map(|name| (*name).to_owned()).chain(state.providers.keys().cloned()).collect()
        }
        (given, _) => given.iter().map(|given| named(ctx, given).unwrap_or_else(|| given.clone())).collect(),
    };
    let (names, next_token) = page.take(wanted.iter(), |_| true, String::clone);
    let with_tags = request.include.iter().flatten().any(|field| *field == CapacityProviderField::Tags);
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in names {
        let is_asked = of_cluster.is_none_or(|of_cluster| of_cluster.contains(name));
        let row = state.provider_row(name).filter(|_| is_asked);
        match (row, FARGATE.iter().position(|of| of == name).filter(|_| is_asked)) {
            (Some(row), _) => found.push(shown(ctx, row, with_tags)),
            (None, Some(at)) => found.push(of_fargate(ctx, at)),
            (None, None) if name.starts_with("arn:") => failures.push(missing(name.clone())),
            (None, None) => failures.push(missing(arn::capacity_provider(ctx, name))),
        }
    }
    Ok(ecs::DescribeCapacityProvidersResponse {
        capacity_providers: Some(found),
        failures: Some(failures),
        next_token,
    })
}

/// A capacity provider as the API shows it.
pub fn shown(ctx: &Ctx, row: &CapacityProviderRow, with_tags: bool) -> ecs::CapacityProvider {
    let kind = match row.managed {
        Some(_) => CapacityProviderType::ManagedInstances,
        None => CapacityProviderType::Ec2Autoscaling,
    };
    ecs::CapacityProvider {
        capacity_provider_arn: Some(arn::capacity_provider(ctx, &row.name)),
        name: Some(row.name.clone()),
        cluster: row.managed.as_ref().map(|managed| managed.cluster.clone()),
        status: Some(row.status.shown()),
        auto_scaling_group_provider: row.group.shown(),
        managed_instances_provider: row.managed.as_ref().map(|managed| settings(&managed.settings)),
        update_status: Some(row.update.shown()),
        update_status_reason: row.update_reason.clone(),
        tags: Some(if with_tags { row.tags.shown() } else { Vec::new() }),
        r#type: Some(kind),
    }
}

/// One of those that have no row.
fn of_fargate(ctx: &Ctx, at: usize) -> ecs::CapacityProvider {
    const TYPES: [CapacityProviderType; 2] =
        [CapacityProviderType::Fargate, CapacityProviderType::FargateSpot];
    ecs::CapacityProvider {
        capacity_provider_arn: Some(arn::capacity_provider(ctx, FARGATE[at])),
        name: Some(FARGATE[at].to_owned()),
        status: Some(ecs::CapacityProviderStatus::Active),
        tags: Some(Vec::new()),
        r#type: Some(TYPES[at]),
        ..Default::default()
    }
}

/// What is kept of a provider of managed instances, with what ECS fills in.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_InstanceLaunchTemplate.html>
pub(super) fn settings(kept: &str) -> ecs::ManagedInstancesProvider {
    let mut kept: ecs::ManagedInstancesProvider = serde_json::from_str(kept).unwrap_or_default();
    if let Some(template) = &mut kept.instance_launch_template {
        template.capacity_option_type.get_or_insert(ecs::CapacityOptionType::OnDemand);
    }
    kept
}
