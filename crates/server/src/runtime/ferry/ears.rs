//! Who is to hear that something of an identifier may have changed: those alone who listen to it, so that a change costs by
//! whom it concerns, and not by how many hosts there are.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// All who listen in one account and region.
#[derive(Default)]
pub struct Ears {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Rises with each one that listens.
    last: u64,
    wakes: BTreeMap<u64, Arc<Notify>>,
    /// Who listens to what.
    to: HashMap<String, BTreeSet<u64>>,
}

/// One who listens, to nothing at first. It ends when it is dropped.
pub struct Ear {
    all: Arc<Ears>,
    id: u64,
    wake: Arc<Notify>,
    to: BTreeSet<String>,
}

impl Ears {
    /// One more who listens.
    pub fn listen(self: &Arc<Self>) -> Ear {
        let mut inner = self.inner.lock();
        inner.last += 1;
        let (id, wake) = (inner.last, Arc::new(Notify::new()));
        inner.wakes.insert(id, wake.clone());
        Ear { all: self.clone(), id, wake, to: BTreeSet::new() }
    }

    /// Tells that something of these may have changed, and of any where that is not known. Gives how many heard of it.
    pub fn tell(&self, ids: Option<&[String]>) -> usize {
        let inner = self.inner.lock();
        let Some(ids) = ids else {
            inner.wakes.values().for_each(|wake| wake.notify_one());
            return inner.wakes.len();
        };
        let concerned: BTreeSet<u64> =
            ids.iter().filter_map(|id| inner.to.get(id)).flatten().copied().collect();
        concerned.iter().filter_map(|id| inner.wakes.get(id)).for_each(|wake| wake.notify_one());
        concerned.len()
    }
}

impl Ear {
    /// Listens to these from now on, and to nothing else. Tells whether any of them is new: what was looked up before is to
    /// be looked up again then, for it may have changed in between.
    pub fn to(&mut self, ids: BTreeSet<String>) -> bool {
        let mut inner = self.all.inner.lock();
        for id in self.to.difference(&ids) {
            inner.leave(id, self.id);
        }
        let mut is_new = false;
        for id in ids.difference(&self.to) {
            inner.to.entry(id.clone()).or_default().insert(self.id);
            is_new = true;
        }
        drop(inner);
        self.to = ids;
        is_new
    }

    /// Waits until something of it may have changed since it was heard last.
    pub async fn heard(&self) {
        self.wake.notified().await;
    }
}

impl Inner {
    fn leave(&mut self, id: &str, who: u64) {
        if let Some(listeners) = self.to.get_mut(id) {
            listeners.remove(&who);
            if listeners.is_empty() {
                self.to.remove(id);
            }
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let mut inner = self.all.inner.lock();
        inner.wakes.remove(&self.id);
        for id in &self.to {
            inner.leave(id, self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn of(ids: &[&str]) -> BTreeSet<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    fn tell(ears: &Ears, id: &str) -> usize {
        ears.tell(Some(&[id.to_owned()]))
    }

    #[test]
    fn those_alone_hear_who_listen() {
        let ears = Arc::new(Ears::default());
        let (mut one, mut other) = (ears.listen(), ears.listen());
        assert_eq!(tell(&ears, "a"), 0);
        assert!(one.to(of(&["a", "b"])) && other.to(of(&["b"])));
        assert!(!one.to(of(&["a", "b"])), "nothing is new");
        assert_eq!((tell(&ears, "a"), tell(&ears, "b"), tell(&ears, "c")), (1, 2, 0));
        assert_eq!(ears.tell(Some(&["a".to_owned(), "b".to_owned()])), 2, "each once");
        assert!(one.heard().now_or_never().is_some());
        assert!(one.heard().now_or_never().is_none(), "that was all");
        assert!(!one.to(of(&["a"])));
        assert_eq!((tell(&ears, "b"), ears.tell(None)), (1, 2));
        drop(other);
        assert_eq!((tell(&ears, "b"), ears.tell(None)), (0, 1));
        drop(one);
        let inner = ears.inner.lock();
        assert!(inner.to.is_empty() && inner.wakes.is_empty());
    }
}
