//! A cluster as placement sees it.

use std::borrow::Cow;

use super::{Candidate, Slots, View};
use crate::cluster::{
    Cluster, Usage,
    rows::{InstanceId, InstanceRow},
};

impl View for Cluster {
    fn candidates(&self) -> impl Iterator<Item = Candidate<'_>> {
        self.hosts().map(|(row, usage)| candidate(row, usage))
    }

    fn slots(&self) -> Cow<'_, Slots> {
        Cow::Borrowed(Cluster::slots(self))
    }

    fn candidate(&self, id: &InstanceId) -> Option<Candidate<'_>> {
        Some(candidate(self.instance(id)?, self.usage(id)?))
    }
}

fn candidate<'a>(row: &'a InstanceRow, usage: &'a Usage) -> Candidate<'a> {
    let slot = usage.slot.unwrap_or(u32::MAX);
    Candidate { row, used: &usage.used, groups: &usage.groups, running: usage.running, slot }
}
