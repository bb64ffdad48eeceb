//! More streams than there may be: which go, what stays, and what it costs.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use logs::{DescribeLogStreams, Error, Limits, Logs, OrderBy, Pool, StoredStreams, stored_streams};
use proptest::prelude::*;

use super::support::*;

fn at_most(streams_max: usize) -> Limits {
    Limits { streams_max, ..small() }
}

/// The names of a group's streams.
fn names(logs: &Logs, group: &str) -> Vec<String> {
    let mut request = DescribeLogStreams { log_group_name: group.into(), ..Default::default() };
    let mut names = Vec::new();
    loop {
        let page = logs.describe_log_streams(&request, NOW).unwrap();
        names.extend(page.items.into_iter().map(|stream| stream.log_stream_name));
        request.next_token = page.next_token;
        if request.next_token.is_none() {
            return names;
        }
    }
}

fn put_at(logs: &Logs, stream: &str, at: i64) {
    logs.put_log_events_wait(batch("g", stream, &[(NOW + at, stream)]), NOW + at).unwrap();
}

#[test]
fn the_stream_that_nobody_wrote_to_for_longest_goes_with_its_events() {
    let (dir, mut logs) = store(at_most(4));
    for (at, stream) in [(1, "a"), (2, "b"), (3, "c")] {
        logs.create_log_stream("g", stream, NOW + at).unwrap();
        put_at(&logs, stream, at);
    }
    // An old event that is written now is no old stream; and `s` is written to though it is the first.
    logs.put_log_events_wait(batch("g", "a", &[(NOW - 10 * DAY, "old")]), NOW + 10).unwrap();
    put_at(&logs, "s", 11);
    logs.create_log_stream("g", "d", NOW + 20).unwrap();
    assert_eq!(names(&logs, "g"), ["a", "c", "d", "s"]);
    assert!(filter_all(&logs, filter()).iter().all(|event| event.log_stream_name != "b"));
    assert!(matches!(put(&logs, "b", &[(0, "late")]), Err(Error::ResourceNotFound(_))));

    // The order is that of the events after a restart too, and `d`, which has none, counts from when it was made.
    put_at(&logs, "c", 30);
    drop(logs);
    logs = Logs::open(dir.path(), at_most(4)).unwrap();
    logs.create_log_stream("g", "e", NOW + 31).unwrap();
    assert_eq!(names(&logs, "g"), ["c", "d", "e", "s"]);
    put_at(&logs, "s", 32);
    logs.create_log_stream("g", "b", NOW + 33).unwrap();
    assert_eq!(names(&logs, "g"), ["b", "c", "e", "s"]);
    assert!(all(&logs, "g", "b", NOW).is_empty(), "a stream of a name that went is a new one");
    // Those that are deleted make room.
    logs.delete_log_stream("g", "c").unwrap();
    logs.create_log_stream("g", "f", NOW + 34).unwrap();
    assert_eq!(names(&logs, "g"), ["b", "e", "f", "s"]);
    assert_eq!(stored_streams(dir.path()), StoredStreams { held: 4, gave_way: 3 });
}

#[test]
fn what_went_is_counted_through_restarts_and_the_catalog_stays_short() {
    let (dir, logs) = store(at_most(20));
    for i in 1..=2_500 {
        logs.create_log_stream("g", &format!("s{i}"), NOW + i).unwrap();
    }
    let told = StoredStreams { held: 20, gave_way: 2_481 };
    assert_eq!(stored_streams(dir.path()), told);
    let len = std::fs::metadata(dir.path().join("catalog.log")).unwrap().len();
    assert!(len < 200_000, "{len}");
    drop(logs);
    let logs = Logs::open(dir.path(), at_most(20)).unwrap();
    assert_eq!(names(&logs, "g").len(), 20);
    assert_eq!(stored_streams(dir.path()), told);
    assert_eq!(stored_streams(&dir.path().join("none")), StoredStreams::default());
}

#[test]
fn the_segments_of_streams_that_went_go_too() {
    let (dir, logs) = store(at_most(10));
    let mut most = 0;
    for i in 1..=300 {
        let stream = format!("s{i}");
        logs.create_log_stream("g", &stream, NOW + i).unwrap();
        put_at(&logs, &stream, i);
        // A group that is described meanwhile knows the streams there are.
        let request = DescribeLogStreams {
            log_group_name: "g".into(),
            order_by: OrderBy::LastEventTime,
            descending: true,
            ..Default::default()
        };
        assert_eq!(logs.describe_log_streams(&request, NOW).unwrap().items[0].log_stream_name, stream);
        if i % 20 == 0 {
            logs.maintain(NOW + i).unwrap();
            most = most.max(logs::stored_bytes(dir.path()));
        }
    }
    // Ten streams of one small batch each, in segments of four, and what came since the last look.
    assert!(most < 8_000, "{most}");
    assert_eq!(filter_all(&logs, filter()).len(), 10);
}

#[test]
fn a_limit_that_was_lowered_is_reached_without_a_call_while_calls_are_answered() {
    let (dir, logs) = store(at_most(100_000));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let logs = &logs;
            scope.spawn(move || {
                for i in 0..200 {
                    logs.create_log_stream("g", &format!("t{thread}-{i}"), NOW + i).unwrap();
                }
            });
        }
    });
    logs.create_log_stream("g", "z", NOW + 1000).unwrap();
    assert_eq!(stored_streams(dir.path()).held, 1602);
    drop(logs);
    let logs = Logs::open(dir.path(), at_most(128)).unwrap();
    put(&logs, "z", &[(0, "kept")]).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    // A little fewer than there may be, so that not each new one has to wait for it.
    while stored_streams(dir.path()).held > 126 {
        assert!(Instant::now() < deadline, "{:?}", stored_streams(dir.path()));
        std::thread::yield_now();
    }
    assert_eq!(texts(&all(&logs, "g", "z", NOW)), ["kept"]);
    assert_eq!(stored_streams(dir.path()), StoredStreams { held: 126, gave_way: 1602 - 126 });
    // What stayed is the newest.
    let oldest =
        names(&logs, "g").into_iter().filter_map(|name| name.split_once('-')?.1.parse::<i64>().ok()).min();
    assert!(oldest >= Some(200 - 126 / 8 - 1), "{oldest:?}");
}

#[test]
fn groups_have_a_limit_of_each_store_and_one_of_all_and_are_refused() {
    let pool = Pool::new(Limits { groups_max: 3, groups_max_in_all: 4, ..small() }).unwrap();
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [a, b] = dirs.each_ref().map(|dir| pool.open(dir.path()).unwrap());
    let make = |logs: &Logs, name: &str| logs.create_log_group(name, Default::default(), NOW);
    (0..3).for_each(|i| make(&a, &format!("g{i}")).unwrap());
    assert!(matches!(make(&a, "g3"), Err(Error::LimitExceeded(_))));
    make(&b, "g0").unwrap();
    let refused = make(&b, "g1").unwrap_err();
    assert!(matches!(refused, Error::LimitExceeded(_)), "{refused}");
    a.delete_log_group("g0").unwrap();
    make(&b, "g1").unwrap();
    // A store that is closed counts no more.
    drop(a);
    make(&b, "g2").unwrap();
}

#[test]
fn a_new_group_gets_a_stream_where_all_others_have_one_each() {
    let (_dir, logs) = store(at_most(3));
    for (at, group) in [(1, "h"), (2, "i"), (3, "j"), (4, "a")] {
        logs.create_log_group(group, Default::default(), NOW).unwrap();
        logs.create_log_stream(group, "s", NOW + at).unwrap();
        assert_eq!(names(&logs, group), ["s"]);
    }
    let held: usize = ["g", "h", "i", "j", "a"].iter().map(|group| names(&logs, group).len()).sum();
    assert_eq!(held, 3);
}

/// What the test below does.
#[derive(Debug, Clone)]
enum Step {
    Create { store: usize, group: usize },
    Write { nth: usize },
    Delete { nth: usize },
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Uneven: one store and one group are often meant.
    let place = || {
        (prop_oneof![3 => Just(0_usize), 1 => 1..3_usize], prop_oneof![2 => Just(0_usize), 1 => 1..3_usize])
    };
    let step = prop_oneof![
        8 => place().prop_map(|(store, group)| Step::Create { store, group }),
        4 => (0..40_usize).prop_map(|nth| Step::Write { nth }),
        1 => (0..40_usize).prop_map(|nth| Step::Delete { nth }),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 10..60)
}

/// The streams that there are by store, group and name, with the time when each was last written to or made.
type Model = BTreeMap<(usize, usize, String), i64>;

const STORES: usize = 3;
const MOST: usize = 9;

fn open_all(dirs: &[tempfile::TempDir]) -> Vec<Logs> {
    let pool = Pool::new(at_most(MOST)).unwrap();
    dirs.iter().map(|dir| pool.open(dir.path()).unwrap()).collect()
}

fn found(stores: &[Logs]) -> Vec<(usize, usize, String)> {
    let mut found = Vec::new();
    for (number, logs) in stores.iter().enumerate() {
        for group in 0..3 {
            let names = names(logs, &format!("g{group}"));
            found.extend(names.into_iter().map(|name| (number, group, name)));
        }
    }
    found.sort();
    found
}

/// Checks that what went was the oldest of the largest group of the store that had the most.
fn check_who_went(before: &Model, gone: &(usize, usize, String)) -> Result<(), TestCaseError> {
    let in_store = |store| before.keys().filter(|key| key.0 == store).count();
    let in_group = |store, group| before.keys().filter(|key| (key.0, key.1) == (store, group)).count();
    let largest = (0..STORES).map(in_store).max().unwrap_or(0);
    prop_assert_eq!(in_store(gone.0), largest, "a store that has fewer gave {:?} of {:?}", gone, before);
    let largest = (0..3).map(|group| in_group(gone.0, group)).max().unwrap_or(0);
    prop_assert_eq!(in_group(gone.0, gone.1), largest, "a smaller group gave {:?} of {:?}", gone, before);
    let mut group = before.iter().filter(|(key, _)| (key.0, key.1) == (gone.0, gone.1));
    prop_assert!(group.all(|(_, at)| *at >= before[gone]), "not the oldest, {:?}, of {:?}", gone, before);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn whoever_has_the_most_gives_the_oldest(steps in steps()) {
        let dirs: Vec<_> = (0..STORES).map(|_| tempfile::tempdir().unwrap()).collect();
        let mut stores = open_all(&dirs);
        for logs in &stores {
            (0..3).for_each(|group| logs.create_log_group(&format!("g{group}"), Default::default(), NOW).unwrap());
        }
        let mut model = Model::new();
        let mut gave_way = 0;
        for (number, step) in steps.into_iter().enumerate() {
            let at = NOW + number as i64;
            let nth = |nth: usize| model.keys().nth(nth % model.len().max(1)).cloned();
            match step {
                Step::Create { store, group } => {
                    let name = format!("s{number}");
                    stores[store].create_log_stream(&format!("g{group}"), &name, at).unwrap();
                    model.insert((store, group, name), at);
                    if model.len() > MOST {
                        let left = found(&stores);
                        let gone: Vec<_> = model.keys().filter(|key| !left.contains(key)).cloned().collect();
                        prop_assert_eq!(gone.len(), 1, "{:?}", gone);
                        check_who_went(&model, &gone[0])?;
                        model.remove(&gone[0]);
                        gave_way += 1;
                    }
                }
                Step::Write { nth: n } => if let Some(key) = nth(n) {
                    let request = batch(&format!("g{}", key.1), &key.2, &[(at, "m")]);
                    stores[key.0].put_log_events_wait(request, at).unwrap();
                    model.insert(key, at);
                },
                Step::Delete { nth: n } => if let Some(key) = nth(n) {
                    stores[key.0].delete_log_stream(&format!("g{}", key.1), &key.2).unwrap();
                    model.remove(&key);
                },
                Step::Reopen => {
                    stores.clear();
                    stores = open_all(&dirs);
                }
            }
            prop_assert_eq!(found(&stores), model.keys().cloned().collect::<Vec<_>>());
        }
        let told = |dir: &Path| stored_streams(dir).gave_way;
        prop_assert_eq!(dirs.iter().map(|dir| told(dir.path())).sum::<u64>(), gave_way);
    }
}
