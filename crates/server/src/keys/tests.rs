//! Whose key may do what, from the key ring to the services and the agent link.

use ::ecs::cluster::{InstanceId, Writes};
use agent_protocol::agent_key::AgentKey;
use serde_json::{Value, json};
use store::memory::Memory;
use wire::Error;

use super::*;
use crate::{
    agent_link::{Assignments, Hello, RefusalKind},
    gate::Gate,
    rights::Agents,
    services::{
        ecs::{Ecs, tests::Api},
        logs::{Logs, Stores},
    },
};

struct World {
    api: Api,
    ring: KeyRing,
    gate: Gate,
    _logs: tempfile::TempDir,
}

const SHARED: &str = "AKIASHARED";

impl World {
    async fn new() -> World {
        let api = Api::open(Arc::new(Memory::new())).await;
        let shared = KeyPair { access_key: SHARED.to_owned(), secret: "s".to_owned() };
        let ring = KeyRing::new()
            .with_new_agents(&shared, api.homes.runtime().identity())
            .with_agents(api.homes.clone(), OperatorKeys::new("master"));
        let dir = tempfile::tempdir().unwrap();
        let stores = Stores::open(dir.path(), logs::Limits::default(), api.home.place().clone()).unwrap();
        let ecs = Ecs::new(api.homes.clone()).unwrap();
        let services: Vec<Arc<dyn crate::gate::Service>> =
            vec![Arc::new(ecs), Arc::new(Logs::new(stores, "aws"))];
        let gate = Gate::new(services, Arc::new(Agents::new(api.homes.clone()))).unwrap();
        World { api, ring, gate, _logs: dir }
    }

    /// Calls ECS by a key, through the gate.
    async fn call(&self, access_key: &str, operation: &str, input: Value) -> Result<Value, Error> {
        self.call_of("ecs", access_key, operation, input).await
    }

    /// Calls a service by a key, through the gate.
    async fn call_of(
        &self,
        service: &str,
        access_key: &str,
        operation: &str,
        input: Value,
    ) -> Result<Value, Error> {
        let key = self.ring.find(access_key).expect("the key is known");
        self.gate.call(&key.caller, (service, operation), input, ("us-east-1".into(), now())).await
    }

    async fn denied(&self, access_key: &str, operation: &str, input: Value) {
        let refused = self.call(access_key, operation, input.clone()).await;
        let refused = refused.expect_err(&format!("{access_key} {operation} {input}"));
        assert_eq!(refused.code(), "AccessDeniedException", "{access_key} {operation} {input}");
    }

    /// A new agent registers in `c` with this key of its own; gives its container instance's ARN.
    async fn join(&self, own: &AgentKey) -> Result<String, Error> {
        self.call(SHARED, "RegisterContainerInstance", registration(Some(own), None)).await.map(arn)
    }

    fn identify(&self, access_key: &str, cluster: &str, instance: &str) -> Result<String, RefusalKind> {
        let caller = self.ring.find(access_key).unwrap().caller.clone();
        let hello =
            Hello { cluster: cluster.into(), container_instance: instance.into(), ..Hello::default() };
        self.api.homes.identify(&hello, &caller, self.api.home.place()).map_err(|refusal| refusal.kind)
    }

    /// Starts a task on a container instance; gives its ARN.
    async fn task(&self, instance: &str) -> String {
        let cluster = self.api.home.cluster_by_name("c").unwrap();
        let id = InstanceId::parse(id(instance)).unwrap();
        let connected = cluster.execute("", move |txn| {
            ::ecs::instance::state::connection(txn, &id, Some(Default::default()));
            Ok(())
        });
        connected.await.unwrap();
        let request = json!({"cluster": "c", "taskDefinition": "web", "containerInstances": [instance]});
        let reply = self.api.ok("StartTask", request).await;
        reply["tasks"][0]["taskArn"].as_str().expect("it is placed").to_owned()
    }

    async fn status(&self, task: &str) -> Value {
        let reply = self.api.ok("DescribeTasks", json!({"cluster": "c", "tasks": [task]})).await;
        reply["tasks"][0]["lastStatus"].clone()
    }
}

fn own(n: usize) -> AgentKey {
    AgentKey { access_key_id: format!("RSAG{n:016}"), secret_access_key: "s".repeat(40 + n % 80) }
}

fn registration(own: Option<&AgentKey>, again: Option<&str>) -> Value {
    let number = |name: &str| json!({"name": name, "type": "INTEGER", "integerValue": 1000});
    let able = ["logging-driver.awslogs", "docker-remote-api.1.19"];
    let able = able.map(|name| json!({"name": format!("com.amazonaws.ecs.capability.{name}")}));
    let mut request = json!({"cluster": "c", "totalResources": [number("CPU"), number("MEMORY")], "attributes": able,
        "instanceIdentityDocument": own.map(AgentKey::to_document).unwrap_or_default()});
    if let Some(again) = again {
        request["containerInstanceArn"] = again.into();
    }
    request
}

fn arn(reply: Value) -> String {
    reply["containerInstance"]["containerInstanceArn"].as_str().unwrap().to_owned()
}

fn id(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap()
}

#[tokio::test]
async fn a_new_agent_brings_its_key_and_is_the_same_instance_however_often_it_asks() {
    let w = World::new().await;
    let (own, ring) = (own(1), &w.ring);
    assert!(ring.find(&own.access_key_id).is_none(), "nobody has heard of it");
    w.denied(SHARED, "RegisterContainerInstance", registration(None, None)).await;
    let instance = w.join(&own).await.unwrap();
    // As an agent that died, or did not hear the answer: by the shared key, then by its own.
    assert_eq!(w.join(&own).await.unwrap(), instance);
    for request in [registration(None, None), registration(None, Some(&instance))] {
        let reply = w.call(&own.access_key_id, "RegisterContainerInstance", request).await.unwrap();
        assert_eq!(arn(reply), instance);
    }
    assert_eq!(ring.find(&own.access_key_id).unwrap().secret, Some(own.secret_access_key.clone()));
    let list = w.api.ok("ListContainerInstances", json!({"cluster": "c"})).await;
    assert_eq!(list["containerInstanceArns"], json!([instance]));
    // Nobody else gets in by its name.
    let thief = AgentKey { secret_access_key: "t".repeat(40), ..own };
    w.denied(SHARED, "RegisterContainerInstance", registration(Some(&thief), None)).await;
}

#[tokio::test]
async fn a_key_bound_before_its_instance_was_written_makes_that_one() {
    let w = World::new().await;
    let own = own(1);
    let mut request = registration(Some(&own), None);
    request["totalResources"] = json!([{"name": "CPU", "integerValue": -1}]);
    assert!(w.call(SHARED, "RegisterContainerInstance", request).await.is_err());
    let bound = w.api.home.account().state.agent_key(&own.access_key_id).unwrap().instance;
    let reply = w.call(&own.access_key_id, "RegisterContainerInstance", registration(None, None)).await;
    assert_eq!(id(&arn(reply.unwrap())), bound.to_string());
}

#[tokio::test]
async fn an_agent_speaks_for_its_own_container_instance_alone() {
    let w = World::new().await;
    w.api.define().await;
    w.api.ok("CreateCluster", json!({"clusterName": "other"})).await;
    let (mine, other) = (w.join(&own(1)).await.unwrap(), w.join(&own(2)).await.unwrap());
    let key = &own(1).access_key_id;
    let (my_task, other_task) = (w.task(&mine).await, w.task(&other).await);
    let report = |task: &str| json!({"cluster": "c", "task": task, "status": "STOPPED"});
    let drain =
        |instances: Value| json!({"cluster": "c", "containerInstances": instances, "status": "DRAINING"});
    w.denied(key, "SubmitTaskStateChange", report(&other_task)).await;
    let container = json!({"cluster": "c", "task": other_task, "containerName": "app", "status": "STOPPED"});
    w.denied(key, "SubmitContainerStateChange", container).await;
    w.denied(key, "SubmitTaskStateChange", json!({"cluster": "other", "task": my_task, "status": "STOPPED"}))
        .await;
    for instances in [json!([other]), json!([id(&other)]), json!([mine, other])] {
        w.denied(key, "UpdateContainerInstancesState", drain(instances)).await;
    }
    w.denied(key, "RegisterContainerInstance", registration(None, Some(&other))).await;
    w.denied(key, "RegisterContainerInstance", registration(None, Some(id(&other)))).await;
    let mut elsewhere = registration(None, None);
    elsewhere["cluster"] = "other".into();
    w.denied(key, "RegisterContainerInstance", elsewhere).await;
    w.denied(key, "DiscoverPollEndpoint", json!({"cluster": "c", "containerInstance": other})).await;
    w.denied(key, "DiscoverPollEndpoint", json!({"cluster": "other"})).await;
    for resource in [other.clone(), other_task.clone(), mine.replace("container-instance/c/", "cluster/c/")] {
        w.denied(key, "ListTagsForResource", json!({"resourceArn": resource})).await;
    }
    w.denied(key, "StopTask", json!({"cluster": "c", "task": my_task})).await;
    assert_eq!(w.status(&other_task).await, "PENDING", "nothing of it happened");

    for (operation, input) in [
        ("UpdateContainerInstancesState", drain(json!([mine]))),
        ("DiscoverPollEndpoint", json!({"cluster": "c", "containerInstance": mine})),
        ("ListTagsForResource", json!({"resourceArn": mine})),
        ("ListTagsForResource", json!({"resourceArn": my_task})),
        ("SubmitTaskStateChange", report(&my_task)),
        // A late report of a task that is forgotten.
        ("SubmitTaskStateChange", report(&"0".repeat(32))),
    ] {
        w.call(key, operation, input).await.unwrap_or_else(|error| panic!("{operation}: {error}"));
    }
    assert_eq!(w.status(&my_task).await, "STOPPED");
    // The administrator neither speaks for it nor takes it over.
    for (operation, input) in [
        ("SubmitTaskStateChange", report(&other_task)),
        ("RegisterContainerInstance", registration(None, Some(&other))),
    ] {
        assert_eq!(w.api.call(operation, input).await.unwrap_err().code(), "AccessDeniedException");
    }
}

#[tokio::test]
async fn a_key_opens_the_sockets_of_its_own_container_instance_named_in_any_way() {
    let w = World::new().await;
    let (mine, other) = (w.join(&own(1)).await.unwrap(), w.join(&own(2)).await.unwrap());
    let by_user = arn(w.api.ok("RegisterContainerInstance", registration(None, None)).await);
    let key = &own(1).access_key_id;
    let cluster_arn = ::ecs::arn::cluster(&w.api.home.ctx("", now()), "c");
    for cluster in ["c", &cluster_arn] {
        for named in [mine.as_str(), id(&mine)] {
            assert_eq!(w.identify(key, cluster, named), Ok(mine.clone()));
        }
    }
    for named in [other.as_str(), id(&other), by_user.as_str(), &"0".repeat(32)] {
        assert_eq!(w.identify(key, "c", named), Err(RefusalKind::AccessDenied), "{named}");
    }
    assert_eq!(w.identify(key, "d", &mine), Err(RefusalKind::AccessDenied));
    assert_eq!(w.identify(SHARED, "c", &mine), Err(RefusalKind::AccessDenied));
    let deregister = json!({"cluster": "c", "containerInstance": mine});
    w.api.ok("DeregisterContainerInstance", deregister).await;
    assert_eq!(w.identify(key, "c", &mine), Err(RefusalKind::InactiveInstance));
}

#[tokio::test]
async fn a_key_of_an_operator_is_good_for_one_container_instance() {
    let w = World::new().await;
    w.api.ok("CreateCluster", json!({"clusterName": "other"})).await;
    let made = OperatorKeys::new("master").create(&w.api.homes.runtime().identity().account, now());
    let key = made.access_key.as_str();
    assert_eq!(w.ring.find(key).unwrap().secret, Some(made.secret.clone()));
    w.denied(key, "DiscoverPollEndpoint", json!({"cluster": "c"})).await;
    let other = w.join(&own(1)).await.unwrap();
    w.denied(key, "RegisterContainerInstance", registration(None, Some(&other))).await;
    let mine = arn(w.call(key, "RegisterContainerInstance", registration(None, None)).await.unwrap());
    assert_eq!(w.ring.find(key).unwrap().secret, Some(made.secret));
    let again = w.call(key, "RegisterContainerInstance", registration(None, Some(&mine))).await.unwrap();
    assert_eq!(arn(again), mine);
    let mut elsewhere = registration(None, None);
    elsewhere["cluster"] = "other".into();
    w.denied(key, "RegisterContainerInstance", elsewhere).await;
    assert!(w.identify(key, "c", &mine).is_ok() && w.identify(key, "c", &other).is_err());
    // One that waited too long, and one that nobody made.
    let late = OperatorKeys::new("master")
        .create(&w.api.homes.runtime().identity().account, now().plus_millis(-UNBOUND_S * 1000));
    assert!(w.ring.find(&late.access_key).is_none());
    assert!(w.ring.find("RSOPZZZZZZZZ00000000").is_none());
    assert_ne!(OperatorKeys::new("other").secret(key), w.ring.find(key).unwrap().secret.clone().unwrap());
}

#[tokio::test]
async fn keys_of_agents_are_of_one_account_and_one_region() {
    let w = World::new().await;
    let mine = w.join(&own(1)).await.unwrap();
    let key = w.ring.find(&own(1).access_key_id).unwrap();
    assert_eq!(key.region.as_deref(), Some(&*w.api.home.place().1));
    // One that an operator made for another account brings an agent in there.
    let made = OperatorKeys::new("master").create("222222222222", now());
    let found = w.ring.find(&made.access_key).unwrap();
    assert_eq!((&*found.caller.account, &found.region), ("222222222222", &None));
    let theirs = administrator("aws", "222222222222", "222222222222");
    let make = json!({"clusterName": "c"});
    w.api.call_as(theirs.clone(), "CreateCluster", make).await.unwrap();
    let there = w.call(&made.access_key, "RegisterContainerInstance", registration(None, None)).await;
    assert!(arn(there.unwrap()).contains(":222222222222:"));
    assert_eq!(&*w.ring.find(&made.access_key).unwrap().caller.account, "222222222222");
    // Nobody takes a key that is another account's by bringing it along.
    let thief = AgentKey { secret_access_key: "t".repeat(40), ..own(1) };
    let taken = w.api.call_as(theirs, "RegisterContainerInstance", registration(Some(&thief), None)).await;
    assert_eq!(taken.unwrap_err().code(), "AccessDeniedException");
    let key = w.ring.find(&own(1).access_key_id).unwrap();
    assert_eq!(
        (&key.caller.account, key.secret.as_deref()),
        (&w.api.home.place().0, Some(&*own(1).secret_access_key))
    );
    assert!(w.identify(&own(1).access_key_id, "c", &mine).is_ok());
}

#[tokio::test]
async fn a_container_instance_from_before_such_keys_is_claimed_once() {
    let w = World::new().await;
    let old = arn(w.api.ok("RegisterContainerInstance", registration(None, None)).await);
    let request = || registration(Some(&own(1)), Some(&old));
    w.denied(SHARED, "RegisterContainerInstance", request()).await;
    // As an older version has stored it.
    let instance = InstanceId::parse(id(&old)).unwrap();
    let cluster = w.api.home.cluster_by_name("c").unwrap();
    let unclaim = cluster.execute("", move |txn| {
        let row = txn.state.instance(&instance).unwrap().as_ref().clone();
        txn.put_instance(::ecs::cluster::InstanceRow { owner: Default::default(), ..row });
        Ok(())
    });
    unclaim.await.unwrap();
    assert_eq!(arn(w.call(SHARED, "RegisterContainerInstance", request()).await.unwrap()), old);
    w.denied(SHARED, "RegisterContainerInstance", registration(Some(&own(2)), Some(&old))).await;
    assert_eq!(arn(w.call(SHARED, "RegisterContainerInstance", request()).await.unwrap()), old);
}

#[tokio::test]
async fn an_agent_writes_into_the_log_groups_of_its_tasks() {
    let w = World::new().await;
    let logging = |group: &str| json!({"logDriver": "awslogs", "options": {"awslogs-group": group, "awslogs-region": "us-east-1"}});
    let container =
        json!({"name": "app", "image": "busybox", "memory": 10, "logConfiguration": logging("/mine")});
    w.api.ok("RegisterTaskDefinition", json!({"family": "web", "containerDefinitions": [container]})).await;
    let (mine, other) = (w.join(&own(1)).await.unwrap(), w.join(&own(2)).await.unwrap());
    let task = w.task(&mine).await;
    let call = async |n: usize, operation: &str, input: Value| {
        let told = w.call_of("logs", &own(n).access_key_id, operation, input).await;
        told.map_err(|error| error.code().to_owned())
    };
    let group = |name: &str| json!({"logGroupName": name});
    let stream = |name: &str, stream: &str| json!({"logGroupName": name, "logStreamName": stream});
    let denied = Err("AccessDeniedException".to_owned());
    for round in 0..2 {
        assert_eq!(call(1, "CreateLogGroup", group("/other")).await, denied, "{round}");
        let other = stream("/other", &format!("p/app/{}", id(&task)));
        assert_eq!(call(1, "CreateLogStream", other).await, denied, "{round}");
        assert_eq!(call(2, "CreateLogGroup", group("/mine")).await, denied, "not on its host, {round}");
        if round == 0 {
            // Output may come after the task's end.
            let stopped = json!({"cluster": "c", "task": task, "status": "STOPPED"});
            w.call(&own(1).access_key_id, "SubmitTaskStateChange", stopped).await.unwrap();
            assert!(call(1, "CreateLogGroup", group("/mine")).await.is_ok());
            assert!(call(1, "CreateLogStream", stream("/mine", "container")).await.is_ok());
        }
    }
    // The group is both hosts', the stream of a task is one's.
    let theirs = w.task(&other).await;
    let of = |task: &str| stream("/mine", &format!("p/app/{}", id(task)));
    for (n, own, others) in [(1, &task, &theirs), (2, &theirs, &task)] {
        assert!(call(n, "CreateLogStream", of(own)).await.is_ok());
        let mut events = of(others);
        events["logEvents"] = json!([{"timestamp": now().as_millis(), "message": "forged"}]);
        assert_eq!(call(n, "PutLogEvents", events).await, denied);
        assert_eq!(call(n, "CreateLogStream", of(others)).await, denied);
    }
}

#[tokio::test]
async fn keys_go_with_their_container_instances() {
    let w = World::new().await;
    for n in 0..KEYS_OF_SEVERAL_SWEEPS {
        w.join(&own(n)).await.unwrap();
    }
    let forget = |txn: &mut ::ecs::Txn| {
        let all: Vec<InstanceId> = txn.state.instances().map(|row| row.id).collect();
        all.iter().skip(1).for_each(|id| txn.delete(::ecs::cluster::Key::Instance(*id)));
        Ok(())
    };
    let kept = w.api.home.account().state.agent_keys_after("", 1000).len();
    w.api.home.cluster_by_name("c").unwrap().execute("", forget).await.unwrap();
    let account = w.api.home.account();
    let gone: Vec<String> =
        account.state.agent_keys_after("", 1000).iter().map(|row| row.access_key.clone()).collect();
    assert_eq!(gone.len(), kept);
    let ctx = w.api.home.ctx("", now());
    let forgotten = |ctx: &::ecs::Ctx| {
        let mut ids = ::ecs::Ids::new(1);
        let mut state = ::ecs::Account::clone(&account.state);
        let mut txn = state::Txn::new(&mut state, &(), ctx, &mut ids);
        ::ecs::account::keys::forget(&mut txn, gone.clone());
        txn.changes().count()
    };
    assert_eq!(forgotten(&ctx), 0, "too young");
    let later = ::ecs::Ctx { now: ctx.now.plus_millis(86_400_001), ..ctx };
    assert_eq!(forgotten(&later), kept);
}

/// More than one sweep looks at.
const KEYS_OF_SEVERAL_SWEEPS: usize = 130;
