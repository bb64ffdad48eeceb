//! What tasks are made of.

use serde_json::{Value, json};

/// Families that run, and some that do not last, do not come, need a port, have a network of their own, or are asked how they
/// are; with what each of their containers needs.
pub const FAMILIES: [(&str, i32, i32); 9] = [
    ("small", 128, 128),
    ("large", 700, 512),
    ("crash", 128, 64),
    ("checked", 64, 64),
    ("gone", 32, 32),
    ("port", 64, 64),
    ("pair", 64, 64),
    ("short", 64, 64),
    ("net", 64, 64),
];
/// Likewise, of daemons.
pub const DAEMONS: [(&str, i32, i32); 4] =
    [("watch", 64, 64), ("checked-watch", 32, 32), ("crash-watch", 32, 32), ("gone-watch", 32, 32)];

/// What a family does: daemons do as other tasks.
pub fn kind(family: &str) -> &str {
    family.split('-').next().unwrap_or_default()
}

/// Whether its tasks never stay.
pub fn is_restless(family: &str) -> bool {
    matches!(kind(family), "crash" | "gone" | "short")
}

/// What is registered of a family.
pub fn definition(family: &str, cpu: i32, memory: i32) -> Value {
    let mut app = json!({"name": "app", "image": "busybox", "cpu": cpu, "memory": memory, "essential": true});
    match kind(family) {
        "checked" => {
            app["healthCheck"] =
                json!({"command": ["CMD", "true"], "interval": 20, "retries": 2, "startPeriod": 10});
        }
        "port" => app["portMappings"] = json!([{"containerPort": 80, "hostPort": 8080}]),
        _ => {}
    }
    let mut containers = vec![app];
    if family == "pair" {
        containers.push(json!({
            "name": "beside", "image": "busybox", "cpu": cpu, "memory": memory, "essential": false,
            "dependsOn": [{"containerName": "app", "condition": "START"}],
        }));
    }
    let mut definition = json!({"family": family, "containerDefinitions": containers});
    if kind(family) == "net" {
        definition["networkMode"] = "awsvpc".into();
    }
    definition
}
