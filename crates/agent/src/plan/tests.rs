//! The planner against a simulated engine on virtual time: tables for the rules, properties for the rest.

mod clocks;

use std::collections::BTreeSet;

use engine::{Error, Exit, Kind, PulledImage, Started};
use proptest::prelude::*;

use super::{Action, adopt, apply, step};
use crate::task::{
    Condition, Container, ContainerState, Dependency, Fact, HealthCheck, HealthStatus, Known, Phase,
    RestartPolicy, Task, TaskState,
};

/// A task and a toy host that does at once whatever the planner says.
struct World {
    task: Task,
    state: TaskState,
    now: i64,
    log: Vec<String>,
    running: BTreeSet<usize>,
}

fn container(name: &str) -> Container {
    Container { name: name.into(), essential: true, stop_timeout_ms: 30_000, ..Container::default() }
}

fn task(containers: Vec<Container>) -> Task {
    Task {
        arn: "arn:aws:ecs:us-east-1:000000000000:task/default/0123".into(),
        id: "0123".into(),
        cluster_arn: String::new(),
        family: "web".into(),
        version: "1".into(),
        spec: Default::default(),
        attachment: None,
        containers,
        needs: Default::default(),
        refusal: None,
    }
}

fn created() -> engine::Created {
    let runtime_id = "0".repeat(64);
    engine::Created {
        runtime_id,
        created_at_ms: 0,
        bindings: Vec::new(),
        ipv4: None,
        image_health_check: None,
    }
}

impl World {
    fn new(containers: Vec<Container>) -> World {
        let mut state = TaskState::default();
        state.containers.resize_with(containers.len(), ContainerState::default);
        World { task: task(containers), state, now: 1_000_000, log: Vec::new(), running: BTreeSet::new() }
    }

    fn name(&self, index: usize) -> &str {
        &self.task.containers[index].name
    }

    /// Steps and carries out until nothing is left to do now.
    fn settle(&mut self) -> Option<i64> {
        loop {
            let step = step(&self.task, &mut self.state, self.now);
            if step.actions.is_empty() {
                return step.wake_at_ms;
            }
            for action in step.actions {
                self.act(action);
            }
        }
    }

    fn act(&mut self, action: Action) {
        let fact = match action {
            Action::Admit => Fact::Admitted,
            Action::Prepare => Fact::Prepared(Ok(())),
            Action::Pull(c) => Fact::Pulled(c, Ok(PulledImage { digest: "sha256:0".into() })),
            Action::Create(c) => Fact::Created(c, Ok(created())),
            Action::Start(c) => {
                self.log.push(format!("start {}", self.name(c)));
                self.running.insert(c);
                Fact::Started(c, Ok(Started { pid: 1, started_at_ms: self.now }))
            }
            Action::Stop(c) => {
                self.log.push(format!("stop {}", self.name(c)));
                self.running.remove(&c);
                Fact::Exited(
                    c,
                    Exit { code: Some(143), oom_killed: false, exited_at_ms: self.now, reason: None },
                )
            }
            Action::Probe(c) => {
                self.log.push(format!("probe {}", self.name(c)));
                return;
            }
        };
        self.fact(fact);
    }

    fn fact(&mut self, fact: Fact) {
        apply(&self.task, &mut self.state, fact, self.now);
    }

    fn exit(&mut self, index: usize, code: i32) {
        self.running.remove(&index);
        self.fact(Fact::Exited(
            index,
            Exit { code: Some(code), oom_killed: false, exited_at_ms: self.now, reason: None },
        ));
        self.settle();
    }

    fn probed(&mut self, container: usize, healthy: bool) {
        self.fact(Fact::Probed { container, healthy, output: String::new() });
        self.settle();
    }
}

fn on(on: usize, condition: Condition) -> Vec<Dependency> {
    vec![Dependency { on, condition }]
}

#[test]
fn one_container_runs_and_stops() {
    let mut w = World::new(vec![container("app")]);
    w.settle();
    assert_eq!(w.state.known, Known::Running);
    w.fact(Fact::StopWanted);
    w.settle();
    assert_eq!(w.state.known, Known::Stopped);
    assert_eq!(w.state.containers[0].exit_code(), Some(143));
    assert_eq!(w.log, ["start app", "stop app"]);
}

#[test]
fn dependents_start_after_and_stop_before() {
    let dependent = Container { depends_on: on(1, Condition::Start), ..container("web") };
    let mut w = World::new(vec![dependent, container("db")]);
    w.settle();
    w.fact(Fact::StopWanted);
    w.settle();
    assert_eq!(w.log, ["start db", "start web", "stop web", "stop db"]);
}

#[test]
fn an_essential_end_stops_the_rest_and_another_does_not() {
    let side = Container { essential: false, ..container("side") };
    let mut w = World::new(vec![container("app"), side]);
    w.settle();
    w.exit(1, 3);
    assert_eq!(w.state.known, Known::Running);
    w.exit(0, 7);
    assert_eq!(w.state.known, Known::Stopped);
    assert_eq!(w.state.containers[0].exit_code(), Some(7));
    assert_eq!(w.state.execution_stopped_at_ms, Some(w.now));
}

#[test]
fn success_waits_for_zero_and_fails_on_anything_else() {
    let build = || {
        let init = Container { essential: false, ..container("init") };
        World::new(vec![Container { depends_on: on(1, Condition::Success), ..container("app") }, init])
    };
    let mut w = build();
    w.settle();
    assert_eq!(w.state.containers[0].phase, Phase::Pulled, "not made while it may wait long");
    w.exit(1, 0);
    assert_eq!(w.state.known, Known::Running);

    let mut w = build();
    w.settle();
    w.exit(1, 1);
    assert_eq!(w.state.known, Known::Stopped);
    let reason = w.state.containers[0].reason.clone().unwrap();
    assert_eq!(
        reason,
        "CannotStartContainerError: dependency graph: failed to resolve container ordering dependency [init: SUCCESS] for target [app] as dependency did not exit successfully."
    );
    assert_eq!(w.state.containers[0].exit_code(), Some(143));
}

#[test]
fn complete_takes_any_end_and_start_timeout_bounds_it() {
    let init = || Container { essential: false, start_timeout_ms: Some(5_000), ..container("init") };
    let app = || Container { depends_on: on(1, Condition::Complete), ..container("app") };
    let mut w = World::new(vec![app(), init()]);
    assert_eq!(w.settle(), Some(w.now + 5_000));
    w.exit(1, 9);
    assert_eq!(w.state.known, Known::Running);

    let mut w = World::new(vec![app(), init()]);
    w.settle();
    w.now += 5_000;
    w.settle();
    assert_eq!(w.state.known, Known::Stopped);
    assert!(w.state.containers[0].reason.as_deref().unwrap().ends_with("has timed out."));
}

#[test]
fn a_dependency_that_cannot_start_is_told_of() {
    let app = Container { depends_on: on(1, Condition::Start), ..container("app") };
    let mut w = World::new(vec![app, Container { essential: false, ..container("side") }]);
    let first = step(&w.task, &mut w.state, w.now);
    assert_eq!(first.actions, [Action::Admit]);
    w.fact(Fact::Admitted);
    step(&w.task, &mut w.state, w.now);
    w.fact(Fact::Pulled(1, Err(Error::fatal(Kind::Pull, "no such image"))));
    w.settle();
    assert_eq!(w.state.containers[1].reason.as_deref(), Some("CannotPullContainerError: no such image"));
    assert!(w.state.containers[0].reason.as_deref().unwrap().contains("will never start"));
    assert_eq!(w.state.known, Known::Stopped);
}

#[test]
fn a_passing_pull_failure_is_tried_three_times() {
    let mut w = World::new(vec![container("app")]);
    w.fact(Fact::Admitted);
    let mut pulls = 0;
    while w.state.known != Known::Stopped {
        let step = step(&w.task, &mut w.state, w.now);
        if step.actions.contains(&Action::Pull(0)) {
            pulls += 1;
            w.fact(Fact::Pulled(0, Err(Error::temporary(Kind::Pull, "connection refused"))));
        } else if let Some(wake) = step.wake_at_ms {
            w.now = wake;
        }
    }
    assert_eq!(pulls, 3);
}

fn checked(name: &str) -> Container {
    let check = HealthCheck {
        command: vec!["true".into()],
        interval_ms: 10_000,
        timeout_ms: 1_000,
        retries: 2,
        start_period_ms: 15_000,
    };
    Container { health_check: Some(check), ..container(name) }
}

#[test]
fn health_follows_dockers_rules() {
    let waiting = Container { depends_on: on(0, Condition::Healthy), ..container("web") };
    let mut w = World::new(vec![checked("db"), waiting]);
    assert_eq!(w.settle(), Some(w.now + 10_000));
    let health = |w: &World| w.state.containers[0].health.status;
    for (advance, healthy, expected) in [
        (10_000, false, HealthStatus::Unknown), // within the start period
        (10_000, false, HealthStatus::Unknown),
        (10_000, false, HealthStatus::Unhealthy),
        (10_000, true, HealthStatus::Healthy),
        (10_000, false, HealthStatus::Healthy),
        (10_000, true, HealthStatus::Healthy),
        (10_000, false, HealthStatus::Healthy),
        (10_000, false, HealthStatus::Unhealthy),
    ] {
        w.now += advance;
        w.settle();
        w.probed(0, healthy);
        assert_eq!(health(&w), expected, "{:?}", w.log);
    }
    assert!(w.log.contains(&"start web".into()));
    assert_eq!(w.state.known, Known::Running, "an unhealthy container is the scheduler's to judge");
}

#[test]
fn a_probe_that_finds_what_the_last_one_found_leaves_nothing_to_write_down() {
    let mut w = World::new(vec![checked("app")]);
    w.settle();
    for (healthy, writes) in
        [(true, true), (true, false), (true, false), (false, true), (false, true), (true, true)]
    {
        let before = w.state.clone();
        w.now += 10_000;
        w.settle();
        assert!(w.state.containers[0].health.probing && w.state.is_kept_as(&before), "it is only asked for");
        w.probed(0, healthy);
        assert_eq!(!w.state.is_kept_as(&before), writes, "{healthy}");
        // What is kept is enough to go on from.
        let json = serde_json::to_string(&w.state).unwrap();
        let kept: TaskState = serde_json::from_str(&json).unwrap();
        assert!(kept.is_kept_as(&w.state));
    }
}

#[test]
fn a_clock_set_back_does_not_put_probes_off() {
    let mut w = World::new(vec![checked("app")]);
    w.settle();
    w.now -= 3_600_000;
    assert_eq!(w.settle(), Some(w.now + 10_000));
    w.now += 10_000;
    w.settle();
    assert_eq!(w.log, ["start app", "probe app"]);
}

#[test]
fn restarts_follow_the_policy() {
    let policy = RestartPolicy { ignored_exit_codes: vec![0], attempt_period_ms: 60_000 };
    let mut w = World::new(vec![Container { restart: Some(policy), ..container("app") }]);
    w.settle();
    w.now += 60_000;
    w.exit(0, 1);
    assert_eq!((w.state.known, w.state.containers[0].restarts), (Known::Running, 1));
    assert_eq!(w.log, ["start app", "start app"]);
    w.now += 59_999;
    w.exit(0, 1);
    assert_eq!(w.state.known, Known::Stopped, "too soon after the restart");

    let policy = RestartPolicy { ignored_exit_codes: vec![0], attempt_period_ms: 0 };
    let mut w = World::new(vec![Container { restart: Some(policy), ..container("app") }]);
    w.settle();
    w.exit(0, 0);
    assert_eq!(w.state.known, Known::Stopped, "an ignored code");
}

#[test]
fn an_end_before_the_answer_to_the_start_counts() {
    let mut w = World::new(vec![container("app")]);
    for fact in [Fact::Admitted, Fact::Prepared(Ok(()))] {
        step(&w.task, &mut w.state, w.now);
        w.fact(fact);
    }
    w.fact(Fact::Pulled(0, Ok(PulledImage { digest: "sha256:0".into() })));
    step(&w.task, &mut w.state, w.now);
    w.fact(Fact::Created(0, Ok(created())));
    assert_eq!(step(&w.task, &mut w.state, w.now).actions, [Action::Start(0)]);
    w.fact(Fact::Exited(0, Exit { code: Some(5), oom_killed: false, exited_at_ms: w.now, reason: None }));
    w.fact(Fact::Started(0, Ok(Started { pid: 9, started_at_ms: w.now })));
    w.settle();
    assert_eq!(w.state.containers[0].exit_code(), Some(5));
    assert_eq!(w.state.known, Known::Stopped);
}

fn found(phase: engine::Phase) -> engine::FoundTask {
    let id = engine::ContainerId { task: "0123".into(), name: "app".into() };
    let state = engine::ContainerState { id, created: created(), phase, starts: 1 };
    engine::FoundTask { task: "0123".into(), containers: vec![state] }
}

#[test]
fn adoption_tells_what_happened_meanwhile() {
    let exit = Exit { code: Some(42), oom_killed: false, exited_at_ms: 999, reason: None };
    let started = Started { pid: 3, started_at_ms: 5 };
    for (written, found, same_boot, expected) in [
        (Phase::Running, Some(found(engine::Phase::Exited(exit.clone()))), true, (Phase::Stopped, Some(42))),
        (Phase::Starting, Some(found(engine::Phase::Exited(exit))), true, (Phase::Stopped, Some(42))),
        (Phase::Starting, Some(found(engine::Phase::Running(started))), true, (Phase::Running, None)),
        (Phase::Creating, Some(found(engine::Phase::Created)), true, (Phase::Created, None)),
        (Phase::Running, None, true, (Phase::Stopped, None)),
        (Phase::Running, None, false, (Phase::Stopped, None)),
        (Phase::Creating, None, false, (Phase::Stopped, None)),
        (Phase::Creating, None, true, (Phase::Waiting, None)),
        (Phase::Pulling, None, false, (Phase::Waiting, None)),
    ] {
        let mut w = World::new(vec![container("app")]);
        w.state.containers[0].phase = written;
        adopt(&w.task, &mut w.state, found.as_ref(), same_boot, w.now);
        let seen = &w.state.containers[0];
        assert_eq!((seen.phase, seen.exit_code()), expected, "{written:?} {found:?} {same_boot}");
        w.state.admitted = true;
        w.settle();
        assert!(w.state.known >= Known::Running);
    }
}

/// One thing that may happen to a task.
#[derive(Debug, Clone)]
enum Chance {
    Exit(usize, i32),
    Probe(usize, bool),
    Pass(i64),
    Stop,
    FailNext,
    AgentDies,
}

fn chance() -> impl Strategy<Value = Chance> {
    prop_oneof![
        (0..4usize, 0..3i32).prop_map(|(c, code)| Chance::Exit(c, code)),
        (0..4usize, any::<bool>()).prop_map(|(c, healthy)| Chance::Probe(c, healthy)),
        (0..100_000i64).prop_map(Chance::Pass),
        Just(Chance::Stop),
        Just(Chance::FailNext),
        Just(Chance::AgentDies),
    ]
}

fn any_task() -> impl Strategy<Value = Vec<Container>> {
    let condition = prop_oneof![
        Just(Condition::Start),
        Just(Condition::Complete),
        Just(Condition::Success),
        Just(Condition::Healthy)
    ];
    let one = (any::<bool>(), any::<bool>(), any::<bool>(), prop::option::of((0..4usize, condition)));
    prop::collection::vec(one, 1..4).prop_map(|parts| {
        let build = |(index, (essential, check, restart, dependency)): (usize, &(bool, bool, bool, _))| {
            let name = format!("c{index}");
            let mut built = if *check { checked(&name) } else { container(&name) };
            built.essential = *essential || index == 0;
            built.start_timeout_ms = Some(20_000);
            built.restart =
                restart.then(|| RestartPolicy { ignored_exit_codes: vec![], attempt_period_ms: 1_000 });
            if let Some((target, condition)) = dependency
                && *target < index
            {
                built.depends_on = on(*target, *condition);
            }
            built
        };
        parts.iter().enumerate().map(build).collect()
    })
}

impl World {
    fn chance(&mut self, chance: &Chance) {
        let count = self.task.containers.len();
        match chance {
            Chance::Exit(c, code) if self.running.contains(&(c % count)) => self.exit(c % count, *code),
            Chance::Probe(c, healthy) => self.probed(c % count, *healthy),
            Chance::Pass(ms) => self.now += ms,
            Chance::Stop => self.fact(Fact::StopWanted),
            Chance::FailNext => {
                let mut next = step(&self.task, &mut self.state, self.now).actions;
                if !next.is_empty() {
                    let failed = next.remove(0);
                    self.fail(failed);
                }
                next.into_iter().for_each(|action| self.act(action));
            }
            Chance::AgentDies => self.revive(),
            Chance::Exit(..) => {}
        }
        self.settle();
    }

    fn fail(&mut self, action: Action) {
        let error = Error::fatal(Kind::Start, "as told");
        match action {
            Action::Pull(c) => self.fact(Fact::Pulled(c, Err(error))),
            Action::Create(c) => self.fact(Fact::Created(c, Err(error))),
            Action::Start(c) => self.fact(Fact::Started(c, Err(error))),
            Action::Prepare => self.fact(Fact::Prepared(Err(error))),
            other => self.act(other),
        }
    }

    /// The agent dies and finds its written state and the containers again.
    fn revive(&mut self) {
        let text = serde_json::to_string(&self.state).unwrap();
        self.state = serde_json::from_str(&text).unwrap();
        let containers = self.state.containers.iter().enumerate().filter_map(|(index, c)| {
            let id = self.task.container_id(index);
            let phase = match (self.running.contains(&index), &c.exit) {
                (true, _) => engine::Phase::Running(c.started.clone()?),
                (false, Some(exit)) => engine::Phase::Exited(exit.clone()),
                (false, None) => engine::Phase::Created,
            };
            Some(engine::ContainerState { id, created: c.created.clone()?, phase, starts: c.restarts + 1 })
        });
        let found = engine::FoundTask { task: "0123".into(), containers: containers.collect() };
        adopt(&self.task, &mut self.state, Some(&found), true, self.now);
    }
}

proptest! {
    #[test]
    fn forward_only_idempotent_and_convergent(
        containers in any_task(),
        chances in prop::collection::vec(chance(), 0..20),
    ) {
        let mut w = World::new(containers);
        w.settle();
        let mut known = w.state.known;
        let mut ended = BTreeSet::new();
        for chance in &chances {
            w.chance(chance);
            prop_assert!(w.state.known >= known, "{chance:?} took the task back");
            known = w.state.known;
            for (index, c) in w.state.containers.iter().enumerate() {
                prop_assert!(!ended.contains(&index) || c.phase == Phase::Stopped, "{index} rose again");
                if c.phase == Phase::Stopped {
                    ended.insert(index);
                    prop_assert!(!w.running.contains(&index), "{index} runs though it is stopped");
                }
            }
            let before = w.state.clone();
            prop_assert!(step(&w.task, &mut w.state, w.now).actions.is_empty());
            prop_assert_eq!(&before, &w.state);
        }
        w.fact(Fact::StopWanted);
        w.settle();
        prop_assert_eq!(w.state.known, Known::Stopped);
        prop_assert!(w.running.is_empty());
    }
}
