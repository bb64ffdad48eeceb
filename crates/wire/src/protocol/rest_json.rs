//! restJson: method and path name the operation; JSON bodies.

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use serde_json::Value;

use super::json::{self, body};
use super::rest::{self, Document};
use super::{Codec, Incoming, Reply, content_type, output_value, request_id_header, serialization, shape_of};
use crate::Error;
use crate::schema::{Kind, Operation, Place, Protocol, Service, Shape};

/// The protocol; it has no state.
pub struct RestJson;

impl Codec for RestJson {
    fn operation(&self, service: &'static Service, request: &Incoming) -> Result<&'static Operation, Error> {
        rest::operation(Protocol::RestJson, service, request)
    }

    fn input(&self, operation: &'static Operation, request: &Incoming) -> Result<Value, Error> {
        rest::input(operation, request, |bytes, document| {
            let value = json::read(bytes)?;
            match document {
                Document::Members(_) if !value.is_object() => {
                    Err(serialization("The body is no JSON object"))
                }
                Document::Members(shape) => Ok(body::from_wire(shape, value)),
                Document::Member(member) => Ok(body::from_wire(member.shape, value)),
            }
        })
    }

    fn response(
        &self,
        _service: &'static Service,
        operation: &'static Operation,
        output: Bytes,
        request_id: &str,
    ) -> Result<Reply, Error> {
        let mut output = output_value(operation, &output)?;
        let mut head = rest::head_of(operation, &output)?;
        let body = match (head.body.take(), operation.output) {
            (Some(body), _) => body,
            (None, Some(shape)) if head.status != 204 => match document(shape, &mut output) {
                Some(body) => {
                    head.typed("application/json");
                    body.to_string().into()
                }
                None => Bytes::new(),
            },
            _ => Bytes::new(),
        };
        head.headers.push(request_id_header(request_id));
        Ok(Reply { status: head.status, headers: head.headers, body })
    }

    fn error(&self, service: Option<&'static Service>, error: &Error, request_id: &str) -> Reply {
        let shape = shape_of(service, error);
        let members = shape.map_or(&[][..], |shape| shape.shape.members());
        let field = |name: &str| error.fields().find(|(own, _)| *own == name).map(|(_, value)| value);
        let mut headers = vec![content_type("application/json"), request_id_header(request_id)];
        if let Ok(name) = HeaderValue::from_str(shape.map_or(error.code(), |shape| shape.name)) {
            headers.push((HeaderName::from_static("x-amzn-errortype"), name));
        }
        headers.extend(rest::headers_of(members, field).unwrap_or_default());
        let body = Value::Object(json::error_members(shape, error)).to_string().into();
        Reply { status: error.status(), headers, body }
    }
}

/// The document in the body: the one member that is all of it, or those that stand there.
fn document(shape: &'static Shape, output: &mut Value) -> Option<Value> {
    match shape.members().iter().find(|member| member.place == Place::Payload) {
        Some(member) if matches!(member.shape.kind, Kind::Blob { .. } | Kind::String { .. }) => None,
        Some(member) => {
            let value = output.get_mut(member.name).filter(|value| !value.is_null())?.take();
            Some(body::to_wire(member.shape, value))
        }
        None => Some(body::to_wire(shape, output.take())),
    }
}
