//! DescribeTags.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeTags.html>

use std::{collections::BTreeSet, ops::Bound, sync::Arc};

use ec2_model::{DescribeTagsRequest, DescribeTagsResult, ResourceType, TagDescription};
use wire::Error;

use super::{
    filter::{self, Filter},
    list,
};
use crate::{
    Ctx, Ec2,
    rows::{Resource, TagRow},
};

const FILTERS: &[&str] = &["key", "resource-id", "resource-type", "value"];

type Key = (Resource, String);

/// DescribeTags: in the order of what they are of and of their keys.
pub fn describe_tags(
    state: &Ec2,
    _ctx: &Ctx,
    request: &DescribeTagsRequest,
) -> Result<DescribeTagsResult, Error> {
    let page = list::page(request.max_results, request.next_token.as_deref())?;
    let after = match page.after() {
        Some(text) => Some(key_of(text).ok_or_else(list::no_token)?),
        None => None,
    };
    let filters = filter::read(request.filters.as_ref(), FILTERS)?;
    let from = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
    let shown = |row: &&Arc<TagRow>| filters.iter().all(|filter| meets(row, filter));
    let key = |row: &&Arc<TagRow>| format!("{}/{}", row.of, row.key);
    let all = state.tags();
    let (rows, next_token) = match narrowed(state, &filters) {
        Some(keys) => {
            let rows: Vec<&Arc<TagRow>> =
                keys.range(from).filter_map(|key| all.get(key)).filter(shown).collect();
            page.cut(rows.into_iter(), key)
        }
        None => page.cut(all.range(from).map(|(_, row)| row).filter(shown), key),
    };
    let tags = rows.into_iter().map(|row| TagDescription {
        key: Some(row.key.clone()),
        resource_id: Some(row.of.to_string()),
        resource_type: row.of.kind().parse::<ResourceType>().ok(),
        value: Some(row.value.clone()),
    });
    Ok(DescribeTagsResult { next_token, tags: Some(tags.collect()) })
}

fn key_of(text: &str) -> Option<Key> {
    let (of, key) = text.split_once('/')?;
    Some((of.parse().ok()?, key.to_owned()))
}

/// The tags of the things that are asked for, or those of a key and value.
fn narrowed(state: &Ec2, filters: &[Filter]) -> Option<BTreeSet<Key>> {
    let texts = |name: &str| filters.iter().find(|filter| filter.name == name)?.texts();
    if let Some(ids) = texts("resource-id") {
        let resources = ids.iter().filter_map(|id| id.parse::<Resource>().ok());
        let rows = resources.flat_map(|resource| state.tags_of(resource));
        return Some(rows.map(|row| (row.of, row.key.clone())).collect());
    }
    let tagged = |key: &str, values: &[String]| -> BTreeSet<Key> {
        let of = |value: &String| state.tagged(key, value).map(|of| (of, key.to_owned())).collect::<Vec<_>>();
        values.iter().flat_map(of).collect()
    };
    let by_tag = filters.iter().find_map(|filter| {
        let key = filter.name.strip_prefix("tag:")?;
        Some(tagged(key, &filter.texts()?))
    });
    by_tag.or_else(|| {
        let (keys, values) = (texts("key")?, texts("value")?);
        Some(keys.iter().flat_map(|key| tagged(key, &values)).collect())
    })
}

fn meets(row: &TagRow, filter: &Filter) -> bool {
    let value = match filter.name.as_str() {
        "key" => Some(row.key.clone()),
        "resource-id" => Some(row.of.to_string()),
        "resource-type" => Some(row.of.kind().to_owned()),
        "value" => Some(row.value.clone()),
        name => (name.strip_prefix("tag:") == Some(&row.key)).then(|| row.value.clone()),
    };
    filter.meets(value.into_iter())
}
