//! Reads: in key order, bounded, of one moment.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{Make, Setup, ok};
use crate::{Commit, Span, Store, limits};

fn keys(store: &dyn Store, span: &Span) -> Vec<String> {
    let range = store.range(span, 0).expect("read");
    range.entries.into_iter().map(|entry| entry.key).collect()
}

/// Keys are ordered by their bytes, whatever they are made of.
pub fn rows_come_in_key_order(make: Make<'_>) {
    let store = make(Setup::default());
    let mut all =
        vec!["b", "a", "a/", "a/b", "a0", "A", "é", "\u{FFFF}", "\u{10FFFF}", "a%", "a_", "'", "a b"];
    let commit = all.iter().fold(Commit::new(), |commit, key| commit.put(*key, *key));
    ok(store.commit(commit));
    all.sort_unstable();
    assert_eq!(keys(&*store, &Span::all()), all);
    assert_eq!(keys(&*store, &Span::prefix("a/")), ["a/", "a/b"]);
    assert_eq!(keys(&*store, &Span::between("a/", "b")), ["a/", "a/b", "a0", "a_"]);
    assert_eq!(keys(&*store, &Span::prefix("\u{10FFFF}")), ["\u{10FFFF}"]);
}

/// Reading page by page finds each row once.
pub fn pages_join_without_gap_or_overlap(make: Make<'_>) {
    let store = make(Setup::default());
    let commit = (0..95).fold(Commit::new(), |commit, i| commit.put(format!("p/{i:03}"), "v"));
    ok(store.commit(commit.put("q", "v")));
    for limit in [1, 7, 95, 96] {
        let (mut span, mut found) = (Span::prefix("p/"), Vec::new());
        loop {
            let page = store.range(&span, limit).expect("read");
            assert!(page.entries.len() <= limit && page.revision == 1);
            found.extend(page.entries.into_iter().map(|entry| entry.key));
            if !page.more {
                break;
            }
            span = span.after(found.last().expect("a page with more after it is not empty"));
        }
        assert_eq!(found, (0..95).map(|i| format!("p/{i:03}")).collect::<Vec<_>>(), "limit {limit}");
    }
}

/// A range answers a bounded number of bytes, and says that there is more.
pub fn a_large_range_is_cut(make: Make<'_>) {
    let store = make(Setup::default());
    let rows = limits::MAX_RANGE_BYTES / limits::MAX_VALUE_BYTES + 4;
    for i in 0..rows {
        ok(store.commit(Commit::new().put(format!("{i:03}"), vec![7; limits::MAX_VALUE_BYTES])));
    }
    let first = store.range(&Span::all(), 0).expect("read");
    assert!(first.more && first.entries.len() < rows);
    let last = &first.entries.last().expect("rows").key;
    let second = store.range(&Span::all().after(last), 0).expect("read");
    assert_eq!((second.more, first.entries.len() + second.entries.len()), (false, rows));
}

/// Spans that hold nothing answer nothing.
pub fn empty_and_odd_spans(make: Make<'_>) {
    let store = make(Setup::default());
    ok(store.commit(Commit::new().put("b", "v")));
    for span in [Span::between("b", "b"), Span::between("c", "a"), Span::prefix("ba"), Span::all().after("b")]
    {
        let range = store.range(&span, 0).expect("read");
        assert_eq!((range.entries.len(), range.more, range.revision), (0, false, 1), "{span:?}");
    }
    assert_eq!(keys(&*store, &Span::between("a", "c").after("a")), ["b"]);
}

/// Two rows that are always written together are always read alike, while a writer is at work.
pub fn a_scan_sees_one_moment(make: Make<'_>) {
    let store = make(Setup::default());
    ok(store.commit(Commit::new().put("a", "0").put("z", "0")));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for i in 1.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                ok(store.commit(Commit::new().put("a", format!("{i}")).put("z", format!("{i}"))));
            }
        });
        for _ in 0..200 {
            let mut values = Vec::new();
            let revision = store.scan(&Span::all(), &mut |entry| values.push((entry.value, entry.revision)));
            let revision = revision.expect("read");
            assert!(values.len() == 2 && values[0] == values[1] && values[0].1 == revision, "{values:?}");
            let range = store.range(&Span::all(), 0).expect("read");
            assert!(range.entries.iter().all(|entry| entry.revision == range.revision), "{range:?}");
        }
        stop.store(true, Ordering::Relaxed);
    });
}
