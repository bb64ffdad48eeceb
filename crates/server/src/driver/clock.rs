//! The control plane's clock. It never runs backward: a host clock that was set back stands still here
//! until it has caught up, so that times in rows keep their order.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use wire::Timestamp;

/// The longest sleep without a look at the clock: a clock that jumps ahead is noticed within it.
const LONGEST: Duration = Duration::from_secs(30);

static NEWEST: AtomicI64 = AtomicI64::new(0);

/// The time.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    Timestamp(NEWEST.fetch_max(millis, Ordering::Relaxed).max(millis))
}

/// Waits for a time, or for `pause` if that is longer; for ever when nothing waits.
pub async fn sleep_until(at: Option<Timestamp>, pause: Option<Duration>) {
    let Some(at) = at else { return std::future::pending().await };
    tokio::time::sleep(pause.unwrap_or_default()).await;
    loop {
        let left = u64::try_from(at.millis_since(now())).unwrap_or(0);
        if left == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(left).min(LONGEST)).await;
    }
}
