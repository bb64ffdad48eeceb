//! CreateVpc, ModifyVpcAttribute and DeleteVpc.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVpc.html>

use ec2_model::{
    CreateVpcRequest, CreateVpcResult, DeleteVpcRequest, DeleteVpcResponse, ModifyVpcAttributeRequest,
    ModifyVpcAttributeResponse, ResourceType, Tenancy,
};
use wire::Error;

use super::{groups, tags};
use crate::{Ids, Txn, describe, limits, refuse, rows::*, table::Key};

/// A VPC with what it has from the start.
pub struct Parts {
    pub vpc: VpcRow,
    pub table: TableRow,
    pub acl: AclRow,
    pub group: GroupRow,
    pub rules: [RuleRow; 2],
}

impl Parts {
    /// A new one: a main route table, a network ACL that lets all through, and a security group that lets in what has it
    /// itself, and all out.
    /// <https://docs.aws.amazon.com/vpc/latest/userguide/default-security-group.html>
    pub fn new(ids: &mut Ids, cidr: Cidr4, dhcp: DhcpId) -> Parts {
        let id = VpcId(ids.seed());
        let table = TableRow { id: TableId(ids.seed()), vpc: id, routes: Vec::new() };
        let entry = |egress| EntryRow {
            egress,
            number: 100,
            allow: true,
            protocol: Protocol::ALL,
            block: Block::V4(Cidr4::ALL),
            ports: None,
            icmp: None,
        };
        let acl = AclRow {
            id: AclId(ids.seed()),
            vpc: id,
            default: true,
            entries: vec![entry(false), entry(true)],
        };
        let group = GroupRow {
            id: GroupId(ids.seed()),
            vpc: id,
            name: groups::DEFAULT.to_owned(),
            description: "default VPC security group".to_owned(),
        };
        let within = RuleRow {
            id: RuleId(ids.seed()),
            egress: false,
            peer: Peer::Group(group.id),
            ..groups::all_out(ids, group.id)
        };
        let rules = [within, groups::all_out(ids, group.id)];
        let vpc = VpcRow {
            id,
            cidr,
            cidr_association: CidrAssociationId(ids.seed()),
            default: false,
            dedicated: false,
            dhcp,
            dns_support: true,
            dns_hostnames: false,
            usage_metrics: false,
            main: AssociationRow { id: AssociationId(ids.seed()), table: table.id },
            group: group.id,
            acl: acl.id,
        };
        Parts { vpc, table, acl, group, rules }
    }
}

/// CreateVpc. Bits of the block behind its prefix are taken for 0.
pub fn create_vpc(txn: &mut Txn, request: CreateVpcRequest) -> Result<CreateVpcResult, Error> {
    let text = request.cidr_block.filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| refuse::missing("cidrBlock"))?;
    let cidr: Cidr4 = text.parse().map_err(|_| refuse::parameter("cidrBlock", &text))?;
    if !limits::PREFIXES.contains(&cidr.prefix) {
        return Err(refuse::with("InvalidVpc.Range", format!("The CIDR '{cidr}' is invalid.")));
    }
    let dedicated = match request.instance_tenancy {
        None | Some(Tenancy::Default) => false,
        Some(Tenancy::Dedicated) => true,
        Some(Tenancy::Host) => return Err(refuse::parameter("instanceTenancy", "host")),
    };
    let tags = tags::specified(request.tag_specifications, ResourceType::Vpc)?;
    if txn.state.vpcs().len() >= limits::VPCS {
        return Err(refuse::limit("VpcLimitExceeded", "VPCs"));
    }
    let dhcp = txn.state.seed().map(|seed| seed.dhcp).unwrap_or_default();
    let mut parts = Parts::new(txn.ids, cidr, dhcp);
    // Quotas leave nearly all numbers free.
    while txn.state.vpcs().keys().any(|other| other.segment() == parts.vpc.id.segment()) {
        parts = Parts::new(txn.ids, cidr, dhcp);
    }
    let Parts { vpc, table, acl, group, rules } = parts;
    let vpc = VpcRow { dedicated, ..vpc };
    let id = vpc.id;
    txn.put(vpc.clone());
    txn.put(table);
    txn.put(acl);
    txn.put(group);
    rules.into_iter().for_each(|rule| txn.put(rule));
    tags::put(txn, id, tags);
    Ok(CreateVpcResult { vpc: Some(describe::vpcs::shown(txn.state, txn.ctx, &vpc)) })
}

/// ModifyVpcAttribute: one attribute at a time.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyVpcAttribute.html>
pub fn modify_vpc_attribute(
    txn: &mut Txn,
    request: ModifyVpcAttributeRequest,
) -> Result<ModifyVpcAttributeResponse, Error> {
    let mut row = txn.state.find_vpc(&request.vpc_id)?.as_ref().clone();
    let value = |given: Option<ec2_model::AttributeBooleanValue>| given.and_then(|given| given.value);
    let given = (
        value(request.enable_dns_support),
        value(request.enable_dns_hostnames),
        value(request.enable_network_address_usage_metrics),
    );
    match given {
        (Some(on), None, None) => row.dns_support = on,
        (None, Some(on), None) => row.dns_hostnames = on,
        (None, None, Some(on)) => row.usage_metrics = on,
        (None, None, None) => return Err(refuse::missing("attribute")),
        _ => return Err(refuse::combination("Fields for multiple attribute types specified")),
    }
    txn.put(row);
    Ok(ModifyVpcAttributeResponse {})
}

/// DeleteVpc: with its main route table, its default network ACL and its default security group, when nothing else is in it.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteVpc.html>
pub fn delete_vpc(txn: &mut Txn, request: DeleteVpcRequest) -> Result<DeleteVpcResponse, Error> {
    let row = txn.state.find_vpc(&request.vpc_id)?;
    let id = row.id;
    let state = &txn.state;
    let used = state.within::<SubnetId>(id).next().is_some()
        || state.within::<GatewayId>(id).next().is_some()
        || state.within::<NatId>(id).next().is_some()
        || state.within::<GroupId>(id).any(|group| group != row.group)
        || state.within::<TableId>(id).any(|table| table != row.main.table)
        || state.within::<AclId>(id).any(|acl| acl != row.acl);
    if used {
        let message = format!("The vpc '{id}' has dependencies and cannot be deleted.");
        return Err(refuse::dependency(message));
    }
    groups::remove(txn, row.group);
    tags::forget(txn, row.main.table);
    txn.delete(Key::Table(row.main.table));
    tags::forget(txn, row.acl);
    txn.delete(Key::Acl(row.acl));
    tags::forget(txn, id);
    txn.delete(Key::Vpc(id));
    Ok(DeleteVpcResponse {})
}
