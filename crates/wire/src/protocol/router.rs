//! Method and path to operation, for the REST protocols. The paths of a service are put into one tree when they are
//! first needed; a request costs what its path and query have, not what the service has.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;

use super::Incoming;
use crate::schema::{Operation, Service};

/// The most parts of a path and parameters of a query that are looked at.
const MAX_PARTS: usize = 1024;

/// All paths of one service.
#[derive(Debug, Default)]
pub struct Router {
    root: Node,
}

/// What may follow one beginning of a path.
#[derive(Debug, Default)]
struct Node {
    literal: HashMap<&'static str, Node>,
    label: Option<Box<Node>>,
    /// A label that takes all that is left.
    greedy: Option<Box<Node>>,
    by_method: HashMap<&'static str, Leaf>,
}

/// The operations of one method and path.
#[derive(Debug, Default)]
struct Leaf {
    /// By the first parameter without which no request means them.
    by_parameter: HashMap<&'static str, Vec<Candidate>>,
    plain: Vec<Candidate>,
}

#[derive(Debug)]
struct Candidate {
    operation: &'static Operation,
    /// Name and, where it matters, value.
    parameters: Vec<(&'static str, Option<&'static str>)>,
    headers: Vec<&'static str>,
}

impl Router {
    /// The tree of a service's paths.
    pub fn new(service: &'static Service) -> Self {
        let mut router = Self::default();
        for operation in service.operations.iter().filter(|operation| !operation.method.is_empty()) {
            router.add(operation);
        }
        router
    }

    fn add(&mut self, operation: &'static Operation) {
        let (path, query) = operation.uri.split_once('?').unwrap_or((operation.uri, ""));
        let mut node = &mut self.root;
        for part in parts(path) {
            node = match label(part) {
                None => node.literal.entry(part).or_default(),
                Some((_, false)) => node.label.get_or_insert_default(),
                Some((_, true)) => node.greedy.get_or_insert_default(),
            };
        }
        let literal =
            query.split('&').filter(|pair| !pair.is_empty()).map(|pair| match pair.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (pair, None),
            });
        let needed =
            operation.needs.iter().filter_map(|need| need.strip_prefix('?')).map(|name| (name, None));
        let parameters: Vec<_> = literal.chain(needed).collect();
        let headers = operation.needs.iter().copied().filter(|need| !need.starts_with('?')).collect();
        let leaf = node.by_method.entry(operation.method).or_default();
        let place = match parameters.first() {
            Some((name, _)) => leaf.by_parameter.entry(name).or_default(),
            None => &mut leaf.plain,
        };
        place.push(Candidate { operation, parameters, headers });
    }

    /// The operation that a request means.
    pub fn find(&self, request: &Incoming) -> Option<&'static Operation> {
        let parts: Vec<String> = parts(request.path).take(MAX_PARTS).map(decoded).collect();
        let query: Vec<_> = form_urlencoded::parse(request.query.as_bytes()).take(MAX_PARTS).collect();
        self.root.find(&parts, request.method, &mut |leaf| leaf.pick(request, &query))
    }
}

type Pair<'a> = (std::borrow::Cow<'a, str>, std::borrow::Cow<'a, str>);
type Pick<'a> = &'a mut dyn FnMut(&Leaf) -> Option<&'static Operation>;

impl Node {
    /// Names go before labels, and labels before what takes everything.
    fn find(&self, parts: &[String], method: &str, pick: Pick) -> Option<&'static Operation> {
        let Some((first, rest)) = parts.split_first() else {
            return self.by_method.get(method).and_then(pick);
        };
        if let Some(node) = self.literal.get(first.as_str())
            && let Some(found) = node.find(rest, method, pick)
        {
            return Some(found);
        }
        if let Some(node) = self.label.as_ref().filter(|_| !first.is_empty())
            && let Some(found) = node.find(rest, method, pick)
        {
            return Some(found);
        }
        let node = self.greedy.as_ref()?;
        // What takes everything leaves as much as the names behind it need, and no model has two such labels.
        (0..=rest.len()).rev().find_map(|taken| node.find(&rest[taken..], method, pick))
    }
}

impl Leaf {
    /// Of the operations that the request may mean, the one that asks for most; of equals the first.
    fn pick(&self, request: &Incoming, query: &[Pair]) -> Option<&'static Operation> {
        let given = query.iter().filter_map(|(name, _)| self.by_parameter.get(name.as_ref()));
        let all = given.flatten().chain(&self.plain).filter(|candidate| candidate.fits(request, query));
        let best = all.reduce(|best, next| if next.size() > best.size() { next } else { best });
        best.map(|candidate| candidate.operation)
    }
}

impl Candidate {
    fn size(&self) -> usize {
        self.parameters.len() + self.headers.len()
    }

    fn fits(&self, request: &Incoming, query: &[Pair]) -> bool {
        let has = |(name, value): &(&str, Option<&str>)| {
            query.iter().any(|(own, given)| own == name && value.is_none_or(|value| given == value))
        };
        self.parameters.iter().all(has) && self.headers.iter().all(|name| request.headers.contains_key(*name))
    }
}

/// The labels of an operation's path, with the values that a request has for them.
pub fn labels(operation: &'static Operation, path: &str) -> Vec<(&'static str, String)> {
    let template = operation.uri.split('?').next().unwrap_or_default();
    let (wanted, given): (Vec<&'static str>, Vec<&str>) = (parts(template).collect(), parts(path).collect());
    let mut found = Vec::new();
    let mut given_at = 0;
    for (at, part) in wanted.iter().enumerate() {
        let behind = wanted.len() - at - 1;
        let end = match label(part) {
            Some((_, true)) => given.len().saturating_sub(behind),
            _ => given_at + 1,
        };
        let value = given.get(given_at..end).unwrap_or_default();
        if let Some((name, greedy)) = label(part) {
            let mut value = decoded(&value.join("/"));
            // The slash at the end is part of what takes everything, and of nothing else.
            if greedy && behind == 0 && path.ends_with('/') && !value.is_empty() {
                value.push('/');
            }
            found.push((name, value));
        }
        given_at = end;
    }
    found
}

/// The parts of a path between its slashes; one slash at the end makes no part.
fn parts(path: &str) -> impl Iterator<Item = &str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    path.split('/').filter(move |_| !path.is_empty())
}

/// The label's name if the part is one, and whether it takes all that is left.
fn label(part: &'static str) -> Option<(&'static str, bool)> {
    let name = part.strip_prefix('{')?.strip_suffix('}')?;
    Some(name.strip_suffix('+').map_or((name, false), |name| (name, true)))
}

fn decoded(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests;
