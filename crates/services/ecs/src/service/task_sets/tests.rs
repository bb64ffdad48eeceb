//! Services of the controller EXTERNAL on a small cluster: their task sets from the first to the last.

use ecs_model as ecs;
use serde_json::{Value, json};
use state::contract::Tells;

use super::{change, create, describe};
use crate::{
    instance::state::update_container_instances_state,
    limits,
    service::{create::create_service, delete::delete_service, tests::update, update::update_service},
    tags,
    testing::{World, refusal},
};

fn external(world: &mut World, desired: i32) {
    let request =
        json!({"serviceName": "s", "desiredCount": desired, "deploymentController": {"type": "EXTERNAL"}});
    world.call(create_service, request).unwrap();
}

fn with(request: Value, more: Value) -> Value {
    let mut request = request;
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

/// Makes a task set; gives its id.
fn set(world: &mut World, definition: &str, scale: f64) -> String {
    let request =
        json!({"service": "s", "cluster": "c", "taskDefinition": definition, "scale": {"value": scale}});
    world.call(create::create_task_set, request).unwrap().task_set.unwrap().id.unwrap()
}

fn scale(world: &mut World, id: &str, value: f64) -> ecs::TaskSet {
    let request =
        json!({"service": "s", "cluster": "c", "taskSet": id, "scale": {"value": value, "unit": "PERCENT"}});
    world.call(change::update_task_set, request).unwrap().task_set.unwrap()
}

fn primary(world: &mut World, id: &str) -> ecs::TaskSet {
    let request = json!({"service": "s", "cluster": "c", "primaryTaskSet": id});
    world.call(change::update_service_primary_task_set, request).unwrap().task_set.unwrap()
}

fn delete(world: &mut World, id: &str, force: bool) -> Result<ecs::TaskSet, wire::Error> {
    let request = json!({"service": "s", "cluster": "c", "taskSet": id, "force": force});
    world.call(change::delete_task_set, request).map(|reply| reply.task_set.unwrap())
}

fn sets(world: &World) -> Vec<ecs::TaskSet> {
    let reply = world.look(describe::describe_task_sets, json!({"service": "s", "cluster": "c"}));
    let mut sets = reply.unwrap().task_sets.unwrap();
    sets.sort_by_key(|set| set.task_definition.clone());
    sets
}

/// Status, stability, and computed, pending and running count of each.
fn states(world: &World) -> Vec<(String, &'static str, i32, i32, i32)> {
    let of = |set: ecs::TaskSet| {
        (
            set.status.unwrap(),
            set.stability_status.unwrap().as_str(),
            set.computed_desired_count.unwrap(),
            set.pending_count.unwrap(),
            set.running_count.unwrap(),
        )
    };
    sets(world).into_iter().map(of).collect()
}

fn state(status: &str, stability: &'static str, counts: [i32; 3]) -> (String, &'static str, i32, i32, i32) {
    (status.to_owned(), stability, counts[0], counts[1], counts[2])
}

#[test]
fn task_sets_take_each_other_s_place_as_somebody_else_says() {
    let mut world = World::new();
    world.host(100_000);
    external(&mut world, 4);
    let bare = world.service("s");
    assert_eq!((bare.task_definition, bare.deployments, bare.task_sets), (None, Some(vec![]), Some(vec![])));
    assert_eq!(bare.deployment_controller.unwrap().r#type, ecs::DeploymentControllerType::External);
    let blue = set(&mut world, "web:1", 100.0);
    assert!(blue.starts_with("ecs-svc/") && blue.len() == 27, "{blue}");
    assert_eq!(states(&world), [state("ACTIVE", "STABILIZING", [4, 4, 0])]);
    world.pass(1500);
    world.obey();
    assert_eq!(states(&world), [state("ACTIVE", "STEADY_STATE", [4, 0, 4])]);
    assert_eq!(sets(&world)[0].stability_status_at, Some(world.ctx.now));
    assert_eq!(primary(&mut world, &blue).status.as_deref(), Some("PRIMARY"));
    assert!(world.service("s").task_definition.unwrap().ends_with("web:1"));
    let green = set(&mut world, "web:2", 30.0);
    world.obey();
    assert_eq!(
        states(&world),
        [state("PRIMARY", "STEADY_STATE", [4, 0, 4]), state("ACTIVE", "STEADY_STATE", [2, 0, 2])]
    );
    let started_by = |id: &String| world.task(id).started_by.unwrap();
    assert_eq!(world.live().iter().filter(|id| started_by(id) == green).count(), 2);
    let grown = scale(&mut world, &green, 100.0);
    assert_eq!(
        (grown.computed_desired_count, grown.stability_status),
        (Some(4), Some(ecs::StabilityStatus::Stabilizing))
    );
    world.obey();
    primary(&mut world, &green);
    let refused = refusal(delete(&mut world, &green, false));
    assert_eq!(
        refused,
        ("InvalidParameterException".to_owned(), "Primary TaskSet cannot be deleted".to_owned())
    );
    let refused = refusal(delete(&mut world, &blue, false));
    assert_eq!(refused.1, "The TaskSet cannot be deleted while it is scaled above 0.");
    scale(&mut world, &blue, 0.0);
    assert_eq!(delete(&mut world, &blue, false).unwrap().status.as_deref(), Some("DRAINING"));
    assert_eq!(states(&world)[0].0, "DRAINING");
    world.obey();
    assert_eq!(states(&world), [state("PRIMARY", "STEADY_STATE", [4, 0, 4])]);
    let shown = world.service("s");
    assert_eq!((shown.running_count, shown.deployments), (Some(4), Some(vec![])));
    assert!(shown.task_definition.unwrap().ends_with("web:2"));
    // The desired count is shared out anew, and what ends by itself is replaced.
    update(&mut world, json!({"desiredCount": 1}));
    world.obey();
    let lost = world.live().remove(0);
    world.report(&lost, "STOPPED", Some(1));
    world.obey();
    assert_eq!(
        states(&world)[0],
        state("PRIMARY", "STABILIZING", [1, 0, 1]),
        "it may end as soon as that one"
    );
    world.pass(limits::SHORT_LIFE_MS);
    assert_eq!(states(&world)[0], state("PRIMARY", "STEADY_STATE", [1, 0, 1]));
    delete(&mut world, &green, true).unwrap();
    assert_eq!(world.service("s").task_definition, None);
    world.obey();
    assert_eq!(states(&world), []);
}

#[test]
fn what_task_sets_do_is_said_of_them() {
    let mut world = World::new();
    world.listened = true;
    world.host(250);
    external(&mut world, 2);
    let id = set(&mut world, "web:1", 100.0);
    world.obey();
    let said: Vec<String> =
        world.state.service_events(&"s".into()).map(|event| event.message.clone()).collect();
    assert_eq!(said[0], format!("(service s, taskSet {id}) has reached a steady state."));
    assert!(
        said[1].starts_with(&format!("(service s, taskSet {id}) has started 2 tasks: (task ")),
        "{said:?}"
    );
    let told: Vec<Value> = world
        .state
        .outgoing()
        .waiting()
        .filter(|event| {
            event.detail_type.starts_with("ECS Service") || event.detail_type.starts_with("ECS Dep")
        })
        .map(|event| event.detail.clone())
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    let arn = format!("arn:aws:ecs:us-east-1:000000000000:task-set/c/s/{id}");
    assert_eq!(
        (&told[0]["eventName"], &told[0]["taskSetArns"]),
        (&json!("TASKSET_STEADY_STATE"), &json!([arn]))
    );
    update(&mut world, json!({"desiredCount": 3}));
    let said: Vec<String> =
        world.state.service_events(&"s".into()).map(|event| event.message.clone()).collect();
    assert!(
        said[0].starts_with(&format!("(service s, taskSet {id}) was unable to place a task")),
        "{said:?}"
    );
    // Room that comes is taken.
    world.host(1000);
    world.obey();
    assert_eq!(states(&world)[0], state("ACTIVE", "STEADY_STATE", [3, 0, 3]));
}

#[test]
fn a_task_set_leaves_a_container_instance_that_is_emptied() {
    let mut world = World::new();
    let host = world.host(100_000);
    external(&mut world, 2);
    set(&mut world, "web:1", 100.0);
    world.obey();
    world.host(100_000);
    let request = json!({"containerInstances": [host], "status": "DRAINING"});
    world.call(update_container_instances_state, request).unwrap();
    assert_eq!(states(&world)[0].1, "STABILIZING");
    world.obey();
    world.obey();
    assert_eq!(states(&world)[0], state("ACTIVE", "STEADY_STATE", [2, 0, 2]));
    let here = |id: &String| world.task(id).container_instance_arn.unwrap().ends_with(&host);
    assert!(!world.live().iter().any(here));
}

#[test]
fn a_task_set_is_made_once_for_a_client_token_and_five_times_in_all() {
    let mut world = World::new();
    external(&mut world, 0);
    let request = json!({"service": "s", "cluster": "c", "taskDefinition": "web:1", "clientToken": "t", "externalId": "x"});
    let first = world.call(create::create_task_set, request.clone()).unwrap().task_set.unwrap();
    assert_eq!((first.external_id.as_deref(), first.scale.as_ref().unwrap().value), (Some("x"), Some(0.0)));
    let again = world.call(create::create_task_set, request.clone()).unwrap().task_set.unwrap();
    assert_eq!(again.id, first.id);
    let refused = refusal(world.call(create::create_task_set, with(request, json!({"externalId": "y"}))));
    assert_eq!(refused.1, "Creation of task set was not idempotent.");
    for _ in 1..limits::TASK_SETS {
        set(&mut world, "web:1", 0.0);
    }
    let request = json!({"service": "s", "cluster": "c", "taskDefinition": "web:1"});
    let refused = refusal(world.call(create::create_task_set, request));
    let message = "5 deployments exist on the service. Unable to create new TaskSet since this exceeds the maximum limit.";
    assert_eq!(refused, ("InvalidParameterException".to_owned(), message.to_owned()));
}

#[test]
fn task_sets_have_tags_and_are_described_by_id_and_arn() {
    let mut world = World::new();
    external(&mut world, 0);
    let request = json!({
        "service": "s", "cluster": "c", "taskDefinition": "web:1", "tags": [{"key": "a", "value": "1"}]
    });
    let made = world.call(create::create_task_set, request).unwrap().task_set.unwrap();
    let (id, arn) = (made.id.unwrap(), made.task_set_arn.unwrap());
    assert_eq!(arn, format!("arn:aws:ecs:us-east-1:000000000000:task-set/c/s/{id}"));
    let tag = json!({"resourceArn": arn, "tags": [{"key": "b", "value": "2"}]});
    world.call(tags::tag_resource, tag).unwrap();
    world.call(tags::untag_resource, json!({"resourceArn": arn, "tagKeys": ["a"]})).unwrap();
    assert_eq!(tags::of(&world.state, &arn).unwrap().len(), 1);
    let request = json!({
        "service": "s", "cluster": "c", "taskSets": [id, arn, "ecs-svc/1", "x"], "include": ["TAGS"]
    });
    let reply = world.look(describe::describe_task_sets, request).unwrap();
    let sets = reply.task_sets.unwrap();
    assert_eq!((sets.len(), &sets[0]), (2, &sets[1]));
    assert_eq!(sets[0].tags.as_ref().unwrap()[0].key.as_deref(), Some("b"));
    let failures: Vec<_> =
        reply.failures.unwrap().into_iter().map(|f| (f.arn.unwrap(), f.reason.unwrap())).collect();
    let missing =
        |id: &str| (format!("arn:aws:ecs:us-east-1:000000000000:task-set/c/s/{id}"), "MISSING".to_owned());
    assert_eq!(failures, [missing("ecs-svc/1"), missing("x")]);
    assert_eq!(world.service("s").task_sets.unwrap().len(), 1);
}

#[test]
fn what_is_not_of_task_sets_is_refused() {
    let external = json!({"serviceName": "s", "deploymentController": {"type": "EXTERNAL"}});
    for (more, message) in [
        (
            json!({"taskDefinition": "web:1"}),
            "taskDefinition is not supported for services with the EXTERNAL deployment controller. Specify it for their \
             task sets.",
        ),
        (
            json!({"launchType": "EC2"}),
            "launchType is not supported for services with the EXTERNAL deployment controller. Specify it for their task \
             sets.",
        ),
        (
            json!({"schedulingStrategy": "DAEMON"}),
            "The EXTERNAL deployment controller does not support the DAEMON scheduling strategy.",
        ),
        (
            json!({"deploymentConfiguration": {"strategy": "BLUE_GREEN"}}),
            "deploymentConfiguration.strategy is only supported for services with the ECS deployment controller.",
        ),
        (
            json!({"deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": true, "rollback": true}}}),
            "deploymentConfiguration.deploymentCircuitBreaker is only supported for services with the ECS deployment \
             controller.",
        ),
        (
            json!({"placementConstraints": [{"type": "memberOf", "expression": "attribute:"}]}),
            "Invalid expression",
        ),
        (
            json!({"deploymentController": {"type": "CODE_DEPLOY"}}),
            "When specifying the CODE_DEPLOY deployment controller type, the service requires an Application Load \
             Balancer or Network Load Balancer.",
        ),
    ] {
        let mut world = World::new();
        let refused = refusal(world.call(create_service, with(external.clone(), more.clone())));
        assert_eq!(refused.0, "InvalidParameterException", "{more}");
        assert!(refused.1.contains(message) || message == "Invalid expression", "{more}: {}", refused.1);
    }
    let mut world = World::new();
    world.call(create_service, external).unwrap();
    assert_eq!(world.service("s").desired_count, Some(0));
    for (more, what) in [
        (json!({"taskDefinition": "web:1"}), "Unable to update task definition on services"),
        (json!({"forceNewDeployment": true}), "Unable to force a new deployment on services"),
        (
            json!({"deploymentConfiguration": {"bakeTimeInMinutes": 1}}),
            "deploymentConfiguration.bakeTimeInMinutes is only",
        ),
    ] {
        let refused = refusal(world.call(update_service, with(json!({"service": "s"}), more)));
        assert_eq!(refused.0, "InvalidParameterException");
        assert!(refused.1.starts_with(what), "{}", refused.1);
    }
    update(&mut world, json!({"desiredCount": 2, "deploymentConfiguration": {"maximumPercent": 150}}));
    let made = json!({"service": "s", "cluster": "c", "taskDefinition": "web:1"});
    let refused =
        refusal(world.call(create::create_task_set, with(made.clone(), json!({"scale": {"value": 100.5}}))));
    assert_eq!(refused.1, "scale value must be between 0.0 and 100.0");
    let missing = json!({"service": "s", "cluster": "c", "taskSet": "ecs-svc/1"});
    let refused = refusal(world.call(change::delete_task_set, missing));
    assert_eq!(refused.0, "TaskSetNotFoundException");
    let other = json!({"serviceName": "e", "taskDefinition": "web:1", "desiredCount": 0});
    world.call(create_service, other).unwrap();
    let refused = refusal(world.call(create::create_task_set, with(made, json!({"service": "e"}))));
    let message = "Amazon ECS only supports task set management on services configured to use external deployment controllers.";
    assert_eq!(refused, ("InvalidParameterException".to_owned(), message.to_owned()));
}

#[test]
fn a_service_goes_after_its_task_sets() {
    let mut world = World::new();
    world.host(1000);
    external(&mut world, 1);
    let id = set(&mut world, "web:1", 100.0);
    world.obey();
    update(&mut world, json!({"desiredCount": 0}));
    world.obey();
    let refused = refusal(world.call(delete_service, json!({"service": "s"})));
    assert_eq!(refused.1, "The service cannot be stopped while deployments are active.");
    delete(&mut world, &id, false).unwrap();
    world.call(delete_service, json!({"service": "s"})).unwrap();
    assert_eq!(world.service("s").status.as_deref(), Some("INACTIVE"));
    // Or with them, where that is forced.
    external(&mut world, 1);
    set(&mut world, "web:1", 100.0);
    world.obey();
    world.call(delete_service, json!({"service": "s", "force": true})).unwrap();
    assert_eq!(world.service("s").status.as_deref(), Some("INACTIVE"));
    assert_eq!(world.live(), Vec::<String>::new());
    world.obey();
    world.pass(limits::INACTIVE_KEPT_MS + 1);
    assert_eq!(world.state.deployed().count(), 0);
}

#[test]
fn a_service_changes_its_controller_and_what_runs_goes_on() {
    let mut world = World::new();
    world.host(100_000);
    crate::service::tests::create(&mut world, 2, json!({}));
    let going = refusal(
        world.call(update_service, json!({"service": "s", "deploymentController": {"type": "EXTERNAL"}})),
    );
    assert_eq!(going.0, "InvalidParameterException");
    world.obey();
    let before = world.live();
    let deployment = world.service("s").deployments.unwrap().remove(0).id;
    update(&mut world, json!({"deploymentController": {"type": "EXTERNAL"}}));
    assert_eq!(states(&world), [state("PRIMARY", "STEADY_STATE", [2, 0, 2])]);
    assert_eq!((sets(&world)[0].id.clone(), world.live()), (deployment, before));
    let green = set(&mut world, "web:2", 50.0);
    world.obey();
    assert_eq!(states(&world)[1], state("ACTIVE", "STEADY_STATE", [1, 0, 1]));
    primary(&mut world, &green);
    update(&mut world, json!({"deploymentController": {"type": "ECS"}}));
    let shown = world.service("s");
    assert_eq!((shown.task_sets, shown.deployments.map(|all| all.len())), (None, Some(3)));
    world.obey();
    let shown = world.service("s");
    assert_eq!((shown.running_count, shown.deployments.map(|all| all.len())), (Some(2), Some(1)));
    assert!(shown.task_definition.unwrap().ends_with("web:2"));
    let listed =
        world.look(crate::service::deployment::list::list_service_deployments, json!({"service": "s"}));
    assert_eq!(listed.unwrap().service_deployments.unwrap().len(), 2);
}

#[test]
fn a_task_set_has_its_capacity_from_providers_which_stay_as_long_as_it_does() {
    let mut world = World::new();
    world.host(10_000);
    world.provider("p");
    let host = world.host_of("p", 10_000);
    external(&mut world, 2);
    let strategy = json!([{"capacityProvider": "p", "weight": 1, "base": 0}]);
    let request = json!({
        "service": "s", "cluster": "c", "taskDefinition": "web", "scale": {"value": 100},
        "capacityProviderStrategy": strategy,
    });
    let both = with(request.clone(), json!({"launchType": "EC2"}));
    assert!(refusal(world.call(create::create_task_set, both)).1.contains("both a launch type and capacity"));
    let absent = with(request.clone(), json!({"capacityProviderStrategy": [{"capacityProvider": "q"}]}));
    assert_eq!(refusal(world.call(create::create_task_set, absent)).0, "InvalidParameterException");
    let made = world.call(create::create_task_set, request).unwrap().task_set.unwrap();
    assert_eq!(made.launch_type, None);
    assert_eq!(serde_json::to_value(&made.capacity_provider_strategy).unwrap(), strategy);
    world.obey();
    for task in world.live() {
        let task = world.task(&task);
        assert_eq!(task.capacity_provider_name.as_deref(), Some("p"));
        assert!(task.container_instance_arn.unwrap().ends_with(&host));
    }
    let id = made.id.unwrap();
    primary(&mut world, &id);
    let shown = world.service("s");
    assert_eq!(serde_json::to_value(shown.capacity_provider_strategy).unwrap(), strategy);
    let none = json!({"cluster": "c", "capacityProviders": [], "defaultCapacityProviderStrategy": []});
    let leave = crate::capacity::attach::put_cluster_capacity_providers;
    assert_eq!(refusal(world.call(leave, none.clone())).0, "ResourceInUseException");
    delete(&mut world, &id, true).unwrap();
    assert_eq!(refusal(world.call(leave, none.clone())).0, "ResourceInUseException", "its tasks are there");
    world.obey();
    world.call(leave, none).unwrap();
}

#[test]
fn what_is_deployed_after_task_sets_has_the_capacity_of_the_primary_one() {
    let mut world = World::new();
    world.provider("p");
    world.host_of("p", 10_000);
    external(&mut world, 1);
    let request = json!({
        "service": "s", "cluster": "c", "taskDefinition": "web", "scale": {"value": 100},
        "capacityProviderStrategy": [{"capacityProvider": "p", "weight": 1}],
    });
    let made = world.call(create::create_task_set, request).unwrap().task_set.unwrap();
    primary(&mut world, &made.id.unwrap());
    world.obey();
    update(&mut world, json!({"deploymentController": {"type": "ECS"}}));
    world.obey();
    let task = world.task(&world.live()[0]);
    assert_eq!(task.capacity_provider_name.as_deref(), Some("p"));
    update(&mut world, json!({"deploymentController": {"type": "EXTERNAL"}}));
    assert_eq!(sets(&world)[0].capacity_provider_strategy.as_ref().map(Vec::len), Some(1));
}
