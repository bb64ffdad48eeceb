//! A cluster as placement sees it.

use std::collections::BTreeMap;

use super::{Candidate, View};
use crate::cluster::{
    Cluster, Usage,
    rows::{InstanceId, InstanceRow, ServiceName, TaskStatus},
};

impl View for Cluster {
    fn candidates(&self) -> impl Iterator<Item = Candidate<'_>> {
        self.hosts().map(|(row, usage)| candidate(row, usage))
    }

    fn group_counts(&self, group: &str) -> Option<BTreeMap<&InstanceId, i64>> {
        let service = ServiceName::from(group.strip_prefix("service:")?);
        let mut counts = BTreeMap::new();
        for task in self.tasks_of_service(&service).filter(|task| task.last != TaskStatus::Stopped) {
            if let Some(instance) = &task.instance {
                *counts.entry(instance).or_default() += 1;
            }
        }
        Some(counts)
    }

    fn candidate(&self, id: &InstanceId) -> Option<Candidate<'_>> {
        Some(candidate(self.instance(id)?, self.usage(id)?))
    }
}

fn candidate<'a>(row: &'a InstanceRow, usage: &'a Usage) -> Candidate<'a> {
    Candidate { row, used: &usage.used, groups: &usage.groups, running: usage.running }
}
