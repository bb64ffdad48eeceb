//! DescribeNetworkAcls.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeNetworkAcls.html>

use std::sync::Arc;

use ec2_model::{
    DescribeNetworkAclsRequest, DescribeNetworkAclsResult, IcmpTypeCode, NetworkAcl, NetworkAclAssociation,
    NetworkAclEntry, PortRange, RuleAction,
};
use imbl::OrdMap;
use wire::Error;

use super::list::{Asked, Listed, list};
use crate::{
    Ctx, Ec2,
    rows::{AclId, AclRow, Block, Cidr4, EntryRow, Protocol, SubnetId},
};

/// The number of the entry that denies what no other is for.
const LAST: u16 = 32_767;

impl Listed for AclRow {
    type Id = AclId;
    const ID: &'static str = "network-acl-id";
    const VPC: Option<&'static str> = Some("vpc-id");
    const FILTERS: &'static [&'static str] = &[
        "association.association-id",
        "association.network-acl-id",
        "association.subnet-id",
        "default",
        "entry.cidr",
        "entry.egress",
        "entry.icmp.code",
        "entry.icmp.type",
        "entry.ipv6-cidr",
        "entry.port-range.from",
        "entry.port-range.to",
        "entry.protocol",
        "entry.rule-action",
        "entry.rule-number",
        "network-acl-id",
        "owner-id",
        "tag-key",
        "vpc-id",
    ];

    fn all(state: &Ec2) -> &OrdMap<AclId, Arc<AclRow>> {
        state.acls()
    }

    fn id(&self) -> AclId {
        self.id
    }

    fn also(state: &Ec2, filter: &str, value: &str) -> Option<Vec<AclId>> {
        let own = |id: SubnetId| state.subnet(id).map(|subnet| subnet.acl);
        (filter == "association.subnet-id").then(|| value.parse().ok().and_then(own).into_iter().collect())
    }

    fn values(&self, state: &Ec2, _ctx: &Ctx, filter: &str) -> Vec<String> {
        match filter {
            "default" => vec![self.default.to_string()],
            "vpc-id" => vec![self.vpc.to_string()],
            _ => match filter.split_once('.') {
                Some(("association", member)) => {
                    let of = |one: &NetworkAclAssociation| of_association(one, member);
                    associations(state, self).iter().filter_map(of).collect()
                }
                Some(("entry", member)) => {
                    entries(self).iter().filter_map(|entry| of_entry(entry, member)).collect()
                }
                _ => Vec::new(),
            },
        }
    }
}

fn of_association(one: &NetworkAclAssociation, member: &str) -> Option<String> {
    match member {
        "association-id" => one.network_acl_association_id.clone(),
        "network-acl-id" => one.network_acl_id.clone(),
        "subnet-id" => one.subnet_id.clone(),
        _ => None,
    }
}

fn of_entry(entry: &NetworkAclEntry, member: &str) -> Option<String> {
    let number = |number: Option<i32>| number.map(|number| number.to_string());
    match member {
        "cidr" => entry.cidr_block.clone(),
        "egress" => entry.egress.map(|egress| egress.to_string()),
        "icmp.code" => number(entry.icmp_type_code.as_ref()?.code),
        "icmp.type" => number(entry.icmp_type_code.as_ref()?.r#type),
        "ipv6-cidr" => entry.ipv6_cidr_block.clone(),
        "port-range.from" => number(entry.port_range.as_ref()?.from),
        "port-range.to" => number(entry.port_range.as_ref()?.to),
        "protocol" => entry.protocol.clone(),
        "rule-action" => entry.rule_action.map(|action| action.to_string()),
        "rule-number" => number(entry.rule_number),
        _ => None,
    }
}

/// DescribeNetworkAcls.
pub fn describe_network_acls(
    state: &Ec2,
    ctx: &Ctx,
    request: &DescribeNetworkAclsRequest,
) -> Result<DescribeNetworkAclsResult, Error> {
    let (rows, next_token) = list::<AclRow>(
        state,
        ctx,
        &Asked {
            ids: request.network_acl_ids.as_ref(),
            filters: request.filters.as_ref(),
            size: request.max_results,
            token: request.next_token.as_deref(),
        },
    )?;
    let acls = rows.iter().map(|row| shown(state, ctx, row)).collect();
    Ok(DescribeNetworkAclsResult { network_acls: Some(acls), next_token })
}

fn associations(state: &Ec2, row: &AclRow) -> Vec<NetworkAclAssociation> {
    let association = |subnet: &Arc<crate::rows::SubnetRow>| NetworkAclAssociation {
        network_acl_association_id: Some(subnet.acl_association.to_string()),
        network_acl_id: Some(row.id.to_string()),
        subnet_id: Some(subnet.id.to_string()),
    };
    state.subnets_of_acl(row.id).map(association).collect()
}

/// Each direction's, with the last one of each.
fn entries(row: &AclRow) -> Vec<NetworkAclEntry> {
    let last = |egress| EntryRow {
        egress,
        number: LAST,
        allow: false,
        protocol: Protocol::ALL,
        block: Block::V4(Cidr4::ALL),
        ports: None,
        icmp: None,
    };
    let of = |egress: bool| {
        let own = row.entries.iter().filter(move |entry| entry.egress == egress).map(entry);
        own.chain([entry(&last(egress))])
    };
    of(false).chain(of(true)).collect()
}

fn entry(row: &EntryRow) -> NetworkAclEntry {
    let (v4, v6) = match row.block {
        Block::V4(cidr) => (Some(cidr.to_string()), None),
        Block::V6(cidr) => (None, Some(cidr.to_string())),
    };
    NetworkAclEntry {
        cidr_block: v4,
        egress: Some(row.egress),
        icmp_type_code: row.icmp.map(|icmp| IcmpTypeCode { code: Some(icmp.1), r#type: Some(icmp.0) }),
        ipv6_cidr_block: v6,
        port_range: row.ports.map(|ports| PortRange { from: Some(ports.0), to: Some(ports.1) }),
        protocol: Some(row.protocol.0.to_string()),
        rule_action: Some(if row.allow { RuleAction::Allow } else { RuleAction::Deny }),
        rule_number: Some(i32::from(row.number)),
    }
}

/// A network ACL as it is shown.
pub fn shown(state: &Ec2, ctx: &Ctx, row: &AclRow) -> NetworkAcl {
    NetworkAcl {
        associations: Some(associations(state, row)),
        entries: Some(entries(row)),
        is_default: Some(row.default),
        network_acl_id: Some(row.id.to_string()),
        tags: super::tags(state, row.id),
        vpc_id: Some(row.vpc.to_string()),
        owner_id: super::owner(ctx),
    }
}
