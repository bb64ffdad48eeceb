//! Lowering, from the frames that a control plane sends.

use super::*;
use crate::task::{Condition, LogDriver};

fn acs(json: serde_json::Value) -> acs::Task {
    serde_json::from_value(json).unwrap()
}

fn one(container: serde_json::Value) -> serde_json::Value {
    serde_json::json!({
        "arn": "arn:aws:ecs:us-east-1:000000000000:task/default/0123456789abcdef0123456789abcdef",
        "taskClusterArn": "arn:aws:ecs:us-east-1:000000000000:cluster/default",
        "desiredStatus": "RUNNING", "family": "web", "version": "3", "overrides": "{}",
        "volumes": [{"name": "scratch", "type": "host", "host": {}}],
        "containers": [container],
    })
}

fn docker(config: &str, host_config: &str) -> serde_json::Value {
    serde_json::json!({
        "name": "app", "image": "busybox", "essential": true, "cpu": 1, "memory": 64,
        "healthCheckType": "docker",
        "dockerConfig": {"version": "1.17", "config": config, "hostConfig": host_config},
    })
}

fn host() -> Host {
    let devices = |numbers: &[u8]| numbers.iter().map(|n| format!("/dev/gpu{n}").into()).collect();
    let gpus = [("GPU-a".to_owned(), devices(&[0, 9])), ("GPU-b".to_owned(), devices(&[1, 9]))].into();
    Host { region: "us-east-1".into(), gpus, isolation: engine::Isolation::Namespaces }
}

fn lowered(json: serde_json::Value) -> Task {
    lower(&acs(json), &host()).unwrap()
}

#[test]
fn a_whole_task() {
    let task = lowered(serde_json::json!({
        "arn": "arn:aws:ecs:us-east-1:000000000000:task/default/0123456789abcdef0123456789abcdef",
        "family": "web", "version": "3", "networkMode": "bridge", "cpu": 0.25, "memory": 128,
        "volumes": [{"name": "scratch", "type": "host", "host": {}}, {"name": "etc", "host": {"sourcePath": "/etc"}}],
        "containers": [
            {"name": "app", "image": "busybox", "cpu": 10, "memory": 64, "essential": true, "command": ["sleep", "1"],
             "environment": {"X": "1", "AWS_REGION": "eu-west-1"}, "overrides": "{\"command\":[\"sleep\",\"2\"]}",
             "portMappings": [{"containerPort": 80, "hostPort": 8080}, {"containerPort": 53, "hostPort": 0, "protocol": "udp"}],
             "mountPoints": [{"sourceVolume": "scratch", "containerPath": "/s", "readOnly": true}],
             "links": ["db:database"], "stopTimeout": 5, "startTimeout": 7,
             "restartPolicy": {"enabled": true, "ignoredExitCodes": [0]},
             "dependsOn": [{"containerName": "db", "condition": "HEALTHY"}]},
            {"name": "db", "image": "db", "essential": false, "memory": 2},
        ],
    }));
    assert_eq!(task.id, "0123456789abcdef0123456789abcdef");
    assert_eq!((task.spec.cpu_millis, task.spec.memory_bytes), (Some(250), Some(128 << 20)));
    assert_eq!(task.spec.volumes["etc"], engine::Volume::Host("/etc".into()));
    assert_eq!((task.needs.cpu, task.needs.memory_mib), (256, 128));
    assert_eq!(task.needs.ports_tcp.iter().copied().collect::<Vec<_>>(), [8080]);
    let app = &task.containers[0];
    assert_eq!(app.refusal, None);
    assert_eq!(app.spec.command.as_deref().unwrap(), ["sleep", "2"]);
    assert_eq!(app.spec.environment["AWS_REGION"], "eu-west-1");
    assert_eq!(app.spec.environment["AWS_DEFAULT_REGION"], "us-east-1");
    assert_eq!((app.stop_timeout_ms, app.start_timeout_ms), (5_000, Some(7_000)));
    assert_eq!(app.restart.as_ref().unwrap().attempt_period_ms, 300_000);
    let conditions: Vec<_> = app.depends_on.iter().map(|d| d.condition).collect();
    assert_eq!(conditions, [Condition::Healthy, Condition::Start]);
    assert_eq!(app.spec.links, [("db".to_string(), "database".to_string())]);
    assert_eq!(app.spec.port_mappings[1].host_port, None);
    assert_eq!(task.containers[1].spec.memory_bytes, Some(6 << 20));
    assert_eq!(task.containers[1].spec.cpu_shares, Some(2));
}

#[test]
fn the_docker_texts() {
    let config = r#"{"User":"nobody","WorkingDir":"/w","Labels":{"a":"b"},"Tty":true,"StopSignal":"SIGINT",
        "Healthcheck":{"Test":["CMD-SHELL","exit 0"],"Interval":5000000000,"Timeout":1000000,"Retries":4}}"#;
    let host_config = r#"{"LogConfig":{"Type":"awslogs","Config":{"awslogs-group":"g","awslogs-stream-prefix":"p",
        "mode":"non-blocking","max-buffer-size":"2m"}},"NetworkMode":"none","ExtraHosts":["a:10.0.0.1"],
        "Ulimits":[{"Name":"nofile","Soft":1,"Hard":2}],"CapAdd":["NET_ADMIN"],"Tmpfs":{"/t":"rw,size=1m"},
        "MemoryReservation":33554432,"ReadonlyRootfs":true,"Sysctls":{"net.core.somaxconn":"9"}}"#;
    let task = lowered(one(docker(config, host_config)));
    let app = &task.containers[0];
    assert_eq!(app.refusal, None);
    assert_eq!(app.spec.user.as_deref(), Some("nobody"));
    assert_eq!(app.spec.labels["a"], "b");
    assert_eq!(app.spec.network, engine::NetworkMode::None);
    assert_eq!(app.spec.tmpfs[0].size_bytes, 1 << 20);
    assert_eq!(app.spec.extra_hosts, [("a".to_string(), "10.0.0.1".parse().unwrap())]);
    assert_eq!(app.spec.output, engine::OutputPolicy::NonBlocking { max_bytes: 2 << 20 });
    let check = app.health_check.as_ref().unwrap();
    assert_eq!(check.command, ["/bin/sh", "-c", "exit 0"]);
    assert_eq!((check.interval_ms, check.timeout_ms, check.retries), (5_000, 1, 4));
    let LogDriver::AwsLogs(logs) = &app.log else { panic!("{:?}", app.log) };
    assert_eq!(logs.stream.as_deref(), Some("p/app/0123456789abcdef0123456789abcdef"));
    assert_eq!(task.needs.memory_mib, 32, "the reservation counts, where there is one");
}

#[test]
fn options_for_docker_s_log_driver() {
    let host_config = r#"{"LogConfig":{"Type":"awslogs","Config":{"awslogs-group":"g","awslogs-stream":"s",
        "awslogs-endpoint":"http://10.0.0.1:4566"}}}"#;
    let task = lowered(one(docker("{}", host_config)));
    let LogDriver::AwsLogs(logs) = &task.containers[0].log else { panic!("{:?}", task.containers[0]) };
    assert_eq!(logs.stream.as_deref(), Some("s"));
}

#[test]
fn docker_runs_a_health_check_by_its_first_word() {
    for (test, command) in [
        (r#"["CMD","/check","-x"]"#, Some(&["/check", "-x"][..])),
        (r#"["CMD-SHELL","exit $0","3"]"#, Some(&["/bin/sh", "-c", "exit $0", "3"])),
        (r#"["NONE"]"#, None),
        (r#"["/healthcheck"]"#, None),
        (r#"["curl -f http://localhost/"]"#, None),
        (r#"["cmd","true"]"#, None),
        ("[]", None),
    ] {
        let task = lowered(one(docker(&format!(r#"{{"Healthcheck":{{"Test":{test}}}}}"#), "{}")));
        let app = &task.containers[0];
        assert_eq!(app.refusal, None, "{test}");
        assert_eq!(
            app.health_check.as_ref().map(|check| check.command.clone()),
            command.map(|words| words.iter().map(|w| w.to_string()).collect()),
            "{test}"
        );
    }
}

#[test]
fn log_options_are_read_as_docker_reads_them() {
    let awslogs = |options: &str| {
        let host_config =
            format!(r#"{{"LogConfig":{{"Type":"awslogs","Config":{{"awslogs-group":"g",{options}}}}}}}"#);
        let container = lowered(one(docker("{}", &host_config))).containers.remove(0);
        (container.refusal, container.log, container.spec.output)
    };
    let (refusal, log, output) = awslogs(
        r#""awslogs-create-group":"True","mode":"non-blocking","max-buffer-size":"1.5m","awslogs-datetime-format":"\\[%Y""#,
    );
    let LogDriver::AwsLogs(logs) = log else { panic!("{refusal:?}") };
    assert!(logs.create_group && refusal.is_none());
    assert_eq!(logs.event_start, [Some("\\[%Y".to_owned()), None]);
    assert_eq!(output, engine::OutputPolicy::NonBlocking { max_bytes: 3 << 19 });
    let (refusal, log, _) = awslogs(r#""awslogs-create-group":"","awslogs-multiline-pattern":"","mode":"""#);
    assert!(refusal.is_none() && matches!(log, LogDriver::AwsLogs(logs) if !logs.create_group));
    for (options, what) in [
        (r#""awslogs-create-group":"yes""#, "awslogs-create-group cannot be"),
        (r#""awslogs-multiline-pattern":"(?=x)""#, "awslogs-multiline-pattern gives"),
        (r#""awslogs-multiline-pattern":"x","awslogs-datetime-format":"%Y""#, "cannot both be specified"),
    ] {
        let refusal = awslogs(options).0.unwrap();
        assert!(refusal.starts_with("HostConfigError: ") && refusal.contains(what), "{refusal}");
    }
}

#[test]
fn what_is_not_carried_out_is_refused() {
    for (config, host_config, expected) in [
        ("{", "{}", "DockerClientConfigError: "),
        (r#"{"Domainname":"x"}"#, "{}", "unknown field `Domainname`"),
        ("{}", r#"{"GroupAdd":["x"]}"#, "unknown field `GroupAdd`"),
        ("{}", r#"{"LogConfig":{"Type":"splunk"}}"#, "log driver splunk"),
        ("{}", r#"{"LogConfig":{"Type":"awslogs"}}"#, "awslogs-group"),
        ("{}", r#"{"LogConfig":{"Type":"awslogs","Config":{"awslogs-group":"g","tag":"x"}}}"#, "option tag"),
        ("{}", r#"{"NetworkMode":"awsvpc"}"#, "network mode awsvpc"),
        ("{}", r#"{"ExtraHosts":["nonsense"]}"#, "nonsense"),
    ] {
        let task = lowered(one(docker(config, host_config)));
        let refusal = task.containers[0].refusal.clone().unwrap_or_default();
        assert!(refusal.contains(expected), "{config} {host_config}: {refusal}");
    }
    let with = |member: &str, value: serde_json::Value| {
        let mut json = one(docker("{}", "{}"));
        json[member] = value;
        lowered(json).refusal.unwrap_or_default()
    };
    assert!(with("pidMode", "none".into()).contains("pidMode none"));
    assert!(with("ipcMode", "shareable".into()).contains("ipcMode shareable"));
    assert!(with("networkMode", "awsvpc".into()).contains("awsvpc"));
    assert!(with("volumes", serde_json::json!([{"name": "v", "type": "efs"}])).contains("efs"));
    assert!(with("enableFaultInjection", true.into()).contains("enableFaultInjection"));
    assert!(with("roleCredentials", serde_json::json!({})).contains("roleCredentials"));
    assert_eq!(with("launchType", "EC2".into()), "");
}

#[test]
fn what_is_said_twice_is_done_once_and_swap_is_never_less_than_memory() {
    let mut container = docker(
        "{}",
        r#"{"MemorySwap":4194304,"Devices":[{"PathOnHost":"/dev/a","PathInContainer":"/dev/b","CgroupPermissions":"r"}]}"#,
    );
    container["memory"] = 4.into();
    container["linuxParameters"] = serde_json::json!({
        "devices": [{"hostPath": "/dev/a", "containerPath": "/dev/b", "permissions": ["read"]}]});
    let spec = lowered(one(container)).containers.remove(0).spec;
    assert_eq!(spec.devices.len(), 1);
    assert_eq!((spec.memory_bytes, spec.memory_swap_bytes), (Some(6 << 20), Some(6 << 20)));
}

#[test]
fn a_task_that_waits_for_itself_is_refused() {
    let mut json = one(docker("{}", "{}"));
    json["containers"][0]["dependsOn"] = serde_json::json!([{"containerName": "app", "condition": "START"}]);
    assert!(lowered(json).refusal.unwrap().starts_with("TaskDependencyError"));
}

#[test]
fn what_is_no_task_is_an_error() {
    for (member, value) in [
        ("arn", serde_json::Value::Null),
        ("arn", "arn:x/".into()),
        ("arn", "arn:x/../../etc".into()),
        ("containers", serde_json::json!([])),
        ("containers", serde_json::json!([{"name": "a"}, {"name": "a"}])),
        ("containers", serde_json::json!([{"name": "a", "dependsOn": [{"containerName": "b"}]}])),
    ] {
        let mut json = one(docker("{}", "{}"));
        json[member] = value.clone();
        let task = lower(&acs(json), &Host::default());
        assert!(task.is_err() || value == "arn:x/../../etc", "{member}: {value}");
    }
}

#[test]
fn whose_processes_and_ipc_it_has() {
    let with = |pid: &str, ipc: &str| {
        let mut json = one(docker("{}", "{}"));
        (json["pidMode"], json["ipcMode"]) = (pid.into(), ipc.into());
        let task = lowered(json);
        assert_eq!(task.refusal, None);
        (task.spec.pid_mode, task.spec.ipc_mode)
    };
    use engine::{IpcMode, PidMode};
    assert_eq!(with("", ""), (PidMode::Own, IpcMode::Own));
    assert_eq!(with("task", "none"), (PidMode::Task, IpcMode::None));
    assert_eq!(with("host", "host"), (PidMode::Host, IpcMode::Host));
    assert_eq!(with("task", "task"), (PidMode::Task, IpcMode::Task));
}

#[test]
fn ranges_of_ports_and_containers_without_a_network() {
    let mut container = docker("{}", r#"{"NetworkMode":"bridge"}"#);
    container["portMappings"] = serde_json::json!([
        {"containerPortRange": "8000-8010", "protocol": "udp"}, {"containerPort": 80}]);
    let spec = lowered(one(container.clone())).containers.remove(0).spec;
    let range = engine::PortMapping {
        container_port: 8000,
        host_port: None,
        protocol: engine::Protocol::Udp,
        more: 10,
    };
    assert_eq!(spec.port_mappings[0], range);
    assert_eq!((spec.port_mappings[1].container_port, spec.port_mappings[1].more), (80, 0));
    container["dockerConfig"]["config"] = r#"{"NetworkDisabled":true}"#.into();
    let spec = lowered(one(container.clone())).containers.remove(0).spec;
    assert_eq!((spec.network, spec.port_mappings.len()), (engine::NetworkMode::None, 0));
    for wrong in ["9-8", "x", "0-5", "1-70000"] {
        container["portMappings"] = serde_json::json!([{"containerPortRange": wrong}]);
        let refusal = lowered(one(container.clone())).containers.remove(0).refusal.unwrap_or_default();
        assert!(refusal.starts_with("HostConfigError: "), "{wrong}: {refusal}");
    }
}

#[test]
fn gpus_are_devices_of_their_container_alone() {
    let gpu = |id: &str| serde_json::json!({"name": id, "type": "gpu", "containers": ["app"]});
    let mut json = one(docker("{}", "{}"));
    json["associations"] = serde_json::json!([gpu("GPU-a"), gpu("GPU-b")]);
    json["containers"]
        .as_array_mut()
        .unwrap()
        .push(serde_json::json!({"name": "side", "image": "i", "memory": 8}));
    let task = lowered(json.clone());
    assert_eq!(task.refusal, None);
    let paths = |at: usize| -> Vec<String> {
        task.containers[at].spec.devices.iter().map(|d| d.host_path.display().to_string()).collect()
    };
    assert_eq!(paths(0), ["/dev/gpu0", "/dev/gpu9", "/dev/gpu1"], "what they share, once");
    assert_eq!(paths(1), [""; 0]);
    assert_eq!(task.containers[0].spec.environment["NVIDIA_VISIBLE_DEVICES"], "GPU-a,GPU-b");
    assert!(!task.containers[1].spec.environment.contains_key("NVIDIA_VISIBLE_DEVICES"));
    assert_eq!(task.needs.gpus.len(), 2);
    json["associations"][0]["name"] = "GPU-c".into();
    let refusal = lowered(json.clone()).containers[0].refusal.clone();
    assert_eq!(refusal.as_deref(), Some("ResourceInitializationError: this host has no GPU GPU-c"));
    json["associations"][0]["type"] = "elastic-inference".into();
    assert!(lowered(json).refusal.unwrap().contains("associations"));
}

fn awsvpc() -> serde_json::Value {
    let mut json = one(docker("{}", "{}"));
    json["networkMode"] = "awsvpc".into();
    json["containers"][0]["portMappings"] = serde_json::json!([{"containerPort": 80, "hostPort": 80}]);
    json["elasticNetworkInterfaces"] = serde_json::json!([{
        "ec2Id": "eni-1", "macAddress": "0a:00:00:00:00:05", "attachmentArn": "arn:attachment",
        "ipv4Addresses": [{"privateAddress": "10.0.1.5", "primary": true}], "ipv6Addresses": null,
        "subnetGatewayIpv4Address": "10.0.1.1/24", "privateDnsName": "ip-10-0-1-5.ec2.internal",
        "domainNameServers": ["10.0.0.2"], "domainName": ["ec2.internal"],
        "roadstead:vpc": {"vpcId": "vpc-1", "subnetId": "subnet-1", "blocks": ["10.0.0.0/16"], "groups": ["sg-1"],
            "egress": "direct", "publicAddress": "192.0.2.7"},
    }]);
    json
}

#[test]
fn a_task_has_an_interface_of_its_own() {
    let task = lowered(awsvpc());
    assert_eq!((task.refusal, task.containers[0].refusal.clone()), (None, None));
    assert_eq!(task.attachment.as_deref(), Some("arn:attachment"));
    let network = task.spec.network.unwrap();
    assert_eq!(
        (network.ipv4.to_string(), network.subnet.to_string()),
        ("10.0.1.5".into(), "10.0.1.0/24".into())
    );
    assert_eq!(
        (network.gateway.to_string(), network.hostname),
        ("10.0.1.1".into(), "ip-10-0-1-5.ec2.internal".into())
    );
    assert_eq!(network.state.egress, engine::vpc::Egress::Direct);
    assert_eq!(network.state.public.unwrap().to_string(), "192.0.2.7");
    assert_eq!((network.dns_servers.len(), network.dns_search_domains.len()), (1, 1));
    let hosts = &task.containers[0].spec.extra_hosts;
    assert_eq!(hosts, &[("app".to_string(), [127, 0, 0, 1].into())], "its containers are at its loopback");
    assert_eq!(task.containers[0].spec.network, engine::NetworkMode::Task);
    assert!(task.needs.ports_tcp.is_empty(), "its ports are none of the host's");
}

#[test]
fn an_interface_that_cannot_be_is_refused_by_what_is_amiss() {
    let refusal = |path: &str, value: serde_json::Value| {
        let mut json = awsvpc();
        *json.pointer_mut(path).unwrap() = value;
        lowered(json).refusal.unwrap_or_default()
    };
    let of = |member: &str| format!("/elasticNetworkInterfaces/0/{member}");
    for (path, value, expected) in [
        ("/networkMode".to_owned(), "bridge".into(), "go with networkMode awsvpc"),
        ("/elasticNetworkInterfaces".to_owned(), serde_json::json!([]), "no interface"),
        (of("macAddress"), "0a:00".into(), "hardware address"),
        (of("ec2Id"), "".into(), "ec2Id"),
        (of("ipv4Addresses"), serde_json::json!([]), "ipv4Addresses"),
        (of("ipv4Addresses/0/privateAddress"), "10.0.1".into(), "10.0.1 is no IPv4 address"),
        (of("ipv6Addresses"), serde_json::json!([{"address": "x"}]), "IPv6"),
        (of("subnetGatewayIpv4Address"), "10.0.1.1".into(), "subnetGatewayIpv4Address"),
        (of("privateDnsName"), "two names".into(), "no name of a host"),
        (of("domainNameServers/0"), "dns".into(), "name server"),
        (of("domainName/0"), "a\nb".into(), "domain"),
        (of("roadstead:vpc"), serde_json::json!(null), "in which VPC"),
        (of("roadstead:vpc/vpcId"), "".into(), "identifier"),
        (of("roadstead:vpc/blocks/0"), "10.0.0.0/99".into(), "block"),
        (of("roadstead:vpc/groups/0"), "sg 1".into(), "identifier"),
        (of("roadstead:vpc/publicAddress"), "me".into(), "IPv4"),
    ] {
        let refusal = refusal(&path, value);
        assert!(
            refusal.starts_with("ResourceInitializationError: failed to configure ENI: "),
            "{path}: {refusal}"
        );
        assert!(refusal.contains(expected), "{path}: {refusal}");
    }
    let mut json = awsvpc();
    json["containers"][0]["dockerConfig"]["config"] = r#"{"NetworkDisabled":true}"#.into();
    assert!(lowered(json).containers[0].refusal.as_ref().unwrap().contains("awsvpc"));
}

#[test]
fn a_task_on_fargate_has_the_wall_that_it_asks_for_or_that_the_host_has() {
    let task = |fargate: serde_json::Value, mode: &str| {
        lowered(serde_json::json!({
            "arn": "arn:aws:ecs:us-east-1:0:task/default/0123456789abcdef0123456789abcdef",
            "trustedExecutionConfiguration": {"isolationMode": mode},
            "roadstead:fargate": fargate,
            "containers": [{"name": "app", "image": "busybox", "memory": 64}],
        }))
    };
    for (fargate, mode, want) in [
        (serde_json::json!({}), "", Ok(engine::Isolation::Namespaces)),
        (serde_json::json!({}), "SHARED", Ok(engine::Isolation::Namespaces)),
        (serde_json::json!({"isolation": "none"}), "", Ok(engine::Isolation::Shared)),
        (serde_json::json!({"ephemeralStorageGib": 21}), "", Ok(engine::Isolation::Namespaces)),
        (serde_json::json!({"isolation": "moat"}), "", Err("there is no isolation \"moat\"")),
        (serde_json::json!({"isolation": "gvisor"}), "", Ok(engine::Isolation::Gvisor)),
        (serde_json::json!({}), "ISOLATED_SANDBOX", Ok(engine::Isolation::Gvisor)),
        (serde_json::json!({}), "CONFIDENTIAL_SANDBOX", Err("isolationMode CONFIDENTIAL_SANDBOX is not")),
        (serde_json::Value::Null, "SHARED", Err("trustedExecutionConfiguration is not supported")),
    ] {
        let task = task(fargate, mode);
        match want {
            Ok(isolation) => {
                assert_eq!((task.spec.isolation, task.refusal), (isolation, None));
                assert_eq!(task.spec.pids_limit, Some(8192));
            }
            Err(why) => {
                assert!(task.refusal.as_deref().is_some_and(|refusal| refusal.contains(why)), "{mode}")
            }
        }
    }
    let large = task(serde_json::json!({"ephemeralStorageGib": 21}), "");
    assert_eq!(large.spec.storage_bytes, Some(21 << 30));
}
