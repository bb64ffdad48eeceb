//! Gateways, route tables, addresses, NAT gateways and network ACLs.

use serde_json::{Value, json};

use crate::testing::{HOUR, World, filter, text};

fn gateway(world: &mut World, vpc: &str) -> String {
    let id = text(&world.ok("CreateInternetGateway", json!({}))["InternetGateway"]["InternetGatewayId"]);
    world.ok("AttachInternetGateway", json!({"InternetGatewayId": id, "VpcId": vpc}));
    id
}

fn table(world: &mut World, vpc: &str) -> String {
    text(&world.ok("CreateRouteTable", json!({"VpcId": vpc}))["RouteTable"]["RouteTableId"])
}

/// A NAT gateway and its address.
fn nat(world: &mut World, subnet: &str) -> (String, String) {
    let address = text(&world.ok("AllocateAddress", json!({"Domain": "vpc"}))["AllocationId"]);
    let made = world.ok("CreateNatGateway", json!({"SubnetId": subnet, "AllocationId": address}));
    assert_eq!(made["NatGateway"]["State"], "pending");
    (text(&made["NatGateway"]["NatGatewayId"]), address)
}

#[test]
fn a_vpc_has_one_internet_gateway() {
    let mut world = World::new();
    let vpc = world.vpc();
    let id = gateway(&mut world, &vpc);
    let shown =
        world.one("DescribeInternetGateways", json!({"InternetGatewayIds": [id]}), "InternetGateways");
    assert_eq!(shown["Attachments"], json!([{"State": "available", "VpcId": vpc}]));
    let again = json!({"InternetGatewayId": id, "VpcId": vpc});
    assert_eq!(world.code("AttachInternetGateway", again.clone()), "Resource.AlreadyAssociated");
    let other = text(&world.ok("CreateInternetGateway", json!({}))["InternetGateway"]["InternetGatewayId"]);
    let second = json!({"InternetGatewayId": other, "VpcId": vpc});
    assert_eq!(world.code("AttachInternetGateway", second.clone()), "InvalidParameterValue");
    assert_eq!(world.code("DetachInternetGateway", second), "Gateway.NotAttached");
    assert_eq!(world.code("DeleteInternetGateway", json!({"InternetGatewayId": id})), "DependencyViolation");
    assert_eq!(world.code("DeleteVpc", json!({"VpcId": vpc})), "DependencyViolation");
    world.ok("DetachInternetGateway", again);
    world.ok("DeleteInternetGateway", json!({"InternetGatewayId": id}));
    assert_eq!(
        world.code("DeleteInternetGateway", json!({"InternetGatewayId": id})),
        "InvalidInternetGatewayID.NotFound"
    );
    world.ok("DeleteVpc", json!({"VpcId": vpc}));
}

#[test]
fn routes_are_made_replaced_and_deleted() {
    let mut world = World::new();
    let vpc = world.vpc();
    let (gateway, table) = (gateway(&mut world, &vpc), table(&mut world, &vpc));
    let route = |to: &str| json!({"RouteTableId": table, "DestinationCidrBlock": to, "GatewayId": gateway});
    assert_eq!(world.ok("CreateRoute", route("0.0.0.0/0")), json!({"Return": true}));
    // The same again is no error; another way is.
    world.ok("CreateRoute", route("0.0.0.0/0"));
    let subnet = world.subnet(&vpc, "10.0.0.0/24");
    let (nat, _) = nat(&mut world, &subnet);
    let by_nat = |to: &str| json!({"RouteTableId": table, "DestinationCidrBlock": to, "NatGatewayId": nat});
    assert_eq!(world.code("CreateRoute", by_nat("0.0.0.0/0")), "RouteAlreadyExists");
    assert_eq!(world.code("CreateRoute", route("10.0.0.0/16")), "RouteAlreadyExists");
    world.ok(
        "CreateRoute",
        json!({"RouteTableId": table, "DestinationIpv6CidrBlock": "::/0", "GatewayId": gateway}),
    );
    world.ok("ReplaceRoute", by_nat("0.0.0.0/0"));
    assert_eq!(world.code("ReplaceRoute", by_nat("192.168.0.0/16")), "InvalidParameterValue");
    let shown = world.one("DescribeRouteTables", json!({"RouteTableIds": [table]}), "RouteTables");
    let routes = shown["Routes"].as_array().unwrap();
    let local = json!({"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "Origin": "CreateRouteTable", "State": "active"});
    assert_eq!(routes[0], local);
    let out = json!({"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": nat, "Origin": "CreateRoute", "State": "active"});
    assert_eq!((routes.len(), &routes[1]), (3, &out));
    world.ok("DeleteNatGateway", json!({"NatGatewayId": nat}));
    let shown = world.one("DescribeRouteTables", filter("route.state", &["blackhole"]), "RouteTables");
    assert_eq!(shown["RouteTableId"], table.as_str());
    assert_eq!(world.code("CreateRoute", by_nat("1.0.0.0/8")), "InvalidNatGatewayID.NotFound");
    let delete = |to: &str| json!({"RouteTableId": table, "DestinationCidrBlock": to});
    world.ok("DeleteRoute", delete("0.0.0.0/0"));
    assert_eq!(world.code("DeleteRoute", delete("0.0.0.0/0")), "InvalidRoute.NotFound");
    assert_eq!(world.code("DeleteRoute", delete("10.0.0.0/16")), "InvalidParameterValue");
    for (input, code) in [
        (json!({"RouteTableId": table, "DestinationCidrBlock": "1.0.0.0/8"}), "MissingParameter"),
        (json!({"RouteTableId": table, "GatewayId": gateway}), "MissingParameter"),
        (
            json!({"RouteTableId": table, "DestinationCidrBlock": "1.0.0.0", "GatewayId": gateway}),
            "InvalidParameterValue",
        ),
        (
            json!({"RouteTableId": "rtb-00000000000000000", "DestinationCidrBlock": "1.0.0.0/8", "GatewayId": gateway}),
            "InvalidRouteTableID.NotFound",
        ),
        (
            json!({"RouteTableId": table, "DestinationCidrBlock": "1.0.0.0/8", "GatewayId": "igw-00000000000000000"}),
            "InvalidInternetGatewayID.NotFound",
        ),
    ] {
        assert_eq!(world.code("CreateRoute", input.clone()), code, "{input}");
    }
}

#[test]
fn a_subnet_has_the_main_table_unless_it_has_its_own() {
    let mut world = World::new();
    let vpc = world.vpc();
    let (subnet, own) = (world.subnet(&vpc, "10.0.0.0/24"), table(&mut world, &vpc));
    let main = world.one(
        "DescribeRouteTables",
        json!({"Filters": [
        {"Name": "association.main", "Values": ["true"]}, {"Name": "vpc-id", "Values": [vpc]}]}),
        "RouteTables",
    );
    let main_id = text(&main["RouteTableId"]);
    assert_eq!(world.code("DeleteRouteTable", json!({"RouteTableId": main_id})), "DependencyViolation");
    let associate = |table: &str| json!({"RouteTableId": table, "SubnetId": subnet});
    let made = world.ok("AssociateRouteTable", associate(&own));
    assert_eq!(made["AssociationState"], json!({"State": "associated"}));
    assert_eq!(world.ok("AssociateRouteTable", associate(&own)), made);
    assert_eq!(world.code("AssociateRouteTable", associate(&main_id)), "Resource.AlreadyAssociated");
    let found = world.one("DescribeRouteTables", filter("association.subnet-id", &[&subnet]), "RouteTables");
    assert_eq!((&found["RouteTableId"], &found["Associations"][0]["Main"]), (&json!(own), &json!(false)));
    assert_eq!(world.code("DeleteRouteTable", json!({"RouteTableId": own})), "DependencyViolation");
    let replace = json!({"AssociationId": made["AssociationId"], "RouteTableId": main_id});
    let replaced = world.ok("ReplaceRouteTableAssociation", replace.clone());
    assert_ne!(replaced["NewAssociationId"], made["AssociationId"]);
    assert_eq!(world.code("ReplaceRouteTableAssociation", replace), "InvalidAssociationID.NotFound");
    let gone = json!({"AssociationId": replaced["NewAssociationId"]});
    world.ok("DisassociateRouteTable", gone.clone());
    assert_eq!(world.code("DisassociateRouteTable", gone), "InvalidAssociationID.NotFound");
    // Another main table.
    let id = &main["Associations"][0]["RouteTableAssociationId"];
    assert_eq!(world.code("DisassociateRouteTable", json!({"AssociationId": id})), "InvalidParameterValue");
    world.ok("ReplaceRouteTableAssociation", json!({"AssociationId": id, "RouteTableId": own}));
    world.restart();
    let now = world.one(
        "DescribeRouteTables",
        json!({"Filters": [
        {"Name": "association.main", "Values": ["true"]}, {"Name": "vpc-id", "Values": [vpc]}]}),
        "RouteTables",
    );
    assert_eq!(now["RouteTableId"], own.as_str());
    world.ok("DeleteRouteTable", json!({"RouteTableId": main_id}));
    let elsewhere = world.texts("DescribeRouteTables", json!({}), "RouteTables", "RouteTableId");
    let foreign = elsewhere.iter().find(|id| **id != own).unwrap();
    assert_eq!(world.code("AssociateRouteTable", associate(foreign)), "InvalidParameterValue");
}

#[test]
fn a_nat_gateway_takes_an_address_and_is_shown_for_an_hour_after_its_end() {
    let mut world = World::new();
    let vpc = world.vpc();
    let subnet = world.subnet(&vpc, "10.0.0.0/28");
    let address = world.ok("AllocateAddress", json!({"Domain": "vpc"}));
    assert!(text(&address["PublicIp"]).starts_with("198.1"), "{address}");
    let create = json!({"SubnetId": subnet, "AllocationId": address["AllocationId"], "ClientToken": "t"});
    assert_eq!(world.code("CreateNatGateway", create.clone()), "Gateway.NotAttached");
    let gateway = gateway(&mut world, &vpc);
    let made = world.ok("CreateNatGateway", create.clone());
    let id = text(&made["NatGateway"]["NatGatewayId"]);
    let again = world.ok("CreateNatGateway", create.clone());
    assert_eq!((&again["NatGateway"]["NatGatewayId"], &again["ClientToken"]), (&json!(id), &json!("t")));
    let other = json!({"SubnetId": subnet, "ConnectivityType": "private", "ClientToken": "t"});
    assert_eq!(world.code("CreateNatGateway", other), "IdempotentParameterMismatch");
    let taken = json!({"SubnetId": subnet, "AllocationId": address["AllocationId"]});
    assert_eq!(world.code("CreateNatGateway", taken), "Resource.AlreadyAssociated");
    let shown = world.one("DescribeNatGateways", json!({"NatGatewayIds": [id]}), "NatGateways");
    assert_eq!((&shown["State"], &shown["ConnectivityType"]), (&json!("available"), &json!("public")));
    assert_eq!(shown["NatGatewayAddresses"][0]["PublicIp"], address["PublicIp"]);
    assert_eq!(shown["NatGatewayAddresses"][0]["PrivateIp"], "10.0.0.4");
    let held = world.one(
        "DescribeAddresses",
        filter("public-ip", &[address["PublicIp"].as_str().unwrap()]),
        "Addresses",
    );
    assert_eq!(held["AssociationId"], shown["NatGatewayAddresses"][0]["AssociationId"]);
    assert_eq!(
        world.one("DescribeSubnets", json!({"SubnetIds": [subnet]}), "Subnets")["AvailableIpAddressCount"],
        10
    );
    for (name, input, code) in [
        ("ReleaseAddress", json!({"AllocationId": address["AllocationId"]}), "AuthFailure"),
        ("DisassociateAddress", json!({"AssociationId": held["AssociationId"]}), "AuthFailure"),
        ("DisassociateAddress", json!({"AssociationId": "eipassoc-1"}), "InvalidAssociationID.NotFound"),
        ("DisassociateAddress", json!({}), "MissingParameter"),
        ("DeleteSubnet", json!({"SubnetId": subnet}), "DependencyViolation"),
        ("DetachInternetGateway", json!({"InternetGatewayId": gateway, "VpcId": vpc}), "DependencyViolation"),
        ("CreateNatGateway", json!({"SubnetId": subnet}), "MissingParameter"),
        (
            "CreateNatGateway",
            json!({"SubnetId": subnet, "ConnectivityType": "private", "PrivateIpAddress": "10.0.0.15"}),
            "InvalidParameterValue",
        ),
        (
            "CreateNatGateway",
            json!({"SubnetId": subnet, "ConnectivityType": "private", "PrivateIpAddress": "10.0.0.4"}),
            "InvalidIPAddress.InUse",
        ),
    ] {
        assert_eq!(world.code(name, input.clone()), code, "{name} {input}");
    }
    for at in 5..15 {
        let made = world.ok("CreateNatGateway", json!({"SubnetId": subnet, "ConnectivityType": "private"}));
        assert_eq!(made["NatGateway"]["NatGatewayAddresses"][0]["PrivateIp"], format!("10.0.0.{at}"));
    }
    let full = json!({"SubnetId": subnet, "ConnectivityType": "private"});
    assert_eq!(world.code("CreateNatGateway", full), "InsufficientFreeAddressesInSubnet");
    for id in world.texts("DescribeNatGateways", json!({}), "NatGateways", "NatGatewayId") {
        world.ok("DeleteNatGateway", json!({"NatGatewayId": id}));
    }
    world.ok("ReleaseAddress", json!({"AllocationId": address["AllocationId"]}));
    world.ok("DeleteSubnet", json!({"SubnetId": subnet}));
    world.restart();
    let deleted = json!({"Filter": [{"Name": "state", "Values": ["deleted"]}]});
    assert_eq!(world.ok("DescribeNatGateways", deleted.clone())["NatGateways"].as_array().unwrap().len(), 11);
    world.pass(HOUR);
    assert_eq!(world.ok("DescribeNatGateways", deleted)["NatGateways"], json!([]));
    assert_eq!(world.code("DeleteNatGateway", json!({"NatGatewayId": id})), "NatGatewayNotFound");
    assert_eq!(world.state.token_count(), 1);
    world.pass(24 * HOUR);
    assert_eq!(world.state.token_count(), 0);
}

#[test]
fn addresses_are_allocated_and_released() {
    let mut world = World::new();
    let made = world.ok("AllocateAddress", json!({}));
    let id = text(&made["AllocationId"]);
    let attributes = json!({"AllocationIds": [id], "Attribute": "domain-name"});
    assert_eq!(world.ok("DescribeAddressesAttribute", attributes), json!({"Addresses": []}));
    let shown = world.one("DescribeAddresses", json!({"PublicIps": [made["PublicIp"]]}), "Addresses");
    assert_eq!((&shown["AllocationId"], &shown["Domain"]), (&json!(id), &json!("vpc")));
    world.ok("ReleaseAddress", json!({"PublicIp": made["PublicIp"]}));
    assert_eq!(world.code("ReleaseAddress", json!({"AllocationId": id})), "InvalidAllocationID.NotFound");
    assert_eq!(
        world.code("DescribeAddresses", json!({"PublicIps": [made["PublicIp"]]})),
        "InvalidAddress.NotFound"
    );
    assert_eq!(world.code("AllocateAddress", json!({"Domain": "standard"})), "InvalidParameterValue");
    for _ in 0..100 {
        world.ok("AllocateAddress", json!({}));
    }
    assert_eq!(world.code("AllocateAddress", json!({})), "AddressLimitExceeded");
}

#[test]
fn network_acls_have_entries_and_subnets() {
    let mut world = World::new();
    let vpc = world.vpc();
    let subnet = world.subnet(&vpc, "10.0.0.0/24");
    let default =
        world.one("DescribeNetworkAcls", filter("association.subnet-id", &[&subnet]), "NetworkAcls");
    let entries = default["Entries"].as_array().unwrap();
    let shown: Vec<_> = entries
        .iter()
        .map(|one| (one["Egress"].clone(), one["RuleNumber"].clone(), text(&one["RuleAction"])))
        .collect();
    let expected =
        [(false, 100, "allow"), (false, 32_767, "deny"), (true, 100, "allow"), (true, 32_767, "deny")];
    assert_eq!(
        shown,
        expected.map(|(egress, number, action)| (json!(egress), json!(number), action.to_owned()))
    );
    let acl = text(&world.ok("CreateNetworkAcl", json!({"VpcId": vpc}))["NetworkAcl"]["NetworkAclId"]);
    let entry = |number: i32, protocol: &str, more: Value| {
        let mut entry = json!({
            "NetworkAclId": acl, "RuleNumber": number, "Protocol": protocol, "RuleAction": "deny", "Egress": false,
            "CidrBlock": "10.0.0.0/8",
        });
        for (name, value) in more.as_object().unwrap() {
            entry[name.as_str()] = value.clone();
        }
        entry
    };
    let ports = json!({"PortRange": {"From": 1, "To": 2}});
    world.ok("CreateNetworkAclEntry", entry(200, "6", ports.clone()));
    world.ok("CreateNetworkAclEntry", entry(100, "1", json!({"IcmpTypeCode": {"Type": -1, "Code": -1}})));
    assert_eq!(
        world.code("CreateNetworkAclEntry", entry(200, "6", ports.clone())),
        "NetworkAclEntryAlreadyExists"
    );
    world.ok(
        "ReplaceNetworkAclEntry",
        entry(200, "tcp", json!({"PortRange": {"From": 3, "To": 4}, "RuleAction": "allow"})),
    );
    assert_eq!(
        world.code("ReplaceNetworkAclEntry", entry(300, "6", ports)),
        "InvalidNetworkAclEntry.NotFound"
    );
    for (entry, code) in [
        (entry(0, "-1", json!({})), "InvalidParameterValue"),
        (entry(32_767, "-1", json!({})), "InvalidParameterValue"),
        (entry(1, "6", json!({})), "MissingParameter"),
        (entry(1, "6", json!({"PortRange": {"From": 2, "To": 1}})), "InvalidParameterValue"),
        (entry(1, "1", json!({})), "MissingParameter"),
        (entry(1, "-1", json!({"Ipv6CidrBlock": "::/0"})), "InvalidParameterCombination"),
    ] {
        assert_eq!(world.code("CreateNetworkAclEntry", entry.clone()), code, "{entry}");
    }
    let shown = world.one("DescribeNetworkAcls", json!({"NetworkAclIds": [acl]}), "NetworkAcls");
    assert_eq!(shown["Entries"][0]["IcmpTypeCode"], json!({"Type": -1, "Code": -1}));
    assert_eq!(
        (&shown["Entries"][1]["Protocol"], &shown["Entries"][1]["PortRange"]),
        (&json!("6"), &json!({"From": 3, "To": 4}))
    );
    let association = &default["Associations"][0]["NetworkAclAssociationId"];
    let replaced =
        world.ok("ReplaceNetworkAclAssociation", json!({"AssociationId": association, "NetworkAclId": acl}));
    assert_eq!(world.code("DeleteNetworkAcl", json!({"NetworkAclId": acl})), "DependencyViolation");
    assert_eq!(
        world.code("DeleteNetworkAcl", json!({"NetworkAclId": default["NetworkAclId"]})),
        "InvalidParameterValue"
    );
    let back =
        json!({"AssociationId": replaced["NewAssociationId"], "NetworkAclId": default["NetworkAclId"]});
    world.ok("ReplaceNetworkAclAssociation", back.clone());
    assert_eq!(world.code("ReplaceNetworkAclAssociation", back), "InvalidAssociationID.NotFound");
    let delete = json!({"NetworkAclId": acl, "RuleNumber": 200, "Egress": false});
    world.ok("DeleteNetworkAclEntry", delete.clone());
    assert_eq!(world.code("DeleteNetworkAclEntry", delete), "InvalidNetworkAclEntry.NotFound");
    world.ok("DeleteNetworkAcl", json!({"NetworkAclId": acl}));
}
