//! DescribeAvailabilityZones, DescribeRegions and DescribeAccountAttributes.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeAvailabilityZones.html>

use ec2_model::{
    AccountAttribute, AccountAttributeValue, AvailabilityZone, AvailabilityZoneOptInStatus,
    AvailabilityZoneState, DescribeAccountAttributesRequest, DescribeAccountAttributesResult,
    DescribeAvailabilityZonesRequest, DescribeAvailabilityZonesResult, DescribeRegionsRequest,
    DescribeRegionsResult, Region,
};
use wire::Error;

use super::filter;
use crate::{
    Ctx, Ec2, limits, refuse,
    zones::{self, Zone},
};

const ZONE_FILTERS: &[&str] = &[
    "group-long-name",
    "group-name",
    "message",
    "opt-in-status",
    "parent-zone-id",
    "parent-zone-name",
    "region-name",
    "state",
    "zone-id",
    "zone-name",
    "zone-type",
];
const OPT_IN: &str = "opt-in-not-required";

/// The group of a region's own zones.
fn group(ctx: &Ctx) -> String {
    format!("{}-zg-1", ctx.region)
}

fn of_zone(ctx: &Ctx, zone: &Zone, filter: &str) -> Option<String> {
    match filter {
        "group-name" => Some(group(ctx)),
        "opt-in-status" => Some(OPT_IN.to_owned()),
        "region-name" => Some(ctx.region.to_string()),
        "state" => Some("available".to_owned()),
        "zone-id" => Some(zone.id.clone()),
        "zone-name" => Some(zone.name.clone()),
        "zone-type" => Some("availability-zone".to_owned()),
        _ => None,
    }
}

/// DescribeAvailabilityZones.
pub fn describe_availability_zones(
    _state: &Ec2,
    ctx: &Ctx,
    request: &DescribeAvailabilityZonesRequest,
) -> Result<DescribeAvailabilityZonesResult, Error> {
    let filters = filter::read(request.filters.as_ref(), ZONE_FILTERS)?;
    let zones = zones::of(&ctx.region);
    let wanted = |given: Option<&Vec<String>>, own: fn(&Zone) -> &str| {
        let given = given.into_iter().flatten();
        let unknown: Vec<String> = given
            .filter(|text| !zones.iter().any(|zone| own(zone) == *text))
            .map(|text| refuse::cut(text))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        Err(refuse::value(format!("Invalid availability zone: [{}]", unknown.join(", "))))
    };
    wanted(request.zone_names.as_ref(), |zone| &zone.name)?;
    wanted(request.zone_ids.as_ref(), |zone| &zone.id)?;
    let listed = |given: Option<&Vec<String>>, own: &String| {
        given.is_none_or(|given| given.is_empty() || given.contains(own))
    };
    let shown = zones.iter().filter(|zone| {
        listed(request.zone_names.as_ref(), &zone.name)
            && listed(request.zone_ids.as_ref(), &zone.id)
            && filters.iter().all(|filter| filter.meets(of_zone(ctx, zone, &filter.name).into_iter()))
    });
    let shown = shown.map(|zone| AvailabilityZone {
        opt_in_status: Some(AvailabilityZoneOptInStatus::OptInNotRequired),
        messages: Some(Vec::new()),
        region_name: Some(ctx.region.to_string()),
        zone_name: Some(zone.name.clone()),
        zone_id: Some(zone.id.clone()),
        group_name: Some(group(ctx)),
        network_border_group: Some(ctx.region.to_string()),
        zone_type: Some("availability-zone".to_owned()),
        state: Some(AvailabilityZoneState::Available),
        ..AvailabilityZone::default()
    });
    Ok(DescribeAvailabilityZonesResult { availability_zones: Some(shown.collect()) })
}

/// DescribeRegions: the one that the request is for. What others there are only the control plane's configuration says.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeRegions.html>
pub fn describe_regions(
    _state: &Ec2,
    ctx: &Ctx,
    request: &DescribeRegionsRequest,
) -> Result<DescribeRegionsResult, Error> {
    let filters = filter::read(request.filters.as_ref(), &["endpoint", "opt-in-status", "region-name"])?;
    let endpoint = format!("ec2.{}.amazonaws.com", ctx.region);
    if let Some(other) = request.region_names.iter().flatten().find(|name| **name != *ctx.region) {
        return Err(refuse::value(format!("Region not found: {}", refuse::cut(other))));
    }
    let value = |name: &str| match name {
        "endpoint" => Some(endpoint.clone()),
        "opt-in-status" => Some(OPT_IN.to_owned()),
        "region-name" => Some(ctx.region.to_string()),
        _ => None,
    };
    let is_shown = filters.iter().all(|filter| filter.meets(value(&filter.name).into_iter()));
    let region = Region {
        opt_in_status: Some(OPT_IN.to_owned()),
        region_name: Some(ctx.region.to_string()),
        endpoint: Some(endpoint.clone()),
        ..Region::default()
    };
    Ok(DescribeRegionsResult { regions: Some(is_shown.then_some(region).into_iter().collect()) })
}

/// DescribeAccountAttributes.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeAccountAttributes.html>
pub fn describe_account_attributes(
    state: &Ec2,
    _ctx: &Ctx,
    request: &DescribeAccountAttributesRequest,
) -> Result<DescribeAccountAttributesResult, Error> {
    let default = state.default_vpc().map_or_else(|| "none".to_owned(), |vpc| vpc.id.to_string());
    let addresses = limits::ADDRESSES.to_string();
    let all = [
        ("supported-platforms", "VPC".to_owned()),
        ("default-vpc", default),
        ("max-elastic-ips", addresses.clone()),
        ("vpc-max-elastic-ips", addresses),
        ("vpc-max-security-groups-per-interface", "5".to_owned()),
    ];
    let names = request.attribute_names.as_ref().filter(|names| !names.is_empty());
    let is_wanted = |name: &str| names.is_none_or(|names| names.iter().any(|wanted| wanted.as_str() == name));
    let shown = all.into_iter().filter(|(name, _)| is_wanted(name)).map(|(name, value)| AccountAttribute {
        attribute_name: Some(name.to_owned()),
        attribute_values: Some(vec![AccountAttributeValue { attribute_value: Some(value) }]),
    });
    Ok(DescribeAccountAttributesResult { account_attributes: Some(shown.collect()) })
}
