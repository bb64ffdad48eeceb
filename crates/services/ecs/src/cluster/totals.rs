//! How many there are: what DescribeClusters shows, and what the limits of a cluster are held against. An index of
//! all rows, changed only where they are applied.

use super::rows::*;

/// How many there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub instances: Instances,
    /// Services by launch type: EC2, FARGATE, EXTERNAL.
    pub services: [Services; 3],
    /// Tasks likewise.
    pub tasks: [Tasks; 3],
    /// Tasks that are STOPPED.
    pub stopped: usize,
}

/// Container instances by status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Instances {
    /// Those that wait for a daemon too.
    pub active: usize,
    pub draining: usize,
    pub inactive: usize,
}

/// Services by status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Services {
    pub active: usize,
    pub draining: usize,
    pub inactive: usize,
}

/// Tasks as ECS counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tasks {
    pub running: i32,
    pub pending: i32,
}

/// Whether a row comes or goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    In,
    Out,
}

impl Way {
    fn count(self, count: &mut usize) {
        match self {
            Way::In => *count += 1,
            Way::Out => *count = count.saturating_sub(1),
        }
    }
}

fn place(launch_type: LaunchType) -> usize {
    match launch_type {
        LaunchType::Fargate => 1,
        LaunchType::External => 2,
        _ => 0,
    }
}

impl Totals {
    /// A container instance comes or goes.
    pub fn instance(&mut self, row: &InstanceRow, way: Way) {
        way.count(match row.status {
            InstanceStatus::Active | InstanceStatus::Registering => &mut self.instances.active,
            InstanceStatus::Draining => &mut self.instances.draining,
            InstanceStatus::Inactive => &mut self.instances.inactive,
        });
    }

    /// A service comes or goes.
    pub fn service(&mut self, row: &ServiceRow, way: Way) {
        let services = &mut self.services[place(row.launch_type)];
        way.count(match row.status {
            ServiceStatus::Active => &mut services.active,
            ServiceStatus::Draining => &mut services.draining,
            ServiceStatus::Inactive => &mut services.inactive,
        });
    }

    /// A task comes or goes.
    pub fn task(&mut self, row: &TaskRow, way: Way) {
        let (running, pending) = row.counts();
        let sign = if way == Way::In { 1 } else { -1 };
        let tasks = &mut self.tasks[place(row.launch_type)];
        tasks.running += sign * running;
        tasks.pending += sign * pending;
        if row.last == TaskStatus::Stopped {
            way.count(&mut self.stopped);
        }
    }

    /// Container instances that are not INACTIVE.
    pub fn instances_live(&self) -> usize {
        self.instances.active + self.instances.draining
    }

    /// Services that are ACTIVE.
    pub fn services_active(&self) -> usize {
        self.services.iter().map(|services| services.active).sum()
    }

    /// Services that are not INACTIVE.
    pub fn services_live(&self) -> usize {
        self.services.iter().map(|services| services.active + services.draining).sum()
    }

    /// Tasks that are RUNNING, and tasks that are on their way there.
    pub fn task_counts(&self) -> (i32, i32) {
        self.tasks.iter().fold((0, 0), |sum, tasks| (sum.0 + tasks.running, sum.1 + tasks.pending))
    }
}
