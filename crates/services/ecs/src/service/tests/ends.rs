//! What a service is once it is deleted, and what its deployments count of tasks that fail.

use super::*;
use crate::testing::from;

#[test]
fn a_deleted_service_is_inactive_once_its_tasks_are_stopping_and_then_forgotten() {
    let mut world = World::new();
    world.host(1000);
    create(&mut world, 2, json!({}));
    world.obey();
    let refused = refusal(world.call(delete::delete_service, json!({"service": "s"})));
    assert_eq!(refused.1, "The service cannot be stopped while it is scaled above 0.");
    let shown =
        world.call(delete::delete_service, json!({"service": "s", "force": true})).unwrap().service.unwrap();
    assert_eq!((shown.status.as_deref(), shown.desired_count), (Some("DRAINING"), Some(0)));
    assert_eq!(world.live(), Vec::<String>::new());
    let stopping = world.state.tasks().filter(|task| task.last == TaskStatus::Stopping).count();
    assert_eq!((world.service("s").status.as_deref(), stopping), (Some("INACTIVE"), 2));
    let again = json!({"serviceName": "s", "taskDefinition": "web", "desiredCount": 1});
    let refused = refusal(world.call(update::update_service, json!({"service": "s"})));
    assert_eq!(refused.0, "ServiceNotActiveException");
    world.obey();
    assert_eq!(
        refusal(world.call(delete::delete_service, json!({"service": "s"}))).0,
        "ServiceNotFoundException"
    );
    world.pass(3_601_000);
    assert_eq!(world.state.services().count(), 0);
    world.call(create::create_service, again).unwrap();
    assert_eq!(world.live().len(), 1);
}

/// The last tasks of the first may hold what those of the second want.
#[test]
fn a_service_is_made_anew_while_the_tasks_of_an_earlier_one_of_its_name_are_stopping() {
    for strategy in ["REPLICA", "DAEMON"] {
        let mut world = World::new();
        world.host(1000);
        let mut request =
            json!({"serviceName": "s", "taskDefinition": "port:1", "schedulingStrategy": strategy});
        if strategy == "REPLICA" {
            request["desiredCount"] = json!(1);
        }
        world.call(create::create_service, request.clone()).unwrap();
        world.obey();
        let old = world.live();
        world.call(delete::delete_service, json!({"service": "s", "force": true})).unwrap();
        world.call(create::create_service, request).unwrap();
        let shown = world.service("s");
        assert_eq!((shown.status.as_deref(), counts(&shown)), (Some("ACTIVE"), (1, 0, 0)), "{strategy}");
        assert_eq!((shown.deployments.unwrap().len(), world.live().len()), (1, 0), "{strategy}: no room yet");
        world.report(&old[0], "STOPPED", Some(143));
        world.pass(limits::PLACEMENT_RETRY_MS);
        world.obey();
        let shown = world.service("s");
        assert_eq!(counts(&shown), (1, 1, 0), "{strategy}");
        assert_eq!(shown.deployments.unwrap()[0].rollout_state, Some(DeploymentRolloutState::Completed));
        world.pass(limits::INACTIVE_KEPT_MS);
        assert_eq!(counts(&world.service("s")), (1, 1, 0), "{strategy}: nothing of the first one forgets it");
    }
}

#[test]
fn a_service_that_is_deleted_is_not_listed_and_none_is_managed_by_ecs() {
    let mut world = World::new();
    world.host(1000);
    create(&mut world, 2, json!({}));
    let listed = |world: &World, request: Value| {
        world.look(list::list_services, request).unwrap().service_arns.unwrap().len()
    };
    let by = |whom: &str| json!({"resourceManagementType": whom, "schedulingStrategy": "REPLICA"});
    assert_eq!((listed(&world, by("CUSTOMER")), listed(&world, by("ECS"))), (1, 0));
    assert_eq!(world.service("s").resource_management_type, Some(ecs::ResourceManagementType::Customer));
    // Before any of its tasks was told to stop.
    let drains = world.run(|txn| {
        delete::delete_service(txn, from(json!({"service": "s", "force": true})))?;
        let listed = list::list_services(txn.state, txn.ctx, &from(json!({})))?;
        let again = json!({"serviceName": "s", "taskDefinition": "web", "desiredCount": 1});
        Ok((listed.service_arns.unwrap().len(), refusal(create::create_service(txn, from(again))).1))
    });
    assert_eq!(drains.unwrap(), (0, "Unable to Start a service that is still Draining.".to_owned()));
    assert_eq!((world.service("s").status.as_deref(), listed(&world, json!({}))), (Some("INACTIVE"), 0));
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Deployment.html>
#[test]
fn failed_tasks_are_counted_until_one_has_run_well() {
    let failed = |world: &World| world.service("s").deployments.unwrap()[0].failed_tasks.unwrap();
    for family in ["web:1", "checked:1"] {
        let mut world = World::new();
        world.host(1000);
        create(&mut world, 2, json!({"taskDefinition": family}));
        let first = world.live().remove(0);
        world.report(&first, "STOPPED", Some(1));
        assert_eq!(failed(&world), 1, "{family}");
        world.obey();
        let [runs, ends] = world.live().try_into().unwrap();
        match family {
            "web:1" => {
                world.pass(limits::HEALTHY_AFTER_MS - 1);
                assert_eq!(failed(&world), 1, "it has just begun");
                world.pass(1);
            }
            _ => {
                world.pass(limits::HEALTHY_AFTER_MS);
                assert_eq!(failed(&world), 1, "nobody knows how it is");
                verdict(&mut world, &runs, HealthStatus::Healthy);
            }
        }
        assert_eq!(failed(&world), 0, "{family}");
        // Not even while there is none.
        for task in [ends, runs] {
            world.report(&task, "STOPPED", Some(1));
        }
        assert_eq!(failed(&world), 0, "{family}");
        for task in world.live() {
            world.report(&task, "STOPPED", Some(1));
        }
        assert_eq!(failed(&world), 0, "{family}");
        // Of another deployment they are counted anew.
        update(&mut world, json!({"forceNewDeployment": true}));
        world.pass(0);
        let new = world.live().pop().unwrap();
        world.report(&new, "STOPPED", Some(1));
        assert_eq!(failed(&world), 1, "{family}");
    }
}
