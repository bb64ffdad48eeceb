//! TagResource and UntagResource. Groups alone have tags.
//! <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_TagResource.html>

use std::collections::BTreeMap;

use scheduler_model::{
    Tag, TagResourceInput, TagResourceOutput, UntagResourceInput, UntagResourceOutput, errors,
};
use wire::Error;

use super::groups;
use crate::{Txn, arn, limits, plan};

/// TagResource.
pub fn tag_resource(txn: &mut Txn, input: TagResourceInput) -> Result<TagResourceOutput, Error> {
    change(txn, &input.resource_arn, |tags| set(tags, input.tags))?;
    Ok(TagResourceOutput {})
}

/// UntagResource.
pub fn untag_resource(txn: &mut Txn, input: UntagResourceInput) -> Result<UntagResourceOutput, Error> {
    change(txn, &input.resource_arn, |tags| {
        if input.tag_keys.iter().any(|key| reserved(key)) {
            return Err(own());
        }
        tags.retain(|key, _| !input.tag_keys.contains(key));
        Ok(())
    })?;
    Ok(UntagResourceOutput {})
}

fn change(
    txn: &mut Txn,
    resource_arn: &str,
    change: impl FnOnce(&mut BTreeMap<String, String>) -> Result<(), Error>,
) -> Result<(), Error> {
    let name = arn::group_name(txn.ctx, resource_arn).ok_or_else(|| missing(resource_arn))?;
    groups::not_default(name)?;
    let mut row = txn.state.group(name).ok_or_else(|| groups::missing(name))?.as_ref().clone();
    if row.deleting {
        return Err(errors::conflict(format!("Schedule group {name} is being deleted.")));
    }
    change(&mut row.tags)?;
    row.modified_at = txn.now();
    txn.put(row);
    Ok(())
}

/// A resource that is not there.
pub(crate) fn missing(resource_arn: &str) -> Error {
    errors::resource_not_found(format!("Resource {} does not exist.", limits::cut(resource_arn, 256)))
}

/// Sets tags, replacing those of the same keys.
pub(super) fn set(tags: &mut BTreeMap<String, String>, more: Vec<Tag>) -> Result<(), Error> {
    let mut seen = std::collections::BTreeSet::new();
    for Tag { key, value } in more {
        if reserved(&key) {
            return Err(own());
        }
        plan::tags::check(&key, &value)?;
        if !seen.insert(key.clone()) {
            return Err(errors::validation(format!("Duplicate tag key: {key}")));
        }
        tags.insert(key, value);
    }
    if tags.len() > limits::TAGS {
        return Err(errors::validation(format!("A schedule group has at most {} tags.", limits::TAGS)));
    }
    Ok(())
}

fn reserved(key: &str) -> bool {
    key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"))
}

fn own() -> Error {
    errors::validation("Tag keys that begin with aws: are reserved.")
}
