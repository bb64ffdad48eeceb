//! CreateTags, DeleteTags, and tags that come with what is made.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateTags.html>

use std::collections::BTreeMap;

use ec2_model::{
    CreateTagsRequest, CreateTagsResponse, DeleteTagsRequest, DeleteTagsResponse, ResourceType, Tag,
    TagSpecification,
};
use wire::Error;

use crate::{
    Txn, limits, refuse,
    rows::{Resource, TagRow},
    table::Key,
};

/// Tags of one thing.
pub type Tags = BTreeMap<String, String>;

/// The tags that a request has for what it makes, which is of one kind.
///
/// # Errors
/// Tags for another kind of thing, tags that cannot be, or too many.
pub fn specified(given: Option<Vec<TagSpecification>>, kind: ResourceType) -> Result<Tags, Error> {
    let mut all = Vec::new();
    for specification in given.into_iter().flatten() {
        match specification.resource_type {
            Some(of) if of == kind => all.extend(specification.tags.unwrap_or_default()),
            Some(other) => {
                return Err(refuse::value(format!(
                    "'{other}' is not a valid taggable resource type for this operation."
                )));
            }
            None => return Err(refuse::value("Tag specification must have a resource type.")),
        }
    }
    read(all)
}

fn read(given: Vec<Tag>) -> Result<Tags, Error> {
    let mut tags = Tags::new();
    for Tag { key, value } in given {
        let (key, value) = (key.unwrap_or_default(), value.unwrap_or_default());
        check_key(&key)?;
        if value.chars().count() > limits::TAG_VALUE {
            return Err(refuse::value(format!(
                "Tag value exceeds the maximum length of {} characters",
                limits::TAG_VALUE
            )));
        }
        if tags.insert(key.clone(), value).is_some() {
            return Err(refuse::value(format!("Duplicate tag key '{key}' specified.")));
        }
    }
    few(tags.len())?;
    Ok(tags)
}

fn check_key(key: &str) -> Result<(), Error> {
    if key.is_empty() {
        return Err(refuse::with("InvalidTagKey.Malformed", "Tag key cannot be null or empty."));
    }
    if key.chars().count() > limits::TAG_KEY {
        return Err(refuse::value(format!(
            "Tag key exceeds the maximum length of {} characters",
            limits::TAG_KEY
        )));
    }
    if key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
        return Err(refuse::value("Tag keys starting with 'aws:' are reserved for internal use"));
    }
    Ok(())
}

fn few(count: usize) -> Result<(), Error> {
    match count > limits::TAGS {
        true => Err(refuse::with(
            "TagLimitExceeded",
            format!("The maximum number of tags on a resource is {}.", limits::TAGS),
        )),
        false => Ok(()),
    }
}

/// Gives something that was just made its tags.
pub fn put(txn: &mut Txn, of: impl Into<Resource>, tags: Tags) {
    let of = of.into();
    tags.into_iter().for_each(|(key, value)| txn.put(TagRow { of, key, value }));
}

/// Forgets the tags of something that goes.
pub fn forget(txn: &mut Txn, of: impl Into<Resource>) {
    let of = of.into();
    let keys: Vec<String> = txn.state.tags_of(of).map(|row| row.key.clone()).collect();
    keys.into_iter().for_each(|key| txn.delete(Key::Tag((of, key))));
}

/// CreateTags.
pub fn create_tags(txn: &mut Txn, request: CreateTagsRequest) -> Result<CreateTagsResponse, Error> {
    let tags = read(request.tags)?;
    for of in named(txn, &request.resources)? {
        let kept = txn.state.tags_of(of).filter(|row| !tags.contains_key(&row.key)).count();
        few(kept + tags.len())?;
        put(txn, of, tags.clone());
    }
    Ok(CreateTagsResponse {})
}

/// DeleteTags: those of the keys that are given, and of the values where there are any; without keys all of
/// them. A tag that is not there is deleted already.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteTags.html>
pub fn delete_tags(txn: &mut Txn, request: DeleteTagsRequest) -> Result<DeleteTagsResponse, Error> {
    let given: Vec<(String, Option<String>)> =
        request.tags.into_iter().flatten().map(|tag| (tag.key.unwrap_or_default(), tag.value)).collect();
    given.iter().try_for_each(|(key, _)| check_key(key))?;
    let meant = |row: &TagRow| {
        let is = |(key, value): &(String, Option<String>)| {
            *key == row.key && value.as_ref().is_none_or(|value| *value == row.value)
        };
        given.is_empty() || given.iter().any(is)
    };
    for of in named(txn, &request.resources)? {
        let keys: Vec<String> =
            txn.state.tags_of(of).filter(|row| meant(row)).map(|row| row.key.clone()).collect();
        keys.into_iter().for_each(|key| txn.delete(Key::Tag((of, key))));
    }
    Ok(DeleteTagsResponse {})
}

fn named(txn: &Txn, resources: &[String]) -> Result<Vec<Resource>, Error> {
    if resources.len() > limits::TAGGED {
        let message = format!("A request can tag at most {} resources.", limits::TAGGED);
        return Err(refuse::value(message));
    }
    resources.iter().map(|text| txn.state.find(text)).collect()
}
