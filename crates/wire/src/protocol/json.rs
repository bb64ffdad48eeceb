//! awsJson1.0 and awsJson1.1: the operation in `X-Amz-Target`, a JSON object in and out.

pub mod body;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::{
    Codec, Incoming, Reply, by_name, content_type, message_name, output_value, query_error,
    request_id_header, serialization, shape_of, target, unknown_operation,
};
use crate::Error;
use crate::schema::{ErrorShape, Operation, Protocol, Service};

/// One of the two versions; they differ in the content type only.
pub struct Json {
    content_type: &'static str,
}

pub static JSON_1_0: Json = Json { content_type: "application/x-amz-json-1.0" };
pub static JSON_1_1: Json = Json { content_type: "application/x-amz-json-1.1" };

/// Reads a body that has to be JSON; an empty one is an empty object.
pub fn read(body: &[u8]) -> Result<Value, Error> {
    if body.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    serde_json::from_slice(body)
        .map_err(|error| serialization(format!("The body is no JSON that can be read: {error}")))
}

/// The message of an error and what else it has, in a JSON body.
pub fn error_members(shape: Option<&'static ErrorShape>, error: &Error) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert(message_name(shape).to_owned(), Value::from(error.message()));
    let fields: Value = error.fields().map(|(name, value)| (name.clone(), value.clone())).collect();
    let fields = match shape {
        Some(shape) => body::to_wire(shape.shape, fields),
        None => fields,
    };
    if let Value::Object(fields) = fields {
        body.extend(fields);
    }
    body
}

impl Codec for Json {
    fn operation(&self, service: &'static Service, request: &Incoming) -> Result<&'static Operation, Error> {
        let unknown = |text: String| unknown_operation(Protocol::Json11, text);
        let Some((prefix, name)) = target(request) else {
            return Err(unknown("The request has no X-Amz-Target header".to_owned()));
        };
        if service.target_prefix != Some(prefix) {
            return Err(unknown(format!("{} has no operation {prefix}.{name}", service.service_id)));
        }
        by_name(Protocol::Json11, service, name)
    }

    fn input(&self, _operation: &'static Operation, request: &Incoming) -> Result<Value, Error> {
        read(request.body)
    }

    fn response(
        &self,
        service: &'static Service,
        operation: &'static Operation,
        output: Bytes,
        request_id: &str,
    ) -> Result<Reply, Error> {
        let body = match operation.output {
            // AWS sends no body at all for an operation that has no output shape.
            None => Bytes::new(),
            Some(_) if *service.index.plain.get_or_init(|| body::is_plain(service)) => output,
            Some(shape) => body::to_wire(shape, output_value(operation, &output)?).to_string().into(),
        };
        let headers = vec![content_type(self.content_type), request_id_header(request_id)];
        Ok(Reply { status: 200, headers, body })
    }

    fn error(&self, service: Option<&'static Service>, error: &Error, request_id: &str) -> Reply {
        let shape = shape_of(service, error);
        let name = shape.map_or(error.code(), |shape| shape.name);
        let mut body = error_members(shape, error);
        body.insert("__type".to_owned(), Value::from(name));
        let mut headers = vec![content_type(self.content_type), request_id_header(request_id)];
        if let Ok(name) = HeaderValue::from_str(name) {
            headers.push((HeaderName::from_static("x-amzn-errortype"), name));
        }
        headers.extend(query_error(service, error));
        Reply { status: error.status(), headers, body: Value::Object(body).to_string().into() }
    }
}
