//! Texts, beginnings of texts and wildcards, byte by byte, all walked at once.
//!
//! Patterns that begin alike share nodes. A `*` is a node that stays where it is on every byte, so a walk may be in
//! several nodes, but never twice in one. Copies share what did not change.

use std::mem;
use std::sync::Arc;

use super::ids::{Id, Ids};

/// One element of what is put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Symbol {
    Byte(u8),
    /// Any number of bytes.
    Any,
}

/// Whether the text may go on where the symbols end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Here,
    Open,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Trie {
    root: Arc<Node>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// Sorted by their byte.
    edges: Vec<(u8, Arc<Node>)>,
    any: Option<Arc<Node>>,
    ends: Ids,
    open: Ids,
}

impl Node {
    fn child(&self, symbol: Symbol) -> Option<&Arc<Node>> {
        match symbol {
            Symbol::Any => self.any.as_ref(),
            Symbol::Byte(byte) => {
                let at = self.edges.binary_search_by_key(&byte, |(byte, _)| *byte).ok()?;
                Some(&self.edges[at].1)
            }
        }
    }

    fn child_or_new(&mut self, symbol: Symbol) -> &mut Arc<Node> {
        match symbol {
            Symbol::Any => self.any.get_or_insert_default(),
            Symbol::Byte(byte) => {
                let at = match self.edges.binary_search_by_key(&byte, |(byte, _)| *byte) {
                    Ok(at) => at,
                    Err(at) => {
                        self.edges.insert(at, (byte, Arc::default()));
                        at
                    }
                };
                &mut self.edges[at].1
            }
        }
    }

    fn cut(&mut self, symbol: Symbol) {
        match symbol {
            Symbol::Any => self.any = None,
            Symbol::Byte(byte) => self.edges.retain(|(other, _)| *other != byte),
        }
    }

    fn ids(&mut self, end: End) -> &mut Ids {
        match end {
            End::Here => &mut self.ends,
            End::Open => &mut self.open,
        }
    }

    /// How much would be lost without this node.
    fn weight(&self) -> usize {
        self.edges.len() + usize::from(self.any.is_some()) + self.ends.len() + self.open.len()
    }
}

impl Drop for Node {
    /// One after another: nodes are as deep as the longest pattern, which a stack may not be.
    fn drop(&mut self) {
        let mut left = children(self);
        while let Some(node) = left.pop() {
            if let Some(mut node) = Arc::into_inner(node) {
                left.append(&mut children(&mut node));
            }
        }
    }
}

fn children(node: &mut Node) -> Vec<Arc<Node>> {
    mem::take(&mut node.edges).into_iter().map(|(_, node)| node).chain(node.any.take()).collect()
}

impl Trie {
    pub(super) fn insert(&mut self, symbols: impl Iterator<Item = Symbol>, end: End, id: Id) {
        let mut node = Arc::make_mut(&mut self.root);
        for symbol in symbols {
            node = Arc::make_mut(node.child_or_new(symbol));
        }
        node.ids(end).insert(id);
    }

    /// Undoes an `insert` of the same.
    pub(super) fn remove(&mut self, symbols: impl Iterator<Item = Symbol> + Clone, end: End, id: Id) {
        // Where to cut: below the last node on the way that something else needs.
        let (mut keep, mut at) = (0, &self.root);
        for (depth, symbol) in symbols.clone().enumerate() {
            if depth > 0 && at.weight() > 1 {
                keep = depth;
            }
            let Some(next) = at.child(symbol) else { return };
            at = next;
        }
        let needed = at.weight() > 1;
        let mut node = Arc::make_mut(&mut self.root);
        for (depth, symbol) in symbols.enumerate() {
            if depth == keep && !needed {
                return node.cut(symbol);
            }
            node = Arc::make_mut(node.child_or_new(symbol));
        }
        node.ids(end).remove(id);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.root.weight() == 0
    }

    /// The sets of what matches `text`. Counts a step for each byte in each node the walk is in.
    pub(super) fn find<'a>(
        &'a self,
        text: impl Iterator<Item = u8>,
        out: &mut Vec<&'a Ids>,
        steps: &mut u64,
    ) {
        let mut walk = Walk { now: Vec::new(), out };
        walk.enter(&self.root);
        let mut next = Vec::new();
        for byte in text {
            if walk.now.is_empty() {
                return;
            }
            mem::swap(&mut walk.now, &mut next);
            for (node, stays) in next.drain(..) {
                *steps += 1;
                if stays {
                    walk.now.push((node, true));
                }
                if let Some(child) = node.child(Symbol::Byte(byte)) {
                    walk.enter(child);
                }
            }
        }
        let Walk { now, out } = walk;
        out.extend(now.into_iter().map(|(node, _)| &node.ends).filter(|ids| !ids.is_empty()));
    }
}

struct Walk<'a, 'o> {
    /// The nodes the walk is in, and whether each is a `*`.
    now: Vec<(&'a Node, bool)>,
    out: &'o mut Vec<&'a Ids>,
}

impl<'a> Walk<'a, '_> {
    fn enter(&mut self, node: &'a Node) {
        if !node.open.is_empty() {
            self.out.push(&node.open);
        }
        self.now.push((node, false));
        // A `*` may be of no bytes at all.
        if let Some(any) = node.any.as_deref() {
            self.now.push((any, true));
        }
    }
}
