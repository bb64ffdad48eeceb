//! What requests are refused with, in AWS's words where it has some.

use events_model::errors;
use wire::Error;

/// `ValidationException`, which no model lists.
pub fn validation(message: impl Into<String>) -> Error {
    Error::new("ValidationException", 400, message)
}

/// What AWS has and Roadstead has not.
pub fn not_built(what: &str) -> Error {
    validation(format!("Roadstead does not support {what} yet: see docs/support.md"))
}

/// An event bus that is not there.
pub fn no_bus(name: &str) -> Error {
    errors::resource_not_found(format!("Event bus {name} does not exist."))
}

/// A rule that is not there.
pub fn no_rule(name: &str, bus: &str) -> Error {
    errors::resource_not_found(format!("Rule {name} does not exist on EventBus {bus}."))
}

/// A quota is used up.
pub fn too_many() -> Error {
    errors::limit_exceeded("The requested resource exceeds the maximum number allowed.")
}

/// A role that EventBridge may not act as.
pub fn no_role(arn: &str) -> Error {
    validation(format!("Provided role '{arn}' cannot be assumed by principal 'events.amazonaws.com'."))
}

/// An ARN of nothing that is meant.
pub fn bad_arn(arn: &str) -> Error {
    validation(format!("Parameter {arn} is not valid. Reason: Provided Arn is not in correct format."))
}
