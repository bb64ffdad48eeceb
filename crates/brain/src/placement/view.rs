//! A cluster as placement sees it.

use super::{Candidate, View};
use crate::cluster::{
    Cluster, Usage,
    rows::{InstanceId, InstanceRow},
};

impl View for Cluster {
    fn candidates(&self) -> impl Iterator<Item = Candidate<'_>> {
        self.instances().filter_map(|row| Some(candidate(row, self.usage(&row.id)?)))
    }

    fn candidate(&self, id: &InstanceId) -> Option<Candidate<'_>> {
        Some(candidate(self.instance(id)?, self.usage(id)?))
    }
}

fn candidate<'a>(row: &'a InstanceRow, usage: &'a Usage) -> Candidate<'a> {
    Candidate { row, used: &usage.used, groups: &usage.groups, running: usage.running }
}
