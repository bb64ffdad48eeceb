//! Log groups as targets of rules see them: somebody behind the gate who takes what is delivered, fails now and then, and
//! remembers which events came.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use server::gate::{Call, Service, Support};
use wire::{Error, schema};

use crate::{breaks::Break, world::World};

/// The ids of the events that came.
#[derive(Default)]
pub struct Delivered(Mutex<BTreeSet<String>>);

impl Delivered {
    /// Whether an event came.
    pub fn has(&self, id: &str) -> bool {
        self.0.lock().contains(id)
    }
}

/// See the module.
pub struct LogGroups {
    world: Arc<World>,
    schema: &'static schema::Service,
    support: &'static Support,
}

impl LogGroups {
    /// The log groups of a world.
    pub fn new(world: &Arc<World>) -> LogGroups {
        let [_, _, (schema, support), _] = server::services::support();
        LogGroups { world: world.clone(), schema, support }
    }
}

#[async_trait]
impl Service for LogGroups {
    fn schema(&self) -> &'static schema::Service {
        self.schema
    }

    fn support(&self) -> &'static Support {
        self.support
    }

    async fn call(&self, call: Call) -> Result<Bytes, Error> {
        self.world.pause(1, 50).await;
        if self.world.strikes(10) {
            return Err(Error::new("ServiceUnavailableException", 503, "not now"));
        }
        if call.operation.name == "PutLogEvents" {
            for event in call.input["logEvents"].as_array().into_iter().flatten() {
                let message = event["message"].as_str().unwrap_or_default();
                let event: serde_json::Value = serde_json::from_str(message).unwrap_or_default();
                let skipped = self.world.has(Break::TargetsSkipped) && self.world.percent(5);
                if let Some(id) = event["id"].as_str().filter(|_| !skipped) {
                    self.world.delivered.0.lock().insert(id.to_owned());
                }
            }
        }
        // It heard of it, and nobody hears that it did.
        if self.world.strikes(5) {
            return Err(Error::new("ServiceUnavailableException", 503, "the answer is lost"));
        }
        Ok(Bytes::from_static(b"{}"))
    }
}
