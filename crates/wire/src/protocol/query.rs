//! awsQuery: a form in (body, or the URL's query), XML out.

mod params;

use bytes::Bytes;
use serde_json::Value;

use super::xml::Writer;
use super::{Codec, Incoming, Reply, by_name, content_type, output_value, request_id_header, shape_of};
use super::{unknown_operation, xml};
use crate::Error;
use crate::schema::{Operation, Protocol, Service};
pub use params::Dialect;
use params::Node;

/// The protocol; it has no state.
pub struct Query;

/// What GET and POST requests carry their parameters in.
fn pairs<'a>(
    request: &Incoming<'a>,
) -> impl Iterator<Item = (std::borrow::Cow<'a, str>, std::borrow::Cow<'a, str>)> {
    form_urlencoded::parse(request.query.as_bytes()).chain(form_urlencoded::parse(request.body))
}

/// `Action` and `Version`. One request names one operation: not one in the URL and another one in the body.
fn action(request: &Incoming) -> Result<(Option<String>, Option<String>), Error> {
    let (mut action, mut version) = (None, None);
    for (name, value) in pairs(request) {
        let found = match name.as_ref() {
            "Action" => &mut action,
            "Version" => &mut version,
            _ => continue,
        };
        if found.replace(value.into_owned()).is_some() {
            let text = format!("The parameter {name} is given more than once");
            return Err(Error::new("MalformedQueryString", 400, text));
        }
    }
    Ok((action, version))
}

/// The operation that `Action` and `Version` name.
pub fn operation(
    protocol: Protocol,
    service: &'static Service,
    request: &Incoming,
) -> Result<&'static Operation, Error> {
    let (action, version) = action(request)?;
    let Some(name) = action else {
        return Err(Error::new("MissingAction", 400, "The request has no parameter Action"));
    };
    let unknown = |version: &str| {
        let text = format!("Could not find operation {name} for version {version}");
        unknown_operation(protocol, text)
    };
    match version {
        Some(version) if version != service.api_version => Err(unknown(&version)),
        _ if service.operation(&name).is_none() => Err(unknown(service.api_version)),
        _ => by_name(protocol, service, &name),
    }
}

/// The input that the parameters spell.
pub fn input(dialect: Dialect, operation: &'static Operation, request: &Incoming) -> Result<Value, Error> {
    let root = Node::read(pairs(request))?;
    match operation.input {
        Some(shape) => root.into_structure(shape, dialect),
        None => Ok(Value::Object(serde_json::Map::new())),
    }
}

impl Codec for Query {
    fn operation(&self, service: &'static Service, request: &Incoming) -> Result<&'static Operation, Error> {
        operation(Protocol::Query, service, request)
    }

    fn input(&self, operation: &'static Operation, request: &Incoming) -> Result<Value, Error> {
        input(Dialect::Query, operation, request)
    }

    fn response(
        &self,
        service: &'static Service,
        operation: &'static Operation,
        output: Bytes,
        request_id: &str,
    ) -> Result<Reply, Error> {
        let output = output_value(operation, &output)?;
        let root = format!("{}Response", operation.name);
        let mut xml = Writer::new();
        xml.open_root(&root, service.xml_namespace);
        if let Some(shape) = operation.output {
            let default = format!("{}Result", operation.name);
            let wrapper = operation.result_wrapper.unwrap_or(&default);
            xml.open(wrapper);
            xml.members(shape, &output);
            xml.close(wrapper);
        }
        xml.open("ResponseMetadata");
        xml.text_element("RequestId", request_id);
        xml.close("ResponseMetadata");
        xml.close(&root);
        Ok(reply(200, xml, request_id))
    }

    fn error(&self, service: Option<&'static Service>, error: &Error, request_id: &str) -> Reply {
        let xml = xml::error_response(service, shape_of(service, error), error, request_id);
        reply(error.status(), xml, request_id)
    }
}

fn reply(status: u16, xml: Writer, request_id: &str) -> Reply {
    let headers = vec![content_type("text/xml"), request_id_header(request_id)];
    Reply { status, headers, body: xml.into_bytes() }
}
