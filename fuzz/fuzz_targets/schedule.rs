//! Schedule expressions of both services, and the runs that follow from those that are read: the next one is
//! after the time that is asked about, the last one is not, and there is none between them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use state::schedule::{Dialect, Expression, Zone};
use wire::Timestamp;

const ZONES: [&str; 4] = ["UTC", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"];

fuzz_target!(|data: &[u8]| {
    let Some((head, text)) = data.split_first_chunk::<9>() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let [pick, time @ ..] = *head;
    let dialect = if pick & 1 == 0 { Dialect::Rules } else { Dialect::Scheduler };
    let Ok(expression) = Expression::parse(text, dialect) else { return };
    let zone = Zone::named(ZONES[usize::from(pick >> 1) % ZONES.len()]).expect("it is built in");
    let (anchor, time) = (Timestamp(0), Timestamp(i64::from_le_bytes(time)));
    let last = expression.last_until(anchor, time, &zone);
    assert!(last.is_none_or(|last| last <= time));
    let Some(next) = expression.next_after(anchor, time, &zone) else { return };
    assert!(next > time);
    assert_eq!(expression.last_until(anchor, next, &zone), Some(next));
    assert_eq!(expression.last_until(anchor, next.plus_millis(-1), &zone), last);
});
