//! How long the operations take. Bounds are loose (the machine may be busy); the numbers are
//! printed.

use std::thread;
use std::time::{Duration, Instant};

use crate::lab::*;

const SETTLE: Duration = Duration::from_secs(20);

#[test]
fn attaching_is_quick() {
    lab(|lab| {
        let mut config = lab.config();
        config.pool_size = 4;
        config.dynamic_ports = Some(40000..=49999);
        let start = Instant::now();
        let host = network::Host::open(config).unwrap();
        println!("open: {:?}", start.elapsed());
        let mut plain = Vec::new();
        let mut published = Vec::new();
        let mut detached = Vec::new();
        for n in 0..30 {
            assert!(host.settle(SETTLE));
            plain.push(time(|| drop(host.attach(&bridge(&format!("p{n}"), &[])).unwrap())));
            assert!(host.settle(SETTLE));
            published.push(time(|| drop(host.attach(&bridge(&format!("q{n}"), &[tcp(80, 0)])).unwrap())));
            detached.push(time(|| host.detach(&id(&format!("q{n}"))).unwrap()));
        }
        report("attach, no ports, from stock", &mut plain);
        report("attach, one port, from stock", &mut published);
        report("detach, one port", &mut detached);

        for count in [50, 200] {
            at_once(&host, count);
        }
        plain.sort();
        assert!(plain[plain.len() / 2] < Duration::from_millis(5), "stock does not help: {plain:?}");
    });
}

/// Attaches `count` containers from as many threads, then takes all of the host's away.
fn at_once(host: &network::Host, count: usize) {
    let start = Instant::now();
    let mut each: Vec<Duration> = thread::scope(|scope| {
        let attach =
            |n| move || time(|| drop(host.attach(&bridge(&format!("s{n}"), &[tcp(80, 0)])).unwrap()));
        let workers: Vec<_> = (0..count).map(|n| scope.spawn(attach(n))).collect();
        workers.into_iter().map(|w| w.join().unwrap()).collect()
    });
    println!("{count} at once, one port each: {:?} in all", start.elapsed());
    report("  each", &mut each);
    assert!(host.settle(SETTLE));
    let start = Instant::now();
    let removed = host.reconcile(&[]).unwrap().removed.len();
    println!("{removed} detached at once: {:?}", start.elapsed());
    assert!(removed >= count);
    assert!(host.settle(SETTLE));
    println!("  and gone: {:?}", start.elapsed());
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn report(what: &str, times: &mut [Duration]) {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!("{what}: p50 {:?} p99 {:?} max {:?}", at(50), at(99), at(100));
}
