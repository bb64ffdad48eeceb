//! Capacity providers at work on a small cluster: which tasks go where, what waits, and what is refused.

use ecs_model as ecs;
use serde_json::{Value, json};

use super::{attach::put_cluster_capacity_providers, reservation};
use crate::{
    account::providers,
    clusters,
    daemon::change as daemons,
    instance::{attributes, describe as instances},
    service::{create, delete, tests as services, update},
    task::{describe, run, stop},
    testing::{World, from, on_account, refusal},
};

/// Makes a capacity provider; `scaling` is ENABLED or DISABLED.
fn provider(world: &mut World, name: &str, scaling: &str) {
    let request = json!({"name": name, "autoScalingGroupProvider": {
        "autoScalingGroupArn": format!("group-of-{name}"), "managedScaling": {"status": scaling},
    }});
    let ctx = world.ctx.clone();
    on_account(&mut world.account, &ctx, |txn| providers::create(txn, from(request), None)).unwrap();
}

fn put(world: &mut World, providers: &[&str], default: Value) -> Result<ecs::Cluster, (String, String)> {
    let request =
        json!({"cluster": "c", "capacityProviders": providers, "defaultCapacityProviderStrategy": default});
    let done = world.call(put_cluster_capacity_providers, request);
    done.map(|reply| reply.cluster.unwrap()).map_err(|error| refusal::<()>(Err(error)))
}

/// A cluster with the providers `a` and `b`, which do not grow.
fn world_of_two() -> World {
    let mut world = World::new();
    provider(&mut world, "a", "DISABLED");
    provider(&mut world, "b", "DISABLED");
    put(&mut world, &["a", "b", "FARGATE"], json!([])).unwrap();
    world
}

/// A container instance of a provider.
fn host(world: &mut World, memory: i32, provider: &str) -> String {
    let id = world.host(memory);
    belongs(world, &id, provider);
    id
}

fn belongs(world: &mut World, host: &str, provider: &str) {
    let attribute = json!({"name": super::ATTRIBUTE, "value": provider, "targetId": host});
    world.call(attributes::put_attributes, json!({"attributes": [attribute]})).unwrap();
}

fn item(provider: &str, base: i32, weight: i32) -> Value {
    json!({"capacityProvider": provider, "base": base, "weight": weight})
}

fn run(world: &mut World, more: Value) -> ecs::RunTaskResponse {
    let mut request = json!({"taskDefinition": "web:1"});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.call(run::run_task, request).unwrap()
}

/// How many of the tasks that shall run are of each of some providers; each on an instance of it, or waiting for one.
fn spread(world: &World, providers: &[&str]) -> Vec<usize> {
    let live = world.live();
    let mut counts = vec![0; providers.len()];
    for id in live {
        let row = world.state.task(&crate::cluster::TaskId::parse(&id).unwrap()).unwrap();
        let of = row.capacity_provider.as_deref();
        if let Some(host) = row.instance.and_then(|host| world.state.instance(&host)) {
            assert!(of.is_none() || super::of_instance(host) == of, "{of:?} on another's instance");
        }
        if let Some(at) = providers.iter().position(|name| Some(*name) == of) {
            counts[at] += 1;
        }
    }
    counts
}

fn reasons(reply: &ecs::RunTaskResponse) -> Vec<&str> {
    reply.failures.iter().flatten().map(|failure| failure.reason.as_deref().unwrap()).collect()
}

#[test]
fn a_cluster_has_the_providers_that_it_is_given() {
    let mut world = world_of_two();
    provider(&mut world, "grows", "ENABLED");
    let shown = put(&mut world, &["grows", "a", "grows"], json!([{"capacityProvider": "a"}])).unwrap();
    assert_eq!(shown.capacity_providers.unwrap(), ["grows", "a"]);
    let default = serde_json::to_value(shown.default_capacity_provider_strategy).unwrap();
    assert_eq!(default, json!([{"capacityProvider": "a", "weight": 0, "base": 0}]));
    let attached: Vec<_> =
        shown.attachments.iter().flatten().map(|one| one.r#type.as_deref().unwrap()).collect();
    assert_eq!(attached, ["as_policy", "managed_draining", "managed_draining"]);
    assert_eq!(shown.attachments_status.as_deref(), Some("UPDATE_COMPLETE"));
    let again =
        clusters::cluster(&world.state, &world.account, &world.ctx, &[ecs::ClusterField::Attachments]);
    assert_eq!(again.attachments, shown.attachments, "the same whenever it is asked");
    let plain = clusters::cluster(&world.state, &world.account, &world.ctx, &[]);
    assert_eq!((plain.attachments, plain.attachments_status), (None, None));
}

#[test]
fn what_a_cluster_cannot_have_is_refused_in_the_words_of_ecs() {
    let many: Vec<String> = (0..21).map(|n| format!("p{n:02}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let not_associated =
        "The specified capacity provider strategy cannot contain a capacity provider that is not associated";
    for (providers, default, said) in [
        (&["x"][..], json!([]), "The specified capacity provider was not found."),
        (&many, json!([]), "The maximum number of capacity providers per cluster has been exceeded."),
        (&["a"], json!([item("b", 0, 1)]), not_associated),
        (
            &["a", "b"],
            json!([item("a", 1, 1), item("b", 1, 1)]),
            "The specified capacity provider strategy contains multiple capacity providers with a base value defined.",
        ),
        (
            &["a", "FARGATE"],
            json!([item("a", 0, 1), item("FARGATE", 0, 1)]),
            "A capacity provider strategy cannot contain a mix of capacity providers using Auto Scaling groups and Fargate",
        ),
        (
            &["a"],
            json!([item("a", 0, 1), item("a", 0, 1)]),
            "A capacity provider strategy cannot contain a capacity",
        ),
        (&["a"], json!([item("a", 0, 1001)]), "The weight of a capacity provider"),
    ] {
        let (code, text) = put(&mut world_of_two(), providers, default).unwrap_err();
        assert!(
            code == "InvalidParameterException" && text.starts_with(said),
            "{providers:?}: {code}: {text}"
        );
    }
}

#[test]
fn a_provider_that_is_used_stays() {
    let mut world = world_of_two();
    host(&mut world, 1000, "a");
    let task =
        run(&mut world, json!({"capacityProviderStrategy": [item("a", 0, 1)]})).tasks.unwrap().remove(0);
    let in_use = "The specified capacity provider is in use and cannot be removed.";
    let refused = ("ResourceInUseException".to_owned(), in_use.to_owned());
    assert_eq!(put(&mut world, &["b"], json!([])), Err(refused.clone()));
    world.call(stop::stop_task, json!({"task": task.task_arn})).unwrap();
    world.obey();
    services::create(&mut world, 0, json!({"capacityProviderStrategy": [item("a", 0, 1)]}));
    assert_eq!(put(&mut world, &["b"], json!([])), Err(refused));
    world.call(delete::delete_service, json!({"service": "s"})).unwrap();
    assert!(put(&mut world, &["b"], json!([])).is_ok());
}

#[test]
fn tasks_are_distributed_and_each_stays_with_its_provider() {
    let mut world = world_of_two();
    let (of_a, of_b) = (host(&mut world, 2000, "a"), host(&mut world, 2000, "b"));
    let none = world.host(10_000);
    let strategy = json!([item("a", 2, 1), item("b", 0, 3)]);
    let reply = run(&mut world, json!({"capacityProviderStrategy": strategy, "count": 10}));
    assert_eq!(reasons(&reply), Vec::<&str>::new());
    assert_eq!(spread(&world, &["a", "b"]), [4, 6]);
    let task = &reply.tasks.unwrap()[0];
    assert_eq!(task.launch_type, Some(ecs::LaunchType::Ec2));
    let name = task.capacity_provider_name.as_deref().unwrap();
    let on = task.container_instance_arn.as_deref().unwrap();
    assert!(on.ends_with(if name == "a" { &of_a } else { &of_b }));
    let shown = |id: &str| {
        let reply = world.look(instances::describe_container_instances, json!({"containerInstances": [id]}));
        reply.unwrap().container_instances.unwrap().remove(0).capacity_provider_name
    };
    assert_eq!((shown(&of_a).as_deref(), shown(&none)), (Some("a"), None));
}

#[test]
fn where_its_provider_has_no_room_a_task_goes_nowhere_else() {
    let mut world = world_of_two();
    world.host(10_000);
    let strategy = json!([item("a", 0, 1)]);
    let reply = run(&mut world, json!({"capacityProviderStrategy": strategy}));
    assert_eq!(reasons(&reply), ["EMPTY CAPACITY PROVIDER"]);
    let full = host(&mut world, 50, "a");
    let reply = run(&mut world, json!({"capacityProviderStrategy": strategy}));
    assert_eq!(reasons(&reply), ["RESOURCE:MEMORY"]);
    assert!(reply.failures.unwrap()[0].arn.as_ref().unwrap().ends_with(&full));
    // What is left for the other one is placed there, and no more.
    host(&mut world, 2000, "b");
    let both = json!([item("a", 0, 1), item("b", 0, 1)]);
    let reply = run(&mut world, json!({"capacityProviderStrategy": both, "count": 10}));
    assert_eq!((reply.tasks.as_ref().unwrap().len(), reasons(&reply)), (5, vec!["RESOURCE:MEMORY"]));
}

#[test]
fn a_strategy_is_refused_where_ecs_refuses_it() {
    let mut world = world_of_two();
    world.host(1000);
    let both = json!([item("a", 0, 1), item("b", 0, 1)]);
    let bases = json!([item("a", 1, 1), item("b", 1, 1)]);
    for (request, code, said) in [
        (
            json!({"launchType": "EC2", "capacityProviderStrategy": both}),
            "InvalidParameterException",
            "Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.",
        ),
        (
            json!({"capacityProviderStrategy": bases}),
            "InvalidParameterException",
            "There are multiple capacity providers in the specified capacity provider strategy with a base value greater than \
             zero. Only one capacity provider can have a base value greater than zero. Specify a valid capacity provider \
             strategy and try again.",
        ),
        (
            json!({"capacityProviderStrategy": [item("a", 1, 0)]}),
            "InvalidParameterException",
            "There are no capacity providers in the capacity provider strategy with a weight value greater than zero. Specify \
             a weight value greater than zero for at least one capacity provider and try again.",
        ),
    ] {
        let mut run = request.clone();
        run["taskDefinition"] = json!("web:1");
        assert_eq!(refusal(world.call(run::run_task, run)), (code.to_owned(), said.to_owned()));
        let mut make = request;
        make.as_object_mut().unwrap().extend(
            json!({"serviceName": "s", "taskDefinition": "web:1", "desiredCount": 1})
                .as_object()
                .unwrap()
                .clone(),
        );
        assert_eq!(refusal(world.call(create::create_service, make)), (code.to_owned(), said.to_owned()));
    }
    let daemon = json!({"serviceName": "s", "taskDefinition": "web:1", "schedulingStrategy": "DAEMON"});
    put(&mut world, &["a", "b"], both).unwrap();
    assert_eq!(refusal(world.call(create::create_service, daemon.clone())).1, create::STRATEGY_OF_DAEMON);
    let mut of_type = daemon;
    of_type["launchType"] = json!("EC2");
    world.call(create::create_service, of_type).unwrap();
    put(&mut world, &["a", "b"], json!([{"capacityProvider": "a"}])).unwrap();
    let no_weight = refusal(world.call(run::run_task, json!({"taskDefinition": "web:1"}))).1;
    assert!(
        no_weight.starts_with(
            "There are no capacity providers with a weight value greater than zero defined in the"
        )
    );
}

#[test]
fn without_a_launch_type_the_default_of_the_cluster_counts() {
    let mut world = world_of_two();
    host(&mut world, 1000, "a");
    world.host(10_000);
    put(&mut world, &["a", "b"], json!([item("a", 0, 1)])).unwrap();
    run(&mut world, json!({"count": 3}));
    assert_eq!(spread(&world, &["a"]), [3]);
    let of_type = run(&mut world, json!({"launchType": "EC2"})).tasks.unwrap().remove(0);
    assert_eq!(of_type.capacity_provider_name, None);
    let shown = services::create(&mut world, 2, json!({}));
    let strategy = serde_json::to_value(&shown.capacity_provider_strategy).unwrap();
    assert_eq!((shown.launch_type, strategy), (None, json!([item("a", 0, 1)])));
    let deployment = &world.service("s").deployments.unwrap()[0];
    assert_eq!(
        (deployment.launch_type, &deployment.capacity_provider_strategy),
        (None, &shown.capacity_provider_strategy)
    );
    assert_eq!(spread(&world, &["a"]), [5]);
}

#[test]
fn a_service_grows_and_shrinks_as_its_strategy_says() {
    let mut world = world_of_two();
    host(&mut world, 5000, "a");
    host(&mut world, 5000, "b");
    let strategy = json!([item("a", 2, 1), item("b", 0, 2)]);
    services::create(&mut world, 11, json!({"capacityProviderStrategy": strategy}));
    assert_eq!(spread(&world, &["a", "b"]), [5, 6]);
    world.obey();
    for (desired, expected) in
        [(8, [4, 4]), (5, [3, 2]), (3, [3, 0]), (2, [2, 0]), (1, [1, 0]), (11, [5, 6]), (4, [3, 1])]
    {
        services::update(&mut world, json!({"desiredCount": desired}));
        assert_eq!(spread(&world, &["a", "b"]), expected, "{desired}");
        world.obey();
        assert_eq!(spread(&world, &["a", "b"]), expected, "{desired}");
    }
    // Also while nothing of it has started.
    services::update(&mut world, json!({"desiredCount": 11}));
    services::update(&mut world, json!({"desiredCount": 5}));
    assert_eq!(spread(&world, &["a", "b"]), [3, 2]);
}

#[test]
fn a_full_provider_holds_up_no_other_and_room_in_it_is_taken_at_once() {
    let mut world = world_of_two();
    host(&mut world, 200, "a");
    host(&mut world, 5000, "b");
    let strategy = json!([item("a", 0, 1), item("b", 0, 1)]);
    services::create(&mut world, 10, json!({"capacityProviderStrategy": strategy}));
    assert_eq!(spread(&world, &["a", "b"]), [2, 5]);
    assert!(world.events("s").iter().any(|said| said.contains("has insufficient memory available")));
    world.obey();
    host(&mut world, 1000, "b");
    assert_eq!(spread(&world, &["a", "b"]), [2, 5], "it waits for none of these");
    host(&mut world, 1000, "a");
    assert_eq!(spread(&world, &["a", "b"]), [5, 5]);
}

#[test]
fn another_strategy_of_a_service_needs_a_new_deployment() {
    let mut world = world_of_two();
    host(&mut world, 2000, "a");
    host(&mut world, 2000, "b");
    let shown = services::create(&mut world, 2, json!({}));
    assert_eq!((shown.launch_type, shown.capacity_provider_strategy), (Some(ecs::LaunchType::Ec2), None));
    world.obey();
    let change = |strategy: Value| json!({"service": "s", "capacityProviderStrategy": strategy});
    let forced = |strategy: Value| json!({"capacityProviderStrategy": strategy, "forceNewDeployment": true});
    let said = "When switching from launch type to capacity provider strategy on an existing service, or making a change to a \
                capacity provider strategy on a service that is already using one, you must force a new deployment.";
    assert_eq!(refusal(world.call(update::update_service, change(json!([item("a", 0, 1)])))).1, said);
    services::update(&mut world, forced(json!([item("a", 0, 1)])));
    world.obey();
    assert_eq!(spread(&world, &["a", "b"]), [2, 0]);
    services::update(&mut world, json!({"capacityProviderStrategy": [item("a", 0, 1)]}));
    assert_eq!(refusal(world.call(update::update_service, change(json!([])))).1, said);
    let shown = services::update(&mut world, forced(json!([])));
    assert_eq!((shown.launch_type, shown.capacity_provider_strategy), (Some(ecs::LaunchType::Ec2), None));
    world.obey();
    assert_eq!(spread(&world, &["a", "b"]), [0, 0]);
}

#[test]
fn one_that_was_created_with_a_strategy_goes_back_to_the_default_alone() {
    let mut world = world_of_two();
    host(&mut world, 2000, "a");
    services::create(&mut world, 1, json!({"capacityProviderStrategy": [item("b", 0, 1)]}));
    let none = json!({"service": "s", "capacityProviderStrategy": [], "forceNewDeployment": true});
    let said = "No launch type to fall back to for empty capacity provider strategy. Your service was not created with a launch \
                type.";
    assert_eq!(refusal(world.call(update::update_service, none.clone())).1, said);
    put(&mut world, &["a", "b"], json!([item("a", 0, 1)])).unwrap();
    world.call(update::update_service, none).unwrap();
    assert_eq!(spread(&world, &["a"]), [1]);
}

#[test]
fn a_rollback_brings_the_strategy_back() {
    let mut world = world_of_two();
    host(&mut world, 2000, "a");
    host(&mut world, 2000, "b");
    let breaker = json!({"deploymentCircuitBreaker": {"enable": true, "rollback": true}});
    let strategy = json!([item("a", 0, 1)]);
    services::create(
        &mut world,
        1,
        json!({"capacityProviderStrategy": strategy, "deploymentConfiguration": breaker}),
    );
    world.obey();
    world.pass(60_000);
    let forced = json!({"capacityProviderStrategy": [item("b", 0, 1)], "forceNewDeployment": true});
    services::update(&mut world, forced);
    for _ in 0..3 {
        let new =
            world.live().into_iter().find(|id| world.task(id).capacity_provider_name.as_deref() == Some("b"));
        world.report(&new.unwrap(), "STOPPED", Some(1));
        world.pass(600_000);
    }
    world.obey();
    let shown = world.service("s");
    assert_eq!(serde_json::to_value(shown.capacity_provider_strategy).unwrap(), strategy);
    assert_eq!(spread(&world, &["a", "b"]), [1, 0]);
}

/// A cluster with a provider that grows, and nothing in it.
fn growing() -> World {
    let mut world = World::new();
    provider(&mut world, "g", "ENABLED");
    put(&mut world, &["g"], json!([item("g", 0, 1)])).unwrap();
    world
}

#[test]
fn tasks_wait_until_their_provider_has_grown() {
    let mut world = growing();
    let reply = run(&mut world, json!({"count": 3}));
    assert_eq!((reasons(&reply), reply.tasks.as_ref().unwrap().len()), (vec![], 3));
    let task = &reply.tasks.unwrap()[0];
    assert_eq!(
        (task.last_status.as_deref(), task.desired_status.as_deref()),
        (Some("PROVISIONING"), Some("RUNNING"))
    );
    assert_eq!(
        (task.container_instance_arn.as_ref(), task.capacity_provider_name.as_deref()),
        (None, Some("g"))
    );
    let figures = |world: &World| reservation::figures(&world.state, &world.account, "g");
    assert_eq!((figures(&world).waiting, figures(&world).needed, figures(&world).reservation), (3, 1, 200));
    world.host(10_000);
    assert_eq!(world.state.provisioning(), 3, "it is of no such provider");
    host(&mut world, 250, "g");
    assert_eq!((world.state.provisioning(), spread(&world, &["g"])), (1, vec![3]));
    assert_eq!((figures(&world).instances, figures(&world).needed, figures(&world).reservation), (1, 2, 200));
    let last = host(&mut world, 250, "g");
    assert_eq!((world.state.provisioning(), figures(&world).reservation), (0, 100));
    world.obey();
    let other = host(&mut world, 250, "g");
    assert_eq!((figures(&world).empty, figures(&world).needed, figures(&world).reservation), (1, 2, 66));
    assert!(
        world.state.usage(&crate::cluster::InstanceId::parse(&last).unwrap()).unwrap().tasks.len() == 1
            && other != last
    );
}

#[test]
fn a_container_instance_is_empty_but_for_its_daemons() {
    let mut world = World::new();
    world.provider("g");
    let hosts = [world.host_of("g", 1000), world.host_of("g", 1000)];
    world.define_daemon("agent", json!({}));
    let daemon =
        json!({"daemonName": "d", "daemonTaskDefinitionArn": "agent", "capacityProviderArns": ["g"]});
    world.call(daemons::create_daemon, daemon).unwrap();
    let service = json!({"serviceName": "s", "taskDefinition": "web", "schedulingStrategy": "DAEMON"});
    world.call(create::create_service, service).unwrap();
    world.obey();
    let figures = |world: &World| {
        let found = reservation::figures(&world.state, &world.account, "g");
        (found.instances, found.empty, found.reservation)
    };
    assert!(hosts.iter().all(|host| world.task_count(host) == 2), "one of each kind on each");
    assert_eq!(figures(&world), (2, 2, 0));
    run(&mut world, json!({}));
    assert_eq!(figures(&world), (2, 1, 50));
}

#[test]
fn what_waits_for_too_long_fails_and_says_for_what() {
    let mut world = growing();
    let waiting = run(&mut world, json!({})).tasks.unwrap().remove(0).task_arn.unwrap();
    world.pass(29 * 60_000);
    assert_eq!(world.task(&waiting).last_status.as_deref(), Some("PROVISIONING"));
    world.pass(2 * 60_000);
    let failed = world.task(&waiting);
    assert_eq!(
        (failed.last_status.as_deref(), failed.stop_code),
        (Some("STOPPED"), Some(ecs::TaskStopCode::TaskFailedToStart))
    );
    assert_eq!(failed.stopped_reason.as_deref(), Some("EMPTY CAPACITY PROVIDER"));
    host(&mut world, 50, "g");
    let waiting = run(&mut world, json!({})).tasks.unwrap().remove(0).task_arn.unwrap();
    world.pass(31 * 60_000);
    assert_eq!(world.task(&waiting).stopped_reason.as_deref(), Some("RESOURCE:MEMORY"));
    world.pass(3_600_000);
    assert!(
        world.look(describe::describe_tasks, json!({"tasks": [waiting]})).unwrap().tasks.unwrap().is_empty()
    );
}

#[test]
fn one_that_waits_can_be_stopped() {
    let mut world = growing();
    let waiting = run(&mut world, json!({})).tasks.unwrap().remove(0).task_arn.unwrap();
    world.call(stop::stop_task, json!({"task": waiting})).unwrap();
    assert_eq!(
        (world.task(&waiting).last_status.as_deref(), world.state.provisioning()),
        (Some("STOPPED"), 0)
    );
    host(&mut world, 1000, "g");
    assert_eq!(spread(&world, &["g"]), [0]);
}

#[test]
fn a_service_waits_with_its_tasks() {
    let mut world = growing();
    services::create(&mut world, 2, json!({}));
    let shown = world.service("s");
    assert_eq!(services::counts(&shown), (2, 0, 2));
    world.pass(31 * 60_000);
    let again = world.service("s");
    assert_eq!((services::counts(&again), again.deployments.unwrap()[0].failed_tasks), ((2, 0, 2), Some(2)));
    host(&mut world, 1000, "g");
    world.obey();
    assert_eq!(services::counts(&world.service("s")), (2, 2, 0));
}

#[test]
fn no_more_wait_than_ecs_lets_wait_and_room_is_offered_to_those_it_could_serve() {
    let mut world = growing();
    for _ in 0..50 {
        assert_eq!(reasons(&run(&mut world, json!({"count": 10}))), Vec::<&str>::new());
    }
    let reply = run(&mut world, json!({}));
    assert_eq!(reasons(&reply), ["EMPTY CAPACITY PROVIDER"]);
    let id = world.host(100);
    let others = world.looked;
    belongs(&mut world, &id, "g");
    assert!(others < 20 && world.looked < 40, "{others}, {} rows", world.looked);
    assert_eq!(world.state.provisioning(), 499);
}
