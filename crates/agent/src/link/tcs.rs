//! The agent's end of TCS: publishes metrics and health every 20 s, and health as soon as it changes. Each
//! frame is signed.

use std::time::Duration;

use agent_protocol::tcs::{self, Frame, Message};
use futures_util::{SinkExt, StreamExt};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite;

use super::{
    Link, acs,
    socket::{self, Socket, Target},
};
use crate::{
    api::{self, BackOff, random_fraction},
    metrics::Sampler,
    task::Known,
};

/// Most tasks in one message.
const TASKS_PER_MESSAGE: usize = 10;
const SEND: Duration = Duration::from_secs(180);
const STEADY: Duration = Duration::from_secs(60);

/// Keeps the socket up.
pub(super) async fn run(link: Link) {
    let mut back_off = BackOff::new(Duration::from_secs(1), 2.0, Duration::from_secs(60));
    let mut sampler = Sampler::new(link.host.clone());
    loop {
        let began = Instant::now();
        match connect(&link).await {
            Ok((target, socket)) => {
                let why = session(&link, &target, socket, &mut sampler).await;
                tracing::debug!(why, "TCS connection ended");
                if began.elapsed() > STEADY {
                    back_off.reset();
                }
            }
            Err(error) => tracing::debug!(%error, "no TCS connection"),
        }
        tokio::time::sleep(back_off.wait()).await;
    }
}

async fn connect(link: &Link) -> Result<(Target, Socket), socket::Error> {
    let endpoint = acs::endpoints(link).await?.telemetry_endpoint.unwrap_or_default();
    let target = Target::new(&endpoint, link.hello().tcs_query())?;
    let socket = target.dial(&link.host.api).await?;
    Ok((target, socket))
}

async fn session(link: &Link, target: &Target, mut socket: Socket, sampler: &mut Sampler) -> String {
    let timers = &link.host.timers;
    let until = Instant::now() + timers.reconnect_after.mul_f64(1.0 + random_fraction() / 6.0);
    let mut publish = interval(timers.publish_interval);
    publish.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard_at = Instant::now();
    loop {
        let outcome = tokio::select! {
            frame = socket.next() => match frame {
                Some(Ok(tungstenite::Message::Text(text))) => {
                    if Message::decode(&text).is_ok() {
                        heard_at = Instant::now();
                    }
                    Ok(())
                }
                Some(Ok(tungstenite::Message::Close(_))) | None => Err("closed by the server".into()),
                Some(Ok(_)) => Ok(()),
                Some(Err(error)) => Err(error.to_string()),
            },
            _ = publish.tick() => {
                let all = metrics(link, sampler.take()).into_iter().chain(health(link));
                send_all(link, target, &mut socket, all).await
            }
            () = link.host.health_changed.notified() => send_all(link, target, &mut socket, health(link)).await,
            () = sampler.sample() => Ok(()),
            () = tokio::time::sleep_until(heard_at + timers.heartbeat_timeout) => Err("the server is silent".into()),
            () = tokio::time::sleep_until(until) => Err("ConnectionExpired: Reconnect to continue".into()),
        };
        if let Err(end) = outcome {
            // Best effort: the server may be gone.
            let _ = timeout(Duration::from_secs(1), socket.close(None)).await;
            return end;
        }
    }
}

async fn send_all(
    link: &Link,
    target: &Target,
    socket: &mut Socket,
    messages: impl IntoIterator<Item = Message>,
) -> Result<(), String> {
    for message in messages {
        let body = message.encode();
        let headers = target.sign(&link.host.api, body.as_bytes()).map_err(|error| error.to_string())?;
        let mut lines = Vec::new();
        for (name, shown) in [
            ("authorization", "Authorization"),
            ("host", "Host"),
            ("x-amz-date", "X-Amz-Date"),
            ("x-amz-security-token", "X-Amz-Security-Token"),
        ] {
            if let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) {
                lines.push((shown, value));
            }
        }
        let frame = Frame { headers: lines, body: &body }.write();
        match timeout(SEND, socket.send(tungstenite::Message::text(frame))).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err("the server does not read".into()),
        }
    }
    Ok(())
}

/// The messages for one period's metrics.
fn metrics(link: &Link, tasks: Vec<tcs::TaskMetric>) -> Vec<Message> {
    let id = uuid::Uuid::new_v4().to_string();
    let message = |task_metrics: Vec<tcs::TaskMetric>, idle: bool, fin: bool| -> Message {
        tcs::PublishMetricsRequest {
            metadata: Some(tcs::MetricsMetadata {
                cluster: Some(link.instance.cluster.clone()),
                container_instance: Some(link.instance.arn.clone()),
                message_id: Some(id.clone()),
                idle: Some(idle),
                fin: Some(fin),
            }),
            task_metrics,
            timestamp: Some(api::now()),
            ..Default::default()
        }
        .into()
    };
    if tasks.is_empty() {
        return vec![message(Vec::new(), true, true)];
    }
    let parts: Vec<Vec<_>> = tasks.chunks(TASKS_PER_MESSAGE).map(<[_]>::to_vec).collect();
    let last = parts.len() - 1;
    parts.into_iter().enumerate().map(|(index, part)| message(part, false, index == last)).collect()
}

/// The messages for the verdicts of health checks; none where there are no checks.
fn health(link: &Link) -> Vec<Message> {
    let tasks: Vec<tcs::TaskHealth> = link
        .host
        .snapshots()
        .into_iter()
        .filter(|t| t.known < Known::Stopped)
        .filter_map(task_health)
        .collect();
    let last = tasks.len().div_ceil(TASKS_PER_MESSAGE).saturating_sub(1);
    let id = uuid::Uuid::new_v4().to_string();
    let message = |(index, part): (usize, &[tcs::TaskHealth])| -> Message {
        tcs::PublishHealthRequest {
            metadata: Some(tcs::HealthMetadata {
                cluster: Some(link.instance.cluster.clone()),
                container_instance: Some(link.instance.arn.clone()),
                message_id: Some(id.clone()),
                fin: Some(index == last),
            }),
            tasks: part.to_vec(),
            timestamp: Some(api::now()),
        }
        .into()
    };
    tasks.chunks(TASKS_PER_MESSAGE).enumerate().map(message).collect()
}

fn task_health(task: crate::host::Snapshot) -> Option<tcs::TaskHealth> {
    let containers: Vec<tcs::ContainerHealth> = task
        .containers
        .into_iter()
        .filter_map(|container| {
            let (status, since_ms, output) = container.health?;
            Some(tcs::ContainerHealth {
                container_name: Some(container.id.name),
                health_status: Some(status.as_str().to_owned()),
                status_since: Some(wire::Timestamp(since_ms)),
                status_message: Some(output).filter(|output| !output.is_empty()),
            })
        })
        .collect();
    let found = !containers.is_empty();
    found.then_some(tcs::TaskHealth {
        task_arn: Some(task.arn),
        cluster_arn: Some(task.cluster_arn),
        task_definition_family: Some(task.family),
        task_definition_version: Some(task.version),
        containers,
    })
}
