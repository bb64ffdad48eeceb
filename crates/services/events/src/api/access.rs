//! What operations are authorised on: ARNs and condition keys, from inputs alone. Nothing here knows whether a
//! resource exists.

use serde_json::Value;
use state::{
    Ctx,
    api::{self, text},
};

use crate::arn::{self, Arn, DEFAULT};

/// The event bus that a member names, by name or ARN; the default one if it is not there.
pub fn bus(ctx: &Ctx, input: &Value, member: &str) -> Vec<String> {
    vec![one(ctx, text(input, member))]
}

/// The event bus of each entry, each once.
pub fn entry_buses(ctx: &Ctx, input: &Value) -> Vec<String> {
    let entries = input.get("Entries").and_then(Value::as_array).into_iter().flatten();
    let mut buses: Vec<String> = entries.map(|entry| one(ctx, text(entry, "EventBusName"))).collect();
    buses.sort();
    buses.dedup();
    buses
}

/// The rule that a member names, on the event bus of `EventBusName`.
pub fn rule(ctx: &Ctx, input: &Value, member: &str) -> Vec<String> {
    let (name, bus) = (text(input, member).unwrap_or_default(), text(input, "EventBusName"));
    let foreign =
        bus.and_then(Arn::parse).and_then(|arn| Some((arn, arn.resource.strip_prefix("event-bus/")?)));
    vec![match foreign {
        Some((of, bus)) => {
            let of_bus = if bus == DEFAULT { String::new() } else { format!("{bus}/") };
            format!("arn:{}:events:{}:{}:rule/{of_bus}{name}", of.partition, of.region, of.account)
        }
        None => arn::rule(ctx, bus.unwrap_or(DEFAULT), name),
    }]
}

/// What `ResourceARN` names.
pub fn resource(_ctx: &Ctx, input: &Value) -> Vec<String> {
    vec![text(input, "ResourceARN").unwrap_or_default().to_owned()]
}

/// The texts that an event pattern asks for in a field.
pub fn in_pattern(input: &Value, path: &str) -> Vec<String> {
    let pattern = text(input, "EventPattern").and_then(|text| serde_json::from_str::<Value>(text).ok());
    pattern.map(|pattern| api::texts(&pattern, path)).unwrap_or_default()
}

fn one(ctx: &Ctx, named: Option<&str>) -> String {
    match named {
        Some(arn) if arn.starts_with("arn:") => arn.to_owned(),
        name => arn::bus(ctx, name.unwrap_or(DEFAULT)),
    }
}
