//! What ties a typed request to its operation and its response. Implemented by generated code only.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The input structure of one operation.
pub trait Request: Serialize + DeserializeOwned {
    /// The operation's output structure.
    type Response: Serialize + DeserializeOwned + Default;
    /// The operation's name, such as `RunTask`.
    const OPERATION: &'static str;
    /// The service's schema.
    const SERVICE: &'static crate::schema::Service;
}

macro_rules! request {
    ($request:ident => $response:ident, $operation:literal) => {
        impl crate::api::Request for $request {
            type Response = $response;
            const OPERATION: &'static str = $operation;
            const SERVICE: &'static crate::schema::Service = &super::service::SERVICE;
        }
    };
}
pub(crate) use request;
