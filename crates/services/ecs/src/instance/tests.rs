//! Container instances and their attributes.

use serde_json::json;

use super::{attributes, describe, register, state};
use crate::testing::{World, refusal};

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
    assert_eq!(refusal(world.call(register::register_container_instance, request)).0, "ClientException");
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
    let remove = json!({"attributes": [{"name": "stack", "targetId": one}]});
    world.call(attributes::delete_attributes, remove).unwrap();
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
