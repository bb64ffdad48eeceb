//! Durable commits per second: 64 submitters, rows of 1 KiB, each waiting for its own answer.
//! `cargo bench -p store [-- SECONDS [DIR]]`; DIR (default: the system's temporary directory) is where the
//! store's file is made, in a directory that is removed afterwards.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use store::sqlite::{Options, Sqlite};
use store::{Commit, Store};

const SUBMITTERS: usize = 64;
const VALUE_BYTES: usize = 1024;
/// Rows of each submitter, written over and over.
const ROWS: usize = 500;

fn main() {
    // cargo bench passes `--bench`.
    let mut args = std::env::args().skip(1).filter(|arg| !arg.starts_with("--"));
    let seconds = args.next().map_or(5, |text| text.parse().expect("SECONDS is a number"));
    let parent = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(parent).expect("a directory can be made");
    let store = Sqlite::open(&dir.path().join("state.db"), Options::default()).expect("a new store opens");
    let stop = AtomicBool::new(false);
    let started = Instant::now();
    let mut times: Vec<Duration> = thread::scope(|scope| {
        let threads: Vec<_> = (0..SUBMITTERS)
            .map(|t| {
                scope.spawn({
                    let (store, stop) = (&store, &stop);
                    move || submit(store, t, stop)
                })
            })
            .collect();
        thread::sleep(Duration::from_secs(seconds));
        stop.store(true, Ordering::Relaxed);
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    let elapsed = started.elapsed();
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!(
        "{SUBMITTERS} submitters, {VALUE_BYTES}-byte values: {:.0} commits/s, p50 {:?}, p99 {:?}, max {:?}, size {} MiB",
        times.len() as f64 / elapsed.as_secs_f64(),
        at(50),
        at(99),
        at(100),
        store.health().size_bytes >> 20,
    );
}

fn submit(store: &Sqlite, submitter: usize, stop: &AtomicBool) -> Vec<Duration> {
    let mut times = Vec::new();
    for i in (0..ROWS).cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let commit = Commit::new().put(format!("bench/{submitter:02}/{i:05}"), vec![i as u8; VALUE_BYTES]);
        let started = Instant::now();
        store.commit(commit).expect("the commit succeeds");
        times.push(started.elapsed());
    }
    times
}
