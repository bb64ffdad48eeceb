//! The operations and errors of one service, and the modules that hold it all, as Rust text.

use std::collections::BTreeSet;
use std::fmt::Write;

use anyhow::Result;

use super::model::Model;
use super::names;
use super::types::{Group, end_name};

/// `operations.rs`: the enum of all operation names, and what each typed request is answered with.
pub fn operations(model: &Model) -> Result<String> {
    let mut out = String::from("use crate::{SERVICE, requests::*, responses::*};\n");
    writeln!(
        out,
        "use wire::{{request, string_enum}};\n\nstring_enum! {{\n    {} {{",
        operation_enum(model)
    )?;
    for name in model.operations.keys() {
        writeln!(out, "        {name} = {name:?},")?;
    }
    out.push_str("    }\n}\n\n");
    let mut seen = BTreeSet::new();
    for (name, operation) in model.typed_operations() {
        let input = end_name(name, operation.input.as_ref(), Group::Requests);
        let output = end_name(name, operation.output.as_ref(), Group::Responses);
        // A few models have one structure for the inputs of two operations; it is the first one's request.
        if seen.insert(input.clone()) {
            writeln!(out, "request!(SERVICE: {input} => {output}, {name:?});")?;
        }
    }
    Ok(out)
}

/// The enum of all operation names; some models have a shape of that name.
fn operation_enum(model: &Model) -> &'static str {
    if model.reached.contains("Operation") { "OperationName" } else { "Operation" }
}

/// `errors.rs`: a constructor for each error of the model; empty if it has none.
pub fn errors(model: &Model) -> String {
    if model.errors().next().is_none() {
        return String::new();
    }
    let mut out = String::from("use wire::Error;\n\nuse crate::service;\n");
    for (name, _) in model.errors() {
        // `Nothing` and `NothingException` may both be there.
        let short = name.strip_suffix("Exception").filter(|short| !model.shapes.contains_key(*short));
        let function = names::snake(short.unwrap_or(name));
        let table = model.table(name);
        out.push_str(&format!(
            "\n/// `{name}`.\npub fn {function}(message: impl Into<String>) -> Error {{\n    \
             Error::of(&service::{table}, message)\n}}\n"
        ));
    }
    out
}

/// `lib.rs` of one service; `files` are the modules that it has.
pub fn service_root(model: &Model, files: &[&str]) -> String {
    let id = &model.metadata.service_id;
    let mut out = String::new();
    for file in files {
        match *file {
            "errors" => out.push_str(&format!(
                "/// What went wrong: one constructor for each error of {id}'s model.\npub mod errors;\n"
            )),
            "schema" => out.push_str(&format!("/// The shapes of {id} as tables.\npub mod schema;\n")),
            file => out.push_str(&format!("mod {file};\n")),
        }
    }
    out.push('\n');
    for file in files.iter().filter(|file| !matches!(**file, "errors" | "schema" | "service" | "operations"))
    {
        out.push_str(&format!("pub use {file}::*;\n"));
    }
    out.push_str(&format!("pub use operations::{};\npub use service::SERVICE;\n", operation_enum(model)));
    out
}

/// The module of the tables that only tests read.
pub fn tested_root(services: &[&str]) -> String {
    let mut out = String::new();
    for service in services {
        out.push_str(&format!("pub mod {service};\n"));
    }
    let all: Vec<String> = services.iter().map(|service| format!("&{service}::SERVICE")).collect();
    out.push_str(&format!(
        "\n/// Every service here.\npub static SERVICES: &[&wire::schema::Service] = &[{}];\n",
        all.join(", ")
    ));
    out
}

/// `Cargo.toml` of one service; `parts` are the texts of its modules.
pub fn manifest<'a>(model: &Model, mut parts: impl Iterator<Item = &'a str>) -> String {
    let Model { name, metadata, .. } = model;
    let documents =
        if parts.any(|text| text.contains("serde_json::")) { "serde_json.workspace = true\n" } else { "" };
    format!(
        r#"[package]
name = "{name}-model"
description = "The API of {id}: types, errors and tables, generated."
version.workspace = true
edition.workspace = true
rust-version.workspace = true
license.workspace = true
publish.workspace = true

[lib]
test = false
doctest = false

[lints]
workspace = true

[dependencies]
serde.workspace = true
{documents}wire.workspace = true
"#,
        id = metadata.service_id
    )
}
