//! What requests are refused with.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>

use serde_json::Value;
use wire::Error;

use crate::rows::SubnetId;

/// An error of the client's.
pub fn with(code: &'static str, message: impl Into<String>) -> Error {
    Error::new(code, 400, message)
}

/// A value that a parameter cannot have.
pub fn value(message: impl Into<String>) -> Error {
    with("InvalidParameterValue", message)
}

/// The same, of a parameter by its name.
pub fn parameter(name: &str, value: &str) -> Error {
    self::value(format!("Value ({}) for parameter {name} is invalid.", cut(value)))
}

/// Parameters that do not go together.
pub fn combination(message: impl Into<String>) -> Error {
    with("InvalidParameterCombination", message)
}

/// A parameter that is not there.
pub fn missing(name: &str) -> Error {
    with("MissingParameter", format!("The request must contain the parameter {name}"))
}

/// Something that others depend on.
pub fn dependency(message: impl Into<String>) -> Error {
    with("DependencyViolation", message)
}

/// A quota is used up.
pub fn limit(code: &'static str, what: &str) -> Error {
    with(code, format!("The maximum number of {what} has been reached."))
}

/// A subnet has no free address.
pub fn no_address(subnet: SubnetId) -> Error {
    let message = format!("There are not enough free addresses in subnet '{subnet}'.");
    with("InsufficientFreeAddressesInSubnet", message)
}

/// Ends a request that is only a question, once it may be asked: whoever may not was refused before.
///
/// # Errors
/// `DryRunOperation` if `DryRun` is set.
pub fn dry_run(input: &Value) -> Result<(), Error> {
    match input.get("DryRun") {
        Some(Value::Bool(true)) => {
            Err(Error::new("DryRunOperation", 412, "Request would have succeeded, but DryRun flag is set."))
        }
        _ => Ok(()),
    }
}

/// No more of a client's text than a message can hold.
pub fn cut(text: &str) -> String {
    text.chars().take(256).collect()
}
