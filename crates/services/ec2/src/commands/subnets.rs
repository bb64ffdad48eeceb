//! CreateSubnet, ModifySubnetAttribute and DeleteSubnet.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSubnet.html>

use ec2_model::{
    AttributeBooleanValue, CreateSubnetRequest, CreateSubnetResult, DeleteSubnetRequest,
    DeleteSubnetResponse, HostnameType, ModifySubnetAttributeRequest, ModifySubnetAttributeResponse,
    ResourceType,
};
use wire::Error;

use super::tags;
use crate::{Txn, describe, limits, refuse, rows::*, table::Key, zones};

/// CreateSubnet. Without a zone it is in the first one.
pub fn create_subnet(txn: &mut Txn, request: CreateSubnetRequest) -> Result<CreateSubnetResult, Error> {
    let vpc = txn.state.find_vpc(&request.vpc_id)?;
    let text = request.cidr_block.filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| refuse::missing("cidrBlock"))?;
    let cidr: Cidr4 = text.parse().map_err(|_| refuse::parameter("cidrBlock", &text))?;
    if !limits::PREFIXES.contains(&cidr.prefix) || !vpc.cidr.contains(cidr) {
        return Err(refuse::with("InvalidSubnet.Range", format!("The CIDR '{cidr}' is invalid.")));
    }
    let zone = zone(&txn.ctx.region, request.availability_zone, request.availability_zone_id)?;
    let tags = tags::specified(request.tag_specifications, ResourceType::Subnet)?;
    let mut count = 0;
    for other in txn.state.within::<SubnetId>(vpc.id).filter_map(|id| txn.state.subnet(id)) {
        if other.cidr.overlaps(cidr) {
            let message = format!("The CIDR '{cidr}' conflicts with another subnet");
            return Err(refuse::with("InvalidSubnet.Conflict", message));
        }
        count += 1;
    }
    if count >= limits::SUBNETS {
        return Err(refuse::limit("SubnetLimitExceeded", "subnets"));
    }
    let row = SubnetRow {
        id: SubnetId(txn.ids.seed()),
        vpc: vpc.id,
        cidr,
        zone,
        default_for_zone: false,
        public_on_launch: false,
        resource_names: false,
        a_records: false,
        table: None,
        acl: vpc.acl,
        acl_association: AclAssociationId(txn.ids.seed()),
    };
    txn.put(row.clone());
    tags::put(txn, row.id, tags);
    Ok(CreateSubnetResult { subnet: Some(describe::subnets::shown(txn.state, txn.ctx, &row)) })
}

/// The zone that is meant, by its name.
fn zone(region: &str, name: Option<String>, id: Option<String>) -> Result<String, Error> {
    let zones = zones::of(region);
    let (text, wanted) = match (&name, &id) {
        (Some(_), Some(_)) => {
            let message = "The parameters availabilityZone and availabilityZoneId cannot be used together";
            return Err(refuse::combination(message));
        }
        (Some(name), None) => (name, zones.iter().find(|zone| zone.name == *name)),
        (None, Some(id)) => (id, zones.iter().find(|zone| zone.id == *id)),
        (None, None) => return Ok(zones.into_iter().next().map(|zone| zone.name).unwrap_or_default()),
    };
    wanted.map(|zone| zone.name.clone()).ok_or_else(|| {
        let names: Vec<&str> = zones.iter().map(|zone| zone.name.as_str()).collect();
        refuse::value(format!(
            "Value ({}) for parameter availabilityZone is invalid. Subnets can currently only be created in the \
             following availability zones: {}.",
            refuse::cut(text),
            names.join(", ")
        ))
    })
}

/// ModifySubnetAttribute: one attribute at a time.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifySubnetAttribute.html>
pub fn modify_subnet_attribute(
    txn: &mut Txn,
    request: ModifySubnetAttributeRequest,
) -> Result<ModifySubnetAttributeResponse, Error> {
    let mut row = txn.state.find_subnet(&request.subnet_id)?.as_ref().clone();
    let value = |given: Option<AttributeBooleanValue>| given.and_then(|given| given.value);
    let given = (
        value(request.map_public_ip_on_launch),
        request.private_dns_hostname_type_on_launch,
        value(request.enable_resource_name_dns_a_record_on_launch),
    );
    match given {
        (Some(on), None, None) => row.public_on_launch = on,
        (None, Some(kind), None) => row.resource_names = kind == HostnameType::ResourceName,
        (None, None, Some(on)) => row.a_records = on,
        (None, None, None) => {
            let of_v6 = [
                request.assign_ipv6_address_on_creation,
                request.enable_dns64,
                request.enable_resource_name_dns_aaaa_record_on_launch,
            ];
            // They are off already.
            match of_v6.into_iter().find_map(value) {
                Some(false) => return Ok(ModifySubnetAttributeResponse {}),
                Some(true) => return Err(refuse::value("Roadstead does not support IPv6 in subnets yet.")),
                None => return Err(refuse::missing("attribute")),
            }
        }
        _ => return Err(refuse::combination("Fields for multiple attribute types specified")),
    }
    txn.put(row);
    Ok(ModifySubnetAttributeResponse {})
}

/// DeleteSubnet, when nothing is in it.
pub fn delete_subnet(txn: &mut Txn, request: DeleteSubnetRequest) -> Result<DeleteSubnetResponse, Error> {
    let id = txn.state.find_subnet(&request.subnet_id)?.id;
    if txn.state.taken_in(id).next().is_some() {
        let message = format!("The subnet '{id}' has dependencies and cannot be deleted.");
        return Err(refuse::dependency(message));
    }
    tags::forget(txn, id);
    txn.delete(Key::Subnet(id));
    Ok(DeleteSubnetResponse {})
}
