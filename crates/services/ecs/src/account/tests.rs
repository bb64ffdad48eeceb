//! Task definitions from registration to deletion, lists and pages, settings, and what a definition needs.

use ecs_model as ecs;
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use wire::Error;

use super::{tags as tagging, *};
use crate::{
    cluster::rows::{Resources, TaskOverride},
    testing::{ctx, on_account},
};

/// Runs a command.
fn run<T>(state: &mut Account, command: impl FnOnce(&mut Txn) -> Result<T, Error>) -> Result<T, Error> {
    on_account(state, &ctx(), command)
}

/// Calls an operation with a request in JSON.
fn call<R: DeserializeOwned, T>(
    state: &mut Account,
    operation: fn(&mut Txn, R) -> Result<T, Error>,
    value: Value,
) -> Result<T, Error> {
    run(state, |txn| operation(txn, request(value)))
}

fn swept(state: &mut Account, referenced: impl Fn(&TaskDefinitionId) -> bool) -> usize {
    run(state, |txn| Ok(sweep(txn, referenced))).unwrap()
}

fn request<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn minimal(family: &str) -> Value {
    json!({"family": family, "containerDefinitions": [{"name": "c", "image": "busybox", "memory": 16}]})
}

fn register(state: &mut Account, value: Value) -> Result<ecs::TaskDefinition, Error> {
    call(state, register_task_definition, value).map(|reply| reply.task_definition.unwrap())
}

fn deregister(state: &mut Account, named: &str) -> Result<ecs::TaskDefinition, Error> {
    let reply = call(state, deregister_task_definition, json!({"taskDefinition": named}));
    reply.map(|reply| reply.task_definition.unwrap())
}

fn delete(state: &mut Account, named: &[&str]) -> ecs::DeleteTaskDefinitionsResponse {
    call(state, delete_task_definitions, json!({"taskDefinitions": named})).unwrap()
}

fn describe(state: &Account, named: &str) -> Result<ecs::TaskDefinition, Error> {
    let request = request(json!({"taskDefinition": named}));
    describe_task_definition(state, &ctx(), &request).map(|reply| reply.task_definition.unwrap())
}

fn list(state: &Account, value: Value) -> Vec<String> {
    let reply = list_task_definitions(state, &ctx(), &request(value)).unwrap();
    let short = |arn: &String| arn.rsplit('/').next().unwrap().to_owned();
    reply.task_definition_arns.unwrap().iter().map(short).collect()
}

fn families(state: &Account, value: Value) -> Vec<String> {
    list_task_definition_families(state, &ctx(), &request(value)).unwrap().families.unwrap()
}

#[test]
fn the_registered_document_is_echoed_with_the_defaults_of_ecs() {
    let mut state = Account::default();
    let full = json!({
        "family": "web", "cpu": ".5 vCPU", "memory": "1GB", "executionRoleArn": "arn:aws:iam::000000000000:role/x",
        "volumes": [{"name": "data"}, {"name": "etc", "host": {"sourcePath": "/etc"}}],
        "tags": [{"key": "a", "value": "b"}],
        "requiresCompatibilities": ["EC2"],
        "containerDefinitions": [
            {"name": "web", "image": "nginx", "cpu": 100, "memory": 128, "memoryReservation": 64,
             "portMappings": [{"containerPort": 80}, {"containerPort": 53, "hostPort": 5353, "protocol": "udp"}],
             "environment": [{"name": "Z", "value": "1"}, {"name": "A", "value": "2"}],
             "healthCheck": {"command": ["CMD-SHELL", "true"]},
             "logConfiguration": {"logDriver": "awslogs",
                 "options": {"awslogs-group": "g", "awslogs-region": "us-east-1"}},
             "mountPoints": [{"sourceVolume": "data", "containerPath": "/data"}]},
            {"name": "side", "image": "busybox", "essential": false,
             "dependsOn": [{"containerName": "web", "condition": "HEALTHY"}]}
        ]
    });
    for value in [full, minimal("tiny")] {
        let definition = register(&mut state, value).unwrap();
        insta::assert_snapshot!(serde_json::to_string_pretty(&definition).unwrap());
    }
}

#[test]
fn host_ports_are_the_containers_where_the_network_is_not_theirs() {
    let mut state = Account::default();
    for (mode, host_port) in [("host", 80), ("awsvpc", 80), ("bridge", 0)] {
        let mut value = minimal("ports");
        value["networkMode"] = json!(mode);
        value["containerDefinitions"][0]["portMappings"] = json!([{"containerPort": 80}]);
        let definition = register(&mut state, value).unwrap();
        let mapping =
            &definition.container_definitions.as_ref().unwrap()[0].port_mappings.as_ref().unwrap()[0];
        assert_eq!((mapping.host_port, mapping.container_port), (Some(host_port), Some(80)), "{mode}");
    }
}

#[test]
fn what_is_given_is_echoed_and_nothing_else_is_made_up() {
    let given = json!({
        "family": "f", "networkMode": "awsvpc", "cpu": "1024", "memory": "2048", "requiresCompatibilities": [],
        "pidMode": "task", "ephemeralStorage": {"sizeInGiB": 40},
        "runtimePlatform": {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"},
        "containerDefinitions": [{"name": "c", "image": "i", "command": [], "ulimits": [],
            "versionConsistency": "disabled",
            "portMappings": [{"containerPortRange": "8000-8010", "protocol": "udp", "name": "range"}]}]});
    let mut expected = given.clone();
    let container = &mut expected["containerDefinitions"][0];
    for (member, value) in [("cpu", json!(0)), ("essential", json!(true))] {
        container[member] = value;
    }
    for member in ["environment", "mountPoints", "volumesFrom", "systemControls"] {
        container[member] = json!([]);
    }
    let shown = register(&mut Account::default(), given).unwrap();
    let mut shown = serde_json::to_value(shown).unwrap();
    let made = shown.as_object_mut().unwrap();
    for derived in [
        "taskDefinitionArn",
        "revision",
        "status",
        "requiresAttributes",
        "compatibilities",
        "registeredAt",
        "registeredBy",
    ] {
        made.remove(derived).expect(derived);
    }
    assert_eq!(
        (made.remove("volumes"), made.remove("placementConstraints")),
        (Some(json!([])), Some(json!([])))
    );
    assert_eq!(shown, expected);
}

#[test]
fn tasks_go_to_hosts_of_their_platform() {
    let mut state = Account::default();
    for (platform, asked) in [
        (json!({"operatingSystemFamily": "LINUX"}), vec![("ecs.os-type", "linux")]),
        (
            json!({"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"}),
            vec![("ecs.os-family", "WINDOWS_SERVER_2022_CORE")],
        ),
        (json!({"cpuArchitecture": "ARM64"}), vec![("ecs.cpu-architecture", "arm64")]),
        (json!({}), vec![]),
    ] {
        let mut value = minimal("f");
        value["runtimePlatform"] = platform;
        register(&mut state, value).unwrap();
        let attributes = state.resolve(&ctx(), "f").unwrap().needs(&TaskOverride::default()).attributes;
        let pairs: Vec<_> =
            attributes.iter().map(|a| (a.name.as_str(), a.value.as_deref().unwrap())).collect();
        assert_eq!(pairs, asked);
    }
}

#[test]
fn in_awsvpc_no_port_of_the_host_is_taken() {
    let mut state = Account::default();
    let mut value = minimal("f");
    value["containerDefinitions"][0]["portMappings"] = json!([{"containerPort": 80, "hostPort": 80}]);
    for (mode, count) in [("awsvpc", 0), ("host", 1), ("bridge", 1)] {
        value["networkMode"] = json!(mode);
        register(&mut state, value.clone()).unwrap();
        let needs = state.resolve(&ctx(), "f").unwrap().needs(&TaskOverride::default());
        assert_eq!(needs.resources.ports_tcp.len(), count, "{mode}");
    }
}

#[test]
fn elastic_inference_has_ended() {
    let mut value = minimal("f");
    value["inferenceAccelerators"] = json!([{"deviceName": "d", "deviceType": "eia1.medium"}]);
    let refused = register(&mut Account::default(), value).unwrap_err();
    let words = ("ClientException", "Unsupported field 'inferenceAccelerators'.");
    assert_eq!((refused.code(), refused.message()), words);
}

#[test]
fn revisions_count_up_and_are_never_used_again() {
    let mut state = Account::default();
    for revision in 1..=3 {
        assert_eq!(register(&mut state, minimal("web")).unwrap().revision, Some(revision));
    }
    assert_eq!(describe(&state, "web").unwrap().revision, Some(3));
    deregister(&mut state, "web:3").unwrap();
    assert_eq!(describe(&state, "web").unwrap().revision, Some(2), "the newest ACTIVE one");
    delete(&mut state, &["web:3"]);
    assert_eq!(swept(&mut state, |_| false), 1);
    assert_eq!(describe(&state, "web:3").unwrap_err().message(), "Unable to describe task definition.");
    assert_eq!(register(&mut state, minimal("web")).unwrap().revision, Some(4));
}

#[test]
fn a_definition_ends_inactive_then_waits_for_its_last_task_then_is_gone() {
    let mut state = Account::default();
    register(&mut state, minimal("web")).unwrap();
    let refused = delete(&mut state, &["web:1", "web:9"]);
    let reasons: Vec<String> = refused.failures.unwrap().into_iter().filter_map(|f| f.reason).collect();
    assert!(
        reasons[0].starts_with("The specified task definition is still in ACTIVE status."),
        "{reasons:?}"
    );
    assert!(reasons[1].starts_with("The specified task definition does not exist."), "{reasons:?}");
    let inactive =
        deregister(&mut state, "arn:aws:ecs:us-east-1:000000000000:task-definition/web:1").unwrap();
    assert_eq!(inactive.status, Some(ecs::TaskDefinitionStatus::Inactive));
    assert_eq!(inactive.deregistered_at, Some(ctx().now));
    assert_eq!(deregister(&mut state, "web:1").unwrap(), inactive, "again changes nothing");
    assert_eq!(describe(&state, "web:1").unwrap(), inactive);
    assert!(describe(&state, "web").is_err());
    let deleting = delete(&mut state, &["web:1"]).task_definitions.unwrap();
    assert_eq!(deleting[0].status, Some(ecs::TaskDefinitionStatus::DeleteInProgress));
    assert_eq!(deleting[0].delete_requested_at, Some(ctx().now));
    assert_eq!(delete(&mut state, &["web:1"]).task_definitions.unwrap(), deleting, "again changes nothing");
    let described = describe(&state, "web:1").unwrap();
    assert_eq!(described.delete_requested_at, None, "DescribeTaskDefinition does not tell it");
    assert_eq!(described.status, deleting[0].status);
    assert_eq!(
        deregister(&mut state, "web:1").unwrap_err().message(),
        "The task definition could not be deregistered because it is in the process of being deleted."
    );
    assert_eq!(swept(&mut state, |_| true), 0);
    assert_eq!(swept(&mut state, |_| false), 1);
    assert!(describe(&state, "web:1").is_err());
    assert_eq!(swept(&mut state, |_| false), 0);
}

#[test]
fn what_does_not_exist_or_names_no_revision_is_refused() {
    let mut state = Account::default();
    register(&mut state, minimal("web")).unwrap();
    for named in ["other", "web:2", "arn:aws:ecs:us-east-1:000000000000:task-definition/web:2"] {
        assert_eq!(describe(&state, named).unwrap_err().code(), "ClientException", "{named}");
        assert_eq!(state.resolve(&ctx(), named).unwrap_err().message(), "TaskDefinition not found.");
    }
    for named in ["web", "web:x", "web:0", "other:1"] {
        assert_eq!(deregister(&mut state, named).unwrap_err().code(), "ClientException", "{named}");
    }
    assert_eq!(deregister(&mut state, "web").unwrap_err().message(), "Revision is missing.");
    let missing = "Unable to deregister task definition.";
    assert_eq!(deregister(&mut state, "web:2").unwrap_err().message(), missing);
    let failed: Vec<&str> =
        vec!["web", "web:x", "arn:aws:ecs:us-east-1:111111111111:task-definition/web:1", "no:1"];
    let failures = delete(&mut state, &failed).failures.unwrap();
    let invalid =
        "The specified task definition identifier is invalid. Specify a valid name or ARN and try again.";
    let gone = "The specified task definition does not exist. Specify a valid account, family, revision and try again.";
    for (failure, (named, reason)) in failures.iter().zip(failed.iter().zip([invalid, invalid, gone, gone])) {
        assert_eq!((failure.arn.as_deref(), failure.reason.as_deref()), (Some(*named), Some(reason)));
    }
    let refused = call(&mut state, delete_task_definitions, json!({"taskDefinitions": vec!["a:1"; 11]}));
    assert_eq!(refused.unwrap_err().code(), "InvalidParameterException");
}

#[test]
fn lists_follow_family_revision_status_and_sort() {
    let mut state = Account::default();
    for family in ["b", "a", "a", "ab", "b"] {
        register(&mut state, minimal(family)).unwrap();
    }
    assert_eq!(list(&state, json!({})), ["a:1", "a:2", "ab:1", "b:1", "b:2"]);
    assert_eq!(list(&state, json!({"sort": "DESC"})), ["b:2", "b:1", "ab:1", "a:2", "a:1"]);
    assert_eq!(list(&state, json!({"familyPrefix": "a"})), ["a:1", "a:2"], "the whole family, not a prefix");
    assert_eq!(list(&state, json!({"familyPrefix": "a", "sort": "DESC"})), ["a:2", "a:1"]);
    assert_eq!(list(&state, json!({"familyPrefix": "zz", "sort": "DESC"})), [""; 0]);
    deregister(&mut state, "ab:1").unwrap();
    deregister(&mut state, "a:1").unwrap();
    assert_eq!(list(&state, json!({})), ["a:2", "b:1", "b:2"]);
    assert_eq!(list(&state, json!({"status": "INACTIVE"})), ["a:1", "ab:1"]);
    assert_eq!(list(&state, json!({"status": "DELETE_IN_PROGRESS"})), [""; 0]);
    assert_eq!(families(&state, json!({})), ["a", "ab", "b"]);
    assert_eq!(families(&state, json!({"familyPrefix": "a"})), ["a", "ab"], "a prefix");
    assert_eq!(families(&state, json!({"status": "ACTIVE"})), ["a", "b"]);
    assert_eq!(families(&state, json!({"status": "INACTIVE"})), ["ab"]);
}

#[test]
fn pages_cover_every_definition_once_while_others_come_and_go() {
    for sort in ["ASC", "DESC"] {
        let mut state = Account::default();
        for n in 0..40 {
            register(&mut state, minimal(&format!("f{}", n % 7))).unwrap();
        }
        let all = list(&state, json!({"sort": sort}));
        let (mut seen, mut token) = (Vec::new(), Value::Null);
        loop {
            let mut value = json!({"sort": sort, "maxResults": 3});
            if !token.is_null() {
                value["nextToken"] = token;
            }
            let reply = list_task_definitions(&state, &ctx(), &request(value)).unwrap();
            seen.extend(reply.task_definition_arns.unwrap());
            register(&mut state, minimal("f9")).unwrap();
            let Some(next) = reply.next_token else { break };
            token = json!(next);
        }
        let short = |arn: &String| arn.rsplit('/').next().unwrap().to_owned();
        let seen: Vec<String> = seen.iter().map(short).filter(|name| !name.starts_with("f9:")).collect();
        assert_eq!(seen, all, "{sort}");
    }
}

#[test]
fn page_sizes_and_tokens_out_of_range_are_refused() {
    let state = Account::default();
    for value in [json!({"maxResults": 0}), json!({"maxResults": 101}), json!({"nextToken": "?"})] {
        let refused = list_task_definitions(&state, &ctx(), &request(value.clone())).unwrap_err();
        assert_eq!(refused.code(), "InvalidParameterException", "{value}");
        let refused = list_task_definition_families(&state, &ctx(), &request(value)).unwrap_err();
        assert_eq!(refused.code(), "InvalidParameterException");
    }
}

#[test]
fn tags_come_with_registration_and_change_later() {
    let mut state = Account::default();
    let mut value = minimal("web");
    value["tags"] = json!([{"key": "a", "value": "1"}]);
    let arn = register(&mut state, value).unwrap().task_definition_arn.unwrap();
    assert!(tagging::is_ours(&arn) && !tagging::is_ours("arn:aws:ecs:us-east-1:000000000000:cluster/c"));
    let tag = json!({"resourceArn": arn, "tags": [{"key": "b", "value": "2"}, {"key": "a", "value": "3"}]});
    call(&mut state, tagging::tag_resource, tag).unwrap();
    let untag = json!({"resourceArn": arn, "tagKeys": ["b"]});
    call(&mut state, tagging::untag_resource, untag).unwrap();
    let tags =
        tagging::list_tags_for_resource(&state, &ctx(), &request(json!({"resourceArn": arn}))).unwrap();
    assert_eq!(serde_json::to_value(tags).unwrap(), json!({"tags": [{"key": "a", "value": "3"}]}));
    let with = request(json!({"taskDefinition": "web", "include": ["TAGS"]}));
    assert_eq!(describe_task_definition(&state, &ctx(), &with).unwrap().tags.unwrap().len(), 1);
    let without = request(json!({"taskDefinition": "web"}));
    assert_eq!(describe_task_definition(&state, &ctx(), &without).unwrap().tags, Some(Vec::new()));
    let answer = |value: Value| call(&mut Account::default(), register_task_definition, value).unwrap().tags;
    let mut value = minimal("none");
    assert_eq!(answer(value.clone()), None, "only where the request has the member");
    value["tags"] = json!([]);
    assert_eq!(answer(value), Some(Vec::new()));
    let missing = format!("{arn}0");
    let refused = tagging::list_tags_for_resource(&state, &ctx(), &request(json!({"resourceArn": missing})));
    assert_eq!(refused.unwrap_err().code(), "InvalidParameterException");
    let tag = json!({"resourceArn": missing, "tags": []});
    assert_eq!(call(&mut state, tagging::tag_resource, tag).unwrap_err().code(), "ResourceNotFoundException");
}

#[test]
fn a_setting_is_for_a_principal_that_can_be() {
    for name in ["user/".to_owned() + &"x".repeat(1500), "user/a\0b".into(), "user/a b".into()] {
        let arn = format!("arn:aws:iam::000000000000:{name}");
        let put = json!({"name": "containerInsights", "value": "enabled", "principalArn": arn});
        let refused = call(&mut Account::default(), settings::put_account_setting, put).unwrap_err();
        assert_eq!(refused.code(), "InvalidParameterException", "{name}");
    }
}

#[test]
fn settings_fall_back_from_principal_to_account_to_default() {
    let mut state = Account::default();
    let user = "arn:aws:iam::000000000000:user/u";
    let look = |state: &Account, value: Value| {
        let reply = settings::list_account_settings(state, &ctx(), &request(value)).unwrap();
        let of = |s: ecs::Setting| (s.name.unwrap().as_str(), s.value.unwrap(), s.principal_arn.unwrap());
        reply.settings.unwrap().into_iter().map(of).collect::<Vec<_>>()
    };
    let insights =
        |value: &str, principal: &str| vec![("containerInsights", value.to_owned(), principal.to_owned())];
    let (root, effective) = (
        ctx().caller_arn,
        json!({"name": "containerInsights", "principalArn": user, "effectiveSettings": true}),
    );
    assert_eq!(look(&state, json!({})), []);
    assert_eq!(look(&state, effective.clone()), insights("disabled", &root));
    let put = json!({"name": "containerInsights", "value": "enabled"});
    call(&mut state, settings::put_account_setting_default, put).unwrap();
    assert_eq!(look(&state, effective.clone()), insights("enabled", &root));
    let put = json!({"name": "containerInsights", "value": "enhanced", "principalArn": user});
    call(&mut state, settings::put_account_setting, put).unwrap();
    assert_eq!(look(&state, effective.clone()), insights("enhanced", user));
    assert_eq!(look(&state, json!({"principalArn": user})), insights("enhanced", user));
    let delete = json!({"name": "containerInsights", "principalArn": user});
    let deleted = call(&mut state, settings::delete_account_setting, delete);
    assert_eq!(deleted.unwrap().setting.unwrap().value.as_deref(), Some("enabled"));
    assert_eq!(look(&state, effective), insights("enabled", &root));
    assert_eq!(look(&state, json!({"effectiveSettings": true, "maxResults": 100})).len(), 11);
}

#[test]
fn each_setting_takes_its_values_and_begins_with_its_default() {
    let long = "You can no longer disable Long Arn settings.";
    let guarded = "guardDutyActivate is managed by Amazon GuardDuty and cannot be modified.";
    let invalid = "Invalid setting 'value'";
    let switch: &[&str] = &["disabled", "enabled"];
    for (name, default, takes, refused) in [
        ("serviceLongArnFormat", "enabled", &["enabled"][..], [("disabled", long), ("ENABLED", invalid)]),
        ("taskLongArnFormat", "enabled", &["enabled"], [("disabled", long), ("on", invalid)]),
        ("containerInstanceLongArnFormat", "enabled", &["enabled"], [("disabled", long), ("", invalid)]),
        ("awsvpcTrunking", "disabled", switch, [("on", invalid), ("Enabled", invalid)]),
        (
            "containerInsights",
            "disabled",
            &["disabled", "enabled", "enhanced"],
            [("loud", invalid), ("ENHANCED", invalid)],
        ),
        ("fargateFIPSMode", "disabled", switch, [("on", invalid), ("off", invalid)]),
        ("fargateEventWindows", "disabled", switch, [("on", invalid), ("off", invalid)]),
        ("tagResourceAuthorization", "on", &["off", "on"], [("enabled", invalid), ("disabled", invalid)]),
        ("fargateTaskRetirementWaitPeriod", "7", &["0", "7", "14"], [("8", invalid), ("disabled", invalid)]),
        ("guardDutyActivate", "off", &[], [("on", guarded), ("off", guarded)]),
        (
            "defaultLogDriverMode",
            "non-blocking",
            &["blocking", "non-blocking"],
            [("enabled", invalid), ("", invalid)],
        ),
    ] {
        let mut state = Account::default();
        let effective = |state: &Account| {
            let look = json!({"name": name, "effectiveSettings": true});
            let reply = settings::list_account_settings(state, &ctx(), &request(look)).unwrap();
            reply.settings.unwrap().remove(0).value.unwrap()
        };
        assert_eq!(effective(&state), default, "{name}");
        for (value, words) in refused {
            let put = json!({"name": name, "value": value});
            let error = call(&mut state, settings::put_account_setting_default, put).unwrap_err();
            assert_eq!(
                (error.code(), error.message()),
                ("InvalidParameterException", words),
                "{name} {value}"
            );
        }
        for value in takes {
            let put = json!({"name": name, "value": value});
            call(&mut state, settings::put_account_setting_default, put).unwrap();
            assert_eq!(effective(&state), *value, "{name}");
        }
    }
}

#[test]
fn needs_are_the_tasks_own_size_or_the_sum_of_its_containers() {
    let mut state = Account::default();
    let two = json!({"family": "f", "containerDefinitions": [
        {"name": "a", "image": "i", "cpu": 10, "memory": 100, "memoryReservation": 50,
         "portMappings": [{"containerPort": 80, "hostPort": 8080}, {"containerPort": 81}]},
        {"name": "b", "image": "i", "cpu": 20, "memory": 30, "memoryReservation": 0,
         "portMappings": [{"containerPort": 53, "hostPort": 53, "protocol": "udp"}]}]});
    register(&mut state, two.clone()).unwrap();
    let needs = |state: &Account, overrides: Value| {
        state.resolve(&ctx(), "f").unwrap().needs(&request(overrides)).resources
    };
    let ports = |cpu, memory| Resources {
        cpu,
        memory,
        ports_tcp: [8080].into(),
        ports_udp: [53].into(),
        ..Resources::default()
    };
    assert_eq!(needs(&state, json!({})), ports(30, 80));
    let over = json!({"containerOverrides": [{"name": "b", "cpu": 1, "memory": 60}]});
    assert_eq!(needs(&state, over), ports(11, 110));
    assert_eq!(needs(&state, json!({"cpu": "1 vCPU", "memory": "2048"})), ports(1024, 2048));
    let mut sized = two;
    sized["cpu"] = json!("256");
    sized["memory"] = json!("512");
    register(&mut state, sized).unwrap();
    assert_eq!(needs(&state, json!({})), ports(256, 512));
}

#[test]
fn overrides_must_fit_the_definition() {
    let mut state = Account::default();
    register(&mut state, minimal("f")).unwrap();
    let check = |value: Value| state.resolve(&ctx(), "f").unwrap().check_overrides(&request(value));
    check(json!({"containerOverrides": [{"name": "c", "command": ["x"], "memoryReservation": 8}], "cpu": "256"})).unwrap();
    for (value, message) in [
        (
            json!({"containerOverrides": [{"name": "x"}]}),
            "Override for container named x is not a container in the TaskDefinition.",
        ),
        (json!({"containerOverrides": [{}]}), "Container override name must be specified."),
        (
            json!({"containerOverrides": [{"name": "c"}, {"name": "c"}]}),
            "Duplicate override for container named c.",
        ),
        (json!({"cpu": "lots"}), "Invalid 'cpu' setting for task."),
        (json!({"memory": "lots"}), "Invalid 'memory' setting for task."),
        (
            json!({"containerOverrides": [{"name": "c", "memoryReservation": 64}]}),
            "Invalid setting for container 'c'. 'memoryReservation' must not be greater than 'memory'.",
        ),
        (
            json!({"containerOverrides": [{"name": "c", "command": ["x".repeat(9000)]}]}),
            "Overrides length must be at most 8192.",
        ),
    ] {
        let refused = check(value.clone()).unwrap_err();
        assert_eq!((refused.code(), refused.message()), ("InvalidParameterException", message), "{value}");
    }
    for value in [
        json!({"taskRoleArn": "arn:aws:iam::000000000000:role/r"}),
        json!({"containerOverrides": [{"name": "c", "environmentFiles": [{"type": "s3", "value": "arn"}]}]}),
    ] {
        assert_eq!(check(value).unwrap_err().code(), "UnsupportedFeatureException");
    }
}

proptest! {
    /// The index of ACTIVE families always agrees with the rows.
    #[test]
    fn indexes_agree_with_the_rows(steps in prop::collection::vec((0..3u8, 0..3u8, 1..4i32), 0..40)) {
        let mut state = Account::default();
        for (what, family, revision) in steps {
            let family = format!("f{family}");
            match what {
                0 => drop(register(&mut state, minimal(&family)).unwrap()),
                1 => drop(deregister(&mut state, &format!("{family}:{revision}"))),
                _ => drop(delete(&mut state, &[&format!("{family}:{revision}")])),
            }
            swept(&mut state, |id| id.revision == 2);
            for family in ["f0", "f1", "f2"] {
                let rows = state.definitions.iter().filter(|(id, _)| id.family == family);
                let active = rows.filter(|(_, row)| row.status() == TaskDefinitionStatus::Active);
                let last = active.clone().next_back().map(|(_, row)| row);
                prop_assert_eq!(state.active.get(family).copied().unwrap_or(0), active.count());
                prop_assert_eq!(state.latest(family), last);
            }
        }
    }
}

#[test]
fn families_and_definitions_have_a_cap() {
    let refused = |state: &mut Account, family: &str| {
        let error = register(state, minimal(family)).unwrap_err();
        assert_eq!(error.code(), "LimitExceededException");
        assert!(error.to_string().contains("reached its limit"), "{error}");
    };
    let mut state = Account::default();
    register(&mut state, minimal("known")).unwrap();
    for number in state.families.len()..limits::FAMILIES {
        let row = FamilyRow { name: format!("f{number}"), last_revision: 1 };
        state.apply(&Change::Put(Row::from(row)));
    }
    refused(&mut state, "one-more");
    // A family that is there can have more.
    register(&mut state, minimal("known")).unwrap();

    let mut state = Account::default();
    register(&mut state, minimal("known")).unwrap();
    let (id, row) = state.definitions.iter().next().map(|(id, row)| (id.clone(), row.clone())).unwrap();
    for revision in 2..=limits::TASK_DEFINITIONS {
        let revision = i32::try_from(revision).unwrap();
        state.definitions.insert(TaskDefinitionId { revision, ..id.clone() }, row.clone());
    }
    refused(&mut state, "known");
    refused(&mut state, "other");
}
