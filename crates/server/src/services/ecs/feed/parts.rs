//! The difference between what a host was told and what is to hold, as messages that fit into frames.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
};

use agent_protocol::acs;
use state::contract::{self, Egress, HostInterface, HostNetwork, HostVpc, Peer, Places, Rule, Rules};

/// About how many bytes of a message are filled; a frame may have many more.
const FILLED: usize = 256 << 10;
/// Addresses that one change of a set names.
const ADDRESSES: usize = 4096;

/// The messages that bring a host from what it was told to what is to hold: none where nothing has changed. Where it was told
/// nothing yet they say all, and there is one at the least. `own` is where other hosts reach it: one that they do not reach hears
/// nothing of them. `sequence` is the number of the last message.
pub fn messages(
    told: Option<&HostNetwork>,
    now: &HostNetwork,
    own: Option<Ipv4Addr>,
    sequence: &mut u64,
) -> Vec<acs::VpcMessage> {
    let nothing = HostNetwork::default();
    let before = told.unwrap_or(&nothing);
    let mut parts = Parts::default();
    for (id, vpc) in &now.vpcs {
        parts.vpc(id, before.vpcs.get(id), vpc, own);
    }
    for (id, set) in &now.members {
        let had = before.members.get(id);
        let (came, left) = contract::changes(&had.cloned().unwrap_or_default(), set);
        if had.is_none() || !came.is_empty() || !left.is_empty() {
            parts.set(id, texts(came), texts(left));
        }
    }
    for (id, rules) in now.rules.iter().filter(|(id, rules)| before.rules.get(*id) != Some(*rules)) {
        let room = parts.room(64 + 96 * (rules.ingress.len() + rules.egress.len()));
        room.groups.push(group(id, rules));
    }
    for (id, of) in now.interfaces.iter().filter(|(id, of)| before.interfaces.get(*id) != Some(*of)) {
        let room = parts.room(96 + 24 * of.groups.len());
        room.interfaces.push(interface(id, of));
    }
    // What it still knows of a group otherwise stays: the members alone go.
    for (id, set) in before.members.iter().filter(|(id, _)| !now.members.contains_key(*id)) {
        if now.rules.contains_key(id) {
            parts.set(id, Vec::new(), texts(set.iter().copied().collect()));
        }
    }
    for id in ids(before).difference(&ids(now)) {
        parts.room(24).gone.push((*id).clone());
    }
    let mut all = parts.done(told.is_none());
    for message in &mut all {
        *sequence += 1;
        message.sequence = *sequence;
    }
    all
}

fn ids(host: &HostNetwork) -> BTreeSet<&String> {
    let groups = host.rules.keys().chain(host.members.keys());
    host.vpcs.keys().chain(host.interfaces.keys()).chain(groups).collect()
}

fn texts(addresses: Vec<IpAddr>) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}

fn interface(id: &str, of: &HostInterface) -> acs::InterfaceState {
    acs::InterfaceState {
        id: id.to_owned(),
        groups: of.groups.clone(),
        egress: match of.egress {
            Egress::None => acs::Egress::None,
            Egress::Direct => acs::Egress::Direct,
            Egress::Nat => acs::Egress::Nat,
        },
        public_address: of.public.map(|address| address.to_string()),
    }
}

fn group(id: &str, rules: &Rules) -> acs::GroupRules {
    let all = |rules: &[Rule]| rules.iter().map(rule).collect();
    acs::GroupRules { id: id.to_owned(), ingress: all(&rules.ingress), egress: all(&rules.egress) }
}

fn rule(rule: &Rule) -> acs::GroupRule {
    acs::GroupRule {
        protocol: rule.protocol,
        from_port: rule.ports.map(|(from, _)| from),
        to_port: rule.ports.map(|(_, to)| to),
        peer: match &rule.peer {
            Peer::Block(block) => acs::Peer::Block(block.clone()),
            Peer::Group(id) => acs::Peer::Group(id.clone()),
        },
    }
}

/// Messages that are being filled.
#[derive(Default)]
struct Parts {
    full: Vec<acs::VpcMessage>,
    last: acs::VpcMessage,
    filled: usize,
}

impl Parts {
    /// The message that has room for so many bytes more.
    fn room(&mut self, bytes: usize) -> &mut acs::VpcMessage {
        if self.filled > 0 && self.filled + bytes > FILLED {
            self.full.push(std::mem::take(&mut self.last));
            self.filled = 0;
        }
        self.filled += bytes;
        &mut self.last
    }

    /// What has changed of a VPC.
    fn vpc(&mut self, id: &str, before: Option<&HostVpc>, now: &HostVpc, own: Option<Ipv4Addr>) {
        let said = |vpc: &HostVpc| (vpc.blocks.clone(), vpc.segment, vpc.dns.clone());
        if before.is_none_or(|old| said(old) != said(now)) {
            let overlay = now.segment.map(|number| acs::Overlay { vxlan: Some(number) });
            let room = self.room(256 + 24 * now.blocks.len());
            let (blocks, names) = (now.blocks.clone(), now.dns.clone());
            let dns = names.map(|(address, domain)| acs::VpcDns { address: address.to_string(), domain });
            room.vpcs.push(acs::VpcBlocks { id: id.to_owned(), blocks, overlay, dns });
        }
        let nowhere = Places::new();
        let places = before.map_or(&nowhere, |old| &old.places);
        let Some((mut came, mut left)) = own.map(|own| contract::moves(places, &now.places, own)) else {
            return;
        };
        while !came.is_empty() || !left.is_empty() {
            let leaves = left.split_off(left.len().saturating_sub(ADDRESSES));
            let most = if left.is_empty() { ADDRESSES - leaves.len() } else { 0 };
            let comes = came.split_off(came.len().saturating_sub(most));
            let place = |(address, host): (Ipv4Addr, Ipv4Addr)| acs::Place {
                address: address.to_string(),
                host: host.to_string(),
            };
            let room = self.room(64 + 20 * leaves.len() + 56 * comes.len());
            room.places.push(acs::PlaceChange {
                vpc: id.to_owned(),
                add: comes.into_iter().map(place).collect(),
                remove: leaves.iter().map(ToString::to_string).collect(),
            });
        }
    }

    /// A change of a set, in as many messages as it takes. What leaves it goes first.
    fn set(&mut self, id: &str, mut add: Vec<String>, mut remove: Vec<String>) {
        loop {
            let leaves = remove.split_off(remove.len().saturating_sub(ADDRESSES));
            let most = if remove.is_empty() { ADDRESSES - leaves.len() } else { 0 };
            let comes = add.split_off(add.len().saturating_sub(most));
            let room = self.room(64 + 20 * (leaves.len() + comes.len()));
            room.sets.push(acs::SetChange { id: id.to_owned(), add: comes, remove: leaves });
            if add.is_empty() && remove.is_empty() {
                return;
            }
        }
    }

    /// All of them; those that say all where the host knows nothing.
    fn done(mut self, whole: bool) -> Vec<acs::VpcMessage> {
        if self.filled > 0 || whole {
            self.full.push(self.last);
        }
        if let Some(first) = self.full.first_mut() {
            first.whole = whole;
        }
        let count = self.full.len();
        for message in self.full.iter_mut().take(count.saturating_sub(1)) {
            message.more = true;
        }
        self.full
    }
}
