//! What definitions ask for, each once, and whole ones as ECS answers them.

use serde_json::{Value, json};

use super::*;
use crate::account::effective;

fn asks(definition: Value) -> Vec<String> {
    let request = serde_json::from_value(definition).unwrap();
    effective::task_definition(request)
        .requires_attributes
        .into_iter()
        .map(|attribute| attribute.name)
        .collect()
}

/// Names as they are written below: without what all of them have in front.
fn short(names: Vec<String>) -> Vec<String> {
    let cut = |name: String| {
        let name = name.replace("com.amazonaws.ecs.capability.docker-remote-api.", "");
        name.replace("com.amazonaws.ecs.capability.", "@").replace("ecs.capability.", "")
    };
    let mut names: Vec<String> = names.into_iter().map(cut).collect();
    names.sort();
    names
}

fn of(task: Value, container: Value) -> Vec<String> {
    let mut task = task;
    task["family"] = json!("f");
    let mut container = container;
    container["name"] = json!("a");
    if container["image"].is_null() {
        container["image"] = json!("i");
    }
    task["containerDefinitions"] = json!([container]);
    short(asks(task))
}

#[test]
fn each_member_asks_for_its_own() {
    let linux = |parameters: Value| json!({"linuxParameters": parameters});
    let security = |option: &str| json!({"dockerSecurityOptions": [option]});
    let awslogs = |name: &str, value: &str| {
        let options = json!({"awslogs-group": "g", "awslogs-region": "r", name: value});
        json!({"logConfiguration": {"logDriver": "awslogs", "options": options}})
    };
    for (container, names) in [
        (json!({}), &[][..]),
        (json!({"user": "1000"}), &["1.17"]),
        (json!({"user": "", "ulimits": [], "dockerLabels": {}, "dependsOn": []}), &[]),
        (linux(json!({"capabilities": {"add": ["NET_ADMIN"]}})), &["1.17"]),
        (json!({"readonlyRootFilesystem": true}), &["1.17"]),
        (json!({"readonlyRootFilesystem": false}), &[]),
        (json!({"ulimits": [{"name": "core", "softLimit": 0, "hardLimit": 0}]}), &["1.18"]),
        (json!({"dockerLabels": {"a": "b"}}), &["1.18"]),
        (json!({"logConfiguration": {"logDriver": "json-file"}}), &["1.18", "@logging-driver.json-file"]),
        (awslogs("awslogs-stream-prefix", "p"), &["1.19", "@logging-driver.awslogs"]),
        (awslogs("mode", "non-blocking"), &["1.19", "1.28", "@logging-driver.awslogs"]),
        (awslogs("awslogs-create-group", "true"), &["1.19", "1.29", "@logging-driver.awslogs"]),
        (awslogs("awslogs-datetime-format", "%d"), &["1.19", "1.29", "@logging-driver.awslogs"]),
        (json!({"memoryReservation": 64}), &["1.21"]),
        (linux(json!({"sharedMemorySize": 1})), &["1.22"]),
        (linux(json!({"tmpfs": [{"containerPath": "/t", "size": 1}]})), &["1.22"]),
        (security("no-new-privileges"), &["1.23"]),
        (security("label:level:s0"), &["@selinux"]),
        (security("apparmor:p"), &["@apparmor"]),
        (json!({"healthCheck": {"command": ["CMD", "x"]}}), &["1.24", "container-health-check"]),
        (json!({"systemControls": [{"namespace": "net.core.somaxconn", "value": "1"}]}), &["1.24"]),
        (linux(json!({"initProcessEnabled": true})), &["1.25"]),
        (linux(json!({"initProcessEnabled": false})), &[]),
        (json!({"privileged": true}), &["@privileged-container"]),
        (json!({"image": "1.dkr.ecr.us-east-1.amazonaws.com/a"}), &["@ecr-auth"]),
        (json!({"stopTimeout": 5}), &["container-ordering"]),
        (json!({"dependsOn": [{"containerName": "b", "condition": "START"}]}), &["container-ordering"]),
        (json!({"restartPolicy": {"enabled": true}}), &["container-restart-policy"]),
        (json!({"restartPolicy": {"enabled": false}}), &[]),
        (json!({"portMappings": [{"containerPortRange": "1-2"}]}), &["network.container-port-range"]),
    ] {
        assert_eq!(of(json!({}), container.clone()), names, "{container}");
    }
    for (task, names) in [
        (json!({"networkMode": "awsvpc"}), &["1.18", "task-eni"][..]),
        (json!({"networkMode": "host"}), &["1.18"]),
        (json!({"networkMode": "bridge", "cpu": "1024", "memory": "2048"}), &[]),
        (json!({"cpu": "16384", "memory": "2048"}), &["increased-task-cpu-limit"]),
        (json!({"pidMode": "task"}), &["pid-ipc-namespace-sharing"]),
        (json!({"ipcMode": "host"}), &["pid-ipc-namespace-sharing"]),
        (json!({"ipcMode": "none"}), &["1.32", "pid-ipc-namespace-sharing"]),
        (json!({"executionRoleArn": "arn:aws:iam::000000000000:role/r"}), &[]),
    ] {
        assert_eq!(of(task.clone(), json!({})), names, "{task}");
    }
}

/// A definition of the kind that consoles make for Fargate, and one for hosts with an agent of everything.
#[test]
fn whole_definitions_ask_for_what_ecs_says() {
    let role = "arn:aws:iam::000000000000:role/ecsTaskExecutionRole";
    let web = json!({"networkMode": "awsvpc", "cpu": "256", "memory": "512", "executionRoleArn": role});
    let container = json!({
        "image": "000000000000.dkr.ecr.eu-west-1.amazonaws.com/shop/web:7", "portMappings": [{"containerPort": 8080}],
        "healthCheck": {"command": ["CMD-SHELL", "true"]},
        "logConfiguration": {"logDriver": "awslogs", "options": {
            "awslogs-group": "/ecs/web", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "ecs",
            "awslogs-create-group": "true"}}});
    assert_eq!(
        of(web, container),
        [
            "1.18",
            "1.19",
            "1.24",
            "1.29",
            "@ecr-auth",
            "@logging-driver.awslogs",
            "container-health-check",
            "execution-role-awslogs",
            "execution-role-ecr-pull",
            "task-eni",
        ]
    );
    let monitor = json!({"networkMode": "host", "pidMode": "host"});
    let container = json!({"privileged": true, "memoryReservation": 128, "user": "0",
        "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "m", "awslogs-region": "r"}}});
    assert_eq!(
        of(monitor, container),
        [
            "1.17",
            "1.18",
            "1.19",
            "1.21",
            "@logging-driver.awslogs",
            "@privileged-container",
            "pid-ipc-namespace-sharing",
        ]
    );
}

/// Agents register these versions of Docker's API and no others: a definition that asked for another would never run.
#[test]
fn only_what_agents_register_is_asked_for() {
    let registered = [17, 18, 19, 20, 21, 22, 23, 24, 25, 28, 29, 30, 32];
    let of_task = OF_TASK.iter().map(|(asks, _)| asks);
    for asks in OF_CONTAINER.iter().map(|(asks, _)| asks).chain(of_task) {
        if let Docker(minor) = asks {
            assert!(registered.contains(minor), "{minor}");
        }
    }
}
