//! The events of a small cluster, in the shape that AWS documents, in order, and only where somebody listens.

use std::sync::Arc;

use serde_json::{Value, json};
use state::{
    Change as Changed, Domain, Table,
    contract::{EventOut, Tells, forget},
};

use super::*;
use crate::{
    instance,
    service::{create::create_service, delete::delete_service, update::update_service},
    task::{report::submit_task_state_change, run::run_task, stop::stop_task},
    testing::World,
};

const NOW: &str = "2023-11-14T22:13:20.000Z";

fn listened() -> World {
    let mut world = World::new();
    world.listened = true;
    world
}

/// What was said since this was asked for the last time.
fn heard(world: &mut World) -> Vec<Arc<EventOut>> {
    let events = world.state.outgoing().waiting().cloned().collect();
    assert!(world.run(|txn| Ok(forget(txn, u64::MAX))).unwrap());
    assert!(world.state.outgoing().is_empty());
    events
}

/// Those of one type.
fn of(events: &[Arc<EventOut>], detail_type: &str) -> Vec<Arc<EventOut>> {
    events.iter().filter(|event| event.detail_type == detail_type).cloned().collect()
}

/// What services said: type, name and reason.
fn said(events: &[Arc<EventOut>]) -> Vec<(String, String, Option<String>)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let services = events.iter().filter(|event| event.detail["eventName"].is_string());
    let one = |event: &Arc<EventOut>| {
        let detail = &event.detail;
        let reason = text(&detail["reason"]).filter(|_| event.detail_type == ACTION);
        (text(&detail["eventType"]).unwrap(), text(&detail["eventName"]).unwrap(), reason)
    };
    services.map(one).collect()
}

fn named(kind: &str, name: &str) -> (String, String, Option<String>) {
    (kind.to_owned(), name.to_owned(), None)
}

fn arn(resource: &str) -> String {
    format!("arn:aws:ecs:us-east-1:000000000000:{resource}")
}

/// `PENDING/RUNNING/PENDING`: of the task, wanted, of its first container.
fn statuses(event: &EventOut) -> String {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let detail = &event.detail;
    let container = text(&detail["containers"][0]["lastStatus"]);
    format!("{}/{}/{container}", text(&detail["lastStatus"]), text(&detail["desiredStatus"]))
}

#[test]
fn a_task_is_told_as_aws_documents_it() {
    let mut world = listened();
    let host = world.host(1000);
    let request = json!({"taskDefinition": "web", "startedBy": "me", "tags": [{"key": "k", "value": "v"}]});
    let task = world.call(run_task, request).unwrap().tasks.unwrap().remove(0).task_arn.unwrap();
    heard(&mut world);
    let id = task.rsplit('/').next().unwrap().to_owned();
    world.pass(1500);
    let container = json!({
        "containerName": "app", "status": "RUNNING", "runtimeId": "r1", "imageDigest": "sha256:aa",
        "networkBindings": [{"bindIP": "0.0.0.0", "containerPort": 80, "hostPort": 32768, "protocol": "tcp"}],
    });
    let report = json!({
        "task": id, "status": "RUNNING", "containers": [container],
        "pullStartedAt": 1_700_000_000.25, "pullStoppedAt": 1_700_000_001,
    });
    world.call(submit_task_state_change, report).unwrap();
    let event = of(&heard(&mut world), TASK).remove(0);
    assert_eq!((event.source.as_str(), &*event.resources), ("aws.ecs", &[task.clone()][..]));
    assert_eq!((event.id.len(), event.time), (36, world.ctx.now));
    let container_id = world.state.tasks().next().unwrap().containers[0].id.clone();
    let later = "2023-11-14T22:13:21.500Z";
    let golden = json!({
        "attachments": [],
        "attributes": [{"name": "ecs.cpu-architecture", "value": "x86_64"}],
        "availabilityZone": "us-east-1a",
        "clusterArn": arn("cluster/c"),
        "connectivity": "CONNECTED",
        "connectivityAt": later,
        "containerInstanceArn": arn(&format!("container-instance/c/{host}")),
        "containers": [{
            "containerArn": arn(&format!("container/c/{id}/{container_id}")),
            "taskArn": task,
            "name": "app",
            "image": "busybox",
            "imageDigest": "sha256:aa",
            "runtimeId": "r1",
            "lastStatus": "RUNNING",
            "networkBindings":
                [{"bindIP": "0.0.0.0", "containerPort": 80, "hostPort": 32768, "protocol": "tcp"}],
            "networkInterfaces": [],
            "cpu": "10",
            "memory": "100",
        }],
        "cpu": "10",
        "createdAt": NOW,
        "desiredStatus": "RUNNING",
        "enableExecuteCommand": false,
        "group": "family:web",
        "lastStatus": "RUNNING",
        "launchType": "EC2",
        "memory": "100",
        "overrides": {"containerOverrides": [{"name": "app"}]},
        "pullStartedAt": "2023-11-14T22:13:20.250Z",
        "pullStoppedAt": "2023-11-14T22:13:21.000Z",
        "startedAt": later,
        "startedBy": "me",
        "taskArn": task,
        "taskDefinitionArn": arn("task-definition/web:2"),
        "updatedAt": later,
        "version": 2,
    });
    assert_eq!(event.detail, golden);
    world.report(&id, "STOPPED", Some(3));
    let detail = &of(&heard(&mut world), TASK)[0].detail;
    assert_eq!(detail["stopCode"], "EssentialContainerExited");
    assert_eq!(detail["stoppedReason"], "Essential container in task exited");
    assert_eq!((&detail["containers"][0]["exitCode"], &detail["version"]), (&json!(3), &json!(3)));
    for time in ["stoppingAt", "stoppedAt", "executionStoppedAt"] {
        assert_eq!(detail[time], later, "{time}");
    }
}

#[test]
fn each_change_of_a_status_is_told_once_and_nothing_else_of_a_task() {
    let mut world = listened();
    world.host(1000);
    let task = world.call(run_task, json!({"taskDefinition": "checked"})).unwrap().tasks.unwrap().remove(0);
    let task = task.task_arn.unwrap();
    world.report(&task, "PENDING", None);
    world.report(&task, "RUNNING", None);
    world.report(&task, "RUNNING", None);
    let verdicts = [("app".to_owned(), crate::rows::HealthStatus::Healthy)].into();
    let (id, host) = {
        let row = world.state.tasks().next().unwrap();
        (row.id, row.instance.unwrap())
    };
    let healthy = |txn: &mut Txn| Ok(crate::task::report::health(txn, &host, [(id, verdicts)].into()));
    world.run(healthy).unwrap();
    let tag = json!({"resourceArn": task, "tags": [{"key": "k", "value": "v"}]});
    world.call(crate::tags::tag_resource, tag).unwrap();
    world.call(stop_task, json!({"task": task})).unwrap();
    world.report(&task, "STOPPED", Some(143));
    world.pass(2 * crate::limits::STOPPED_TASK_KEPT_MS);
    assert_eq!(world.state.tasks_kept(), 0, "forgotten, without a word");
    let events = of(&heard(&mut world), TASK);
    let told: Vec<String> = events.iter().map(|event| statuses(event)).collect();
    let expected = [
        "PENDING/RUNNING/PENDING",
        "RUNNING/RUNNING/RUNNING",
        "STOPPING/STOPPED/RUNNING",
        "STOPPED/STOPPED/STOPPED",
    ];
    assert_eq!(told, expected);
    assert!(events.is_sorted_by_key(|event| event.sequence));
    let versions: Vec<_> = events.iter().map(|event| event.detail["version"].as_i64().unwrap()).collect();
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
}

#[test]
fn a_container_instance_is_told_as_aws_documents_it() {
    let mut world = listened();
    let resource = |name: &str, value: i32| json!({"name": name, "type": "INTEGER", "integerValue": value});
    let ports = json!({"name": "PORTS", "type": "STRINGSET", "stringSetValue": ["22"]});
    let request = json!({
        "totalResources": [resource("CPU", 2048), resource("MEMORY", 3767), ports],
        "attributes": [{"name": "com.amazonaws.ecs.capability.docker-remote-api.1.24"}],
        "versionInfo": {"agentVersion": "1.0.0", "agentHash": "abc", "dockerVersion": "DockerVersion: 25"},
    });
    world.call(instance::register::register_container_instance, request).unwrap();
    let id = world.state.instances().next().unwrap().id.to_string();
    let event = heard(&mut world).remove(0);
    let arn_of_it = arn(&format!("container-instance/c/{id}"));
    assert_eq!((event.detail_type.as_str(), &*event.resources), (INSTANCE, &[arn_of_it.clone()][..]));
    let all = |cpu: i64, memory: i64, ports: Value| {
        json!([
            {"name": "CPU", "type": "INTEGER", "integerValue": cpu},
            {"name": "MEMORY", "type": "INTEGER", "integerValue": memory},
            {"name": "PORTS", "type": "STRINGSET", "stringSetValue": ports},
            {"name": "PORTS_UDP", "type": "STRINGSET", "stringSetValue": []},
        ])
    };
    let golden = json!({
        "agentConnected": false,
        "attributes": [
            {"name": "com.amazonaws.ecs.capability.docker-remote-api.1.24"},
            {"name": "ecs.availability-zone", "value": "us-east-1a"},
            {"name": "ecs.cpu-architecture", "value": "x86_64"},
        ],
        "clusterArn": arn("cluster/c"),
        "containerInstanceArn": arn_of_it,
        "ec2InstanceId": format!("i-{}", &id[..17]),
        "registeredResources": all(2048, 3767, json!(["22"])),
        "remainingResources": all(2048, 3767, json!(["22"])),
        "status": "ACTIVE",
        "version": 1,
        "versionInfo": {"agentVersion": "1.0.0", "agentHash": "abc", "dockerVersion": "DockerVersion: 25"},
        "updatedAt": NOW,
    });
    assert_eq!(event.detail, golden);
    world.connect(&id, true);
    world.call(run_task, json!({"taskDefinition": "port"})).unwrap();
    let task = world.live().remove(0);
    world.report(&task, "RUNNING", None);
    world.report(&task, "STOPPED", Some(0));
    let status = json!({"containerInstances": [id], "status": "DRAINING"});
    world.call(instance::state::update_container_instances_state, status).unwrap();
    world.connect(&id, false);
    world.call(instance::state::deregister_container_instance, json!({"containerInstance": id})).unwrap();
    world.pass(2 * crate::limits::INACTIVE_KEPT_MS);
    let events = of(&heard(&mut world), INSTANCE);
    let brief = |event: &Arc<EventOut>| {
        let detail = &event.detail;
        let remaining = detail["remainingResources"].clone();
        (detail["version"].clone(), detail["agentConnected"].clone(), detail["status"].clone(), remaining)
    };
    let free = || all(2048, 3767, json!(["22"]));
    let expected = [
        (json!(2), json!(true), json!("ACTIVE"), free()),
        (json!(3), json!(true), json!("ACTIVE"), all(2038, 3667, json!(["22", "8080"]))),
        (json!(4), json!(true), json!("ACTIVE"), free()),
        (json!(5), json!(true), json!("DRAINING"), free()),
        (json!(6), json!(false), json!("DRAINING"), free()),
        (json!(7), json!(false), json!("INACTIVE"), free()),
    ];
    assert_eq!(events.iter().map(brief).collect::<Vec<_>>(), expected);
}

#[test]
fn a_service_is_told_as_aws_documents_it() {
    let mut world = listened();
    world.host(1000);
    let request = json!({"serviceName": "s", "taskDefinition": "web", "desiredCount": 2});
    world.call(create_service, request).unwrap();
    let events = heard(&mut world);
    let about = [arn("service/c/s")];
    let deployment = world.service("s").deployments.unwrap().remove(0).id.unwrap();
    let begun = &of(&events, DEPLOYMENT)[0];
    assert_eq!(begun.resources, about);
    let golden = json!({
        "eventType": "INFO",
        "eventName": "SERVICE_DEPLOYMENT_IN_PROGRESS",
        "clusterArn": arn("cluster/c"),
        "deploymentId": deployment,
        "updatedAt": NOW,
        "reason": format!("ECS deployment {deployment} in progress."),
    });
    assert_eq!(begun.detail, golden);
    world.obey();
    let events = heard(&mut world);
    let expected = [named("INFO", "SERVICE_DEPLOYMENT_COMPLETED"), named("INFO", "SERVICE_STEADY_STATE")];
    assert_eq!(said(&events), expected);
    let steady = &of(&events, ACTION)[0];
    assert_eq!(steady.resources, about);
    let golden = json!({
        "eventType": "INFO",
        "eventName": "SERVICE_STEADY_STATE",
        "clusterArn": arn("cluster/c"),
        "createdAt": NOW,
    });
    assert_eq!(steady.detail, golden);
    world.call(update_service, json!({"service": "s", "taskDefinition": "web:1"})).unwrap();
    world.obey();
    let events = said(&heard(&mut world));
    let stopped = events.iter().filter(|event| event.1 == "TASKS_STOPPED").count();
    assert!((1..=2).contains(&stopped), "{events:?}");
    let rest: Vec<_> = events.into_iter().filter(|event| event.1 != "TASKS_STOPPED").collect();
    let mut all = vec![named("INFO", "SERVICE_DEPLOYMENT_IN_PROGRESS")];
    all.extend(expected);
    assert_eq!(rest, all);
    world.call(update_service, json!({"service": "s", "desiredCount": 0})).unwrap();
    world.obey();
    world.call(delete_service, json!({"service": "s"})).unwrap();
    let names: Vec<_> = said(&heard(&mut world)).into_iter().map(|event| event.1).collect();
    assert_eq!(names, ["TASKS_STOPPED", "SERVICE_STEADY_STATE"]);
}

#[test]
fn a_service_that_cannot_start_its_tasks_says_why() {
    let mut world = listened();
    let create =
        |name: &str, count: i32| json!({"serviceName": name, "taskDefinition": "web", "desiredCount": count});
    let failure = |reason: &str| {
        let (kind, name) = ("ERROR", "SERVICE_TASK_PLACEMENT_FAILURE");
        (kind.to_owned(), name.to_owned(), Some(reason.to_owned()))
    };
    world.call(create_service, create("s", 1)).unwrap();
    assert_eq!(said(&heard(&mut world))[1..], [failure("NO ACTIVE INSTANCES")]);
    world.pass(crate::limits::PLACEMENT_RETRY_MS);
    assert_eq!(said(&heard(&mut world)), [], "said once");
    let host = world.host(150);
    world.call(create_service, create("more", 1)).unwrap();
    assert!(said(&heard(&mut world)).contains(&failure("RESOURCE:MEMORY")));
    world.connect(&host, false);
    world.call(create_service, create("away", 1)).unwrap();
    assert!(said(&heard(&mut world)).contains(&failure("AGENT")));
    world.connect(&host, true);
    for _ in 0..4 {
        let task = world.live().remove(0);
        world.report(&task, "STOPPED", Some(1));
        world.pass(600_000);
    }
    assert!(said(&heard(&mut world)).contains(&named("WARN", "SERVICE_TASK_START_IMPAIRED")));
}

#[test]
fn the_desired_count_of_a_daemon_is_told_and_a_users_is_not() {
    let mut world = listened();
    let daemon = json!({"serviceName": "d", "taskDefinition": "web", "schedulingStrategy": "DAEMON"});
    world.call(create_service, daemon).unwrap();
    world.host(1000);
    world.obey();
    let counted = named("INFO", "SERVICE_DESIRED_COUNT_UPDATED");
    let count = |events: &[_]| events.iter().filter(|event| **event == counted).count();
    assert_eq!(count(&said(&heard(&mut world))), 1);
    let request = json!({"serviceName": "s", "taskDefinition": "web", "desiredCount": 1});
    world.call(create_service, request).unwrap();
    world.call(update_service, json!({"service": "s", "desiredCount": 2})).unwrap();
    assert_eq!(count(&said(&heard(&mut world))), 0);
}

#[test]
fn nobody_pays_who_does_not_listen() {
    let mut world = World::new();
    world.host(1000);
    let before = world.state.instances().next().unwrap().version;
    world.call(run_task, json!({"taskDefinition": "web", "count": 3})).unwrap();
    assert_eq!(world.changed.len(), 3);
    world.obey();
    assert!(world.state.outgoing().is_empty() && world.state.outgoing().sequence().is_none());
    assert_eq!(world.state.instances().next().unwrap().version, before);
}

#[test]
fn an_event_costs_the_same_in_a_large_cluster() {
    let cost = |others: usize| {
        let mut world = listened();
        (0..others).for_each(|_| drop(world.host(1)));
        world.host(1_000_000);
        for _ in 0..others {
            world.call(run_task, json!({"taskDefinition": "web", "count": 10})).unwrap();
            heard(&mut world);
        }
        world.call(run_task, json!({"taskDefinition": "web"})).unwrap();
        let (run, changed) = (world.looked, world.changed.len());
        let task = world.live().pop().unwrap();
        world.report(&task, "RUNNING", None);
        (run, changed, world.looked, world.changed.len())
    };
    let (small, large) = (cost(2), cost(60));
    assert_eq!((small.1, small.3), (large.1, large.3));
    assert!(large.2 <= small.2 + 4, "a report looks at {} rows, and at {}", small.2, large.2);
}

#[test]
fn what_waits_is_there_after_a_restart_and_numbers_go_on() {
    let mut world = listened();
    world.host(1000);
    world.call(run_task, json!({"taskDefinition": "web"})).unwrap();
    let before: Vec<_> = world.state.outgoing().waiting().cloned().collect();
    let mut rows: Vec<Row> = before.iter().cloned().map(Row::EventOut).collect();
    rows.push(world.state.outgoing().sequence().unwrap().into());
    let mut read = Cluster::of(world.state.row.as_ref().clone());
    for row in rows {
        let path = Row::path(&row.key());
        read.apply(&Changed::Put(Row::decode(&path, &row.encode()).unwrap()));
    }
    assert!(read.outgoing().waiting().eq(&before));
    let last = before.last().unwrap().sequence;
    assert_eq!(read.outgoing().sequence().unwrap().last, last);
    heard(&mut world);
    let task = world.live().remove(0);
    world.report(&task, "RUNNING", None);
    assert_eq!(heard(&mut world)[0].sequence, last + 1);
}

#[test]
fn a_host_with_many_tasks_is_given_up_in_steps_that_fit_though_each_is_told() {
    let mut world = listened();
    let host = world.host(1_000_000);
    for _ in 0..100 {
        world.call(run_task, json!({"taskDefinition": "web", "count": 10})).unwrap();
    }
    heard_all(&mut world);
    world
        .call(
            instance::state::deregister_container_instance,
            json!({"containerInstance": host, "force": true}),
        )
        .unwrap();
    while world.state.agenda().wake_at().is_some_and(|at| at <= world.ctx.now) {
        world.pass(0);
    }
    let events = heard_all(&mut world);
    assert_eq!(of(&events, TASK).len(), 1000);
    assert!(of(&events, TASK).iter().all(|event| event.detail["lastStatus"] == "STOPPED"));
    let last = of(&events, INSTANCE).pop().unwrap();
    assert_eq!(last.detail["remainingResources"], last.detail["registeredResources"]);
    // A cluster that is forgotten leaves nothing.
    world.listened = false;
    world.call(crate::clusters::delete_cluster, json!({"cluster": "c"})).unwrap();
    world.listened = true;
    while !world.state.gone() {
        world.pass(2 * crate::limits::INACTIVE_KEPT_MS);
    }
    assert!(world.state.outgoing().is_empty() && world.state.outgoing().sequence().is_none());
}

fn heard_all(world: &mut World) -> Vec<Arc<EventOut>> {
    let events = world.state.outgoing().waiting().cloned().collect();
    while !world.run(|txn| Ok(forget(txn, u64::MAX))).unwrap() {}
    events
}

#[test]
fn daemons_say_what_becomes_of_their_deployments_and_why_a_task_does_not_start() {
    let mut world = listened();
    world.provider("own");
    world.define_daemon("agent", json!({}));
    let host = world.host_of("own", 1000);
    let create = json!({
        "daemonName": "agent", "daemonTaskDefinitionArn": "agent", "capacityProviderArns": ["own"],
    });
    heard(&mut world);
    world.call(crate::daemon::change::create_daemon, create.clone()).unwrap();
    let events = of(&heard(&mut world), "ECS Daemon Deployment State Change");
    assert_eq!(events[0].detail["eventName"], "DAEMON_DEPLOYMENT_PENDING");
    let detail = &events[1].detail;
    assert_eq!(
        (&detail["eventName"], &detail["eventType"]),
        (&json!("DAEMON_DEPLOYMENT_IN_PROGRESS"), &json!("INFO"))
    );
    assert_eq!(
        (&events[0].resources, &detail["daemonArn"]),
        (&vec![arn("daemon/c/agent")], &json!(arn("daemon/c/agent")))
    );
    assert!(
        detail["targetDaemonRevisionArn"].as_str().unwrap().starts_with(&arn("daemon-revision/c/agent/"))
    );
    let task = world.live().remove(0);
    world.report(&task, "STOPPED", Some(1));
    let events = of(&heard(&mut world), "ECS Daemon Service Action");
    let detail = &events[0].detail;
    assert_eq!(
        (&events[0].resources, &detail["failureType"]),
        (&vec![arn(&format!("task/c/{task}"))], &json!("TASK_FAILED_TO_RUN"))
    );
    assert_eq!(detail["containerInstanceArn"], json!(arn(&format!("container-instance/c/{host}"))));
    assert_eq!(detail["capacityProviderName"], "own");
    assert_eq!(detail["reason"], "Task failed to reach RUNNING status: Essential container in task exited");
    // A second daemon, for which there is no room.
    world.define_daemon("large", json!({"memory": 2000}));
    let mut large = create;
    large["daemonName"] = json!("large");
    large["daemonTaskDefinitionArn"] = json!("large");
    world.call(crate::daemon::change::create_daemon, large).unwrap();
    let events = of(&heard(&mut world), "ECS Daemon Service Action");
    assert_eq!(events[0].detail["failureType"], "TASK_CREATION_FAILED");
    assert_eq!(
        events[0].detail["reason"],
        "RESOURCE:MEMORY - Unable to place daemon task on container instance: insufficient memory"
    );
}
