//! DescribeNetworkInterfaces: those of tasks. One of a NAT gateway is shown with its gateway alone.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeNetworkInterfaces.html>

use std::{net::Ipv4Addr, sync::Arc};

use ec2_model::{
    AttachmentStatus, DescribeNetworkInterfacesRequest, DescribeNetworkInterfacesResult, GroupIdentifier,
    NetworkInterface, NetworkInterfaceAssociation, NetworkInterfaceAttachment,
    NetworkInterfacePrivateIpAddress, NetworkInterfaceStatus, NetworkInterfaceType, OperatorResponse,
};
use imbl::OrdMap;
use state::contract::{Egress, Interface};
use wire::Error;

use super::{
    dhcp,
    list::{Asked, Listed, list},
};
use crate::{
    Ctx, Ec2,
    rows::{Block, Cidr4, GroupId, Hop, InterfaceId, InterfaceRow, SubnetRow, VpcRow},
    zones,
};

/// Who asks for interfaces of tasks, as EC2 names it.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-networking-awsvpc.html>
const REQUESTER: &str = "ecs.amazonaws.com";

/// Whose public addresses are that EC2 gives.
const AMAZON: &str = "amazon";

impl Listed for InterfaceRow {
    type Id = InterfaceId;
    const ID: &'static str = "network-interface-id";
    const VPC: Option<&'static str> = Some("vpc-id");
    const FILTERS: &'static [&'static str] = &[
        "addresses.association.owner-id",
        "addresses.association.public-ip",
        "addresses.primary",
        "addresses.private-ip-address",
        "association.allocation-id",
        "association.association-id",
        "association.ip-owner-id",
        "association.public-dns-name",
        "association.public-ip",
        "attachment.attach-time",
        "attachment.attachment-id",
        "attachment.delete-on-termination",
        "attachment.device-index",
        "attachment.instance-id",
        "attachment.instance-owner-id",
        "attachment.status",
        "availability-zone",
        "availability-zone-id",
        "description",
        "group-id",
        "group-name",
        "interface-type",
        "ipv6-addresses.ipv6-address",
        "mac-address",
        "network-interface-id",
        "operator.managed",
        "operator.principal",
        "owner-id",
        "private-dns-name",
        "private-ip-address",
        "requester-id",
        "requester-managed",
        "source-dest-check",
        "status",
        "subnet-id",
        "tag-key",
        "vpc-id",
    ];

    fn all(state: &Ec2) -> &OrdMap<InterfaceId, Arc<InterfaceRow>> {
        state.interfaces()
    }

    fn id(&self) -> InterfaceId {
        self.id
    }

    fn also(state: &Ec2, filter: &str, value: &str) -> Option<Vec<InterfaceId>> {
        let group: GroupId = value.parse().ok().filter(|_| filter == "group-id")?;
        Some(state.interfaces_in_group(group).map(|row| row.id).collect())
    }

    fn values(&self, state: &Ec2, ctx: &Ctx, filter: &str) -> Vec<String> {
        let one = |text: &str| vec![text.to_owned()];
        let group = |id: &GroupId| state.group(*id).map(|row| row.name.clone());
        let zone = || state.subnet(self.subnet).map(|row| row.zone.clone());
        match filter {
            "addresses.association.owner-id" | "association.ip-owner-id" => {
                self.public.map(|_| AMAZON.to_owned()).into_iter().collect()
            }
            "addresses.association.public-ip" | "association.public-ip" => {
                self.public.map(|address| address.to_string()).into_iter().collect()
            }
            "addresses.private-ip-address" | "private-ip-address" => vec![self.address.to_string()],
            "addresses.primary" | "requester-managed" | "source-dest-check" => one("true"),
            "attachment.attach-time" => vec![self.created_at.to_iso8601()],
            "attachment.attachment-id" => vec![self.attachment.to_string()],
            "attachment.delete-on-termination" | "operator.managed" => one("false"),
            "attachment.device-index" => one("1"),
            "attachment.instance-id" => self.instance.iter().cloned().collect(),
            "attachment.instance-owner-id" => vec![ctx.account.to_string()],
            "attachment.status" => one("attached"),
            "availability-zone" => zone().into_iter().collect(),
            "availability-zone-id" => {
                zone().and_then(|zone| zones::id(&ctx.region, &zone)).into_iter().collect()
            }
            "description" => one(&self.description),
            "group-id" => self.groups.iter().map(ToString::to_string).collect(),
            "group-name" => self.groups.iter().filter_map(group).collect(),
            "interface-type" => one("interface"),
            "mac-address" => vec![mac(self)],
            "requester-id" => one(REQUESTER),
            "private-dns-name" => private_name(state, ctx, self).into_iter().collect(),
            "status" => one("in-use"),
            "subnet-id" => vec![self.subnet.to_string()],
            "vpc-id" => vec![self.vpc.to_string()],
            // Elastic IP addresses, names of public addresses, and those of IPv6: there are none.
            _ => Vec::new(),
        }
    }
}

/// DescribeNetworkInterfaces.
pub fn describe_network_interfaces(
    state: &Ec2,
    ctx: &Ctx,
    request: &DescribeNetworkInterfacesRequest,
) -> Result<DescribeNetworkInterfacesResult, Error> {
    let (rows, next_token) = list::<InterfaceRow>(
        state,
        ctx,
        &Asked {
            ids: request.network_interface_ids.as_ref(),
            filters: request.filters.as_ref(),
            size: request.max_results,
            token: request.next_token.as_deref(),
        },
    )?;
    let network_interfaces = Some(rows.iter().map(|row| shown(state, ctx, row)).collect());
    Ok(DescribeNetworkInterfacesResult { network_interfaces, next_token })
}

/// Its MAC: locally administered, and different wherever addresses of a VPC are, as the address is in it.
pub fn mac(row: &InterfaceRow) -> String {
    let [a, b, c, d] = row.address.octets();
    format!("0a:{:02x}:{a:02x}:{b:02x}:{c:02x}:{d:02x}", row.id.0 as u8)
}

/// The name of its address, where the VPC gives names.
/// <https://docs.aws.amazon.com/vpc/latest/userguide/AmazonDNS-concepts.html>
fn private_name(state: &Ec2, ctx: &Ctx, row: &InterfaceRow) -> Option<String> {
    let named = state.vpc(row.vpc).is_some_and(|vpc| vpc.dns_support && vpc.dns_hostnames);
    named.then(|| ip_name(row.address, &ctx.region))
}

fn ip_name(address: Ipv4Addr, region: &str) -> String {
    let [a, b, c, d] = address.octets();
    format!("ip-{a}-{b}-{c}-{d}.{}", dhcp::domain(region))
}

/// What its task hears of it.
///
/// # Errors
/// The subnet or the VPC is not there, which rows alone that could not be read bring about.
pub fn given(state: &Ec2, ctx: &Ctx, row: &InterfaceRow) -> Result<Interface, Error> {
    let subnet = state.find_subnet(&row.subnet.to_string())?;
    let vpc = state.find_vpc(&row.vpc.to_string())?;
    Ok(Interface {
        id: row.id.to_string(),
        vpc: row.vpc.to_string(),
        vpc_blocks: vec![vpc.cidr.to_string()],
        subnet: row.subnet.to_string(),
        block: subnet.cidr.to_string(),
        zone: subnet.zone.clone(),
        address: Some(row.address),
        gateway: Some(subnet.gateway()),
        mac: mac(row),
        private_name: private_name(state, ctx, row),
        domain: dhcp::domain(&ctx.region),
        groups: row.groups.iter().map(ToString::to_string).collect(),
        egress: egress(state, &subnet, &vpc, row.public),
        public: row.public,
    })
}

/// The way out of the VPC that the route for all addresses of IPv4 gives an interface of a subnet: a NAT gateway that has an
/// Elastic IP address, or an internet gateway where it has a public address itself.
pub fn egress(state: &Ec2, subnet: &SubnetRow, vpc: &VpcRow, public: Option<Ipv4Addr>) -> Egress {
    let table = state.table(subnet.table.unwrap_or(vpc.main).table);
    let out = table.and_then(|table| table.routes.iter().find(|route| route.to == Block::V4(Cidr4::ALL)));
    match out.map(|route| route.by) {
        Some(Hop::Nat(id)) => {
            let nat = state.nat(id).filter(|nat| nat.deleted_at.is_none() && nat.public.is_some());
            nat.map_or(Egress::None, |_| Egress::Nat)
        }
        Some(Hop::Gateway(_)) if public.is_some() => Egress::Direct,
        Some(Hop::Gateway(_)) | None => Egress::None,
    }
}

/// As it is shown.
fn shown(state: &Ec2, ctx: &Ctx, row: &InterfaceRow) -> NetworkInterface {
    let zone = state.subnet(row.subnet).map(|subnet| subnet.zone.clone());
    let group = |id: &GroupId| GroupIdentifier {
        group_id: Some(id.to_string()),
        group_name: state.group(*id).map(|row| row.name.clone()),
    };
    let name = private_name(state, ctx, row);
    let address = NetworkInterfacePrivateIpAddress {
        association: association(row),
        primary: Some(true),
        private_dns_name: name.clone(),
        private_ip_address: Some(row.address.to_string()),
    };
    NetworkInterface {
        association: association(row),
        attachment: Some(attachment(ctx, row)),
        availability_zone: zone,
        description: Some(row.description.clone()),
        groups: Some(row.groups.iter().map(group).collect()),
        interface_type: Some(NetworkInterfaceType::Interface),
        ipv6_addresses: Some(Vec::new()),
        mac_address: Some(mac(row)),
        network_interface_id: Some(row.id.to_string()),
        owner_id: super::owner(ctx),
        private_dns_name: name,
        private_ip_address: Some(row.address.to_string()),
        private_ip_addresses: Some(vec![address]),
        requester_id: Some(REQUESTER.to_owned()),
        requester_managed: Some(true),
        source_dest_check: Some(true),
        status: Some(NetworkInterfaceStatus::InUse),
        subnet_id: Some(row.subnet.to_string()),
        tag_set: super::tags(state, row.id),
        vpc_id: Some(row.vpc.to_string()),
        operator: Some(OperatorResponse { managed: Some(false), ..OperatorResponse::default() }),
        ..NetworkInterface::default()
    }
}

/// Its public address, which EC2 has given it: it has no name.
fn association(row: &InterfaceRow) -> Option<NetworkInterfaceAssociation> {
    row.public.map(|address| NetworkInterfaceAssociation {
        ip_owner_id: Some(AMAZON.to_owned()),
        public_dns_name: Some(String::new()),
        public_ip: Some(address.to_string()),
        ..NetworkInterfaceAssociation::default()
    })
}

fn attachment(ctx: &Ctx, row: &InterfaceRow) -> NetworkInterfaceAttachment {
    NetworkInterfaceAttachment {
        attach_time: Some(row.created_at),
        attachment_id: Some(row.attachment.to_string()),
        delete_on_termination: Some(false),
        device_index: Some(1),
        instance_id: row.instance.clone(),
        instance_owner_id: super::owner(ctx),
        status: Some(AttachmentStatus::Attached),
        ..NetworkInterfaceAttachment::default()
    }
}
