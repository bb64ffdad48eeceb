//! The places of connections. There are many, and still not enough for everybody who could want one: when all are
//! taken, the connection that has said nothing right for the longest time gives way to the new one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Of how many connections that gave nothing right one batch is when places are needed: looking for the oldest costs
/// as much for many as for one.
const BATCH: usize = 64;

/// All places.
pub(super) struct Places {
    limit: usize,
    reserve: usize,
    started: Instant,
    table: Mutex<Table>,
    freed: Notify,
}

#[derive(Default)]
struct Table {
    next: u64,
    taken: HashMap<u64, Arc<Place>>,
    reserved: usize,
}

/// What is known of the connection that has a place.
pub(super) struct Place {
    /// It is beyond the limit: only for who must always get in.
    pub reserved: bool,
    /// Ends the connection.
    pub cut: CancellationToken,
    started: Instant,
    /// When it last came, asked or was answered, in microseconds.
    since: AtomicU64,
    /// A request of it was right, so it is somebody's.
    verified: AtomicBool,
    /// A request of it that is right is being answered.
    busy: AtomicBool,
}

/// A place for as long as it is held.
pub(super) struct Held {
    places: Arc<Places>,
    id: u64,
    pub place: Arc<Place>,
}

impl Places {
    /// So many places, and so many more for who must always get in.
    pub fn new(limit: usize, reserve: usize) -> Arc<Self> {
        let (table, freed) = (Default::default(), Notify::new());
        Arc::new(Self { limit, reserve, started: Instant::now(), table, freed })
    }

    /// A place for a new connection, which `cut` ends too. Waits only while every connection is being answered.
    pub async fn take(self: &Arc<Self>, cut: &CancellationToken) -> Held {
        loop {
            let freed = self.freed.notified();
            if let Some(held) = self.try_take(cut) {
                return held;
            }
            freed.await;
        }
    }

    fn try_take(self: &Arc<Self>, cut: &CancellationToken) -> Option<Held> {
        let mut table = self.table.lock();
        let full = |table: &Table| table.taken.len() - table.reserved >= self.limit;
        if full(&table) {
            table.make_room(self.limit);
        }
        let reserved = full(&table);
        if reserved && table.reserved >= self.reserve {
            table.end_oldest(1, |place| place.reserved);
            if table.reserved >= self.reserve {
                return None;
            }
        }
        let id = table.next;
        table.next += 1;
        table.reserved += usize::from(reserved);
        let place = Arc::new(Place {
            reserved,
            cut: cut.child_token(),
            started: self.started,
            since: AtomicU64::new(micros(self.started)),
            verified: AtomicBool::new(false),
            busy: AtomicBool::new(false),
        });
        table.taken.insert(id, place.clone());
        Some(Held { places: self.clone(), id, place })
    }
}

impl Table {
    /// Those that gave nothing right go first, then the one that has been idle for the longest time.
    fn make_room(&mut self, limit: usize) {
        let unknown = |place: &Place| !place.reserved && !place.verified.load(Ordering::Relaxed);
        if self.end_oldest((limit / BATCH).max(1), unknown) == 0 {
            self.end_oldest(1, |place| !place.reserved);
        }
    }

    /// Ends the oldest that are not being answered; how many.
    fn end_oldest(&mut self, count: usize, which: impl Fn(&Place) -> bool) -> usize {
        let idle = |place: &Place| !place.busy.load(Ordering::Relaxed) && which(place);
        let mut found: Vec<(u64, u64)> = self
            .taken
            .iter()
            .filter(|(_, place)| idle(place))
            .map(|(id, place)| (place.since.load(Ordering::Relaxed), *id))
            .collect();
        found.sort_unstable();
        found.truncate(count);
        for (_, id) in &found {
            if let Some(place) = self.remove(*id) {
                place.cut.cancel();
            }
        }
        found.len()
    }

    fn remove(&mut self, id: u64) -> Option<Arc<Place>> {
        let place = self.taken.remove(&id)?;
        self.reserved -= usize::from(place.reserved);
        Some(place)
    }
}

impl Place {
    /// A request has come.
    pub fn asked(&self) {
        self.since.store(micros(self.started), Ordering::Relaxed);
    }

    /// It is right, and will be answered.
    pub fn is_right(&self) {
        self.verified.store(true, Ordering::Relaxed);
        self.busy.store(true, Ordering::Relaxed);
    }

    /// The answer is on its way.
    pub fn answered(&self) {
        self.since.store(micros(self.started), Ordering::Relaxed);
        self.busy.store(false, Ordering::Relaxed);
    }

    /// How long nothing came or went.
    pub fn quiet(&self) -> Duration {
        self.started.elapsed().saturating_sub(Duration::from_micros(self.since.load(Ordering::Relaxed)))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.places.table.lock().remove(self.id);
        self.places.freed.notify_one();
    }
}

fn micros(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(places: &Arc<Places>, count: usize) -> Vec<Held> {
        let cut = CancellationToken::new();
        (0..count).map(|_| places.try_take(&cut).unwrap()).collect()
    }

    fn cut(held: &[Held]) -> Vec<usize> {
        (0..held.len()).filter(|at| held[*at].place.cut.is_cancelled()).collect()
    }

    #[test]
    fn the_oldest_that_said_nothing_right_gives_way() {
        let places = Places::new(4, 1);
        let held = all(&places, 4);
        held[0].place.is_right();
        held[0].place.answered();
        held[1].place.is_right();
        let more = all(&places, 1);
        assert_eq!(cut(&held), [2]);
        let more = [more, all(&places, 1)].concat_held();
        assert_eq!(cut(&held), [2, 3]);
        for held in &more {
            held.place.is_right();
        }
        // All are known now: the one that is idle goes, not those that are being answered.
        let last = all(&places, 1);
        assert_eq!(cut(&held), [0, 2, 3]);
        last[0].place.is_right();
        // All are being answered: what comes now has a place of the reserve, and then there is none.
        let reserve = all(&places, 1);
        assert!(reserve[0].place.reserved && cut(&more).is_empty() && cut(&last).is_empty());
        let other = all(&places, 1);
        assert!(other[0].place.reserved && reserve[0].place.cut.is_cancelled());
        other[0].place.is_right();
        assert!(places.try_take(&CancellationToken::new()).is_none());
        drop(last);
        assert!(!all(&places, 1)[0].place.reserved);
    }

    trait Concat {
        fn concat_held(self) -> Vec<Held>;
    }

    impl<const N: usize> Concat for [Vec<Held>; N] {
        fn concat_held(self) -> Vec<Held> {
            self.into_iter().flatten().collect()
        }
    }

    #[tokio::test]
    async fn who_waits_gets_the_next_place() {
        let places = Places::new(1, 0);
        let held = all(&places, 1);
        held[0].place.is_right();
        let (waiting, cut) = (places.clone(), CancellationToken::new());
        let waiting = tokio::spawn(async move { waiting.take(&cut).await.place.reserved });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(held);
        assert!(!waiting.await.unwrap());
    }
}
