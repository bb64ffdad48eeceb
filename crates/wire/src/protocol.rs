//! The wire protocols behind one seam: a [`Codec`] reads requests into JSON by the model and renders JSON back.
//! Handlers never see which protocol a client speaks. No I/O here; bodies come and go as whole byte strings.

mod json;
mod query;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use serde_json::Value;

use crate::Error;
use crate::schema::{Operation, Protocol, Service};

/// The deepest nesting of a body that is read.
pub const MAX_DEPTH: usize = 127;

/// A request as it came in, whole.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// HTTP method.
    pub method: &'a str,
    /// The query of the URL, without the question mark.
    pub query: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The body.
    pub body: &'a [u8],
}

/// A response, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers, without date and length.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: Bytes,
}

/// One wire protocol.
pub trait Codec: Sync {
    /// The operation that the request names. [`Error`] when it names none that the service's model knows.
    fn operation(&self, service: &'static Service, request: &Incoming) -> Result<&'static Operation, Error>;

    /// The input as JSON. Not yet validated.
    fn input(&self, operation: &'static Operation, request: &Incoming) -> Result<Value, Error>;

    /// Renders an output structure, given as JSON.
    fn response(
        &self,
        service: &'static Service,
        operation: &'static Operation,
        output: Bytes,
        request_id: &str,
    ) -> Result<Reply, Error>;

    /// Renders an error. Without a service the request could not be routed.
    fn error(&self, service: Option<&'static Service>, error: &Error, request_id: &str) -> Reply;
}

/// The codec of a protocol; `None` for those that no service here needs yet.
pub fn codec(protocol: Protocol) -> Option<&'static dyn Codec> {
    match protocol {
        Protocol::Json10 => Some(&json::JSON_1_0),
        Protocol::Json11 => Some(&json::JSON_1_1),
        Protocol::Query => Some(&query::Query),
        Protocol::Ec2Query | Protocol::RestJson | Protocol::RestXml | Protocol::Cbor => None,
    }
}

/// Which protocol a request is written in, as far as its head tells.
pub fn spoken(request: &Incoming) -> Protocol {
    let content_type = header(request.headers, "content-type");
    if content_type.starts_with("application/x-amz-json-1.0") {
        Protocol::Json10
    } else if content_type.starts_with("application/x-amz-json")
        || request.headers.contains_key("x-amz-target")
    {
        Protocol::Json11
    } else {
        Protocol::Query
    }
}

/// The protocol to answer a request to `service` in: what it speaks, if the service speaks that too, else
/// the service's own first.
pub fn pick(service: &Service, request: &Incoming) -> Protocol {
    let spoken = spoken(request);
    if service.protocols.contains(&spoken) {
        return spoken;
    }
    // JSON 1.0 and 1.1 differ in nothing that a request shows but the content type.
    let json = service.protocols.iter().find(|own| matches!(own, Protocol::Json10 | Protocol::Json11));
    match (spoken, json) {
        (Protocol::Json10 | Protocol::Json11, Some(own)) => *own,
        _ => service.protocols.first().copied().unwrap_or(spoken),
    }
}

/// The service and operation that `X-Amz-Target` names: what stands before and after the last dot.
pub fn target(headers: &HeaderMap) -> Option<(&str, &str)> {
    header(headers, "x-amz-target").rsplit_once('.')
}

/// An operation that the service has but that is not built here, or that it does not have.
pub fn unknown_operation(message: String) -> Error {
    Error::new("UnknownOperationException", 400, message)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn request_id_header(request_id: &str) -> (HeaderName, HeaderValue) {
    let value = HeaderValue::from_str(request_id).unwrap_or(HeaderValue::from_static("-"));
    (HeaderName::from_static("x-amzn-requestid"), value)
}
