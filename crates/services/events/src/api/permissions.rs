//! PutPermission and RemovePermission: statements of an event bus's resource policy.
//! <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutPermission.html>

use events_model::{
    Condition, PutPermissionRequest, PutPermissionResponse, RemovePermissionRequest,
    RemovePermissionResponse, errors,
};
use serde_json::{Value, json};
use wire::Error;

use crate::{
    arn::{self, DEFAULT},
    limits, refuse,
    rows::{Key, PolicyRow},
    state::{Events, Txn},
};

/// `Version` of the policies that single permissions make.
const VERSION: &str = "2012-10-17";

/// PutPermission: a whole policy, or one statement.
pub fn put_permission(txn: &mut Txn, request: PutPermissionRequest) -> Result<PutPermissionResponse, Error> {
    let bus = bus(txn.state, request.event_bus_name.as_deref())?;
    let row = match &request.policy {
        Some(text) => {
            let alone = [&request.action, &request.principal, &request.statement_id];
            if alone.iter().any(|member| member.is_some()) || request.condition.is_some() {
                return Err(refuse::validation(
                    "Parameter Policy cannot be used together with Action, Principal, StatementId or Condition.",
                ));
            }
            whole(bus, text)?
        }
        None => {
            let statement = statement(txn, &bus, request)?;
            let mut row = policy(txn.state, &bus);
            row.statements.retain(|old| old["Sid"] != statement["Sid"]);
            row.statements.push(statement);
            row
        }
    };
    if text(&row).chars().count() > limits::POLICY {
        return Err(errors::policy_length_exceeded(format!(
            "The policy is longer than {} characters.",
            limits::POLICY
        )));
    }
    txn.put(row);
    Ok(PutPermissionResponse {})
}

/// RemovePermission.
pub fn remove_permission(
    txn: &mut Txn,
    request: RemovePermissionRequest,
) -> Result<RemovePermissionResponse, Error> {
    let bus = bus(txn.state, request.event_bus_name.as_deref())?;
    let mut row = policy(txn.state, &bus);
    if request.remove_all_permissions != Some(true) {
        let before = row.statements.len();
        let id = request.statement_id.unwrap_or_default();
        row.statements.retain(|statement| statement["Sid"] != id.as_str());
        if row.statements.len() == before {
            return Err(errors::resource_not_found("Statement with the provided id does not exist."));
        }
        if !row.statements.is_empty() {
            txn.put(row);
            return Ok(RemovePermissionResponse {});
        }
    }
    if txn.state.policy(&bus).is_some() {
        txn.delete(Key::Policy(bus));
    }
    Ok(RemovePermissionResponse {})
}

/// An event bus's policy as JSON text.
pub fn text(row: &PolicyRow) -> String {
    json!({"Version": row.version, "Statement": row.statements}).to_string()
}

fn bus(state: &Events, name: Option<&str>) -> Result<String, Error> {
    let name = name.filter(|name| !name.is_empty()).unwrap_or(DEFAULT);
    let row = state.bus(name).ok_or_else(|| refuse::no_bus(name))?;
    Ok(row.name.clone())
}

fn policy(state: &Events, bus: &str) -> PolicyRow {
    let none = || PolicyRow { bus: bus.to_owned(), version: VERSION.to_owned(), statements: Vec::new() };
    state.policy(bus).map_or_else(none, |row| row.as_ref().clone())
}

fn statement(txn: &Txn, bus: &str, request: PutPermissionRequest) -> Result<Value, Error> {
    let wanted = |member: Option<String>, name: &str| {
        let missing = || refuse::validation(format!("Parameter {name} must be specified."));
        member.filter(|text| !text.is_empty()).ok_or_else(missing)
    };
    let action = wanted(request.action, "Action")?;
    let principal = wanted(request.principal, "Principal")?;
    let sid = wanted(request.statement_id, "StatementId")?;
    if action != "events:PutEvents" {
        return Err(refuse::validation("Provided value in parameter 'action' is not supported."));
    }
    let principal = match principal.as_str() {
        "*" => json!("*"),
        account => json!({"AWS": format!("arn:{}:iam::{account}:root", txn.ctx.partition)}),
    };
    let mut statement = json!({
        "Sid": sid,
        "Effect": "Allow",
        "Principal": principal,
        "Action": action,
        "Resource": arn::bus(txn.ctx, bus),
    });
    if let Some(Condition { r#type, key, value }) = request.condition {
        if (r#type.as_str(), key.as_str()) != ("StringEquals", "aws:PrincipalOrgID") {
            return Err(refuse::validation(
                "Condition must have the Type StringEquals and the Key aws:PrincipalOrgID.",
            ));
        }
        statement["Condition"] = json!({r#type: {key: value}});
    }
    Ok(statement)
}

/// A policy document of the caller's own.
fn whole(bus: String, text: &str) -> Result<PolicyRow, Error> {
    let bad = || refuse::validation("Parameter Policy is not valid.");
    let Ok(Value::Object(mut document)) = serde_json::from_str(text) else { return Err(bad()) };
    let version = match document.remove("Version") {
        None => "2008-10-17".to_owned(),
        Some(Value::String(version)) if ["2008-10-17", VERSION].contains(&version.as_str()) => version,
        Some(_) => return Err(bad()),
    };
    let statements = match document.remove("Statement") {
        Some(Value::Array(all)) => all,
        Some(one @ Value::Object(_)) => vec![one],
        _ => return Err(bad()),
    };
    let effects = ["Allow", "Deny"];
    let good = |statement: &Value| {
        let has = |names: &[&str]| names.iter().any(|name| statement.get(name).is_some());
        statement["Effect"].as_str().is_some_and(|effect| effects.contains(&effect))
            && has(&["Principal", "NotPrincipal"])
            && has(&["Action", "NotAction"])
    };
    if statements.is_empty() || !statements.iter().all(good) {
        return Err(bad());
    }
    Ok(PolicyRow { bus, version, statements })
}
