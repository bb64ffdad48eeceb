//! What the rules of a VPC become in the kernel: one table in the VPC's namespace. Pure.
//!
//! A packet between two interfaces, also of two hosts, is looked at twice, each time by a chain that can only refuse: `leave` asks the groups
//! of the interface that it comes from, `enter` those of the one that it goes to. Both ask a map by the link's name
//! for the interface's chain, this asks the chain of each of its groups, and who finds nothing falls out of all of
//! them, and is dropped.
//!
//! Connections, as EC2 has it ("Amazon EC2 security group connection tracking" of its user guide): one that is
//! *tracked* goes on, both ways, whatever becomes of the rule that let it begin. Not tracked is what a rule for all
//! addresses (`0.0.0.0/0`, `::/0`) lets begin by TCP or UDP while another lets all of it through in the other
//! direction: then each packet is allowed by the rules of the moment, and when its rule goes, it ends. As the two ends
//! may differ in that, two bits of the connection's mark say it: 1 for who began it, 2 for the other.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use super::far::FAR;
use super::rules::{Group, Peer, Rule, Rules, Traffic};
use super::script::{Chain, Elements, Model, Set};
use super::{Block, Egress, InterfaceSpec, InterfaceState, Name};

/// The link to the host, in a VPC's namespace.
pub(crate) const OUTSIDE: &str = "out0";
/// Families: the word for addresses in rules, and the suffix of sets.
const FAMILIES: [(&str, char); 2] = [("ip", '4'), ("ip6", '6')];
/// IANA's numbers of TCP and UDP.
const PORTED: [u8; 2] = [6, 17];

/// An interface in the VPC's namespace.
pub(crate) struct Port<'a> {
    /// Its link there.
    pub link: String,
    pub spec: &'a InterfaceSpec,
    /// As it is now.
    pub state: &'a InterfaceState,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

impl Way {
    fn word(self) -> &'static str {
        match self {
            Way::In => "in",
            Way::Out => "out",
        }
    }

    /// Where the other end's address is.
    fn peer(self) -> &'static str {
        match self {
            Way::In => "saddr",
            Way::Out => "daddr",
        }
    }

    fn rules(self, group: &Group) -> &[Rule] {
        match self {
            Way::In => &group.ingress,
            Way::Out => &group.egress,
        }
    }

    fn other(self) -> Way {
        match self {
            Way::In => Way::Out,
            Way::Out => Way::In,
        }
    }
}

/// The table of a VPC; `resolver` is where its tasks ask for names.
pub(crate) fn compile(blocks: &[Block], ports: &[Port<'_>], rules: &Rules, resolver: &[Ipv4Addr]) -> Model {
    let mut model = frame();
    let doors = resolver.iter().map(|address| (address.to_string(), String::new())).collect();
    model.sets.insert("doors".to_owned(), pairs("set", "type ipv4_addr;", doors));
    model.sets.insert("vpc_4".to_owned(), plain("type ipv4_addr; flags interval;", of_family(blocks, true)));
    model.sets.insert("vpc_6".to_owned(), plain("type ipv6_addr; flags interval;", of_family(blocks, false)));
    ways_out(&mut model, ports);
    let mut used = BTreeSet::new();
    for port in ports {
        for way in [Way::In, Way::Out] {
            port_chain(&mut model, port, way, rules);
        }
        used.extend(&port.state.groups);
    }
    for name in used {
        let none = Group::default();
        let group = rules.groups.get(name).map_or(&none, |group| group.as_ref());
        for way in [Way::In, Way::Out] {
            let chain = group_chain(&mut model, group, way, rules);
            model.chains.insert(group_name(name, way), chain);
        }
    }
    model
}

/// What every VPC's table has.
fn frame() -> Model {
    let mut model = Model::default();
    let mut chain = |name: &str, hook, rules: &[&str]| {
        let rules = rules.iter().map(|rule| rule.replace("OUTSIDE", OUTSIDE).replace("FAR", FAR)).collect();
        model.chains.insert(name.to_owned(), Chain { hook, rules });
    };
    chain(
        "pre",
        "type nat hook prerouting priority -100; policy accept;",
        &["iifname \"OUTSIDE\" dnat ip to ip daddr map @privates"],
    );
    chain(
        "post",
        "type nat hook postrouting priority 100; policy accept;",
        &[
            "oifname \"OUTSIDE\" snat ip to ip saddr map @publics",
            "oifname \"OUTSIDE\" ip saddr @behind masquerade",
        ],
    );
    // Nobody is at home here but who answers names: tasks of this host, whatever their groups say.
    chain(
        "input",
        "type filter hook input priority 0; policy drop;",
        &[
            "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept",
            "iifname { \"FAR\", \"OUTSIDE\" } drop",
            "ip daddr @doors udp dport 53 accept",
            "ip daddr @doors tcp dport 53 accept",
        ],
    );
    chain(
        "leave",
        "type filter hook forward priority -1; policy drop;",
        &[
            "ct state invalid drop",
            // Other hosts have asked the groups of what comes from there; it goes to interfaces of this one alone.
            "iifname \"FAR\" oifname { \"FAR\", \"OUTSIDE\" } drop",
            "iifname \"OUTSIDE\" oifname \"FAR\" drop",
            "iifname \"FAR\" accept",
            "iifname \"OUTSIDE\" ct status dnat accept",
            "iifname \"OUTSIDE\" ct state established,related accept",
            "iifname \"OUTSIDE\" drop",
            // What else of EC2 is there (metadata) is not built, and what is of this host is not theirs.
            "ip daddr 169.254.0.0/16 drop",
            "oifname \"OUTSIDE\" ip daddr @vpc_4 drop",
            "oifname \"OUTSIDE\" meta nfproto ipv6 drop",
            "oifname \"OUTSIDE\" ip saddr != @exits drop",
            "ct state related accept",
            "ct direction original ct mark & 1 == 1 accept",
            "ct direction reply ct mark & 2 == 2 accept",
            "iifname vmap @leaves",
        ],
    );
    chain(
        "enter",
        "type filter hook forward priority 0; policy drop;",
        &[
            "oifname { \"FAR\", \"OUTSIDE\" } accept",
            "ct state related accept",
            "ct direction reply ct mark & 1 == 1 accept",
            "ct direction original ct mark & 2 == 2 accept",
            "oifname vmap @enters",
        ],
    );
    decisions(&mut model);
    model
}

/// What becomes of a packet that a rule allows: where its connection is tracked, its mark says so from then on.
fn decisions(model: &mut Model) {
    let mut chain = |name: String, rules| model.chains.insert(name, Chain { hook: "", rules });
    for (way, bit) in [(Way::Out, 1), (Way::In, 2)] {
        let word = way.word();
        let mark = format!("ct direction original ct mark set ct mark | {bit}");
        chain(format!("tracked_{word}"), vec![mark, "accept".to_owned()]);
        let mut rules = Vec::new();
        for (n, (family, protocol)) in open_kinds().enumerate() {
            let (family, protocol) =
                (if family { "ipv4" } else { "ipv6" }, if protocol == 6 { "tcp" } else { "udp" });
            let bit = 1 << n;
            rules.push(format!(
                "meta nfproto {family} meta l4proto {protocol} meta mark & {bit} == {bit} accept"
            ));
        }
        rules.push(format!("goto tracked_{word}"));
        chain(format!("open_{word}"), rules);
    }
}

/// What may go without being tracked: family (true for IPv4) and protocol, each a bit.
fn open_kinds() -> impl Iterator<Item = (bool, u8)> {
    [true, false].into_iter().flat_map(|ipv4| PORTED.into_iter().map(move |protocol| (ipv4, protocol)))
}

fn plain(kind: &'static str, blocks: BTreeSet<Block>) -> Set {
    Set { word: "set", kind, elements: Elements::Blocks(Arc::new(blocks)) }
}

/// The blocks of one family, without those that lie in another: what overlaps is no set.
fn of_family(blocks: &[Block], ipv4: bool) -> BTreeSet<Block> {
    let of_family: BTreeSet<Block> = blocks.iter().copied().filter(|block| block.is_ipv4() == ipv4).collect();
    without_nested(of_family.into_iter())
}

/// Blocks in order of their first address: one that lies in another comes after it, and before what does not.
fn without_nested(blocks: impl Iterator<Item = Block>) -> BTreeSet<Block> {
    let mut out = BTreeSet::new();
    let mut last: Option<Block> = None;
    for block in blocks {
        if !last.is_some_and(|outer| outer.contains(&block)) {
            out.insert(block);
            last = Some(block);
        }
    }
    out
}

fn pairs(word: &'static str, kind: &'static str, pairs: BTreeMap<String, String>) -> Set {
    Set { word, kind, elements: Elements::Pairs(pairs) }
}

/// Who may leave the VPC, and as whom.
fn ways_out(model: &mut Model, ports: &[Port<'_>]) {
    let (mut publics, mut privates) = (BTreeMap::new(), BTreeMap::new());
    let (mut behind, mut exits) = (BTreeMap::new(), BTreeMap::new());
    for port in ports {
        let own = port.spec.ipv4.to_string();
        match (port.state.egress, port.state.public) {
            (Egress::Direct, Some(public)) => {
                // Of two with one public address the first has it.
                privates.entry(public.to_string()).or_insert_with(|| {
                    publics.insert(own.clone(), public.to_string());
                    exits.insert(own.clone(), String::new());
                    own
                });
            }
            (Egress::Nat, _) => {
                behind.insert(own.clone(), String::new());
                exits.insert(own, String::new());
            }
            (Egress::None | Egress::Direct, _) => {}
        }
    }
    for (name, set) in [
        ("publics", pairs("map", "type ipv4_addr : ipv4_addr;", publics)),
        ("privates", pairs("map", "type ipv4_addr : ipv4_addr;", privates)),
        ("behind", pairs("set", "type ipv4_addr;", behind)),
        ("exits", pairs("set", "type ipv4_addr;", exits)),
    ] {
        model.sets.insert(name.to_owned(), set);
    }
    for (name, way) in [("leaves", Way::Out), ("enters", Way::In)] {
        let lead = |port: &Port<'_>| (format!("\"{}\"", port.link), format!("jump {}", port_name(port, way)));
        let leads = ports.iter().map(lead).collect();
        model.sets.insert(name.to_owned(), pairs("map", "type ifname : verdict;", leads));
    }
}

fn port_name(port: &Port<'_>, way: Way) -> String {
    format!("{}_{}", way.word(), port.link)
}

fn group_name(group: &Name, way: Way) -> String {
    format!("{}_{}", way.word(), identifier(group))
}

/// nft takes dashes in names, but not everywhere.
fn identifier(name: &Name) -> String {
    name.as_str().replace('-', "_")
}

/// Asks an interface's groups in turn.
fn port_chain(model: &mut Model, port: &Port<'_>, way: Way, rules: &Rules) {
    let back = way.other();
    let groups = || port.state.groups.iter().filter_map(|name| rules.groups.get(name));
    let is_open =
        |(ipv4, protocol)| groups().any(|group| back.rules(group).iter().any(|r| r.opens(protocol, ipv4)));
    let bits = open_kinds().enumerate().filter(|(_, kind)| is_open(*kind)).map(|(n, _)| 1u32 << n);
    let mut asked = vec![format!("meta mark set {}", bits.sum::<u32>())];
    let unique: BTreeSet<&Name> = port.state.groups.iter().collect();
    asked.extend(unique.into_iter().map(|group| format!("jump {}", group_name(group, way))));
    model.chains.insert(port_name(port, way), Chain { hook: "", rules: asked });
}

fn group_chain(model: &mut Model, group: &Group, way: Way, rules: &Rules) -> Chain {
    let (mut open, mut narrow) = (Vec::new(), Vec::new());
    for rule in way.rules(group) {
        for (family, of_peer) in peers(model, &rule.peer, way, rules) {
            let Some(of_traffic) = traffic(rule.traffic, family) else { continue };
            let mut text = of_peer;
            if !of_traffic.is_empty() {
                text = format!("{text} {of_traffic}");
            }
            let is_open = rule.is_for_everybody().is_some();
            let (into, then) = if is_open { (&mut open, "open") } else { (&mut narrow, "tracked") };
            into.push(format!("{text} goto {then}_{}", way.word()));
        }
    }
    // The same rule may be there twice, for its description is no part of it.
    let mut seen = BTreeSet::new();
    open.append(&mut narrow);
    open.retain(|rule| seen.insert(rule.clone()));
    Chain { hook: "", rules: open }
}

/// How the other end is recognised, for each family (true for IPv4) that it may be of. Makes the sets that this names.
fn peers(model: &mut Model, peer: &Peer, way: Way, rules: &Rules) -> Vec<(bool, String)> {
    let at = way.peer();
    match peer {
        Peer::Block(block) if block.is_all() => {
            let family = block.is_ipv4();
            vec![(family, format!("meta nfproto {}", if family { "ipv4" } else { "ipv6" }))]
        }
        Peer::Block(block) => {
            let family = block.is_ipv4();
            vec![(family, format!("{} {at} {block}", FAMILIES[usize::from(!family)].0))]
        }
        Peer::Set(name) => {
            let named = FAMILIES.iter().map(|(word, suffix)| {
                let ipv4 = *suffix == '4';
                let set = member_set(model, name, ipv4, *suffix, rules);
                (ipv4, format!("{word} {at} @{set}"))
            });
            named.collect()
        }
    }
}

/// The set of a group's members, or of a prefix list's blocks, of one family; its name.
fn member_set(model: &mut Model, name: &Name, ipv4: bool, suffix: char, rules: &Rules) -> String {
    let none = Arc::new(BTreeSet::new());
    let members = rules.sets.get(name).unwrap_or(&none);
    let is_of_addresses = members.iter().filter(|block| block.is_ipv4() == ipv4).all(Block::is_address);
    let (kind, mark) = match (ipv4, is_of_addresses) {
        (true, true) => ("type ipv4_addr;", ""),
        (true, false) => ("type ipv4_addr; flags interval;", "i"),
        (false, true) => ("type ipv6_addr;", ""),
        (false, false) => ("type ipv6_addr; flags interval;", "i"),
    };
    let set = format!("m_{}_{suffix}{mark}", identifier(name));
    if !model.sets.contains_key(&set) {
        let is_pure = is_of_addresses && members.iter().all(|block| block.is_ipv4() == ipv4);
        let elements = if is_pure {
            // The very same, so that a comparison need not look into it.
            members.clone()
        } else {
            Arc::new(without_nested(members.iter().copied().filter(|block| block.is_ipv4() == ipv4)))
        };
        model.sets.insert(set.clone(), Set { word: "set", kind, elements: Elements::Blocks(elements) });
    }
    set
}

/// The part of a rule that is about traffic; none where the family has no such traffic.
fn traffic(traffic: Traffic, ipv4: bool) -> Option<String> {
    let ports = |word: &str, first: u16, last: u16| match (first, last) {
        (0, u16::MAX) => format!("meta l4proto {word}"),
        (first, last) if first == last => format!("{word} dport {first}"),
        (first, last) => format!("{word} dport {first}-{last}"),
    };
    let icmp = |word: &str, kind: Option<u8>, code: Option<u8>| match (kind, code) {
        (None, _) => format!("meta l4proto {}", if word == "icmp" { "icmp" } else { "ipv6-icmp" }),
        (Some(kind), None) => format!("{word} type {kind}"),
        (Some(kind), Some(code)) => format!("{word} type {kind} {word} code {code}"),
    };
    Some(match traffic {
        Traffic::All => String::new(),
        // nft refuses a range that ends before it begins, and such a rule allows nothing.
        Traffic::Tcp(first, last) | Traffic::Udp(first, last) if first > last => return None,
        Traffic::Tcp(first, last) => ports("tcp", first, last),
        Traffic::Udp(first, last) => ports("udp", first, last),
        Traffic::Icmp(kind, code) if ipv4 => icmp("icmp", kind, code),
        Traffic::Icmp6(kind, code) if !ipv4 => icmp("icmpv6", kind, code),
        Traffic::Icmp(..) | Traffic::Icmp6(..) => return None,
        Traffic::Protocol(number) => format!("meta l4proto {number}"),
    })
}
