//! A cluster as placement sees it.

use std::sync::Arc;

use super::{
    Candidate,
    split::{Layout, Split},
};
use crate::cluster::{
    Cluster, Usage,
    rows::{InstanceId, InstanceRow},
};

impl Cluster {
    /// Every container instance, in the order of their ids.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = Candidate<'_>> {
        self.hosts().map(|(row, usage)| candidate(row, usage))
    }

    /// One of them.
    pub(crate) fn candidate(&self, id: &InstanceId) -> Option<Candidate<'_>> {
        Some(candidate(self.instance(id)?, self.usage(id)?))
    }

    /// The instances in the layout of a request. Made at the first one, which looks at all of them, and kept for those
    /// that come.
    pub(super) fn split(&mut self, layout: &Layout) -> Arc<Split> {
        if let Some(kept) = self.slots().split(layout) {
            return kept;
        }
        let mut slots = self.slots().clone();
        let split = slots.keep(layout, self.candidates());
        *self.slots_mut() = slots;
        split
    }
}

fn candidate<'a>(row: &'a InstanceRow, usage: &'a Usage) -> Candidate<'a> {
    let slot = usage.slot.unwrap_or(u32::MAX);
    Candidate { row, used: &usage.used, groups: &usage.groups, running: usage.running, slot }
}
