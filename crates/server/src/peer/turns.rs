//! Turns at what is costly to look up. Each user has some, fewer than there are in all: whoever opens any number of
//! connections at once waits for itself, and holds up nobody else's.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::Error;

/// How many look-ups go on at a time.
const AT_ONCE: usize = 4;
/// How many of them are one user's at the most.
const OF_ONE: usize = 3;

/// The turns of some users.
pub(super) struct Turns {
    all: Arc<Semaphore>,
    of: BTreeMap<u32, Arc<Semaphore>>,
}

impl Turns {
    /// For these users, by their numbers.
    pub(super) fn new(users: impl IntoIterator<Item = u32>) -> Self {
        let own = |user| (user, Arc::new(Semaphore::new(OF_ONE)));
        Self { all: Arc::new(Semaphore::new(AT_ONCE)), of: users.into_iter().map(own).collect() }
    }

    /// For these users, whose turn never comes.
    #[cfg(test)]
    pub(super) fn never(users: impl IntoIterator<Item = u32>) -> Self {
        Self { all: Arc::new(Semaphore::new(0)), ..Self::new(users) }
    }

    /// Whether the user has any.
    pub(super) fn has(&self, user: u32) -> bool {
        self.of.contains_key(&user)
    }

    /// Does work that may block when a turn of that user comes; what it says. A turn lasts as long as its work, also
    /// where nobody waits for that any more.
    pub(super) async fn take<T: Send + 'static>(
        &self,
        user: u32,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let own = self.of.get(&user).ok_or(Error::User(user))?;
        // One's own first: so no more than those wait among all. Neither is ever closed.
        let own = own.clone().acquire_owned().await;
        let turn = (own, self.all.clone().acquire_owned().await);
        let working = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        working.await.unwrap_or_else(|error| Err(Error::Unknown(error.to_string())))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::sync::mpsc;
    use std::time::Duration;

    use parking_lot::Mutex;
    use tokio::task::JoinHandle;

    use super::*;

    /// Look-ups of user 1 that go on until they are let go.
    struct Flood {
        turns: Arc<Turns>,
        begun: Arc<AtomicUsize>,
        waiting: Vec<JoinHandle<Result<(), Error>>>,
        go: mpsc::Sender<()>,
    }

    impl Flood {
        /// So many, of which the first have begun.
        async fn of(number: usize) -> Flood {
            let (go, wait) = mpsc::channel();
            let wait = Arc::new(Mutex::new(wait));
            let (turns, begun) = (Arc::new(Turns::new([1, 2])), Arc::new(AtomicUsize::new(0)));
            let one = |_| {
                let (turns, begun, wait) = (turns.clone(), begun.clone(), wait.clone());
                let work = move || {
                    begun.fetch_add(1, Relaxed);
                    // An error: all are let go.
                    let _ = wait.lock().recv();
                    Ok(())
                };
                tokio::spawn(async move { turns.take(1, work).await })
            };
            let waiting = (0..number).map(one).collect();
            while begun.load(Relaxed) < OF_ONE {
                tokio::task::yield_now().await;
            }
            Flood { turns, begun, waiting, go }
        }
    }

    #[tokio::test]
    async fn one_users_flood_holds_up_nobody_else() {
        let flood = Flood::of(100).await;
        let first = tokio::time::timeout(Duration::from_secs(20), flood.turns.take(2, || Ok(7))).await;
        assert_eq!(first.expect("another's first is looked up at once").unwrap(), 7);
        assert_eq!(flood.begun.load(Relaxed), OF_ONE);
        drop(flood.go);
        for one in flood.waiting {
            one.await.unwrap().unwrap();
        }
        assert_eq!(flood.begun.load(Relaxed), 100);
    }

    #[tokio::test]
    async fn a_turn_lasts_as_long_as_its_work() {
        let flood = Flood::of(100).await;
        for one in flood.waiting {
            one.abort();
            // Of those that wait for a turn nothing is left, of the others their work.
            assert!(one.await.unwrap_err().is_cancelled());
        }
        let free = |turns: &Turns| (turns.all.available_permits(), turns.of[&1].available_permits());
        assert_eq!(free(&flood.turns), (AT_ONCE - OF_ONE, 0));
        drop(flood.go);
        while free(&flood.turns) != (AT_ONCE, OF_ONE) {
            tokio::task::yield_now().await;
        }
        assert_eq!(flood.begun.load(Relaxed), OF_ONE);
    }
}
