//! What was set aside, for those who must not take it for gone: what a row is of that cannot be read may well be
//! wanted, until somebody says otherwise.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use store::{Error, Store, aside};

/// The keys of rows that were set aside.
pub struct Aside {
    keys: BTreeSet<String>,
    /// Those that somebody has given up since the start.
    given_up: Mutex<BTreeSet<String>>,
}

impl Aside {
    /// Reads which they are; `more` could not be moved.
    pub fn read<'a>(store: &dyn Store, more: impl Iterator<Item = &'a str>) -> Result<Aside, Error> {
        let listed = aside::list(store)?.into_iter().map(|aside| aside.key);
        Ok(Aside { keys: listed.chain(more.map(str::to_owned)).collect(), given_up: Mutex::default() })
    }

    /// All keys.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(String::as_str)
    }

    /// Whether a row that is not there may be one that was set aside, or lost with its key.
    pub fn may_be(&self, key: &str) -> bool {
        (self.keys.contains(key) || self.keys.contains(aside::UNKNOWN)) && !self.given_up.lock().contains(key)
    }

    /// From now on the row counts as gone. The commits that forget it are answered.
    ///
    /// # Errors
    /// The store's.
    pub fn give_up(&self, store: &dyn Store, key: &str) -> Result<Vec<store::Commit>, Error> {
        let listed = aside::list(store)?.into_iter().filter(|aside| aside.key == key);
        let commits = listed.map(|aside| aside::forget(&aside)).collect();
        self.given_up.lock().insert(key.to_owned());
        Ok(commits)
    }
}
