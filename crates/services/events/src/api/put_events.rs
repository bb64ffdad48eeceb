//! PutEvents. <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>

use events_model::{PutEventsRequest, PutEventsRequestEntry, PutEventsResponse, PutEventsResultEntry};
use wire::Error;

use crate::{
    arn::{self, Arn},
    envelope::{Entry, Envelope, check_size},
    plan::deliver,
    refuse,
    rows::ArrivalRow,
    state::Txn,
};

/// PutEvents: each entry on its own.
pub fn put_events(txn: &mut Txn, request: PutEventsRequest) -> Result<PutEventsResponse, Error> {
    if request.endpoint_id.is_some() {
        return Err(refuse::not_built("EndpointId of PutEvents"));
    }
    check_size(request.entries.iter().map(entry)).map_err(|error| refuse::validation(error.to_string()))?;
    let mut failed = 0;
    let mut entries = Vec::with_capacity(request.entries.len());
    for given in &request.entries {
        entries.push(match put(txn, given) {
            Ok(id) => PutEventsResultEntry { event_id: Some(id), ..PutEventsResultEntry::default() },
            Err((code, message)) => {
                failed += 1;
                PutEventsResultEntry {
                    error_code: Some(code.to_owned()),
                    error_message: Some(message),
                    ..PutEventsResultEntry::default()
                }
            }
        });
    }
    Ok(PutEventsResponse { failed_entry_count: Some(failed), entries: Some(entries) })
}

fn entry(given: &PutEventsRequestEntry) -> Entry<'_> {
    Entry {
        has_time: given.time.is_some(),
        source: given.source.as_deref(),
        detail_type: given.detail_type.as_deref(),
        detail: given.detail.as_deref(),
        resources: given.resources.as_deref().unwrap_or_default(),
    }
}

/// Gives the event's id, or the code and message of the failure.
fn put(txn: &mut Txn, given: &PutEventsRequestEntry) -> Result<String, (&'static str, String)> {
    let (source, detail_type, detail) =
        entry(given).check().map_err(|error| (error.code(), error.to_string()))?;
    let bus = bus(txn, given.event_bus_name.as_deref())?;
    if !txn.state.takes_events() {
        return Err(("ThrottlingException", "Too many events wait for their targets.".to_owned()));
    }
    let id = txn.ids.uuid();
    let envelope = Envelope {
        id: &id,
        detail_type,
        source,
        account: &txn.ctx.account,
        time: given.time.unwrap_or(txn.now()).as_seconds(),
        region: &txn.ctx.region,
        resources: given.resources.as_deref().unwrap_or_default(),
        detail: &detail,
    };
    let event = envelope.to_json().map_err(|error| ("InvalidArgument", error.to_string()))?;
    // What is put on a bus that is not there gets an id, and goes nowhere: so AWS was seen to answer.
    if txn.state.bus(&bus).is_some() {
        let arrival = ArrivalRow {
            id: txn.ids.id(),
            bus,
            event,
            forwarded: false,
            ingested_at: txn.now(),
            only: None,
            after: None,
        };
        deliver::deliver(txn, arrival);
    }
    Ok(id)
}

fn bus(txn: &Txn, name: Option<&str>) -> Result<String, (&'static str, String)> {
    let foreign = name.and_then(Arn::parse).is_some_and(|arn| !arn.is_own(txn.ctx));
    if foreign {
        let what = refuse::not_built("events for event buses of other accounts and Regions");
        return Err(("InvalidArgument", what.message().to_owned()));
    }
    arn::bus_name(txn.ctx, name).map_err(|error| ("InvalidArgument", error.message().to_owned()))
}
