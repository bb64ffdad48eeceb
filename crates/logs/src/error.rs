//! What can go wrong, one variant an AWS error. Knows nothing of HTTP or of the wire's types.

use std::io;
use std::path::PathBuf;

/// The result of every operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An operation's failure. Variants that name an AWS error carry the text that AWS gives.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `ResourceNotFoundException`.
    #[error("{0}")]
    ResourceNotFound(&'static str),
    /// `ResourceAlreadyExistsException`.
    #[error("{0}")]
    ResourceAlreadyExists(&'static str),
    /// `InvalidParameterException`.
    #[error("{0}")]
    InvalidParameter(String),
    /// `LimitExceededException`: one of [`crate::Limits`] is reached.
    #[error("{0}")]
    LimitExceeded(String),
    /// `TooManyTagsException`; operations whose model lacks it answer `InvalidParameterException`.
    #[error("{0}")]
    TooManyTags(String),
    /// `ServiceUnavailableException`: the disk refused (full, read-only, failing). Nothing of the request was
    /// kept; the next request tries the disk anew, so no restart is needed once it works again.
    #[error("log storage refused the {action}")]
    Storage {
        /// What was being done, as a noun: "write", "read".
        action: &'static str,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// `ServiceUnavailableException`: more puts wait for the disk than memory may hold. Try again.
    #[error("too many log events wait for the disk; try again")]
    Overloaded,
    /// `ThrottlingException`: the logs take all they may, and nothing could be deleted. Try again.
    #[error("the logs take all of the {total_bytes} bytes that they may")]
    Full {
        /// The limit.
        total_bytes: u64,
    },
    /// `ServiceUnavailableException`: stored bytes do not match their checksum.
    #[error("log storage is damaged: {} at byte {offset}: {what}", path.display())]
    Corrupt {
        /// The damaged file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// `ServiceUnavailableException`: the store is closing down.
    #[error("log storage is shutting down")]
    Closed,
}

impl Error {
    pub(crate) const GROUP_MISSING: Self = Self::ResourceNotFound("The specified log group does not exist.");
    pub(crate) const STREAM_MISSING: Self =
        Self::ResourceNotFound("The specified log stream does not exist.");

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::InvalidParameter(message.into())
    }

    pub fn write(source: io::Error) -> Self {
        Self::Storage { action: "write", source }
    }

    pub(crate) fn read(source: io::Error) -> Self {
        Self::Storage { action: "read", source }
    }

    /// The same failure once more, for each of the requests that shared one write.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::ResourceNotFound(text) => Self::ResourceNotFound(text),
            Self::ResourceAlreadyExists(text) => Self::ResourceAlreadyExists(text),
            Self::InvalidParameter(text) => Self::InvalidParameter(text.clone()),
            Self::LimitExceeded(text) => Self::LimitExceeded(text.clone()),
            Self::TooManyTags(text) => Self::TooManyTags(text.clone()),
            Self::Storage { action, source } => Self::Storage { action, source: repeat(source) },
            Self::Overloaded => Self::Overloaded,
            Self::Full { total_bytes } => Self::Full { total_bytes: *total_bytes },
            Self::Corrupt { path, offset, what } => {
                Self::Corrupt { path: path.clone(), offset: *offset, what }
            }
            Self::Closed => Self::Closed,
        }
    }
}

/// `io::Error` is not `Clone`; the number (ENOSPC, EIO …) is what matters.
fn repeat(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}
