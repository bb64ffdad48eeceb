//! Patterns of terms: `ERROR "exact phrase" -without ?either ?or %regex%`.

use memchr::memmem::Finder;
use regex::Regex;

use super::Error;
use super::cursor::Cursor;

/// What a message must have and must not have.
#[derive(Debug)]
pub(super) struct Terms {
    include: Vec<Term>,
    exclude: Vec<Term>,
    /// Any of these will do. Other terms beside them make them void, as AWS documents.
    either: Vec<Term>,
}

#[derive(Debug)]
enum Term {
    Text(Box<Finder<'static>>),
    Regex(Regex),
}

impl Terms {
    pub fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Error> {
        let mut terms = Self { include: Vec::new(), exclude: Vec::new(), either: Vec::new() };
        while cursor.peek().is_some() {
            let list = if cursor.take("-") {
                &mut terms.exclude
            } else if cursor.take("?") {
                &mut terms.either
            } else {
                &mut terms.include
            };
            cursor.skip_spaces();
            list.push(Term::parse(cursor)?);
            cursor.skip_spaces();
        }
        if !terms.include.is_empty() || !terms.exclude.is_empty() {
            terms.either.clear();
        }
        Ok(terms)
    }

    pub fn matches(&self, message: &str) -> bool {
        self.include.iter().all(|term| term.is_in(message))
            && !self.exclude.iter().any(|term| term.is_in(message))
            && (self.either.is_empty() || self.either.iter().any(|term| term.is_in(message)))
    }
}

impl Term {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Error> {
        let text = match cursor.peek() {
            None => return Err(Error::syntax("'-' or '?' stands without a term")),
            Some('%') => return Ok(Self::Regex(cursor.regex()?)),
            Some('"') => cursor.quoted()?,
            Some(_) => {
                let word = cursor.take_while(|c| !c.is_whitespace() && c != '"');
                if !word.chars().all(|c| c.is_alphanumeric() || c == '_') {
                    return Err(Error::Term(word.to_owned()));
                }
                word.to_owned()
            }
        };
        Ok(Self::Text(Box::new(Finder::new(text.as_bytes()).into_owned())))
    }

    fn is_in(&self, message: &str) -> bool {
        match self {
            Self::Text(finder) => finder.find(message.as_bytes()).is_some(),
            Self::Regex(regex) => regex.is_match(message),
        }
    }
}
