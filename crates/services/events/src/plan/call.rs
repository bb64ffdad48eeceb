//! What targets are called with.
//!
//! ECS: <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>. Log groups:
//! <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html>.

use serde_json::{Map, Value, json};
use state::{Id128, outbox::Call};
use wire::Timestamp;

use crate::{
    arn::Arn,
    limits,
    rows::{DeliveryRow, EcsTask, Pair, TargetRow},
};

/// EventBridge itself, where no role is assumed.
pub const PRINCIPAL: &str = "events.amazonaws.com";

/// Members of `overrides` of RunTask; whatever else an event holds says nothing to ECS.
const OVERRIDES: [&str; 7] = [
    "containerOverrides",
    "cpu",
    "ephemeralStorage",
    "executionRoleArn",
    "inferenceAcceleratorOverrides",
    "memory",
    "taskRoleArn",
];

/// Characters of `overrides`, at most: RunTask refuses more.
pub const OVERRIDES_MAX: usize = 8192;

/// The calls that hand one event to a target: one, or for more tasks than RunTask starts at once, several. None where
/// what the target gets is too long.
pub fn of(
    row: &TargetRow,
    to: Option<Arn>,
    role: Option<&str>,
    event: &str,
    input: &str,
    now: Timestamp,
) -> Vec<Call> {
    match (to, &row.ecs) {
        (Some(Arn { service: "ecs", .. }), Some(task)) => run_tasks(row, task, role, input),
        (Some(Arn { service: "logs", resource, .. }), _) => {
            vec![put_log_events(row, resource, event, input, now)]
        }
        _ => Vec::new(),
    }
}

/// What a delivery calls next.
pub fn next(row: &DeliveryRow) -> Call {
    let mut call = row.call.clone();
    if row.make_stream {
        call.operation = "CreateLogStream".to_owned();
        call.input = json!({
            "logGroupName": call.input["logGroupName"],
            "logStreamName": call.input["logStreamName"],
        });
    } else if call.operation == "RunTask" {
        // An attempt that failed is over: the same token would give its answer again.
        call.input["clientToken"] = format!("{}-{}", row.id, row.attempts).into();
    }
    call
}

fn run_tasks(row: &TargetRow, task: &EcsTask, role: Option<&str>, input: &str) -> Vec<Call> {
    let overrides = match serde_json::from_str(input) {
        Ok(Value::Object(mut all)) => {
            all.retain(|name, _| OVERRIDES.contains(&name.as_str()));
            all
        }
        _ => Map::new(),
    };
    if serde_json::to_string(&overrides).is_ok_and(|text| text.chars().count() > OVERRIDES_MAX) {
        return Vec::new();
    }
    let mut left = task.count.clamp(1, limits::TASKS);
    let mut calls = Vec::new();
    while left > 0 {
        let count = left.min(limits::TASKS_PER_CALL);
        left -= count;
        calls.push(Call {
            principal: role.unwrap_or(PRINCIPAL).to_owned(),
            service: "ecs".to_owned(),
            operation: "RunTask".to_owned(),
            input: run_task(row, task, count, &overrides),
        });
    }
    calls
}

fn run_task(row: &TargetRow, task: &EcsTask, count: i32, overrides: &Map<String, Value>) -> Value {
    let started_by: String = format!("events-rule/{}", row.rule).chars().take(limits::STARTED_BY).collect();
    let network = task.network.as_ref().map(|network| {
        let mut inner = json!({"subnets": network.subnets});
        set(&mut inner, "securityGroups", network.security_groups.as_ref().map(|ids| json!(ids)));
        set(&mut inner, "assignPublicIp", network.public_ip.as_deref().map(Value::from));
        json!({"awsvpcConfiguration": inner})
    });
    let providers = task.capacity_providers.as_ref().map(|all| {
        let one = |provider: &crate::rows::CapacityProvider| {
            let mut item = json!({"capacityProvider": provider.name});
            set(&mut item, "weight", provider.weight.map(Value::from));
            set(&mut item, "base", provider.base.map(Value::from));
            item
        };
        Value::Array(all.iter().map(one).collect())
    });
    let tags = task.tags.as_ref().map(|tags| {
        Value::Array(tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect())
    });
    let text = |text: &Option<String>| text.as_deref().map(Value::from);
    let mut input = json!({
        "cluster": row.arn,
        "taskDefinition": task.task_definition,
        "count": count,
        "startedBy": started_by,
        "enableECSManagedTags": task.managed_tags,
        "enableExecuteCommand": task.execute_command,
    });
    set(&mut input, "launchType", text(&task.launch_type));
    set(&mut input, "networkConfiguration", network);
    set(&mut input, "platformVersion", text(&task.platform_version));
    set(&mut input, "group", text(&task.group));
    set(&mut input, "capacityProviderStrategy", providers);
    set(&mut input, "placementConstraints", pairs(&task.constraints, "expression"));
    set(&mut input, "placementStrategy", pairs(&task.strategy, "field"));
    set(&mut input, "propagateTags", text(&task.propagate_tags));
    set(&mut input, "referenceId", text(&task.reference_id));
    set(&mut input, "tags", tags);
    set(&mut input, "overrides", (!overrides.is_empty()).then(|| Value::Object(overrides.clone())));
    input
}

fn pairs(pairs: &Option<Vec<Pair>>, second: &str) -> Option<Value> {
    let one = |(kind, value): &Pair| {
        let mut item = json!({});
        set(&mut item, "type", kind.as_deref().map(Value::from));
        set(&mut item, second, value.as_deref().map(Value::from));
        item
    };
    pairs.as_ref().map(|all| Value::Array(all.iter().map(one).collect()))
}

fn set(object: &mut Value, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        object[name] = value;
    }
}

/// The event as a record of the target's stream; with an input transformer, the message and time that it makes.
fn put_log_events(row: &TargetRow, resource: &str, event: &str, input: &str, now: Timestamp) -> Call {
    let group = resource.strip_prefix("log-group:").unwrap_or(resource);
    let group = group.strip_suffix(":*").unwrap_or(group);
    let parsed: Value = serde_json::from_str(input).unwrap_or_default();
    let (time, message) = match (&row.transformer, parsed.get("message")) {
        (Some(_), Some(message)) => {
            let text = message.as_str().map_or_else(|| message.to_string(), str::to_owned);
            (time_of(parsed.get("timestamp")), text)
        }
        _ => (None, input.to_owned()),
    };
    let of_event = || {
        let event: Value = serde_json::from_str(event).ok()?;
        time_of(event.get("time"))
    };
    let time = time.or_else(of_event).unwrap_or(now.0).max(0);
    Call {
        principal: PRINCIPAL.to_owned(),
        service: "logs".to_owned(),
        operation: "PutLogEvents".to_owned(),
        input: json!({
            "logGroupName": group,
            "logStreamName": stream_name(row.stream),
            "logEvents": [{"timestamp": time, "message": message}],
        }),
    }
}

/// Milliseconds since 1970, of a number or an ISO 8601 text.
fn time_of(value: Option<&Value>) -> Option<i64> {
    match value? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => {
            text.parse().ok().or_else(|| Timestamp::parse_iso8601(text).map(Timestamp::as_millis))
        }
        _ => None,
    }
}

/// The name of a target's log stream, in the form of those that EventBridge makes: a UUID.
pub fn stream_name(id: Id128) -> String {
    let text = id.to_string();
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}
