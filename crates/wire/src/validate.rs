//! Checks an input against the model before any handler sees it, and brings it into the form that the
//! generated types read: no `null`, no member that the model does not know, whole numbers as whole numbers.
//!
//! Two kinds of refusal, worded as the AWS services word them: a value of the wrong JSON type is a
//! `SerializationException`; a broken constraint is a "validation error detected" under the name that
//! [`constraint_code`] picks.

mod constraint;

use serde_json::{Map, Number, Value};

use crate::Error;
use crate::schema::{Kind, Member, Operation, Protocol, Service, Shape};
use constraint::Violations;

/// Checks `input` against the operation's input shape. An operation without input takes any object.
pub fn validate(service: &Service, operation: &Operation, input: &mut Value) -> Result<(), Error> {
    if input.is_null() {
        *input = Value::Object(Map::new());
    }
    let Some(shape) = operation.input else {
        return match input {
            Value::Object(members) => {
                members.clear();
                Ok(())
            }
            other => Err(serialization(mismatch(other, "Structure", operation.name))),
        };
    };
    let mut violations = Violations::default();
    check(shape, input, &mut Path::default(), &mut violations).map_err(serialization)?;
    match violations.message() {
        Some(message) => Err(Error::new(constraint_code(service), 400, message)),
        None => Ok(()),
    }
}

/// The error code of a broken constraint: what the service's model has for it, else what is usual in its protocol.
pub fn constraint_code(service: &Service) -> &'static str {
    let codes = [
        "InvalidParameterException",
        "ValidationException",
        "InvalidParameterValueException",
        "InvalidInput",
    ];
    if let Some(code) = codes.into_iter().find(|code| service.error(code).is_some()) {
        return code;
    }
    let speaks = |protocol: Protocol| service.protocols.contains(&protocol);
    if speaks(Protocol::Ec2Query) {
        "InvalidParameterValue"
    } else if speaks(Protocol::RestXml) {
        "InvalidRequest"
    } else if speaks(Protocol::RestJson) || service.target_prefix.is_some() {
        "ValidationException"
    } else {
        "ValidationError"
    }
}

fn serialization(message: String) -> Error {
    Error::new("SerializationException", 400, message)
}

/// Where a value stands in the input, as the messages write it: `targets.1.member.roleArn`.
#[derive(Default)]
struct Path(String);

impl Path {
    /// Runs `inner` for a member of a structure. AWS's services write each with a small first letter, also where the
    /// model has a large one.
    fn member<T>(&mut self, name: &str, inner: impl FnOnce(&mut Self) -> T) -> T {
        self.step(name, |path| {
            let first = path.0.len() - name.len();
            if let Some(first) = path.0.get_mut(first..=first) {
                first.make_ascii_lowercase();
            }
            inner(path)
        })
    }

    /// Runs `inner` one step deeper.
    fn step<T>(&mut self, name: &str, inner: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.0.len();
        if length > 0 {
            self.0.push('.');
        }
        self.0.push_str(name);
        let result = inner(self);
        self.0.truncate(length);
        result
    }
}

/// Checks a value that stands at a place of its own. `Err` is a value of the wrong type; broken constraints go to
/// `violations`.
fn check(
    shape: &Shape,
    value: &mut Value,
    path: &mut Path,
    violations: &mut Violations,
) -> Result<(), String> {
    typed(shape, value)?;
    for broken in constraint::broken(&shape.kind, value) {
        violations.add(value, &path.0, &broken);
    }
    inside(shape, value, path, violations)
}

/// Brings a value into its member's type, not what is in it.
fn typed(shape: &Shape, value: &mut Value) -> Result<(), String> {
    let kind = match (&shape.kind, &mut *value) {
        (Kind::Structure { .. }, Value::Object(_))
        | (Kind::List { .. }, Value::Array(_))
        | (Kind::Map { .. }, Value::Object(_))
        | (Kind::String { .. }, Value::String(_))
        | (Kind::Double { .. }, Value::Number(_))
        | (Kind::Boolean, Value::Bool(_))
        | (Kind::Document, _) => return Ok(()),
        (Kind::Integer { .. }, value) => {
            return match i32::try_from(whole(value, "Integer", shape.name)?) {
                Ok(_) => Ok(()),
                Err(_) => Err("NUMBER_VALUE can not be converted to an Integer".to_owned()),
            };
        }
        (Kind::Long { .. }, value) => return whole(value, "Long", shape.name).map(|_| ()),
        (Kind::Timestamp(_), value) => match serde_json::from_value::<crate::Timestamp>(value.clone()) {
            Ok(_) => return Ok(()),
            Err(_) => "Timestamp",
        },
        (Kind::Blob { .. }, value) => match constraint::blob_bytes(value) {
            Some(_) => return Ok(()),
            None => "Blob",
        },
        (Kind::Structure { .. }, _) => "Structure",
        (Kind::List { .. }, _) => "List",
        (Kind::Map { .. }, _) => "Map",
        (Kind::String { .. }, _) => "String",
        (Kind::Double { .. }, _) => "Double",
        (Kind::Boolean, _) => "Boolean",
    };
    Err(mismatch(value, kind, shape.name))
}

/// Checks what is in a value of the right type.
fn inside(
    shape: &Shape,
    value: &mut Value,
    path: &mut Path,
    violations: &mut Violations,
) -> Result<(), String> {
    match (&shape.kind, value) {
        (Kind::Structure { union, members }, Value::Object(given)) => {
            structure(shape, *union, members, given, path, violations)
        }
        (Kind::List { member, .. }, value) => list(member.shape, value, path, violations),
        (Kind::Map { key, value: inner, .. }, value) => {
            map((key.shape, inner.shape), value, path, violations)
        }
        _ => Ok(()),
    }
}

fn structure(
    shape: &Shape,
    union: bool,
    members: &[Member],
    given: &mut Map<String, Value>,
    path: &mut Path,
    violations: &mut Violations,
) -> Result<(), String> {
    given.retain(|name, value| !value.is_null() && members.iter().any(|member| member.name == name));
    if union && given.len() != 1 {
        return Err(format!(
            "Unexpected number of members in the union {}: exactly one must be set",
            shape.name
        ));
    }
    for member in members {
        match given.get_mut(member.name) {
            Some(value) => path.member(member.name, |path| check(member.shape, value, path, violations))?,
            None if member.required => path.member(member.name, |path| violations.missing(&path.0)),
            None => {}
        }
    }
    Ok(())
}

/// What an item itself breaks is told of the list.
fn list(item: &Shape, value: &mut Value, path: &mut Path, violations: &mut Violations) -> Result<(), String> {
    let Value::Array(items) = value else { return Ok(()) };
    let (mut breaks, deep) = (false, is_deep(item));
    for (at, value) in items.iter_mut().enumerate() {
        if value.is_null() {
            path.step(&format!("{}.member", at + 1), |path| violations.missing(&path.0));
            continue;
        }
        typed(item, value)?;
        breaks |= !constraint::broken(&item.kind, value).is_empty();
        if deep {
            path.step(&format!("{}.member", at + 1), |path| inside(item, value, path, violations))?;
        }
    }
    if breaks {
        violations.add(value, &path.0, &constraint::of_all("Member", &item.kind));
    }
    Ok(())
}

/// What a key or a value itself breaks is told of the map.
fn map(
    (key, inner): (&Shape, &Shape),
    value: &mut Value,
    path: &mut Path,
    violations: &mut Violations,
) -> Result<(), String> {
    let Value::Object(entries) = value else { return Ok(()) };
    let (mut key_breaks, mut value_breaks, deep) = (false, false, is_deep(inner));
    for (name, value) in entries.iter_mut() {
        key_breaks |= constraint::breaks_text(&key.kind, name);
        if value.is_null() {
            path.step(&format!("{name}.member"), |path| violations.missing(&path.0));
            continue;
        }
        typed(inner, value)?;
        value_breaks |= !constraint::broken(&inner.kind, value).is_empty();
        if deep {
            path.step(&format!("{name}.member"), |path| inside(inner, value, path, violations))?;
        }
    }
    if key_breaks {
        violations.add(value, &path.0, &constraint::of_all("Map keys", &key.kind));
    }
    if value_breaks {
        violations.add(value, &path.0, &constraint::of_all("Map value", &inner.kind));
    }
    Ok(())
}

/// Whether there is something in such a value that has a place of its own.
fn is_deep(shape: &Shape) -> bool {
    matches!(shape.kind, Kind::Structure { .. } | Kind::List { .. } | Kind::Map { .. })
}

/// A whole number; `2.0` is one and is written as `2`.
fn whole(value: &mut Value, kind: &str, shape: &str) -> Result<i64, String> {
    if let Some(number) = value.as_i64() {
        return Ok(number);
    }
    let Some(number) = value.as_f64() else { return Err(mismatch(value, kind, shape)) };
    if number.fract() != 0.0 {
        return Err(format!("DECIMAL_VALUE can not be converted to {}", article(kind)));
    }
    if number.abs() >= 9.0e18 {
        return Err(format!("NUMBER_VALUE can not be converted to {}", article(kind)));
    }
    *value = Value::Number(Number::from(number as i64));
    Ok(number as i64)
}

/// What the AWS JSON services say of a value that is not of its member's type.
fn mismatch(found: &Value, kind: &str, shape: &str) -> String {
    let token = match found {
        Value::Object(_) => return "Start of structure or map found where not expected".to_owned(),
        Value::Array(_) if kind == "Structure" || kind == "Map" => {
            return format!("Unrecognized collection type {shape}");
        }
        Value::Array(_) => return "Start of list found where not expected".to_owned(),
        _ if matches!(kind, "Structure" | "Map" | "List") => {
            return format!("Expected {} or null", kind.to_lowercase());
        }
        Value::Null => "NULL",
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        Value::Number(number) if number.is_f64() => "DECIMAL_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::String(_) => "STRING_VALUE",
    };
    format!("{token} can not be converted to {}", article(kind))
}

fn article(kind: &str) -> String {
    match kind {
        "Integer" => format!("an {kind}"),
        "Timestamp" => "milliseconds since epoch".to_owned(),
        _ => format!("a {kind}"),
    }
}
