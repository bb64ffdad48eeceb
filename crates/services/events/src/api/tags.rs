//! TagResource and UntagResource, on event buses and rules.
//! <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_TagResource.html>

use events_model::{
    Tag, TagResourceRequest, TagResourceResponse, UntagResourceRequest, UntagResourceResponse,
};
use wire::Error;

use super::rules;
use crate::{
    arn::{self, Resource},
    limits, refuse,
    rows::{BusRow, RuleRow, Tags},
    state::Txn,
};

/// The tags that a request carries.
///
/// # Errors
/// `ValidationException` for doubled or reserved keys, `LimitExceededException` for too many.
pub fn read(tags: Vec<Tag>) -> Result<Tags, Error> {
    let given = tags.len();
    let read: Tags = tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
    if read.len() < given {
        return Err(refuse::validation("Invalid parameter: Duplicated keys are not allowed."));
    }
    reserved(read.keys())?;
    few(&read)?;
    Ok(read)
}

fn few(tags: &Tags) -> Result<(), Error> {
    if tags.len() > limits::TAGS { Err(refuse::too_many()) } else { Ok(()) }
}

fn reserved<'a>(mut keys: impl Iterator<Item = &'a String>) -> Result<(), Error> {
    let is_reserved = |key: &&String| key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"));
    match keys.find(is_reserved) {
        Some(key) => {
            let message = format!("Invalid parameter: Tag keys that begin with aws: are reserved: {key}.");
            Err(refuse::validation(message))
        }
        None => Ok(()),
    }
}

/// TagResource.
pub fn tag_resource(txn: &mut Txn, request: TagResourceRequest) -> Result<TagResourceResponse, Error> {
    let more = read(request.tags)?;
    change(txn, &request.resource_arn, |tags| tags.extend(more))?;
    Ok(TagResourceResponse {})
}

/// UntagResource.
pub fn untag_resource(txn: &mut Txn, request: UntagResourceRequest) -> Result<UntagResourceResponse, Error> {
    reserved(request.tag_keys.iter())?;
    change(txn, &request.resource_arn, |tags| tags.retain(|key, _| !request.tag_keys.contains(key)))?;
    Ok(UntagResourceResponse {})
}

fn change(txn: &mut Txn, resource: &str, change: impl FnOnce(&mut Tags)) -> Result<(), Error> {
    match arn::resource(txn.ctx, resource)? {
        Resource::Bus(name) => {
            let row = txn.state.bus(&name).ok_or_else(|| refuse::no_bus(&name))?;
            let mut row: BusRow = row.as_ref().clone();
            change(&mut row.tags);
            few(&row.tags)?;
            txn.put(row);
        }
        Resource::Rule { bus, name } => {
            let row = rules::rule(txn.state, txn.ctx, Some(&bus), &name)?;
            let mut row: RuleRow = row.as_ref().clone();
            rules::guard(&row, None)?;
            change(&mut row.tags);
            few(&row.tags)?;
            txn.put(row);
        }
    }
    Ok(())
}
