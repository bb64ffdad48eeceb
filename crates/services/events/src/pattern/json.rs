//! Reads a pattern's JSON piece by piece, and knows where it is.
//!
//! Refusals of PutRule name a line and a column and are worded by the parser AWS uses (Jackson), so this reads as that
//! one does: a text counts as read up to its opening quote until somebody wants it, a key up to the beginning of
//! its value.

use super::error::{Error, Result};

/// How much of a pattern is repeated in an error.
const SOURCE_SHOWN: usize = 500;

/// A piece of a JSON text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    ObjectStart,
    ObjectEnd,
    ArrayStart,
    ArrayEnd,
    Name(String),
    Text(String),
    /// As it was written.
    Number(String),
    Bool(bool),
    Null,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Object,
    Array,
}

/// See the module.
pub(super) struct Reader<'a> {
    source: &'a str,
    at: usize,
    /// The offset that an error names.
    location: usize,
    /// What is open, and where it began.
    open: Vec<(Inside, usize)>,
    /// Whether a value stands before this in what is open.
    after_value: bool,
    /// The value of the last name, already read.
    value: Option<Token>,
    depth_max: usize,
}

impl<'a> Reader<'a> {
    /// Takes no more than `depth_max` objects and arrays inside each other.
    pub(super) fn new(source: &'a str, depth_max: usize) -> Reader<'a> {
        Reader { source, at: 0, location: 0, open: Vec::new(), after_value: false, value: None, depth_max }
    }

    /// The next piece; `None` at the end of the text.
    pub(super) fn next(&mut self) -> Result<Option<Token>> {
        if let Some(value) = self.value.take() {
            return Ok(Some(value));
        }
        self.skip_space();
        let inside = self.open.last().map(|(inside, _)| *inside);
        let Some(c) = self.peek() else { return self.end() };
        match (inside, c) {
            (Some(Inside::Object), '}') => return Ok(Some(self.close(Token::ObjectEnd))),
            (Some(Inside::Array), ']') => return Ok(Some(self.close(Token::ArrayEnd))),
            _ => {}
        }
        if self.after_value && inside.is_some() {
            let what = if inside == Some(Inside::Object) { "Object" } else { "Array" };
            self.expect(',', &format!("was expecting comma to separate {what} entries"))?;
        } else if self.after_value {
            return Err(self.unexpected(c, "expected nothing after the pattern"));
        }
        if inside == Some(Inside::Object) { self.name().map(Some) } else { self.read_value().map(Some) }
    }

    /// Counts a text as read.
    pub(super) fn read_text(&mut self) {
        self.location = self.at;
    }

    /// A refusal that names the place.
    pub(super) fn refuse(&self, what: &str) -> Error {
        Error::new(self.placed(what, self.location))
    }

    /// A refusal that names the place twice, as AWS's does for what is inside lists of `anything-but`.
    pub(super) fn refuse_in_list(&self, what: &str) -> Error {
        Error::new(self.placed(&self.placed(what, self.location), self.location))
    }

    fn placed(&self, what: &str, offset: usize) -> String {
        format!("{what}\n at {}", self.place(offset))
    }

    fn place(&self, offset: usize) -> String {
        let before = &self.source[..self.source.floor_char_boundary(offset)];
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let begin = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before[begin..].encode_utf16().count() + 1;
        let shown = match self.source.char_indices().nth(SOURCE_SHOWN) {
            Some((end, _)) => {
                let left = self.source[end..].chars().count();
                format!("\"{}\"[truncated {left} chars]", &self.source[..end])
            }
            None => format!("\"{}\"", self.source),
        };
        format!("[Source: (String){shown}; line: {line}, column: {column}]")
    }

    fn peek(&self) -> Option<char> {
        self.source[self.at..].chars().next()
    }

    fn skip_space(&mut self) {
        let rest = &self.source[self.at..];
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    fn close(&mut self, token: Token) -> Token {
        self.open.pop();
        self.at += 1;
        self.location = self.at;
        self.after_value = true;
        token
    }

    fn end(&self) -> Result<Option<Token>> {
        match self.open.last() {
            None => Ok(None),
            Some((inside, start)) => {
                let what = if *inside == Inside::Object { "Object" } else { "Array" };
                let start = self.place(*start);
                let what = format!(
                    "Unexpected end-of-input: expected close marker for {what} (start marker at {start})"
                );
                Err(Error::new(self.placed(&what, self.at)))
            }
        }
    }

    fn unexpected(&self, c: char, wanted: &str) -> Error {
        let code = u32::from(c);
        Error::new(self.placed(&format!("Unexpected character ('{c}' (code {code})): {wanted}"), self.at))
    }

    fn expect(&mut self, wanted: char, otherwise: &str) -> Result<()> {
        self.skip_space();
        match self.peek() {
            Some(c) if c == wanted => {
                self.at += c.len_utf8();
                self.skip_space();
                Ok(())
            }
            Some(c) => Err(self.unexpected(c, otherwise)),
            None => self.end().map(|_| ()),
        }
    }

    /// A key, its colon, and the value's beginning.
    fn name(&mut self) -> Result<Token> {
        match self.peek() {
            Some('"') => {}
            Some(c) => return Err(self.unexpected(c, "was expecting double-quote to start field name")),
            None => return self.end().map(|_| Token::ObjectEnd),
        }
        let name = self.text("in field name")?;
        self.expect(':', "was expecting a colon to separate field name and value")?;
        self.value = Some(self.read_value()?);
        Ok(Token::Name(name))
    }

    fn read_value(&mut self) -> Result<Token> {
        let Some(c) = self.peek() else { return self.end().map(|_| Token::Null) };
        let start = self.at;
        let token = match c {
            '{' | '[' => return self.begin(c),
            '"' => Token::Text(self.text(": was expecting closing quote for a string value")?),
            '-' | '0'..='9' => Token::Number(self.number()?),
            c if c.is_alphabetic() || c == '_' || c == '$' => self.word()?,
            c => {
                return Err(self.unexpected(
                    c,
                    "expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false')",
                ));
            }
        };
        self.location = if matches!(token, Token::Text(_)) { start + 1 } else { self.at };
        self.after_value = true;
        Ok(token)
    }

    fn begin(&mut self, c: char) -> Result<Token> {
        if self.open.len() == self.depth_max {
            let (depth, most) = (self.depth_max + 1, self.depth_max);
            let what = format!("Document nesting depth ({depth}) exceeds the maximum allowed ({most})");
            return Err(Error::new(self.placed(&what, self.at)));
        }
        let (inside, token) =
            if c == '{' { (Inside::Object, Token::ObjectStart) } else { (Inside::Array, Token::ArrayStart) };
        self.open.push((inside, self.at));
        self.at += 1;
        self.location = self.at;
        self.after_value = false;
        Ok(token)
    }

    /// A text with its quotes; afterwards the reader is behind it.
    fn text(&mut self, unfinished: &str) -> Result<String> {
        let start = self.at;
        let mut escaped = false;
        for (offset, byte) in self.source[start + 1..].bytes().enumerate() {
            let at = start + 1 + offset;
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    self.at = at + 1;
                    // The quotes are there and no control characters are: what is left to refuse is an escape.
                    return serde_json::from_str(&self.source[start..=at])
                        .map_err(|_| Error::new(self.placed("Unrecognized character escape", self.at)));
                }
                0..0x20 => {
                    let what = format!(
                        "Illegal unquoted character ((CTRL-CHAR, code {byte})): has to be escaped using backslash to be included in string value"
                    );
                    return Err(Error::new(self.placed(&what, at)));
                }
                _ => {}
            }
        }
        let what = format!(
            "Unexpected end-of-input{}{unfinished}",
            if unfinished.starts_with(':') { "" } else { " " }
        );
        Err(Error::new(self.placed(&what, self.source.len())))
    }

    fn number(&mut self) -> Result<String> {
        let rest = &self.source[self.at..];
        let length =
            rest.find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E')).unwrap_or(rest.len());
        let text = &rest[..length];
        if serde_json::from_str::<serde_json::Number>(text).is_err() {
            let what = if text.trim_start_matches('-').starts_with('0') && !text.contains(['.', 'e', 'E']) {
                "Invalid numeric value: Leading zeroes not allowed".to_owned()
            } else {
                format!("Invalid numeric value: {text}")
            };
            return Err(Error::new(self.placed(&what, self.at)));
        }
        self.at += length;
        Ok(text.to_owned())
    }

    fn word(&mut self) -> Result<Token> {
        let rest = &self.source[self.at..];
        let length =
            rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
        let word = &rest[..length];
        self.at += length;
        match word {
            "true" => Ok(Token::Bool(true)),
            "false" => Ok(Token::Bool(false)),
            "null" => Ok(Token::Null),
            word => Err(Error::new(self.placed(
                &format!(
                    "Unrecognized token '{word}': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
                ),
                self.at,
            ))),
        }
    }
}
