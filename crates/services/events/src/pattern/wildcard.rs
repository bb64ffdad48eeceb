//! Wildcards: `*` is any number of characters, `\*` and `\\` are those characters.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::leaf::Test;
use super::trie::Symbol;

/// In how many places of one field's wildcards a text may be at once. AWS names no number: it takes
/// `/Users/*/dir/dir/dir/dir/dir/doc.txt`, which is in 7, and refuses `*:*:*:*:*:event-bus/*`, which is in 10.
const COMPLEXITY_MAX: usize = 10;
/// How many sets of places are looked at before a field counts as too complex.
const SETS_MAX: usize = 4096;

/// The symbols of a wildcard, or why it is none: the words name the byte, counted from the opening quote.
pub(super) fn parse(text: &str) -> Result<Arc<[Symbol]>, String> {
    let mut symbols = Vec::with_capacity(text.len());
    let mut bytes = text.bytes().enumerate().peekable();
    while let Some((at, byte)) = bytes.next() {
        let following = bytes.peek().map(|(_, byte)| *byte);
        symbols.push(match (byte, following) {
            (b'*', Some(b'*')) => return Err(format!("Consecutive wildcard characters at pos {}", at + 1)),
            (b'*', _) => Symbol::Any,
            (b'\\', Some(escaped @ (b'*' | b'\\'))) => {
                bytes.next();
                Symbol::Byte(escaped)
            }
            (b'\\', _) => return Err(format!("Invalid escape character at pos {}", at + 1)),
            (byte, _) => Symbol::Byte(byte),
        });
    }
    Ok(symbols.into())
}

/// The simplest test that says the same.
pub(super) fn lower(symbols: Arc<[Symbol]>) -> Test {
    let stars: Vec<usize> = (0..symbols.len()).filter(|at| symbols[*at] == Symbol::Any).collect();
    match stars[..] {
        [] => text(&symbols).map(|text| Test::text(&text)),
        [at] if at + 1 == symbols.len() => text(&symbols[..at]).map(|text| Test::Prefix(text.into())),
        [0] => text(&symbols[1..]).map(|text| Test::Suffix(text.into())),
        _ => None,
    }
    .unwrap_or(Test::Wildcard(symbols))
}

/// Symbols without a `*`, as the text they came from.
fn text(symbols: &[Symbol]) -> Option<String> {
    let bytes = symbols.iter().filter_map(|symbol| match symbol {
        Symbol::Byte(byte) => Some(*byte),
        Symbol::Any => None,
    });
    String::from_utf8(bytes.collect()).ok()
}

/// Whether the whole text is of that form. Goes back to the last `*` alone, so costs at most the product of lengths.
pub(super) fn matches(symbols: &[Symbol], text: &[u8]) -> bool {
    let (mut symbol, mut at) = (0, 0);
    let mut retry = None;
    while at < text.len() {
        match symbols.get(symbol) {
            Some(Symbol::Byte(byte)) if *byte == text[at] => {
                symbol += 1;
                at += 1;
            }
            Some(Symbol::Any) => {
                retry = Some((symbol + 1, at));
                symbol += 1;
            }
            _ => match retry {
                Some((after, from)) => {
                    retry = Some((after, from + 1));
                    symbol = after;
                    at = from + 1;
                }
                None => return false,
            },
        }
    }
    symbols[symbol..].iter().all(|symbol| *symbol == Symbol::Any)
}

/// A place in one wildcard: after so many symbols, or in a `*` that has taken a byte.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    wildcard: usize,
    after: usize,
    stays: bool,
}

/// Whether some text can be in too many places of the field's wildcards at once, which makes each event costly.
/// Follows every text that differs for them, each set of places once.
pub(super) fn too_complex(wildcards: &[Arc<[Symbol]>]) -> bool {
    let alphabet: BTreeSet<Option<u8>> = wildcards
        .iter()
        .flat_map(|symbols| symbols.iter())
        .map(|symbol| match symbol {
            Symbol::Byte(byte) => Some(*byte),
            // Any byte that none of them names.
            Symbol::Any => None,
        })
        .collect();
    let begin = (0..wildcards.len()).map(|wildcard| Place { wildcard, after: 0, stays: false }).collect();
    let mut seen: BTreeSet<Vec<Place>> = BTreeSet::new();
    let mut left: Vec<Vec<Place>> = vec![begin];
    while let Some(places) = left.pop() {
        for byte in &alphabet {
            let next = step(wildcards, &places, *byte);
            if next.len() >= COMPLEXITY_MAX && next.iter().any(|place| place.stays) {
                return true;
            }
            if !next.is_empty() && !seen.contains(&next) {
                if seen.len() == SETS_MAX {
                    return true;
                }
                seen.insert(next.clone());
                left.push(next);
            }
        }
    }
    false
}

/// Where a byte leads, sorted, each place once.
fn step(wildcards: &[Arc<[Symbol]>], places: &[Place], byte: Option<u8>) -> Vec<Place> {
    let mut next = BTreeSet::new();
    for place in places {
        let symbols = &wildcards[place.wildcard];
        let is = |at: usize| byte.is_some() && symbols.get(at) == byte.map(Symbol::Byte).as_ref();
        let any = |at: usize| symbols.get(at) == Some(&Symbol::Any);
        if place.stays {
            next.insert(*place);
        } else if any(place.after) {
            next.insert(Place { after: place.after + 1, stays: true, ..*place });
        }
        // A `*` may be of no bytes.
        let from = if !place.stays && any(place.after) { place.after + 1 } else { place.after };
        if is(from) {
            next.insert(Place { after: from + 1, stays: false, ..*place });
        }
    }
    next.into_iter().collect()
}
