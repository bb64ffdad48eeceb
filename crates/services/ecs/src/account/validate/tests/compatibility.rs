//! One row for each rule of a compatibility: the change to a definition that has it, and the words of ECS.

use serde_json::{Value, json};

use super::{register, set};
use crate::account::validate::compatibilities;

/// One that every compatibility takes but EXTERNAL.
fn awsvpc() -> Value {
    json!({
        "family": "f", "networkMode": "awsvpc", "cpu": "512", "memory": "1024",
        "executionRoleArn": "arn:aws:iam::000000000000:role/pull", "volumes": [{"name": "v"}],
        "containerDefinitions": [{
            "name": "a", "image": "000000000000.dkr.ecr.us-east-1.amazonaws.com/a:1",
            "portMappings": [{"containerPort": 80}],
            "logConfiguration": {"logDriver": "awslogs", "options": {
                "awslogs-group": "g", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "a"}}}],
    })
}

/// Changes by a pointer each; `a.` is the container.
fn changed(mut value: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, to) in changes {
        let pointer = match pointer.strip_prefix("a.") {
            Some(member) => format!("/containerDefinitions/0/{member}"),
            None => format!("/{pointer}"),
        };
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        if to.is_null() {
            value.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(member);
        } else {
            set(&mut value, &pointer, to.clone());
        }
    }
    value
}

fn have(value: &Value) -> Vec<&'static str> {
    let request = serde_json::from_value(value.clone()).unwrap();
    compatibilities(&request).into_iter().map(|one| one.as_str()).collect()
}

/// What is refused of a definition that requires a compatibility is what it loses when it does not.
fn rows(required: &str, base: &Value, table: &[(&[(&str, Value)], &str)]) {
    assert!(have(base).contains(&required));
    for (changes, words) in table {
        let value = changed(base.clone(), changes);
        assert!(!have(&value).contains(&required), "{changes:?}");
        for all in [json!([required]), json!(["EC2", required])] {
            let refused = register(&changed(value.clone(), &[("requiresCompatibilities", all)]));
            let refused = refused.expect_err(words);
            assert_eq!((refused.code(), refused.message()), ("ClientException", *words), "{changes:?}");
        }
    }
}

fn linux(parameters: Value) -> (&'static str, Value) {
    ("a.linuxParameters", parameters)
}

#[test]
fn fargate() {
    let logs = |driver: &str, options: Value| {
        ("a.logConfiguration", json!({"logDriver": driver, "options": options}))
    };
    let plain = json!({"awslogs-group": "g", "awslogs-region": "us-east-1"});
    let size = "No Fargate configuration exists for given values: 512 CPU, 2500 memory. See the Amazon ECS \
                documentation for the valid values.";
    let mode = "Fargate only supports network mode \u{2018}awsvpc\u{2019}.";
    let not = |member: &str| format!("Fargate compatible task definitions do not support {member}");
    let none = |pointer: &'static str| (pointer, Value::Null);
    let table: &[(&[(&str, Value)], &str)] = &[
        (&[none("networkMode")], mode),
        (&[("networkMode", json!("bridge"))], mode),
        (&[none("cpu")], "Fargate requires that 'cpu' be defined at the task level."),
        (
            &[none("memory"), ("a.memory", json!(64))],
            "Fargate requires that 'memory' be defined at the task level.",
        ),
        (&[("memory", json!("2500"))], size),
        (
            &[("a.privileged", json!(true))],
            "Fargate requires that the \u{2018}privileged\u{2019} setting be \u{2018}false\u{2019} at the container \
             level.",
        ),
        (
            &[("pidMode", json!("host"))],
            "Tasks using the Fargate launch type do not support pidMode 'host'. The supported value for pidMode is \
             'task'.",
        ),
        (
            &[("a.resourceRequirements", json!([{"type": "GPU", "value": "1"}]))],
            "Tasks using the Fargate launch type do not support GPU resource requirements.",
        ),
        (
            &[linux(json!({"capabilities": {"add": ["SYS_PTRACE", "NET_ADMIN"]}}))],
            "NET_ADMIN is not allowed on Fargate.",
        ),
        (
            &[logs("json-file", json!({}))],
            "json-file is not a valid log driver. Must be one of [awslogs,splunk,awsfirelens]",
        ),
        (
            &[none("executionRoleArn")],
            "Fargate requires task definition to have execution role ARN to support log driver awslogs.",
        ),
        (
            &[logs("awslogs", plain)],
            "Fargate requires log configuration options to include awslogs-stream-prefix to support log driver awslogs.",
        ),
        (
            &[none("executionRoleArn"), none("a.logConfiguration")],
            "Fargate requires task definition to have execution role ARN to support ECR images.",
        ),
        (
            &[("a.stopTimeout", json!(121))],
            "Tasks using the Fargate launch type must have a container stop timeout of less than 120 seconds.",
        ),
        (&[linux(json!({"devices": [{"hostPath": "/dev/null"}]}))], &not("devices")),
        (&[linux(json!({"sharedMemorySize": 64}))], &not("sharedMemorySize")),
        (&[linux(json!({"maxSwap": 1})), ("a.memory", json!(64))], &not("maxSwap")),
        (&[linux(json!({"swappiness": 1}))], &not("swappiness")),
        (&[linux(json!({"tmpfs": [{"containerPath": "/t", "size": 1}]}))], &not("tmpfs")),
        (&[("a.dockerSecurityOptions", json!(["no-new-privileges"]))], &not("dockerSecurityOptions")),
        (&[("volumes", json!([{"name": "v", "host": {"sourcePath": "/v"}}]))], &not("sourcePath")),
        (
            &[("placementConstraints", json!([{"type": "memberOf", "expression": "attribute:a exists"}]))],
            &not("constraints"),
        ),
        (&[("ipcMode", json!("task"))], &not("ipcMode")),
    ];
    rows("FARGATE", &awsvpc(), table);
}

#[test]
fn windows_on_fargate() {
    let windows = |family: &str| ("runtimePlatform", json!({"operatingSystemFamily": family}));
    let base = changed(
        awsvpc(),
        &[windows("WINDOWS_SERVER_2022_CORE"), ("cpu", json!("1024")), ("memory", json!("2048"))],
    );
    let of = |member: &str| {
        format!(
            "Fargate compatible task definitions do not support {member} of operatingSystemFamily \
             WINDOWS_SERVER_2022_CORE"
        )
    };
    let arm = json!({"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE", "cpuArchitecture": "ARM64"});
    rows(
        "FARGATE",
        &base,
        &[
            (
                &[("cpu", json!("512"))],
                "No Fargate configuration exists for given values: 512 CPU, 2048 memory. See the Amazon ECS \
                 documentation for the valid values.",
            ),
            (
                &[windows("WINDOWS_SERVER_2016_FULL")],
                "Fargate compatible task definitions do not support operatingSystemFamily WINDOWS_SERVER_2016_FULL",
            ),
            (&[("runtimePlatform", arm)], &of("cpuArchitecture ARM64")),
            (&[("ephemeralStorage", json!({"sizeInGiB": 30}))], &of("ephemeralStorage")),
            (&[("a.ulimits", json!([{"name": "nofile", "softLimit": 1, "hardLimit": 1}]))], &of("ulimits")),
        ],
    );
    // What holds of Windows everywhere.
    let mut value = changed(
        base,
        &[("a.workingDirectory", json!("C:\\app")), ("requiresCompatibilities", json!(["EC2"]))],
    );
    register(&value).unwrap();
    set(&mut value, "/pidMode", json!("task"));
    let words = "Windows containers do not support pidMode and ipcMode.";
    assert_eq!(register(&value).unwrap_err().message(), words);
}

#[test]
fn managed_instances() {
    let not = |member: &str| format!("Managed Instances compatible task definitions do not support {member}");
    let none = |pointer: &'static str| (pointer, Value::Null);
    let mode = "Managed Instances only supports network modes 'awsvpc' and 'host'.";
    rows(
        "MANAGED_INSTANCES",
        &awsvpc(),
        &[
            (&[none("networkMode")], mode),
            (&[("networkMode", json!("bridge"))], mode),
            (
                &[("runtimePlatform", json!({"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"}))],
                "Managed Instances only supports operatingSystemFamily LINUX.",
            ),
            (
                &[none("executionRoleArn")],
                "Managed Instances requires task definition to have execution role ARN to support log driver awslogs.",
            ),
            (
                &[none("executionRoleArn"), none("a.logConfiguration")],
                "Managed Instances requires task definition to have execution role ARN to support ECR images.",
            ),
            (&[linux(json!({"sharedMemorySize": 64}))], &not("sharedMemorySize")),
            (&[linux(json!({"maxSwap": 1})), ("a.memory", json!(64))], &not("maxSwap")),
            (&[linux(json!({"swappiness": 1}))], &not("swappiness")),
            (&[linux(json!({"tmpfs": [{"containerPath": "/t", "size": 1}]}))], &not("tmpfs")),
            (&[("a.dockerSecurityOptions", json!(["no-new-privileges"]))], &not("dockerSecurityOptions")),
            (&[("volumes", json!([{"name": "v", "host": {"sourcePath": "/v"}}]))], &not("sourcePath")),
            (&[("ipcMode", json!("host"))], &not("ipcMode")),
            (&[("a.dockerLabels", json!({"a": "b"}))], &not("dockerLabels")),
            (&[("ephemeralStorage", json!({"sizeInGiB": 30}))], &not("ephemeralStorage")),
        ],
    );
    let host = changed(awsvpc(), &[("networkMode", json!("host"))]);
    let words = |value: Value| json!([{"hostname": value, "ipAddress": "10.0.0.2"}]);
    rows(
        "MANAGED_INSTANCES",
        &host,
        &[
            (&[("a.disableNetworking", json!(true))], &not("disableNetworking")),
            (&[("a.dnsServers", json!(["10.0.0.2"]))], &not("dnsServers")),
            (&[("a.dnsSearchDomains", json!(["corp"]))], &not("dnsSearchDomains")),
            (&[("a.extraHosts", words(json!("h")))], &not("extraHosts")),
            (&[("a.hostname", json!("h"))], &not("hostname")),
        ],
    );
}

#[test]
fn external() {
    let not = |member: &str| format!("External compatible task definitions do not support {member}");
    let base = changed(awsvpc(), &[("networkMode", Value::Null)]);
    let port = |member: &str, value: &str| ("a.portMappings", json!([{"containerPort": 80, member: value}]));
    rows(
        "EXTERNAL",
        &base,
        &[
            (
                &[("networkMode", json!("awsvpc"))],
                "External only supports network modes 'bridge', 'host' and 'none'.",
            ),
            (&[port("name", "web")], &not("names of port mappings")),
            (&[port("appProtocol", "http")], &not("names of port mappings")),
            (&[("ephemeralStorage", json!({"sizeInGiB": 30}))], &not("ephemeralStorage")),
        ],
    );
}

#[test]
fn storage_is_fargate_s() {
    let sized = |gib: i32, required: Value| {
        changed(
            awsvpc(),
            &[("ephemeralStorage", json!({"sizeInGiB": gib})), ("requiresCompatibilities", required)],
        )
    };
    let ec2 = "Tasks using the EC2 launch type do not support EphemeralStorage.";
    for (value, words) in [
        (sized(20, json!(["FARGATE"])), "EphemeralStorage size should be at least 21"),
        (sized(201, json!(["FARGATE", "EC2"])), "EphemeralStorage size should be at most 200"),
        (sized(30, json!(["EC2"])), ec2),
        (changed(sized(30, Value::Null), &[("networkMode", json!("host"))]), ec2),
    ] {
        assert_eq!(register(&value).unwrap_err().message(), words);
    }
    for required in [json!(["FARGATE"]), json!(["FARGATE", "EC2"]), json!([]), Value::Null] {
        register(&sized(21, required)).unwrap();
    }
}

/// Every pair that AWS has, and none beside them.
#[test]
fn sizes_of_fargate() {
    let table: &[(i64, Vec<i64>)] = &[
        (256, vec![512, 1024, 2048]),
        (512, (1..=4).map(|gib| gib * 1024).collect()),
        (1024, (2..=8).map(|gib| gib * 1024).collect()),
        (2048, (4..=16).map(|gib| gib * 1024).collect()),
        (4096, (8..=30).map(|gib| gib * 1024).collect()),
        (8192, (4..=15).map(|steps| steps * 4096).collect()),
        (16_384, (4..=15).map(|steps| steps * 8192).collect()),
    ];
    assert_eq!(table.iter().map(|(_, memory)| memory.len()).sum::<usize>(), 74);
    for cpu in (128..=17_000).step_by(128) {
        let known = table.iter().find(|(known, _)| *known == cpu).map(|(_, memory)| memory.as_slice());
        for memory in (256..=131_072).step_by(256) {
            // All steps are looked at where there is a size, one place in a hundred elsewhere.
            if known.is_some() || (cpu + memory) % 12_800 == 0 {
                let sizes = [("cpu", json!(cpu.to_string())), ("memory", json!(memory.to_string()))];
                let value = changed(awsvpc(), &sizes);
                let fits = known.is_some_and(|all| all.contains(&memory));
                assert_eq!(have(&value).contains(&"FARGATE"), fits, "{cpu} {memory}");
            }
        }
    }
}

/// As ECS answers: those that are required and those that fit besides.
#[test]
fn a_definition_has_all_that_it_fits() {
    let bridge = json!({"family": "f", "containerDefinitions": [{"name": "a", "image": "i", "memory": 64}]});
    let shared = changed(
        bridge.clone(),
        &[
            ("networkMode", json!("host")),
            ("pidMode", json!("host")),
            ("ipcMode", json!("host")),
            ("a.privileged", json!(true)),
        ],
    );
    let named = changed(
        bridge.clone(),
        &[
            ("networkMode", json!("bridge")),
            ("a.portMappings", json!([{"containerPort": 1, "name": "n", "appProtocol": "http"}])),
        ],
    );
    let odd = changed(awsvpc(), &[("memory", json!("717"))]);
    let patient = changed(awsvpc(), &[("a.stopTimeout", json!(121))]);
    let windows = changed(
        awsvpc(),
        &[
            ("cpu", json!("1024")),
            ("memory", json!("2048")),
            ("runtimePlatform", json!({"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"})),
        ],
    );
    for (value, all) in [
        (&bridge, &["EXTERNAL", "EC2"][..]),
        (&shared, &["EXTERNAL", "EC2"]),
        (&named, &["EC2"]),
        (&awsvpc(), &["EC2", "MANAGED_INSTANCES", "FARGATE"]),
        (&odd, &["EC2", "MANAGED_INSTANCES"]),
        (&patient, &["EC2", "MANAGED_INSTANCES"]),
        (&windows, &["EC2", "FARGATE"]),
        (&changed(bridge.clone(), &[("cpu", json!("16384"))]), &["EXTERNAL", "EC2"]),
    ] {
        assert_eq!(have(value), all, "{value}");
        for required in all {
            register(&changed(value.clone(), &[("requiresCompatibilities", json!([required]))])).unwrap();
        }
    }
}
