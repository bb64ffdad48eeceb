//! The schema tables of one service: every shape with its constraints, every operation, as Rust statics.

use std::fmt::Write;

use anyhow::{Context, Result, bail};

use super::model::{Model, Operation, Shape, ShapeRef};
use super::routes;

/// `schema.rs`: one static for each shape.
pub fn tables(model: &Model) -> Result<String> {
    let mut body = String::new();
    for (name, shape) in &model.shapes {
        if model.reached.contains(name) {
            table(model, name, shape, &mut body)?;
        }
    }
    // What a service does not use must not be imported.
    let imports = ["Kind", "Member", "Pattern", "Place", "Shape", "TimestampFormat"];
    let used = imports.into_iter().filter(|import| match *import {
        "Shape" => true,
        import => body.contains(&format!("{import}::")),
    });
    let used: Vec<&str> = used.collect();
    Ok(format!("use wire::schema::{{{}}};\n\n{body}", used.join(", ")))
}

/// `service.rs`: the service itself, its operations and its errors.
/// `schema` is the path of the module that has the shapes.
pub fn service_table(model: &Model, schema: &str) -> Result<String> {
    let mut out = String::from("use wire::protocol::Index;\n");
    let errors = if model.errors().next().is_some() { "ErrorShape, " } else { "" };
    writeln!(out, "use wire::schema::{{{errors}Operation, Protocol, Service}};\n\nuse {schema} as s;\n")?;
    service(model, &mut out)?;
    for (name, shape) in model.errors() {
        let error = shape.error.as_ref();
        let code = error.and_then(|error| error.code.as_deref()).unwrap_or(name);
        let default = if shape.fault { 500 } else { 400 };
        let status = error.and_then(|error| error.http_status_code).unwrap_or(default);
        let table = model.table(name);
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
    writeln!(out, "    xml_namespace: {:?},", model.namespace())?;
    // The models do not say it; of all services it is S3 alone.
    writeln!(out, "    bare_errors: {},", meta.endpoint_prefix == "s3" && meta.protocol == "rest-xml")?;
    writeln!(out, "    query_compatible: {},", meta.aws_query_compatible.is_some())?;
    writeln!(out, "    protocols: &[{}],\n    operations: &[", protocols.join(", "))?;
    for (name, operation) in &model.operations {
        writeln!(out, "        {},", operation_row(model, name, operation))?;
    }
    let errors: Vec<String> = model.errors().map(|(name, _)| format!("&{}", model.table(name))).collect();
    writeln!(out, "    ],\n    errors: &[{}],\n    index: Index::new(),\n}};\n", errors.join(", "))?;
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
    let typed = model.typed.contains(name);
    let mut row = format!("Operation::{}({name:?})", if typed { "typed" } else { "untyped" });
    if typed {
        for (end, method) in [(&operation.input, "input"), (&operation.output, "output")] {
            if let Some(end) = end {
                row.push_str(&format!(".{method}(&s::{})", model.table(&end.shape)));
            }
        }
        if let Some(wrapper) = operation.output.as_ref().and_then(|output| output.result_wrapper.as_ref()) {
            row.push_str(&format!(".wrapped({wrapper:?})"));
        }
    }
    row.push_str(&routes::binding(model, name, operation));
    if typed {
        let errors = operation.errors.iter().map(|error| format!("&{}", model.table(&error.shape)));
        let errors: Vec<String> = errors.collect();
        if !errors.is_empty() {
            row.push_str(&format!(".errors(&[{}])", errors.join(", ")));
        }
    }
    row
}

fn table(model: &Model, name: &str, shape: &Shape, out: &mut String) -> Result<()> {
    let table = model.table(name);
    if let Some(pattern) = &shape.pattern {
        writeln!(out, "static {table}__PATTERN: Pattern = Pattern::new({pattern:?});")?;
    }
    let kind = kind(model, name, shape).with_context(|| format!("shape {name}"))?;
    writeln!(out, "pub static {table}: Shape = Shape {{ name: {name:?}, kind: {kind} }};")?;
    Ok(())
}

fn kind(model: &Model, name: &str, shape: &Shape) -> Result<String> {
    let length = match shape.kind.as_str() {
        // A number with a fraction has bounds with one.
        "float" | "double" => String::new(),
        _ => format!("min: {:?}, max: {:?}", whole(shape.min)?, whole(shape.max)?),
    };
    Ok(match shape.kind.as_str() {
        "structure" if shape.document => "Kind::Document".to_owned(),
        "structure" => {
            let rows: Vec<String> = shape
                .members
                .0
                .iter()
                .map(|(name, member)| member_row(model, shape, name, member))
                .collect::<Result<_>>()?;
            let body =
                if rows.is_empty() { String::new() } else { format!("\n    {}\n", rows.join("\n    ")) };
            format!("Kind::Structure {{ union: {}, members: &[{body}] }}", shape.union)
        }
        "list" => {
            let member = shape.member.as_ref().context("no member")?;
            let row = inner_row(model, "member", member)?;
            format!("Kind::List {{ member: &{row}, flattened: {}, {length} }}", shape.flattened)
        }
        "map" => {
            let key = inner_row(model, "key", shape.key.as_ref().context("no key")?)?;
            let value = inner_row(model, "value", shape.value.as_ref().context("no value")?)?;
            format!("Kind::Map {{ key: &{key}, value: &{value}, flattened: {}, {length} }}", shape.flattened)
        }
        "string" | "character" => {
            let pattern = match shape.pattern {
                Some(_) => format!("Some(&{}__PATTERN)", model.table(name)),
                None => "None".to_owned(),
            };
            format!("Kind::String {{ {length}, pattern: {pattern}, values: &{:?} }}", shape.values)
        }
        "integer" | "short" | "byte" => format!("Kind::Integer {{ {length} }}"),
        "long" => format!("Kind::Long {{ {length} }}"),
        "float" | "double" => format!("Kind::Double {{ min: {:?}, max: {:?} }}", shape.min, shape.max),
        "boolean" => "Kind::Boolean".to_owned(),
        "timestamp" => format!("Kind::Timestamp({})", timestamp_format(shape)?),
        "blob" => format!("Kind::Blob {{ {length} }}"),
        other => bail!("unknown type {other}"),
    })
}

fn timestamp_format(shape: &Shape) -> Result<&'static str> {
    Ok(match shape.timestamp_format.as_deref() {
        None => "None",
        Some("unixTimestamp") => "Some(TimestampFormat::EpochSeconds)",
        Some("iso8601") => "Some(TimestampFormat::Iso8601)",
        Some("rfc822") => "Some(TimestampFormat::HttpDate)",
        Some(other) => bail!("unknown timestamp format {other}"),
    })
}

fn member_row(model: &Model, shape: &Shape, name: &str, member: &ShapeRef) -> Result<String> {
    let mut row = inner_row(model, name, member)?;
    if let Some(place) = place(shape, name, member)? {
        row.push_str(&format!(".at(Place::{place})"));
    }
    if member.jsonvalue && member.location.as_deref() == Some("header") {
        row.push_str(".json_value()");
    }
    if shape.required.iter().any(|required| required == name) {
        row.push_str(".required()");
    }
    if member.idempotency_token {
        row.push_str(".idempotency_token()");
    }
    row.push(',');
    Ok(row)
}

/// Where a member stands, if not in the body beside others.
fn place(shape: &Shape, name: &str, member: &ShapeRef) -> Result<Option<&'static str>> {
    Ok(Some(match member.location.as_deref() {
        None if shape.payload.as_deref() == Some(name) => "Payload",
        None => return Ok(None),
        Some("uri") => "Label",
        Some("querystring") => "Query",
        Some("header") => "Header",
        Some("headers") => "Headers",
        Some("statusCode") => "Status",
        Some(other) => bail!("unknown location {other} of {name}"),
    }))
}

fn inner_row(model: &Model, name: &str, member: &ShapeRef) -> Result<String> {
    let target = model.shape(&member.shape)?;
    let mut row = format!("Member::new({name:?}, &{})", model.table(&member.shape));
    // What a shape says of its own name and namespace holds where the reference to it says nothing.
    if let Some(location) = member.location_name.as_ref().or(target.location_name.as_ref()) {
        // A map of all headers has the empty prefix.
        if location != name {
            row.push_str(&format!(".located({location:?})"));
        }
    } else if member.location.as_deref() == Some("headers") {
        row.push_str(".located(\"\")");
    }
    if let Some(query_name) = &member.query_name {
        row.push_str(&format!(".queried({query_name:?})"));
    }
    if member.xml_attribute {
        row.push_str(".attribute()");
    }
    if member.flattened {
        row.push_str(".flattened()");
    }
    if let Some(namespace) = member.xml_namespace.as_ref().or(target.xml_namespace.as_ref()) {
        row.push_str(&format!(".namespaced({:?}, {:?})", namespace.prefix, namespace.uri));
    }
    if member.timestamp_format.is_some() {
        bail!("{name} has a timestamp format of its own, and the tables have no place for it");
    }
    Ok(row)
}

fn whole(bound: Option<f64>) -> Result<Option<i64>> {
    match bound {
        Some(bound) if bound.fract() != 0.0 => bail!("the bound {bound} is not whole"),
        bound => Ok(bound.map(|bound| bound as i64)),
    }
}
