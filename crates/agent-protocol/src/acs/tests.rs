//! Frames as the stock agent and the control plane write them.

use super::*;

#[test]
fn a_payload_round_trips() {
    let frame = r#"{"type":"PayloadMessage","message":{"clusterArn":"arn:aws:ecs:us-east-1:123456789012:cluster/c",
        "containerInstanceArn":"arn:ci","messageId":"m","generatedAt":1700000000000,"seqNum":7,"timeline":7,"newer":{},
        "tasks":[{"arn":"arn:t","desiredStatus":"RUNNING","family":"web","version":"3","overrides":"{}","cpu":0.25,
          "volumes":[{"name":"scratch","type":"host","host":{}}],
          "containers":[{"name":"app","image":"nginx:1","cpu":10,"command":null,"environment":{"X":"1"},
            "portMappings":[{"containerPort":80,"hostPort":0,"protocol":"tcp"}],
            "dockerConfig":{"version":"1.17","config":"{}","hostConfig":"{}"}}]}]}}"#;
    let Message::PayloadMessage(payload) = Message::decode(frame).unwrap() else { panic!("not a payload") };
    let task = &payload.tasks[0];
    assert_eq!(payload.seq_num, Some(7));
    assert_eq!(task.cpu, Some(0.25));
    assert_eq!(task.volumes[0].host, Some(HostVolumeProperties::default()));
    assert_eq!(task.containers[0].environment["X"], "1");
    assert!(task.containers[0].command.is_empty());
    let message = Message::from(payload);
    assert_eq!(Message::decode(&message.encode()).unwrap(), message);
}

#[test]
fn what_a_task_on_fargate_has_besides_is_read() {
    let text = r#"{"launchType":"FARGATE","roadstead:fargate":{"platformVersion":"1.4.0","ephemeralStorageGib":20}}"#;
    let task: Task = serde_json::from_str(text).unwrap();
    let fargate = task.fargate.clone().unwrap();
    assert_eq!((fargate.platform_version.as_str(), fargate.ephemeral_storage_gib), ("1.4.0", 20));
    assert_eq!((fargate.spot, fargate.isolation), (false, None));
    assert_eq!(serde_json::to_string(&task).unwrap(), text, "and written as it was");
    let spot = FargateTask { spot: true, isolation: Some("gvisor".into()), ..Default::default() };
    let written = serde_json::to_value(&spot).unwrap();
    assert_eq!((&written["spot"], &written["isolation"]), (&true.into(), &"gvisor".into()));
}

#[test]
fn an_ack_is_written_compactly() {
    let ack = AckRequest { cluster: Some("c".into()), message_id: Some("m".into()), ..Default::default() };
    assert_eq!(
        Message::from(ack).encode(),
        r#"{"type":"AckRequest","message":{"cluster":"c","messageId":"m"}}"#
    );
}

#[test]
fn an_empty_manifest_keeps_its_list() {
    let frame = Message::from(TaskManifestMessage::default()).encode();
    assert_eq!(frame, r#"{"type":"TaskManifestMessage","message":{"tasks":[]}}"#);
}

#[test]
fn what_cannot_be_read_is_named() {
    let error = |frame: &str| Message::decode(frame).unwrap_err();
    assert!(
        matches!(error(r#"{"type":"New","message":{}}"#), crate::EnvelopeError::UnknownType(name) if name == "New")
    );
    assert!(matches!(error("[]"), crate::EnvelopeError::NoEnvelope(_)));
    assert!(matches!(
        error(r#"{"type":"AckRequest","message":{"cluster":1}}"#),
        crate::EnvelopeError::BadMessage { .. }
    ));
    assert!(matches!(error(&" ".repeat(5 << 20)), crate::EnvelopeError::TooLong(_)));
}

#[test]
fn both_connect_queries_are_read() {
    let connect = Connect {
        cluster: "arn:aws:ecs:us-east-1:000000000000:cluster/a b".into(),
        container_instance: "arn:i".into(),
        agent_version: "1.105.1".into(),
        agent_hash: "8dfceca6".into(),
        docker_version: "27.0.3".into(),
        protocol_version: 2,
        send_credentials: true,
        seq_num: 41,
        knows_vpc: true,
        address: Some([192, 0, 2, 7].into()),
    };
    assert_eq!(Connect::parse(&connect.acs_query()), connect);
    assert_eq!(Connect::parse("roadstead%3Aaddress=x").address, None);
    let tcs = Connect::parse(&connect.tcs_query());
    assert_eq!(tcs.cluster, connect.cluster);
    assert_eq!(tcs.docker_version, connect.docker_version);
    assert_eq!(Connect::parse("%%%&&=&seqNum=x").seq_num, 0);
    let other = Connect { knows_vpc: false, address: None, ..connect };
    assert!(!other.acs_query().contains("roadstead"), "an agent that does not know it says what AWS's says");
}

#[test]
fn an_interface_says_in_which_vpc_it_is() {
    let text = r#"{"macAddress":"0a:00:00:00:00:01","ec2Id":"eni-1","roadstead:vpc":{"vpcId":"vpc-1","subnetId":"subnet-1",
        "blocks":["10.0.0.0/16","fd00::/56"],"groups":["sg-1"],"egress":"direct","publicAddress":"192.0.2.7","newer":1}}"#;
    let interface: ElasticNetworkInterface = serde_json::from_str(text).unwrap();
    let vpc = interface.vpc.as_ref().unwrap();
    assert_eq!((vpc.vpc_id.as_str(), vpc.egress), ("vpc-1", Egress::Direct));
    assert_eq!((vpc.blocks.len(), vpc.groups.as_slice()), (2, ["sg-1".to_owned()].as_slice()));
    let again = serde_json::to_string(&interface).unwrap();
    assert_eq!(serde_json::from_str::<ElasticNetworkInterface>(&again).unwrap(), interface);
    let without = serde_json::to_string(&ElasticNetworkInterface::default()).unwrap();
    assert_eq!(without, "{}", "other agents see nothing of it");
    let newer: InterfaceVpc = serde_json::from_str(r#"{"egress":"by-pigeon","groups":null}"#).unwrap();
    assert_eq!(newer.egress, Egress::None, "a way out that is not known is none");
}

#[test]
fn a_vpc_message_round_trips() {
    let rule = |protocol, ports: Option<(i32, i32)>, peer| GroupRule {
        protocol,
        from_port: ports.map(|(from, _)| from),
        to_port: ports.map(|(_, to)| to),
        peer,
    };
    let message = Message::from(VpcMessage {
        message_id: Some("m".into()),
        sequence: 1,
        whole: true,
        vpcs: vec![VpcBlocks {
            id: "vpc-1".into(),
            blocks: vec!["10.0.0.0/16".into()],
            overlay: Some(Overlay { vxlan: Some(77) }),
            dns: Some(VpcDns { address: "10.0.0.2".into(), domain: "ec2.internal".into() }),
        }],
        places: vec![PlaceChange {
            vpc: "vpc-1".into(),
            add: vec![Place { address: "10.0.0.6".into(), host: "192.0.2.7".into() }],
            remove: vec!["10.0.0.7".into()],
        }],
        interfaces: vec![InterfaceState {
            id: "eni-1".into(),
            groups: vec!["sg-1".into()],
            egress: Egress::Nat,
            public_address: None,
        }],
        groups: vec![GroupRules {
            id: "sg-1".into(),
            ingress: vec![
                rule(6, Some((80, 81)), Peer::Block("0.0.0.0/0".into())),
                rule(1, Some((8, -1)), Peer::Group("sg-1".into())),
            ],
            egress: vec![rule(-1, None, Peer::PrefixList("pl-1".into()))],
        }],
        sets: vec![SetChange {
            id: "sg-1".into(),
            add: vec!["10.0.0.5".into()],
            remove: vec!["10.0.0.4".into()],
        }],
        gone: vec!["sg-2".into()],
        ..Default::default()
    });
    let frame = message.encode();
    assert!(
        frame.starts_with(r#"{"type":"roadstead:VpcMessage","message":{"messageId":"m","sequence":1,"#),
        "{frame}"
    );
    assert!(frame.contains(r#""peer":{"block":"0.0.0.0/0"}"#), "{frame}");
    assert!(
        frame.contains(r#""overlay":{"vxlan":77}"#) && frame.contains(r#""host":"192.0.2.7""#),
        "{frame}"
    );
    assert_eq!(message.name(), "roadstead:VpcMessage");
    assert_eq!(Message::decode(&frame).unwrap(), message);
    let Message::VpcMessage(least) =
        Message::decode(r#"{"type":"roadstead:VpcMessage","message":{"groups":null}}"#).unwrap()
    else {
        panic!("another message")
    };
    assert_eq!(least, VpcMessage::default());
    let newer = r#"{"type":"roadstead:VpcMessage","message":{"groups":[{"id":"sg","ingress":[{"protocol":6,"peer":{"star":"x"}}]}]}}"#;
    assert!(Message::decode(newer).is_err(), "a rule that is not understood is not passed over");
}
