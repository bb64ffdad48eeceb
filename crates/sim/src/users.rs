//! Users: they run tasks, make, change and delete services, daemons, task sets, rules and schedules, stop and protect tasks,
//! drain hosts, and say where capacity comes from, at the worst moment. What ECS refuses is refused; that is part of life.
//! What they were answered they write down.

mod capacity;
mod daemons;
pub mod definitions;
mod hosts;
mod protection;
mod schedules;
mod services;
mod task_sets;
mod tasks;

use std::sync::Arc;

use serde_json::{Value, json};

use self::definitions::{FAMILIES, definition};
use crate::{
    interfaces,
    network::{As, Failed, Node, call},
    record::{Makes, Thing},
    server::{ACCOUNT, REGION},
    world::World,
};

/// One of them.
pub struct User {
    world: Arc<World>,
    number: usize,
    /// How often it has asked for tasks.
    runs: usize,
    /// How many schedules it has made: each has a name of its own.
    schedules: usize,
    steps: usize,
    /// What it does more than anything else.
    trade: i64,
}

impl User {
    /// The user of this number.
    pub fn new(world: &Arc<World>, number: usize) -> User {
        let (runs, schedules, steps) = Default::default();
        let trade = world.range(0, 5);
        User { world: world.clone(), number, runs, schedules, steps, trade }
    }

    async fn call(&self, operation: &'static str, input: Value) -> Result<Value, Failed> {
        self.call_of("ecs", operation, input).await
    }

    async fn call_of(
        &self,
        service: &'static str,
        operation: &'static str,
        input: Value,
    ) -> Result<Value, Failed> {
        call(&self.world, Node::User(self.number), &As::Administrator, (service, operation), input).await
    }

    /// Calls until it is known what came of it.
    async fn insist(
        &self,
        service: &'static str,
        operation: &'static str,
        input: Value,
    ) -> Result<Value, Failed> {
        loop {
            let outcome = self.call_of(service, operation, input.clone()).await;
            match outcome {
                Err(failed) if !failed.is_refusal() => self.world.pause(500, 5_000).await,
                known => return known,
            }
        }
    }

    /// Likewise what must not be refused, unless it is there already: the answer may be all that was lost before.
    async fn must(&self, service: &'static str, operation: &'static str, input: Value) {
        if let Err(Failed::Refused(error)) = self.insist(service, operation, input).await
            && !error.message().contains("already exists")
        {
            self.world.fail(format!("{operation} is refused: {error}"));
        }
    }

    /// A call that changes something of this user's own.
    async fn change(
        &self,
        (service, operation): (&'static str, &'static str),
        input: Value,
        thing: Thing,
        makes: Makes,
    ) {
        let under = self.world.record.lock().begin(thing, makes);
        let outcome = self.call_of(service, operation, input).await;
        let mut record = self.world.record.lock();
        match outcome {
            Ok(_) => record.done(under),
            Err(failed) if failed.is_refusal() => record.refused(under),
            Err(_) => {}
        }
    }

    /// Registers two revisions of each family, makes capacity providers, and has events told.
    pub async fn prepare(&self) {
        for (family, cpu, memory) in FAMILIES {
            for _ in 0..2 {
                self.must("ecs", "RegisterTaskDefinition", definition(family, cpu, memory)).await;
            }
        }
        self.prepare_capacity().await;
        self.prepare_daemons().await;
        if !self.world.percent(60) {
            return;
        }
        let rule = json!({"Name": "all", "EventPattern": "{\"source\":[\"aws.ecs\"]}"});
        let group = format!("arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/events");
        let targets = json!({"Rule": "all", "Targets": [{"Id": "t", "Arn": group}]});
        for (operation, input) in [("PutRule", rule), ("PutTargets", targets)] {
            self.must("events", operation, input).await;
        }
        let state = self.world.server.lock().as_ref().and_then(|server| server.state());
        let state = state.or_else(|| self.world.before.lock().clone());
        let mut bus = self.world.bus.lock();
        // Behind all tasks that are there: the clock may have been ahead when they were made.
        let made = state.iter().flat_map(|state| state.state.tasks()).map(|task| task.created_at).max();
        let now = self.world.now();
        (bus.rule_stands, bus.rule_stood_at) = (true, made.map_or(now, |made| made.max(now)));
    }

    /// Works for as long as there are faults.
    pub async fn work(mut self) {
        while self.world.is_storm() {
            self.world.pause(100, 25_000).await;
            self.steps += 1;
            self.act().await;
        }
    }

    async fn act(&mut self) {
        if self.world.percent(40) {
            self.ply().await;
        } else {
            self.do_anything().await;
        }
    }

    /// Something of its trade.
    async fn ply(&mut self) {
        match (self.trade, self.world.range(0, 3)) {
            (0, 0) => self.capacity().await,
            (0, 1) => self.run_tasks().await,
            (1, 0..=2) => self.managed_daemon().await,
            (2, 0..=2) => self.set_of_tasks().await,
            (3, 0 | 1) => self.protect().await,
            (4, 0 | 1) => self.go_on().await,
            (4, 2) => self.stop_deployment().await,
            (5, 0 | 1) => self.drain().await,
            (5, 2) | (1, _) => self.belong().await,
            (_, 3) => self.create().await,
            _ => self.update().await,
        }
    }

    async fn do_anything(&mut self) {
        match self.world.range(0, 27) {
            0 | 1 => self.run_tasks().await,
            2 | 3 => self.create().await,
            4..=6 => self.update().await,
            7 => self.stop().await,
            8 => self.drain().await,
            9 => self.delete().await,
            10 => self.start_on().await,
            11 => self.stop_deployment().await,
            12 => self.daemon().await,
            13 => self.schedule().await,
            14 => self.unschedule().await,
            15 => self.rule().await,
            16 => self.storm().await,
            17 => self.go_on().await,
            18 => self.attribute().await,
            19 => self.capacity().await,
            20..=22 => self.set_of_tasks().await,
            23 | 24 => self.managed_daemon().await,
            25 | 26 => self.protect().await,
            _ => self.belong().await,
        }
    }

    fn definition(&self) -> String {
        let family = self.world.pick(&FAMILIES).map_or("small", |(family, ..)| family);
        format!("{family}:{}", self.world.range(1, 2))
    }

    /// Has what is of a definition with a network of its own be in subnets of every zone.
    fn in_subnets(&self, input: &mut Value) {
        let is_net = input["taskDefinition"].as_str().is_some_and(|named| named.starts_with("net:"));
        if !is_net {
            return;
        }
        let subnets = interfaces::subnets();
        input["networkConfiguration"] = json!({"awsvpcConfiguration": {"subnets": subnets}});
    }

    /// A service of this user's.
    fn service(&self) -> String {
        format!("s{}-{}", self.number, self.world.range(0, 3))
    }

    /// Takes away what would never come to rest.
    pub async fn leave(&self, most: usize) {
        self.leave_schedules(most).await;
        if self.number == 0 {
            self.leave_daemons().await;
        }
    }
}
