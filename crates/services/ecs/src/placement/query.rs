//! The cluster query language: expressions over container instances, as `memberOf` constraints and
//! ListContainerInstances filters use them. Parsing is bounded; evaluating never fails.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cluster-query-language.html>

mod java;
mod narrow;
mod parser;

use std::{cell::RefCell, cmp::Ordering, collections::BTreeMap, sync::Arc};

use wire::Timestamp;

use super::Candidate;
use crate::cluster::{Cluster, rows::InstanceRow};

pub use parser::Error;

/// A parsed expression. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Query {
    text: Arc<str>,
    node: Arc<Node>,
}

/// Expressions that are remembered as they were parsed: the same ones are asked for again and again, and a pattern
/// costs more than a search for a place.
const REMEMBERED: usize = 64;

thread_local! {
    static PARSED: RefCell<BTreeMap<Arc<str>, Query>> = const { RefCell::new(BTreeMap::new()) };
}

/// Parses an expression.
///
/// # Errors
/// What is wrong, and where.
pub fn parse(text: &str) -> Result<Query, Error> {
    if let Some(known) = PARSED.with_borrow(|parsed| parsed.get(text).cloned()) {
        return Ok(known);
    }
    let query = Query { text: text.into(), node: Arc::new(parser::parse(text)?) };
    PARSED.with_borrow_mut(|parsed| {
        if parsed.len() >= REMEMBERED {
            parsed.clear();
        }
        parsed.insert(query.text.clone(), query.clone());
    });
    Ok(query)
}

impl Query {
    /// Whether a container instance is a member.
    pub fn matches(&self, state: &Cluster, row: &InstanceRow) -> bool {
        state.candidate(&row.id).is_some_and(|candidate| self.holds(&candidate))
    }

    /// As it was read.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether what runs on a container instance decides.
    pub(super) fn of_tasks(&self) -> bool {
        self.node.of_tasks()
    }

    pub(super) fn holds(&self, candidate: &Candidate<'_>) -> bool {
        self.node.holds(candidate)
    }
}

#[derive(Debug, Clone)]
enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Is(Subject, Test),
}

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Subject {
    Attribute(String),
    AgentConnected,
    AgentVersion,
    Ec2InstanceId,
    RegisteredAt,
    RunningTasksCount,
    TaskGroup,
}

/// What must hold of a subject's value. A negated test holds only of a subject that exists.
#[derive(Debug, Clone)]
enum Test {
    Exists(bool),
    Equals(bool, Value),
    In(bool, Vec<Value>),
    Matches(bool, java::Pattern),
    /// The value compares to the argument as one of these.
    Compares(&'static [Ordering], Value),
}

/// An argument, read as its subject needs it.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Text(String),
    Number(f64),
    Version(Vec<u64>),
    Time(Timestamp),
}

impl Node {
    fn of_tasks(&self) -> bool {
        match self {
            Node::And(nodes) | Node::Or(nodes) => nodes.iter().any(Node::of_tasks),
            Node::Not(node) => node.of_tasks(),
            Node::Is(subject, _) => matches!(subject, Subject::RunningTasksCount | Subject::TaskGroup),
        }
    }

    fn holds(&self, candidate: &Candidate<'_>) -> bool {
        match self {
            Node::And(nodes) => nodes.iter().all(|node| node.holds(candidate)),
            Node::Or(nodes) => nodes.iter().any(|node| node.holds(candidate)),
            Node::Not(node) => !node.holds(candidate),
            Node::Is(Subject::TaskGroup, test) => test.holds_for_groups(candidate),
            Node::Is(subject, test) => test.holds(subject.read(candidate)),
        }
    }
}

/// A subject's value on one container instance.
enum Found<'a> {
    Nothing,
    Text(&'a str),
    Number(i64),
    Time(Timestamp),
}

impl Subject {
    fn read<'a>(&self, candidate: &Candidate<'a>) -> Found<'a> {
        let row = candidate.row;
        match self {
            Subject::Attribute(name) => match candidate.attribute(name) {
                Some(value) => Found::Text(value),
                None => Found::Nothing,
            },
            Subject::AgentConnected => Found::Text(if row.agent_connected { "true" } else { "false" }),
            Subject::AgentVersion => match &row.version_info.agent_version {
                Some(version) => Found::Text(version),
                None => Found::Nothing,
            },
            Subject::Ec2InstanceId => match &row.ec2_instance_id {
                Some(id) => Found::Text(id),
                None => Found::Nothing,
            },
            Subject::RegisteredAt => Found::Time(row.registered_at),
            Subject::RunningTasksCount => Found::Number(i64::from(candidate.running)),
            Subject::TaskGroup => Found::Nothing,
        }
    }
}

impl Test {
    fn holds(&self, found: Found<'_>) -> bool {
        if let Test::Exists(wanted) = self {
            return matches!(found, Found::Nothing) != *wanted;
        }
        if matches!(found, Found::Nothing) {
            return false;
        }
        match self {
            Test::Exists(_) => true,
            Test::Equals(wanted, value) => value.equals(&found) == *wanted,
            Test::In(wanted, values) => values.iter().any(|value| value.equals(&found)) == *wanted,
            Test::Matches(wanted, regex) => match found {
                // What cannot be said in time is neither.
                Found::Text(text) => regex.matches(text) == Some(*wanted),
                _ => false,
            },
            Test::Compares(orders, value) => {
                value.compare(&found).is_some_and(|order| orders.contains(&order))
            }
        }
    }

    /// A container instance is of every group that has a task on it; a negated test holds of one with
    /// no such task.
    fn holds_for_groups(&self, candidate: &Candidate<'_>) -> bool {
        let positive = |test: &dyn Fn(&str) -> bool| candidate.groups.keys().any(|group| test(group));
        match self {
            Test::Exists(wanted) => candidate.groups.is_empty() != *wanted,
            Test::Equals(wanted, value) => positive(&|group| value.is(group)) == *wanted,
            Test::In(wanted, values) => {
                positive(&|group| values.iter().any(|value| value.is(group))) == *wanted
            }
            Test::Matches(wanted, regex) => {
                let mut said = candidate.groups.keys().map(|group| regex.matches(group));
                if *wanted {
                    said.any(|matches| matches == Some(true))
                } else {
                    said.all(|matches| matches == Some(false))
                }
            }
            Test::Compares(..) => false,
        }
    }
}

impl Value {
    fn is(&self, text: &str) -> bool {
        matches!(self, Value::Text(value) if value == text)
    }

    fn equals(&self, found: &Found<'_>) -> bool {
        match (self, found) {
            (Value::Text(value), Found::Text(text)) => value == text,
            _ => self.compare(found) == Some(Ordering::Equal),
        }
    }

    /// How what was found compares to this; texts as numbers where both are.
    fn compare(&self, found: &Found<'_>) -> Option<Ordering> {
        match (self, found) {
            (Value::Text(value), Found::Text(text)) => {
                match text.parse::<f64>().ok().zip(value.parse::<f64>().ok()) {
                    Some((found, value)) => found.partial_cmp(&value),
                    None => Some((*text).cmp(value.as_str())),
                }
            }
            (Value::Version(value), Found::Text(text)) => Some(version(text)?.cmp(value)),
            (Value::Number(value), Found::Number(number)) => (*number as f64).partial_cmp(value),
            (Value::Time(value), Found::Time(time)) => Some(time.cmp(value)),
            _ => None,
        }
    }
}

/// `1.68.0`, with or without a `v`.
fn version(text: &str) -> Option<Vec<u64>> {
    text.trim_start_matches('v').splitn(5, '.').map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests;
