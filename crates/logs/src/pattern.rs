//! The filter pattern language of CloudWatch Logs: a parser and a matcher. Pure, bounded, never panics.
//!
//! Four forms, told apart by the first character: `{ … }` for JSON events, `[ … ]` for events of fields with
//! spaces between, and otherwise terms, among which `%…%` is a regular expression. Source: the CloudWatch Logs
//! user guide, "Filter pattern syntax for metric filters, subscription filters, filter log events, and Live Tail".

mod cursor;
mod delimited;
mod json;
mod operand;
mod regex;
mod terms;

#[cfg(test)]
mod tests;

use crate::limits::PATTERN_MAX;
use cursor::Cursor;

/// A filter pattern, ready to match.
#[derive(Debug)]
pub struct Pattern {
    form: Form,
}

#[derive(Debug)]
enum Form {
    All,
    Terms(terms::Terms),
    Json(json::Json),
    Delimited(delimited::Delimited),
}

/// Why a text is no filter pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A term has characters that need quotes.
    #[error("Invalid character(s) in term '{0}'")]
    Term(String),
    /// Anything else.
    #[error("Invalid filter pattern: {0}")]
    Syntax(String),
}

impl Error {
    fn syntax(text: impl Into<String>) -> Self {
        Self::Syntax(text.into())
    }
}

impl Pattern {
    /// Reads a pattern. The empty one matches every event.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > PATTERN_MAX {
            return Err(Error::syntax(format!("it is longer than {PATTERN_MAX} bytes")));
        }
        let mut cursor = Cursor::new(text.trim());
        let form = match cursor.peek() {
            None => Form::All,
            Some('{') => Form::Json(json::Json::parse(&mut cursor)?),
            Some('[') => Form::Delimited(delimited::Delimited::parse(&mut cursor)?),
            Some(_) => Form::Terms(terms::Terms::parse(&mut cursor)?),
        };
        match cursor.peek() {
            None => Ok(Self { form }),
            Some(extra) => Err(Error::syntax(format!("'{extra}' after its end"))),
        }
    }

    /// Whether an event's message matches.
    pub fn matches(&self, message: &str) -> bool {
        match &self.form {
            Form::All => true,
            Form::Terms(terms) => terms.matches(message),
            Form::Json(json) => json.matches(message),
            Form::Delimited(delimited) => delimited.matches(message),
        }
    }
}
