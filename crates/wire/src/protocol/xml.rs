//! XML as the query protocols and restXml have it: a writer by the shape of an output, and a reader with limits.

mod read;
mod write;

pub use read::{Element, structure, value};
pub use write::Writer;

use crate::Error;
use crate::schema::{ErrorShape, Service};

/// `ErrorResponse`, as awsQuery and most of restXml write an error.
pub fn error_response(
    service: Option<&'static Service>,
    shape: Option<&'static ErrorShape>,
    error: &Error,
    request_id: &str,
) -> Writer {
    let mut xml = Writer::new();
    xml.open_root("ErrorResponse", service.and_then(|service| service.xml_namespace));
    xml.open("Error");
    xml.text_element("Type", if error.is_sender_fault() { "Sender" } else { "Receiver" });
    error_members(&mut xml, shape, error);
    xml.close("Error");
    xml.text_element("RequestId", request_id);
    xml.close("ErrorResponse");
    xml
}

/// Code, message and what else the error's shape has.
pub fn error_members(xml: &mut Writer, shape: Option<&'static ErrorShape>, error: &Error) {
    xml.text_element("Code", error.code());
    xml.text_element("Message", error.message());
    for (name, value) in error.fields() {
        if let Some(member) = shape.and_then(|shape| shape.shape.member(name)) {
            xml.member(member, value);
        }
    }
}
