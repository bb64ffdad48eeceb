//! What is to hold on a host for the network interfaces of its tasks.

use std::sync::Arc;

use state::{
    Delta, Id128,
    contract::{HostInterface, HostNetwork, HostVpc, Peer as Whom, Rule, Rules},
};

use super::{dhcp, interfaces::egress};
use crate::{
    Ec2, Key,
    rows::{GroupId, InterfaceRow, Peer, RuleRow, SubnetRow, VpcId, VpcRow},
};

/// All that is to hold for the interfaces of these tasks of a sender in a region. Costs by what it says: members of security groups are
/// shared with the state.
pub fn on_host(state: &Ec2, region: &str, sender: &str, tasks: &[Id128]) -> HostNetwork {
    let mut host = HostNetwork::default();
    let mut named: Vec<GroupId> = Vec::new();
    for row in tasks.iter().filter_map(|task| state.interface_of(sender, *task)) {
        let (Some(vpc), Some(subnet)) = (state.vpc(row.vpc), state.subnet(row.subnet)) else { continue };
        host.vpcs.entry(vpc.id.to_string()).or_insert_with(|| of_vpc(state, region, vpc));
        let groups: Vec<String> = row.groups.iter().map(ToString::to_string).collect();
        for (id, text) in row.groups.iter().zip(&groups) {
            if !host.rules.contains_key(text) {
                let (rules, whom) = rules(state, *id);
                host.rules.insert(text.clone(), Arc::new(rules));
                named.extend(whom);
            }
        }
        let interface =
            HostInterface { groups, egress: egress(state, subnet, vpc, row.public), public: row.public };
        host.interfaces.insert(row.id.to_string(), interface);
    }
    for id in named {
        host.members.entry(id.to_string()).or_insert_with(|| state.members_of(id));
    }
    host
}

/// Its number between hosts is in its identifier, which is chosen so ([`VpcId::segment`]); should two have the same all the
/// same, one of them stays within hosts.
fn of_vpc(state: &Ec2, region: &str, vpc: &VpcRow) -> HostVpc {
    let segment = vpc.id.segment();
    let is_taken = state.vpcs().keys().any(|other| *other < vpc.id && other.segment() == segment);
    HostVpc {
        blocks: vec![vpc.cidr.to_string()],
        segment: (!is_taken).then_some(segment),
        dns: vpc.dns_support.then(|| (dhcp::resolver(vpc.cidr), dhcp::domain(region))),
        places: state.places_in(vpc.id),
    }
}

/// The rules of a security group, and the groups that they name.
fn rules(state: &Ec2, group: GroupId) -> (Rules, Vec<GroupId>) {
    let (mut rules, mut named) = (Rules::default(), Vec::new());
    for row in state.rules_of(group) {
        if let Peer::Group(other) = row.peer {
            named.push(other);
        }
        let of = if row.egress { &mut rules.egress } else { &mut rules.ingress };
        of.push(rule(row));
    }
    (rules, named)
}

fn rule(row: &RuleRow) -> Rule {
    Rule {
        protocol: row.protocol.0,
        ports: row.ports.map(|ports| (ports.0, ports.1)),
        peer: match row.peer {
            Peer::V4(block) => Whom::Block(block.to_string()),
            Peer::V6(block) => Whom::Block(block.to_string()),
            Peer::Group(group) => Whom::Group(group.to_string()),
        },
    }
}

/// The identifiers of which a commit may have changed something that is to hold on hosts. Whatever may change a way out of a
/// VPC touches the VPC.
pub fn touched(delta: &Delta<Ec2>) -> Vec<String> {
    let mut ids = Vec::new();
    for key in delta.keys {
        let both = [delta.before, delta.after];
        let vpc = |vpc: Option<VpcId>| vpc.map(|vpc| vpc.to_string());
        match key {
            Key::Rule(id) => ids.extend(both.iter().filter_map(|of| Some(of.rule(*id)?.group.to_string()))),
            Key::Group(id) => ids.push(id.to_string()),
            Key::Interface(id) => {
                let rows = both.iter().filter_map(|of| of.interface(*id));
                let groups =
                    |row: &Arc<InterfaceRow>| row.groups.iter().map(ToString::to_string).collect::<Vec<_>>();
                ids.extend(rows.clone().flat_map(groups));
                // Who has an interface in the VPC is told where the others are.
                ids.extend(rows.filter(|row| row.at.is_some()).map(|row| row.vpc.to_string()));
                ids.push(id.to_string());
            }
            Key::Vpc(id) => ids.push(id.to_string()),
            Key::Subnet(id) => {
                let of = |of: &&Ec2| of.subnet(*id).map(|row: &Arc<SubnetRow>| row.vpc);
                ids.extend(both.iter().filter_map(|one| vpc(of(one))));
            }
            Key::Table(id) => ids.extend(both.iter().filter_map(|of| vpc(of.table(*id).map(|row| row.vpc)))),
            Key::Nat(id) => ids.extend(both.iter().filter_map(|of| vpc(of.nat(*id).map(|row| row.vpc)))),
            Key::Seed(()) | Key::Gateway(_) | Key::Address(_) | Key::Acl(_) | Key::Token(_) | Key::Tag(_) => {
            }
        }
    }
    ids.sort_unstable();
    ids.dedup();
    ids
}
