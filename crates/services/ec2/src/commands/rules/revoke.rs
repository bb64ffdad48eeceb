//! RevokeSecurityGroupIngress and RevokeSecurityGroupEgress.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RevokeSecurityGroupIngress.html>

use ec2_model::{
    IpPermission, RevokeSecurityGroupEgressRequest, RevokeSecurityGroupEgressResult,
    RevokeSecurityGroupIngressRequest, RevokeSecurityGroupIngressResult, RevokedSecurityGroupRule,
};
use wire::Error;

use super::{Flat, Spec, by_id, find, not_found, wanted};
use crate::{
    Txn,
    commands::{groups, tags},
    describe as show, refuse,
    rows::*,
    table::Key,
};

/// What a request means, in one form.
struct Meant {
    egress: bool,
    ids: Option<Vec<String>>,
    permissions: Option<Vec<IpPermission>>,
    flat: Flat,
}

/// What came of it: the rules that are gone, and what was meant and not there.
struct Revoked {
    gone: Vec<RevokedSecurityGroupRule>,
    unknown: Vec<IpPermission>,
}

/// RevokeSecurityGroupIngress.
pub fn revoke_security_group_ingress(
    txn: &mut Txn,
    request: RevokeSecurityGroupIngressRequest,
) -> Result<RevokeSecurityGroupIngressResult, Error> {
    let group = groups::named(txn.state, request.group_id.as_deref(), request.group_name.as_deref())?;
    let flat = Flat {
        protocol: request.ip_protocol,
        from: request.from_port,
        to: request.to_port,
        cidr: request.cidr_ip,
        group: request.source_security_group_name,
        owner: request.source_security_group_owner_id,
    };
    let (ids, permissions) = (request.security_group_rule_ids, request.ip_permissions);
    let revoked = revoke(txn, &group, Meant { egress: false, ids, permissions, flat })?;
    Ok(RevokeSecurityGroupIngressResult {
        r#return: Some(true),
        unknown_ip_permissions: Some(revoked.unknown),
        revoked_security_group_rules: Some(revoked.gone),
    })
}

/// RevokeSecurityGroupEgress.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RevokeSecurityGroupEgress.html>
pub fn revoke_security_group_egress(
    txn: &mut Txn,
    request: RevokeSecurityGroupEgressRequest,
) -> Result<RevokeSecurityGroupEgressResult, Error> {
    let group = txn.state.find_group(&request.group_id)?;
    let flat = Flat {
        protocol: request.ip_protocol,
        from: request.from_port,
        to: request.to_port,
        cidr: request.cidr_ip,
        group: request.source_security_group_name,
        owner: request.source_security_group_owner_id,
    };
    let (ids, permissions) = (request.security_group_rule_ids, request.ip_permissions);
    let revoked = revoke(txn, &group, Meant { egress: true, ids, permissions, flat })?;
    Ok(RevokeSecurityGroupEgressResult {
        r#return: Some(true),
        unknown_ip_permissions: Some(revoked.unknown),
        revoked_security_group_rules: Some(revoked.gone),
    })
}

/// Takes rules away: all that are meant, or none where one is not there. In a default VPC what is not there is told of, and
/// is no error.
fn revoke(txn: &mut Txn, group: &GroupRow, meant: Meant) -> Result<Revoked, Error> {
    let Meant { egress, ids, permissions, flat } = meant;
    let (mut rows, mut unknown) = (Vec::new(), Vec::new());
    if let Some(ids) = ids.filter(|ids| !ids.is_empty()) {
        if permissions.is_some_and(|given| !given.is_empty()) || flat.protocol.is_some() {
            let message = "The parameters securityGroupRuleIds and ipPermissions cannot be used together";
            return Err(refuse::combination(message));
        }
        for id in &ids {
            rows.push(by_id(txn.state, group.id, Some(egress), id)?);
        }
    } else {
        let tolerant = txn.state.default_vpc().is_some_and(|vpc| vpc.id == group.vpc);
        for wanted in wanted::all(txn, group, permissions, flat)? {
            match find(txn.state, group.id, egress, wanted.spec) {
                Some(row) => rows.push(row.clone()),
                None if tolerant => unknown.push(shown(txn, group, egress, wanted.spec)),
                None => return Err(not_found()),
            }
        }
    }
    let mut gone = Vec::new();
    for row in rows {
        // The same may have been named twice.
        if txn.state.rule(row.id).is_some() {
            gone.push(show::rules::revoked(&row));
            tags::forget(txn, row.id);
            txn.delete(Key::Rule(row.id));
        }
    }
    Ok(Revoked { gone, unknown })
}

fn shown(txn: &Txn, group: &GroupRow, egress: bool, spec: Spec) -> IpPermission {
    let Spec { protocol, ports, peer } = spec;
    let row =
        RuleRow { id: RuleId::default(), group: group.id, egress, protocol, ports, peer, description: None };
    show::rules::permissions(txn.ctx, [&row]).pop().unwrap_or_default()
}
