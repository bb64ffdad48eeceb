//! One row for each thing that ECS refuses in a task definition: the change to a good one, and the words.

use serde_json::{Value, json};
use wire::Error;

use crate::account::{Account, register_task_definition};
use crate::testing::{ctx, on_account};

mod compatibility;
mod modes;
mod names;

/// Two containers, with nothing wrong.
fn good() -> Value {
    json!({"family": "f", "volumes": [{"name": "v"}], "containerDefinitions": [
        {"name": "a", "image": "nginx:1.27", "memory": 64, "cpu": 10},
        {"name": "b", "image": "busybox@sha256:0123456701234567012345670123456701234567012345670123456701234567", "memory": 64, "essential": false,
         "healthCheck": {"command": ["CMD", "true"]}}]})
}

fn register(value: &Value) -> Result<(), Error> {
    let request = serde_json::from_value(value.clone()).unwrap();
    on_account(&mut Account::default(), &ctx(), |txn| register_task_definition(txn, request)).map(drop)
}

/// Sets a member by a JSON pointer whose last part may be new.
fn set(value: &mut Value, pointer: &str, to: Value) {
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    value.pointer_mut(parent).unwrap()[member] = to;
}

fn refusal(pointer: &str, to: Value) -> Error {
    let mut value = good();
    set(&mut value, pointer, to.clone());
    register(&value).expect_err(&format!("{pointer} = {to}"))
}

/// `a.MEMBER` sets a member of container a; the message is of that container if it begins with a hyphen.
fn table(code: &str, rows: &[(&str, Value, &str)]) {
    for (pointer, to, message) in rows {
        let pointer = match pointer.split_once('.') {
            Some(("a", member)) => format!("/containerDefinitions/0/{member}"),
            Some(("b", member)) => format!("/containerDefinitions/1/{member}"),
            _ => format!("/{pointer}"),
        };
        let message = match message.strip_prefix('-') {
            Some(rest) => format!("Invalid setting for container 'a'. {rest}"),
            None => (*message).to_owned(),
        };
        let refused = refusal(&pointer, to.clone());
        assert_eq!((refused.code(), refused.message()), (code, message.as_str()), "{pointer} = {to}");
    }
}

#[test]
fn nothing_is_wrong_with_the_good_one() {
    register(&good()).unwrap();
}

#[test]
fn family_containers_and_size() {
    let many: Vec<Value> =
        (0..11).map(|n| json!({"name": format!("c{n}"), "image": "i", "memory": 8})).collect();
    let twice = json!([{"name": "x", "image": "i", "memory": 8}, {"name": "x", "image": "i", "memory": 8}]);
    let idle = json!([{"name": "x", "image": "i", "memory": 8, "essential": false}]);
    let (cpu, memory) = ("Invalid 'cpu' setting for task.", "Invalid 'memory' setting for task.");
    table(
        "ClientException",
        &[
            ("family", json!(""), "Family should not be null or empty."),
            ("family", json!("a b"), "Family contains invalid characters."),
            ("family", json!("x".repeat(256)), "Family longer than 255."),
            ("containerDefinitions", json!([]), "Container list cannot be empty."),
            ("containerDefinitions", json!(many), "Too many containers."),
            ("containerDefinitions", twice, "Container names must be unique within a task definition"),
            ("containerDefinitions", idle, "Task definition doesn't have any essential container"),
            ("cpu", json!("half"), cpu),
            ("cpu", json!("64"), cpu),
            ("cpu", json!("200000"), cpu),
            ("memory", json!("1 TB"), memory),
            ("memory", json!("0"), memory),
            (
                "memory",
                json!("70"),
                "The total memory of the containers (128 MiB) is greater than the 'memory' setting for the task.",
            ),
            ("memory", json!("32"), "The 'memory' setting for container 'a' is greater than for the task"),
            ("a.command", json!(["a\0b"]), "Task definition contains invalid characters."),
        ],
    );
    let mut value = good();
    set(&mut value, "/cpu", json!("128"));
    set(&mut value, "/containerDefinitions/0/cpu", json!(129));
    let words = "The sum of all container 'cpu' values cannot be greater than the value of the task 'cpu'.";
    assert_eq!(register(&value).unwrap_err().message(), words);
    let big = refusal("/containerDefinitions/0/command", json!(["x".repeat(70_000)]));
    assert!(
        big.message().starts_with("Actual length: '70")
            && big.message().ends_with("Max allowed length is '65536' bytes.")
    );
}

#[test]
fn one_container() {
    table(
        "ClientException",
        &[
            ("a.name", json!(""), "Container.name should not be null or empty."),
            ("a.name", json!("a.b"), "Container.name contains invalid characters."),
            ("a.image", json!(""), "Container.image should not be null or empty."),
            ("a.image", json!("$IMAGE"), "Container.image contains invalid characters."),
            ("a.memory", json!(0), "-At least one of 'memory' or 'memoryReservation' must be specified."),
            ("a.memory", json!(3), "-'memory' must be at least 4."),
            (
                "a.memoryReservation",
                json!(65),
                "-'memory' must be greater than or equal to 'memoryReservation'",
            ),
            ("a.cpu", json!(-1), "-'cpu' must be at least 0."),
            (
                "a.environment",
                json!([{"name": "A=B", "value": ""}]),
                "-'environment.name' must be specified and must not contain '='.",
            ),
            ("a.dockerLabels", json!({"": "x"}), "-Keys of 'dockerLabels' must not be empty."),
            ("a.workingDirectory", json!("tmp"), "-'workingDirectory' must be an absolute path."),
            ("a.hostname", json!("a b"), "-'hostname' contains invalid characters or is longer than 63."),
            ("a.dnsServers", json!(["dns"]), "-'dns' in 'dnsServers' is not an IP address."),
            ("a.dnsSearchDomains", json!(["a b"]), "-'a b' in 'dnsSearchDomains' is not a domain name."),
            (
                "a.extraHosts",
                json!([{"hostname": "h", "ipAddress": "x"}]),
                "-'extraHosts' of 'h' needs a host name and an IP address.",
            ),
            ("a.mountPoints", json!([{"sourceVolume": "w", "containerPath": "/w"}]), "Unknown volume 'w'."),
            (
                "a.mountPoints",
                json!([{"sourceVolume": "v", "containerPath": "w"}]),
                "-'mountPoints.containerPath' must be an absolute path.",
            ),
            (
                "a.mountPoints",
                json!([{"sourceVolume": "v", "containerPath": "/w"}, {"sourceVolume": "v", "containerPath": "/w"}]),
                "-Duplicate 'mountPoints.containerPath': '/w'.",
            ),
            ("a.volumesFrom", json!([{"sourceContainer": "x"}]), "-Unknown container 'x' in 'volumesFrom'."),
            (
                "volumes",
                json!([{"name": "v"}, {"name": "v"}]),
                "Volume names must be unique. Duplicate name: 'v'.",
            ),
            ("volumes", json!([{"name": "v v"}]), "Volume.name contains invalid characters."),
            (
                "volumes",
                json!([{"name": "v", "host": {"sourcePath": "../etc"}}]),
                "Invalid setting for volume 'v'. 'host.sourcePath' must be an absolute path.",
            ),
            ("a.healthCheck", json!({"command": []}), "-'healthCheck.command' must name a command."),
            ("a.healthCheck", json!({"command": ["CMD"]}), "-'healthCheck.command' must name a command."),
            (
                "a.healthCheck",
                json!({"command": ["CMD", "x"], "interval": 4}),
                "Health check interval must be greater than or equal to the minimum allowed value 5 for container 'a'",
            ),
            (
                "a.healthCheck",
                json!({"command": ["CMD", "x"], "timeout": 61}),
                "Health check timeout must be less than or equal to the maximum allowed value 60 for container 'a'",
            ),
            (
                "a.healthCheck",
                json!({"command": ["CMD", "x"], "retries": 0}),
                "Health check retries must be greater than or equal to the minimum allowed value 1 for container 'a'",
            ),
            (
                "a.healthCheck",
                json!({"command": ["CMD", "x"], "startPeriod": 301}),
                "Health check startPeriod must be less than or equal to the maximum allowed value 300 for container 'a'",
            ),
            ("a.stopTimeout", json!(1), "Granular stop timeout on container 'a' must be at least 2 seconds."),
            (
                "a.startTimeout",
                json!(-1),
                "Granular start timeout on container 'a' must be at least 2 seconds.",
            ),
            (
                "a.startTimeout",
                json!(86_401),
                "Granular start timeout on container 'a' must be at most 86400 seconds.",
            ),
            ("executionRoleArn", json!("arn:aws:s3:::r"), "Role is not valid"),
            (
                "a.resourceRequirements",
                json!([{"type": "GPU", "value": "0"}]),
                "-'resourceRequirements' of type GPU must have a value from 1 to 64.",
            ),
            (
                "a.resourceRequirements",
                json!([{"type": "GPU"}]),
                "-'resourceRequirements' of type GPU must have a value from 1 to 64.",
            ),
            (
                "a.resourceRequirements",
                json!([{"type": "GPU", "value": "1"}, {"type": "GPU", "value": "1"}]),
                "-'resourceRequirements' can have one of type GPU.",
            ),
            (
                "a.restartPolicy",
                json!({"enabled": true, "restartAttemptPeriod": 59}),
                "The 'restartAttemptPeriod' setting for container 'a' must be between 60 and 1800.",
            ),
            (
                "a.restartPolicy",
                json!({"enabled": true, "ignoredExitCodes": vec![1; 51]}),
                "-'restartPolicy.ignoredExitCodes' can not have more than 50 elements.",
            ),
        ],
    );
}

#[test]
fn linux_parameters_and_limits() {
    table(
        "ClientException",
        &[
            (
                "a.linuxParameters",
                json!({"sharedMemorySize": 0}),
                "-'linuxParameters.sharedMemorySize' must be at least 1.",
            ),
            ("a.linuxParameters", json!({"maxSwap": -1}), "-'linuxParameters.maxSwap' must be at least 0."),
            (
                "a.linuxParameters",
                json!({"swappiness": 101}),
                "-'linuxParameters.swappiness' must be between 0 and 100.",
            ),
            (
                "a.linuxParameters",
                json!({"tmpfs": [{"containerPath": "/t", "size": 0}]}),
                "The container has an invalid tmpfs size value specified. It must be a non-zero, non-negative integer.",
            ),
            (
                "a.linuxParameters",
                json!({"tmpfs": [{"containerPath": "t", "size": 1}]}),
                "-'linuxParameters.tmpfs.containerPath' must be an absolute path, each once.",
            ),
            (
                "a.linuxParameters",
                json!({"tmpfs": [{"containerPath": "/t", "size": 1, "mountOptions": ["fast"]}]}),
                "-Unknown 'linuxParameters.tmpfs.mountOptions': 'fast'.",
            ),
            (
                "a.linuxParameters",
                json!({"devices": [{"hostPath": "dev"}]}),
                "-Paths of 'linuxParameters.devices' must be absolute.",
            ),
            (
                "a.linuxParameters",
                json!({"capabilities": {"add": ["FLY"]}}),
                "-Unknown 'linuxParameters.capabilities': 'FLY'.",
            ),
            (
                "a.ulimits",
                json!([{"name": "nofile", "softLimit": 2, "hardLimit": 1}]),
                "Soft limit exceeds hard limit for ulimit nofile",
            ),
            (
                "a.ulimits",
                json!([{"name": "core", "softLimit": 1, "hardLimit": 1}, {"name": "core", "softLimit": 1, "hardLimit": 1}]),
                "-Duplicate 'ulimits.name': 'core'.",
            ),
            (
                "a.systemControls",
                json!([{"namespace": "vm.swappiness", "value": "1"}]),
                "-Unknown 'systemControls.namespace': 'vm.swappiness'.",
            ),
            (
                "a.systemControls",
                json!([{"namespace": "net.core.somaxconn"}]),
                "-'systemControls.value' of 'net.core.somaxconn' must be specified.",
            ),
            (
                "a.dockerSecurityOptions",
                json!(["seccomp:unconfined"]),
                "-Unknown 'dockerSecurityOptions': 'seccomp:unconfined'. Valid are no-new-privileges, apparmor:PROFILE and label:VALUE.",
            ),
        ],
    );
    let mut value = good();
    set(&mut value, "/networkMode", json!("host"));
    set(
        &mut value,
        "/containerDefinitions/0/systemControls",
        json!([{"namespace": "net.core.somaxconn", "value": "1"}]),
    );
    let words = "Invalid setting for container 'a'. 'systemControls' of namespace 'net.core.somaxconn' are not supported when networkMode=host.";
    assert_eq!(register(&value).unwrap_err().message(), words);
}

#[test]
fn logs() {
    let awslogs = |options: Value| json!({"logDriver": "awslogs", "options": options});
    let with =
        |name: &str, value: &str| awslogs(json!({"awslogs-group": "g", "awslogs-region": "r", name: value}));
    let both = awslogs(
        json!({"awslogs-group": "g", "awslogs-region": "r", "awslogs-datetime-format": "%d", "awslogs-multiline-pattern": "^a"}),
    );
    table(
        "ClientException",
        &[
            (
                "a.logConfiguration",
                awslogs(json!({})),
                "Log driver awslogs requires options: awslogs-region, awslogs-group",
            ),
            (
                "a.logConfiguration",
                awslogs(json!({"awslogs-group": "g"})),
                "Log driver awslogs requires options: awslogs-region",
            ),
            (
                "a.logConfiguration",
                both,
                "-Options awslogs-datetime-format and awslogs-multiline-pattern cannot both be specified.",
            ),
            (
                "a.logConfiguration",
                with("mode", "slow"),
                "-Log option mode must be one of blocking, non-blocking.",
            ),
            (
                "a.logConfiguration",
                with("max-buffer-size", "10x"),
                "-Log option max-buffer-size must be a size such as 10m.",
            ),
            (
                "a.logConfiguration",
                with("awslogs-create-group", "yes"),
                "-Log option awslogs-create-group must be one of true, false.",
            ),
            (
                "a.logConfiguration",
                json!({"logDriver": "json-file", "options": {"max-file": "0"}}),
                "-Log option max-file must be a number from 1 to 1000.",
            ),
        ],
    );
    let unknown = refusal("/containerDefinitions/0/logConfiguration", with("awslogs-endpoint", "x"));
    assert_eq!(unknown.code(), "UnsupportedFeatureException");
}

/// What Go's library and Docker's take, and their dialect of regular expressions.
#[test]
fn log_options_are_read_as_docker_reads_them() {
    let set_to = |driver: &str, name: &str, text: &str| {
        let mut options = json!({name: text});
        if driver == "awslogs" {
            options["awslogs-group"] = json!("g");
            options["awslogs-region"] = json!("r");
        }
        let mut value = good();
        let log = json!({"logDriver": driver, "options": options});
        set(&mut value, "/containerDefinitions/0/logConfiguration", log);
        register(&value)
    };
    for (driver, name, texts) in [
        ("awslogs", "awslogs-create-group", &["True", "TRUE", "t", "1", "False", "0", ""][..]),
        ("awslogs", "max-buffer-size", &["25m", "4mib", "1.5m", "10 kB", "512", ""]),
        ("awslogs", "mode", &["blocking", "non-blocking", ""]),
        (
            "awslogs",
            "awslogs-datetime-format",
            &[r"\[%Y-%m-%d %H:%M:%S\]", r"%Y/%m/%d\s+%H:%M", "^%Y-%m-%d", ""],
        ),
        ("awslogs", "awslogs-multiline-pattern", &["^{", r"\QSTART\E", "(?P<a>x)", ""]),
        ("json-file", "max-size", &["1.5m", "10MB", "10mib"]),
        ("json-file", "max-file", &["3", "+3"]),
        ("json-file", "compress", &["false", "F", ""]),
        // What is not supported asks for nothing when it is empty.
        ("json-file", "labels", &[""]),
        ("awslogs", "tag", &[""]),
    ] {
        for text in texts {
            set_to(driver, name, text).unwrap_or_else(|error| panic!("{name}={text}: {error}"));
        }
    }
    for (driver, name, text, what) in [
        ("awslogs", "awslogs-create-group", "yes", "must be one of true, false"),
        ("awslogs", "max-buffer-size", "0", "must be a size"),
        ("awslogs", "max-buffer-size", "10mi", "must be a size"),
        (
            "awslogs",
            "awslogs-multiline-pattern",
            "(?!dev).*",
            "gives the regular expression '(?!dev).*': error parsing",
        ),
        (
            "awslogs",
            "awslogs-datetime-format",
            "[%Y",
            r"gives the regular expression '[\d{4}': error parsing",
        ),
        ("json-file", "max-size", "-1m", "must be a size"),
        ("json-file", "compress", "true", "is not supported for log driver json-file"),
    ] {
        let error = set_to(driver, name, text).unwrap_err().to_string();
        assert!(error.contains(what) && error.contains(name), "{name}={text}: {error}");
    }
}

#[test]
fn a_health_check_that_docker_would_not_run_is_registered_and_nobody_can_wait_for_it() {
    for command in
        [json!(["/healthcheck"]), json!(["curl -f http://localhost/"]), json!(["NONE"]), json!(["cmd", "x"])]
    {
        let mut value = good();
        set(&mut value, "/containerDefinitions/0/healthCheck", json!({"command": command}));
        register(&value).unwrap();
        let wait = json!([{"containerName": "a", "condition": "HEALTHY"}]);
        set(&mut value, "/containerDefinitions/1/dependsOn", wait);
        let error = register(&value).unwrap_err().to_string();
        assert!(error.contains("container 'a' whose command begins with CMD or CMD-SHELL"), "{error}");
    }
}

/// What ECS knows and Roadstead does not is refused by its name.
#[test]
fn credential_specs_are_not_built() {
    let option = json!(["credentialspec:file://cred.json"]);
    let refused = refusal("/containerDefinitions/0/dockerSecurityOptions", option);
    let words = "containerDefinitions.dockerSecurityOptions credentialspec is not supported: Active Directory credentials \
                 are not built yet. See docs/support.md.";
    assert_eq!((refused.code(), refused.message()), ("UnsupportedFeatureException", words));
}

#[test]
fn a_sandbox_is_for_fargate_and_none_is_confidential() {
    let mode = |mode: &str| json!({"isolationMode": mode});
    let refused = refusal("/trustedExecutionConfiguration", mode("CONFIDENTIAL_SANDBOX"));
    assert_eq!(refused.code(), "UnsupportedFeatureException");
    assert!(refused.message().contains("isolationMode CONFIDENTIAL_SANDBOX is not supported"), "{refused}");
    let mut value = good();
    set(&mut value, "/requiresCompatibilities", json!(["EC2"]));
    set(&mut value, "/trustedExecutionConfiguration", mode("ISOLATED_SANDBOX"));
    let refused = register(&value).unwrap_err();
    assert!(
        refused.message().contains("EC2 compatible task definitions do not support trustedExec"),
        "{refused}"
    );
}

#[test]
fn hostnames_are_what_docker_takes() {
    for name in ["web", "web-1.shop.lan", "my_host"] {
        let mut value = good();
        set(&mut value, "/containerDefinitions/0/hostname", json!(name));
        register(&value).unwrap();
    }
}

#[test]
fn ports_and_links() {
    let ports = |list: Value| ("a.portMappings", list);
    let rows = [
        (ports(json!([{"hostPort": 1}])), "Invalid 'containerPort' setting for container 'a'."),
        (ports(json!([{"containerPort": 65536}])), "Invalid 'containerPort' setting for container 'a'."),
        (
            ports(json!([{"containerPort": 1, "hostPort": -1}])),
            "Invalid 'hostPort' setting for container 'a'.",
        ),
        (
            ports(json!([{"containerPort": 1, "hostPort": 9}, {"containerPort": 2, "hostPort": 9}])),
            "-Host port 9/tcp is mapped more than once in the task definition.",
        ),
        (("a.links", json!(["x"])), "-Unknown container 'x' in 'links'."),
        (("a.links", json!(["b:"])), "-Invalid link 'b:'."),
    ];
    let rows: Vec<(&str, Value, &str)> = rows.into_iter().map(|((at, to), words)| (at, to, words)).collect();
    table("ClientException", &rows);
    for (mode, member, to, words) in [
        (
            "none",
            "portMappings",
            json!([{"containerPort": 1}]),
            "Port mappings are not supported when networkMode=none.",
        ),
        (
            "host",
            "portMappings",
            json!([{"containerPort": 1, "hostPort": 2}]),
            "When networkMode=host, the host ports and container ports in port mappings must match.",
        ),
        ("host", "links", json!(["b"]), "Links are not supported when networkMode=host"),
    ] {
        let mut value = good();
        set(&mut value, "/networkMode", json!(mode));
        set(&mut value, &format!("/containerDefinitions/0/{member}"), to);
        assert_eq!(register(&value).unwrap_err().message(), words);
    }
    let mut value = good();
    let both = json!([{"containerPort": 53, "hostPort": 53}, {"containerPort": 53, "hostPort": 53, "protocol": "udp"}]);
    set(&mut value, "/containerDefinitions/0/portMappings", both);
    register(&value).unwrap();
}

#[test]
fn order_of_containers() {
    let on = |name: &str, condition: &str| json!([{"containerName": name, "condition": condition}]);
    table(
        "ClientException",
        &[
            ("a.dependsOn", on("x", "START"), "Cannot depend on container + 'x' because it does not exist"),
            ("a.dependsOn", on("a", "START"), "Cannot depend on container + 'a' because it does not exist"),
            (
                "b.dependsOn",
                on("a", "HEALTHY"),
                "A dependency container with HEALTHY condition must have health check configured",
            ),
            (
                "b.dependsOn",
                on("a", "SUCCESS"),
                "A dependency container with SUCCESS or COMPLETE condition cannot be an essential container",
            ),
        ],
    );
    for (condition, member, back) in [
        ("HEALTHY", "dependsOn", on("a", "START")),
        ("COMPLETE", "links", json!(["a"])),
        ("SUCCESS", "volumesFrom", json!([{"sourceContainer": "a"}])),
    ] {
        let mut value = good();
        set(&mut value, "/containerDefinitions/0/dependsOn", on("b", condition));
        register(&value).unwrap();
        set(&mut value, &format!("/containerDefinitions/1/{member}"), back);
        assert_eq!(register(&value).unwrap_err().message(), "Circular dependency between containers: a, b.");
    }
}

#[test]
fn placement_constraints_and_tags() {
    table(
        "InvalidParameterException",
        &[
            ("placementConstraints", json!([{"type": "memberOf"}]), "memberOf expression must be specified."),
            (
                "placementConstraints",
                json!([{"type": "memberOf", "expression": "colour == red"}]),
                "Invalid expression: unknown subject at position 0",
            ),
            (
                "placementConstraints",
                json!(vec![json!({"type": "memberOf", "expression": "attribute:a exists"}); 11]),
                "Too many placement constraints specified. The maximum is 10.",
            ),
        ],
    );
    let refused = refusal("/tags", json!([{"key": "AWS:x", "value": ""}]));
    assert_eq!(refused.code(), "InvalidParameterException");
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    for (pointer, to, named) in [
        ("taskRoleArn", json!("arn:aws:iam::000000000000:role/r"), "taskRoleArn"),
        ("enableFaultInjection", json!(true), "enableFaultInjection"),
        (
            "volumes",
            json!([{"name": "v", "efsVolumeConfiguration": {"fileSystemId": "fs"}}]),
            "volumes.efsVolumeConfiguration",
        ),
        ("a/secrets", json!([{"name": "S", "valueFrom": "arn"}]), "containerDefinitions.secrets"),
        (
            "a/resourceRequirements",
            json!([{"type": "NeuronDevice", "value": "ALL"}]),
            "containerDefinitions.resourceRequirements.type NeuronDevice",
        ),
        (
            "a/resourceRequirements",
            json!([{"type": "GPU", "value": "ALL"}]),
            "containerDefinitions.resourceRequirements.value ALL",
        ),
        (
            "a/resourceRequirements",
            json!([{"type": "GPU", "sharingStrategy": {"nvidiaMps": {"memory": 1}}}]),
            "containerDefinitions.resourceRequirements.sharingStrategy",
        ),
        (
            "a/logConfiguration",
            json!({"logDriver": "splunk"}),
            "containerDefinitions.logConfiguration.logDriver splunk",
        ),
    ] {
        let pointer = match pointer.strip_prefix("a/") {
            Some(member) => format!("/containerDefinitions/0/{member}"),
            None => format!("/{pointer}"),
        };
        let refused = refusal(&pointer, to);
        assert_eq!(refused.code(), "UnsupportedFeatureException");
        assert!(
            refused.message().starts_with(&format!("{named} is not supported: ")),
            "{}",
            refused.message()
        );
    }
    // What says nothing is not refused.
    let mut value = good();
    for (pointer, to) in
        [("/enableFaultInjection", json!(false)), ("/containerDefinitions/0/secrets", json!([]))]
    {
        set(&mut value, pointer, to);
    }
    register(&value).unwrap();
}
