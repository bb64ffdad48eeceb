//! Tasks with a network of their own: what is asked for, where they go, and how they come to their interface and leave it.

use std::sync::Arc;

use serde_json::{Value, json};
use state::contract::{Given, Wants};

use super::*;
use crate::{
    Cluster,
    cluster::{Desired, InstanceId, TaskId},
    service::{create, task_sets, update},
    task::{report, run, stop},
    testing::{World, interface, refusal},
};

/// A host that can give tasks interfaces.
fn able(world: &mut World, zone: &str) -> String {
    let number = |name: &str| json!({"name": name, "type": "INTEGER", "integerValue": 10_000});
    let attributes = json!([
        {"name": "ecs.capability.task-eni"}, {"name": instance::ZONE, "value": zone},
        {"name": "com.amazonaws.ecs.capability.docker-remote-api.1.18"},
    ]);
    let request = json!({"totalResources": [number("CPU"), number("MEMORY")], "attributes": attributes});
    let registered = world.call(instance::register::register_container_instance, request).unwrap();
    let arn = registered.container_instance.unwrap().container_instance_arn.unwrap();
    let id = arn.rsplit('/').next().unwrap().to_owned();
    world.connect(&id, true);
    id
}

fn world() -> World {
    let mut world = World::new();
    world.define_task("vpc", json!({"networkMode": "awsvpc"}), json!({}));
    world
}

fn network(subnets: &[&str], groups: &[&str]) -> Value {
    json!({"awsvpcConfiguration": {"subnets": subnets, "securityGroups": groups}})
}

/// Runs a task; gives its id.
fn start(world: &mut World, subnets: &[&str]) -> String {
    let request = json!({"taskDefinition": "vpc", "networkConfiguration": network(subnets, &[])});
    let reply = world.call(run::run_task, request).unwrap();
    assert_eq!(reply.failures, Some(Vec::new()));
    id_of(&reply.tasks.unwrap()[0])
}

fn id_of(task: &ecs::Task) -> String {
    task.task_arn.as_deref().unwrap().rsplit('/').next().unwrap().to_owned()
}

/// The names of its attachment's details.
fn details(world: &World, id: &str) -> Vec<String> {
    let attachment = world.task(id).attachments.unwrap().remove(0);
    assert_eq!(attachment.r#type.as_deref(), Some("ElasticNetworkInterface"));
    attachment.details.unwrap().into_iter().filter_map(|pair| pair.name).collect()
}

/// Its status, and that of its attachment.
fn statuses(world: &World, id: &str) -> (String, String) {
    let task = world.task(id);
    (task.last_status.unwrap(), task.attachments.unwrap().remove(0).status.unwrap())
}

fn are(task: &str, attachment: &str) -> (String, String) {
    (task.to_owned(), attachment.to_owned())
}

fn row(world: &World, id: &str) -> Arc<TaskRow> {
    world.state.task(&TaskId::parse(id).unwrap()).unwrap().clone()
}

fn subnet(world: &World, id: &str) -> String {
    row(world, id).attachment.as_ref().unwrap().subnet.clone().unwrap()
}

#[test]
fn a_task_comes_to_its_interface_in_the_order_of_ecs() {
    let mut world = world();
    able(&mut world, "us-east-1a");
    let id = start(&mut world, &["subnet-a"]);
    assert_eq!(statuses(&world, &id), are("PROVISIONING", "PRECREATED"));
    assert_eq!(details(&world, &id), ["subnetId"]);
    assert!(!row(&world, &id).is_for_agent());
    let wanted = world.state.interface_wanted(&TaskId::parse(&id).unwrap()).unwrap().clone();
    assert_eq!((wanted.subnet.as_str(), &wanted.groups[..]), ("subnet-a", &["sg-default".to_owned()][..]));
    let attachment = row(&world, &id).attachment.as_ref().unwrap().id.clone();
    let arn = format!("arn:aws:ecs:us-east-1:000000000000:attachment/{attachment}");
    assert!(wanted.description == arn && wanted.instance.is_some());
    // Nobody but EC2 has anything to say yet.
    world.report(&id, "RUNNING", None);
    assert_eq!(statuses(&world, &id), are("PROVISIONING", "PRECREATED"));
    world.ferry(None);
    assert_eq!(statuses(&world, &id), are("PENDING", "ATTACHING"));
    let has = world.state.interface_wanted(&TaskId::parse(&id).unwrap()).unwrap().has.clone().unwrap();
    assert_eq!((has.id.as_str(), has.address), ("eni-4", [10, 0, 1, 4].into()));
    let all = ["subnetId", "networkInterfaceId", "macAddress", "privateDnsName", "privateIPv4Address"];
    assert_eq!(details(&world, &id), all);
    assert!(row(&world, &id).is_for_agent());
    let container = world.task(&id).containers.unwrap().remove(0);
    let shown = json!([{"attachmentId": attachment, "privateIpv4Address": "10.0.1.4"}]);
    assert_eq!(serde_json::to_value(container.network_interfaces).unwrap(), shown);
    assert_eq!(container.network_bindings, Some(Vec::new()));
    let request = json!({"task": id, "attachments": [{"attachmentArn": arn, "status": "ATTACHED"}]});
    world.call(report::submit_task_state_change, request).unwrap();
    assert_eq!(statuses(&world, &id), are("PENDING", "ATTACHED"));
    world.report(&id, "RUNNING", None);
    world.ferry(None);
    assert_eq!(statuses(&world, &id), are("RUNNING", "ATTACHED"));
}

#[test]
fn interfaces_are_where_their_host_is_reached() {
    let mut world = world();
    let host = able(&mut world, "us-east-1a");
    let id = InstanceId::parse(&host).unwrap();
    let at = |world: &World, task: &str| {
        world.state.interface_wanted(&TaskId::parse(task).unwrap()).unwrap().at.map(|at| at.to_string())
    };
    let reached = |world: &mut World, address: Option<[u8; 4]>| {
        let done = world.run(|txn| {
            instance::state::reached_at(txn, &id, address.map(Into::into));
            Ok(())
        });
        done.unwrap();
    };
    let before = start(&mut world, &["subnet-a"]);
    assert_eq!(at(&world, &before), None);
    reached(&mut world, Some([192, 0, 2, 1]));
    let after = start(&mut world, &["subnet-a"]);
    world.ferry(None);
    for task in [&before, &after] {
        assert_eq!(at(&world, task).as_deref(), Some("192.0.2.1"));
    }
    let changes = world.state.instance(&id).unwrap().version;
    reached(&mut world, Some([192, 0, 2, 1]));
    assert_eq!(world.state.instance(&id).unwrap().version, changes, "nothing is new");
    reached(&mut world, Some([192, 0, 2, 2]));
    // An agent that is away leaves it there.
    world.connect(&host, false);
    assert_eq!(at(&world, &before).as_deref(), Some("192.0.2.2"));
    reached(&mut world, None);
    assert_eq!((at(&world, &before), at(&world, &after)), (None, None));
}

#[test]
fn a_task_leaves_its_interface_before_it_is_stopped() {
    let mut world = world();
    let host = able(&mut world, "us-east-1a");
    let id = start(&mut world, &["subnet-a"]);
    world.ferry(None);
    world.report(&id, "RUNNING", None);
    world.call(stop::stop_task, json!({"task": id})).unwrap();
    assert_eq!(statuses(&world, &id), are("STOPPING", "ATTACHED"));
    world.report(&id, "STOPPED", Some(0));
    assert_eq!(statuses(&world, &id), are("DEPROVISIONING", "DETACHING"));
    assert_eq!(world.task_count(&host), 1, "it holds its place until it is STOPPED");
    let at = row(&world, &id).execution_stopped_at;
    // What comes again, or late, changes nothing.
    world.pass(5);
    world.report(&id, "STOPPED", Some(1));
    world.report(&id, "RUNNING", None);
    let now = row(&world, &id);
    assert_eq!((now.execution_stopped_at, now.stopped_at, now.containers[0].exit_code), (at, None, Some(0)));
    assert!(!now.is_for_agent());
    world.ferry(None);
    world.ferry(None);
    assert_eq!(statuses(&world, &id), are("STOPPED", "DELETED"));
    assert_eq!(details(&world, &id).len(), 5, "it is still shown which it was");
    assert_eq!((world.task_count(&host), world.state.interface_wanted(&now.id)), (0, None));
    assert!(world.task(&id).stopped_at.is_some());
}

#[test]
fn a_task_whose_agent_never_heard_of_it_leaves_without_it() {
    let mut world = world();
    able(&mut world, "us-east-1a");
    let id = start(&mut world, &["subnet-a"]);
    world.call(stop::stop_task, json!({"task": id, "reason": "why"})).unwrap();
    assert_eq!(statuses(&world, &id), are("DEPROVISIONING", "DETACHING"));
    // EC2 had made it meanwhile: that comes too late.
    let late = (row(&world, &id).id.0, Given::Interface(Box::new(interface(9))));
    assert_eq!(world.run(|txn| Ok(Cluster::hear(txn, vec![late]))).unwrap(), []);
    assert_eq!(statuses(&world, &id), are("DEPROVISIONING", "DETACHING"));
    world.ferry(None);
    assert_eq!(statuses(&world, &id), are("STOPPED", "DELETED"));
    assert_eq!(world.task(&id).stopped_reason.as_deref(), Some("why"));
}

#[test]
fn an_interface_that_cannot_be_ends_its_task() {
    let mut world = world();
    able(&mut world, "us-east-1a");
    let id = start(&mut world, &["subnet-a"]);
    world.ferry(Some("InsufficientFreeAddressesInSubnet"));
    assert_eq!(statuses(&world, &id), are("DEPROVISIONING", "DETACHING"));
    world.ferry(None);
    let task = world.task(&id);
    assert_eq!(task.stop_code, Some(ecs::TaskStopCode::TaskFailedToStart));
    let why = "Unexpected EC2 error while attempting to Create Network Interface in subnet 'subnet-a': \
               InsufficientFreeAddressesInSubnet";
    assert_eq!(task.stopped_reason.as_deref(), Some(why));
    assert_eq!(statuses(&world, &id), are("STOPPED", "DELETED"));
}

#[test]
fn a_host_that_is_gone_for_good_gives_back_what_its_tasks_have() {
    let mut world = world();
    let host = able(&mut world, "us-east-1a");
    let both = [start(&mut world, &["subnet-a"]), start(&mut world, &["subnet-a"])];
    world.ferry(None);
    world.report(&both[0], "RUNNING", None);
    let force = json!({"containerInstance": host, "force": true});
    world.call(instance::state::deregister_container_instance, force).unwrap();
    for id in &both {
        assert_eq!(statuses(&world, id), are("DEPROVISIONING", "DETACHING"));
    }
    // It is not forgotten before they are STOPPED, and then it is.
    world.pass(limits::INACTIVE_KEPT_MS + 1);
    let id = InstanceId::parse(&host).unwrap();
    assert!(world.state.instance(&id).is_some());
    world.ferry(None);
    for id in &both {
        assert_eq!(statuses(&world, id), are("STOPPED", "DELETED"));
    }
    world.pass(limits::INACTIVE_KEPT_MS + 1);
    assert!(world.state.instance(&id).is_none());
}

#[test]
fn tasks_go_where_a_subnet_of_theirs_is() {
    let mut world = world();
    world.host_in("us-east-1b", 10_000);
    let (a, b) = (able(&mut world, "us-east-1a"), able(&mut world, "us-east-1b"));
    for _ in 0..4 {
        let id = start(&mut world, &["subnet-2b", "subnet-1b", "subnet-c"]);
        assert_eq!(row(&world, &id).instance, InstanceId::parse(&b));
        assert!(["subnet-1b", "subnet-2b"].contains(&subnet(&world, &id).as_str()));
    }
    let request = json!({"taskDefinition": "vpc", "networkConfiguration": network(&["subnet-c"], &[])});
    let reply = world.call(run::run_task, request).unwrap();
    assert_eq!((reply.tasks.unwrap().len(), reply.failures.unwrap().len()), (0, 3));
    let on = |host: &str| {
        json!({"taskDefinition": "vpc", "networkConfiguration": network(&["subnet-a"], &["sg-1"]),
            "containerInstances": [host]})
    };
    assert_eq!(world.call(run::start_task, on(&b)).unwrap().tasks, Some(Vec::new()));
    let made = world.call(run::start_task, on(&a)).unwrap().tasks.unwrap();
    let wanted = world.state.interface_wanted(&TaskId::parse(&id_of(&made[0])).unwrap()).unwrap();
    assert_eq!(wanted.groups, ["sg-1"]);
}

#[test]
fn what_cannot_be_is_refused_in_the_words_of_ecs() {
    let mut world = world();
    let host = able(&mut world, "us-east-1a");
    let many: Vec<String> = (0..17).map(|number| format!("subnet-{number}a")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut public = network(&["subnet-a"], &[]);
    public["awsvpcConfiguration"]["assignPublicIp"] = json!("ENABLED");
    for (network, words) in [
        (Value::Null, "Network Configuration must be provided when networkMode 'awsvpc' is specified."),
        (json!({}), "awsvpcConfiguration can not be empty."),
        (network(&[], &[]), "subnets can not be empty."),
        (network(&many, &[]), "subnets can have at most 16 items."),
        (network(&["subnet-a"], &["sg-1"; 6]), "securityGroups can have at most 5 items."),
        (public, "Assign public IP is not supported for this launch type."),
        (
            network(&["nowhere"], &[]),
            "Error retrieving subnet information for [nowhere]: The subnet ID 'nowhere' does not exist (ErrorCode: \
             InvalidSubnetID.NotFound)",
        ),
        (
            network(&["subnet-a"], &["none"]),
            "Error retrieving security group information for [none]: The security group 'none' does not exist \
             (ErrorCode: InvalidGroup.NotFound)",
        ),
        (network(&["other"], &[]), "subnets must all be of the same VPC."),
        (
            network(&["subnet-a"], &["foreign"]),
            "Security group foreign does not appear to belong to the same VPC as the input subnets.",
        ),
    ] {
        let mut request = json!({"taskDefinition": "vpc"});
        if !network.is_null() {
            request["networkConfiguration"] = network;
        }
        let refused = refusal(world.call(run::run_task, request.clone()));
        assert_eq!(refused, ("InvalidParameterException".to_owned(), words.to_owned()));
        let mut start = request.clone();
        start["containerInstances"] = json!([host]);
        assert_eq!(refusal(world.call(run::start_task, start)), refused);
        request["serviceName"] = json!("s");
        request["desiredCount"] = json!(1);
        assert_eq!(refusal(world.call(create::create_service, request)), refused);
    }
    let request = json!({"taskDefinition": "web", "networkConfiguration": network(&["subnet-a"], &[])});
    let words = "Network Configuration is not valid for the given networkMode of this task definition.";
    assert_eq!(refusal(world.call(run::run_task, request)).1, words);
}

/// EC2 and agents do what is wanted, until nothing more comes of it.
fn settle(world: &mut World) {
    for _ in 0..8 {
        world.ferry(None);
        world.obey_for_agents();
    }
}

#[test]
fn tasks_of_a_service_have_the_network_of_their_deployment() {
    let mut world = world();
    able(&mut world, "us-east-1a");
    able(&mut world, "us-east-1b");
    let mut a = network(&["subnet-a"], &["sg-1"]);
    a["awsvpcConfiguration"]["assignPublicIp"] = json!("DISABLED");
    let shown = |network: Option<ecs::NetworkConfiguration>| serde_json::to_value(network).unwrap();
    let request = json!({"serviceName": "s", "taskDefinition": "vpc", "desiredCount": 2, "networkConfiguration": a,
        "placementConstraints": [{"type": "memberOf", "expression": "attribute:ecs.capability.task-eni exists"}]});
    let made = world.call(create::create_service, request).unwrap().service.unwrap();
    assert_eq!(made.placement_constraints.unwrap().len(), 1, "only what was given is shown");
    assert_eq!(shown(made.network_configuration), a);
    settle(&mut world);
    let subnets = |world: &World| world.live().iter().map(|id| subnet(world, id)).collect::<Vec<_>>();
    assert_eq!(subnets(&world), ["subnet-a", "subnet-a"]);
    let service = world.service("s");
    assert_eq!((service.running_count, service.pending_count), (Some(2), Some(0)));
    assert_eq!(shown(service.deployments.unwrap().remove(0).network_configuration), a);
    // Another network begins a deployment; the same one, or none, does not.
    let deployments = |world: &World| world.service("s").deployments.unwrap().len();
    world.call(update::update_service, json!({"service": "s", "desiredCount": 2})).unwrap();
    world.call(update::update_service, json!({"service": "s", "networkConfiguration": a})).unwrap();
    assert_eq!(deployments(&world), 1);
    let b = network(&["subnet-b"], &[]);
    world.call(update::update_service, json!({"service": "s", "networkConfiguration": b})).unwrap();
    assert_eq!(deployments(&world), 2);
    settle(&mut world);
    assert_eq!((subnets(&world), deployments(&world)), (vec!["subnet-b".into(), "subnet-b".into()], 1));
    let service = world.state.service(&"s".into()).unwrap();
    assert_eq!((service.placement_constraints.len(), service.given_constraints().len()), (2, 1));
    world.call(update::update_service, json!({"service": "s", "taskDefinition": "web"})).unwrap();
    let service = world.state.service(&"s".into()).unwrap();
    assert_eq!((service.placement_constraints.len(), &service.network), (1, &None));
}

#[test]
fn task_sets_have_networks_of_their_own() {
    let mut world = world();
    able(&mut world, "us-east-1a");
    let request =
        json!({"serviceName": "e", "desiredCount": 1, "deploymentController": {"type": "EXTERNAL"}});
    world.call(create::create_service, request).unwrap();
    let request = json!({"service": "e", "cluster": "c", "taskDefinition": "vpc",
        "scale": {"value": 100.0, "unit": "PERCENT"}, "networkConfiguration": network(&["subnet-a"], &["sg-1"])});
    let set = world.call(task_sets::create::create_task_set, request).unwrap().task_set.unwrap();
    let vpc = set.network_configuration.unwrap().awsvpc_configuration.unwrap();
    assert_eq!(vpc.subnets, ["subnet-a"]);
    let id = world.live().remove(0);
    assert_eq!(subnet(&world, &id), "subnet-a");
    settle(&mut world);
    assert_eq!(statuses(&world, &id), are("RUNNING", "ATTACHED"));
    let row = row(&world, &id);
    assert!(row.desired == Desired::Running && row.attachment.as_ref().unwrap().interface.is_some());
}
