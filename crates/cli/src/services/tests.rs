//! The page of support is made of all services; and those that call others do so through the gate, over restarts.

mod rights;

use std::{fs, path::Path, sync::Arc, time::Duration};

use serde_json::{Value, json};
use server::{
    gate::Gate,
    keys::administrator,
    rights::Agents,
    runtime::{Identity, now},
    services::{
        self,
        ecs::{Ecs, Homes},
        sts::Sts,
    },
};
use store::{Store, memory::Memory};
use wire::Error;

use super::*;

const ACCOUNT: &str = "000000000000";
const REGION: &str = "us-east-1";
const ROLE: &str = "arn:aws:iam::000000000000:role/runs";

#[test]
fn the_support_page_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/support.md");
    let text = services::support_page(&hosted());
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &text).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == text,
        "run `UPDATE=1 cargo test -p cli support_page`"
    );
}

#[test]
fn on_a_disk_that_is_nearly_full_what_makes_rows_is_refused() {
    let others = [
        "Delete",
        "Describe",
        "Detach",
        "Disable",
        "Disassociate",
        "Get",
        "List",
        "Release",
        "Remove",
        "Revoke",
        "Test",
        "Untag",
    ];
    for built in hosted().iter().flat_map(|host| host.support().1.built) {
        let ends_or_looks = others.iter().any(|word| built.operation.starts_with(word));
        assert_eq!(built.grows, !ends_or_looks, "{}", built.operation);
    }
}

/// A control plane without logs and without a listener.
struct Plane {
    homes: Arc<Homes>,
    gate: Arc<Gate>,
}

impl Plane {
    async fn open(store: &Arc<Memory>) -> Plane {
        let identity =
            Identity { account: ACCOUNT.to_owned(), region: REGION.to_owned(), partition: "aws".to_owned() };
        let mut hosted = hosted();
        let mut loads: Vec<_> = hosted.iter_mut().map(|host| host.loads()).collect();
        let read = Homes::read(store.clone(), identity, &mut loads).unwrap();
        let bus = hosted.iter().find_map(|host| host.event_bus()).unwrap();
        let homes = read.start(bus);
        let mut all: Vec<Arc<dyn server::gate::Service>> =
            vec![Arc::new(Ecs::new(homes.clone()).unwrap()), Arc::new(Sts)];
        all.extend(hosted.iter().map(|host| host.service().unwrap()));
        let gate = Arc::new(Gate::new(all, Arc::new(Agents::new(homes.clone()))).unwrap());
        hosted.into_iter().for_each(|host| host.start(&homes, &gate));
        Plane { homes, gate }
    }

    async fn call(&self, service: &str, operation: &str, input: Value) -> Result<Value, Error> {
        let caller = administrator("aws", ACCOUNT, "test");
        self.gate.call(&caller, (service, operation), input, (REGION.into(), now())).await
    }

    async fn ok(&self, service: &str, operation: &str, input: Value) -> Value {
        self.call(service, operation, input).await.unwrap()
    }
}

fn arn(service: &str, resource: &str) -> String {
    format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}")
}

/// What was given up, as the next start finds it.
fn given_up(store: &Arc<Memory>) -> Vec<state::outbox::GivenUp> {
    let mut hosted = hosted();
    let identity =
        Identity { account: ACCOUNT.to_owned(), region: REGION.to_owned(), partition: "aws".to_owned() };
    let mut loads: Vec<_> = hosted.iter_mut().map(|host| host.loads()).collect();
    drop(Homes::open(store.clone(), identity, &mut loads).unwrap());
    hosted.iter().flat_map(|host| host.given_up()).map(|(_, one)| one).collect()
}

async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    loop {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn at_once(name: &str, target: Value) -> Value {
    json!({
        "Name": name, "ScheduleExpression": "at(2020-01-01T00:00:00)", "FlexibleTimeWindow": {"Mode": "OFF"},
        "ActionAfterCompletion": "DELETE", "Target": target,
    })
}

#[tokio::test]
async fn schedules_and_rules_call_through_the_gate_and_what_fails_is_remembered() {
    let store = Arc::new(Memory::new());
    let plane = Plane::open(&store).await;
    plane.ok("ecs", "CreateCluster", json!({"clusterName": "c"})).await;
    // Of the models' names, with the first letter of a member as the universal target writes it.
    let target = json!({
        "Arn": "arn:aws:scheduler:::aws-sdk:ecs:createCluster", "RoleArn": ROLE,
        "Input": r#"{"ClusterName": "made"}"#,
    });
    plane.ok("scheduler", "CreateSchedule", at_once("makes", target)).await;
    until(async || plane.homes.own().cluster_by_name("made")).await;
    let gone = async || plane.call("scheduler", "GetSchedule", json!({"Name": "makes"})).await.err();
    assert_eq!(until(gone).await.code(), "ResourceNotFoundException", "it deleted itself");
    // Neither has anything to run.
    let target = json!({
        "Arn": arn("ecs", "cluster/c"), "RoleArn": ROLE, "EcsParameters": {"TaskDefinitionArn": "web"},
    });
    plane.ok("scheduler", "CreateSchedule", at_once("fails", target)).await;
    plane.ok("events", "PutRule", json!({"Name": "r", "EventPattern": r#"{"source":["app"]}"#})).await;
    let target = json!({
        "Id": "t", "Arn": arn("ecs", "cluster/c"), "RoleArn": ROLE,
        "EcsParameters": {"TaskDefinitionArn": "web"},
    });
    plane.ok("events", "PutTargets", json!({"Rule": "r", "Targets": [target]})).await;
    let entry = json!({"Source": "app", "DetailType": "T", "Detail": "{}"});
    plane.ok("events", "PutEvents", json!({"Entries": [entry]})).await;
    let found = until(async || Some(given_up(&store)).filter(|found| found.len() == 2)).await;
    let told: Vec<_> = found.iter().map(|one| (one.for_whom.as_str(), one.code.as_str())).collect();
    let schedule = arn("scheduler", "schedule/default/fails");
    let expected = [
        ("target t of rule r on event bus default", "ClientException"),
        (schedule.as_str(), "ClientException"),
    ];
    assert_eq!(told, expected, "{found:?}");
}

/// A container instance and a task definition of each family.
async fn with_host(plane: &Plane, families: &[&str]) {
    plane.ok("ecs", "CreateCluster", json!({"clusterName": "c"})).await;
    let resource = |name: &str| json!({"name": name, "type": "INTEGER", "integerValue": 10_000});
    let able = json!([{"name": "com.amazonaws.ecs.capability.docker-remote-api.1.18"}]);
    let host =
        json!({"cluster": "c", "totalResources": [resource("CPU"), resource("MEMORY")], "attributes": able});
    let host = plane.ok("ecs", "RegisterContainerInstance", host).await;
    let id = host["containerInstance"]["containerInstanceArn"].as_str().unwrap().rsplit('/').next().unwrap();
    let id = ::ecs::cluster::InstanceId::parse(id).unwrap();
    let connect = move |txn: &mut ::ecs::Txn| {
        ::ecs::instance::state::connection(txn, &id, Some(Default::default()));
        Ok(())
    };
    plane.homes.own().cluster_by_name("c").unwrap().execute("", connect).await.unwrap();
    for family in families {
        let container = json!({"name": "app", "image": "busybox", "memory": 10});
        let definition = json!({"family": family, "containerDefinitions": [container]});
        plane.ok("ecs", "RegisterTaskDefinition", definition).await;
    }
}

/// The tasks of a family that are remembered, whatever they do.
fn tasks(plane: &Plane, family: &str) -> Vec<String> {
    let visible = plane.homes.own().cluster_by_name("c").unwrap().read();
    let of = visible.state.tasks().filter(|task| task.task_definition.family == family);
    of.map(|task| arn("ecs", &format!("task/c/{}", task.id))).collect()
}

/// Has a control plane live for as long as the work takes; then all ends at once, whatever it was at.
fn alive<T>(store: &Arc<Memory>, work: impl AsyncFnOnce(&Plane) -> T) -> T {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async { work(&Plane::open(store).await).await })
}

/// How many events of the cluster wait, and how many were lost.
fn waiting(plane: &Plane) -> (usize, u64) {
    let visible = plane.homes.own().cluster_by_name("c").unwrap().read();
    ::ecs::announce::waiting(&visible.state)
}

/// A task of family `a` begins and ends.
async fn one_task(plane: &Plane) {
    let run = json!({"cluster": "c", "taskDefinition": "a"});
    let task = plane.ok("ecs", "RunTask", run).await["tasks"][0]["taskArn"].clone();
    let stopped = json!({"cluster": "c", "task": task, "status": "STOPPED"});
    plane.ok("ecs", "SubmitTaskStateChange", stopped).await;
}

#[test]
fn what_happens_to_tasks_runs_others_once_each_over_restarts() {
    let store = Arc::new(Memory::new());
    let at_rest = || {
        let span = store::Span::prefix(&format!("{ACCOUNT}/{REGION}/events/@/delivery/"));
        store.range(&span, 0).unwrap().entries.is_empty()
    };
    alive(&store, async |plane| {
        with_host(plane, &["a", "b"]).await;
        one_task(plane).await;
        assert_eq!(waiting(plane), (0, 0), "nobody listens");
        let pattern = json!({
            "source": ["aws.ecs"], "detail-type": ["ECS Task State Change"],
            "detail": {"lastStatus": ["STOPPED"], "group": ["family:a"]},
        });
        plane.ok("events", "PutRule", json!({"Name": "r", "EventPattern": pattern.to_string()})).await;
        let target = json!({
            "Id": "t", "Arn": arn("ecs", "cluster/c"), "RoleArn": ROLE,
            "EcsParameters": {"TaskDefinitionArn": "b"},
        });
        plane.ok("events", "PutTargets", json!({"Rule": "r", "Targets": [target]})).await;
        one_task(plane).await;
    });
    for round in 1..=5 {
        alive(&store, async |plane| {
            until(async || (tasks(plane, "b").len() >= round).then_some(())).await;
            until(async || (waiting(plane) == (0, 0) && at_rest()).then_some(())).await;
            assert_eq!(tasks(plane, "b").len(), round);
            one_task(plane).await;
        });
    }
}

#[tokio::test]
async fn a_target_is_what_is_built_and_a_role_of_the_account() {
    let plane = Plane::open(&Arc::new(Memory::new())).await;
    let of = |arn: &str, role: &str| json!({"Arn": arn, "RoleArn": role, "Input": "{}"});
    for (target, told) in [
        (of("arn:aws:scheduler:::aws-sdk:ecs:createExpressGatewayService", ROLE), "is not built"),
        (of("arn:aws:scheduler:::aws-sdk:sqs:sendMessage", ROLE), "is not built"),
        (of("arn:aws:scheduler:::aws-sdk:ecs:listTasks", ROLE), "not supported"),
        (
            of("arn:aws:scheduler:::aws-sdk:ecs:createCluster", "arn:aws:iam::111111111111:role/runs"),
            "assume",
        ),
    ] {
        let refused =
            plane.call("scheduler", "CreateSchedule", at_once("s", target.clone())).await.unwrap_err();
        assert_eq!(refused.code(), "ValidationException");
        assert!(refused.message().contains(told), "{target}: {}", refused.message());
    }
    let target = of("arn:aws:scheduler:::aws-sdk:eventbridge:putRule", ROLE);
    plane.ok("scheduler", "CreateSchedule", at_once("s", target)).await;
}

#[tokio::test]
async fn a_row_that_cannot_be_read_costs_its_service_nothing_else() {
    let store = Arc::new(Memory::new());
    let plane = Plane::open(&store).await;
    for name in ["a", "b"] {
        plane.ok("events", "CreateEventBus", json!({"Name": name})).await;
        plane.ok("scheduler", "CreateScheduleGroup", json!({"Name": name})).await;
    }
    for row in ["events/@/bus/a", "scheduler/@/group/a"] {
        let key = format!("{ACCOUNT}/{REGION}/{row}");
        assert!(store.get(&key).unwrap().is_some(), "{key}");
        store.commit(store::Commit::new().put(key.as_str(), "{\"v\":9}")).unwrap();
    }
    let plane = Plane::open(&store).await;
    let buses = plane.ok("events", "ListEventBuses", json!({})).await;
    assert_eq!(buses["EventBuses"].as_array().unwrap().len(), 2, "b and default: {buses}");
    let groups = plane.ok("scheduler", "ListScheduleGroups", json!({})).await;
    assert_eq!(groups["ScheduleGroups"].as_array().unwrap().len(), 2, "b and default: {groups}");
    let aside: Vec<_> = store::aside::list(store.as_ref()).unwrap().into_iter().map(|row| row.key).collect();
    assert_eq!(aside.len(), 2, "{aside:?}");
}
