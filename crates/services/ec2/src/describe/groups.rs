//! DescribeSecurityGroups.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSecurityGroups.html>

use std::sync::Arc;

use ec2_model::{DescribeSecurityGroupsRequest, DescribeSecurityGroupsResult, SecurityGroup};
use imbl::OrdMap;
use wire::Error;

use super::{
    list::{Asked, Listed, list},
    rules,
};
use crate::{
    Ctx, Ec2, arn,
    commands::{groups, rules::name},
    rows::{GroupId, GroupRow, Peer, Ports, RuleRow},
};

impl Listed for GroupRow {
    type Id = GroupId;
    const ID: &'static str = "group-id";
    const VPC: Option<&'static str> = Some("vpc-id");
    const FILTERS: &'static [&'static str] = &[
        "description",
        "egress.ip-permission.cidr",
        "egress.ip-permission.from-port",
        "egress.ip-permission.group-id",
        "egress.ip-permission.group-name",
        "egress.ip-permission.ipv6-cidr",
        "egress.ip-permission.prefix-list-id",
        "egress.ip-permission.protocol",
        "egress.ip-permission.to-port",
        "egress.ip-permission.user-id",
        "group-id",
        "group-name",
        "ip-permission.cidr",
        "ip-permission.from-port",
        "ip-permission.group-id",
        "ip-permission.group-name",
        "ip-permission.ipv6-cidr",
        "ip-permission.prefix-list-id",
        "ip-permission.protocol",
        "ip-permission.to-port",
        "ip-permission.user-id",
        "owner-id",
        "tag-key",
        "vpc-id",
    ];

    fn all(state: &Ec2) -> &OrdMap<GroupId, Arc<GroupRow>> {
        state.groups()
    }

    fn id(&self) -> GroupId {
        self.id
    }

    fn values(&self, state: &Ec2, ctx: &Ctx, filter: &str) -> Vec<String> {
        match filter {
            "description" => vec![self.description.clone()],
            "group-name" => vec![self.name.clone()],
            "vpc-id" => vec![self.vpc.to_string()],
            _ => {
                let (egress, member) = match filter.strip_prefix("egress.") {
                    Some(rest) => (true, rest),
                    None => (false, filter),
                };
                let Some(member) = member.strip_prefix("ip-permission.") else { return Vec::new() };
                let rules = state.rules_of(self.id).filter(|rule| rule.egress == egress);
                rules.filter_map(|rule| of_rule(state, ctx, rule, member)).collect()
            }
        }
    }
}

/// What a rule has under the last part of a filter's name.
fn of_rule(state: &Ec2, ctx: &Ctx, rule: &RuleRow, member: &str) -> Option<String> {
    match (member, rule.peer) {
        ("cidr", Peer::V4(cidr)) => Some(cidr.to_string()),
        ("ipv6-cidr", Peer::V6(cidr)) => Some(cidr.to_string()),
        ("group-id", Peer::Group(group)) => Some(group.to_string()),
        ("group-name", Peer::Group(group)) => state.group(group).map(|group| group.name.clone()),
        ("user-id", Peer::Group(_)) => super::owner(ctx),
        ("protocol", _) => Some(name(rule.protocol)),
        ("from-port", _) => rule.ports.map(|Ports(from, _)| from.to_string()),
        ("to-port", _) => rule.ports.map(|Ports(_, to)| to.to_string()),
        _ => None,
    }
}

/// DescribeSecurityGroups. Names are those of groups in the default VPC.
pub fn describe_security_groups(
    state: &Ec2,
    ctx: &Ctx,
    request: &DescribeSecurityGroupsRequest,
) -> Result<DescribeSecurityGroupsResult, Error> {
    let mut ids = request.group_ids.clone().unwrap_or_default();
    for name in request.group_names.iter().flatten() {
        ids.push(groups::named(state, None, Some(name))?.id.to_string());
    }
    let (rows, next_token) = list::<GroupRow>(
        state,
        ctx,
        &Asked {
            ids: Some(&ids),
            filters: request.filters.as_ref(),
            size: request.max_results,
            token: request.next_token.as_deref(),
        },
    )?;
    let groups = rows.iter().map(|row| shown(state, ctx, row)).collect();
    Ok(DescribeSecurityGroupsResult { next_token, security_groups: Some(groups) })
}

fn shown(state: &Ec2, ctx: &Ctx, row: &GroupRow) -> SecurityGroup {
    let permissions = |egress: bool| {
        let rules = state.rules_of(row.id).filter(move |rule| rule.egress == egress);
        Some(rules::permissions(ctx, rules.map(Arc::as_ref)))
    };
    SecurityGroup {
        group_id: Some(row.id.to_string()),
        ip_permissions_egress: permissions(true),
        tags: super::tags(state, row.id),
        vpc_id: Some(row.vpc.to_string()),
        security_group_arn: Some(arn::of(ctx, "security-group", row.id)),
        owner_id: super::owner(ctx),
        group_name: Some(row.name.clone()),
        description: Some(row.description.clone()),
        ip_permissions: permissions(false),
    }
}
