//! Query parameters (`Tags.member.1.Key=a`) to JSON, by the shape of the input.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};

use super::super::MAX_DEPTH;
use crate::Error;
use crate::schema::{Kind, Member, Shape};

/// The most parameters that one request may have.
const MAX_PARAMETERS: usize = 20_000;

/// Parameters as a tree, split at the dots.
#[derive(Debug, Default)]
pub struct Node {
    value: Option<String>,
    children: BTreeMap<String, Node>,
}

impl Node {
    /// Builds the tree. `Action` and `Version` are left out.
    pub fn read<'a>(pairs: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>) -> Result<Self, Error> {
        let mut root = Self::default();
        for (count, (name, value)) in pairs.enumerate() {
            if count >= MAX_PARAMETERS {
                return Err(malformed(format!("The request has more than {MAX_PARAMETERS} parameters")));
            }
            if name == "Action" || name == "Version" {
                continue;
            }
            if name.matches('.').count() >= MAX_DEPTH {
                return Err(malformed(format!("A parameter is nested deeper than {MAX_DEPTH}")));
            }
            let leaf = name
                .split('.')
                .fold(&mut root, |node, step| node.children.entry(step.to_owned()).or_default());
            leaf.value = Some(value.into_owned());
        }
        Ok(root)
    }

    /// The structure that the tree spells; parameters that are no member are skipped.
    pub fn into_structure(mut self, shape: &'static Shape) -> Result<Value, Error> {
        let mut members = Map::new();
        for member in shape.members() {
            if let Some(child) = self.children.remove(member.wire_name()) {
                members.insert(member.name.to_owned(), child.into_value(member)?);
            }
        }
        Ok(Value::Object(members))
    }

    fn into_value(self, member: &Member) -> Result<Value, Error> {
        let shape = member.shape;
        match &shape.kind {
            Kind::Structure { .. } => self.into_structure(shape),
            Kind::List { member: inner, flattened, .. } => {
                let name = if *flattened || member.flattened {
                    None
                } else {
                    Some(inner.location.unwrap_or("member"))
                };
                let items = self.numbered(name)?;
                items.into_iter().map(|item| item.into_value(inner)).collect()
            }
            Kind::Map { key, value, flattened, .. } => {
                let name = if *flattened || member.flattened { None } else { Some("entry") };
                let mut entries = Map::new();
                for mut entry in self.numbered(name)? {
                    let key = entry.children.remove(key.location.unwrap_or("key")).and_then(|key| key.value);
                    let value = entry
                        .children
                        .remove(value.location.unwrap_or("value"))
                        .map_or(Ok(Value::Null), |found| found.into_value(value))?;
                    entries.insert(key.unwrap_or_default(), value);
                }
                Ok(Value::Object(entries))
            }
            _ => scalar(shape, self.value.unwrap_or_default()),
        }
    }

    /// The entries of a list or map in the order of their numbers, below `name` unless flattened.
    fn numbered(mut self, name: Option<&str>) -> Result<Vec<Node>, Error> {
        let children = match name {
            Some(name) => self.children.remove(name).unwrap_or_default().children,
            None => self.children,
        };
        let mut entries = Vec::with_capacity(children.len());
        for (number, node) in children {
            let number: u32 = number
                .parse()
                .map_err(|_| malformed(format!("{number:?} is no number of a list's entry")))?;
            entries.push((number, node));
        }
        entries.sort_by_key(|(number, _)| *number);
        Ok(entries.into_iter().map(|(_, node)| node).collect())
    }
}

fn scalar(shape: &Shape, text: String) -> Result<Value, Error> {
    let bad = |kind: &str| malformed(format!("{text:?} is no {kind}"));
    Ok(match &shape.kind {
        Kind::Integer { .. } | Kind::Long { .. } => {
            Value::from(text.parse::<i64>().map_err(|_| bad("integer"))?)
        }
        Kind::Double { .. } => {
            let number: f64 = text.parse().map_err(|_| bad("number"))?;
            Value::Number(Number::from_f64(number).ok_or_else(|| bad("number"))?)
        }
        Kind::Boolean => match text.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => return Err(bad("boolean")),
        },
        _ => Value::String(text),
    })
}

fn malformed(message: String) -> Error {
    Error::new("MalformedInput", 400, message)
}
