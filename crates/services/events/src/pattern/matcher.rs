//! The patterns of many rules, asked together.

use std::fmt;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use serde::de::Deserializer;

use super::consistent;
use super::error::MalformedEvent;
use super::event::Event;
use super::ids::Id;
use super::index::LeafIndex;
use super::leaf::Leaf;
use super::parse::{Branch, Path, Pattern};
use super::paths::{PathId, Paths};

/// How many fields of a branch are in the tree of nodes; further ones are looked at where these match.
const CHAIN_MAX: usize = 16;

/// Rules, by names of the caller's, and their patterns. A copy costs next to nothing, and shares what does not
/// change: a rule that comes or goes touches its own nodes.
#[derive(Clone)]
pub struct Matcher<R> {
    paths: Paths,
    rules: OrdMap<R, Arc<Rule>>,
    root: Arc<Node<R>>,
}

/// What an event matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<R> {
    /// Sorted, each once.
    pub rules: Vec<R>,
    /// How much was looked at, in arbitrary units: a measure of work that needs no clock.
    pub steps: u64,
}

struct Rule {
    pattern: Arc<Pattern>,
    /// The paths of each branch's fields, in its order.
    paths: Vec<Vec<PathId>>,
}

struct Node<R> {
    /// Rules with the number of the branch that ends here.
    ends: OrdMap<(R, usize), Arc<Rule>>,
    next: OrdMap<PathId, Arc<Step<R>>>,
    /// The paths of `next` where an event without a value goes on.
    absent: OrdSet<PathId>,
}

/// What follows a node by one path.
struct Step<R> {
    index: LeafIndex,
    nodes: OrdMap<Id, Arc<Node<R>>>,
    by_leaves: OrdMap<Arc<[Leaf]>, Id>,
    next: Id,
}

/// A field of a branch, as the tree has it.
type Link<'a> = (PathId, &'a Arc<[Leaf]>);

impl<R: Ord + Clone> Matcher<R> {
    /// A matcher of no rules.
    pub fn new() -> Matcher<R> {
        Matcher { paths: Paths::default(), rules: OrdMap::new(), root: Arc::new(Node::default()) }
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// A rule's pattern.
    pub fn get(&self, rule: &R) -> Option<&Arc<Pattern>> {
        self.rules.get(rule).map(|rule| &rule.pattern)
    }

    /// Adds a rule, or gives it another pattern.
    pub fn insert(&mut self, rule: R, pattern: Arc<Pattern>) {
        self.remove(&rule);
        let ids = |branch: &Branch| branch.keys().map(|path| self.paths.acquire(path)).collect();
        let paths = pattern.branches().iter().map(ids).collect();
        let entry = Arc::new(Rule { pattern, paths });
        for (number, (branch, paths)) in entry.branches().enumerate() {
            let mut node = Arc::make_mut(&mut self.root);
            for (path, leaves) in chain(branch, paths) {
                node = node.follower(path, leaves);
            }
            node.ends.insert((rule.clone(), number), Arc::clone(&entry));
        }
        self.rules.insert(rule, entry);
    }

    /// Removes a rule; false if there is none of that name.
    pub fn remove(&mut self, rule: &R) -> bool {
        let Some(entry) = self.rules.remove(rule) else { return false };
        for (number, (branch, paths)) in entry.branches().enumerate() {
            let chain = chain(branch, paths);
            Arc::make_mut(&mut self.root).remove(&chain, &(rule.clone(), number));
            branch.keys().for_each(|path| self.paths.release(path));
        }
        true
    }

    /// The rules that an event, as JSON text, matches.
    ///
    /// # Errors
    ///
    /// If the text is no JSON object that can be read.
    pub fn find(&self, event: &str) -> Result<Found<R>, MalformedEvent> {
        let mut reader = serde_json::Deserializer::from_str(event);
        let event = self.read(&mut reader)?;
        reader.end()?;
        Ok(self.search(&event))
    }

    /// The rules that an event, already parsed, matches.
    ///
    /// # Errors
    ///
    /// If it is no object.
    pub fn find_value(&self, event: &serde_json::Value) -> Result<Found<R>, MalformedEvent> {
        Ok(self.search(&self.read(event)?))
    }

    fn read<'e, D: Deserializer<'e>>(&self, event: D) -> Result<Event<'e>, D::Error> {
        Event::read(event, self.paths.root())
    }

    fn search(&self, event: &Event<'_>) -> Found<R> {
        let mut found = Found { rules: Vec::new(), steps: event.items.len() as u64 };
        let paths = distinct(event);
        let mut left: Vec<&Node<R>> = vec![&self.root];
        while let Some(node) = left.pop() {
            node.collect(event, &mut found);
            node.follow(event, &paths, &mut left, &mut found.steps);
        }
        found.rules.sort();
        found.rules.dedup();
        found
    }

    /// Whether nothing is left of rules that have gone.
    #[cfg(test)]
    pub(super) fn is_bare(&self) -> bool {
        self.rules.is_empty() && self.paths.is_empty() && self.root.is_empty()
    }
}

impl Pattern {
    /// Whether an event, as JSON text, matches this pattern alone, as TestEventPattern asks.
    ///
    /// # Errors
    ///
    /// If the text is no JSON object that can be read.
    pub fn matches(&self, event: &str) -> Result<bool, MalformedEvent> {
        let mut matcher = Matcher::new();
        matcher.insert((), Arc::new(self.clone()));
        Ok(!matcher.find(event)?.rules.is_empty())
    }
}

impl<R: Ord + Clone> Default for Matcher<R> {
    fn default() -> Matcher<R> {
        Matcher::new()
    }
}

impl<R> fmt::Debug for Matcher<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matcher").field("rules", &self.rules.len()).finish_non_exhaustive()
    }
}

impl Rule {
    fn branches(&self) -> impl Iterator<Item = (&Branch, &Vec<PathId>)> {
        self.pattern.branches().iter().zip(&self.paths)
    }
}

/// The paths of an event that have leaves, each once, in order.
fn distinct(event: &Event<'_>) -> Vec<PathId> {
    let mut paths: Vec<PathId> = event.by_path.iter().map(|(path, _)| *path).collect();
    paths.dedup();
    paths
}

/// A branch's fields in the order in which the tree has them: what turns most events away first, and what most
/// rules have alike before what is a rule's own. It depends on the branch alone, so that a rule finds its nodes again.
fn chain<'a>(branch: &'a Branch, paths: &[PathId]) -> Vec<Link<'a>> {
    let mut fields: Vec<((u8, usize, &Path), Link<'a>)> = branch
        .iter()
        .zip(paths)
        .map(|((path, leaves), id)| {
            let vagueness = leaves.iter().map(Leaf::vagueness).max().unwrap_or(0);
            ((vagueness, leaves.len(), path), (*id, leaves))
        })
        .collect();
    fields.sort_by_key(|(rank, _)| *rank);
    fields.into_iter().map(|(_, link)| link).take(CHAIN_MAX).collect()
}

impl<R: Ord + Clone> Node<R> {
    /// The node that a field leads to.
    fn follower(&mut self, path: PathId, leaves: &Arc<[Leaf]>) -> &mut Node<R> {
        if leaves.contains(&Leaf::Absent) {
            self.absent.insert(path);
        }
        let step = Arc::make_mut(self.next.entry(path).or_default());
        let id = match step.by_leaves.get(leaves) {
            Some(id) => *id,
            None => {
                let id = step.next;
                step.next += 1;
                step.by_leaves.insert(Arc::clone(leaves), id);
                step.index.insert(leaves, id);
                id
            }
        };
        Arc::make_mut(step.nodes.entry(id).or_default())
    }

    /// Takes out an end, and the nodes that led to nothing else. As deep as [`CHAIN_MAX`].
    fn remove(&mut self, chain: &[Link<'_>], end: &(R, usize)) {
        let Some(((path, leaves), rest)) = chain.split_first() else {
            self.ends.remove(end);
            return;
        };
        let Some(step) = self.next.get_mut(path) else { return };
        let step = Arc::make_mut(step);
        let Some(id) = step.by_leaves.get(*leaves).copied() else { return };
        if let Some(node) = step.nodes.get_mut(&id) {
            let node = Arc::make_mut(node);
            node.remove(rest, end);
            if !node.is_empty() {
                return;
            }
        }
        step.nodes.remove(&id);
        step.by_leaves.remove(*leaves);
        step.index.remove(leaves, id);
        if step.index.absent().is_empty() {
            self.absent.remove(path);
        }
        if step.nodes.is_empty() {
            self.next.remove(path);
        }
    }

    /// The rules that end here. The tree is blind to which element of an array a value was in, and so may have come
    /// too far: then the branch is looked at by itself.
    fn collect(&self, event: &Event<'_>, found: &mut Found<R>) {
        for ((rule, number), entry) in &self.ends {
            found.steps += 1;
            let (branch, paths) = (&entry.pattern.branches()[*number], &entry.paths[*number]);
            let certain = paths.len() <= CHAIN_MAX && !event.has_elements();
            if certain || consistent::matches(branch, paths, event, &mut found.steps) {
                found.rules.push(rule.clone());
            }
        }
    }

    /// Puts the nodes that the event leads to on the stack, each once.
    fn follow<'a>(
        &'a self,
        event: &Event<'_>,
        paths: &[PathId],
        left: &mut Vec<&'a Node<R>>,
        steps: &mut u64,
    ) {
        // Whichever is fewer: the paths of the event, or those of the rules.
        if self.next.len() < paths.len() {
            for (path, step) in &self.next {
                *steps += 1;
                step.follow(event, *path, left, steps);
            }
        } else {
            for path in paths {
                *steps += 1;
                if let Some(step) = self.next.get(path) {
                    step.follow(event, *path, left, steps);
                }
            }
        }
        for path in &self.absent {
            *steps += 1;
            // A value in some element of an array leaves the others without one.
            if !event.is_surely_at(*path)
                && let Some(step) = self.next.get(path)
            {
                let mut ids = Vec::new();
                step.index.absent().append_to(&mut ids);
                if !event.at(*path).is_empty() {
                    // What the value itself led to is on the stack already.
                    let there = step.there(event, *path, steps);
                    ids.retain(|id| there.binary_search(id).is_err());
                }
                step.push(&ids, left, steps);
            }
        }
    }
}

impl<R> Node<R> {
    fn is_empty(&self) -> bool {
        self.ends.is_empty() && self.next.is_empty()
    }
}

impl<R> Step<R> {
    /// Those that some value at the path leads to, sorted, each once.
    fn there(&self, event: &Event<'_>, path: PathId, steps: &mut u64) -> Vec<Id> {
        let mut ids = Vec::new();
        for (_, at) in event.at(path) {
            self.index.find(&event.items[*at].value, &mut ids, steps);
        }
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    fn follow<'a>(&'a self, event: &Event<'_>, path: PathId, left: &mut Vec<&'a Node<R>>, steps: &mut u64) {
        let ids = self.there(event, path, steps);
        self.push(&ids, left, steps);
    }

    fn push<'a>(&'a self, ids: &[Id], left: &mut Vec<&'a Node<R>>, steps: &mut u64) {
        *steps += ids.len() as u64;
        left.extend(ids.iter().filter_map(|id| self.nodes.get(id)).map(|node| &**node));
    }
}

impl<R> Clone for Node<R> {
    fn clone(&self) -> Node<R> {
        Node { ends: self.ends.clone(), next: self.next.clone(), absent: self.absent.clone() }
    }
}

impl<R> Default for Node<R> {
    fn default() -> Node<R> {
        Node { ends: OrdMap::new(), next: OrdMap::new(), absent: OrdSet::new() }
    }
}

impl<R> Clone for Step<R> {
    fn clone(&self) -> Step<R> {
        Step {
            index: self.index.clone(),
            nodes: self.nodes.clone(),
            by_leaves: self.by_leaves.clone(),
            next: self.next,
        }
    }
}

impl<R> Default for Step<R> {
    fn default() -> Step<R> {
        Step { index: LeafIndex::default(), nodes: OrdMap::new(), by_leaves: OrdMap::new(), next: 0 }
    }
}
