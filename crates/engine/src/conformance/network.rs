//! Interfaces of tasks.

use std::net::Ipv4Addr;

use super::{Setting, ended, remove, spec};
use crate::vpc::{Block, Change, Group, InterfaceState, Mac, Name, Peer, Rule, Subnet, Traffic};
use crate::{ContainerId, ContainerSpec, Engine, NetworkMode, Phase, TaskNetwork, TaskSpec};

fn name(text: &str) -> Name {
    Name::new(text).expect("an identifier")
}

fn block(text: &str) -> Block {
    text.parse().expect("a block")
}

/// A task with an interface, which is number `last` of its subnet.
fn task(given: &Setting, last: u8) -> TaskSpec {
    let TaskSpec { id, isolation, .. } = super::task_spec(given);
    let network = TaskNetwork {
        interface: name(&format!("eni-{id}")),
        vpc: name("vpc-conformance"),
        blocks: vec![block("10.0.0.0/16")],
        mac: Mac([0x0a, 0, 0, 0, 0, last]),
        ipv4: Ipv4Addr::new(10, 0, 1, last),
        subnet: "10.0.1.0/24".parse::<Subnet>().expect("a subnet"),
        gateway: Ipv4Addr::new(10, 0, 1, 1),
        ipv6: None,
        state: InterfaceState { groups: vec![name("sg-conformance")], ..InterfaceState::default() },
        hostname: format!("ip-10-0-1-{last}.ec2.internal"),
        dns_servers: Vec::new(),
        dns_search_domains: Vec::new(),
    };
    TaskSpec { id, isolation, network: Some(network), ..TaskSpec::default() }
}

fn joins(given: &Setting, command: &[&str]) -> ContainerSpec {
    ContainerSpec { network: NetworkMode::Task, ..spec(given, command) }
}

pub(super) async fn a_task_has_an_interface_that_is_its_own(engine: &dyn Engine, given: &Setting) {
    let rule = Rule { traffic: Traffic::All, peer: Peer::Block(block("0.0.0.0/0")) };
    let group = Group { ingress: Vec::new(), egress: vec![rule] };
    let change = Change { groups: vec![(name("sg-conformance"), group)], ..Change::default() };
    engine.change_network(change).await.expect("rules are taken in");
    let task = task(given, 10);
    engine.prepare_task(&task).await.expect("a task with an interface is prepared");
    engine.prepare_task(&task).await.expect("and again");
    for container in ["a", "b"] {
        let id = ContainerId { task: task.id.clone(), name: container.to_owned() };
        let created = engine.create(&id, &joins(given, &["true"])).await.expect("a container joins its task");
        assert!(created.bindings.is_empty(), "nothing is published");
        engine.start(&id).await.expect("a container is started");
        assert_eq!(ended(engine, &id).await.code, Some(0));
    }
    let id = ContainerId { task: task.id.clone(), name: "a".to_owned() };
    remove(engine, &id).await;
    let bare = super::task(engine, given).await;
    assert!(engine.create(&bare, &joins(given, &["true"])).await.is_err(), "its task has no interface");
    remove(engine, &bare).await;
    let gone = Change { whole: true, ..Change::default() };
    engine.change_network(gone).await.expect("rules are forgotten");
}

pub(super) async fn an_address_is_one_task_s_until_it_is_given_back(engine: &dyn Engine, given: &Setting) {
    let (first, second) = (task(given, 11), task(given, 11));
    engine.prepare_task(&first).await.expect("a task is prepared");
    let id = ContainerId { task: first.id.clone(), name: "c".to_owned() };
    engine.create(&id, &joins(given, &["true"])).await.expect("a container is created");
    engine.start(&id).await.expect("a container is started");
    ended(engine, &id).await;
    let other = ContainerId { task: second.id.clone(), name: "c".to_owned() };
    let error = engine.prepare_task(&second).await.expect_err("the address is another's");
    assert_eq!((error.kind, error.temporary), (crate::Kind::Resource, false), "{error}");
    remove(engine, &other).await;
    engine.release_task(&first.id).await.expect("it is given back");
    engine.prepare_task(&second).await.expect("and given again");
    let state = engine.inspect(&id).await.expect("looked at").expect("there");
    assert!(matches!(state.phase, Phase::Exited(_)), "how it ended is still known");
    remove(engine, &id).await;
    remove(engine, &other).await;
}

pub(super) async fn what_cannot_be_carried_is_refused(engine: &dyn Engine, given: &Setting) {
    let task = task(given, 12);
    let error = engine.prepare_task(&task).await.expect_err("there are no interfaces here");
    assert!(!error.temporary, "{error}");
    engine.remove_task(&task.id).await.expect("nothing stays");
    assert!(engine.change_network(Change::default()).await.is_err());
}
