//! What is shown: looks at a snapshot.

pub mod acls;
pub mod addresses;
pub mod dhcp;
pub mod filter;
pub mod gateways;
pub mod groups;
pub mod hosts;
pub mod interfaces;
mod list;
pub mod nats;
pub mod places;
pub mod rules;
pub mod subnets;
pub mod tables;
pub mod tags;
pub mod vpcs;

use std::collections::BTreeMap;

use ec2_model::Tag;

use crate::{Ctx, Ec2, rows::Resource};

/// The tags of a thing.
pub fn tags(state: &Ec2, of: impl Into<Resource>) -> Option<Vec<Tag>> {
    let tag = |(key, value)| Tag { key: Some(key), value: Some(value) };
    let tags: BTreeMap<String, String> =
        state.tags_of(of).map(|row| (row.key.clone(), row.value.clone())).collect();
    Some(tags.into_iter().map(tag).collect())
}

/// The account, as the owner of all that is here.
fn owner(ctx: &Ctx) -> Option<String> {
    Some(ctx.account.to_string())
}
