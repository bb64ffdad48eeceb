//! Enums and structures of one service, as Rust text.

use std::collections::BTreeSet;
use std::fmt::Write;

use anyhow::{Context, Result, bail};

use super::model::{Model, Shape, ShapeRef, Ways};
use super::names;

/// Which structures go into a file together.
#[derive(Clone, Copy, PartialEq)]
pub enum Group {
    Requests,
    Responses,
    /// All that requests and responses hold.
    Nested,
}

/// `enums.rs`: every enum that a typed operation reaches.
pub fn enums(model: &Model) -> Result<String> {
    let mut out = String::new();
    for (name, shape) in reached(model).filter(|(_, shape)| !shape.values.is_empty()) {
        let mut seen = BTreeSet::new();
        write!(out, "\nstring_enum! {{\n    {} {{\n", names::type_name(name))?;
        for value in &shape.values {
            let mut variant = names::variant(value);
            // One model has the same words in capitals and in small letters.
            while !seen.insert(variant.clone()) {
                variant.push('2');
            }
            writeln!(out, "        {variant} = {value:?},")?;
        }
        out.push_str("    }\n}\n");
    }
    let import = if out.is_empty() { "" } else { "use wire::string_enum;\n" };
    Ok(format!("{import}{out}"))
}

/// One file of structures.
pub fn structures(model: &Model, group: Group) -> Result<String> {
    let mut body = String::new();
    for (name, shape) in reached(model).filter(|(_, shape)| is_struct(shape) && !shape.exception) {
        if group_of(model, name) == group {
            structure(model, name, shape, group, &mut body)?;
        }
    }
    if group != Group::Nested {
        for name in empty_structures(model, group) {
            write!(body, "\n{}pub struct {name} {{}}\n", derive(model.ways(&name, group)))?;
        }
    }
    if body.is_empty() {
        return Ok(body);
    }
    let mut out = String::new();
    if body.contains("BTreeMap<") {
        out.push_str("use std::collections::BTreeMap;\n\n");
    }
    out.push_str(match (body.contains(", Deserialize"), body.contains(", Serialize")) {
        (true, true) => "use serde::{Deserialize, Serialize};\n",
        (true, false) => "use serde::Deserialize;\n",
        (false, _) => "use serde::Serialize;\n",
    });
    out.push_str("#[allow(unused_imports)]\nuse wire::{Blob, Timestamp};\n\n");
    out.push_str("#[allow(unused_imports)]\nuse crate::*;\n");
    out.push_str(&body);
    Ok(out)
}

fn derive(ways: Ways) -> String {
    let written = if ways.written { ", Serialize" } else { "" };
    let read = if ways.read { ", Deserialize" } else { "" };
    format!("#[derive(Debug, Clone, PartialEq, Default{written}{read})]\n")
}

/// The type name of an operation's input or output; an operation without one gets an empty structure.
pub fn end_name(operation: &str, end: Option<&ShapeRef>, group: Group) -> String {
    match end {
        Some(shape) => names::type_name(&shape.shape),
        None if group == Group::Requests => format!("{operation}Request"),
        None => format!("{operation}Response"),
    }
}

fn empty_structures(model: &Model, group: Group) -> Vec<String> {
    let ends = model.typed_operations().filter_map(|(name, operation)| {
        let end = if group == Group::Requests { &operation.input } else { &operation.output };
        end.is_none().then(|| end_name(name, None, group))
    });
    ends.filter(|name| !model.shapes.contains_key(name)).collect()
}

fn reached(model: &Model) -> impl Iterator<Item = (&String, &Shape)> {
    model.shapes.iter().filter(|(name, _)| model.reached.contains(*name))
}

fn is_struct(shape: &Shape) -> bool {
    shape.kind == "structure" && !shape.document
}

fn group_of(model: &Model, name: &str) -> Group {
    let is = |end: &Option<ShapeRef>| end.as_ref().is_some_and(|end| end.shape == name);
    if model.typed_operations().any(|(_, operation)| is(&operation.input)) {
        Group::Requests
    } else if model.typed_operations().any(|(_, operation)| is(&operation.output)) {
        Group::Responses
    } else {
        Group::Nested
    }
}

fn structure(model: &Model, name: &str, shape: &Shape, group: Group, out: &mut String) -> Result<()> {
    let ways = model.ways(name, group);
    let pascal =
        shape.members.0.first().is_some_and(|(name, _)| name.starts_with(|c: char| c.is_uppercase()));
    write!(out, "\n{}", derive(ways))?;
    if shape.members.0.is_empty() {
        writeln!(out, "pub struct {} {{}}", names::type_name(name))?;
        return Ok(());
    }
    let style = if pascal { "PascalCase" } else { "camelCase" };
    writeln!(out, "#[serde(default, rename_all = \"{style}\")]\npub struct {} {{", names::type_name(name))?;
    for (member, reference) in &shape.members.0 {
        let field = names::snake(member);
        let required = shape.required.contains(member);
        let mut attributes = Vec::new();
        if names::serde_name(&field, pascal) != *member {
            attributes.push(format!("rename = {member:?}"));
        }
        if !required && ways.written {
            attributes.push("skip_serializing_if = \"Option::is_none\"".to_owned());
        }
        if !attributes.is_empty() {
            writeln!(out, "    #[serde({})]", attributes.join(", "))?;
        }
        let mut rust = rust_type(model, &reference.shape)?;
        if model.holds_itself(name) && reference.shape == name {
            rust = format!("Box<{rust}>");
        }
        let rust = if required { rust } else { format!("Option<{rust}>") };
        writeln!(out, "    pub {field}: {rust},")?;
    }
    out.push_str("}\n");
    Ok(())
}

fn rust_type(model: &Model, name: &str) -> Result<String> {
    let shape = model.shape(name)?;
    let inner = |reference: &Option<ShapeRef>| {
        let reference = reference.as_ref().context("a list or map without its inner shape")?;
        rust_type(model, &reference.shape)
    };
    Ok(match shape.kind.as_str() {
        "string" if !shape.values.is_empty() => names::type_name(name),
        "string" | "character" => "String".to_owned(),
        "integer" | "short" | "byte" => "i32".to_owned(),
        "long" => "i64".to_owned(),
        "float" | "double" => "f64".to_owned(),
        "boolean" => "bool".to_owned(),
        "timestamp" => "Timestamp".to_owned(),
        "blob" => "Blob".to_owned(),
        "structure" if shape.document => "serde_json::Value".to_owned(),
        "structure" => names::type_name(name),
        "list" => format!("Vec<{}>", inner(&shape.member)?),
        "map" => format!("BTreeMap<{}, {}>", inner(&shape.key)?, inner(&shape.value)?),
        other => bail!("shape {name} has the unknown type {other}"),
    })
}
