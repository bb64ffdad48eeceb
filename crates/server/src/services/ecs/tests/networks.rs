//! Interfaces of tasks on their way: agents hear of a task once it has its interface, and of the rules before that; and
//! whatever dies on the way.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use parking_lot::Mutex;
use state::{
    Id128,
    contract::{
        Egress, Given, HostInterface, HostNetwork, HostVpc, Interface, Network, NotANetwork, Rules, Want,
    },
};

use super::*;
use crate::runtime::{
    Place,
    carrier::NoBus,
    ferry::{Ear, Ears, Vpcs},
};

/// Interfaces in the place of EC2's.
struct Stand {
    made: Mutex<BTreeMap<Id128, Interface>>,
    rules: Mutex<Rules>,
    vpc: Mutex<HostVpc>,
    told: Arc<Ears>,
    is_there: AtomicBool,
}

impl Stand {
    fn new() -> Arc<Stand> {
        let (made, rules, vpc) = Default::default();
        Arc::new(Stand { made, rules, vpc, told: Arc::default(), is_there: AtomicBool::new(true) })
    }
}

#[async_trait]
impl Vpcs for Stand {
    fn network(&self, _: &Place, subnets: &[String], _: &[String]) -> Result<Network, NotANetwork> {
        let zone = |id: &String| (id.clone(), "us-east-1a".to_owned());
        Ok(Network { subnets: subnets.iter().map(zone).collect(), default_group: "sg-1".to_owned() })
    }

    fn given_to(&self, _: &Place, _: &str) -> Option<Vec<Id128>> {
        self.is_there.load(Ordering::SeqCst).then(|| self.made.lock().keys().copied().collect())
    }

    fn on_host(&self, _: &Place, _: &str, tasks: &[Id128]) -> Option<HostNetwork> {
        let mut host = HostNetwork::default();
        for interface in tasks.iter().filter_map(|task| self.made.lock().get(task).cloned()) {
            let groups = vec!["sg-1".to_owned()];
            host.interfaces
                .insert(interface.id, HostInterface { groups, egress: Egress::None, public: None });
            host.rules.insert("sg-1".to_owned(), Arc::new(self.rules.lock().clone()));
            host.vpcs.insert("vpc-1".to_owned(), self.vpc.lock().clone());
        }
        Some(host)
    }

    fn listen(&self, _: &Place) -> Option<Ear> {
        Some(self.told.listen())
    }

    async fn bring(
        &self,
        _: &Place,
        _: String,
        wants: Vec<Want>,
    ) -> Result<Option<Vec<(Id128, Given)>>, Error> {
        if !self.is_there.load(Ordering::SeqCst) {
            return Ok(None);
        }
        let mut made = self.made.lock();
        let mut one = |(task, wanted): Want| {
            let Some(wanted) = wanted else {
                made.remove(&task);
                return (task, Given::Gone);
            };
            let number = u8::try_from(made.len()).unwrap_or(0);
            let interface = made.entry(task).or_insert_with(|| Interface {
                id: format!("eni-{task}"),
                subnet: wanted.subnet.clone(),
                block: "10.0.0.0/24".to_owned(),
                gateway: Some([10, 0, 0, 1].into()),
                address: Some([10, 0, 0, 4 + number].into()),
                ..Interface::default()
            });
            (task, Given::Interface(Box::new(interface.clone())))
        };
        Ok(Some(wants.into_iter().map(&mut one).collect()))
    }
}

async fn open(store: &Arc<Memory>, stand: &Arc<Stand>) -> Api {
    let of = |text: &str| text.to_owned();
    let identity = Identity { account: of("000000000000"), region: of("us-east-1"), partition: of("aws") };
    let read = Homes::read(store.clone(), identity, &mut []).unwrap();
    let homes = read.in_vpcs(Some(stand.clone())).start(Arc::new(NoBus));
    homes.start().await.unwrap();
    let api = Api { ecs: Ecs::new(homes.clone()).unwrap(), home: homes.own(), homes };
    api.ok("CreateCluster", json!({"clusterName": "c"})).await;
    api
}

async fn able(api: &Api) -> String {
    let arn = api.host().await;
    let attribute = |name: &str, value: Value| json!({"name": name, "value": value, "targetId": arn});
    let attributes = [
        attribute("ecs.capability.task-eni", Value::Null),
        attribute("ecs.availability-zone", "us-east-1a".into()),
        attribute("com.amazonaws.ecs.capability.docker-remote-api.1.18", Value::Null),
    ];
    for mut attribute in attributes {
        if attribute["value"].is_null() {
            attribute.as_object_mut().unwrap().remove("value");
        }
        api.ok("PutAttributes", json!({"cluster": "c", "attributes": [attribute]})).await;
    }
    let container = json!({"name": "app", "image": "busybox", "memory": 10});
    let family = json!({"family": "net", "networkMode": "awsvpc", "containerDefinitions": [container]});
    api.ok("RegisterTaskDefinition", family).await;
    arn
}

async fn start(api: &Api) -> String {
    let network = json!({"awsvpcConfiguration": {"subnets": ["subnet-1"]}});
    let input = json!({"cluster": "c", "taskDefinition": "net", "networkConfiguration": network});
    let reply = api.ok("RunTask", input).await;
    assert_eq!(reply["failures"], json!([]));
    assert_eq!(reply["tasks"][0]["lastStatus"], "PROVISIONING");
    reply["tasks"][0]["taskArn"].as_str().unwrap().to_owned()
}

async fn heard(session: &mut Box<dyn Session>) -> Assignment {
    let next = tokio::time::timeout(Duration::from_secs(20), session.next()).await;
    next.expect("something comes").unwrap()
}

async fn knowing(api: &Api, instance: &str) -> Box<dyn Session> {
    let hello = Hello { knows_vpc: true, ..hello(instance) };
    api.homes.connect(hello, api.home.place(), "http://127.0.0.1:4566").await.unwrap()
}

fn rules_of(assignment: Assignment) -> acs::VpcMessage {
    match assignment {
        Assignment::Vpc(message) => *message,
        other => panic!("{other:?}"),
    }
}

async fn becomes(api: &Api, task: &str, status: &str) {
    let described = async {
        loop {
            let reply = api.ok("DescribeTasks", json!({"cluster": "c", "tasks": [task]})).await;
            if reply["tasks"][0]["lastStatus"] == status {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), described).await.expect(status);
}

#[tokio::test]
async fn an_agent_hears_of_a_task_with_its_interface_and_of_the_rules_before_it() {
    let (store, stand) = (Arc::new(Memory::new()), Stand::new());
    let api = open(&store, &stand).await;
    let instance = able(&api).await;
    let mut session = knowing(&api, &instance).await;
    let first = rules_of(heard(&mut session).await);
    assert!(first.whole && first.sequence == 1 && first.interfaces.is_empty());
    let task = start(&api).await;
    let rules = rules_of(heard(&mut session).await);
    assert_eq!((rules.sequence, rules.interfaces.len(), rules.groups.len(), rules.whole), (2, 1, 1, false));
    let Assignment::Task { task: payload, .. } = heard(&mut session).await else { panic!("no task comes") };
    assert_eq!((payload.arn.as_deref(), payload.network_mode.as_deref()), (Some(&*task), Some("awsvpc")));
    let [interface] = &payload.elastic_network_interfaces[..] else { panic!("{payload:?}") };
    assert_eq!(interface.subnet_gateway_ipv4_address.as_deref(), Some("10.0.0.1/24"));
    assert_eq!(interface.ec2_id.as_deref(), Some(&*rules.interfaces[0].id));
    // A change that concerns this host is told, and no other.
    assert_eq!(stand.told.tell(Some(&["sg-2".to_owned()])), 0);
    let rule = state::contract::Rule {
        protocol: -1,
        ports: None,
        peer: state::contract::Peer::Block("::/0".into()),
    };
    stand.rules.lock().ingress.push(rule);
    assert_eq!(stand.told.tell(Some(&["sg-1".to_owned()])), 1);
    let changed = rules_of(heard(&mut session).await);
    assert_eq!((changed.sequence, changed.groups[0].ingress.len(), changed.interfaces.len()), (3, 1, 0));
    // One that does not know what to do with rules hears of tasks alone.
    drop(session);
    let mut session = api.session(&instance).await;
    assert!(matches!(heard(&mut session).await, Assignment::Task { .. }));
    api.stopped(&task).await;
    becomes(&api, &task, "STOPPED").await;
    assert!(stand.made.lock().is_empty());
}

/// Says where it is reached, and hears of interfaces elsewhere: only while it has one in their VPC.
#[tokio::test]
async fn a_host_hears_where_the_others_of_its_vpcs_are() {
    let (store, stand) = (Arc::new(Memory::new()), Stand::new());
    let api = open(&store, &stand).await;
    let instance = able(&api).await;
    let own = std::net::Ipv4Addr::new(192, 0, 2, 1);
    let hello = Hello { knows_vpc: true, address: Some(own), ..hello(&instance) };
    let connected = api.homes.connect(hello, api.home.place(), "http://127.0.0.1:4566").await;
    let mut session = connected.unwrap();
    assert!(rules_of(heard(&mut session).await).whole);
    let vpc = || stand.told.tell(Some(&["vpc-1".to_owned()]));
    assert_eq!(vpc(), 0, "it has nothing in that VPC yet");
    stand.vpc.lock().places.insert([10, 0, 0, 77].into(), own);
    let task = start(&api).await;
    let first = rules_of(heard(&mut session).await);
    assert!(first.vpcs.len() == 1 && first.places.is_empty(), "what is here is not elsewhere");
    assert!(matches!(heard(&mut session).await, Assignment::Task { .. }));
    // One more elsewhere costs one message with one place.
    stand.vpc.lock().places.insert([10, 0, 0, 78].into(), [192, 0, 2, 2].into());
    assert_eq!(vpc(), 1);
    let one = rules_of(heard(&mut session).await);
    let place = agent_protocol::acs::Place { address: "10.0.0.78".into(), host: "192.0.2.2".into() };
    assert_eq!((&one.places[0].add[..], one.vpcs.len()), (&[place][..], 0));
    assert!(one.interfaces.is_empty() && one.groups.is_empty() && one.gone.is_empty());
    // With its last task there it hears no more.
    api.stopped(&task).await;
    becomes(&api, &task, "STOPPED").await;
    let gone = rules_of(heard(&mut session).await);
    assert!(gone.gone.contains(&"vpc-1".to_owned()));
    assert_eq!(vpc(), 0);
}

#[tokio::test]
async fn what_is_on_its_way_as_the_control_plane_dies_comes_to_its_end_after_that() {
    let (store, stand) = (Arc::new(Memory::new()), Stand::new());
    let api = open(&store, &stand).await;
    let instance = able(&api).await;
    stand.is_there.store(false, Ordering::SeqCst);
    let (wanted, left) = (start(&api).await, start(&api).await);
    api.stop(&left).await;
    becomes(&api, &left, "DEPROVISIONING").await;
    drop(api);
    // One is there that nobody asks for.
    let stray = Id128(7);
    stand.made.lock().insert(stray, Interface::default());
    stand.is_there.store(true, Ordering::SeqCst);
    let api = open(&store, &stand).await;
    becomes(&api, &wanted, "PENDING").await;
    becomes(&api, &left, "STOPPED").await;
    assert_eq!(stand.made.lock().len(), 1, "the stray is gone too");
    let mut session = knowing(&api, &instance).await;
    let first = rules_of(heard(&mut session).await);
    assert!(first.whole && first.interfaces.len() == 1);
    assert_eq!(next(&mut session).await.unwrap(), (wanted, "RUNNING".to_owned()));
}
