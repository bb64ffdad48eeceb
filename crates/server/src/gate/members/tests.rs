//! What asks for nothing is as good as absent, and everything that would be refused has such a value.

use ::ecs::account::members::{self as nested, Support as Nested};
use serde_json::{Value, json};

use super::*;
use crate::services::support;

fn ecs(operation: &str) -> (&'static wire::schema::Service, &'static Support, &'static Built) {
    let (schema, support) = support().into_iter().find(|(schema, _)| schema.name == "ecs").unwrap();
    (schema, support, support.of(operation).unwrap())
}

/// An input as the service gets it, or the error that it meets.
fn taken(operation: &str, mut input: Value) -> Result<Value, String> {
    let (schema, support, built) = ecs(operation);
    Takes::of(support, built).take_out(&mut input);
    let model = schema.operation(operation).unwrap();
    wire::validate::validate(schema, model, &mut input).map_err(|error| error.to_string())?;
    refuse(schema, built, &input).map(|()| input).map_err(|error| error.to_string())
}

#[test]
fn what_asks_for_nothing_is_absent() {
    let definition = json!({"family": "f", "containerDefinitions": [{"name": "c"}]});
    for (operation, base, members) in [
        (
            "RegisterTaskDefinition",
            definition.clone(),
            json!({
                "taskRoleArn": "", "executionRoleArn": "", "pidMode": "", "ipcMode": "", "networkMode": "", "cpu": "",
                "memory": "", "proxyConfiguration": {}, "inferenceAccelerators": [], "ephemeralStorage": {"sizeInGiB": 0},
                "trustedExecutionConfiguration": {}, "runtimePlatform": {"cpuArchitecture": ""},
            }),
        ),
        (
            "RunTask",
            json!({"taskDefinition": "f"}),
            json!({
                "platformVersion": "LATEST", "networkConfiguration": {}, "capacityProviderStrategy": [], "group": "",
                "volumeConfigurations": [], "clientToken": "", "launchType": "", "propagateTags": "", "startedBy": "",
            }),
        ),
        (
            "RunTask",
            json!({"taskDefinition": "f"}),
            json!({"platformVersion": "", "networkConfiguration":
            {"awsvpcConfiguration": {"subnets": [], "securityGroups": [], "assignPublicIp": "DISABLED"}}}),
        ),
        (
            "StartTask",
            json!({"taskDefinition": "f", "containerInstances": ["i"]}),
            json!({
                "networkConfiguration": {}, "volumeConfigurations": [], "startedBy": "",
            }),
        ),
        (
            "CreateService",
            json!({"serviceName": "s"}),
            json!({
                "role": "", "clientToken": "", "loadBalancers": [], "serviceRegistries": [], "platformVersion": "LATEST",
                "serviceConnectConfiguration": {"enabled": false, "namespace": "n"},
                "networkConfiguration": {}, "monitoring": {}, "deploymentController": {}, "launchType": "",
            }),
        ),
        (
            "UpdateService",
            json!({"service": "s"}),
            json!({
                "loadBalancers": [], "platformVersion": "", "monitoring": {},
                "networkConfiguration": {}, "propagateTags": "",
            }),
        ),
        (
            "CreateCluster",
            json!({}),
            json!({"capacityProviders": [], "serviceConnectDefaults": {"namespace": ""}}),
        ),
    ] {
        for (name, value) in members.as_object().unwrap() {
            let mut input = base.clone();
            input[name] = value.clone();
            assert_eq!(taken(operation, input), Ok(base.clone()), "{operation} {name} {value}");
        }
    }
}

#[test]
fn nested_members_too() {
    let container = json!({
        "name": "c", "image": "i", "repositoryCredentials": {"credentialsParameter": ""}, "secrets": [],
        "environmentFiles": [], "firelensConfiguration": {}, "resourceRequirements": [], "credentialSpecs": [],
        "healthCheck": {}, "startTimeout": 0, "stopTimeout": 0, "versionConsistency": "", "logConfiguration": {},
        "linuxParameters": {"sharedMemorySize": 0, "initProcessEnabled": false}, "disableNetworking": false,
        "portMappings": [{"containerPort": 80, "containerPortRange": "", "appProtocol": "", "name": "", "protocol": ""}],
    });
    let volume = json!({"name": "v", "efsVolumeConfiguration": {"fileSystemId": "",
        "transitEncryption": "DISABLED", "transitEncryptionPort": 0, "authorizationConfig": {"iam": "DISABLED"}}, "configuredAtLaunch": false,
        "dockerVolumeConfiguration": {}, "host": {}});
    let given = json!({"family": "f", "containerDefinitions": [container], "volumes": [volume]});
    let left = json!({"family": "f", "containerDefinitions": [{
        "name": "c", "image": "i", "linuxParameters": {"initProcessEnabled": false}, "disableNetworking": false,
        "portMappings": [{"containerPort": 80}],
    }], "volumes": [{"name": "v", "configuredAtLaunch": false, "host": {}}]});
    assert_eq!(taken("RegisterTaskDefinition", given), Ok(left));
    let overrides = json!({"taskDefinition": "f", "overrides": {
        "cpu": "", "memory": "", "taskRoleArn": "", "executionRoleArn": "", "ephemeralStorage": {"sizeInGiB": 0},
        "inferenceAcceleratorOverrides": [], "containerOverrides": [{"name": "c", "command": [], "memory": 0,
            "memoryReservation": 0, "environment": [], "environmentFiles": [], "resourceRequirements": []}]}});
    let left = json!({"taskDefinition": "f", "overrides": {"containerOverrides": [{"name": "c"}]}});
    assert_eq!(taken("RunTask", overrides), Ok(left));
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PortMapping.html>
#[test]
fn a_protocol_that_is_none_is_the_default() {
    for (protocol, left) in [
        (json!("TCP"), json!({"containerPort": 80})),
        (json!("http"), json!({"containerPort": 80})),
        (json!("tcp"), json!({"containerPort": 80, "protocol": "tcp"})),
        (json!("udp"), json!({"containerPort": 80, "protocol": "udp"})),
    ] {
        let definition = |mapping: Value| {
            let container = json!({"name": "c", "image": "i", "portMappings": [mapping]});
            json!({"family": "f", "containerDefinitions": [container]})
        };
        let given = definition(json!({"containerPort": 80, "protocol": protocol}));
        assert_eq!(taken("RegisterTaskDefinition", given), Ok(definition(left)), "{protocol}");
    }
}

/// ECS gives these back as they were sent.
#[test]
fn what_is_off_stays_where_it_stands() {
    let given = json!({"serviceName": "s", "enableExecuteCommand": false, "deploymentConfiguration": {
        "deploymentCircuitBreaker": {"enable": false, "rollback": true},
        "alarms": {"alarmNames": [], "enable": false, "rollback": false}}});
    assert_eq!(taken("CreateService", given.clone()), Ok(given));
}

#[test]
fn what_asks_for_something_is_refused_by_name() {
    for (operation, input, what) in [
        (
            "RegisterTaskDefinition",
            json!({"family": "f", "containerDefinitions": [], "taskRoleArn": "r"}),
            "taskRoleArn",
        ),
        ("RunTask", json!({"taskDefinition": "f", "enableExecuteCommand": true}), "enableExecuteCommand"),
        ("CreateService", json!({"serviceName": "s", "role": "r"}), "role"),
        (
            "UpdateService",
            json!({"service": "s", "serviceConnectConfiguration": {"enabled": true}}),
            "serviceConnectConfiguration",
        ),
        ("UpdateService", json!({"service": "s", "enableExecuteCommand": true}), "enableExecuteCommand"),
    ] {
        let error = taken(operation, input).unwrap_err();
        assert!(error.contains(&format!("does not support {what} of {operation}")), "{error}");
    }
}

/// Whatever is refused below a member has a value that is not.
#[test]
fn no_refused_member_is_forgotten() {
    for (operation, place, table) in [
        ("RegisterTaskDefinition", "", nested::MEMBERS),
        ("RunTask", "overrides.", nested::OVERRIDES),
        ("StartTask", "overrides.", nested::OVERRIDES),
    ] {
        let (_, support, built) = ecs(operation);
        let takes = Takes::of(support, built);
        let known = |path: &str| takes.has(path);
        let refused = |path: &str| {
            table.iter().any(|(other, support)| *other == path && matches!(support, Nested::Refused(_)))
        };
        for (path, support) in table {
            let below = path.rsplit_once('.').is_some_and(|(parent, _)| refused(parent));
            // `false` needs no entry: it is never taken out.
            let flag = path.ends_with(".configuredAtLaunch");
            if matches!(support, Nested::Refused(_)) && !below && !flag {
                assert!(known(&format!("{place}{path}")), "{operation}: {place}{path}");
            }
        }
    }
}
