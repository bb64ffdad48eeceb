//! Members that ask for nothing, and members that are refused. Many tools send every member they know, with
//! the value that it would have anyway; such a value is taken out before the model is checked, so it is as good
//! as absent to all that comes after.

use serde_json::Value;
use wire::{Error, schema::Service};

use super::{Built, Neutral, Support};

/// Where this project says what is built.
pub(crate) const SUPPORT_PAGE: &str = "docs/support.md";

/// What is taken out of the input of one operation: a tree of members' names, made once. Its part of the table, and every
/// member that is refused.
#[derive(Debug, Default)]
pub(super) struct Takes {
    /// Members of this one, in order of their names; lists are looked through.
    below: Vec<(&'static str, Takes)>,
    /// The values by which this one asks for nothing.
    values: Vec<Neutral>,
}

impl Takes {
    /// Those of an operation.
    pub fn of(support: &Support, built: &Built) -> Takes {
        let mut takes = Takes::default();
        let ours = support.absent.iter().filter(|absent| absent.operations.contains(&built.operation));
        ours.for_each(|absent| takes.add(absent.member, absent.value));
        built.refused.iter().for_each(|member| takes.add(member, Neutral::Empty));
        takes
    }

    fn add(&mut self, path: &'static str, value: Neutral) {
        let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let at = self.find(name).unwrap_or_else(|at| {
            self.below.insert(at, (name, Takes::default()));
            at
        });
        match rest {
            Some(rest) => self.below[at].1.add(rest, value),
            None => self.below[at].1.values.push(value),
        }
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.below.binary_search_by(|(known, _)| (*known).cmp(name))
    }

    /// Takes out what asks for nothing; first within a member, which may then be empty itself.
    pub fn take_out(&self, input: &mut Value) {
        match input {
            _ if self.below.is_empty() => {}
            Value::Array(items) => items.iter_mut().for_each(|item| self.take_out(item)),
            Value::Object(members) => members.retain(|name, value| {
                let Ok(at) = self.find(name) else { return true };
                let takes = &self.below[at].1;
                takes.take_out(value);
                let says_nothing = |neutral: &Neutral| *value != Value::Bool(false) && neutral.holds(value);
                !takes.values.iter().any(says_nothing)
            }),
            _ => {}
        }
    }

    /// Whether the member of this path is taken out for some value.
    #[cfg(test)]
    fn has(&self, path: &str) -> bool {
        match path.split_once('.') {
            Some((name, rest)) => self.find(name).is_ok_and(|at| self.below[at].1.has(rest)),
            None => self.find(path).is_ok_and(|at| !self.below[at].1.values.is_empty()),
        }
    }
}

/// A member that would be ignored is refused by name. What asks for nothing has been taken out, but `false`.
pub(super) fn refuse(schema: &Service, built: &Built, input: &Value) -> Result<(), Error> {
    let asks = |value: &Value| !Neutral::Empty.holds(value);
    match built.refused.iter().find(|member| input.get(**member).is_some_and(asks)) {
        Some(member) => {
            let text =
                format!("Roadstead does not support {member} of {} yet: see {SUPPORT_PAGE}", built.operation);
            Err(Error::new(unsupported_code(schema), 400, text))
        }
        None => Ok(()),
    }
}

/// `UnsupportedFeatureException`, or the nearest that the service's model has.
fn unsupported_code(schema: &Service) -> &'static str {
    let known = ["UnsupportedFeatureException", "UnsupportedOperationException", "InvalidParameterException"];
    let code = known.into_iter().find(|name| schema.error(name).is_some());
    code.unwrap_or_else(|| wire::validate::constraint_code(schema))
}

#[cfg(test)]
mod tests;
