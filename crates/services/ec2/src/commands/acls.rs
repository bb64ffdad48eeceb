//! Network ACLs, their entries, and which subnet has which.
//! <https://docs.aws.amazon.com/vpc/latest/userguide/vpc-network-acls.html>

use ec2_model::{
    CreateNetworkAclEntryRequest, CreateNetworkAclEntryResponse, CreateNetworkAclRequest,
    CreateNetworkAclResult, DeleteNetworkAclEntryRequest, DeleteNetworkAclEntryResponse,
    DeleteNetworkAclRequest, DeleteNetworkAclResponse, IcmpTypeCode, PortRange,
    ReplaceNetworkAclAssociationRequest, ReplaceNetworkAclAssociationResult, ReplaceNetworkAclEntryRequest,
    ReplaceNetworkAclEntryResponse, ResourceType, RuleAction,
};
use wire::Error;

use super::{rules, tables::same_network, tags, tokens};
use crate::{Txn, describe, limits, refuse, rows::*, state::Named, table::Key};

/// The numbers that an entry can have. The one that denies the rest has the next.
const NUMBERS: std::ops::RangeInclusive<i32> = 1..=32_766;

/// CreateNetworkAcl: it lets nothing through.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateNetworkAcl.html>
pub fn create_network_acl(
    txn: &mut Txn,
    request: CreateNetworkAclRequest,
) -> Result<CreateNetworkAclResult, Error> {
    let once = tokens::Request::of("CreateNetworkAcl", request.client_token.as_ref(), &request);
    if let Some(Resource::Acl(id)) = once.made(txn)? {
        let row = txn.state.acl(id).map(|row| describe::acls::shown(txn.state, txn.ctx, row));
        return Ok(CreateNetworkAclResult { network_acl: row, client_token: request.client_token });
    }
    let vpc = txn.state.find_vpc(&request.vpc_id)?.id;
    let tags = tags::specified(request.tag_specifications, ResourceType::NetworkAcl)?;
    if txn.state.within::<AclId>(vpc).count() >= limits::ACLS {
        return Err(refuse::limit("NetworkAclLimitExceeded", "network ACLs"));
    }
    let row = AclRow { id: AclId(txn.ids.seed()), vpc, default: false, entries: Vec::new() };
    txn.put(row.clone());
    tags::put(txn, row.id, tags);
    let network_acl = Some(describe::acls::shown(txn.state, txn.ctx, &row));
    let client_token = once.remember(txn, row.id);
    Ok(CreateNetworkAclResult { network_acl, client_token })
}

/// DeleteNetworkAcl, when no subnet has it.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteNetworkAcl.html>
pub fn delete_network_acl(
    txn: &mut Txn,
    request: DeleteNetworkAclRequest,
) -> Result<DeleteNetworkAclResponse, Error> {
    let row = txn.state.find_acl(&request.network_acl_id)?;
    if row.default {
        return Err(refuse::value(format!("Cannot delete the default network ACL {}", row.id)));
    }
    if txn.state.subnets_of_acl(row.id).next().is_some() {
        let message = format!("The networkAcl '{}' has dependencies and cannot be deleted.", row.id);
        return Err(refuse::dependency(message));
    }
    tags::forget(txn, row.id);
    txn.delete(Key::Acl(row.id));
    Ok(DeleteNetworkAclResponse {})
}

/// An entry as a request describes it.
struct Wanted {
    egress: bool,
    number: i32,
    protocol: String,
    action: RuleAction,
    v4: Option<String>,
    v6: Option<String>,
    icmp: Option<IcmpTypeCode>,
    ports: Option<PortRange>,
}

/// Both requests have the same members.
macro_rules! wanted {
    ($request:expr) => {
        Wanted {
            egress: $request.egress,
            number: $request.rule_number,
            protocol: $request.protocol,
            action: $request.rule_action,
            v4: $request.cidr_block,
            v6: $request.ipv6_cidr_block,
            icmp: $request.icmp_type_code,
            ports: $request.port_range,
        }
    };
}

fn number(given: i32) -> Result<u16, Error> {
    let number = u16::try_from(given).ok().filter(|_| NUMBERS.contains(&given));
    number.ok_or_else(|| refuse::parameter("ruleNumber", &given.to_string()))
}

impl Wanted {
    fn row(self) -> Result<EntryRow, Error> {
        let number = number(self.number)?;
        let protocol = rules::protocol(&self.protocol)?;
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let bad = |text: &str| refuse::parameter("cidrBlock", text);
        let block = match (given(self.v4), given(self.v6)) {
            (Some(text), None) => text.parse().map(Block::V4).map_err(|_| bad(&text))?,
            (None, Some(text)) => text.parse().map(Block::V6).map_err(|_| bad(&text))?,
            (Some(_), Some(_)) => return Err(refuse::combination("An entry has one block of addresses")),
            (None, None) => return Err(refuse::missing("cidrBlock")),
        };
        let (mut ports, mut icmp) = (None, None);
        match protocol {
            Protocol::TCP | Protocol::UDP => {
                let range = self.ports.ok_or_else(|| refuse::missing("portRange"))?;
                let (from, to) = (range.from.unwrap_or_default(), range.to.unwrap_or_default());
                if !(0..=65_535).contains(&from) || !(from..=65_535).contains(&to) {
                    return Err(refuse::parameter("portRange", &format!("{from}-{to}")));
                }
                ports = Some(Ports(from, to));
            }
            Protocol::ICMP | Protocol::ICMP_V6 => {
                let given = self.icmp.ok_or_else(|| refuse::missing("icmpTypeCode"))?;
                let (kind, code) = (given.r#type.unwrap_or(-1), given.code.unwrap_or(-1));
                let fits = |value| (-1..=255).contains(&value);
                if !fits(kind) || !fits(code) {
                    return Err(refuse::parameter("icmpTypeCode", &format!("{kind}:{code}")));
                }
                icmp = Some(Ports(kind, code));
            }
            _ => {}
        }
        let (egress, allow) = (self.egress, self.action == RuleAction::Allow);
        Ok(EntryRow { egress, number, allow, protocol, block, ports, icmp })
    }
}

/// Where an entry is, or would be.
fn at(row: &AclRow, egress: bool, number: u16) -> Result<usize, usize> {
    row.entries.binary_search_by_key(&(egress, number), |entry| (entry.egress, entry.number))
}

fn no_entry(acl: AclId, egress: bool, number: u16) -> Error {
    let way = if egress { "egress" } else { "ingress" };
    let message = format!("The specified network acl entry {number} ({way}) does not exist in {acl}");
    refuse::with("InvalidNetworkAclEntry.NotFound", message)
}

/// CreateNetworkAclEntry.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateNetworkAclEntry.html>
pub fn create_network_acl_entry(
    txn: &mut Txn,
    request: CreateNetworkAclEntryRequest,
) -> Result<CreateNetworkAclEntryResponse, Error> {
    let mut row = txn.state.find_acl(&request.network_acl_id)?.as_ref().clone();
    let entry = wanted!(request).row()?;
    match at(&row, entry.egress, entry.number) {
        Ok(_) => {
            let message = format!("The network acl entry identified by {} already exists.", entry.number);
            return Err(refuse::with("NetworkAclEntryAlreadyExists", message));
        }
        Err(at) => {
            let have = row.entries.iter().filter(|other| other.egress == entry.egress).count();
            if have >= limits::ENTRIES {
                return Err(refuse::limit("NetworkAclEntryLimitExceeded", "network ACL entries"));
            }
            row.entries.insert(at, entry);
        }
    }
    txn.put(row);
    Ok(CreateNetworkAclEntryResponse {})
}

/// ReplaceNetworkAclEntry.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ReplaceNetworkAclEntry.html>
pub fn replace_network_acl_entry(
    txn: &mut Txn,
    request: ReplaceNetworkAclEntryRequest,
) -> Result<ReplaceNetworkAclEntryResponse, Error> {
    let mut row = txn.state.find_acl(&request.network_acl_id)?.as_ref().clone();
    let entry = wanted!(request).row()?;
    let at = at(&row, entry.egress, entry.number);
    let at = at.map_err(|_| no_entry(row.id, entry.egress, entry.number))?;
    row.entries[at] = entry;
    txn.put(row);
    Ok(ReplaceNetworkAclEntryResponse {})
}

/// DeleteNetworkAclEntry.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteNetworkAclEntry.html>
pub fn delete_network_acl_entry(
    txn: &mut Txn,
    request: DeleteNetworkAclEntryRequest,
) -> Result<DeleteNetworkAclEntryResponse, Error> {
    let mut row = txn.state.find_acl(&request.network_acl_id)?.as_ref().clone();
    let number = number(request.rule_number)?;
    let at = at(&row, request.egress, number).map_err(|_| no_entry(row.id, request.egress, number))?;
    row.entries.remove(at);
    txn.put(row);
    Ok(DeleteNetworkAclEntryResponse {})
}

/// ReplaceNetworkAclAssociation: a subnet gets another network ACL, by another association.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ReplaceNetworkAclAssociation.html>
pub fn replace_network_acl_association(
    txn: &mut Txn,
    request: ReplaceNetworkAclAssociationRequest,
) -> Result<ReplaceNetworkAclAssociationResult, Error> {
    let old: Option<AclAssociationId> = request.association_id.parse().ok();
    let subnet = old.and_then(|id| txn.state.acl_associated(id)).cloned();
    let subnet = subnet.ok_or_else(|| AclAssociationId::missing(&request.association_id))?;
    let acl = txn.state.find_acl(&request.network_acl_id)?;
    same_network(acl.vpc, subnet.vpc, format!("network ACL {}", acl.id), format!("subnet {}", subnet.id))?;
    let new = AclAssociationId(txn.ids.seed());
    txn.put(SubnetRow { acl: acl.id, acl_association: new, ..subnet.as_ref().clone() });
    Ok(ReplaceNetworkAclAssociationResult { new_association_id: Some(new.to_string()) })
}
