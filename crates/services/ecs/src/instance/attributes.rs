//! PutAttributes, DeleteAttributes, ListAttributes.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PutAttributes.html>

use ecs_model::{self as ecs, TargetType, errors};
use wire::Error;

use super::{describe, find};
use crate::{
    Ctx, arn,
    cluster::{
        Attribute, Cluster, InstanceFacet, InstanceId, InstanceRow, InstanceStatus, Txn, Writes, seek::Seek,
    },
    convert::{Shown, Stored},
    limits, paging,
};

/// Sets attributes on container instances. All of them, or none.
///
/// # Errors
/// `InvalidParameterException`, `TargetNotFoundException`, `AttributeLimitExceededException`.
pub fn put_attributes(
    txn: &mut Txn,
    request: ecs::PutAttributesRequest,
) -> Result<ecs::PutAttributesResponse, Error> {
    check_count(request.attributes.len())?;
    for attribute in &request.attributes {
        check(&attribute.name, attribute.value.as_deref())?;
        let mut row = target(txn, attribute)?;
        row.attributes.retain(|have| have.name != attribute.name);
        row.attributes.push(attribute.clone().stored());
        let own = row.attributes.iter().filter(|have| !built_in(&have.name)).count();
        if own > limits::CUSTOM_ATTRIBUTES || row.attributes.len() > limits::ATTRIBUTES_KEPT {
            return Err(errors::attribute_limit_exceeded(
                "You can apply up to 10 custom attributes for each resource.",
            ));
        }
        txn.room_came(&row.id);
        txn.put_instance(row);
    }
    Ok(ecs::PutAttributesResponse { attributes: Some(request.attributes) })
}

/// Removes attributes from container instances. All of them, or none; the answer has those that were there, with their
/// values. <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeleteAttributes.html>
///
/// # Errors
/// `InvalidParameterException`, `TargetNotFoundException`.
pub fn delete_attributes(
    txn: &mut Txn,
    request: ecs::DeleteAttributesRequest,
) -> Result<ecs::DeleteAttributesResponse, Error> {
    check_count(request.attributes.len())?;
    let mut deleted = Vec::new();
    for attribute in request.attributes {
        let mut row = target(txn, &attribute)?;
        if built_in(&attribute.name) {
            return Err(errors::invalid_parameter("Attributes that the agent registered cannot be deleted."));
        }
        let is_meant = |have: &Attribute| {
            have.name == attribute.name && (attribute.value.is_none() || have.value == attribute.value)
        };
        let Some(found) = row.attributes.iter().find(|have| is_meant(have)) else { continue };
        let value = found.value.clone();
        row.attributes.retain(|have| !is_meant(have));
        deleted.push(ecs::Attribute { value, ..attribute });
        txn.room_came(&row.id);
        txn.put_instance(row);
    }
    Ok(ecs::DeleteAttributesResponse { attributes: Some(deleted) })
}

/// Lists attributes with their targets, in the order of targets and names.
pub fn list_attributes(
    state: &Cluster,
    ctx: &Ctx,
    request: &ecs::ListAttributesRequest,
) -> Result<ecs::ListAttributesResponse, Error> {
    if request.attribute_value.is_some() && request.attribute_name.is_none() {
        return Err(errors::invalid_parameter("attributeName must be given with attributeValue."));
    }
    let page = paging::read(request.max_results, request.next_token.as_deref())?;
    let wanted = |a: &Attribute| {
        request.attribute_name.as_ref().is_none_or(|name| a.name == *name)
            && (request.attribute_value.is_none() || request.attribute_value == a.value)
    };
    // A token names the instance and the attribute behind which the page begins.
    let read = |after: &str| {
        after.split_once('/').and_then(|(id, name)| Some((InstanceId::parse(id)?, name.to_owned())))
    };
    let (from, behind) = paging::behind(&page, read)?.unzip();
    let live = [InstanceStatus::Active, InstanceStatus::Draining, InstanceStatus::Registering];
    let of = match (request.attribute_name.as_deref(), request.attribute_value.as_deref()) {
        (Some(name), Some(value)) => Some(InstanceFacet::AttributeValue(name, value)),
        (Some(name), None) => Some(InstanceFacet::Attribute(name)),
        (None, _) => None,
    };
    let named = of.map(|of| state.seek_instances(of));
    let targets = Seek::All(named.into_iter().chain([describe::of_status(state, &live)]).collect());
    let targets = from.filter(|id| targets.first(id) == Some(*id)).into_iter().chain(targets.after(from));
    let all = targets.filter_map(|id| state.instance(&id)).flat_map(|row| sorted(row));
    let all = all.filter(|(_, a)| wanted(a));
    let all = all.skip_while(|(row, a)| Some(row.id) == from && Some(&a.name) <= behind.as_ref());
    let (found, next_token) = page.cut(all, |(row, a)| format!("{}/{}", row.id, a.name));
    let shown = found.iter().map(|(row, a)| ecs::Attribute {
        target_type: Some(TargetType::ContainerInstance),
        target_id: Some(arn::container_instance(ctx, &state.row.name, row.id)),
        ..a.shown()
    });
    Ok(ecs::ListAttributesResponse { attributes: Some(shown.collect()), next_token })
}

fn sorted(row: &InstanceRow) -> Vec<(&InstanceRow, &Attribute)> {
    let mut all: Vec<(&InstanceRow, &Attribute)> = row.attributes.iter().map(|a| (row, a)).collect();
    all.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
    all
}

/// An attribute that agents register, not one of a user.
fn built_in(name: &str) -> bool {
    name.starts_with("ecs.") || name.starts_with("com.amazonaws.ecs.")
}

fn check_count(count: usize) -> Result<(), Error> {
    match count {
        1..=10 => Ok(()),
        _ => Err(errors::invalid_parameter("Attributes must have between 1 and 10 elements.")),
    }
}

/// Whether an attribute may be called so, and have such a value.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Attribute.html>
///
/// # Errors
/// `InvalidParameterException`.
pub(super) fn check(name: &str, value: Option<&str>) -> Result<(), Error> {
    let name_fits = |c: char| c.is_ascii_alphanumeric() || "-_./\\".contains(c);
    let value_fits = |c: char| c.is_ascii_alphanumeric() || "-_./:\\@ ".contains(c);
    if name.is_empty() || name.len() > 128 || !name.chars().all(name_fits) {
        return Err(errors::invalid_parameter("Attribute name contains invalid characters or is too long."));
    }
    let Some(value) = value else { return Ok(()) };
    if !(1..=128).contains(&value.len())
        || !value.chars().all(value_fits)
        || value.starts_with(' ')
        || value.ends_with(' ')
    {
        return Err(errors::invalid_parameter(format!(
            "The value of attribute {name} contains invalid characters or is too long."
        )));
    }
    Ok(())
}

/// The container instance that an attribute is for.
fn target(txn: &Txn, attribute: &ecs::Attribute) -> Result<InstanceRow, Error> {
    let id = attribute.target_id.as_deref().filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| errors::invalid_parameter("The attribute has no targetId."))?;
    find(txn, id).map_err(|_| errors::target_not_found("The specified target wasn't found."))
}
