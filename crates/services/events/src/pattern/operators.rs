//! The operators of patterns: what stands in braces among a field's values. Refusals are worded as
//! <https://github.com/aws/event-ruler> words them.

use std::sync::Arc;

use super::address::Block;
use super::error::{Error, Result};
use super::json::Token;
use super::leaf::{Leaf, Scalar, Test, fold};
use super::number::{COMPARABLE_MAX, Number, ordered};
use super::parse::Parser;
use super::wildcard;

impl Parser<'_> {
    /// A match expression, `{"prefix": "a"}` and the like, whose brace has been read.
    pub(super) fn operator(&mut self) -> Result<Leaf> {
        let Some(Token::Name(name)) = self.token()? else {
            return self.refuse("Match expression name not found");
        };
        let leaf = match name.as_str() {
            "exactly" => Leaf::Is(Test::text(&self.text("exact match pattern must be a string")?)),
            "prefix" => Leaf::Is(self.affix("prefix", Test::Prefix, Test::PrefixIgnoreCase)?),
            "suffix" => Leaf::Is(self.affix("suffix", Test::Suffix, Test::SuffixIgnoreCase)?),
            "equals-ignore-case" => {
                let text = self.text("equals-ignore-case match pattern must be a string")?;
                Leaf::Is(Test::EqualsIgnoreCase(fold(&text).into()))
            }
            "wildcard" => {
                let text = self.text("wildcard match pattern must be a string")?;
                let symbols = wildcard::parse(&text).or_else(|what| self.refuse(what))?;
                self.wildcards.push(Arc::clone(&symbols));
                Leaf::Is(wildcard::lower(symbols))
            }
            "cidr" => {
                // AWS says prefix where it means cidr.
                let text = self.text("prefix match pattern must be a string")?;
                Leaf::Is(Test::Address(Block::parse(&text).map_err(Error::new)?))
            }
            "exists" => match self.token()? {
                Some(Token::Bool(true)) => Leaf::Exists,
                Some(Token::Bool(false)) => Leaf::Absent,
                _ => return self.refuse("exists match pattern must be either true or false."),
            },
            "numeric" => return self.numeric(),
            "anything-but" => return self.anything_but(),
            name => return self.refuse(format!("Unrecognized match type {name}")),
        };
        self.close("Only one key allowed in match expression")?;
        Ok(leaf)
    }

    fn close(&mut self, otherwise: &str) -> Result<()> {
        if self.token()? == Some(Token::ObjectEnd) { Ok(()) } else { self.refuse(otherwise) }
    }

    fn text(&mut self, otherwise: &str) -> Result<String> {
        match self.token()? {
            Some(Token::Text(text)) => {
                self.reader.read_text();
                Ok(text)
            }
            _ => self.refuse(otherwise),
        }
    }

    /// A beginning or an end of a text, as it is or whatever its case.
    fn affix(
        &mut self,
        what: &str,
        plain: fn(Arc<str>) -> Test,
        folded: fn(Arc<str>) -> Test,
    ) -> Result<Test> {
        match self.token()? {
            Some(Token::Text(text)) => {
                self.reader.read_text();
                return Ok(plain(text.into()));
            }
            Some(Token::ObjectStart) => {}
            _ => return self.refuse(format!("{what} match pattern must be a string")),
        }
        match self.token()? {
            Some(Token::Name(name)) if name == "equals-ignore-case" => {}
            Some(Token::Name(name)) => return self.refuse(format!("Unsupported {what} pattern: {name}")),
            _ => {
                let what = if what == "prefix" { "Prefix" } else { "Suffix" };
                return self.refuse(format!("{what} expression name not found"));
            }
        }
        let text = self.text("equals-ignore-case match pattern must be a string")?;
        self.close("Only one key allowed in match expression")?;
        Ok(folded(fold(&text).into()))
    }

    fn numeric(&mut self) -> Result<Leaf> {
        if self.token()? != Some(Token::ArrayStart) {
            return self.refuse("Value of numeric must be an array.");
        }
        let operator = match self.token()? {
            Some(Token::Text(operator)) => {
                self.reader.read_text();
                operator
            }
            other => {
                return self.refuse(format!("Invalid member in numeric match: {}", written(other.as_ref())));
            }
        };
        // What a number of that many is compared with lies between these two.
        let (least, most) = (ordered(-COMPARABLE_MAX), ordered(COMPARABLE_MAX));
        let named = match operator.as_str() {
            "=" => "equals",
            ">=" | ">" | "<=" | "<" => &operator,
            other => {
                self.token()?;
                return self.refuse(format!("Unrecognized numeric range operator: {other}"));
            }
        };
        let number = self.comparable(named)?;
        let test = match operator.as_str() {
            "=" => Test::Exact(Scalar::Number(Number::Comparable(number))),
            "<" => Test::Range(least, number - 1),
            "<=" => Test::Range(least, number),
            bottom => {
                let first = if bottom == ">" { number + 1 } else { number };
                match self.token()? {
                    Some(Token::ArrayEnd) => Test::Range(first, most),
                    token => return self.top_of_range(token, number, first),
                }
            }
        };
        if !matches!(operator.as_str(), ">" | ">=") && self.token()? != Some(Token::ArrayEnd) {
            return self.refuse("Too many elements in numeric expression");
        }
        self.close("Too many elements in numeric expression")?;
        Ok(Leaf::Is(test))
    }

    /// The second half of a range, from its operator on.
    fn top_of_range(&mut self, operator: Option<Token>, bottom: u64, first: u64) -> Result<Leaf> {
        let operator = match operator {
            Some(Token::Text(operator)) => {
                self.reader.read_text();
                operator
            }
            other => return self.refuse(format!("Bad value in numeric range: {}", written(other.as_ref()))),
        };
        if operator != "<" && operator != "<=" {
            return self.refuse(format!("Bad numeric range operator: {operator}"));
        }
        let top = self.comparable(&operator)?;
        if self.token()? != Some(Token::ArrayEnd) {
            return self.refuse("Too many terms in numeric range expression");
        }
        if bottom >= top {
            return self.refuse("Bottom must be less than top");
        }
        self.close("Too many elements in numeric expression")?;
        let last = if operator == "<" { top - 1 } else { top };
        Ok(Leaf::Is(Test::Range(first, last)))
    }

    /// A number that numeric comparison works with.
    fn comparable(&mut self, operator: &str) -> Result<u64> {
        match self.token()? {
            Some(Token::Number(number)) => self.bounded(&number).or_else(|what| self.refuse(what)),
            _ => self.refuse(format!("Value of {operator} must be numeric")),
        }
    }

    fn bounded(&self, number: &str) -> std::result::Result<u64, &'static str> {
        match Number::parse(number) {
            Some(Number::Comparable(number)) => Ok(number),
            _ => Err("Value must be between -5.0E9 and 5.0E9, inclusive"),
        }
    }

    fn anything_but(&mut self) -> Result<Leaf> {
        let mut token = self.token()?;
        let mut operator = None;
        if token == Some(Token::ObjectStart) {
            match self.token()? {
                Some(Token::Name(name)) => match name.as_str() {
                    "equals-ignore-case" | "prefix" | "suffix" | "wildcard" => operator = Some(name),
                    _ => return self.refuse(format!("Unsupported anything-but pattern: {name}")),
                },
                _ => return self.refuse("Anything-But expression name not found"),
            }
            token = self.token()?;
        }
        let tests = match token {
            Some(Token::ArrayStart) => match &operator {
                None => self.values()?,
                Some(operator) => self.texts(operator)?,
            },
            Some(Token::Text(_) | Token::Number(_)) => match (&operator, token) {
                (None, Some(Token::Number(number))) => {
                    vec![Test::Exact(Scalar::Number(Number::Comparable(
                        self.bounded(&number).map_err(Error::new)?,
                    )))]
                }
                (None, Some(Token::Text(text))) => vec![Test::text(&text)],
                (Some(operator), Some(Token::Text(text))) => {
                    self.reader.read_text();
                    vec![self.negated(operator, &text).or_else(|what| self.refuse(what))?]
                }
                (operator, _) => {
                    return self.refuse(not_a_text(operator.as_deref().unwrap_or_default()));
                }
            },
            _ => return self.refuse("Value of anything-but must be an array or single string/number value."),
        };
        self.close("Too many elements in numeric expression")?;
        if operator.is_some() {
            self.close("Too many elements in numeric expression")?;
        }
        Ok(Leaf::Not(tests.into()))
    }

    /// The list of `anything-but`, its bracket read: all texts or all numbers.
    fn values(&mut self) -> Result<Vec<Test>> {
        let (mut tests, mut texts, mut numbers) = (Vec::new(), false, false);
        loop {
            match self.token()? {
                Some(Token::ArrayEnd) => break,
                Some(Token::Text(text)) => {
                    self.reader.read_text();
                    texts = true;
                    tests.push(Test::text(&text));
                }
                Some(Token::Number(number)) => {
                    numbers = true;
                    let number = self.bounded(&number).or_else(|what| self.refuse(what))?;
                    tests.push(Test::Exact(Scalar::Number(Number::Comparable(number))));
                }
                _ => {
                    let what = "Inside anything but list, start|null|boolean is not supported.";
                    return Err(self.reader.refuse_in_list(what));
                }
            }
        }
        if texts == numbers {
            return self.refuse(
                "Inside anything but list, either all values are number or string, mixed type is not supported",
            );
        }
        Ok(sorted(tests))
    }

    /// The list of an operator inside `anything-but`, its bracket read.
    fn texts(&mut self, operator: &str) -> Result<Vec<Test>> {
        let mut tests = Vec::new();
        loop {
            match self.token()? {
                Some(Token::ArrayEnd) => break,
                Some(Token::Text(text)) => {
                    self.reader.read_text();
                    let test = self.negated(operator, &text);
                    tests.push(test.map_err(|what| self.reader.refuse_in_list(&what))?);
                }
                _ => return Err(self.reader.refuse_in_list(not_a_text(operator))),
            }
        }
        if tests.is_empty() {
            return self.refuse("Empty arrays are not allowed");
        }
        Ok(sorted(tests))
    }

    /// What a text of such an operator takes, or why it is none.
    fn negated(&mut self, operator: &str, text: &str) -> std::result::Result<Test, String> {
        match operator {
            "prefix" | "suffix" if text.is_empty() => Err("Null prefix/suffix not allowed".to_owned()),
            "prefix" => Ok(Test::Prefix(text.into())),
            "suffix" => Ok(Test::Suffix(text.into())),
            "wildcard" => {
                let symbols = wildcard::parse(text)?;
                self.wildcards.push(Arc::clone(&symbols));
                Ok(wildcard::lower(symbols))
            }
            _ => Ok(Test::EqualsIgnoreCase(fold(text).into())),
        }
    }
}

fn sorted(mut tests: Vec<Test>) -> Vec<Test> {
    tests.sort();
    tests.dedup();
    tests
}

fn not_a_text(operator: &str) -> &'static str {
    match operator {
        "equals-ignore-case" => {
            "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported."
        }
        "wildcard" => "wildcard match pattern must be a string",
        _ => "prefix/suffix match pattern must be a string",
    }
}

/// A piece as it stood in the pattern.
fn written(token: Option<&Token>) -> String {
    match token {
        Some(Token::ObjectStart) => "{".to_owned(),
        Some(Token::ObjectEnd) => "}".to_owned(),
        Some(Token::ArrayStart) => "[".to_owned(),
        Some(Token::ArrayEnd) => "]".to_owned(),
        Some(Token::Name(text) | Token::Text(text) | Token::Number(text)) => text.clone(),
        Some(Token::Bool(value)) => value.to_string(),
        Some(Token::Null) => "null".to_owned(),
        None => String::new(),
    }
}
