//! UpdateSecurityGroupRuleDescriptionsIngress and UpdateSecurityGroupRuleDescriptionsEgress.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_UpdateSecurityGroupRuleDescriptionsIngress.html>

use ec2_model::{
    IpPermission, SecurityGroupRuleDescription, UpdateSecurityGroupRuleDescriptionsEgressRequest,
    UpdateSecurityGroupRuleDescriptionsEgressResult, UpdateSecurityGroupRuleDescriptionsIngressRequest,
    UpdateSecurityGroupRuleDescriptionsIngressResult,
};
use wire::Error;

use super::{Flat, by_id, description, find, not_found, wanted};
use crate::{
    Txn,
    commands::groups,
    refuse,
    rows::{GroupRow, RuleRow},
};

/// UpdateSecurityGroupRuleDescriptionsIngress.
pub fn update_security_group_rule_descriptions_ingress(
    txn: &mut Txn,
    request: UpdateSecurityGroupRuleDescriptionsIngressRequest,
) -> Result<UpdateSecurityGroupRuleDescriptionsIngressResult, Error> {
    let group = groups::named(txn.state, request.group_id.as_deref(), request.group_name.as_deref())?;
    update(txn, &group, false, request.ip_permissions, request.security_group_rule_descriptions)?;
    Ok(UpdateSecurityGroupRuleDescriptionsIngressResult { r#return: Some(true) })
}

/// UpdateSecurityGroupRuleDescriptionsEgress.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_UpdateSecurityGroupRuleDescriptionsEgress.html>
pub fn update_security_group_rule_descriptions_egress(
    txn: &mut Txn,
    request: UpdateSecurityGroupRuleDescriptionsEgressRequest,
) -> Result<UpdateSecurityGroupRuleDescriptionsEgressResult, Error> {
    let group = groups::named(txn.state, request.group_id.as_deref(), request.group_name.as_deref())?;
    update(txn, &group, true, request.ip_permissions, request.security_group_rule_descriptions)?;
    Ok(UpdateSecurityGroupRuleDescriptionsEgressResult { r#return: Some(true) })
}

fn update(
    txn: &mut Txn,
    group: &GroupRow,
    egress: bool,
    permissions: Option<Vec<IpPermission>>,
    by_ids: Option<Vec<SecurityGroupRuleDescription>>,
) -> Result<(), Error> {
    let by_ids = by_ids.unwrap_or_default();
    if !by_ids.is_empty() && permissions.as_ref().is_some_and(|given| !given.is_empty()) {
        let message =
            "The parameters ipPermissions and securityGroupRuleDescriptions cannot be used together";
        return Err(refuse::combination(message));
    }
    let mut rows = Vec::new();
    if by_ids.is_empty() {
        for wanted in wanted::all(txn, group, permissions, Flat::default())? {
            let row = find(txn.state, group.id, egress, wanted.spec).ok_or_else(not_found)?;
            rows.push(RuleRow { description: wanted.description, ..row.as_ref().clone() });
        }
    }
    for given in by_ids {
        let id = given.security_group_rule_id.unwrap_or_default();
        let row = by_id(txn.state, group.id, Some(egress), &id)?;
        rows.push(RuleRow { description: description(given.description)?, ..row.as_ref().clone() });
    }
    rows.into_iter().for_each(|row| txn.put(row));
    Ok(())
}
