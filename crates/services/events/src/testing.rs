//! What several tests of this crate share: an account and region with a clock that stands still until it is moved,
//! and helpers in the words of the API.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};
use state::{
    Batch, Ctx, Domain, Ids, Table,
    api::{self, Handler},
    outbox::{Call, Sends},
    port::{Known, Others},
};
use wire::Error;

use crate::{
    api::OPERATIONS,
    rows::{Change, Key, Row},
    state::{Events, Txn},
};

/// A fixed time and the default account.
pub fn ctx() -> Ctx {
    Ctx {
        now: wire::Timestamp(1_700_000_000_000),
        account: "000000000000".into(),
        region: "us-east-1".into(),
        partition: "aws".into(),
        caller_arn: "arn:aws:iam::000000000000:root".into(),
        agent: None,
    }
}

/// Those whom the account and region sees besides itself, who let roles of the account be assumed alone.
fn others() -> Arc<dyn Others> {
    struct Roles;
    impl Others for Roles {
        fn operation(&self, _service: &str, _action: &str) -> Option<Known> {
            None
        }
        fn running(&self, _cluster: &str, _started_by: &str) -> usize {
            0
        }
        fn may_assume(&self, role_arn: &str) -> bool {
            role_arn.starts_with("arn:aws:iam::000000000000:role/")
        }
    }
    Arc::new(Roles)
}

/// An ARN of that account and region.
pub fn arn(service: &str, resource: &str) -> String {
    format!("arn:aws:{service}:us-east-1:000000000000:{resource}")
}

/// The code and message of a refusal.
pub fn refusal<T>(result: Result<T, Error>) -> (String, String) {
    let error = result.err().expect("it is refused");
    (error.code().to_owned(), error.message().to_owned())
}

/// See the module. All that is stored is kept as bytes too, as a store would.
pub struct World {
    pub state: Events,
    pub ctx: Ctx,
    pub ids: Ids,
    pub stored: BTreeMap<String, Vec<u8>>,
}

impl World {
    /// Nothing was done yet.
    pub fn new() -> World {
        World { state: Events::default(), ctx: ctx(), ids: Ids::new(7), stored: BTreeMap::new() }
    }

    /// A batch with the settling of all that it touched, as many as there is to settle.
    fn batch<T>(
        &mut self,
        work: impl FnOnce(&mut Batch<Events, BTreeMap<Key, Change>>, &Ctx, &mut Ids) -> T,
    ) -> T {
        let ports = others();
        let mut batch = Batch::new(self.state.clone(), ports.clone(), BTreeMap::new());
        let reply = work(&mut batch, &self.ctx, &mut self.ids);
        self.end(batch);
        while self.state.agenda().marks().next().is_some() {
            let batch = Batch::new(self.state.clone(), ports.clone(), BTreeMap::new());
            self.end(batch);
        }
        reply
    }

    fn end(&mut self, mut batch: Batch<Events, BTreeMap<Key, Change>>) {
        batch.settle(&self.ctx, &mut self.ids);
        let done = batch.done();
        assert_eq!(done.broken, []);
        let most = state::limits::BATCH_CHANGES + state::limits::STEP_CHANGES + 200;
        assert!(done.keys.len() <= most, "{} changes in a batch", done.keys.len());
        self.state = done.state;
        for (key, change) in done.sink {
            match change {
                Change::Put(row) => drop(self.stored.insert(Row::path(&key), row.encode())),
                Change::Delete(_) => drop(self.stored.remove(&Row::path(&key))),
            }
        }
    }

    /// Runs a command.
    pub fn run<T>(&mut self, command: impl FnOnce(&mut Txn) -> Result<T, Error>) -> Result<T, Error> {
        self.batch(|batch, ctx, ids| batch.command(ctx, ids, command)).expect("no assertion is broken")
    }

    /// Calls an operation by its name in the table, after the model's constraints were checked.
    pub fn call(&mut self, name: &str, input: Value) -> Result<Value, Error> {
        let operation = api::named(OPERATIONS, name).expect("it is in the table");
        let output = match operation.handler {
            Handler::Write(read) => read(input).and_then(|command| self.run(command)?()),
            Handler::Read(read) => read(&self.state, &self.ctx, input),
            Handler::Outside => unreachable!("{name} is a matter of one shard"),
        };
        output.map(|json| serde_json::from_slice(&json).expect("it is JSON"))
    }

    /// Calls one that succeeds.
    pub fn ok(&mut self, name: &str, input: Value) -> Value {
        self.call(name, input.clone()).unwrap_or_else(|error| panic!("{name} {input}: {error}"))
    }

    /// The code and message of one that is refused.
    pub fn refused(&mut self, name: &str, input: Value) -> (String, String) {
        match self.call(name, input.clone()) {
            Ok(output) => panic!("{name} {input}: {output}"),
            Err(error) => (error.code().to_owned(), error.message().to_owned()),
        }
    }

    /// A rule of the default event bus for events of source `app`, with a log group as its target `t`.
    pub fn logged_rule(&mut self, name: &str) {
        self.ok("PutRule", json!({"Name": name, "EventPattern": r#"{"source":["app"]}"#}));
        let target = json!({"Id": "t", "Arn": arn("logs", "log-group:/aws/events/g")});
        self.ok("PutTargets", json!({"Rule": name, "Targets": [target]}));
    }

    /// Sends an event of source `app`.
    pub fn send(&mut self, detail: Value) -> Value {
        let entry = json!({"Source": "app", "DetailType": "T", "Detail": detail.to_string()});
        self.ok("PutEvents", json!({"Entries": [entry]}))
    }

    /// The calls that may be made now, in the order of their times and then of rule and target.
    pub fn ready(&self) -> Vec<(state::Id128, Call)> {
        let mut ids: Vec<state::Id128> = self.state.outbox().ready(self.ctx.now).collect();
        ids.sort_by_key(|id| {
            let row = self.state.delivery(*id).expect("it waits");
            (row.not_before, row.rule.clone(), row.target.clone(), row.id)
        });
        ids.into_iter().map(|id| (id, self.state.call(id).expect("it waits"))).collect()
    }

    /// Says what came of a call.
    pub fn outcome(&mut self, id: state::Id128, outcome: Result<Value, Error>) {
        self.run(|txn| {
            Events::carried_out(txn, id, outcome);
            Ok(())
        })
        .expect("it is taken");
    }

    /// Moves the clock, and lets everything happen that is due on the way.
    pub fn pass(&mut self, millis: i64) {
        let end = self.ctx.now.plus_millis(millis);
        while let Some(at) = self.state.agenda().wake_at().filter(|at| *at <= end) {
            self.ctx.now = self.ctx.now.max(at);
            self.batch(|batch, ctx, ids| batch.tick(ctx, ids));
        }
        self.ctx.now = end;
    }

    /// A state that is read from what is stored, in the opposite order.
    pub fn reloaded(&self) -> Events {
        let mut state = Events::default();
        for (path, value) in self.stored.iter().rev() {
            let row = Row::decode(path, value).unwrap_or_else(|error| panic!("{path}: {error}"));
            state.apply(&Change::Put(row));
        }
        state
    }
}
