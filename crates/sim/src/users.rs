//! Users: they run tasks, make, change and delete services, stop tasks, and drain hosts.

use ::ecs::{
    account, arn,
    cluster::{Desired, InstanceStatus, ServiceStatus},
    instance, service, task,
};
use ecs_model::{self as ecs, ContainerInstanceStatus};

use crate::world::World;

/// Families: two that run, one whose tasks never last, and one with health checks.
const FAMILIES: [(&str, i32, i32); 4] =
    [("small", 128, 128), ("large", 700, 512), ("crash", 128, 64), ("checked", 64, 64)];

/// Registers two revisions of each family.
pub fn register_definitions(world: &mut World) {
    for (family, cpu, memory) in FAMILIES {
        for _ in 0..2 {
            let container = ecs::ContainerDefinition {
                name: Some("app".to_owned()),
                image: Some("busybox".to_owned()),
                cpu: Some(cpu),
                memory: Some(memory),
                essential: Some(true),
                health_check: (family == "checked").then(|| ecs::HealthCheck {
                    command: vec!["CMD".to_owned(), "true".to_owned()],
                    ..Default::default()
                }),
                ..Default::default()
            };
            let request = ecs::RegisterTaskDefinitionRequest {
                family: family.to_owned(),
                container_definitions: vec![container],
                ..Default::default()
            };
            let registered = world.account_command(|txn| account::register_task_definition(txn, request));
            assert!(registered.is_ok(), "{registered:?}");
        }
    }
}

/// Does one thing. What ECS refuses is refused; that is part of life.
pub fn act(world: &mut World) {
    match world.random.range(0, 12) {
        0 | 1 => run_tasks(world),
        2 | 3 => create(world),
        4 | 5 => update(world),
        6 => stop(world),
        7 => drain(world),
        8 => delete(world),
        9 => start_on(world),
        10 => deregister_definition(world),
        11 => stop_deployment(world),
        _ => daemon(world),
    }
}

fn definition(world: &mut World) -> String {
    let (family, _, _) = *world.random.pick(&FAMILIES).expect("there are families");
    format!("{family}:{}", world.random.range(1, 2))
}

fn run_tasks(world: &mut World) {
    let request = ecs::RunTaskRequest {
        task_definition: definition(world),
        count: Some(world.random.range(1, 10) as i32),
        client_token: world.random.percent(50).then(|| world.random.range(1, 50).to_string()),
        ..Default::default()
    };
    world.command(|txn| task::run::run_task(txn, request)).ok();
}

fn create(world: &mut World) {
    let percent = world.random.range(0, 10) as i32 * 10;
    let configuration = ecs::DeploymentConfiguration {
        minimum_healthy_percent: Some(percent),
        maximum_percent: Some(100 + world.random.range(0, 10) as i32 * 10),
        deployment_circuit_breaker: world.random.percent(50).then(|| breaker(world)),
        ..Default::default()
    };
    let request = ecs::CreateServiceRequest {
        service_name: format!("s{}", world.random.range(0, 5)),
        client_token: world.random.percent(50).then(|| "t".to_owned()),
        task_definition: Some(definition(world)),
        desired_count: Some(world.random.range(0, 8) as i32),
        deployment_configuration: Some(configuration),
        ..Default::default()
    };
    world.command(|txn| service::create::create_service(txn, request)).ok();
}

fn breaker(world: &mut World) -> ecs::DeploymentCircuitBreaker {
    ecs::DeploymentCircuitBreaker {
        enable: true,
        rollback: world.random.percent(70),
        reset_on_healthy_task: world.random.percent(30).then_some(false),
        ..Default::default()
    }
}

/// Asks for the newest deployment of a service to be rolled back.
fn stop_deployment(world: &mut World) {
    let service = format!("s{}", world.random.range(0, 5)).as_str().into();
    let Some(row) = world.state.service_deployment(&service) else { return };
    let arn = arn::service_deployment(&world.ctx(), &world.state.row.name, &service.0, &row.id);
    let request = ecs::StopServiceDeploymentRequest { service_deployment_arn: arn, stop_type: None };
    world.command(|txn| service::deployment::stop::stop_service_deployment(txn, request)).ok();
}

fn daemon(world: &mut World) {
    let request = ecs::CreateServiceRequest {
        service_name: "daemon".to_owned(),
        task_definition: Some("small:1".to_owned()),
        scheduling_strategy: Some(ecs::SchedulingStrategy::Daemon),
        ..Default::default()
    };
    world.command(|txn| service::create::create_service(txn, request)).ok();
}

fn update(world: &mut World) {
    let request = ecs::UpdateServiceRequest {
        service: format!("s{}", world.random.range(0, 5)),
        task_definition: world.random.percent(60).then(|| definition(world)),
        desired_count: world.random.percent(50).then(|| world.random.range(0, 10) as i32),
        force_new_deployment: world.random.percent(30).then_some(true),
        ..Default::default()
    };
    world.command(|txn| service::update::update_service(txn, request)).ok();
}

fn stop(world: &mut World) {
    let running: Vec<String> = world
        .state
        .tasks()
        .filter(|task| task.desired == Desired::Running)
        .map(|task| task.id.to_string())
        .collect();
    let Some(task) = world.random.pick(&running).cloned() else { return };
    let request = ecs::StopTaskRequest { task, ..Default::default() };
    world.command(|txn| task::stop::stop_task(txn, request)).ok();
}

fn drain(world: &mut World) {
    let hosts: Vec<(String, InstanceStatus)> =
        world.state.instances().map(|row| (row.id.to_string(), row.status)).collect();
    let Some((id, status)) = world.random.pick(&hosts).cloned() else { return };
    let status = match status {
        InstanceStatus::Active => ContainerInstanceStatus::Draining,
        _ => ContainerInstanceStatus::Active,
    };
    let request = ecs::UpdateContainerInstancesStateRequest {
        container_instances: vec![id],
        status,
        ..Default::default()
    };
    world.command(|txn| instance::state::update_container_instances_state(txn, request)).ok();
}

fn delete(world: &mut World) {
    let active: Vec<String> = world
        .state
        .services()
        .filter(|service| service.status == ServiceStatus::Active)
        .map(|service| service.name.0.clone())
        .collect();
    let Some(service) = world.random.pick(&active).cloned() else { return };
    let request = ecs::DeleteServiceRequest { service, force: Some(true), ..Default::default() };
    world.command(|txn| service::delete::delete_service(txn, request)).ok();
}

/// StartTask on one or two hosts.
fn start_on(world: &mut World) {
    let hosts: Vec<String> = world.state.instances().map(|row| row.id.to_string()).collect();
    let Some(first) = world.random.pick(&hosts).cloned() else { return };
    let second = world.random.pick(&hosts).cloned();
    let request = ecs::StartTaskRequest {
        task_definition: definition(world),
        container_instances: second.into_iter().chain([first]).collect(),
        ..Default::default()
    };
    world.command(|txn| task::run::start_task(txn, request)).ok();
}

/// A task definition goes while services and tasks are of it; a new revision of another number comes.
fn deregister_definition(world: &mut World) {
    let named = definition(world);
    if world.random.percent(20) {
        let request = ecs::DeregisterTaskDefinitionRequest { task_definition: named };
        world.account_command(|txn| account::deregister_task_definition(txn, request)).ok();
    }
}
