//! awsQuery: a form in (body, or the URL's query), XML out.

mod params;
mod xml;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::Value;

use super::{Codec, Incoming, Reply, request_id_header};
use crate::Error;
use crate::schema::{Operation, Service};
use params::Node;
use xml::Writer;

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

impl Codec for Query {
    fn operation(&self, service: &'static Service, request: &Incoming) -> Result<&'static Operation, Error> {
        let (action, version) = action(request)?;
        let Some(name) = action else {
            return Err(Error::new("MissingAction", 400, "The request has no parameter Action"));
        };
        if let Some(version) = version
            && version != service.api_version
        {
            return Err(invalid_action(&name, &version));
        }
        service.operation(&name).ok_or_else(|| invalid_action(&name, service.api_version))
    }

    fn input(&self, operation: &'static Operation, request: &Incoming) -> Result<Value, Error> {
        let root = Node::read(pairs(request))?;
        match operation.input {
            Some(shape) => root.into_structure(shape),
            None => Ok(Value::Object(serde_json::Map::new())),
        }
    }

    fn response(
        &self,
        service: &'static Service,
        operation: &'static Operation,
        output: Bytes,
        request_id: &str,
    ) -> Result<Reply, Error> {
        let output: Value = serde_json::from_slice(&output)
            .map_err(|error| Error::internal(format!("{}'s output is no JSON: {error}", operation.name)))?;
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
        let mut xml = Writer::new();
        xml.open_root("ErrorResponse", service.and_then(|service| service.xml_namespace));
        xml.open("Error");
        xml.text_element("Type", if error.is_sender_fault() { "Sender" } else { "Receiver" });
        xml.text_element("Code", error.code());
        xml.text_element("Message", error.message());
        let shape = service.and_then(|s| s.errors.iter().find(|shape| shape.code == error.code()));
        for (name, value) in error.fields() {
            if let Some(member) = shape.and_then(|shape| shape.shape.member(name)) {
                xml.member(member, value);
            }
        }
        xml.close("Error");
        xml.text_element("RequestId", request_id);
        xml.close("ErrorResponse");
        reply(error.status(), xml, request_id)
    }
}

fn invalid_action(action: &str, version: &str) -> Error {
    Error::new("InvalidAction", 400, format!("Could not find operation {action} for version {version}"))
}

fn reply(status: u16, xml: Writer, request_id: &str) -> Reply {
    let content_type = (CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    Reply { status, headers: vec![content_type, request_id_header(request_id)], body: xml.into_bytes() }
}
