//! DescribeSecurityGroupRules, and rules as permissions.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSecurityGroupRules.html>

use std::{collections::BTreeMap, sync::Arc};

use ec2_model::{
    DescribeSecurityGroupRulesRequest, DescribeSecurityGroupRulesResult, IpPermission, IpRange, Ipv6Range,
    ReferencedSecurityGroup, RevokedSecurityGroupRule, SecurityGroupRule, UserIdGroupPair,
};
use imbl::OrdMap;
use wire::Error;

use super::list::{Asked, Listed, list};
use crate::{
    Ctx, Ec2, arn,
    commands::rules::name,
    rows::{Peer, Ports, RuleId, RuleRow},
};

impl Listed for RuleRow {
    type Id = RuleId;
    const ID: &'static str = "security-group-rule-id";
    const FILTERS: &'static [&'static str] = &["group-id", "security-group-rule-id", "tag-key"];

    fn all(state: &Ec2) -> &OrdMap<RuleId, Arc<RuleRow>> {
        state.rules()
    }

    fn id(&self) -> RuleId {
        self.id
    }

    fn also(state: &Ec2, filter: &str, value: &str) -> Option<Vec<RuleId>> {
        let rules = |id| state.rules_of(id).map(|rule| rule.id).collect();
        (filter == "group-id").then(|| value.parse().map(rules).unwrap_or_default())
    }

    fn values(&self, _state: &Ec2, _ctx: &Ctx, filter: &str) -> Vec<String> {
        match filter {
            "group-id" => vec![self.group.to_string()],
            _ => Vec::new(),
        }
    }
}

/// DescribeSecurityGroupRules.
pub fn describe_security_group_rules(
    state: &Ec2,
    ctx: &Ctx,
    request: &DescribeSecurityGroupRulesRequest,
) -> Result<DescribeSecurityGroupRulesResult, Error> {
    let (rows, next_token) = list::<RuleRow>(
        state,
        ctx,
        &Asked {
            ids: request.security_group_rule_ids.as_ref(),
            filters: request.filters.as_ref(),
            size: request.max_results,
            token: request.next_token.as_deref(),
        },
    )?;
    let rules = rows.iter().map(|row| shown(state, ctx, row)).collect();
    Ok(DescribeSecurityGroupRulesResult { security_group_rules: Some(rules), next_token })
}

/// The ports of a rule as they are shown of it alone: −1 where it has none.
fn ends(row: &RuleRow) -> (Option<i32>, Option<i32>) {
    let Ports(from, to) = row.ports.unwrap_or(Ports(-1, -1));
    (Some(from), Some(to))
}

/// IPv4, IPv6, and the group that is named.
fn peer(row: &RuleRow) -> (Option<String>, Option<String>, Option<String>) {
    match row.peer {
        Peer::V4(cidr) => (Some(cidr.to_string()), None, None),
        Peer::V6(cidr) => (None, Some(cidr.to_string()), None),
        Peer::Group(group) => (None, None, Some(group.to_string())),
    }
}

/// A rule as it is shown.
pub fn shown(state: &Ec2, ctx: &Ctx, row: &RuleRow) -> SecurityGroupRule {
    let ((from_port, to_port), (cidr_ipv4, cidr_ipv6, group)) = (ends(row), peer(row));
    SecurityGroupRule {
        security_group_rule_id: Some(row.id.to_string()),
        group_id: Some(row.group.to_string()),
        group_owner_id: super::owner(ctx),
        is_egress: Some(row.egress),
        ip_protocol: Some(name(row.protocol)),
        from_port,
        to_port,
        cidr_ipv4,
        cidr_ipv6,
        referenced_group_info: group.map(|group| ReferencedSecurityGroup {
            group_id: Some(group),
            user_id: super::owner(ctx),
            ..ReferencedSecurityGroup::default()
        }),
        description: row.description.clone(),
        tags: super::tags(state, row.id),
        security_group_rule_arn: Some(arn::of(ctx, "security-group-rule", row.id)),
        ..SecurityGroupRule::default()
    }
}

/// A rule that is gone.
pub fn revoked(row: &RuleRow) -> RevokedSecurityGroupRule {
    let ((from_port, to_port), (cidr_ipv4, cidr_ipv6, referenced_group_id)) = (ends(row), peer(row));
    RevokedSecurityGroupRule {
        security_group_rule_id: Some(row.id.to_string()),
        group_id: Some(row.group.to_string()),
        is_egress: Some(row.egress),
        ip_protocol: Some(name(row.protocol)),
        from_port,
        to_port,
        cidr_ipv4,
        cidr_ipv6,
        referenced_group_id,
        description: row.description.clone(),
        ..RevokedSecurityGroupRule::default()
    }
}

/// Rules as permissions: one for each protocol and range of ports.
pub fn permissions<'a>(ctx: &Ctx, rules: impl IntoIterator<Item = &'a RuleRow>) -> Vec<IpPermission> {
    let mut all: BTreeMap<_, IpPermission> = BTreeMap::new();
    for row in rules {
        let permission = all.entry((row.protocol, row.ports)).or_insert_with(|| IpPermission {
            ip_protocol: Some(name(row.protocol)),
            from_port: row.ports.map(|ports| ports.0),
            to_port: row.ports.map(|ports| ports.1),
            user_id_group_pairs: Some(Vec::new()),
            ip_ranges: Some(Vec::new()),
            ipv6_ranges: Some(Vec::new()),
            prefix_list_ids: Some(Vec::new()),
        });
        let description = row.description.clone();
        match row.peer {
            Peer::V4(cidr) => {
                let range = IpRange { description, cidr_ip: Some(cidr.to_string()) };
                permission.ip_ranges.get_or_insert_default().push(range);
            }
            Peer::V6(cidr) => {
                let range = Ipv6Range { description, cidr_ipv6: Some(cidr.to_string()) };
                permission.ipv6_ranges.get_or_insert_default().push(range);
            }
            Peer::Group(group) => {
                let pair = UserIdGroupPair {
                    description,
                    user_id: super::owner(ctx),
                    group_id: Some(group.to_string()),
                    ..UserIdGroupPair::default()
                };
                permission.user_id_group_pairs.get_or_insert_default().push(pair);
            }
        }
    }
    all.into_values().collect()
}
