//! One kept-alive connection to a control plane, and signed calls on it, one at a time.

use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use wire::sigv4::{self, Credentials};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where to, and as whom.
#[derive(clap::Args, Clone)]
pub struct Target {
    /// URL of the control plane
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL", default_value = "http://127.0.0.1:4566")]
    endpoint: String,
    /// Region that calls are signed for
    #[arg(long, value_name = "NAME", env = "AWS_REGION", default_value = "us-east-1")]
    region: String,
    /// Access key
    #[arg(long, env = "AWS_ACCESS_KEY_ID", default_value = "test")]
    access_key: String,
    /// Its secret
    #[arg(long, env = "AWS_SECRET_ACCESS_KEY", default_value = "test", hide_env_values = true)]
    secret_key: String,
}

/// A call that was answered with an error, and the answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}: {1}")]
pub struct Refused(pub http::StatusCode, pub String);

/// A connection.
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    region: String,
    credentials: Credentials,
}

async fn open(host: &str) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(host).await.with_context(|| format!("cannot connect to {host}"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        // Whoever waits for an answer hears of the end.
        let _ = connection.await;
    });
    Ok(sender)
}

impl Client {
    /// Connects.
    pub async fn connect(target: &Target) -> anyhow::Result<Client> {
        let host = target.endpoint.strip_prefix("http://").map(|host| host.trim_end_matches('/'));
        let Some(host) = host else { bail!("{} is no http:// URL", target.endpoint) };
        let sender = open(host).await?;
        let credentials = Credentials {
            access_key: target.access_key.clone(),
            secret: target.secret_key.clone(),
            token: None,
        };
        Ok(Client { sender, host: host.to_owned(), region: target.region.clone(), credentials })
    }

    /// The answer to one call; an error where the status is not 200.
    pub async fn call(&mut self, operation: &str, body: impl Into<Bytes>) -> anyhow::Result<Bytes> {
        let exchange = self.exchange(operation, body.into());
        tokio::time::timeout(PATIENCE, exchange).await.context("no answer in time")?
    }

    /// As [`Client::call`], from and to JSON.
    pub async fn json(&mut self, operation: &str, body: &Value) -> anyhow::Result<Value> {
        let answer = self.call(operation, body.to_string()).await?;
        Ok(serde_json::from_slice(&answer)?)
    }

    /// What answers JSON to JSON at a path of its own, signed for a service.
    pub async fn post(&mut self, path: &str, service: &str, body: &Value) -> anyhow::Result<Bytes> {
        let body = body.to_string();
        // It is a stream to who reads it there: its head says what it is.
        let mut headers = HeaderMap::new();
        let hash = sigv4::payload_hash(body.as_bytes());
        headers.insert("x-amz-content-sha256", HeaderValue::from_str(&hash)?);
        let post = self.send(path, service, headers, body.into());
        tokio::time::timeout(PATIENCE, post).await.context("no answer in time")?
    }

    async fn exchange(&mut self, operation: &str, body: Bytes) -> anyhow::Result<Bytes> {
        let target = format!("AmazonEC2ContainerServiceV20141113.{operation}");
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-target", HeaderValue::from_str(&target)?);
        self.send("/", "ecs", headers, body).await.with_context(|| operation.to_owned())
    }

    async fn send(
        &mut self,
        path: &str,
        service: &str,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> anyhow::Result<Bytes> {
        headers.insert(header::HOST, HeaderValue::from_str(&self.host)?);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
        let scope = (self.region.as_str(), service);
        sigv4::sign(("POST", path, ""), &mut headers, &body, &self.credentials, scope, agent::api::now())?;
        let mut request = Request::post(path).body(Full::from(body))?;
        *request.headers_mut() = headers;
        // Not every server keeps connections.
        if self.sender.ready().await.is_err() {
            self.sender = open(&self.host).await?;
        }
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            return Err(Refused(status, String::from_utf8_lossy(&body).into_owned()).into());
        }
        Ok(body)
    }
}
