//! The wire protocols behind one seam: a [`Codec`] reads requests into JSON by the model and renders JSON back.
//! Handlers never see which protocol a client speaks. No I/O here; bodies come and go as whole byte strings.

mod cbor;
mod denied;
mod ec2;
mod json;
mod query;
mod rest;
mod rest_json;
mod rest_xml;
mod router;
mod scalar;
mod xml;

use std::sync::OnceLock;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::Value;

use crate::schema::{ErrorShape, Operation, Protocol, Service};
use crate::{Error, headers};
use router::Router;

pub use denied::Denied;

/// The deepest nesting of a body that is read.
pub const MAX_DEPTH: usize = 127;

/// A request as it came in, whole.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// HTTP method.
    pub method: &'a str,
    /// The path of the URL, as it was sent.
    pub path: &'a str,
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

/// What the protocols work out of a service's tables when they first need it.
#[derive(Debug, Default)]
pub struct Index {
    router: OnceLock<Router>,
    plain: OnceLock<bool>,
}

impl Index {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self { router: OnceLock::new(), plain: OnceLock::new() }
    }
}

/// The codec of a protocol.
pub fn codec(protocol: Protocol) -> &'static dyn Codec {
    match protocol {
        Protocol::Json10 => &json::JSON_1_0,
        Protocol::Json11 => &json::JSON_1_1,
        Protocol::Query => &query::Query,
        Protocol::Ec2Query => &ec2::Ec2Query,
        Protocol::RestJson => &rest_json::RestJson,
        Protocol::RestXml => &rest_xml::RestXml,
        Protocol::Cbor => &cbor::Cbor,
    }
}

/// Which protocol a request is written in, as far as its head tells.
fn told(request: &Incoming) -> Option<Protocol> {
    let content_type = header(request.headers, &CONTENT_TYPE);
    if header(request.headers, &headers::SMITHY_PROTOCOL) == "rpc-v2-cbor" {
        Some(Protocol::Cbor)
    } else if content_type.starts_with("application/x-amz-json-1.0") {
        Some(Protocol::Json10)
    } else if content_type.starts_with("application/x-amz-json")
        || request.headers.contains_key(&headers::TARGET)
    {
        Some(Protocol::Json11)
    } else if content_type.starts_with("application/x-www-form-urlencoded")
        || form_urlencoded::parse(request.query.as_bytes()).any(|(name, _)| name == "Action")
    {
        Some(Protocol::Query)
    } else {
        None
    }
}

/// The protocol to answer a request in that is for none of our services; `service` is the name that it was signed
/// for, if it was signed.
pub fn spoken(request: &Incoming, service: &str) -> Protocol {
    match (service, told(request)) {
        // All of AWS that speaks these two.
        ("s3" | "s3express" | "s3-object-lambda" | "s3-outposts" | "route53" | "cloudfront", _) => {
            Protocol::RestXml
        }
        ("ec2", _) => Protocol::Ec2Query,
        (_, Some(told)) if told != Protocol::Query => told,
        (_, Some(told)) if request.path == "/" => told,
        (_, _) if request.path == "/" => Protocol::Query,
        (_, _) => Protocol::RestJson,
    }
}

/// The protocol to answer a request to `service` in: what it speaks, if the service speaks that too, else
/// the service's own first.
pub fn pick(service: &Service, request: &Incoming) -> Protocol {
    let told = told(request);
    if let Some(told) = told.filter(|told| service.protocols.contains(told)) {
        return told;
    }
    let first = |wanted: &[Protocol]| service.protocols.iter().copied().find(|own| wanted.contains(own));
    let alike = match told {
        // JSON 1.0 and 1.1 differ in nothing that a request shows but the content type.
        Some(Protocol::Json10 | Protocol::Json11) => first(&[Protocol::Json10, Protocol::Json11]),
        // Nor do the two query protocols, but in how they spell lists.
        Some(Protocol::Query) => first(&[Protocol::Ec2Query]),
        _ => None,
    };
    // Who says nothing is no SDK, and reads CBOR last.
    let readable = || service.protocols.iter().copied().find(|own| *own != Protocol::Cbor);
    alike.or_else(readable).or_else(|| service.protocols.first().copied()).unwrap_or(Protocol::Json11)
}

/// The service, by what stands before the dot in `X-Amz-Target`, and the operation that a request names: in that header,
/// before and after the last dot, or in the path of the CBOR protocol.
pub fn target<'a>(request: &Incoming<'a>) -> Option<(&'a str, &'a str)> {
    if header(request.headers, &headers::SMITHY_PROTOCOL).is_empty() {
        return header(request.headers, &headers::TARGET).rsplit_once('.');
    }
    let (rest, operation) = request.path.rsplit_once("/operation/")?;
    let (_, service) = rest.rsplit_once("/service/")?;
    Some((service, operation))
}

/// An operation that the service has but that is not built here, or that it does not have: under the code that tools of
/// that protocol's services go on from. None of them is tried again by an SDK.
pub fn unknown_operation(protocol: Protocol, message: String) -> Error {
    match protocol {
        Protocol::Query | Protocol::Ec2Query => Error::new("InvalidAction", 400, message),
        Protocol::RestXml => Error::new("NotImplemented", 501, message),
        Protocol::Json10 | Protocol::Json11 | Protocol::RestJson | Protocol::Cbor => {
            Error::new("UnknownOperationException", 400, message)
        }
    }
}

/// The service's operation of that name, unless it is a stream of events, which nothing here can carry.
fn by_name(protocol: Protocol, service: &'static Service, name: &str) -> Result<&'static Operation, Error> {
    let operation = service.operation(name).ok_or_else(|| {
        unknown_operation(protocol, format!("{} has no operation {name}", service.service_id))
    })?;
    no_stream(protocol, operation)
}

fn no_stream(protocol: Protocol, operation: &'static Operation) -> Result<&'static Operation, Error> {
    if operation.event_stream {
        let text = format!("{} is a stream of events, which Roadstead does not speak yet", operation.name);
        return Err(unknown_operation(protocol, text));
    }
    Ok(operation)
}

/// The error's shape in the service's model, if it is one of the model's.
fn shape_of(service: Option<&'static Service>, error: &Error) -> Option<&'static ErrorShape> {
    service.and_then(|service| service.error_of_code(error.code()))
}

/// The name of the message's member: some models spell it with a capital letter.
fn message_name(shape: Option<&'static ErrorShape>) -> &'static str {
    let capital = shape.is_some_and(|shape| shape.shape.member("Message").is_some());
    if capital { "Message" } else { "message" }
}

/// Names the error by the code of the query protocol, for services that once spoke that alone.
fn query_error(service: Option<&'static Service>, error: &Error) -> Option<(HeaderName, HeaderValue)> {
    service.filter(|service| service.query_compatible)?;
    let fault = if error.is_sender_fault() { "Sender" } else { "Receiver" };
    let value = HeaderValue::from_str(&format!("{};{fault}", error.code())).ok()?;
    Some((HeaderName::from_static("x-amzn-query-error"), value))
}

/// What a handler gave as its output.
fn output_value(operation: &Operation, output: &[u8]) -> Result<Value, Error> {
    serde_json::from_slice(output)
        .map_err(|error| Error::internal(format!("{}'s output is no JSON: {error}", operation.name)))
}

fn serialization(message: impl Into<String>) -> Error {
    Error::new("SerializationException", 400, message)
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn content_type(value: &'static str) -> (HeaderName, HeaderValue) {
    (CONTENT_TYPE, HeaderValue::from_static(value))
}

fn request_id_header(request_id: &str) -> (HeaderName, HeaderValue) {
    let value = HeaderValue::from_str(request_id).unwrap_or(HeaderValue::from_static("-"));
    (headers::REQUEST_ID, value)
}
