//! A task with an interface of its own: what its containers find, and what becomes of it.

use std::net::Ipv4Addr;
use std::time::Duration;

use engine::vpc::{Block, Change, Group, InterfaceState, Mac, Name, Peer, Rule, Traffic};
use engine::{ContainerId, ContainerSpec, Engine, NetworkMode, TaskNetwork, TaskSpec};

use crate::host::{self, Host, say, shell, start_named};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn block(text: &str) -> Block {
    text.parse().unwrap()
}

pub fn task(last: u8) -> TaskSpec {
    let network = TaskNetwork {
        interface: name(&format!("eni-{last}")),
        vpc: name("vpc-1"),
        blocks: vec![block("10.0.0.0/16")],
        mac: Mac([0x0a, 0, 0, 0, 0, last]),
        ipv4: Ipv4Addr::new(10, 0, 1, last),
        subnet: "10.0.1.0/24".parse().unwrap(),
        gateway: Ipv4Addr::new(10, 0, 1, 1),
        ipv6: None,
        state: InterfaceState { groups: vec![name("sg-1")], ..Default::default() },
        hostname: format!("ip-10-0-1-{last}.us-west-2.compute.internal"),
        dns_servers: vec!["10.0.0.2".into()],
        dns_search_domains: vec!["us-west-2.compute.internal".into()],
    };
    TaskSpec { id: host::task_id(), network: Some(network), ..TaskSpec::default() }
}

pub fn joins(script: &str) -> ContainerSpec {
    ContainerSpec { network: NetworkMode::Task, ..shell(script) }
}

/// Lets members of the group in by these ports of TCP.
pub async fn let_in(engine: &dyn Engine, ports: &[u16]) {
    let rule = |port: &u16| Rule { traffic: Traffic::Tcp(*port, *port), peer: Peer::Set(name("sg-1")) };
    let all = Rule { traffic: Traffic::All, peer: Peer::Block(block("0.0.0.0/0")) };
    let group = Group { ingress: ports.iter().map(rule).collect(), egress: vec![all] };
    let sets = vec![(name("sg-1"), vec![], vec![block("10.0.1.5"), block("10.0.1.6")])];
    let change = Change { groups: vec![(name("sg-1"), group)], sets, ..Change::default() };
    engine.change_network(change).await.unwrap();
}

/// It waits for no client for long: one whose end got lost with its link would keep it from the next.
pub fn server() -> ContainerSpec {
    joins("while :; do echo hello | nc -w 1 -l -p 80; done")
}

pub fn sleeper() -> ContainerSpec {
    joins("trap 'exit 0' TERM; while :; do sleep 1; done")
}

/// Until the server there listens.
pub async fn fetched(engine: &dyn Engine, id: &ContainerId, from: &str) -> String {
    host::until("an answer", async || {
        let said = say(engine, id, &format!("nc -w 1 {from} 80 < /dev/null")).await;
        (said == "hello").then_some(said)
    })
    .await
}

pub const REFUSED: &str = "nc -w 1 10.0.1.5 80 < /dev/null 2> /dev/null || echo nothing";

#[tokio::test]
async fn containers_share_the_interface_and_its_name() {
    let host = Host::with_network();
    let engine = host.open().await;
    assert!(engine.capabilities().task_interfaces, "this host can");
    let_in(&*engine, &[80]).await;
    let parameter = ("net.core.somaxconn".to_owned(), "77".to_owned());
    let second = ContainerSpec { sysctls: [parameter].into(), ..sleeper() };
    let ids = start_named(&*engine, &task(5), &[("a", server()), ("b", second)]).await;
    for id in &ids {
        let name = "ip-10-0-1-5.us-west-2.compute.internal";
        assert_eq!(say(&*engine, id, "hostname; cat /etc/hostname").await, format!("{name}\n{name}"));
        let hosts = say(&*engine, id, "cat /etc/hosts").await;
        assert!(hosts.contains(&format!("10.0.1.5\t{name}")), "{hosts}");
        let resolv = say(&*engine, id, "cat /etc/resolv.conf").await;
        assert!(resolv.contains("nameserver 10.0.0.2\nsearch us-west-2.compute.internal"), "{resolv}");
        let address = say(&*engine, id, "ip -o -4 addr show eth0; cat /sys/class/net/eth0/address").await;
        assert!(address.contains("10.0.1.5/24") && address.ends_with("0a:00:00:00:00:05"), "{address}");
        assert_eq!(say(&*engine, id, "cat /proc/sys/net/core/somaxconn").await, "77", "it is the task's");
    }
    fetched(&*engine, &ids[1], "127.0.0.1").await;
    let other = start_named(&*engine, &task(6), &[("a", sleeper())]).await;
    fetched(&*engine, &other[0], "10.0.1.5").await;
    let stats = engine.stats(&ids[0]).await.unwrap();
    assert!(stats.rx.packets > 0 && stats.tx.packets > 0, "{stats:?}");
    let_in(&*engine, &[]).await;
    assert_eq!(say(&*engine, &other[0], REFUSED).await, "nothing");
}

#[tokio::test]
async fn an_engine_that_opens_again_finds_the_interface_as_it_was() {
    let host = Host::with_network();
    let engine = host.open().await;
    let_in(&*engine, &[80]).await;
    let ids = start_named(&*engine, &task(5), &[("a", server())]).await;
    let other = start_named(&*engine, &task(6), &[("a", sleeper())]).await;
    fetched(&*engine, &other[0], "10.0.1.5").await;
    drop(engine);
    // As if nothing had been written down of it: who lives there leads back to it.
    let folder = host.config.network.as_ref().unwrap().run_root.join(&host.config.instance_id8).join("netns");
    let of_tasks = || {
        let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        files
            .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("rt-"))
            .collect::<Vec<_>>()
    };
    for path in of_tasks() {
        nix::mount::umount2(&path, nix::mount::MntFlags::MNT_DETACH).unwrap();
    }
    let engine = host.open().await;
    fetched(&*engine, &other[0], "10.0.1.5").await;
    assert_eq!(of_tasks().len(), 2);
    drop(engine);
    std::fs::remove_dir_all(folder.parent().unwrap().join("interfaces")).unwrap();
    let engine = host.open().await;
    fetched(&*engine, &other[0], "10.0.1.5").await;
    assert_eq!(of_tasks().len(), 2);
    // A container that starts again finds it too.
    engine.stop(&ids[0], Duration::ZERO).await.unwrap();
    host::exit(&*engine, &ids[0]).await;
    engine.start(&ids[0]).await.unwrap();
    fetched(&*engine, &other[0], "10.0.1.5").await;
    engine.remove_task(&ids[0].task).await.unwrap();
    assert_eq!(say(&*engine, &other[0], REFUSED).await, "nothing");
    assert_eq!(of_tasks().len(), 1);
}
