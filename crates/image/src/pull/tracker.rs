//! Adds up the progress of a pull's parts.

use std::sync::Arc;

use parking_lot::Mutex;

use super::Progress;

type Listener = Arc<dyn Fn(Progress) + Send + Sync>;

/// The progress of one pull.
pub struct Tracker {
    progress: Mutex<Progress>,
    listener: Option<Listener>,
}

impl Tracker {
    /// A pull of `layers` layers, with `bytes` bytes to download.
    pub fn new(layers: usize, bytes: u64, listener: Option<Listener>) -> Self {
        let tracker =
            Self { progress: Mutex::new(Progress { layers, bytes, ..Progress::default() }), listener };
        tracker.change(|_| {});
        tracker
    }

    /// More bytes are here.
    pub fn received(&self, bytes: u64) {
        self.change(|progress| progress.bytes_done = progress.bytes.min(progress.bytes_done + bytes));
    }

    /// Bytes have to be received again.
    pub fn lost(&self, bytes: u64) {
        self.change(|progress| progress.bytes_done = progress.bytes_done.saturating_sub(bytes));
    }

    /// One more layer is unpacked.
    pub fn layer_done(&self) {
        self.change(|progress| progress.layers_done += 1);
    }

    /// Tells the listener under the lock, so that it never hears of an earlier state after a later one.
    fn change(&self, change: impl FnOnce(&mut Progress)) {
        let mut progress = self.progress.lock();
        change(&mut progress);
        if let Some(listener) = &self.listener {
            listener(*progress);
        }
    }
}
