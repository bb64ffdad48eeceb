//! An agent for each container instance, with both of its sockets: it acknowledges what it hears, says what it measures each 20
//! seconds, and reports the tasks that it is given. The sockets are in memory; their frames are real, of either side.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use agent_protocol::{
    acs::{self, Connect, Message},
    tcs::{self, Frame},
};
use anyhow::Context;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use server::{
    agent_link::{AgentLink, Limits},
    keys,
    services::ecs::ClusterHandle,
};
use tokio::{
    io::DuplexStream,
    task::JoinSet,
    time::{MissedTickBehavior, interval, interval_at, sleep},
};
use tokio_tungstenite::{WebSocketStream, tungstenite, tungstenite::protocol::Role};

use super::{
    CALLERS, agents, processor_time,
    world::{World, read, said},
};

/// Between two publications of an agent.
const PUBLISH: Duration = Duration::from_secs(20);
/// Agents have published, and been asked whether they are there, in this time.
const WARM_UP: Duration = Duration::from_secs(20);
/// For how long it is measured: some rounds of publications, and of heartbeats.
const MEASURED: Duration = Duration::from_secs(60);
/// Between two calls of RunTask meanwhile.
const RUN: Duration = Duration::from_millis(100);
/// Tasks of each.
const TASKS: usize = 10;
/// Bytes that are on their way in a socket.
const PIPE: usize = 64 << 10;

type Socket = WebSocketStream<DuplexStream>;

impl World {
    /// Connects them all; the processor time of both sides while tasks start.
    pub async fn links(&self) -> anyhow::Result<Value> {
        let link = Arc::new(AgentLink::new(self.homes().clone(), Default::default()));
        let instances: Vec<String> =
            self.cluster().read().state.instances().map(|row| row.id.to_string()).collect();
        let (began, count) = (Instant::now(), instances.len());
        let (mut connecting, mut working) = (JoinSet::new(), JoinSet::new());
        for (number, instance) in instances.into_iter().enumerate() {
            connecting.spawn(connect(link.clone(), instance));
            if connecting.len() >= CALLERS || number + 1 == count {
                while let Some(connected) = connecting.join_next().await {
                    let (acs, tcs) = connected??;
                    let offset = PUBLISH.mul_f64(working.len() as f64 / count as f64);
                    working.spawn(measures(tcs, offset));
                    working.spawn(obeys(acs, self.cluster().clone()));
                }
            }
        }
        let connected = began.elapsed().as_secs_f64();
        sleep(WARM_UP).await;
        let (before, began) = (processor_time()?, Instant::now());
        let mut run = interval(RUN);
        while began.elapsed() < MEASURED {
            run.tick().await;
            let request = read(json!({"taskDefinition": "web", "count": TASKS}))?;
            let start = |txn: &mut ecs::Txn| ecs::task::run::run_task(txn, request);
            self.cluster().execute("", start).await.map_err(said)?;
        }
        let (used, seconds) = (processor_time()? - before, began.elapsed().as_secs_f64());
        let running = self.cluster().read().state.totals().task_counts().0;
        anyhow::ensure!(running > 0 && working.try_join_next().is_none(), "all agents are connected");
        Ok(json!({
            "agents": count, "connected_seconds": connected, "tasks_per_second": f64::from(running) / seconds,
            "percent_of_a_core": 100.0 * used / seconds, "memory_mib": super::memory_mib()?,
        }))
    }
}

/// Both sockets of an agent.
async fn connect(link: Arc<AgentLink>, instance: String) -> anyhow::Result<(Socket, Socket)> {
    let caller = keys::administrator("aws", "000000000000", "");
    let place = ("000000000000".into(), "us-east-1".into());
    let hello = Connect {
        cluster: "scale".to_owned(),
        container_instance: instance,
        agent_version: "1".to_owned(),
        protocol_version: 2,
        seq_num: 1,
        ..Connect::default()
    };
    let socket = || async {
        let (here, there) = tokio::io::duplex(PIPE);
        let config = Some(Limits::default().sockets());
        let here = WebSocketStream::from_raw_socket(here, Role::Client, config).await;
        (here, async move { Some(WebSocketStream::from_raw_socket(there, Role::Server, config).await) })
    };
    let (acs, there) = socket().await;
    link.acs(hello.clone(), &caller, &place, "http://roadstead", there).await?;
    let (tcs, there) = socket().await;
    link.tcs(hello, &caller, &place, there).await?;
    Ok((acs, tcs))
}

async fn say(socket: &mut Socket, text: String) -> anyhow::Result<()> {
    Ok(socket.send(tungstenite::Message::text(text)).await?)
}

/// The ACS socket: acknowledges, and reports what it is given as RUNNING.
async fn obeys(mut socket: Socket, cluster: ClusterHandle) -> anyhow::Result<()> {
    loop {
        let heard = socket.next().await.context("the control plane goes on")??;
        let tungstenite::Message::Text(text) = heard else { continue };
        match Message::decode(&text)? {
            Message::HeartbeatMessage(beat) => {
                let ack = acs::HeartbeatAckRequest { message_id: beat.message_id };
                say(&mut socket, Message::from(ack).encode()).await?;
            }
            Message::PayloadMessage(payload) => {
                let ack = acs::AckRequest { message_id: payload.message_id, ..Default::default() };
                say(&mut socket, Message::from(ack).encode()).await?;
                let given = payload.tasks.into_iter().filter_map(|task| task.arn);
                agents::tell_all(&cluster, given.collect(), "RUNNING").await?;
            }
            Message::TaskManifestMessage(manifest) => {
                let ack = acs::AckRequest { message_id: manifest.message_id, ..Default::default() };
                say(&mut socket, Message::from(ack).encode()).await?;
            }
            _ => {}
        }
    }
}

/// The TCS socket: says what is measured.
async fn measures(mut socket: Socket, offset: Duration) -> anyhow::Result<()> {
    let mut publish = interval_at(tokio::time::Instant::now() + offset, PUBLISH);
    publish.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            heard = socket.next() => drop(heard.context("the control plane goes on")??),
            _ = publish.tick() => {
                let metadata = tcs::MetricsMetadata { idle: Some(true), fin: Some(true), ..Default::default() };
                let metrics = tcs::PublishMetricsRequest { metadata: Some(metadata), ..Default::default() };
                let body = tcs::Message::from(metrics).encode();
                say(&mut socket, Frame { headers: Vec::new(), body: &body }.write()).await?;
            }
        }
    }
}
