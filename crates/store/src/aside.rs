//! Rows that cannot be read, set aside: moved out of the way of all others, with their bytes and the reason, so
//! that nothing stops for them and nothing of them is lost. They stay in the same store, below [`PREFIX`].

use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Commit, Entry, Error, Revision, Span, Store, limits};

/// Where rows that were set aside begin. No other row may.
pub const PREFIX: &str = "aside/";

/// Stands for rows of which not even the keys can be read any more.
pub const UNKNOWN: &str = "?";

/// A row that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    /// Where it was.
    pub key: String,
    /// The revision that wrote it; 0 where that is lost.
    pub revision: Revision,
    /// When it was set aside, in seconds since 1970.
    pub at: u64,
    /// Why.
    pub reason: String,
}

/// The commit that moves `entry` aside.
pub fn commit(entry: &Entry, reason: &str) -> Commit {
    let name = name(&entry.key, entry.revision);
    let commit =
        Commit::new().delete(entry.key.as_str()).put(format!("{PREFIX}row/{name}"), entry.value.clone());
    commit.put(format!("{PREFIX}why/{name}"), why(reason))
}

/// The commit that puts a row back where it was, as it was.
pub fn put_back(store: &dyn Store, aside: &Aside) -> Result<Commit, Error> {
    let kept = store.get(&kept(aside))?;
    let kept = kept.ok_or_else(|| Error::Invalid(format!("nothing is left of the row {}", aside.key)))?;
    Ok(forget(aside).put(aside.key.as_str(), kept.value))
}

/// The commit that makes a row that was set aside one of another key; `change` makes what is kept of it what that
/// key's rows hold.
pub fn rename(
    store: &dyn Store,
    aside: &Aside,
    key: &str,
    change: impl FnOnce(&[u8]) -> Vec<u8>,
) -> Result<Commit, Error> {
    let moved = Aside { key: key.to_owned(), ..aside.clone() };
    let mut commit = forget(aside);
    if let Some(entry) = store.get(&kept(aside))? {
        commit = commit.put(kept(&moved), change(&entry.value));
    }
    let text = format!("{} {}", aside.at, aside.reason).into_bytes();
    Ok(commit.put(format!("{PREFIX}why/{}", name(key, aside.revision)), text))
}

/// The commit that forgets a row for good.
pub fn forget(aside: &Aside) -> Commit {
    let name = name(&aside.key, aside.revision);
    Commit::new().delete(format!("{PREFIX}why/{name}")).delete(format!("{PREFIX}row/{name}"))
}

/// The key of the bytes of a row that was set aside; there is none where they are lost.
pub fn kept(aside: &Aside) -> String {
    format!("{PREFIX}row/{}", name(&aside.key, aside.revision))
}

/// All that was set aside, in the order of the keys.
pub fn list(store: &dyn Store) -> Result<Vec<Aside>, Error> {
    let mut all = Vec::new();
    store.scan(&Span::prefix(&format!("{PREFIX}why/")), &mut |entry| {
        all.extend(read(&entry.key, &entry.value))
    })?;
    Ok(all)
}

/// Reads the reason's row.
pub(crate) fn read(key: &str, value: &[u8]) -> Option<Aside> {
    let (key, revision) = key.strip_prefix(PREFIX)?.strip_prefix("why/")?.rsplit_once('@')?;
    let text = String::from_utf8_lossy(value);
    let (at, reason) = text.split_once(' ').unwrap_or(("0", &text));
    Some(Aside {
        key: key.to_owned(),
        revision: revision.parse().unwrap_or(0),
        at: at.parse().unwrap_or(0),
        reason: reason.to_owned(),
    })
}

/// The reason's key and value of a row whose bytes are lost.
pub(crate) fn lost(key: &str, reason: &str) -> (String, Vec<u8>) {
    (format!("{PREFIX}why/{}", name(key, 0)), why(reason))
}

fn why(reason: &str) -> Vec<u8> {
    // A clock before 1970 only makes the time unknown.
    let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs());
    format!("{at} {reason}").into_bytes()
}

/// A key with its revision, cut where it would make too long a key.
fn name(key: &str, revision: Revision) -> String {
    let most = limits::MAX_KEY_BYTES - PREFIX.len() - 32;
    format!("{}@{revision}", &key[..key.floor_char_boundary(most)])
}
