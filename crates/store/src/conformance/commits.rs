//! Commits: whole or not at all, in order, conditional, limited.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

use super::{Make, Setup, ok, text};
use crate::{Commit, Condition, Error, Revision, limits};

/// The first revision is 1, each commit adds one, rows carry the revision of their last write.
pub fn a_commit_moves_the_revision_by_one(make: Make<'_>) {
    let store = make(Setup::default());
    assert_eq!(store.revision(), 0);
    assert_eq!(store.commit(Commit::new().put("a", "1").put("b", "1")), Ok(1));
    assert_eq!(store.commit(Commit::new().put("a", "2").delete("b").put("c", "")), Ok(2));
    assert_eq!(store.revision(), 2);
    let a = store.get("a").expect("read").expect("there is a row");
    assert_eq!((a.key.as_str(), &a.value[..], a.revision), ("a", &b"2"[..], 2));
    assert_eq!((text(&*store, "b"), text(&*store, "c")), (None, Some(String::new())));
    let health = store.health();
    assert!(health.writable && health.last_error.is_none() && health.revision == 2, "{health:?}");
}

/// Nothing to change: the answer is the current revision.
pub fn a_commit_without_effect_moves_nothing(make: Make<'_>) {
    let store = make(Setup::default());
    assert_eq!(store.commit(Commit::new()), Ok(0));
    assert_eq!(store.commit(Commit::new().put("a", "1")), Ok(1));
    assert_eq!(store.commit(Commit::new().delete("b").delete("c")), Ok(1));
    assert_eq!(store.commit(Commit::new().when(Condition::Revision { key: "a".into(), revision: 1 })), Ok(1));
    assert_eq!(store.commit(Commit::new().delete("b").delete("a")), Ok(2));
    assert_eq!(store.revision(), 2);
}

/// A refused commit leaves no trace, and its neighbours in the queue are not touched by it.
pub fn a_refused_commit_changes_nothing(make: Make<'_>) {
    let store = make(Setup::default());
    let (tx, rx) = mpsc::channel();
    for i in 0..30 {
        let mut commit = Commit::new().put(format!("k{i:02}"), "x").put("last", format!("{i}"));
        if i % 3 == 1 {
            commit = commit.when(Condition::Revision { key: "nowhere".into(), revision: 7 });
        }
        let tx = tx.clone();
        store.submit(commit, Box::new(move |outcome| tx.send((i, outcome)).expect("the test waits")));
    }
    let mut taken = 0;
    for _ in 0..30 {
        let (i, outcome) = rx.recv().expect("every commit is answered");
        assert_eq!(outcome.is_ok(), i % 3 != 1, "{outcome:?}");
        assert_eq!(text(&*store, &format!("k{i:02}")).is_some(), outcome.is_ok());
        taken += u64::from(outcome.is_ok());
    }
    assert_eq!((store.revision(), taken), (20, 20));
    assert_eq!(text(&*store, "last").as_deref(), Some("29"));
}

/// Each kind of condition, met and not.
pub fn conditions_hold_or_refuse(make: Make<'_>) {
    let store = make(Setup::default());
    ok(store.commit(Commit::new().put("a", "1")));
    ok(store.commit(Commit::new().put("b", "1")));
    let conflict = |key: &str, expected, found| Err(Error::Conflict { key: key.to_owned(), expected, found });
    let cases = [
        (Condition::Revision { key: "a".into(), revision: 1 }, Ok(3)),
        (Condition::Revision { key: "a".into(), revision: 1 }, conflict("a", Some(1), Some(3))),
        (Condition::Revision { key: "b".into(), revision: 3 }, conflict("b", Some(3), Some(2))),
        (Condition::Revision { key: "c".into(), revision: 1 }, conflict("c", Some(1), None)),
        (Condition::Absent { key: "b".into() }, conflict("b", None, Some(2))),
        (Condition::Absent { key: "c".into() }, Ok(4)),
        (
            Condition::Lease { name: "l".into(), token: 1 },
            Err(Error::Fenced { lease: "l".to_owned(), token: 1 }),
        ),
    ];
    for (condition, expected) in cases {
        assert_eq!(
            store.commit(Commit::new().put("a", "2").when(condition.clone())),
            expected,
            "{condition:?}"
        );
    }
}

/// Two commits queued together: the second sees what the first did.
pub fn conditions_see_the_commits_before(make: Make<'_>) {
    let store = make(Setup::default());
    let (tx, rx) = mpsc::channel();
    for i in 0..20 {
        let tx = tx.clone();
        let commit = Commit::new().put("once", format!("{i}")).when(Condition::Absent { key: "once".into() });
        store.submit(commit, Box::new(move |outcome| tx.send(outcome).expect("the test waits")));
    }
    let outcomes: Vec<_> = (0..20).map(|_| rx.recv().expect("every commit is answered")).collect();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(text(&*store, "once").as_deref(), Some("0"));
}

/// What is too large is refused; what just fits is taken and comes back whole.
pub fn limits_are_kept(make: Make<'_>) {
    let store = make(Setup::default());
    let refused = [Commit::new().put("", "x"), Commit::new().put("k", vec![0; limits::MAX_VALUE_BYTES + 1])];
    for commit in refused {
        assert!(matches!(store.commit(commit), Err(Error::Invalid(_))));
    }
    assert!(matches!(store.get(""), Err(Error::Invalid(_))));
    let key = "é".repeat(limits::MAX_KEY_BYTES / 2);
    let value: Vec<u8> = (0..limits::MAX_VALUE_BYTES).map(|i| (i % 251) as u8).collect();
    ok(store.commit(Commit::new().put(key.clone(), value.clone())));
    assert_eq!(store.get(&key).expect("read").expect("there is a row").value, value);
    let many = (0..limits::MAX_CHANGES).fold(Commit::new(), |commit, i| commit.put(format!("many/{i}"), "v"));
    ok(store.commit(many));
    let mut watch = store.watch(crate::Span::prefix("many/"), 0).expect("the history is there");
    assert_eq!(watch.recv().expect("an event").changes.len(), limits::MAX_CHANGES);
}

/// Commits of one submitter happen in the order of submission.
pub fn commits_keep_their_order(make: Make<'_>) {
    let store = make(Setup::default());
    let (tx, rx) = mpsc::channel();
    for i in 0..1000_u64 {
        let tx = tx.clone();
        let done = Box::new(move |outcome: Result<Revision, Error>| {
            tx.send(outcome == Ok(i + 1)).expect("the test waits");
        });
        store.submit(Commit::new().put("k", format!("{i}")), done);
    }
    drop(tx);
    assert_eq!(rx.iter().filter(|in_order| *in_order).count(), 1000);
    assert_eq!(text(&*store, "k").as_deref(), Some("999"));
}

/// Eight threads count up one row by compare and set; every success counts once.
pub fn counting_by_condition_loses_nothing(make: Make<'_>) {
    let store = make(Setup::default());
    ok(store.commit(Commit::new().put("n", "0")));
    let counted = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let entry = store.get("n").expect("read").expect("there is a row");
                    let n: usize = String::from_utf8_lossy(&entry.value).parse().expect("a number");
                    let unchanged = Condition::Revision { key: "n".into(), revision: entry.revision };
                    match store.commit(Commit::new().put("n", format!("{}", n + 1)).when(unchanged)) {
                        Ok(_) => counted.fetch_add(1, Ordering::Relaxed),
                        Err(Error::Conflict { .. }) => 0,
                        Err(other) => panic!("{other}"),
                    };
                }
            });
        }
    });
    assert_eq!(text(&*store, "n"), Some(counted.into_inner().to_string()));
}

/// The queue is bounded: when the writer does not keep up, submitting says so at once.
pub fn a_full_queue_says_busy(make: Make<'_>) {
    let store = make(Setup::default());
    let (release, held) = mpsc::channel::<()>();
    let reached = Arc::new(Barrier::new(2));
    let at_writer = reached.clone();
    let hold = Box::new(move |_| {
        at_writer.wait();
        // Ends when the test drops its end.
        let _ = held.recv();
    });
    store.submit(Commit::new().put("a", "1"), hold);
    reached.wait();
    let (tx, rx) = mpsc::channel();
    for _ in 0..=limits::MAX_QUEUED_COMMITS {
        let tx = tx.clone();
        store.submit(
            Commit::new().put("b", "1"),
            Box::new(move |outcome| tx.send(outcome).expect("the test waits")),
        );
    }
    assert_eq!(rx.recv().expect("the last is answered at once"), Err(Error::Busy));
    assert_eq!(store.health().queued, limits::MAX_QUEUED_COMMITS);
    drop((release, tx));
    assert_eq!(rx.iter().filter(Result::is_ok).count(), limits::MAX_QUEUED_COMMITS);
    ok(store.commit(Commit::new().put("c", "1")));
}

/// A `done` that panics harms nobody else.
pub fn a_panic_in_an_answer_is_survived(make: Make<'_>) {
    let store = make(Setup::default());
    store.submit(Commit::new().put("a", "1"), Box::new(|_| panic!("this panic belongs to the test")));
    assert_eq!(store.commit(Commit::new().put("b", "1")), Ok(2));
}

/// Whoever hears that a commit succeeded, reads it.
pub fn an_answered_commit_is_visible(make: Make<'_>) {
    let store = make(Setup::default());
    thread::scope(|scope| {
        for t in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for i in 0..50 {
                    let key = format!("{t}/{i}");
                    let revision = ok(store.commit(Commit::new().put(key.clone(), "x")));
                    let entry = store.get(&key).expect("read").expect("the row is visible");
                    assert_eq!(entry.revision, revision);
                    assert!(store.revision() >= revision);
                }
            });
        }
    });
}

/// Whoever still holds the store reads what is in it; all that was queued before is.
pub fn what_is_closed_has_what_was_queued_and_takes_no_more(make: Make<'_>) {
    let store = make(Setup::default());
    let (tx, rx) = mpsc::channel();
    for i in 0..100 {
        let tx = tx.clone();
        let done = move |outcome| drop(tx.send(outcome));
        store.submit(Commit::new().put(format!("k{i:02}"), "x"), Box::new(done));
    }
    store.close();
    assert_eq!(rx.try_iter().filter(Result::is_ok).count(), 100);
    assert_eq!(store.commit(Commit::new().put("more", "x")), Err(Error::Closed));
    assert_eq!((text(&*store, "k99").as_deref(), text(&*store, "more")), (Some("x"), None));
    store.close();
}
