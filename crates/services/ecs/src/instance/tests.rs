//! Container instances and their attributes.

use ::state::Domain;
use serde_json::json;

use super::{agent, attributes, describe, health, register, state};
use crate::{
    cluster::{
        Desired, InstanceHealth, InstanceHealthCheckState as State, InstanceHealthCheckType as Type,
        InstanceId, Key, TaskStatus,
    },
    service::create::create_service,
    task::run::start_task,
    testing::{World, refusal},
};

fn status(world: &World, id: &str) -> String {
    let reply = world.look(describe::describe_container_instances, json!({"containerInstances": [id]}));
    reply.unwrap().container_instances.unwrap()[0].status.clone().unwrap()
}

#[test]
fn an_agent_that_registers_again_keeps_what_users_set() {
    let mut world = World::new();
    let id = world.host(1000);
    let set = json!({"attributes": [{"name": "stack", "value": "prod", "targetId": id}]});
    world.call(attributes::put_attributes, set).unwrap();
    let request = json!({
        "containerInstanceArn": format!("arn:aws:ecs:us-east-1:000000000000:container-instance/c/{id}"),
        "totalResources": [{"name": "MEMORY", "type": "INTEGER", "integerValue": 2000}],
        "attributes": [{"name": "ecs.capability.x"}],
        "versionInfo": {"agentVersion": "2.0"},
    });
    let shown = world.call(register::register_container_instance, request.clone()).unwrap();
    let shown = shown.container_instance.unwrap();
    assert_eq!(shown.version_info.unwrap().agent_version.as_deref(), Some("2.0"));
    let names: Vec<_> = shown.attributes.unwrap().into_iter().map(|a| a.name).collect();
    assert!(
        names.contains(&"stack".to_owned()) && names.contains(&"ecs.capability.x".to_owned()),
        "{names:?}"
    );
    assert_eq!(world.state.instances().count(), 1);
    world.call(state::deregister_container_instance, json!({"containerInstance": id})).unwrap();
    let refused = refusal(world.call(register::register_container_instance, request));
    assert_eq!(refused, ("ClientException".to_owned(), format!("Container instance {id} is inactive.")));
}

#[test]
fn the_health_of_a_host_is_what_its_agent_says() {
    let mut world = World::new();
    let id = world.host(1000);
    let shown = |world: &World, include: &[&str]| {
        let request = json!({"containerInstances": [id], "include": include});
        let reply = world.look(describe::describe_container_instances, request).unwrap();
        reply.container_instances.unwrap().remove(0).health_status
    };
    let told = |world: &World| {
        let shown = shown(world, &["CONTAINER_INSTANCE_HEALTH"]).unwrap();
        let one = |check: ecs_model::InstanceHealthCheckResult| {
            format!("{} {}", check.r#type.unwrap(), check.status.unwrap())
        };
        (
            shown.overall_status.unwrap().to_string(),
            shown.details.unwrap().into_iter().map(one).collect::<Vec<_>>(),
        )
    };
    let tell = |world: &mut World, kind: Type, status: State| {
        let at = world.ctx.now;
        let check =
            InstanceHealth { r#type: kind, status, status_reason: None, updated_at: at, changed_at: at };
        let instance = InstanceId::parse(&id).unwrap();
        let done = world.run(|txn| {
            health::report(txn, &instance, vec![check]);
            Ok(())
        });
        done.unwrap();
    };
    assert_eq!(shown(&world, &[]), None);
    assert_eq!(told(&world), ("INSUFFICIENT_DATA".to_owned(), vec![]));
    tell(&mut world, Type::AcceleratedCompute, State::Ok);
    tell(&mut world, Type::ContainerRuntime, State::Ok);
    let both = |first: &str, second: &str| {
        vec![format!("CONTAINER_RUNTIME {first}"), format!("ACCELERATED_COMPUTE {second}")]
    };
    assert_eq!(told(&world), ("OK".to_owned(), both("OK", "OK")));
    world.pass(60_000);
    tell(&mut world, Type::ContainerRuntime, State::Ok);
    assert_eq!(world.changed, [], "what says nothing new is not written");
    tell(&mut world, Type::ContainerRuntime, State::Impaired);
    assert_eq!(told(&world), ("IMPAIRED".to_owned(), both("IMPAIRED", "OK")));
    let changed =
        shown(&world, &["CONTAINER_INSTANCE_HEALTH"]).unwrap().details.unwrap()[0].last_status_change;
    assert_eq!(changed, Some(world.ctx.now));
    world.connect(&id, false);
    let unknown = "INSUFFICIENT_DATA";
    assert_eq!(told(&world), (unknown.to_owned(), both(unknown, unknown)));
}

#[test]
fn gpus_are_also_those_that_the_ecs_agent_names_as_devices() {
    let mut world = World::new();
    let request = |devices: serde_json::Value| {
        json!({
            "totalResources": [
                {"name": "MEMORY", "type": "INTEGER", "integerValue": 2000},
                {"name": "GPU", "type": "STRINGSET", "stringSetValue": ["GPU-a"]},
                {"name": "NEURON_CORES", "type": "STRINGSET", "stringSetValue": ["0"]},
            ],
            "platformDevices": devices,
        })
    };
    let shown = |reply: ecs_model::RegisterContainerInstanceResponse| {
        let instance = reply.container_instance.unwrap();
        let mut all = instance.registered_resources.unwrap();
        let names: Vec<_> = all.iter().map(|one| one.name.clone().unwrap()).collect();
        assert_eq!(names, ["CPU", "MEMORY", "PORTS", "PORTS_UDP", "GPU"]);
        (instance.container_instance_arn.unwrap(), all.remove(4).string_set_value.unwrap())
    };
    let device = |kind: &str, id: &str| json!({"type": kind, "id": id});
    let both = json!([device("GPU", "GPU-b"), device("NEURON_DEVICE", "0"), device("GPU", "GPU-a")]);
    let (arn, gpus) =
        shown(world.call(register::register_container_instance, request(both.clone())).unwrap());
    assert_eq!(gpus, ["GPU-a", "GPU-b"]);
    let mut again = request(json!([device("GPU", "GPU-c")]));
    again["containerInstanceArn"] = json!(arn);
    let (_, gpus) = shown(world.call(register::register_container_instance, again).unwrap());
    assert_eq!(gpus, ["GPU-a", "GPU-c"], "as its agent says it now");
    let many: Vec<_> = (0..256).map(|n| device("GPU", &format!("GPU-{n}"))).collect();
    for devices in [json!(many), json!([device("GPU", "")]), json!([device("GPU", "a b")])] {
        let refused = refusal(world.call(register::register_container_instance, request(devices)));
        assert_eq!(refused.0, "InvalidParameterException");
    }
    let nameless = json!({"totalResources": [{"type": "INTEGER", "integerValue": 1}]});
    assert_eq!(
        refusal(world.call(register::register_container_instance, nameless)).0,
        "InvalidParameterException"
    );
}

#[test]
fn what_is_not_asked_for_is_an_empty_list_of_tags() {
    let mut world = World::new();
    let id = world.host(1000);
    let arn = format!("arn:aws:ecs:us-east-1:000000000000:container-instance/c/{id}");
    let tag = json!({"resourceArn": arn, "tags": [{"key": "a", "value": "1"}]});
    world.call(crate::tags::tag_resource, tag).unwrap();
    let tags = |world: &World, include: &[&str]| {
        let request = json!({"containerInstances": [id], "include": include});
        let reply = world.look(describe::describe_container_instances, request).unwrap();
        reply.container_instances.unwrap().remove(0).tags.map(|tags| tags.len())
    };
    assert_eq!((tags(&world, &[]), tags(&world, &["TAGS"])), (Some(0), Some(1)));
    let gone = world.call(state::deregister_container_instance, json!({"containerInstance": id})).unwrap();
    assert_eq!(gone.container_instance.unwrap().tags.unwrap().len(), 1);
}

#[test]
fn there_is_no_update_for_an_agent() {
    let mut world = World::new();
    let request = json!({"totalResources": [{"name": "MEMORY", "type": "INTEGER", "integerValue": 2000}]});
    let silent = world.call(register::register_container_instance, request.clone()).unwrap();
    let silent = silent.container_instance.unwrap().container_instance_arn.unwrap();
    let mut versioned = request;
    versioned["versionInfo"] = json!({"agentVersion": "1.2.3"});
    let told = world.call(register::register_container_instance, versioned).unwrap();
    let told = told.container_instance.unwrap();
    assert_eq!(told.agent_update_status, None);
    let gone = world.host(1000);
    world.call(state::deregister_container_instance, json!({"containerInstance": gone})).unwrap();
    for (instance, code) in [
        (silent.as_str(), "MissingVersionException"),
        (told.container_instance_arn.as_deref().unwrap(), "NoUpdateAvailableException"),
        (gone.as_str(), "InvalidParameterException"),
        ("0", "InvalidParameterException"),
    ] {
        let refused =
            refusal(world.call(agent::update_container_agent, json!({"containerInstance": instance})));
        assert_eq!(refused.0, code, "{instance}");
    }
}

#[test]
fn reports_of_attachments_that_are_not_there_are_heard() {
    let mut world = World::new();
    let own = "arn:aws:ecs:us-east-1:000000000000:attachment/c/e0d1";
    let other = "arn:aws:ecs:us-east-1:111111111111:attachment/c/e0d1";
    for (attachments, heard) in [
        (json!([]), true),
        (json!([{"attachmentArn": own, "status": "ATTACHED"}]), true),
        (
            json!([{"attachmentArn": own, "status": "ATTACHED"}, {"attachmentArn": own, "status": "FAILED"}]),
            true,
        ),
        (json!([{"attachmentArn": own, "status": "LOST"}]), false),
        (json!([{"attachmentArn": other, "status": "ATTACHED"}]), false),
        (json!([{"attachmentArn": "eni", "status": "ATTACHED"}]), false),
    ] {
        let request = json!({"attachments": attachments});
        let told = world.call(agent::submit_attachment_state_changes, request);
        match heard {
            true => assert_eq!(told.unwrap().acknowledgment.as_deref(), Some("ACK")),
            false => assert_eq!(refusal(told).0, "InvalidParameterException", "{attachments}"),
        }
    }
    assert_eq!(world.changed, []);
}

#[test]
fn an_instance_is_connected_while_its_socket_is_open() {
    let mut world = World::new();
    let request = json!({"totalResources": [{"name": "MEMORY", "type": "INTEGER", "integerValue": 2000}]});
    let shown = world.call(register::register_container_instance, request.clone()).unwrap();
    let shown = shown.container_instance.unwrap();
    assert_eq!(shown.agent_connected, Some(false), "the agent may die before it opens its socket");
    let arn = shown.container_instance_arn.unwrap();
    let id = arn.rsplit('/').next().unwrap().to_owned();
    let connected = |world: &World| {
        let reply = world.look(describe::describe_container_instances, json!({"containerInstances": [id]}));
        reply.unwrap().container_instances.unwrap()[0].agent_connected.unwrap()
    };
    for open in [true, false] {
        world.connect(&id, open);
        assert_eq!(connected(&world), open);
        let mut again = request.clone();
        again["containerInstanceArn"] = json!(arn);
        world.call(register::register_container_instance, again).unwrap();
        assert_eq!(connected(&world), open, "registering again opens no socket");
    }
}

#[test]
fn a_deregistered_instance_is_inactive_and_then_forgotten() {
    let mut world = World::new();
    let id = world.host(1000);
    world.call(state::deregister_container_instance, json!({"containerInstance": id})).unwrap();
    assert_eq!(status(&world, &id), "INACTIVE");
    let listed = world.look(describe::list_container_instances, json!({})).unwrap();
    assert_eq!(listed.container_instance_arns.unwrap().len(), 0);
    let again = refusal(world.call(state::deregister_container_instance, json!({"containerInstance": id})));
    assert_eq!(again.0, "InvalidParameterException");
    world.pass(3_601_000);
    assert_eq!(world.state.instances().count(), 0);
}

#[test]
fn the_state_is_active_or_draining_and_names_at_most_ten() {
    let mut world = World::new();
    let id = world.host(1000);
    for (status_wanted, lists) in [("DRAINING", (0, 1)), ("ACTIVE", (1, 0))] {
        let request = json!({"containerInstances": [id, "0".repeat(32)], "status": status_wanted});
        let reply = world.call(state::update_container_instances_state, request).unwrap();
        assert_eq!(reply.failures.unwrap()[0].reason.as_deref(), Some("MISSING"));
        assert_eq!(status(&world, &id), status_wanted);
        let count = |status: &str| {
            let reply = world.look(describe::list_container_instances, json!({"status": status})).unwrap();
            reply.container_instance_arns.unwrap().len()
        };
        assert_eq!((count("ACTIVE"), count("DRAINING")), lists);
    }
    for (ids, status) in
        [(vec![id.clone()], "REGISTERING"), (vec![id.clone(); 11], "ACTIVE"), (vec![], "ACTIVE")]
    {
        let request = json!({"containerInstances": ids, "status": status});
        let refused = refusal(world.call(state::update_container_instances_state, request));
        assert_eq!(refused.0, "InvalidParameterException");
    }
}

#[test]
fn attributes_are_set_listed_and_removed() {
    let mut world = World::new();
    let (one, two) = (world.host(1000), world.host(1000));
    for (id, value) in [(&one, "a"), (&two, "b")] {
        let set = json!({"attributes": [{"name": "stack", "value": value, "targetId": id}]});
        world.call(attributes::put_attributes, set).unwrap();
    }
    let list = |world: &World, more: serde_json::Value| {
        let mut request = json!({"targetType": "container-instance", "attributeName": "stack"});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        world.look(attributes::list_attributes, request).unwrap().attributes.unwrap().len()
    };
    assert_eq!(list(&world, json!({})), 2);
    assert_eq!(list(&world, json!({"attributeValue": "b"})), 1);
    let found = json!({"filter": "attribute:stack == a"});
    let found = world.look(describe::list_container_instances, found).unwrap();
    assert!(found.container_instance_arns.unwrap()[0].ends_with(&one));
    let remove = json!({"attributes": [
        {"name": "stack", "targetId": one}, {"name": "never", "targetId": one},
        {"name": "stack", "value": "a", "targetId": two},
    ]});
    let removed = world.call(attributes::delete_attributes, remove).unwrap().attributes;
    let was = json!([{"name": "stack", "value": "a", "targetId": one}]);
    assert_eq!(serde_json::to_value(removed).unwrap(), was, "what was there, with its value");
    assert_eq!(list(&world, json!({})), 1);
    for (attribute, code) in [
        (json!({"name": "x", "targetId": "0".repeat(32)}), "TargetNotFoundException"),
        (json!({"name": "x"}), "InvalidParameterException"),
        (json!({"name": "a b", "targetId": two}), "InvalidParameterException"),
        (json!({"name": "x", "value": " y", "targetId": two}), "InvalidParameterException"),
        (json!({"name": "x", "value": "", "targetId": two}), "InvalidParameterException"),
        (json!({"name": "x", "value": "y".repeat(129), "targetId": two}), "InvalidParameterException"),
    ] {
        let refused = refusal(world.call(attributes::put_attributes, json!({"attributes": [attribute]})));
        assert_eq!(refused.0, code);
    }
}

#[test]
fn a_container_instance_has_at_most_ten_custom_attributes() {
    let mut world = World::new();
    let id = world.host(1000);
    let put = |world: &mut World, name: String| {
        let set = json!({"attributes": [{"name": name, "value": "v", "targetId": id}]});
        world.call(attributes::put_attributes, set)
    };
    (0..10).for_each(|n| drop(put(&mut world, format!("custom{n}")).unwrap()));
    put(&mut world, "custom3".to_owned()).unwrap();
    assert_eq!(refusal(put(&mut world, "custom10".to_owned())).0, "AttributeLimitExceededException");
}

/// Whoever sets them: attributes of users, those that only look like ECS's own, and those of ever new registrations.
#[test]
fn the_attributes_of_a_container_instance_are_bounded() {
    let mut world = World::new();
    let named = |name: String, value: &str| json!({"name": name, "value": value});
    let register = |world: &mut World, arn: Option<&str>, attributes: Vec<serde_json::Value>| {
        let request = json!({
            "containerInstanceArn": arn, "attributes": attributes,
            "totalResources": [{"name": "MEMORY", "type": "INTEGER", "integerValue": 2000}],
        });
        let reply = world.call(register::register_container_instance, request);
        reply.map(|reply| reply.container_instance.unwrap())
    };
    for attribute in [
        named("a b".to_owned(), "v"),
        named(String::new(), "v"),
        named("a".repeat(129), "v"),
        named("a".to_owned(), " v"),
        named("a".to_owned(), "(v)"),
        named("a".to_owned(), &"v".repeat(129)),
    ] {
        let refused = refusal(register(&mut world, None, vec![attribute.clone()]));
        assert_eq!(refused.0, "InvalidParameterException", "{attribute}");
    }
    let twice = vec![named("a".to_owned(), "1"), named("a".to_owned(), ""), named("b".to_owned(), "2")];
    let shown = register(&mut world, None, twice).unwrap();
    let all: Vec<_> = shown.attributes.unwrap().into_iter().map(|a| (a.name, a.value)).collect();
    assert_eq!(all[..2], [("a".to_owned(), Some(String::new())), ("b".to_owned(), Some("2".to_owned()))]);
    let arn = shown.container_instance_arn.unwrap();
    let mut said = 0;
    let refused = loop {
        said += 1;
        let next = (0..100).map(|n| named(format!("n{said}-{n}"), "v")).collect();
        if let Err(error) = register(&mut world, Some(&arn), next) {
            break error;
        }
    };
    assert_eq!((refused.code(), said), ("InvalidParameterException", 3));
    let (other, mut said) = (world.host(1000), 0);
    let refused = loop {
        said += 1;
        let set = json!({"attributes": [{"name": format!("ecs.{said}"), "targetId": other}]});
        if let Err(error) = world.call(attributes::put_attributes, set) {
            break error;
        }
    };
    assert!(refused.code() == "AttributeLimitExceededException" && (200..256).contains(&said), "{said}");
}

#[test]
fn a_daemon_leaves_an_instance_that_loses_its_attribute() {
    let mut world = World::new();
    let id = world.host(1000);
    let attribute = json!({"attributes": [{"name": "stack", "value": "a", "targetId": id}]});
    let constraint = json!([{"type": "memberOf", "expression": "attribute:stack == a"}]);
    let request = json!({
        "serviceName": "d", "taskDefinition": "web", "schedulingStrategy": "DAEMON", "placementConstraints": constraint,
    });
    world.call(crate::service::create::create_service, request).unwrap();
    assert_eq!(world.live().len(), 0);
    world.call(attributes::put_attributes, attribute.clone()).unwrap();
    assert_eq!(world.live().len(), 1);
    world.call(attributes::delete_attributes, attribute).unwrap();
    assert_eq!(world.live().len(), 0);
}

/// A cluster that gives container instances up after a minute, and two of them.
fn losing() -> (World, [String; 2]) {
    let mut world = World::new();
    world.lost_after_ms = Some(60_000);
    let hosts = [world.host(1000), world.host(1000)];
    (world, hosts)
}

/// How many container instances wait for a time.
fn waiting(world: &World) -> usize {
    world.state.agenda().timers().filter(|(_, key)| matches!(key, Key::Instance(_))).count()
}

fn tasks_on(world: &World, host: &str) -> Vec<String> {
    let host = InstanceId::parse(host).unwrap();
    let live = world.state.tasks_on(&host);
    let live = live.filter(|task| task.desired == Desired::Running);
    let mut groups: Vec<_> = live.map(|task| task.group.clone()).collect();
    groups.sort();
    groups
}

#[test]
fn the_tasks_of_services_are_replaced_once_an_agent_is_away_for_too_long() {
    let (mut world, [gone, stays]) = losing();
    let service = json!({"serviceName": "s", "taskDefinition": "web", "desiredCount": 2});
    world.call(create_service, service).unwrap();
    let daemon = json!({"serviceName": "d", "taskDefinition": "web", "schedulingStrategy": "DAEMON"});
    world.call(create_service, daemon).unwrap();
    let alone = json!({"taskDefinition": "web", "containerInstances": [gone]});
    world.call(start_task, alone).unwrap();
    world.obey();
    let before = ["family:web", "service:d", "service:s"];
    assert_eq!(tasks_on(&world, &gone), before);
    world.connect(&gone, false);
    world.pass(59_999);
    assert_eq!(tasks_on(&world, &gone), before, "it may come back");
    world.pass(1);
    assert_eq!(tasks_on(&world, &gone), ["family:web", "service:d"], "what is not replaced elsewhere stays");
    assert_eq!(tasks_on(&world, &stays), ["service:d", "service:s", "service:s"]);
    let stopping = world.state.tasks().find(|task| task.desired == Desired::Stopped).unwrap().clone();
    assert_eq!(stopping.last, TaskStatus::Stopping, "nobody knows of it before its agent is back");
    assert_eq!(stopping.stop.as_ref().unwrap().reason, state::LOST);
    let said = world.events("s");
    assert!(said.contains(&"has stopped 1 running tasks: (task).".to_owned()), "{said:?}");
    world.pass(3_600_000);
    assert_eq!(waiting(&world), 0, "it is lost once");
    // Its agent is back, and ends what is to be stopped.
    world.connect(&gone, true);
    world.obey();
    assert_eq!(world.service("s").running_count, Some(2));
    assert_eq!(tasks_on(&world, &gone), ["family:web", "service:d"]);
}

#[test]
fn an_agent_that_is_back_in_time_loses_nothing() {
    let (mut world, [away, _]) = losing();
    let service = json!({"serviceName": "s", "taskDefinition": "web", "desiredCount": 4});
    world.call(create_service, service).unwrap();
    world.obey();
    let before = world.live();
    for _ in 0..3 {
        world.connect(&away, false);
        world.pass(40_000);
        world.connect(&away, true);
    }
    world.pass(600_000);
    assert_eq!((world.live(), waiting(&world)), (before, 0));
    // The control plane starts anew: each agent has its time again.
    world.connect(&away, false);
    world.pass(40_000);
    assert!(!world.run(|txn| Ok(state::disconnect_all(txn))).unwrap());
    world.pass(19_999);
    assert_eq!(tasks_on(&world, &away).len(), 2);
    world.pass(1);
    assert_eq!(tasks_on(&world, &away).len(), 0, "the time of one that was away before goes on");
}

#[test]
fn nothing_is_given_up_unless_it_is_asked_for() {
    let (mut world, [away, other]) = losing();
    let service = json!({"serviceName": "s", "taskDefinition": "web", "desiredCount": 2});
    world.call(create_service, service).unwrap();
    world.obey();
    world.connect(&away, false);
    // It was asked for, and is not any more since the last start.
    world.lost_after_ms = None;
    world.run(|txn| Ok(state::disconnect_all(txn))).unwrap();
    world.pass(86_400_000);
    assert_eq!((world.live().len(), waiting(&world)), (2, 0));
    // And the other way round.
    world.connect(&other, true);
    world.lost_after_ms = Some(60_000);
    world.run(|txn| Ok(state::disconnect_all(txn))).unwrap();
    world.connect(&other, true);
    world.pass(60_000);
    assert_eq!((tasks_on(&world, &away).len(), tasks_on(&world, &other).len()), (0, 2));
}

/// As many as one step has no room for are given up in several.
#[test]
fn a_large_host_is_lost_in_steps_that_fit() {
    let mut world = World::new();
    world.lost_after_ms = Some(60_000);
    let gone = world.host(200_000);
    let service = json!({"serviceName": "s", "taskDefinition": "web", "desiredCount": 1500});
    world.call(create_service, service).unwrap();
    world.pass(0);
    assert_eq!(tasks_on(&world, &gone).len(), 1500);
    world.connect(&gone, false);
    world.pass(60_000);
    assert_eq!(tasks_on(&world, &gone).len(), 0);
}
