//! The schema tables of one service: every shape with its constraints, every operation, as Rust statics.

use std::fmt::Write;

use anyhow::{Context, Result, bail};

use super::model::{Model, Operation, Shape, ShapeRef};
use super::names;

/// `schema.rs`: one static for each shape.
pub fn tables(model: &Model) -> Result<String> {
    let mut out = String::from("use wire::schema::{Kind, Member, Pattern, Shape, TimestampFormat};\n\n");
    for (name, shape) in &model.shapes {
        if model.reached.contains(name) {
            table(model, name, shape, &mut out)?;
        }
    }
    // What a service does not use must not be imported.
    for (import, mark) in [("Pattern, ", "Pattern::new"), (", TimestampFormat", "TimestampFormat::")] {
        if !out.contains(mark) {
            out = out.replacen(import, "", 1);
        }
    }
    Ok(out)
}

/// `service.rs`: the service itself, its operations and its errors.
pub fn service_table(model: &Model) -> Result<String> {
    let mut out = String::from("use wire::schema::{ErrorShape, Operation, Protocol, Service};\n\n");
    out.push_str("use crate::schema as s;\n\n");
    service(model, &mut out)?;
    for (name, shape) in model.errors() {
        let error = shape.error.as_ref();
        let code = error.and_then(|error| error.code.as_deref()).unwrap_or(name);
        let default = if shape.fault { 500 } else { 400 };
        let status = error.and_then(|error| error.http_status_code).unwrap_or(default);
        let table = names::screaming(name);
        writeln!(
            out,
            "pub static {table}: ErrorShape = ErrorShape {{ name: {name:?}, code: {code:?}, status: {status}, shape: &s::{table} }};"
        )?;
    }
    Ok(out)
}

fn service(model: &Model, out: &mut String) -> Result<()> {
    let meta = &model.metadata;
    let mut protocols = meta.protocols.clone();
    if protocols.is_empty() {
        protocols.push(meta.protocol.clone());
    }
    let protocols: Vec<String> = protocols
        .iter()
        .map(|protocol| protocol_name(protocol, meta.json_version.as_deref()))
        .collect::<Result<_>>()?;
    writeln!(out, "/// {}.\npub static SERVICE: Service = Service {{", meta.service_id)?;
    writeln!(out, "    name: {:?},", model.name)?;
    writeln!(out, "    signing_name: {:?},", meta.signing_name.as_ref().unwrap_or(&meta.endpoint_prefix))?;
    writeln!(out, "    service_id: {:?},\n    api_version: {:?},", meta.service_id, meta.api_version)?;
    writeln!(out, "    target_prefix: {:?},", meta.target_prefix)?;
    writeln!(out, "    xml_namespace: {:?},", meta.xml_namespace)?;
    writeln!(out, "    query_compatible: {},", meta.aws_query_compatible.is_some())?;
    writeln!(out, "    protocols: &[{}],\n    operations: &[", protocols.join(", "))?;
    for (name, operation) in &model.operations {
        writeln!(out, "        {},", operation_row(model, name, operation))?;
    }
    let errors: Vec<String> =
        model.errors().map(|(name, _)| format!("&{}", names::screaming(name))).collect();
    writeln!(out, "    ],\n    errors: &[{}],\n}};\n", errors.join(", "))?;
    Ok(())
}

fn protocol_name(protocol: &str, json_version: Option<&str>) -> Result<String> {
    Ok(match (protocol, json_version) {
        ("json", Some("1.0")) => "Protocol::Json10",
        ("json", _) => "Protocol::Json11",
        ("query", _) => "Protocol::Query",
        ("ec2", _) => "Protocol::Ec2Query",
        ("rest-json", _) => "Protocol::RestJson",
        ("rest-xml", _) => "Protocol::RestXml",
        ("smithy-rpc-v2-cbor", _) => "Protocol::Cbor",
        _ => bail!("unknown protocol {protocol}"),
    }
    .to_owned())
}

fn operation_row(model: &Model, name: &str, operation: &Operation) -> String {
    if !model.typed.contains(name) {
        return format!("Operation::untyped({name:?})");
    }
    let end = |shape: &Option<ShapeRef>| match shape {
        Some(shape) => format!("Some(&s::{})", names::screaming(&shape.shape)),
        None => "None".to_owned(),
    };
    let wrapper = operation.output.as_ref().and_then(|output| output.result_wrapper.as_ref());
    let errors: Vec<String> =
        operation.errors.iter().map(|error| format!("&{}", names::screaming(&error.shape))).collect();
    format!(
        "Operation {{ name: {name:?}, typed: true, input: {}, output: {}, result_wrapper: {wrapper:?}, \
         method: {:?}, uri: {:?}, errors: &[{}] }}",
        end(&operation.input),
        end(&operation.output),
        operation.http.method,
        operation.http.request_uri,
        errors.join(", ")
    )
}

fn table(model: &Model, name: &str, shape: &Shape, out: &mut String) -> Result<()> {
    let table = names::screaming(name);
    if let Some(pattern) = &shape.pattern {
        writeln!(out, "static {table}__PATTERN: Pattern = Pattern::new({pattern:?});")?;
    }
    let kind = kind(model, name, shape).with_context(|| format!("shape {name}"))?;
    writeln!(out, "pub static {table}: Shape = Shape {{ name: {name:?}, kind: {kind} }};")?;
    Ok(())
}

fn kind(model: &Model, name: &str, shape: &Shape) -> Result<String> {
    let length = format!("min: {:?}, max: {:?}", whole(shape.min)?, whole(shape.max)?);
    Ok(match shape.kind.as_str() {
        "structure" if shape.document => "Kind::Document".to_owned(),
        "structure" => {
            let rows: Vec<String> =
                shape.members.0.iter().map(|(name, member)| member_row(shape, name, member)).collect();
            let body =
                if rows.is_empty() { String::new() } else { format!("\n    {}\n", rows.join("\n    ")) };
            format!("Kind::Structure {{ union: {}, members: &[{body}] }}", shape.union)
        }
        "list" => {
            let member = shape.member.as_ref().context("no member")?;
            let row = inner_row("member", member);
            format!("Kind::List {{ member: &{row}, flattened: {}, {length} }}", shape.flattened)
        }
        "map" => {
            let key = inner_row("key", shape.key.as_ref().context("no key")?);
            let value = inner_row("value", shape.value.as_ref().context("no value")?);
            format!("Kind::Map {{ key: &{key}, value: &{value}, flattened: {}, {length} }}", shape.flattened)
        }
        "string" | "character" => {
            let pattern = match shape.pattern {
                Some(_) => format!("Some(&{}__PATTERN)", names::screaming(name)),
                None => "None".to_owned(),
            };
            format!("Kind::String {{ {length}, pattern: {pattern}, values: &{:?} }}", shape.values)
        }
        "integer" | "short" | "byte" => format!("Kind::Integer {{ {length} }}"),
        "long" => format!("Kind::Long {{ {length} }}"),
        "float" | "double" => format!("Kind::Double {{ min: {:?}, max: {:?} }}", shape.min, shape.max),
        "boolean" => "Kind::Boolean".to_owned(),
        "timestamp" => format!("Kind::Timestamp({})", timestamp_format(model, shape)?),
        "blob" => format!("Kind::Blob {{ {length} }}"),
        other => bail!("unknown type {other}"),
    })
}

fn timestamp_format(model: &Model, shape: &Shape) -> Result<&'static str> {
    Ok(match (shape.timestamp_format.as_deref(), model.metadata.protocol.as_str()) {
        (Some("unixTimestamp"), _) | (None, "json" | "rest-json") => "TimestampFormat::EpochSeconds",
        (Some("iso8601"), _) | (None, _) => "TimestampFormat::Iso8601",
        (Some("rfc822"), _) => "TimestampFormat::HttpDate",
        (Some(other), _) => bail!("unknown timestamp format {other}"),
    })
}

fn member_row(shape: &Shape, name: &str, member: &ShapeRef) -> String {
    let required = if shape.required.iter().any(|required| required == name) { ".required()" } else { "" };
    let token = if member.idempotency_token { ".idempotency_token()" } else { "" };
    format!("{}{required}{token},", inner_row(name, member))
}

fn inner_row(name: &str, member: &ShapeRef) -> String {
    let mut row = format!("Member::new({name:?}, &{})", names::screaming(&member.shape));
    if let Some(location) = member.query_name.as_ref().or(member.location_name.as_ref()) {
        row.push_str(&format!(".located({location:?})"));
    }
    if member.xml_attribute {
        row.push_str(".attribute()");
    }
    if member.flattened {
        row.push_str(".flattened()");
    }
    row
}

fn whole(bound: Option<f64>) -> Result<Option<i64>> {
    match bound {
        Some(bound) if bound.fract() != 0.0 => bail!("the bound {bound} is not whole"),
        bound => Ok(bound.map(|bound| bound as i64)),
    }
}
