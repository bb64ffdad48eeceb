//! Rows and the groups of changes made to them, with their limits checked. Plain values; no engine here.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::{Error, limits};

/// The number of a commit. The first is 1; each later one is larger by one.
pub type Revision = u64;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where the row is; keys are ordered by their bytes.
    pub key: String,
    /// What the row holds. Cheap to clone.
    pub value: Bytes,
    /// The revision of the commit that wrote this value.
    pub revision: Revision,
    /// False when what was read is not what was written: the disk damaged the row. Its key may be wrong, too.
    pub whole: bool,
}

/// One change to one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Writes the row, whether it exists or not.
    Put {
        /// The row's key.
        key: String,
        /// Its new value.
        value: Bytes,
    },
    /// Removes the row. Without effect, and not seen by watches, when there is none.
    Delete {
        /// The row's key.
        key: String,
    },
}

impl Change {
    /// The key of the changed row.
    pub fn key(&self) -> &str {
        match self {
            Change::Put { key, .. } | Change::Delete { key } => key,
        }
    }

    /// Bytes of key and value.
    pub fn size(&self) -> usize {
        match self {
            Change::Put { key, value } => key.len() + value.len(),
            Change::Delete { key } => key.len(),
        }
    }
}

/// What must hold for a commit to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The row exists and was last written at this revision.
    Revision {
        /// The row's key.
        key: String,
        /// The revision of its last write.
        revision: Revision,
    },
    /// There is no such row.
    Absent {
        /// The row's key.
        key: String,
    },
    /// The lease is held with this token.
    Lease {
        /// The lease's name.
        name: String,
        /// The token it was acquired with.
        token: u64,
    },
}

/// A group of changes that happens whole, if all conditions hold, or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// The changes; no key twice.
    pub changes: Vec<Change>,
    /// What must hold; checked against the store as it is just before the commit.
    pub conditions: Vec<Condition>,
}

impl Commit {
    /// A commit without changes or conditions.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a write of `key`.
    pub fn put(mut self, key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.changes.push(Change::Put { key: key.into(), value: value.into() });
        self
    }

    /// Adds a removal of `key`.
    pub fn delete(mut self, key: impl Into<String>) -> Self {
        self.changes.push(Change::Delete { key: key.into() });
        self
    }

    /// Adds a condition.
    pub fn when(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    /// Bytes of all keys and values.
    pub fn size(&self) -> usize {
        self.changes.iter().map(Change::size).sum()
    }

    /// Checks the limits. Every engine calls this before it queues a commit.
    pub fn validate(&self) -> Result<(), Error> {
        let invalid = |text: String| Err(Error::Invalid(text));
        if self.changes.len() > limits::MAX_CHANGES {
            return invalid(format!("{} changes, at most {}", self.changes.len(), limits::MAX_CHANGES));
        }
        if self.conditions.len() > limits::MAX_CONDITIONS {
            return invalid(format!(
                "{} conditions, at most {}",
                self.conditions.len(),
                limits::MAX_CONDITIONS
            ));
        }
        if self.size() > limits::MAX_COMMIT_BYTES {
            return invalid(format!(
                "a commit of {} bytes, at most {}",
                self.size(),
                limits::MAX_COMMIT_BYTES
            ));
        }
        let mut keys = BTreeSet::new();
        for change in &self.changes {
            check_key(change.key())?;
            if !keys.insert(change.key()) {
                return invalid(format!("the key {} is changed twice in one commit", change.key()));
            }
            if let Change::Put { key, value } = change
                && value.len() > limits::MAX_VALUE_BYTES
            {
                return invalid(format!(
                    "the value of {key} has {} bytes, at most {}",
                    value.len(),
                    limits::MAX_VALUE_BYTES
                ));
            }
        }
        Ok(())
    }
}

/// Refuses a key that no row can have.
pub(crate) fn check_key(key: &str) -> Result<(), Error> {
    if key.is_empty() || key.len() > limits::MAX_KEY_BYTES || key.contains('\0') {
        let shown: String = key.chars().take(40).collect();
        return Err(Error::Invalid(format!(
            "the key {shown:?} of {} bytes; a key has 1 to {} bytes and no NUL",
            key.len(),
            limits::MAX_KEY_BYTES
        )));
    }
    Ok(())
}

/// A half-open range of keys: from `start` (included) up to `end` (not included; none means no end).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    start: String,
    end: Option<String>,
}

impl Span {
    /// All keys.
    pub fn all() -> Self {
        Self { start: String::new(), end: None }
    }

    /// All keys that begin with `prefix`.
    pub fn prefix(prefix: &str) -> Self {
        Self { start: prefix.to_owned(), end: successor(prefix) }
    }

    /// Keys from `start` up to, but without, `end`.
    pub fn between(start: &str, end: &str) -> Self {
        Self { start: start.to_owned(), end: Some(end.to_owned()) }
    }

    /// The part of this span that follows `key`: the next page.
    pub fn after(&self, key: &str) -> Self {
        // No key holds a NUL, so nothing lies between `key` and `key` + NUL.
        let next = format!("{key}\0");
        Self { start: next.max(self.start.clone()), end: self.end.clone() }
    }

    /// True when `key` lies within.
    pub fn contains(&self, key: &str) -> bool {
        key >= self.start.as_str() && self.end.as_deref().is_none_or(|end| key < end)
    }

    /// The first key that may lie within.
    pub fn start(&self) -> &str {
        &self.start
    }

    /// The first key beyond, if there is an end.
    pub fn end(&self) -> Option<&str> {
        self.end.as_deref()
    }

    /// True when no key can lie within.
    pub fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }
}

/// The smallest string greater than all that begin with `prefix`; none when there is no such string.
fn successor(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // UTF-8 keeps the order of code points; the surrogates between them are no characters.
        let next = match last {
            '\u{D7FF}' => Some('\u{E000}'),
            other => char::from_u32(other as u32 + 1),
        };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

/// The answer to a range read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// The rows, in key order.
    pub entries: Vec<Entry>,
    /// The store's revision at which they were read.
    pub revision: Revision,
    /// True when the limit cut rows off.
    pub more: bool,
}

/// How much a range read may still answer.
pub(crate) struct Budget {
    entries: usize,
    bytes: usize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Self {
        let entries =
            if limit == 0 { limits::MAX_RANGE_ENTRIES } else { limit.min(limits::MAX_RANGE_ENTRIES) };
        Self { entries, bytes: limits::MAX_RANGE_BYTES }
    }

    /// Counts `entry`; false when nothing was left for it.
    pub(crate) fn spend(&mut self, entry: &Entry) -> bool {
        if self.entries == 0 || self.bytes == 0 {
            return false;
        }
        self.entries -= 1;
        self.bytes = self.bytes.saturating_sub(entry.key.len() + entry.value.len());
        true
    }
}

#[cfg(test)]
mod tests;
