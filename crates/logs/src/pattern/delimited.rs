//! Patterns for events of fields with spaces between: `[ip, user, ..., status = 4* && status != 404, bytes > 1000]`.

use super::Error;
use super::cursor::{Cursor, Expression};
use super::operand::{self, Comparison};

/// A pattern may have this many fields.
const FIELDS_MAX: usize = 256;

/// A pattern of fields, with at most one place for any number of others.
#[derive(Debug)]
pub(super) struct Delimited {
    fields: Vec<Field>,
    /// How many fields stand before the ellipsis, if there is one.
    ellipsis: Option<usize>,
}

/// What one field must be; nothing for a mere name.
type Field = Option<Expression<Comparison>>;

impl Delimited {
    pub fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Error> {
        cursor.expect("[")?;
        let mut pattern = Self { fields: Vec::new(), ellipsis: None };
        loop {
            cursor.skip_spaces();
            if cursor.take("...") || cursor.take("…") {
                if pattern.ellipsis.replace(pattern.fields.len()).is_some() {
                    return Err(Error::syntax("it has more than one ellipsis"));
                }
            } else {
                pattern.fields.push(parse_field(cursor)?);
            }
            if pattern.fields.len() > FIELDS_MAX {
                return Err(Error::syntax(format!("it has more than {FIELDS_MAX} fields")));
            }
            cursor.skip_spaces();
            if !cursor.take(",") {
                break;
            }
        }
        cursor.expect("]")?;
        Ok(pattern)
    }

    pub fn matches(&self, message: &str) -> bool {
        // One more than any pattern has is enough to tell; with an ellipsis the last ones matter.
        let words: Vec<&str> = words(message).collect();
        let skipped = match self.ellipsis {
            None if words.len() != self.fields.len() => return false,
            None => 0,
            Some(_) => match words.len().checked_sub(self.fields.len()) {
                Some(skipped) => skipped,
                None => return false,
            },
        };
        self.fields.iter().enumerate().all(|(place, field)| {
            let after = self.ellipsis.is_some_and(|ellipsis| place >= ellipsis);
            let word = words[if after { place + skipped } else { place }];
            field.as_ref().is_none_or(|field| field.holds(&|test| test.holds(word, operand::number(word))))
        })
    }
}

/// A name, or conditions that each begin with it.
fn parse_field(cursor: &mut Cursor<'_>) -> Result<Field, Error> {
    if matches!(cursor.peek(), Some(',' | ']')) {
        return Ok(None);
    }
    let mut name = None;
    let mut bare = false;
    let expression = cursor.expression(&mut |cursor| {
        cursor.skip_spaces();
        cursor.take("$");
        let word = cursor.take_while(|c| c.is_alphanumeric() || c == '_' || c == '-' || c == '.');
        if word.is_empty() {
            return Err(Error::syntax("a field's name is expected"));
        }
        if *name.get_or_insert(word) != word {
            return Err(Error::syntax(format!(
                "one field is called '{}' and '{word}'",
                name.unwrap_or_default()
            )));
        }
        cursor.skip_spaces();
        if matches!(cursor.peek(), Some(',' | ']')) {
            bare = true;
            return Ok(None);
        }
        Comparison::parse(cursor, &[',', ']']).map(Some)
    })?;
    match expression {
        Expression::Is(None) => Ok(None),
        _ if bare => Err(Error::syntax("a field's name stands among conditions")),
        other => Ok(Some(unwrap_all(other))),
    }
}

/// Takes off the layer that a bare name needed; the caller has seen that there is none.
fn unwrap_all(expression: Expression<Option<Comparison>>) -> Expression<Comparison> {
    match expression {
        Expression::Is(Some(comparison)) => Expression::Is(comparison),
        Expression::Is(None) => Expression::All(Vec::new()),
        Expression::All(parts) => Expression::All(parts.into_iter().map(unwrap_all).collect()),
        Expression::Any(parts) => Expression::Any(parts.into_iter().map(unwrap_all).collect()),
    }
}

/// Splits at spaces; what stands between brackets or double quotes is one word.
fn words(message: &str) -> impl Iterator<Item = &str> {
    let mut rest = message;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let enclosed = [('[', ']'), ('"', '"')].into_iter().find_map(|(open, close)| {
            let inner = rest.strip_prefix(open)?;
            inner.split_once(close)
        });
        if let Some((word, after)) = enclosed {
            rest = after;
            return Some(word);
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        (!word.is_empty()).then_some(word)
    })
}
