//! How far a pull or a load is, added up from its parts.

use std::io::{self, Read};
use std::sync::Arc;

use parking_lot::Mutex;

/// How far a pull or a load is. Sent often; cheap to ignore.
///
/// An archive that is read before its layers are known has none: its bytes are those of the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Layers that the image has.
    pub layers: usize,
    /// Of those, unpacked.
    pub layers_done: usize,
    /// To download or to read, in bytes: what was here already does not count.
    pub bytes: u64,
    /// Of those, here.
    pub bytes_done: u64,
    /// The layer that moved last.
    pub last: Option<LayerProgress>,
}

/// How far one layer is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LayerProgress {
    /// Which one, from the bottom, the lowest being 0.
    pub index: usize,
    /// To download or to read, in bytes; 0 when the layer was here.
    pub bytes: u64,
    /// Of those, here.
    pub bytes_done: u64,
    /// Whether it is unpacked.
    pub is_done: bool,
}

/// Who is told.
pub type Listener = Arc<dyn Fn(Progress) + Send + Sync>;

/// The progress of one image, or of one archive.
pub struct Tracker {
    state: Mutex<State>,
    listener: Option<Listener>,
}

struct State {
    sum: Progress,
    layers: Vec<LayerProgress>,
}

impl Tracker {
    /// An image of layers that have `sizes` bytes to come.
    pub fn new(sizes: &[u64], listener: Option<Listener>) -> Arc<Self> {
        let layer = |(index, &bytes)| LayerProgress { index, bytes, ..Default::default() };
        let layers: Vec<LayerProgress> = sizes.iter().enumerate().map(layer).collect();
        let bytes = sizes.iter().fold(0, |sum: u64, size| sum.saturating_add(*size));
        Self::start(Progress { layers: layers.len(), bytes, ..Default::default() }, layers, listener)
    }

    /// An archive of `bytes` bytes, that is read once before its layers are.
    pub fn of_archive(bytes: u64, listener: Option<Listener>) -> Arc<Self> {
        let layers = vec![LayerProgress { bytes, ..Default::default() }];
        Self::start(Progress { bytes, ..Default::default() }, layers, listener)
    }

    fn start(sum: Progress, layers: Vec<LayerProgress>, listener: Option<Listener>) -> Arc<Self> {
        if let Some(listener) = &listener {
            listener(sum);
        }
        Arc::new(Self { state: Mutex::new(State { sum, layers }), listener })
    }

    /// The part of one layer; of an archive, its only one.
    pub fn layer(self: &Arc<Self>, index: usize) -> LayerTracker {
        LayerTracker { tracker: self.clone(), index }
    }

    /// One more layer is unpacked.
    pub fn layer_done(&self, index: usize) {
        self.change(index, |sum, layer| {
            layer.is_done = true;
            sum.layers_done += 1;
        });
    }

    /// Tells the listener under the lock, so that it never hears of an earlier state after a later one.
    fn change(&self, index: usize, change: impl FnOnce(&mut Progress, &mut LayerProgress)) {
        let mut state = self.state.lock();
        let State { sum, layers } = &mut *state;
        let Some(layer) = layers.get_mut(index) else { return };
        change(sum, layer);
        sum.last = (sum.layers > 0).then_some(*layer);
        if let Some(listener) = &self.listener {
            listener(*sum);
        }
    }
}

/// The progress of one layer.
#[derive(Clone)]
pub struct LayerTracker {
    tracker: Arc<Tracker>,
    index: usize,
}

impl LayerTracker {
    /// More bytes are here.
    pub fn received(&self, bytes: u64) {
        self.tracker.change(self.index, |sum, layer| {
            // Never more than there are: what is read twice is there once.
            let bytes = bytes.min(layer.bytes - layer.bytes_done);
            layer.bytes_done += bytes;
            sum.bytes_done += bytes;
        });
    }

    /// Bytes have to be received again.
    pub fn lost(&self, bytes: u64) {
        self.tracker.change(self.index, |sum, layer| {
            let bytes = bytes.min(layer.bytes_done);
            layer.bytes_done -= bytes;
            sum.bytes_done -= bytes;
        });
    }

    /// `input`, whose bytes count as they are read.
    pub fn reading<R: Read>(self, input: R) -> Reading<R> {
        Reading { input, tracker: self }
    }
}

/// A reader that tells how far it is.
pub struct Reading<R> {
    input: R,
    tracker: LayerTracker,
}

impl<R: Read> Read for Reading<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(buffer)?;
        self.tracker.received(n as u64);
        Ok(n)
    }
}
