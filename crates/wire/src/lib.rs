//! The AWS wire: generated types, protocols and SigV4. No sockets, no clock.
//!
//! One module per service ([`ecs`], [`logs`], [`sts`]) holds the types of its operations, its errors and its
//! [`schema`] tables; all three are generated from the service models. The hand-written rest is what
//! carries them, and how Docker, whose options ECS hands on, reads a text ([`go`], [`awslogs`]).

pub mod acs;
pub mod agent_key;
pub mod api;
pub mod awslogs;
mod blob;
mod envelope;
mod error;
#[rustfmt::skip]
mod generated;
pub mod go;
pub mod protocol;
pub mod schema;
pub mod sigv4;
mod string_enum;
pub mod tcs;
mod timestamp;
pub mod validate;

pub use api::Request;
pub use blob::Blob;
pub use envelope::EnvelopeError;
pub use error::Error;
pub use generated::*;
pub use string_enum::{StringEnum, UnknownValue};
pub use timestamp::Timestamp;
