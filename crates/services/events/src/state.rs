//! The state of one account and region: its rows, and the indexes derived from them. `Events::take` is the only
//! place that changes either. Cloning is cheap (persistent maps).

mod followed;

use std::sync::{Arc, LazyLock};

use imbl::{OrdMap, OrdSet};
use state::{
    Agenda, Domain, Id128, Row as _, ShardId,
    api::{Api, Handler, Operation},
    outbox::{Call, GivenUp, Outbox, Sends},
    port::Others,
};
use wire::{Error, Timestamp, schema};

use crate::{
    api,
    arn::DEFAULT,
    limits,
    pattern::{Matcher, Pattern},
    plan,
    rows::*,
    transform::{Input, Wanted},
};

/// A command at work.
pub type Txn<'a> = state::Txn<'a, Events>;

/// What is settled on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// An event has not reached all its targets yet.
    Arrival(Id128),
}

/// A target, and what it gets of an event.
#[derive(Debug, Clone)]
pub struct Target {
    /// As it is stored.
    pub row: Arc<TargetRow>,
    /// None if its input cannot be read any more.
    pub input: Option<Input>,
}

/// EventBridge in one account and region.
#[derive(Debug, Clone, Default)]
pub struct Events {
    buses: OrdMap<String, Arc<BusRow>>,
    policies: OrdMap<String, Arc<PolicyRow>>,
    rules: OrdMap<RuleKey, Arc<RuleRow>>,
    /// How many rules a bus has.
    rule_counts: OrdMap<String, usize>,
    /// The patterns of the rules of a bus that are enabled.
    matchers: OrdMap<String, Matcher<String>>,
    targets: OrdMap<TargetKey, Target>,
    /// Bus, ARN of a target, rule, and its id.
    by_arn: OrdSet<(String, String, String, String)>,
    schedules: OrdMap<String, Arc<ScheduleRow>>,
    arrivals: OrdMap<Id128, Arc<ArrivalRow>>,
    deliveries: OrdMap<Id128, Arc<DeliveryRow>>,
    delivery_bytes: usize,
    outbox: Outbox,
    senders: OrdMap<String, Arc<SenderRow>>,
    /// Rules of the default event bus that are enabled and may match events of a source, of the sources of domains.
    listeners: OrdMap<&'static str, OrdSet<String>>,
    follow: Option<Arc<FollowRow>>,
    passed: OrdMap<u64, Arc<PassedRow>>,
    passed_bytes: usize,
    dead_letters: OrdMap<u64, Arc<DeadLetterRow>>,
    dead_letter_bytes: usize,
    agenda: Agenda<Key, Mark>,
}

static DEFAULT_BUS: LazyLock<Arc<BusRow>> =
    LazyLock::new(|| Arc::new(BusRow { name: DEFAULT.to_owned(), ..BusRow::default() }));

impl Events {
    /// An event bus; the default one is always there.
    pub fn bus(&self, name: &str) -> Option<&Arc<BusRow>> {
        self.buses.get(name).or_else(|| (name == DEFAULT).then(|| &*DEFAULT_BUS))
    }

    /// All event buses whose names are greater than `after`, in order.
    pub fn buses_after(&self, after: &str) -> impl Iterator<Item = &Arc<BusRow>> {
        let implied = (!self.buses.contains_key(DEFAULT) && after < DEFAULT).then(|| &*DEFAULT_BUS);
        let mut rest = after_key(&self.buses, after.to_owned()).map(|(_, row)| row).peekable();
        let mut implied = implied.into_iter().peekable();
        std::iter::from_fn(move || match (implied.peek(), rest.peek()) {
            (Some(bus), Some(next)) if bus.name < next.name => implied.next(),
            (Some(_), None) => implied.next(),
            _ => rest.next(),
        })
    }

    /// How many event buses there are, the default one not counted.
    pub fn bus_count(&self) -> usize {
        self.buses.len() - usize::from(self.buses.contains_key(DEFAULT))
    }

    /// The resource policy of an event bus.
    pub fn policy(&self, bus: &str) -> Option<&Arc<PolicyRow>> {
        self.policies.get(bus)
    }

    /// A rule.
    pub fn rule(&self, bus: &str, name: &str) -> Option<&Arc<RuleRow>> {
        self.rules.get(&(bus.to_owned(), name.to_owned()))
    }

    /// The rules of a bus whose names are greater than `after`, in order.
    pub fn rules_after<'a>(&'a self, bus: &'a str, after: &str) -> impl Iterator<Item = &'a Arc<RuleRow>> {
        let rest = after_key(&self.rules, (bus.to_owned(), after.to_owned())).map(|(_, row)| row);
        rest.take_while(move |row| row.bus == bus)
    }

    /// How many rules a bus has.
    pub fn rule_count(&self, bus: &str) -> usize {
        self.rule_counts.get(bus).copied().unwrap_or(0)
    }

    /// The patterns of a bus's rules that are enabled.
    pub fn matcher(&self, bus: &str) -> Option<&Matcher<String>> {
        self.matchers.get(bus)
    }

    /// A target.
    pub fn target(&self, key: &TargetKey) -> Option<&Target> {
        self.targets.get(key)
    }

    /// The targets of a rule whose ids are greater than `after`, in order.
    pub fn targets_after<'a>(&'a self, rule: &'a RuleKey, after: &str) -> impl Iterator<Item = &'a Target> {
        let rest = after_key(&self.targets, (rule.clone(), after.to_owned()));
        rest.take_while(move |((of, _), _)| of == rule).map(|(_, target)| target)
    }

    /// The names of a bus's rules that have a target of that ARN and are greater than `after`, each once, in order.
    pub fn rules_by_target<'a>(
        &'a self,
        bus: &'a str,
        arn: &'a str,
        after: &str,
    ) -> impl Iterator<Item = &'a str> {
        use std::ops::Bound::{Excluded, Unbounded};
        // An id holds nothing that sorts behind this.
        let last = char::MAX.to_string();
        let from = Excluded((bus.to_owned(), arn.to_owned(), after.to_owned(), last));
        let of = self.by_arn.range((from, Unbounded)).take_while(move |key| key.0 == bus && key.1 == arn);
        let mut previous = None;
        of.map(|key| key.2.as_str()).filter(move |name| previous.replace(*name) != Some(*name))
    }

    /// When a rule runs next.
    pub fn schedule(&self, rule: &str) -> Option<&Arc<ScheduleRow>> {
        self.schedules.get(rule)
    }

    /// An event that has not reached all its targets.
    pub fn arrival(&self, id: Id128) -> Option<&Arc<ArrivalRow>> {
        self.arrivals.get(&id)
    }

    /// A delivery that waits.
    pub fn delivery(&self, id: Id128) -> Option<&Arc<DeliveryRow>> {
        self.deliveries.get(&id)
    }

    /// All deliveries that wait.
    pub fn deliveries(&self) -> impl Iterator<Item = &Arc<DeliveryRow>> {
        self.deliveries.values()
    }

    /// Up to where a sender's events were taken.
    pub fn taken(&self, sender: &str) -> Option<u64> {
        self.senders.get(sender).map(|row| row.sequence)
    }

    /// Deliveries that were given up, the oldest first.
    pub fn dead_letters(&self) -> impl DoubleEndedIterator<Item = &Arc<DeadLetterRow>> {
        self.dead_letters.values()
    }

    /// The oldest of them, if there are more than are remembered.
    pub fn surplus(&self) -> Option<u64> {
        let many = self.dead_letters.len() > limits::DEAD_LETTERS
            || (self.dead_letter_bytes > limits::DEAD_LETTER_BYTES && self.dead_letters.len() > 1);
        self.dead_letters.get_min().filter(|_| many).map(|(number, _)| *number)
    }

    /// Whether one more delivery may wait.
    pub fn has_room(&self) -> bool {
        self.deliveries.len() < limits::DELIVERIES && self.delivery_bytes < limits::DELIVERY_BYTES
    }

    /// Whether one more event may come.
    pub fn takes_events(&self) -> bool {
        self.has_room() && self.arrivals.len() < limits::ARRIVALS
    }

    fn put_rule(&mut self, row: &Arc<RuleRow>) {
        let pattern = row.pattern.as_deref().filter(|_| row.enabled);
        let pattern = pattern.and_then(|pattern| Pattern::parse(pattern).ok());
        self.set_listener(&row.bus, &row.name, pattern.as_ref());
        let matcher = self.matchers.entry(row.bus.clone()).or_default();
        matcher.remove(&row.name);
        if let Some(pattern) = pattern {
            matcher.insert(row.name.clone(), Arc::new(pattern));
        }
        if self.rules.insert(row.key(), row.clone()).is_none() {
            *self.rule_counts.entry(row.bus.clone()).or_default() += 1;
        }
    }

    fn delete_rule(&mut self, key: &RuleKey) {
        let Some(row) = self.rules.remove(key) else { return };
        if let Some(matcher) = self.matchers.get_mut(&row.bus) {
            matcher.remove(&row.name);
        }
        self.set_listener(&row.bus, &row.name, None);
        let left = self.rule_count(&row.bus).saturating_sub(1);
        if left == 0 {
            self.matchers.remove(&row.bus);
            self.rule_counts.remove(&row.bus);
        } else {
            self.rule_counts.insert(row.bus.clone(), left);
        }
    }

    fn put_target(&mut self, row: &Arc<TargetRow>) {
        self.delete_target(&row.key());
        self.by_arn.insert(by_arn(row));
        self.targets.insert(row.key(), Target { row: row.clone(), input: input(row).ok() });
    }

    fn delete_target(&mut self, key: &TargetKey) {
        if let Some(old) = self.targets.remove(key) {
            self.by_arn.remove(&by_arn(&old.row));
        }
    }

    fn put_delivery(&mut self, row: &Arc<DeliveryRow>) {
        self.delete_delivery(row.id);
        self.delivery_bytes += row.weight();
        self.outbox.put(row.not_before, row.id);
        self.deliveries.insert(row.id, row.clone());
    }

    fn delete_delivery(&mut self, id: Id128) {
        if let Some(old) = self.deliveries.remove(&id) {
            self.delivery_bytes -= old.weight();
            self.outbox.remove(old.not_before, id);
        }
    }

    fn put_dead_letter(&mut self, row: &Arc<DeadLetterRow>) {
        self.delete_dead_letter(row.number);
        self.dead_letter_bytes += row.weight();
        self.dead_letters.insert(row.number, row.clone());
    }

    fn delete_dead_letter(&mut self, number: u64) {
        if let Some(old) = self.dead_letters.remove(&number) {
            self.dead_letter_bytes -= old.weight();
        }
    }
}

fn by_arn(row: &TargetRow) -> (String, String, String, String) {
    (row.bus.clone(), row.arn.clone(), row.rule.clone(), row.id.clone())
}

/// What a target gets of an event.
///
/// # Errors
/// Why it cannot be.
pub fn input(row: &TargetRow) -> Result<Input, crate::transform::Error> {
    let no_paths = std::collections::BTreeMap::new();
    let transformer = row.transformer.as_ref();
    let wanted = Wanted {
        input: row.input.as_deref(),
        input_path: row.input_path.as_deref(),
        input_transformer: transformer
            .map(|input| (input.paths.as_ref().unwrap_or(&no_paths), input.template.as_str())),
    };
    Input::new(&row.id, wanted)
}

/// What follows a key.
fn after_key<K: Ord + Clone, V: Clone>(
    map: &OrdMap<K, V>,
    key: K,
) -> impl DoubleEndedIterator<Item = (&K, &V)> {
    use std::ops::Bound::{Excluded, Unbounded};
    map.range((Excluded(key), Unbounded))
}

impl Domain for Events {
    type Rows = Row;
    type Mark = Mark;
    type Ports = Arc<dyn Others>;

    const SERVICE: &'static str = "events";
    const KEPT_MS: i64 = limits::KEPT_MS;
    const SHORTEST_MS: i64 = limits::SHORTEST_MS;

    fn new(_shard: &ShardId) -> Events {
        Events::default()
    }

    fn agenda(&self) -> &Agenda<Key, Mark> {
        &self.agenda
    }

    fn agenda_mut(&mut self) -> &mut Agenda<Key, Mark> {
        &mut self.agenda
    }

    fn timer(&self, key: &Key) -> Option<Timestamp> {
        match key {
            Key::Schedule(rule) => self.schedules.get(rule).map(|row| row.next),
            Key::Delivery(id) => self.deliveries.get(id).map(|row| row.ends),
            Key::Follow(()) => self.follow.as_ref().map(|row| row.until.plus_millis(limits::PASSED_KEPT_MS)),
            _ => None,
        }
    }

    fn take(&mut self, change: &Change) {
        match change {
            Change::Put(Row::Bus(row)) => drop(self.buses.insert(row.name.clone(), row.clone())),
            Change::Put(Row::Policy(row)) => drop(self.policies.insert(row.bus.clone(), row.clone())),
            Change::Put(Row::Rule(row)) => self.put_rule(row),
            Change::Put(Row::Target(row)) => self.put_target(row),
            Change::Put(Row::Schedule(row)) => drop(self.schedules.insert(row.rule.clone(), row.clone())),
            Change::Put(Row::Arrival(row)) => {
                self.agenda.mark(Mark::Arrival(row.id));
                self.arrivals.insert(row.id, row.clone());
            }
            Change::Put(Row::Delivery(row)) => self.put_delivery(row),
            Change::Put(Row::Sender(row)) => drop(self.senders.insert(row.sender.clone(), row.clone())),
            Change::Put(Row::Follow(row)) => self.follow = Some(row.clone()),
            Change::Put(Row::Passed(row)) => self.put_passed(row),
            Change::Put(Row::DeadLetter(row)) => self.put_dead_letter(row),
            Change::Delete(Key::Bus(name)) => drop(self.buses.remove(name)),
            Change::Delete(Key::Policy(bus)) => drop(self.policies.remove(bus)),
            Change::Delete(Key::Rule(key)) => self.delete_rule(key),
            Change::Delete(Key::Target(key)) => self.delete_target(key),
            Change::Delete(Key::Schedule(rule)) => drop(self.schedules.remove(rule)),
            Change::Delete(Key::Arrival(id)) => drop(self.arrivals.remove(id)),
            Change::Delete(Key::Delivery(id)) => self.delete_delivery(*id),
            Change::Delete(Key::Sender(sender)) => drop(self.senders.remove(sender)),
            Change::Delete(Key::Follow(())) => self.follow = None,
            Change::Delete(Key::Passed(number)) => self.delete_passed(*number),
            Change::Delete(Key::DeadLetter(number)) => self.delete_dead_letter(*number),
        }
    }

    fn due(txn: &mut Txn, key: Key) {
        match key {
            Key::Schedule(rule) => plan::schedule::run(txn, &rule),
            Key::Delivery(id) => plan::outcome::expire(txn, id),
            Key::Follow(()) => plan::follow::expire(txn),
            // It was set aside.
            Key::Arrival(id) => txn.mark(Mark::Arrival(id)),
            _ => {}
        }
    }

    fn settle(txn: &mut Txn, mark: Mark) {
        let Mark::Arrival(id) = mark;
        plan::deliver::go_on(txn, id);
    }

    fn marked(&self, mark: &Mark) -> Key {
        let Mark::Arrival(id) = mark;
        Key::Arrival(*id)
    }

    fn forgets(&self, key: &Key) -> bool {
        matches!(key, Key::Delivery(_))
    }

    fn set_back(txn: &mut Txn, key: Key) {
        match key {
            Key::Schedule(rule) => plan::schedule::set_back(txn, &rule),
            Key::Delivery(id) => plan::outcome::set_back(txn, id),
            Key::Follow(()) => plan::follow::set_back(txn),
            _ => {}
        }
    }
}

impl Sends for Events {
    fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    fn call(&self, id: Id128) -> Option<Call> {
        self.deliveries.get(&id).map(|row| plan::call::next(row))
    }

    fn carried_out(txn: &mut Txn, id: Id128, outcome: Result<serde_json::Value, Error>) {
        plan::outcome::carried_out(txn, id, outcome);
    }

    fn given_up(&self, key: &Key) -> Option<GivenUp> {
        let Key::DeadLetter(number) = key else { return None };
        self.dead_letters.get(number).map(|row| GivenUp {
            at: row.at,
            for_whom: format!("target {} of rule {} on event bus {}", row.target, row.rule, row.bus),
            what: row
                .call
                .as_ref()
                .map_or_else(String::new, |call| format!("{}:{}", call.service, call.operation)),
            times: 1,
            attempts: row.attempts,
            code: row.code.clone(),
            message: row.message.clone(),
            limit: row.exhausted.clone(),
        })
    }

    fn all_given_up(&self) -> Vec<Key> {
        self.dead_letters.keys().rev().copied().map(Key::DeadLetter).collect()
    }
}

impl Api for Events {
    fn schema() -> &'static schema::Service {
        &events_model::SERVICE
    }

    fn operations() -> &'static [Operation<Handler<Events>>] {
        api::OPERATIONS
    }

    fn ports(others: &Arc<dyn Others>) -> Arc<dyn Others> {
        others.clone()
    }
}
