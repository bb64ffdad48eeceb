//! CreateSecurityGroup and DeleteSecurityGroup.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html>

use std::sync::Arc;

use ec2_model::{
    CreateSecurityGroupRequest, CreateSecurityGroupResult, DeleteSecurityGroupRequest,
    DeleteSecurityGroupResult, ResourceType,
};
use wire::Error;

use super::tags;
use crate::{Ec2, Ids, Txn, arn, describe, limits, refuse, rows::*, table::Key};

/// The name of the security group that each VPC has from the start.
pub const DEFAULT: &str = "default";

/// The characters of names and descriptions beside letters and digits.
const OTHERS: &str = ". _-:/()#,@[]+=&;{}!$*";

/// Whether a text can be a name or a description.
pub fn is_text(text: &str) -> bool {
    let fits = |one: char| one.is_ascii_alphanumeric() || OTHERS.contains(one);
    text.len() <= limits::TEXT && text.chars().all(fits)
}

/// The rule that a new security group has: all out, by IPv4.
/// <https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html>
pub fn all_out(ids: &mut Ids, group: GroupId) -> RuleRow {
    RuleRow {
        id: RuleId(ids.seed()),
        group,
        egress: true,
        protocol: Protocol::ALL,
        ports: None,
        peer: Peer::V4(Cidr4::ALL),
        description: None,
    }
}

/// The VPC that a request means: the default one if it names none.
fn vpc(state: &Ec2, id: Option<&str>) -> Result<Arc<VpcRow>, Error> {
    match id.filter(|id| !id.is_empty()) {
        Some(id) => state.find_vpc(id),
        None => {
            let none = || refuse::with("VPCIdNotSpecified", "No default VPC for this user");
            state.default_vpc().cloned().ok_or_else(none)
        }
    }
}

/// The security group of a request, by its identifier, or by its name in the default VPC.
///
/// # Errors
/// None is named, or it is not there.
pub fn named(state: &Ec2, id: Option<&str>, name: Option<&str>) -> Result<Arc<GroupRow>, Error> {
    let given = |text: Option<&'_ str>| text.is_some_and(|text| !text.is_empty());
    match (id, name) {
        (Some(_), Some(_)) if given(id) && given(name) => {
            Err(refuse::combination("The parameters groupName and groupId cannot be used together"))
        }
        (Some(id), _) if !id.is_empty() => state.find_group(id),
        (_, Some(name)) if !name.is_empty() => {
            let vpc = vpc(state, None)?;
            state.group_named(vpc.id, name).cloned().ok_or_else(|| no_name(name, vpc.id))
        }
        _ => Err(refuse::missing("GroupName or GroupId")),
    }
}

/// A security group that the default VPC has not.
pub fn no_name(name: &str, vpc: VpcId) -> Error {
    let message = format!("The security group '{}' does not exist in default VPC '{vpc}'", refuse::cut(name));
    refuse::with("InvalidGroup.NotFound", message)
}

/// CreateSecurityGroup.
pub fn create_security_group(
    txn: &mut Txn,
    request: CreateSecurityGroupRequest,
) -> Result<CreateSecurityGroupResult, Error> {
    let (name, description) = (request.group_name, request.description);
    let vpc = vpc(txn.state, request.vpc_id.as_deref())?.id;
    for (parameter, text) in [("groupName", &name), ("groupDescription", &description)] {
        if text.is_empty() {
            return Err(refuse::missing(parameter));
        }
        if !is_text(text) {
            return Err(refuse::value(format!(
                "Value ({}) for parameter {parameter} is invalid. It has at most {} characters, which are letters, \
                 digits and {OTHERS}",
                refuse::cut(text),
                limits::TEXT
            )));
        }
    }
    if name == DEFAULT {
        return Err(refuse::with("InvalidGroup.Reserved", "The name 'default' is reserved"));
    }
    if name.starts_with("sg-") {
        return Err(refuse::value(format!(
            "Value ({name}) for parameter groupName is invalid. A name does not begin with sg-"
        )));
    }
    let tags = tags::specified(request.tag_specifications, ResourceType::SecurityGroup)?;
    if txn.state.group_named(vpc, &name).is_some() {
        let message = format!("The security group '{name}' already exists for VPC '{vpc}'");
        return Err(refuse::with("InvalidGroup.Duplicate", message));
    }
    if txn.state.groups().len() >= limits::GROUPS {
        return Err(refuse::limit("SecurityGroupLimitExceeded", "security groups"));
    }
    let row = GroupRow { id: GroupId(txn.ids.seed()), vpc, name, description };
    let id = row.id;
    let rule = all_out(txn.ids, id);
    txn.put(row);
    txn.put(rule);
    tags::put(txn, id, tags);
    Ok(CreateSecurityGroupResult {
        group_id: Some(id.to_string()),
        tags: describe::tags(txn.state, id),
        security_group_arn: Some(arn::of(txn.ctx, "security-group", id)),
    })
}

/// DeleteSecurityGroup, when no other one's rule names it, and no interface has it.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSecurityGroup.html>
pub fn delete_security_group(
    txn: &mut Txn,
    request: DeleteSecurityGroupRequest,
) -> Result<DeleteSecurityGroupResult, Error> {
    let row = named(txn.state, request.group_id.as_deref(), request.group_name.as_deref())?;
    let id = row.id;
    if row.name == DEFAULT {
        let message =
            format!("the specified group: \"{id}\" name: \"{DEFAULT}\" cannot be deleted by a user");
        return Err(refuse::with("CannotDelete", message));
    }
    let is_named = txn.state.rules_naming(id).any(|rule| rule.group != id);
    if is_named || txn.state.interfaces_in_group(id).next().is_some() {
        return Err(refuse::dependency(format!("resource {id} has a dependent object")));
    }
    remove(txn, id);
    Ok(DeleteSecurityGroupResult { r#return: Some(true), group_id: Some(id.to_string()) })
}

/// Forgets a security group with its rules and the tags of all.
pub(super) fn remove(txn: &mut Txn, id: GroupId) {
    let rules: Vec<RuleId> = txn.state.rules_of(id).map(|rule| rule.id).collect();
    for rule in rules {
        tags::forget(txn, rule);
        txn.delete(Key::Rule(rule));
    }
    tags::forget(txn, id);
    txn.delete(Key::Group(id));
}
