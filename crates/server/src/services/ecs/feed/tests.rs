//! What is told, applied one after the other as an agent does, is what is to hold.

use std::{collections::BTreeMap, net::IpAddr};

use state::{
    Ids,
    contract::{Egress, HostInterface, HostVpc, Peer, Rule, Rules},
};

use super::{parts::messages, *};

/// Where the host is reached.
const OWN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Blocks, number in the overlay, and the resolver of a VPC.
type VpcParts = (Vec<String>, Option<u32>, Option<acs::VpcDns>);

/// What an agent knows.
#[derive(Debug, Default, PartialEq)]
struct Known {
    sequence: u64,
    vpcs: BTreeMap<String, VpcParts>,
    places: BTreeMap<String, BTreeMap<String, String>>,
    interfaces: BTreeMap<String, acs::InterfaceState>,
    groups: BTreeMap<String, acs::GroupRules>,
    sets: BTreeMap<String, BTreeSet<String>>,
}

impl Known {
    fn hear(&mut self, message: &acs::VpcMessage) {
        assert_eq!(message.sequence, self.sequence + 1);
        if message.whole {
            assert_eq!(message.sequence, 1);
        }
        self.sequence = message.sequence;
        for id in &message.gone {
            self.vpcs.remove(id);
            self.places.remove(id);
            self.interfaces.remove(id);
            self.groups.remove(id);
            self.sets.remove(id);
        }
        let vpc = |one: &acs::VpcBlocks| {
            let number = one.overlay.and_then(|overlay| overlay.vxlan);
            (one.id.clone(), (one.blocks.clone(), number, one.dns.clone()))
        };
        self.vpcs.extend(message.vpcs.iter().map(vpc));
        for change in &message.places {
            let places = self.places.entry(change.vpc.clone()).or_default();
            assert!(change.remove.iter().all(|address| places.remove(address).is_some()), "{change:?}");
            places.extend(change.add.iter().map(|place| (place.address.clone(), place.host.clone())));
            assert!(change.add.iter().all(|place| place.host != OWN.to_string()), "{change:?}");
        }
        self.interfaces.extend(message.interfaces.iter().map(|one| (one.id.clone(), one.clone())));
        self.groups.extend(message.groups.iter().map(|one| (one.id.clone(), one.clone())));
        for change in &message.sets {
            let set = self.sets.entry(change.id.clone()).or_default();
            assert!(change.remove.iter().all(|address| set.remove(address)), "{change:?}");
            assert!(change.add.iter().all(|address| set.insert(address.clone())), "{change:?}");
        }
    }

    /// Whether all of what is to hold is known; of a group that nothing asks for any more something may be left.
    fn knows(&self, host: &HostNetwork) {
        let vpc = |(id, vpc): (&String, &HostVpc)| {
            let dns = vpc.dns.clone();
            let dns = dns.map(|(address, domain)| acs::VpcDns { address: address.to_string(), domain });
            (id.clone(), (vpc.blocks.clone(), vpc.segment, dns))
        };
        assert_eq!(self.vpcs, host.vpcs.iter().map(vpc).collect());
        for (id, vpc) in &host.vpcs {
            let elsewhere = vpc.places.iter().filter(|(_, at)| **at != OWN);
            let elsewhere = elsewhere.map(|(address, at)| (address.to_string(), at.to_string())).collect();
            assert_eq!(self.places.get(id).unwrap_or(&BTreeMap::new()), &elsewhere, "{id}");
        }
        assert_eq!(self.interfaces.keys().collect::<Vec<_>>(), host.interfaces.keys().collect::<Vec<_>>());
        for (id, of) in &host.interfaces {
            assert_eq!(self.interfaces[id].groups, of.groups);
        }
        for (id, rules) in &host.rules {
            assert_eq!(self.groups[id].ingress.len(), rules.ingress.len());
            assert_eq!(self.groups[id].egress.len(), rules.egress.len());
        }
        for (id, set) in &host.members {
            let set: BTreeSet<String> = set.iter().map(ToString::to_string).collect();
            assert_eq!(self.sets[id], set, "{id}");
        }
        let known = |id: &String| host.rules.contains_key(id) || host.members.contains_key(id);
        assert!(self.groups.keys().chain(self.sets.keys()).all(known));
    }
}

/// A host as chance has it: of few names, so that much of one is in the next.
fn host(chance: &mut Ids) -> HostNetwork {
    let mut host = HostNetwork::default();
    for _ in 0..chance.below(4) {
        let (id, count) = (chance.below(4), chance.below(2) + 1);
        let groups = (0..count).map(|_| format!("sg-{}", chance.below(4))).collect();
        let mut vpc = HostVpc { blocks: vec!["10.0.0.0/16".to_owned()], ..HostVpc::default() };
        vpc.segment = Some(u32::from(chance.below(8) > 0));
        vpc.dns = (chance.below(4) > 0).then(|| ([10, 0, 0, 2].into(), "ec2.internal".to_owned()));
        for _ in 0..chance.below(6) {
            vpc.places
                .insert([10, 0, 0, chance.below(6) as u8].into(), [192, 0, 2, chance.below(3) as u8].into());
        }
        host.vpcs.insert(format!("vpc-{}", id % 2), vpc);
        host.interfaces
            .insert(format!("eni-{id}"), HostInterface { groups, egress: Egress::Nat, public: None });
    }
    for _ in 0..chance.below(4) {
        let mut rules = Rules::default();
        for at in 0..chance.below(4) as i32 {
            let peer = Peer::Block("::/0".to_owned());
            rules.ingress.push(Rule { protocol: 6, ports: Some((at, at)), peer });
        }
        for _ in 0..chance.below(3) {
            let peer = Peer::Group(format!("sg-{}", chance.below(4)));
            rules.egress.push(Rule { protocol: -1, ports: None, peer });
        }
        host.rules.insert(format!("sg-{}", chance.below(4)), Arc::new(rules));
    }
    for _ in 0..chance.below(4) {
        let last: Vec<u8> = (0..chance.below(6)).map(|_| chance.below(9) as u8).collect();
        let set = last.into_iter().map(|last| IpAddr::from([10, 0, 0, last])).collect();
        host.members.insert(format!("sg-{}", chance.below(4)), set);
    }
    host
}

#[test]
fn a_host_that_heard_all_messages_knows_what_is_to_hold() {
    for seed in 0..500 {
        let chance = &mut Ids::new(seed);
        let (mut known, mut told, mut sequence) = (Known::default(), None, 0);
        for _ in 0..6 {
            let host = host(chance);
            let all = messages(told.as_ref(), &host, Some(OWN), &mut sequence);
            assert_eq!(all.first().is_some_and(|first| first.whole), told.is_none());
            all.iter().for_each(|message| known.hear(message));
            known.knows(&host);
            assert!(messages(Some(&host), &host, Some(OWN), &mut sequence).is_empty());
            told = Some(host);
        }
    }
}

#[test]
fn much_goes_in_parts_that_count_together() {
    let address = |at: u32| IpAddr::from(std::net::Ipv4Addr::from(at));
    let mut host = HostNetwork::default();
    host.members.insert("sg-1".to_owned(), (0..50_000).map(address).collect());
    let mut sequence = 0;
    let all = messages(None, &host, Some(OWN), &mut sequence);
    assert!(all.len() > 3 && sequence == all.len() as u64);
    let (last, before) = all.split_last().unwrap();
    assert!(before.iter().all(|message| message.more) && !last.more);
    assert!(all[0].whole && all[1..].iter().all(|message| !message.whole));
    let mut known = Known::default();
    all.iter().for_each(|message| known.hear(message));
    known.knows(&host);
    // One more costs one.
    let mut more = host.clone();
    more.members.get_mut("sg-1").unwrap().insert(address(60_000));
    let all = messages(Some(&host), &more, Some(OWN), &mut sequence);
    let [acs::VpcMessage { sets, .. }] = &all[..] else { panic!("{} messages", all.len()) };
    assert_eq!((sets.len(), sets[0].add.len(), sets[0].remove.len()), (1, 1, 0));
}

#[test]
fn a_host_without_interfaces_is_told_that_there_are_none() {
    let mut sequence = 0;
    let all = messages(None, &HostNetwork::default(), Some(OWN), &mut sequence);
    assert_eq!(all, [acs::VpcMessage { sequence: 1, whole: true, ..acs::VpcMessage::default() }]);
}

#[test]
fn a_host_that_others_do_not_reach_hears_nothing_of_where_they_are() {
    let mut host = HostNetwork::default();
    let far = HostVpc {
        places: [(Ipv4Addr::new(10, 0, 0, 4), Ipv4Addr::new(192, 0, 2, 9))].into_iter().collect(),
        ..HostVpc::default()
    };
    host.vpcs.insert("vpc-1".to_owned(), far);
    let places = |own| messages(None, &host, own, &mut 0).remove(0).places;
    assert_eq!(places(None), []);
    assert_eq!(places(Some([192, 0, 2, 9].into())), []);
    assert_eq!(places(Some(OWN)).len(), 1);
}
