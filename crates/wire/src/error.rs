//! The one type of an AWS error. Protocols render it; services make it, mostly by the constructors that are
//! generated from their model.

use std::borrow::Cow;
use std::fmt;

use serde_json::{Map, Value};

use crate::schema::ErrorShape;

/// An error as a client sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Error {
    code: Cow<'static, str>,
    message: String,
    status: u16,
    fields: Option<Box<Map<String, Value>>>,
}

impl Error {
    /// An error that no model lists (authentication, routing, common errors).
    pub fn new(code: impl Into<Cow<'static, str>>, status: u16, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), status, fields: None }
    }

    /// An error of a service's model.
    pub fn of(shape: &'static ErrorShape, message: impl Into<String>) -> Self {
        Self::new(shape.code, shape.status, message)
    }

    /// Something went wrong inside; the client may try again. The message must hold no secret.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new("InternalFailure", 500, message)
    }

    /// The service is full or not ready; the client should try again.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new("ServiceUnavailable", 503, message)
    }

    /// Adds a member of the error's shape.
    pub fn with(mut self, member: &str, value: Value) -> Self {
        self.fields.get_or_insert_default().insert(member.to_owned(), value);
        self
    }

    /// The error code, such as `ClusterNotFoundException`.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// For people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Members beyond the message.
    pub fn fields(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.fields.iter().flat_map(|fields| fields.iter())
    }

    /// Whether the caller is at fault (a 4xx).
    pub fn is_sender_fault(&self) -> bool {
        self.status < 500
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Error {}
