//! The operations: what each is done by, what of it is refused or without effect, and what it is authorised on, from
//! the [service authorization reference](https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridgescheduler.html).

use serde_json::Value;
use state::{
    api::{
        Condition::{Member, Tags},
        Handler, Operation, text,
    },
    read, write,
};

use crate::{
    Ctx, Scheduler, arn,
    commands::{groups, schedules, tags},
    describe,
};

const NO_QUEUE: (&str, &str) = (
    "Target.DeadLetterConfig",
    "queues are not built yet; an invocation that failed is kept for 14 days and told to the operator",
);

/// The table: all operations of the model.
pub static OPERATIONS: &[Operation<Handler<Scheduler>>] = &[
    Operation::new("CreateSchedule", write!(schedules::create_schedule))
        .growing()
        .on(schedule)
        .refusing(&["KmsKeyArn"])
        .without_effect(&[NO_QUEUE]),
    Operation::new("CreateScheduleGroup", write!(groups::create_schedule_group))
        .growing()
        .on(group)
        .with(&[Tags("Tags")]),
    Operation::new("DeleteSchedule", write!(schedules::delete_schedule)).on(schedule),
    Operation::new("DeleteScheduleGroup", write!(groups::delete_schedule_group)).on(group),
    Operation::new("GetSchedule", read!(describe::schedules::get_schedule)).on(schedule),
    Operation::new("GetScheduleGroup", read!(describe::groups::get_schedule_group)).on(group),
    Operation::new("ListScheduleGroups", read!(describe::groups::list_schedule_groups)),
    Operation::new("ListSchedules", read!(describe::schedules::list_schedules)),
    Operation::new("ListTagsForResource", read!(describe::groups::list_tags_for_resource)).on(tagged),
    Operation::new("TagResource", write!(tags::tag_resource)).growing().on(tagged).with(&[Tags("Tags")]),
    Operation::new("UntagResource", write!(tags::untag_resource))
        .on(tagged)
        .with(&[Member("aws:TagKeys", "TagKeys")]),
    Operation::new("UpdateSchedule", write!(schedules::update_schedule))
        .growing()
        .on(schedule)
        .refusing(&["KmsKeyArn"])
        .without_effect(&[NO_QUEUE]),
];

/// The schedule of `Name`, in the group of `GroupName` or the default one.
fn schedule(ctx: &Ctx, input: &Value) -> Vec<String> {
    let group = text(input, "GroupName").unwrap_or(arn::DEFAULT_GROUP);
    vec![arn::schedule(ctx, group, text(input, "Name").unwrap_or_default())]
}

/// The group of `Name`.
fn group(ctx: &Ctx, input: &Value) -> Vec<String> {
    vec![arn::group(ctx, text(input, "Name").unwrap_or_default())]
}

/// What `ResourceArn` names.
fn tagged(_ctx: &Ctx, input: &Value) -> Vec<String> {
    vec![text(input, "ResourceArn").unwrap_or_default().to_owned()]
}
