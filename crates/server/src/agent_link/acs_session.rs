//! One ACS socket: sends assignments, one task a message, and holds back the next when too many are not
//! acknowledged. What was not acknowledged is not kept here: the next session starts with the full set.

use std::{collections::VecDeque, time::Duration};

use agent_protocol::acs::{self, Message};
use futures_util::{SinkExt, StreamExt};
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_tungstenite::tungstenite::{
    self,
    protocol::{CloseFrame, frame::coding::CloseCode},
};
use tokio_util::sync::CancellationToken;

use super::{Assignment, Frames, Limits, Role, Session};
use crate::{runtime, world};

/// Why it ended, where nothing is wrong: deregistered, replaced by a newer socket, or the server stops.
pub(super) const ENDED_HERE: &str = "ended by the server";

/// The longest reason that fits into the frame that closes a socket, in bytes.
const MAX_REASON: usize = 123;

/// Why a socket ended, for the log.
pub(super) type End = String;

struct Link<'a, S> {
    socket: S,
    limits: &'a Limits,
    cluster_arn: String,
    instance_arn: String,
    /// Messages that wait for their acknowledgement, oldest first.
    unacked: VecDeque<(String, Instant)>,
    manifest_id: Option<String>,
    heard_at: Instant,
}

/// Serves the socket until either side ends it.
pub(super) async fn serve<S: Frames>(
    socket: S,
    mut session: Box<dyn Session>,
    limits: &Limits,
    end: CancellationToken,
) {
    let mut link = Link {
        socket,
        limits,
        cluster_arn: session.cluster_arn().to_owned(),
        instance_arn: session.instance_arn().to_owned(),
        unacked: VecDeque::new(),
        manifest_id: None,
        heard_at: Instant::now(),
    };
    let why = match link.run(session.as_mut(), end).await {
        Ok(()) => ENDED_HERE.to_owned(),
        Err(why) => why,
    };
    tracing::info!(instance = link.instance_arn, why, "ACS session ended");
    drop(session);
    close(&mut link.socket, &why).await;
}

impl<S: Frames> Link<'_, S> {
    async fn run(&mut self, session: &mut dyn Session, end: CancellationToken) -> Result<(), End> {
        self.manifest(session).await?;
        let mut heartbeat = heartbeat(self.limits.heartbeat);
        loop {
            let room = self.unacked.len() < self.limits.max_unacked;
            tokio::select! {
                // What is rare comes first, and what is heard last: assignments that nobody acknowledges end by themselves.
                biased;
                () = end.cancelled() => return Ok(()),
                _ = heartbeat.tick() => self.beat().await?,
                assignment = session.next(), if room => match assignment {
                    Some(assignment) => self.assign(session, assignment).await?,
                    None => return Ok(()),
                },
                frame = self.socket.next() => self.hear(session, frame).await?,
            }
        }
    }

    async fn send(&mut self, message: impl Into<Message>) -> Result<(), End> {
        send(&mut self.socket, message.into().encode(), self.limits).await
    }

    async fn beat(&mut self) -> Result<(), End> {
        if self.heard_at.elapsed() > self.limits.silence {
            return Err("the agent is silent".into());
        }
        if self.unacked.front().is_some_and(|(_, sent)| sent.elapsed() > self.limits.ack_timeout) {
            return Err("the agent does not acknowledge".into());
        }
        self.send(acs::HeartbeatMessage { healthy: Some(true), message_id: Some(message_id()) }).await
    }

    async fn assign(&mut self, session: &mut dyn Session, assignment: Assignment) -> Result<(), End> {
        match assignment {
            Assignment::Task { task, seq_num } => {
                let id = message_id();
                self.unacked.push_back((id.clone(), Instant::now()));
                self.send(acs::PayloadMessage {
                    cluster_arn: Some(self.cluster_arn.clone()),
                    container_instance_arn: Some(self.instance_arn.clone()),
                    message_id: Some(id),
                    generated_at: Some(now_ms()),
                    seq_num: Some(seq_num),
                    timeline: Some(seq_num),
                    tasks: vec![*task],
                })
                .await
            }
            Assignment::Vpc(message) => {
                let id = message_id();
                self.unacked.push_back((id.clone(), Instant::now()));
                self.send(acs::VpcMessage { message_id: Some(id), ..*message }).await
            }
            Assignment::Credentials { task_arn, role, credentials } => {
                let role_type = match role {
                    Role::Task => "TaskApplication",
                    Role::Execution => "TaskExecution",
                };
                self.send(acs::IAMRoleCredentialsMessage {
                    task_arn: Some(task_arn),
                    task_cluster_arn: Some(self.cluster_arn.clone()),
                    role_credentials: Some(*credentials),
                    role_type: Some(role_type.into()),
                    message_id: Some(message_id()),
                })
                .await
            }
            Assignment::Manifest => self.manifest(session).await,
        }
    }

    async fn manifest(&mut self, session: &mut dyn Session) -> Result<(), End> {
        let Some(manifest) = session.manifest().await else { return Ok(()) };
        let id = message_id();
        self.manifest_id = Some(id.clone());
        // Not waited for: an agent that has seen a newer one does not acknowledge it.
        self.send(acs::TaskManifestMessage {
            cluster_arn: Some(self.cluster_arn.clone()),
            container_instance_arn: Some(self.instance_arn.clone()),
            message_id: Some(id),
            generated_at: Some(now_ms()),
            timeline: Some(manifest.timeline),
            tasks: manifest.tasks,
        })
        .await
    }

    async fn hear(&mut self, session: &mut dyn Session, frame: Heard) -> Result<(), End> {
        let Some(text) = text(frame)? else {
            self.heard_at = Instant::now();
            return Ok(());
        };
        self.heard_at = Instant::now();
        match Message::decode(&text) {
            Ok(Message::AckRequest(ack)) => self.acknowledged(ack.message_id),
            Ok(Message::NackRequest(nack)) => {
                tracing::warn!(instance = self.instance_arn, reason = ?nack.reason, "the agent refused a message");
                self.acknowledged(nack.message_id);
            }
            Ok(Message::TaskStopVerificationMessage(message)) => self.verify(session, message).await?,
            Ok(Message::HeartbeatAckRequest(_) | Message::IAMRoleCredentialsAckRequest(_)) => {}
            Ok(other) => tracing::debug!(name = other.name(), "a message that no agent should send"),
            Err(agent_protocol::EnvelopeError::UnknownType(name)) => {
                tracing::debug!(name, "an unknown message")
            }
            Err(error) => return Err(format!("a frame that cannot be read: {error}")),
        }
        Ok(())
    }

    fn acknowledged(&mut self, id: Option<String>) {
        let Some(id) = id else { return };
        self.unacked.retain(|(unacked, _)| *unacked != id);
    }

    async fn verify(
        &mut self,
        session: &mut dyn Session,
        message: acs::TaskStopVerificationMessage,
    ) -> Result<(), End> {
        if message.message_id != self.manifest_id {
            return Ok(());
        }
        let stop_tasks = session.verify_stop(message.stop_candidates).await;
        self.send(acs::TaskStopVerificationAck {
            message_id: message.message_id,
            generated_at: Some(now_ms()),
            stop_tasks,
        })
        .await
    }
}

/// What reading a web socket answers.
type Heard = Option<Result<tungstenite::Message, tungstenite::Error>>;

/// The text of a frame; none for a frame that only keeps the socket alive.
pub(super) fn text(frame: Heard) -> Result<Option<tungstenite::Utf8Bytes>, End> {
    match frame {
        Some(Ok(tungstenite::Message::Text(text))) => Ok(Some(text)),
        Some(Ok(tungstenite::Message::Ping(_) | tungstenite::Message::Pong(_))) => Ok(None),
        Some(Ok(tungstenite::Message::Close(_))) | None => Err("closed by the agent".into()),
        Some(Ok(_)) => Err("a frame that is not text".into()),
        Some(Err(error)) => Err(error.to_string()),
    }
}

/// Sends one frame, within the time allowed for it.
pub(super) async fn send(socket: &mut impl Frames, frame: String, limits: &Limits) -> Result<(), End> {
    let sending = socket.send(tungstenite::Message::text(frame));
    match tokio::time::timeout(limits.send_timeout, sending).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the agent does not read".into()),
    }
}

/// Ends a socket with a code that agents take for an orderly end: they connect again at once. Without any,
/// they count it as a failure.
pub(super) async fn close(socket: &mut impl Frames, why: &str) {
    let reason = why.chars().filter(char::is_ascii).take(MAX_REASON).collect::<String>().into();
    let frame = CloseFrame { code: CloseCode::Away, reason };
    let closing = async {
        let _ = socket.send(tungstenite::Message::Close(Some(frame))).await;
        // A socket that is dropped with something unread in it is reset, and the frame may be lost.
        while let Some(Ok(_)) = socket.next().await {}
    };
    let _ = tokio::time::timeout(Duration::from_secs(1), closing).await;
}

/// Ticks from one period on; late ticks are not made up for.
pub(super) fn heartbeat(period: Duration) -> Interval {
    let mut interval = tokio::time::interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

pub(super) fn message_id() -> String {
    world::uuid().to_string()
}

fn now_ms() -> i64 {
    runtime::now().as_millis()
}
