//! AllocateAddress, DisassociateAddress and ReleaseAddress.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AllocateAddress.html>

use std::net::Ipv4Addr;

use ec2_model::{
    AllocateAddressRequest, AllocateAddressResult, DisassociateAddressRequest, DisassociateAddressResponse,
    DomainType, ReleaseAddressRequest, ReleaseAddressResponse, ResourceType,
};
use wire::Error;

use super::tags;
use crate::{Txn, limits, refuse, rows::*, table::Key};

/// Addresses that nobody has in the Internet: no packet is ever sent to a stranger by mistake.
/// <https://www.rfc-editor.org/rfc/rfc2544>
const POOL: Cidr4 = Cidr4 { base: 0xc612_0000, prefix: 15 };

/// AllocateAddress.
pub fn allocate_address(
    txn: &mut Txn,
    request: AllocateAddressRequest,
) -> Result<AllocateAddressResult, Error> {
    if request.domain == Some(DomainType::Standard) {
        return Err(refuse::parameter("domain", "standard"));
    }
    if request.network_border_group.as_ref().is_some_and(|group| **group != *txn.ctx.region) {
        let given = request.network_border_group.unwrap_or_default();
        return Err(refuse::parameter("networkBorderGroup", &given));
    }
    let tags = tags::specified(request.tag_specifications, ResourceType::ElasticIp)?;
    if txn.state.addresses().len() >= limits::ADDRESSES {
        return Err(refuse::limit("AddressLimitExceeded", "addresses"));
    }
    let row = AddressRow { id: AllocationId(txn.ids.seed()), address: free(txn)? };
    txn.put(row.clone());
    tags::put(txn, row.id, tags);
    Ok(AllocateAddressResult {
        allocation_id: Some(row.id.to_string()),
        public_ipv4_pool: Some("amazon".to_owned()),
        network_border_group: Some(txn.ctx.region.to_string()),
        domain: Some(DomainType::Vpc),
        public_ip: Some(row.address.to_string()),
        ..AllocateAddressResult::default()
    })
}

/// An address of the pool that nobody has. Where most are had, many are looked at.
pub(super) fn free(txn: &mut Txn) -> Result<Ipv4Addr, Error> {
    let size = usize::try_from(POOL.size()).unwrap_or(usize::MAX);
    for _ in 0..limits::ADDRESSES_TRIED {
        let at = u32::try_from(txn.ids.below(size)).unwrap_or_default();
        let address = Ipv4Addr::from(POOL.base + at);
        if txn.state.address_of(address).is_none() && !txn.state.is_public(address) {
            return Ok(address);
        }
    }
    Err(refuse::with("InsufficientAddressCapacity", "No address is free."))
}

/// DisassociateAddress. What has an address is a NAT gateway, whose association is EC2's own: it gives the address back as
/// it is deleted, and Terraform, which still asks then, hears that there is no such association.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DisassociateAddress.html>
pub fn disassociate_address(
    txn: &mut Txn,
    request: DisassociateAddressRequest,
) -> Result<DisassociateAddressResponse, Error> {
    let Some(id) = request.association_id.filter(|id| !id.is_empty()) else {
        return Err(refuse::missing("AssociationId"));
    };
    let mut held = txn.state.addresses().keys().filter_map(|address| txn.state.nat_of(*address)?.public);
    match held.any(|public| public.association.to_string() == id) {
        true => Err(not_yours()),
        false => {
            let message = format!("The association ID '{}' does not exist", refuse::cut(&id));
            Err(refuse::with("InvalidAssociationID.NotFound", message))
        }
    }
}

/// What a NAT gateway has is not the user's to take.
fn not_yours() -> Error {
    refuse::with("AuthFailure", "You do not have permission to access the specified resource.")
}

/// ReleaseAddress, when nothing has it.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ReleaseAddress.html>
pub fn release_address(
    txn: &mut Txn,
    request: ReleaseAddressRequest,
) -> Result<ReleaseAddressResponse, Error> {
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let row = match (given(request.allocation_id), given(request.public_ip)) {
        (Some(id), _) => txn.state.find_address(&id)?,
        (None, Some(text)) => {
            let address: Option<Ipv4Addr> = text.parse().ok();
            let row = address.and_then(|address| txn.state.address_of(address)).cloned();
            row.ok_or_else(|| no_address(&text))?
        }
        (None, None) => return Err(refuse::missing("allocationId")),
    };
    if txn.state.nat_of(row.id).is_some() {
        return Err(not_yours());
    }
    tags::forget(txn, row.id);
    txn.delete(Key::Address(row.id));
    Ok(ReleaseAddressResponse {})
}

/// An address that is nobody's.
pub fn no_address(text: &str) -> Error {
    refuse::with("InvalidAddress.NotFound", format!("Address '{}' not found.", refuse::cut(text)))
}
