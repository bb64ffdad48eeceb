//! restXml: method and path name the operation; XML bodies.

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use serde_json::Value;

use super::rest::{self, Document};
use super::xml::{self, Element, Writer};
use super::{Codec, Incoming, Reply, content_type, output_value, request_id_header, shape_of};
use crate::Error;
use crate::schema::{Kind, Operation, Place, Protocol, Service, Shape};

/// The protocol; it has no state.
pub struct RestXml;

impl Codec for RestXml {
    fn operation(&self, service: &'static Service, request: &Incoming) -> Result<&'static Operation, Error> {
        rest::operation(Protocol::RestXml, service, request)
    }

    fn input(&self, operation: &'static Operation, request: &Incoming) -> Result<Value, Error> {
        rest::input(operation, request, |body, document| {
            let malformed = |why: String| {
                let text = format!("The XML you provided was not well-formed or did not validate: {why}");
                Error::new("MalformedXML", 400, text)
            };
            let root = Element::read(body).map_err(malformed)?;
            match document {
                Document::Members(shape) => xml::structure(shape, &root),
                Document::Member(member) => xml::value(member, &root),
            }
            .map_err(malformed)
        })
    }

    fn response(
        &self,
        service: &'static Service,
        operation: &'static Operation,
        output: Bytes,
        request_id: &str,
    ) -> Result<Reply, Error> {
        let output = output_value(operation, &output)?;
        let mut head = rest::head_of(operation, &output)?;
        let body = match (head.body.take(), operation.output) {
            (Some(body), _) => body,
            (None, Some(shape)) if head.status != 204 => match document(service, shape, &output) {
                Some(xml) => {
                    head.typed("application/xml");
                    xml.into_bytes()
                }
                None => Bytes::new(),
            },
            _ => Bytes::new(),
        };
        head.headers.extend(request_ids(service.bare_errors, request_id));
        Ok(Reply { status: head.status, headers: head.headers, body })
    }

    fn error(&self, service: Option<&'static Service>, error: &Error, request_id: &str) -> Reply {
        let shape = shape_of(service, error);
        // S3 is most of what speaks this protocol.
        let bare = service.is_none_or(|service| service.bare_errors);
        let xml = if bare {
            let mut xml = Writer::new();
            xml.open("Error");
            xml::error_members(&mut xml, shape, error);
            xml.text_element("RequestId", request_id);
            xml.text_element("HostId", request_id);
            xml.close("Error");
            xml
        } else {
            xml::error_response(service, shape, error, request_id)
        };
        let mut headers = vec![content_type("application/xml")];
        headers.extend(request_ids(bare, request_id));
        let members = shape.map_or(&[][..], |shape| shape.shape.members());
        let field = |name: &str| error.fields().find(|(own, _)| *own == name).map(|(_, value)| value);
        headers.extend(rest::headers_of(members, field).unwrap_or_default());
        Reply { status: error.status(), headers, body: xml.into_bytes() }
    }
}

/// The header that all services have, and the two of S3.
fn request_ids(s3: bool, request_id: &str) -> Vec<(HeaderName, HeaderValue)> {
    let (name, value) = request_id_header(request_id);
    let mut headers = vec![(name, value.clone())];
    if s3 {
        headers.push((HeaderName::from_static("x-amz-request-id"), value.clone()));
        headers.push((HeaderName::from_static("x-amz-id-2"), value));
    }
    headers
}

/// The document in the body: the one member that is all of it, or those that stand there, if any can.
fn document(service: &Service, shape: &'static Shape, output: &Value) -> Option<Writer> {
    let mut xml = Writer::new();
    match shape.members().iter().find(|member| member.place == Place::Payload) {
        Some(member) => {
            if !matches!(member.shape.kind, Kind::Structure { .. }) {
                return None;
            }
            let value = output.get(member.name).filter(|value| !value.is_null())?;
            xml.root(member.wire_name(), member.shape, service.xml_namespace, value);
        }
        None if shape.members().iter().all(|member| member.place != Place::Body) => return None,
        None => xml.root(shape.name, shape, service.xml_namespace, output),
    }
    Some(xml)
}
