//! What is offered: the table of operations.
//!
//! Commands work on a [`Txn`](crate::state::Txn), reads on a snapshot. Inputs meet the model's constraints when they
//! come here. What an operation is authorised on is from the
//! [service authorization reference](https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridge.html).

mod access;
pub mod buses;
pub mod permissions;
pub mod put_events;
pub mod rules;
pub mod tags;
mod target;
pub mod targets;

use state::{
    api::{
        Condition::{Made, Member, Tags},
        Handler, Operation,
    },
    read, write,
};

use self::access::{bus, entry_buses, in_pattern, resource, rule};
use crate::{describe, state::Events};

const NO_ENCRYPTION: &str = "it is for events that cannot be encrypted, and nothing is";
const NO_TRACES: &str = "X-Ray is not built";

/// All that is built, by name.
pub static OPERATIONS: &[Operation<Handler<Events>>] = &[
    Operation::new("CreateEventBus", write!(buses::create_event_bus))
        .growing()
        .on(|ctx, input| bus(ctx, input, "Name"))
        .with(&[Tags("Tags")])
        .refusing(&["KmsKeyIdentifier"])
        .without_effect(&[("DeadLetterConfig", NO_ENCRYPTION)]),
    Operation::new("DeleteEventBus", write!(buses::delete_event_bus))
        .on(|ctx, input| bus(ctx, input, "Name")),
    Operation::new("DeleteRule", write!(rules::delete_rule)).on(|ctx, input| rule(ctx, input, "Name")),
    Operation::new("DescribeEventBus", read!(describe::describe_event_bus))
        .on(|ctx, input| bus(ctx, input, "Name")),
    Operation::new("DescribeRule", read!(describe::describe_rule)).on(|ctx, input| rule(ctx, input, "Name")),
    Operation::new("DisableRule", write!(rules::disable_rule)).on(|ctx, input| rule(ctx, input, "Name")),
    Operation::new("EnableRule", write!(rules::enable_rule))
        .growing()
        .on(|ctx, input| rule(ctx, input, "Name")),
    Operation::new("ListEventBuses", read!(describe::list_event_buses)),
    Operation::new("ListRuleNamesByTarget", read!(describe::list_rule_names_by_target)),
    Operation::new("ListRules", read!(describe::list_rules)),
    Operation::new("ListTagsForResource", read!(describe::list_tags_for_resource)).on(resource),
    Operation::new("ListTargetsByRule", read!(describe::list_targets_by_rule))
        .on(|ctx, input| rule(ctx, input, "Rule")),
    Operation::new("PutEvents", write!(put_events::put_events))
        .growing()
        .on(entry_buses)
        .with(&[
            Member("events:detail-type", "Entries.DetailType"),
            Member("events:source", "Entries.Source"),
            Made("events:eventBusInvocation", |_, _| vec!["false".to_owned()]),
        ])
        .refusing(&["EndpointId"])
        .without_effect(&[("Entries.TraceHeader", NO_TRACES)]),
    Operation::new("PutPermission", write!(permissions::put_permission)).growing(),
    Operation::new("PutRule", write!(rules::put_rule))
        .growing()
        .on(|ctx, input| rule(ctx, input, "Name"))
        .with(&[
            Tags("Tags"),
            Made("events:detail-type", |_, input| in_pattern(input, "detail-type")),
            Made("events:detail.eventTypeCode", |_, input| in_pattern(input, "detail.eventTypeCode")),
            Made("events:detail.service", |_, input| in_pattern(input, "detail.service")),
            Made("events:detail.userIdentity.principalId", |_, input| {
                in_pattern(input, "detail.userIdentity.principalId")
            }),
            Made("events:source", |_, input| in_pattern(input, "source")),
        ]),
    Operation::new("PutTargets", write!(targets::put_targets))
        .growing()
        .on(|ctx, input| rule(ctx, input, "Rule"))
        .with(&[Member("events:TargetArn", "Targets.Arn")]),
    Operation::new("RemovePermission", write!(permissions::remove_permission)),
    Operation::new("RemoveTargets", write!(targets::remove_targets))
        .on(|ctx, input| rule(ctx, input, "Rule")),
    Operation::new("TagResource", write!(tags::tag_resource)).growing().on(resource).with(&[Tags("Tags")]),
    Operation::new("TestEventPattern", read!(describe::test_event_pattern)),
    Operation::new("UntagResource", write!(tags::untag_resource))
        .on(resource)
        .with(&[Member("aws:TagKeys", "TagKeys")]),
    Operation::new("UpdateEventBus", write!(buses::update_event_bus))
        .growing()
        .on(|ctx, input| bus(ctx, input, "Name"))
        .refusing(&["KmsKeyIdentifier"])
        .without_effect(&[("DeadLetterConfig", NO_ENCRYPTION)]),
];

#[cfg(test)]
mod tests;
