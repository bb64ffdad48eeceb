//! The agent as a whole, against a control plane and an engine that the tests play: real HTTP, real web
//! sockets, a real ledger on disk.

// The lint's exception for tests does not reach the helpers of an integration test.
#![allow(clippy::unwrap_used)]

#[path = "it/engine.rs"]
mod engine_double;
#[path = "it/server.rs"]
mod server_double;

#[path = "it/adoption.rs"]
mod adoption;
#[path = "it/broken.rs"]
mod broken;
#[path = "it/disk.rs"]
mod disk;
#[path = "it/health.rs"]
mod health;
#[path = "it/keys.rs"]
mod keys;
#[path = "it/life.rs"]
mod life;
#[path = "it/network.rs"]
mod network;
#[path = "it/output.rs"]
mod output;
#[path = "it/room.rs"]
mod room;

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use engine_double::FakeEngine;
use server_double::FakeServer;

/// A host with a control plane. The agent can be killed and started again.
struct World {
    server: FakeServer,
    engine: Arc<FakeEngine>,
    data: tempfile::TempDir,
    agent: Option<tokio::runtime::Runtime>,
    begins_anew: bool,
}

impl World {
    async fn new() -> World {
        let data = tempfile::tempdir().unwrap();
        let mut world = World {
            server: FakeServer::new().await,
            engine: FakeEngine::new(),
            data,
            agent: None,
            begins_anew: false,
        };
        world.start_agent();
        world
    }

    /// Waits until the ledger on disk holds this text.
    async fn is_written(&self, text: &str) {
        let log = self.data.path().join("ledger.db-wal");
        server_double::eventually("the ledger is written", || {
            let bytes = std::fs::read(&log).unwrap_or_default();
            bytes.windows(text.len()).any(|window| window == text.as_bytes()).then_some(())
        })
        .await;
    }

    fn start_agent(&mut self) {
        let timers = agent::Timers {
            container_report_delay: Duration::from_millis(50),
            output_flush: Duration::from_millis(20),
            publish_interval: Duration::from_millis(200),
            log_group_patience: Duration::from_millis(50),
            ..agent::Timers::default()
        };
        let config = agent::Config {
            availability_zone: None,
            endpoint: format!("http://{}", self.server.address),
            trust: Arc::new(agent::trust::Trust::of_host()),
            cluster: "default".into(),
            region: "us-east-1".into(),
            credentials: wire::sigv4::Credentials {
                access_key: "test".into(),
                secret: "test".into(),
                token: None,
            },
            data_dir: self.data.path().to_owned(),
            begins_anew: self.begins_anew,
            engine: self.engine.clone(),
            attributes: [("rack".to_string(), "7".to_string())].into(),
            capacity_provider: Some("blue".to_string()),
            fargate: false,
            isolation: engine::Isolation::Namespaces,
            resources: agent::Resources {
                cpu: 2048,
                memory_mib: 1000,
                reserved_ports_tcp: vec![22],
                reserved_ports_udp: vec![],
                gpus: Default::default(),
            },
            timers,
            address: None,
            dns_upstream: Vec::new(),
            image_pull: engine::PullBehavior::PreferCached,
            on_registered: None,
        };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(async move {
            let ended = agent::run(config, CancellationToken::new()).await;
            panic!("the agent ended: {ended:?}");
        });
        self.agent = Some(runtime);
    }

    /// As `kill -9`: everything of the agent ends where it stands.
    async fn kill_agent(&mut self) {
        let agent = self.agent.take().unwrap();
        tokio::task::spawn_blocking(move || agent.shutdown_timeout(Duration::from_secs(10))).await.unwrap();
        self.server.agent_left();
    }

    /// Runs a task of one container and waits until it is reported RUNNING.
    async fn run(&self, id: &str) {
        self.server.assign(task(id, json!([app()]))).await;
        self.server.report(id, "RUNNING").await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(agent) = self.agent.take() {
            agent.shutdown_background();
        }
    }
}

fn task(id: &str, containers: Value) -> Value {
    json!({
        "arn": format!("arn:aws:ecs:us-east-1:000000000000:task/default/{id}"),
        "taskClusterArn": server_double::CLUSTER_ARN, "desiredStatus": "RUNNING",
        "family": "web", "version": "3", "overrides": "{}", "containers": containers,
    })
}

fn stopped(id: &str) -> Value {
    let mut task = task(id, json!([app()]));
    task["desiredStatus"] = "STOPPED".into();
    task
}

fn app() -> Value {
    json!({"name": "app", "image": "busybox", "cpu": 10, "memory": 64, "essential": true})
}

fn with(mut container: Value, members: Value) -> Value {
    for (name, value) in members.as_object().unwrap() {
        container[name] = value.clone();
    }
    container
}
