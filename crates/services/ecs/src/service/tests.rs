//! Services on a small cluster: creation, updates, deployments and their events, deletion, back-off, daemons.

use std::collections::BTreeMap;

use ecs_model::{self as ecs, DeploymentRolloutState};
use serde_json::{Value, json};
use state::Domain;

mod ends;
mod kept_up;
mod sick;

use super::{create, delete, events, list, update};
use crate::{
    cluster::{Desired, HealthStatus, InstanceId, TaskId, TaskStatus},
    instance::state::{deregister_container_instance, update_container_instances_state},
    limits, task,
    testing::{World, on_account, refusal},
};

/// An agent's verdict on the container of a task.
pub fn verdict(world: &mut World, task: &str, health: HealthStatus) {
    let host = world.state.task(&TaskId::parse(task).unwrap()).and_then(|task| task.instance).unwrap();
    verdict_of(world, &host, task, health);
}

/// The verdict of the agent of any container instance.
fn verdict_of(world: &mut World, host: &InstanceId, task: &str, health: HealthStatus) {
    let verdicts =
        BTreeMap::from([(TaskId::parse(task).unwrap(), BTreeMap::from([("app".to_owned(), health)]))]);
    let left = world.run(|txn| Ok(task::report::health(txn, host, verdicts))).unwrap();
    assert!(left.is_empty());
}

pub fn create(world: &mut World, desired: i32, more: Value) -> ecs::Service {
    let mut request = json!({"serviceName": "s", "taskDefinition": "web:1", "desiredCount": desired});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.call(create::create_service, request).unwrap().service.unwrap()
}

pub fn daemon(world: &mut World, definition: &str) {
    let request = json!({"serviceName": "s", "taskDefinition": definition, "schedulingStrategy": "DAEMON"});
    world.call(create::create_service, request).unwrap();
}

pub fn update(world: &mut World, more: Value) -> ecs::Service {
    let mut request = json!({"service": "s"});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.call(update::update_service, request).unwrap().service.unwrap()
}

fn drain(world: &mut World, host: &str) {
    let request = json!({"containerInstances": [host], "status": "DRAINING"});
    world.call(update_container_instances_state, request).unwrap();
}

pub fn counts(service: &ecs::Service) -> (i32, i32, i32) {
    (service.desired_count.unwrap(), service.running_count.unwrap(), service.pending_count.unwrap())
}

/// How many tasks of the service are RUNNING and shall stay so.
pub fn up(world: &World) -> usize {
    world.state.tasks().filter(|t| t.desired == Desired::Running && t.last == TaskStatus::Running).count()
}

#[test]
fn a_new_service_has_the_defaults_of_ecs_and_becomes_steady() {
    let mut world = World::new();
    world.host(1000);
    let shown = create(&mut world, 2, json!({"tags": [{"key": "a", "value": "b"}]}));
    assert_eq!(shown.status.as_deref(), Some("ACTIVE"));
    assert_eq!(counts(&shown), (2, 0, 0));
    let configuration = shown.deployment_configuration.clone().unwrap();
    assert_eq!(
        (configuration.minimum_healthy_percent, configuration.maximum_percent),
        (Some(100), Some(200))
    );
    assert_eq!(shown.scheduling_strategy, Some(ecs::SchedulingStrategy::Replica));
    assert_eq!(shown.propagate_tags, Some(ecs::PropagateTags::None));
    let deployment = &shown.deployments.as_ref().unwrap()[0];
    assert_eq!(deployment.rollout_state, Some(DeploymentRolloutState::InProgress));
    let id = deployment.id.clone().unwrap();
    assert_eq!(deployment.rollout_state_reason, Some(format!("ECS deployment {id} in progress.")));
    assert_eq!(counts(&world.service("s")), (2, 0, 2));
    world.obey();
    let shown = world.service("s");
    assert_eq!(counts(&shown), (2, 2, 0));
    let deployment = &shown.deployments.as_ref().unwrap()[0];
    assert_eq!(deployment.rollout_state, Some(DeploymentRolloutState::Completed));
    assert_eq!(deployment.rollout_state_reason, Some(format!("ECS deployment {id} completed.")));
    let events = world.events("s");
    assert_eq!(
        events,
        [
            "has started 2 tasks: (task) (task).",
            "(deployment) deployment completed.",
            "has reached a steady state.",
        ]
    );
    let task = world.task(&world.live()[0]);
    assert_eq!((task.started_by, task.group.as_deref()), (Some(id), Some("service:s")));
}

#[test]
fn tags_reach_the_tasks_as_asked() {
    for (propagate, want) in [("SERVICE", "mine"), ("TASK_DEFINITION", "from"), ("NONE", "")] {
        let mut world = World::new();
        world.host(1000);
        let tags = json!([{"key": "mine", "value": "1"}]);
        create(
            &mut world,
            1,
            json!({"propagateTags": propagate, "tags": tags, "enableECSManagedTags": true}),
        );
        let tags = world.task(&world.live()[0]).tags.unwrap();
        let keys: Vec<_> =
            tags.iter().filter_map(|tag| tag.key.as_deref()).filter(|k| !k.is_empty()).collect();
        let want: Vec<_> = [want, "aws:ecs:clusterName", "aws:ecs:serviceName"]
            .into_iter()
            .filter(|k| !k.is_empty())
            .collect();
        assert_eq!(keys, want);
    }
}

#[test]
fn create_service_refuses_what_ecs_refuses() {
    let mut world = World::new();
    let base = json!({"serviceName": "s", "taskDefinition": "web", "desiredCount": 1});
    for (change, code) in [
        (json!({"serviceName": ""}), "InvalidParameterException"),
        (json!({"serviceName": "a b"}), "InvalidParameterException"),
        (json!({"serviceName": "x".repeat(256)}), "InvalidParameterException"),
        (json!({"taskDefinition": null}), "InvalidParameterException"),
        (json!({"taskDefinition": "absent"}), "ClientException"),
        (json!({"desiredCount": null}), "InvalidParameterException"),
        (json!({"desiredCount": -1}), "InvalidParameterException"),
        (json!({"schedulingStrategy": "DAEMON"}), "InvalidParameterException"),
        (json!({"deploymentConfiguration": {"maximumPercent": 100}}), "InvalidParameterException"),
        (json!({"deploymentConfiguration": {"minimumHealthyPercent": 101}}), "InvalidParameterException"),
        (
            json!({"deploymentConfiguration": {"alarms": {"enable": true, "rollback": true, "alarmNames": []}}}),
            "InvalidParameterException",
        ),
        (json!({"healthCheckGracePeriodSeconds": -1}), "InvalidParameterException"),
        (json!({"deploymentController": {"type": "EXTERNAL"}}), "InvalidParameterException"),
        (json!({"deploymentController": {"type": "CODE_DEPLOY"}}), "InvalidParameterException"),
        (json!({"launchType": "FARGATE"}), "InvalidParameterException"),
        (json!({"launchType": "EXTERNAL"}), "UnsupportedFeatureException"),
        (json!({"clientToken": "x".repeat(37)}), "InvalidParameterException"),
        (
            json!({"placementConstraints": [{"type": "memberOf", "expression": "x =="}]}),
            "InvalidParameterException",
        ),
    ] {
        let mut request = base.clone();
        request.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        assert_eq!(refusal(world.call(create::create_service, request)).0, code, "{change}");
    }
    assert_eq!(world.state.services().count(), 0);
}

#[test]
fn the_same_creation_again_gives_the_same_service_and_another_is_refused() {
    let mut world = World::new();
    world.host(1000);
    let first = create(&mut world, 1, json!({"clientToken": "t"}));
    assert_eq!(create(&mut world, 1, json!({"clientToken": "t"})).created_at, first.created_at);
    for (desired, token) in
        [(1, json!({})), (2, json!({"clientToken": "t"})), (1, json!({"clientToken": "u"}))]
    {
        let mut request = json!({"serviceName": "s", "taskDefinition": "web:1", "desiredCount": desired});
        request.as_object_mut().unwrap().extend(token.as_object().unwrap().clone());
        let refused = refusal(world.call(create::create_service, request));
        assert_eq!(refused.1, "Creation of service was not idempotent.");
    }
    // For a day.
    let again = json!({"serviceName": "s", "taskDefinition": "web:1", "desiredCount": 1, "clientToken": "t"});
    world.pass(limits::TOKEN_KEPT_MS - 1);
    assert!(world.call(create::create_service, again.clone()).is_ok());
    world.pass(1);
    assert_eq!(world.state.service_tokens().count(), 0);
    assert!(world.call(create::create_service, again).is_err());
}

#[test]
fn the_newest_hundred_events_are_kept_and_they_go_with_their_service() {
    let mut world = World::new();
    world.host(1000);
    create(&mut world, 1, json!({"clientToken": "t"}));
    for n in 0..150 {
        let say = |txn: &mut crate::Txn| {
            events::add(txn, &"s".into(), &n.to_string());
            Ok(())
        };
        world.run(say).unwrap();
    }
    let said = world.events("s");
    assert_eq!((said.len(), said[0].as_str(), said[99].as_str()), (100, "50", "149"));
    world.call(delete::delete_service, json!({"service": "s", "force": true})).unwrap();
    world.obey();
    assert_eq!(world.events("s").len(), 100, "it is INACTIVE, and can be described");
    // Another one of its name has said nothing, and its maker's token is not the first one's.
    create(&mut world, 1, json!({}));
    assert_eq!(world.events("s"), ["has started 1 tasks: (task)."]);
    assert_eq!(world.state.service_tokens().count(), 0);
    world.call(delete::delete_service, json!({"service": "s", "force": true})).unwrap();
    world.obey();
    world.pass(limits::INACTIVE_KEPT_MS);
    let left = world.state.all_service_events().count();
    assert_eq!((world.state.services().count(), left), (0, 0));
}

#[test]
fn a_new_task_definition_rolls_within_the_percents() {
    let most = usize::try_from(i32::MAX).unwrap();
    for (minimum, maximum, capacity) in [
        (100, 200, 2000),
        (50, 100, 400),
        (50, 200, 400),
        (0, 100, 400),
        (100, 150, 2000),
        (100, 300, 2000),
        (100, most, 2000),
    ] {
        let mut world = World::new();
        world.host(capacity);
        let percents = json!({"minimumHealthyPercent": minimum, "maximumPercent": maximum});
        create(&mut world, 4, json!({"deploymentConfiguration": percents}));
        world.obey();
        let shown = update(&mut world, json!({"taskDefinition": "web:2"}));
        assert_eq!(shown.deployments.as_ref().unwrap().len(), 2);
        let statuses: Vec<_> = shown.deployments.unwrap().into_iter().filter_map(|d| d.status).collect();
        assert_eq!(statuses, ["PRIMARY", "ACTIVE"]);
        for _ in 0..100 {
            assert!(up(&world) * 100 >= 4 * minimum, "{minimum}/{maximum}: {} up", up(&world));
            assert!(
                world.live().len() * 100 <= 4 * maximum,
                "{minimum}/{maximum}: {} live",
                world.live().len()
            );
            let next = world.state.tasks().find(|t| match t.desired {
                Desired::Running => t.last < TaskStatus::Running,
                Desired::Stopped => t.last < TaskStatus::Stopped,
            });
            let Some((id, desired)) = next.map(|t| (t.id.to_string(), t.desired)) else { break };
            world.report(&id, desired.as_str(), None);
        }
        let shown = world.service("s");
        assert_eq!(counts(&shown), (4, 4, 0), "{minimum}/{maximum}");
        let deployments = shown.deployments.unwrap();
        assert_eq!(deployments.len(), 1);
        assert_eq!(deployments[0].rollout_state, Some(DeploymentRolloutState::Completed));
        assert!(deployments[0].task_definition.as_ref().unwrap().ends_with("web:2"));
        assert!(world.live().iter().all(|id| world.task(id).task_definition_arn.unwrap().ends_with("web:2")));
        assert_eq!(world.events("s").last().unwrap(), "has reached a steady state.");
    }
}

#[test]
fn update_service_scales_and_forces() {
    let mut world = World::new();
    world.host(2000);
    create(&mut world, 1, json!({}));
    world.obey();
    let shown = update(&mut world, json!({"desiredCount": 3}));
    assert_eq!(shown.deployments.unwrap().len(), 1, "a new count is no new deployment");
    world.obey();
    assert_eq!(counts(&world.service("s")), (3, 3, 0));
    update(&mut world, json!({"desiredCount": 1}));
    world.obey();
    let events = world.events("s");
    assert_eq!(
        events[events.len() - 2..],
        ["has stopped 2 running tasks: (task) (task).", "has reached a steady state."]
    );
    let old = world.live();
    let shown = update(&mut world, json!({"forceNewDeployment": true}));
    assert_eq!(shown.deployments.unwrap().len(), 2);
    world.obey();
    assert_ne!(world.live(), old);
    assert_eq!(world.service("s").deployments.unwrap().len(), 1);
    let task = world.task(&old[0]);
    assert_eq!(task.stop_code, Some(ecs::TaskStopCode::ServiceSchedulerInitiated));
    assert!(task.stopped_reason.unwrap().starts_with("Scaling activity initiated by (deployment ecs-svc/"));
    let absent = refusal(world.call(update::update_service, json!({"service": "x"})));
    assert_eq!(absent, ("ServiceNotFoundException".into(), "Service not found.".into()));
}

#[test]
fn a_task_that_keeps_failing_backs_off_and_says_so_once() {
    for by_container in [false, true] {
        let mut world = World::new();
        world.host(1000);
        create(&mut world, 1, json!({}));
        let mut starts = 0;
        for _ in 0..8 {
            let Some(id) = world.live().first().cloned() else {
                let before = world.ctx.now;
                let wake = world.state.agenda().wake_at().expect("it starts again by itself");
                assert!(wake > before);
                world.pass(wake.millis_since(before));
                continue;
            };
            starts += 1;
            world.report(&id, "RUNNING", None);
            if by_container {
                let request = json!({"task": id, "containerName": "app", "status": "STOPPED", "exitCode": 1});
                world.call(task::report::submit_container_state_change, request).unwrap();
            }
            world.report(&id, "STOPPED", Some(1));
        }
        assert!((4..8).contains(&starts), "by container: {by_container}, {starts} starts");
        let said = |text: &str| world.events("s").iter().filter(|event| event.starts_with(text)).count();
        assert_eq!(said("is unable to consistently start tasks successfully."), 1);
        assert_eq!(said("has reached a steady state."), 1, "at the first start only, before anything failed");
        assert_eq!(world.service("s").deployments.unwrap()[0].failed_tasks, Some(starts));
        world.pass(300_000);
        world.obey();
        world.pass(61_000);
        assert_eq!(world.events("s").last().unwrap(), "has reached a steady state.");
    }
}

#[test]
fn a_host_that_is_taken_away_is_no_failure_of_the_deployment() {
    let mut world = World::new();
    let one = world.host(1000);
    create(&mut world, 1, json!({}));
    world.obey();
    let refused = refusal(world.call(deregister_container_instance, json!({"containerInstance": one})));
    assert_eq!(refused.1, "Found running tasks on the instance.");
    world.host(1000);
    let old = world.live().remove(0);
    world.call(deregister_container_instance, json!({"containerInstance": one, "force": true})).unwrap();
    assert_eq!(world.task(&old).last_status.as_deref(), Some("STOPPED"));
    world.obey();
    let shown = world.service("s");
    assert_eq!((counts(&shown), shown.deployments.unwrap()[0].failed_tasks), ((1, 1, 0), Some(0)));
}

#[test]
fn what_has_no_room_is_said_once_and_placed_when_room_comes() {
    let mut world = World::new();
    world.host(150);
    create(&mut world, 2, json!({}));
    let unplaced = "was unable to place a task because no container instance met all of its requirements.";
    world.pass(120_000);
    let events = world.events("s");
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(events[0], "has started 1 tasks: (task).");
    assert!(events[1].starts_with(unplaced), "{events:?}");
    assert!(events[1].contains("has insufficient memory available"), "{events:?}");
    world.host(150);
    world.obey();
    assert_eq!(counts(&world.service("s")), (2, 2, 0));
    assert_eq!(world.events("s").last().unwrap(), "has reached a steady state.");
}

#[test]
fn a_daemon_follows_its_instances() {
    let mut world = World::new();
    let one = world.host(1000);
    daemon(&mut world, "web:1");
    assert_eq!(counts(&world.service("s")).0, 1);
    let two = world.host(1000);
    world.obey();
    assert_eq!(counts(&world.service("s")), (2, 2, 0));
    drain(&mut world, &one);
    world.obey();
    assert_eq!(counts(&world.service("s")), (1, 1, 0));
    assert!(world.task(&world.live()[0]).container_instance_arn.unwrap().ends_with(&two));
    let request = json!({"containerInstance": two, "force": true});
    world.call(deregister_container_instance, request).unwrap();
    assert_eq!(counts(&world.service("s")), (0, 0, 0));
}

#[test]
fn a_daemon_starts_the_new_task_once_the_old_one_has_stopped() {
    let mut world = World::new();
    world.host(1000);
    daemon(&mut world, "port:1");
    world.obey();
    update(&mut world, json!({"taskDefinition": "port:2"}));
    let not_stopped = world.state.tasks().filter(|task| task.last != TaskStatus::Stopped).count();
    assert_eq!(not_stopped, 1);
    world.obey();
    assert_eq!(counts(&world.service("s")), (1, 1, 0));
    assert!(
        !world.events("s").iter().any(|event| event.starts_with("was unable")),
        "{:?}",
        world.events("s")
    );
}

#[test]
fn an_unhealthy_task_of_a_service_is_replaced() {
    let mut world = World::new();
    world.host(1000);
    create(&mut world, 1, json!({"taskDefinition": "checked:1"}));
    world.obey();
    let old = world.live().remove(0);
    assert_ne!(world.events("s").last().unwrap(), "has reached a steady state.");
    let other = InstanceId::parse(&world.host(1000)).unwrap();
    verdict_of(&mut world, &other, &old, HealthStatus::Unhealthy);
    assert_eq!(
        world.task(&old).health_status,
        Some(ecs::HealthStatus::Unknown),
        "only its own host can tell"
    );
    verdict(&mut world, &old, HealthStatus::Healthy);
    assert_eq!(world.events("s").last().unwrap(), "has reached a steady state.");
    verdict(&mut world, &old, HealthStatus::Unhealthy);
    let events = world.events("s");
    let told = ["(task) failed container health checks.", "has started 1 tasks: (task)."];
    assert_eq!(events[events.len() - 2..], told);
    let new = world.live().pop().unwrap();
    world.obey();
    verdict(&mut world, &new, HealthStatus::Healthy);
    assert_eq!(world.live(), [new]);
    let task = world.task(&old);
    assert_eq!(task.stopped_reason.as_deref(), Some("Task failed container health checks"));
}

/// Its task goes last from a container instance that is drained, which may take for ever where a task of no service is.
#[test]
fn a_daemon_is_steady_while_its_task_waits_on_a_drained_container_instance() {
    let mut world = World::new();
    let host = world.host(1000);
    world.call(task::run::run_task, json!({"taskDefinition": "web"})).unwrap();
    world.host(1000);
    let request = json!({"serviceName": "d", "taskDefinition": "web:1", "schedulingStrategy": "DAEMON"});
    world.call(create::create_service, request).unwrap();
    // Its deployment goes on while it is drained.
    let here = InstanceId::parse(&host).unwrap();
    let ids: Vec<String> = world.state.tasks_on(&here).map(|task| task.id.to_string()).collect();
    ids.iter().for_each(|id| world.report(id, "RUNNING", None));
    drain(&mut world, &host);
    world.obey();
    assert_eq!(world.state.tasks_on(&here).filter(|task| task.desired == Desired::Running).count(), 2);
    assert!(world.state.service(&"d".into()).unwrap().steady);
    assert_eq!(world.service("d").deployments.unwrap()[0].rollout_state.unwrap().as_str(), "COMPLETED");
}

#[test]
fn draining_honours_the_percents_and_stops_at_once_what_has_not_started() {
    let mut world = World::new();
    let one = world.host(250);
    create(&mut world, 2, json!({}));
    world.obey();
    drain(&mut world, &one);
    assert_eq!(up(&world), 2, "100 % must stay until there is room");
    let two = world.host(1000);
    assert_eq!(up(&world), 2);
    world.obey();
    assert_eq!(counts(&world.service("s")), (2, 2, 0));
    assert!(world.live().iter().all(|id| world.task(id).container_instance_arn.unwrap().ends_with(&two)));
    update(&mut world, json!({"desiredCount": 4}));
    drain(&mut world, &two);
    assert_eq!(world.live().len(), 2, "the two PENDING ones are stopped");
}

/// What needs the daemon of its host has it until its own end.
#[test]
fn a_daemon_is_the_last_to_leave_a_container_instance() {
    let mut world = World::new();
    let (one, two) = (world.host(1000), world.host(1000));
    daemon(&mut world, "web:1");
    let other = json!({"serviceName": "other", "taskDefinition": "web:1", "desiredCount": 1});
    world.call(create::create_service, other).unwrap();
    let alone = json!({"taskDefinition": "web:1", "containerInstances": [one]});
    let alone = world.call(task::run::start_task, alone).unwrap().tasks.unwrap().remove(0).task_arn.unwrap();
    world.obey();
    let on = |world: &World, host: &str| {
        let id = InstanceId::parse(host).unwrap();
        let live = world.state.tasks_on(&id).filter(|task| task.desired == Desired::Running);
        let mut groups: Vec<_> = live.map(|task| task.group.clone()).collect();
        groups.sort();
        groups
    };
    drain(&mut world, &one);
    world.obey();
    assert_eq!(on(&world, &one), ["family:web", "service:s"], "a task of its own is nobody's to stop");
    assert_eq!(on(&world, &two), ["service:other", "service:s"]);
    assert_eq!(world.service("s").desired_count, Some(1));
    world.call(task::stop::stop_task, json!({"task": alone})).unwrap();
    assert_eq!(on(&world, &one), ["service:s"], "the other one has not stopped yet");
    world.obey();
    assert_eq!(on(&world, &one), Vec::<String>::new());
    // Back again, it has its daemon again.
    let back = json!({"containerInstances": [one], "status": "ACTIVE"});
    world.call(update_container_instances_state, back).unwrap();
    assert_eq!(on(&world, &one), ["service:s"]);
}

#[test]
fn a_large_service_starts_and_ends_in_steps_that_fit_into_a_commit() {
    let mut world = World::new();
    world.host(1_000_000);
    create(&mut world, 1500, json!({}));
    world.pass(0);
    assert_eq!(world.live().len(), 1500);
    world.call(delete::delete_service, json!({"service": "s", "force": true})).unwrap();
    world.pass(0);
    assert_eq!(world.live().len(), 0);
}

#[test]
fn availability_zone_rebalancing_is_on_where_it_can_be() {
    let zone = json!({"type": "spread", "field": "attribute:ecs.availability-zone"});
    let own_count = json!({"schedulingStrategy": "DAEMON", "desiredCount": null});
    let full = json!({"deploymentConfiguration": {"maximumPercent": 100, "minimumHealthyPercent": 0}});
    let constraint =
        json!({"type": "memberOf", "expression": "attribute:ecs.availability-zone == us-east-1a"});
    for (request, can) in [
        (json!({}), true),
        (json!({"placementStrategy": [zone]}), true),
        (json!({"placementStrategy": [{"type": "random"}, zone]}), false),
        (json!({"placementStrategy": [{"type": "binpack", "field": "cpu"}]}), false),
        (json!({"placementConstraints": [constraint]}), false),
        (own_count, false),
        (full, false),
    ] {
        let expected = |on| if on { "ENABLED" } else { "DISABLED" };
        let mut world = World::new();
        let shown = create(&mut world, 0, request.clone()).availability_zone_rebalancing;
        assert_eq!(shown.map(|shown| shown.as_str()), Some(expected(can)), "{request}");
        let update = |world: &mut World, to| {
            world.call(update::update_service, json!({"service": "s", "availabilityZoneRebalancing": to}))
        };
        let off = update(&mut world, "DISABLED").unwrap().service.unwrap().availability_zone_rebalancing;
        assert_eq!(off.map(|shown| shown.as_str()), Some("DISABLED"));
        let on = update(&mut world, "ENABLED");
        match can {
            true => drop(on.unwrap()),
            false => assert_eq!(refusal(on).0, "InvalidParameterException", "{request}"),
        }
        let shown = world.service("s").availability_zone_rebalancing;
        assert_eq!(shown.map(|shown| shown.as_str()), Some(expected(can)), "{request}");
    }
}

#[test]
fn a_service_shows_the_deployment_configuration_as_ecs_fills_it_in() {
    let mut world = World::new();
    let shown = create(&mut world, 0, json!({"deploymentConfiguration": {"maximumPercent": 150}}));
    let shown = serde_json::to_value(shown.deployment_configuration).unwrap();
    let want = json!({
        "deploymentCircuitBreaker": {
            "enable": false, "rollback": false, "resetOnHealthyTask": true,
            "thresholdConfiguration": {"type": "BOUNDED_PERCENT", "value": 50},
        },
        "maximumPercent": 150, "minimumHealthyPercent": 100, "strategy": "ROLLING", "bakeTimeInMinutes": 0,
    });
    assert_eq!(shown, want);
}

#[test]
fn a_deregistered_task_definition_takes_no_new_service() {
    let mut world = World::new();
    let request = crate::testing::from(json!({"taskDefinition": "web:1"}));
    let (account, ctx) = (&mut world.account, world.ctx.clone());
    on_account(account, &ctx, |txn| crate::account::deregister_task_definition(txn, request)).unwrap();
    let request = json!({"serviceName": "s", "taskDefinition": "web:1", "desiredCount": 1});
    let refused = refusal(world.call(create::create_service, request));
    assert_eq!(refused, ("ClientException".into(), "TaskDefinition is inactive".into()));
    world.host(1000);
    let refused = refusal(world.call(task::run::run_task, json!({"taskDefinition": "web:1"})));
    assert_eq!(refused, ("InvalidParameterException".into(), "TaskDefinition is inactive".into()));
}

#[test]
fn full_instances_keep_no_daemon_from_the_others() {
    let mut world = World::new();
    (0..120).for_each(|_| drop(world.host(10)));
    let roomy: Vec<String> = (0..5).map(|_| world.host(1000)).collect();
    daemon(&mut world, "web:1");
    world.pass(0);
    let hosts =
        world.live().iter().map(|id| world.task(id).container_instance_arn.unwrap()).collect::<Vec<_>>();
    assert_eq!(hosts.len(), 5, "one on each that has room: {hosts:?}");
    assert!(roomy.iter().all(|id| hosts.iter().any(|arn| arn.ends_with(id))));
    assert!(world.events("s").len() <= 12, "{:?}", world.events("s"));
}

/// Otherwise what was said was never said of this deployment, and each word was a reason for the next. (The simulator's
/// seed 421.)
#[test]
fn a_blocked_deployment_says_so_once_where_the_clock_was_set_back_behind_its_beginning() {
    let mut world = World::new();
    world.host(1000);
    let percents = json!({"deploymentConfiguration": {"minimumHealthyPercent": 50, "maximumPercent": 100}});
    create(&mut world, 1, percents);
    world.obey();
    world.pass(60_000);
    update(&mut world, json!({"taskDefinition": "web:2"}));
    for _ in 0..3 {
        world.ctx.now = world.ctx.now.plus_millis(-20_000);
        update(&mut world, json!({"enableECSManagedTags": false}));
        let said = world.events("s").iter().filter(|event| event.contains("unable to stop or start")).count();
        assert_eq!(said, 1, "{:?}", world.events("s"));
    }
}

/// Once a deployment, however often the service is looked at; and what helps is to change the percentages.
#[test]
fn a_deployment_that_its_percentages_block_says_so() {
    let blocked = "was unable to stop or start tasks during a deployment because of the service deployment \
                   configuration. Update the minimumHealthyPercent or maximumPercent value and try again.";
    let percents = json!({"deploymentConfiguration": {"minimumHealthyPercent": 50, "maximumPercent": 100}});
    for daemons in [false, true] {
        let mut world = World::new();
        world.host(1000);
        if daemons {
            daemon(&mut world, "web:1");
            update(&mut world, json!({"deploymentConfiguration": {"minimumHealthyPercent": 50}}));
        } else {
            create(&mut world, 1, percents.clone());
        }
        world.obey();
        let said = |world: &World| world.events("s").iter().filter(|event| *event == blocked).count();
        assert_eq!(said(&world), 0);
        update(&mut world, json!({"taskDefinition": "web:2"}));
        for _ in 0..3 {
            world.pass(60_000);
            update(&mut world, json!({"enableECSManagedTags": false}));
        }
        assert_eq!(said(&world), 1, "{:?}", world.events("s"));
        world.pass(1);
        update(&mut world, json!({"forceNewDeployment": true}));
        assert_eq!(said(&world), 2, "another deployment, another word: {:?}", world.events("s"));
        update(&mut world, json!({"deploymentConfiguration": {"minimumHealthyPercent": 0}}));
        world.obey();
        assert_eq!(counts(&world.service("s")), (1, 1, 0));
        assert_eq!(world.service("s").deployments.unwrap().len(), 1);
        assert_eq!(said(&world), 2);
    }
}
