//! ECS over the store in memory: what a failed commit leaves, what a restart finds, what the agent
//! link is told.

use std::{sync::Arc, time::Duration};

use ::ecs::cluster::{InstanceId, Writes};
use agent_protocol::{acs, tcs};
use ecs_model as ecs;
use serde_json::{Value, json};
use store::{Store, memory::Memory};

mod capacity;
mod clusters;
mod damage;
mod networks;
mod table;

use super::*;
use crate::{
    agent_link::{Assignment, Assignments, Hello, RefusalKind, Session},
    gate::{Call, Caller, Service},
    keys::administrator,
    runtime::{Identity, now},
};

/// ECS with one cluster `c`, called as the front door would.
pub(crate) struct Api {
    pub homes: Arc<Homes>,
    pub home: Arc<Home>,
    ecs: Ecs,
}

impl Api {
    /// Starts it on a store, and makes the cluster if it is not there.
    pub async fn open(store: Arc<dyn Store>) -> Api {
        let of = |text: &str| text.to_owned();
        let identity =
            Identity { account: of("000000000000"), region: of("us-east-1"), partition: of("aws") };
        let homes = Homes::open(store, identity, &mut []).unwrap();
        homes.start().await.unwrap();
        let api = Api { ecs: Ecs::new(homes.clone()).unwrap(), home: homes.own(), homes };
        api.ok("CreateCluster", json!({"clusterName": "c"})).await;
        api
    }

    /// Carries out one operation, as the account's administrator.
    pub async fn call(&self, operation: &str, input: Value) -> Result<Value, Error> {
        self.call_as(administrator("aws", "000000000000", "AKIA"), operation, input).await
    }

    /// Carries out one operation, as somebody.
    pub async fn call_as(&self, caller: Caller, operation: &str, input: Value) -> Result<Value, Error> {
        let operation = ecs::SERVICE.operation(operation).unwrap();
        let (request_id, region, origin) = ("r".to_owned(), "us-east-1".into(), Default::default());
        let call = Call { operation, input, caller, request_id, region, now: now(), origin };
        self.ecs.call(call).await.map(|bytes| serde_json::from_slice(&bytes).unwrap())
    }

    pub async fn ok(&self, operation: &str, input: Value) -> Value {
        self.call(operation, input).await.unwrap()
    }

    pub async fn define(&self) {
        let container = json!({"name": "app", "image": "busybox", "memory": 10});
        self.ok("RegisterTaskDefinition", json!({"family": "web", "containerDefinitions": [container]}))
            .await;
    }

    /// A host of 1000 MiB whose agent is connected; gives its ARN.
    async fn host(&self) -> String {
        let number = |name: &str| json!({"name": name, "type": "INTEGER", "integerValue": 1000});
        let attributes =
            ["ecs.capability.container-health-check", "com.amazonaws.ecs.capability.docker-remote-api.1.24"]
                .map(|name| json!({"name": name}));
        let resources = [number("CPU"), number("MEMORY")];
        let request = json!({"cluster": "c", "totalResources": resources, "attributes": attributes});
        let reply = self.ok("RegisterContainerInstance", request).await;
        let arn = reply["containerInstance"]["containerInstanceArn"].as_str().unwrap().to_owned();
        let id = InstanceId::parse(arn.rsplit('/').next().unwrap()).unwrap();
        let cluster = self.home.cluster_by_name("c").unwrap();
        let connected = cluster.execute("", move |txn| {
            ::ecs::instance::state::connection(txn, &id, Some(Default::default()));
            Ok(())
        });
        connected.await.unwrap();
        arn
    }

    /// Runs a task; gives its ARN.
    async fn run(&self) -> String {
        let reply = self.ok("RunTask", json!({"cluster": "c", "taskDefinition": "web"})).await;
        reply["tasks"][0]["taskArn"].as_str().unwrap().to_owned()
    }

    async fn stop(&self, task: &str) {
        self.ok("StopTask", json!({"cluster": "c", "task": task})).await;
    }

    async fn stopped(&self, task: &str) {
        let request = json!({"cluster": "c", "task": task, "status": "STOPPED"});
        self.ok("SubmitTaskStateChange", request).await;
    }

    async fn session(&self, instance: &str) -> Box<dyn Session> {
        self.homes.connect(hello(instance), self.home.place(), "http://127.0.0.1:4566").await.unwrap()
    }

    fn tasks(&self) -> usize {
        self.home.cluster_by_name("c").unwrap().read().state.tasks().count()
    }
}

fn hello(instance: &str) -> Hello {
    Hello { cluster: "c".to_owned(), container_instance: instance.to_owned(), ..Hello::default() }
}

/// The next assignment's task and desired status.
async fn next(session: &mut Box<dyn Session>) -> Option<(String, String)> {
    let next = tokio::time::timeout(Duration::from_secs(20), session.next()).await;
    match next.expect("something comes")? {
        Assignment::Task { task, .. } => Some((task.arn.unwrap(), task.desired_status.unwrap())),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_cannot_be_stored_has_not_happened() {
    let store = Arc::new(Memory::new());
    let api = Api::open(store.clone()).await;
    api.define().await;
    let instance = api.host().await;
    let mut session = api.session(&instance).await;
    store.set_fault(Some(store::Error::DiskFull { path: String::new(), detail: String::new() }));
    for (operation, request) in [
        ("RunTask", json!({"cluster": "c", "taskDefinition": "web"})),
        ("CreateCluster", json!({"clusterName": "other"})),
        (
            "RegisterTaskDefinition",
            json!({"family": "new", "containerDefinitions": [{"name": "a", "image": "b", "memory": 9}]}),
        ),
    ] {
        assert_eq!(api.call(operation, request).await.unwrap_err().code(), "ServerException", "{operation}");
    }
    assert_eq!(api.tasks(), 0);
    assert!(api.home.cluster_by_name("other").is_none());
    assert!(api.home.account().state.latest("new").is_none());
    store.set_fault(None);
    let task = api.run().await;
    assert_eq!(next(&mut session).await.unwrap(), (task, "RUNNING".to_owned()), "and nothing before it");
}

#[tokio::test]
async fn a_restart_finds_the_same_state() {
    let store = Arc::new(Memory::new());
    let api = Api::open(store.clone()).await;
    api.define().await;
    api.host().await;
    let task = api.run().await;
    let service = json!({"cluster": "c", "serviceName": "s", "taskDefinition": "web", "desiredCount": 2});
    api.ok("CreateService", service).await;
    api.stop(&task).await;
    let again = Api::open(store).await;
    for (operation, request) in [
        ("DescribeTasks", json!({"cluster": "c", "tasks": [task]})),
        ("DescribeServices", json!({"cluster": "c", "services": ["s"]})),
        ("ListTasks", json!({"cluster": "c"})),
        ("DescribeTaskDefinition", json!({"taskDefinition": "web"})),
        ("DescribeClusters", json!({"clusters": ["c"], "include": ["STATISTICS"]})),
    ] {
        let (mut before, mut after) =
            (api.ok(operation, request.clone()).await, again.ok(operation, request).await);
        if operation == "DescribeTasks" {
            // No agent has come back yet.
            assert_eq!(after["tasks"][0]["connectivity"].take(), before["tasks"][0]["connectivity"].take());
        }
        assert_eq!(before, after, "{operation}");
    }
}

#[tokio::test]
async fn commands_that_come_together_all_happen_once() {
    let api = Api::open(Arc::new(Memory::new())).await;
    api.define().await;
    api.host().await;
    let request = json!({"cluster": "c", "taskDefinition": "web", "clientToken": "t"});
    let (one, same, other) = tokio::join!(
        api.ok("RunTask", request.clone()),
        api.ok("RunTask", request),
        api.ok("RunTask", json!({"cluster": "c", "taskDefinition": "web"})),
    );
    let arn = |reply: &Value| reply["tasks"][0]["taskArn"].clone();
    assert_eq!(arn(&one), arn(&same), "the second of a batch sees what the first did");
    assert_ne!(arn(&one), arn(&other));
    assert_eq!(api.tasks(), 2);
}

/// Amazon's agent tells all health every 20 s, whether or not anything has changed.
#[tokio::test]
async fn health_is_written_where_it_differs_and_costs_no_commit_where_it_does_not() {
    let store = Arc::new(Memory::new());
    let api = Api::open(store.clone()).await;
    let check = json!({"command": ["CMD", "true"]});
    let containers = ["app", "side"].map(|name| {
        json!({"name": name, "image": "busybox", "memory": 10, "essential": name == "app", "healthCheck": check})
    });
    api.ok("RegisterTaskDefinition", json!({"family": "web", "containerDefinitions": containers})).await;
    let instance = api.host().await;
    let tasks = [api.run().await, api.run().await];
    let mut telemetry = api.homes.telemetry(hello(&instance), api.home.place()).await.unwrap();
    let mut tell = async |verdicts: &[(&str, &str, &str)]| {
        let container = |(task, name, status): &(&str, &str, &str)| tcs::TaskHealth {
            task_arn: Some((*task).to_owned()),
            containers: vec![tcs::ContainerHealth {
                container_name: Some((*name).to_owned()),
                health_status: Some((*status).to_owned()),
                ..tcs::ContainerHealth::default()
            }],
            ..tcs::TaskHealth::default()
        };
        let tasks = verdicts.iter().map(container).collect();
        let before = store.revision();
        telemetry.health(tcs::PublishHealthRequest { tasks, ..Default::default() }).await.unwrap();
        store.revision() - before
    };
    let [one, two] = [&*tasks[0], &*tasks[1]];
    assert_eq!(tell(&[(one, "app", "UNKNOWN"), (two, "app", "UNKNOWN")]).await, 0, "tasks begin so");
    let all = [(one, "app", "HEALTHY"), (one, "side", "UNKNOWN"), (two, "app", "HEALTHY")];
    assert_eq!(tell(&all).await, 1);
    for _ in 0..3 {
        assert_eq!(tell(&all).await, 0);
    }
    // What is not told stays as it is.
    assert_eq!(tell(&[(one, "side", "UNHEALTHY")]).await, 1);
    assert_eq!(tell(&[(one, "side", "UNHEALTHY")]).await, 0);
    let shown = api.ok("DescribeTasks", json!({"cluster": "c", "tasks": tasks})).await;
    let health =
        |task: usize, container: usize| &shown["tasks"][task]["containers"][container]["healthStatus"];
    assert_eq!(
        [health(0, 0), health(0, 1), health(1, 0), health(1, 1)],
        ["HEALTHY", "UNHEALTHY", "HEALTHY", "UNKNOWN"]
    );
}

#[tokio::test]
async fn a_task_definition_is_deleted_once_nothing_refers_to_it() {
    let api = Api::open(Arc::new(Memory::new())).await;
    api.define().await;
    api.host().await;
    let task = api.run().await;
    api.ok("DeregisterTaskDefinition", json!({"taskDefinition": "web:1"})).await;
    let reply = api.ok("DeleteTaskDefinitions", json!({"taskDefinitions": ["web:1"]})).await;
    assert_eq!(reply["taskDefinitions"][0]["status"], "DELETE_IN_PROGRESS");
    api.home.sweep_once().await.unwrap();
    api.ok("DescribeTaskDefinition", json!({"taskDefinition": "web:1"})).await;
    api.stop(&task).await;
    api.stopped(&task).await;
    api.home.sweep_once().await.unwrap();
    assert!(api.call("DescribeTaskDefinition", json!({"taskDefinition": "web:1"})).await.is_err());
}

#[tokio::test]
async fn a_daemons_task_definition_is_deleted_by_the_next_sweep() {
    let api = Api::open(Arc::new(Memory::new())).await;
    let container = json!({"name": "c", "image": "i", "memory": 16});
    api.ok("RegisterDaemonTaskDefinition", json!({"family": "a", "containerDefinitions": [container]})).await;
    api.ok("DeleteDaemonTaskDefinition", json!({"daemonTaskDefinition": "a:1"})).await;
    api.home.sweep_once().await.unwrap();
    let shown = api.ok("DescribeDaemonTaskDefinition", json!({"daemonTaskDefinition": "a:1"})).await;
    assert_eq!(shown["daemonTaskDefinition"]["status"], "DELETED");
}

#[tokio::test]
async fn a_cluster_that_is_forgotten_is_let_go_and_can_be_made_anew() {
    let store = Arc::new(Memory::new());
    let api = Api::open(store.clone()).await;
    api.ok("DeleteCluster", json!({"cluster": "c"})).await;
    api.home.sweep_once().await.unwrap();
    let cluster = api.home.cluster_by_name("c").unwrap();
    let forget = |txn: &mut ::ecs::Txn| {
        ::ecs::clusters::forget(txn);
        Ok(())
    };
    cluster.execute("", forget).await.unwrap();
    assert!(store.get("000000000000/us-east-1/ecs/c/cluster").unwrap().is_none());
    api.home.sweep_once().await.unwrap();
    assert!(api.home.cluster_by_name("c").is_none());
    let again = Api::open(store).await;
    assert!(again.home.cluster_by_name("c").unwrap().read().state.row.active);
}

/// As the reference says of tasks that have tags, and ECS of whatever else names a deleted cluster.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTasks.html>
#[tokio::test]
async fn of_a_deleted_cluster_its_last_tasks_are_shown_and_nothing_else() {
    let api = Api::open(Arc::new(Memory::new())).await;
    api.define().await;
    let host = api.host().await;
    let task = api.run().await;
    api.stopped(&task).await;
    let deregister = json!({"cluster": "c", "containerInstance": host, "force": true});
    api.ok("DeregisterContainerInstance", deregister).await;
    let describe = json!({"cluster": "c", "tasks": [task]});
    let before = api.ok("DescribeTasks", describe.clone()).await;
    assert_eq!(before["tasks"][0]["lastStatus"], "STOPPED");
    api.ok("DeleteCluster", json!({"cluster": "c"})).await;
    assert_eq!(api.ok("DescribeTasks", describe).await, before);
    for (operation, request) in [
        ("ListTasks", json!({"cluster": "c"})),
        ("StopTask", json!({"cluster": "c", "task": task})),
        ("RunTask", json!({"cluster": "c", "taskDefinition": "web"})),
    ] {
        let refused = api.call(operation, request).await.unwrap_err();
        let words = ("ClusterNotFoundException", "The referenced cluster was inactive.");
        assert_eq!((refused.code(), refused.message()), words, "{operation}");
    }
    let refused = api.call("DescribeTasks", json!({"cluster": "d", "tasks": [task]})).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), ("ClusterNotFoundException", "Cluster not found."));
}

#[tokio::test]
async fn a_session_hands_out_everything_first_and_then_each_change() {
    let api = Api::open(Arc::new(Memory::new())).await;
    api.define().await;
    let instance = api.host().await;
    let (one, two) = (api.run().await, api.run().await);
    let mut session = api.session(&instance).await;
    let mut first = [next(&mut session).await.unwrap().0, next(&mut session).await.unwrap().0];
    first.sort();
    let mut want = [one.clone(), two.clone()];
    want.sort();
    assert_eq!(first, want);
    let three = api.run().await;
    assert_eq!(next(&mut session).await.unwrap(), (three.clone(), "RUNNING".to_owned()));
    api.stop(&one).await;
    assert_eq!(next(&mut session).await.unwrap(), (one.clone(), "STOPPED".to_owned()));
    let manifest = session.manifest().await.unwrap();
    assert_eq!(manifest.tasks.len(), 3);
    let named = |arn: &str| acs::TaskIdentifier { task_arn: Some(arn.to_owned()), ..Default::default() };
    let foreign = format!("{}/{}", instance.replace("container-instance", "task"), "0".repeat(32));
    let candidates = [&one, &two, &foreign].map(|arn| named(arn)).to_vec();
    let really = session.verify_stop(candidates.clone()).await;
    assert_eq!(really, [named(&foreign)], "the one that shall stop has its own assignment");
    // A new session begins with everything again, the one that shall stop too.
    drop(session);
    let mut session = api.session(&instance).await;
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(next(&mut session).await.unwrap());
    }
    assert!(
        all.contains(&(one.clone(), "STOPPED".to_owned())) && all.contains(&(two, "RUNNING".to_owned())),
        "{all:?}"
    );
    api.stopped(&one).await;
    assert_eq!(session.verify_stop(candidates).await, [named(&one), named(&foreign)]);
}

#[tokio::test]
async fn a_manifest_counts_after_a_backup_was_restored() {
    let mut timelines = Vec::new();
    // The second state has seen less than the first, as one from before.
    for commits in [30, 0] {
        let api = Api::open(Arc::new(Memory::new())).await;
        for number in 0..commits {
            api.ok("CreateCluster", json!({"clusterName": format!("other{number}")})).await;
        }
        let instance = api.host().await;
        timelines.push(api.session(&instance).await.manifest().await.unwrap().timeline);
    }
    assert!(timelines[0] <= timelines[1], "{timelines:?}");
}

#[tokio::test]
async fn a_deregistered_instance_loses_its_session_and_gets_no_other() {
    let api = Api::open(Arc::new(Memory::new())).await;
    api.define().await;
    let instance = api.host().await;
    let mut session = api.session(&instance).await;
    let request = json!({"cluster": "c", "containerInstance": instance, "force": true});
    api.ok("DeregisterContainerInstance", request).await;
    assert_eq!(next(&mut session).await, None);
    let refused =
        |refused: Result<_, crate::agent_link::Refusal>| refused.map(|_: Box<dyn Session>| ()).unwrap_err();
    assert_eq!(
        refused(api.homes.connect(hello(&instance), api.home.place(), "http://127.0.0.1:4566").await).kind,
        RefusalKind::InactiveInstance
    );
    let unknown = format!("{}{}", &instance[..instance.len() - 32], "0".repeat(32));
    assert_eq!(
        refused(api.homes.connect(hello(&unknown), api.home.place(), "http://127.0.0.1:4566").await).kind,
        RefusalKind::InvalidInstance
    );
}

impl Api {
    fn connected(&self, instance: &str) -> bool {
        let id = InstanceId::parse(instance.rsplit('/').next().unwrap()).unwrap();
        let visible = self.home.cluster_by_name("c").unwrap().read();
        visible.state.instance(&id).unwrap().agent_connected
    }

    async fn until(&self, what: &str, mut reached: impl FnMut(&Api) -> bool) {
        crate::runtime::testing::until(what, || reached(self)).await;
    }
}

fn full() -> Option<store::Error> {
    Some(store::Error::DiskFull { path: String::new(), detail: String::new() })
}

#[tokio::test]
async fn an_end_that_could_not_be_stored_is_stored_later() {
    let store = Arc::new(Memory::new());
    let api = Api::open(store.clone()).await;
    let instance = api.host().await;
    let session = api.session(&instance).await;
    assert!(api.connected(&instance));
    store.set_fault(full());
    drop(session);
    // A new session that could not be recorded is none, and its end counts.
    let refused =
        api.homes.connect(hello(&instance), api.home.place(), "http://127.0.0.1:4566").await.map(|_| ());
    assert_eq!(refused.unwrap_err().kind, RefusalKind::Server);
    assert!(api.connected(&instance), "not stored yet");
    store.set_fault(None);
    api.until("the host counts as gone", |api| !api.connected(&instance)).await;
    let _session = api.session(&instance).await;
    assert!(api.connected(&instance));
}

#[tokio::test]
async fn a_row_that_disagrees_with_its_link_is_put_right() {
    let api = Api::open(Arc::new(Memory::new())).await;
    // Its row says that it is connected, and there is no link.
    let instance = api.host().await;
    let other = api.host().await;
    let _session = api.session(&other).await;
    api.home.sweep_once().await.unwrap();
    assert!(!api.connected(&instance) && api.connected(&other));
}

#[tokio::test]
async fn manifests_count_up_though_the_clock_was_ahead() {
    let api = Api::open(Arc::new(Memory::new())).await;
    let instance = api.host().await;
    let id = InstanceId::parse(instance.rsplit('/').next().unwrap()).unwrap();
    let ahead = now().plus_millis(3_600_000).0;
    let write = move |txn: &mut ::ecs::Txn| {
        let row = txn.state.instance(&id).unwrap().as_ref().clone();
        txn.put_instance(::ecs::cluster::InstanceRow { timeline: ahead, ..row });
        Ok(())
    };
    api.home.cluster_by_name("c").unwrap().execute("", write).await.unwrap();
    let mut last = ahead;
    for _ in 0..2 {
        let mut session = api.session(&instance).await;
        for _ in 0..3 {
            let timeline = session.manifest().await.unwrap().timeline;
            assert!(timeline > last);
            last = timeline;
        }
    }
}

#[tokio::test]
async fn nothing_comes_into_a_cluster_that_is_deleted_meanwhile() {
    let api = Api::open(Arc::new(Memory::new())).await;
    api.define().await;
    let resources = json!([{"name": "CPU", "integerValue": 1}, {"name": "MEMORY", "integerValue": 1}]);
    for round in 0..40 {
        let name = format!("x{round}");
        api.ok("CreateCluster", json!({"clusterName": name})).await;
        let delete = api.call("DeleteCluster", json!({"cluster": name}));
        let (operation, input) = match round % 4 {
            0 => ("CreateService", json!({"serviceName": "s", "taskDefinition": "web", "desiredCount": 0})),
            1 => ("RegisterContainerInstance", json!({"totalResources": resources})),
            2 => ("UpdateCluster", json!({})),
            _ => ("TagResource", json!({"tags": [{"key": "k", "value": "v"}]})),
        };
        let mut input = input;
        input["cluster"] = name.as_str().into();
        let ctx = api.home.ctx("", now());
        input["resourceArn"] = ::ecs::arn::cluster(&ctx, &name).into();
        // The request finds the cluster before it is deleted, and has its turn after.
        let (deleted, done) = tokio::join!(delete, api.call(operation, input));
        deleted.unwrap();
        assert_eq!(done.unwrap_err().code(), "ClusterNotFoundException", "{operation}");
        let visible = api.home.cluster_by_name(&name).unwrap().read();
        assert!(!visible.state.row.active && visible.state.counts() == (0, 0), "{operation}");
    }
}

#[tokio::test]
async fn clusters_have_a_cap() {
    let api = Api::open(Arc::new(Memory::default())).await;
    let full = {
        let known = api.home.cluster_by_name("c").unwrap();
        let mut clusters = api.home.clusters_mut();
        // All of them the same: what counts is how many are ACTIVE.
        for number in clusters.len()..::ecs::limits::CLUSTERS {
            clusters.insert(format!("c{number}"), known.clone());
        }
        clusters.len()
    };
    let refused = api.call("CreateCluster", json!({"clusterName": "one-more"})).await.unwrap_err();
    assert_eq!((refused.code(), full), ("ClientException", ::ecs::limits::CLUSTERS), "{refused}");
    assert!(api.home.cluster_by_name("one-more").is_none());
    api.ok("CreateCluster", json!({"clusterName": "c"})).await;
    // Those that were deleted leave room, up to a point.
    api.ok("DeleteCluster", json!({"cluster": "c"})).await;
    api.ok("CreateCluster", json!({"clusterName": "one-more"})).await;
}

/// What these two answer is what the API reference says that they may.
#[tokio::test]
async fn a_deployment_whose_cluster_is_gone_is_gone() {
    let api = Api::open(Arc::new(Memory::new())).await;
    for (cluster, made) in [("never", false), ("gone", true)] {
        if made {
            api.ok("CreateCluster", json!({"clusterName": cluster})).await;
            api.ok("DeleteCluster", json!({"cluster": cluster})).await;
        }
        let arn = format!(
            "arn:aws:ecs:us-east-1:000000000000:service-deployment/{cluster}/s/NCWGC2ZR-taawPAYrIaU5"
        );
        let one = json!({"serviceDeploymentArn": arn});
        let hook = json!({"serviceDeploymentArn": arn, "hookId": "h"});
        for (operation, input) in [("StopServiceDeployment", one), ("ContinueServiceDeployment", hook)] {
            let refused = api.call(operation, input).await.unwrap_err();
            assert_eq!(refused.code(), "ServiceDeploymentNotFoundException", "{operation} {cluster}");
        }
        let refused = api.call("DescribeServiceDeployments", json!({"serviceDeploymentArns": [arn]})).await;
        assert_eq!(refused.unwrap_err().code(), "ClusterNotFoundException");
    }
}
