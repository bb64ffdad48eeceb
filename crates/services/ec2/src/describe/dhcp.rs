//! DescribeDhcpOptions: there are the default ones alone.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeDhcpOptions.html>

use std::net::Ipv4Addr;

use ec2_model::{
    AttributeValue, DescribeDhcpOptionsRequest, DescribeDhcpOptionsResult, DhcpConfiguration, DhcpOptions,
};
use wire::Error;

use super::{filter, list};
use crate::{
    Ctx, Ec2,
    rows::{Cidr4, DhcpId},
    state::Named,
};

const FILTERS: &[&str] = &["dhcp-options-id", "key", "owner-id", "tag-key", "value"];

/// DescribeDhcpOptions.
pub fn describe_dhcp_options(
    state: &Ec2,
    ctx: &Ctx,
    request: &DescribeDhcpOptionsRequest,
) -> Result<DescribeDhcpOptionsResult, Error> {
    let page = list::page(request.max_results, request.next_token.as_deref())?;
    let filters = filter::read(request.filters.as_ref(), FILTERS)?;
    let id = state.seed().map(|seed| seed.dhcp).unwrap_or_default();
    let mut ids = request.dhcp_options_ids.iter().flatten();
    if let Some(other) = ids.find(|text| text.parse() != Ok(id)) {
        return Err(DhcpId::missing(other));
    }
    let configurations = configurations(ctx);
    let values = |name: &str| -> Vec<String> {
        match name {
            "dhcp-options-id" => vec![id.to_string()],
            "key" => configurations.iter().map(|(key, _)| (*key).to_owned()).collect(),
            "value" => configurations.iter().map(|(_, value)| value.clone()).collect(),
            "owner-id" => vec![ctx.account.to_string()],
            "tag-key" => state.tags_of(id).map(|tag| tag.key.clone()).collect(),
            name => {
                let key = name.strip_prefix("tag:").unwrap_or_default();
                state.tag(id.into(), key).map(|tag| tag.value.clone()).into_iter().collect()
            }
        }
    };
    let is_shown = filters.iter().all(|filter| filter.meets(values(&filter.name).into_iter()));
    let shown = DhcpOptions {
        owner_id: super::owner(ctx),
        tags: super::tags(state, id),
        dhcp_options_id: Some(id.to_string()),
        dhcp_configurations: Some(configurations.iter().map(configuration).collect()),
    };
    // Behind the only one there is nothing.
    let one = is_shown && page.after().is_none();
    Ok(DescribeDhcpOptionsResult {
        next_token: None,
        dhcp_options: Some(one.then_some(shown).into_iter().collect()),
    })
}

fn configuration((key, value): &(&str, String)) -> DhcpConfiguration {
    DhcpConfiguration {
        key: Some((*key).to_owned()),
        values: Some(vec![AttributeValue { value: Some(value.clone()) }]),
    }
}

/// <https://docs.aws.amazon.com/vpc/latest/userguide/DHCPOptionSetConcepts.html>
fn configurations(ctx: &Ctx) -> [(&'static str, String); 2] {
    [("domain-name", domain(&ctx.region)), ("domain-name-servers", "AmazonProvidedDNS".to_owned())]
}

/// Where AmazonProvidedDNS is in a VPC: two behind the first address of its block.
/// <https://docs.aws.amazon.com/vpc/latest/userguide/AmazonDNS-concepts.html>
pub fn resolver(cidr: Cidr4) -> Ipv4Addr {
    Ipv4Addr::from_bits(cidr.base.saturating_add(2))
}

/// The domain of names in the VPCs of a region.
pub fn domain(region: &str) -> String {
    match region {
        "us-east-1" => "ec2.internal".to_owned(),
        region => format!("{region}.compute.internal"),
    }
}
