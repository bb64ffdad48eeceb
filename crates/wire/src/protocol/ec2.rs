//! ec2Query: EC2's dialect of the query protocol. Lists have no step of their own in the names of parameters, replies
//! have no element around their members, and errors are a list.

use bytes::Bytes;
use serde_json::Value;

use super::query::{self, Dialect};
use super::xml::Writer;
use super::{Codec, Incoming, Reply, content_type, output_value, request_id_header};
use crate::Error;
use crate::schema::{Operation, Protocol, Service};

/// The protocol; it has no state.
pub struct Ec2Query;

impl Codec for Ec2Query {
    fn operation(&self, service: &'static Service, request: &Incoming) -> Result<&'static Operation, Error> {
        query::operation(Protocol::Ec2Query, service, request)
    }

    fn input(&self, operation: &'static Operation, request: &Incoming) -> Result<Value, Error> {
        query::input(Dialect::Ec2, operation, request)
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
        xml.text_element("requestId", request_id);
        if let Some(shape) = operation.output {
            xml.members(shape, &output);
        }
        xml.close(&root);
        Ok(reply(200, xml, request_id))
    }

    fn error(&self, _service: Option<&'static Service>, error: &Error, request_id: &str) -> Reply {
        let mut xml = Writer::new();
        xml.open("Response");
        xml.open("Errors");
        xml.open("Error");
        xml.text_element("Code", error.code());
        xml.text_element("Message", error.message());
        xml.close("Error");
        xml.close("Errors");
        xml.text_element("RequestID", request_id);
        xml.close("Response");
        reply(error.status(), xml, request_id)
    }
}

fn reply(status: u16, xml: Writer, request_id: &str) -> Reply {
    let headers = vec![content_type("text/xml;charset=UTF-8"), request_id_header(request_id)];
    Reply { status, headers, body: xml.into_bytes() }
}
