//! VPCs, subnets, tags, and the default VPC.

use serde_json::json;

use crate::testing::{World, filter, text};

#[test]
fn each_account_has_a_default_vpc_in_each_region_from_the_start() {
    let mut world = World::new();
    let look = |world: &mut World| {
        let vpc = world.one("DescribeVpcs", filter("is-default", &["true"]), "Vpcs");
        let of = filter("vpc-id", &[vpc["VpcId"].as_str().unwrap()]);
        let of_gateway = filter("attachment.vpc-id", &[vpc["VpcId"].as_str().unwrap()]);
        json!([
            vpc,
            world.ok("DescribeSubnets", of.clone()),
            world.ok("DescribeSecurityGroups", of.clone()),
            world.ok("DescribeRouteTables", of.clone()),
            world.ok("DescribeNetworkAcls", of),
            world.ok("DescribeInternetGateways", of_gateway),
            world.ok("DescribeDhcpOptions", json!({})),
            world.ok("DescribeAccountAttributes", json!({"AttributeNames": ["default-vpc"]})),
        ])
    };
    let before = look(&mut world);
    assert_eq!(world.state.rows().count(), 0, "a look stores nothing");
    let [vpc, subnets, groups, tables, acls, gateways, dhcp, account] = before.as_array().unwrap().as_slice()
    else {
        panic!("{before}")
    };
    assert_eq!((&vpc["CidrBlock"], &vpc["State"]), (&json!("172.31.0.0/16"), &json!("available")));
    let subnets = subnets["Subnets"].as_array().unwrap();
    let mut shown: Vec<_> =
        subnets.iter().map(|one| (text(&one["CidrBlock"]), text(&one["AvailabilityZone"]))).collect();
    shown.sort();
    let expected =
        [("172.31.0.0/20", "us-east-1a"), ("172.31.16.0/20", "us-east-1b"), ("172.31.32.0/20", "us-east-1c")];
    assert_eq!(shown, expected.map(|(cidr, zone)| (cidr.to_owned(), zone.to_owned())));
    for one in subnets {
        assert_eq!((&one["MapPublicIpOnLaunch"], &one["DefaultForAz"]), (&json!(true), &json!(true)));
        assert_eq!(one["AvailableIpAddressCount"], 4091);
        assert!(text(&one["SubnetArn"]).ends_with(&text(&one["SubnetId"])));
    }
    let table = &tables["RouteTables"][0];
    assert_eq!(table["Associations"][0]["Main"], true);
    assert_eq!(table["Routes"][0]["GatewayId"], "local");
    assert_eq!(table["Routes"][1]["GatewayId"], gateways["InternetGateways"][0]["InternetGatewayId"]);
    assert_eq!(
        (&table["Routes"][1]["State"], &table["Routes"][1]["DestinationCidrBlock"]),
        (&json!("active"), &json!("0.0.0.0/0"))
    );
    assert_eq!(gateways["InternetGateways"][0]["Attachments"][0]["State"], "available");
    assert_eq!(acls["NetworkAcls"][0]["Associations"].as_array().unwrap().len(), 3);
    assert_eq!(groups["SecurityGroups"][0]["GroupName"], "default");
    assert_eq!(dhcp["DhcpOptions"][0]["DhcpOptionsId"], vpc["DhcpOptionsId"]);
    assert_eq!(account["AccountAttributes"][0]["AttributeValues"][0]["AttributeValue"], vpc["VpcId"]);

    // The first command stores it, as it was seen.
    world.ok("CreateInternetGateway", json!({}));
    assert_eq!(look(&mut world), before);
    world.restart();
    assert_eq!(look(&mut world), before);
    // Another account, and another region, have others.
    for (account, region) in [("111111111111", "us-east-1"), ("000000000000", "eu-west-1")] {
        let mut other = World::new();
        (other.ctx.account, other.ctx.region) = (account.into(), region.into());
        assert_ne!(other.one("DescribeVpcs", json!({}), "Vpcs")["VpcId"], vpc["VpcId"]);
    }
}

#[test]
fn a_default_vpc_that_is_deleted_stays_so() {
    let mut world = World::new();
    let vpc = text(&world.one("DescribeVpcs", json!({}), "Vpcs")["VpcId"]);
    assert_eq!(world.code("DeleteVpc", json!({"VpcId": vpc})), "DependencyViolation");
    for id in world.texts("DescribeSubnets", json!({}), "Subnets", "SubnetId") {
        world.ok("DeleteSubnet", json!({"SubnetId": id}));
    }
    let gateway =
        world.texts("DescribeInternetGateways", json!({}), "InternetGateways", "InternetGatewayId").remove(0);
    assert_eq!(
        world.code("DeleteInternetGateway", json!({"InternetGatewayId": gateway})),
        "DependencyViolation"
    );
    world.ok("DetachInternetGateway", json!({"InternetGatewayId": gateway, "VpcId": vpc}));
    let table = world.one("DescribeRouteTables", json!({}), "RouteTables");
    assert_eq!(table["Routes"][1]["State"], "blackhole");
    world.ok("DeleteInternetGateway", json!({"InternetGatewayId": gateway}));
    world.ok("DeleteVpc", json!({"VpcId": vpc}));
    world.restart();
    assert_eq!(world.ok("DescribeVpcs", json!({}))["Vpcs"], json!([]));
    assert_eq!(world.state.rows().count(), 1, "that it was made");
    let made = world.code("CreateSecurityGroup", json!({"GroupName": "g", "Description": "d"}));
    assert_eq!(made, "VPCIdNotSpecified");
    let account = world.ok("DescribeAccountAttributes", json!({"AttributeNames": ["default-vpc"]}));
    assert_eq!(account["AccountAttributes"][0]["AttributeValues"][0]["AttributeValue"], "none");
}

#[test]
fn a_vpc_is_made_changed_and_deleted() {
    let mut world = World::new();
    let tags = json!([{"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": "v"}]}]);
    let made = world.ok("CreateVpc", json!({"CidrBlock": "10.1.2.3/16", "TagSpecifications": tags}));
    let vpc = &made["Vpc"];
    assert_eq!((&vpc["CidrBlock"], &vpc["IsDefault"]), (&json!("10.1.0.0/16"), &json!(false)));
    assert_eq!(vpc["Tags"], json!([{"Key": "Name", "Value": "v"}]));
    assert_eq!(vpc["CidrBlockAssociationSet"][0]["CidrBlockState"]["State"], "associated");
    let id = text(&vpc["VpcId"]);
    assert!(id.len() == 21 && id.starts_with("vpc-0"), "{id}");
    for (attribute, member, before) in [
        ("enableDnsSupport", "EnableDnsSupport", true),
        ("enableDnsHostnames", "EnableDnsHostnames", false),
        ("enableNetworkAddressUsageMetrics", "EnableNetworkAddressUsageMetrics", false),
    ] {
        let look = json!({"VpcId": id, "Attribute": attribute});
        assert_eq!(
            world.ok("DescribeVpcAttribute", look.clone()),
            json!({"VpcId": id, member: {"Value": before}})
        );
        world.ok("ModifyVpcAttribute", json!({"VpcId": id, member: {"Value": !before}}));
        assert_eq!(world.ok("DescribeVpcAttribute", look), json!({"VpcId": id, member: {"Value": !before}}));
    }
    let both =
        json!({"VpcId": id, "EnableDnsSupport": {"Value": true}, "EnableDnsHostnames": {"Value": true}});
    assert_eq!(world.code("ModifyVpcAttribute", both), "InvalidParameterCombination");
    assert_eq!(world.code("ModifyVpcAttribute", json!({"VpcId": id})), "MissingParameter");
    for (name, list) in [
        ("DescribeNetworkAcls", "NetworkAcls"),
        ("DescribeRouteTables", "RouteTables"),
        ("DescribeSecurityGroups", "SecurityGroups"),
    ] {
        world.one(name, filter("vpc-id", &[&id]), list);
    }
    world.ok("DeleteVpc", json!({"VpcId": id}));
    let gone = ("InvalidVpcID.NotFound".to_owned(), format!("The vpc ID '{id}' does not exist"));
    assert_eq!(world.refused("DeleteVpc", json!({"VpcId": id})), gone);
    assert_eq!(world.refused("DescribeVpcs", json!({"VpcIds": [id]})), gone);
    assert_eq!(world.code("DescribeVpcs", json!({"VpcIds": ["v-1"]})), "InvalidVpcID.Malformed");
}

#[test]
fn blocks_of_vpcs_and_subnets_are_checked() {
    let mut world = World::new();
    for (cidr, code) in [
        ("10.0.0.0/15", "InvalidVpc.Range"),
        ("10.0.0.0/29", "InvalidVpc.Range"),
        ("10.0.0/16", "InvalidParameterValue"),
        ("10.0.0.0/33", "InvalidParameterValue"),
        ("10.0.0.0", "InvalidParameterValue"),
        ("fd00::/16", "InvalidParameterValue"),
        ("", "MissingParameter"),
    ] {
        assert_eq!(world.code("CreateVpc", json!({"CidrBlock": cidr})), code, "{cidr}");
    }
    let vpc = world.vpc();
    world.subnet(&vpc, "10.0.16.9/20");
    for (cidr, code) in [
        ("10.1.0.0/24", "InvalidSubnet.Range"),
        ("10.0.0.0/8", "InvalidSubnet.Range"),
        ("10.0.0.0/29", "InvalidSubnet.Range"),
        ("10.0.16.0/24", "InvalidSubnet.Conflict"),
        ("10.0.0.0/16", "InvalidSubnet.Conflict"),
        ("10.0.0.0/x", "InvalidParameterValue"),
    ] {
        assert_eq!(world.code("CreateSubnet", json!({"VpcId": vpc, "CidrBlock": cidr})), code, "{cidr}");
    }
    for (member, value, zone) in
        [("AvailabilityZone", "us-east-1c", "us-east-1c"), ("AvailabilityZoneId", "use1-az2", "us-east-1b")]
    {
        let cidr = format!("10.0.{}.0/24", value.len());
        let made = world.ok("CreateSubnet", json!({"VpcId": vpc, "CidrBlock": cidr, member: value}));
        assert_eq!(made["Subnet"]["AvailabilityZone"], zone);
    }
    let wrong = json!({"VpcId": vpc, "CidrBlock": "10.0.99.0/24", "AvailabilityZone": "us-east-1d"});
    let (code, message) = world.refused("CreateSubnet", wrong);
    assert_eq!(code, "InvalidParameterValue");
    assert!(message.ends_with("us-east-1a, us-east-1b, us-east-1c."), "{message}");
}

#[test]
fn a_subnet_is_changed_one_attribute_at_a_time() {
    let mut world = World::new();
    let vpc = world.vpc();
    let id = world.subnet(&vpc, "10.0.0.0/28");
    let made = world.one("DescribeSubnets", json!({"SubnetIds": [id]}), "Subnets");
    assert_eq!(made["AvailableIpAddressCount"], 11);
    world.ok("ModifySubnetAttribute", json!({"SubnetId": id, "MapPublicIpOnLaunch": {"Value": true}}));
    world.ok(
        "ModifySubnetAttribute",
        json!({"SubnetId": id, "PrivateDnsHostnameTypeOnLaunch": "resource-name"}),
    );
    let records = json!({"SubnetId": id, "EnableResourceNameDnsARecordOnLaunch": {"Value": true}});
    world.ok("ModifySubnetAttribute", records);
    world.ok(
        "ModifySubnetAttribute",
        json!({"SubnetId": id, "AssignIpv6AddressOnCreation": {"Value": false}}),
    );
    let v6 = json!({"SubnetId": id, "AssignIpv6AddressOnCreation": {"Value": true}});
    assert_eq!(world.code("ModifySubnetAttribute", v6), "InvalidParameterValue");
    assert_eq!(world.code("ModifySubnetAttribute", json!({"SubnetId": id})), "MissingParameter");
    let changed = world.one(
        "DescribeSubnets",
        filter("private-dns-name-options-on-launch.hostname-type", &["resource-*"]),
        "Subnets",
    );
    assert_eq!(changed["MapPublicIpOnLaunch"], true);
    assert_eq!(changed["SubnetId"], id.as_str());
    let names = json!({
        "HostnameType": "resource-name",
        "EnableResourceNameDnsARecord": true,
        "EnableResourceNameDnsAAAARecord": false,
    });
    assert_eq!(changed["PrivateDnsNameOptionsOnLaunch"], names);
    assert_eq!(world.code("DeleteVpc", json!({"VpcId": vpc})), "DependencyViolation");
    world.ok("DeleteSubnet", json!({"SubnetId": id}));
    assert_eq!(world.code("DeleteSubnet", json!({"SubnetId": id})), "InvalidSubnetID.NotFound");
    world.ok("DeleteVpc", json!({"VpcId": vpc}));
}

#[test]
fn anything_can_have_tags() {
    let mut world = World::new();
    let vpc = world.vpc();
    let subnet = world.subnet(&vpc, "10.0.0.0/24");
    let tag = |key: &str, value: &str| json!({"Key": key, "Value": value});
    world.ok("CreateTags", json!({"Resources": [vpc, subnet], "Tags": [tag("a", "1"), tag("b", "")]}));
    world.ok("CreateTags", json!({"Resources": [vpc], "Tags": [tag("a", "2")]}));
    let shown = world.ok("DescribeTags", filter("resource-id", &[&vpc]));
    let of = |key: &str, value: &str| json!({"Key": key, "ResourceId": vpc, "ResourceType": "vpc", "Value": value});
    assert_eq!(shown, json!({"Tags": [of("a", "2"), of("b", "")]}));
    for (name, values, count) in [
        ("key", ["a"], 2),
        ("value", ["2"], 1),
        ("tag:a", ["*"], 2),
        ("tag:a", ["1"], 1),
        ("resource-type", ["subnet"], 2),
        ("resource-id", ["vpc-00000000000000000"], 0),
    ] {
        let found = world.ok("DescribeTags", filter(name, &values));
        assert_eq!(found["Tags"].as_array().unwrap().len(), count, "{name} {values:?}");
    }
    // By key, by key and value, and all.
    world.ok("DeleteTags", json!({"Resources": [vpc], "Tags": [tag("a", "other"), {"Key": "none"}]}));
    assert_eq!(world.state.tags().len(), 4);
    world.ok("DeleteTags", json!({"Resources": [vpc], "Tags": [{"Key": "a"}, tag("b", "")]}));
    assert_eq!(world.state.tags().len(), 2);
    world.ok("DeleteTags", json!({"Resources": [subnet]}));
    assert_eq!(world.state.tags().len(), 0);
    let many: Vec<_> = (0..51).map(|n| tag(&n.to_string(), "v")).collect();
    for (resource, tags, code) in [
        (vpc.as_str(), json!(many), "TagLimitExceeded"),
        (&vpc, json!([tag("aws:x", "v")]), "InvalidParameterValue"),
        (&vpc, json!([tag("", "v")]), "InvalidTagKey.Malformed"),
        (&vpc, json!([tag("a", "1"), tag("a", "2")]), "InvalidParameterValue"),
        (&vpc, json!([tag(&"k".repeat(129), "v")]), "InvalidParameterValue"),
        (&vpc, json!([tag("k", &"v".repeat(257))]), "InvalidParameterValue"),
        ("subnet-00000000000000000", json!([tag("a", "1")]), "InvalidSubnetID.NotFound"),
        ("i-00000000000000000", json!([tag("a", "1")]), "InvalidID"),
    ] {
        assert_eq!(world.code("CreateTags", json!({"Resources": [resource], "Tags": tags})), code, "{tags}");
    }
    let other = json!([{"ResourceType": "subnet", "Tags": [tag("a", "1")]}]);
    let made = json!({"CidrBlock": "10.9.0.0/16", "TagSpecifications": other});
    assert_eq!(world.code("CreateVpc", made), "InvalidParameterValue");
    // They go with what they are of.
    world.ok("CreateTags", json!({"Resources": [subnet], "Tags": [tag("a", "1")]}));
    world.ok("DeleteSubnet", json!({"SubnetId": subnet}));
    assert_eq!(world.state.tags().len(), 0);
}

#[test]
fn a_question_whether_it_would_be_done_is_answered_and_nothing_is_done() {
    let mut world = World::new();
    for (name, input) in [
        ("CreateVpc", json!({"CidrBlock": "10.0.0.0/16", "DryRun": true})),
        ("DescribeVpcs", json!({"DryRun": true})),
    ] {
        let error = world.call(name, input).unwrap_err();
        assert_eq!((error.code(), error.status()), ("DryRunOperation", 412));
    }
    assert_eq!(world.state.rows().count(), 0);
}
