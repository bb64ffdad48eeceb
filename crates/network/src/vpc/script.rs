//! A table of nftables as data, and the text that leads the kernel from one to another in one transaction. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

use super::Block;

/// Elements of one statement: a transaction may have many, but a line need not be endless.
const LINE_MAX: usize = 500;

/// What a table of family `inet` holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Model {
    pub sets: BTreeMap<String, Set>,
    pub chains: BTreeMap<String, Chain>,
}

/// A set or a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Set {
    /// `set` or `map`.
    pub word: &'static str,
    /// As `type ipv4_addr; flags interval;`.
    pub kind: &'static str,
    pub elements: Elements,
}

/// What is in a set or a map.
#[derive(Debug, Clone)]
pub(crate) enum Elements {
    Blocks(Arc<BTreeSet<Block>>),
    /// Key and value; the value is empty in a set.
    Pairs(BTreeMap<String, String>),
}

/// A chain: its hook, if it has one, and its rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Chain {
    /// As `type filter hook forward priority 0; policy drop;`.
    pub hook: &'static str,
    pub rules: Vec<String>,
}

impl PartialEq for Elements {
    fn eq(&self, other: &Elements) -> bool {
        match (self, other) {
            (Elements::Blocks(a), Elements::Blocks(b)) => Arc::ptr_eq(a, b) || a == b,
            (Elements::Pairs(a), Elements::Pairs(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Elements {}

/// The text that makes the table anew, whatever was there.
pub(crate) fn whole(table: &str, to: &Model) -> String {
    format!(
        "table inet {table}\ndelete table inet {table}\ntable inet {table}\n{}",
        difference(table, &Model::default(), to)
    )
}

/// The text that leads from one content to another; empty where they are the same.
pub(crate) fn difference(table: &str, from: &Model, to: &Model) -> String {
    let mut out = String::new();
    // New first, so that whatever names them finds them; what goes is last, when nothing names it any more.
    for (name, set) in to.sets.iter().filter(|(name, _)| !from.sets.contains_key(*name)) {
        line(&mut out, format_args!("add {} inet {table} {name} {{ {} }}", set.word, set.kind));
    }
    for (name, chain) in to.chains.iter().filter(|(name, _)| !from.chains.contains_key(*name)) {
        let hook = if chain.hook.is_empty() { String::new() } else { format!(" {{ {} }}", chain.hook) };
        line(&mut out, format_args!("add chain inet {table} {name}{hook}"));
    }
    // Elements that lead to chains may go only before these, and come only after them.
    for (name, set) in &to.sets {
        elements(&mut out, table, name, from.sets.get(name).map(|old| &old.elements), &set.elements);
    }
    for (name, set) in from.sets.iter().filter(|(name, _)| !to.sets.contains_key(*name)) {
        if set.word == "map" {
            line(&mut out, format_args!("flush map inet {table} {name}"));
        }
    }
    for (name, chain) in &to.chains {
        if from.chains.get(name).is_none_or(|old| old.rules != chain.rules) {
            if from.chains.contains_key(name) {
                line(&mut out, format_args!("flush chain inet {table} {name}"));
            }
            for rule in &chain.rules {
                line(&mut out, format_args!("add rule inet {table} {name} {rule}"));
            }
        }
    }
    let gone: Vec<&String> = from.chains.keys().filter(|name| !to.chains.contains_key(*name)).collect();
    for word in ["flush", "delete"] {
        for name in &gone {
            line(&mut out, format_args!("{word} chain inet {table} {name}"));
        }
    }
    for (name, set) in from.sets.iter().filter(|(name, _)| !to.sets.contains_key(*name)) {
        line(&mut out, format_args!("delete {} inet {table} {name}", set.word));
    }
    out
}

fn elements(out: &mut String, table: &str, name: &str, from: Option<&Elements>, to: &Elements) {
    if from == Some(to) {
        return;
    }
    let (gone, new): (Vec<String>, Vec<String>) = match (from, to) {
        (Some(Elements::Blocks(from)), Elements::Blocks(to)) => {
            let text = |block: &Block| block.to_string();
            (from.difference(to).map(text).collect(), to.difference(from).map(text).collect())
        }
        (from, Elements::Pairs(to)) => {
            let none = BTreeMap::new();
            let from = match from {
                Some(Elements::Pairs(from)) => from,
                _ => &none,
            };
            let gone = from.iter().filter(|(key, value)| to.get(*key) != Some(value));
            let new = to.iter().filter(|(key, value)| from.get(*key) != Some(value));
            let pair = |(key, value): (&String, &String)| match value.is_empty() {
                true => key.clone(),
                false => format!("{key} : {value}"),
            };
            (gone.map(pair).collect(), new.map(pair).collect())
        }
        (_, Elements::Blocks(to)) => (Vec::new(), to.iter().map(Block::to_string).collect()),
    };
    for (word, all) in [("delete", gone), ("add", new)] {
        for some in all.chunks(LINE_MAX) {
            line(out, format_args!("{word} element inet {table} {name} {{ {} }}", some.join(", ")));
        }
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a text does not fail.
    let _ = out.write_fmt(text);
    out.push('\n');
}
