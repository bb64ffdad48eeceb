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

/// Where a value stands in the input, as the messages write it: `tags.1.member.key`.
#[derive(Default)]
struct Path(String);

impl Path {
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

/// `Err` is a value of the wrong type; broken constraints go to `violations`.
fn check(
    shape: &Shape,
    value: &mut Value,
    path: &mut Path,
    violations: &mut Violations,
) -> Result<(), String> {
    match &shape.kind {
        Kind::Structure { union, members } => structure(shape, *union, members, value, path, violations),
        Kind::List { member, min, max, .. } => {
            let Value::Array(items) = value else { return Err(mismatch(value, "List", shape.name)) };
            violations.length(items.len(), *min, *max, || path.0.clone(), items);
            for (at, item) in items.iter_mut().enumerate() {
                if item.is_null() {
                    let at = path.step(&format!("{}.member", at + 1), |path| path.0.clone());
                    violations.missing(at);
                } else if needs_look(member.shape, item) {
                    path.step(&format!("{}.member", at + 1), |path| {
                        check(member.shape, item, path, violations)
                    })?;
                }
            }
            Ok(())
        }
        Kind::Map { key, value: inner, min, max, .. } => {
            map(shape, (key, inner), (*min, *max), value, path, violations)
        }
        Kind::String { min, max, pattern, values } => {
            let Value::String(text) = value else { return Err(mismatch(value, "String", shape.name)) };
            violations.string(text, (*min, *max), *pattern, values, &path.0);
            Ok(())
        }
        Kind::Integer { min, max } => {
            let number = whole(value, "Integer", shape.name)?;
            if i32::try_from(number).is_err() {
                return Err("NUMBER_VALUE can not be converted to an Integer".to_owned());
            }
            violations.range(number, *min, *max, &path.0);
            Ok(())
        }
        Kind::Long { min, max } => {
            let number = whole(value, "Long", shape.name)?;
            violations.range(number, *min, *max, &path.0);
            Ok(())
        }
        Kind::Double { min, max } => {
            let Some(number) = value.as_f64() else { return Err(mismatch(value, "Double", shape.name)) };
            violations.double_range(number, *min, *max, &path.0);
            Ok(())
        }
        Kind::Boolean => match value {
            Value::Bool(_) => Ok(()),
            other => Err(mismatch(other, "Boolean", shape.name)),
        },
        Kind::Timestamp(_) => match serde_json::from_value::<crate::Timestamp>(value.clone()) {
            Ok(_) => Ok(()),
            Err(_) => Err(mismatch(value, "Timestamp", shape.name)),
        },
        Kind::Blob { min, max } => blob(shape, (*min, *max), value, path, violations),
        Kind::Document => Ok(()),
    }
}

/// A list of plain strings without constraints is the common case: no path needs to be built for it.
fn needs_look(shape: &Shape, item: &Value) -> bool {
    let plain = matches!(shape.kind, Kind::String { min: None, max: None, pattern: None, values: [] });
    !(plain && item.is_string())
}

fn structure(
    shape: &Shape,
    union: bool,
    members: &[Member],
    value: &mut Value,
    path: &mut Path,
    violations: &mut Violations,
) -> Result<(), String> {
    let Value::Object(given) = value else { return Err(mismatch(value, "Structure", shape.name)) };
    given.retain(|name, value| !value.is_null() && members.iter().any(|member| member.name == name));
    if union && given.len() != 1 {
        return Err(format!(
            "Unexpected number of members in the union {}: exactly one must be set",
            shape.name
        ));
    }
    for member in members {
        match given.get_mut(member.name) {
            Some(value) => path.step(member.name, |path| check(member.shape, value, path, violations))?,
            None if member.required => violations.missing(path.step(member.name, |path| path.0.clone())),
            None => {}
        }
    }
    Ok(())
}

fn map(
    shape: &Shape,
    (key, inner): (&Member, &Member),
    (min, max): (Option<i64>, Option<i64>),
    value: &mut Value,
    path: &mut Path,
    violations: &mut Violations,
) -> Result<(), String> {
    let Value::Object(entries) = value else { return Err(mismatch(value, "Map", shape.name)) };
    violations.length(entries.len(), min, max, || path.0.clone(), entries);
    for (name, value) in entries.iter_mut() {
        if let Kind::String { min, max, pattern, values } = &key.shape.kind {
            violations.string(name, (*min, *max), *pattern, values, &path.0);
        }
        if value.is_null() {
            violations.missing(path.step(&format!("{name}.member"), |path| path.0.clone()));
        } else {
            path.step(&format!("{name}.member"), |path| check(inner.shape, value, path, violations))?;
        }
    }
    Ok(())
}

fn blob(
    shape: &Shape,
    (min, max): (Option<i64>, Option<i64>),
    value: &Value,
    path: &Path,
    violations: &mut Violations,
) -> Result<(), String> {
    let Ok(blob) = serde_json::from_value::<crate::Blob>(value.clone()) else {
        return Err(mismatch(value, "Blob", shape.name));
    };
    violations.length(blob.0.len(), min, max, || path.0.clone(), &format!("{} bytes", blob.0.len()));
    Ok(())
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
