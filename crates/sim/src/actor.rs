//! A task in the hands of an agent: the agent's planner says what comes next, the machine's engine does it, the ledger has
//! what must not be forgotten, and what the control plane has to hear waits in order.

use std::collections::VecDeque;

use ::agent::{
    ledger::{Draft, Record},
    plan::Action,
    report,
    task::{ContainerState, Fact, Known, Phase, Task, TaskState},
};
use ecs_model::SubmitTaskStateChangeRequest;
use engine::ContainerId;
use tokio::{sync::watch, time::Instant};

use crate::{
    agent::{Agent, Due},
    breaks::Break,
    machine::Engine,
};

/// How long PENDING waits for RUNNING to overtake it.
const PENDING_DELAY_MS: i64 = 150;

/// One task.
pub struct Actor {
    pub task: Task,
    pub state: TaskState,
    pub reports: VecDeque<SubmitTaskStateChangeRequest>,
    /// One of them is on its way.
    pub reporting: bool,
    pub removed: bool,
    /// What of it is on disk.
    pub draft: Draft,
    /// Whether the assignment is.
    pub written: watch::Receiver<bool>,
    /// For when the last look at the draft is planned.
    pub save_planned: Option<Instant>,
    reported: Known,
    pending_at: Option<i64>,
    /// What it took of the host is others'.
    released: bool,
    removing: bool,
}

impl Actor {
    /// Takes up a task as far as it was written down.
    pub fn new(task: Task, record: Record, written: watch::Receiver<bool>) -> Actor {
        let Record { mut state, reports, removed, .. } = record;
        state.containers.resize_with(task.containers.len(), ContainerState::default);
        let reported = state.known;
        let (reporting, pending_at, released, removing) = Default::default();
        let (draft, save_planned) = Default::default();
        let reports = reports.into();
        Actor {
            task,
            state,
            reports,
            reporting,
            removed,
            draft,
            written,
            save_planned,
            reported,
            pending_at,
            released,
            removing,
        }
    }

    /// Nothing of it is left to do.
    fn is_over(&self) -> bool {
        self.removed && self.reports.is_empty() && !self.draft.is_writing() && *self.written.borrow()
    }

    /// What is written of it.
    pub fn record(&self, boot_id: String) -> Record {
        Record {
            boot_id,
            state: self.state.clone(),
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
        actor.draft.apply(&actor.task, &mut actor.state, fact, now);
        self.step(id);
    }

    /// Moves a task on as far as it goes.
    pub fn step(&mut self, id: &str) {
        let now = self.world.now_ms();
        let Some(actor) = self.tasks.get_mut(id) else { return };
        if !actor.removed {
            let step = actor.draft.step(&actor.task, &mut actor.state, now);
            if let Some(at) = step.wake_at_ms {
                self.plan_at(at.max(now + 1), Due::Step(id.to_owned()));
            }
            for action in step.actions {
                self.act(id, action);
            }
        }
        self.go_on(id);
    }

    /// Tells what is to be told of a task, and writes down what is to be written.
    pub fn go_on(&mut self, id: &str) {
        self.queue_reports(id);
        self.see_off(id);
        self.send_report(id);
        self.save(id);
    }

    fn act(&mut self, id: &str, action: Action) {
        let Some(actor) = self.tasks.get_mut(id) else { return };
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
                actor.draft.makes(index);
                self.after(5, 200, id, Fact::Created(index, Ok(created)));
            }
            Action::Start(index) if world.has(Break::StartedEarly) => self.start(id, index),
            Action::Start(index) => {
                actor.draft.starts(index);
                self.start_waiting(id);
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

    fn start(&mut self, id: &str, index: usize) {
        let Some(actor) = self.tasks.get(id) else { return };
        let started = self.machine.start(&self.world, &actor.task, index);
        self.after(5, 500, id, Fact::Started(index, started));
    }

    /// Starts what may be started by now.
    pub fn start_waiting(&mut self, id: &str) {
        let Some(actor) = self.tasks.get_mut(id) else { return };
        let is_assigned = *actor.written.borrow();
        for index in actor.draft.may_start(is_assigned) {
            self.start(id, index);
        }
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
        actor.draft.changed();
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
        actor.draft.changed();
        self.step(id);
    }

    /// Moves a task that has ended towards its removal.
    fn see_off(&mut self, id: &str) {
        let Some(actor) = self.tasks.get_mut(id) else { return };
        let ended = actor.state.containers.iter().all(|one| one.phase == Phase::Stopped);
        if actor.state.known == Known::Stopped && !actor.removed && !actor.removing {
            actor.draft.ends();
            if ended && !actor.released {
                actor.released = true;
                self.admission.stopped(&id.to_owned());
                self.admit();
            }
        }
        let Some(actor) = self.tasks.get_mut(id) else { return };
        // Its exit codes must be written down before the engine forgets them.
        if actor.released && !actor.removed && !actor.removing && actor.draft.has_end() {
            actor.removing = true;
            let at = self.world.now_ms() + self.world.range(10, 500);
            self.plan_at(at, Due::Removed(id.to_owned()));
        }
        let is_over = self.tasks.get(id).is_some_and(Actor::is_over);
        if is_over {
            self.forget(id);
        }
    }

    /// Nothing is left of a task on the machine.
    pub fn removed(&mut self, id: &str) {
        self.machine.host.lock().engine.remove(&self.world, id);
        self.admission.released(&id.to_owned());
        if let Some(actor) = self.tasks.get_mut(id) {
            actor.removed = true;
            actor.draft.changed();
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
