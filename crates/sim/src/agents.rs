//! A fake agent: it starts and stops what it is told after a while, reports late, twice or not yet, loses
//! its connection, and dies with all that it ran.

use std::collections::{BTreeMap, VecDeque};

use ::ecs::{
    cluster::{Desired, HealthStatus, InstanceId, TaskId},
    instance, task,
};
use ecs_model as ecs;

use crate::{random::Random, world::World};

/// What tasks with health checks need of their host.
const CAPABILITIES: [&str; 2] =
    ["ecs.capability.container-health-check", "com.amazonaws.ecs.capability.docker-remote-api.1.24"];

/// What the agent knows of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// Starts at this time, or fails to.
    Starting(i64),
    Running {
        until: i64,
    },
    /// Ends at this time.
    Stopping(i64),
    Gone,
}

/// One agent.
#[derive(Debug, Default)]
pub struct Agent {
    id: InstanceId,
    connected: bool,
    /// Silent until this time.
    dead_until: i64,
    tasks: BTreeMap<TaskId, Seen>,
    /// Reports that wait to be heard, oldest first.
    outbox: VecDeque<ecs::SubmitTaskStateChangeRequest>,
}

impl Agent {
    /// Brings a host into the cluster.
    pub fn register(world: &mut World) -> Agent {
        let (cpu, memory) = (world.random.range(1, 4) as i32 * 1024, world.random.range(1, 4) as i32 * 1024);
        let request = ecs::RegisterContainerInstanceRequest {
            total_resources: Some(vec![World::resource("CPU", cpu), World::resource("MEMORY", memory)]),
            attributes: Some(CAPABILITIES.map(attribute).to_vec()),
            ..Default::default()
        };
        let registered = world.command(|txn| instance::register::register_container_instance(txn, request));
        let arn = registered.ok().and_then(|r| r.container_instance).and_then(|i| i.container_instance_arn);
        let id = arn.and_then(|arn| arn.rsplit('/').next().and_then(InstanceId::parse)).unwrap_or_default();
        Agent { id, ..Agent::default() }
    }

    /// The control plane went away.
    pub fn disconnected(&mut self) {
        self.connected = false;
    }

    /// Does what is due, and says when to look again.
    pub fn act(&mut self, world: &mut World) -> i64 {
        let now = world.now.0;
        if now < self.dead_until {
            return self.dead_until - now;
        }
        if world.storm && world.random.percent(1) {
            return self.fault(world);
        }
        self.connect(world);
        self.listen(world);
        self.work(world);
        self.report(world);
        self.judge(world);
        world.random.range(20, 2_000)
    }

    fn connect(&mut self, world: &mut World) {
        if !self.connected {
            let (id, version) = (self.id, ecs::VersionInfo::default());
            let connect = |txn: &mut ::ecs::Txn| {
                instance::state::connection(txn, &id, Some(version));
                Ok(())
            };
            self.connected = world.command(connect).is_ok();
        }
    }

    /// A lost connection; or a reboot, after which nothing of before runs; or a new host in its place.
    fn fault(&mut self, world: &mut World) -> i64 {
        world.outcome.faults += 1;
        if world.random.percent(10) {
            self.replaced(world);
            return 1;
        }
        let id = self.id;
        let disconnect = |txn: &mut ::ecs::Txn| {
            instance::state::connection(txn, &id, None);
            Ok(())
        };
        world.command(disconnect).ok();
        self.connected = false;
        if world.random.percent(40) {
            let now = world.now.0;
            for seen in self.tasks.values_mut().filter(|seen| **seen != Seen::Gone) {
                *seen = Seen::Stopping(now);
            }
        }
        let silent = world.random.range(100, 90_000);
        self.dead_until = world.now.0 + silent;
        silent
    }

    /// Takes what the cluster wants of this host.
    fn listen(&mut self, world: &mut World) {
        let now = world.now.0;
        let wanted: Vec<(TaskId, Desired, String)> = world
            .state
            .tasks_on(&self.id)
            .map(|task| (task.id, task.desired, task.task_definition.family.clone()))
            .collect();
        for (id, desired, _) in &wanted {
            match (self.tasks.get(id).copied(), desired) {
                (None, Desired::Running) => {
                    world.outcome.tasks_started += 1;
                    let after = world.random.range(10, 5_000);
                    self.tasks.insert(*id, Seen::Starting(now + after));
                }
                (None, Desired::Stopped) => self.tell(id, "STOPPED", None, &mut world.random),
                (Some(Seen::Starting(_) | Seen::Running { .. }), Desired::Stopped) => {
                    let after = world.random.range(1, 30_000);
                    self.tasks.insert(*id, Seen::Stopping(now + after));
                }
                // Already ended, but the cluster has not heard: say it again.
                (Some(Seen::Gone), _) if world.random.percent(30) => {
                    self.tell(id, "STOPPED", Some(0), &mut world.random);
                }
                _ => {}
            }
        }
        self.tasks.retain(|id, seen| *seen != Seen::Gone || wanted.iter().any(|(wanted, _, _)| wanted == id));
    }

    /// Verdicts of health checks: mostly good, and in a storm sometimes bad.
    fn judge(&mut self, world: &mut World) {
        let mut verdicts: BTreeMap<TaskId, BTreeMap<String, HealthStatus>> = BTreeMap::new();
        for (id, _) in self.tasks.iter().filter(|(_, seen)| matches!(seen, Seen::Running { .. })) {
            let sick = world.storm && world.random.percent(2);
            let status = if sick { HealthStatus::Unhealthy } else { HealthStatus::Healthy };
            let known = world.state.task(id).and_then(|task| task.containers.first());
            if known.is_some_and(|container| container.health_checked && container.health != status) {
                verdicts.insert(*id, BTreeMap::from([("app".to_owned(), status)]));
            }
        }
        if verdicts.is_empty() {
            return;
        }
        world.command(|txn| Ok(task::report::health(txn, &self.id, verdicts))).ok();
    }

    /// The host is taken away by force, and comes back as a new one with nothing on it.
    fn replaced(&mut self, world: &mut World) {
        let request = ecs::DeregisterContainerInstanceRequest {
            container_instance: self.id.to_string(),
            force: Some(true),
            ..Default::default()
        };
        world.command(|txn| instance::state::deregister_container_instance(txn, request)).ok();
        *self = Agent::register(world);
    }

    /// Lets time pass over the tasks.
    fn work(&mut self, world: &mut World) {
        let now = world.now.0;
        let due: Vec<(TaskId, Seen)> = self.tasks.iter().map(|(id, seen)| (*id, *seen)).collect();
        for (id, seen) in due {
            let family = world.state.task(&id).map(|task| task.task_definition.family.clone());
            let crashing = family.is_some_and(|family| family.starts_with("crash"));
            match seen {
                Seen::Starting(at) if at <= now => {
                    let fails =
                        crashing && world.random.percent(50) || world.storm && world.random.percent(5);
                    let next = match fails {
                        true => Seen::Gone,
                        false if crashing => Seen::Running { until: now + world.random.range(10, 3_000) },
                        false if world.storm && world.random.percent(10) => {
                            Seen::Running { until: now + world.random.range(1_000, 600_000) }
                        }
                        false => Seen::Running { until: i64::MAX },
                    };
                    self.tasks.insert(id, next);
                    let said = if fails { "STOPPED" } else { "RUNNING" };
                    self.tell(&id, said, None, &mut world.random);
                }
                Seen::Running { until } if until <= now => {
                    self.tasks.insert(id, Seen::Gone);
                    self.tell(&id, "STOPPED", Some(1), &mut world.random);
                }
                Seen::Stopping(at) if at <= now => {
                    self.tasks.insert(id, Seen::Gone);
                    self.tell(&id, "STOPPED", Some(143), &mut world.random);
                }
                _ => {}
            }
        }
    }

    fn tell(&mut self, id: &TaskId, status: &str, exit_code: Option<i32>, random: &mut Random) {
        let reason = (status == "STOPPED" && exit_code.is_none())
            .then(|| "CannotPullContainerError: not found".to_owned());
        let container = ecs::ContainerStateChange {
            container_name: Some("app".to_owned()),
            status: Some(status.to_owned()),
            exit_code,
            reason,
            ..Default::default()
        };
        let report = ecs::SubmitTaskStateChangeRequest {
            task: Some(id.to_string()),
            status: Some(status.to_owned()),
            containers: Some(vec![container]),
            ..Default::default()
        };
        if random.percent(10) {
            self.outbox.push_back(report.clone());
        }
        self.outbox.push_back(report);
    }

    /// Sends what waits; in a storm some of it stays for later, or is heard twice.
    fn report(&mut self, world: &mut World) {
        while let Some(report) = self.outbox.pop_front() {
            if world.storm && world.random.percent(15) {
                self.outbox.push_front(report);
                return;
            }
            if world.storm && world.random.percent(5) {
                self.outbox.push_back(report.clone());
            }
            let sent = world.command(|txn| task::report::submit_task_state_change(txn, report.clone()));
            if sent.is_err() {
                self.outbox.push_front(report);
                return;
            }
        }
    }
}

fn attribute(name: &str) -> ecs::Attribute {
    ecs::Attribute { name: name.to_owned(), ..Default::default() }
}
