//! A control plane played by the test: the agent's API calls, CloudWatch Logs, and both web sockets.
//! Everything it hears is kept, in order.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use agent_protocol::{acs, tcs};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc, task::AbortHandle};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, handshake::derive_accept_key, protocol::Role},
};

pub const CLUSTER_ARN: &str = "arn:aws:ecs:us-east-1:000000000000:cluster/default";
pub const INSTANCE_ARN: &str = "arn:aws:ecs:us-east-1:000000000000:container-instance/default/0123";

#[derive(Default)]
pub struct Heard {
    /// (operation, input)
    pub calls: Vec<(String, Value)>,
    /// (operation or path of a web socket, access key that signed it)
    pub signers: Vec<(String, String)>,
    pub acs: Vec<acs::Message>,
    pub tcs: Vec<tcs::Message>,
    /// ACS connections that were refused.
    pub refused_acs: usize,
    /// Query strings of ACS connections.
    pub connections: Vec<String>,
    /// Log streams and their lines.
    pub streams: BTreeMap<(String, String), Vec<String>>,
    pub groups: Vec<String>,
}

/// Survives its own "death": what it heard stays, and it can come back at the same address.
pub struct FakeServer {
    pub address: SocketAddr,
    pub heard: Arc<Mutex<Heard>>,
    /// To the newest ACS connection.
    to_agent: Arc<Mutex<Option<mpsc::UnboundedSender<String>>>>,
    running: Mutex<Vec<AbortHandle>>,
    connections: Arc<Mutex<Vec<AbortHandle>>>,
    /// What an ACS connection is refused with.
    pub refuse_acs: Arc<Mutex<Option<String>>>,
    /// (operation or type of a TCS message, error): the next of each is refused so, though heard.
    pub refuse: Arc<Mutex<Vec<(&'static str, &'static str)>>>,
}

#[derive(Clone)]
struct Shared {
    address: SocketAddr,
    heard: Arc<Mutex<Heard>>,
    to_agent: Arc<Mutex<Option<mpsc::UnboundedSender<String>>>>,
    connections: Arc<Mutex<Vec<AbortHandle>>>,
    refuse_acs: Arc<Mutex<Option<String>>>,
    refuse: Arc<Mutex<Vec<(&'static str, &'static str)>>>,
}

impl Shared {
    /// What the next of that name is refused with.
    fn refusal(&self, name: &str) -> Option<&'static str> {
        let mut refuse = self.refuse.lock();
        refuse.iter().position(|(of, _)| *of == name).map(|at| refuse.remove(at).1)
    }
}

impl FakeServer {
    pub async fn new() -> FakeServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = FakeServer {
            address: listener.local_addr().unwrap(),
            heard: Arc::default(),
            to_agent: Arc::default(),
            running: Mutex::default(),
            connections: Arc::default(),
            refuse_acs: Arc::default(),
            refuse: Arc::default(),
        };
        server.heard.lock().groups.push("g".into());
        server.serve(listener);
        server
    }

    fn serve(&self, listener: TcpListener) {
        let shared = Shared {
            address: self.address,
            heard: self.heard.clone(),
            to_agent: self.to_agent.clone(),
            connections: self.connections.clone(),
            refuse_acs: self.refuse_acs.clone(),
            refuse: self.refuse.clone(),
        };
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (shared, of_connection) = (shared.clone(), shared.clone());
                let service = hyper::service::service_fn(move |request| answer(shared.clone(), request));
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .with_upgrades();
                let task = tokio::spawn(async move {
                    let _ = connection.await;
                });
                of_connection.connections.lock().push(task.abort_handle());
            }
        });
        self.running.lock().push(accepting.abort_handle());
    }

    /// The process is gone, with all its connections.
    pub fn die(&self) {
        self.running.lock().drain(..).for_each(|task| task.abort());
        self.connections.lock().drain(..).for_each(|task| task.abort());
        *self.to_agent.lock() = None;
    }

    pub async fn come_back(&self) {
        let listener = eventually("the address is free", || {
            let listener = std::net::TcpListener::bind(self.address).ok()?;
            listener.set_nonblocking(true).ok()?;
            TcpListener::from_std(listener).ok()
        });
        self.serve(listener.await);
    }

    /// What is sent from now on waits for the next agent, also where the end of the last one's socket is yet to be seen.
    pub fn agent_left(&self) {
        *self.to_agent.lock() = None;
    }

    pub async fn send(&self, message: impl Into<acs::Message>) {
        let frame = message.into().encode();
        eventually("an agent is connected", || self.to_agent.lock().as_ref()?.send(frame.clone()).ok()).await;
    }

    pub async fn assign(&self, task: Value) {
        let id = uuid::Uuid::new_v4().to_string();
        let payload = json!({"clusterArn": CLUSTER_ARN, "containerInstanceArn": INSTANCE_ARN, "messageId": id,
            "generatedAt": 1, "seqNum": 7, "timeline": 7, "tasks": [task]});
        let payload: acs::PayloadMessage = serde_json::from_value(payload).unwrap();
        self.send(payload).await;
        self.until("the payload is acknowledged", |heard| {
            heard
                .acs
                .iter()
                .any(|m| matches!(m, acs::Message::AckRequest(a) if a.message_id.as_ref() == Some(&id)))
                .then_some(())
        })
        .await;
    }

    /// Waits for something heard.
    pub async fn until<T>(&self, what: &str, look: impl Fn(&Heard) -> Option<T>) -> T {
        eventually(what, || look(&self.heard.lock())).await
    }

    /// Waits for a task's report of that status.
    pub async fn report(&self, task: &str, status: &str) -> Value {
        self.until(&format!("{task} is reported {status}"), |heard| heard.report(task, status)).await
    }
}

impl Heard {
    pub fn reports(&self, task: &str) -> Vec<Value> {
        let calls = self.calls.iter().filter(|(operation, _)| operation == "SubmitTaskStateChange");
        calls
            .map(|(_, input)| input.clone())
            .filter(|i| i["task"].as_str().unwrap().ends_with(task))
            .collect()
    }

    pub fn report(&self, task: &str, status: &str) -> Option<Value> {
        self.reports(task).into_iter().rev().find(|report| report["status"] == status)
    }

    /// Each message about health: `task container verdict` of all in it.
    pub fn health(&self) -> Vec<Vec<String>> {
        let mut all = Vec::new();
        for message in &self.tcs {
            let tcs::Message::PublishHealthRequest(health) = message else { continue };
            let mut verdicts = Vec::new();
            for task in &health.tasks {
                let id = task.task_arn.as_ref().unwrap().rsplit('/').next().unwrap();
                for seen in &task.containers {
                    let (name, status) = (&seen.container_name, &seen.health_status);
                    verdicts.push(format!("{id} {} {}", name.as_ref().unwrap(), status.as_ref().unwrap()));
                }
            }
            all.push(verdicts);
        }
        all
    }

    /// How often metrics were heard.
    pub fn periods(&self) -> usize {
        self.tcs.iter().filter(|message| matches!(message, tcs::Message::PublishMetricsRequest(_))).count()
    }

    pub fn lines(&self, stream: &str) -> Vec<String> {
        self.streams.get(&("g".into(), stream.into())).cloned().unwrap_or_default()
    }
}

/// Waits until `look` finds something; fails after 20 s.
pub async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn answer(
    shared: Shared,
    mut request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let signature = request.headers()["authorization"].to_str().unwrap();
    let signer = signature.split_once("Credential=").and_then(|(_, rest)| rest.split('/').next());
    let signer = signer.unwrap().to_owned();
    match request.uri().path() {
        path @ ("/acs/ws" | "/tcs/ws") => {
            shared.heard.lock().signers.push((path.to_owned(), signer));
            Ok(upgrade(&shared, &mut request))
        }
        _ => {
            let target = request.headers()["x-amz-target"].to_str().unwrap().to_owned();
            let operation = target.rsplit('.').next().unwrap().to_owned();
            shared.heard.lock().signers.push((operation.clone(), signer));
            let body = request.into_body().collect().await?.to_bytes();
            Ok(call(&shared, &operation, serde_json::from_slice(&body).unwrap()))
        }
    }
}

fn call(shared: &Shared, operation: &str, input: Value) -> Response<Full<Bytes>> {
    let mut heard = shared.heard.lock();
    heard.calls.push((operation.to_owned(), input.clone()));
    let text = |name: &str| input[name].as_str().unwrap_or_default().to_owned();
    let stream = (text("logGroupName"), text("logStreamName"));
    let refused = shared.refusal(operation);
    let answer = match operation {
        _ if refused.is_some() => Err(refused.unwrap_or_default()),
        "RegisterContainerInstance" => Ok(json!({"containerInstance": {
            "containerInstanceArn": INSTANCE_ARN, "attributes": input["attributes"]}})),
        "DiscoverPollEndpoint" => Ok(json!({
            "endpoint": format!("http://{}/acs", shared.address),
            "telemetryEndpoint": format!("http://{}/tcs", shared.address)})),
        "SubmitTaskStateChange" => Ok(json!({"acknowledgment": "ok"})),
        "CreateLogGroup" => {
            heard.groups.push(stream.0);
            Ok(json!({}))
        }
        "CreateLogStream" if !heard.groups.contains(&stream.0) => Err("ResourceNotFoundException"),
        "CreateLogStream" => {
            heard.streams.entry(stream).or_default();
            Ok(json!({}))
        }
        "PutLogEvents" => match heard.streams.get_mut(&stream) {
            Some(lines) => {
                let events = input["logEvents"].as_array().unwrap();
                lines.extend(events.iter().map(|event| event["message"].as_str().unwrap().to_owned()));
                Ok(json!({}))
            }
            None => Err("ResourceNotFoundException"),
        },
        other => panic!("{other}"),
    };
    let (status, body) = match answer {
        Ok(body) => (StatusCode::OK, body),
        Err(code) => (StatusCode::BAD_REQUEST, json!({"__type": code, "message": "as the test has it"})),
    };
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    response
}

fn upgrade(shared: &Shared, request: &mut Request<Incoming>) -> Response<Full<Bytes>> {
    let acs = request.uri().path() == "/acs/ws";
    if acs {
        if let Some(refusal) = shared.refuse_acs.lock().clone() {
            shared.heard.lock().refused_acs += 1;
            let mut response = Response::new(Full::from(refusal));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            return response;
        }
        shared.heard.lock().connections.push(request.uri().query().unwrap().to_owned());
    }
    let key = derive_accept_key(request.headers()["sec-websocket-key"].as_bytes());
    let upgrading = hyper::upgrade::on(request);
    let of_socket = shared.clone();
    let task = tokio::spawn(async move {
        let Ok(upgraded) = upgrading.await else { return };
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        serve_socket(of_socket, socket, acs).await;
    });
    shared.connections.lock().push(task.abort_handle());
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-accept", key)
        .body(Full::default())
        .unwrap()
}

async fn serve_socket(
    shared: Shared,
    mut socket: WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>,
    acs: bool,
) {
    let (to_agent, mut outgoing) = mpsc::unbounded_channel();
    // Kept alive for TCS too, so that the channel stays open.
    let _hold = to_agent.clone();
    if acs {
        *shared.to_agent.lock() = Some(to_agent);
    }
    loop {
        tokio::select! {
            Some(frame) = outgoing.recv() => {
                if socket.send(tungstenite::Message::text(frame)).await.is_err() {
                    return;
                }
            }
            frame = socket.next() => match frame {
                Some(Ok(tungstenite::Message::Text(text))) if acs => {
                    let message = acs::Message::decode(&text).unwrap();
                    shared.heard.lock().acs.push(message);
                }
                Some(Ok(tungstenite::Message::Text(text))) => {
                    let frame = tcs::Frame::parse(&text).unwrap();
                    assert!(frame.header("authorization").is_some());
                    let message = tcs::Message::decode(frame.body).unwrap();
                    let refused = shared.refusal(message.name());
                    shared.heard.lock().tcs.push(message);
                    if let Some(error) = refused {
                        let answer = json!({"type": error, "message": {"message": "as the test has it"}});
                        let _ = socket.send(tungstenite::Message::text(answer.to_string())).await;
                    }
                }
                Some(Ok(_)) => {}
                _ => return,
            },
        }
    }
}
