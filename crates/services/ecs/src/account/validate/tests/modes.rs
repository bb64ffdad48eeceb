//! Network modes and port ranges.

use serde_json::{Value, json};

use super::{good, refusal, register, set};

/// A good one in a network mode, with members of its first container.
fn in_mode(mode: &str, members: &Value) -> Value {
    let mut value = good();
    set(&mut value, "/networkMode", json!(mode));
    for (member, to) in members.as_object().unwrap() {
        set(&mut value, &format!("/containerDefinitions/0/{member}"), to.clone());
    }
    value
}

#[test]
fn what_does_not_go_with_a_network_mode_is_refused() {
    let ports = |list: Value| json!({"portMappings": list});
    for (mode, members, words) in [
        (
            "awsvpc",
            ports(json!([{"containerPort": 80, "hostPort": 8080}])),
            "When networkMode=awsvpc, the host ports and container ports in port mappings must match.",
        ),
        (
            "host",
            ports(json!([{"containerPort": 80, "hostPort": 8080}])),
            "When networkMode=host, the host ports and container ports in port mappings must match.",
        ),
        (
            "awsvpc",
            ports(json!([{"containerPort": 8085}, {"containerPortRange": "8080-8090"}])),
            "TCP container port '8085' is used multiple times in task when networkMode=awsvpc.",
        ),
        (
            "awsvpc",
            ports(
                json!([{"containerPort": 53, "protocol": "udp"}, {"containerPort": 53, "protocol": "udp"}]),
            ),
            "UDP container port '53' is used multiple times in task when networkMode=awsvpc.",
        ),
        (
            "awsvpc",
            ports(json!([{"containerPort": 1, "name": "p"}, {"containerPort": 2, "name": "p"}])),
            "When networkMode=awsvpc, port mapping name is already used",
        ),
        ("awsvpc", json!({"links": ["b"]}), "Links are not supported when networkMode=awsvpc"),
        (
            "awsvpc",
            json!({"disableNetworking": true}),
            "Disable Networking is not supported on container when networkMode=awsvpc.",
        ),
        (
            "awsvpc",
            json!({"dnsServers": ["10.0.0.2"]}),
            "DNS servers are not supported on container when networkMode=awsvpc.",
        ),
        (
            "awsvpc",
            json!({"dnsSearchDomains": ["corp"]}),
            "DNS search domains are not supported on container when networkMode=awsvpc.",
        ),
        (
            "awsvpc",
            json!({"extraHosts": [{"hostname": "h", "ipAddress": "10.0.0.2"}]}),
            "Extra hosts are not supported on container when networkMode=awsvpc.",
        ),
        (
            "awsvpc",
            json!({"hostname": "h"}),
            "hostname is not supported on container when networkMode=awsvpc.",
        ),
        (
            "host",
            ports(json!([{"containerPortRange": "80-90"}])),
            "Port ranges are not supported when networkMode=host.",
        ),
        (
            "bridge",
            ports(json!([{"containerPortRange": "80-90"}, {"containerPortRange": "90-99"}])),
            "TCP container port '90' is used multiple times in container 'a'.",
        ),
        (
            "bridge",
            ports(json!([{"containerPortRange": "80-90"}, {"containerPort": 85}])),
            "TCP container port '85' is used multiple times in container 'a'.",
        ),
        (
            "bridge",
            ports(json!([{"containerPortRange": "80-90", "containerPort": 80}])),
            "Invalid port mapping for container 'a', cannot specify both single port and port range.",
        ),
        (
            "bridge",
            ports(json!([{"containerPortRange": "80-90", "hostPort": 80}])),
            "Invalid port mapping for container 'a', cannot specify both single port and port range.",
        ),
    ] {
        let refused = register(&in_mode(mode, &members)).expect_err(words);
        assert_eq!((refused.code(), refused.message()), ("ClientException", words), "{mode} {members}");
    }
    // The same in other containers, or of another protocol, is another port.
    for (mode, members) in [
        (
            "bridge",
            ports(json!([{"containerPort": 80, "hostPort": 1}, {"containerPort": 80, "hostPort": 2}])),
        ),
        ("awsvpc", ports(json!([{"containerPort": 53}, {"containerPort": 53, "protocol": "udp"}]))),
        ("awsvpc", ports(json!([{"containerPort": 80, "hostPort": 80, "name": "p"}]))),
        ("bridge", json!({"disableNetworking": true})),
        ("bridge", ports(json!([{"containerPort": 1, "name": "p"}, {"containerPort": 2, "name": "p"}]))),
    ] {
        register(&in_mode(mode, &members)).unwrap();
    }
    let mut value = in_mode("bridge", &ports(json!([{"containerPortRange": "80-90"}])));
    set(&mut value, "/containerDefinitions/1/portMappings", json!([{"containerPortRange": "80-90"}]));
    register(&value).unwrap();
}

#[test]
fn a_range_of_ports_goes_up_and_stays_within_bounds() {
    let range = |text: &str| json!([{"containerPortRange": text}]);
    for text in ["9-8", "8-8", "0-9", "1-65536", "8", "8-", "-8", "a-b", "+1-2", "1-2-3", " 1-2", "000001-2"]
    {
        let refused = refusal("/containerDefinitions/0/portMappings", range(text));
        assert_eq!(refused.message(), "Invalid 'containerPortRange' setting for container 'a'.", "{text}");
    }
    register(&in_mode("bridge", &json!({"portMappings": range("1-65535")}))).unwrap();
    let many: Vec<Value> =
        (0..101).map(|n| json!({"containerPortRange": format!("{}-{}", n * 10 + 1, n * 10 + 2)})).collect();
    let refused = refusal("/containerDefinitions/0/portMappings", json!(many));
    let words = "Invalid setting for container 'a'. 'portMappings' can not have more than 100 port ranges.";
    assert_eq!(refused.message(), words);
}

#[test]
fn controls_of_the_host_s_ipc_are_refused() {
    let mut value =
        in_mode("bridge", &json!({"systemControls": [{"namespace": "kernel.shmmax", "value": "1"}]}));
    for (mode, fits) in [("task", true), ("none", true), ("host", false)] {
        set(&mut value, "/ipcMode", json!(mode));
        assert_eq!(register(&value).is_ok(), fits, "{mode}");
    }
    let words = "Invalid setting for container 'a'. 'systemControls' of namespace 'kernel.shmmax' are not supported \
                 when ipcMode=host.";
    assert_eq!(register(&value).unwrap_err().message(), words);
}
