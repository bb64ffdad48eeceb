//! One TCS socket: takes metrics and health in, acknowledges them, keeps the agent's timer at rest.

use agent_protocol::tcs::{self, Frame, Message};
use futures_util::StreamExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Frames, Limits, Refusal, Telemetry,
    acs_session::{ENDED_HERE, End, close, heartbeat, send, text},
};

/// Serves the socket until either side ends it.
pub(super) async fn serve(
    mut socket: impl Frames,
    mut telemetry: Box<dyn Telemetry>,
    limits: &Limits,
    end: CancellationToken,
) {
    let ended = run(&mut socket, telemetry.as_mut(), limits, end).await;
    let why = ended.err().unwrap_or_else(|| ENDED_HERE.to_owned());
    tracing::debug!(why, "TCS session ended");
    close(&mut socket, &why).await;
}

async fn run(
    socket: &mut impl Frames,
    telemetry: &mut dyn Telemetry,
    limits: &Limits,
    end: CancellationToken,
) -> Result<(), End> {
    let mut heartbeat = heartbeat(limits.heartbeat);
    let mut heard_at = Instant::now();
    loop {
        let answer = tokio::select! {
            biased;
            () = end.cancelled() => return Ok(()),
            _ = heartbeat.tick() => {
                // An agent publishes every 20 s, even when idle.
                if heard_at.elapsed() > limits.silence {
                    return Err("the agent is silent".into());
                }
                Some(tcs::HeartbeatMessage { healthy: Some(true) }.into())
            }
            frame = socket.next() => {
                let text = text(frame)?;
                heard_at = Instant::now();
                match text {
                    Some(text) => hear(telemetry, &text).await?,
                    None => None,
                }
            }
        };
        if let Some(answer) = answer {
            send(socket, Message::encode(&answer), limits).await?;
        }
    }
}

async fn hear(telemetry: &mut dyn Telemetry, text: &str) -> Result<Option<Message>, End> {
    let frame = Frame::parse(text).map_err(|error| error.to_string())?;
    let (heard, ack): (_, Message) = match Message::decode(frame.body) {
        Ok(Message::PublishMetricsRequest(metrics)) => {
            (telemetry.metrics(metrics).await, tcs::AckPublishMetric::default().into())
        }
        Ok(Message::PublishHealthRequest(health)) => {
            (telemetry.health(health).await, tcs::AckPublishHealth::default().into())
        }
        Ok(Message::PublishInstanceStatusRequest(status)) => {
            (telemetry.instance_status(status).await, tcs::AckPublishInstanceStatus::default().into())
        }
        Ok(_) | Err(agent_protocol::EnvelopeError::UnknownType(_)) => return Ok(None),
        Err(error) => return Err(format!("a frame that cannot be read: {error}")),
    };
    Ok(Some(match heard {
        Ok(()) => ack,
        Err(Refusal { message, .. }) => tcs::ServerException { message: Some(message) }.into(),
    }))
}
