//! Deployments of a service on a small cluster: how they begin, end, fail, are rolled back and are shown.

mod alarms;
mod breaker;
mod early;
mod functions;
mod show;
mod stages;

use std::collections::BTreeSet;

use ecs_model::{self as ecs, DeploymentRolloutState, ServiceDeploymentStatus as Status};
use serde_json::{Value, json};
use wire::StringEnum;

use super::{describe, life, life::Happening, list, stop};
use crate::{
    cluster::{DeploymentId, ServiceDeploymentStatus},
    limits,
    service::{
        delete::delete_service,
        tests::{counts, create, daemon, update},
    },
    testing::{World, refusal},
};

/// The deployments of service `s`, the newest first.
fn deployments(world: &World) -> Vec<ecs::ServiceDeployment> {
    let briefs = world.look(list::list_service_deployments, json!({"service": "s"})).unwrap();
    let arns: Vec<String> = briefs
        .service_deployments
        .unwrap()
        .into_iter()
        .filter_map(|brief| brief.service_deployment_arn)
        .collect();
    let one = |arn: &String| {
        let reply =
            world.look(describe::describe_service_deployments, json!({"serviceDeploymentArns": [arn]}));
        reply.unwrap().service_deployments.unwrap().remove(0)
    };
    arns.iter().map(one).collect()
}

/// Status and reason of each, the newest first.
fn statuses(world: &World) -> Vec<(Status, Option<String>)> {
    deployments(world).into_iter().map(|row| (row.status.unwrap(), row.status_reason)).collect()
}

/// Status, rollout state and reason of each deployment that DescribeServices lists.
fn listed(world: &World) -> Vec<(String, DeploymentRolloutState, String)> {
    let of =
        |d: ecs::Deployment| (d.status.unwrap(), d.rollout_state.unwrap(), d.rollout_state_reason.unwrap());
    world.service("s").deployments.unwrap().into_iter().map(of).collect()
}

/// `ecs-svc/…` of the PRIMARY deployment.
fn primary(world: &World) -> String {
    world.service("s").deployments.unwrap().remove(0).id.unwrap()
}

fn rolling(enable: bool, rollback: bool) -> Value {
    json!({"deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": enable, "rollback": rollback}}})
}

/// Has at most so many tasks of a definition fail to start, whatever pauses lie between; gives how many did.
fn fail_to_start(world: &mut World, definition: &str, most: usize) -> usize {
    for failed in 0..most {
        let coming = |world: &World| {
            world.live().into_iter().find(|id| {
                let task = world.task(id);
                task.task_definition_arn.unwrap().ends_with(definition)
                    && task.last_status.as_deref() == Some("PENDING")
            })
        };
        if coming(world).is_none() {
            world.pass(2 * limits::BACKOFF_LONGEST_MS);
        }
        let Some(id) = coming(world) else { return failed };
        world.report(&id, "STOPPED", None);
    }
    most
}

/// A service that is steady with `web:1`, and has just begun to go to `web:2`.
fn rolling_to_2(world: &mut World, desired: i32, configuration: Value) {
    world.host(100_000);
    create(world, desired, configuration);
    world.obey();
    world.pass(limits::HEALTHY_AFTER_MS);
    assert_eq!(statuses(world), [(Status::Successful, None)]);
    update(world, json!({"taskDefinition": "web:2"}));
}

#[test]
fn a_service_is_deployed_and_each_deployment_is_kept() {
    let mut world = World::new();
    world.host(10_000);
    let made = create(&mut world, 2, json!({}));
    assert_eq!(made.current_service_deployment, None, "it has not started yet");
    assert_eq!(made.current_service_revisions.unwrap().len(), 1);
    let first = deployments(&world).remove(0);
    assert_eq!(world.service("s").current_service_deployment, first.service_deployment_arn);
    assert_eq!((first.status, first.started_at), (Some(Status::InProgress), Some(world.ctx.now)));
    world.pass(1500);
    world.obey();
    let ended = deployments(&world).remove(0);
    assert_eq!((ended.status, ended.finished_at), (Some(Status::Successful), Some(world.ctx.now)));
    assert_eq!(world.service("s").current_service_deployment, None);
    // A count, percentages, tags: none of them begins one; the same definition does not, and force does.
    let before = primary(&world);
    for same in [
        json!({"desiredCount": 3}),
        json!({"deploymentConfiguration": {"maximumPercent": 150}}),
        json!({"taskDefinition": "web:1"}),
        json!({"propagateTags": "SERVICE"}),
    ] {
        update(&mut world, same);
        world.obey();
    }
    assert_eq!((primary(&world), deployments(&world).len()), (before.clone(), 1));
    update(&mut world, json!({"forceNewDeployment": true}));
    let newest = deployments(&world).remove(0);
    let digits = |text: &str| text.rsplit('/').next().unwrap().to_owned();
    let source = newest.source_service_revisions.unwrap().remove(0);
    assert_eq!(digits(&source.arn.unwrap()), digits(&before));
    assert_eq!((source.requested_task_count, source.running_task_count), (Some(3), Some(3)));
    let target = newest.target_service_revision.unwrap();
    assert_eq!(digits(&target.arn.unwrap()), digits(&primary(&world)), "clients look for these digits");
    assert_eq!((target.requested_task_count, target.pending_task_count), (Some(3), Some(1)));
    world.obey();
    assert_eq!(statuses(&world), [(Status::Successful, None), (Status::Successful, None)]);
}

#[test]
fn another_deployment_takes_the_place_of_one_that_goes_on() {
    let mut world = World::new();
    rolling_to_2(&mut world, 2, json!({}));
    update(&mut world, json!({"forceNewDeployment": true}));
    let all = deployments(&world);
    let reason = "Service deployment stopped because a new service deployment was started.";
    assert_eq!(all[1].status_reason.as_deref(), Some(reason));
    assert_eq!((all[1].status, all[1].stopped_at), (Some(Status::Stopped), Some(world.ctx.now)));
    assert_eq!(all[0].status, Some(Status::InProgress));
    assert_eq!(all[0].source_service_revisions.as_ref().unwrap().len(), 2);
    assert_eq!(listed(&world).len(), 3);
    world.obey();
    assert_eq!(listed(&world).len(), 1);
    assert_eq!(deployments(&world)[0].status, Some(Status::Successful));
    assert_eq!(deployments(&world)[1].status, Some(Status::Stopped), "what has ended does not change");
}

#[test]
fn a_deployment_is_rolled_back_when_a_user_asks() {
    let mut world = World::new();
    rolling_to_2(&mut world, 2, json!({}));
    let (old, new) = {
        let all = world.service("s").deployments.unwrap();
        (all[1].id.clone().unwrap(), all[0].id.clone().unwrap())
    };
    let arn = deployments(&world).remove(0).service_deployment_arn.unwrap();
    let request = json!({"serviceDeploymentArn": arn, "stopType": "ROLLBACK"});
    let reply = world.call(stop::stop_service_deployment, request.clone()).unwrap();
    assert_eq!(reply.service_deployment_arn, Some(arn.clone()));
    let reason = "Service deployment rolled back because a rollback was requested.";
    let going = deployments(&world).remove(0);
    assert_eq!(going.status, Some(Status::RollbackInProgress));
    let rollback = going.rollback.unwrap();
    assert!(rollback.service_revision_arn.unwrap().ends_with(&old["ecs-svc/".len()..]));
    assert_eq!((rollback.reason.as_deref(), rollback.started_at), (Some(reason), Some(world.ctx.now)));
    let shown = listed(&world);
    let back = format!("ECS deployment stopped: rolling back to deploymentId {old}.");
    assert_eq!(shown[0], ("PRIMARY".to_owned(), DeploymentRolloutState::InProgress, back));
    assert_eq!((shown[1].0.as_str(), shown[1].1), ("ACTIVE", DeploymentRolloutState::Failed));
    assert_eq!(primary(&world), old);
    assert!(world.service("s").task_definition.unwrap().ends_with("web:1"));
    // Asked again, it goes on with that.
    world.call(stop::stop_service_deployment, request.clone()).unwrap();
    world.obey();
    assert_eq!(statuses(&world)[0], (Status::RollbackSuccessful, Some(reason.to_owned())));
    assert_eq!(listed(&world).len(), 1);
    assert_eq!(counts(&world.service("s")), (2, 2, 0));
    let refused = refusal(world.call(stop::stop_service_deployment, request));
    assert_eq!(refused.0, "ConflictException");
    let said = world.events("s");
    assert!(said.iter().any(|said| *said == format!("rolling back to deployment {old}.")), "{said:?}");
    assert!(world.state.service_events(&"s".into()).any(|event| {
        event.message.contains(&format!("(deployment {new}) deployment failed: a rollback was requested."))
    }));
}

#[test]
fn a_deployment_that_is_aborted_stays_where_it_is_until_the_next_one() {
    let mut world = World::new();
    world.host(10_000);
    create(&mut world, 4, json!({}));
    world.obey();
    let first = primary(&world);
    update(&mut world, json!({"taskDefinition": "web:2"}));
    let started = world.live().len();
    assert_eq!(started, 8, "within maximumPercent");
    let arn = deployments(&world).remove(0).service_deployment_arn.unwrap();
    let abort = json!({"serviceDeploymentArn": arn, "stopType": "ABORT"});
    world.call(stop::stop_service_deployment, abort.clone()).unwrap();
    let reason = "Service deployment stopped because a stop was requested.".to_owned();
    assert_eq!(statuses(&world)[0], (Status::Stopped, Some(reason)));
    let shown = deployments(&world).remove(0);
    assert!(shown.rollback.is_none() && shown.stopped_at.is_some());
    let refused = refusal(world.call(stop::stop_service_deployment, abort));
    assert_eq!(refused.0, "ConflictException", "it has ended");
    // What runs of both goes on, and nothing more starts of what was stopped.
    let second = primary(&world);
    assert_ne!(second, first);
    let is_of = |world: &World, id: &str, of: &str| world.task(id).started_by.as_deref() == Some(of);
    let lost = world.live().into_iter().find(|id| is_of(&world, id, &second)).unwrap();
    world.report(&lost, "STOPPED", Some(1));
    world.pass(1000);
    assert_eq!(world.live().iter().filter(|id| is_of(&world, id, &second)).count(), 3);
    assert!(world.live().iter().any(|id| is_of(&world, id, &first)));
    update(&mut world, json!({"taskDefinition": "web:1"}));
    world.obey();
    assert_eq!(statuses(&world)[0], (Status::Successful, None));
    assert_eq!(world.live().len(), 4);
}

#[test]
fn nothing_is_stopped_that_is_no_deployment() {
    let mut world = World::new();
    world.host(1000);
    create(&mut world, 1, json!({}));
    let arn = deployments(&world).remove(0).service_deployment_arn.unwrap();
    let other = format!("{}x", &arn[..arn.len() - 1]);
    for (request, code, message) in [
        (
            json!({"serviceDeploymentArn": "x"}),
            "InvalidParameterException",
            "The Service ARN provided is invalid.",
        ),
        (
            json!({"serviceDeploymentArn": world.service("s").service_arn}),
            "InvalidParameterException",
            "The ServiceDeployment ARN is invalid.",
        ),
        (
            json!({"serviceDeploymentArn": other}),
            "ServiceDeploymentNotFoundException",
            "The service deployment does not exist.",
        ),
    ] {
        let refused = refusal(world.call(stop::stop_service_deployment, request.clone()));
        assert_eq!(refused, (code.to_owned(), message.to_owned()), "{request}");
    }
    assert_eq!(statuses(&world), [(Status::InProgress, None)]);
}

#[test]
fn a_daemon_is_deployed_and_rolled_back_too() {
    let mut world = World::new();
    let host = world.host(10_000);
    daemon(&mut world, "web:1");
    world.obey();
    update(&mut world, rolling(true, true));
    update(&mut world, json!({"taskDefinition": "web:2"}));
    let old = world.state.tasks().next().unwrap().id.to_string();
    world.report(&old, "STOPPED", Some(0));
    assert_eq!(fail_to_start(&mut world, "web:2", 99), 3);
    world.obey();
    assert_eq!(statuses(&world)[0].0, Status::RollbackSuccessful);
    let task = world.task(&world.live()[0]);
    assert!(task.task_definition_arn.unwrap().ends_with("web:1"));
    assert!(task.container_instance_arn.unwrap().ends_with(&host));
}

#[test]
fn a_service_keeps_its_newest_deployments_for_90_days_and_what_they_name() {
    let mut world = World::new();
    world.host(1_000_000);
    create(&mut world, 0, json!({}));
    let revisions = |world: &World| world.state.revisions(&"s".into()).count();
    for n in 1..=limits::SERVICE_DEPLOYMENTS + 5 {
        update(&mut world, json!({"forceNewDeployment": true}));
        let kept = world.state.service_deployments(&"s".into(), u64::MAX).count();
        assert_eq!(kept, (n + 1).min(limits::SERVICE_DEPLOYMENTS));
        assert!(revisions(&world) <= kept + 1, "{} revisions for {kept}", revisions(&world));
    }
    world.pass(limits::DEPLOYMENT_KEPT_MS + 1);
    assert_eq!(deployments(&world), []);
    assert_eq!(revisions(&world), 1, "that of its tasks");
    update(&mut world, json!({"forceNewDeployment": true}));
    assert_eq!(deployments(&world).len(), 1);
    world.call(delete_service, json!({"service": "s"})).unwrap();
    world.obey();
    world.pass(limits::INACTIVE_KEPT_MS + 1);
    assert_eq!(world.state.deployed().count(), 0);
}

#[test]
fn a_deleted_service_deploys_no_further() {
    let mut world = World::new();
    rolling_to_2(&mut world, 1, json!({}));
    world.call(delete_service, json!({"service": "s", "force": true})).unwrap();
    let reason = "Service deployment stopped because the service was deleted.";
    let newest = world.state.service_deployment(&"s".into()).unwrap();
    assert_eq!(
        (newest.status, newest.status_reason.as_deref()),
        (ServiceDeploymentStatus::Stopped, Some(reason))
    );
    let refused = refusal(world.look(list::list_service_deployments, json!({"service": "s"})));
    assert_eq!(refused.1, "Cannot call ListServiceDeployments for a service that is INACTIVE");
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-deployment.html>
#[test]
fn a_deployment_only_goes_along_the_diagram_of_ecs() {
    use ServiceDeploymentStatus as Is;
    let diagram: BTreeSet<(Is, Is)> = [
        (Is::Pending, [Is::InProgress, Is::RollbackRequested, Is::StopRequested, Is::Stopped].as_slice()),
        (
            Is::InProgress,
            &[
                Is::Successful,
                Is::StopRequested,
                Is::RollbackRequested,
                Is::RollbackInProgress,
                Is::Stopped,
                // Where it is to be rolled back, and there is nothing that it could be rolled back to.
                Is::RollbackFailed,
            ],
        ),
        (Is::StopRequested, &[Is::Stopped]),
        (Is::RollbackRequested, &[Is::Successful, Is::RollbackInProgress, Is::Stopped, Is::RollbackFailed]),
        (Is::RollbackInProgress, &[Is::RollbackSuccessful, Is::RollbackFailed]),
    ]
    .into_iter()
    .flat_map(|(from, to)| to.iter().map(move |to| (from, *to)))
    .collect();
    let all = [
        Happening::Started,
        Happening::Completed,
        Happening::RollbackRequested,
        Happening::StopRequested,
        Happening::RollsBack { to: DeploymentId(1), reason: "r" },
        Happening::NothingToRollBackTo,
        Happening::Stopped { reason: "r" },
    ];
    for from in Is::ALL {
        for happening in &all {
            if let Some(to) = life::next(*from, happening) {
                assert!(diagram.contains(&(*from, to)), "{happening:?} leads from {from} to {to}");
            }
        }
        let stopped = life::next(*from, &Happening::Stopped { reason: "r" });
        assert_eq!(stopped.is_none(), from.has_ended(), "{from}");
    }
}
