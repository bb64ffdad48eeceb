//! The front door on a real socket: who gets in, what is refused and how it is worded, and its limits.

mod client;
mod limits;
mod secure;
mod surfaces;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use ecs_model as ecs;
use http::{Response, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use wire::Timestamp;

use super::*;
use crate::{
    gate::{Asked, Built, Call, Caller, Gate, Rights, Role, Service, Support},
    keys::administrator,
    services::sts::Sts,
};
use client::{Answer, Client, HOST, TARGET, pairs};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// Stands for a service: tells what it was called with.
struct Echo(Arc<Kernel>);

static ECHO: Support = Support {
    built: &[
        Built::whole("DescribeTasks"),
        Built::whole("RunTask").refusing(&["referenceId", "overrides", "enableExecuteCommand"]),
        Built::whole("StopTask"),
        Built::whole("ListServices"),
    ],
    absent: &[],
};

#[async_trait]
impl Service for Echo {
    fn schema(&self) -> &'static wire::schema::Service {
        &ecs::SERVICE
    }

    fn support(&self) -> &'static Support {
        &ECHO
    }

    async fn call(&self, call: Call) -> Result<Bytes, wire::Error> {
        if call.operation.name == "StopTask" {
            self.0.begun.notify_one();
            if self.0.holds {
                self.0.go.notified().await;
            }
            return Err(ecs::errors::cluster_not_found("Cluster not found."));
        }
        assert_ne!(call.operation.name, "ListServices", "an assertion that breaks");
        let told = json!({
            "operation": call.operation.name, "input": call.input, "arn": &*call.caller.arn,
            "region": &*call.region, "now": call.now.as_millis(), "origin": call.origin.to_string(),
        });
        Ok(told.to_string().into())
    }
}

/// Admits nobody to keys that everybody knows, or everybody; counts how often it is asked. Holds StopTask until told.
#[derive(Default)]
struct Kernel {
    admits: bool,
    asked: std::sync::atomic::AtomicUsize,
    holds: bool,
    begun: tokio::sync::Notify,
    go: tokio::sync::Notify,
}

#[async_trait]
impl Peers for Kernel {
    async fn admit(&self, ends: &Ends) -> Result<(), String> {
        assert!(ends.peer.ip().is_loopback() && ends.cookie != 0);
        self.asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if self.admits { Ok(()) } else { Err("this connection belongs to user 65534".to_owned()) }
    }
}

/// Lets agents stop tasks.
struct Stops;

impl Rights for Stops {
    fn allow(&self, asked: &Asked) -> Result<(), wire::protocol::Denied> {
        if asked.action() == "ecs:StopTask" { Ok(()) } else { Err(asked.denied("*".to_owned())) }
    }
}

/// Keys `AKID` (long-lived), `KNOWN` (everybody knows it), `SESSION` (token `t`), `OVER` (ended), `ANY` (no secret), `AGENT` (no
/// administrator's).
struct Ring;

impl Keys for Ring {
    fn find(&self, access_key: &str) -> Option<Arc<Key>> {
        let (token, expires) = match access_key {
            "AKID" | "ANY" | "AGENT" | "KNOWN" | "ELSEWHERE" => (None, None),
            "SESSION" => (Some("t".to_owned()), Some(NOW.plus_millis(1))),
            "OVER" => (Some("t".to_owned()), Some(NOW)),
            _ => return None,
        };
        let role = if access_key == "AGENT" { Role::NewAgent } else { Role::User };
        let caller = Caller { role, ..administrator("aws", "000000000000", access_key) };
        let secret = (access_key != "ANY").then(|| "secret".to_owned());
        let known = matches!(access_key, "ANY" | "KNOWN");
        let region = (access_key == "ELSEWHERE").then(|| "eu-west-1".into());
        Some(Arc::new(Key { secret, session_token: token, expires, caller, known, region }))
    }
}

struct Takes;

#[async_trait]
impl Surface for Takes {
    fn sites(&self) -> Vec<Site> {
        vec![Site::Path("/acs")]
    }

    fn signed_for(&self) -> &str {
        "ecs"
    }

    async fn handle(&self, call: SurfaceCall) -> Response<ReplyBody> {
        tokio::spawn(async move {
            use tokio::io::AsyncWriteExt;
            let mut socket = hyper_util::rt::TokioIo::new(call.upgrade.unwrap().await.unwrap());
            socket.write_all(format!("hello {}", call.caller.access_key).as_bytes()).await.unwrap();
        });
        let mut response = Response::new(ReplyBody::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response.headers_mut().insert("connection", "Upgrade".parse().unwrap());
        response.headers_mut().insert("upgrade", "websocket".parse().unwrap());
        response
    }
}

/// A running front door; it ends with the test's process.
struct Running {
    address: std::net::SocketAddr,
    shutdown: CancellationToken,
    served: tokio::task::JoinHandle<()>,
}

fn config() -> Config {
    Config {
        regions: Regions::new("us-east-1", []),
        clock: || NOW,
        names: Names::new("127.0.0.1".parse().unwrap(), &[]),
        limits: Limits::default(),
    }
}

fn kernel(admits: bool) -> Arc<Kernel> {
    Arc::new(Kernel { admits, ..Default::default() })
}

async fn start(limits: Limits) -> Running {
    start_with(limits, kernel(true)).await
}

async fn start_with(limits: Limits, kernel: Arc<Kernel>) -> Running {
    start_surface(limits, kernel, Arc::new(Takes)).await
}

async fn start_surface(limits: Limits, kernel: Arc<Kernel>, surface: Arc<dyn Surface>) -> Running {
    let config = Config { limits, ..config() };
    let services: Vec<Arc<dyn Service>> = vec![Arc::new(Echo(kernel.clone())), Arc::new(Sts)];
    let gate = Arc::new(Gate::new(services, Arc::new(Stops)).unwrap());
    let door = FrontDoor::new(config, gate, Arc::new(Ring), kernel, vec![surface]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
    let served = tokio::spawn(Arc::new(door).serve(vec![listener.into()], shutdown.clone()));
    Running { address, shutdown, served }
}

fn refused(answer: &Answer) -> (u16, String, String) {
    let body = answer.json();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    assert_eq!(answer.header("x-amzn-errortype"), body["__type"].as_str());
    assert!(answer.header("x-amzn-requestid").is_some());
    (answer.status, text("__type"), text("message"))
}

#[tokio::test]
async fn a_signed_call_reaches_its_service() {
    let running = start(Limits::default()).await;
    let mut client = Client::connect(running.address).await;
    for _ in 0..3 {
        let answer = client.ecs("DescribeTasks", &json!({"tasks": ["a"], "include": null, "x": 1})).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.header("content-type"), Some("application/x-amz-json-1.1"));
        assert_eq!(answer.header("x-amzn-requestid").map(str::len), Some(36));
        assert!(answer.header("date").is_some());
        assert_eq!(
            answer.json(),
            json!({
                "operation": "DescribeTasks", "input": {"tasks": ["a"]}, "arn": "arn:aws:iam::000000000000:root",
                "region": "us-east-1", "now": NOW.as_millis(), "origin": "http://localhost:4566",
            })
        );
    }
}

#[test]
fn a_proxy_that_ends_tls_says_so() {
    for (forwarded, expected) in [
        (None, "http://ecs.corp:1"),
        (Some("https"), "https://ecs.corp:1"),
        (Some("HTTPS, http"), "https://ecs.corp:1"),
        (Some("http"), "http://ecs.corp:1"),
        (Some("gopher"), "http://ecs.corp:1"),
    ] {
        let mut headers = http::HeaderMap::new();
        headers.insert("host", http::HeaderValue::from_static("ecs.corp:1"));
        if let Some(forwarded) = forwarded {
            headers.insert("x-forwarded-proto", http::HeaderValue::from_static(forwarded));
        }
        let (mut parts, ()) = http::Request::new(()).into_parts();
        parts.headers = headers;
        assert_eq!(Origin::of(&parts).to_string(), expected, "{forwarded:?}");
    }
}

#[tokio::test]
async fn errors_of_a_service_are_rendered() {
    let running = start(Limits::default()).await;
    let mut client = Client::connect(running.address).await;
    let answer = client.ecs("StopTask", &json!({"task": "a"})).await;
    assert_eq!(refused(&answer), (400, "ClusterNotFoundException".into(), "Cluster not found.".into()));
}

#[tokio::test]
async fn a_call_that_breaks_an_assertion_fails_alone() {
    let running = start(Limits::default()).await;
    let mut client = Client::connect(running.address).await;
    for _ in 0..2 {
        let answer = client.ecs("ListServices", &json!({})).await;
        let told = "The call could not be carried out.".to_owned();
        assert_eq!(refused(&answer), (500, "InternalFailure".into(), told));
        // By the same connection.
        assert_eq!(client.ecs("DescribeTasks", &json!({"tasks": ["a"]})).await.status, 200);
    }
}

#[tokio::test]
async fn what_is_not_built_is_named() {
    let running = start(Limits::default()).await;
    let mut client = Client::connect(running.address).await;
    for (operation, input, code, message) in [
        (
            "ListTasks",
            json!({}),
            "UnknownOperationException",
            "ListTasks is not built in Roadstead yet: see docs/support.md",
        ),
        ("NoSuch", json!({}), "UnknownOperationException", "ECS has no operation NoSuch"),
        (
            "RunTask",
            json!({"taskDefinition": "a", "referenceId": "r"}),
            "UnsupportedFeatureException",
            "Roadstead does not support referenceId of RunTask yet: see docs/support.md",
        ),
        (
            "RunTask",
            json!({"count": 1}),
            "InvalidParameterException",
            "1 validation error detected: Value null at 'taskDefinition' failed to satisfy constraint: Member must \
             not be null",
        ),
        (
            "DescribeTasks",
            json!([]),
            "SerializationException",
            "Unrecognized collection type DescribeTasksRequest",
        ),
    ] {
        let answer = client.ecs(operation, &input).await;
        assert_eq!(refused(&answer), (400, code.into(), message.into()));
    }
    // What asks for nothing passes.
    let asks_nothing = json!({"taskDefinition": "a", "overrides": {"cpu": ""}, "enableExecuteCommand": false, "referenceId": null});
    assert_eq!(client.ecs("RunTask", &asks_nothing).await.status, 200);
    let empty = json!({"taskDefinition": "a", "referenceId": ""});
    assert_eq!(client.ecs("RunTask", &empty).await.status, 200);
}

#[tokio::test]
async fn nobody_gets_in_without_a_right_signature() {
    let running = start(Limits::default()).await;
    let mut client = Client::connect(running.address).await;
    let mismatch = "The request signature we calculated does not match the signature you provided. Check your AWS \
        Secret Access Key and signing method. Consult the service documentation for details.";
    let invalid = "The security token included in the request is invalid.";
    let cases: Vec<(&str, Client, &str, &str)> = vec![
        ("secret", client.with("AKID", "wrong"), "InvalidSignatureException", mismatch),
        ("key", client.with("NOBODY", "secret"), "UnrecognizedClientException", invalid),
        ("token missing", client.with("SESSION", "secret"), "UnrecognizedClientException", invalid),
        ("token wrong", client.with("SESSION", "secret").token("u"), "UnrecognizedClientException", invalid),
        ("token too many", client.with("AKID", "secret").token("t"), "UnrecognizedClientException", invalid),
        (
            "over",
            client.with("OVER", "secret").token("t"),
            "ExpiredTokenException",
            "The security token included in the request is expired",
        ),
        (
            "service",
            client.with("AKID", "secret").scope("us-east-1", "sts"),
            "InvalidSignatureException",
            "Credential should be scoped to correct service: 'ecs'. ",
        ),
        (
            "region",
            client.with("AKID", "secret").scope("eu-west-1", "ecs"),
            "InvalidSignatureException",
            "Credential should be scoped to a valid region. ",
        ),
        (
            "region of the key",
            client.with("ELSEWHERE", "secret"),
            "InvalidSignatureException",
            "Credential should be scoped to a valid region: the container instance of this key is in eu-west-1. ",
        ),
        (
            "old",
            client.with("AKID", "secret").at(NOW.plus_millis(-400_000)),
            "InvalidSignatureException",
            "Signature expired: 20231114T220640Z is now earlier than 20231114T220820Z (20231114T221320Z - 5 min.)",
        ),
    ];
    for (what, other, code, message) in cases {
        let answer = client.send_as(&other, TARGET, b"{\"tasks\":[]}").await;
        assert_eq!(refused(&answer), (400, code.into(), message.into()), "{what}");
    }
    let answer = client.raw("POST", "/", &[HOST, ("x-amz-target", TARGET)], b"{}").await;
    let missing = (400, "MissingAuthenticationTokenException".into(), "Missing Authentication Token".into());
    assert_eq!(refused(&answer), missing);
    let session = client.with("SESSION", "secret").token("t");
    assert_eq!(client.send_as(&session, TARGET, b"{\"tasks\":[]}").await.status, 200);
    // The mode that takes any key.
    let any = client.with("ANY", "whatever").scope("eu-west-1", "ecs").at(Timestamp(0));
    let answer = client.send_as(&any, TARGET, b"{\"tasks\":[]}").await;
    assert_eq!(answer.json()["region"], "us-east-1");
}

#[tokio::test]
async fn an_operation_that_is_not_signed_is_not_carried_out() {
    let running = start(Limits::default()).await;
    let mut client = Client::connect(running.address).await;
    // Signed without a target; whoever saw it adds one.
    let mut headers =
        client.signed_head(("POST", "/", ""), &[("content-type", "application/x-amz-json-1.1")], b"{}");
    headers.push(("x-amz-target".to_owned(), "AmazonEC2ContainerServiceV20141113.StopTask".to_owned()));
    let answer = client.raw("POST", "/", &pairs(&headers), b"{}").await;
    let text = "'x-amz-target' must be a 'SignedHeader' in the AWS Authorization.";
    assert_eq!(refused(&answer), (400, "InvalidSignatureException".into(), text.into()));
}

#[tokio::test]
async fn web_pages_and_foreign_names_are_refused_everywhere() {
    let running = start(Limits::default()).await;
    let page = |name, value| {
        let mut headers = vec![("host", "localhost:4566")];
        headers.retain(|(host, _)| *host != name);
        headers.push((name, value));
        headers
    };
    let foreign = [
        page("host", "evil.example:4566"),
        page("origin", "http://evil.example"),
        page("sec-fetch-site", "cross-site"),
    ];
    for headers in &foreign {
        for (method, path) in [("GET", "/health"), ("OPTIONS", "/"), ("POST", "/"), ("GET", "/?Action=X")] {
            let mut client = Client::connect(running.address).await;
            let answer = client.raw(method, path, headers, b"").await;
            assert_eq!(answer.status, 403, "{method} {path} {headers:?}");
            assert!(!answer.headers.keys().any(|name| name.as_str().starts_with("access-control-")));
        }
        // Signed, and as a web socket.
        let upgrade = [("upgrade", "websocket"), ("connection", "Upgrade")];
        let all: Vec<_> = headers.iter().chain(&upgrade).copied().collect();
        let mut client = Client::connect(running.address).await;
        let answer = client.signed_get("/acs/ws", "a=b", &all).await;
        assert_eq!((answer.status, &answer.json()["__type"]), (403, &json!("AccessDeniedException")));
        let mut client = Client::connect(running.address).await;
        let all: Vec<_> = headers.iter().chain(&[("x-amz-target", TARGET)]).copied().collect();
        let answer = client.signed_post(&all, b"{\"tasks\":[\"a\"]}").await;
        assert_eq!(refused(&answer).1, "AccessDeniedException", "{headers:?}");
        // Before a body is read: this one never comes.
        let mut client = Client::connect(running.address).await;
        let all: Vec<_> = headers.iter().chain(&[("content-length", "100000")]).copied().collect();
        assert_eq!(client.raw("POST", "/", &all, b"").await.status, 403);
    }
    for (headers, status) in [
        (vec![], 400),
        (vec![("host", "localhost"), ("host", "localhost")], 400),
        (page("origin", "http://localhost:4566"), 200),
        (page("sec-fetch-site", "none"), 200),
    ] {
        let mut client = Client::connect(running.address).await;
        assert_eq!(client.raw("GET", "/health", &headers, b"").await.status, status, "{headers:?}");
    }
}

#[tokio::test]
async fn a_key_that_everybody_knows_is_for_whom_the_kernel_vouches_for() {
    for admits in [true, false] {
        let kernel = kernel(admits);
        let running = start_with(Limits::default(), kernel.clone()).await;
        let mut client = Client::connect(running.address).await;
        let own = client.with("AKID", "secret");
        for key in ["KNOWN", "ANY", "KNOWN"] {
            let known = client.with(key, "secret");
            let answer = client.send_as(&known, TARGET, b"{\"tasks\":[\"a\"]}").await;
            if admits {
                assert_eq!(answer.status, 200, "{}", answer.body);
            } else {
                let (status, code, text) = refused(&answer);
                assert_eq!((status, &*code), (400, "UnrecognizedClientException"));
                assert!(
                    text.contains("this connection belongs to user 65534. Use a key pair of your own"),
                    "{text}"
                );
            }
            // Others are served all the same.
            assert_eq!(client.send_as(&own, TARGET, b"{\"tasks\":[\"a\"]}").await.status, 200);
        }
        assert_eq!(kernel.asked.load(std::sync::atomic::Ordering::Relaxed), 1, "once a connection");
    }
}

#[tokio::test]
async fn a_body_is_read_only_for_a_key_that_is_known_in_scope_and_in_time() {
    let running = start_with(Limits::default(), kernel(false)).await;
    let client = Client::connect(running.address).await;
    let json = ("content-type", "application/x-amz-json-1.1");
    let late = NOW.plus_millis(-400_000);
    for signer in [
        client.with("NOBODY", "secret"),
        client.with("SESSION", "secret"),
        client.with("OVER", "secret").token("t"),
        client.with("KNOWN", "secret"),
        client.with("ANY", "secret"),
        client.with("AKID", "secret").scope("us-east-1", "sts"),
        client.with("AKID", "secret").scope("eu-west-1", "ecs"),
        client.with("AKID", "secret").at(late),
    ] {
        let mut client = Client::connect(running.address).await;
        let mut head = signer.signed_head(("POST", "/", ""), &[json, ("x-amz-target", TARGET)], b"{}");
        // It never comes.
        head.push(("content-length".to_owned(), "100000".to_owned()));
        assert_eq!(client.raw("POST", "/", &pairs(&head), b"").await.status, 400);
    }
    // A length that is too large is refused at once, too.
    let mut client = Client::connect(running.address).await;
    let mut head = client.signed_head(("POST", "/", ""), &[json, ("x-amz-target", TARGET)], b"{}");
    head.push(("content-length".to_owned(), "100000000".to_owned()));
    assert_eq!(client.raw("POST", "/", &pairs(&head), b"").await.status, 413);
}

#[tokio::test]
async fn who_is_no_administrator_may_what_the_gate_is_told() {
    let running = start(Limits::default()).await;
    let mut client = Client::connect(running.address).await;
    let agent = client.with("AGENT", "secret");
    let target = |operation: &str| format!("AmazonEC2ContainerServiceV20141113.{operation}");
    let answer = client.send_as(&agent, &target("DescribeTasks"), b"{\"tasks\":[\"a\"]}").await;
    let text = "User: arn:aws:iam::000000000000:root is not authorized to perform: ecs:DescribeTasks on resource: * because \
                no identity-based policy allows the ecs:DescribeTasks action";
    assert_eq!(refused(&answer), (400, "AccessDeniedException".into(), text.into()));
    let answer = client.send_as(&agent, &target("StopTask"), b"{\"task\":\"a\"}").await;
    assert_eq!(refused(&answer).1, "ClusterNotFoundException");
    // As on AWS, everybody may ask who they are.
    let sts = agent.scope("eu-west-1", "sts");
    let answer = client.query_as(&sts, "Action=GetCallerIdentity&Version=2011-06-15").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn sts_speaks_query() {
    let running = start(Limits::default()).await;
    let mut client = Client::connect(running.address).await;
    let sts = client.with("AKID", "secret").scope("eu-west-1", "sts");
    let answer = client.query_as(&sts, "Action=GetCallerIdentity&Version=2011-06-15").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.body.contains("<Arn>arn:aws:iam::000000000000:root</Arn>"), "{}", answer.body);
    assert!(answer.body.contains("<Account>000000000000</Account>"), "{}", answer.body);
    let answer = client.query_as(&sts, "Action=AssumeRole&Version=2011-06-15").await;
    assert!(
        answer.body.contains("<Code>InvalidAction</Code><Message>AssumeRole is not built"),
        "{}",
        answer.body
    );
    let wrong = client.with("NOBODY", "secret").scope("us-east-1", "sts");
    let answer = client.query_as(&wrong, "Action=GetCallerIdentity&Version=2011-06-15").await;
    assert_eq!(answer.status, 403);
    assert!(answer.body.contains("<Code>InvalidClientTokenId</Code>"), "{}", answer.body);
}

#[tokio::test]
async fn a_service_that_is_not_there_is_named() {
    let running = start(Limits::default()).await;
    let mut client = Client::connect(running.address).await;
    let other = client.with("AKID", "secret").scope("us-east-1", "ssm");
    let answer = client.send_as(&other, "AmazonSSM.GetParameter", b"{}").await;
    let message = "Roadstead has no service ssm: see docs/support.md";
    assert_eq!(refused(&answer), (400, "UnknownOperationException".into(), message.into()));
    let answer = client.raw("GET", "/health", &[HOST], b"").await;
    assert_eq!((answer.status, answer.json()), (200, json!({"status": "ok"})));
}

/// Under the code that tools go on from, in the form that the service's SDK reads, and never as what would be tried again.
#[tokio::test]
async fn a_service_that_is_not_there_is_refused_in_its_own_protocol() {
    let running = start(Limits::default()).await;
    let mut client = Client::connect(running.address).await;
    let form = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
    for (service, target, header, status, marks) in [
        ("s3", ("GET", "/bucket", ""), None, 501, ["<Error><Code>NotImplemented</Code>", "<RequestId>"]),
        (
            "route53",
            ("GET", "/2013-04-01/hostedzone", ""),
            None,
            501,
            ["<Code>NotImplemented</Code>", "<RequestId>"],
        ),
        (
            "ec2",
            ("POST", "/", ""),
            Some(form),
            400,
            ["<Response><Errors><Error><Code>InvalidAction</Code>", "<RequestID>"],
        ),
        ("sns", ("POST", "/", ""), Some(form), 400, ["<ErrorResponse><Error>", "<Code>InvalidAction</Code>"]),
        ("lambda", ("GET", "/2015-03-31/functions", ""), None, 400, ["{\"message\":\"", "no service lambda"]),
    ] {
        let other = client.with("AKID", "secret").scope("us-east-1", service);
        let headers: Vec<(&str, &str)> = header.into_iter().collect();
        let answer = client.signed(&other, target, &headers, b"").await;
        assert_eq!(answer.status, status, "{service}: {}", answer.body);
        for mark in marks {
            assert!(answer.body.contains(mark), "{service}: {}", answer.body);
        }
        let code = (service == "lambda").then_some("UnknownOperationException");
        assert_eq!(answer.header("x-amzn-errortype"), code, "{service}");
        assert!(answer.header("x-amzn-requestid").is_some());
    }
}

#[tokio::test]
async fn web_sockets_are_handed_over() {
    let running = start(Limits::default()).await;
    let upgrade = [HOST, ("upgrade", "websocket"), ("connection", "Upgrade")];
    let mut client = Client::connect(running.address).await;
    let answer = client.raw("GET", "/acs/ws?a=b", &upgrade, b"").await;
    assert_eq!(
        (answer.status, &answer.json()["__type"]),
        (400, &json!("MissingAuthenticationTokenException"))
    );
    // A connection that asked for a web socket carries no other request.
    assert_eq!(client.rest().await, "");
    let mut client = Client::connect(running.address).await;
    let answer = client.signed_get("/acs/ws", "a=b&c=d%20e", &upgrade).await;
    assert_eq!(answer.status, 101);
    assert_eq!(client.rest().await, "hello AKID");
    // Beside its path it is a call like any other.
    let mut client = Client::connect(running.address).await;
    let answer = client.signed_get("/acsx", "", &upgrade).await;
    assert_eq!(answer.status, 400);
}
