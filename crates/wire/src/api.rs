//! What ties a typed request to its operation and its response. Implemented by generated code only.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The input structure of one operation.
pub trait Request: DeserializeOwned {
    /// The operation's output structure.
    type Response: Serialize + Default;
    /// The operation's name, such as `RunTask`.
    const OPERATION: &'static str;
    /// The service's schema.
    const SERVICE: &'static crate::schema::Service;
}

/// Makes a structure the input of one operation: `request!(SERVICE: RunTaskRequest => RunTaskResponse, "RunTask")`.
#[macro_export]
macro_rules! request {
    ($service:ident: $request:ident => $response:ident, $operation:literal) => {
        impl $crate::Request for $request {
            type Response = $response;
            const OPERATION: &'static str = $operation;
            const SERVICE: &'static $crate::schema::Service = &$service;
        }
    };
}
