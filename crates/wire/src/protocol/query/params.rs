//! Query parameters (`Tags.member.1.Key=a`) to JSON, by the shape of the input, in both dialects.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::Error;
use crate::protocol::{MAX_DEPTH, scalar};
use crate::schema::{Kind, Member, Shape, TimestampFormat};

/// The most parameters that one request may have.
const MAX_PARAMETERS: usize = 20_000;

/// How names and lists are spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// awsQuery: `Tags.member.1`.
    Query,
    /// ec2Query: `Tag.1`. Names have a capital letter, and some differ from those in replies.
    Ec2,
}

impl Dialect {
    fn name(self, member: &Member) -> Cow<'static, str> {
        match (self, member.query_name, member.location) {
            (Self::Query, ..) => member.element_name().into(),
            (Self::Ec2, Some(name), _) => name.into(),
            (Self::Ec2, None, Some(name)) => capital(name).into(),
            (Self::Ec2, None, None) => capital(member.name).into(),
        }
    }

    /// The step between a list's name and the numbers of its entries.
    fn inner(self, list: &Member, inner: &Member) -> Option<&'static str> {
        let flat = self == Self::Ec2 || list.is_flat();
        (!flat).then(|| inner.location.unwrap_or("member"))
    }
}

fn capital(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
}

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
    pub fn into_structure(mut self, shape: &'static Shape, dialect: Dialect) -> Result<Value, Error> {
        let mut members = Map::new();
        for member in shape.members() {
            if let Some(child) = self.children.remove(dialect.name(member).as_ref()) {
                members.insert(member.name.to_owned(), child.into_value(member, dialect)?);
            }
        }
        Ok(Value::Object(members))
    }

    fn into_value(self, member: &'static Member, dialect: Dialect) -> Result<Value, Error> {
        let shape = member.shape;
        match &shape.kind {
            Kind::Structure { .. } => self.into_structure(shape, dialect),
            Kind::List { member: inner, .. } => {
                let items = self.numbered(dialect.inner(member, inner))?;
                items.into_iter().map(|item| item.into_value(inner, dialect)).collect()
            }
            Kind::Map { key, value, .. } => {
                let mut entries = Map::new();
                for mut entry in self.numbered((!member.is_flat()).then_some("entry"))? {
                    let key = entry.children.remove(key.location.unwrap_or("key")).and_then(|key| key.value);
                    let value = entry
                        .children
                        .remove(value.location.unwrap_or("value"))
                        .map_or(Ok(Value::Null), |found| found.into_value(value, dialect))?;
                    entries.insert(key.unwrap_or_default(), value);
                }
                Ok(Value::Object(entries))
            }
            _ => {
                let text = self.value.unwrap_or_default();
                scalar::read(shape, text, TimestampFormat::Iso8601).map_err(malformed)
            }
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

fn malformed(message: String) -> Error {
    Error::new("MalformedInput", 400, message)
}
