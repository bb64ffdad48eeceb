//! What changes the rules of a security group.
//! <https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html>

mod describe;
mod modify;
mod revoke;
mod wanted;

use std::{collections::BTreeSet, sync::Arc};

use ec2_model::{
    AuthorizeSecurityGroupEgressRequest, AuthorizeSecurityGroupEgressResult,
    AuthorizeSecurityGroupIngressRequest, AuthorizeSecurityGroupIngressResult, ResourceType,
    SecurityGroupRule,
};
use wire::Error;

use super::{groups, tags};
use crate::{Ec2, Txn, describe as show, limits, refuse, rows::*};

pub use describe::{
    update_security_group_rule_descriptions_egress, update_security_group_rule_descriptions_ingress,
};
pub use modify::modify_security_group_rules;
pub use revoke::{revoke_security_group_egress, revoke_security_group_ingress};
pub use wanted::{Flat, Spec, Wanted, name, protocol};

/// AuthorizeSecurityGroupIngress.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupIngress.html>
pub fn authorize_security_group_ingress(
    txn: &mut Txn,
    request: AuthorizeSecurityGroupIngressRequest,
) -> Result<AuthorizeSecurityGroupIngressResult, Error> {
    let group = groups::named(txn.state, request.group_id.as_deref(), request.group_name.as_deref())?;
    let flat = Flat {
        protocol: request.ip_protocol,
        from: request.from_port,
        to: request.to_port,
        cidr: request.cidr_ip,
        group: request.source_security_group_name,
        owner: request.source_security_group_owner_id,
    };
    let wanted = wanted::all(txn, &group, request.ip_permissions, flat)?;
    let tags = tags::specified(request.tag_specifications, ResourceType::SecurityGroupRule)?;
    let rules = authorize(txn, &group, false, wanted, tags)?;
    Ok(AuthorizeSecurityGroupIngressResult { r#return: Some(true), security_group_rules: Some(rules) })
}

/// AuthorizeSecurityGroupEgress.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupEgress.html>
pub fn authorize_security_group_egress(
    txn: &mut Txn,
    request: AuthorizeSecurityGroupEgressRequest,
) -> Result<AuthorizeSecurityGroupEgressResult, Error> {
    let group = txn.state.find_group(&request.group_id)?;
    let flat = Flat {
        protocol: request.ip_protocol,
        from: request.from_port,
        to: request.to_port,
        cidr: request.cidr_ip,
        group: request.source_security_group_name,
        owner: request.source_security_group_owner_id,
    };
    let wanted = wanted::all(txn, &group, request.ip_permissions, flat)?;
    let tags = tags::specified(request.tag_specifications, ResourceType::SecurityGroupRule)?;
    let rules = authorize(txn, &group, true, wanted, tags)?;
    Ok(AuthorizeSecurityGroupEgressResult { r#return: Some(true), security_group_rules: Some(rules) })
}

/// Makes rules; all of them, or none.
fn authorize(
    txn: &mut Txn,
    group: &GroupRow,
    egress: bool,
    wanted: Vec<Wanted>,
    tags: tags::Tags,
) -> Result<Vec<SecurityGroupRule>, Error> {
    let mut seen = BTreeSet::new();
    for Wanted { spec, .. } in &wanted {
        if !seen.insert(*spec) {
            return Err(refuse::value("The same permission must not appear multiple times"));
        }
        if find(txn.state, group.id, egress, *spec).is_some() {
            return Err(duplicate(*spec));
        }
    }
    let have = txn.state.rules_of(group.id).filter(|rule| rule.egress == egress).count();
    if have + wanted.len() > limits::RULES {
        return Err(refuse::limit("RulesPerSecurityGroupLimitExceeded", "rules per security group"));
    }
    let mut shown = Vec::new();
    for Wanted { spec: Spec { protocol, ports, peer }, description } in wanted {
        let id = RuleId(txn.ids.seed());
        let row = RuleRow { id, group: group.id, egress, protocol, ports, peer, description };
        txn.put(row.clone());
        tags::put(txn, id, tags.clone());
        shown.push(show::rules::shown(txn.state, txn.ctx, &row));
    }
    Ok(shown)
}

/// The rule of a group that says just that.
fn find(state: &Ec2, group: GroupId, egress: bool, spec: Spec) -> Option<&Arc<RuleRow>> {
    state.rules_of(group).find(|rule| rule.egress == egress && Spec::of(rule) == spec)
}

fn duplicate(spec: Spec) -> Error {
    let message = format!("the specified rule \"{spec}\" already exists");
    refuse::with("InvalidPermission.Duplicate", message)
}

fn not_found() -> Error {
    refuse::with("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
}

/// The rule of an identifier, in a group and direction.
fn by_id(state: &Ec2, group: GroupId, egress: Option<bool>, id: &str) -> Result<Arc<RuleRow>, Error> {
    use crate::state::Named;
    let rule = state.find_rule(id)?;
    let is_meant = rule.group == group && egress.is_none_or(|egress| rule.egress == egress);
    if is_meant { Ok(rule) } else { Err(RuleId::missing(id)) }
}

/// A description as it is kept: none where it is empty.
///
/// # Errors
/// `InvalidParameterValue` for one that cannot be.
fn description(given: Option<String>) -> Result<Option<String>, Error> {
    match given.filter(|text| !text.is_empty()) {
        Some(text) if !groups::is_text(&text) => Err(refuse::value(
            "Invalid rule description. Valid descriptions are strings less than 256 characters from the following set: \
             a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*",
        )),
        text => Ok(text),
    }
}
