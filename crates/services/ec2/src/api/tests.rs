//! The table agrees with the model, and says what each operation is authorised on.

use serde_json::{Value, json};
use state::api::named;

use super::*;
use crate::testing::ctx;

#[test]
fn the_table_is_of_the_model() {
    let names: Vec<&str> = OPERATIONS.iter().map(|operation| operation.built.operation).collect();
    assert!(names.is_sorted(), "{names:?}");
    let model = ec2_model::SERVICE.operations.iter().filter(|operation| operation.typed);
    assert_eq!(names, model.map(|operation| operation.name).collect::<Vec<_>>());
}

#[test]
fn operations_are_authorised_on_what_they_name() {
    let arn = |resource: &str| format!("arn:aws:ec2:us-east-1:000000000000:{resource}");
    for (name, input, on) in [
        ("CreateVpc", json!({}), vec![arn("vpc/*")]),
        ("CreateSubnet", json!({"VpcId": "vpc-1"}), vec![arn("subnet/*"), arn("vpc/vpc-1")]),
        ("CreateSecurityGroup", json!({}), vec![arn("security-group/*")]),
        ("DeleteSubnet", json!({"SubnetId": "subnet-1"}), vec![arn("subnet/subnet-1")]),
        ("DescribeVpcs", json!({}), vec!["*".to_owned()]),
        (
            "CreateTags",
            json!({"Resources": ["nat-00000000000000001", "x"]}),
            vec![arn("natgateway/nat-00000000000000001"), "*".to_owned()],
        ),
        ("AuthorizeSecurityGroupIngress", json!({"GroupName": "g"}), vec!["*".to_owned()]),
        (
            "ModifySecurityGroupRules",
            json!({"GroupId": "sg-1", "SecurityGroupRules": [{"SecurityGroupRuleId": "sgr-1"}]}),
            vec![arn("security-group/sg-1"), arn("security-group-rule/sgr-1")],
        ),
    ] {
        let built = &named(OPERATIONS, name).unwrap().built;
        assert_eq!((built.on)(&ctx(), &input), on, "{name} {input}");
    }
    let conditions =
        |name: &str, input: Value| named(OPERATIONS, name).unwrap().built.condition_values(&ctx(), &input);
    let tags = json!({"TagSpecifications": [{"ResourceType": "vpc", "Tags": [{"Key": "a", "Value": "b"}]}]});
    let expected = [
        ("aws:TagKeys".to_owned(), vec!["a".to_owned()]),
        ("aws:RequestTag/a".to_owned(), vec!["b".to_owned()]),
    ];
    assert_eq!(conditions("CreateVpc", tags), expected);
    let keys = conditions("DeleteTags", json!({"Resources": [], "Tags": [{"Key": "a"}]}));
    assert_eq!(keys, [("aws:TagKeys".to_owned(), vec!["a".to_owned()])]);
}
