//! ModifySecurityGroupRules.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifySecurityGroupRules.html>

use ec2_model::{ModifySecurityGroupRulesRequest, ModifySecurityGroupRulesResult};
use wire::Error;

use super::{Wanted, by_id, duplicate, find, wanted};
use crate::{Txn, refuse, rows::RuleRow};

/// ModifySecurityGroupRules: a rule keeps its identifier, its direction and its tags, and says something else.
pub fn modify_security_group_rules(
    txn: &mut Txn,
    request: ModifySecurityGroupRulesRequest,
) -> Result<ModifySecurityGroupRulesResult, Error> {
    let group = txn.state.find_group(&request.group_id)?;
    for update in request.security_group_rules {
        let row = by_id(txn.state, group.id, None, &update.security_group_rule_id)?;
        let given = update.security_group_rule.ok_or_else(|| refuse::missing("SecurityGroupRule"))?;
        let Wanted { spec, description } = wanted::one(txn, &group, &given)?;
        if find(txn.state, group.id, row.egress, spec).is_some_and(|other| other.id != row.id) {
            return Err(duplicate(spec));
        }
        let RuleRow { id, group, egress, .. } = *row;
        txn.put(RuleRow {
            id,
            group,
            egress,
            protocol: spec.protocol,
            ports: spec.ports,
            peer: spec.peer,
            description,
        });
    }
    Ok(ModifySecurityGroupRulesResult { r#return: Some(true) })
}
