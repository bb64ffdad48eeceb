//! What a run calls.
//!
//! Sources: [templated](https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-templated.html) and
//! [universal](https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html) targets,
//! [context attributes](https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html).

use serde_json::{Map, Value, json};
use state::outbox::Call;

use crate::{
    limits,
    rows::{Action, InvocationRow, RunTaskRow, ScheduleRow},
};

/// The attribute whose value is another with each attempt.
const ATTEMPT: &str = "<aws.scheduler.attempt-number>";

/// The call of a run.
pub fn of(row: &ScheduleRow, run: &InvocationRow) -> Call {
    let principal = row.target.role_arn.clone();
    let written = row.target.input.as_deref();
    let (service, operation, input) = match &row.target.action {
        Action::RunTask(task) => {
            let overrides = written.map(|text| filled(text, row, run));
            ("ecs".to_owned(), "RunTask".to_owned(), run_task(row, run, task, overrides))
        }
        Action::Universal { service, operation, fitted } => {
            let mut input = filled(fitted.as_deref().or(written).unwrap_or("{}"), row, run);
            if service == "ecs"
                && operation == "RunTask"
                && let Value::Object(members) = &mut input
            {
                members.entry("clientToken").or_insert_with(|| client_token(row, run).into());
            }
            (service.clone(), operation.clone(), input)
        }
    };
    Call { principal, service, operation, input }
}

/// `startedBy` of the tasks of a schedule: seen of AWS, cut as there.
pub fn started_by(name: &str) -> String {
    limits::cut(&format!("chronos-schedule/{name}"), limits::STARTED_BY)
}

/// Whether an attempt's input differs from that of the one before.
pub fn tells_attempts(row: &ScheduleRow) -> bool {
    row.target.input.as_ref().is_some_and(|text| text.contains(ATTEMPT))
}

/// The same for a call that may have been carried out, so that it is not again; another for one that was not, for
/// ECS remembers a token with its request.
fn client_token(row: &ScheduleRow, run: &InvocationRow) -> String {
    format!("{}-{}-{}", run.execution_id(), row.version, run.refused)
}

/// An input with the context attributes filled in. None of the values has a character that JSON would escape.
fn filled(text: &str, row: &ScheduleRow, run: &InvocationRow) -> Value {
    let attempt = run.attempts.saturating_add(1).to_string();
    let text = text
        .replace("<aws.scheduler.schedule-arn>", &row.arn)
        .replace("<aws.scheduler.scheduled-time>", &run.run.to_iso8601().replace(".000Z", "Z"))
        .replace("<aws.scheduler.execution-id>", &run.execution_id())
        .replace(ATTEMPT, &attempt);
    // Checked when the schedule was made; a text is refused by whoever is called.
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

fn run_task(row: &ScheduleRow, run: &InvocationRow, task: &RunTaskRow, overrides: Option<Value>) -> Value {
    let mut input = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            input.insert(name.to_owned(), value);
        }
    };
    let text = |text: &Option<String>| text.clone().map(Value::from);
    put("cluster", Some(row.target.arn.clone().into()));
    put("taskDefinition", Some(task.task_definition.clone().into()));
    put("count", Some(run.left.or(task.count).unwrap_or(1).into()));
    put("launchType", text(&task.launch_type));
    put("platformVersion", text(&task.platform_version));
    put("group", text(&task.group));
    put("enableECSManagedTags", task.managed_tags.map(Value::from));
    put("enableExecuteCommand", task.execute_command.map(Value::from));
    put("propagateTags", text(&task.propagate_tags));
    put("referenceId", text(&task.reference_id));
    put("overrides", overrides);
    put("startedBy", Some(started_by(&row.id.name).into()));
    put("clientToken", Some(client_token(row, run).into()));
    put(
        "networkConfiguration",
        task.network.as_ref().map(|net| {
            let (groups, ip) = (&net.security_groups, &net.public_ip);
            let awsvpc = json!({"subnets": net.subnets, "securityGroups": groups, "assignPublicIp": ip});
            json!({"awsvpcConfiguration": without_nulls(awsvpc)})
        }),
    );
    put("capacityProviderStrategy", task.capacity_providers.as_ref().map(|items| {
        let item = |item: &crate::rows::ProviderRow| {
            json!({"capacityProvider": item.provider, "weight": item.weight, "base": item.base})
        };
        items.iter().map(item).map(without_nulls).collect()
    }));
    put(
        "placementConstraints",
        task.constraints.as_ref().map(|items| {
            let item =
                |item: &crate::rows::ConstraintRow| json!({"type": item.kind, "expression": item.expression});
            items.iter().map(item).map(without_nulls).collect()
        }),
    );
    put(
        "placementStrategy",
        task.strategies.as_ref().map(|items| {
            let item = |item: &crate::rows::StrategyRow| json!({"type": item.kind, "field": item.field});
            items.iter().map(item).map(without_nulls).collect()
        }),
    );
    put("tags", task.tags.as_ref().map(|tags| {
        let tag = |tag: &std::collections::BTreeMap<String, String>| {
            json!({"key": tag.get("key"), "value": tag.get("value")})
        };
        // What is meant for Scheduler is nothing to ECS.
        let of_task = |tag: &&std::collections::BTreeMap<String, String>| {
            !tag.get("key").is_some_and(|key| super::tags::is_own(key))
        };
        tags.iter().filter(of_task).map(tag).map(without_nulls).collect()
    }));
    Value::Object(input)
}

fn without_nulls(mut value: Value) -> Value {
    if let Value::Object(members) = &mut value {
        members.retain(|_, value| !value.is_null());
    }
    value
}
