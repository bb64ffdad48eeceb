//! Any order of puts, any page length, any segment length: reads agree with a sorted list.

use logs::{FilterLogEvents, GetLogEvents, Limits, Logs};
use proptest::prelude::*;

use super::support::*;

const STREAMS: [&str; 3] = ["a", "b", "c"];

#[derive(Debug, Clone)]
struct Batch {
    stream: usize,
    times: Vec<i64>,
    restart: bool,
}

fn batches() -> impl Strategy<Value = Vec<Batch>> {
    let batch = (0..3_usize, proptest::collection::vec(0..50_i64, 1..6), proptest::bool::weighted(0.1));
    let batch = batch.prop_map(|(stream, mut times, restart)| {
        times.sort_unstable();
        Batch { stream, times, restart }
    });
    proptest::collection::vec(batch, 1..25)
}

fn backward(logs: &Logs, stream: &str, limit: usize) -> Vec<String> {
    let mut request = GetLogEvents { limit: Some(limit), start_from_head: false, ..get(stream) };
    let mut pages = Vec::new();
    loop {
        let page = logs.get_log_events(&request, NOW).unwrap();
        pages.push(page.events.into_iter().map(|event| event.message).collect::<Vec<_>>());
        if request.next_token.as_ref() == Some(&page.next_backward_token) {
            return pages.into_iter().rev().flatten().collect();
        }
        request.next_token = Some(page.next_backward_token);
    }
}

fn forward(logs: &Logs, stream: &str, limit: usize) -> Vec<String> {
    let mut request = GetLogEvents { limit: Some(limit), ..get(stream) };
    let mut messages = Vec::new();
    loop {
        let page = logs.get_log_events(&request, NOW).unwrap();
        messages.extend(page.events.into_iter().map(|event| event.message));
        if request.next_token.as_ref() == Some(&page.next_forward_token) {
            return messages;
        }
        request.next_token = Some(page.next_forward_token);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn reads_agree_with_a_sorted_list(batches in batches(), limit in 1..9_usize, segment in 1..6_usize,
                                      budget in proptest::sample::select(vec![1_u64, 400, 1 << 20]),
                                      window in (0..50_i64, 0..50_i64)) {
        let limits = Limits { segment_batches: segment, scan_bytes: budget, ..Limits::default() };
        let (dir, mut logs) = store(limits.clone());
        for stream in STREAMS {
            logs.create_log_stream("g", stream, NOW).unwrap();
        }
        let mut model: Vec<(i64, usize, String)> = Vec::new();
        for (number, batch) in batches.iter().enumerate() {
            let messages: Vec<_> = (0..batch.times.len()).map(|i| format!("{number}.{i}")).collect();
            let events: Vec<_> = batch.times.iter().zip(&messages).map(|(&time, text)| (time, text.as_str())).collect();
            put(&logs, STREAMS[batch.stream], &events).unwrap();
            model.extend(events.iter().map(|&(time, text)| (time, batch.stream, text.to_owned())));
            if batch.restart {
                drop(logs);
                logs = Logs::open(dir.path(), limits.clone()).unwrap();
            }
        }
        model.sort_by_key(|&(time, ..)| time);
        for (number, stream) in STREAMS.iter().enumerate() {
            let expected: Vec<_> = model.iter().filter(|entry| entry.1 == number).map(|entry| entry.2.clone()).collect();
            prop_assert_eq!(&forward(&logs, stream, limit), &expected);
            prop_assert_eq!(&backward(&logs, stream, limit), &expected);
        }
        let (start, end) = (window.0.min(window.1), window.0.max(window.1));
        let expected: Vec<_> = model.iter().filter(|entry| (start..=end).contains(&entry.0)).map(|entry| entry.2.clone()).collect();
        let request = FilterLogEvents { limit: Some(limit), start_time: Some(NOW + start), end_time: Some(NOW + end), ..filter() };
        let found = filter_all(&logs, request);
        prop_assert_eq!(filtered_texts(&found), expected.clone());
        let request = FilterLogEvents { limit: Some(limit), newest_first: true, ..filter() };
        let expected: Vec<_> = model.iter().rev().map(|entry| entry.2.clone()).collect();
        let found = filter_all(&logs, request);
        prop_assert_eq!(filtered_texts(&found), expected);
    }
}
