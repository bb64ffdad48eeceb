//! Lowers the interface of a task: what AWS's protocol says of it, and what our control plane adds.

use std::net::{IpAddr, Ipv4Addr};

use agent_protocol::acs;
use engine::vpc;

/// Longest DNS name, in bytes; as a host's name the kernel takes 64.
const NAME_BYTES_MAX: usize = 64;
/// Most name servers, and most domains to search.
const SERVERS_MAX: usize = 16;

/// The interface that a task has, if any, and the ARN of its attachment. The error names what is amiss.
pub(super) fn lower(task: &acs::Task) -> Result<Option<(engine::TaskNetwork, Option<String>)>, String> {
    let is_awsvpc = task.network_mode.as_deref() == Some("awsvpc");
    let interface = match (is_awsvpc, task.elastic_network_interfaces.as_slice()) {
        (false, []) => return Ok(None),
        (true, [interface]) => interface,
        (true, []) => return Err("there is no interface for networkMode awsvpc".to_owned()),
        (true, _) => return Err("more than one interface is not supported by this agent".to_owned()),
        (false, _) => return Err("elasticNetworkInterfaces go with networkMode awsvpc only".to_owned()),
    };
    let attachment = interface.attachment_arn.clone().filter(|arn| !arn.is_empty());
    Ok(Some((network(interface)?, attachment)))
}

fn network(interface: &acs::ElasticNetworkInterface) -> Result<engine::TaskNetwork, String> {
    let protocol = interface.interface_association_protocol.as_deref().unwrap_or_default();
    if !matches!(protocol, "" | "default") {
        return Err(format!("interfaceAssociationProtocol {protocol} is not supported by this agent"));
    }
    let own = interface.vpc.as_ref().ok_or("it does not say in which VPC it is")?;
    let there = |value: &Option<String>, member: &str| {
        value.clone().filter(|text| !text.is_empty()).ok_or_else(|| format!("{member} is missing"))
    };
    let gateway = there(&interface.subnet_gateway_ipv4_address, "subnetGatewayIpv4Address")?;
    let (gateway, subnet) = gateway_in(&gateway)?;
    let ipv4 = ipv4(interface)?;
    // A VPC may give no names; its tasks are called as they would be all the same.
    let named = interface.private_dns_name.clone().filter(|name| !name.is_empty());
    let hostname = named.unwrap_or_else(|| format!("ip-{}", ipv4.to_string().replace('.', "-")));
    if hostname.len() > NAME_BYTES_MAX
        || !hostname.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
    {
        return Err(format!("{hostname:?} is no name of a host"));
    }
    Ok(engine::TaskNetwork {
        interface: name(&there(&interface.ec2_id, "ec2Id")?)?,
        vpc: name(&own.vpc_id)?,
        blocks: own.blocks.iter().map(|text| block(text)).collect::<Result<_, _>>()?,
        mac: there(&interface.mac_address, "macAddress")?.try_into().map_err(text)?,
        ipv4,
        subnet,
        gateway,
        ipv6: ipv6(interface)?,
        state: state(&own.groups, own.egress, own.public_address.as_deref())?,
        hostname,
        dns_servers: servers(&interface.domain_name_servers)?,
        dns_search_domains: domains(&interface.domain_name)?,
    })
}

/// `10.0.1.1/24`: the gateway, and the subnet that it is in.
fn gateway_in(text: &str) -> Result<(Ipv4Addr, vpc::Subnet), String> {
    let bad = || format!("subnetGatewayIpv4Address {text} is no address with the length of a prefix");
    let (gateway, prefix_len) = text.split_once('/').ok_or_else(bad)?;
    let gateway: Ipv4Addr = gateway.parse().map_err(|_| bad())?;
    let subnet = vpc::Subnet::new(gateway, prefix_len.parse().map_err(|_| bad())?).map_err(|_| bad())?;
    Ok((gateway, subnet))
}

/// Has a container of a task with an interface find the others by their names: they share its network, and so its loopback. Not
/// ECS's own: containers of such a task are said there to be at localhost.
pub(super) fn name_neighbours(container: &mut engine::ContainerSpec, names: &[&str]) {
    let at_home = |name: &&str| ((*name).to_owned(), IpAddr::V4(Ipv4Addr::LOCALHOST));
    container.extra_hosts.extend(names.iter().map(at_home));
}

/// The primary one, or the only one.
fn ipv4(interface: &acs::ElasticNetworkInterface) -> Result<Ipv4Addr, String> {
    let all = &interface.ipv4_addresses;
    let chosen = all.iter().find(|one| one.primary == Some(true)).or(all.first());
    let chosen = chosen.and_then(|one| one.private_address.as_deref()).ok_or("ipv4Addresses are missing")?;
    if all.len() > 1 {
        return Err("more than one IPv4 address is not supported by this agent".to_owned());
    }
    chosen.parse().map_err(|_| format!("{chosen} is no IPv4 address"))
}

fn ipv6(interface: &acs::ElasticNetworkInterface) -> Result<Option<std::net::Ipv6Addr>, String> {
    match interface.ipv6_addresses.as_slice() {
        [] => Ok(None),
        [one] => {
            let address = one.address.as_deref().unwrap_or_default();
            address.parse().map(Some).map_err(|_| format!("{address} is no IPv6 address"))
        }
        _ => Err("more than one IPv6 address is not supported by this agent".to_owned()),
    }
}

fn servers(all: &[String]) -> Result<Vec<String>, String> {
    if let Some(bad) = all.iter().find(|text| text.parse::<IpAddr>().is_err()) {
        return Err(format!("{bad} is no address of a name server"));
    }
    if all.len() > SERVERS_MAX { Err("too many name servers".to_owned()) } else { Ok(all.to_vec()) }
}

fn domains(all: &[String]) -> Result<Vec<String>, String> {
    let is_domain = |text: &String| {
        !text.is_empty()
            && text.len() < 256
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
    };
    match all.iter().all(is_domain) && all.len() <= SERVERS_MAX {
        true => Ok(all.to_vec()),
        false => Err("domainName holds what is no domain".to_owned()),
    }
}

/// What may change of an interface.
pub(crate) fn state(
    groups: &[String],
    egress: acs::Egress,
    public: Option<&str>,
) -> Result<vpc::InterfaceState, String> {
    Ok(vpc::InterfaceState {
        groups: groups.iter().map(|text| name(text)).collect::<Result<_, _>>()?,
        egress: match egress {
            acs::Egress::None => vpc::Egress::None,
            acs::Egress::Direct => vpc::Egress::Direct,
            acs::Egress::Nat => vpc::Egress::Nat,
        },
        public: match public {
            None | Some("") => None,
            Some(text) => Some(text.parse().map_err(|_| format!("{text} is no IPv4 address"))?),
        },
    })
}

pub(crate) fn name(name: &str) -> Result<vpc::Name, String> {
    vpc::Name::new(name).map_err(text)
}

pub(crate) fn block(block: &str) -> Result<vpc::Block, String> {
    block.parse().map_err(text)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
