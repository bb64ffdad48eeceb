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
    };
    assert_eq!(Connect::parse(&connect.acs_query()), connect);
    let tcs = Connect::parse(&connect.tcs_query());
    assert_eq!(tcs.cluster, connect.cluster);
    assert_eq!(tcs.docker_version, connect.docker_version);
    assert_eq!(Connect::parse("%%%&&=&seqNum=x").seq_num, 0);
}
