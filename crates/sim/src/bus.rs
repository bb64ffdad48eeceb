//! The event bus of the control plane, and beside it somebody who writes down what it takes: each number of a sender once,
//! and the statuses of each task in order.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use server::runtime::{Place, carrier::EventBus};
use state::contract::EventOut;
use wire::{Error, Timestamp};

use crate::{breaks::Break, world::World};

/// Statuses in the order of a task's life.
const LIFE: [&str; 8] = [
    "PROVISIONING",
    "PENDING",
    "ACTIVATING",
    "RUNNING",
    "DEACTIVATING",
    "STOPPING",
    "DEPROVISIONING",
    "STOPPED",
];

/// What was taken so far.
#[derive(Debug, Default)]
pub struct Heard {
    /// The highest number, by sender.
    taken: BTreeMap<String, u64>,
    /// By ARN, the last status of each task and the one that was wanted.
    tasks: BTreeMap<String, (String, String)>,
    /// What happened to each task last, where that is told late.
    details: BTreeMap<String, serde_json::Value>,
    /// Ids of events that a rule's log group is to have.
    pub to_deliver: Vec<String>,
    /// That rule is there, and whoever made it knows.
    pub rule_stands: bool,
    /// Since when.
    pub rule_stood_at: Timestamp,
}

impl Heard {
    /// What was told last of a task.
    pub fn last_of(&self, arn: &str) -> Option<(&str, &str)> {
        self.tasks.get(arn).map(|(last, desired)| (last.as_str(), desired.as_str()))
    }

    fn take(
        &mut self,
        sender: &str,
        events: &[Arc<EventOut>],
        up_to: u64,
        delivers: bool,
    ) -> Result<u64, String> {
        let before = self.taken.get(sender).copied().unwrap_or(0);
        let new = events.iter().filter(|event| event.sequence > before && event.sequence <= up_to);
        let mut many = 0;
        for event in new {
            many += 1;
            self.taken.insert(sender.to_owned(), event.sequence);
            if delivers {
                self.to_deliver.push(event.id.clone());
            }
            if event.detail_type != "ECS Task State Change" {
                continue;
            }
            let text = |name: &str| event.detail[name].as_str().unwrap_or_default().to_owned();
            let told = (text("lastStatus"), text("desiredStatus"));
            let rank = |status: &str| LIFE.iter().position(|known| *known == status);
            let before = self.tasks.insert(text("taskArn"), told.clone());
            if before.as_ref().is_some_and(|before| rank(&before.0) > rank(&told.0)) {
                return Err(format!("after {before:?} was told {told:?} of {}", event.detail["taskArn"]));
            }
        }
        Ok(many)
    }
}

/// A bus that is observed.
pub struct Observed {
    world: Arc<World>,
    bus: Arc<dyn EventBus>,
}

impl Observed {
    /// Observes one.
    pub fn new(world: &Arc<World>, bus: Arc<dyn EventBus>) -> Observed {
        Observed { world: world.clone(), bus }
    }
}

#[async_trait]
impl EventBus for Observed {
    fn listens(&self, place: &Place, source: &'static str, now: Timestamp) -> bool {
        !self.world.has(Break::BusNotAsked) && self.bus.listens(place, source, now)
    }

    async fn accept(
        &self,
        place: &Place,
        sender: String,
        mut events: Vec<Arc<EventOut>>,
    ) -> Result<Option<u64>, Error> {
        if self.world.has(Break::EventsDropped) && self.world.percent(5) {
            return Ok(events.last().map(|event| event.sequence));
        }
        if self.world.has(Break::EventsStale) {
            events = events.into_iter().map(|event| self.stale(event)).collect();
        }
        // What comes to the bus from now on meets the rule.
        let delivers = self.world.bus.lock().rule_stands;
        let taken = self.bus.accept(place, sender.clone(), events.clone()).await?;
        if let Some(up_to) = taken {
            let heard = self.world.bus.lock().take(&sender, &events, up_to, delivers);
            match heard {
                Ok(many) => self.world.outcome(|outcome| outcome.events += many),
                Err(what) => self.world.fail(what),
            }
        }
        Ok(taken)
    }

    async fn forget(&self, place: &Place, sender: String) -> Result<(), Error> {
        self.bus.forget(place, sender).await
    }
}

impl Observed {
    /// Now and then what was told of the same task before.
    fn stale(&self, event: Arc<EventOut>) -> Arc<EventOut> {
        let mut bus = self.world.bus.lock();
        let Some(task) = event.detail["taskArn"].as_str() else { return event };
        let before = bus.details.insert(task.to_owned(), event.detail.clone());
        match before.filter(|_| self.world.percent(10)) {
            Some(detail) => Arc::new(EventOut { detail, ..event.as_ref().clone() }),
            None => event,
        }
    }
}
