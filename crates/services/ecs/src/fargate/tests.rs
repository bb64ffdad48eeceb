//! Tasks on Fargate: what is asked of them, where they go, what is shown of them, and what of container instances is not.

use ecs_model as ecs;
use serde_json::{Value, json};
use wire::Error;

use super::*;
use crate::{
    account::payload,
    capacity::attach,
    cluster::InstanceId,
    instance,
    service::{create, task_sets, update},
    task::{list, run, stop},
    testing::{World, refusal},
};

/// A host that can give tasks interfaces: given to Fargate, or not.
fn host(world: &mut World, memory: i32, given: bool) -> String {
    let number = |name: &str, value: i32| json!({"name": name, "type": "INTEGER", "integerValue": value});
    let mut attributes = vec![
        json!({"name": "ecs.capability.task-eni"}),
        json!({"name": "com.amazonaws.ecs.capability.docker-remote-api.1.18"}),
        json!({"name": "ecs.capability.task-cpu-mem-limit"}),
    ];
    attributes.extend(given.then(|| json!({"name": ATTRIBUTE, "value": GIVEN})));
    let resources = [number("CPU", 4096), number("MEMORY", memory)];
    let request = json!({"totalResources": resources, "attributes": attributes});
    let registered = world.call(instance::register::register_container_instance, request).unwrap();
    let arn = registered.container_instance.unwrap().container_instance_arn.unwrap();
    let id = arn.rsplit('/').next().unwrap().to_owned();
    world.connect(&id, true);
    id
}

/// A cluster with both providers, a definition `small` that goes on Fargate, and `odd`, that does not.
fn world() -> World {
    let mut world = World::new();
    let size = json!({"networkMode": "awsvpc", "cpu": "256", "memory": "512"});
    world.define_task("small", size, json!({"cpu": 0}));
    world.define_task("odd", json!({"networkMode": "awsvpc"}), json!({}));
    let put = json!({
        "cluster": "c", "capacityProviders": ["FARGATE", "FARGATE_SPOT"], "defaultCapacityProviderStrategy": [],
    });
    world.call(attach::put_cluster_capacity_providers, put).unwrap();
    world
}

fn item(name: &str, base: i32, weight: i32) -> Value {
    json!({"capacityProvider": name, "base": base, "weight": weight})
}

/// A request with this and a network.
fn with(more: Value) -> Value {
    let network = json!({"awsvpcConfiguration": {"subnets": ["subnet-a"]}});
    let mut request = json!({"taskDefinition": "small", "networkConfiguration": network});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

fn run(world: &mut World, more: Value) -> Result<ecs::RunTaskResponse, Error> {
    world.call(run::run_task, with(more))
}

fn id_of(task: &ecs::Task) -> String {
    task.task_arn.as_deref().unwrap().rsplit('/').next().unwrap().to_owned()
}

fn reasons(reply: &ecs::RunTaskResponse) -> Vec<(Option<String>, Option<String>)> {
    reply.failures.iter().flatten().map(|of| (of.arn.clone(), of.reason.clone())).collect()
}

#[test]
fn a_task_goes_to_a_host_that_is_given_to_fargate_and_shows_none() {
    let mut world = world();
    host(&mut world, 8000, false);
    let given = host(&mut world, 8000, true);
    let reply = run(&mut world, json!({"launchType": "FARGATE", "platformVersion": "LATEST"})).unwrap();
    assert_eq!(reply.failures, Some(Vec::new()));
    let shown = &reply.tasks.unwrap()[0];
    assert_eq!(shown.launch_type, Some(ecs::LaunchType::Fargate));
    assert_eq!((&shown.container_instance_arn, &shown.capacity_provider_name), (&None, &None));
    assert_eq!(shown.platform_version.as_deref(), Some("1.4.0"));
    assert_eq!(shown.platform_family.as_deref(), Some("Linux"));
    assert_eq!((shown.cpu.as_deref(), shown.memory.as_deref()), (Some("256"), Some("512")));
    assert_eq!(shown.ephemeral_storage.as_ref().unwrap().size_in_gib, 20);
    assert_eq!(shown.fargate_ephemeral_storage.as_ref().unwrap().size_in_gib, Some(20));
    assert_eq!(shown.availability_zone.as_deref(), Some("us-east-1a"));
    assert_eq!(shown.last_status.as_deref(), Some("PROVISIONING"));
    world.ferry(None);
    world.obey_for_agents();
    let id = id_of(shown);
    assert_eq!(world.task(&id).last_status.as_deref(), Some("RUNNING"));
    assert_eq!(world.task_count(&given), 1, "it holds what it needs there");
    let request = json!({"containerInstances": [given]});
    let told = world.look(instance::describe::describe_container_instances, request).unwrap();
    let told = &told.container_instances.unwrap()[0];
    assert_eq!((told.running_tasks_count, told.pending_tasks_count), (Some(0), Some(0)));
    let left = told.remaining_resources.as_ref().unwrap();
    assert_eq!((left[0].integer_value, left[1].integer_value), (Some(4096 - 256), Some(8000 - 512)));
    let listed =
        |world: &World, by: Value| world.look(list::list_tasks, by).unwrap().task_arns.unwrap().len();
    assert_eq!(listed(&world, json!({"containerInstance": given})), 0);
    assert_eq!(listed(&world, json!({"launchType": "FARGATE"})), 1);
    world.call(stop::stop_task, json!({"task": id})).unwrap();
    world.obey_for_agents();
    world.ferry(None);
    assert_eq!(world.task(&id).last_status.as_deref(), Some("STOPPED"));
    assert_eq!(world.task_count(&given), 0);
}

#[test]
fn one_ledger_holds_both_kinds_and_what_has_no_room_fails_in_the_words_of_ecs() {
    let mut world = world();
    let none =
        "Capacity is unavailable at this time. Please try again later or in a different availability zone";
    let nothing = vec![(None, Some(none.to_owned()))];
    let fargate = || json!({"launchType": "FARGATE", "count": 2});
    assert_eq!(reasons(&run(&mut world, fargate()).unwrap()), nothing, "there is no host at all");
    host(&mut world, 8000, false);
    assert_eq!(reasons(&run(&mut world, fargate()).unwrap()), nothing, "nor one for Fargate");
    host(&mut world, 1100, true);
    let first = run(&mut world, fargate()).unwrap();
    assert_eq!((first.tasks.as_ref().unwrap().len(), reasons(&first)), (2, Vec::new()));
    let second = run(&mut world, fargate()).unwrap();
    assert_eq!((second.tasks.as_ref().unwrap().len(), reasons(&second)), (0, nothing));
    // A task of another kind finds the other host, and as much of this one as is left.
    let web = json!({"taskDefinition": "port", "count": 2});
    let ec2 = world.call(run::run_task, web).unwrap();
    assert_eq!(ec2.tasks.unwrap().len(), 1, "100 MiB are not left beside two tasks on Fargate");
}

#[test]
fn a_strategy_distributes_over_both_providers_and_each_task_says_of_which_it_is() {
    let mut world = world();
    host(&mut world, 8000, true);
    let strategy = json!([item("FARGATE", 1, 0), item("FARGATE_SPOT", 0, 1)]);
    let reply = run(&mut world, json!({"capacityProviderStrategy": strategy, "count": 3})).unwrap();
    let of = |task: &ecs::Task| (task.launch_type, task.capacity_provider_name.clone().unwrap());
    let told: Vec<_> = reply.tasks.iter().flatten().map(of).collect();
    let fargate = |name: &str| (Some(ecs::LaunchType::Fargate), name.to_owned());
    assert_eq!(told, [fargate("FARGATE"), fargate("FARGATE_SPOT"), fargate("FARGATE_SPOT")]);
    // Likewise as the cluster's default.
    let put = json!({
        "cluster": "c", "capacityProviders": ["FARGATE", "FARGATE_SPOT"],
        "defaultCapacityProviderStrategy": [item("FARGATE_SPOT", 0, 1)],
    });
    world.call(attach::put_cluster_capacity_providers, put).unwrap();
    let reply = run(&mut world, json!({})).unwrap();
    assert_eq!(of(&reply.tasks.unwrap()[0]), fargate("FARGATE_SPOT"));
    // What the agent hears.
    let spot = world.state.tasks().last().unwrap().clone();
    let definition = world.account.task_definition(&spot.task_definition).unwrap();
    let told = payload::payload(&spot, definition, &world.state, "http://c", &world.ctx);
    assert_eq!(
        (told.launch_type.as_deref(), told.cpu, told.memory),
        (Some("FARGATE"), Some(0.25), Some(512))
    );
    let told = told.fargate.unwrap();
    assert_eq!((told.platform_version.as_str(), told.spot, told.ephemeral_storage_gib), ("1.4.0", true, 20));
}

#[test]
fn the_wall_that_is_asked_for_is_shown_and_told() {
    let mut world = world();
    let size = json!({
        "networkMode": "awsvpc", "cpu": "256", "memory": "512",
        "trustedExecutionConfiguration": {"isolationMode": "ISOLATED_SANDBOX"},
    });
    world.define_task("sandbox", size, json!({"cpu": 0}));
    let given = host(&mut world, 8000, true);
    let wall = json!({
        "cluster": "c", "attributes": [{"name": "roadstead.isolation", "value": "namespaces", "targetId": given}],
    });
    world.call(instance::attributes::put_attributes, wall).unwrap();
    let walls = |task: &ecs::Task| {
        let all = task.attributes.iter().flatten();
        all.filter(|a| a.name == "roadstead.isolation").filter_map(|a| a.value.clone()).collect::<Vec<_>>()
    };
    for (family, mode, shown) in
        [("small", None, "namespaces"), ("sandbox", Some("ISOLATED_SANDBOX"), "gvisor")]
    {
        let more = json!({"launchType": "FARGATE", "taskDefinition": family});
        let id = id_of(&run(&mut world, more).unwrap().tasks.unwrap()[0]);
        world.ferry(None);
        let task = world.task(&id);
        let summary = task.trusted_execution_summary.as_ref().map(|of| of.isolation_mode.as_str());
        assert_eq!((walls(&task), summary), (vec![shown.to_owned()], mode), "{family}");
        let row = world.state.tasks().find(|row| arn_ends(&task, row)).unwrap().clone();
        let definition = world.account.task_definition(&row.task_definition).unwrap();
        let told = payload::payload(&row, definition, &world.state, "http://c", &world.ctx);
        let told = told.trusted_execution_configuration.and_then(|of| of.isolation_mode);
        assert_eq!(told.as_deref(), mode);
    }
}

fn arn_ends(task: &ecs::Task, row: &TaskRow) -> bool {
    task.task_arn.as_deref().is_some_and(|arn| arn.ends_with(&row.id.to_string()))
}

#[test]
fn what_fargate_does_not_go_with_is_refused_in_the_words_of_ecs() {
    let mut world = world();
    host(&mut world, 8000, true);
    let fargate = |more: Value| {
        let mut all = json!({"launchType": "FARGATE"});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let distinct = json!([{"type": "distinctInstance"}]);
    let storage = |size: i32| fargate(json!({"overrides": {"ephemeralStorage": {"sizeInGiB": size}}}));
    for (more, said) in [
        (fargate(json!({"taskDefinition": "odd"})), "Task definition does not support launch_type FARGATE."),
        (fargate(json!({"taskDefinition": "web"})), "Task definition does not support launch_type FARGATE."),
        (
            fargate(json!({"networkConfiguration": null})),
            "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
        ),
        (
            fargate(json!({"placementConstraints": distinct})),
            "Placement constraints are not supported with FARGATE launch type.",
        ),
        (
            fargate(json!({"placementStrategy": [{"type": "random"}]})),
            "Placement strategies are not supported with FARGATE launch type.",
        ),
        (fargate(json!({"platformVersion": "9.9.9"})), "The specified platform version does not exist."),
        (
            json!({"launchType": "EC2", "platformVersion": "LATEST"}),
            "The platform version must be null when specifying an EC2 launch type.",
        ),
        (
            fargate(json!({"overrides": {"cpu": "512", "memory": "512"}})),
            "No Fargate configuration exists for given values.",
        ),
        (storage(20), "EphemeralStorage size should be at least 21"),
        (storage(201), "EphemeralStorage size should be at most 200"),
        (
            json!({"overrides": {"ephemeralStorage": {"sizeInGiB": 30}}}),
            "Tasks using the EC2 launch type do not support EphemeralStorage.",
        ),
    ] {
        let shown = more.to_string();
        assert_eq!(refusal(run(&mut world, more)).1, said, "{shown}");
    }
    let daemon = with(json!({"serviceName": "d", "launchType": "FARGATE", "schedulingStrategy": "DAEMON"}));
    let said = "The daemon scheduling strategy is not supported for the Fargate launch type.";
    assert_eq!(refusal(world.call(create::create_service, daemon)).1, said);
    assert_eq!(world.state.tasks().count(), 0);
    let larger =
        json!({"overrides": {"cpu": "512", "memory": "1024", "ephemeralStorage": {"sizeInGiB": 30}}});
    let reply = run(&mut world, fargate(larger)).unwrap();
    let shown = &reply.tasks.unwrap()[0];
    assert_eq!((shown.cpu.as_deref(), shown.memory.as_deref()), (Some("512"), Some("1024")));
    assert_eq!(shown.ephemeral_storage.as_ref().unwrap().size_in_gib, 30);
}

/// Interfaces come and go, and agents do what is wanted, until nothing changes.
fn settle(world: &mut World) {
    for _ in 0..4 {
        world.ferry(None);
        world.obey_for_agents();
        world.pass(1000);
    }
}

#[test]
fn a_service_runs_on_fargate_and_moves_to_container_instances_and_back() {
    let mut world = world();
    let (ec2, given) = (host(&mut world, 8000, false), host(&mut world, 8000, true));
    let request = with(json!({"serviceName": "s", "launchType": "FARGATE", "desiredCount": 2}));
    let shown = world.call(create::create_service, request).unwrap().service.unwrap();
    assert_eq!(shown.platform_version.as_deref(), Some("LATEST"), "as it was given");
    assert_eq!(shown.launch_type, Some(ecs::LaunchType::Fargate));
    let deployment = &shown.deployments.unwrap()[0];
    assert_eq!(deployment.platform_version.as_deref(), Some("1.4.0"));
    assert_eq!(deployment.platform_family.as_deref(), Some("Linux"));
    settle(&mut world);
    assert_eq!((world.task_count(&ec2), world.task_count(&given)), (0, 2));
    let spot = json!({
        "service": "s", "forceNewDeployment": true, "capacityProviderStrategy": [item("FARGATE_SPOT", 0, 1)],
    });
    let shown = world.call(update::update_service, spot).unwrap().service.unwrap();
    assert_eq!((shown.launch_type, shown.platform_version.as_deref()), (None, Some("LATEST")));
    settle(&mut world);
    let of = |world: &World| {
        let live = world.live();
        live.iter().map(|id| world.task(id).capacity_provider_name).collect::<Vec<_>>()
    };
    assert_eq!(of(&world), [Some("FARGATE_SPOT".to_owned()), Some("FARGATE_SPOT".to_owned())]);
    let back = json!({"service": "s", "forceNewDeployment": true, "capacityProviderStrategy": []});
    world.call(update::update_service, back).unwrap();
    settle(&mut world);
    assert_eq!((of(&world), world.task_count(&given)), (vec![None, None], 2));
    let constrained = json!({"service": "s", "placementConstraints": [{"type": "distinctInstance"}]});
    let said = "Placement constraints are not supported with FARGATE launch type.";
    assert_eq!(refusal(world.call(update::update_service, constrained)).1, said);
}

#[test]
fn a_service_without_room_says_so_and_one_that_changes_its_platform_is_deployed_anew() {
    let mut world = world();
    let request = with(json!({"serviceName": "s", "launchType": "FARGATE", "desiredCount": 1}));
    world.call(create::create_service, request).unwrap();
    world.pass(1000);
    let said = "was unable to place a task. Reason: Capacity is unavailable at this time. Please try again later or in a \
                different availability zone.";
    assert_eq!(world.events("s"), [said]);
    host(&mut world, 8000, true);
    settle(&mut world);
    assert_eq!(world.live().len(), 1, "it is placed once there is room");
    let before = world.service("s").deployments.unwrap()[0].id.clone();
    let update = json!({"service": "s", "platformVersion": "1.4.0"});
    let shown = world.call(update::update_service, update).unwrap().service.unwrap();
    assert_ne!(shown.deployments.unwrap()[0].id, before);
    assert_eq!(shown.platform_version.as_deref(), Some("1.4.0"));
}

#[test]
fn task_sets_are_on_fargate_each_by_itself() {
    let mut world = world();
    host(&mut world, 8000, true);
    let service =
        json!({"serviceName": "s", "desiredCount": 1, "deploymentController": {"type": "EXTERNAL"}});
    world.call(create::create_service, service).unwrap();
    let set = with(json!({
        "service": "s", "cluster": "c", "launchType": "FARGATE", "platformVersion": "1.4.0",
        "scale": {"unit": "PERCENT", "value": 100.0},
    }));
    let shown = world.call(task_sets::create::create_task_set, set).unwrap().task_set.unwrap();
    assert_eq!(
        (shown.launch_type, shown.platform_version.as_deref()),
        (Some(ecs::LaunchType::Fargate), Some("1.4.0"))
    );
    settle(&mut world);
    assert_eq!(world.task(&world.live()[0]).launch_type, Some(ecs::LaunchType::Fargate));
}

#[test]
fn a_host_that_is_taken_back_from_fargate_gets_no_more_of_its_tasks() {
    let mut world = world();
    let given = host(&mut world, 8000, true);
    run(&mut world, json!({"launchType": "FARGATE"})).unwrap();
    let arn = format!("arn:aws:ecs:us-east-1:000000000000:container-instance/c/{given}");
    let number = |name: &str| json!({"name": name, "type": "INTEGER", "integerValue": 8000});
    let request = json!({
        "containerInstanceArn": arn, "totalResources": [number("CPU"), number("MEMORY")],
        "attributes": [{"name": "ecs.capability.task-eni"}],
    });
    world.call(instance::register::register_container_instance, request).unwrap();
    let row = world.state.instance(&InstanceId::parse(&given).unwrap()).unwrap();
    assert_eq!(instance::attribute(row, ATTRIBUTE), None);
    assert_eq!(reasons(&run(&mut world, json!({"launchType": "FARGATE"})).unwrap()).len(), 1);
    assert_eq!(world.task_count(&given), 1, "what is there goes on");
}

/// A world with a service of so many tasks of FARGATE_SPOT, RUNNING on one host; gives that.
fn of_spot(count: i32) -> (World, String) {
    let mut world = world();
    let given = host(&mut world, 8000, true);
    let strategy = json!([item("FARGATE_SPOT", 0, 1)]);
    let service = json!({"serviceName": "s", "desiredCount": count, "capacityProviderStrategy": strategy});
    world.call(create::create_service, with(service)).unwrap();
    settle(&mut world);
    (world, given)
}

#[test]
fn an_interrupted_task_is_warned_replaced_and_stopped_after_its_warning() {
    let (mut world, _) = of_spot(1);
    let id = world.live()[0].clone();
    let told = world.run(|txn| interruption::interrupt(txn, &id, Some(30))).unwrap();
    assert_eq!(
        (told.last_status.as_deref(), told.desired_status.as_deref()),
        (Some("RUNNING"), Some("STOPPED"))
    );
    assert_eq!(told.stop_code, Some(ecs::TaskStopCode::SpotInterruption));
    assert_eq!(told.stopped_reason.as_deref(), Some("Your Spot Task was interrupted."));
    assert_eq!(world.live().len(), 1, "its service has started another");
    let row = |world: &World| world.state.task(&crate::cluster::TaskId::parse(&id).unwrap()).unwrap().clone();
    assert_eq!(row(&world).desired_for_agent().as_str(), "RUNNING", "its agent has not heard of it");
    world.pass(29_000);
    assert_eq!(world.task(&id).last_status.as_deref(), Some("RUNNING"));
    world.pass(1_000);
    assert_eq!(world.task(&id).last_status.as_deref(), Some("STOPPING"));
    assert_eq!(row(&world).desired_for_agent().as_str(), "STOPPED");
    settle(&mut world);
    let stopped = world.task(&id);
    assert_eq!(stopped.last_status.as_deref(), Some("STOPPED"));
    assert_eq!(stopped.stop_code, Some(ecs::TaskStopCode::SpotInterruption));
    let again = refusal(world.run(|txn| interruption::interrupt(txn, &id, None)));
    assert_eq!(again.1, "The task is stopped already, or is to stop.");
}

#[test]
fn one_that_ends_within_its_warning_is_done_and_one_without_an_agent_ends_at_once() {
    let (mut world, _) = of_spot(1);
    let id = world.live()[0].clone();
    world.run(|txn| interruption::interrupt(txn, &id, None)).unwrap();
    let waiting = world.live()[0].clone();
    world.report(&id, "STOPPED", Some(0));
    world.ferry(None);
    assert_eq!(world.task(&id).last_status.as_deref(), Some("STOPPED"));
    let next = world.live()[0].clone();
    assert_eq!(next, waiting);
    let strategy = json!({"capacityProviderStrategy": [item("FARGATE_SPOT", 0, 1)]});
    let fresh = id_of(&run(&mut world, strategy).unwrap().tasks.unwrap()[0]);
    world.run(|txn| interruption::interrupt(txn, &fresh, None)).unwrap();
    world.ferry(None);
    assert_eq!(world.task(&fresh).last_status.as_deref(), Some("STOPPED"));
    world.pass(200_000);
}

#[test]
fn one_that_somebody_stops_does_not_wait_for_the_end_of_its_warning() {
    let (mut world, _) = of_spot(1);
    let id = world.live()[0].clone();
    world.run(|txn| interruption::interrupt(txn, &id, Some(3600))).unwrap();
    world.call(stop::stop_task, json!({"task": id})).unwrap();
    let row = world.state.task(&crate::cluster::TaskId::parse(&id).unwrap()).unwrap().clone();
    assert_eq!((row.desired_for_agent().as_str(), row.stop_at()), ("STOPPED", None));
    assert_eq!(world.task(&id).last_status.as_deref(), Some("STOPPING"));
    assert_eq!(
        world.task(&id).stop_code,
        Some(ecs::TaskStopCode::SpotInterruption),
        "the first reason stands"
    );
}

#[test]
fn other_tasks_are_not_interrupted() {
    let mut world = world();
    host(&mut world, 8000, true);
    let id = id_of(&run(&mut world, json!({"launchType": "FARGATE"})).unwrap().tasks.unwrap()[0]);
    let of = |world: &mut World, warning: Option<u32>| {
        refusal(world.run(|txn| interruption::interrupt(txn, &id, warning))).1
    };
    assert_eq!(of(&mut world, None), "The task is not of the capacity provider FARGATE_SPOT.");
    assert_eq!(of(&mut world, Some(3601)), "The warning is at most 3600 seconds.");
}

#[test]
fn a_host_that_is_drained_interrupts_its_tasks_of_spot_alone() {
    let (mut world, given) = of_spot(2);
    let plain = id_of(&run(&mut world, json!({"launchType": "FARGATE"})).unwrap().tasks.unwrap()[0]);
    settle(&mut world);
    let spot: Vec<String> = world.live().into_iter().filter(|id| *id != plain).collect();
    let drain = json!({"containerInstances": [given], "status": "DRAINING"});
    world.call(instance::state::update_container_instances_state, drain).unwrap();
    for id in &spot {
        let shown = world.task(id);
        assert_eq!(shown.stop_code, Some(ecs::TaskStopCode::SpotInterruption), "{shown:?}");
        assert_eq!(shown.last_status.as_deref(), Some("RUNNING"));
    }
    world.pass(120_000);
    settle(&mut world);
    assert!(spot.iter().all(|id| world.task(id).last_status.as_deref() == Some("STOPPED")));
    assert_eq!(world.task(&plain).last_status.as_deref(), Some("RUNNING"), "one of its own stays, as in ECS");
}

#[test]
fn a_task_that_is_to_have_a_public_address_says_so_to_ec2_and_its_host_hears_it() {
    let mut world = world();
    host(&mut world, 8000, true);
    let network = json!({"awsvpcConfiguration": {"subnets": ["subnet-a"], "assignPublicIp": "ENABLED"}});
    let said = "Assign public IP is not supported for this launch type.";
    assert_eq!(refusal(run(&mut world, json!({"networkConfiguration": network}))).1, said);
    let of_fargate = json!({"networkConfiguration": network, "launchType": "FARGATE"});
    let id = id_of(&run(&mut world, of_fargate).unwrap().tasks.unwrap()[0]);
    let id = crate::cluster::TaskId::parse(&id).unwrap();
    assert!(world.state.interface_wanted(&id).unwrap().public);
    let address = std::net::Ipv4Addr::new(198, 18, 0, 7);
    let given = state::contract::Interface { public: Some(address), ..crate::testing::interface(4) };
    let told = vec![(id.0, state::contract::Given::Interface(Box::new(given)))];
    world.run(|txn| Ok(<crate::Cluster as state::contract::Wants>::hear(txn, told))).unwrap();
    assert_eq!(world.state.interface_wanted(&id).unwrap().has.as_ref().unwrap().public, Some(address));
    let row = world.state.task(&id).unwrap().clone();
    let definition = world.account.task_definition(&row.task_definition).unwrap();
    let told = payload::payload(&row, definition, &world.state, "http://c", &world.ctx);
    let own = told.elastic_network_interfaces[0].vpc.as_ref().unwrap();
    assert_eq!(own.public_address.as_deref(), Some("198.18.0.7"));
}

#[test]
fn a_service_with_public_addresses_stays_on_fargate() {
    let mut world = world();
    let network = json!({"awsvpcConfiguration": {"subnets": ["subnet-a"], "assignPublicIp": "ENABLED"}});
    let request = json!({
        "serviceName": "s", "launchType": "FARGATE", "desiredCount": 0, "taskDefinition": "small",
        "networkConfiguration": network,
    });
    let shown = world.call(create::create_service, request).unwrap().service.unwrap();
    let shown = shown.network_configuration.unwrap().awsvpc_configuration.unwrap();
    assert_eq!(shown.assign_public_ip, Some(ecs::AssignPublicIp::Enabled));
    world.provider("own");
    let moved = json!({
        "service": "s", "forceNewDeployment": true, "capacityProviderStrategy": [item("own", 0, 1)],
    });
    let said = "Assign public IP is not supported for this launch type.";
    assert_eq!(refusal(world.call(update::update_service, moved)).1, said);
}
