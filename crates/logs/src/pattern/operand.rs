//! What a field is compared with: texts with `*` at their ends, numbers, regular expressions.

use regex::Regex;

use super::Error;
use super::cursor::Cursor;

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// The right side of a comparison.
#[derive(Debug)]
enum Operand {
    Text(Wildcard),
    /// A number that stood without quotes, and how it was written.
    Number(f64, Wildcard),
    Regex(Regex),
}

/// An operator and what stands right of it.
#[derive(Debug)]
pub(super) struct Comparison {
    operator: Operator,
    operand: Operand,
}

/// A text; an asterisk at its start or end stands for anything, elsewhere for itself.
#[derive(Debug)]
struct Wildcard {
    text: String,
    open_start: bool,
    open_end: bool,
}

impl Comparison {
    /// Reads an operator and its right side, which ends before any of `ends`.
    pub fn parse(cursor: &mut Cursor<'_>, ends: &[char]) -> Result<Self, Error> {
        cursor.skip_spaces();
        let operator = Operator::parse(cursor)?;
        cursor.skip_spaces();
        let operand = Operand::parse(cursor, ends)?;
        let is_order = !matches!(operator, Operator::Equal | Operator::NotEqual);
        if is_order && !matches!(operand, Operand::Number(..)) {
            return Err(Error::syntax("only numbers can be compared by order"));
        }
        Ok(Self { operator, operand })
    }

    /// Compares a text; it also counts as a number if it reads as one and `may_be_number`.
    pub fn holds(&self, text: &str, number: Option<f64>) -> bool {
        let equal = || match &self.operand {
            Operand::Text(wildcard) => wildcard.matches(text),
            Operand::Regex(regex) => regex.is_match(text),
            Operand::Number(expected, written) => number == Some(*expected) || written.matches(text),
        };
        let order = |fits: fn(f64, f64) -> bool| match (&self.operand, number) {
            (Operand::Number(expected, _), Some(number)) => fits(number, *expected),
            _ => false,
        };
        match self.operator {
            Operator::Equal => equal(),
            Operator::NotEqual => !equal(),
            Operator::Less => order(|a, b| a < b),
            Operator::LessOrEqual => order(|a, b| a <= b),
            Operator::Greater => order(|a, b| a > b),
            Operator::GreaterOrEqual => order(|a, b| a >= b),
        }
    }
}

impl Operator {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Error> {
        let table = [
            ("!=", Self::NotEqual),
            // The guide's own examples also write it so.
            ("=!", Self::NotEqual),
            ("<=", Self::LessOrEqual),
            (">=", Self::GreaterOrEqual),
            ("==", Self::Equal),
            ("=", Self::Equal),
            ("<", Self::Less),
            (">", Self::Greater),
        ];
        let found = table.iter().find(|(text, _)| cursor.take(text));
        found.map(|&(_, operator)| operator).ok_or_else(|| Error::syntax("a comparison is expected"))
    }
}

impl Operand {
    fn parse(cursor: &mut Cursor<'_>, ends: &[char]) -> Result<Self, Error> {
        match cursor.peek() {
            Some('"') => Ok(Self::Text(Wildcard::new(&cursor.quoted()?))),
            Some('%') => Ok(Self::Regex(cursor.regex()?)),
            _ => {
                let word =
                    cursor.take_while(|c| !c.is_whitespace() && !ends.contains(&c) && !"&|\"()".contains(c));
                if word.is_empty() {
                    return Err(Error::syntax("a comparison has nothing to compare with"));
                }
                let wildcard = Wildcard::new(word);
                Ok(match number(word) {
                    Some(number) => Self::Number(number, wildcard),
                    None => Self::Text(wildcard),
                })
            }
        }
    }
}

impl Wildcard {
    fn new(text: &str) -> Self {
        let inner = text.strip_prefix('*');
        let open_start = inner.is_some();
        let inner = inner.unwrap_or(text);
        let (inner, open_end) = match inner.strip_suffix('*') {
            Some(inner) => (inner, true),
            // A lone asterisk is open at both ends.
            None => (inner, open_start && inner.is_empty()),
        };
        Self { text: inner.to_owned(), open_start, open_end }
    }

    fn matches(&self, text: &str) -> bool {
        match (self.open_start, self.open_end) {
            (false, false) => text == self.text,
            (true, false) => text.ends_with(&self.text),
            (false, true) => text.starts_with(&self.text),
            (true, true) => text.contains(&self.text),
        }
    }
}

/// A number as the language writes them: sign, digits, point, exponent. No `inf`, no `nan`.
pub(super) fn number(text: &str) -> Option<f64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    let number: f64 = text.parse().ok().filter(|_| is_plain)?;
    number.is_finite().then_some(number)
}
