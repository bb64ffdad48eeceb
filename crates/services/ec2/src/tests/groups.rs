//! Security groups and their rules.

use serde_json::{Value, json};

use crate::testing::{World, filter, permission, text};

/// The permissions of a group: in, and out.
fn permissions(world: &mut World, group: &str) -> (Value, Value) {
    let shown = world.one("DescribeSecurityGroups", json!({"GroupIds": [group]}), "SecurityGroups");
    (shown["IpPermissions"].clone(), shown["IpPermissionsEgress"].clone())
}

fn all_out(range: Value) -> Value {
    json!({"IpProtocol": "-1", "FromPort": 0, "ToPort": 0, "IpRanges": [range]})
}

#[test]
fn a_new_group_lets_all_out_by_ipv4_and_nothing_by_ipv6() {
    let mut world = World::new();
    let vpc = world.vpc();
    let group = world.group(&vpc, "web");
    let (ingress, egress) = permissions(&mut world, &group);
    assert_eq!(ingress, json!([]));
    assert_eq!(egress[0]["IpRanges"], json!([{"CidrIp": "0.0.0.0/0"}]));
    assert_eq!((&egress[0]["IpProtocol"], &egress[0]["FromPort"]), (&json!("-1"), &Value::Null));
    // As Terraform does.
    let v4 = json!({"GroupId": group, "IpPermissions": [all_out(json!({"CidrIp": "0.0.0.0/0"}))]});
    let v6 = json!({"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]});
    let v6 = json!({"GroupId": group, "IpPermissions": [v6]});
    assert_eq!(world.ok("RevokeSecurityGroupEgress", v4.clone())["Return"], true);
    assert_eq!(world.code("RevokeSecurityGroupEgress", v6.clone()), "InvalidPermission.NotFound");
    assert_eq!(world.code("RevokeSecurityGroupEgress", v4), "InvalidPermission.NotFound");
    assert_eq!(permissions(&mut world, &group), (json!([]), json!([])));
    // In a default VPC what is not there is told of, and no error.
    let made = world.ok("CreateSecurityGroup", json!({"GroupName": "g", "Description": "d"}));
    let v6 = json!({"GroupId": made["GroupId"], "IpPermissions": v6["IpPermissions"]});
    let revoked = world.ok("RevokeSecurityGroupEgress", v6);
    assert_eq!(revoked["RevokedSecurityGroupRules"], json!([]));
    assert_eq!(revoked["UnknownIpPermissions"][0]["Ipv6Ranges"], json!([{"CidrIpv6": "::/0"}]));
}

#[test]
fn names_and_descriptions_are_checked() {
    let mut world = World::new();
    let vpc = world.vpc();
    world.group(&vpc, "web");
    for (name, description, code) in [
        ("web", "d", "InvalidGroup.Duplicate"),
        ("default", "d", "InvalidGroup.Reserved"),
        ("sg-1", "d", "InvalidParameterValue"),
        ("", "d", "MissingParameter"),
        ("a", "", "MissingParameter"),
        ("a", "é", "InvalidParameterValue"),
        (&"a".repeat(256), "d", "InvalidParameterValue"),
    ] {
        let input = json!({"VpcId": vpc, "GroupName": name, "Description": description});
        assert_eq!(world.code("CreateSecurityGroup", input), code, "{name} {description}");
    }
    let other = text(&world.ok("CreateVpc", json!({"CidrBlock": "10.1.0.0/16"}))["Vpc"]["VpcId"]);
    world.group(&other, "web");
    let default = world.texts(
        "DescribeSecurityGroups",
        filter("group-name", &["default"]),
        "SecurityGroups",
        "GroupId",
    );
    assert_eq!(default.len(), 3);
    for id in default {
        let (code, message) = world.refused("DeleteSecurityGroup", json!({"GroupId": id}));
        let expected = format!("the specified group: \"{id}\" name: \"default\" cannot be deleted by a user");
        assert_eq!((code.as_str(), message), ("CannotDelete", expected));
    }
}

#[test]
fn rules_are_authorized_shown_and_revoked() {
    let mut world = World::new();
    let vpc = world.vpc();
    let (web, db) = (world.group(&vpc, "web"), world.group(&vpc, "db"));
    let tags = json!([{"ResourceType": "security-group-rule", "Tags": [{"Key": "k", "Value": "v"}]}]);
    let ranges = json!([{"CidrIp": "10.0.0.9/8", "Description": "in"}, {"CidrIp": "192.168.0.0/16"}]);
    let input = json!({"GroupId": web, "TagSpecifications": tags, "IpPermissions": [
        {"IpProtocol": "TCP", "FromPort": 80, "ToPort": 81, "IpRanges": ranges, "Ipv6Ranges": [{"CidrIpv6": "FD00::/8"}]},
        {"IpProtocol": "icmp", "FromPort": 8, "ToPort": -1, "UserIdGroupPairs": [{"GroupId": db}]},
        {"IpProtocol": "50", "UserIdGroupPairs": [{"GroupName": "web", "UserId": "000000000000"}]},
    ]});
    let made = world.ok("AuthorizeSecurityGroupIngress", input);
    let rules = made["SecurityGroupRules"].as_array().unwrap();
    assert_eq!((rules.len(), &made["Return"]), (5, &json!(true)));
    let first = json!({
        "SecurityGroupRuleId": rules[0]["SecurityGroupRuleId"], "GroupId": web, "GroupOwnerId": "000000000000",
        "IsEgress": false, "IpProtocol": "tcp", "FromPort": 80, "ToPort": 81, "CidrIpv4": "10.0.0.0/8",
        "Description": "in", "Tags": [{"Key": "k", "Value": "v"}],
        "SecurityGroupRuleArn": format!(
            "arn:aws:ec2:us-east-1:000000000000:security-group-rule/{}", text(&rules[0]["SecurityGroupRuleId"])),
    });
    assert_eq!(rules[0], first);
    assert_eq!(rules[2]["CidrIpv6"], "fd00::/8");
    assert_eq!(rules[3]["ReferencedGroupInfo"], json!({"GroupId": db, "UserId": "000000000000"}));
    assert_eq!((&rules[4]["IpProtocol"], &rules[4]["FromPort"]), (&json!("50"), &json!(-1)));

    let id = text(&rules[1]["SecurityGroupRuleId"]);
    assert_eq!(
        world.one("DescribeSecurityGroupRules", json!({"SecurityGroupRuleIds": [id]}), "SecurityGroupRules"),
        rules[1]
    );
    let of = world.ok("DescribeSecurityGroupRules", filter("group-id", &[&web]));
    assert_eq!(of["SecurityGroupRules"].as_array().unwrap().len(), 6);
    let (ingress, _) = permissions(&mut world, &web);
    let protocols: Vec<_> = ingress.as_array().unwrap().iter().map(|one| text(&one["IpProtocol"])).collect();
    assert_eq!(protocols, ["icmp", "tcp", "50"]);
    assert_eq!(ingress[1]["IpRanges"].as_array().unwrap().len(), 2);

    let by_id = |id: &str| json!({"GroupId": web, "SecurityGroupRuleIds": [id]});
    assert_eq!(world.code("RevokeSecurityGroupEgress", by_id(&id)), "InvalidSecurityGroupRuleId.NotFound");
    let gone = world.ok("RevokeSecurityGroupIngress", by_id(&id));
    assert_eq!(gone["RevokedSecurityGroupRules"][0]["SecurityGroupRuleId"], id.as_str());
    assert_eq!(world.code("RevokeSecurityGroupIngress", by_id(&id)), "InvalidSecurityGroupRuleId.NotFound");
    assert_eq!(world.code("RevokeSecurityGroupIngress", by_id("x")), "InvalidSecurityGroupRuleId.Malformed");

    // Another group's rule names it.
    let (code, message) = world.refused("DeleteSecurityGroup", json!({"GroupId": db}));
    assert_eq!(
        (code.as_str(), message),
        ("DependencyViolation", format!("resource {db} has a dependent object"))
    );
    world.ok("DeleteSecurityGroup", json!({"GroupId": web}));
    world.ok("DeleteSecurityGroup", json!({"GroupId": db}));
    assert_eq!(world.code("DescribeSecurityGroups", json!({"GroupIds": [db]})), "InvalidGroup.NotFound");
    assert_eq!(world.state.tags().len(), 0);
}

#[test]
fn one_rule_can_be_said_by_the_members_of_a_request() {
    let mut world = World::new();
    let made = world.ok("CreateSecurityGroup", json!({"GroupName": "g", "Description": "d"}));
    let flat =
        json!({"GroupName": "g", "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "0.0.0.0/0"});
    world.ok("AuthorizeSecurityGroupIngress", flat.clone());
    let (code, message) = world.refused("AuthorizeSecurityGroupIngress", flat.clone());
    let text =
        "the specified rule \"peer: 0.0.0.0/0, TCP, from port: 22, to port: 22, ALLOW\" already exists";
    assert_eq!((code.as_str(), message.as_str()), ("InvalidPermission.Duplicate", text));
    world.ok("RevokeSecurityGroupIngress", flat);
    let source = json!({"GroupId": made["GroupId"], "SourceSecurityGroupName": "default"});
    world.ok("AuthorizeSecurityGroupIngress", source);
    let shown = world.one("DescribeSecurityGroups", json!({"GroupNames": ["g"]}), "SecurityGroups");
    assert_eq!(shown["IpPermissions"][0]["IpProtocol"], "-1");
    for (input, code) in [
        (json!({"GroupName": "none"}), "InvalidGroup.NotFound"),
        (json!({}), "MissingParameter"),
        (json!({"GroupName": "g", "GroupId": made["GroupId"]}), "InvalidParameterCombination"),
        (json!({"GroupName": "g"}), "MissingParameter"),
    ] {
        assert_eq!(world.code("AuthorizeSecurityGroupIngress", input.clone()), code, "{input}");
    }
}

#[test]
fn rules_that_cannot_be_are_refused() {
    let mut world = World::new();
    let vpc = world.vpc();
    let group = world.group(&vpc, "g");
    let other = text(&world.ok("CreateVpc", json!({"CidrBlock": "10.1.0.0/16"}))["Vpc"]["VpcId"]);
    let foreign = world.group(&other, "f");
    let range = json!([{"CidrIp": "10.0.0.0/8"}]);
    let pair = |pair: Value| json!({"IpProtocol": "-1", "UserIdGroupPairs": [pair]});
    for (permission, code) in [
        (json!({"IpRanges": range}), "MissingParameter"),
        (json!({"IpProtocol": "tcp", "IpRanges": range}), "InvalidParameterValue"),
        (
            json!({"IpProtocol": "tcp", "FromPort": 2, "ToPort": 1, "IpRanges": range}),
            "InvalidParameterValue",
        ),
        (
            json!({"IpProtocol": "tcp", "FromPort": 0, "ToPort": 65_536, "IpRanges": range}),
            "InvalidParameterValue",
        ),
        (
            json!({"IpProtocol": "icmp", "FromPort": -1, "ToPort": 0, "IpRanges": range}),
            "InvalidParameterValue",
        ),
        (json!({"IpProtocol": "none", "IpRanges": range}), "InvalidParameterValue"),
        (json!({"IpProtocol": "256", "IpRanges": range}), "InvalidParameterValue"),
        (json!({"IpProtocol": "-1"}), "MissingParameter"),
        (permission("tcp", 1, "10.0.0.0"), "InvalidParameterValue"),
        (json!({"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "10.0.0.0/8"}]}), "InvalidParameterValue"),
        (
            json!({"IpProtocol": "-1", "PrefixListIds": [{"PrefixListId": "pl-1"}]}),
            "InvalidPrefixListID.NotFound",
        ),
        (
            json!({"IpProtocol": "-1", "IpRanges": [{"CidrIp": "1.0.0.0/8", "Description": "é"}]}),
            "InvalidParameterValue",
        ),
        (json!({"IpProtocol": "-1", "IpRanges": [range[0], range[0]]}), "InvalidParameterValue"),
        (pair(json!({"GroupId": foreign})), "InvalidGroup.NotFound"),
        (pair(json!({"GroupId": group, "UserId": "111111111111"})), "InvalidGroup.NotFound"),
        (pair(json!({"GroupName": "f"})), "InvalidGroup.NotFound"),
        (pair(json!({"GroupId": "sg-x"})), "InvalidGroupId.Malformed"),
        (pair(json!({})), "MissingParameter"),
    ] {
        let input = json!({"GroupId": group, "IpPermissions": [permission]});
        assert_eq!(world.code("AuthorizeSecurityGroupIngress", input.clone()), code, "{input}");
    }
    let many: Vec<_> = (0..200).map(|port| permission("tcp", port, "10.0.0.0/8")).collect();
    world.ok("AuthorizeSecurityGroupIngress", json!({"GroupId": group, "IpPermissions": many}));
    let more = json!({"GroupId": group, "IpPermissions": [permission("udp", 1, "10.0.0.0/8")]});
    let code = world.code("AuthorizeSecurityGroupIngress", more.clone());
    assert_eq!(code, "RulesPerSecurityGroupLimitExceeded");
    world.ok("AuthorizeSecurityGroupEgress", more);
}

#[test]
fn a_rule_is_modified_and_keeps_its_identifier_and_tags() {
    let mut world = World::new();
    let vpc = world.vpc();
    let group = world.group(&vpc, "g");
    let tags = json!([{"ResourceType": "security-group-rule", "Tags": [{"Key": "k", "Value": "v"}]}]);
    let two = json!({"GroupId": group, "TagSpecifications": tags, "IpPermissions": [
        permission("tcp", 80, "10.0.0.0/8"), permission("tcp", 81, "10.0.0.0/8"),
    ]});
    let made = world.ok("AuthorizeSecurityGroupEgress", two);
    let id = text(&made["SecurityGroupRules"][0]["SecurityGroupRuleId"]);
    let update = |rule: Value| {
        json!({
            "GroupId": group, "SecurityGroupRules": [{"SecurityGroupRuleId": id, "SecurityGroupRule": rule}],
        })
    };
    let rule = json!({"IpProtocol": "udp", "FromPort": 53, "ToPort": 53, "ReferencedGroupId": group, "Description": "dns"});
    assert_eq!(world.ok("ModifySecurityGroupRules", update(rule)), json!({"Return": true}));
    let shown =
        world.one("DescribeSecurityGroupRules", json!({"SecurityGroupRuleIds": [id]}), "SecurityGroupRules");
    assert_eq!((&shown["IpProtocol"], &shown["IsEgress"]), (&json!("udp"), &json!(true)));
    assert_eq!((&shown["Tags"][0]["Key"], &shown["Description"]), (&json!("k"), &json!("dns")));
    assert_eq!(shown["CidrIpv4"], Value::Null);
    let same = json!({"IpProtocol": "tcp", "FromPort": 81, "ToPort": 81, "CidrIpv4": "10.0.0.0/8"});
    assert_eq!(world.code("ModifySecurityGroupRules", update(same)), "InvalidPermission.Duplicate");
    let both = json!({"IpProtocol": "-1", "CidrIpv4": "10.0.0.0/8", "CidrIpv6": "::/0"});
    assert_eq!(world.code("ModifySecurityGroupRules", update(both)), "InvalidParameterCombination");
    assert_eq!(
        world.code("ModifySecurityGroupRules", update(json!({"CidrIpv6": "::/0"}))),
        "MissingParameter"
    );

    let by_id = json!({"GroupId": group, "SecurityGroupRuleDescriptions": [{"SecurityGroupRuleId": id, "Description": "x"}]});
    world.ok("UpdateSecurityGroupRuleDescriptionsEgress", by_id.clone());
    let code = world.code("UpdateSecurityGroupRuleDescriptionsIngress", by_id);
    assert_eq!(code, "InvalidSecurityGroupRuleId.NotFound");
    let mut described = permission("tcp", 81, "10.0.0.0/8");
    described["IpRanges"][0]["Description"] = json!("y");
    world.ok(
        "UpdateSecurityGroupRuleDescriptionsEgress",
        json!({"GroupId": group, "IpPermissions": [described]}),
    );
    let rules = world.ok("DescribeSecurityGroupRules", filter("group-id", &[&group]));
    let mut descriptions: Vec<_> = rules["SecurityGroupRules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["Description"].as_str().unwrap_or_default().to_owned())
        .collect();
    descriptions.sort();
    assert_eq!(descriptions, ["", "x", "y"]);
    let without = json!({"GroupId": group, "IpPermissions": [permission("tcp", 81, "10.0.0.0/8")]});
    world.ok("UpdateSecurityGroupRuleDescriptionsEgress", without);
    let missing = json!({"GroupId": group, "IpPermissions": [permission("tcp", 82, "10.0.0.0/8")]});
    let code = world.code("UpdateSecurityGroupRuleDescriptionsEgress", missing);
    assert_eq!(code, "InvalidPermission.NotFound");
    let code = world.code("UpdateSecurityGroupRuleDescriptionsEgress", json!({"GroupId": group}));
    assert_eq!(code, "MissingParameter");
}
