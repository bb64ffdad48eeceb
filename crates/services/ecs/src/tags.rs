//! Tags of resources, and TagResource, UntagResource and ListTagsForResource on what a cluster holds.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-using-tags.html>

use std::sync::Arc;

use ecs_model::{self as ecs, errors};
use wire::Error;

use crate::{
    arn::{Arn, Resource},
    beyond::{self, On},
    cluster::{
        Cluster, DaemonName, DaemonRow, DaemonStatus, InstanceId, ServiceName, Tag, TaskId, TaskSetRow, Txn,
        Writes,
    },
    convert::{Shown, Stored},
    limits,
};

const RESERVED: &str = "Tag key must not start with aws:";

/// One tag.
pub fn tag(key: &str, value: &str) -> Tag {
    Tag { key: key.to_owned(), value: Some(value.to_owned()) }
}

/// Checks the tags that a request carries.
///
/// # Errors
/// `InvalidParameterException` for too many, bad or doubled keys, and those of Roadstead's own.
pub fn check(tags: &[ecs::Tag]) -> Result<(), Error> {
    check_on(On::Other, tags)
}

/// Likewise, of what may have tags of Roadstead's own.
///
/// # Errors
/// `InvalidParameterException` for too many, bad or doubled keys, and tags of Roadstead's own that do not fit.
pub fn check_on(on: On, tags: &[ecs::Tag]) -> Result<(), Error> {
    if tags.len() > limits::TAGS {
        return Err(errors::invalid_parameter("Tags can not have more than 50 elements."));
    }
    let mut seen = std::collections::BTreeSet::new();
    for ecs::Tag { key, value } in tags {
        if reserved(value.as_deref()) {
            return Err(errors::invalid_parameter("Tag values that begin with aws: are reserved."));
        }
        let key = key.as_deref().unwrap_or_default();
        if key.is_empty() || key.chars().count() > 128 {
            return Err(errors::invalid_parameter("Tag key must have between 1 and 128 characters."));
        }
        if reserved(Some(key)) {
            return Err(errors::invalid_parameter(RESERVED));
        }
        if value.as_deref().unwrap_or_default().chars().count() > 256 {
            return Err(errors::invalid_parameter("Tag value must have at most 256 characters."));
        }
        if !seen.insert(key) {
            return Err(errors::invalid_parameter(format!("Duplicate tag key: {key}")));
        }
        beyond::check(on, key, value.as_deref().unwrap_or_default())?;
    }
    Ok(())
}

/// Whether a key or value begins as only ECS itself may begin one.
fn reserved(text: Option<&str>) -> bool {
    let start = text.and_then(|text| text.get(..4));
    start.is_some_and(|start| start.eq_ignore_ascii_case("aws:"))
}

/// Adds those of `more` whose keys are not there yet.
pub fn add_missing(tags: &mut Vec<Tag>, more: &[Tag]) {
    for tag in more {
        if !tags.iter().any(|have| have.key == tag.key) {
            tags.push(tag.clone());
        }
    }
}

/// Takes tags off.
///
/// # Errors
/// `InvalidParameterException` for keys that only ECS may take off.
pub fn remove(tags: &mut Vec<Tag>, keys: &[String]) -> Result<(), Error> {
    if keys.iter().any(|key| reserved(Some(key))) {
        return Err(errors::invalid_parameter(RESERVED));
    }
    tags.retain(|tag| !keys.contains(&tag.key));
    Ok(())
}

/// Sets tags, replacing those of the same keys. What ECS itself has set does not count against the limit.
///
/// # Errors
/// As [`check_on`]; `LimitExceededException` where there are too many with those that are there.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TagResource.html>
pub fn merge(on: On, tags: &mut Vec<Tag>, more: Vec<ecs::Tag>) -> Result<(), Error> {
    check_on(on, &more)?;
    let more = more.stored();
    tags.retain(|have| !more.iter().any(|tag| tag.key == have.key));
    tags.extend(more);
    if tags.iter().filter(|tag| !reserved(Some(&tag.key))).count() > limits::TAGS {
        return Err(errors::limit_exceeded("Tags can not have more than 50 elements."));
    }
    Ok(())
}

/// Changes the tags of a resource of the cluster by `change`.
///
/// # Errors
/// As ECS words them for a resource that is not there or cannot carry tags.
pub fn change(
    txn: &mut Txn,
    resource_arn: &str,
    change: impl FnOnce(&mut Vec<Tag>) -> Result<(), Error>,
) -> Result<(), Error> {
    match resource(resource_arn)? {
        Resource::Cluster { .. } => {
            let mut row = txn.state.row.as_ref().clone();
            change(&mut row.tags)?;
            txn.put_cluster(row);
        }
        Resource::Service { name, .. } => {
            let row = txn.state.service(&ServiceName(name)).ok_or_else(not_found)?;
            let mut row = row.as_ref().clone();
            change(&mut row.tags)?;
            txn.put_service(row);
        }
        Resource::TaskSet { service, id, .. } => {
            let row = task_set(txn.state, service, &id).ok_or_else(not_found)?;
            let mut row = row.as_ref().clone();
            change(&mut row.tags)?;
            txn.put(row);
        }
        Resource::Daemon { name, .. } => {
            let mut row = daemon(txn.state, name).ok_or_else(not_found)?.as_ref().clone();
            change(&mut row.tags)?;
            txn.put_daemon(row);
        }
        Resource::Task { id, .. } => {
            let mut row =
                TaskId::parse(&id).and_then(|id| txn.state.task(&id)).ok_or_else(not_found)?.as_ref().clone();
            change(&mut row.tags)?;
            txn.put_task(row);
        }
        Resource::ContainerInstance { id, .. } => {
            let row = InstanceId::parse(&id).and_then(|id| txn.state.instance(&id)).ok_or_else(not_found)?;
            let mut row = row.as_ref().clone();
            change(&mut row.tags)?;
            txn.put_instance(row);
        }
        _ => return Err(errors::invalid_parameter("The specified resource cannot be tagged.")),
    }
    Ok(())
}

/// The tags of a resource of the cluster.
pub fn of(state: &Cluster, resource_arn: &str) -> Result<Vec<ecs::Tag>, Error> {
    Ok(match resource(resource_arn)? {
        Resource::Cluster { .. } => state.row.tags.shown(),
        Resource::Service { name, .. } => state.service(&ServiceName(name)).ok_or_else(missing)?.tags.shown(),
        Resource::TaskSet { service, id, .. } => {
            task_set(state, service, &id).ok_or_else(missing)?.tags.shown()
        }
        Resource::Daemon { name, .. } => daemon(state, name).ok_or_else(missing)?.tags.shown(),
        Resource::Task { id, .. } => {
            TaskId::parse(&id).and_then(|id| state.task(&id)).ok_or_else(missing)?.tags.shown()
        }
        Resource::ContainerInstance { id, .. } => {
            InstanceId::parse(&id).and_then(|id| state.instance(&id)).ok_or_else(missing)?.tags.shown()
        }
        _ => return Err(errors::invalid_parameter("The specified resource cannot be tagged.")),
    })
}

fn task_set(state: &Cluster, service: String, id: &str) -> Option<Arc<TaskSetRow>> {
    state.task_set(&ServiceName(service), id.parse().ok()?).cloned()
}

fn daemon(state: &Cluster, name: String) -> Option<&Arc<DaemonRow>> {
    state.daemon_row(&DaemonName(name)).filter(|row| row.status != DaemonStatus::Deleted)
}

fn resource(arn: &str) -> Result<Resource, Error> {
    let parsed = Arn::parse(arn).map(|arn| arn.resource);
    parsed
        .ok_or_else(|| errors::invalid_parameter(format!("Invalid resource ARN: {}", limits::cut(arn, 256))))
}

/// ListTagsForResource has no error of its own for it.
fn missing() -> Error {
    errors::invalid_parameter("The specified resource was not found.")
}

/// The failure of TagResource and UntagResource for a resource that is not there.
pub fn not_found() -> Error {
    errors::resource_not_found("The specified resource wasn't found.")
}

/// TagResource on what a cluster holds.
pub fn tag_resource(
    txn: &mut Txn,
    request: ecs::TagResourceRequest,
) -> Result<ecs::TagResourceResponse, Error> {
    let on = match resource(&request.resource_arn)? {
        Resource::Service { name, .. } => {
            txn.state.service(&ServiceName(name)).map_or(On::Other, |row| On::service(row.scheduling))
        }
        _ => On::Other,
    };
    change(txn, &request.resource_arn, |tags| merge(on, tags, request.tags))?;
    Ok(ecs::TagResourceResponse::default())
}

/// UntagResource on what a cluster holds.
pub fn untag_resource(
    txn: &mut Txn,
    request: ecs::UntagResourceRequest,
) -> Result<ecs::UntagResourceResponse, Error> {
    change(txn, &request.resource_arn, |tags| remove(tags, &request.tag_keys))?;
    Ok(ecs::UntagResourceResponse::default())
}
