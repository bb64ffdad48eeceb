//! Input templates: JSON, or texts in quotes, with variables in angle brackets.
//!
//! Outside of quotes a variable becomes its value as JSON. Inside it becomes text: of objects and arrays, their JSON
//! without quotes. One that the event does not have becomes an empty text.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;

use super::error::Error;
use super::path::JsonPath;
use super::{Context, PATH_MAX, RENDERED_MAX, TEXT_MAX, VARIABLES_MAX, without_detail};
use crate::text::{compact, unquoted};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable { variable: Variable, in_quotes: bool },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Variable {
    Path(JsonPath),
    RuleArn,
    RuleName,
    IngestionTime,
    Event,
    EventJson,
}

impl Template {
    pub(super) fn new(target: &str, paths: &BTreeMap<String, String>, text: &str) -> Result<Template, Error> {
        let mut variables = BTreeMap::new();
        for (name, path) in paths {
            let refused = || Error::Variable { target: target.to_owned(), name: name.clone() };
            if !is_name(name) || variables.len() == VARIABLES_MAX {
                return Err(refused());
            }
            variables.insert(name.as_str(), JsonPath::parse(path).ok_or_else(refused)?);
        }
        let mut parts = Vec::new();
        // What is left when all variables are null, to see whether it is JSON.
        let mut plain = String::with_capacity(text.len());
        let (mut rest, mut in_quotes, mut escapes) = (text, false, false);
        while let Some((before, name, after)) = next_placeholder(rest) {
            in_quotes = quotes_after(before, in_quotes);
            escapes |= (before.len() - before.trim_end_matches('\\').len()) % 2 == 1;
            push(&mut parts, before);
            plain.push_str(before);
            plain.push_str("null");
            let variable = variable(name, &variables).ok_or_else(|| Error::Placeholder {
                target: target.to_owned(),
                placeholder: name.to_owned(),
            })?;
            parts.push(Part::Variable { variable, in_quotes });
            rest = after;
        }
        push(&mut parts, rest);
        plain.push_str(rest);
        let template = Template { parts };
        // A backslash would escape whatever the variable's value begins with.
        match flaw(&plain, text).or_else(|| (escapes || template.key()).then_some((1, 1))) {
            None => Ok(template),
            Some((line, column)) => {
                Err(Error::Template { target: target.to_owned(), template: plain, line, column })
            }
        }
    }

    pub(super) fn fill(&self, event: &str, context: &Context<'_>) -> String {
        let mut out = String::new();
        for part in &self.parts {
            if out.len() > RENDERED_MAX {
                break;
            }
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Variable { variable, in_quotes } => {
                    let value = variable.value(event, context).unwrap_or_else(|| "\"\"".to_owned());
                    out.push_str(&if *in_quotes { unquoted(&value) } else { value });
                }
            }
        }
        out
    }

    /// Whether some variable is in an object's key, which it may not be.
    fn key(&self) -> bool {
        let mut named = false;
        for part in &self.parts {
            match part {
                Part::Variable { in_quotes, .. } => named |= *in_quotes,
                Part::Text(text) if named => {
                    if let Some(end) = quotes(text).next() {
                        if text[end + 1..].trim_start().starts_with(':') {
                            return true;
                        }
                        named = false;
                    }
                }
                Part::Text(_) => {}
            }
        }
        false
    }
}

impl Variable {
    /// As JSON.
    fn value(&self, event: &str, context: &Context<'_>) -> Option<String> {
        let text = |text: &str| serde_json::to_string(text).ok();
        match self {
            Variable::Path(path) => path.get(event),
            Variable::RuleArn => text(context.rule_arn),
            Variable::RuleName => text(context.rule_name),
            Variable::IngestionTime => text(context.ingestion_time),
            Variable::Event => Some(without_detail(event)),
            Variable::EventJson => Some(compact(event)),
        }
    }
}

fn push(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
}

/// The pattern of a variable's name in the model.
fn is_name(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=PATH_MAX).contains(&name.len()) && name.bytes().all(is_letter)
}

fn variable(name: &str, variables: &BTreeMap<&str, JsonPath>) -> Option<Variable> {
    Some(match name {
        "aws.events.rule-arn" => Variable::RuleArn,
        "aws.events.rule-name" => Variable::RuleName,
        "aws.events.event.ingestion-time" => Variable::IngestionTime,
        "aws.events.event" => Variable::Event,
        "aws.events.event.json" => Variable::EventJson,
        name => Variable::Path(variables.get(name)?.clone()),
    })
}

/// What stands before the next placeholder, its name, and what stands behind it.
fn next_placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(begin) = text[from..].find('<').map(|at| from + at) {
        let inside = &text[begin + 1..];
        let end = inside.find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)))?;
        if end > 0 && inside[end..].starts_with('>') {
            return Some((&text[..begin], &inside[..end], &inside[end + 1..]));
        }
        from = begin + 1;
    }
    None
}

/// The quotes that are not escaped.
fn quotes(text: &str) -> impl Iterator<Item = usize> {
    let mut escaped = false;
    text.bytes().enumerate().filter_map(move |(at, byte)| {
        let quote = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        quote.then_some(at)
    })
}

fn quotes_after(text: &str, before: bool) -> bool {
    before ^ (quotes(text).count() % 2 == 1)
}

/// Where a template stops being JSON values one after another; line and column from 1.
fn flaw(plain: &str, text: &str) -> Option<(usize, usize)> {
    let mut values = 0;
    for value in serde_json::Deserializer::from_str(plain).into_iter::<IgnoredAny>() {
        match value {
            Ok(_) => values += 1,
            Err(error) => return Some((error.line(), error.column())),
        }
    }
    (values == 0 || text.chars().count() > TEXT_MAX).then_some((1, 1))
}
