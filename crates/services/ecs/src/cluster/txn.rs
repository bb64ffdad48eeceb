//! What commands write of a cluster, and whom that touches.

use std::sync::Arc;

use super::{Change, Cluster, Key, Mark, Row, daemons::Resident, rows::*};
use crate::{instance, task};

/// A command at work on a cluster.
pub type Txn<'a> = state::Txn<'a, Cluster>;

/// Writes of a cluster's rows.
pub trait Writes {
    /// Writes the cluster's own row.
    fn put_cluster(&mut self, row: ClusterRow);

    /// Writes a container instance: daemons look at it again, if it is another for them; and where it is the first of its
    /// zone that takes tasks, the services that are rebalanced over zones are settled again.
    fn put_instance(&mut self, row: InstanceRow);

    /// Writes a service and marks it for settling.
    fn put_service(&mut self, row: ServiceRow);

    /// Writes a service whose stored row is of an earlier version as this one does, with what that row holds of others.
    fn take_over(&mut self, service: &ServiceName);

    /// Writes a deployment of a service.
    fn put_service_deployment(&mut self, row: ServiceDeploymentRow);

    /// Writes a daemon and marks it for settling.
    fn put_daemon(&mut self, row: DaemonRow);

    /// Writes a deployment of a daemon.
    fn put_daemon_deployment(&mut self, row: DaemonDeploymentRow);

    /// Writes a task: what made it is settled again, and daemons whose task is missing where one has stopped. Gives the
    /// row as it is then.
    fn put_task(&mut self, row: TaskRow) -> Arc<TaskRow>;

    /// Forgets the oldest of what is remembered beyond the limits.
    fn trim(&mut self);

    /// Marks a service for settling.
    fn touch(&mut self, service: &ServiceName);

    /// Marks every service and daemon for settling, and has all that have a task everywhere look at every container
    /// instance.
    fn touch_all(&mut self);

    /// Has these look at a container instance.
    fn touch_residents(&mut self, residents: Vec<Resident>, id: &InstanceId);

    /// Room has come on a container instance, or it suits more than before: the services that wait for it have their turn.
    fn room_came(&mut self, id: &InstanceId);
}

impl Writes for Txn<'_> {
    fn put_cluster(&mut self, row: ClusterRow) {
        self.put(row);
    }

    fn put_instance(&mut self, mut row: InstanceRow) {
        row.version += 1;
        let (id, same) = (row.id, self.state.instance(&row.id).is_some_and(|old| alike(old, &row)));
        let zone = instance::attribute(&row, instance::ZONE).unwrap_or_default();
        let is_first = row.is_open() && !self.state.zones().contains_key(zone.as_str());
        self.put(row);
        if is_first {
            let may_move = |row: &&Arc<ServiceRow>| {
                row.availability_zone_rebalancing == AvailabilityZoneRebalancing::Enabled
            };
            let all: Vec<_> = self.state.services().filter(may_move).map(|row| row.name.clone()).collect();
            all.iter().for_each(|name| self.touch(name));
        }
        if !same {
            let all = self.state.residents().map(|(whose, _)| whose.clone()).collect();
            self.touch_residents(all, &id);
        }
    }

    fn put_service(&mut self, row: ServiceRow) {
        self.mark(Mark::Service(row.name.clone()));
        if self.state.is_unwritten(&row.name) {
            // In the same step, so that a crash leaves either all of it in the old row or nothing.
            let held: Vec<Row> = self.state.beside_service(&row.name).collect();
            held.into_iter().for_each(|row| self.record(Change::Put(row)));
        }
        self.put(row);
    }

    fn take_over(&mut self, service: &ServiceName) {
        if self.state.is_unwritten(service)
            && let Some(row) = self.state.service(service).cloned()
        {
            self.put_service(row.as_ref().clone());
        }
    }

    fn put_service_deployment(&mut self, row: ServiceDeploymentRow) {
        self.take_over(&row.service);
        let old = self.state.service_deployment_by_number(&(row.service.clone(), row.number));
        let goes_on = old.is_none_or(|old| old.status == row.status || !old.status.has_ended());
        assert!(goes_on, "what has ended never changes: deployment {} of {}", row.id, row.service);
        self.put(row);
    }

    fn put_daemon(&mut self, row: DaemonRow) {
        self.mark(Mark::Daemon(row.name.clone()));
        self.put(row);
    }

    fn put_daemon_deployment(&mut self, row: DaemonDeploymentRow) {
        let old = self.state.daemon_deployment_by_number(&(row.daemon.clone(), row.number));
        let goes_on = old.is_none_or(|old| old.status == row.status || !old.status.has_ended());
        assert!(goes_on, "what has ended never changes: deployment {} of {}", row.id, row.daemon);
        self.put(row);
    }

    fn put_task(&mut self, mut row: TaskRow) -> Arc<TaskRow> {
        let old = self.state.task(&row.id);
        assert!(old.is_none_or(|old| old.last <= row.last), "a task's status only rises: {}", row.id);
        let stopped =
            row.last == TaskStatus::Stopped && old.is_some_and(|old| old.last != TaskStatus::Stopped);
        row.version += 1;
        let host = row.instance;
        if let Some(whose) = Resident::of(&row) {
            if let Some(host) = &host {
                self.state.resident_changed(&whose, host);
            }
            self.mark(whose.mark());
        }
        let row = Arc::new(row);
        self.record(Change::Put(Row::Task(row.clone())));
        if !row.holds_interface() && self.state.interface_wanted(&row.id).is_some() {
            self.delete(Key::InterfaceWanted(row.id));
        }
        if let Some(host) = host.filter(|_| stopped) {
            let waiting = self.state.residents_waiting_on(&host);
            self.touch_residents(waiting, &host);
            let drains = self.state.instance(&host).is_some_and(|row| row.status == InstanceStatus::Draining);
            if drains && let Some(left) = self.state.only_residents(&host) {
                self.touch_residents(left, &host);
            }
        }
        row
    }

    fn trim(&mut self) {
        for key in self.state.surplus() {
            match key {
                Key::Task(id) => task::kept::forget(self, &id),
                key => self.delete(key),
            }
        }
    }

    fn touch(&mut self, service: &ServiceName) {
        self.mark(Mark::Service(service.clone()));
    }

    fn touch_all(&mut self) {
        let services = self.state.services().map(|row| Resident::from(&row.name));
        let all: Vec<Resident> =
            services.chain(self.state.daemon_rows().map(|row| Resident::from(&row.name))).collect();
        for whose in all {
            self.state.resident_forgotten(&whose);
            self.mark(whose.mark());
        }
    }

    fn touch_residents(&mut self, residents: Vec<Resident>, id: &InstanceId) {
        for whose in residents {
            self.state.resident_changed(&whose, id);
            self.mark(whose.mark());
        }
    }

    fn room_came(&mut self, id: &InstanceId) {
        self.mark(Mark::Room(*id, None));
    }
}

/// Whether two rows of a container instance are the same for what belongs on it. That an agent is away says nothing: what
/// runs there goes on.
fn alike(old: &InstanceRow, new: &InstanceRow) -> bool {
    old.status == new.status
        && old.repair == new.repair
        && old.attributes == new.attributes
        && old.registered == new.registered
        && old.version_info == new.version_info
        && old.ec2_instance_id == new.ec2_instance_id
        && (old.agent_connected || !new.agent_connected)
}

/// The container instances whose assignments a commit has changed: their links must look again.
pub fn assigned<'a>(
    before: &'a Cluster,
    after: &'a Cluster,
    keys: &'a [Key],
) -> impl Iterator<Item = InstanceId> + 'a {
    keys.iter().filter_map(move |key| match key {
        Key::Task(id) => {
            let row = after.task(id)?;
            let tell =
                |row: &TaskRow| row.instance.map(|host| (host, row.desired_for_agent(), row.is_for_agent()));
            let told = before.task(id).and_then(|old| tell(old));
            row.instance.filter(|_| told != tell(row))
        }
        Key::Instance(id) => {
            let inactive =
                |state: &Cluster| state.instance(id).map(|row| row.status == InstanceStatus::Inactive);
            (inactive(before) != inactive(after)).then_some(*id)
        }
        _ => None,
    })
}
