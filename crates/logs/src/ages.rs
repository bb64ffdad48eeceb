//! The streams of one group in order of when they were last written to. Pure.

use std::collections::{BTreeSet, HashMap};

use crate::catalog::Group;

/// Made when the group first has to give streams away, and kept right from then on: so each that goes costs the
/// same, however many there are. A stream that was never written to counts from when it was made. The time that
/// counts is that of the put, not the events' own: who puts old events now is writing now.
#[derive(Debug, Default)]
pub(crate) struct Ages {
    order: BTreeSet<(i64, u64)>,
    written: HashMap<u64, i64>,
}

impl Ages {
    /// Those of a group. Where its files cannot be read, when each was made has to do.
    pub fn of(group: &Group) -> Self {
        let loaded = group.files.read(&group.names, 0).ok();
        let span = |stream| loaded.as_ref().and_then(|loaded| loaded.streams.get(&stream));
        let mut ages = Self::default();
        for stream in group.streams.values() {
            let written = span(stream.id).map_or(i64::MIN, |span| span.last_ingestion);
            ages.add(stream.id, stream.created_ms.max(written));
        }
        ages
    }

    /// A stream that was made then.
    pub fn add(&mut self, stream: u64, at_ms: i64) {
        if let Some(before) = self.written.insert(stream, at_ms) {
            self.order.remove(&(before, stream));
        }
        self.order.insert((at_ms, stream));
    }

    /// A stream was written to then; one that is not there is passed over.
    pub fn touch(&mut self, stream: u64, at_ms: i64) {
        if let Some(&before) = self.written.get(&stream).filter(|&&before| before < at_ms) {
            debug_assert!(self.order.contains(&(before, stream)));
            self.add(stream, at_ms);
        }
    }

    /// A stream is gone.
    pub fn remove(&mut self, stream: u64) {
        if let Some(at) = self.written.remove(&stream) {
            self.order.remove(&(at, stream));
        }
    }

    /// Takes the one away that was written to longest ago.
    pub fn take_oldest(&mut self) -> Option<u64> {
        let (_, stream) = self.order.pop_first()?;
        self.written.remove(&stream);
        Some(stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_written_to_longest_ago_goes_first() {
        let mut ages = Ages::default();
        for (stream, at) in [(1, 10), (2, 20), (3, 30), (4, 40), (5, 40)] {
            ages.add(stream, at);
        }
        ages.touch(1, 35);
        ages.touch(3, 25);
        ages.touch(9, 1);
        ages.remove(2);
        ages.remove(9);
        let order: Vec<_> = std::iter::from_fn(|| ages.take_oldest()).collect();
        assert_eq!(order, [3, 1, 4, 5]);
        assert!(ages.written.is_empty());
    }
}
