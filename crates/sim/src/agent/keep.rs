//! What an agent writes down: the program's own ledger over the disk of its machine, and its own rules of what may not happen
//! before what is on it. What it has said that it holds is held against what its next self finds.

use std::time::Duration;

use ::agent::{
    ledger::{AcsCursor, Error, Instance, Ledger, Record, Tasks},
    lower::lower,
    plan,
    task::{Fact, Task},
};
use agent_protocol::{acs, agent_key::AgentKey};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::{Agent, Done, Due, lowering, wants_stop};
use crate::{actor::Actor, breaks::Break, interfaces, machine::Machine, server::CLUSTER, world::World};

/// Between attempts to write what must be written.
const RETRY: Duration = Duration::from_secs(1);

/// What an assignment waits for before it is acknowledged.
struct Wait {
    id: String,
    /// Until it is on disk; or the task is over.
    written: Option<watch::Receiver<bool>>,
    /// Written anew, as the task is to stop.
    stops: Option<acs::Task>,
}

/// What of an acknowledgement may be said.
pub struct Taken {
    /// The connection that it came by.
    session: u64,
    /// None where it could not be written.
    message_id: Option<Option<String>>,
    /// The tasks, and whether they stop.
    tasks: Vec<(String, bool)>,
}

/// A manifest that is written down, or not.
pub struct Manifested {
    session: u64,
    manifest: acs::TaskManifestMessage,
    seen: AcsCursor,
    is_written: bool,
}

/// A task of the ledger that is not what was acknowledged.
fn broken(machine: &Machine, tasks: &Tasks) -> Option<String> {
    let acknowledged = machine.acknowledged.lock();
    acknowledged.iter().find_map(|(id, stops)| {
        let Some((_, written)) = tasks.written.iter().find(|(written, _)| written == id) else {
            return Some(format!("machine {} has acknowledged task {id}, and has lost it", machine.number));
        };
        let is_stopped = written.record.state.stop || wants_stop(&written.assignment);
        (*stops && !is_stopped).then(|| {
            format!("machine {} has acknowledged that task {id} stops, and has lost it", machine.number)
        })
    })
}

impl Agent {
    /// Takes up what the ledger has and the engine.
    pub(super) fn adopt(&mut self) {
        let (world, now) = (self.world.clone(), self.world.now_ms());
        let mut host = self.machine.host.lock();
        let found = host.engine.found(&world);
        if self.ledger.is_new() && !found.is_empty() {
            world.fail(format!("the ledger of machine {} is gone", self.machine.number));
        }
        let tasks = match self.ledger.tasks() {
            Ok(tasks) => tasks,
            Err(error) => return world.fail(format!("a ledger cannot be read: {error}")),
        };
        if let Some(broken) = broken(&self.machine, &tasks) {
            world.fail(broken);
        }
        for task in found.iter().filter(|found| !tasks.written.iter().any(|(id, _)| *id == found.task)) {
            host.engine.remove(&world, &task.task);
        }
        drop(host);
        for (id, written) in tasks.written {
            let (assignment, mut record) = (written.assignment, written.record);
            interfaces::assigned(&world, &assignment);
            let Ok(task) = lower(&assignment, &lowering()) else { continue };
            record.state.stop |= wants_stop(&assignment);
            if !record.removed {
                let found = found.iter().find(|found| found.task == id);
                let same_boot = record.boot_id == self.ledger.boot_id();
                plan::adopt(&task, &mut record.state, found, same_boot, now);
                if record.state.admitted {
                    self.admission.readmit(&id, task.needs.clone());
                }
            }
            let written = watch::channel(true).1;
            self.tasks.insert(id.clone(), Actor::new(task, record, written));
            self.plan_at(now, Due::Step(id));
        }
    }

    /// The key of this host, which is on disk before anybody hears of it; false: it is not yet.
    pub(super) fn open_key(&mut self) -> bool {
        match self.ledger.key() {
            Ok(Some(key)) => {
                (self.key, self.bound) = (key, true);
                true
            }
            _ => {
                (self.key, self.bound) = (new_key(&self.world), false);
                let (ledger, key) = (self.ledger.clone(), self.key.clone());
                self.jobs.spawn(async move { Done::Keyed(ledger.set_key(&key).await) });
                false
            }
        }
    }

    /// Remembers which container instance this is, where that is news; false: it is not on disk yet.
    pub(super) fn settle(&mut self, arn: &str) -> bool {
        let instance = Instance { cluster: CLUSTER.to_owned(), arn: arn.to_owned() };
        if self.ledger.instance().is_ok_and(|known| known.as_ref() == Some(&instance)) {
            return true;
        }
        let ledger = self.ledger.clone();
        let arn = instance.arn.clone();
        self.jobs.spawn(async move { Done::Settled(arn, ledger.set_instance(&instance).await) });
        false
    }

    /// Takes a payload in, and acknowledges it once it is written down.
    pub(super) fn take(&mut self, message_id: Option<String>, seq_num: i64, assignments: Vec<acs::Task>) {
        self.cursor.seq_num = self.cursor.seq_num.max(seq_num);
        let waits: Vec<Wait> = assignments.into_iter().filter_map(|task| self.assign(task)).collect();
        let tasks = waits.iter().map(|wait| (wait.id.clone(), wait.stops.is_some())).collect();
        let (session, ledger) = (self.session, self.ledger.clone());
        let mut taken = Taken { session, message_id: Some(message_id), tasks };
        if self.world.has(Break::AcknowledgedEarly) {
            self.taken(Taken { tasks: taken.tasks.clone(), message_id: taken.message_id.take(), ..taken });
        }
        self.jobs.spawn(async move {
            for Wait { id, written, stops } in waits {
                if let Some(mut written) = written {
                    // An error only says that the task is over.
                    let _ = written.wait_for(|written| *written).await;
                }
                if let Some(assignment) = stops
                    && ledger.reassign(&id, &assignment).await.is_err()
                {
                    // The control plane sends it again.
                    taken.message_id = None;
                }
            }
            Done::Taken(taken)
        });
    }

    /// A payload is written down, or not.
    pub(super) fn taken(&mut self, taken: Taken) {
        let Some(message_id) =
            taken.message_id.filter(|_| taken.session == self.session && self.acs.is_some())
        else {
            return;
        };
        for (id, stops) in taken.tasks.into_iter().filter(|(id, _)| self.tasks.contains_key(id)) {
            *self.machine.acknowledged.lock().entry(id).or_default() |= stops;
        }
        self.acknowledge(message_id);
    }

    /// Takes an assignment in; none is nothing to wait for.
    fn assign(&mut self, assignment: acs::Task) -> Option<Wait> {
        let stop = wants_stop(&assignment);
        interfaces::assigned(&self.world, &assignment);
        let task = match lower(&assignment, &lowering()) {
            Ok(task) => task,
            Err(error) => {
                self.world.fail(format!("an assignment that is no task: {error}"));
                return None;
            }
        };
        let Task { id, .. } = &task;
        let id = id.clone();
        if let Some(actor) = self.tasks.get(&id) {
            let written = Some(actor.written.clone());
            let is_heard = stop && !self.world.has(Break::StopsUnheard);
            if is_heard {
                self.tell(&id, Fact::StopWanted);
            }
            return Some(Wait { id, written, stops: is_heard.then_some(assignment) });
        }
        if self.finished.contains(&id) {
            return None;
        }
        let mut record = Record { boot_id: self.ledger.boot_id().to_owned(), ..Record::default() };
        record.state.stop = stop;
        let (tell, written) = watch::channel(false);
        self.tasks.insert(id.clone(), Actor::new(task, record, written.clone()));
        let (ledger, of) = (self.ledger.clone(), id.clone());
        self.jobs.spawn(async move {
            while ledger.assign(&of, &assignment).await.is_err() {
                sleep(RETRY).await;
            }
            tell.send_replace(true);
            Done::Assigned(of)
        });
        self.step(&id);
        Some(Wait { id, written: Some(written), stops: None })
    }

    /// Assignments that went astray to here.
    pub(super) fn take_strays(&mut self) {
        if !self.world.has(Break::AssignmentsCopied) {
            return;
        }
        let own = self.machine.number;
        let mut strays = std::mem::take(&mut *self.world.strays.lock());
        let ours = strays.extract_if(.., |(machine, _)| *machine != own).map(|(_, task)| task);
        let ours: Vec<acs::Task> = ours.collect();
        self.world.strays.lock().extend(strays);
        ours.into_iter().for_each(|task| drop(self.assign(task)));
    }

    /// Writes a manifest down before it is answered. Nothing else is heard meanwhile.
    pub(super) fn write_manifest(&mut self, manifest: acs::TaskManifestMessage) {
        let timeline = manifest.timeline.unwrap_or(0);
        if self.cursor.timeline.is_some_and(|seen| timeline <= seen) {
            return;
        }
        let seen = AcsCursor { timeline: Some(timeline), ..self.cursor };
        let (session, ledger) = (self.session, self.ledger.clone());
        self.is_deaf = true;
        self.jobs.spawn(async move {
            let is_written = ledger.set_acs(seen).await.is_ok();
            Done::Manifest(Manifested { session, manifest, seen, is_written })
        });
    }

    /// It is written down, or not.
    pub(super) fn manifested(&mut self, done: Manifested) {
        if done.session != self.session {
            return;
        }
        self.is_deaf = false;
        if done.is_written {
            self.cursor = done.seen;
            self.hear_manifest(done.manifest);
        }
    }

    /// The connection is gone: writes down how far it went.
    pub(super) fn write_cursor(&mut self) {
        let (ledger, cursor) = (self.ledger.clone(), self.cursor);
        self.jobs.spawn(async move {
            // The next one writes it again.
            let _ = ledger.set_acs(cursor).await;
            Done::Nothing
        });
    }

    /// Writes down how far a task is, when its time has come.
    pub fn save(&mut self, id: &str) {
        let boot_id = self.ledger.boot_id().to_owned();
        let now = Instant::now();
        let Some(actor) = self.tasks.get_mut(id) else { return };
        if let Some(version) = actor.draft.begin_write(now) {
            let (record, ledger, of) = (actor.record(boot_id), self.ledger.clone(), id.to_owned());
            self.jobs.spawn(async move {
                let is_written = ledger.record(&of, &record).await.is_ok();
                if !is_written {
                    sleep(RETRY).await;
                }
                Done::Saved(of, version, is_written)
            });
        } else if let Some(at) = actor.draft.write_at()
            && actor.save_planned.replace(at) != Some(at)
        {
            let wait = i64::try_from(at.duration_since(now).as_millis()).unwrap_or_default() + 1;
            self.plan_at(self.world.now_ms() + wait, Due::Save(id.to_owned()));
        }
    }

    /// A write of a task's record has ended.
    pub(super) fn saved(&mut self, id: &str, version: u64, is_written: bool) {
        let Some(actor) = self.tasks.get_mut(id) else { return };
        actor.draft.wrote(version, is_written);
        self.start_waiting(id);
        self.go_on(id);
    }

    /// Its assignment is written.
    pub(super) fn assigned(&mut self, id: &str) {
        self.start_waiting(id);
        self.go_on(id);
    }

    /// Forgets a task.
    pub fn forget(&mut self, id: &str) {
        self.tasks.remove(id);
        self.finished.insert(id.to_owned());
        self.machine.acknowledged.lock().remove(id);
        let (ledger, id) = (self.ledger.clone(), id.to_owned());
        self.jobs.spawn(async move {
            while ledger.forget(&id).await.is_err() {
                sleep(RETRY).await;
            }
            Done::Nothing
        });
    }

    /// What this host cannot go on without is written, or the agent ends.
    pub(super) fn needs(&mut self, written: Result<(), Error>) -> bool {
        self.is_over |= written.is_err();
        written.is_ok()
    }
}

fn new_key(world: &World) -> AgentKey {
    let text = format!("{:032X}", world.bits());
    AgentKey {
        access_key_id: format!("{}{}", agent_protocol::agent_key::OF_AGENT, &text[..16]),
        secret_access_key: format!("{0:032x}{0:032x}", world.bits()),
    }
}

/// The ledger of a machine, as an agent that begins finds it.
pub(super) fn open(
    world: &std::sync::Arc<World>,
    machine: &std::sync::Arc<Machine>,
    process: &std::sync::Arc<crate::process::Process>,
) -> Ledger {
    let store = crate::store::ledger(world, machine, process);
    let boot = machine.host.lock().boot.to_string();
    Ledger::over(store, &boot)
}
