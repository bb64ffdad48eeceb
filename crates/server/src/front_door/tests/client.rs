//! A small HTTP client that signs, so that tests can send what no library would.

use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wire::Timestamp;
use wire::sigv4::{Credentials, sign};

use super::NOW;

/// The target of `DescribeTasks`.
pub const TARGET: &str = "AmazonEC2ContainerServiceV20141113.DescribeTasks";

/// Whom every request is for.
pub const HOST: (&str, &str) = ("host", "localhost:4566");

/// Headers as they are sent.
pub fn pairs(headers: &[(String, String)]) -> Vec<(&str, &str)> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// A connection, and whom to sign as. One made by [`Client::with`] has no connection and only signs.
pub struct Client {
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
    credentials: Credentials,
    scope: (String, String),
    now: Timestamp,
}

/// A whole answer.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let client = Self::signing("AKID", "secret");
        Self { stream: Some(stream), ..client }
    }

    pub fn signing(access_key: &str, secret: &str) -> Self {
        let credentials = Credentials { access_key: access_key.into(), secret: secret.into(), token: None };
        let scope = ("us-east-1".to_owned(), "ecs".to_owned());
        Self { stream: None, buffer: Vec::new(), credentials, scope, now: NOW }
    }

    pub fn with(&self, access_key: &str, secret: &str) -> Self {
        Self::signing(access_key, secret)
    }

    pub fn token(mut self, token: &str) -> Self {
        self.credentials.token = Some(token.into());
        self
    }

    pub fn scope(mut self, region: &str, service: &str) -> Self {
        self.scope = (region.into(), service.into());
        self
    }

    pub fn at(mut self, now: Timestamp) -> Self {
        self.now = now;
        self
    }

    pub async fn ecs(&mut self, operation: &str, input: &Value) -> Answer {
        let target = format!("AmazonEC2ContainerServiceV20141113.{operation}");
        let signer = self.with("AKID", "secret");
        self.send_as(&signer, &target, input.to_string().as_bytes()).await
    }

    pub async fn send_as(&mut self, signer: &Client, target: &str, body: &[u8]) -> Answer {
        let headers = [("x-amz-target", target), ("content-type", "application/x-amz-json-1.1")];
        self.signed(signer, ("POST", "/", ""), &headers, body).await
    }

    pub async fn query_as(&mut self, signer: &Client, form: &str) -> Answer {
        let headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        self.signed(signer, ("POST", "/", ""), &headers, form.as_bytes()).await
    }

    pub async fn signed_get(&mut self, path: &str, query: &str, headers: &[(&str, &str)]) -> Answer {
        let signer = self.with("AKID", "secret");
        self.signed(&signer, ("GET", path, query), headers, b"").await
    }

    pub async fn signed_post(&mut self, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let signer = self.with("AKID", "secret");
        self.signed(&signer, ("POST", "/", ""), headers, body).await
    }

    pub async fn signed(
        &mut self,
        signer: &Client,
        target: (&str, &str, &str),
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let all = signer.signed_head(target, headers, body);
        let (method, path, query) = target;
        let url = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        self.raw(method, &url, &pairs(&all), body).await
    }

    /// These headers, signed; [`HOST`] is added unless there is one.
    pub fn signed_head(
        &self,
        target: (&str, &str, &str),
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Vec<(String, String)> {
        let mut all = HeaderMap::new();
        for (name, value) in [HOST].iter().chain(headers) {
            all.insert(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let scope = (self.scope.0.as_str(), self.scope.1.as_str());
        sign(target, &mut all, body, &self.credentials, scope, self.now).unwrap();
        all.iter().map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_owned())).collect()
    }

    /// Sends exactly these headers; a length is added unless there is one.
    pub async fn raw(&mut self, method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head = format!("{method} {url} HTTP/1.1\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !headers.iter().any(|(name, _)| *name == "content-length") {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        // A server that has refused already may not take all of it.
        let _ = self.stream.as_mut().unwrap().write_all(&bytes).await;
        self.answer().await
    }

    /// Reads the next answer.
    pub async fn answer(&mut self) -> Answer {
        loop {
            if let Some(answer) = self.parse() {
                return answer;
            }
            let read = self.stream.as_mut().unwrap().read_buf(&mut self.buffer).await.unwrap();
            assert!(read > 0, "the connection ended: {}", String::from_utf8_lossy(&self.buffer));
        }
    }

    /// Everything until the connection ends.
    pub async fn rest(&mut self) -> String {
        self.stream.as_mut().unwrap().read_to_end(&mut self.buffer).await.unwrap();
        String::from_utf8(std::mem::take(&mut self.buffer)).unwrap()
    }

    fn parse(&mut self) -> Option<Answer> {
        let text = std::str::from_utf8(&self.buffer).unwrap();
        let (head, rest) = text.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let length = headers.get("content-length").map_or(0, |v| v.to_str().unwrap().parse().unwrap());
        let body = rest.get(..length)?.to_owned();
        let used = head.len() + 4 + length;
        self.buffer.drain(..used);
        Some(Answer { status, headers, body })
    }
}
