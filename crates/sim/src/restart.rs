//! The control plane's end and new start: the state is written as the store would hold it, read back, and
//! must be the same, indexes and all.

use ::ecs::{
    Cluster,
    cluster::{Change, Row, ServiceEventRow, ServiceRow},
};
use serde_json::{Value, json};
use state::{Domain, Table, contract::Tells};

/// Writes every row and reads it again; some services as version 1 wrote them, with their events and client token within.
pub fn reread(state: &Cluster, mut is_earlier: impl FnMut() -> bool) -> Result<Cluster, String> {
    let services = state.services().map(|row| &row.name);
    let earlier: Vec<_> = services.filter(|_| is_earlier()).collect();
    let mut read = Cluster::of(state.row.as_ref().clone());
    for row in state.rows() {
        let value = match &row {
            Row::ServiceEvent(row) if earlier.contains(&&row.service) => continue,
            Row::ServiceToken(row) if earlier.contains(&&row.service) => continue,
            Row::ServiceRevision(row) if earlier.contains(&&row.service) => continue,
            Row::ServiceDeployment(row) if earlier.contains(&&row.service) => continue,
            Row::Service(row) if earlier.contains(&&row.name) => in_version_1(state, row)?,
            row => row.encode(),
        };
        let key = Row::path(&row.key());
        let back = Row::decode(&key, &value).map_err(|error| format!("{key}: {error}"))?;
        let is_held = matches!(&back, Row::Service(row) if row.held.is_some());
        if back != row && !is_held {
            return Err(format!("{key} is another row when it is read again"));
        }
        read.apply(&Change::Put(back));
    }
    if !earlier.is_empty() {
        same_histories(state, &read)?;
    } else if !read.all_service_events().eq(state.all_service_events())
        || read.agenda().wake_at() != state.agenda().wake_at()
    {
        return Err("events of services or timers differ after a restart".to_owned());
    }
    if read.totals() != state.totals()
        || !read.tallies().eq(state.tallies())
        || !read.service_tokens().eq(state.service_tokens())
        || !read.outgoing().waiting().eq(state.outgoing().waiting())
        || read.outgoing().sequence() != state.outgoing().sequence()
    {
        return Err("the indexes differ after a restart".to_owned());
    }
    Ok(read)
}

/// The row of a service as version 1 wrote it.
fn in_version_1(state: &Cluster, row: &ServiceRow) -> Result<Vec<u8>, String> {
    let mut value = serde_json::to_value(row).map_err(|error| error.to_string())?;
    let event = |row: &ServiceEventRow| json!({"id": row.id, "at": row.at, "message": row.message});
    value["events"] = state.service_events(&row.name).map(|row| event(row)).collect::<Vec<Value>>().into();
    let token = state.service_token(&row.name);
    value["client_token"] = token.map(|_| "t").into();
    value["request"] = token.map_or("of no token", |token| token.request.as_str()).into();
    Ok(format!("{{\"v\":1,\"row\":{value}}}").into_bytes())
}

/// Nothing that services have said is lost or comes twice; it may count otherwise.
fn same_histories(before: &Cluster, after: &Cluster) -> Result<(), String> {
    for row in before.services() {
        let said = |state: &Cluster| -> Vec<_> {
            let events = state.service_events(&row.name);
            events.map(|event| (event.id.clone(), event.at, event.message.clone())).collect()
        };
        if said(before) != said(after) {
            return Err(format!("service {} has said something else before it was taken over", row.name));
        }
    }
    Ok(())
}
