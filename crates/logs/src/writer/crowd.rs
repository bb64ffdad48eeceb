//! How many streams all stores may have, and which give way to new ones: of the store that has the most, of its largest
//! group, the stream that nobody wrote to for longest. So whoever makes streams without end loses his own, and nobody
//! loses any for somebody who has more.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{Draft, Store};
use crate::error::Result;

/// The limit, and what is done about it.
pub(super) struct Crowd {
    streams_max: usize,
    /// There were too many, and there are not yet few enough.
    is_giving: bool,
    /// The disk refused it: tried again with the next housekeeping.
    is_stuck: bool,
    /// There may be more than was known.
    is_new: bool,
    /// Streams that went and have not been told of, by store and group.
    gone: BTreeMap<(PathBuf, String), usize>,
}

/// Streams that go in one round beyond those that came: puts wait meanwhile.
const STEP: usize = 256;

impl Crowd {
    pub fn new(streams_max: usize) -> Self {
        Self { streams_max, is_giving: false, is_stuck: false, is_new: false, gone: BTreeMap::new() }
    }

    pub fn has_more(&self) -> bool {
        self.is_giving && !self.is_stuck
    }

    /// Whether there is room for no more.
    pub fn is_shut(&self, stores: &BTreeMap<u64, Store>) -> bool {
        self.is_stuck && total(stores) >= self.streams_max
    }

    /// A store has come.
    pub fn count_again(&mut self) {
        self.is_new = true;
    }

    /// Time has passed since the disk refused.
    pub fn try_again(&mut self) {
        self.is_stuck = false;
    }

    /// A little fewer than there may be, so that this is not done, and told, for each new stream.
    fn target(&self) -> usize {
        self.streams_max - self.streams_max / 64
    }

    /// Adds to the drafts of this round what gives way in it.
    pub fn give_way(&mut self, stores: &mut BTreeMap<u64, Store>, drafts: &mut BTreeMap<u64, Draft>) {
        if self.is_stuck || (drafts.is_empty() && !self.is_giving && !self.is_new) {
            return;
        }
        self.is_new = false;
        let growth: usize = drafts.values().map(Draft::growth).sum();
        let count = |(id, store): (&u64, &Store)| {
            let streams = drafts.get(id).map(|draft| draft.after.stream_count);
            (streams.unwrap_or_else(|| store.catalog().stream_count), *id)
        };
        let mut holders: BTreeSet<(usize, u64)> = stores.iter().map(count).collect();
        let total: usize = holders.iter().map(|(streams, _)| streams).sum();
        self.is_giving |= total > self.streams_max;
        if !self.is_giving {
            return;
        }
        let mut due = total.saturating_sub(self.target()).min(growth + STEP);
        while due > 0 {
            let Some((streams, id)) = holders.pop_last() else { break };
            let Some(store) = stores.get_mut(&id) else { continue };
            let draft = drafts.entry(id).or_insert_with(|| store.draft());
            // A store that has none to give is out of it.
            if let Some(change) = store.oldest(draft) {
                draft.take(Some(change), None);
                holders.insert((streams - 1, id));
                due -= 1;
            }
        }
        // Only new ones are left: they have their turn in the next round. With none of those there is nothing to wait for.
        self.is_stuck = due > 0 && growth == 0;
    }

    /// What became of it in one store.
    pub fn went(&mut self, dir: &Path, gone: BTreeMap<String, usize>, kept: Result<()>) {
        if gone.is_empty() {
            return;
        }
        if let Err(error) = kept {
            self.is_stuck = true;
            tracing::error!(store = %dir.display(), %error, "the oldest log streams should give way and cannot be deleted");
            return;
        }
        for (group, streams) in gone {
            *self.gone.entry((dir.to_owned(), group)).or_default() += streams;
        }
    }

    /// Says what went once there are few enough, or no more can go.
    pub fn settle(&mut self, stores: &BTreeMap<u64, Store>) {
        if !self.is_giving {
            return;
        }
        self.is_giving = total(stores) > self.target();
        if self.has_more() {
            return;
        }
        let limit = self.streams_max;
        for ((store, group), streams) in std::mem::take(&mut self.gone) {
            let store = store.display();
            tracing::warn!(group, %store, streams, limit, "there are as many log streams as there may be; the oldest of the largest group went");
        }
    }
}

fn total(stores: &BTreeMap<u64, Store>) -> usize {
    stores.values().map(|store| store.catalog().stream_count).sum()
}
