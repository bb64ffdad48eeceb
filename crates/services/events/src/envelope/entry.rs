//! Entries of PutEvents.

use crate::text::{Members, compact};

/// Entries of one call, at most.
pub const ENTRIES_MAX: usize = 10;
/// The size of a call's entries together must be less than this; see [`Entry::size`].
pub const REQUEST_MAX: usize = 256 * 1024;
/// Characters of a detail type, at most.
const DETAIL_TYPE_MAX: usize = 128;
/// What the sources of AWS's own services begin with, and nobody else's may.
const RESERVED_SOURCE: &str = "aws.";

/// One entry, as it was sent. A text that is empty is as good as none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Entry<'a> {
    /// Whether it says a time.
    pub has_time: bool,
    /// Who sends it.
    pub source: Option<&'a str>,
    /// What kind of event it is.
    pub detail_type: Option<&'a str>,
    /// A JSON object.
    pub detail: Option<&'a str>,
    /// ARNs of what it is about.
    pub resources: &'a [String],
}

/// Why one entry was refused: its `ErrorCode` and, as text, its `ErrorMessage`. The call succeeds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// A member that must be there is not.
    #[error("Parameter {0} is not valid. Reason: {0} is a required argument.")]
    Missing(&'static str),
    /// The detail type is too long.
    #[error(
        "Parameter DetailType is not valid. Reason: DetailType is longer than {DETAIL_TYPE_MAX} characters."
    )]
    DetailTypeTooLong,
    /// The detail is no JSON object.
    #[error("Detail is malformed.")]
    MalformedDetail,
    /// Only services send events of that source.
    #[error("Not authorized for the source.")]
    NotAuthorizedForSource,
}

impl EntryError {
    /// `ErrorCode`, one of those of
    /// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html>.
    pub fn code(&self) -> &'static str {
        match self {
            EntryError::Missing(_) | EntryError::DetailTypeTooLong => "InvalidArgument",
            EntryError::MalformedDetail => "MalformedDetail",
            EntryError::NotAuthorizedForSource => "NotAuthorizedForSourceException",
        }
    }
}

/// The whole call is refused, with `ValidationException`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Total size of the entries in the request is over the limit.")]
pub struct TooBig;

/// Checks the size of a call's entries together.
///
/// # Errors
///
/// If it is [`REQUEST_MAX`] or more.
pub fn check_size<'a>(entries: impl IntoIterator<Item = Entry<'a>>) -> Result<(), TooBig> {
    let size: usize = entries.into_iter().map(|entry| entry.size()).sum();
    if size < REQUEST_MAX { Ok(()) } else { Err(TooBig) }
}

impl<'a> Entry<'a> {
    /// The size as AWS counts it, in bytes:
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html>.
    pub fn size(&self) -> usize {
        let texts = [self.source, self.detail_type, self.detail];
        let texts = texts.into_iter().flatten().chain(self.resources.iter().map(String::as_str));
        texts.map(str::len).sum::<usize>() + if self.has_time { 14 } else { 0 }
    }

    /// Source, detail type and detail, if the entry is good; the detail without the space between.
    ///
    /// # Errors
    ///
    /// See [`EntryError`].
    pub fn check(&self) -> Result<(&'a str, &'a str, String), EntryError> {
        let there = |text: Option<&'a str>, name| {
            text.filter(|text| !text.is_empty()).ok_or(EntryError::Missing(name))
        };
        let source = there(self.source, "Source")?;
        let detail_type = there(self.detail_type, "DetailType")?;
        let detail = there(self.detail, "Detail")?;
        if source.starts_with(RESERVED_SOURCE) {
            return Err(EntryError::NotAuthorizedForSource);
        }
        if detail_type.chars().count() > DETAIL_TYPE_MAX {
            return Err(EntryError::DetailTypeTooLong);
        }
        if Members::of(detail).is_none() || !is_readable(detail) {
            return Err(EntryError::MalformedDetail);
        }
        Ok((source, detail_type, compact(detail)))
    }
}

/// Whether an event with that detail can be read: it is nested no deeper than the parser goes (AWS goes further), and no
/// number is beyond a double.
fn is_readable(detail: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(&format!("{{\"detail\":{detail}}}")).is_ok()
}
