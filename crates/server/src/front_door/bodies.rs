//! Room for the bodies of all requests together. A body has its room before the first byte of it is kept, and until
//! its request is answered; small ones, which nearly all are, have room of their own, so that large ones hold up
//! nobody else.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Up to so many bytes a body is a small one.
const SMALL: usize = 64 * 1024;
/// The room of a body that is streamed: what the HTTP library reads of it ahead of its handler.
const WINDOW: usize = 512 * 1024;
/// In what room is counted, in bytes.
const UNIT: usize = 1024;

/// The room.
pub(super) struct Bodies {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
    /// Of those that are streamed.
    pub streamed: Arc<Semaphore>,
    units: usize,
}

impl Bodies {
    /// So many bytes for small bodies, as many for large ones, and as many for those that are streamed.
    pub fn new(bytes: usize) -> Self {
        let units = bytes / UNIT;
        let room = || Arc::new(Semaphore::new(units));
        Self { small: room(), large: room(), streamed: room(), units }
    }

    /// Waits for room for a body of so many bytes.
    pub async fn room(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let room = if bytes <= SMALL { &self.small } else { &self.large };
        // A body that is larger than all room takes all of it.
        take(room, bytes.min(self.units * UNIT)).await
    }
}

impl Bodies {
    /// How many bytes a streamed body takes of its room, at most.
    pub fn window(&self) -> usize {
        WINDOW.min(self.units * UNIT)
    }
}

/// Waits for so many bytes of some room. Not for more than it has.
pub(super) async fn take(room: &Arc<Semaphore>, bytes: usize) -> Option<OwnedSemaphorePermit> {
    match u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX) {
        0 => None,
        // The semaphore is never closed.
        units => room.clone().acquire_many_owned(units).await.ok(),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn large_bodies_wait_for_one_another_and_hold_up_no_small_one() {
        let bodies = Bodies::new(1024 * 1024);
        let take = |bytes| bodies.room(bytes).now_or_never();
        let large: Vec<_> = (0..10).map(|_| take(100 * 1024)).collect();
        assert!(large.iter().all(|room| matches!(room, Some(Some(_)))));
        assert!(take(100 * 1024).is_none(), "there are 24 KiB left");
        assert!(matches!(take(SMALL), Some(Some(_))));
        assert!(matches!(take(0), Some(None)), "nothing takes no room");
        drop(large);
        let all = take(usize::MAX);
        assert!(matches!(all, Some(Some(_))));
        assert!(take(SMALL + 1).is_none());
    }
}
