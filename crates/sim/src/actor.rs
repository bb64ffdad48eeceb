//! A task in the hands of an agent: the agent's planner says what comes next, the machine's engine does it, the ledger has
//! what must not be forgotten, and what the control plane has to hear waits in order.

use std::collections::VecDeque;

use ::agent::{
    ledger::Record,
    plan::{self, Action},
    report,
    task::{ContainerState, Fact, Known, Phase, Task, TaskState},
};
use agent_protocol::acs;
use ecs_model::SubmitTaskStateChangeRequest;
use engine::ContainerId;

use crate::{
    agent::{Agent, Due},
    breaks::Break,
    machine::Engine,
};

/// How long PENDING waits for RUNNING to overtake it.
const PENDING_DELAY_MS: i64 = 150;

/// One task.
pub struct Actor {
    pub assignment: acs::Task,
    pub task: Task,
    pub state: TaskState,
    pub reports: VecDeque<SubmitTaskStateChangeRequest>,
    /// One of them is on its way.
    pub reporting: bool,
    pub removed: bool,
    reported: Known,
    pending_at: Option<i64>,
    removing: bool,
}

impl Actor {
    /// Takes up a task as far as it was written down.
    pub fn new(assignment: acs::Task, task: Task, record: Record) -> Actor {
        let Record { mut state, reports, removed, .. } = record;
        state.containers.resize_with(task.containers.len(), ContainerState::default);
        let reported = state.known;
        let (reporting, pending_at, removing) = Default::default();
        let reports = reports.into();
        Actor { assignment, task, state, reports, reporting, removed, reported, pending_at, removing }
    }

    fn record(&self, boot: u64) -> Record {
        // What is never written down.
        let mut state = self.state.clone();
        state.admission_asked = false;
        state.containers.iter_mut().for_each(|container| container.health.probing = false);
        Record {
            boot_id: boot.to_string(),
            state,
            reports: self.reports.iter().cloned().collect(),
            removed: self.removed,
            is_lost: false,
        }
    }
}

impl Agent {
    /// Takes in something that happened to a task, and moves it on.
    pub fn tell(&mut self, id: &str, fact: Fact) {
        let now = self.world.now_ms();
        let Some(actor) = self.tasks.get_mut(id).filter(|actor| !actor.removed) else { return };
        let lasting = matches!(fact, Fact::Started(..) | Fact::Exited(..) | Fact::Vanished(..));
        let verdicts = |state: &TaskState| -> Vec<_> {
            state.containers.iter().map(|container| container.health.status).collect()
        };
        let before = verdicts(&actor.state);
        plan::apply(&actor.task, &mut actor.state, fact, now);
        if lasting || before != verdicts(&actor.state) {
            self.write_down(id);
        }
        self.step(id);
    }

    /// Moves a task on as far as it goes.
    pub fn step(&mut self, id: &str) {
        let now = self.world.now_ms();
        let Some(actor) = self.tasks.get_mut(id) else { return };
        if !actor.removed {
            let step = plan::step(&actor.task, &mut actor.state, now);
            if let Some(at) = step.wake_at_ms {
                self.plan_at(at.max(now + 1), Due::Step(id.to_owned()));
            }
            for action in step.actions {
                self.act(id, action);
            }
        }
        self.queue_reports(id);
        self.see_off(id);
        self.send_report(id);
    }

    fn act(&mut self, id: &str, action: Action) {
        let Some(actor) = self.tasks.get(id) else { return };
        let (world, machine) = (self.world.clone(), self.machine.clone());
        match action {
            Action::Admit => {
                if self.admission.ask(&actor.task.id, actor.task.needs.clone()) {
                    self.plan_at(world.now_ms(), Due::Fact(id.to_owned(), Fact::Admitted));
                }
            }
            Action::Prepare => self.after(5, 100, id, Fact::Prepared(Ok(()))),
            Action::Pull(index) => {
                let pulled = Engine::pull(&world, &actor.task.family);
                let most = if world.strikes(10) { 30_000 } else { 1_500 };
                self.after(5, most, id, Fact::Pulled(index, pulled));
            }
            Action::Create(index) => {
                let created = machine.host.lock().engine.create(&world, &actor.task, index);
                self.write_down(id);
                self.after(5, 200, id, Fact::Created(index, Ok(created)));
            }
            Action::Start(index) => {
                // Only what is written down may have happened.
                self.write_down(id);
                let Some(actor) = self.tasks.get(id) else { return };
                let started = machine.start(&world, &actor.task, index);
                self.after(5, 500, id, Fact::Started(index, started));
            }
            Action::Stop(index) => {
                let container = actor.task.container_id(index);
                let timeout = actor.task.containers[index].stop_timeout_ms;
                machine.host.lock().engine.stop(&world, &container, timeout);
            }
            Action::Probe(container) => {
                let runs = machine.host.lock().engine.runs(&actor.task.container_id(container));
                let healthy = runs && !world.strikes(3);
                self.after(5, 100, id, Fact::Probed { container, healthy, output: String::new() });
            }
        }
    }

    fn after(&mut self, low: i64, high: i64, id: &str, fact: Fact) {
        let at = self.world.now_ms() + self.world.range(low, high);
        self.plan_at(at, Due::Fact(id.to_owned(), fact));
    }

    /// Writes down how far a task is.
    pub fn write_down(&mut self, id: &str) {
        let Some(actor) = self.tasks.get(id) else { return };
        let mut host = self.machine.host.lock();
        let record = actor.record(host.boot);
        host.ledger.tasks.insert(id.to_owned(), (actor.assignment.clone(), record));
    }

    fn queue_reports(&mut self, id: &str) {
        let now = self.world.now_ms();
        let Some(actor) = self.tasks.get_mut(id) else { return };
        let known = actor.state.known;
        if known <= actor.reported {
            return;
        }
        if known == Known::Pending {
            let at = *actor.pending_at.get_or_insert(now + PENDING_DELAY_MS);
            if at > now {
                self.plan_at(at, Due::Step(id.to_owned()));
                return;
            }
        }
        actor.pending_at = None;
        actor.reported = known;
        let report = report::report(&actor.task, &actor.state, known);
        actor.reports.push_back(report);
        self.write_down(id);
    }

    fn send_report(&mut self, id: &str) {
        let Some(actor) = self.tasks.get_mut(id) else { return };
        let (false, Some(report)) = (actor.reporting, actor.reports.front().cloned()) else { return };
        actor.reporting = true;
        if self.world.has(Break::EndsUntold) && actor.state.known == Known::Stopped && self.world.percent(20)
        {
            self.plan_at(self.world.now_ms(), Due::Reported(id.to_owned()));
            return;
        }
        self.report(id.to_owned(), report);
    }

    /// The control plane has heard of the first report that waited.
    pub fn reported(&mut self, id: &str) {
        let Some(actor) = self.tasks.get_mut(id) else { return };
        actor.reporting = false;
        actor.reports.pop_front();
        self.write_down(id);
        self.step(id);
    }

    /// Moves a task that has ended towards its removal.
    fn see_off(&mut self, id: &str) {
        let Some(actor) = self.tasks.get_mut(id) else { return };
        let ended = actor.state.containers.iter().all(|one| one.phase == Phase::Stopped);
        if actor.state.known == Known::Stopped && ended && !actor.removed && !actor.removing {
            actor.removing = true;
            self.admission.stopped(&id.to_owned());
            self.admit();
            let at = self.world.now_ms() + self.world.range(10, 500);
            self.plan_at(at, Due::Removed(id.to_owned()));
        }
        let over = self.tasks.get(id).is_some_and(|actor| actor.removed && actor.reports.is_empty());
        if over {
            self.tasks.remove(id);
            self.finished.insert(id.to_owned());
            self.machine.host.lock().ledger.tasks.remove(id);
        }
    }

    /// Nothing is left of a task on the machine.
    pub fn removed(&mut self, id: &str) {
        self.machine.host.lock().engine.remove(&self.world, id);
        self.admission.released(&id.to_owned());
        if let Some(actor) = self.tasks.get_mut(id) {
            actor.removed = true;
            self.write_down(id);
        }
        self.admit();
        self.step(id);
    }

    fn admit(&mut self) {
        for id in self.admission.admit() {
            self.plan_at(self.world.now_ms(), Due::Fact(id, Fact::Admitted));
        }
    }

    /// Hears of containers that have ended.
    pub fn hear_engine(&mut self) {
        let ended = self.machine.host.lock().engine.ended(&self.world);
        for (ContainerId { task, name }, exit) in ended {
            let index = self.tasks.get(&task).and_then(|actor| actor.task.container(&name));
            if let Some(index) = index {
                self.tell(&task, Fact::Exited(index, exit));
            }
        }
    }
}
