//! What a service is once it is deleted, and what its deployments count of tasks that fail.

use super::*;

#[test]
fn no_service_is_managed_by_ecs() {
    let mut world = World::new();
    world.host(1000);
    create(&mut world, 2, json!({}));
    let listed = |world: &World, request: Value| {
        world.look(list::list_services, request).unwrap().service_arns.unwrap().len()
    };
    let by = |whom: &str| json!({"resourceManagementType": whom, "schedulingStrategy": "REPLICA"});
    assert_eq!((listed(&world, by("CUSTOMER")), listed(&world, by("ECS"))), (1, 0));
    assert_eq!(world.service("s").resource_management_type, Some(ecs::ResourceManagementType::Customer));
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
