//! The one error of this crate: a kind to decide by, and words for the operator.

use std::io;

/// What went wrong with an image.
///
/// The words of the pull errors follow Docker's where Docker has words for the case, since people
/// and scripts search `stoppedReason` for them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry, the store or the file has no such image.
    #[error("{0}")]
    NotFound(String),
    /// The registry wants other credentials than it was given.
    #[error("{0}")]
    Unauthorized(String),
    /// The registry could not be reached, broke off, or answered with a server error.
    #[error("{0}")]
    Network(String),
    /// The image, its reference or its archive is not well formed, or does not match its digest.
    #[error("{0}")]
    Invalid(String),
    /// A limit of [`crate::limits`] would be passed.
    #[error("{0}")]
    Limit(String),
    /// The image is in use by the named holders.
    #[error("image {image} is in use by {}", holders.join(", "))]
    InUse {
        /// The image that was to go.
        image: String,
        /// Who holds it.
        holders: Vec<String>,
    },
    /// The host refused a file operation.
    #[error("{what}")]
    Io {
        /// What was tried, with the path.
        what: String,
        /// The host's answer.
        source: io::Error,
    },
}

/// Short form of [`Error`], for callers that decide by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No such image; asking again will not help.
    NotFound,
    /// Refused for want of rights.
    Unauthorized,
    /// Worth another try.
    Network,
    /// The image or reference is broken.
    Invalid,
    /// Over a limit.
    Limit,
    /// Held by a container.
    InUse,
    /// This host's disk.
    Storage,
}

/// Results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The kind, for decisions.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotFound(_) => Kind::NotFound,
            Self::Unauthorized(_) => Kind::Unauthorized,
            Self::Network(_) => Kind::Network,
            Self::Invalid(_) => Kind::Invalid,
            Self::Limit(_) => Kind::Limit,
            Self::InUse { .. } => Kind::InUse,
            Self::Io { .. } => Kind::Storage,
        }
    }

    pub(crate) fn invalid(words: impl Into<String>) -> Self {
        Self::Invalid(words.into())
    }
}

/// Adds what was tried to a file error.
pub(crate) trait IoContext<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<io::Error>> IoContext<T> for std::result::Result<T, E> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Error::Io { what: what(), source: error.into() })
    }
}
