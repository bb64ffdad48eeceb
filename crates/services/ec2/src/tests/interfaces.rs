//! Interfaces of tasks: made as they are wanted, shown as those of EC2 are, and in the way of what they stand on.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
};

use serde_json::{Value, json};
use state::{
    Delta, Id128,
    contract::{Egress, Given, Has, InterfaceWanted, Interfaces, Network, NotANetwork, Peer, Rule},
};

use crate::{
    Ec2, Key,
    testing::{World, filter, text},
    zones,
};

fn network() -> (World, String, String, String) {
    let mut world = World::new();
    let vpc = world.vpc();
    let (subnet, group) = (world.subnet(&vpc, "10.0.1.0/28"), world.group(&vpc, "web"));
    (world, vpc, subnet, group)
}

#[test]
fn an_interface_is_made_once_and_is_the_same_for_whoever_asks_again() {
    let (mut world, vpc, subnet, group) = network();
    world.ok("ModifyVpcAttribute", json!({"VpcId": vpc, "EnableDnsHostnames": {"Value": true}}));
    let given = world.given(World::want(1, &subnet, &group));
    assert_eq!(world.given(World::want(1, &subnet, &group)), given);
    world.restart();
    assert_eq!(world.given(World::want(1, &subnet, &group)), given);
    let address = given.address.unwrap();
    let [.., last] = address.octets();
    assert!((4..15).contains(&last), "{address}");
    assert_eq!(
        (given.vpc.as_str(), given.vpc_blocks.as_slice(), given.block.as_str(), given.zone.as_str()),
        (vpc.as_str(), &["10.0.0.0/16".to_owned()][..], "10.0.1.0/28", "us-east-1a")
    );
    assert_eq!(given.gateway.unwrap().to_string(), "10.0.1.1");
    assert_eq!(given.private_name.unwrap(), format!("ip-10-0-1-{last}.ec2.internal"));
    assert!(given.mac.starts_with("0a:") && given.mac.ends_with(&format!(":0a:00:01:{last:02x}")));
    assert_eq!((given.subnet, given.groups), (subnet, vec![group]));
}

#[test]
fn what_goes_gives_its_address_back_and_may_go_twice() {
    let (mut world, _, subnet, group) = network();
    let wants: Vec<_> = (0..12).map(|task| World::want(task, &subnet, &group)).collect();
    let given = world.bring(&wants);
    let (there, refused): (Vec<_>, Vec<_>) =
        given.into_iter().partition(|given| matches!(given, Given::Interface(_)));
    assert_eq!(there.len(), 11, "a /28 has as many");
    let [Given::Refused { code, message }] = &refused[..] else { panic!("{refused:?}") };
    assert_eq!(code, "InsufficientFreeAddressesInSubnet");
    assert!(message.contains(&subnet), "{message}");
    let left = world.one("DescribeSubnets", json!({"SubnetIds": [subnet]}), "Subnets");
    assert_eq!(left["AvailableIpAddressCount"], 0);
    for _ in 0..2 {
        assert_eq!(world.bring(&[(Id128(3), None)]), [Given::Gone]);
    }
    assert_eq!(world.state.given_to("c").len(), 10);
    assert_eq!(world.state.given_to("d"), []);
    // The one that found none has that of the one that went.
    world.given(wants[11].clone());
    let all: BTreeSet<Id128> = world.state.given_to("c").into_iter().collect();
    world.bring(&all.iter().map(|task| (*task, None)).collect::<Vec<_>>());
    assert!(world.state.interfaces().is_empty());
    assert!(!world.state.tags().keys().any(|(of, _)| of.kind() == "network-interface"));
}

#[test]
fn no_interface_is_where_it_cannot_be() {
    let (mut world, vpc, subnet, group) = network();
    let other = world.vpc();
    let foreign = world.group(&other, "web");
    let mut none = World::want(9, &subnet, &group);
    none.1 = none.1.map(|wanted| {
        let wanted = wanted.as_ref().clone();
        InterfaceWanted { groups: Vec::new(), ..wanted }.into()
    });
    for (want, code) in [
        (World::want(1, "subnet-0", &group), "InvalidSubnetID.NotFound"),
        (World::want(1, &subnet, "sg-00000000000000001"), "InvalidGroup.NotFound"),
        (World::want(1, &subnet, &foreign), "InvalidParameter"),
        (none, "MissingParameter"),
    ] {
        let given = world.bring(std::slice::from_ref(&want)).remove(0);
        assert!(matches!(&given, Given::Refused { code: is, .. } if is == code), "{want:?}: {given:?}");
    }
    assert!(world.state.interfaces().is_empty());
    // What it stands on stays while it is there.
    world.given(World::want(1, &subnet, &group));
    assert_eq!(world.code("DeleteSubnet", json!({"SubnetId": subnet})), "DependencyViolation");
    assert_eq!(world.code("DeleteSecurityGroup", json!({"GroupId": group})), "DependencyViolation");
    assert_eq!(world.code("DeleteVpc", json!({"VpcId": vpc})), "DependencyViolation");
    world.bring(&[(Id128(1), None)]);
    world.ok("DeleteSubnet", json!({"SubnetId": subnet}));
    world.ok("DeleteSecurityGroup", json!({"GroupId": group}));
    world.ok("DeleteVpc", json!({"VpcId": vpc}));
}

#[test]
fn interfaces_are_shown_and_found_by_what_they_have() {
    let (mut world, vpc, subnet, group) = network();
    let given = world.given(World::want(1, &subnet, &group));
    world.given(World::want(2, &subnet, &group));
    let name = "DescribeNetworkInterfaces";
    let by_id = json!({"NetworkInterfaceIds": [given.id]});
    let shown = world.one(name, by_id, "NetworkInterfaces");
    for (at, value) in [
        ("/Description", json!("arn:aws:ecs:us-east-1:000000000000:attachment/1")),
        ("/InterfaceType", json!("interface")),
        ("/RequesterManaged", json!(true)),
        ("/Status", json!("in-use")),
        ("/VpcId", json!(vpc)),
        ("/SubnetId", json!(subnet)),
        ("/AvailabilityZone", json!("us-east-1a")),
        ("/PrivateIpAddress", json!(given.address.unwrap())),
        ("/PrivateIpAddresses/0/Primary", json!(true)),
        ("/MacAddress", json!(given.mac)),
        ("/Groups", json!([{"GroupId": group, "GroupName": "web"}])),
        ("/Attachment/InstanceId", json!("i-00000000000000001")),
        ("/Attachment/Status", json!("attached")),
        ("/TagSet", json!([{"Key": "aws:ecs:clusterName", "Value": "c"}])),
    ] {
        assert_eq!(shown.pointer(at), Some(&value), "{at}: {shown}");
    }
    let zone = zones::id("us-east-1", "us-east-1a").unwrap();
    let address = given.address.unwrap().to_string();
    for (filter_name, value, count) in [
        ("subnet-id", subnet.as_str(), 2),
        ("group-id", &group, 2),
        ("group-name", "web", 2),
        ("vpc-id", &vpc, 2),
        ("availability-zone-id", &zone, 2),
        ("description", "arn:aws:ecs:*:attachment/1", 1),
        ("private-ip-address", &address, 1),
        ("addresses.private-ip-address", &address, 1),
        ("mac-address", &given.mac, 1),
        ("attachment.instance-owner-id", "000000000000", 2),
        ("attachment.instance-id", "i-00000000000000002", 0),
        ("tag:aws:ecs:clusterName", "c", 2),
        ("association.public-ip", "*", 0),
        ("status", "available", 0),
    ] {
        let found =
            world.texts(name, filter(filter_name, &[value]), "NetworkInterfaces", "NetworkInterfaceId");
        assert_eq!(found.len(), count, "{filter_name} {value}");
    }
    assert_eq!(
        world.code(name, json!({"NetworkInterfaceIds": ["eni-00000000000000001"]})),
        "InvalidNetworkInterfaceID.NotFound"
    );
    let reply = world.ok(name, json!({"MaxResults": 5}));
    assert_eq!(reply.get("NextToken"), None::<&Value>);
}

#[test]
fn subnets_and_groups_of_a_request_are_looked_up() {
    let (mut world, vpc, subnet, group) = network();
    let ctx = world.ctx.clone();
    let other = world.vpc();
    let far = world.subnet(&other, "10.0.0.0/24");
    let foreign = world.group(&other, "web");
    let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let default = world.one(
        "DescribeSecurityGroups",
        json!({"Filters": [
            {"Name": "vpc-id", "Values": [vpc]}, {"Name": "group-name", "Values": ["default"]},
        ]}),
        "SecurityGroups",
    );
    let found = Network {
        subnets: vec![(subnet.clone(), "us-east-1a".to_owned())],
        default_group: text(&default["GroupId"]),
    };
    let look = |subnets: &[&str], groups: &[&str]| world.state.network(&ctx, &texts(subnets), &texts(groups));
    assert_eq!(look(&[&subnet], &[&group]), Ok(found.clone()));
    assert_eq!(look(&[&subnet], &[]), Ok(found));
    assert_eq!(look(&[&subnet, &far], &[]), Err(NotANetwork::SeveralVpcs));
    assert_eq!(look(&[&subnet], &[&foreign]), Err(NotANetwork::ForeignGroup(foreign.clone())));
    let Err(NotANetwork::Subnet { named, error }) = look(&["nowhere"], &[]) else { panic!() };
    assert_eq!((named.as_str(), error.code()), ("nowhere", "InvalidSubnetID.Malformed"));
    let Err(NotANetwork::Group { error, .. }) = look(&[&subnet], &["sg-00000000000000001"]) else { panic!() };
    assert_eq!(error.code(), "InvalidGroup.NotFound");
    assert_eq!(look(&[], &[]), Err(NotANetwork::Unknown));
}

/// Nothing was stored yet of the default VPC, and an interface may be in it all the same.
#[test]
fn the_default_vpc_is_there_for_interfaces_too() {
    let mut world = World::new();
    let ids = world.texts("DescribeSubnets", json!({}), "Subnets", "SubnetId");
    assert_eq!(world.state.seed(), None);
    let found = world.state.network(&world.ctx, &ids, &[]).unwrap();
    assert_eq!(found.subnets.len(), 3);
    let given = world.given(World::want(1, &ids[0], &found.default_group));
    assert!(given.private_name.is_some() && world.state.seed().is_some());
    assert!(given.address.unwrap().to_string().starts_with("172.31."));
}

#[test]
fn a_host_is_told_of_the_rules_of_its_interfaces_and_of_whom_they_name() {
    let (mut world, vpc, subnet, group) = network();
    let peers = world.group(&vpc, "peers");
    let own = world.given(World::want(1, &subnet, &group));
    let far = world.given(World::want(2, &subnet, &peers));
    let pair =
        json!({"IpProtocol": "tcp", "FromPort": 80, "ToPort": 81, "UserIdGroupPairs": [{"GroupId": peers}]});
    world.ok("AuthorizeSecurityGroupIngress", json!({"GroupId": group, "IpPermissions": [pair]}));
    let host = world.state.on_host("us-east-1", "c", &[Id128(1), Id128(7)]);
    assert_eq!(host.vpcs[&vpc].blocks, ["10.0.0.0/16"]);
    let names = |world: &World, region: &str| {
        let host = world.state.on_host(region, "c", &[Id128(1)]);
        host.vpcs[&vpc].dns.as_ref().map(|(address, domain)| format!("{address} {domain}"))
    };
    assert_eq!(names(&world, "us-east-1").unwrap(), "10.0.0.2 ec2.internal");
    assert_eq!(names(&world, "eu-west-1").unwrap(), "10.0.0.2 eu-west-1.compute.internal");
    let support = |on: bool| json!({"VpcId": vpc, "EnableDnsSupport": {"Value": on}});
    world.ok("ModifyVpcAttribute", support(false));
    assert_eq!(names(&world, "us-east-1"), None);
    world.ok("ModifyVpcAttribute", support(true));
    assert_eq!(host.interfaces.keys().collect::<Vec<_>>(), [&own.id]);
    assert_eq!(host.interfaces[&own.id].egress, Egress::None);
    let rules = &host.rules[&group];
    let ingress = Rule { protocol: 6, ports: Some((80, 81)), peer: Peer::Group(peers.clone()) };
    let all_out = Rule { protocol: -1, ports: None, peer: Peer::Block("0.0.0.0/0".to_owned()) };
    assert_eq!((&rules.ingress[..], &rules.egress[..]), (&[ingress][..], &[all_out][..]));
    assert_eq!(host.rules.len(), 1, "only of groups that an interface here has");
    assert_eq!(
        host.members[&peers].iter().copied().collect::<Vec<_>>(),
        [IpAddr::from(far.address.unwrap())]
    );
    assert!(host.names().contains(&peers) && !host.names().contains(&far.id));
    assert_eq!(world.state.on_host("us-east-1", "d", &[Id128(1)]), Default::default());
    // A way out is that of the subnet's routes.
    let address = text(&world.ok("AllocateAddress", json!({}))["AllocationId"]);
    let gateway = text(&world.ok("CreateInternetGateway", json!({}))["InternetGateway"]["InternetGatewayId"]);
    world.ok("AttachInternetGateway", json!({"InternetGatewayId": gateway, "VpcId": vpc}));
    let outside = world.subnet(&vpc, "10.0.2.0/28");
    let nat = world.ok("CreateNatGateway", json!({"SubnetId": outside, "AllocationId": address}));
    let table = world.state.vpcs().values().find(|row| row.id.to_string() == vpc).unwrap().main.table;
    world.ok(
        "CreateRoute",
        json!({"RouteTableId": table.to_string(), "DestinationCidrBlock": "0.0.0.0/0",
            "NatGatewayId": nat["NatGateway"]["NatGatewayId"]}),
    );
    assert_eq!(world.state.on_host("us-east-1", "c", &[Id128(1)]).interfaces[&own.id].egress, Egress::Nat);
}

#[test]
fn a_host_is_told_where_the_interfaces_of_its_vpcs_are() {
    let (mut world, vpc, subnet, group) = network();
    let at = |last: u8| Ipv4Addr::new(192, 0, 2, last);
    let here = world.given(World::want_at(1, &subnet, &group, at(1))).address.unwrap();
    let nowhere = world.given(World::want(2, &subnet, &group)).address.unwrap();
    let before = world.state.clone();
    let there = world.given(World::want_at(3, &subnet, &group, at(2)));
    let key = Key::Interface(there.id.parse().unwrap());
    let touched = |before: &Ec2, after: &Ec2| {
        let keys = std::slice::from_ref(&key);
        Ec2::touched(&Delta { keys, before, after }).unwrap()
    };
    assert!(touched(&before, &world.state).contains(&vpc), "who has an interface in the VPC hears of it");
    let told = world.state.on_host("us-east-1", "c", &[Id128(1)]).vpcs[&vpc].clone();
    let there = there.address.unwrap();
    assert_eq!(told.places, [(here, at(1)), (there, at(2))].into_iter().collect());
    assert!(!told.places.contains_key(&nowhere));
    // Its host has another address.
    let before = world.state.clone();
    world.given(World::want_at(3, &subnet, &group, at(3)));
    assert!(touched(&before, &world.state).contains(&vpc));
    assert_eq!(
        world.state.on_host("us-east-1", "c", &[Id128(1)]).vpcs[&vpc].places.get(&there),
        Some(&at(3))
    );
    world.restart();
    world.bring(&[(Id128(3), None)]);
    assert_eq!(
        world.state.on_host("us-east-1", "c", &[Id128(1)]).vpcs[&vpc].places,
        [(here, at(1))].into_iter().collect()
    );
    // Each VPC has a number of its own.
    let (far, group) = (world.vpc(), "far");
    let (subnet, group) = (world.subnet(&far, "10.0.1.0/28"), world.group(&far, group));
    world.given(World::want_at(4, &subnet, &group, at(1)));
    let both = world.state.on_host("us-east-1", "c", &[Id128(1), Id128(4)]).vpcs;
    let numbers: BTreeSet<u32> = both.values().filter_map(|vpc| vpc.segment).collect();
    assert_eq!((both.len(), numbers.len()), (2, 2));
}

#[test]
fn what_may_matter_to_hosts_is_told_of_each_commit() {
    let (mut world, vpc, subnet, group) = network();
    let touched =
        |before: &Ec2, after: &Ec2, keys: &[Key]| Ec2::touched(&Delta { keys, before, after }).unwrap();
    let before = world.state.clone();
    let given = world.given(World::want(1, &subnet, &group));
    let key = Key::Interface(given.id.parse().unwrap());
    let mut both = vec![given.id.clone(), group.clone()];
    both.sort();
    assert_eq!(touched(&before, &world.state, std::slice::from_ref(&key)), both);
    let before = world.state.clone();
    world.bring(&[(Id128(1), None)]);
    assert_eq!(touched(&before, &world.state, &[key]), both);
    let rule = world.state.rules_of(group.parse().unwrap()).next().unwrap().id;
    assert_eq!(touched(&world.state, &world.state, &[Key::Rule(rule)]), [group]);
    assert_eq!(touched(&world.state, &world.state, &[Key::Subnet(subnet.parse().unwrap())]), [vpc]);
    assert_eq!(touched(&world.state, &world.state, &[Key::Seed(())]), Vec::<String>::new());
}

/// A row that could not be read is set aside: the task has its interface all the same, and nobody else its address.
#[test]
fn an_interface_that_was_lost_is_made_again_as_it_was() {
    let (mut world, _, subnet, group) = network();
    let given = world.given(World::want(1, &subnet, &group));
    let has = Has { id: given.id.clone(), address: given.address.unwrap(), public: given.public };
    let wants = |task: u128| {
        let (task, wanted) = World::want(task, &subnet, &group);
        let wanted = InterfaceWanted { has: Some(has.clone()), ..wanted.unwrap().as_ref().clone() };
        (task, Some(wanted.into()))
    };
    world.bring(&[(Id128(1), None)]);
    assert_eq!(world.given(wants(1)), given);
    assert_eq!(world.given(wants(1)), given, "whenever it is asked for");
    let twice = world.bring(&[wants(2)]).remove(0);
    assert!(matches!(&twice, Given::Refused { code, .. } if code == "InvalidIPAddress.InUse"), "{twice:?}");
}

/// A task wants a public address too.
fn public(task: u128, subnet: &str, group: &str) -> state::contract::Want {
    let (task, wanted) = World::want(task, subnet, group);
    let wanted = InterfaceWanted { public: true, ..wanted.unwrap().as_ref().clone() };
    (task, Some(wanted.into()))
}

#[test]
fn a_public_address_is_nobody_elses_and_a_way_out_where_a_gateway_is() {
    let (mut world, vpc, subnet, group) = network();
    let given = world.given(public(1, &subnet, &group));
    let address = given.public.unwrap();
    assert_eq!(world.given(public(1, &subnet, &group)), given, "the same for whoever asks again");
    assert!(address.octets().starts_with(&[198]), "{address}");
    assert_eq!(given.egress, Egress::None, "no route leads to an internet gateway");
    let gateway = text(&world.ok("CreateInternetGateway", json!({}))["InternetGateway"]["InternetGatewayId"]);
    let attached = json!({"InternetGatewayId": gateway, "VpcId": vpc});
    world.ok("AttachInternetGateway", attached.clone());
    let mains = json!({"Filters": [
        {"Name": "association.main", "Values": ["true"]}, {"Name": "vpc-id", "Values": [vpc]},
    ]});
    let main = text(&world.one("DescribeRouteTables", mains, "RouteTables")["RouteTableId"]);
    world.ok(
        "CreateRoute",
        json!({"RouteTableId": main, "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": gateway}),
    );
    let host = world.state.on_host("us-east-1", "c", &[Id128(1)]);
    let of = &host.interfaces[&given.id];
    assert_eq!((of.egress, of.public), (Egress::Direct, Some(address)));
    let plain = world.given(World::want(2, &subnet, &group));
    assert_eq!((plain.egress, plain.public), (Egress::None, None));
    let shown = world.one(
        "DescribeNetworkInterfaces",
        filter("association.public-ip", &[&address.to_string()]),
        "NetworkInterfaces",
    );
    let association = json!({"IpOwnerId": "amazon", "PublicDnsName": "", "PublicIp": address.to_string()});
    assert_eq!((&shown["NetworkInterfaceId"], &shown["Association"]), (&json!(given.id), &association));
    assert_eq!(shown["PrivateIpAddresses"][0]["Association"], association);
    world.restart();
    let (code, _) = world.refused("DetachInternetGateway", attached.clone());
    assert_eq!(code, "DependencyViolation");
    // It is lost, and made again as it was.
    let has = Has { id: given.id.clone(), address: given.address.unwrap(), public: given.public };
    let (task, wanted) = public(1, &subnet, &group);
    world.bring(&[(Id128(1), None)]);
    let wanted = InterfaceWanted { has: Some(has), ..wanted.unwrap().as_ref().clone() };
    assert_eq!(world.given((task, Some(wanted.into()))).public, Some(address));
    world.bring(&[(Id128(1), None), (Id128(2), None)]);
    world.ok("DetachInternetGateway", attached);
}
