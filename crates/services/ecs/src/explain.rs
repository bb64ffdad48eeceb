//! Why something is in its state: what it waits for, since when, how many container instances each filter of placement
//! refuses, and what would change it. `roadstead explain` shows it. ECS's own sentence comes first where it has one: the
//! same one stands in the events of a service and in a task's `stoppedReason`.
//!
//! A look by a person: unlike any step it may look at every container instance of the cluster.

mod daemon;
mod deployment;
mod instance;
mod refusals;
mod service;
mod stage;
mod task;
mod task_sets;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use wire::{Error, Timestamp};

use crate::{Account, Cluster, Ctx};

/// What is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Task,
    Service,
    /// A service deployment.
    Deployment,
    /// A container instance.
    Instance,
    /// A managed daemon.
    Daemon,
}

/// Why something is in its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Its kind and name.
    pub what: String,
    /// In ECS's words, and what it shall be where that is another.
    pub state: String,
    /// When it came into that state, in ISO 8601, where that is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<String>,
    /// Why, in sentences.
    pub because: Vec<String>,
    /// What has to happen before it goes on; empty where nothing is outstanding.
    pub waits_for: Vec<String>,
    /// Why the container instances of the cluster do not take a task that waits for room.
    pub refused: Vec<Refusals>,
    /// What would change it.
    pub would_change: Vec<String>,
}

/// How many container instances one filter of placement refuses; each is counted once, by the first filter that does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusals {
    /// As RunTask names it in its failures.
    pub reason: String,
    pub container_instances: usize,
}

/// Looks at the state of a cluster.
#[derive(Clone, Copy)]
struct Look<'a> {
    state: &'a Cluster,
    account: &'a Account,
    ctx: &'a Ctx,
}

/// Explains what is named by its id, name or ARN.
///
/// # Errors
/// As the operation that describes it gives for a name that is none; the exceptions of what is not there.
pub fn explain(
    state: &Cluster,
    account: &Account,
    ctx: &Ctx,
    kind: Kind,
    named: &str,
) -> Result<Explanation, Error> {
    let look = Look { state, account, ctx };
    match kind {
        Kind::Task => task::explain(look, named),
        Kind::Service => service::explain(look, named),
        Kind::Deployment => deployment::explain(look, named),
        Kind::Instance => instance::explain(look, named),
        Kind::Daemon => daemon::explain(look, named),
    }
}

impl Explanation {
    fn new(what: String, state: String, since: Option<Timestamp>) -> Explanation {
        Explanation {
            what,
            state,
            since: since.map(Timestamp::to_iso8601),
            because: Vec::new(),
            waits_for: Vec::new(),
            refused: Vec::new(),
            would_change: Vec::new(),
        }
    }
}

/// `1 task`, `3 tasks`.
fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
