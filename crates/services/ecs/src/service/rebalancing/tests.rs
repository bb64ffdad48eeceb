//! Services that are rebalanced over zones, on a small cluster.

use serde_json::{Value, json};

use crate::{
    capacity,
    cluster::{AvailabilityZoneRebalancing, Desired, ServiceName, TaskStatus},
    instance::attributes,
    service::tests::{counts, create, up, update},
    task::protection,
    testing::World,
};

/// How many tasks shall run in zones `a`, `b` and so on.
fn tasks(world: &World) -> Vec<usize> {
    let zone = |zone: &&str| {
        let of = |task: &&std::sync::Arc<crate::cluster::TaskRow>| task.desired == Desired::Running;
        let there = |id: String| world.task(&id).availability_zone.as_deref() == Some(*zone);
        world.state.tasks().filter(of).filter(|task| there(task.id.to_string())).count()
    };
    let zones: Vec<String> = world.state.zones().keys().map(|zone| zone.to_string()).collect();
    zones.iter().map(|name| zone(&name.as_str())).collect()
}

/// A service of four tasks in zone `a`, and room for more in zone `b` since then.
fn unbalanced(more: Value, memory: i32) -> World {
    let mut world = World::new();
    world.host_in("a", 1000);
    create(&mut world, 4, more);
    world.obey();
    world.host_in("b", memory);
    world
}

/// What was said since the first steady state.
fn said(world: &World) -> Vec<String> {
    let all = world.events("s");
    let steady = all.iter().position(|event| event == "has reached a steady state.").unwrap();
    all[steady + 1..].to_vec()
}

/// The first task that does not run yet runs.
fn run_one(world: &mut World) -> bool {
    let coming = |task: &&std::sync::Arc<crate::cluster::TaskRow>| {
        task.desired == Desired::Running && task.last < TaskStatus::Running
    };
    let Some(id) = world.state.tasks().find(coming).map(|task| task.id.to_string()) else { return false };
    world.report(&id, "RUNNING", None);
    true
}

#[test]
fn tasks_start_in_the_emptiest_zone_and_then_stop_in_the_fullest() {
    let mut world = unbalanced(json!({}), 1000);
    assert_eq!(tasks(&world), [4, 2]);
    assert_eq!(counts(&world.service("s")), (4, 4, 2));
    assert!(run_one(&mut world));
    assert_eq!((tasks(&world), up(&world)), (vec![4, 2], 5), "none goes before all have come");
    assert!(run_one(&mut world));
    assert_eq!((tasks(&world), up(&world)), (vec![2, 2], 4));
    world.obey();
    assert_eq!(
        said(&world),
        [
            "is not AZ balanced with 4 tasks in a and 0 tasks in b. AZ Rebalancing in progress.",
            "has started 2 tasks in b to AZ Rebalance: (task) (task).",
            "has stopped 2 running tasks in a due to AZ rebalancing: (task) (task).",
            "has reached a steady state.",
            "is AZ balanced with 2 tasks in a and 2 tasks in b.",
        ]
    );
    let shown = world.service("s");
    assert_eq!((counts(&shown), shown.deployments.unwrap().len()), ((4, 4, 0), 1));
    world.host_in("c", 1000);
    world.obey();
    let mut three = tasks(&world);
    assert_eq!(
        said(&world).last().unwrap(),
        &format!(
            "is AZ balanced with {} tasks in a, {} tasks in b, and {} tasks in c.",
            three[0], three[1], three[2]
        )
    );
    three.sort_unstable();
    assert_eq!(three, [1, 1, 2]);
}

#[test]
fn only_services_that_want_it_are_moved() {
    let mut world = unbalanced(json!({"availabilityZoneRebalancing": "DISABLED"}), 1000);
    world.obey();
    assert_eq!((tasks(&world), said(&world)), (vec![4, 0], vec![]));
    update(&mut world, json!({"availabilityZoneRebalancing": "ENABLED"}));
    world.obey();
    assert_eq!(tasks(&world), [2, 2]);
}

#[test]
fn one_at_a_time_where_no_more_are_allowed() {
    let mut world = unbalanced(json!({"deploymentConfiguration": {"maximumPercent": 125}}), 1000);
    assert_eq!(tasks(&world), [4, 1]);
    assert!(run_one(&mut world));
    assert_eq!(tasks(&world), [3, 2], "one has gone, and the next comes");
    world.obey();
    assert_eq!(tasks(&world), [2, 2]);
    let begun = said(&world).iter().filter(|event| event.contains("Rebalancing in progress")).count();
    assert_eq!(begun, 1, "{:?}", said(&world));
    // No room above what is wanted: nothing can be moved.
    let mut world = unbalanced(json!({"deploymentConfiguration": {"maximumPercent": 124}}), 1000);
    world.obey();
    assert_eq!((tasks(&world), said(&world)), (vec![4, 0], vec![]));
}

#[test]
fn a_zone_without_room_is_said_once_and_has_its_turn_when_room_comes() {
    let mut world = unbalanced(json!({}), 50);
    world.obey();
    let why = "is unable to place a task in b because no container instance met all of its requirements.";
    let expected =
        ["is not AZ balanced with 4 tasks in a and 0 tasks in b. AZ Rebalancing in progress.", why];
    assert_eq!((tasks(&world), said(&world)), (vec![4, 0], expected.map(str::to_owned).to_vec()));
    assert_eq!(counts(&world.service("s")), (4, 4, 0));
    world.pass(3_600_000);
    assert_eq!(said(&world), expected, "the same is not said again");
    world.host_in("b", 1000);
    world.obey();
    assert_eq!(tasks(&world), [2, 2], "at once, as room has come");
}

/// Container instances of a zone that none of its tasks may ever be on make no zone for it.
#[test]
fn a_zone_that_suits_none_of_its_tasks_is_none() {
    let there = "attribute:ecs.instance-type == big";
    let mut world = World::new();
    let first = world.host_in("a", 1000);
    let big = |world: &mut World, host: &str| {
        let attribute = json!({"name": "ecs.instance-type", "value": "big", "targetId": host});
        world.call(crate::instance::attributes::put_attributes, json!({"attributes": [attribute]})).unwrap();
    };
    big(&mut world, &first);
    create(&mut world, 2, json!({"placementConstraints": [{"type": "memberOf", "expression": there}]}));
    world.obey();
    let second = world.host_in("b", 1000);
    world.obey();
    assert_eq!((tasks(&world), said(&world)), (vec![2, 0], vec![]));
    big(&mut world, &second);
    world.obey();
    assert_eq!(tasks(&world), [1, 1]);
}

/// All that is on its way ends before it runs.
fn none_comes(world: &mut World) {
    let coming = world.state.tasks().filter(|task| task.last < TaskStatus::Running);
    let coming: Vec<String> = coming.map(|task| task.id.to_string()).collect();
    coming.iter().for_each(|id| world.report(id, "STOPPED", Some(1)));
}

#[test]
fn tasks_that_do_not_stay_cost_none_of_the_others() {
    let mut world = unbalanced(json!({}), 1000);
    for _ in 0..2 {
        let coming = world.state.tasks().find(|task| task.last < TaskStatus::Running).unwrap();
        let id = coming.id.to_string();
        world.report(&id, "STOPPED", Some(1));
    }
    assert_eq!(up(&world), 4);
    // It is tried again every five minutes.
    for _ in 0..90 {
        none_comes(&mut world);
        world.pass(10_000);
        assert_eq!(up(&world), 4);
    }
    let starts = said(&world).iter().filter(|event| event.contains("to AZ Rebalance")).count();
    assert_eq!(starts, 4);
}

#[test]
fn another_deployment_or_desired_count_ends_it() {
    for change in [json!({"desiredCount": 2}), json!({"taskDefinition": "web:2"})] {
        let mut world = unbalanced(json!({}), 1000);
        assert_eq!(tasks(&world), [4, 2]);
        update(&mut world, change.clone());
        world.obey();
        let spread = tasks(&world);
        assert_eq!(spread[0], spread[1], "{change}");
        assert_eq!(world.service("s").desired_count, Some(2 * spread[0] as i32));
    }
}

#[test]
fn protected_tasks_are_moved_once_they_may_go() {
    let mut world = World::new();
    world.host_in("a", 1000);
    create(&mut world, 2, json!({}));
    world.obey();
    let all = json!({"tasks": world.live(), "protectionEnabled": true});
    world.call(protection::update_task_protection, all).unwrap();
    world.host_in("b", 1000);
    world.obey();
    assert_eq!(tasks(&world), [2, 1], "one more than wanted, until one may go");
    world.pass(7_200_000);
    world.obey();
    assert_eq!(tasks(&world), [1, 1]);
    assert_eq!(said(&world).last().unwrap(), "is AZ balanced with 1 tasks in a and 1 tasks in b.");
}

/// Scale-in keeps the balance, of services that are not rebalanced too; not where another strategy comes first.
#[test]
fn scale_in_takes_from_the_fullest_zone() {
    for (strategy, expected) in [
        (json!([]), Some(vec![1, 1])),
        (json!([{"type": "spread", "field": "attribute:ecs.availability-zone"}]), Some(vec![1, 1])),
        (json!([{"type": "random"}]), None),
    ] {
        let mut world = World::new();
        world.host_in("a", 1000);
        world.host_in("b", 1000);
        let more = json!({"placementStrategy": strategy, "availabilityZoneRebalancing": "DISABLED"});
        create(&mut world, 6, more);
        world.obey();
        if expected.is_some() {
            assert_eq!(tasks(&world), [3, 3]);
        }
        update(&mut world, json!({"desiredCount": 2}));
        let is = tasks(&world);
        assert_eq!(is.iter().sum::<usize>(), 2);
        assert!(expected.is_none_or(|expected| is == expected), "{strategy}");
    }
}

/// A service that is in balance costs the same however many container instances there are.
#[test]
fn what_is_in_balance_costs_no_look_at_the_container_instances() {
    let looked = [2, 200].map(|hosts| {
        let mut world = World::new();
        for at in 0..hosts {
            world.host_in(if at % 2 == 0 { "a" } else { "b" }, 1000);
        }
        create(&mut world, 4, json!({}));
        world.obey();
        assert_eq!(tasks(&world), [2, 2]);
        let service = world.state.service(&ServiceName::from("s")).unwrap();
        assert_eq!(service.availability_zone_rebalancing, AvailabilityZoneRebalancing::Enabled);
        update(&mut world, json!({"enableECSManagedTags": true}));
        world.looked
    });
    assert_eq!(looked[0], looked[1]);
}

/// A strategy alone says of which capacity providers tasks are, where they start for the balance too.
#[test]
fn what_starts_for_the_balance_is_of_a_capacity_provider_of_the_service() {
    let mut world = World::new();
    world.provider("own");
    host_of(&mut world, "own", "a", 1000);
    let strategy = json!([{"capacityProvider": "own", "weight": 1}]);
    create(&mut world, 4, json!({"capacityProviderStrategy": strategy}));
    world.obey();
    world.host_in("b", 1000);
    world.obey();
    assert_eq!(tasks(&world), [4, 0], "a zone without instances of the provider is none");
    host_of(&mut world, "own", "c", 1000);
    world.obey();
    assert_eq!(tasks(&world), [2, 0, 2]);
    let mut live = world.state.tasks().filter(|task| task.desired == Desired::Running);
    assert!(live.all(|task| task.capacity_provider.as_deref() == Some("own")));
}

/// A container instance in a zone, of a capacity provider.
fn host_of(world: &mut World, provider: &str, zone: &str, memory: i32) -> String {
    let host = world.host_in(zone, memory);
    give(world, provider, &host);
    host
}

fn give(world: &mut World, provider: &str, host: &str) {
    let attribute = json!({
        "name": capacity::ATTRIBUTE, "value": provider, "targetType": "container-instance", "targetId": host,
    });
    world.call(attributes::put_attributes, json!({"attributes": [attribute]})).unwrap();
}

/// How many tasks shall run of each of these capacity providers.
fn of_providers(world: &World, names: &[&str]) -> Vec<usize> {
    let live = || world.state.tasks().filter(|task| task.desired == Desired::Running);
    names
        .iter()
        .map(|name| live().filter(|task| task.capacity_provider.as_deref() == Some(*name)).count())
        .collect()
}

#[test]
fn room_in_any_of_the_zones_that_have_none_is_waited_for() {
    let there = "attribute:ecs.instance-type == big";
    let big =
        |host: &str| json!({"attributes": [{"name": "ecs.instance-type", "value": "big", "targetId": host}]});
    let mut world = World::new();
    let first = world.host_in("a", 1000);
    world.call(attributes::put_attributes, big(&first)).unwrap();
    create(&mut world, 4, json!({"placementConstraints": [{"type": "memberOf", "expression": there}]}));
    world.obey();
    let second = world.host_in("b", 1000);
    world.host_in("c", 1000);
    world.obey();
    let service = world.state.service(&ServiceName::from("s")).unwrap();
    let (why, _) = service.unplaced.clone().unwrap();
    assert_eq!(
        why,
        "is unable to place a task in b, c because no container instance met all of its requirements."
    );
    world.call(attributes::put_attributes, big(&second)).unwrap();
    world.obey();
    assert_eq!(tasks(&world), [2, 2, 0], "at once, in the first of both");
}

/// Of a service with a strategy tasks are moved, and none becomes one of another capacity provider.
#[test]
fn what_stops_for_the_balance_leaves_the_base_of_a_strategy() {
    for later in [0, 1] {
        let mut world = World::new();
        world.providers(&["own", "other"]);
        host_of(&mut world, "other", "a", 1000);
        let own = (later == 0).then(|| host_of(&mut world, "own", "a", 100));
        let strategy = json!([
            {"capacityProvider": "own", "base": 1, "weight": 0}, {"capacityProvider": "other", "weight": 1},
        ]);
        create(&mut world, 4, json!({"capacityProviderStrategy": strategy}));
        world.obey();
        if own.is_none() {
            // The task of the base is the newest one.
            host_of(&mut world, "own", "a", 100);
            world.pass(crate::limits::PLACEMENT_RETRY_MS);
            world.obey();
        }
        assert_eq!((tasks(&world), of_providers(&world, &["own", "other"])), (vec![4], vec![1, 3]));
        host_of(&mut world, "other", "b", 1000);
        world.obey();
        assert_eq!((tasks(&world), of_providers(&world, &["own", "other"])), (vec![2, 2], vec![1, 3]));
    }
}

/// Where only the base is there to be moved it moves with its capacity provider, and elsewhere not at all.
#[test]
fn a_base_moves_within_its_capacity_provider() {
    let mut world = World::new();
    world.providers(&["own", "other"]);
    host_of(&mut world, "own", "a", 1000);
    let strategy = json!([
        {"capacityProvider": "own", "base": 4, "weight": 0}, {"capacityProvider": "other", "weight": 1},
    ]);
    create(&mut world, 4, json!({"capacityProviderStrategy": strategy}));
    world.obey();
    let host = host_of(&mut world, "other", "b", 1000);
    world.obey();
    assert_eq!((tasks(&world), of_providers(&world, &["own", "other"])), (vec![4, 0], vec![4, 0]));
    give(&mut world, "own", &host);
    world.obey();
    assert_eq!((tasks(&world), of_providers(&world, &["own", "other"])), (vec![2, 2], vec![4, 0]));
}

mod packing {
    //! Onto fewer container instances, where a tag asks for it.

    use super::*;
    use crate::{
        tags::{tag_resource, untag_resource},
        testing::refusal,
    };

    fn tagged() -> Value {
        json!({
            "placementStrategy": [{"type": "binpack", "field": "memory"}],
            "tags": [{"key": "roadstead:rebalance", "value": "binpack"}],
        })
    }

    /// How many tasks of the service shall run on each of the container instances.
    fn on(world: &World, hosts: &[String]) -> Vec<usize> {
        let there = |host: &String| {
            let host = crate::cluster::InstanceId::parse(host).unwrap();
            let tasks = world.state.tasks_on(&host);
            tasks.filter(|task| task.desired == Desired::Running).count()
        };
        hosts.iter().map(there).collect()
    }

    /// A service of two tasks on two container instances, of which the first has room for both since another task ended.
    fn apart(more: Value) -> (World, Vec<String>) {
        let mut world = World::new();
        let first = world.host(200);
        let other = world.call(crate::task::run::run_task, json!({"taskDefinition": "web:1"})).unwrap();
        create(&mut world, 1, more);
        let second = world.host(100);
        update(&mut world, json!({"desiredCount": 2}));
        world.obey();
        let hosts = vec![first, second];
        assert_eq!(on(&world, &hosts), [2, 1]);
        let other = other.tasks.unwrap().remove(0).task_arn.unwrap();
        world.call(crate::task::stop::stop_task, json!({"task": other})).unwrap();
        world.obey();
        assert_eq!(on(&world, &hosts), [1, 1]);
        (world, hosts)
    }

    #[test]
    fn one_task_after_the_other_moves_until_a_container_instance_is_empty() {
        let (mut world, hosts) = apart(tagged());
        world.pass(crate::limits::REBALANCING_RETRY_MS);
        let mut is = on(&world, &hosts);
        is.sort_unstable();
        assert_eq!((is, up(&world)), (vec![1, 2], 2), "one has started, and none has stopped");
        world.obey();
        let mut is = on(&world, &hosts);
        is.sort_unstable();
        assert_eq!(is, [0, 2]);
        assert_eq!(counts(&world.service("s")), (2, 2, 0));
        let all = said(&world);
        assert_eq!(
            all[all.len() - 3..],
            [
                "has started 1 tasks to empty (container-instance): (task).",
                "has stopped 1 running tasks to empty (container-instance): (task).",
                "has reached a steady state.",
            ]
        );
        // Nothing is gained: it is quiet.
        world.pass(3_600_000);
        assert_eq!(said(&world), all);
    }

    #[test]
    fn without_the_tag_or_the_strategy_nothing_moves() {
        let strategy = json!([{"type": "random"}]);
        for more in [
            json!({"placementStrategy": [{"type": "binpack", "field": "memory"}]}),
            json!({"placementStrategy": strategy, "tags": tagged()["tags"]}),
            json!({
                "placementStrategy": tagged()["placementStrategy"],
                "tags": tagged()["tags"],
                "deploymentConfiguration": {"maximumPercent": 149},
            }),
        ] {
            let (mut world, hosts) = apart(more);
            world.pass(3_600_000);
            world.obey();
            assert_eq!(on(&world, &hosts), [1, 1]);
        }
    }

    #[test]
    fn the_tag_counts_as_soon_as_it_is_there_and_no_longer_than_that() {
        let (mut world, hosts) =
            apart(json!({"placementStrategy": [{"type": "binpack", "field": "memory"}]}));
        let arn = world.service("s").service_arn;
        let bad = json!({"resourceArn": arn, "tags": [{"key": "roadstead:rebalance", "value": "spread"}]});
        assert_eq!(refusal(world.call(tag_resource, bad)).1, "The tag roadstead:rebalance is binpack.");
        world.call(tag_resource, json!({"resourceArn": arn, "tags": tagged()["tags"]})).unwrap();
        assert_eq!(on(&world, &hosts).iter().sum::<usize>(), 3);
        world.call(untag_resource, json!({"resourceArn": arn, "tagKeys": ["roadstead:rebalance"]})).unwrap();
        world.obey();
        assert_eq!(on(&world, &hosts), [1, 1], "what was begun is undone");
    }

    #[test]
    fn protected_tasks_stay_where_they_are() {
        let (mut world, hosts) = apart(tagged());
        let all = json!({"tasks": world.live(), "protectionEnabled": true, "expiresInMinutes": 2880});
        world.call(protection::update_task_protection, all).unwrap();
        world.pass(3_600_000);
        world.obey();
        assert_eq!(on(&world, &hosts), [1, 1]);
    }

    #[test]
    fn a_task_that_does_not_stay_costs_none_of_the_others() {
        let (mut world, hosts) = apart(tagged());
        for _ in 0..60 {
            world.pass(60_000);
            none_comes(&mut world);
            assert_eq!((up(&world), on(&world, &hosts)), (2, vec![1, 1]));
        }
        let starts = said(&world).iter().filter(|event| event.contains("to empty")).count();
        assert!((2..=12).contains(&starts), "{starts}");
    }

    #[test]
    fn a_service_of_strategy_daemon_has_no_such_tag() {
        let mut world = World::new();
        let request = json!({"serviceName": "s", "taskDefinition": "web:1", "schedulingStrategy": "DAEMON",
            "tags": [{"key": "roadstead:one-at-a-time", "value": "true"}]});
        let (code, text) = refusal(world.call(crate::service::create::create_service, request));
        let said = "The tag roadstead:one-at-a-time is for services of strategy REPLICA alone.";
        assert_eq!((&*code, &*text), ("InvalidParameterException", said));
    }

    #[test]
    fn a_deployment_replaces_one_task_at_a_time() {
        let mut world = World::new();
        world.host(1000);
        create(&mut world, 3, json!({"tags": [{"key": "roadstead:one-at-a-time", "value": "true"}]}));
        world.obey();
        update(&mut world, json!({"taskDefinition": "web:2"}));
        for _ in 0..3 {
            assert_eq!(world.live().len(), 4, "one has started");
            assert!(run_one(&mut world));
        }
        assert_eq!((world.live().len(), run_one(&mut world)), (3, false));
        world.obey();
        assert_eq!(world.service("s").deployments.unwrap().len(), 1);
    }
}
