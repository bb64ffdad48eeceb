//! Hooks that call functions: what is called, when, how often, and what their answers do to the deployment.

use state::{
    Id128,
    contract::Tells,
    outbox::{Call, Sends},
};
use wire::{Blob, Error};

use super::*;

const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:approve";
const ROLE: &str = "arn:aws:iam::000000000000:role/hooks";
const MINUTE: i64 = 60_000;

/// A service that is steady, and on its way to `web:2` with such a hook at these stages; its tasks do as they are told.
fn begun(world: &mut World, strategy: &str, stages: &[&str], more: Value) {
    world.host(100_000);
    create(world, 1, json!({}));
    world.obey();
    let mut hook = json!({"hookTargetArn": FUNCTION, "roleArn": ROLE, "lifecycleStages": stages});
    for (member, value) in more.as_object().unwrap() {
        hook[member] = value.clone();
    }
    update(
        world,
        json!({"taskDefinition": "web:2",
        "deploymentConfiguration": {"strategy": strategy, "bakeTimeInMinutes": 0, "lifecycleHooks": [hook]}}),
    );
    world.obey();
}

/// What waits to be called now, with what the function is told.
fn called(world: &World) -> Vec<(Id128, Call, Value)> {
    let ready: Vec<Id128> = world.state.outbox().ready(world.ctx.now).collect();
    let one = |id| {
        let call = world.state.call(id).unwrap();
        let told: Blob = serde_json::from_value(call.input["Payload"].clone()).unwrap();
        (id, call, serde_json::from_slice(&told.0).unwrap())
    };
    ready.into_iter().map(one).collect()
}

/// The only call that waits has this outcome. Gives what the function was told.
fn answer(world: &mut World, outcome: Result<Value, Error>) -> Value {
    let mut all = called(world);
    assert_eq!(all.len(), 1, "{all:?}");
    let (id, call, told) = all.remove(0);
    assert_eq!((&*call.principal, &*call.service, &*call.operation), (ROLE, "lambda", "Invoke"));
    assert_eq!(call.input["FunctionName"], FUNCTION);
    let outcome =
        outcome.map(|reply| json!({"StatusCode": 200, "Payload": Blob(reply.to_string().into_bytes())}));
    world
        .run(|txn| {
            crate::Cluster::carried_out(txn, id, outcome);
            Ok(())
        })
        .unwrap();
    world.obey();
    told
}

fn says(world: &mut World, status: &str) -> Value {
    answer(world, Ok(json!({"hookStatus": status})))
}

fn newest(world: &World) -> ecs::ServiceDeployment {
    deployments(world).remove(0)
}

fn hook(world: &World) -> ecs::DeploymentLifecycleHookDetail {
    newest(world).lifecycle_hook_details.unwrap().remove(0)
}

#[test]
fn a_function_is_called_once_for_each_stage_and_the_deployment_goes_on() {
    let mut world = World::new();
    world.listened = true;
    let details = json!({"hookDetails": {"bucket": "b"}});
    begun(&mut world, "BLUE_GREEN", &["POST_SCALE_UP", "PRODUCTION_TRAFFIC_SHIFT"], details);
    assert_eq!(newest(&world).lifecycle_stage.unwrap().as_str(), "POST_SCALE_UP");
    let shown = hook(&world);
    assert_eq!(
        (shown.target_type, shown.target_arn.as_deref(), shown.status),
        (
            Some(ecs::DeploymentLifecycleHookTargetType::AwsLambda),
            Some(FUNCTION),
            Some(ecs::DeploymentLifecycleHookStatus::InProgress)
        )
    );
    assert_eq!(shown.expires_at, Some(world.ctx.now.plus_millis(1440 * MINUTE)));
    let deployment = newest(&world);
    let told = says(&mut world, "SUCCEEDED");
    assert_eq!(told["executionId"], json!(shown.hook_id));
    assert_eq!(told["lifecycleStage"], "POST_SCALE_UP");
    assert_eq!(told["resourceArn"], json!(deployment.service_deployment_arn));
    assert_eq!(told["hookDetails"], json!({"bucket": "b"}));
    let (about, target) =
        (&told["executionDetails"], deployment.target_service_revision.unwrap().arn.unwrap());
    assert_eq!(about["serviceArn"], json!(deployment.service_arn));
    assert_eq!(about["targetServiceRevisionArn"], json!(target));
    assert_eq!(about["testTrafficWeights"][&target], 0.0);
    assert_eq!(newest(&world).lifecycle_stage.unwrap().as_str(), "PRODUCTION_TRAFFIC_SHIFT");
    let again = says(&mut world, "SUCCEEDED");
    assert_ne!(again["executionId"], told["executionId"]);
    assert_eq!(again["executionDetails"]["productionTrafficWeights"][&target], 100.0);
    assert_eq!(newest(&world).status, Some(Status::Successful));
    assert!(called(&world).is_empty() && world.state.outbox().is_empty());
    let events =
        world.state.outgoing().waiting().filter(|event| event.detail_type == "ECS Hook State Change");
    let told: Vec<_> = events.map(|event| event.detail.clone()).collect();
    let names: Vec<_> = told.iter().map(|detail| detail["eventName"].as_str().unwrap()).collect();
    assert_eq!(names, ["HOOK_IN_PROGRESS", "HOOK_SUCCEEDED", "HOOK_IN_PROGRESS", "HOOK_SUCCEEDED"]);
    assert!(told.iter().all(|detail| detail["hookType"] == "AWS_LAMBDA"));
}

#[test]
fn one_that_is_in_progress_is_called_again_after_its_delay_with_what_it_said() {
    let mut world = World::new();
    begun(&mut world, "ROLLING", &["PRE_SCALE_UP"], json!({}));
    let first = answer(&mut world, Ok(json!({"hookStatus": "IN_PROGRESS", "hookDetails": {"n": 1}})));
    assert_eq!(first.get("hookDetails"), None);
    assert_eq!(first["executionDetails"].get("testTrafficWeights"), None, "nothing is shifted");
    assert_eq!(hook(&world).status, Some(ecs::DeploymentLifecycleHookStatus::InProgress));
    world.pass(30_000 - 1);
    assert!(called(&world).is_empty());
    world.pass(1);
    let second = answer(&mut world, Ok(json!({"hookStatus": "IN_PROGRESS", "callBackDelay": 5})));
    assert_eq!((&second["executionId"], &second["hookDetails"]), (&first["executionId"], &json!({"n": 1})));
    world.pass(5000);
    assert_eq!(says(&mut world, "SUCCEEDED")["executionId"], first["executionId"]);
    world.obey();
    assert_eq!(newest(&world).status, Some(Status::Successful));
}

#[test]
fn a_failure_and_what_is_no_answer_at_all_roll_back() {
    let refused = || Err(Error::new("ResourceNotFoundException", 404, "Function not found"));
    for outcome in [Ok(json!({"hookStatus": "FAILED"})), Ok(json!({})), refused()] {
        let mut world = World::new();
        begun(&mut world, "BLUE_GREEN", &["POST_SCALE_UP"], json!({}));
        answer(&mut world, outcome);
        world.obey();
        let (status, why) = statuses(&world).remove(0);
        assert_eq!(status, Status::RollbackSuccessful);
        assert_eq!(
            why.as_deref(),
            Some("Service deployment rolled back because of hook execution failure(s).")
        );
        assert_eq!(hook(&world).status, Some(ecs::DeploymentLifecycleHookStatus::Failed));
        assert!(world.state.outbox().is_empty());
    }
}

#[test]
fn one_that_is_not_reached_is_called_again_until_its_hook_fails() {
    let mut world = World::new();
    begun(&mut world, "ROLLING", &["POST_SCALE_UP"], json!({}));
    let away = || Err(Error::new("ServiceException", 500, "not reached"));
    for _ in 1..limits::HOOK_ATTEMPTS {
        answer(&mut world, away());
        assert_eq!(newest(&world).status, Some(Status::InProgress));
        world.pass(30_000);
    }
    answer(&mut world, away());
    world.obey();
    assert_eq!(newest(&world).status, Some(Status::RollbackSuccessful));
}

#[test]
fn one_that_never_ends_expires() {
    for (action, status) in [(None, Status::RollbackSuccessful), (Some("CONTINUE"), Status::Successful)] {
        let mut world = World::new();
        let timeout = json!({"timeoutConfiguration": {"timeoutInMinutes": 2, "action": action}});
        begun(&mut world, "BLUE_GREEN", &["POST_SCALE_UP"], timeout);
        answer(&mut world, Ok(json!({"hookStatus": "IN_PROGRESS", "callBackDelay": 3600})));
        world.pass(2 * MINUTE);
        world.obey();
        assert_eq!(newest(&world).status, Some(status));
        assert_eq!(hook(&world).status, Some(ecs::DeploymentLifecycleHookStatus::TimedOut));
        assert!(world.state.outbox().is_empty());
    }
}

#[test]
fn what_was_under_way_when_the_control_plane_ended_is_called_again() {
    let mut world = World::new();
    begun(&mut world, "BLUE_GREEN", &["POST_SCALE_UP"], json!({}));
    let before = called(&world);
    // A new start has the rows alone.
    let mut read = crate::Cluster::of(world.state.row.as_ref().clone());
    for row in world.state.rows().collect::<Vec<_>>().into_iter().rev() {
        state::Domain::apply(&mut read, &crate::cluster::Change::Put(row));
    }
    world.state = read;
    assert_eq!(called(&world), before);
    says(&mut world, "SUCCEEDED");
    assert_eq!(newest(&world).status, Some(Status::Successful));
}

#[test]
fn an_answer_that_comes_too_late_changes_nothing() {
    let mut world = World::new();
    begun(&mut world, "BLUE_GREEN", &["POST_SCALE_UP"], json!({}));
    let (id, ..) = called(&world).remove(0);
    let arn = newest(&world).service_deployment_arn;
    world.call(stop::stop_service_deployment, json!({"serviceDeploymentArn": arn})).unwrap();
    assert!(called(&world).is_empty() && world.state.call(id).is_none());
    world
        .run(|txn| {
            crate::Cluster::carried_out(txn, id, Ok(json!({})));
            Ok(())
        })
        .unwrap();
    world.obey();
    assert_eq!(newest(&world).status, Some(Status::RollbackSuccessful));
}
