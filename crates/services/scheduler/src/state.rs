//! The schedules of one account and region: their rows and the indexes derived from them. [`Scheduler::take`] is
//! the only place that changes either. Cloning is cheap (persistent maps).

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use state::{
    Agenda, Domain, Id128, ShardId,
    api::{Api, Handler, Operation},
    outbox::{Call, GivenUp, Outbox, Sends},
    port::Others,
};
use wire::{Error, Timestamp, schema};

use crate::{
    Ports, Txn, api, limits, plan,
    rows::{FailureRow, GroupRow, InvocationRow, ScheduleId, ScheduleRow, TokenRow},
    table::{Change, Key, Row},
};

/// What is settled on its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// A group is DELETING: its schedules go, and then it does.
    Group(String),
    /// A schedule is complete and deletes itself, or is gone and has left runs behind.
    Schedule(ScheduleId),
}

/// The schedules of one account and region.
#[derive(Debug, Clone, Default)]
pub struct Scheduler {
    groups: OrdMap<String, Arc<GroupRow>>,
    schedules: OrdMap<ScheduleId, Arc<ScheduleRow>>,
    invocations: OrdMap<Id128, Arc<InvocationRow>>,
    /// The runs of each schedule, by which making of it they are of.
    of_schedule: OrdSet<(ScheduleId, Id128, Id128)>,
    failures: OrdMap<Id128, Arc<FailureRow>>,
    failures_by_age: OrdSet<(Timestamp, Id128)>,
    tokens: OrdMap<String, Arc<TokenRow>>,
    tokens_by_age: OrdSet<(Timestamp, String)>,
    outbox: Outbox,
    agenda: Agenda<Key, Mark>,
}

impl Scheduler {
    /// A group that was made; `default` is none.
    pub fn group(&self, name: &str) -> Option<&Arc<GroupRow>> {
        self.groups.get(name)
    }

    /// All groups that were made, in order of their names.
    pub fn groups(&self) -> impl DoubleEndedIterator<Item = &Arc<GroupRow>> {
        self.groups.values()
    }

    /// How many groups and schedules there are.
    pub fn counts(&self) -> (usize, usize) {
        (self.groups.len(), self.schedules.len())
    }

    /// A schedule.
    pub fn schedule(&self, id: &ScheduleId) -> Option<&Arc<ScheduleRow>> {
        self.schedules.get(id)
    }

    /// Schedules from `first` on, in order of group and name.
    pub fn schedules_from(&self, first: ScheduleId) -> impl Iterator<Item = &Arc<ScheduleRow>> {
        self.schedules.range(first..).map(|(_, row)| row)
    }

    /// The schedules of a group whose names begin with `prefix`, from `first` on.
    pub fn schedules_of<'a>(
        &'a self,
        group: &'a str,
        prefix: &'a str,
        first: &str,
    ) -> impl Iterator<Item = &'a Arc<ScheduleRow>> + 'a {
        let first = ScheduleId { group: group.to_owned(), name: first.max(prefix).to_owned() };
        let fits = move |row: &&Arc<ScheduleRow>| row.id.group == group && row.id.name.starts_with(prefix);
        self.schedules_from(first).take_while(fits)
    }

    /// A run on its way.
    pub fn invocation(&self, id: &Id128) -> Option<&Arc<InvocationRow>> {
        self.invocations.get(id)
    }

    /// All runs on their way.
    pub fn invocations(&self) -> impl Iterator<Item = &Arc<InvocationRow>> {
        self.invocations.values()
    }

    /// How many runs are on their way.
    pub fn invocation_count(&self) -> usize {
        self.invocations.len()
    }

    /// The runs of a schedule of this name, of whichever making, that are on their way.
    pub fn invocations_of<'a>(
        &'a self,
        id: &ScheduleId,
    ) -> impl Iterator<Item = &'a Arc<InvocationRow>> + 'a {
        let id = id.clone();
        let of = self.of_schedule.range((id.clone(), Id128(0), Id128(0))..);
        of.take_while(move |(own, ..)| *own == id).filter_map(|(.., run)| self.invocations.get(run))
    }

    /// The schedule that a run is of, unless that is gone.
    pub fn schedule_of(&self, run: &InvocationRow) -> Option<&Arc<ScheduleRow>> {
        self.schedules.get(&run.schedule).filter(|row| row.uid == run.uid)
    }

    /// A run that failed.
    pub fn failure(&self, id: &Id128) -> Option<&Arc<FailureRow>> {
        self.failures.get(id)
    }

    /// Runs that failed, the latest first.
    pub fn failures(&self) -> impl Iterator<Item = &Arc<FailureRow>> {
        self.failures_by_age.iter().rev().filter_map(|(_, id)| self.failures.get(id))
    }

    /// What a client token was used for.
    pub fn token(&self, token: &str) -> Option<&Arc<TokenRow>> {
        self.tokens.get(token)
    }

    /// The oldest of what is remembered beyond the limits, a few of each.
    pub fn surplus(&self) -> Vec<Key> {
        const FEW: usize = 4;
        let of = |have: usize, most: usize| have.saturating_sub(most).min(FEW);
        let tokens = self.tokens_by_age.iter().take(of(self.tokens.len(), limits::TOKENS));
        let failures = self.failures_by_age.iter().take(of(self.failures.len(), limits::FAILURES));
        let tokens = tokens.map(|(_, token)| Key::Token(token.clone()));
        tokens.chain(failures.map(|(_, id)| Key::Failure(*id))).collect()
    }

    /// All rows, for tests and for who looks after the store.
    pub fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        let groups = self.groups.values().cloned().map(Row::Group);
        let schedules = self.schedules.values().cloned().map(Row::Schedule);
        let invocations = self.invocations.values().cloned().map(Row::Invocation);
        let failures = self.failures.values().cloned().map(Row::Failure);
        let tokens = self.tokens.values().cloned().map(Row::Token);
        groups.chain(schedules).chain(invocations).chain(failures).chain(tokens)
    }

    fn put_schedule(&mut self, row: &Arc<ScheduleRow>) {
        if row.delete_after && row.is_complete() {
            self.agenda.mark(Mark::Schedule(row.id.clone()));
        }
        self.schedules.insert(row.id.clone(), row.clone());
    }

    fn delete_schedule(&mut self, id: &ScheduleId) {
        if self.schedules.remove(id).is_some() && self.invocations_of(id).next().is_some() {
            self.agenda.mark(Mark::Schedule(id.clone()));
        }
    }

    fn put_invocation(&mut self, row: &Arc<InvocationRow>) {
        if let Some(old) = self.invocations.insert(row.id, row.clone()) {
            self.uncount(&old);
        }
        self.of_schedule.insert((row.schedule.clone(), row.uid, row.id));
        if !row.waits {
            self.outbox.put(row.not_before, row.id);
        }
        // While rows are read, a schedule may come after its runs: they are looked at once more then.
        if self.schedule_of(row).is_none() {
            self.agenda.mark(Mark::Schedule(row.schedule.clone()));
        }
    }

    fn delete_invocation(&mut self, id: &Id128) {
        let Some(old) = self.invocations.remove(id) else { return };
        self.uncount(&old);
        let schedule = self.schedules.get(&old.schedule);
        if schedule.is_some_and(|row| row.delete_after && row.is_complete()) {
            self.agenda.mark(Mark::Schedule(old.schedule.clone()));
        }
    }

    fn uncount(&mut self, old: &InvocationRow) {
        self.of_schedule.remove(&(old.schedule.clone(), old.uid, old.id));
        if !old.waits {
            self.outbox.remove(old.not_before, old.id);
        }
    }

    fn forget_token(&mut self, token: &str) {
        if let Some(old) = self.tokens.remove(token) {
            self.tokens_by_age.remove(&(old.forget_at, old.token.clone()));
        }
    }

    fn forget_failure(&mut self, id: &Id128) {
        if let Some(old) = self.failures.remove(id) {
            self.failures_by_age.remove(&(old.failed_at, old.id));
        }
    }
}

impl Domain for Scheduler {
    type Rows = Row;
    type Mark = Mark;
    type Ports = Ports;

    const SERVICE: &'static str = "scheduler";
    const KEPT_MS: i64 = 3_600_000;
    const SHORTEST_MS: i64 = 1_000;

    fn new(_shard: &ShardId) -> Scheduler {
        Scheduler::default()
    }

    fn agenda(&self) -> &Agenda<Key, Mark> {
        &self.agenda
    }

    fn agenda_mut(&mut self) -> &mut Agenda<Key, Mark> {
        &mut self.agenda
    }

    fn timer(&self, key: &Key) -> Option<Timestamp> {
        match key {
            Key::Group(_) => None,
            Key::Schedule(id) => self.schedules.get(id)?.next.map(|next| next.at),
            Key::Invocation(id) => self.invocations.get(id).map(|row| plan::runs::looked_at(row)),
            Key::Failure(id) => self.failures.get(id).map(|row| row.forget_at),
            Key::Token(token) => self.tokens.get(token).map(|row| row.forget_at),
        }
    }

    fn take(&mut self, change: &Change) {
        match change {
            Change::Put(Row::Group(row)) => {
                if row.deleting {
                    self.agenda.mark(Mark::Group(row.name.clone()));
                }
                self.groups.insert(row.name.clone(), row.clone());
            }
            Change::Put(Row::Schedule(row)) => self.put_schedule(row),
            Change::Put(Row::Invocation(row)) => self.put_invocation(row),
            Change::Put(Row::Failure(row)) => {
                self.forget_failure(&row.id);
                self.failures_by_age.insert((row.failed_at, row.id));
                self.failures.insert(row.id, row.clone());
            }
            Change::Put(Row::Token(row)) => {
                self.forget_token(&row.token);
                self.tokens_by_age.insert((row.forget_at, row.token.clone()));
                self.tokens.insert(row.token.clone(), row.clone());
            }
            Change::Delete(Key::Group(name)) => {
                self.groups.remove(name);
            }
            Change::Delete(Key::Schedule(id)) => self.delete_schedule(id),
            Change::Delete(Key::Invocation(id)) => self.delete_invocation(id),
            Change::Delete(Key::Failure(id)) => self.forget_failure(id),
            Change::Delete(Key::Token(token)) => self.forget_token(token),
        }
    }

    fn due(txn: &mut Txn, key: Key) {
        match key {
            Key::Schedule(id) => plan::runs::due(txn, &id),
            Key::Invocation(id) => plan::runs::look(txn, id),
            Key::Failure(_) | Key::Token(_) => txn.delete(key),
            Key::Group(_) => {}
        }
    }

    fn settle(txn: &mut Txn, mark: Mark) {
        match mark {
            Mark::Group(name) => plan::ends::group(txn, name),
            Mark::Schedule(id) => plan::ends::schedule(txn, id),
        }
    }

    fn marked(&self, mark: &Mark) -> Key {
        match mark {
            Mark::Group(name) => Key::Group(name.clone()),
            Mark::Schedule(id) => Key::Schedule(id.clone()),
        }
    }

    fn forgets(&self, key: &Key) -> bool {
        matches!(key, Key::Failure(_) | Key::Token(_))
    }

    fn set_back(txn: &mut Txn, key: Key) {
        plan::clock::set_back(txn, key);
    }
}

impl Sends for Scheduler {
    fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    fn call(&self, id: Id128) -> Option<Call> {
        let run = self.invocations.get(&id).filter(|run| !run.waits)?;
        Some(plan::call::of(self.schedule_of(run)?, run))
    }

    fn carried_out(txn: &mut Txn, id: Id128, outcome: Result<serde_json::Value, Error>) {
        plan::outcome::carried_out(txn, id, outcome);
    }

    fn given_up(&self, key: &Key) -> Option<GivenUp> {
        let Key::Failure(id) = key else { return None };
        self.failures.get(id).map(|row| GivenUp {
            at: row.failed_at,
            for_whom: row.schedule_arn.clone(),
            what: row.target_arn.clone(),
            times: row.runs,
            attempts: row.attempts,
            code: row.error.code.clone(),
            message: row.error.message.clone(),
            limit: row.exhausted.clone(),
        })
    }

    fn all_given_up(&self) -> Vec<Key> {
        self.failures().map(|row| Key::Failure(row.id)).collect()
    }
}

impl Api for Scheduler {
    fn schema() -> &'static schema::Service {
        &scheduler_model::SERVICE
    }

    fn operations() -> &'static [Operation<Handler<Scheduler>>] {
        api::OPERATIONS
    }

    fn ports(others: &Arc<dyn Others>) -> Ports {
        others.clone()
    }
}
