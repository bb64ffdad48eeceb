//! The agent's end of ACS: takes assignments in, acknowledges what is on disk, and answers manifests with
//! the tasks that should perhaps not be here.

use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

use agent_protocol::acs::{self, Message};
use ecs_model as ecs;
use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::time::Instant;

use super::{
    Link,
    socket::{self, End, Heard, STEADY, Socket, Target},
    underlay,
};
use crate::{
    api::{self, BackOff},
    ledger::{self, AcsCursor},
    lower::vpc,
    task::{Known, id_in},
};

/// After the control plane said that the instance is deregistered.
const INACTIVE_WAIT: Duration = Duration::from_secs(3600);
/// Assignments that are being written down at once.
const MAX_WRITING: usize = 512;

/// Keeps the socket up.
pub(super) async fn run(link: Link) {
    let mut back_off = BackOff::new(Duration::from_millis(250), 1.5, Duration::from_secs(120));
    let mut cursor = link.host.ledger.acs().unwrap_or_default();
    let mut connected_once = false;
    loop {
        let began = Instant::now();
        let wait = match connect(&link, cursor, !connected_once).await {
            Ok((socket, address)) => {
                connected_once = true;
                let why = Session::new(&link, socket, &mut cursor, address).run().await;
                tracing::info!(why, "ACS connection ended");
                // A server that went away is asked soon again, but not in a tight loop.
                if began.elapsed() > STEADY {
                    back_off.reset();
                }
                back_off.wait()
            }
            Err(socket::Error::Inactive(text)) => {
                tracing::error!(text, "this instance was deregistered; asking again in an hour");
                link.deregistered.send_modify(|count| *count += 1);
                INACTIVE_WAIT
            }
            Err(error) => {
                let wait = back_off.wait();
                tracing::info!(%error, ?wait, "no ACS connection");
                wait
            }
        };
        link.host.api.look_again(wait).await;
    }
}

/// A socket, and where it was said that other hosts reach this one.
async fn connect(
    link: &Link,
    cursor: AcsCursor,
    send_credentials: bool,
) -> Result<(Socket, Option<Ipv4Addr>), socket::Error> {
    let endpoints = endpoints(link).await?;
    let endpoint = endpoints.endpoint.unwrap_or_default();
    let hello = link.hello();
    let address = match hello.knows_vpc {
        true => underlay::address(link.host.address, &endpoint).await,
        false => None,
    };
    let hello = acs::Connect { send_credentials, seq_num: cursor.seq_num.max(1), address, ..hello };
    let socket = Target::new(&endpoint, hello.acs_query())?.dial(&link.host.api).await?;
    tracing::info!(endpoint, ?address, "ACS connected");
    Ok((socket, address))
}

/// DiscoverPollEndpoint.
pub(super) async fn endpoints(link: &Link) -> Result<ecs::DiscoverPollEndpointResponse, socket::Error> {
    let request = ecs::DiscoverPollEndpointRequest {
        cluster: Some(link.instance.cluster.clone()),
        container_instance: Some(link.instance.arn.clone()),
    };
    let answer = link.host.api.call(api::ECS, "DiscoverPollEndpoint", &request).await;
    answer.map_err(|error| socket::Error::Transport(format!("DiscoverPollEndpoint: {error}")))
}

/// One connection.
struct Session<'a> {
    link: &'a Link,
    socket: Socket,
    cursor: &'a mut AcsCursor,
    /// The manifest whose verification is awaited.
    manifest_id: Option<String>,
    heard_at: Instant,
    /// What the control plane says of VPCs.
    vpcs: vpc::Session,
}

/// A payload whose tasks are on disk, or not.
type Written = (Option<String>, Result<(), ledger::Error>);

impl<'a> Session<'a> {
    fn new(
        link: &'a Link,
        socket: Socket,
        cursor: &'a mut AcsCursor,
        address: Option<Ipv4Addr>,
    ) -> Session<'a> {
        // A control plane that was restored from a backup counts on from there; and nothing comes late from
        // one connection to the next.
        cursor.timeline = None;
        Session {
            link,
            socket,
            cursor,
            manifest_id: None,
            heard_at: Instant::now(),
            vpcs: vpc::Session::new(address),
        }
    }

    async fn run(mut self) -> End {
        let timers = self.link.host.timers.clone();
        let expires = socket::expires(&timers);
        // Payloads are written side by side, so that they share an fsync.
        let mut writing = FuturesUnordered::new();
        let end = loop {
            let outcome = tokio::select! {
                heard = self.socket.next(), if writing.len() < MAX_WRITING => match self.hear(heard).await {
                    Ok(Some(payload)) => {
                        writing.push(self.take(payload));
                        Ok(())
                    }
                    Ok(None) => Ok(()),
                    Err(end) => Err(end),
                },
                Some(written) = writing.next() => self.written(written).await,
                end = socket::over(&timers, self.heard_at, expires) => Err(end),
            };
            if let Err(end) = outcome {
                break end;
            }
        };
        if let Err(error) = self.link.host.ledger.set_acs(*self.cursor).await {
            tracing::warn!(%error, "the ledger cannot be written");
        }
        socket::close(self.socket).await;
        end
    }

    /// Answers a payload that is to be taken in.
    async fn hear(&mut self, heard: Heard) -> Result<Option<acs::PayloadMessage>, End> {
        let Some(text) = socket::text(heard)? else { return Ok(None) };
        let message = match Message::decode(&text) {
            Ok(message) => message,
            Err(error) => {
                // Unknown types do not count as a sign of life.
                tracing::warn!(%error, "a message that cannot be read");
                return Ok(None);
            }
        };
        self.heard_at = Instant::now();
        match message {
            Message::HeartbeatMessage(beat) => {
                self.send(acs::HeartbeatAckRequest { message_id: beat.message_id }).await?;
            }
            Message::PayloadMessage(payload) => return Ok(complete(payload)),
            Message::TaskManifestMessage(manifest) => self.manifest(manifest).await?,
            Message::TaskStopVerificationAck(ack) => self.verified(ack),
            Message::IAMRoleCredentialsMessage(message) => self.credentials(message).await?,
            Message::VpcMessage(message) => self.vpc(message).await?,
            other => tracing::warn!(name = other.name(), "a message that this agent does not act on"),
        }
        Ok(None)
    }

    /// Takes the payload's tasks in, those to be stopped first.
    fn take(&mut self, payload: acs::PayloadMessage) -> impl Future<Output = Written> + use<> {
        self.cursor.seq_num = self.cursor.seq_num.max(payload.seq_num.unwrap_or(0));
        let host = self.link.host.clone();
        let cluster_arn = payload.cluster_arn;
        async move {
            let (stop, run): (Vec<_>, Vec<_>) =
                payload.tasks.into_iter().partition(|t| t.desired_status.as_deref() == Some("STOPPED"));
            let mut outcome = Ok(());
            for mut task in stop.into_iter().chain(run) {
                // What the frame says for all its tasks.
                task.task_cluster_arn = task.task_cluster_arn.or_else(|| cluster_arn.clone());
                outcome = outcome.and(host.assign(task).await);
            }
            (payload.message_id, outcome)
        }
    }

    async fn written(&mut self, (message_id, outcome): Written) -> Result<(), End> {
        match outcome {
            Ok(()) => self.ack(message_id).await,
            Err(error) => {
                // No acknowledgement: the control plane sends it again.
                tracing::error!(%error, "an assignment cannot be written down");
                Ok(())
            }
        }
    }

    async fn ack(&mut self, message_id: Option<String>) -> Result<(), End> {
        self.send(acs::AckRequest {
            cluster: Some(self.link.instance.cluster.clone()),
            container_instance: Some(self.link.instance.arn.clone()),
            message_id,
        })
        .await
    }

    async fn send(&mut self, message: impl Into<Message>) -> Result<(), End> {
        socket::send(&mut self.socket, message.into().encode()).await
    }

    async fn manifest(&mut self, manifest: acs::TaskManifestMessage) -> Result<(), End> {
        let timeline = manifest.timeline.unwrap_or(0);
        if self.cursor.timeline.is_some_and(|seen| timeline <= seen) {
            return Ok(());
        }
        let seen = AcsCursor { timeline: Some(timeline), ..*self.cursor };
        if let Err(error) = self.link.host.ledger.set_acs(seen).await {
            tracing::error!(%error, "a manifest cannot be written down");
            return Ok(());
        }
        *self.cursor = seen;
        self.ack(manifest.message_id.clone()).await?;
        let stop_candidates = self.candidates(&manifest.tasks);
        if stop_candidates.is_empty() {
            return Ok(());
        }
        self.manifest_id = manifest.message_id.clone();
        self.send(acs::TaskStopVerificationMessage { message_id: manifest.message_id, stop_candidates }).await
    }

    /// Tasks that live here, but not in the manifest.
    fn candidates(&self, listed: &[acs::TaskIdentifier]) -> Vec<acs::TaskIdentifier> {
        let wanted: BTreeMap<&str, bool> = listed
            .iter()
            .filter_map(|t| Some((t.task_arn.as_deref()?, t.desired_status.as_deref() == Some("RUNNING"))))
            .collect();
        let arn = |id: &str| {
            let (root, _) = self.link.instance.arn.rsplit_once('/').unwrap_or_default();
            format!("{}/{id}", root.replace(":container-instance/", ":task/"))
        };
        let held = self.link.host.held().into_iter().map(|id| (arn(&id), None));
        let here = self.link.host.snapshots();
        let here = here.into_iter().filter(|task| task.known < Known::Stopped && !task.stop);
        here.map(|task| (task.arn, Some(task.cluster_arn)))
            .chain(held)
            .filter(|(arn, _)| wanted.get(arn.as_str()) != Some(&true))
            .map(|(arn, cluster)| acs::TaskIdentifier {
                task_arn: Some(arn),
                task_cluster_arn: cluster,
                desired_status: Some("STOPPED".into()),
            })
            .collect()
    }

    fn verified(&mut self, ack: acs::TaskStopVerificationAck) {
        if ack.message_id.is_none() || ack.message_id != self.manifest_id {
            return;
        }
        for task in ack.stop_tasks {
            if let Some(id) = task.task_arn.as_deref().map(id_in) {
                tracing::warn!(task = id, "the control plane does not want this task; stopping it");
                self.link.host.stop(id);
            }
        }
    }

    /// Has the engine hold what is said, before whatever comes after it. What cannot be carried out, or comes after
    /// something that was lost, ends the session: the next begins with all of it.
    async fn vpc(&mut self, message: acs::VpcMessage) -> Result<(), End> {
        let message_id = message.message_id.clone();
        let held = match self.vpcs.hear(message) {
            Ok(Some(change)) => self.link.host.engine.change_network(change).await.map_err(|e| e.to_string()),
            Ok(None) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        let Err(reason) = held else { return self.ack(message_id).await };
        tracing::error!(
            reason,
            "what the control plane says of VPCs cannot be carried out; asking for all of it again"
        );
        self.send(acs::NackRequest {
            cluster: Some(self.link.instance.cluster.clone()),
            container_instance: Some(self.link.instance.arn.clone()),
            message_id,
            reason: Some(reason),
        })
        .await?;
        Err("a word of VPCs cannot be carried out".into())
    }

    /// Tasks have no credentials endpoint yet, so there is nobody to hand them to.
    async fn credentials(&mut self, message: acs::IAMRoleCredentialsMessage) -> Result<(), End> {
        let credentials = message.role_credentials.unwrap_or_default();
        self.send(acs::IAMRoleCredentialsAckRequest {
            message_id: message.message_id,
            expiration: credentials.expiration,
            credentials_id: credentials.credentials_id,
        })
        .await
    }
}

/// A payload without its ids is dropped, as the protocol has it.
fn complete(payload: acs::PayloadMessage) -> Option<acs::PayloadMessage> {
    let there = |id: &Option<String>| id.as_deref().is_some_and(|id| !id.is_empty());
    let ids = [&payload.message_id, &payload.cluster_arn, &payload.container_instance_arn];
    if !ids.into_iter().all(there) {
        tracing::warn!("a payload without its ids is dropped");
        return None;
    }
    Some(payload)
}
