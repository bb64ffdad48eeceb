//! One image for a deployment: what is kept of what agents say, what tasks get of it, and what is replaced.

use ecs_model as ecs;
use serde_json::{Value, json};

use crate::{
    account::payload::payload,
    cluster::{DeploymentId, TaskId},
    service::{create::create_service, revision, update::update_service},
    task::report::submit_task_state_change,
    testing::World,
};

fn digest(digit: char) -> String {
    format!("sha256:{}", digit.to_string().repeat(64))
}

/// A service `s` of so many tasks of the family `web`.
fn service(tasks: i32) -> World {
    let mut world = World::new();
    world.host(10_000);
    let request = json!({"serviceName": "s", "taskDefinition": "web", "desiredCount": tasks});
    world.call(create_service, request).unwrap();
    world
}

/// What comes of it is younger than all before it.
fn update(world: &mut World, more: Value) {
    world.pass(1000);
    let mut request = json!({"service": "s"});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.call::<ecs::UpdateServiceRequest, _>(update_service, request).unwrap();
}

/// The agent of a task has its image.
fn resolves(world: &mut World, task: &str, digest: &str) {
    let container = json!({"containerName": "app", "status": "PENDING", "imageDigest": digest});
    let request = json!({"task": task, "status": "PENDING", "containers": [container]});
    world.call(submit_task_state_change, request).unwrap();
}

/// The image of a task as its agent is told of it.
fn assigned(world: &World, task: &str) -> String {
    let task = world.state.task(&TaskId::parse(task).unwrap()).unwrap();
    let definition = world.account.definition_of(task).unwrap();
    let payload = payload(task, definition, &world.state, "http://here:1", &world.ctx);
    payload.containers[0].image.clone().unwrap()
}

fn shown(world: &World) -> Value {
    let id: DeploymentId = world.service("s").deployments.unwrap()[0].id.as_ref().unwrap().parse().unwrap();
    let arn = format!("arn:aws:ecs:us-east-1:000000000000:service-revision/c/s/{}", id.digits());
    let request = json!({"serviceRevisionArns": [arn]});
    let reply = world.look(revision::describe_service_revisions, request).unwrap();
    serde_json::to_value(&reply.service_revisions.unwrap()[0].container_images).unwrap()
}

#[test]
fn the_first_digest_that_an_agent_says_is_that_of_all_later_tasks() {
    let mut world = service(1);
    let first = world.live().remove(0);
    assert_eq!(assigned(&world, &first), "busybox");
    assert_eq!(shown(&world), json!([{"containerName": "app", "image": "busybox"}]));
    resolves(&mut world, &first, &digest('a'));
    world.obey();
    assert_eq!(
        shown(&world),
        json!([{"containerName": "app", "image": "busybox", "imageDigest": digest('a')}])
    );
    update(&mut world, json!({"desiredCount": 3}));
    for task in world.live() {
        assert_eq!(assigned(&world, &task), format!("busybox@{}", digest('a')));
        let described = world.task(&task).containers.unwrap().remove(0);
        assert_eq!(described.image.as_deref(), Some("busybox"), "as its definition has it");
    }
}

#[test]
fn another_deployment_resolves_anew_and_the_way_back_does_not() {
    let mut world = service(1);
    let first = world.live().remove(0);
    resolves(&mut world, &first, &digest('a'));
    world.obey();
    update(&mut world, json!({"forceNewDeployment": true}));
    let second = world.live().pop().unwrap();
    assert_eq!(assigned(&world, &second), "busybox");
    resolves(&mut world, &second, &digest('b'));
    let going = world.state.service_deployment(&"s".into()).unwrap().id.clone();
    let arn = format!("arn:aws:ecs:us-east-1:000000000000:service-deployment/c/s/{going}");
    world
        .call(crate::service::deployment::stop::stop_service_deployment, json!({"serviceDeploymentArn": arn}))
        .unwrap();
    world.obey();
    update(&mut world, json!({"desiredCount": 2}));
    let newest = world.live().pop().unwrap();
    assert_eq!(assigned(&world, &newest), format!("busybox@{}", digest('a')));
}

#[test]
fn a_task_that_came_to_another_image_beside_the_first_is_replaced() {
    let mut world = service(2);
    let [first, other] = world.live().try_into().unwrap();
    resolves(&mut world, &first, &digest('a'));
    resolves(&mut world, &other, &digest('b'));
    let stopped = world.task(&other);
    assert_eq!(stopped.desired_status.as_deref(), Some("STOPPED"));
    let reason = format!(
        "The image of container app was resolved to {}, and that of its deployment to {}",
        digest('b'),
        digest('a')
    );
    assert_eq!(stopped.stopped_reason, Some(reason));
    world.obey();
    let live = world.live();
    assert!(live.len() == 2 && live.contains(&first), "{live:?}");
    let instead = live.iter().find(|id| **id != first).unwrap();
    assert_eq!(assigned(&world, instead), format!("busybox@{}", digest('a')));
    assert_eq!(world.service("s").deployments.unwrap()[0].failed_tasks, Some(0));
    // What its agent calls the image that it was told to run is its own affair.
    update(&mut world, json!({"desiredCount": 3}));
    let told = world.live().pop().unwrap();
    resolves(&mut world, &told, &digest('c'));
    assert_eq!(world.task(&told).desired_status.as_deref(), Some("RUNNING"));
}

#[test]
fn what_is_no_digest_is_kept_by_nobody_and_tasks_without_a_service_go_by_their_tag() {
    let mut world = service(1);
    let first = world.live().remove(0);
    resolves(&mut world, &first, "latest");
    assert_eq!(shown(&world), json!([{"containerName": "app", "image": "busybox"}]));
    world.call(crate::task::run::run_task, json!({"taskDefinition": "web"})).unwrap();
    let alone = world.live().into_iter().find(|id| *id != first).unwrap();
    resolves(&mut world, &alone, &digest('a'));
    assert_eq!(assigned(&world, &alone), "busybox");
    assert_eq!(world.state.all_images().count(), 0);
}

#[test]
fn a_container_may_go_by_its_tag_always_and_one_that_is_named_by_a_digest_does_by_that() {
    let mut world = World::new();
    world.host(10_000);
    let named = format!("busybox@{}", digest('c'));
    world.define("free", json!({"versionConsistency": "disabled"}));
    world.define("named", json!({"image": named}));
    for (family, image) in [("free", "busybox"), ("named", &*named)] {
        let request = json!({"serviceName": family, "taskDefinition": family, "desiredCount": 1});
        world.pass(1000);
        world.call(create_service, request).unwrap();
        let task = world.live().pop().unwrap();
        resolves(&mut world, &task, &digest('a'));
        assert_eq!(assigned(&world, &task), image);
    }
    assert_eq!(world.state.all_images().count(), 0);
}

#[test]
fn what_is_known_of_images_goes_with_its_revision_and_its_service() {
    let mut world = service(1);
    for digit in ['a', 'b'] {
        update(&mut world, json!({"forceNewDeployment": true}));
        let task = world.live().pop().unwrap();
        resolves(&mut world, &task, &digest(digit));
        world.obey();
    }
    assert_eq!(world.state.all_images().count(), 2);
    world.pass(crate::limits::DEPLOYMENT_KEPT_MS);
    assert_eq!(world.state.all_images().count(), 1, "that which runs");
    world.call(crate::service::delete::delete_service, json!({"service": "s", "force": true})).unwrap();
    world.obey();
    world.pass(crate::limits::INACTIVE_KEPT_MS);
    assert_eq!(world.state.all_images().count(), 0);
}
