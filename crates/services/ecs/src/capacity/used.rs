//! By how much a cluster uses its capacity providers. An index of its rows, changed only where they are applied.

use imbl::OrdMap;

use crate::rows::{
    CapacityProviderStrategyItem as Item, DaemonRow, DaemonStatus, ServiceRow, ServiceStatus, TaskRow,
    TaskStatus,
};

/// How many tasks that are not STOPPED, services that are not INACTIVE and deployments of them, and daemons that are not
/// DELETED name each provider.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Used {
    by: OrdMap<Box<str>, usize>,
}

impl Used {
    /// Whether anything names a provider.
    pub fn is_used(&self, name: &str) -> bool {
        self.by.contains_key(name)
    }

    /// A task is written or forgotten.
    pub fn task(&mut self, old: Option<&TaskRow>, new: Option<&TaskRow>) {
        self.change(old.and_then(of_task).into_iter(), new.and_then(of_task).into_iter());
    }

    /// A service is written or forgotten.
    pub fn service(&mut self, old: Option<&ServiceRow>, new: Option<&ServiceRow>) {
        self.change(old.into_iter().flat_map(of_service), new.into_iter().flat_map(of_service));
    }

    /// A daemon is written or forgotten.
    pub fn daemon(&mut self, old: Option<&DaemonRow>, new: Option<&DaemonRow>) {
        self.change(old.into_iter().flat_map(of_daemon), new.into_iter().flat_map(of_daemon));
    }

    fn change<'a>(&mut self, old: impl Iterator<Item = &'a str>, new: impl Iterator<Item = &'a str>) {
        for name in new {
            match self.by.get_mut(name) {
                Some(count) => *count += 1,
                None => drop(self.by.insert(name.into(), 1)),
            }
        }
        for name in old {
            match self.by.get_mut(name) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(self.by.remove(name)),
            }
        }
    }
}

fn of_task(row: &TaskRow) -> Option<&str> {
    row.capacity_provider.as_deref().filter(|_| row.last != TaskStatus::Stopped)
}

fn of_daemon(row: &DaemonRow) -> impl Iterator<Item = &str> {
    let live = row.status != DaemonStatus::Deleted;
    row.providers.iter().filter(move |_| live).map(String::as_str)
}

fn of_service(row: &ServiceRow) -> impl Iterator<Item = &str> {
    let live = row.status != ServiceStatus::Inactive;
    let deployments = row.deployments.iter().flat_map(|deployment| &deployment.capacity_provider_strategy);
    let all = row.capacity_provider_strategy.iter().chain(deployments).filter(move |_| live);
    all.map(|item: &Item| &*item.capacity_provider)
}
