//! The agent's end of TCS: tells at the beginning whether its engine answers, publishes metrics every 20 s, which keeps the
//! socket open, and the health that changed when it does. Each frame is signed.

use std::time::Duration;

use agent_protocol::tcs::{self, Frame, Message};
use futures_util::StreamExt;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{
    Link, acs,
    health::Told,
    socket::{self, End, STEADY, Socket, Target},
};
use crate::{
    api::{self, BackOff},
    metrics::Sampler,
};

/// Most tasks in one message, as Amazon's agent has it.
const TASKS_PER_MESSAGE: usize = 10;
/// How long a verdict that has changed waits for others, so that what changes together is told together.
const GATHER: Duration = Duration::from_millis(50);

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
        link.host.api.rest(back_off.wait()).await;
    }
}

async fn connect(link: &Link) -> Result<(Target, Socket), socket::Error> {
    let endpoint = acs::endpoints(link).await?.telemetry_endpoint.unwrap_or_default();
    let target = Target::new(&endpoint, link.hello().tcs_query())?;
    let socket = target.dial(&link.host.api).await?;
    Ok((target, socket))
}

async fn session(link: &Link, target: &Target, mut socket: Socket, sampler: &mut Sampler) -> End {
    let timers = &link.host.timers;
    let expires = socket::expires(timers);
    let mut publish = interval(timers.publish_interval);
    publish.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard_at = Instant::now();
    let (mut told, mut tell_at) = (Told::default(), None);
    let status = runtime_status(link).await;
    if let Err(end) = send_all(link, target, &mut socket, [status]).await {
        return end;
    }
    loop {
        let gathered = async move {
            match tell_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let outcome = tokio::select! {
            heard = socket.next() => socket::text(heard).map(|text| {
                let Some(Ok(message)) = text.map(|text| Message::decode(&text)) else { return };
                heard_at = Instant::now();
                if is_refusal(&message) {
                    tracing::debug!(?message, "something is not taken; all health is told again");
                    told = Told::default();
                }
            }),
            _ = publish.tick() => {
                let all = metrics(link, &sampler.take()).into_iter().chain(health(link, &mut told));
                send_all(link, target, &mut socket, all).await
            }
            () = link.host.health_changed.notified() => {
                tell_at.get_or_insert_with(|| Instant::now() + GATHER);
                Ok(())
            }
            () = gathered => {
                tell_at = None;
                send_all(link, target, &mut socket, health(link, &mut told)).await
            }
            () = sampler.sample() => Ok(()),
            end = socket::over(timers, heard_at, expires) => Err(end),
        };
        if let Err(end) = outcome {
            socket::close(socket).await;
            return end;
        }
    }
}

async fn send_all(
    link: &Link,
    target: &Target,
    socket: &mut Socket,
    messages: impl IntoIterator<Item = Message>,
) -> Result<(), End> {
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
        socket::send(socket, frame).await?;
    }
    Ok(())
}

/// Whether the engine answers.
async fn runtime_status(link: &Link) -> Message {
    let answer = link.host.engine.list().await;
    let now = Some(api::now());
    let status = if answer.is_ok() { "OK" } else { "IMPAIRED" };
    tcs::PublishInstanceStatusRequest {
        metadata: Some(tcs::InstanceStatusMetadata {
            cluster: Some(link.instance.cluster.clone()),
            container_instance: Some(link.instance.arn.clone()),
            request_id: Some(uuid::Uuid::new_v4().to_string()),
        }),
        statuses: vec![tcs::InstanceStatus {
            r#type: Some("ContainerRuntime".to_owned()),
            status: Some(status.to_owned()),
            status_reason: answer.err().map(|error| error.to_string()),
            last_updated: now,
            last_status_change: now,
        }],
        timestamp: now,
    }
    .into()
}

/// Whether the control plane says that it did not take something; of what, it does not say.
fn is_refusal(message: &Message) -> bool {
    matches!(
        message,
        Message::BadRequestException(_)
            | Message::InvalidParameterException(_)
            | Message::ResourceValidationException(_)
            | Message::ServerException(_)
    )
}

/// The messages for one period's metrics; one that says so where nothing runs.
fn metrics(link: &Link, tasks: &[tcs::TaskMetric]) -> Vec<Message> {
    let id = uuid::Uuid::new_v4().to_string();
    let message = |(task_metrics, fin): (&[tcs::TaskMetric], bool)| -> Message {
        tcs::PublishMetricsRequest {
            metadata: Some(tcs::MetricsMetadata {
                cluster: Some(link.instance.cluster.clone()),
                container_instance: Some(link.instance.arn.clone()),
                message_id: Some(id.clone()),
                idle: Some(task_metrics.is_empty()),
                fin: Some(fin),
            }),
            task_metrics: task_metrics.to_vec(),
            timestamp: Some(api::now()),
            ..Default::default()
        }
        .into()
    };
    if tasks.is_empty() { vec![message((tasks, true))] } else { parts(tasks).map(message).collect() }
}

/// The messages for the verdicts of health checks that are still to be told; none where there are none.
fn health(link: &Link, told: &mut Told) -> Vec<Message> {
    let tasks = told.news(link.host.snapshots());
    let id = uuid::Uuid::new_v4().to_string();
    let message = |(tasks, fin): (&[tcs::TaskHealth], bool)| -> Message {
        tcs::PublishHealthRequest {
            metadata: Some(tcs::HealthMetadata {
                cluster: Some(link.instance.cluster.clone()),
                container_instance: Some(link.instance.arn.clone()),
                message_id: Some(id.clone()),
                fin: Some(fin),
            }),
            tasks: tasks.to_vec(),
            timestamp: Some(api::now()),
        }
        .into()
    };
    parts(&tasks).map(message).collect()
}

/// What goes into one message each, and whether it is the last one.
fn parts<T>(tasks: &[T]) -> impl Iterator<Item = (&[T], bool)> {
    let last = tasks.len().div_ceil(TASKS_PER_MESSAGE).saturating_sub(1);
    tasks.chunks(TASKS_PER_MESSAGE).enumerate().map(move |(index, part)| (part, index == last))
}
