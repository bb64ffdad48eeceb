//! Interfaces of tasks: their attachment is told, and what is said of VPCs is held.

use agent_protocol::acs;
use serde_json::{Value, json};

use crate::{World, app, stopped, task, with};

fn awsvpc(id: &str) -> Value {
    let interface = json!({
        "ec2Id": "eni-1", "macAddress": "0a:00:00:00:00:05", "attachmentArn": "arn:aws:ecs:r:a:attachment/1",
        "ipv4Addresses": [{"privateAddress": "10.0.1.5", "primary": true}],
        "subnetGatewayIpv4Address": "10.0.1.1/24", "privateDnsName": "ip-10-0-1-5.ec2.internal",
        "roadstead:vpc": {"vpcId": "vpc-1", "subnetId": "subnet-1", "blocks": ["10.0.0.0/16"], "groups": ["sg-1"]},
    });
    with(task(id, json!([app()])), json!({"networkMode": "awsvpc", "elasticNetworkInterfaces": [interface]}))
}

fn vpc(id: &str, sequence: u64, members: Value) -> acs::VpcMessage {
    let message: acs::VpcMessage = serde_json::from_value(members).unwrap();
    acs::VpcMessage { message_id: Some(id.to_owned()), sequence, ..message }
}

impl World {
    async fn answered(&self, id: &str) -> Result<(), String> {
        let answer = |message: &acs::Message| match message {
            acs::Message::AckRequest(ack) if ack.message_id.as_deref() == Some(id) => Some(Ok(())),
            acs::Message::NackRequest(nack) if nack.message_id.as_deref() == Some(id) => {
                Some(Err(nack.reason.clone().unwrap_or_default()))
            }
            _ => None,
        };
        self.server.until("it is answered", |heard| heard.acs.iter().find_map(answer)).await
    }
}

#[tokio::test]
async fn the_attachment_is_told_before_the_task_runs_and_once() {
    let mut w = World::new().await;
    w.server.assign(awsvpc("t1")).await;
    w.server.report("t1", "RUNNING").await;
    let reports = w.server.heard.lock().reports("t1");
    let attachments: Vec<usize> =
        (0..reports.len()).filter(|n| !reports[*n]["attachments"].is_null()).collect();
    let [at] = attachments[..] else { panic!("{reports:#?}") };
    let want = json!([{"attachmentArn": "arn:aws:ecs:r:a:attachment/1", "status": "ATTACHED"}]);
    assert_eq!(reports[at]["attachments"], want);
    assert!(reports[at]["status"].is_null() && reports[at]["containers"].is_null(), "no more than that");
    let running = reports.iter().position(|report| report["status"] == "RUNNING").unwrap();
    assert!(at < running, "{reports:#?}");
    w.is_written("attachment_told").await;
    w.kill_agent().await;
    w.start_agent();
    w.server.assign(stopped("t1")).await;
    w.server.report("t1", "STOPPED").await;
    let reports = w.server.heard.lock().reports("t1");
    assert_eq!(reports.iter().filter(|report| !report["attachments"].is_null()).count(), 1);
}

#[tokio::test]
async fn what_is_said_of_vpcs_is_held_before_it_is_acknowledged() {
    let w = World::new().await;
    let group = |id: &str| json!([{"id": id, "ingress": [], "egress": []}]);
    w.server.send(vpc("m1", 1, json!({"whole": true, "groups": group("sg-1")}))).await;
    assert_eq!(w.answered("m1").await, Ok(()));
    w.server.send(vpc("m2", 2, json!({"more": true, "groups": group("sg-2")}))).await;
    w.server.send(vpc("m3", 3, json!({"groups": group("sg-3")}))).await;
    assert_eq!(w.answered("m3").await, Ok(()));
    let log = || w.engine.log().into_iter().filter(|entry| entry.starts_with("network")).collect::<Vec<_>>();
    assert_eq!(log(), ["network whole=true sg-1", "network whole=false sg-2 sg-3"]);
    let connections = || w.server.heard.lock().connections.len();
    let before = connections();
    assert!(w.server.heard.lock().connections[0].contains("roadstead%3Avpc=true"));
    // What was lost, and what cannot be held, begins anew.
    w.server.send(vpc("m5", 5, json!({}))).await;
    assert!(w.answered("m5").await.unwrap_err().contains("came where 4 was due"));
    w.server.agent_left();
    crate::server_double::eventually("a new session", || (connections() > before).then_some(())).await;
    w.server.send(vpc("n1", 1, json!({"whole": true, "gone": ["sg-unbearable"]}))).await;
    assert!(w.answered("n1").await.unwrap_err().contains("does not take it"));
    w.server.agent_left();
    crate::server_double::eventually("another", || (connections() > before + 1).then_some(())).await;
    w.server.send(vpc("o1", 1, json!({"whole": true}))).await;
    assert_eq!(w.answered("o1").await, Ok(()));
}
