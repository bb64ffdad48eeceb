//! Clusters: settings, refusals, statistics, and tags on everything in them.

use serde_json::{Value, json};
use state::Domain;

use super::*;
use crate::{
    account::settings,
    beyond::On,
    instance::state as standing,
    service, tags as tagging, task,
    testing::{World, ctx, from, on_account, refusal},
};

#[test]
fn create_cluster_has_defaults_and_refuses_what_is_not_built() {
    let row = create_cluster(&ctx(), &Account::default(), from(json!({}))).unwrap();
    assert_eq!((row.name.as_str(), row.active), ("default", true));
    assert_eq!(row.settings, [insights("disabled")]);
    let same = json!({"name": "containerInsights", "value": "disabled"});
    let row = create_cluster(&ctx(), &Account::default(), from(json!({"settings": [same, same]}))).unwrap();
    assert_eq!(row.settings, [insights("disabled")], "each setting once");
    for (request, code) in [
        (json!({"clusterName": "a b"}), "InvalidParameterException"),
        (json!({"clusterName": "x".repeat(256)}), "InvalidParameterException"),
        (json!({"settings": [{"name": "containerInsights", "value": "x"}]}), "InvalidParameterException"),
        (
            json!({"settings": [{"name": "containerInsights", "value": "Enabled"}]}),
            "InvalidParameterException",
        ),
    ] {
        let shown = request.to_string();
        assert_eq!(refusal(create_cluster(&ctx(), &Account::default(), from(request))).0, code, "{shown}");
    }
}

#[test]
fn what_is_said_of_commands_in_containers_is_kept_and_shown() {
    let mut world = World::new();
    let logs = json!({"cloudWatchLogGroupName": "/exec", "s3EncryptionEnabled": false});
    let given = json!({"executeCommandConfiguration": {"logging": "OVERRIDE", "logConfiguration": logs}});
    let reply = world.call(update_cluster, json!({"cluster": "c", "configuration": given})).unwrap();
    let shown = reply.cluster.unwrap().configuration.unwrap().execute_command_configuration.unwrap();
    assert_eq!(shown, from(given["executeCommandConfiguration"].clone()));
    for (given, code) in [
        (
            json!({"executeCommandConfiguration": {"logging": "NONE", "logConfiguration": {}}}),
            "InvalidParameterException",
        ),
        (json!({"managedStorageConfiguration": {"kmsKeyId": "k"}}), "UnsupportedFeatureException"),
    ] {
        assert_eq!(
            refusal(world.call(update_cluster, json!({"cluster": "c", "configuration": given}))).0,
            code
        );
    }
    assert!(world.state.row.configuration.as_ref().unwrap().execute_command_configuration.is_some());
}

#[test]
fn a_cluster_has_container_insights_as_it_is_said_or_as_the_account_has_it() {
    let (mut account, user) = (Account::default(), "arn:aws:iam::000000000000:user/u");
    let of = |account: &Account, caller: &str, request: Value| {
        let ctx = Ctx { caller_arn: caller.into(), ..ctx() };
        create_cluster(&ctx, account, from(request)).unwrap().settings
    };
    let root = ctx().caller_arn;
    assert_eq!(of(&account, &root, json!({})), [insights("disabled")]);
    for (principal, value) in [(&*root, "enabled"), (user, "enhanced")] {
        let put = json!({"name": "containerInsights", "value": value, "principalArn": principal});
        on_account(&mut account, &ctx(), |txn| settings::put_account_setting(txn, from(put))).unwrap();
    }
    assert_eq!(of(&account, &root, json!({})), [insights("enabled")]);
    assert_eq!(of(&account, user, json!({})), [insights("enhanced")]);
    let said = json!({"settings": [{"name": "containerInsights", "value": "disabled"}]});
    assert_eq!(of(&account, user, said), [insights("disabled")]);
}

#[test]
fn an_update_shows_what_is_attached() {
    let mut world = World::new();
    world.provider("p");
    let insights = json!([{"name": "containerInsights", "value": "enhanced"}]);
    let shown = world.call(update_cluster, json!({"cluster": "c", "settings": insights})).unwrap();
    let shown = serde_json::to_value(shown.cluster.unwrap()).unwrap();
    assert_eq!((&shown["settings"], &shown["attachmentsStatus"]), (&insights, &json!("UPDATE_COMPLETE")));
    assert_eq!(shown["attachments"][0]["type"], "managed_draining");
}

#[test]
fn a_cluster_goes_only_when_it_is_empty() {
    let mut world = World::new();
    let id = world.host(1000);
    let service = json!({"serviceName": "s", "taskDefinition": "web", "desiredCount": 1, "clientToken": "t"});
    world.call(service::create::create_service, service).unwrap();
    let token = json!({"taskDefinition": "web", "clientToken": "t"});
    world.call(task::run::run_task, token).unwrap();
    let delete = |txn: &mut Txn| delete_cluster(txn, Default::default());
    let gone = |world: &mut World| refusal(world.run(delete)).0;
    assert_eq!(gone(&mut world), "ClusterContainsContainerInstancesException");
    let force = json!({"containerInstance": id, "force": true});
    world.call(standing::deregister_container_instance, force).unwrap();
    assert_eq!(gone(&mut world), "ClusterContainsServicesException");
    world.call(service::delete::delete_service, json!({"service": "s", "force": true})).unwrap();
    let shown = world.run(delete).unwrap().cluster.unwrap();
    assert_eq!(shown.status.as_deref(), Some("INACTIVE"));
    world.pass(3_599_000);
    assert!(!world.state.gone(), "it can be described for an hour");
    world.pass(2_000);
    assert!(world.state.gone());
    assert_eq!((world.state.rows().next(), world.state.agenda().wake_at()), (None, None));
}

#[test]
fn statistics_count_what_is_there() {
    let mut world = World::new();
    world.host(1000);
    world.call(task::run::run_task, json!({"taskDefinition": "web", "count": 2})).unwrap();
    world.obey();
    let service = json!({"serviceName": "s", "taskDefinition": "web", "desiredCount": 1});
    world.call(service::create::create_service, service).unwrap();
    let shown = cluster(&world.state, &world.account, &world.ctx, &[ClusterField::Statistics]);
    assert_eq!((shown.running_tasks_count, shown.pending_tasks_count), (Some(2), Some(1)));
    assert_eq!((shown.active_services_count, shown.registered_container_instances_count), (Some(1), Some(1)));
    let value = |name: &str| {
        let found = shown.statistics.iter().flatten().find(|pair| pair.name.as_deref() == Some(name));
        found.and_then(|pair| pair.value.clone()).unwrap()
    };
    assert_eq!(value("runningEC2TasksCount"), "2");
    assert_eq!(value("pendingEC2TasksCount"), "1");
    assert_eq!(value("activeEC2ServiceCount"), "1");
    assert_eq!(value("runningFargateTasksCount"), "0");
    assert_eq!(cluster(&world.state, &world.account, &world.ctx, &[]).statistics, Some(vec![]));
}

#[test]
fn everything_in_a_cluster_carries_tags() {
    let mut world = World::new();
    let id = world.host(1000);
    let service = json!({"serviceName": "s", "taskDefinition": "web", "desiredCount": 1});
    world.call(service::create::create_service, service).unwrap();
    let task = world.live().remove(0);
    for resource in [
        "cluster/c".to_owned(),
        "service/c/s".into(),
        format!("task/c/{task}"),
        format!("container-instance/c/{id}"),
    ] {
        let arn = format!("arn:aws:ecs:us-east-1:000000000000:{resource}");
        let tag = |value: Value| json!({"resourceArn": arn, "tags": value});
        let one = json!([{"key": "a", "value": "1"}, {"key": "b", "value": "2"}]);
        world.call(tagging::tag_resource, tag(one)).unwrap();
        world.call(tagging::tag_resource, tag(json!([{"key": "a", "value": "3"}]))).unwrap();
        world.call(tagging::untag_resource, json!({"resourceArn": arn, "tagKeys": ["b", "absent"]})).unwrap();
        assert_eq!(tagging::of(&world.state, &arn).unwrap(), [tagging::tag("a", "3").shown()], "{resource}");
        let many: Vec<Value> = (0..50).map(|n| json!({"key": n.to_string(), "value": ""})).collect();
        for (bad, code) in [
            (json!(many), "LimitExceededException"),
            (json!([{"key": "aws:x", "value": ""}]), "InvalidParameterException"),
            (json!([{"key": "x", "value": "AWS:x"}]), "InvalidParameterException"),
            (json!([{"key": "", "value": ""}]), "InvalidParameterException"),
        ] {
            let refused = refusal(world.call(tagging::tag_resource, tag(bad)));
            assert_eq!(refused.0, code, "{resource}");
        }
        let ours = json!({"resourceArn": arn, "tagKeys": ["aws:ecs:clusterName"]});
        let refused = refusal(world.call(tagging::untag_resource, ours));
        assert_eq!(refused.0, "InvalidParameterException", "{resource}");
    }
    let absent = "arn:aws:ecs:us-east-1:000000000000:service/c/absent";
    assert_eq!(refusal(tagging::of(&world.state, absent)).0, "InvalidParameterException");
    let tag = json!({"resourceArn": absent, "tags": [{"key": "a", "value": ""}]});
    assert_eq!(refusal(world.call(tagging::tag_resource, tag)).0, "ResourceNotFoundException");
    let untag = json!({"resourceArn": absent, "tagKeys": ["a"]});
    assert_eq!(refusal(world.call(tagging::untag_resource, untag)).0, "ResourceNotFoundException");
}

#[test]
fn what_ecs_itself_sets_counts_against_no_limit() {
    let mut tags = vec![tagging::tag("aws:ecs:clusterName", "c")];
    let tag = |key: &str| tagging::tag(key, "").shown();
    let many: Vec<_> = (0..50).map(|n| tag(&n.to_string())).collect();
    tagging::merge(On::Other, &mut tags, many).unwrap();
    let refused = tagging::merge(On::Other, &mut tags, vec![tag("more")]).unwrap_err();
    assert_eq!(refused.code(), "LimitExceededException");
}
