//! Placement against small clusters that are only a list, and its invariants against random ones.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use state::Domain;
use wire::Timestamp;

use super::*;
use crate::{
    cluster::{
        Change, Cluster, Key, Row, looks,
        rows::{Desired, InstanceStatus, Stop, TaskRow, TaskStatus, TaskStopCode, VersionInfo},
    },
    testing::{self, ctx},
};

/// An ACTIVE instance with its agent connected.
pub(super) fn instance(id: &str, cpu: i64, memory: i64) -> InstanceRow {
    InstanceRow {
        owner: crate::cluster::Owner::User,
        timeline: 0,
        id: InstanceId(testing::id(id)),
        status: InstanceStatus::Active,
        repair: false,
        registered_at: Timestamp(0),
        registered: Resources { cpu, memory, ports_tcp: [22].into(), ..Resources::default() },
        attributes: Vec::new(),
        agent_connected: true,
        tags: Vec::new(),
        version_info: VersionInfo::default(),
        ec2_instance_id: Some("i-0123456789abcdef0".to_owned()),
        address: None,
        lost_at: None,
        health: Vec::new(),
        version: 1,
        forget_at: None,
    }
}

/// A cluster that is only a list.
#[derive(Default)]
struct Hosts(Vec<Host>);

struct Host {
    row: InstanceRow,
    used: Resources,
    groups: OrdMap<String, i32>,
}

impl Hosts {
    fn of(hosts: &[(&str, i64, i64)]) -> Hosts {
        let host = |(id, cpu, memory): &(&str, i64, i64)| Host {
            row: instance(id, *cpu, *memory),
            used: Resources::default(),
            groups: OrdMap::new(),
        };
        Hosts(hosts.iter().map(host).collect())
    }

    fn with(mut self, id: &str, attributes: &[(&str, &str)]) -> Hosts {
        let attribute = |(name, value): &(&str, &str)| Attribute {
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
        };
        self.host(id).row.attributes.extend(attributes.iter().map(attribute));
        self
    }

    /// The same as rows.
    fn cluster(&self) -> Cluster {
        let (mut cluster, mut made) = (empty(), 0);
        for Host { row, used, groups } in &self.0 {
            cluster.apply(&Change::Put(Row::Instance(row.clone().into())));
            let one = |(group, count): (&String, &i32)| {
                vec![(group.clone(), Resources::default()); *count as usize]
            };
            let holders = groups.iter().flat_map(one).chain([("used".to_owned(), used.clone())]);
            for (group, needs) in holders {
                made += 1;
                let row = TaskRow { needs, ..task(&format!("t{made}"), &group, &row.id, &[]) };
                cluster.apply(&Change::Put(Row::Task(row.into())));
            }
        }
        cluster
    }

    fn host(&mut self, id: &str) -> &mut Host {
        self.0.iter_mut().find(|host| host.row.id.0 == testing::id(id)).unwrap()
    }

    /// Places one task and takes what it needs; the instance's name.
    fn place(&mut self, request: &Request, ids: &mut Ids) -> Result<String, Refused> {
        let id = testing::name(place(&mut self.cluster(), request, ids)?.0);
        let host = self.host(&id);
        host.used.cpu += request.needs.resources.cpu;
        host.used.memory += request.needs.resources.memory;
        host.used.ports_tcp.extend(&request.needs.resources.ports_tcp);
        *host.groups.entry(request.group.clone()).or_default() += 1;
        Ok(id)
    }
}

/// A task of 100 CPU units and 100 MiB.
fn request(group: &str, constraints: Value, strategy: Value) -> Request {
    let registered = json!({"family": "f", "revision": 1, "containerDefinitions": [
        {"name": "c", "image": "i", "cpu": 100, "memory": 100}]});
    let definition =
        TaskDefinitionRow { registered: serde_json::from_value(registered).unwrap(), ..Default::default() };
    let constraints: Vec<PlacementConstraint> = serde_json::from_value(constraints).unwrap();
    let strategy: Vec<PlacementStrategy> = serde_json::from_value(strategy).unwrap();
    Request::new(&definition, &TaskOverride::default(), group, &constraints, &strategy).unwrap()
}

fn counts(hosts: &mut Hosts, request: &Request, tasks: usize) -> BTreeMap<String, usize> {
    let (mut ids, mut counts) = (Ids::new(1), BTreeMap::new());
    for _ in 0..tasks {
        *counts.entry(hosts.place(request, &mut ids).unwrap()).or_default() += 1;
    }
    counts
}

fn expect(counts: &[(&str, usize)]) -> BTreeMap<String, usize> {
    counts.iter().map(|(id, count)| ((*id).to_owned(), *count)).collect()
}

#[test]
fn binpack_fills_the_instance_with_the_least_left() {
    let hosts = || Hosts::of(&[("a", 1000, 500), ("b", 500, 1000), ("c", 2000, 2000)]);
    let by = |field: &str| request("g", json!([]), json!([{"type": "binpack", "field": field}]));
    assert_eq!(counts(&mut hosts(), &by("memory"), 6), expect(&[("a", 5), ("b", 1)]));
    assert_eq!(counts(&mut hosts(), &by("cpu"), 6), expect(&[("a", 1), ("b", 5)]));
    assert_eq!(counts(&mut hosts(), &by("CPU"), 1), expect(&[("b", 1)]));
}

#[test]
fn spread_evens_out_over_instances_and_attributes() {
    let hosts = || {
        Hosts::of(&[("a", 2000, 2000), ("b", 2000, 2000), ("c", 2000, 2000)])
            .with("a", &[("zone", "1")])
            .with("b", &[("zone", "1")])
            .with("c", &[("zone", "2")])
    };
    let over = |field: &str| request("g", json!([]), json!([{"type": "spread", "field": field}]));
    assert_eq!(counts(&mut hosts(), &over("instanceId"), 9), expect(&[("a", 3), ("b", 3), ("c", 3)]));
    assert_eq!(counts(&mut hosts(), &over("host"), 3), expect(&[("a", 1), ("b", 1), ("c", 1)]));
    let zones =
        json!([{"type": "spread", "field": "attribute:zone"}, {"type": "spread", "field": "instanceId"}]);
    let chained = request("g", json!([]), zones);
    assert_eq!(counts(&mut hosts(), &chained, 8), expect(&[("a", 2), ("b", 2), ("c", 4)]));
    // Another group's tasks do not count.
    let mut hosts = hosts();
    hosts.host("c").groups.insert("other".to_owned(), 50);
    assert_eq!(counts(&mut hosts, &chained, 4)["c"], 2);
}

#[test]
fn a_service_without_strategy_spreads_over_zones_then_instances() {
    let zone = "ecs.availability-zone";
    let mut hosts = Hosts::of(&[("a", 2000, 2000), ("b", 2000, 2000), ("c", 2000, 2000)])
        .with("a", &[(zone, "1")])
        .with("b", &[(zone, "1")])
        .with("c", &[(zone, "2")]);
    let request = request("service:web", json!([]), json!([]));
    assert_eq!(counts(&mut hosts, &request, 8), expect(&[("a", 2), ("b", 2), ("c", 4)]));
}

#[test]
fn without_a_strategy_a_task_goes_anywhere_and_the_seed_decides() {
    let mut hosts = Hosts::of(&[("a", 2000, 2000), ("b", 2000, 2000), ("c", 2000, 2000)]).cluster();
    let request = request("family:f", json!([]), json!([]));
    let mut run = |seed| {
        let mut ids = Ids::new(seed);
        (0..30).map(|_| testing::name(place(&mut hosts, &request, &mut ids).unwrap().0)).collect::<Vec<_>>()
    };
    let chosen = run(7);
    assert_eq!(chosen, run(7));
    assert_ne!(chosen, run(8));
    for id in ["a", "b", "c"] {
        assert!(chosen.iter().any(|chosen| chosen == id), "{id} is never chosen");
    }
}

#[test]
fn constraints_bind() {
    let mut hosts = Hosts::of(&[("a", 2000, 2000), ("b", 2000, 2000)]).with("b", &[("disk", "ssd")]);
    let member = json!([{"type": "memberOf", "expression": "attribute:disk == ssd"}]);
    assert_eq!(counts(&mut hosts, &request("g", member, json!([])), 5), expect(&[("b", 5)]));
    let distinct = request("h", json!([{"type": "distinctInstance"}]), json!([]));
    assert_eq!(counts(&mut hosts, &distinct, 2), expect(&[("a", 1), ("b", 1)]));
    let refused = hosts.place(&distinct, &mut Ids::new(1)).unwrap_err();
    assert!(refused.each.iter().all(|(_, reason)| *reason == Reason::DistinctInstance), "{refused:?}");
}

/// The name in an ARN of a test's identifier.
fn named(id: &str) -> String {
    id.parse().map_or(id.to_owned(), testing::name)
}

#[test]
fn every_refusal_says_why_in_the_words_of_ecs() {
    let needs = |cpu, memory, port: Option<u16>| {
        let mut request =
            request("g", json!([{"type": "memberOf", "expression": "!(attribute:no exists)"}]), json!([]));
        request.needs.resources =
            Resources { cpu, memory, ports_tcp: port.into_iter().collect(), ..Resources::default() };
        request.needs.attributes = vec![Attribute { name: "gpu".into(), value: Some("1".into()) }];
        request
    };
    let mut hosts =
        Hosts::of(&[("cpu", 10, 9000), ("full", 9000, 9000), ("lost", 9000, 9000), ("mem", 9000, 10)]);
    hosts = hosts.with("cpu", &[("gpu", "1")]).with("full", &[("gpu", "1")]).with("mem", &[("gpu", "1")]);
    hosts = hosts.with("lost", &[("gpu", "1"), ("no", "")]);
    hosts.host("full").used.ports_tcp.insert(80);
    let reasons = |hosts: &Hosts, request: &Request| {
        let refused = place(&mut hosts.cluster(), request, &mut Ids::new(1)).unwrap_err();
        let failures = refused.failures(&ctx(), "c").into_iter();
        let failures =
            failures.map(|f| (named(f.arn.unwrap().rsplit('/').next().unwrap()), f.reason.unwrap()));
        (failures.collect::<Vec<_>>(), refused.explain())
    };
    let expected = [
        ("cpu", "RESOURCE:CPU"),
        ("full", "RESOURCE:PORTS"),
        ("lost", "MemberOf placement constraint unsatisfied."),
        ("mem", "RESOURCE:MEMORY"),
    ];
    let (failures, event) = reasons(&hosts, &needs(100, 100, Some(80)));
    assert_eq!(failures, expected.map(|(id, reason)| (id.to_owned(), reason.to_owned())));
    insta::assert_snapshot!(event, @"no container instance met all of its requirements. The closest matching (container-instance 66756c6c000000000000000000000000) is already using a port required by your task. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.");
    let (failures, _) = reasons(&hosts, &needs(100, 100, Some(22)));
    assert_eq!(failures[1].1, "RESOURCE:PORTS", "a reserved port");
    hosts.host("lost").row.attributes.clear();
    hosts.host("mem").row.agent_connected = false;
    hosts.host("full").row.status = InstanceStatus::Draining;
    let (failures, event) = reasons(&hosts, &needs(100, 100, None));
    let expected = [("cpu", "RESOURCE:CPU"), ("lost", "ATTRIBUTE"), ("mem", "AGENT")];
    assert_eq!(failures, expected.map(|(id, reason)| (id.to_owned(), reason.to_owned())));
    assert!(
        event.contains(
            "(container-instance 63707500000000000000000000000000) has insufficient CPU units available."
        ),
        "{event}"
    );
    let (failures, event) = reasons(&Hosts::default(), &needs(1, 1, None));
    assert_eq!(failures, [("c".to_owned(), "NO ACTIVE INSTANCES".to_owned())]);
    assert!(event.contains("Reason: No Container Instances were found in your cluster."), "{event}");
}

#[test]
fn a_named_instance_is_checked_alone_and_a_daemon_belongs_where_it_suits() {
    let mut hosts = Hosts::of(&[("a", 2000, 2000), ("b", 10, 10)]).with("a", &[("disk", "ssd")]);
    let distinct = request("g", json!([{"type": "distinctInstance"}]), json!([]));
    let (a, b) = (InstanceId(testing::id("a")), InstanceId(testing::id("b")));
    assert_eq!(place_on(&hosts.cluster(), &distinct, &a), Ok(()));
    assert_eq!(place_on(&hosts.cluster(), &distinct, &b).unwrap_err().closest, Some((b, Reason::Cpu)));
    assert_eq!(
        place_on(&hosts.cluster(), &distinct, &InstanceId(testing::id("x"))).unwrap_err().closest.unwrap().1,
        Reason::Inactive
    );
    hosts.host("a").groups.insert("g".to_owned(), 1);
    hosts.host("a").row.agent_connected = false;
    assert!(
        eligible(&hosts.cluster(), &distinct, &a),
        "its own task and a lost connection do not drive it away"
    );
    assert!(eligible(&hosts.cluster(), &distinct, &b), "no room now is no reason to stop it");
    let ssd = request("g", json!([{"type": "memberOf", "expression": "attribute:disk == ssd"}]), json!([]));
    assert!(eligible(&hosts.cluster(), &ssd, &a) && !eligible(&hosts.cluster(), &ssd, &b));
    hosts.host("a").row.status = InstanceStatus::Draining;
    assert!(!eligible(&hosts.cluster(), &ssd, &a));
}

#[test]
fn wrong_constraints_and_strategies_are_refused() {
    let definition = TaskDefinitionRow::default();
    let check = |constraints: Value, strategy: Value| {
        let constraints: Vec<PlacementConstraint> = serde_json::from_value(constraints).unwrap();
        let strategy: Vec<PlacementStrategy> = serde_json::from_value(strategy).unwrap();
        let request = Request::new(&definition, &Default::default(), "g", &constraints, &strategy);
        let refused = request.map(drop).unwrap_err();
        assert_eq!(refused.code(), "InvalidParameterException");
        refused.message().to_owned()
    };
    let none = || json!([]);
    let six = vec![json!({"type": "random"}); 6];
    assert_eq!(
        check(json!([{"type": "distinctInstance", "expression": ""}]), none()),
        "distinctInstance expression should not be specified."
    );
    assert_eq!(check(json!([{"type": "memberOf"}]), none()), "memberOf expression must be specified.");
    assert_eq!(check(json!([{}]), none()), "Placement constraint type must be specified.");
    assert_eq!(check(none(), json!([{}])), "Placement strategy type must be specified.");
    assert_eq!(check(none(), json!(six)), "Too many placement strategies specified. The maximum is 5.");
    for (kind, field) in
        [("spread", "colour"), ("spread", "attribute:"), ("binpack", "disk"), ("binpack", "")]
    {
        let refused = check(none(), json!([{"type": kind, "field": field}]));
        assert_eq!(refused, format!("Invalid field for {kind} placement strategy: {field}"));
    }
}

proptest! {
    /// No instance is ever given more than it has, and a task is refused only where nobody has room.
    #[test]
    fn nothing_is_oversubscribed_and_no_room_is_overlooked(
        sizes in prop::collection::vec((0..600i64, 0..600i64), 1..12),
        strategy in prop::sample::select(vec![
            json!([]),
            json!([{"type": "random"}]),
            json!([{"type": "binpack", "field": "cpu"}, {"type": "spread", "field": "host"}]),
            json!([{"type": "spread", "field": "attribute:zone"}, {"type": "binpack", "field": "memory"}]),
        ]),
        tasks in 0..60usize,
        seed in any::<u128>(),
    ) {
        let names: Vec<String> = (0..sizes.len()).map(|n| format!("i{n:02}")).collect();
        let sized: Vec<(&str, i64, i64)> =
            names.iter().zip(&sizes).map(|(name, (cpu, memory))| (name.as_str(), *cpu, *memory)).collect();
        let mut hosts = Hosts::of(&sized);
        for (at, name) in names.iter().enumerate() {
            hosts = hosts.with(name, &[("zone", if at % 2 == 0 { "a" } else { "b" })]);
        }
        let request = request("g", json!([]), strategy.clone());
        let mut ids = Ids::new(seed);
        let fits = |host: &Host| host.row.registered.cpu - host.used.cpu >= 100 && host.row.registered.memory - host.used.memory >= 100;
        for _ in 0..tasks {
            let room: Vec<(i64, String)> = hosts.0.iter().filter(|host| fits(host))
                .map(|host| (host.row.registered.cpu - host.used.cpu, testing::name(host.row.id.0))).collect();
            match hosts.place(&request, &mut ids) {
                Ok(id) => {
                    prop_assert!(room.iter().any(|(_, name)| *name == id));
                    if strategy[0]["field"] == "cpu" {
                        let chosen = room.iter().find(|(_, name)| *name == id).unwrap().0;
                        prop_assert_eq!(Some(chosen), room.iter().map(|(left, _)| *left).min(), "the fullest that fits");
                    }
                }
                Err(_) => prop_assert!(room.is_empty()),
            }
            for host in &hosts.0 {
                prop_assert!(host.used.cpu <= host.row.registered.cpu);
                prop_assert!(host.used.memory <= host.row.registered.memory);
            }
        }
    }

    /// The slots, kept while tasks and instances come, change and go, lead to the same choice as asking every
    /// instance.
    #[test]
    fn the_slots_choose_what_a_look_at_every_instance_would(
        happenings in prop::collection::vec((0..9u8, any::<prop::sample::Index>(), 0..4u8), 1..80),
        strategy in prop::sample::select(vec![
            json!([]),
            json!([{"type": "random"}]),
            json!([{"type": "spread", "field": "host"}]),
            json!([{"type": "binpack", "field": "cpu"}, {"type": "spread", "field": "host"}]),
            json!([{"type": "spread", "field": "attribute:ecs.availability-zone"}, {"type": "binpack", "field": "memory"}]),
            json!([{"type": "spread", "field": "attribute:rack"}, {"type": "spread", "field": "host"}]),
            json!([{"type": "spread", "field": "host"}, {"type": "binpack", "field": "memory"}]),
            json!([{"type": "spread", "field": "attribute:rack"}, {"type": "binpack", "field": "cpu"},
                {"type": "spread", "field": "attribute:ecs.availability-zone"}, {"type": "spread", "field": "host"}]),
            json!([{"type": "binpack", "field": "memory"}, {"type": "random"}, {"type": "spread", "field": "host"}]),
        ]),
        constraint in prop::sample::select(vec![
            json!([]),
            json!([{"type": "distinctInstance"}]),
            json!([{"type": "memberOf", "expression": "attribute:rack != r1"}]),
        ]),
        port in prop::sample::select(vec![None, Some(22), Some(80)]),
        seed in any::<u64>(),
    ) {
        let mut cluster = empty();
        let mut made = 0;
        let asks = |group: &str| {
            let mut request = request(group, constraint.clone(), strategy.clone());
            request.needs.resources.ports_tcp.extend(port);
            request
        };
        for (at, (kind, which, number)) in happenings.into_iter().enumerate() {
            happen(&mut cluster, kind, which, number, &mut made);
            // What is kept from the first one on is brought forward by what happens after it.
            let request = asks(["g0", "service:s"][at % 2]);
            let (mut going, wanted) = (Going::new(&mut cluster, &request, seed), look_at_all(&cluster, &request, seed));
            prop_assert_eq!(going.next(&cluster, &request), wanted);
        }
        // One search for many.
        let request = asks("g0");
        let mut going = Going::new(&mut cluster, &request, seed);
        for number in 0..8 {
            let (found, wanted) = (going.next(&cluster, &request), look_at_all(&cluster, &request, seed));
            prop_assert_eq!(found, wanted);
            let Some(host) = found else { break };
            let mut row = task(&format!("many{number}"), "g0", &host, &[]);
            (row.needs, row.started_at) = (request.needs.resources.clone(), Some(Timestamp(0)));
            cluster.apply(&Change::Put(Row::Task(row.into())));
        }
        prop_assert_eq!(crate::invariants::check(&cluster), Vec::<String>::new());
        for group in ["g0", "service:s"] {
            let request = asks(group);
            let draw = score::drawn(&cluster, &request, seed).map(|candidate| candidate.row.id);
            let drawn = first_drawn(&cluster, &request, seed);
            prop_assert_eq!(draw, drawn);
        }
    }
}

/// One search for places, of one seed.
struct Going {
    search: search::Search,
    last: Option<u32>,
}

impl Going {
    fn new(cluster: &mut Cluster, request: &Request, seed: u64) -> Going {
        let (split, named) = (cluster.split(&request.layout), score::named(seed, cluster.slots().total()));
        Going { search: search::Search::new(&split, request, named), last: None }
    }

    /// Behind a task in the one before.
    fn next(&mut self, cluster: &Cluster, request: &Request) -> Option<InstanceId> {
        if let Some(slot) = self.last {
            let tasks = cluster.slots().tasks(slot, &request.group);
            self.search.took(request, slot, cluster.slots().get(slot).unwrap(), tasks.into());
        }
        let (slot, found) = score::found(cluster, request, &mut self.search)?;
        self.last = Some(slot);
        Some(found.row.id)
    }
}

fn empty() -> Cluster {
    let row = json!({"name": "c", "active": true, "created_at": 0, "settings": [], "capacity_providers": [],
        "default_capacity_provider_strategy": [], "tags": []});
    Cluster::of(serde_json::from_value(row).unwrap())
}

fn task(id: &str, group: &str, host: &InstanceId, ports: &[u16]) -> TaskRow {
    let task = json!({"id": testing::id(id), "task_definition": {"family": "web", "revision": 1},
        "group": group, "service": null, "instance": host.0, "launch_type": "EC2", "desired": "Running",
        "last": "Running", "overrides": {}, "containers": [], "tags": [], "enable_execute_command": false,
        "created_at": 0, "needs": {"cpu": 60, "memory": 70, "ports_tcp": ports, "ports_udp": []}, "version": 1});
    serde_json::from_value(task).unwrap()
}

/// Something happens to a cluster: an instance comes, changes or goes, a task comes, moves on or goes.
fn happen(cluster: &mut Cluster, kind: u8, which: prop::sample::Index, number: u8, made: &mut u32) {
    let mut host = {
        let hosts: Vec<InstanceRow> = cluster.instances().map(|row| row.as_ref().clone()).collect();
        if hosts.is_empty() || kind == 0 {
            *made += 1;
            let mut row = instance(&format!("i{made:03}"), 300 + 100 * i64::from(number), 900);
            let attribute =
                |name: &str, value: String| Attribute { name: name.to_owned(), value: Some(value) };
            row.attributes.push(attribute("ecs.availability-zone", format!("z{}", number % 2)));
            row.attributes.extend((number > 0).then(|| attribute("rack", format!("r{number}"))));
            return cluster.apply(&Change::Put(Row::Instance(row.into())));
        }
        which.get(&hosts).clone()
    };
    let here: Vec<TaskRow> = cluster.tasks_on(&host.id).map(|row| row.as_ref().clone()).collect();
    match kind {
        1 => host.agent_connected = !host.agent_connected,
        2 => host.status = [InstanceStatus::Draining, InstanceStatus::Active][usize::from(number % 2)],
        3 => host.registered.ports_tcp = (0..u16::from(number)).map(|n| 20 + n).collect(),
        4 if here.is_empty() => return cluster.apply(&Change::Delete(Key::Instance(host.id))),
        5 if !here.is_empty() => {
            let mut row = which.get(&here).clone();
            row.last = TaskStatus::Stopped;
            row.desired = Desired::Stopped;
            (row.stopped_at, row.forget_at) = (Some(Timestamp(0)), Some(Timestamp(0)));
            row.stop =
                Some(Stop { code: TaskStopCode::UserInitiated, reason: String::new(), at: Timestamp(0) });
            return cluster.apply(&Change::Put(Row::Task(row.into())));
        }
        6 if !here.is_empty() => {
            return cluster.apply(&Change::Delete(Key::Task(which.get(&here).id)));
        }
        _ => {
            *made += 1;
            let left = cluster.slots().get(cluster.usage(&host.id).unwrap().slot.unwrap()).unwrap();
            let busy = here.iter().any(|task| task.needs.ports_tcp.contains(&80));
            let ports: &[u16] = if number == 3 && !busy { &[80] } else { &[] };
            if left.cpu < 60 || left.memory < 70 {
                return;
            }
            let mut row = task(&format!("t{made}"), &format!("g{}", number % 2), &host.id, ports);
            row.started_at = Some(Timestamp(0));
            return cluster.apply(&Change::Put(Row::Task(row.into())));
        }
    }
    cluster.apply(&Change::Put(Row::Instance(host.into())));
}

/// Where any will do, the first one that is drawn.
fn first_drawn(cluster: &Cluster, request: &Request, seed: u64) -> Option<InstanceId> {
    let there = |slot: u32| cluster.candidates().find(|candidate| candidate.slot == slot);
    let any = request.strategy.is_empty();
    let mut drawn = score::draws(seed, cluster.slots().total()).filter(|_| any).filter_map(there);
    drawn.find(|candidate| filter::check(candidate, request).is_none()).map(|candidate| candidate.row.id)
}

/// The choice by the rows alone: every filter and every key of every instance, and no index.
fn look_at_all(cluster: &Cluster, request: &Request, seed: u64) -> Option<InstanceId> {
    let live: Vec<Candidate<'_>> =
        cluster.candidates().filter(|c| c.row.status != InstanceStatus::Inactive).collect();
    let named = score::named(seed, cluster.slots().total());
    let key = |candidate: &Candidate<'_>| {
        // How far the slot is from the one that chance has named.
        let chance = (candidate.slot ^ named).reverse_bits();
        let of = |strategy: &score::Strategy| match strategy {
            score::Strategy::Random => chance.into(),
            score::Strategy::SpreadInstances => candidate.in_group(&request.group),
            score::Strategy::SpreadAttribute(name) => {
                let same = live.iter().filter(|other| other.attribute(name) == candidate.attribute(name));
                same.map(|other| other.in_group(&request.group)).sum()
            }
            score::Strategy::BinpackCpu => candidate.row.registered.cpu - candidate.used.cpu,
            score::Strategy::BinpackMemory => candidate.row.registered.memory - candidate.used.memory,
        };
        (request.strategy.iter().map(of).collect::<Vec<i64>>(), chance)
    };
    let suits = live.iter().filter(|candidate| filter::check(candidate, request).is_none());
    suits.min_by_key(|candidate| key(candidate)).map(|candidate| candidate.row.id)
}

/// So many instances in three zones and twenty racks, a task of the service `s` on each but three of them.
fn large(instances: usize) -> Cluster {
    let mut cluster = empty();
    let mut ids = Ids::new(1);
    for at in 0..instances {
        let mut row = instance("i", 1000, 1000);
        row.id = InstanceId(ids.id());
        let attribute = |name: &str, value: String| Attribute { name: name.to_owned(), value: Some(value) };
        row.attributes.push(attribute("ecs.availability-zone", format!("z{}", at % 3)));
        row.attributes.push(attribute("rack", format!("r{}", at % 20)));
        let id = row.id;
        cluster.apply(&Change::Put(Row::Instance(row.into())));
        if at >= 3 {
            let mut row = task("t", "service:s", &id, &[]);
            row.id = crate::cluster::TaskId(ids.id());
            row.started_at = Some(Timestamp(0));
            cluster.apply(&Change::Put(Row::Task(row.into())));
        }
    }
    cluster
}

/// The most that is looked at to place one of several tasks, one after another.
fn most_looked_at(instances: usize, strategy: &Value, constraints: &Value) -> usize {
    let mut cluster = large(instances);
    let request = request("service:s", constraints.clone(), strategy.clone());
    let (mut ids, mut most) = (Ids::new(7), 0);
    // The first one has what is kept made.
    drop(cluster.split(&request.layout));
    for at in 0..6 {
        looks::taken();
        let Ok(id) = place(&mut cluster, &request, &mut ids) else { break };
        most = most.max(looks::taken());
        let mut row = task("t", "service:s", &id, &[]);
        (row.id, row.needs) = (crate::cluster::TaskId(ids.id()), request.needs.resources.clone());
        cluster.apply(&Change::Put(Row::Task(row.into())));
        assert!(at < 3 || constraints[0]["type"] != "distinctInstance", "there are three without a task");
    }
    most
}

#[test]
fn a_placement_looks_at_no_more_among_many_instances() {
    let zone = json!({"type": "spread", "field": "attribute:ecs.availability-zone"});
    let rack = json!({"type": "spread", "field": "attribute:rack"});
    let host = json!({"type": "spread", "field": "instanceId"});
    let memory = json!({"type": "binpack", "field": "memory"});
    let cpu = json!({"type": "binpack", "field": "cpu"});
    let none = json!([]);
    let distinct = json!([{"type": "distinctInstance"}]);
    let member =
        json!([{"type": "memberOf", "expression": "attribute:rack in [r1, r2, r3, r4, r5, r6, r7, r8]"}]);
    for (strategy, constraints) in [
        (json!([]), &none),
        (json!([]), &distinct),
        (json!([]), &member),
        (json!([{"type": "random"}]), &none),
        (json!([{"type": "random"}]), &distinct),
        (json!([host]), &none),
        (json!([host]), &distinct),
        (json!([zone]), &none),
        (json!([rack]), &none),
        (json!([rack, host]), &none),
        (json!([zone, rack, host]), &none),
        (json!([memory]), &none),
        (json!([memory]), &member),
        (json!([cpu]), &none),
        (json!([cpu, memory]), &none),
        (json!([zone, memory]), &none),
        (json!([zone, cpu]), &none),
    ] {
        let (few, many) = [200, 20_000].map(|n| most_looked_at(n, &strategy, constraints)).into();
        // What grows is the depth of the tries: seven forks, for each of up to thirty groups that tie.
        assert!(many <= few + 210, "{strategy} {constraints}: {few} looks among few, {many} among many");
    }
}

/// `cargo nextest run -p ecs --run-ignored all --no-capture ten_thousand` prints what one placement costs.
#[allow(clippy::disallowed_types)]
#[test]
#[ignore = "a measurement"]
fn ten_thousand_instances() {
    let mut cluster = empty();
    let (mut ids, mut hosts) = (Ids::new(1), Vec::new());
    for at in 0..10_000 {
        let mut row = instance(&ids.id().to_string(), 4096, 16_384);
        let named = |name: String, value: Option<String>| Attribute { name, value };
        row.attributes =
            (0..40).map(|n| named(format!("com.amazonaws.ecs.capability.{n:02}"), None)).collect();
        row.attributes.push(named("ecs.availability-zone".to_owned(), Some(format!("z{}", at % 3))));
        hosts.push(row.id);
        cluster.apply(&Change::Put(Row::Instance(row.into())));
    }
    for at in 0..20_000 {
        let task = json!({"id": ids.id().to_string(), "task_definition": {"family": "web", "revision": 1},
            "group": format!("service:s{}", at % 40), "service": [format!("s{}", at % 40), "ecs-svc/1"],
            "instance": hosts[at % 10_000], "launch_type": "EC2", "desired": "Running", "last": "Running",
            "overrides": {}, "containers": [], "tags": [], "enable_execute_command": false, "created_at": 0,
            "needs": {"cpu": 10, "memory": 10, "ports_tcp": [], "ports_udp": []}, "version": 1});
        let task: TaskRow = serde_json::from_value(task).unwrap();
        cluster.apply(&Change::Put(Row::Task(task.into())));
    }
    for (group, strategy) in [
        ("service:s1", json!([])),
        ("service:s1", json!([{"type": "spread", "field": "host"}])),
        ("family:f", json!([{"type": "random"}])),
        ("family:f", json!([{"type": "binpack", "field": "memory"}])),
    ] {
        let mut request = request(group, json!([]), strategy.clone());
        request.needs.attributes = cluster.instance(&hosts[0]).unwrap().attributes[30..36].to_vec();
        let start = std::time::Instant::now();
        for _ in 0..50 {
            place(&mut cluster, &request, &mut ids).unwrap();
        }
        println!("{group} {strategy}: one placement among 10,000: {:?}", start.elapsed() / 50);
    }
}
