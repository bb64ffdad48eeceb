//! How deployments and revisions are listed and described, and what is refused.

use super::*;
use crate::service::revision;

fn arn(resource: &str) -> String {
    format!("arn:aws:ecs:us-east-1:000000000000:{resource}")
}

#[test]
fn a_deployment_is_shown_as_ecs_shows_it() {
    let mut world = World::new();
    world.host(10_000);
    create(&mut world, 1, json!({}));
    world.pass(1000);
    world.obey();
    let shown = deployments(&world).remove(0);
    let id = shown.service_deployment_arn.as_ref().unwrap().rsplit('/').next().unwrap().to_owned();
    assert_eq!(id.len(), 21);
    let digits = primary(&world)["ecs-svc/".len()..].to_owned();
    let want = json!({
        "serviceDeploymentArn": arn(&format!("service-deployment/c/s/{id}")),
        "serviceArn": arn("service/c/s"),
        "clusterArn": arn("cluster/c"),
        "createdAt": 1_700_000_000, "startedAt": 1_700_000_000,
        "finishedAt": 1_700_000_001, "updatedAt": 1_700_000_001,
        "sourceServiceRevisions": [],
        "targetServiceRevision": {
            "arn": arn(&format!("service-revision/c/s/{digits}")),
            "requestedTaskCount": 1, "runningTaskCount": 1, "pendingTaskCount": 0,
        },
        "status": "SUCCESSFUL",
        "deploymentConfiguration": {
            "deploymentCircuitBreaker": {
                "enable": false, "rollback": false, "resetOnHealthyTask": true,
                "thresholdConfiguration": {"type": "BOUNDED_PERCENT", "value": 50},
            },
            "maximumPercent": 200, "minimumHealthyPercent": 100, "strategy": "ROLLING", "bakeTimeInMinutes": 0,
        },
        "deploymentCircuitBreaker": {"status": "DISABLED", "failureCount": 0, "threshold": 3},
        "alarms": {"status": "DISABLED"},
    });
    assert_eq!(serde_json::to_value(shown).unwrap(), want);
    let request = json!({"serviceRevisionArns": [arn(&format!("service-revision/c/s/{digits}"))]});
    let reply = world.look(revision::describe_service_revisions, request).unwrap();
    let want = json!({
        "serviceRevisions": [{
            "serviceRevisionArn": arn(&format!("service-revision/c/s/{digits}")),
            "serviceArn": arn("service/c/s"),
            "clusterArn": arn("cluster/c"),
            "taskDefinition": arn("task-definition/web:1"),
            "launchType": "EC2",
            "containerImages": [{"containerName": "app", "image": "busybox"}],
            "guardDutyEnabled": false,
            "createdAt": 1_700_000_000,
        }],
        "failures": [],
    });
    assert_eq!(serde_json::to_value(reply).unwrap(), want);
}

#[test]
fn deployments_are_listed_by_pages_the_newest_first() {
    let mut world = World::new();
    create(&mut world, 0, json!({}));
    for _ in 0..24 {
        world.pass(1000);
        update(&mut world, json!({"forceNewDeployment": true}));
    }
    let list = |world: &World, more: Value| {
        let mut request = json!({"service": arn("service/c/s")});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        world.look(list::list_service_deployments, request).unwrap()
    };
    let first = list(&world, json!({}));
    let rest = list(&world, json!({"nextToken": first.next_token}));
    assert_eq!(rest.next_token, None);
    let (first, rest) = (first.service_deployments.unwrap(), rest.service_deployments.unwrap());
    assert_eq!((first.len(), rest.len()), (20, 5));
    let times: Vec<_> = first.iter().chain(&rest).map(|brief| brief.created_at.unwrap()).collect();
    assert!(times.is_sorted_by(|a, b| a > b), "{times:?}");
    let some = list(&world, json!({"maxResults": 3})).service_deployments.unwrap();
    assert_eq!(some[..], first[..3]);
    let within =
        json!({"createdAt": {"after": times[4].0 as f64 / 1000.0, "before": times[2].0 as f64 / 1000.0}});
    assert_eq!(list(&world, within).service_deployments.unwrap()[..], first[2..5]);
    let none = list(&world, json!({"status": ["ROLLBACK_FAILED"]}));
    assert_eq!(none.service_deployments.unwrap(), []);
    let all = list(&world, json!({"status": ["SUCCESSFUL", "IN_PROGRESS"], "maxResults": 100}));
    assert_eq!(all.service_deployments.unwrap().len(), 25);
}

#[test]
fn a_look_at_deployments_costs_what_it_shows() {
    let mut looked = BTreeSet::new();
    for deployments in [5, 90] {
        let mut world = World::new();
        create(&mut world, 0, json!({}));
        for _ in 0..deployments {
            update(&mut world, json!({"forceNewDeployment": true}));
        }
        crate::cluster::looks::taken();
        world.look(list::list_service_deployments, json!({"service": "s", "maxResults": 2})).unwrap();
        looked.insert(crate::cluster::looks::taken());
        let newest = world.state.service_deployment(&"s".into()).unwrap().id.clone();
        let arns = [arn(&format!("service-deployment/c/s/{newest}"))];
        crate::cluster::looks::taken();
        world.look(describe::describe_service_deployments, json!({"serviceDeploymentArns": arns})).unwrap();
        looked.insert(100 + crate::cluster::looks::taken());
    }
    assert_eq!(looked.len(), 2, "{looked:?}");
}

#[test]
fn what_is_not_there_is_among_the_failures_and_what_is_no_arn_is_refused() {
    let mut world = World::new();
    create(&mut world, 0, json!({}));
    let (deployment, digits) =
        (deployments(&world).remove(0), primary(&world)["ecs-svc/".len()..].to_owned());
    let deployment = deployment.service_deployment_arn.unwrap();
    let absent = arn("service-deployment/c/s/absent");
    let reply = world
        .look(describe::describe_service_deployments, json!({"serviceDeploymentArns": [absent, deployment]}))
        .unwrap();
    assert_eq!(reply.service_deployments.unwrap().len(), 1);
    let failures = reply.failures.unwrap();
    assert_eq!((failures[0].arn.as_ref(), failures[0].reason.as_deref()), (Some(&absent), Some("MISSING")));
    let own = arn(&format!("service-revision/c/s/{digits}"));
    let absent = arn("service-revision/c/s/1234567890123456789");
    let request = json!({"serviceRevisionArns": [absent, own, absent]});
    let reply = world.look(revision::describe_service_revisions, request).unwrap();
    assert_eq!((reply.service_revisions.unwrap().len(), reply.failures.unwrap().len()), (1, 2));
    let other = "Cross service requests are not allowed. All requested service revisions must be for a single service";
    for (arns, code, message) in [
        (vec![], "InvalidParameterException", "The Service ARN provided is invalid."),
        (vec!["s".to_owned()], "InvalidParameterException", "The Service ARN provided is invalid."),
        (vec![deployment], "InvalidParameterException", "The ServiceRevision ARN is invalid."),
        (
            vec![arn("service-revision/c/s/x")],
            "InvalidParameterException",
            "The ServiceRevision ARN is invalid.",
        ),
        (
            vec!["arn:aws:ecs:eu-west-1:000000000000:service-revision/c/s/1".to_owned()],
            "InvalidParameterException",
            "The ServiceRevision ARN is invalid.",
        ),
        (vec![own.clone(); 21], "InvalidParameterException", "Service Revision ARN count cannot exceed 20"),
        (vec![own.clone(), arn("service-revision/c/t/1")], "InvalidParameterException", other),
        (vec![arn("service-revision/c/t/1")], "ServiceNotFoundException", "Service not found."),
    ] {
        let request = json!({"serviceRevisionArns": arns});
        let refused = refusal(world.look(revision::describe_service_revisions, request));
        assert_eq!(refused, (code.to_owned(), message.to_owned()), "{arns:?}");
    }
    let refused = refusal(world.look(list::list_service_deployments, json!({"service": "absent"})));
    assert_eq!(refused, ("ServiceNotFoundException".to_owned(), "Service not found.".to_owned()));
}

#[test]
fn a_breaker_is_merged_into_what_stands() {
    let mut world = World::new();
    let breaker = |given: Value| json!({"deploymentConfiguration": {"deploymentCircuitBreaker": given}});
    let threshold = json!({"type": "COUNT", "value": 7});
    create(
        &mut world,
        0,
        breaker(json!({
            "enable": true, "rollback": true, "resetOnHealthyTask": false, "thresholdConfiguration": threshold,
        })),
    );
    let shown = |service: ecs::Service| {
        serde_json::to_value(service.deployment_configuration.unwrap().deployment_circuit_breaker).unwrap()
    };
    let off = update(&mut world, breaker(json!({"enable": false, "rollback": true})));
    let want = json!({"enable": false, "rollback": false, "resetOnHealthyTask": false, "thresholdConfiguration": threshold});
    assert_eq!(shown(off), want);
    let more = update(&mut world, json!({"deploymentConfiguration": {"maximumPercent": 150}}));
    assert_eq!(shown(more), want);
    for (kind, value) in [("COUNT", 0), ("BOUNDED_PERCENT", 101), ("UNBOUNDED_PERCENT", 0)] {
        let given = breaker(json!({
            "enable": true, "rollback": false, "thresholdConfiguration": {"type": kind, "value": value},
        }));
        let mut request = json!({"service": "s"});
        request.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
        let refused = refusal(world.call(crate::service::update::update_service, request));
        assert_eq!(refused.0, "InvalidParameterException", "{kind} {value}");
    }
}
