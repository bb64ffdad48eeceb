//! Deployments that go by stages: what runs at each, what hooks and times do, and the way back from each.

use state::contract::Tells;

use super::*;
use crate::service::deployment::proceed;

const MINUTE: i64 = 60_000;

fn strategy(name: &str, bake: i32, hooks: &[&str]) -> Value {
    let hooks: Vec<Value> =
        hooks.iter().map(|stage| json!({"targetType": "PAUSE", "lifecycleStages": [stage]})).collect();
    json!({"deploymentConfiguration": {"strategy": name, "bakeTimeInMinutes": bake, "lifecycleHooks": hooks}})
}

/// A service of two tasks of `web:1` that is steady, and has these wishes for its next deployments.
fn steady(world: &mut World, wishes: Value) -> String {
    world.host(100_000);
    create(world, 2, json!({}));
    world.obey();
    assert_eq!(statuses(world), [(Status::Successful, None)]);
    update(world, wishes);
    primary(world)
}

/// The stage of the newest deployment, its status, and how many tasks of the old and the new definition shall run.
fn at(world: &World) -> (String, Status, usize, usize) {
    let newest = deployments(world).remove(0);
    let of = |definition: &str| {
        world
            .live()
            .iter()
            .filter(|id| world.task(id).task_definition_arn.unwrap().ends_with(definition))
            .count()
    };
    let stage = newest.lifecycle_stage.map(|stage| stage.as_str().to_owned()).unwrap_or_default();
    (stage, newest.status.unwrap(), of("web:1"), of("web:2"))
}

fn is_at(world: &World, stage: &str, old: usize, new: usize) {
    assert_eq!(at(world), (stage.to_owned(), Status::InProgress, old, new));
}

/// Test and production traffic of the target and of its first source.
fn traffic(world: &World) -> [(f64, f64); 2] {
    let newest = deployments(world).remove(0);
    let of = |revision: ecs::ServiceRevisionSummary| {
        (
            revision.requested_test_traffic_weight.unwrap(),
            revision.requested_production_traffic_weight.unwrap(),
        )
    };
    [of(newest.target_service_revision.unwrap()), of(newest.source_service_revisions.unwrap().remove(0))]
}

fn hooks(world: &World) -> Vec<ecs::DeploymentLifecycleHookDetail> {
    deployments(world).remove(0).lifecycle_hook_details.unwrap_or_default()
}

fn proceed(world: &mut World, action: Option<&str>) -> (String, String) {
    let deployment = deployments(world).remove(0).service_deployment_arn;
    let hooks = hooks(world);
    let waits = |hook: &&ecs::DeploymentLifecycleHookDetail| {
        hook.status == Some(ecs::DeploymentLifecycleHookStatus::AwaitingAction)
    };
    let id = hooks.iter().find(waits).or(hooks.last()).and_then(|hook| hook.hook_id.clone());
    let request = json!({"serviceDeploymentArn": deployment, "hookId": id, "action": action});
    match world.call(proceed::continue_service_deployment, request) {
        Ok(reply) => {
            assert_eq!(reply.service_deployment_arn, deployment);
            Default::default()
        }
        Err(error) => (error.code().to_owned(), error.message().to_owned()),
    }
}

#[test]
fn blue_runs_until_green_has_baked() {
    let mut world = World::new();
    let blue = steady(&mut world, strategy("BLUE_GREEN", 5, &["POST_TEST_TRAFFIC_SHIFT"]));
    update(&mut world, json!({"taskDefinition": "web:2"}));
    is_at(&world, "SCALE_UP", 2, 2);
    assert_eq!(traffic(&world), [(0.0, 0.0), (100.0, 100.0)]);
    let listed: Vec<_> = world
        .service("s")
        .deployments
        .unwrap()
        .iter()
        .map(|d| (d.status.clone().unwrap(), d.desired_count))
        .collect();
    assert_eq!(listed, [("PRIMARY".to_owned(), Some(2)), ("ACTIVE".to_owned(), Some(2))]);
    // What blue loses meanwhile is made up for, of its own revision.
    let lost =
        world.live().into_iter().find(|id| world.task(id).task_definition_arn.unwrap().ends_with("web:1"));
    world.report(&lost.unwrap(), "STOPPED", Some(1));
    is_at(&world, "SCALE_UP", 2, 2);
    world.obey();
    is_at(&world, "POST_TEST_TRAFFIC_SHIFT", 2, 2);
    assert_eq!(traffic(&world), [(100.0, 0.0), (0.0, 100.0)]);
    assert_eq!(proceed(&mut world, None), Default::default());
    is_at(&world, "BAKE_TIME", 2, 2);
    assert_eq!(traffic(&world), [(100.0, 100.0), (0.0, 0.0)]);
    world.pass(5 * MINUTE - 1);
    is_at(&world, "BAKE_TIME", 2, 2);
    world.pass(1);
    is_at(&world, "CLEAN_UP", 0, 2);
    world.obey();
    assert_eq!(at(&world), ("CLEAN_UP".to_owned(), Status::Successful, 0, 2));
    assert_ne!(primary(&world), blue);
    assert_eq!(world.service("s").deployments.unwrap().len(), 1);
    assert_eq!(counts(&world.service("s")), (2, 2, 0));
    // It is kept right after that too.
    let lost = world.live().remove(0);
    world.report(&lost, "STOPPED", Some(1));
    world.obey();
    assert_eq!(counts(&world.service("s")), (2, 2, 0));
    let refused = proceed(&mut world, None);
    assert_eq!(refused.0, "InvalidParameterException");
}

#[test]
fn a_first_deployment_goes_by_all_stages_too() {
    let mut world = World::new();
    world.host(100_000);
    create(&mut world, 1, strategy("BLUE_GREEN", 0, &["PRE_SCALE_UP"]));
    assert_eq!(at(&world), ("PRE_SCALE_UP".to_owned(), Status::InProgress, 0, 0));
    proceed(&mut world, Some("CONTINUE"));
    is_at(&world, "SCALE_UP", 1, 0);
    world.obey();
    assert_eq!(at(&world).1, Status::Successful);
    // Where nothing was ever COMPLETED there is nothing to go back to.
    let mut world = World::new();
    world.host(100_000);
    create(&mut world, 1, strategy("BLUE_GREEN", 0, &["POST_SCALE_UP"]));
    world.obey();
    proceed(&mut world, Some("ROLLBACK"));
    assert_eq!(at(&world), ("POST_SCALE_UP".to_owned(), Status::RollbackFailed, 1, 0));
}

#[test]
fn a_canary_gets_little_first_and_a_linear_one_a_step_at_a_time() {
    for (name, more, steps) in [
        ("CANARY", json!({}), vec![(10, 5.0), (0, 100.0)]),
        (
            "LINEAR",
            json!({"linearConfiguration": {"stepPercent": 33.4, "stepBakeTimeInMinutes": 2}}),
            vec![(2, 33.4), (2, 66.8), (0, 100.0)],
        ),
    ] {
        let mut world = World::new();
        let mut wishes = strategy(name, 1, &["PRE_PRODUCTION_TRAFFIC_SHIFT"]);
        let configuration = wishes["deploymentConfiguration"].as_object_mut().unwrap();
        configuration.extend(more.as_object().unwrap().clone());
        steady(&mut world, wishes);
        update(&mut world, json!({"taskDefinition": "web:2"}));
        world.obey();
        let mut ids = BTreeSet::new();
        for (bakes, percent) in steps {
            is_at(&world, "PRODUCTION_TRAFFIC_SHIFT", 2, 2);
            assert!(ids.insert(hooks(&world)[0].hook_id.clone()), "each step has hooks of its own");
            proceed(&mut world, None);
            assert_eq!(traffic(&world)[0], (100.0, percent), "{name}");
            world.pass(bakes * MINUTE);
        }
        is_at(&world, "BAKE_TIME", 2, 2);
        world.pass(MINUTE);
        world.obey();
        assert_eq!(at(&world).1, Status::Successful);
    }
}

/// A deployment as it pauses, or waits, at a stage.
fn waiting(world: &mut World, name: &str, stage: &str, circuit: bool) -> String {
    let hooked = match stage {
        "SCALE_UP" | "BAKE_TIME" | "CLEAN_UP" => vec![],
        "PRODUCTION_TRAFFIC_SHIFT" => vec!["PRE_PRODUCTION_TRAFFIC_SHIFT"],
        hooked => vec![hooked],
    };
    let mut wishes = strategy(name, 3, &hooked);
    wishes["deploymentConfiguration"]["deploymentCircuitBreaker"] = json!({
        "enable": circuit, "rollback": circuit, "thresholdConfiguration": {"type": "COUNT", "value": 1}
    });
    let old = steady(world, wishes);
    update(world, json!({"taskDefinition": "web:2"}));
    if stage != "SCALE_UP" {
        for id in world.live() {
            if world.task(&id).last_status.as_deref() != Some("RUNNING") {
                world.report(&id, "RUNNING", None);
            }
        }
        if name == "ROLLING" {
            // The old ones make room.
            world.obey();
        }
        if circuit {
            world.pass(limits::HEALTHY_AFTER_MS);
        }
    }
    if name == "CANARY" && ["POST_PRODUCTION_TRAFFIC_SHIFT", "BAKE_TIME", "CLEAN_UP"].contains(&stage) {
        world.pass(10 * MINUTE);
    }
    if stage == "CLEAN_UP" {
        world.pass(3 * MINUTE);
    }
    assert_eq!(at(world).0, stage, "{name}");
    old
}

#[test]
fn from_every_stage_there_is_a_way_back() {
    let staged = [
        "PRE_SCALE_UP",
        "SCALE_UP",
        "POST_SCALE_UP",
        "POST_TEST_TRAFFIC_SHIFT",
        "PRODUCTION_TRAFFIC_SHIFT",
        "POST_PRODUCTION_TRAFFIC_SHIFT",
        "BAKE_TIME",
        "CLEAN_UP",
    ];
    let rolling = ["PRE_SCALE_UP", "SCALE_UP", "POST_SCALE_UP", "BAKE_TIME"];
    let all = staged.iter().map(|stage| ("BLUE_GREEN", *stage));
    let all = all.chain(staged.iter().map(|stage| ("CANARY", *stage)));
    for (name, stage) in all.chain(rolling.iter().map(|stage| ("ROLLING", *stage))) {
        let mut world = World::new();
        let blue = waiting(&mut world, name, stage, false);
        let arn = deployments(&world).remove(0).service_deployment_arn;
        world.call(stop::stop_service_deployment, json!({"serviceDeploymentArn": arn})).unwrap();
        let goes = [Status::RollbackInProgress, Status::RollbackSuccessful].contains(&at(&world).1);
        assert!(goes, "{name} {stage}: {:?}", at(&world));
        world.obey();
        world.pass(limits::HEALTHY_AFTER_MS);
        assert_eq!(at(&world), ("CLEAN_UP".to_owned(), Status::RollbackSuccessful, 2, 0), "{name} {stage}");
        assert_eq!(primary(&world), blue);
        assert_eq!(counts(&world.service("s")), (2, 2, 0));
        if name != "ROLLING" {
            assert_eq!(traffic(&world), [(0.0, 0.0), (100.0, 100.0)]);
        }
    }
}

#[test]
fn the_circuit_breaker_watches_at_every_stage() {
    for (name, stage) in [
        ("BLUE_GREEN", "SCALE_UP"),
        ("BLUE_GREEN", "POST_TEST_TRAFFIC_SHIFT"),
        ("LINEAR", "PRODUCTION_TRAFFIC_SHIFT"),
        ("CANARY", "BAKE_TIME"),
        ("ROLLING", "BAKE_TIME"),
    ] {
        let mut world = World::new();
        waiting(&mut world, name, stage, true);
        // Another one that was healthy comes to its end, and what takes its place never starts.
        let of = |world: &World, status: &str| {
            let new = |id: &String| {
                let task = world.task(id);
                task.task_definition_arn.unwrap().ends_with("web:2")
                    && task.last_status.as_deref() == Some(status)
            };
            world.live().into_iter().find(new)
        };
        if let Some(healthy) = of(&world, "RUNNING") {
            world.report(&healthy, "STOPPED", Some(1));
        }
        let begins = of(&world, "PENDING").unwrap();
        world.report(&begins, "STOPPED", Some(1));
        assert_eq!(at(&world).1, Status::RollbackInProgress, "{name} {stage}");
        world.obey();
        assert_eq!(at(&world).1, Status::RollbackSuccessful, "{name} {stage}");
        assert_eq!(counts(&world.service("s")), (2, 2, 0));
    }
}

#[test]
fn a_deployment_that_fails_without_rollback_leaves_both_revisions_and_the_next_one_reconciles() {
    let mut world = World::new();
    let mut wishes = strategy("BLUE_GREEN", 0, &["RECONCILE_SERVICE"]);
    wishes["deploymentConfiguration"]["deploymentCircuitBreaker"] = json!({
        "enable": true, "rollback": false, "thresholdConfiguration": {"type": "COUNT", "value": 1}
    });
    let blue = steady(&mut world, wishes);
    update(&mut world, json!({"taskDefinition": "web:2"}));
    let of = |world: &World, definition: &str| {
        let mut live = world.live().into_iter();
        live.find(|id| world.task(id).task_definition_arn.unwrap().ends_with(definition)).unwrap()
    };
    world.report(&of(&world, "web:2"), "RUNNING", None);
    let begins = world.live().into_iter().find(|id| world.task(id).last_status.as_deref() == Some("PENDING"));
    world.report(&begins.unwrap(), "STOPPED", Some(1));
    assert_eq!(at(&world), ("SCALE_UP".to_owned(), Status::Stopped, 2, 1));
    let lost = of(&world, "web:1");
    world.report(&lost, "STOPPED", Some(1));
    assert_eq!(at(&world), ("SCALE_UP".to_owned(), Status::Stopped, 2, 1), "what serves is kept");
    update(&mut world, json!({"taskDefinition": "web:2", "forceNewDeployment": true}));
    assert_eq!(at(&world).0, "RECONCILE_SERVICE");
    proceed(&mut world, None);
    // Only what was COMPLETED last stays beside the new one.
    world.obey();
    world.pass(limits::HEALTHY_AFTER_MS);
    world.obey();
    assert_eq!(at(&world), ("CLEAN_UP".to_owned(), Status::Successful, 0, 2));
    assert_ne!(primary(&world), blue);
}

#[test]
fn a_hook_that_expires_goes_back_unless_it_says_otherwise() {
    for (action, status) in [(None, Status::RollbackSuccessful), (Some("CONTINUE"), Status::Successful)] {
        let mut world = World::new();
        world.listened = true;
        let mut wishes = strategy("BLUE_GREEN", 0, &["POST_SCALE_UP"]);
        wishes["deploymentConfiguration"]["lifecycleHooks"][0]["timeoutConfiguration"] =
            json!({"timeoutInMinutes": 10, "action": action});
        steady(&mut world, wishes);
        update(&mut world, json!({"taskDefinition": "web:2"}));
        world.obey();
        let hook = hooks(&world).remove(0);
        assert_eq!(hook.expires_at, Some(world.ctx.now.plus_millis(10 * MINUTE)));
        assert_eq!(
            (hook.target_type, hook.target_arn),
            (Some(ecs::DeploymentLifecycleHookTargetType::Pause), None)
        );
        let id = hook.hook_id.unwrap();
        assert!(id.starts_with("ecs-pause-") && id.len() == 53, "{id}");
        world.pass(10 * MINUTE);
        world.obey();
        assert_eq!(at(&world).1, status);
        assert_eq!(hooks(&world)[0].status, Some(ecs::DeploymentLifecycleHookStatus::TimedOut));
        let events =
            world.state.outgoing().waiting().filter(|event| event.detail_type == "ECS Hook State Change");
        let told: Vec<_> = events.map(|event| event.detail.clone()).collect();
        let names: Vec<_> = told.iter().map(|detail| detail["eventName"].as_str().unwrap()).collect();
        assert_eq!(names, ["HOOK_AWAITING_ACTION", "HOOK_TIMED_OUT"]);
        let deployment = deployments(&world).remove(0).service_deployment_arn;
        assert_eq!(told[0]["serviceDeploymentArn"], json!(deployment));
        assert_eq!(
            (&told[0]["hookType"], &told[0]["lifecycleStage"], &told[0]["hookId"]),
            (&json!("PAUSE"), &json!("POST_SCALE_UP"), &json!(id))
        );
    }
}

#[test]
fn hooks_are_refused_that_do_not_wait() {
    let mut world = World::new();
    steady(&mut world, strategy("ROLLING", 0, &["PRE_SCALE_UP", "POST_SCALE_UP"]));
    update(&mut world, json!({"taskDefinition": "web:2"}));
    assert_eq!(at(&world), ("PRE_SCALE_UP".to_owned(), Status::InProgress, 2, 0));
    let lost = world.live().remove(0);
    world.report(&lost, "STOPPED", Some(1));
    assert_eq!(
        at(&world),
        ("PRE_SCALE_UP".to_owned(), Status::InProgress, 2, 0),
        "made up for while it pauses"
    );
    world.obey();
    let arn = deployments(&world).remove(0).service_deployment_arn.unwrap();
    let other = json!({"serviceDeploymentArn": arn, "hookId": "ecs-pause-x"});
    let refused = refusal(world.call(proceed::continue_service_deployment, other));
    assert_eq!(refused.1, "The lifecycle hook does not exist.");
    let unknown = json!({"serviceDeploymentArn": format!("{}x", &arn[..arn.len() - 1]), "hookId": "h"});
    let refused = refusal(world.call(proceed::continue_service_deployment, unknown));
    assert_eq!(refused.0, "ServiceDeploymentNotFoundException");
    assert_eq!(proceed(&mut world, Some("CONTINUE")), Default::default());
    assert_eq!(at(&world).0, "SCALE_UP");
    let refused = proceed(&mut world, Some("CONTINUE"));
    assert_eq!(refused.1, "The lifecycle hook is not in the AWAITING_ACTION status.");
    world.obey();
    assert_eq!(at(&world), ("POST_SCALE_UP".to_owned(), Status::InProgress, 0, 2));
    proceed(&mut world, None);
    assert_eq!(at(&world).1, Status::Successful);
}

/// A service of two tasks whose deployment to a third revision pauses before it begins, while there is one of each of the first
/// two that runs, and one of the second that comes; with its container instance.
fn paused_among_two_revisions(world: &mut World) -> String {
    let host = world.host(100_000);
    world.define("web", json!({}));
    create(world, 2, json!({}));
    world.obey();
    update(world, json!({"taskDefinition": "web:2"}));
    let second = |world: &World, id: &String| world.task(id).task_definition_arn.unwrap().ends_with("web:2");
    let coming = world.live().into_iter().find(|id| second(world, id)).unwrap();
    world.report(&coming, "RUNNING", None);
    assert_eq!(at(world), (String::new(), Status::InProgress, 1, 2));
    let mut wishes = strategy("ROLLING", 0, &["PRE_SCALE_UP"]);
    wishes["taskDefinition"] = "web:3".into();
    update(world, wishes);
    world.obey();
    assert_eq!(at(world).0, "PRE_SCALE_UP");
    host
}

#[test]
fn a_deployment_that_has_not_begun_stops_nothing_that_is_healthy() {
    let mut world = World::new();
    paused_among_two_revisions(&mut world);
    is_at(&world, "PRE_SCALE_UP", 1, 1);
    assert_eq!(counts(&world.service("s")).1, 2, "what is too much is what does not run yet");
    // Both of them count, and what is lost is made up for with what was COMPLETED last.
    let second = |id: &String| world.task(id).task_definition_arn.unwrap().ends_with("web:2");
    let lost = world.live().into_iter().find(second).unwrap();
    world.report(&lost, "STOPPED", Some(1));
    world.obey();
    is_at(&world, "PRE_SCALE_UP", 2, 0);
    update(&mut world, json!({"desiredCount": 3}));
    world.obey();
    is_at(&world, "PRE_SCALE_UP", 3, 0);
    proceed(&mut world, None);
    world.obey();
    assert_eq!(at(&world), ("CLEAN_UP".to_owned(), Status::Successful, 0, 0));
    assert_eq!(counts(&world.service("s")), (3, 3, 0));
}

#[test]
fn a_container_instance_is_emptied_while_a_deployment_has_not_begun() {
    let mut world = World::new();
    let host = paused_among_two_revisions(&mut world);
    let other = world.host(100_000);
    let request = json!({"containerInstances": [host], "status": "DRAINING"});
    world.call(crate::instance::state::update_container_instances_state, request).unwrap();
    world.pass(60_000);
    assert_eq!((world.task_count(&host), world.task_count(&other)), (2, 2), "one comes for each");
    world.obey();
    world.obey();
    assert_eq!((world.task_count(&host), world.task_count(&other)), (0, 2));
    is_at(&world, "PRE_SCALE_UP", 2, 0);
}

#[test]
fn what_is_configured_while_a_deployment_goes_on_is_of_the_next_one() {
    let mut world = World::new();
    steady(&mut world, strategy("BLUE_GREEN", 5, &[]));
    update(&mut world, json!({"taskDefinition": "web:2"}));
    world.obey();
    update(&mut world, strategy("ROLLING", 0, &[]));
    is_at(&world, "BAKE_TIME", 2, 2);
    let shown = deployments(&world).remove(0).deployment_configuration.unwrap();
    assert_eq!(
        (shown.strategy, shown.bake_time_in_minutes),
        (Some(ecs::DeploymentStrategy::BlueGreen), Some(5))
    );
    world.pass(5 * MINUTE);
    world.obey();
    let ended = deployments(&world).remove(0);
    assert_eq!(ended.status, Some(Status::Successful));
    assert_eq!(ended.deployment_configuration.unwrap().bake_time_in_minutes, Some(5));
    update(&mut world, json!({"taskDefinition": "web:1"}));
    world.obey();
    let rolled = deployments(&world).remove(0);
    assert_eq!((rolled.status, rolled.lifecycle_stage), (Some(Status::Successful), None));
}

#[test]
fn another_deployment_takes_the_place_of_one_at_any_stage_and_a_deleted_service_ends_it() {
    let mut world = World::new();
    steady(&mut world, strategy("BLUE_GREEN", 5, &[]));
    update(&mut world, json!({"taskDefinition": "web:2"}));
    world.obey();
    is_at(&world, "BAKE_TIME", 2, 2);
    update(&mut world, json!({"forceNewDeployment": true}));
    assert_eq!(deployments(&world)[1].status, Some(Status::Stopped));
    world.obey();
    is_at(&world, "BAKE_TIME", 2, 2);
    world.pass(5 * MINUTE);
    world.obey();
    assert_eq!(at(&world), ("CLEAN_UP".to_owned(), Status::Successful, 0, 2));
    update(&mut world, json!({"taskDefinition": "web:1"}));
    world.call(delete_service, json!({"service": "s", "force": true})).unwrap();
    world.obey();
    assert_eq!(world.live(), Vec::<String>::new());
    assert_eq!(world.service("s").status.as_deref(), Some("INACTIVE"));
}

#[test]
fn a_clock_that_is_set_back_leaves_what_was_left_of_a_bake_time() {
    let mut world = World::new();
    steady(&mut world, strategy("BLUE_GREEN", 100, &[]));
    update(&mut world, json!({"taskDefinition": "web:2"}));
    world.obey();
    world.ctx.now = world.ctx.now.plus_millis(-90 * 24 * 60 * MINUTE);
    let ((), broken) = world.batch(|batch, ctx, ids| batch.clock(ctx, ids, state::batch::Set::Seen));
    assert_eq!(broken, []);
    world.pass(100 * MINUTE - 1);
    is_at(&world, "BAKE_TIME", 2, 2);
    world.pass(1);
    is_at(&world, "CLEAN_UP", 0, 2);
}

#[test]
fn a_daemon_pauses_before_its_first_task_before_and_behind_its_tasks_are_replaced() {
    let mut world = World::new();
    let hosts = [world.host(10_000), world.host(10_000)];
    let mut request = strategy("ROLLING", 0, &["PRE_SCALE_UP", "POST_SCALE_UP"]);
    request.as_object_mut().unwrap().extend(
        json!({"serviceName": "s", "taskDefinition": "web:1", "schedulingStrategy": "DAEMON"})
            .as_object()
            .unwrap()
            .clone(),
    );
    world.call(crate::service::create::create_service, request).unwrap();
    is_at(&world, "PRE_SCALE_UP", 0, 0);
    proceed(&mut world, None);
    is_at(&world, "SCALE_UP", 2, 0);
    world.obey();
    is_at(&world, "POST_SCALE_UP", 2, 0);
    proceed(&mut world, None);
    assert_eq!(at(&world).1, Status::Successful);
    update(&mut world, json!({"taskDefinition": "web:2"}));
    world.obey();
    is_at(&world, "PRE_SCALE_UP", 2, 0);
    // What is lost meanwhile, or comes, has what served until now.
    let lost = world.live().remove(0);
    world.report(&lost, "STOPPED", Some(1));
    let third = world.host(10_000);
    world.pass(1000);
    world.obey();
    is_at(&world, "PRE_SCALE_UP", 3, 0);
    assert!(hosts.iter().chain([&third]).all(|host| world.task_count(host) == 1));
    proceed(&mut world, None);
    world.pass(1000);
    world.obey();
    is_at(&world, "POST_SCALE_UP", 0, 3);
    proceed(&mut world, Some("ROLLBACK"));
    world.obey();
    assert_eq!(at(&world), ("CLEAN_UP".to_owned(), Status::RollbackSuccessful, 3, 0));
}
