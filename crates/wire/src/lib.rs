//! The AWS wire, all that no model generates: protocols, validation and SigV4. No sockets, no clock.
//!
//! The types, errors and [`schema`] tables of each service are crates of their own (`crates/models`), generated
//! from the service models; they are built from what is here. Besides, how Docker, whose options ECS hands on,
//! reads a text ([`go`], [`awslogs`]).

pub mod api;
pub mod awslogs;
mod blob;
mod error;
pub mod go;
pub mod headers;
pub mod protocol;
pub mod schema;
pub mod sigv4;
pub mod string_enum;
mod timestamp;
pub mod validate;

pub use api::Request;
pub use blob::Blob;
pub use error::Error;
pub use string_enum::{StringEnum, UnknownValue};
pub use timestamp::Timestamp;
