//! An agent's two sockets: what it hears on them, and what it says.

use std::{collections::BTreeMap, time::Duration};

use ::agent::task::Known;
use agent_protocol::{
    acs::{self, Connect, Message},
    tcs,
};
use tokio::time::Instant;
use wire::Timestamp;

use super::{Agent, Done, Due};
use crate::{
    breaks::Break,
    network::connect,
    server::{CLUSTER, place},
};

/// Between publications. Real agents say something each 20 s, and control planes wait for three minutes.
const PUBLISH_MS: i64 = 60_000;
/// A control plane that says nothing this long is not there.
const SILENCE: Duration = Duration::from_secs(90);

impl Agent {
    fn hello(&self) -> Connect {
        Connect {
            cluster: CLUSTER.to_owned(),
            container_instance: self.instance.clone().unwrap_or_default(),
            agent_version: "1".to_owned(),
            protocol_version: 2,
            seq_num: self.cursor.seq_num.max(1),
            ..Connect::default()
        }
    }

    pub(super) fn connect_acs(&mut self) {
        let (world, node, hello) = (self.world.clone(), self.node, self.hello());
        let key = self.key.access_key_id.clone();
        self.jobs.spawn(async move {
            let open = |server: std::sync::Arc<crate::server::Server>, socket| async move {
                let caller = server.caller(&key).map_err(|error| super::link::denied(&error))?;
                let socket = std::future::ready(Some(socket));
                server.link.acs(hello, &caller, &place(), "http://roadstead", socket).await
            };
            Done::Acs(connect(&world, node, open).await)
        });
    }

    pub(super) fn connect_tcs(&mut self) {
        let (world, node, hello) = (self.world.clone(), self.node, self.hello());
        let key = self.key.access_key_id.clone();
        self.jobs.spawn(async move {
            let open = |server: std::sync::Arc<crate::server::Server>, socket| async move {
                let caller = server.caller(&key).map_err(|error| super::link::denied(&error))?;
                let socket = std::future::ready(Some(socket));
                server.link.tcs(hello, &caller, &place(), socket).await
            };
            Done::Tcs(connect(&world, node, open).await)
        });
    }

    pub(super) fn hear_acs(&mut self, text: Option<String>) {
        let Some(text) = text else {
            return self.lose_acs(50, 3_000);
        };
        self.heard_at = Instant::now();
        match Message::decode(&text) {
            Ok(Message::HeartbeatMessage(beat)) => {
                self.say(acs::HeartbeatAckRequest { message_id: beat.message_id });
            }
            Ok(Message::PayloadMessage(payload)) => {
                let mut assignments = Vec::new();
                for mut task in payload.tasks {
                    task.task_cluster_arn = task.task_cluster_arn.or_else(|| payload.cluster_arn.clone());
                    if self.world.has(Break::AssignmentsCopied) && self.world.percent(5) {
                        self.world.strays.lock().push((self.machine.number, task.clone()));
                    }
                    let is_daemon = task.family.as_deref().is_some_and(|family| family.ends_with("watch"));
                    let unheard =
                        self.world.has(Break::DaemonsUnheard) && is_daemon && self.world.percent(30);
                    if !(unheard || self.world.has(Break::AssignmentsDropped) && self.world.percent(5)) {
                        assignments.push(task);
                    }
                }
                self.take(payload.message_id, payload.seq_num.unwrap_or(0), assignments);
            }
            Ok(Message::TaskManifestMessage(manifest)) => self.write_manifest(manifest),
            Ok(Message::TaskStopVerificationAck(ack)) => {
                if ack.message_id.is_some() && ack.message_id == self.manifest {
                    for task in ack.stop_tasks {
                        let id = task.task_arn.as_deref().map(::agent::task::id_in).unwrap_or_default();
                        self.tell(id, ::agent::task::Fact::StopWanted);
                    }
                }
            }
            Ok(_) => {}
            Err(error) => self.world.fail(format!("a frame that no agent can read: {error}")),
        }
    }

    /// The socket is gone; another is to be had.
    pub(super) fn lose_acs(&mut self, low: i64, high: i64) {
        (self.acs, self.is_deaf) = (None, false);
        self.write_cursor();
        self.plan_in(low, high, Due::Acs);
    }

    /// Answers a manifest that is written down.
    pub(super) fn hear_manifest(&mut self, manifest: acs::TaskManifestMessage) {
        self.acknowledge(manifest.message_id.clone());
        let wanted: BTreeMap<&str, bool> = manifest
            .tasks
            .iter()
            .filter_map(|one| {
                Some((one.task_arn.as_deref()?, one.desired_status.as_deref() == Some("RUNNING")))
            })
            .collect();
        let here = self.tasks.values().filter(|one| one.state.known < Known::Stopped && !one.state.stop);
        let unwanted = here.filter(|one| wanted.get(one.task.arn.as_str()) != Some(&true));
        let candidates: Vec<acs::TaskIdentifier> = unwanted
            .map(|one| acs::TaskIdentifier {
                task_arn: Some(one.task.arn.clone()),
                task_cluster_arn: Some(one.task.cluster_arn.clone()),
                desired_status: Some("STOPPED".to_owned()),
            })
            .collect();
        if !candidates.is_empty() {
            self.manifest = manifest.message_id.clone();
            self.say(acs::TaskStopVerificationMessage {
                message_id: manifest.message_id,
                stop_candidates: candidates,
            });
        }
    }

    pub(super) fn acknowledge(&mut self, message_id: Option<String>) {
        self.say(acs::AckRequest {
            cluster: Some(CLUSTER.to_owned()),
            container_instance: self.instance.clone(),
            message_id,
        });
    }

    fn say(&mut self, message: impl Into<Message>) {
        if self.acs.as_mut().is_some_and(|socket| !socket.send(message.into().encode())) {
            self.lose_acs(50, 3_000);
        }
    }

    pub(super) fn hear_tcs(&mut self, text: Option<String>) {
        match text.map(|text| tcs::Message::decode(&text)) {
            None => {
                self.tcs = None;
                self.plan_in(1_000, 5_000, Due::Tcs);
            }
            // Something was not taken; of what, it does not say.
            Some(Ok(tcs::Message::ServerException(_))) => {
                self.told.clear();
                self.plan_in(PUBLISH_MS, PUBLISH_MS, Due::Health);
            }
            Some(_) => {}
        }
    }

    pub(super) fn publish(&mut self) {
        if self.acs.is_some() && self.heard_at.elapsed() > SILENCE {
            self.lose_acs(50, 3_000);
        }
        if self.tcs.is_none() {
            return;
        }
        let metadata = tcs::MetricsMetadata {
            cluster: Some(CLUSTER.to_owned()),
            container_instance: self.instance.clone(),
            message_id: Some("m".to_owned()),
            idle: Some(true),
            fin: Some(true),
        };
        self.signal(tcs::PublishMetricsRequest {
            metadata: Some(metadata),
            timestamp: Some(Timestamp(self.world.now_ms())),
            ..Default::default()
        });
        self.plan_in(PUBLISH_MS, PUBLISH_MS, Due::Publish);
    }

    /// Tells the verdicts of health checks that differ from those that were told.
    pub(super) fn tell_health(&mut self) {
        if self.tcs.is_none() {
            return;
        }
        let (mut news, before) = (Vec::new(), std::mem::take(&mut self.told));
        for actor in self.tasks.values().filter(|actor| actor.state.known < Known::Stopped) {
            let mut fresh = Vec::new();
            for (index, (container, state)) in
                actor.task.containers.iter().zip(&actor.state.containers).enumerate()
            {
                if container.health_check.is_none() {
                    continue;
                }
                let (id, status) = (actor.task.container_id(index), state.health.status);
                if before.get(&id) != Some(&status) {
                    fresh.push(tcs::ContainerHealth {
                        container_name: Some(container.name.clone()),
                        health_status: Some(status.as_str().to_owned()),
                        status_since: Some(Timestamp(state.health.since_ms)),
                        status_message: None,
                    });
                }
                self.told.insert(id, status);
            }
            if !fresh.is_empty() {
                news.push(tcs::TaskHealth {
                    task_arn: Some(actor.task.arn.clone()),
                    cluster_arn: Some(actor.task.cluster_arn.clone()),
                    task_definition_family: Some(actor.task.family.clone()),
                    task_definition_version: Some(actor.task.version.clone()),
                    containers: fresh,
                });
            }
        }
        for tasks in news.chunks(10) {
            let metadata = tcs::HealthMetadata {
                cluster: Some(CLUSTER.to_owned()),
                container_instance: self.instance.clone(),
                message_id: Some("h".to_owned()),
                fin: Some(true),
            };
            let timestamp = Some(Timestamp(self.world.now_ms()));
            self.signal(tcs::PublishHealthRequest {
                metadata: Some(metadata),
                tasks: tasks.to_vec(),
                timestamp,
            });
        }
    }

    fn signal(&mut self, message: impl Into<tcs::Message>) {
        let body = message.into().encode();
        let frame = tcs::Frame { headers: Vec::new(), body: &body }.write();
        if self.tcs.as_mut().is_some_and(|socket| !socket.send(frame)) {
            self.tcs = None;
            self.plan_in(1_000, 5_000, Due::Tcs);
        }
    }
}

/// As the front door refuses a socket by a key that it does not know.
fn denied(error: &wire::Error) -> server::agent_link::Refusal {
    let kind = server::agent_link::RefusalKind::AccessDenied;
    server::agent_link::Refusal { kind, message: error.message().to_owned() }
}
