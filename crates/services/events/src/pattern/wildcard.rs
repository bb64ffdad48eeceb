//! Wildcards: `*` is any number of characters, `\*` and `\\` are those characters.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::leaf::Test;
use super::trie::Symbol;

/// In how many places of a wildcard a text may be at once. AWS names no number: it takes
/// `/Users/*/dir/dir/dir/dir/dir/doc.txt`, which is in 7, and refuses `*:*:*:*:*:event-bus/*`, which is in 10.
const COMPLEXITY_MAX: usize = 10;
/// How many sets of places are looked at before a wildcard counts as too complex.
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

/// A place in a wildcard: after so many symbols, or in a `*` that has taken a byte.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    after: usize,
    stays: bool,
}

/// Whether some text can be in too many places of the wildcard at once, which makes each event costly. Follows
/// every text that differs for it, each set of places once. Those of one field are looked at one by one: AWS does so
/// together, but does not say how many it takes.
pub(super) fn too_complex(symbols: &[Symbol]) -> bool {
    let mut seen: BTreeSet<Vec<Place>> = BTreeSet::new();
    let mut left = vec![vec![Place { after: 0, stays: false }]];
    while let Some(places) = left.pop() {
        // Bytes that none of the places waits for lead to the same, whichever they are.
        let waits = places.iter().filter_map(|place| place.waits(symbols).1).map(Some);
        for byte in waits.chain([None]).collect::<BTreeSet<_>>() {
            let next = step(symbols, &places, byte);
            if next.len() >= COMPLEXITY_MAX {
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

impl Place {
    /// After how many symbols the next byte is named, and which it is. A `*` may be of no bytes.
    fn waits(self, symbols: &[Symbol]) -> (usize, Option<u8>) {
        let at = if self.is_before_any(symbols) { self.after + 1 } else { self.after };
        match symbols.get(at) {
            Some(Symbol::Byte(byte)) => (at, Some(*byte)),
            Some(Symbol::Any) | None => (at, None),
        }
    }

    fn is_before_any(self, symbols: &[Symbol]) -> bool {
        !self.stays && symbols.get(self.after) == Some(&Symbol::Any)
    }
}

/// Where a byte leads, sorted, each place once.
fn step(symbols: &[Symbol], places: &[Place], byte: Option<u8>) -> Vec<Place> {
    let mut next = BTreeSet::new();
    for place in places {
        if place.stays {
            next.insert(*place);
        } else if place.is_before_any(symbols) {
            next.insert(Place { after: place.after + 1, stays: true });
        }
        let (at, wanted) = place.waits(symbols);
        if wanted.is_some() && wanted == byte {
            next.insert(Place { after: at + 1, stays: false });
        }
    }
    next.into_iter().collect()
}
