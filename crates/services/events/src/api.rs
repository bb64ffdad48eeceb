//! What is offered: the table of operations, each with its handler, what of its members is not built or has no
//! effect, and whose permission it takes.
//!
//! Commands work on a [`Txn`], reads on a snapshot. Inputs meet the model's constraints when they come here.

pub mod buses;
pub mod permissions;
pub mod put_events;
pub mod rules;
pub mod tags;
mod target;
pub mod targets;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use state::Ctx;
use wire::Error;

use crate::{
    describe,
    state::{Events, Txn},
};

/// One operation.
#[derive(Debug)]
pub struct Operation {
    /// Its name in the model.
    pub name: &'static str,
    /// What carries it out.
    pub run: Run,
    /// Which resource a caller must be allowed it on.
    pub resource: Resource,
    /// Members that are refused where they ask for something.
    pub refused: &'static [&'static str],
    /// Members that are taken and have no effect, and why.
    pub without_effect: &'static [(&'static str, &'static str)],
}

/// What carries an operation out: input and output are JSON as the model has them.
#[derive(Debug, Clone, Copy)]
pub enum Run {
    /// A command, to the writer.
    Command(fn(&mut Txn, Value) -> Result<Value, Error>),
    /// A look at a snapshot.
    Read(fn(&Events, &Ctx, Value) -> Result<Value, Error>),
}

/// Which resource an operation is about.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridge.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// None, or all.
    Any,
    /// The event bus of the member of that name; the default one if it is not there.
    Bus(&'static str),
    /// The event bus of each entry.
    EntryBuses,
    /// The rule of that member, on the event bus of `EventBusName`.
    Rule(&'static str),
    /// What `ResourceARN` names.
    Tagged,
}

impl Operation {
    /// The operation of that name.
    pub fn named(name: &str) -> Option<&'static Operation> {
        OPERATIONS.iter().find(|operation| operation.name == name)
    }
}

macro_rules! command {
    ($name:literal, $path:path, $resource:expr) => {
        command!($name, $path, $resource, [], [])
    };
    ($name:literal, $path:path, $resource:expr, [$($refused:literal),*], [$($idle:expr),*]) => {
        Operation {
            name: $name,
            run: Run::Command(|txn, input| encode(&$path(txn, decode(input)?)?)),
            resource: $resource,
            refused: &[$($refused),*],
            without_effect: &[$($idle),*],
        }
    };
}

macro_rules! read {
    ($name:literal, $path:path, $resource:expr) => {
        Operation {
            name: $name,
            run: Run::Read(|state, ctx, input| encode(&$path(state, ctx, &decode(input)?)?)),
            resource: $resource,
            refused: &[],
            without_effect: &[],
        }
    };
}

use Resource::{Any, Bus, EntryBuses, Rule, Tagged};

const NO_ENCRYPTION: &str = "it is for events that cannot be encrypted, and nothing is";
const NO_TRACES: &str = "X-Ray is not built";

/// All that is built, by name.
pub static OPERATIONS: &[Operation] = &[
    command!(
        "CreateEventBus",
        buses::create_event_bus,
        Bus("Name"),
        ["KmsKeyIdentifier"],
        [("DeadLetterConfig", NO_ENCRYPTION)]
    ),
    command!("DeleteEventBus", buses::delete_event_bus, Bus("Name")),
    command!("DeleteRule", rules::delete_rule, Rule("Name")),
    read!("DescribeEventBus", describe::describe_event_bus, Bus("Name")),
    read!("DescribeRule", describe::describe_rule, Rule("Name")),
    command!("DisableRule", rules::disable_rule, Rule("Name")),
    command!("EnableRule", rules::enable_rule, Rule("Name")),
    read!("ListEventBuses", describe::list_event_buses, Any),
    read!("ListRuleNamesByTarget", describe::list_rule_names_by_target, Any),
    read!("ListRules", describe::list_rules, Any),
    read!("ListTagsForResource", describe::list_tags_for_resource, Tagged),
    read!("ListTargetsByRule", describe::list_targets_by_rule, Rule("Rule")),
    command!(
        "PutEvents",
        put_events::put_events,
        EntryBuses,
        ["EndpointId"],
        [("Entries.TraceHeader", NO_TRACES)]
    ),
    command!("PutPermission", permissions::put_permission, Bus("EventBusName")),
    command!("PutRule", rules::put_rule, Rule("Name")),
    command!("PutTargets", targets::put_targets, Rule("Rule")),
    command!("RemovePermission", permissions::remove_permission, Bus("EventBusName")),
    command!("RemoveTargets", targets::remove_targets, Rule("Rule")),
    command!("TagResource", tags::tag_resource, Tagged),
    read!("TestEventPattern", describe::test_event_pattern, Any),
    command!("UntagResource", tags::untag_resource, Tagged),
    command!(
        "UpdateEventBus",
        buses::update_event_bus,
        Bus("Name"),
        ["KmsKeyIdentifier"],
        [("DeadLetterConfig", NO_ENCRYPTION)]
    ),
];

fn decode<R: DeserializeOwned>(input: Value) -> Result<R, Error> {
    serde_json::from_value(input)
        .map_err(|error| Error::internal(format!("an input cannot be read: {error}")))
}

fn encode(output: &impl Serialize) -> Result<Value, Error> {
    serde_json::to_value(output).map_err(|error| Error::internal(error.to_string()))
}

#[cfg(test)]
mod tests;
