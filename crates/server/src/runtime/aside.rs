//! What was set aside, for those who must not take it for gone: a task whose row cannot be read may well be wanted,
//! so no agent is told to stop it until somebody says so.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use state::ShardId;
use store::{Error, Store, aside};

/// The keys of rows that were set aside.
pub struct Aside {
    keys: BTreeSet<String>,
    /// Tasks that somebody has given up since the start.
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

    /// Whether a task that no row is of may be one whose row was set aside, or lost with its key.
    pub fn may_be_task(&self, cluster: &ShardId, id: &str) -> bool {
        if self.keys.is_empty() {
            return false;
        }
        let key = key(cluster, id);
        (self.keys.contains(&key) || self.keys.contains(aside::UNKNOWN))
            && !self.given_up.lock().contains(&key)
    }

    /// From now on the task counts as gone. The commits that forget its row are answered.
    pub fn give_up(
        &self,
        store: &dyn Store,
        cluster: &ShardId,
        id: &str,
    ) -> Result<Vec<store::Commit>, Error> {
        let key = key(cluster, id);
        let of_task = aside::list(store)?.into_iter().filter(|aside| aside.key == key);
        let commits = of_task.map(|aside| aside::forget(&aside)).collect();
        self.given_up.lock().insert(key);
        Ok(commits)
    }
}

fn key(cluster: &ShardId, id: &str) -> String {
    cluster.key(&format!("task/{id}"))
}
