//! Measures the store on the disk under the working directory: `cargo bench -p logs`.
//!
//! Prints one line a figure. Compares with nothing by itself; `make bench` puts it beside the targets.

use std::fs;
use std::time::{Duration, Instant};

use logs::{FilterLogEvents, GetLogEvents, InputLogEvent, Limits, Logs, PutLogEvents};

const NOW: i64 = 1_700_000_000_000;
const WRITERS: usize = 16;
const BATCHES: usize = 100;
const EVENTS: usize = 100;
const LINE: &str =
    "2023-11-14T22:13:20Z INFO request handled method=GET path=/api/v1/items status=200 bytes=1534 ms=12";

fn main() {
    let dir = tempfile::tempdir_in(".").expect("a directory for the store");
    let logs = Logs::open(dir.path(), Limits::default()).expect("an empty store");
    logs.create_log_group("g", Default::default(), NOW).expect("a group");
    ingest(&logs);
    single(&logs);
    get(&logs);
    filter(&logs, "%ms=9[0-9]%");
    filter(&logs, "nowhere");
    idle(&logs);
    drop(logs);
    streams();
    let start = Instant::now();
    let logs = Logs::open(dir.path(), Limits::default()).expect("a filled store");
    println!("open with 1,016 streams: {:?}", start.elapsed());
    let start = Instant::now();
    let request = GetLogEvents { limit: Some(100), ..tail("w0") };
    assert_eq!(logs.get_log_events(&request, NOW).expect("a page").events.len(), 100);
    println!("first GetLogEvents after open: {:?}", start.elapsed());
}

fn batch(stream: &str, number: usize, len: usize) -> PutLogEvents {
    let event = |i| InputLogEvent {
        timestamp: NOW + (number * len + i) as i64 / 10,
        message: format!("{LINE} n={number}.{i}"),
    };
    let log_events = (0..len).map(event).collect();
    PutLogEvents { log_group_name: "g".into(), log_stream_name: stream.into(), log_events }
}

fn tail(stream: &str) -> GetLogEvents {
    GetLogEvents { log_group_name: "g".into(), log_stream_name: stream.into(), ..GetLogEvents::default() }
}

/// Writers that each wait for their own acknowledgement.
fn ingest(logs: &Logs) {
    let streams: Vec<_> = (0..WRITERS).map(|writer| format!("w{writer}")).collect();
    streams.iter().for_each(|stream| logs.create_log_stream("g", stream, NOW).expect("a stream"));
    let start = Instant::now();
    std::thread::scope(|scope| {
        for stream in &streams {
            scope.spawn(|| {
                for number in 0..BATCHES {
                    logs.put_log_events_wait(batch(stream, number, EVENTS), NOW).expect("a durable put");
                }
            });
        }
    });
    let (puts, took) = ((WRITERS * BATCHES) as f64, start.elapsed().as_secs_f64());
    println!(
        "ingest, {WRITERS} writers: {:.0} events/s, {:.0} puts/s",
        puts * EVENTS as f64 / took,
        puts / took
    );
}

fn single(logs: &Logs) {
    let mut times: Vec<_> = (0..200)
        .map(|number| {
            let start = Instant::now();
            logs.put_log_events_wait(batch("w0", BATCHES + number, 1), NOW).expect("a durable put");
            start.elapsed()
        })
        .collect();
    println!("one writer, one event a put: {}", percentiles(&mut times));
}

fn get(logs: &Logs) {
    let mut times: Vec<_> = (0..200)
        .map(|_| {
            let start = Instant::now();
            let request = GetLogEvents { limit: Some(100), ..tail("w3") };
            assert_eq!(logs.get_log_events(&request, NOW).expect("a page").events.len(), 100);
            start.elapsed()
        })
        .collect();
    println!("GetLogEvents, last 100 of a stream: {}", percentiles(&mut times));
}

fn filter(logs: &Logs, pattern: &str) {
    let mut request = FilterLogEvents { log_group_name: "g".into(), ..FilterLogEvents::default() };
    request.filter_pattern = Some(pattern.to_owned());
    let stored = logs.describe_log_groups(&Default::default()).expect("groups").items[0].stored_bytes;
    let start = Instant::now();
    loop {
        request.next_token = logs.filter_log_events(&request, NOW).expect("a page").next_token;
        if request.next_token.is_none() {
            break;
        }
    }
    let rate = stored as f64 / 1e6 / start.elapsed().as_secs_f64();
    println!("FilterLogEvents {pattern}: {rate:.0} MB/s over {:.0} MB", stored as f64 / 1e6);
}

fn idle(logs: &Logs) {
    for stream in 0..1000 {
        logs.create_log_stream("g", &format!("web/app/{stream:032x}"), NOW).expect("a stream");
    }
    let used = resident_kib();
    logs.maintain(NOW + 3_600_000).expect("housekeeping");
    println!("resident with 1,016 streams: {used} KiB in use, {} KiB idle", resident_kib());
}

/// What each stream takes of memory, and what one costs that has to make room by another's going.
fn streams() {
    const MOST: usize = 100_000;
    const CLIENTS: usize = 64;
    let dir = tempfile::tempdir_in(".").expect("a directory for the store");
    let logs =
        Logs::open(dir.path(), Limits { streams_max: MOST, ..Limits::default() }).expect("an empty store");
    logs.create_log_group("g", Default::default(), NOW).expect("a group");
    let make = |from: usize, to: usize| {
        let start = Instant::now();
        std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                let logs = &logs;
                scope.spawn(move || {
                    for number in (from + client..to).step_by(CLIENTS) {
                        let stream = format!("web/app/{number:032x}");
                        logs.create_log_stream("g", &stream, NOW).expect("a stream");
                        logs.put_log_events_wait(batch(&stream, 0, 1), NOW).expect("a durable put");
                    }
                });
            }
        });
        (to - from) as f64 / start.elapsed().as_secs_f64()
    };
    let before = resident_kib();
    let rate = make(0, MOST);
    let bytes = |used: u64| used.saturating_sub(before) * 1024 / MOST as u64;
    println!(
        "{MOST} streams with an event each: {} bytes of memory each, made at {rate:.0}/s",
        bytes(resident_kib())
    );
    let rate = make(MOST, MOST + MOST / 2);
    println!("beyond the limit: {rate:.0}/s, {} bytes of memory each", bytes(resident_kib()));
    drop(logs);
    let start = Instant::now();
    let logs =
        Logs::open(dir.path(), Limits { streams_max: MOST, ..Limits::default() }).expect("a filled store");
    println!("open with {MOST} streams: {:?}", start.elapsed());
    let start = Instant::now();
    (0..MOST / 64).for_each(|i| logs.create_log_stream("g", &format!("n{i}"), NOW + 1).expect("a stream"));
    println!("the first {} streams beyond after that: {:?}", MOST / 64, start.elapsed());
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn percentiles(times: &mut [Duration]) -> String {
    times.sort_unstable();
    format!("p50 {:?}, p99 {:?}", times[times.len() / 2], times[times.len() * 99 / 100])
}
