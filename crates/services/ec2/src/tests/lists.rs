//! Filters and pages.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    api::OPERATIONS,
    testing::{World, filter, text},
};

#[test]
fn pages_hold_everything_once() {
    let mut world = World::new();
    let vpc = world.vpc();
    let made: BTreeSet<String> = (0..13).map(|at| world.subnet(&vpc, &format!("10.0.{at}.0/24"))).collect();
    for filters in
        [json!([{"Name": "vpc-id", "Values": [vpc]}]), json!([{"Name": "cidr-block", "Values": ["10.*"]}])]
    {
        let (mut seen, mut token, mut pages) = (Vec::new(), Value::Null, 0);
        loop {
            let page =
                world.ok("DescribeSubnets", json!({"Filters": filters, "MaxResults": 5, "NextToken": token}));
            seen.extend(page["Subnets"].as_array().unwrap().iter().map(|one| text(&one["SubnetId"])));
            (token, pages) = (page["NextToken"].clone(), pages + 1);
            if token.is_null() {
                break;
            }
        }
        assert_eq!((seen.len(), pages), (13, 3));
        assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), made);
    }
    for (input, code) in [
        (json!({"MaxResults": 4}), "InvalidParameterValue"),
        (json!({"MaxResults": 1001}), "InvalidParameterValue"),
        (json!({"NextToken": "x"}), "InvalidNextToken"),
    ] {
        assert_eq!(world.code("DescribeSubnets", input.clone()), code, "{input}");
    }
    let tags: Vec<_> = (0..7).map(|at| json!({"Key": format!("k/{at}"), "Value": "v"})).collect();
    world.ok("CreateTags", json!({"Resources": [vpc], "Tags": tags}));
    let first = world.ok("DescribeTags", json!({"MaxResults": 5}));
    let second = world.ok("DescribeTags", json!({"MaxResults": 5, "NextToken": first["NextToken"]}));
    assert_eq!((second["Tags"][0]["Key"].clone(), &second["NextToken"]), (json!("k/5"), &Value::Null));
}

#[test]
fn filters_are_met_together_and_each_by_one_of_its_values() {
    let mut world = World::new();
    let vpc = world.vpc();
    let (a, b) = (world.subnet(&vpc, "10.0.0.0/24"), world.subnet(&vpc, "10.0.1.0/24"));
    let tag = |key: &str, value: &str| json!([{"Key": key, "Value": value}]);
    world.ok("CreateTags", json!({"Resources": [a, b], "Tags": tag("Name", "x")}));
    world.ok("CreateTags", json!({"Resources": [b], "Tags": tag("Tier", "private a")}));
    for (filters, found) in [
        (json!([{"Name": "tag:Name", "Values": ["x"]}]), vec![&a, &b]),
        (json!([{"Name": "tag:Name", "Values": ["y", "x"]}, {"Name": "subnet-id", "Values": [b]}]), vec![&b]),
        (json!([{"Name": "tag:Tier", "Values": ["priv*"]}]), vec![&b]),
        (json!([{"Name": "tag-key", "Values": ["Tier", "None"]}]), vec![&b]),
        (json!([{"Name": "tag:Name", "Values": ["X"]}]), vec![]),
        (json!([{"Name": "vpc-id", "Values": [vpc]}, {"Name": "cidr", "Values": ["10.0.0.0/24"]}]), vec![&a]),
        (json!([{"Name": "vpc-id", "Values": ["vpc-00000000000000000"]}]), vec![]),
        (json!([{"Name": "subnet-id", "Values": ["subnet-00000000000000000", a]}]), vec![&a]),
        (json!([{"Name": "vpc-id", "Values": [vpc]}, {"Name": "state", "Values": ["pending"]}]), vec![]),
    ] {
        let mut shown = world.texts("DescribeSubnets", json!({"Filters": filters}), "Subnets", "SubnetId");
        shown.sort();
        let mut found: Vec<String> = found.into_iter().cloned().collect();
        found.sort();
        assert_eq!(shown, found, "{filters}");
    }
    let many: Vec<String> = (0..201).map(|at| at.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (input, code) in [
        (filter("none", &["x"]), "InvalidParameterValue"),
        (filter("vpc-id", &[]), "InvalidParameterValue"),
        (filter("vpc-id", &many), "FilterLimitExceeded"),
    ] {
        assert_eq!(world.code("DescribeSubnets", input), code);
    }
}

/// A filter that is known asks something, or nothing has it: it never fails, and never lets a thing through by accident.
#[test]
fn every_filter_of_every_list_is_answered() {
    let mut world = World::new();
    world.vpc();
    let lists = OPERATIONS.iter().map(|operation| operation.built.operation);
    for name in lists.filter(|name| name.starts_with("Describe")) {
        let model = ec2_model::SERVICE.operation(name).unwrap().input.unwrap();
        let Some(member) = ["Filters", "Filter"].into_iter().find(|member| model.member(member).is_some())
        else {
            continue;
        };
        let of = |filter: &str| json!({member: [{"Name": filter, "Values": ["no such value"]}]});
        let found = world.ok(name, of("tag:none"));
        if matches!(name, "DescribeAvailabilityZones" | "DescribeRegions") {
            continue;
        }
        let list = found.as_object().unwrap().iter().find_map(|(_, value)| value.as_array()).unwrap();
        assert!(list.is_empty(), "{name} {found}");
    }
}

#[test]
fn zones_and_regions_are_those_of_the_request() {
    let mut world = World::new();
    let zones = world.ok("DescribeAvailabilityZones", filter("opt-in-status", &["opt-in-not-required"]));
    let zones = zones["AvailabilityZones"].as_array().unwrap();
    let names: Vec<_> = zones.iter().map(|zone| (text(&zone["ZoneName"]), text(&zone["ZoneId"]))).collect();
    let expected = [("us-east-1a", "use1-az1"), ("us-east-1b", "use1-az2"), ("us-east-1c", "use1-az3")];
    assert_eq!(names, expected.map(|(name, id)| (name.to_owned(), id.to_owned())));
    let one = world.one("DescribeAvailabilityZones", json!({"ZoneIds": ["use1-az2"]}), "AvailabilityZones");
    assert_eq!(one["ZoneName"], "us-east-1b");
    let (code, message) = world.refused("DescribeAvailabilityZones", json!({"ZoneNames": ["us-east-1z"]}));
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("InvalidParameterValue", "Invalid availability zone: [us-east-1z]")
    );
    let region = world.one("DescribeRegions", json!({}), "Regions");
    assert_eq!(region["RegionName"], "us-east-1");
    assert_eq!(world.code("DescribeRegions", json!({"RegionNames": ["eu-west-1"]})), "InvalidParameterValue");
    let dhcp = world.one("DescribeDhcpOptions", filter("value", &["AmazonProvidedDNS"]), "DhcpOptions");
    assert_eq!(dhcp["DhcpConfigurations"][0]["Values"], json!([{"Value": "ec2.internal"}]));
    let code = world.code("DescribeDhcpOptions", json!({"DhcpOptionsIds": ["dopt-00000000000000000"]}));
    assert_eq!(code, "InvalidDhcpOptionID.NotFound");
    assert_eq!(
        world.ok("DescribeNetworkInterfaces", filter("subnet-id", &["*"])),
        json!({"NetworkInterfaces": []})
    );
    let code =
        world.code("DescribeNetworkInterfaces", json!({"NetworkInterfaceIds": ["eni-00000000000000000"]}));
    assert_eq!(code, "InvalidNetworkInterfaceID.NotFound");
}
