//! The store's failures as the errors of the model.

use std::error::Error as _;

use logs::Error as Failure;
use logs_model::errors;
use wire::{Error, schema::Operation};

/// What a client of this operation is told; of a failing disk with the cause.
pub fn of(operation: &Operation, failure: Failure) -> Error {
    let has = |code: &str| operation.errors.iter().any(|shape| shape.code == code);
    let text = failure.to_string();
    match failure {
        Failure::ResourceNotFound(_) => errors::resource_not_found(text),
        Failure::ResourceAlreadyExists(_) => errors::resource_already_exists(text),
        Failure::InvalidParameter(_) => errors::invalid_parameter(text),
        Failure::LimitExceeded(_) if has("LimitExceededException") => errors::limit_exceeded(text),
        Failure::TooManyTags(_) if has("TooManyTagsException") => errors::too_many_tags(text),
        Failure::TooManyTags(_) => errors::invalid_parameter(text),
        Failure::LimitExceeded(_) | Failure::Overloaded | Failure::Closed => {
            errors::service_unavailable(text)
        }
        Failure::Full { .. } => errors::throttling(text),
        failure => errors::service_unavailable(chain(&failure)),
    }
}

/// A failure with its causes, one after the other.
fn chain(failure: &Failure) -> String {
    let causes = std::iter::successors(failure.source(), |&cause| cause.source());
    causes.fold(failure.to_string(), |text, cause| format!("{text}: {cause}"))
}
