//! Watches: every change, in order, without gaps, or a clear word that it cannot be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::{Make, Setup, ok};
use crate::{Change, Commit, Error, Event, Span, Store, Watch, limits};

/// Long enough that only a lost event lets it pass.
const PATIENCE: Duration = Duration::from_secs(30);

fn next(watch: &mut Watch) -> Event {
    watch.recv_timeout(PATIENCE).expect("the watch works").expect("an event comes in time")
}

fn put(key: &str, value: &str) -> Change {
    Change::Put { key: key.to_owned(), value: value.to_owned().into() }
}

/// Old events first, then new ones; a commit's changes together and in its order.
pub fn a_watch_sees_all_since(make: Make<'_>) {
    let store = make(Setup::default());
    ok(store.commit(Commit::new().put("a", "1").put("b", "1")));
    ok(store.commit(Commit::new().delete("a")));
    let (mut all, mut later) =
        (store.watch(Span::all(), 0).expect("watch"), store.watch(Span::all(), 1).expect("watch"));
    assert_eq!(next(&mut all), Event { revision: 1, changes: vec![put("a", "1"), put("b", "1")] });
    assert_eq!(next(&mut all), Event { revision: 2, changes: vec![Change::Delete { key: "a".into() }] });
    assert_eq!(next(&mut later).revision, 2);
    assert_eq!(all.try_recv(), Ok(None));
    assert_eq!(all.recv_timeout(Duration::from_millis(1)), Ok(None));
    ok(store.commit(Commit::new().put("c", "3").put("a", "3")));
    for watch in [&mut all, &mut later] {
        assert_eq!(next(watch), Event { revision: 3, changes: vec![put("c", "3"), put("a", "3")] });
    }
}

/// Changes beyond the span are left out, live and from history.
pub fn a_watch_sees_its_span_only(make: Make<'_>) {
    let store = make(Setup::default());
    let mut live = store.watch(Span::prefix("b/"), 0).expect("watch");
    ok(store.commit(Commit::new().put("a/1", "").put("b/1", "").put("c", "").put("b/2", "")));
    ok(store.commit(Commit::new().put("a/2", "")));
    ok(store.commit(Commit::new().delete("b/1").delete("a/1")));
    let mut late = store.watch(Span::prefix("b/"), 0).expect("watch");
    for watch in [&mut live, &mut late] {
        assert_eq!(next(watch), Event { revision: 1, changes: vec![put("b/1", ""), put("b/2", "")] });
        assert_eq!(next(watch), Event { revision: 3, changes: vec![Change::Delete { key: "b/1".into() }] });
        assert_eq!(watch.try_recv(), Ok(None));
    }
}

/// A delete that found nothing is no change.
pub fn deletes_of_nothing_are_not_seen(make: Make<'_>) {
    let store = make(Setup::default());
    ok(store.commit(Commit::new().delete("x").put("a", "1").delete("y")));
    ok(store.commit(Commit::new().delete("x")));
    let mut watch = store.watch(Span::all(), 0).expect("watch");
    assert_eq!(next(&mut watch), Event { revision: 1, changes: vec![put("a", "1")] });
    assert_eq!(watch.try_recv(), Ok(None));
}

/// Puts `count` rows, many at a time.
fn fill(store: &dyn Store, from: usize, count: usize) {
    let left = Arc::new(AtomicUsize::new(count));
    for i in from..from + count {
        let left = left.clone();
        let done = Box::new(move |outcome| {
            ok(outcome);
            left.fetch_sub(1, Ordering::Relaxed);
        });
        store.submit(Commit::new().put(format!("fill/{i:06}"), format!("{i}")), done);
    }
    ok(store.commit(Commit::new()));
    assert_eq!(left.load(Ordering::Relaxed), 0);
}

/// A watch that reads nothing for longer than the memory reaches still gets everything.
pub fn a_slow_watch_misses_nothing(make: Make<'_>) {
    let store = make(Setup::default());
    let count = limits::RECENT_COMMITS * 2 + 100;
    let mut idle = store.watch(Span::prefix("fill/"), 0).expect("watch");
    fill(&*store, 0, count);
    let mut late = store.watch(Span::prefix("fill/"), 0).expect("watch");
    for watch in [&mut idle, &mut late] {
        for i in 0..count {
            let event = next(watch);
            assert_eq!((event.revision, event.changes.len()), (i as u64 + 1, 1));
            assert_eq!(event.changes[0].key(), format!("fill/{i:06}"));
        }
        assert_eq!(watch.try_recv(), Ok(None));
    }
}

/// Watches that start and read at any time, while writers write, see an unbroken row of revisions.
pub fn watches_and_writers_at_once(make: Make<'_>) {
    let store = make(Setup::default());
    let total = 4 * 500;
    thread::scope(|scope| {
        for t in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for i in 0..500 {
                    ok(store.commit(Commit::new().put(format!("{t}/{i}"), "v")));
                }
            });
        }
        for _ in 0..4 {
            let store = &store;
            scope.spawn(move || {
                let mut from = 0;
                while from < total {
                    let mut watch = store.watch(Span::all(), from).expect("watch");
                    for _ in 0..100.min(total - from) {
                        let event = next(&mut watch);
                        assert_eq!(event.revision, from + 1);
                        from = event.revision;
                    }
                }
            });
        }
    });
}

/// Where history ends, a watch says from where it can go on; from there it does.
pub fn trimmed_history_is_told(make: Make<'_>) {
    let store = make(Setup { history: 50, ..Setup::default() });
    let mut behind = store.watch(Span::all(), 0).expect("watch");
    fill(&*store, 0, limits::RECENT_COMMITS + 1000);
    let oldest = store.health().oldest_watch;
    assert!(oldest > 0 && oldest <= store.revision() - 50, "{oldest}");
    assert_eq!(store.watch(Span::all(), oldest - 1).err(), Some(Error::Compacted { oldest }));
    assert_eq!(behind.try_recv(), Err(Error::Compacted { oldest }));
    let mut watch = store.watch(Span::all(), oldest).expect("watch");
    for revision in oldest + 1..=store.revision() {
        assert_eq!(next(&mut watch).revision, revision);
    }
}

/// A store that was set back by a restore does not let a watch wait for the wrong future.
pub fn a_revision_to_come_is_refused(make: Make<'_>) {
    let store = make(Setup::default());
    ok(store.commit(Commit::new().put("a", "1")));
    assert!(store.watch(Span::all(), 1).is_ok());
    let refused = store.watch(Span::all(), 2).err();
    assert_eq!(refused, Some(Error::FutureRevision { asked: 2, current: 1 }));
}

/// The callback comes when there is something, not for other spans, and at once when there is already.
pub fn readiness_is_called(make: Make<'_>) {
    let store = make(Setup::default());
    let (tx, rx) = std::sync::mpsc::channel();
    let mut watch = store.watch(Span::prefix("a/"), 0).expect("watch");
    let called = tx.clone();
    watch.on_ready(move || called.send("live").expect("the test waits"));
    ok(store.commit(Commit::new().put("b", "")));
    assert!(rx.try_recv().is_err());
    ok(store.commit(Commit::new().put("a/1", "")));
    assert_eq!(rx.recv_timeout(PATIENCE), Ok("live"));
    assert_eq!(next(&mut watch).revision, 2);
    assert_eq!(watch.try_recv(), Ok(None));
    ok(store.commit(Commit::new().put("a/2", "")));
    assert_eq!(rx.recv_timeout(PATIENCE), Ok("live"));
    let mut late = store.watch(Span::prefix("a/"), 0).expect("watch");
    late.on_ready(move || tx.send("late").expect("the test waits"));
    assert_eq!(rx.recv_timeout(PATIENCE), Ok("late"));
}

/// A watch whose rows nobody touches does not age with the rest of the store.
pub fn a_quiet_watch_never_falls_behind(make: Make<'_>) {
    let store = make(Setup { history: 50, ..Setup::default() });
    let mut quiet = store.watch(Span::prefix("quiet/"), 0).expect("watch");
    fill(&*store, 0, limits::RECENT_COMMITS + 1000);
    ok(store.commit(Commit::new().put("quiet/1", "")));
    assert_eq!(next(&mut quiet).changes, [put("quiet/1", "")]);
}

/// What was committed is handed on before the end is told.
pub fn a_watch_ends_with_the_store(make: Make<'_>) {
    let store = make(Setup::default());
    let mut watch = store.watch(Span::all(), 0).expect("watch");
    ok(store.commit(Commit::new().put("a", "1")));
    let waiting = thread::spawn(move || {
        assert_eq!(next(&mut watch).revision, 1);
        watch.recv()
    });
    drop(store);
    assert_eq!(waiting.join().expect("no panic"), Err(Error::Closed));
}
