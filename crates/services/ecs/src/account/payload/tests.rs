//! Payloads, as the agent gets them.

use serde_json::{Value, json};

use super::*;
use crate::account::{Account, TaskDefinitionRow, register_task_definition};
use crate::{
    rows::TaskOverride,
    testing::{ctx, on_account},
};

fn definition(value: Value) -> std::sync::Arc<TaskDefinitionRow> {
    let mut state = Account::default();
    let request = serde_json::from_value(value).unwrap();
    on_account(&mut state, &ctx(), |txn| register_task_definition(txn, request)).unwrap();
    state.resolve(&ctx(), "web").unwrap().clone()
}

fn rendered(definition: &TaskDefinitionRow, overrides: Value) -> Value {
    let overrides: TaskOverride = serde_json::from_value(overrides).unwrap();
    let container = |given: &ContainerDefinition| {
        let over = override_of(&overrides, given);
        let logs = docker::Logs { mode: &definition.log_mode, task: "0123", endpoint: "http://here:1" };
        let text = |text: String| serde_json::from_str::<Value>(&text).unwrap();
        json!({
            "environment": environment(given, over),
            "version": docker_api(given),
            "config": text(docker::config(given)),
            "hostConfig": text(docker::host_config(given, over, mode(&definition.registered), &logs)),
        })
    };
    definition.containers().iter().map(container).collect()
}

#[test]
fn the_docker_texts_carry_what_the_protocol_has_no_member_for() {
    let full = definition(json!({"family": "web", "containerDefinitions": [{
        "name": "web", "image": "nginx", "memory": 128, "memoryReservation": 64, "user": "www:www",
        "workingDirectory": "/srv", "hostname": "h", "interactive": true, "pseudoTerminal": true,
        "readonlyRootFilesystem": true, "privileged": true, "dockerLabels": {"a": "b"},
        "dnsServers": ["10.0.0.2"], "dnsSearchDomains": ["corp"],
        "extraHosts": [{"hostname": "db", "ipAddress": "10.0.0.9"}],
        "environment": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        "ulimits": [{"name": "nofile", "softLimit": 10, "hardLimit": -1}],
        "dockerSecurityOptions": ["no-new-privileges", "apparmor:web", "label:level:s0"],
        "systemControls": [{"namespace": "net.core.somaxconn", "value": "512"}],
        "healthCheck": {"command": ["CMD", "/check"], "startPeriod": 10},
        "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "g", "awslogs-region": "r"}},
        "linuxParameters": {
            "capabilities": {"add": ["NET_ADMIN"], "drop": ["MKNOD"]}, "initProcessEnabled": true,
            "devices": [{"hostPath": "/dev/null", "permissions": ["read"]},
                        {"hostPath": "/dev/zero", "containerPath": "/dev/nil"}], "sharedMemorySize": 64,
            "tmpfs": [{"containerPath": "/run", "size": 16, "mountOptions": ["noexec", "mode=755"]}],
            "maxSwap": 32, "swappiness": 10}
    }]}));
    let overrides = json!({"containerOverrides": [
        {"name": "web", "memory": 256, "memoryReservation": 32, "environment": [{"name": "B", "value": "3"}]}]});
    insta::assert_snapshot!(serde_json::to_string_pretty(&rendered(&full, overrides)).unwrap());
}

#[test]
fn what_is_not_given_is_not_said() {
    let small = definition(
        json!({"family": "web", "containerDefinitions": [{"name": "c", "image": "i", "memory": 8}]}),
    );
    assert_eq!(
        rendered(&small, json!({})),
        json!([{"environment": {}, "version": "1.17", "config": {}, "hostConfig": {"NetworkMode": "bridge"}}])
    );
}

#[test]
fn a_log_mode_that_is_given_stays() {
    let logged = definition(json!({"family": "web", "containerDefinitions": [{
        "name": "c", "image": "i", "memory": 8, "logConfiguration": {"logDriver": "awslogs",
        "options": {"awslogs-group": "g", "awslogs-region": "r", "mode": "blocking"}}}]}));
    assert_eq!(rendered(&logged, json!({}))[0]["hostConfig"]["LogConfig"]["Config"]["mode"], "blocking");
}

#[test]
fn log_options_are_those_of_docker_s_driver() {
    let logged = definition(json!({"family": "web", "containerDefinitions": [{
        "name": "c", "image": "i", "memory": 8, "logConfiguration": {"logDriver": "awslogs",
        "options": {"awslogs-group": "g", "awslogs-region": "r", "awslogs-stream-prefix": "p"}}}]}));
    let expected = json!({"awslogs-group": "g", "awslogs-region": "r", "awslogs-stream": "p/c/0123",
        "awslogs-endpoint": "http://here:1", "mode": "non-blocking"});
    assert_eq!(rendered(&logged, json!({}))[0]["hostConfig"]["LogConfig"]["Config"], expected);
}

#[test]
fn gpus_and_shared_namespaces_are_said() {
    let shared =
        definition(json!({"family": "web", "pidMode": "task", "ipcMode": "none", "containerDefinitions": [
        {"name": "a", "image": "i", "memory": 8, "resourceRequirements": [{"type": "GPU", "value": "2"}]},
        {"name": "b", "image": "i", "memory": 8, "disableNetworking": true},
        {"name": "c", "image": "i", "memory": 8, "portMappings": [{"containerPortRange": "80-90"}],
         "resourceRequirements": [{"type": "GPU", "value": "1"}]}]}));
    let container = |name: &str, gpus: u16| {
        json!({"name": name, "id": name, "image": "i", "essential": true, "health_checked": false, "cpu": 0,
            "memory": 8, "gpus": gpus, "status": "Pending", "network_bindings": [], "health": "UNKNOWN"})
    };
    let task: TaskRow = serde_json::from_value(
        json!({"id": "00000000000000000000000000000123", "task_definition": {"family": "web", "revision": 1},
        "group": "family:web", "launch_type": "EC2", "desired": "Running", "last": "Pending",
        "containers": [container("a", 2), container("b", 0), container("c", 1)], "tags": [],
        "enable_execute_command": false, "created_at": 0, "version": 1, "overrides": {},
        "needs": {"cpu": 0, "memory": 24, "ports_tcp": [], "ports_udp": [], "gpus": ["G3", "G1", "G2"]}}),
    )
    .unwrap();
    let cluster = crate::rows::ClusterRow::plain("blue");
    let payload = payload(&task, &shared, &Cluster::of(cluster), "http://here:1", &ctx());
    assert_eq!((payload.pid_mode.as_deref(), payload.ipc_mode.as_deref()), (Some("task"), Some("none")));
    let given: Vec<(String, Vec<String>)> =
        payload.associations.into_iter().map(|gpu| (gpu.name.unwrap(), gpu.containers)).collect();
    let to = |gpu: &str, container: &str| (gpu.to_owned(), vec![container.to_owned()]);
    assert_eq!(given, [to("G1", "a"), to("G2", "a"), to("G3", "c")]);
    assert_eq!(payload.needs.unwrap().gpus, ["G1", "G2", "G3"]);
    let range = &payload.containers[2].port_mappings[0];
    assert_eq!((range.container_port, range.container_port_range.as_deref()), (None, Some("80-90")));
    assert_eq!(rendered(&shared, json!({}))[1]["config"], json!({"NetworkDisabled": true}));
}

#[test]
fn the_task_is_named_and_sized_and_its_overrides_are_merged() {
    let sized = definition(json!({"family": "web", "cpu": "256", "memory": "512", "networkMode": "bridge",
        "volumes": [{"name": "data"}, {"name": "etc", "host": {"sourcePath": "/etc"}}],
        "containerDefinitions": [
            {"name": "c", "image": "i", "command": ["a"], "entryPoint": ["/e"], "links": ["d:alias"], "cpu": 5,
             "portMappings": [{"containerPort": 80}], "stopTimeout": 5,
             "restartPolicy": {"enabled": true, "ignoredExitCodes": [3], "restartAttemptPeriod": 60},
             "mountPoints": [{"sourceVolume": "etc", "containerPath": "/e", "readOnly": true}],
             "healthCheck": {"command": ["CMD", "x"]}},
            {"name": "d", "image": "j", "essential": false, "volumesFrom": []}]}));
    let cluster =
        serde_json::from_value(json!({"name": "blue", "active": true, "created_at": 0, "settings": [],
        "capacity_providers": [], "default_capacity_provider_strategy": [], "tags": []}));
    let task = serde_json::from_value(
        json!({"id": "00000000000000000000000000000123", "task_definition": {"family": "web", "revision": 1},
        "group": "service:web", "service": ["web", "ecs-svc/1"], "launch_type": "EC2", "desired": "Running",
        "last": "Pending", "containers": [], "tags": [], "enable_execute_command": false, "created_at": 0,
        "needs": {"cpu": 512, "memory": 512, "ports_tcp": [80], "ports_udp": []}, "version": 1,
        "overrides": {"cpu": "512", "containerOverrides": [{"name": "c", "command": ["b"], "cpu": 7}]}}),
    );
    let payload = payload(&task.unwrap(), &sized, &Cluster::of(cluster.unwrap()), "http://here:1", &ctx());
    insta::assert_snapshot!(serde_json::to_string_pretty(&payload).unwrap());
}
