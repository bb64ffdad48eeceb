//! What the tests share: the schedules of one account, a clock that stands still until it is moved, and calls as the
//! gate makes them, with an input that was validated.

// What the ports of a test answer is set by the test.
#![allow(clippy::disallowed_types)]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use scheduler_model::SERVICE;
use serde_json::{Value, json};
use state::{
    Batch, Domain, Id128, Table,
    api::{self, Handler},
    outbox::{Call, Sends},
};
use wire::{
    Error, Timestamp,
    schema::{self, Kind, Member, Shape},
    validate::validate,
};

use crate::{
    Ctx, Ids, Key, Known, Others, Ports, Row, Scheduler,
    api::OPERATIONS,
    rows::{InvocationRow, ScheduleId, ScheduleRow},
};

pub const CLUSTER: &str = "arn:aws:ecs:us-east-1:000000000000:cluster/c";
pub const ROLE: &str = "arn:aws:iam::000000000000:role/runs";
pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 60 * MINUTE;

static TEXT: Shape =
    Shape { name: "String", kind: Kind::String { min: None, max: None, pattern: None, values: &[] } };
static NUMBER: Shape = Shape { name: "Integer", kind: Kind::Integer { min: None, max: None } };
static PAIR: Shape = Shape {
    name: "KeyValuePair",
    kind: Kind::Structure {
        union: false,
        members: &[Member::new("name", &TEXT), Member::new("value", &TEXT)],
    },
};
static PAIRS: Shape = Shape {
    name: "KeyValuePairs",
    kind: Kind::List { member: &Member::new("member", &PAIR), flattened: false, min: None, max: None },
};
static INPUT: Shape = Shape {
    name: "Input",
    kind: Kind::Structure {
        union: false,
        members: &[
            Member::new("cluster", &TEXT),
            Member::new("clientToken", &TEXT),
            Member::new("desiredCount", &NUMBER),
            Member::new("environment", &PAIRS),
        ],
    },
};
static RUN_TASK: schema::Operation = schema::Operation::typed("RunTask").input(&INPUT);
static UPDATE_SERVICE: schema::Operation = schema::Operation::typed("UpdateService").input(&INPUT);

/// The others, as the tests want them.
#[derive(Default)]
pub struct Fake {
    /// Tasks that go on, by `startedBy`.
    pub running: Mutex<BTreeMap<String, usize>>,
    pub no_role: Mutex<bool>,
}

impl Others for Fake {
    fn operation(&self, service: &str, action: &str) -> Option<Known> {
        let operation = match (service, action) {
            ("ecs", "runTask") => &RUN_TASK,
            ("ecs", "updateService") => &UPDATE_SERVICE,
            _ => return None,
        };
        Some(Known { service: "ecs", operation })
    }

    fn running(&self, cluster: &str, started_by: &str) -> usize {
        assert_eq!(cluster, CLUSTER);
        self.running.lock().unwrap().get(started_by).copied().unwrap_or_default()
    }

    fn may_assume(&self, _role_arn: &str) -> bool {
        !*self.no_role.lock().unwrap()
    }
}

/// Schedules at work.
#[derive(Clone)]
pub struct World {
    pub state: Scheduler,
    pub others: Arc<Fake>,
    pub ctx: Ctx,
    pub ids: Ids,
}

type Changes = BTreeMap<Key, crate::Change>;

impl World {
    /// Nothing in it, at 2026-11-23T10:00:00Z.
    pub fn new() -> World {
        let ctx = Ctx {
            now: at("2026-11-23T10:00:00Z"),
            account: "000000000000".into(),
            region: "us-east-1".into(),
            partition: "aws".into(),
            caller_arn: "arn:aws:iam::000000000000:root".into(),
            agent: None,
        };
        World { state: Scheduler::default(), others: Arc::default(), ctx, ids: Ids::new(7) }
    }

    /// Runs a batch: `work`, and the settling of what it touched.
    pub fn batch<T>(&mut self, work: impl FnOnce(&mut Batch<Scheduler, Changes>, &Ctx, &mut Ids) -> T) -> T {
        let ports: Ports = self.others.clone();
        let mut batch = Batch::new(self.state.clone(), ports, Changes::new());
        let reply = work(&mut batch, &self.ctx, &mut self.ids);
        batch.settle(&self.ctx, &mut self.ids);
        let done = batch.done();
        assert_eq!(done.broken, [], "no assertion is broken");
        self.state = done.state;
        self.check();
        reply
    }

    /// Calls an operation as the gate does.
    pub fn call(&mut self, name: &str, mut input: Value) -> Result<Value, Error> {
        validate(&SERVICE, SERVICE.operation(name).unwrap(), &mut input)?;
        let output = match api::named(OPERATIONS, name).unwrap().handler {
            Handler::Read(read) => read(&self.state, &self.ctx, input),
            Handler::Write(read) => read(input).and_then(|command| {
                let ran = self.batch(|batch, ctx, ids| batch.command(ctx, ids, command));
                ran.expect("no assertion is broken")?()
            }),
            Handler::Outside => unreachable!("{name} is a matter of one shard"),
        };
        output.map(|json| serde_json::from_slice(&json).unwrap())
    }

    /// Makes a schedule `name` that runs a task, with more members.
    pub fn schedule(&mut self, name: &str, expression: &str, more: Value) {
        let input = with(schedule(name, expression), more);
        self.call("CreateSchedule", input).unwrap();
    }

    /// A schedule's row in the group `default`.
    pub fn row(&self, name: &str) -> Arc<ScheduleRow> {
        self.state.schedule(&id(name)).expect(name).clone()
    }

    /// Moves the clock, and lets everything happen that is due on the way.
    pub fn pass(&mut self, millis: i64) {
        let end = self.ctx.now.plus_millis(millis);
        while let Some(at) = self.state.agenda().wake_at().filter(|at| *at <= end) {
            self.ctx.now = self.ctx.now.max(at);
            self.tick();
        }
        self.ctx.now = end;
    }

    /// One tick at the time that it is.
    pub fn tick(&mut self) {
        self.batch(|batch, ctx, ids| batch.tick(ctx, ids));
    }

    /// Ticks until nothing is due.
    pub fn settle(&mut self) {
        while state::batch::is_due(&self.state, self.ctx.now) {
            self.tick();
        }
    }

    /// The clock was set, as the runtime tells it.
    pub fn set_clock(&mut self, now: Timestamp) {
        self.ctx.now = now;
        let set = |world: &mut World| {
            let before = world.state.clone();
            world.batch(|batch, ctx, ids| batch.clock(ctx, ids, state::Set::Seen));
            encoded(&before) != encoded(&world.state)
        };
        while set(self) {}
    }

    /// The calls that may be made now.
    pub fn ready(&self) -> Vec<(Id128, Call)> {
        let ready = self.state.outbox().ready(self.ctx.now);
        ready.filter_map(|id| Some((id, self.state.call(id)?))).collect()
    }

    /// The first call that may be made now is carried out.
    pub fn carry(&mut self, outcome: Result<Value, Error>) -> Call {
        let (id, call) = self.ready().into_iter().next().expect("a call is ready");
        self.told(id, outcome);
        call
    }

    /// Tells what came of a call.
    pub fn told(&mut self, id: Id128, outcome: Result<Value, Error>) {
        self.batch(|batch, ctx, ids| {
            batch.command(ctx, ids, |txn| {
                Scheduler::carried_out(txn, id, outcome);
                Ok(())
            })
        })
        .expect("no assertion is broken")
        .unwrap();
    }

    /// All calls that may be made now are carried out well; how many there were.
    pub fn carry_all(&mut self) -> usize {
        let ready = self.ready();
        for (id, _) in &ready {
            self.told(*id, Ok(started(1)));
        }
        ready.len()
    }

    /// The only run that is on its way.
    pub fn run(&self) -> InvocationRow {
        let mut runs = self.state.invocations();
        let run = runs.next().expect("a run is on its way");
        assert!(runs.next().is_none());
        run.as_ref().clone()
    }

    /// Codes of what failed, the latest first.
    pub fn failed(&self) -> Vec<(String, Option<String>)> {
        self.state.failures().map(|row| (row.error.code.clone(), row.exhausted.clone())).collect()
    }

    /// The process dies, and another one reads the rows.
    pub fn restart(&mut self) {
        let mut stored: Vec<_> = self.state.rows().map(|row| (Row::path(&row.key()), row.encode())).collect();
        stored.sort();
        let mut state = Scheduler::default();
        for (path, value) in stored {
            state.apply(&state::Change::Put(Row::decode(&path, &value).unwrap()));
        }
        assert_eq!(encoded(&state), encoded(&self.state));
        self.state = state;
    }

    /// What always holds.
    fn check(&self) {
        let state = &self.state;
        let waiting: BTreeSet<_> = state.invocations().filter(|run| !run.waits).map(|run| run.id).collect();
        assert_eq!(state.outbox().len(), waiting.len(), "the outbox holds what does not wait for room");
        for run in state.invocations() {
            assert!(run.at <= run.ends, "{run:?}");
        }
        let schedules: BTreeSet<_> = state.invocations().map(|run| run.schedule.clone()).collect();
        let indexed: usize = schedules.iter().map(|id| state.invocations_of(id).count()).sum();
        assert_eq!(indexed, state.invocation_count(), "each run is found by its schedule");
        assert!(state.surplus().is_empty());
    }
}

/// The stored form of all rows.
pub fn encoded(state: &Scheduler) -> Vec<String> {
    state.rows().map(|row| Row::path(&row.key()) + " " + &String::from_utf8(row.encode()).unwrap()).collect()
}

/// A reply of RunTask.
pub fn started(tasks: usize) -> Value {
    json!({"tasks": vec![json!({"taskArn": "t"}); tasks], "failures": []})
}

pub fn id(name: &str) -> ScheduleId {
    ScheduleId { group: "default".to_owned(), name: name.to_owned() }
}

pub fn at(text: &str) -> Timestamp {
    Timestamp::parse_iso8601(text).expect(text)
}

/// A request for a schedule that runs a task.
pub fn schedule(name: &str, expression: &str) -> Value {
    json!({
        "Name": name,
        "ScheduleExpression": expression,
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": target(),
    })
}

pub fn target() -> Value {
    json!({"Arn": CLUSTER, "RoleArn": ROLE, "EcsParameters": {"TaskDefinitionArn": "web"}})
}

/// An object with more members, which go before its own.
pub fn with(mut value: Value, more: Value) -> Value {
    for (name, more) in more.as_object().unwrap() {
        let own = &mut value[name.as_str()];
        *own =
            if own.is_object() && more.is_object() { with(own.take(), more.clone()) } else { more.clone() };
    }
    value
}

/// The code and message of a refusal.
pub fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> (String, String) {
    let error = result.expect_err("it is refused");
    (error.code().to_owned(), error.message().to_owned())
}
