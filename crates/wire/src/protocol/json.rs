//! awsJson1.0 and awsJson1.1: the operation in `X-Amz-Target`, a JSON object in and out.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::{Codec, Incoming, Reply, request_id_header, target, unknown_operation};
use crate::Error;
use crate::schema::{Operation, Service};

/// One of the two versions; they differ in the content type only.
pub struct Json {
    content_type: &'static str,
}

pub static JSON_1_0: Json = Json { content_type: "application/x-amz-json-1.0" };
pub static JSON_1_1: Json = Json { content_type: "application/x-amz-json-1.1" };

impl Codec for Json {
    fn operation(&self, service: &'static Service, request: &Incoming) -> Result<&'static Operation, Error> {
        let Some((prefix, name)) = target(request.headers) else {
            return Err(unknown_operation("The request has no X-Amz-Target header".to_owned()));
        };
        if service.target_prefix != Some(prefix) {
            return Err(unknown_operation(format!(
                "{} has no operation {prefix}.{name}",
                service.service_id
            )));
        }
        service
            .operation(name)
            .ok_or_else(|| unknown_operation(format!("{} has no operation {name}", service.service_id)))
    }

    fn input(&self, _operation: &'static Operation, request: &Incoming) -> Result<Value, Error> {
        if request.body.is_empty() {
            return Ok(Value::Object(Map::new()));
        }
        serde_json::from_slice(request.body).map_err(|error| {
            Error::new(
                "SerializationException",
                400,
                format!("The body is no JSON that can be read: {error}"),
            )
        })
    }

    fn response(
        &self,
        _service: &'static Service,
        operation: &'static Operation,
        output: Bytes,
        request_id: &str,
    ) -> Result<Reply, Error> {
        // AWS sends no body at all for an operation that has no output shape.
        let body = if operation.output.is_none() { Bytes::new() } else { output };
        Ok(Reply { status: 200, headers: vec![self.content_type(), request_id_header(request_id)], body })
    }

    fn error(&self, service: Option<&'static Service>, error: &Error, request_id: &str) -> Reply {
        let mut body = Map::new();
        body.insert("__type".to_owned(), Value::from(error.code()));
        body.insert("message".to_owned(), Value::from(error.message()));
        for (name, value) in error.fields() {
            body.insert(name.clone(), value.clone());
        }
        let mut headers = vec![self.content_type(), request_id_header(request_id)];
        if let Ok(code) = HeaderValue::from_str(error.code()) {
            headers.push((HeaderName::from_static("x-amzn-errortype"), code));
        }
        if service.is_some_and(|service| service.query_compatible) {
            let fault = if error.is_sender_fault() { "Sender" } else { "Receiver" };
            if let Ok(value) = HeaderValue::from_str(&format!("{};{fault}", error.code())) {
                headers.push((HeaderName::from_static("x-amzn-query-error"), value));
            }
        }
        Reply { status: error.status(), headers, body: Value::Object(body).to_string().into() }
    }
}

impl Json {
    fn content_type(&self) -> (HeaderName, HeaderValue) {
        (CONTENT_TYPE, HeaderValue::from_static(self.content_type))
    }
}
