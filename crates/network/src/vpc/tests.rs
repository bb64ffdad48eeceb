//! What becomes of rules, without a kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::compile::{Port, compile};
use super::rules::*;
use super::script::{Chain, Elements, Model, Set, difference, whole};
use super::*;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn block(text: &str) -> Block {
    text.parse().unwrap()
}

fn spec(last: u8, groups: &[&str]) -> InterfaceSpec {
    InterfaceSpec {
        id: AttachmentId::new(format!("task{last}")).unwrap(),
        interface: name(&format!("eni-{last}")),
        vpc: name("vpc-1"),
        blocks: vec![block("10.0.0.0/16")],
        mac: Mac([0x0a, 0, 0, 0, 0, last]),
        ipv4: Ipv4Addr::new(10, 0, 1, last),
        subnet: "10.0.1.0/24".parse().unwrap(),
        gateway: Ipv4Addr::new(10, 0, 1, 1),
        ipv6: None,
        state: InterfaceState { groups: groups.iter().map(|g| name(g)).collect(), ..Default::default() },
    }
}

fn rule(traffic: Traffic, peer: &str) -> Rule {
    let peer = peer.parse().map_or_else(|_| Peer::Set(name(peer)), Peer::Block);
    Rule { traffic, peer }
}

fn rules(groups: Vec<(&str, Vec<Rule>, Vec<Rule>)>) -> Rules {
    let group = |(id, ingress, egress)| (name(id), Group { ingress, egress });
    let change = Change { groups: groups.into_iter().map(group).collect(), ..Change::default() };
    Rules::default().after(change).unwrap()
}

fn table(specs: &[InterfaceSpec], rules: &Rules) -> Model {
    let port = |spec| Port { link: format!("t{}", spec_last(spec)), spec, state: &spec.state };
    let ports: Vec<Port<'_>> = specs.iter().map(port).collect();
    compile(&[block("10.0.0.0/16")], &ports, rules, &[[10, 0, 0, 2].into()])
}

fn spec_last(spec: &InterfaceSpec) -> u8 {
    spec.ipv4.octets()[3]
}

#[test]
fn blocks_are_read_written_and_in_order() {
    for (text, shown) in [
        ("10.1.2.3/16", "10.1.0.0/16"),
        ("10.0.0.1", "10.0.0.1"),
        ("fd00::1/64", "fd00::/64"),
        ("::/0", "::/0"),
    ] {
        assert_eq!(block(text).to_string(), shown);
    }
    for bad in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "x", "10.0.0.0/-1", "10.0.0.0/"] {
        assert!(bad.parse::<Block>().is_err(), "{bad}");
    }
    assert!(block("10.0.0.0/8").contains(&block("10.255.0.0/16")));
    assert!(!block("10.0.0.0/8").contains(&block("0.0.0.0/0")));
    assert!(!block("0.0.0.0/0").contains(&block("::1")));
    assert!(block("0.0.0.0/0").is_all() && !block("0.0.0.0").is_all());
    for bad in ["", "Sg-1", "1sg", "sg 1", "sg\"", "sg-1;", &"s".repeat(65)] {
        assert!(Name::new(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_is_no_interface_is_refused() {
    let good = spec(5, &["sg-1"]);
    good.check().unwrap();
    let bad: [&dyn Fn(&mut InterfaceSpec); 9] = [
        &|s| s.ipv4 = Ipv4Addr::new(10, 0, 2, 5),
        &|s| s.gateway = s.ipv4,
        &|s| s.gateway = Ipv4Addr::new(10, 9, 1, 1),
        &|s| s.mac.0[0] = 1,
        &|s| s.blocks = vec![],
        &|s| s.blocks = vec![block("0.0.0.0/0")],
        &|s| s.ipv6 = Some("fd00::5".parse().unwrap()),
        &|s| s.state.groups = (0..17).map(|n| name(&format!("sg-{n}"))).collect(),
        &|s| s.state.public = Some(Ipv4Addr::LOCALHOST),
    ];
    for (n, spoil) in bad.iter().enumerate() {
        let mut spec = good.clone();
        spoil(&mut spec);
        assert!(spec.check().is_err(), "{n}");
    }
    let mut changed = good.clone();
    changed.state.groups.clear();
    assert!(good.is_same(&changed));
    changed.mac.0[5] = 9;
    assert!(!good.is_same(&changed));
}

#[test]
fn a_group_becomes_a_chain_each_way() {
    use Traffic::*;
    let all = rules(vec![(
        "sg-1",
        vec![
            rule(Tcp(80, 80), "sg-2"),
            rule(Tcp(443, 443), "0.0.0.0/0"),
            rule(Udp(1000, 2000), "10.0.0.0/8"),
            rule(Icmp(Some(8), None), "10.0.0.7"),
            rule(Icmp(None, None), "::/0"),
            rule(Icmp6(Some(1), Some(2)), "fd00::/8"),
            rule(Protocol(47), "pl-1"),
            rule(Tcp(9, 8), "10.0.0.0/8"),
            rule(Tcp(80, 80), "sg-2"),
        ],
        vec![rule(All, "0.0.0.0/0"), rule(Tcp(0, 65535), "::/0")],
    )]);
    let model = table(&[spec(5, &["sg-1", "sg-unknown"])], &all);
    assert_eq!(
        model.chains["in_sg_1"].rules,
        [
            "meta nfproto ipv4 tcp dport 443 goto open_in",
            "ip saddr @m_sg_2_4 tcp dport 80 goto tracked_in",
            "ip6 saddr @m_sg_2_6 tcp dport 80 goto tracked_in",
            "ip saddr 10.0.0.0/8 udp dport 1000-2000 goto tracked_in",
            "ip saddr 10.0.0.7 icmp type 8 goto tracked_in",
            "ip6 saddr fd00::/8 icmpv6 type 1 icmpv6 code 2 goto tracked_in",
            "ip saddr @m_pl_1_4 meta l4proto 47 goto tracked_in",
            "ip6 saddr @m_pl_1_6 meta l4proto 47 goto tracked_in",
        ]
    );
    assert_eq!(
        model.chains["out_sg_1"].rules,
        ["meta nfproto ipv4 goto open_out", "meta nfproto ipv6 meta l4proto tcp goto open_out",]
    );
    assert!(model.chains["in_sg_unknown"].rules.is_empty(), "a group that is not known allows nothing");
    // What comes in may go untracked where all may go out: TCP and UDP of IPv4, TCP of IPv6. Not the other way.
    assert_eq!(model.chains["in_t5"].rules[0], "meta mark set 7");
    assert_eq!(model.chains["out_t5"].rules, ["meta mark set 0", "jump out_sg_1", "jump out_sg_unknown"]);
}

#[test]
fn sets_hold_who_is_in_them_and_nothing_twice() {
    let all = rules(vec![("sg-1", vec![rule(Traffic::All, "sg-1"), rule(Traffic::All, "pl-1")], vec![])]);
    let members =
        |set: &str, add: &[&str]| (name(set), vec![], add.iter().map(|b| block(b)).collect::<Vec<_>>());
    let sets = vec![
        members("sg-1", &["10.0.1.5", "10.0.1.6"]),
        members("pl-1", &["10.0.0.0/8", "10.1.0.0/16", "192.0.2.0/24", "fd00::/8"]),
        members("pl-unused", &["10.0.0.0/8"]),
    ];
    let all = all.after(Change { sets, ..Change::default() }).unwrap();
    let model = table(&[spec(5, &["sg-1"])], &all);
    let held = |set: &str| match &model.sets[set].elements {
        Elements::Blocks(blocks) => blocks.iter().map(Block::to_string).collect::<Vec<_>>(),
        Elements::Pairs(_) => panic!("{set}"),
    };
    assert_eq!(held("m_sg_1_4"), ["10.0.1.5", "10.0.1.6"]);
    assert!(held("m_sg_1_6").is_empty());
    assert_eq!(held("m_pl_1_4i"), ["10.0.0.0/8", "192.0.2.0/24"], "what lies in another is in it");
    assert_eq!(held("m_pl_1_6i"), ["fd00::/8"]);
    assert!(!model.sets.keys().any(|set| set.contains("unused")));
    let left = vec![(name("sg-1"), vec![block("10.0.1.5")], vec![block("10.0.1.7")])];
    let after = all.after(Change { sets: left, ..Change::default() }).unwrap();
    let text = difference("t", &model, &table(&[spec(5, &["sg-1"])], &after));
    assert_eq!(
        text,
        "delete element inet t m_sg_1_4 { 10.0.1.5 }\nadd element inet t m_sg_1_4 { 10.0.1.7 }\n"
    );
    let gone = after.after(Change { gone: vec![name("sg-1"), name("pl-1")], ..Change::default() }).unwrap();
    assert!(gone.groups.is_empty() && gone.sets.len() == 1);
    assert_eq!(after.after(Change { whole: true, ..Change::default() }).unwrap(), Rules::default());
}

#[test]
fn ways_out_are_those_that_were_given() {
    let with = |last, egress, public: Option<u8>| {
        let mut spec = spec(last, &[]);
        spec.state.egress = egress;
        spec.state.public = public.map(|last| Ipv4Addr::new(198, 51, 100, last));
        spec
    };
    let specs = [
        with(5, Egress::None, Some(5)),
        with(6, Egress::Direct, Some(6)),
        with(7, Egress::Direct, None),
        with(8, Egress::Nat, None),
        with(9, Egress::Direct, Some(6)),
    ];
    let model = table(&specs, &Rules::default());
    let held = |set: &str| match &model.sets[set].elements {
        Elements::Pairs(pairs) => pairs.iter().map(|(k, v)| format!("{k}>{v}")).collect::<Vec<_>>(),
        Elements::Blocks(_) => panic!("{set}"),
    };
    assert_eq!(held("publics"), ["10.0.1.6>198.51.100.6"]);
    assert_eq!(held("privates"), ["198.51.100.6>10.0.1.6"]);
    assert_eq!(held("behind"), ["10.0.1.8>"]);
    assert_eq!(held("exits"), ["10.0.1.6>", "10.0.1.8>"]);
}

#[test]
fn limits_hold_and_leave_what_was() {
    let known = rules(vec![("sg-1", vec![], vec![])]);
    let many = vec![rule(Traffic::All, "10.0.0.0/8"); 1001];
    let group = Group { ingress: many, egress: vec![] };
    assert!(known.after(Change { groups: vec![(name("sg-2"), group)], ..Change::default() }).is_err());
    let state = InterfaceState { public: Some(Ipv4Addr::BROADCAST), ..Default::default() };
    assert!(known.after(Change { interfaces: vec![(name("eni-1"), state)], ..Change::default() }).is_err());
    let vpcs = vec![(name("vpc-1"), vec![block("::/0")])];
    assert!(known.after(Change { vpcs, ..Change::default() }).is_err());
}

#[test]
fn a_difference_makes_first_what_is_named_and_ends_with_what_is_not() {
    let set = |elements: &[(&str, &str)]| Set {
        word: "map",
        kind: "type ifname : verdict;",
        elements: Elements::Pairs(elements.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()),
    };
    let chain = |rules: &[&str]| Chain { hook: "", rules: rules.iter().map(|r| (*r).to_owned()).collect() };
    let from = Model {
        sets: BTreeMap::from([
            ("m".to_owned(), set(&[("a", "jump x"), ("b", "jump y")])),
            ("old".to_owned(), set(&[])),
        ]),
        chains: BTreeMap::from([("x".to_owned(), chain(&["accept"])), ("y".to_owned(), chain(&["jump x"]))]),
    };
    let blocks = Elements::Blocks(Arc::new(BTreeSet::from([block("10.0.0.1")])));
    let new = Set { word: "set", kind: "type ipv4_addr;", elements: blocks };
    let to = Model {
        sets: BTreeMap::from([
            ("m".to_owned(), set(&[("a", "jump z"), ("b", "jump y")])),
            ("new".to_owned(), new),
        ]),
        chains: BTreeMap::from([("y".to_owned(), chain(&["drop"])), ("z".to_owned(), chain(&["accept"]))]),
    };
    assert_eq!(
        difference("t", &from, &to).lines().collect::<Vec<_>>(),
        [
            "add set inet t new { type ipv4_addr; }",
            "add chain inet t z",
            "delete element inet t m { a : jump x }",
            "add element inet t m { a : jump z }",
            "add element inet t new { 10.0.0.1 }",
            "flush map inet t old",
            "flush chain inet t y",
            "add rule inet t y drop",
            "add rule inet t z accept",
            "flush chain inet t x",
            "delete chain inet t x",
            "delete map inet t old",
        ]
    );
    assert_eq!(difference("t", &to, &to), "");
    assert!(whole("t", &to).starts_with("table inet t\ndelete table inet t\ntable inet t\nadd map"));
}

#[test]
fn names_are_asked_for_by_tasks_of_this_host_alone() {
    let model = table(&[spec(5, &[])], &Rules::default());
    let Elements::Pairs(doors) = &model.sets["doors"].elements else { panic!("{model:?}") };
    assert_eq!(doors.keys().collect::<Vec<_>>(), ["10.0.0.2"]);
    let input = &model.chains["input"];
    assert!(input.hook.ends_with("policy drop;"));
    let at = |text: &str| input.rules.iter().position(|rule| rule.contains(text)).unwrap();
    assert!(at("iifname { \"far0\", \"out0\" } drop") < at("ip daddr @doors udp dport 53 accept"));
    assert!(at("ip daddr @doors udp dport 53 accept") < at("ip daddr @doors tcp dport 53 accept"));
}
