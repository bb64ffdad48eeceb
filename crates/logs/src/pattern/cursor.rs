//! Reading a pattern from left to right: spaces, words, quotes, regular expressions, and `&&`, `||`, `( )`.

use regex::Regex;

use super::Error;

/// Parentheses may nest this deep.
pub(super) const DEPTH_MAX: usize = 32;
/// AWS takes this many regular expressions in a pattern.
const REGEX_MAX: usize = 2;

/// A place in a pattern.
pub(super) struct Cursor<'a> {
    rest: &'a str,
    regexes: usize,
}

/// Conditions joined by `&&` and `||`.
#[derive(Debug)]
pub(super) enum Expression<T> {
    Is(T),
    All(Vec<Expression<T>>),
    Any(Vec<Expression<T>>),
}

impl<T> Expression<T> {
    pub fn holds(&self, test: &impl Fn(&T) -> bool) -> bool {
        match self {
            Self::Is(condition) => test(condition),
            Self::All(parts) => parts.iter().all(|part| part.holds(test)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(test)),
        }
    }
}

impl<'a> Cursor<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { rest: text, regexes: 0 }
    }

    pub fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    pub fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Takes `text` if it comes next.
    pub fn take(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Takes `text`, which must come next, after spaces.
    pub fn expect(&mut self, text: &str) -> Result<(), Error> {
        self.skip_spaces();
        if self.take(text) {
            return Ok(());
        }
        Err(Error::syntax(match self.peek() {
            Some(found) => format!("'{text}' is expected where '{found}' stands"),
            None => format!("'{text}' is missing at its end"),
        }))
    }

    /// Takes all up to the first character that does not fit.
    pub fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !fits(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// Takes a keyword, in any case, that no letter follows.
    pub fn take_word(&mut self, word: &str) -> bool {
        self.skip_spaces();
        let Some((start, rest)) = self.rest.split_at_checked(word.len()) else { return false };
        if !start.eq_ignore_ascii_case(word) || rest.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return false;
        }
        self.rest = rest;
        true
    }

    /// A text in double quotes, at the opening one; `\"` and `\\` stand for `"` and `\`.
    pub fn quoted(&mut self) -> Result<String, Error> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(text);
                }
                '\\' => match chars.next() {
                    Some((_, escaped @ ('"' | '\\'))) => text.push(escaped),
                    Some((_, other)) => text.extend(['\\', other]),
                    None => break,
                },
                _ => text.push(c),
            }
        }
        Err(Error::syntax("a double quote is not closed"))
    }

    /// A regular expression between percent signs, at the opening one.
    pub fn regex(&mut self) -> Result<Regex, Error> {
        self.regexes += 1;
        if self.regexes > REGEX_MAX {
            return Err(Error::syntax(format!("it has more than {REGEX_MAX} regular expressions")));
        }
        let text = &self.rest[1..];
        let mut escaped = false;
        let end = text.find(|c| {
            let is_end = c == '%' && !escaped;
            escaped = c == '\\' && !escaped;
            is_end
        });
        let end = end.ok_or_else(|| Error::syntax("a regular expression is not closed by '%'"))?;
        let (source, rest) = (&text[..end], &text[end + 1..]);
        self.rest = rest;
        super::regex::compile(source)
    }

    /// Conditions joined by `&&` (binds closer) and `||`, with parentheses.
    pub fn expression<T>(
        &mut self,
        condition: &mut impl FnMut(&mut Self) -> Result<T, Error>,
    ) -> Result<Expression<T>, Error> {
        self.any(condition, 0)
    }

    fn any<T>(
        &mut self,
        condition: &mut impl FnMut(&mut Self) -> Result<T, Error>,
        depth: usize,
    ) -> Result<Expression<T>, Error> {
        let mut parts = vec![self.all(condition, depth)?];
        while self.operator("||") {
            parts.push(self.all(condition, depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::Any(parts) })
    }

    fn all<T>(
        &mut self,
        condition: &mut impl FnMut(&mut Self) -> Result<T, Error>,
        depth: usize,
    ) -> Result<Expression<T>, Error> {
        let mut parts = vec![self.one(condition, depth)?];
        while self.operator("&&") {
            parts.push(self.one(condition, depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::All(parts) })
    }

    fn one<T>(
        &mut self,
        condition: &mut impl FnMut(&mut Self) -> Result<T, Error>,
        depth: usize,
    ) -> Result<Expression<T>, Error> {
        self.skip_spaces();
        if !self.take("(") {
            return condition(self).map(Expression::Is);
        }
        if depth >= DEPTH_MAX {
            return Err(Error::syntax(format!("its parentheses nest deeper than {DEPTH_MAX}")));
        }
        let inner = self.any(condition, depth + 1)?;
        self.expect(")")?;
        Ok(inner)
    }

    fn operator(&mut self, text: &str) -> bool {
        self.skip_spaces();
        self.take(text)
    }
}
