//! Patterns for JSON events: `{ $.user.id = 1 && ($.actions[0] = "Get*" || $.error NOT EXISTS) }`.

use std::cell::Cell;

use serde_json::Value;

use super::Error;
use super::cursor::{Cursor, Expression};
use super::operand::{self, Comparison};

/// AWS takes this many wildcards in one selector, and in one pattern.
const SELECTOR_WILDCARDS_MAX: usize = 1;
const WILDCARDS_MAX: usize = 3;
/// A selector may have this many steps.
const STEPS_MAX: usize = 64;

/// A condition on a JSON object.
#[derive(Debug)]
pub(super) struct Json {
    expression: Expression<Condition>,
}

#[derive(Debug)]
struct Condition {
    selector: Vec<Step>,
    test: Test,
}

/// One step from a value to a value inside it.
#[derive(Debug)]
enum Step {
    Member(String),
    Element(usize),
    AnyMember,
    AnyElement,
}

#[derive(Debug)]
enum Test {
    Compare(Comparison),
    IsNull,
    IsTrue,
    IsFalse,
    NotExists,
}

impl Json {
    pub fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Error> {
        cursor.expect("{")?;
        let mut wildcards = 0;
        let expression = cursor.expression(&mut |cursor| {
            let selector = parse_selector(cursor)?;
            wildcards += selector.iter().filter(|step| step.is_wildcard()).count();
            if wildcards > WILDCARDS_MAX {
                return Err(Error::syntax(format!("it has more than {WILDCARDS_MAX} wildcard selectors")));
            }
            Ok(Condition { selector, test: Test::parse(cursor)? })
        })?;
        cursor.expect("}")?;
        Ok(Self { expression })
    }

    pub fn matches(&self, message: &str) -> bool {
        // Most lines that are no JSON show it at once.
        if !message.trim_ascii_start().starts_with(['{', '[']) {
            return false;
        }
        let Ok(value) = serde_json::from_str::<Value>(message) else { return false };
        self.expression.holds(&|condition| condition.holds(&value))
    }
}

impl Step {
    fn is_wildcard(&self) -> bool {
        matches!(self, Self::AnyMember | Self::AnyElement)
    }
}

fn parse_selector(cursor: &mut Cursor<'_>) -> Result<Vec<Step>, Error> {
    cursor.expect("$")?;
    let mut steps = Vec::new();
    while steps.len() < STEPS_MAX {
        if cursor.take("[") {
            steps.push(parse_bracket(cursor)?);
        } else if cursor.take(".") {
            if cursor.take("[") {
                steps.push(parse_bracket(cursor)?);
            } else if cursor.take("*") {
                steps.push(Step::AnyMember);
            } else {
                let name = cursor.take_while(|c| c.is_alphanumeric() || c == '_' || c == '-');
                if name.is_empty() {
                    return Err(Error::syntax("a property selector has an empty name"));
                }
                steps.push(Step::Member(name.to_owned()));
            }
        } else {
            break;
        }
    }
    if steps.iter().filter(|step| step.is_wildcard()).count() > SELECTOR_WILDCARDS_MAX {
        return Err(Error::syntax(format!(
            "a property selector has more than {SELECTOR_WILDCARDS_MAX} wildcard"
        )));
    }
    match steps.is_empty() {
        true => Err(Error::syntax("'$' stands without a property")),
        false => Ok(steps),
    }
}

/// What stands between `[` and `]`: a number, `*`, or a name in quotes.
fn parse_bracket(cursor: &mut Cursor<'_>) -> Result<Step, Error> {
    cursor.skip_spaces();
    let step = match cursor.peek() {
        Some('*') => {
            cursor.take("*");
            Step::AnyElement
        }
        Some('"') => Step::Member(cursor.quoted()?),
        Some('\'') => {
            cursor.take("'");
            let name = cursor.take_while(|c| c != '\'').to_owned();
            cursor.expect("'")?;
            Step::Member(name)
        }
        _ => {
            let digits = cursor.take_while(|c| c.is_ascii_digit());
            Step::Element(digits.parse().map_err(|_| Error::syntax("an array index is expected after '['"))?)
        }
    };
    cursor.expect("]")?;
    Ok(step)
}

impl Test {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Error> {
        if cursor.take_word("IS") {
            let table = [("NULL", Self::IsNull), ("TRUE", Self::IsTrue), ("FALSE", Self::IsFalse)];
            let found = table.into_iter().find(|(word, _)| cursor.take_word(word));
            return found
                .map(|(_, test)| test)
                .ok_or_else(|| Error::syntax("NULL, TRUE or FALSE is expected after IS"));
        }
        if cursor.take_word("NOT") {
            return match cursor.take_word("EXISTS") {
                true => Ok(Self::NotExists),
                false => Err(Error::syntax("EXISTS is expected after NOT")),
            };
        }
        Comparison::parse(cursor, &['}']).map(Self::Compare)
    }

    fn holds(&self, value: &Value) -> bool {
        match self {
            Self::IsNull => value.is_null(),
            Self::IsTrue => *value == Value::Bool(true),
            Self::IsFalse => *value == Value::Bool(false),
            Self::NotExists => false,
            Self::Compare(comparison) => match value {
                Value::String(text) => comparison.holds(text, operand::number(text)),
                Value::Number(number) => comparison.holds(&number.to_string(), number.as_f64()),
                Value::Bool(flag) => comparison.holds(if *flag { "true" } else { "false" }, None),
                // A selector has to point to a value: neither `=` nor `!=` holds for the others.
                Value::Null | Value::Array(_) | Value::Object(_) => false,
            },
        }
    }
}

impl Condition {
    fn holds(&self, value: &Value) -> bool {
        if let Test::NotExists = self.test {
            let exists = Cell::new(false);
            select(value, &self.selector, &|_| {
                exists.set(true);
                true
            });
            return !exists.get();
        }
        select(value, &self.selector, &|value| self.test.holds(value))
    }
}

/// Whether the test holds for any value that the steps lead to.
fn select(value: &Value, steps: &[Step], test: &dyn Fn(&Value) -> bool) -> bool {
    let Some((step, rest)) = steps.split_first() else { return test(value) };
    match (step, value) {
        (Step::Member(name), Value::Object(members)) => {
            members.get(name).is_some_and(|value| select(value, rest, test))
        }
        (Step::Element(index), Value::Array(elements)) => {
            elements.get(*index).is_some_and(|value| select(value, rest, test))
        }
        (Step::AnyMember, Value::Object(members)) => members.values().any(|value| select(value, rest, test)),
        (Step::AnyElement, Value::Array(elements)) => elements.iter().any(|value| select(value, rest, test)),
        _ => false,
    }
}
