//! How a change of a row changes the indexes: the only code that does.

use super::{tally::Site, totals::Way, *};

impl Cluster {
    pub(super) fn put_instance(&mut self, row: &Arc<InstanceRow>) {
        let old = self.instances.insert(row.id, row.clone());
        if let Some(old) = &old {
            self.totals.instance(old, Way::Out);
        }
        self.totals.instance(row, Way::In);
        self.facets.instance(old.as_deref(), Some(row));
        self.managed.host(&row.id, Some(row));
        let was = self.stands(old.as_deref(), -1);
        let is = self.stands(Some(row), 1);
        self.moved(&row.id, &was, &is);
        let usage = self.usage.entry(row.id).or_default();
        if usage.zone != is.zone {
            Arc::make_mut(usage).zone = is.zone;
        }
        let slot = match usage.slot {
            Some(slot) => slot,
            None => {
                let slot = self.slots.allot(&row.id);
                Arc::make_mut(usage).slot = Some(slot);
                slot
            }
        };
        self.slots.host(slot, row, &usage.used, &usage.groups);
    }

    pub(super) fn forget_token(&mut self, token: &str) {
        if let Some(old) = self.tokens.remove(token) {
            self.tokens_by_age.remove(&(old.forget_at, old.token.clone()));
        }
    }

    pub(super) fn delete_instance(&mut self, id: &InstanceId) {
        let row = self.instances.remove(id);
        if let Some(row) = &row {
            self.totals.instance(row, Way::Out);
            self.facets.instance(Some(row), None);
            self.managed.host(id, None);
            let was = self.stands(Some(row), -1);
            self.moved(id, &was, &Site::default());
        }
        let Some(usage) = self.usage.remove(id) else { return };
        if let Some(slot) = usage.slot {
            self.slots.release(slot, &usage.groups);
        }
        if !usage.ended.is_empty() {
            let left = Usage { ended: usage.ended.clone(), ..Usage::default() };
            self.usage.insert(*id, Arc::new(left));
        }
    }

    /// A row of an earlier version is taken apart: what it holds stands among the rows of its kind at once, and is
    /// written down as such when the service is settled.
    pub(super) fn put_service(&mut self, row: &Arc<ServiceRow>) {
        let apart = row.held.as_ref().map(|held| {
            for event in &held.events {
                self.apply(&Change::Put(Row::from(event.clone())));
            }
            if let Some(token) = &held.token {
                self.apply(&Change::Put(Row::from(token.clone())));
            }
            for revision in &held.revisions {
                self.apply(&Change::Put(Row::from(revision.clone())));
            }
            if let Some(deployment) = &held.deployment {
                self.apply(&Change::Put(Row::from(deployment.clone())));
            }
            self.agenda.mark(Mark::Service(row.name.clone()));
            Arc::new(ServiceRow { held: None, ..row.as_ref().clone() })
        });
        self.history.set_unwritten(&row.name, apart.is_some());
        let row = apart.as_ref().unwrap_or(row);
        self.waiting.row(row);
        if row.status != ServiceStatus::Active || !row.daemon() {
            self.daemons.forget(&Resident::from(&row.name));
        }
        let old = self.services.insert(row.name.clone(), row.clone());
        if let Some(old) = &old {
            self.totals.service(old, Way::Out);
        }
        self.totals.service(row, Way::In);
        self.facets.service(old.as_deref(), Some(row));
        self.used_capacity.service(old.as_deref(), Some(row));
    }

    /// One that is deleted is looked at nowhere.
    pub(super) fn put_daemon(&mut self, row: &Arc<DaemonRow>) {
        if row.status != DaemonStatus::Active {
            self.daemons.forget(&Resident::from(&row.name));
        }
        let old = self.managed.put(row);
        self.used_capacity.daemon(old.as_deref(), Some(row));
    }

    pub(super) fn delete_daemon(&mut self, name: &DaemonName) {
        self.daemons.forget(&Resident::from(name));
        let old = self.managed.forget(name);
        self.used_capacity.daemon(old.as_deref(), None);
    }

    pub(super) fn delete_service(&mut self, name: &ServiceName) {
        if let Some(old) = self.services.remove(name) {
            self.totals.service(&old, Way::Out);
            self.facets.service(Some(&old), None);
            self.used_capacity.service(Some(&old), None);
        }
        self.history.set_unwritten(name, false);
        self.waiting.forget(name);
        self.daemons.forget(&Resident::from(name));
    }

    pub(super) fn put_task(&mut self, row: &Arc<TaskRow>) {
        let old = self.tasks.insert(row.id, row.clone());
        self.aged(old.as_deref(), Some(row));
        match &old {
            Some(old) if old.takes_alike(row) => self.recount(old, row),
            old => {
                if let Some(old) = old {
                    self.uncount(old);
                }
                self.count(row);
            }
        }
        self.facets.task(old.as_deref(), Some(row));
        self.used_capacity.task(old.as_deref(), Some(row));
        self.provisioning.task(&row.id, Some(row));
        self.interfaces.task(&row.id, Some(row));
        self.took_turn(old.as_deref(), Some(row));
        if old.as_ref().is_some_and(|old| old.counts_alike(row)) {
            return;
        }
        if let Some(old) = &old {
            self.subtract(old, &self.site(old));
        }
        self.add(row, &self.site(row));
    }

    pub(super) fn delete_task(&mut self, id: &TaskId) {
        let Some(old) = self.tasks.remove(id) else { return };
        self.aged(Some(&old), None);
        self.uncount(&old);
        self.facets.task(Some(&old), None);
        self.used_capacity.task(Some(&old), None);
        self.provisioning.task(id, None);
        self.interfaces.task(id, None);
        self.took_turn(Some(&old), None);
        self.subtract(&old, &self.site(&old));
    }

    /// Also where it is only read: who has the turn since is looked for after a start too.
    fn took_turn(&mut self, old: Option<&TaskRow>, new: Option<&TaskRow>) {
        if let Some(started_by) = self.turns.task(old, new) {
            self.agenda.mark(Mark::Turn(started_by));
        }
    }

    fn aged(&mut self, old: Option<&TaskRow>, new: Option<&TaskRow>) {
        let place = |row: &TaskRow| row.forget_at.map(|at| (at, row.id));
        let (old, new) = (old.and_then(place), new.and_then(place));
        if old != new {
            old.map(|old| self.stopped_by_age.remove(&old));
            new.map(|new| self.stopped_by_age.insert(new));
        }
    }

    /// Where a task is.
    fn site(&self, task: &TaskRow) -> Site {
        let host = task.instance.as_ref().and_then(|id| self.instances.get(id));
        let Some(host) = host else { return Site::default() };
        let zone = self.usage.get(&host.id).map(|usage| usage.zone.clone()).unwrap_or_default();
        Site { leaving: emptied(host), zone }
    }

    /// A container instance begins, or ends, to be as a row says: gives where its tasks are by that.
    fn stands(&mut self, row: Option<&InstanceRow>, by: isize) -> Site {
        let Some(row) = row else { return Site::default() };
        let zone = instance::attribute(row, instance::ZONE).unwrap_or_default();
        let site = Site { leaving: emptied(row), zone: zone.into() };
        if row.is_open() {
            let before = self.zones.get(&site.zone).copied().unwrap_or_default();
            match before.saturating_add_signed(by) {
                0 => self.zones.remove(&site.zone),
                count => self.zones.insert(site.zone.clone(), count),
            };
        }
        site
    }

    /// The tasks on a container instance are elsewhere, or of another class, as it has changed.
    fn moved(&mut self, id: &InstanceId, was: &Site, is: &Site) {
        if was == is {
            return;
        }
        let here: Vec<TaskId> =
            self.usage.get(id).map(|u| u.tasks.keys().copied().collect()).unwrap_or_default();
        for task in here {
            let Some(row) = self.tasks.get(&task).cloned() else { continue };
            self.subtract(&row, was);
            self.add(&row, is);
        }
    }

    fn add(&mut self, row: &TaskRow, site: &Site) {
        if row.last == TaskStatus::Stopped {
            return;
        }
        if let Some((service, deployment)) = &row.service {
            let tally = self.tallies.entry(service.clone()).or_default();
            Arc::make_mut(tally).add(deployment, row, site);
        }
        if let Some(OfDaemon { name, revision }) = row.daemon.as_deref() {
            let crew = self.managed.crews.entry(name.clone()).or_default();
            Arc::make_mut(crew).add(revision, row, site);
        }
    }

    fn subtract(&mut self, row: &TaskRow, site: &Site) {
        if row.last == TaskStatus::Stopped {
            return;
        }
        if let Some((service, deployment)) = &row.service {
            take_from(&mut self.tallies, service, deployment, row, site);
        }
        if let Some(OfDaemon { name, revision }) = row.daemon.as_deref() {
            take_from(&mut self.managed.crews, name, revision, row, site);
        }
    }

    fn count(&mut self, row: &TaskRow) {
        self.totals.task(row, Way::In);
        let (running, pending) = row.counts_on_instance();
        let Some(instance) = &row.instance else { return };
        if row.last == TaskStatus::Stopped {
            // Its container instance may be forgotten, or not read yet.
            Arc::make_mut(self.usage.entry(*instance).or_default()).ended.insert(row.id);
            return;
        }
        let usage = Arc::make_mut(self.usage.entry(*instance).or_default());
        usage.running += running;
        usage.pending += pending;
        usage.tasks.insert(row.id, row.desired_for_agent());
        self.occupy(instance, &row.needs, &row.group);
    }

    /// One more task of a group takes what it needs of a container instance: all that placement sees of it.
    pub(crate) fn occupy(&mut self, instance: &InstanceId, needs: &Resources, group: &str) {
        let usage = Arc::make_mut(self.usage.entry(*instance).or_default());
        usage.used.add(needs);
        let of_group = match usage.groups.get_mut(group) {
            Some(count) => {
                *count += 1;
                *count
            }
            None => {
                usage.groups.insert(group.to_owned(), 1);
                1
            }
        };
        if let Some(slot) = usage.slot {
            self.slots.take(slot, needs, group, of_group);
        }
    }

    /// A task changes that goes on to take the same of the same container instance.
    fn recount(&mut self, old: &TaskRow, new: &TaskRow) {
        self.totals.task(old, Way::Out);
        self.totals.task(new, Way::In);
        let (was, is) = (old.counts_on_instance(), new.counts_on_instance());
        let (told, tells) = (old.desired_for_agent(), new.desired_for_agent());
        if was == is && told == tells {
            return;
        }
        let Some(usage) = new.instance.as_ref().and_then(|id| self.usage.get_mut(id)) else { return };
        let usage = Arc::make_mut(usage);
        usage.running += is.0 - was.0;
        usage.pending += is.1 - was.1;
        if told != tells {
            usage.tasks.insert(new.id, tells);
        }
    }

    fn uncount(&mut self, row: &TaskRow) {
        self.totals.task(row, Way::Out);
        let (running, pending) = row.counts_on_instance();
        let Some(instance) = row.instance else { return };
        let Some(usage) = self.usage.get_mut(&instance).map(Arc::make_mut) else { return };
        if row.last == TaskStatus::Stopped {
            usage.ended.remove(&row.id);
            if usage.slot.is_none() && usage.ended.is_empty() && usage.tasks.is_empty() {
                self.usage.remove(&instance);
            }
            return;
        }
        usage.running -= running;
        usage.pending -= pending;
        usage.tasks.remove(&row.id);
        usage.used.subtract(&row.needs);
        let of_group = usage.groups.get(&row.group).map_or(0, |count| count - 1);
        if of_group > 0 {
            usage.groups.insert(row.group.clone(), of_group);
        } else {
            usage.groups.remove(&row.group);
        }
        if let Some(slot) = usage.slot {
            self.slots.give(slot, &row.needs, &row.group, of_group);
        }
    }
}

/// A task is no longer among those of `whose`, as this row says.
fn take_from<N: Ord + Clone, K: Ord + Clone>(
    tallies: &mut OrdMap<N, Arc<Tally<K>>>,
    whose: &N,
    of: &K,
    row: &TaskRow,
    site: &Site,
) {
    let Some(tally) = tallies.get_mut(whose) else { return };
    let tally = Arc::make_mut(tally);
    tally.subtract(of, row, site);
    if tally.is_empty() {
        tallies.remove(whose);
    }
}

/// Whether a container instance is to be emptied.
fn emptied(row: &InstanceRow) -> bool {
    row.status.is_to_be_emptied()
}

impl InstanceRow {
    /// Whether it takes tasks: it is ACTIVE, and its agent connected.
    pub fn is_open(&self) -> bool {
        self.status == InstanceStatus::Active && self.agent_connected
    }
}

impl ServiceRow {
    /// The earliest time at which this service must be looked at again.
    pub fn wakes_at(&self) -> Option<Timestamp> {
        let deployments = self.deployments.iter().filter_map(|d| d.not_before);
        let rebalancing = self.rebalancing.and_then(|of| of.not_before);
        deployments.chain(rebalancing).chain(self.wake_at).chain(self.forget_at).min()
    }
}

impl DaemonRow {
    /// The earliest time at which it must be looked at again.
    pub fn wakes_at(&self) -> Option<Timestamp> {
        self.not_before.into_iter().chain(self.wake_at).chain(self.forget_at).min()
    }
}

impl TaskRow {
    /// When it must be looked at.
    pub fn wakes_at(&self) -> Option<Timestamp> {
        let waits = self.waits.as_ref().map(|waits| waits.until);
        self.forget_at.or(waits).or(self.stop_at()).or(self.protected_until)
    }

    /// Whether two rows of a task take the same of the same container instance: neither is STOPPED.
    fn takes_alike(&self, other: &TaskRow) -> bool {
        let live = |row: &TaskRow| row.last != TaskStatus::Stopped;
        live(self)
            && live(other)
            && self.instance == other.instance
            && self.group == other.group
            && self.needs == other.needs
    }
}

impl Resources {
    /// Takes more.
    pub fn add(&mut self, other: &Resources) {
        self.cpu += other.cpu;
        self.memory += other.memory;
        self.ports_tcp.extend(&other.ports_tcp);
        self.ports_udp.extend(&other.ports_udp);
        self.gpus.add(&other.gpus);
    }

    /// Gives back.
    pub fn subtract(&mut self, other: &Resources) {
        self.cpu -= other.cpu;
        self.memory -= other.memory;
        self.ports_tcp.retain(|port| !other.ports_tcp.contains(port));
        self.ports_udp.retain(|port| !other.ports_udp.contains(port));
        if !other.gpus.is_empty() {
            self.gpus = self.gpus.without(&other.gpus);
        }
    }
}
