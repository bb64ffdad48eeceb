//! The places of connections. There are many, and still not enough for everybody who could want one: when all are
//! taken, the connection that has said nothing right for the longest time gives way to the new one. So does the one whose
//! client has let its reply wait for the longest time, when the replies that wait are too many bytes together.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Of how many connections that gave nothing right one batch is when places are needed: looking for the oldest costs
/// as much for many as for one.
const BATCH: usize = 64;

/// All places.
pub(super) struct Places {
    limit: usize,
    reserve: usize,
    /// Bytes of replies that may wait.
    waiting_limit: usize,
    /// Bytes of replies that wait.
    waiting: AtomicUsize,
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
    /// When it last came, asked or was answered, in microseconds.
    since: AtomicU64,
    /// A request of it was right, so it is somebody's.
    verified: AtomicBool,
    /// A request of it that is right is being answered.
    busy: AtomicBool,
    /// Requests that are not answered to their last byte; more than one only where a connection can have several.
    open: AtomicUsize,
    /// Bytes of its replies that wait.
    waiting: AtomicUsize,
}

/// A request until its answer is sent, or given up.
pub(super) struct Open(Arc<Place>);

/// A reply until its last byte is sent.
struct Reply {
    bytes: Bytes,
    places: Arc<Places>,
    place: Arc<Place>,
}

/// A place for as long as it is held.
pub(super) struct Held {
    places: Arc<Places>,
    id: u64,
    pub place: Arc<Place>,
}

impl Places {
    /// So many places, and so many more for who must always get in; and so many bytes of replies that may wait.
    pub fn new(limit: usize, reserve: usize, waiting_limit: usize) -> Arc<Self> {
        let (table, freed) = (Default::default(), Notify::new());
        Arc::new(Self { limit, reserve, waiting_limit, waiting: AtomicUsize::new(0), table, freed })
    }

    /// The same bytes, which count as waiting until they are dropped. One reply may always wait, however long it is.
    pub fn counted(self: &Arc<Self>, place: &Arc<Place>, bytes: Bytes) -> Bytes {
        if bytes.is_empty() {
            return bytes;
        }
        let others = self.waiting.fetch_add(bytes.len(), Ordering::Relaxed);
        let beyond = (others + bytes.len()).saturating_sub(self.waiting_limit).min(others);
        if beyond > 0 {
            self.table.lock().end_waiting(beyond, self);
        }
        place.waiting.fetch_add(bytes.len(), Ordering::Relaxed);
        Bytes::from_owner(Reply { bytes, places: self.clone(), place: place.clone() })
    }

    /// So many bytes of a connection wait no longer.
    fn sent(&self, place: &Place, bytes: usize) {
        let mut gone = 0;
        let _ = place.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |waiting| {
            gone = waiting.min(bytes);
            Some(waiting - gone)
        });
        self.waiting.fetch_sub(gone, Ordering::Relaxed);
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
            since: AtomicU64::new(micros()),
            verified: AtomicBool::new(false),
            busy: AtomicBool::new(false),
            open: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
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

    /// Ends the connections whose replies have waited for the longest time, until so many bytes are free.
    fn end_waiting(&mut self, mut bytes: usize, places: &Places) {
        let waits = |place: &Arc<Place>| place.waiting.load(Ordering::Relaxed) > 0;
        let waiting = self.taken.iter().filter(|(_, place)| waits(place));
        let mut waiting: Vec<(u64, u64)> =
            waiting.map(|(id, place)| (place.since.load(Ordering::Relaxed), *id)).collect();
        waiting.sort_unstable();
        for (_, id) in waiting {
            let Some(place) = self.remove(id) else { continue };
            place.cut.cancel();
            // Its bytes go a moment later, and are not to be waited for.
            let freed = place.waiting.load(Ordering::Relaxed);
            places.sent(&place, freed);
            bytes = bytes.saturating_sub(freed);
            if bytes == 0 {
                return;
            }
        }
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
        self.since.store(micros(), Ordering::Relaxed);
    }

    /// It is right, and will be answered.
    pub fn is_right(&self) {
        self.verified.store(true, Ordering::Relaxed);
        self.busy.store(true, Ordering::Relaxed);
    }

    /// An answer is on its way.
    pub fn answered(&self) {
        self.since.store(micros(), Ordering::Relaxed);
        if self.open.load(Ordering::Relaxed) <= 1 {
            self.busy.store(false, Ordering::Relaxed);
        }
    }

    /// A request has begun.
    pub fn open(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Ordering::Relaxed);
        Open(self.clone())
    }

    /// Whether a request has begun and is not over.
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed) > 0
    }

    /// Whether something waits for the client to take it.
    pub fn waits(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// How long nothing came or went.
    pub fn quiet(&self) -> Duration {
        Duration::from_micros(micros().saturating_sub(self.since.load(Ordering::Relaxed)))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.busy.store(false, Ordering::Relaxed);
        }
    }
}

impl AsRef<[u8]> for Reply {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.places.sent(&self.place, self.bytes.len());
    }
}

impl Held {
    /// All places.
    pub fn places(&self) -> &Arc<Places> {
        &self.places
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.places.table.lock().remove(self.id);
        self.places.freed.notify_one();
    }
}

/// Microseconds of a clock that stands still for some milliseconds at a time: it is read twice a request, and costs a
/// fraction of an exact one.
fn micros() -> u64 {
    let time = clock_gettime(ClockId::MonotonicCoarse);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    seconds.unwrap_or_default() * 1_000_000 + nanos.unwrap_or_default() / 1000
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
        let places = Places::new(4, 1, 0);
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

    #[test]
    fn the_reply_that_waits_longest_gives_way() {
        let places = Places::new(8, 0, 10);
        let held = all(&places, 4);
        let reply = |at: usize, length: usize| {
            // In the order in which they are called.
            held[at].place.since.store(at as u64, Ordering::Relaxed);
            places.counted(&held[at].place, Bytes::from(vec![0; length]))
        };
        let first = reply(0, 4);
        let second = reply(1, 4);
        drop(reply(2, 2));
        let third = reply(2, 2);
        assert!(cut(&held).is_empty(), "there is just room");
        // What was sent makes room.
        drop(second);
        let again = reply(1, 4);
        assert!(cut(&held).is_empty());
        let last = reply(3, 5);
        assert_eq!(cut(&held), [0, 1]);
        assert_eq!(places.waiting.load(Ordering::Relaxed), 7);
        // One alone may be of any length.
        drop((first, again, third, last));
        assert_eq!(places.waiting.load(Ordering::Relaxed), 0);
        let long = reply(2, 100);
        assert_eq!(cut(&held), [0, 1]);
        assert_eq!(long.len(), 100);
        let more = reply(3, 1);
        assert_eq!(cut(&held), [0, 1, 2]);
        drop((long, more));
        assert_eq!(places.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn who_waits_gets_the_next_place() {
        let places = Places::new(1, 0, 0);
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
