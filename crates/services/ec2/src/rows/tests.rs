//! Rows of every version are read, no row takes more of the store than its weight says, and texts of identifiers and blocks
//! are read as they are written.

use serde_json::json;
use state::{Change, Domain, Table};

use super::*;
use crate::{
    Ec2, Row,
    testing::{World, permission, text},
};

const VERSION_1: &str = include_str!("version-1.txt");

/// A row of each kind, with every member.
fn world() -> World {
    let mut world = World::new();
    let tags = |kind: &str| json!([{"ResourceType": kind, "Tags": [{"Key": "k/\u{1}", "Value": "\""}]}]);
    let vpc =
        json!({"CidrBlock": "10.0.0.0/16", "InstanceTenancy": "dedicated", "TagSpecifications": tags("vpc")});
    let vpc = text(&world.ok("CreateVpc", vpc)["Vpc"]["VpcId"]);
    let subnet = world.subnet(&vpc, "10.0.0.0/24");
    let table = world.ok("CreateRouteTable", json!({"VpcId": vpc, "ClientToken": "t"}));
    let table = text(&table["RouteTable"]["RouteTableId"]);
    world.ok("AssociateRouteTable", json!({"RouteTableId": table, "SubnetId": subnet}));
    let gateway = text(&world.ok("CreateInternetGateway", json!({}))["InternetGateway"]["InternetGatewayId"]);
    world.ok("AttachInternetGateway", json!({"InternetGatewayId": gateway, "VpcId": vpc}));
    world.ok("CreateInternetGateway", json!({}));
    let address = text(&world.ok("AllocateAddress", json!({}))["AllocationId"]);
    let nat = world.ok("CreateNatGateway", json!({"SubnetId": subnet, "AllocationId": address}));
    let nat = text(&nat["NatGateway"]["NatGatewayId"]);
    let route = json!({"RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": nat});
    world.ok("CreateRoute", route);
    let route = json!({"RouteTableId": table, "DestinationIpv6CidrBlock": "::/0", "GatewayId": gateway});
    world.ok("CreateRoute", route);
    let private = world.ok("CreateNatGateway", json!({"SubnetId": subnet, "ConnectivityType": "private"}));
    world.ok("DeleteNatGateway", json!({"NatGatewayId": private["NatGateway"]["NatGatewayId"]}));
    let group = world.group(&vpc, "web");
    let mut range = permission("tcp", 80, "10.0.0.0/8");
    range["IpRanges"][0]["Description"] = json!("d");
    let v6 = json!({"IpProtocol": "icmpv6", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]});
    world.ok("AuthorizeSecurityGroupIngress", json!({"GroupId": group, "IpPermissions": [range, v6]}));
    let acl = text(&world.ok("CreateNetworkAcl", json!({"VpcId": vpc}))["NetworkAcl"]["NetworkAclId"]);
    for (number, more) in [
        (1, json!({"Protocol": "6", "CidrBlock": "10.0.0.0/8", "PortRange": {"From": 1, "To": 2}})),
        (2, json!({"Protocol": "58", "Ipv6CidrBlock": "::/0", "IcmpTypeCode": {"Type": -1, "Code": -1}})),
    ] {
        let mut entry =
            json!({"NetworkAclId": acl, "RuleNumber": number, "RuleAction": "deny", "Egress": true});
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        world.ok("CreateNetworkAclEntry", entry);
    }
    let (task, wanted) = World::want(7, &subnet, &group);
    let wanted = state::contract::InterfaceWanted { tags: Vec::new(), ..wanted.unwrap().as_ref().clone() };
    world.given((task, Some(wanted.into())));
    let at = "192.0.2.7".parse().unwrap();
    world.given(World::want_at(8, &subnet, &group, at));
    world
}

#[test]
#[allow(clippy::disallowed_methods)]
fn rows_of_version_1_are_read_and_written_as_they_were() {
    let written: String = world()
        .state
        .rows()
        .map(|row| format!("{}\t{}\n", Row::path(&row.key()), String::from_utf8(row.encode()).unwrap()))
        .collect();
    if std::env::var_os("UPDATE").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/rows/version-1.txt");
        return std::fs::write(path, &written).unwrap();
    }
    let mut state = Ec2::default();
    let mut kinds = std::collections::BTreeSet::new();
    for line in VERSION_1.lines() {
        let (path, value) = line.split_once('\t').unwrap();
        let row = Row::decode(path, value.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(row.encode()).unwrap(), value);
        kinds.insert(path.split('/').next().unwrap().to_owned());
        state.apply(&Change::Put(row));
    }
    let all = [
        "address",
        "internet-gateway",
        "nat-gateway",
        "network-acl",
        "network-interface",
        "route-table",
        "rule",
        "security-group",
        "seed",
        "subnet",
        "tag",
        "token",
        "vpc",
    ];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), all);
    // What is written today is of version 1: a change of its form is a new version.
    assert_eq!(written, VERSION_1);
}

#[test]
fn a_weight_is_no_less_than_what_the_store_takes() {
    let mut world = world();
    let vpc = world.vpc();
    let long = json!([{"Key": "\u{7}".repeat(128), "Value": "\"".repeat(256)}]);
    world.ok("CreateTags", json!({"Resources": [vpc], "Tags": long}));
    let text = "$".repeat(255);
    world.ok("CreateSecurityGroup", json!({"VpcId": vpc, "GroupName": text, "Description": text}));
    let acl = crate::testing::text(
        &world.ok("CreateNetworkAcl", json!({"VpcId": vpc}))["NetworkAcl"]["NetworkAclId"],
    );
    for number in 1..=40 {
        let cidr = format!("fdff:ffff:ffff:ffff:ffff:ffff:ffff:ff{number:02}/128");
        let entry = json!({"NetworkAclId": acl, "RuleNumber": number, "RuleAction": "deny", "Egress": true,
            "Protocol": "6", "Ipv6CidrBlock": cidr, "PortRange": {"From": 10_000, "To": 10_000}});
        world.ok("CreateNetworkAclEntry", entry);
    }
    for row in world.state.rows() {
        let (weight, size) = (row.weight(), row.encode().len() + Row::path(&row.key()).len());
        assert!((size..size * 4 + 2048).contains(&weight), "{:?}: {weight} for {size}", row.key());
    }
}

#[test]
fn identifiers_are_read_as_they_are_written_and_nothing_else_is() {
    for bits in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef] {
        let text = VpcId(bits).to_string();
        assert_eq!((text.len(), text.parse()), (21, Ok(VpcId(bits))));
        assert_eq!(text.parse(), Ok(Resource::Vpc(VpcId(bits))));
        assert!(text.parse::<SubnetId>().is_err());
        let json = serde_json::to_string(&VpcId(bits)).unwrap();
        assert_eq!(serde_json::from_str::<VpcId>(&json).unwrap(), VpcId(bits));
    }
    for bad in [
        "",
        "vpc-",
        "vpc-0",
        "vpc-10000000000000000",
        "vpc-0000000000000000G",
        "vpc-+0000000000000000",
        "vpc-0é00000000000000",
    ] {
        assert!(bad.parse::<VpcId>().is_err() && bad.parse::<Resource>().is_err(), "{bad}");
    }
}

#[test]
fn blocks_are_canonical() {
    for (text, shown) in [
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("10.1.2.3/32", "10.1.2.3/32"),
        ("255.255.255.255/0", "0.0.0.0/0"),
        ("10.1.2.3/31", "10.1.2.2/31"),
    ] {
        assert_eq!(text.parse::<Cidr4>().unwrap().to_string(), shown);
    }
    for (text, shown) in [("FD00:1::1/16", "fd00::/16"), ("::1/128", "::1/128"), ("ffff::/0", "::/0")] {
        assert_eq!(text.parse::<Cidr6>().unwrap().to_string(), shown);
    }
    for bad in [
        "10.0.0.0",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/+8",
        "10.0.0/8",
        "010.0.0.0/8",
        "10.0.0.0/0008",
        "a/8",
        "/8",
    ] {
        assert!(bad.parse::<Cidr4>().is_err(), "{bad}");
    }
    let cidr = |text: &str| text.parse::<Cidr4>().unwrap();
    assert!(
        cidr("10.0.0.0/8").contains(cidr("10.1.0.0/16")) && !cidr("10.1.0.0/16").contains(cidr("10.0.0.0/8"))
    );
    assert!(
        cidr("10.1.0.0/16").overlaps(cidr("10.0.0.0/8"))
            && !cidr("10.1.0.0/16").overlaps(cidr("10.2.0.0/16"))
    );
    assert_eq!((Cidr4::ALL.size(), cidr("10.0.0.0/28").size()), (1 << 32, 16));
}
