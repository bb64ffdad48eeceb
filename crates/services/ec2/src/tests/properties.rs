//! Whatever is asked for, in whatever order: what rows name is there, and a restart finds the same. `World::check` looks
//! after each step.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{rows::Resource, testing::World};

/// A step: what is done, and to which of the things that there are.
fn steps() -> impl Strategy<Value = Vec<(u8, usize, usize)>> {
    prop::collection::vec((0u8..26, 0usize..1000, 0usize..1000), 1..60)
}

/// The identifiers of one kind that there are, or one of nothing.
fn pick(world: &World, kind: &str, at: usize) -> String {
    let rows = world.state.rows().map(|row| state::Table::key(&row));
    let ids: Vec<String> = rows
        .map(|key| crate::Txn::path(&key))
        .filter_map(|path| path.strip_prefix(&format!("{kind}/")).map(str::to_owned))
        .collect();
    ids.get(at % ids.len().max(1)).cloned().unwrap_or_else(|| format!("{kind}-0"))
}

fn step(world: &World, what: u8, a: usize, b: usize) -> (&'static str, Value) {
    let of = |kind: &str| pick(world, kind, a);
    let by = |kind: &str| pick(world, kind, b);
    let subnet = world.state.subnets().values().nth(a % world.state.subnets().len().max(1));
    let association = subnet.and_then(|row| row.table).map(|own| own.id.to_string()).unwrap_or_default();
    let acl_association = subnet.map(|row| row.acl_association.to_string()).unwrap_or_default();
    let pair = json!({"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": by("security-group")}]});
    let rule = json!({"GroupId": of("security-group"), "IpPermissions": [pair]});
    let route = json!({"RouteTableId": of("route-table"), "DestinationCidrBlock": format!("{}.0.0.0/8", b % 3 + 20),
        "GatewayId": by("internet-gateway")});
    match what {
        0 => ("CreateVpc", json!({"CidrBlock": "10.0.0.0/16"})),
        1 | 2 => ("CreateSubnet", json!({"VpcId": of("vpc"), "CidrBlock": format!("10.0.{}.0/24", b % 8)})),
        3 => (
            "CreateSecurityGroup",
            json!({"VpcId": of("vpc"), "GroupName": format!("g{}", b % 4), "Description": "d"}),
        ),
        4 | 5 => ("AuthorizeSecurityGroupIngress", rule),
        6 => ("RevokeSecurityGroupIngress", rule),
        7 => ("DeleteSecurityGroup", json!({"GroupId": of("security-group")})),
        8 => ("CreateInternetGateway", json!({})),
        9 => (
            "AttachInternetGateway",
            json!({"InternetGatewayId": of("internet-gateway"), "VpcId": by("vpc")}),
        ),
        10 => (
            "DetachInternetGateway",
            json!({"InternetGatewayId": of("internet-gateway"), "VpcId": by("vpc")}),
        ),
        11 => ("DeleteInternetGateway", json!({"InternetGatewayId": of("internet-gateway")})),
        12 => ("CreateRouteTable", json!({"VpcId": of("vpc")})),
        13 => ("AssociateRouteTable", json!({"RouteTableId": of("route-table"), "SubnetId": by("subnet")})),
        14 => ("DisassociateRouteTable", json!({"AssociationId": association})),
        15 => ("CreateRoute", route),
        16 => ("DeleteRouteTable", json!({"RouteTableId": of("route-table")})),
        17 => ("AllocateAddress", json!({})),
        18 => ("CreateNatGateway", json!({"SubnetId": of("subnet"), "AllocationId": by("address")})),
        19 => ("DeleteNatGateway", json!({"NatGatewayId": of("nat-gateway")})),
        20 => ("DeleteSubnet", json!({"SubnetId": of("subnet")})),
        21 => ("DeleteVpc", json!({"VpcId": of("vpc")})),
        22 => (
            "ReplaceNetworkAclAssociation",
            json!({"AssociationId": acl_association, "NetworkAclId": by("network-acl")}),
        ),
        _ => {
            let all: Vec<Resource> = world.state.vpcs().keys().map(|id| (*id).into()).collect();
            let one = all.get(a % all.len().max(1)).map(ToString::to_string).unwrap_or_default();
            ("CreateTags", json!({"Resources": [one], "Tags": [{"Key": "k", "Value": b.to_string()}]}))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_a_row_names_is_there_and_a_restart_finds_the_same(steps in steps()) {
        let mut world = World::new();
        world.ok("CreateInternetGateway", json!({}));
        for (what, a, b) in steps {
            if what >= 24 {
                // Tasks come and go, whatever there is.
                let wants = match what {
                    24 => World::want(a as u128 % 9, &pick(&world, "subnet", b), &pick(&world, "security-group", a)),
                    _ => (state::Id128(a as u128 % 9), None),
                };
                world.bring(&[wants]);
                continue;
            }
            let (name, input) = step(&world, what, a, b);
            if let Err(error) = world.call(name, input.clone()) {
                prop_assert!(error.status() == 400, "{name} {input}: {error}");
            }
        }
        world.restart();
    }
}
