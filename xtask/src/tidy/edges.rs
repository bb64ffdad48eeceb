//! Which crate of ours may depend on which. The walls of the architecture: services see neither I/O nor each other, the store
//! and the data planes see nobody, and only the command line sees all.

use anyhow::Context;

/// Every crate, and what it may depend on. `*` is anything. ARCHITECTURE.md shows the same picture.
const ALLOWED: [(&str, &[&str]); 17] = [
    // Its tests alone: the models are made of it.
    (
        "wire",
        &[
            "ec2-model",
            "ecs-model",
            "events-model",
            "lambda-model",
            "logs-model",
            "scheduler-model",
            "sts-model",
        ],
    ),
    ("agent-protocol", &["wire"]),
    ("store", &[]),
    ("image", &[]),
    ("dns", &[]),
    ("network", &[]),
    ("logs", &[]),
    ("state", &["wire"]),
    // What agents are sent is made from task definitions.
    ("ecs", &["wire", "state", "ecs-model", "agent-protocol"]),
    // Its data is no rows.
    ("logs-api", &["wire", "state", "logs-model", "logs"]),
    ("engine", &["image", "network"]),
    ("agent", &["engine", "dns", "wire", "ecs-model", "logs-model", "agent-protocol", "store"]),
    (
        "server",
        &[
            "wire",
            "ecs-model",
            "lambda-model",
            "logs-model",
            "sts-model",
            "agent-protocol",
            "state",
            "ecs",
            "lambda",
            "logs-api",
            "sts",
            "store",
            "logs",
        ],
    ),
    ("cli", &["*"]),
    // A whole control plane with its agents: what runs is what is simulated.
    (
        "sim",
        &[
            "wire",
            "ecs-model",
            "agent-protocol",
            "state",
            "ec2",
            "ecs",
            "events",
            "scheduler",
            "server",
            "agent",
            "engine",
            "store",
        ],
    ),
    // Drives the binary from outside, as a user does.
    ("e2e", &[]),
    ("xtask", &[]),
];

/// What a model may depend on, whichever service it is of: it is generated, and no line here is due for it.
const MODEL: &[&str] = &["wire"];

fn is_model(package: &serde_json::Value) -> bool {
    package["manifest_path"].as_str().is_some_and(|path| path.contains("/crates/models/"))
}

/// What a service may depend on, besides the model of its own: never another service.
const SERVICE: &[&str] = &["wire", "state"];

fn is_service(package: &serde_json::Value) -> bool {
    package["manifest_path"].as_str().is_some_and(|path| path.contains("/crates/services/"))
}

/// What brings executors, sockets, files, clocks or chance with it. What is pure depends on none of it; its tests may.
const IMPURE: &[&str] = &[
    "futures-util",
    "hyper",
    "hyper-util",
    "libc",
    "nix",
    "parking_lot",
    "rand",
    "reqwest",
    "rusqlite",
    "rustix",
    "socket2",
    "tokio",
    "tokio-tungstenite",
    "tokio-util",
    "tracing",
    "uuid",
];

/// `metadata` is `cargo metadata --no-deps`. Dependencies for tests and builds count too.
pub(super) fn check(metadata: &serde_json::Value) -> anyhow::Result<Vec<String>> {
    let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    let mut broken = Vec::new();
    for package in packages {
        let name = package["name"].as_str().context("a package has no name")?;
        let known = ALLOWED.iter().find(|(known, _)| *known == name).map(|(_, allowed)| *allowed);
        let of_kind = is_model(package).then_some(MODEL).or(is_service(package).then_some(SERVICE));
        let Some(allowed) = known.or(of_kind) else {
            broken.push(format!("crate {name}: not in the table of allowed edges (xtask/src/tidy/edges.rs)"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let to = dependency["name"].as_str().unwrap_or_default();
            let for_tests = dependency["kind"].as_str() == Some("dev");
            if (name == "state" || is_service(package)) && !for_tests && IMPURE.contains(&to) {
                broken.push(format!("crate {name}: is pure, and may not depend on {to}"));
            }
            // A crate may depend on itself, to have its tests see its own testing feature.
            let ours = !dependency["path"].is_null() && to != name;
            let own_model = is_service(package) && to == format!("{name}-model");
            if ours && !own_model && !allowed.contains(&to) && !allowed.contains(&"*") {
                broken.push(format!("crate {name}: may not depend on {to}"));
            }
        }
    }
    broken.sort();
    Ok(broken)
}
