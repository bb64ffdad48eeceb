//! Rules as requests describe them: by `IpPermissions`, by members of the request itself, or one by one.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpPermission.html>

use std::fmt;

use ec2_model::{IpPermission, SecurityGroupRuleRequest, UserIdGroupPair};
use wire::Error;

use super::description;
use crate::{Ctx, Ec2, Txn, refuse, rows::*};

/// What makes two rules of a group and direction the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spec {
    pub protocol: Protocol,
    pub ports: Option<Ports>,
    pub peer: Peer,
}

/// A rule that is wanted, or meant.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    pub spec: Spec,
    pub description: Option<String>,
}

/// Members of a request that say one rule.
#[derive(Debug, Default)]
pub struct Flat {
    pub protocol: Option<String>,
    pub from: Option<i32>,
    pub to: Option<i32>,
    pub cidr: Option<String>,
    pub group: Option<String>,
    pub owner: Option<String>,
}

impl Spec {
    /// What a rule says.
    pub fn of(row: &RuleRow) -> Spec {
        Spec { protocol: row.protocol, ports: row.ports, peer: row.peer }
    }
}

impl fmt::Display for Spec {
    /// As EC2 tells of a rule in its errors.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.peer {
            Peer::V4(cidr) => write!(f, "peer: {cidr}, ")?,
            Peer::V6(cidr) => write!(f, "peer: {cidr}, ")?,
            Peer::Group(group) => write!(f, "peer: {group}, ")?,
        }
        match self.protocol {
            Protocol::ALL => f.write_str("ALL, ")?,
            protocol => write!(f, "{}, ", name(protocol).to_uppercase())?,
        }
        if let Some(Ports(from, to)) = self.ports {
            write!(f, "from port: {from}, to port: {to}, ")?;
        }
        f.write_str("ALLOW")
    }
}

/// A protocol as it is shown: by its name where EC2 has one.
pub fn name(protocol: Protocol) -> String {
    match protocol {
        Protocol::TCP => "tcp".to_owned(),
        Protocol::UDP => "udp".to_owned(),
        Protocol::ICMP => "icmp".to_owned(),
        Protocol::ICMP_V6 => "icmpv6".to_owned(),
        Protocol(number) => number.to_string(),
    }
}

/// Reads a protocol: a name in any case, or a number.
pub fn protocol(text: &str) -> Result<Protocol, Error> {
    let unknown =
        || refuse::value(format!("Invalid value '{}' for IP protocol. Unknown protocol.", refuse::cut(text)));
    match text.to_ascii_lowercase().as_str() {
        "tcp" => Ok(Protocol::TCP),
        "udp" => Ok(Protocol::UDP),
        "icmp" => Ok(Protocol::ICMP),
        "icmpv6" => Ok(Protocol::ICMP_V6),
        "all" => Ok(Protocol::ALL),
        number => match number.parse() {
            Ok(number @ -1..=255) => Ok(Protocol(number)),
            _ => Err(unknown()),
        },
    }
}

fn ports(protocol: Protocol, from: Option<i32>, to: Option<i32>) -> Result<Option<Ports>, Error> {
    match protocol {
        Protocol::TCP | Protocol::UDP => {
            let (Some(from), Some(to)) = (from, to) else {
                return Err(refuse::value(
                    "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.",
                ));
            };
            if let Some(port) = [from, to].iter().find(|port| !(0..=65_535).contains(*port)) {
                return Err(refuse::value(format!("TCP/UDP port ({port}) out of range")));
            }
            if from > to {
                return Err(refuse::value(format!("Invalid TCP/UDP port range ({from}:{to})")));
            }
            Ok(Some(Ports(from, to)))
        }
        Protocol::ICMP | Protocol::ICMP_V6 => {
            let (kind, code) = (from.unwrap_or(-1), to.unwrap_or(-1));
            let fits = |value| (-1..=255).contains(&value);
            if !fits(kind) || !fits(code) || (kind == -1 && code != -1) {
                return Err(refuse::value(format!("ICMP type ({kind}) or code ({code}) out of range")));
            }
            Ok(Some(Ports(kind, code)))
        }
        _ => Ok(None),
    }
}

fn v4(text: &str) -> Result<Peer, Error> {
    text.parse().map(Peer::V4).map_err(|_| malformed(text))
}

fn v6(text: &str) -> Result<Peer, Error> {
    text.parse().map(Peer::V6).map_err(|_| malformed(text))
}

fn malformed(text: &str) -> Error {
    refuse::value(format!("CIDR block {} is malformed", refuse::cut(text)))
}

/// There are no prefix lists.
fn no_list(id: &str) -> Error {
    let message = format!("The prefix list ID '{}' does not exist", refuse::cut(id));
    refuse::with("InvalidPrefixListID.NotFound", message)
}

fn no_group(name: &str) -> Error {
    let message = format!("The security group '{}' does not exist", refuse::cut(name));
    refuse::with("InvalidGroup.NotFound", message)
}

/// The group that a rule of `group` names: one of the same VPC.
fn pair(state: &Ec2, ctx: &Ctx, group: &GroupRow, pair: &UserIdGroupPair) -> Result<Peer, Error> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    if let Some(peering) = given(&pair.vpc_peering_connection_id) {
        let message = format!("The vpcPeeringConnection ID '{}' does not exist", refuse::cut(&peering));
        return Err(refuse::with("InvalidVpcPeeringConnectionID.NotFound", message));
    }
    let (id, name) = (given(&pair.group_id), given(&pair.group_name));
    if given(&pair.user_id).is_some_and(|user| user != *ctx.account) {
        return Err(no_group(id.or(name).as_deref().unwrap_or_default()));
    }
    let named = match (id, name) {
        (Some(id), _) => state.find_group(&id)?,
        (None, Some(name)) => state.group_named(group.vpc, &name).cloned().ok_or_else(|| no_group(&name))?,
        (None, None) => return Err(refuse::missing("GroupName or GroupId")),
    };
    if named.vpc != group.vpc {
        let message = "You have specified two resources that belong to different networks.";
        return Err(refuse::with("InvalidGroup.NotFound", message));
    }
    Ok(Peer::Group(named.id))
}

/// The rules of one permission.
pub fn permission(
    state: &Ec2,
    ctx: &Ctx,
    group: &GroupRow,
    given: &IpPermission,
) -> Result<Vec<Wanted>, Error> {
    let text = given.ip_protocol.as_deref().filter(|text| !text.is_empty());
    let protocol = protocol(text.ok_or_else(|| refuse::missing("ipProtocol"))?)?;
    let ports = ports(protocol, given.from_port, given.to_port)?;
    let mut all = Vec::new();
    let mut put = |peer: Peer, text: &Option<String>| {
        let spec = Spec { protocol, ports, peer };
        description(text.clone()).map(|description| all.push(Wanted { spec, description }))
    };
    for range in given.ip_ranges.iter().flatten() {
        put(v4(range.cidr_ip.as_deref().unwrap_or_default())?, &range.description)?;
    }
    for range in given.ipv6_ranges.iter().flatten() {
        put(v6(range.cidr_ipv6.as_deref().unwrap_or_default())?, &range.description)?;
    }
    if let Some(list) = given.prefix_list_ids.iter().flatten().next() {
        return Err(no_list(list.prefix_list_id.as_deref().unwrap_or_default()));
    }
    for other in given.user_id_group_pairs.iter().flatten() {
        put(pair(state, ctx, group, other)?, &other.description)?;
    }
    Ok(all)
}

/// The rules of a request: by permissions, or the one that its other members say.
///
/// # Errors
/// What is wrong with them, or that there are none.
pub fn all(
    txn: &Txn,
    group: &GroupRow,
    permissions: Option<Vec<IpPermission>>,
    flat: Flat,
) -> Result<Vec<Wanted>, Error> {
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let (cidr, source) = (given(flat.cidr), given(flat.group));
    let permissions = permissions.unwrap_or_default();
    let is_flat = cidr.is_some() || source.is_some() || flat.protocol.is_some();
    let permissions = match (is_flat, permissions.is_empty()) {
        (true, false) => {
            let message = "The parameter 'ipPermissions' may not be used in combination with 'ipProtocol'";
            return Err(refuse::combination(message));
        }
        (true, true) => {
            // A group alone means all that it sends.
            let all = || source.is_some().then(|| "-1".to_owned());
            let pair = source.clone().map(|name| UserIdGroupPair {
                group_name: Some(name),
                user_id: flat.owner,
                ..UserIdGroupPair::default()
            });
            let range = cidr.map(|cidr| ec2_model::IpRange { cidr_ip: Some(cidr), description: None });
            vec![IpPermission {
                ip_protocol: flat.protocol.or_else(all),
                from_port: flat.from,
                to_port: flat.to,
                ip_ranges: Some(range.into_iter().collect()),
                user_id_group_pairs: Some(pair.into_iter().collect()),
                ..IpPermission::default()
            }]
        }
        (false, _) => permissions,
    };
    let mut wanted = Vec::new();
    for given in &permissions {
        wanted.extend(permission(txn.state, txn.ctx, group, given)?);
    }
    if wanted.is_empty() {
        return Err(refuse::missing("ipPermissions"));
    }
    Ok(wanted)
}

/// A rule that is said by itself.
///
/// # Errors
/// What is wrong with it.
pub fn one(txn: &Txn, group: &GroupRow, given: &SecurityGroupRuleRequest) -> Result<Wanted, Error> {
    let text = given.ip_protocol.as_deref().filter(|text| !text.is_empty());
    let protocol = protocol(text.ok_or_else(|| refuse::missing("IpProtocol"))?)?;
    let ports = ports(protocol, given.from_port, given.to_port)?;
    let peer = match (&given.cidr_ipv4, &given.cidr_ipv6, &given.prefix_list_id, &given.referenced_group_id) {
        (Some(cidr), None, None, None) => v4(cidr)?,
        (None, Some(cidr), None, None) => v6(cidr)?,
        (None, None, Some(list), None) => return Err(no_list(list)),
        (None, None, None, Some(id)) => {
            let named = UserIdGroupPair { group_id: Some(id.clone()), ..UserIdGroupPair::default() };
            pair(txn.state, txn.ctx, group, &named)?
        }
        _ => {
            let message = "A rule has exactly one of CidrIpv4, CidrIpv6, PrefixListId and ReferencedGroupId";
            return Err(refuse::combination(message));
        }
    };
    let description = description(given.description.clone())?;
    Ok(Wanted { spec: Spec { protocol, ports, peer }, description })
}
