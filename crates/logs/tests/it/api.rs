//! What each operation answers.

use std::collections::BTreeMap;

use logs::{
    DescribeLogGroups, DescribeLogStreams, Error, FilterLogEvents, GetLogEvents, Limits, ListLogGroups, Logs,
    OrderBy, Tags,
};

use super::support::*;

fn tags(pairs: &[(&str, &str)]) -> Tags {
    pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn text(result: logs::Result<impl Sized>) -> String {
    result.err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn a_put_is_read_back_in_order_of_time_then_of_arrival() {
    let (_dir, logs) = store(small());
    put(&logs, "s", &[(5, "e"), (9, "i")]).unwrap();
    put(&logs, "s", &[(1, "a"), (5, "f"), (7, "g")]).unwrap();
    put(&logs, "s", &[(5, "f2")]).unwrap();
    let events = all(&logs, "g", "s", NOW);
    assert_eq!(texts(&events), ["a", "e", "f", "f2", "g", "i"]);
    assert!(events.iter().all(|event| event.ingestion_time == NOW));
    assert_eq!(events[0].timestamp, NOW + 1);
}

#[test]
fn get_pages_both_ways_and_repeats_its_token_at_the_ends() {
    let (_dir, logs) = store(small());
    for i in 0..10 {
        put(&logs, "s", &[(i, &format!("m{i}"))]).unwrap();
    }
    let tail = logs
        .get_log_events(&GetLogEvents { limit: Some(4), start_from_head: false, ..get("s") }, NOW)
        .unwrap();
    assert_eq!(texts(&tail.events), ["m6", "m7", "m8", "m9"]);
    let back = |token: &str| {
        let request = GetLogEvents { limit: Some(4), next_token: Some(token.into()), ..get("s") };
        logs.get_log_events(&request, NOW).unwrap()
    };
    let page = back(&tail.next_backward_token);
    assert_eq!(texts(&page.events), ["m2", "m3", "m4", "m5"]);
    let page = back(&page.next_backward_token);
    assert_eq!(texts(&page.events), ["m0", "m1"]);
    let end = back(&page.next_backward_token);
    assert!(end.events.is_empty());
    assert_eq!(end.next_backward_token, page.next_backward_token);
    assert_eq!(texts(&back(&end.next_forward_token).events), ["m0", "m1", "m2", "m3"]);

    let end = back(&tail.next_forward_token);
    assert!(end.events.is_empty());
    assert_eq!(end.next_forward_token, tail.next_forward_token);
    assert!(end.next_forward_token.starts_with("f/") && end.next_backward_token.starts_with("b/"));
    // Turning round at the end shows the last page again.
    assert_eq!(texts(&back(&end.next_backward_token).events), ["m6", "m7", "m8", "m9"]);
    // What comes later is found with the same token.
    put(&logs, "s", &[(11, "later")]).unwrap();
    assert_eq!(texts(&back(&end.next_forward_token).events), ["later"]);
}

#[test]
fn get_takes_its_start_in_and_leaves_its_end_out() {
    let (_dir, logs) = store(small());
    put(&logs, "s", &[(1, "a"), (2, "b"), (3, "c")]).unwrap();
    let request = GetLogEvents { start_time: Some(NOW + 1), end_time: Some(NOW + 3), ..get("s") };
    assert_eq!(texts(&logs.get_log_events(&request, NOW).unwrap().events), ["a", "b"]);
    // FilterLogEvents takes its end in.
    let request = FilterLogEvents { start_time: Some(NOW + 2), end_time: Some(NOW + 3), ..filter() };
    assert_eq!(filtered_texts(&filter_all(&logs, request)), ["b", "c"]);
}

#[test]
fn a_page_holds_one_megabyte() {
    let (_dir, logs) = store(Limits::default());
    let message = "x".repeat(300_000);
    for i in 0..8 {
        put(&logs, "s", &[(i, &message)]).unwrap();
    }
    let page = logs.get_log_events(&get("s"), NOW).unwrap();
    assert_eq!(page.events.len(), 3);
    assert_eq!(all(&logs, "g", "s", NOW).len(), 8);
    assert_eq!(filter_all(&logs, filter()).len(), 8);
    let large = "y".repeat(1_048_550);
    put(&logs, "s", &[(100, &large)]).unwrap();
    assert_eq!(all(&logs, "g", "s", NOW).len(), 9);
}

#[test]
fn filter_interleaves_streams_and_names_events_for_good() {
    let (dir, logs) = store(small());
    logs.create_log_stream("g", "t/1", NOW).unwrap();
    logs.create_log_stream("g", "t/2", NOW).unwrap();
    for i in 0..12 {
        put(&logs, ["s", "t/1", "t/2"][i as usize % 3], &[(i, &format!("ERROR {i}")), (i, "fine")]).unwrap();
    }
    let request = FilterLogEvents { filter_pattern: Some("ERROR".into()), limit: Some(5), ..filter() };
    let found = filter_all(&logs, request.clone());
    let expected: Vec<_> = (0..12).map(|i| format!("ERROR {i}")).collect();
    assert_eq!(filtered_texts(&found), expected);
    assert_eq!(found[1].log_stream_name, "t/1");
    let ids: std::collections::BTreeSet<_> =
        filter_all(&logs, filter()).into_iter().map(|event| event.event_id).collect();
    assert_eq!(ids.len(), 24);
    assert!(ids.iter().all(|id| id.len() == 56 && id.bytes().all(|byte| byte.is_ascii_digit())));

    let of = |request| filtered_texts(&filter_all(&logs, request)).len();
    assert_eq!(of(FilterLogEvents { log_stream_names: vec!["t/2".into()], ..filter() }), 8);
    assert_eq!(of(FilterLogEvents { log_stream_name_prefix: Some("t/".into()), ..filter() }), 16);
    assert_eq!(of(FilterLogEvents { log_stream_name_prefix: Some("none".into()), ..filter() }), 0);

    drop(logs);
    let logs = Logs::open(dir.path(), small()).unwrap();
    assert_eq!(filter_all(&logs, request), found);
}

#[test]
fn a_long_scan_answers_in_parts() {
    let (_dir, logs) = store(Limits { scan_bytes: 1, ..small() });
    for i in 0..40 {
        put(&logs, "s", &[(i, &format!("m{i}"))]).unwrap();
    }
    let request = FilterLogEvents { filter_pattern: Some("m39".into()), ..filter() };
    let first = logs.filter_log_events(&request, NOW).unwrap();
    assert!(first.events.is_empty() && first.next_token.is_some());
    assert_eq!(filtered_texts(&filter_all(&logs, request)), ["m39"]);
}

#[test]
fn groups_are_described_in_pages() {
    let (_dir, logs) = store(small());
    for name in ["/ecs/web", "/ecs/api", "/ecs/db", "other"] {
        logs.create_log_group(name, Tags::new(), NOW + 7).unwrap();
    }
    let names = |request: DescribeLogGroups| {
        let page = logs.describe_log_groups(&request).unwrap();
        (page.items.into_iter().map(|group| group.log_group_name).collect::<Vec<_>>(), page.next_token)
    };
    let prefix = |limit, next_token| DescribeLogGroups {
        log_group_name_prefix: Some("/ecs/".into()),
        limit,
        next_token,
        ..DescribeLogGroups::default()
    };
    let (first, token) = names(prefix(Some(2), None));
    assert_eq!(first, ["/ecs/api", "/ecs/db"]);
    assert_eq!(names(prefix(Some(2), token)), (vec!["/ecs/web".to_owned()], None));
    let pattern = DescribeLogGroups { log_group_name_pattern: Some("e".into()), ..Default::default() };
    assert_eq!(names(pattern.clone()).0, ["/ecs/api", "/ecs/db", "/ecs/web", "other"]);
    let wrong = DescribeLogGroups { log_group_name_prefix: Some("x".into()), ..pattern };
    assert_eq!(
        text(logs.describe_log_groups(&wrong)),
        "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."
    );
    let list = |pattern: &str, limit| {
        let request = ListLogGroups { log_group_name_pattern: Some(pattern.into()), limit, next_token: None };
        let page = logs.list_log_groups(&request).unwrap();
        (page.items.into_iter().map(|group| group.log_group_name).collect::<Vec<_>>(), page.next_token)
    };
    assert_eq!(list("^/ecs/a|othe", None).0, ["/ecs/api", "other"]);
    assert_eq!(list("ecs", Some(1)), (vec!["/ecs/api".to_owned()], Some("g:/ecs/api".to_owned())));
    put(&logs, "s", &[(0, "hello")]).unwrap();
    let group = &logs.describe_log_groups(&DescribeLogGroups::default()).unwrap().items[3];
    assert_eq!(
        (group.log_group_name.as_str(), group.creation_time, group.retention_in_days),
        ("g", NOW, None)
    );
    assert!(group.stored_bytes > 0);
    assert!(
        text(logs.describe_log_groups(&DescribeLogGroups { limit: Some(51), ..Default::default() }))
            .contains("50")
    );
}

#[test]
fn streams_are_described_by_name_and_by_last_event() {
    let (_dir, logs) = store(small());
    for name in ["a/1", "a/2", "b"] {
        logs.create_log_stream("g", name, NOW + 1).unwrap();
    }
    put(&logs, "b", &[(10, "x"), (20, "y")]).unwrap();
    put(&logs, "b", &[(15, "z")]).unwrap();
    put(&logs, "a/1", &[(30, "x")]).unwrap();
    put(&logs, "s", &[(5, "x")]).unwrap();
    let describe = |request: DescribeLogStreams| {
        let (mut names, mut request) =
            (Vec::new(), DescribeLogStreams { log_group_name: "g".into(), ..request });
        loop {
            let page = logs.describe_log_streams(&request, NOW).unwrap();
            names.extend(page.items.into_iter().map(|stream| stream.log_stream_name));
            request.next_token = page.next_token;
            if request.next_token.is_none() {
                return names;
            }
        }
    };
    let by_time =
        DescribeLogStreams { order_by: OrderBy::LastEventTime, limit: Some(2), ..Default::default() };
    assert_eq!(describe(Default::default()), ["a/1", "a/2", "b", "s"]);
    assert_eq!(
        describe(DescribeLogStreams { descending: true, limit: Some(1), ..Default::default() }),
        ["s", "b", "a/2", "a/1"]
    );
    assert_eq!(
        describe(DescribeLogStreams { log_stream_name_prefix: Some("a".into()), ..Default::default() }),
        ["a/1", "a/2"]
    );
    assert_eq!(describe(by_time.clone()), ["a/2", "s", "b", "a/1"]);
    assert_eq!(
        describe(DescribeLogStreams { descending: true, ..by_time.clone() }),
        ["a/1", "b", "s", "a/2"]
    );
    let wrong = DescribeLogStreams {
        log_group_name: "g".into(),
        log_stream_name_prefix: Some("a".into()),
        ..by_time
    };
    assert_eq!(
        text(logs.describe_log_streams(&wrong, NOW)),
        "Cannot order by LastEventTime with a logStreamNamePrefix."
    );
    let request = DescribeLogStreams { log_group_name: "g".into(), ..Default::default() };
    let streams = logs.describe_log_streams(&request, NOW).unwrap().items;
    assert_eq!((streams[1].first_event_timestamp, streams[1].last_ingestion_time), (None, None));
    assert_eq!(
        (streams[2].first_event_timestamp, streams[2].last_event_timestamp),
        (Some(NOW + 10), Some(NOW + 20))
    );
    assert_eq!((streams[2].last_ingestion_time, streams[2].creation_time), (Some(NOW), NOW + 1));
}

#[test]
fn what_is_missing_or_there_already_is_said_as_aws_says_it() {
    let (_dir, logs) = store(small());
    let (no_group, no_stream) =
        ("The specified log group does not exist.", "The specified log stream does not exist.");
    assert_eq!(text(logs.create_log_group("g", Tags::new(), NOW)), "The specified log group already exists");
    assert_eq!(text(logs.create_log_stream("g", "s", NOW)), "The specified log stream already exists");
    let missing_group = [
        text(logs.create_log_stream("x", "s", NOW)),
        text(logs.delete_log_group("x")),
        text(logs.delete_log_stream("x", "s")),
        text(logs.set_retention("x", None)),
        text(logs.tag_log_group("x", tags(&[("a", "b")]))),
        text(logs.untag_log_group("x", &[])),
        text(logs.list_tags_log_group("x")),
        text(logs.put_log_events_wait(batch("x", "s", &[(NOW, "m")]), NOW)),
        text(logs.get_log_events(&GetLogEvents { log_group_name: "x".into(), ..get("s") }, NOW)),
        text(logs.filter_log_events(&FilterLogEvents { log_group_name: "x".into(), ..filter() }, NOW)),
        text(logs.describe_log_streams(
            &DescribeLogStreams { log_group_name: "x".into(), ..Default::default() },
            NOW,
        )),
    ];
    assert!(missing_group.iter().all(|text| text == no_group), "{missing_group:?}");
    let missing_stream = [
        text(logs.delete_log_stream("g", "x")),
        text(put(&logs, "x", &[(0, "m")])),
        text(logs.get_log_events(&get("x"), NOW)),
        text(
            logs.filter_log_events(&FilterLogEvents { log_stream_names: vec!["x".into()], ..filter() }, NOW),
        ),
    ];
    assert!(missing_stream.iter().all(|text| text == no_stream), "{missing_stream:?}");
}

#[test]
fn what_is_not_allowed_is_refused() {
    let (_dir, logs) = store(Limits { groups_max: 2, ..small() });
    let long = "x".repeat(513);
    for name in ["", "a b", "ü", "a:b", "aws/x", "AWS/x", &long] {
        assert!(
            matches!(logs.create_log_group(name, Tags::new(), NOW), Err(Error::InvalidParameter(_))),
            "{name}"
        );
    }
    for name in ["", "a:b", "a*", &long] {
        assert!(matches!(logs.create_log_stream("g", name, NOW), Err(Error::InvalidParameter(_))), "{name}");
    }
    for days in [0, -1, 2, 366] {
        assert!(matches!(logs.set_retention("g", Some(days)), Err(Error::InvalidParameter(_))), "{days}");
    }
    for token in ["", "x", "f/", "f/1", "b/é", "f/é0000000000000000000000000000000000000000000000000000000"]
    {
        let request = GetLogEvents { next_token: Some(token.into()), ..get("s") };
        assert_eq!(
            text(logs.get_log_events(&request, NOW)),
            "The specified nextToken is invalid.",
            "{token}"
        );
        let request = FilterLogEvents { next_token: Some(token.into()), ..filter() };
        assert_eq!(
            text(logs.filter_log_events(&request, NOW)),
            "The specified nextToken is invalid.",
            "{token}"
        );
    }
    let both = FilterLogEvents {
        log_stream_names: vec!["s".into()],
        log_stream_name_prefix: Some("s".into()),
        ..filter()
    };
    assert!(matches!(logs.filter_log_events(&both, NOW), Err(Error::InvalidParameter(_))));
    let pattern = FilterLogEvents { filter_pattern: Some("a:b".into()), ..filter() };
    assert_eq!(text(logs.filter_log_events(&pattern, NOW)), "Invalid character(s) in term 'a:b'");
    assert!(logs.get_log_events(&GetLogEvents { limit: Some(10_001), ..get("s") }, NOW).is_err());
    logs.create_log_group("g2", Tags::new(), NOW).unwrap();
    assert!(matches!(logs.create_log_group("g3", Tags::new(), NOW), Err(Error::LimitExceeded(_))));
    assert!(matches!(logs.tag_log_group("g", tags(&[("aws:x", "y")])), Err(Error::InvalidParameter(_))));
    let many: BTreeMap<_, _> = (0..51).map(|i| (i.to_string(), String::new())).collect();
    assert!(matches!(logs.tag_log_group("g", many), Err(Error::TooManyTags(_))));
}

#[test]
fn rejected_events_are_told_and_the_rest_is_kept() {
    let (_dir, logs) = store(small());
    logs.set_retention("g", Some(1)).unwrap();
    let output =
        put(&logs, "s", &[(-20 * DAY, "old"), (-2 * DAY, "expired"), (0, "kept"), (DAY, "new")]).unwrap();
    let rejected = output.rejected.unwrap();
    assert_eq!(rejected.too_old_log_event_end_index, Some(1));
    assert_eq!(rejected.expired_log_event_end_index, Some(2));
    assert_eq!(rejected.too_new_log_event_start_index, Some(3));
    assert_eq!(texts(&all(&logs, "g", "s", NOW)), ["kept"]);
    assert!(put(&logs, "s", &[(-20 * DAY, "old")]).unwrap().rejected.is_some());
}

#[test]
fn a_deleted_stream_or_group_is_gone_even_if_made_again() {
    let (dir, logs) = store(small());
    logs.create_log_stream("g", "t", NOW).unwrap();
    for i in 0..6 {
        put(&logs, "s", &[(i, "old")]).unwrap();
        put(&logs, "t", &[(i, "other")]).unwrap();
    }
    logs.delete_log_stream("g", "s").unwrap();
    assert_eq!(filter_all(&logs, filter()).len(), 6);
    logs.create_log_stream("g", "s", NOW).unwrap();
    assert!(all(&logs, "g", "s", NOW).is_empty());
    put(&logs, "s", &[(0, "new")]).unwrap();
    assert_eq!(texts(&all(&logs, "g", "s", NOW)), ["new"]);
    logs.delete_log_group("g").unwrap();
    logs.create_log_group("g", Tags::new(), NOW).unwrap();
    assert!(filter_all(&logs, filter()).is_empty());
    drop(logs);
    let logs = Logs::open(dir.path(), small()).unwrap();
    assert!(filter_all(&logs, filter()).is_empty());
    assert_eq!(text(logs.get_log_events(&get("s"), NOW)), "The specified log stream does not exist.");
}

#[test]
fn the_catalog_outlives_a_restart() {
    let (dir, logs) = store(small());
    logs.set_retention("g", Some(30)).unwrap();
    logs.tag_log_group("g", tags(&[("a", "1"), ("b", "2")])).unwrap();
    logs.tag_log_group("g", tags(&[("b", "3")])).unwrap();
    logs.untag_log_group("g", &["a".into(), "none".into()]).unwrap();
    // Enough history that the log is written anew.
    for _ in 0..2100 {
        logs.set_retention("g", Some(7)).unwrap();
        logs.set_retention("g", Some(30)).unwrap();
    }
    let len = std::fs::metadata(dir.path().join("catalog.log")).unwrap().len();
    assert!(len < 100_000, "{len}");
    drop(logs);
    let logs = Logs::open(dir.path(), small()).unwrap();
    assert_eq!(logs.list_tags_log_group("g").unwrap(), tags(&[("b", "3")]));
    let group = &logs.describe_log_groups(&Default::default()).unwrap().items[0];
    assert_eq!((group.retention_in_days, group.creation_time), (Some(30), NOW));
    assert_eq!(text(logs.create_log_stream("g", "s", NOW)), "The specified log stream already exists");
}

#[test]
fn many_threads_put_at_once_and_none_loses_an_event() {
    let (_dir, logs) = store(small());
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let logs = logs.clone();
            scope.spawn(move || {
                let stream = format!("w{thread}");
                logs.create_log_stream("g", &stream, NOW).unwrap();
                for i in 0..50 {
                    put(&logs, &stream, &[(i, &format!("{thread}-{i}"))]).unwrap();
                    if i % 10 == 0 {
                        assert_eq!(all(&logs, "g", &stream, NOW).len() as i64, i + 1);
                    }
                }
            });
        }
    });
    assert_eq!(filter_all(&logs, filter()).len(), 400);
}
