//! The operations: what each is done by, and what of it is refused or without effect. Dispatch and the page of support
//! read this table, so that they cannot disagree.

use scheduler_model::SERVICE;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use wire::{Error, schema};

use crate::{
    Ctx, Scheduler, Txn,
    commands::{groups, schedules, tags},
    describe,
};

/// One operation.
pub struct Operation {
    pub name: &'static str,
    pub handler: Handler,
    /// Members of the input that are refused by name.
    pub refused: &'static [&'static str],
    /// Members that are taken and do nothing yet, and why.
    pub no_effect: &'static [(&'static str, &'static str)],
}

/// Who carries an operation out, from a validated input to an output in JSON.
pub enum Handler {
    /// It changes rows: the shard's writer calls it.
    Command(fn(&mut Txn, Value) -> Result<Value, Error>),
    /// It reads the newest snapshot.
    Read(fn(&Scheduler, &Ctx, Value) -> Result<Value, Error>),
}

const NO_QUEUE: (&str, &str) = (
    "Target.DeadLetterConfig",
    "queues are not built yet; an invocation that failed is kept for 14 days and told to the operator",
);

macro_rules! command {
    ($name:literal, $run:path, $refused:expr, $no_effect:expr) => {
        Operation {
            name: $name,
            handler: Handler::Command(|txn, input| written($run(txn, read(input)?)?)),
            refused: $refused,
            no_effect: $no_effect,
        }
    };
    ($name:literal, $run:path) => {
        command!($name, $run, &[], &[])
    };
}

macro_rules! reads {
    ($name:literal, $run:path) => {
        Operation {
            name: $name,
            handler: Handler::Read(|state, ctx, input| written($run(state, ctx, &read(input)?)?)),
            refused: &[],
            no_effect: &[],
        }
    };
}

/// The table: all operations of the model.
pub static OPERATIONS: &[Operation] = &[
    command!("CreateSchedule", schedules::create_schedule, &["KmsKeyArn"], &[NO_QUEUE]),
    command!("CreateScheduleGroup", groups::create_schedule_group),
    command!("DeleteSchedule", schedules::delete_schedule),
    command!("DeleteScheduleGroup", groups::delete_schedule_group),
    reads!("GetSchedule", describe::schedules::get_schedule),
    reads!("GetScheduleGroup", describe::groups::get_schedule_group),
    reads!("ListScheduleGroups", describe::groups::list_schedule_groups),
    reads!("ListSchedules", describe::schedules::list_schedules),
    reads!("ListTagsForResource", describe::groups::list_tags_for_resource),
    command!("TagResource", tags::tag_resource),
    command!("UntagResource", tags::untag_resource),
    command!("UpdateSchedule", schedules::update_schedule, &["KmsKeyArn"], &[NO_QUEUE]),
];

/// The service's model.
pub fn schema() -> &'static schema::Service {
    &SERVICE
}

/// An operation by name.
pub fn operation(name: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|operation| operation.name == name)
}

fn read<T: DeserializeOwned>(input: Value) -> Result<T, Error> {
    serde_json::from_value(input)
        .map_err(|error| Error::internal(format!("The input cannot be read: {error}")))
}

fn written(output: impl Serialize) -> Result<Value, Error> {
    serde_json::to_value(output)
        .map_err(|error| Error::internal(format!("The output cannot be written: {error}")))
}
