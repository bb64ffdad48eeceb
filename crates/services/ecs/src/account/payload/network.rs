//! The network interface of a task, as its agent gets it: as Amazon's agent knows it, and for our own with the VPC that it is in.

use agent_protocol::acs;
use state::contract::{self, Interface};

use crate::{Ctx, arn, rows::TaskRow};

/// Where AmazonProvidedDNS is: two behind the first address of the VPC's first block, as DHCP options of EC2 have it whether or not
/// the VPC's names are answered.
fn resolver(given: &Interface) -> Option<String> {
    let (base, _) = given.vpc_blocks.first()?.split_once('/')?;
    let base: std::net::Ipv4Addr = base.parse().ok()?;
    Some(std::net::Ipv4Addr::from_bits(base.to_bits().checked_add(2)?).to_string())
}

/// The task's interface, if it has one.
pub(super) fn interfaces(ctx: &Ctx, task: &TaskRow) -> Vec<acs::ElasticNetworkInterface> {
    let Some(attachment) = &task.attachment else { return Vec::new() };
    let one = |interface: &Interface| interface_of(interface, arn::attachment(ctx, &attachment.id));
    attachment.interface.iter().map(one).collect()
}

fn interface_of(given: &Interface, attachment_arn: String) -> acs::ElasticNetworkInterface {
    // The gateway's prefix is that of the subnet: agents take its length from there.
    let prefix = given.block.split_once('/').map(|(_, prefix)| prefix);
    let gateway = given.gateway.zip(prefix).map(|(gateway, prefix)| format!("{gateway}/{prefix}"));
    acs::ElasticNetworkInterface {
        attachment_arn: Some(attachment_arn),
        ec2_id: Some(given.id.clone()),
        mac_address: Some(given.mac.clone()),
        index: Some(0),
        interface_association_protocol: Some("default".to_owned()),
        ipv4_addresses: vec![acs::IPv4AddressAssignment {
            private_address: given.address.map(|address| address.to_string()),
            primary: Some(true),
        }],
        domain_name: vec![given.domain.clone()],
        domain_name_servers: resolver(given).into_iter().collect(),
        private_dns_name: given.private_name.clone(),
        subnet_gateway_ipv4_address: gateway,
        vpc: Some(acs::InterfaceVpc {
            vpc_id: given.vpc.clone(),
            subnet_id: given.subnet.clone(),
            blocks: given.vpc_blocks.clone(),
            groups: given.groups.clone(),
            egress: match given.egress {
                contract::Egress::None => acs::Egress::None,
                contract::Egress::Direct => acs::Egress::Direct,
                contract::Egress::Nat => acs::Egress::Nat,
            },
            public_address: given.public.map(|address| address.to_string()),
        }),
        ..acs::ElasticNetworkInterface::default()
    }
}
