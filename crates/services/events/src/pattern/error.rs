//! Why a pattern is refused, and why an event cannot be matched.

/// A pattern that is not one. The text is that of `InvalidEventPatternException`, which PutRule and TestEventPattern
/// answer: <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_TestEventPattern.html>.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Event pattern is not valid. Reason: {reason}")]
pub struct Error {
    /// What is wrong, in AWS's words, and where it knows that: line and column, from 1.
    pub reason: String,
}

impl Error {
    pub(super) fn new(reason: impl Into<String>) -> Error {
        Error { reason: reason.into() }
    }
}

/// The result of reading a pattern.
pub type Result<T> = std::result::Result<T, Error>;

/// An event that is no JSON object, is nested too deeply, or holds a number beyond a double.
#[derive(Debug, thiserror::Error)]
#[error("the event is not a JSON object")]
pub struct MalformedEvent(#[from] pub(super) serde_json::Error);
