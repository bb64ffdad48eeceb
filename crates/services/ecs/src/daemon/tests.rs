//! Lives of daemons, from the words of the API. Every step is checked against the invariants.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{change, delete, describe};
use crate::{
    cluster::{Desired, TaskStatus},
    instance::{describe as instances, state},
    limits,
    task::{list, run, stop},
    testing::{World, refusal},
};

const ARN: &str = "arn:aws:ecs:us-east-1:000000000000:daemon/c/agent";

/// A cluster with so many container instances of the capacity provider `own`, and the daemon definition `agent`.
fn world(hosts: usize) -> (World, Vec<String>) {
    let mut world = World::new();
    world.provider("own");
    world.define_daemon("agent", json!({}));
    let hosts = (0..hosts).map(|_| world.host_of("own", 1000)).collect();
    (world, hosts)
}

fn create(world: &mut World, more: Value) {
    let mut request = json!({
        "daemonName": "agent", "daemonTaskDefinitionArn": "agent", "capacityProviderArns": ["own"],
    });
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.call(change::create_daemon, request).unwrap();
}

fn update(world: &mut World, more: Value) {
    let mut request = json!({
        "daemonArn": ARN, "daemonTaskDefinitionArn": "agent", "capacityProviderArns": ["own"],
    });
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.call(change::update_daemon, request).unwrap();
}

/// The newest deployment.
fn deployment(world: &World) -> ecs_model::DaemonDeployment {
    let listed = world.look(describe::list_daemon_deployments, json!({"daemonArn": ARN})).unwrap();
    let newest = listed.daemon_deployments.unwrap()[0].daemon_deployment_arn.clone().unwrap();
    let request = json!({"daemonDeploymentArns": [newest]});
    world.look(describe::describe_daemon_deployments, request).unwrap().daemon_deployments.unwrap().remove(0)
}

fn status(world: &World) -> String {
    deployment(world).status.unwrap().to_string()
}

fn detail(world: &World) -> ecs_model::DaemonDetail {
    world.look(describe::describe_daemon, json!({"daemonArn": ARN})).unwrap().daemon.unwrap()
}

/// The status of a container instance.
fn of_host(world: &World, id: &str) -> String {
    let reply = world.look(instances::describe_container_instances, json!({"containerInstances": [id]}));
    reply.unwrap().container_instances.unwrap()[0].status.clone().unwrap()
}

/// Agents do what is wanted for one step only: whatever is on its way arrives.
fn arrive(world: &mut World) {
    let of = |task: &&std::sync::Arc<crate::cluster::TaskRow>| match task.desired {
        Desired::Running => task.last < TaskStatus::Running,
        Desired::Stopped => task.last < TaskStatus::Stopped,
    };
    let next: Vec<_> =
        world.state.tasks().filter(of).map(|task| (task.id.to_string(), task.desired.as_str())).collect();
    for (id, status) in next {
        world.report(&id, status, (status == "STOPPED").then_some(143));
    }
}

fn deployed(hosts: usize, more: Value) -> (World, Vec<String>) {
    let (mut world, hosts) = world(hosts);
    create(&mut world, more);
    world.obey();
    world.pass(limits::HEALTHY_AFTER_MS);
    world.obey();
    for _ in 0..hosts.len() {
        world.pass(limits::HEALTHY_AFTER_MS);
        world.obey();
    }
    assert_eq!(status(&world), "SUCCESSFUL");
    (world, hosts)
}

#[test]
fn a_daemon_comes_to_the_container_instances_of_its_capacity_provider_a_few_at_a_time() {
    let (mut world, hosts) = world(4);
    let other = world.host_of("other", 1000);
    let none = world.host(1000);
    create(&mut world, json!({"deploymentConfiguration": {"drainPercent": 50.0}}));
    assert_eq!((status(&world).as_str(), world.live().len()), ("IN_PROGRESS", 2));
    let held = |world: &World| hosts.iter().filter(|id| of_host(world, id) == "REGISTERING").count();
    assert_eq!(held(&world), 2, "what waits for its turn takes tasks meanwhile");
    arrive(&mut world);
    assert_eq!((world.live().len(), held(&world)), (4, 2));
    arrive(&mut world);
    assert_eq!((held(&world), status(&world).as_str()), (0, "IN_PROGRESS"));
    world.pass(limits::HEALTHY_AFTER_MS);
    assert_eq!(status(&world), "SUCCESSFUL");
    for id in [&other, &none] {
        assert_eq!((world.task_count(id), of_host(&world, id).as_str()), (0, "ACTIVE"));
    }
    let shown = detail(&world).current_revisions.unwrap().remove(0);
    let provider = &shown.capacity_providers.unwrap()[0];
    assert_eq!((shown.total_running_count, provider.running_count), (Some(4), Some(4)));
    assert!(provider.arn.as_ref().unwrap().ends_with(":capacity-provider/own"));
    let task = world.task(&world.live()[0]);
    assert_eq!(task.group.as_deref(), Some("daemon:agent"));
    assert_eq!(task.started_by.as_deref(), Some("daemon/agent"));
    assert_eq!(task.capacity_provider_name.as_deref(), Some("own"));
    assert!(task.task_definition_arn.unwrap().ends_with(":daemon-task-definition/agent:1"));
    let listed = world.look(list::list_tasks, json!({"daemonName": "agent"})).unwrap();
    assert_eq!(listed.task_arns.unwrap().len(), 4);
    let listed = world.look(list::list_tasks, json!({"family": "agent"})).unwrap();
    assert_eq!(listed.task_arns.unwrap().len(), 0, "a family of task definitions is another one");
}

/// One that was on its way when the deployment was given up fails too, which is no fault of what is rolled back to.
#[test]
fn a_rollback_does_not_wait_for_the_failures_of_what_it_is_rolled_back_from() {
    let (mut world, _) = deployed(2, json!({}));
    let good = world.live();
    world.define_daemon("agent", json!({}));
    update(&mut world, json!({"deploymentConfiguration": {"drainPercent": 50.0}}));
    arrive(&mut world);
    let coming = |world: &World| {
        let mut new = world.live().into_iter().filter(|id| !good.contains(id));
        new.find(|id| world.task(id).last_status.as_deref() == Some("PENDING"))
    };
    let first = coming(&world).unwrap();
    world.report(&first, "RUNNING", None);
    arrive(&mut world);
    let late = coming(&world).unwrap();
    let mut failing = first;
    for _ in 0..3 {
        world.report(&failing, "STOPPED", Some(1));
        let mut new = world.live().into_iter().filter(|id| !good.contains(id) && *id != late);
        failing = new.next().unwrap_or_default();
    }
    assert_eq!((status(&world).as_str(), world.live().contains(&late)), ("ROLLBACK_IN_PROGRESS", true));
    world.report(&late, "STOPPED", Some(1));
    world.obey();
    world.pass(limits::HEALTHY_AFTER_MS);
    assert_eq!(status(&world), "ROLLBACK_SUCCESSFUL");
}

/// The image of a task as its agent is told of it.
fn image(world: &World, task: &str) -> String {
    let task = world.state.task(&crate::cluster::TaskId::parse(task).unwrap()).unwrap();
    let definition = world.account.definition_of(task).unwrap();
    let payload =
        crate::account::payload::payload(task, definition, &world.state, "http://here:1", &world.ctx);
    payload.containers[0].image.clone().unwrap()
}

#[test]
fn all_tasks_of_a_revision_run_the_image_that_the_first_one_came_to() {
    let (mut world, _) = world(2);
    create(&mut world, json!({"deploymentConfiguration": {"drainPercent": 100.0}}));
    let [first, other] = world.live().try_into().unwrap();
    assert_eq!(image(&world, &other), "busybox");
    let resolves = |world: &mut World, task: &str, digit: &str| {
        let digest = format!("sha256:{}", digit.repeat(64));
        let container = json!({"containerName": "app", "status": "PENDING", "imageDigest": digest});
        let report = json!({"task": task, "status": "PENDING", "containers": [container]});
        world.call(crate::task::report::submit_task_state_change, report).unwrap();
        digest
    };
    let digest = resolves(&mut world, &first, "a");
    resolves(&mut world, &other, "b");
    assert_eq!(world.task(&other).desired_status.as_deref(), Some("STOPPED"));
    world.obey();
    let instead = world.live().into_iter().find(|id| *id != first).unwrap();
    assert_eq!(image(&world, &instead), format!("busybox@{digest}"));
    for _ in 0..2 {
        world.pass(limits::HEALTHY_AFTER_MS);
        world.obey();
    }
    assert_eq!((status(&world).as_str(), world.live().len()), ("SUCCESSFUL", 2));
    let revision = detail(&world).current_revisions.unwrap().remove(0).arn.unwrap();
    let reply = world.look(describe::describe_daemon_revisions, json!({"daemonRevisionArns": [revision]}));
    let shown = reply.unwrap().daemon_revisions.unwrap().remove(0).container_images.unwrap().remove(0);
    assert_eq!(shown.image_digest, Some(digest));
    // Another revision resolves anew.
    world.pass(1000);
    let before = world.live();
    update(&mut world, json!({}));
    arrive(&mut world);
    let newest = world.live().into_iter().find(|id| !before.contains(id)).unwrap();
    assert_eq!(image(&world, &newest), "busybox");
}

#[test]
fn without_container_instances_a_deployment_is_done_at_once() {
    let (mut world, _) = world(0);
    create(&mut world, json!({}));
    assert_eq!(status(&world), "SUCCESSFUL");
    // One that comes waits for the daemon.
    let host = world.host_of("own", 1000);
    assert_eq!((of_host(&world, &host).as_str(), world.live().len()), ("REGISTERING", 1));
    let refused = world.call(run::run_task, json!({"taskDefinition": "web"})).unwrap();
    assert_eq!(refused.tasks.unwrap().len(), 0);
    let listed = world.look(instances::list_container_instances, json!({"status": "REGISTERING"})).unwrap();
    assert_eq!(listed.container_instance_arns.unwrap().len(), 1);
    world.obey();
    assert_eq!(of_host(&world, &host), "ACTIVE");
    assert_eq!(world.call(run::run_task, json!({"taskDefinition": "web"})).unwrap().tasks.unwrap().len(), 1);
}

#[test]
fn what_is_not_critical_holds_nothing_up() {
    let (mut world, _) = world(0);
    create(&mut world, json!({"critical": false}));
    let host = world.host_of("own", 1000);
    assert_eq!((of_host(&world, &host).as_str(), world.live().len()), ("ACTIVE", 1));
    world.obey();
    let task = world.live().remove(0);
    world.report(&task, "STOPPED", Some(1));
    assert_eq!((of_host(&world, &host).as_str(), world.live().len()), ("ACTIVE", 1), "it is started again");
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/managed-daemons-auto-repair.html>
#[test]
fn container_instances_without_a_daemon_are_those_that_take_tasks_all_the_same() {
    for (critical, without) in [(false, 1), (true, 0)] {
        let (mut world, _) = world(0);
        create(&mut world, json!({"critical": critical}));
        world.host_of("own", 50);
        assert_eq!(world.live().len(), 0, "there is no room");
        let shown = detail(&world).current_revisions.unwrap().remove(0);
        let provider = &shown.capacity_providers.unwrap()[0];
        assert_eq!(
            (shown.total_without_daemon_count, provider.without_daemon_count, shown.total_running_count),
            (Some(without), Some(without), Some(0))
        );
        update(&mut world, json!({"critical": critical}));
        let going = deployment(&world);
        let target = going.target_daemon_revision.unwrap();
        assert_eq!(target.total_without_daemon_instance_count, Some(without));
        assert_eq!(
            going.alarms.unwrap().status,
            Some(ecs_model::DaemonDeploymentRollbackMonitorsStatus::Disabled)
        );
    }
}

#[test]
fn a_service_that_waits_has_its_turn_behind_the_daemon() {
    let (mut world, _) = world(0);
    create(&mut world, json!({}));
    let service = json!({"serviceName": "s", "taskDefinition": "web", "desiredCount": 1});
    world.call(crate::service::create::create_service, service).unwrap();
    world.host_of("own", 1000);
    assert_eq!(world.live().len(), 1, "the daemon's");
    world.obey();
    assert_eq!(world.live().len(), 2);
}

#[test]
fn an_update_replaces_the_task_in_place_a_few_at_a_time() {
    let (mut world, hosts) = deployed(4, json!({}));
    world.define_daemon("agent", json!({"image": "new"}));
    let before = detail(&world).current_revisions.unwrap().remove(0).arn;
    let more = json!({"deploymentConfiguration": {"drainPercent": 50.0, "bakeTimeInMinutes": 2}});
    update(&mut world, more);
    let stopping = |world: &World| {
        world
            .state
            .tasks()
            .filter(|task| task.desired == Desired::Stopped && task.stopped_at.is_none())
            .count()
    };
    assert_eq!((stopping(&world), world.live().len()), (2, 2));
    let shown = deployment(&world);
    assert_eq!(shown.source_daemon_revisions.unwrap()[0].total_draining_instance_count, Some(2));
    assert_eq!(hosts.iter().filter(|id| of_host(&world, id) == "REGISTERING").count(), 2);
    arrive(&mut world);
    arrive(&mut world);
    assert_eq!(stopping(&world), 2, "the others follow once these run");
    world.obey();
    world.pass(limits::HEALTHY_AFTER_MS);
    assert_eq!(status(&world), "IN_PROGRESS", "it bakes");
    world.pass(120_000);
    assert_eq!(status(&world), "SUCCESSFUL");
    let revisions = detail(&world).current_revisions.unwrap();
    assert_eq!(revisions.len(), 1);
    assert_ne!(revisions[0].arn, before);
    let images = world.state.tasks().filter(|task| task.desired == Desired::Running);
    assert!(images.into_iter().all(|task| task.containers[0].image == "new"));
    assert!(hosts.iter().all(|id| of_host(&world, id) == "ACTIVE"));
}

#[test]
fn a_deployment_that_fails_is_rolled_back() {
    let (mut world, hosts) = deployed(2, json!({}));
    world.define_daemon("agent", json!({"image": "broken"}));
    update(&mut world, json!({}));
    let good = detail(&world).current_revisions.unwrap()[1].arn.clone();
    for _ in 0..20 {
        let bad = world
            .state
            .tasks()
            .find(|task| task.containers[0].image == "broken" && task.desired == Desired::Running);
        match bad.map(|task| task.id.to_string()) {
            Some(id) => world.report(&id, "STOPPED", Some(1)),
            None => arrive(&mut world),
        }
        if status(&world) == "ROLLBACK_IN_PROGRESS" {
            break;
        }
        world.pass(limits::BACKOFF_FIRST_MS * 4);
    }
    let shown = deployment(&world);
    assert_eq!(shown.status.unwrap().to_string(), "ROLLBACK_IN_PROGRESS");
    assert_eq!(shown.circuit_breaker.as_ref().unwrap().failure_count, Some(3));
    assert_eq!(shown.rollback.unwrap().rollback_target_daemon_revision_arn, good);
    world.obey();
    world.pass(limits::SHORT_LIFE_MS);
    world.obey();
    world.pass(limits::SHORT_LIFE_MS);
    assert_eq!(status(&world), "ROLLBACK_SUCCESSFUL");
    assert_eq!(detail(&world).current_revisions.unwrap()[0].arn, good);
    assert!(hosts.iter().all(|id| of_host(&world, id) == "ACTIVE"));
    // The next one begins anew.
    update(&mut world, json!({"daemonTaskDefinitionArn": "agent:1"}));
    for _ in 0..3 {
        world.obey();
        world.pass(limits::SHORT_LIFE_MS);
    }
    assert_eq!(status(&world), "SUCCESSFUL");
}

#[test]
fn a_first_deployment_that_fails_stops_and_holds_nothing() {
    let (mut world, hosts) = world(1);
    create(&mut world, json!({}));
    for _ in 0..3 {
        let id = world.live().remove(0);
        world.report(&id, "STOPPED", Some(1));
        world.pass(limits::BACKOFF_FIRST_MS * 4);
    }
    let shown = deployment(&world);
    assert_eq!(shown.status.unwrap().to_string(), "STOPPED");
    assert_eq!(shown.circuit_breaker.unwrap().status.unwrap().to_string(), "TRIGGERED");
    assert_eq!((world.live().len(), of_host(&world, &hosts[0]).as_str()), (0, "ACTIVE"));
    world.pass(3_600_000);
    assert_eq!(world.live().len(), 0, "it is not tried again");
    update(&mut world, json!({}));
    world.obey();
    world.pass(limits::HEALTHY_AFTER_MS);
    assert_eq!(status(&world), "SUCCESSFUL");
}

#[test]
fn no_room_is_a_failure_too() {
    let (mut world, _) = world(0);
    let host = world.host_of("own", 50);
    create(&mut world, json!({}));
    world.pass(limits::PLACEMENT_RETRY_MS * 4);
    let shown = deployment(&world);
    assert_eq!((shown.status.unwrap().to_string().as_str(), world.live().len()), ("STOPPED", 0));
    assert_eq!(of_host(&world, &host), "ACTIVE");
}

#[test]
fn a_container_instance_whose_critical_daemon_fails_is_drained_until_it_runs_again() {
    let (mut world, hosts) = deployed(2, json!({}));
    let service = json!({"serviceName": "s", "taskDefinition": "web", "desiredCount": 2});
    world.call(crate::service::create::create_service, service).unwrap();
    world.obey();
    let own = world.state.tasks().find(|task| task.daemon.is_some()).unwrap();
    let (task, host) = (own.id.to_string(), own.instance.unwrap().to_string());
    world.report(&task, "STOPPED", Some(1));
    assert_eq!(of_host(&world, &host), "DRAINING");
    let own = |world: &World| {
        let live = world.state.tasks().filter(|task| task.desired == Desired::Running);
        live.filter(|task| task.instance.unwrap().to_string() == host && task.daemon.is_some()).count()
    };
    assert_eq!(own(&world), 1, "it is started anew where nothing else is");
    world.obey();
    assert!(hosts.iter().all(|id| of_host(&world, id) == "ACTIVE"));
    // Whoever stops it.
    let again = world.state.tasks().find(|task| task.daemon.is_some() && task.desired == Desired::Running);
    let again = again.unwrap().id.to_string();
    world.call(stop::stop_task, json!({"task": again})).unwrap();
    world.report(&again, "STOPPED", Some(143));
    assert!(hosts.iter().any(|id| of_host(&world, id) == "DRAINING"));
    world.obey();
    assert!(hosts.iter().all(|id| of_host(&world, id) == "ACTIVE"));
}

#[test]
fn a_daemon_is_the_last_to_leave_a_container_instance() {
    let (mut world, hosts) = deployed(1, json!({}));
    world.call(run::run_task, json!({"taskDefinition": "web"})).unwrap();
    world.obey();
    let drain = json!({"containerInstances": [hosts[0]], "status": "DRAINING"});
    world.call(state::update_container_instances_state, drain).unwrap();
    assert_eq!(world.live().len(), 2);
    let task = world.state.tasks().find(|task| task.daemon.is_none()).unwrap().id.to_string();
    world.report(&task, "STOPPED", Some(0));
    world.obey();
    assert_eq!(world.live().len(), 0);
    let back = json!({"containerInstances": [hosts[0]], "status": "ACTIVE"});
    world.call(state::update_container_instances_state, back).unwrap();
    assert_eq!((of_host(&world, &hosts[0]).as_str(), world.live().len()), ("REGISTERING", 1));
    world.obey();
    assert_eq!(of_host(&world, &hosts[0]), "ACTIVE");
}

#[test]
fn a_deleted_daemon_is_gone_once_its_last_task_has_stopped() {
    let (mut world, _) = deployed(3, json!({"tags": [{"key": "a", "value": "b"}]}));
    let reply = world.call(delete::delete_daemon, json!({"daemonArn": ARN})).unwrap();
    assert_eq!(reply.status.unwrap().to_string(), "DELETE_IN_PROGRESS");
    assert_eq!(status(&world), "IN_PROGRESS");
    let again = refusal(world.call(delete::delete_daemon, json!({"daemonArn": ARN})));
    assert!(again.1.contains("deployment deletion is ongoing"), "{again:?}");
    let more = json!({"daemonArn": ARN, "daemonTaskDefinitionArn": "agent", "capacityProviderArns": ["own"]});
    assert_eq!(refusal(world.call(change::update_daemon, more)).0, "DaemonNotActiveException");
    world.obey();
    assert_eq!(status(&world), "SUCCESSFUL");
    let gone = refusal(world.look(describe::describe_daemon, json!({"daemonArn": ARN})));
    assert_eq!(gone.0, "DaemonNotFoundException");
    let listed = world.look(describe::list_daemons, json!({})).unwrap();
    assert_eq!(listed.daemon_summaries_list.unwrap().len(), 0);
    create(&mut world, json!({}));
    assert_eq!(detail(&world).status.unwrap().to_string(), "ACTIVE");
    world.call(delete::delete_daemon, json!({"daemonArn": ARN})).unwrap();
    world.obey();
    world.pass(limits::INACTIVE_KEPT_MS + limits::STOPPED_TASK_KEPT_MS);
    assert_eq!(world.state.daemon_rows().count(), 0);
    assert_eq!(world.state.daemons_deployed().count(), 0);
}

#[test]
fn a_new_deployment_takes_the_place_of_the_one_that_goes_on() {
    let (mut world, _) = world(2);
    create(&mut world, json!({}));
    update(&mut world, json!({"critical": false}));
    let listed = world.look(describe::list_daemon_deployments, json!({"daemonArn": ARN})).unwrap();
    let statuses = listed.daemon_deployments.unwrap().into_iter().map(|of| of.status.unwrap().to_string());
    assert_eq!(statuses.collect::<Vec<_>>(), ["IN_PROGRESS", "STOPPED"]);
    for _ in 0..4 {
        world.obey();
        world.pass(limits::HEALTHY_AFTER_MS);
    }
    assert_eq!(status(&world), "SUCCESSFUL");
    let arns: Vec<String> =
        detail(&world).current_revisions.unwrap().into_iter().filter_map(|of| of.arn).collect();
    let request = json!({"daemonRevisionArns": arns});
    let reply = world.look(describe::describe_daemon_revisions, request).unwrap();
    let revision = reply.daemon_revisions.unwrap().remove(0);
    assert_eq!((revision.critical, revision.enable_execute_command), (Some(false), Some(false)));
    assert_eq!(revision.container_images.unwrap()[0].image.as_deref(), Some("busybox"));
}

#[test]
fn what_cannot_be_is_refused() {
    let (mut world, _) = world(0);
    let valid = json!({
        "daemonName": "agent", "daemonTaskDefinitionArn": "agent:1", "capacityProviderArns": ["own"],
    });
    let with = |more: Value| {
        let mut request = valid.clone();
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    for (more, code) in [
        (json!({"daemonName": "a b"}), "InvalidParameterException"),
        (json!({"daemonName": "a".repeat(256)}), "InvalidParameterException"),
        (json!({"daemonTaskDefinitionArn": "agent:2"}), "ClientException"),
        (json!({"daemonTaskDefinitionArn": "web"}), "ClientException"),
        (json!({"capacityProviderArns": []}), "InvalidParameterException"),
        (json!({"capacityProviderArns": ["other"]}), "InvalidParameterException"),
        (json!({"capacityProviderArns": ["own", "FARGATE"]}), "InvalidParameterException"),
        (
            json!({"capacityProviderArns": ["arn:aws:ecs:us-east-1:0:capacity-provider/x"]}),
            "InvalidParameterException",
        ),
        (json!({"deploymentConfiguration": {"drainPercent": 101.0}}), "InvalidParameterException"),
        (json!({"deploymentConfiguration": {"bakeTimeInMinutes": 1441}}), "InvalidParameterException"),
        (json!({"deploymentConfiguration": {"alarms": {"enable": true}}}), "UnsupportedFeatureException"),
        (json!({"tags": [{"key": "aws:x"}]}), "InvalidParameterException"),
        (json!({"clientToken": "x".repeat(37)}), "InvalidParameterException"),
    ] {
        assert_eq!(refusal(world.call(change::create_daemon, with(more.clone()))).0, code, "{more}");
    }
    let first = world.call(change::create_daemon, with(json!({"clientToken": "t"}))).unwrap();
    let same = world.call(change::create_daemon, with(json!({"clientToken": "t"}))).unwrap();
    assert_eq!(first, same);
    let other = refusal(world.call(change::create_daemon, with(json!({"clientToken": "u"}))));
    assert_eq!(other.0, "InvalidParameterException");
    let refused =
        refusal(world.call(run::run_task, json!({"taskDefinition": "web", "group": "daemon:agent"})));
    assert_eq!(refused.0, "InvalidParameterException");
    let none = json!({"cluster": "c", "capacityProviders": [], "defaultCapacityProviderStrategy": []});
    let used = refusal(world.call(crate::capacity::attach::put_cluster_capacity_providers, none));
    assert_eq!(used.0, "ResourceInUseException");
    let busy = refusal(world.call(crate::clusters::delete_cluster, json!({"cluster": "c"})));
    assert!(busy.1.contains("Daemons"), "{busy:?}");
}

#[test]
fn a_look_costs_by_what_changed_not_by_how_many_there_are() {
    let (mut world, _) = deployed(40, json!({"deploymentConfiguration": {"drainPercent": 100.0}}));
    let few = {
        let host = world.host_of("own", 1000);
        world.obey();
        assert_eq!(of_host(&world, &host), "ACTIVE");
        world.looked
    };
    assert!(few < 60, "{few} looks for one container instance of 41");
}

/// Also where it waits for its daemon; every step is checked against the invariants.
#[test]
fn a_host_that_is_drained_for_a_daemon_can_be_deregistered() {
    let (mut world, hosts) = deployed(1, json!({}));
    let task = world.state.tasks().next().unwrap().id.to_string();
    world.report(&task, "STOPPED", Some(1));
    assert_eq!(of_host(&world, &hosts[0]), "DRAINING");
    let request = json!({"containerInstance": hosts[0], "force": true});
    world.call(state::deregister_container_instance, request).unwrap();
    assert_eq!(of_host(&world, &hosts[0]), "INACTIVE");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Every step of it is checked against the invariants.
    #[test]
    fn whatever_happens_each_container_instance_has_one_task_in_the_end(
        steps in prop::collection::vec((0u8..10, any::<prop::sample::Index>()), 1..40)
    ) {
        let (mut world, mut hosts) = world(3);
        create(&mut world, json!({}));
        for (kind, which) in steps {
            let host = which.get(&hosts).clone();
            let set = |status: &str| json!({"containerInstances": [host], "status": status});
            match kind {
                0 => hosts.push(world.host_of("own", 1000)),
                1 => world.connect(&host, false),
                2 => world.connect(&host, true),
                3 => drop(world.call(state::update_container_instances_state, set("DRAINING")).unwrap()),
                4 => drop(world.call(state::update_container_instances_state, set("ACTIVE")).unwrap()),
                5 => match world.live() {
                    none if none.is_empty() => {}
                    live => world.report(&live[which.index(live.len())], "STOPPED", Some(1)),
                },
                6 => update(&mut world, json!({"critical": which.index(2) == 0})),
                7 => arrive(&mut world),
                8 => world.pass(5_000),
                _ => world.pass(50_000),
            }
        }
        for host in &hosts {
            world.connect(host, true);
            let active = json!({"containerInstances": [host], "status": "ACTIVE"});
            world.call(state::update_container_instances_state, active).unwrap();
        }
        // The last one may have failed for good.
        update(&mut world, json!({}));
        for _ in 0..hosts.len() + 2 {
            world.obey();
            world.pass(limits::SHORT_LIFE_MS);
        }
        prop_assert_eq!(status(&world), "SUCCESSFUL");
        for host in &hosts {
            prop_assert_eq!((world.task_count(host), of_host(&world, host)), (1, "ACTIVE".to_owned()));
        }
    }
}
