//! CreateEventBus, UpdateEventBus, DeleteEventBus.
//! <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_CreateEventBus.html>

use events_model::{
    CreateEventBusRequest, CreateEventBusResponse, DeadLetterConfig, DeleteEventBusRequest,
    DeleteEventBusResponse, Level, LogConfig, UpdateEventBusRequest, UpdateEventBusResponse, errors,
};
use wire::Error;

use super::tags;
use crate::{
    arn::{self, DEFAULT},
    describe, limits, refuse,
    rows::{BusRow, Key},
    state::Txn,
};

/// CreateEventBus.
pub fn create_event_bus(
    txn: &mut Txn,
    request: CreateEventBusRequest,
) -> Result<CreateEventBusResponse, Error> {
    let name = request.name;
    if let Some(source) = request.event_source_name.as_deref().filter(|source| !source.is_empty()) {
        // There are no partners, so there is none of their sources.
        return Err(errors::resource_not_found(format!("Event source {source} does not exist.")));
    }
    if name.contains('/') {
        return Err(refuse::validation("Event bus name must not contain '/'."));
    }
    if txn.state.bus(&name).is_some() {
        return Err(errors::resource_already_exists(format!("Event bus {name} already exists.")));
    }
    if txn.state.bus_count() >= limits::BUSES {
        return Err(refuse::too_many());
    }
    let now = txn.now();
    let mut row = BusRow {
        name,
        description: request.description.filter(|text| !text.is_empty()),
        tags: tags::read(request.tags.unwrap_or_default())?,
        created_at: Some(now),
        modified_at: Some(now),
        ..BusRow::default()
    };
    set(&mut row, request.kms_key_identifier, request.dead_letter_config, request.log_config)?;
    txn.put(row.clone());
    Ok(CreateEventBusResponse {
        event_bus_arn: Some(arn::bus(txn.ctx, &row.name)),
        description: row.description.clone(),
        kms_key_identifier: None,
        dead_letter_config: describe::dead_letter_config(row.dead_letter.as_ref()),
        log_config: describe::log_config(&row),
    })
}

/// UpdateEventBus: what the request leaves out stays as it is.
pub fn update_event_bus(
    txn: &mut Txn,
    request: UpdateEventBusRequest,
) -> Result<UpdateEventBusResponse, Error> {
    let name = request.name.unwrap_or_else(|| DEFAULT.to_owned());
    let row = txn.state.bus(&name).ok_or_else(|| refuse::no_bus(&name))?;
    let mut row = row.as_ref().clone();
    if let Some(description) = request.description {
        row.description = Some(description).filter(|text| !text.is_empty());
    }
    set(&mut row, request.kms_key_identifier, request.dead_letter_config, request.log_config)?;
    row.modified_at = Some(txn.now());
    txn.put(row.clone());
    Ok(UpdateEventBusResponse {
        arn: Some(arn::bus(txn.ctx, &name)),
        name: Some(name),
        kms_key_identifier: None,
        description: row.description.clone(),
        dead_letter_config: describe::dead_letter_config(row.dead_letter.as_ref()),
        log_config: describe::log_config(&row),
    })
}

/// What creating and updating have in common.
fn set(
    row: &mut BusRow,
    key: Option<String>,
    dead_letter: Option<DeadLetterConfig>,
    log: Option<LogConfig>,
) -> Result<(), Error> {
    if key.is_some_and(|key| !key.is_empty()) {
        return Err(refuse::not_built("KmsKeyIdentifier of event buses"));
    }
    if let Some(config) = dead_letter {
        row.dead_letter = config.arn.filter(|arn| !arn.is_empty());
        super::target::check_queue(row.dead_letter.as_deref())?;
    }
    if let Some(config) = log {
        if config.level.is_some_and(|level| level != Level::Off) {
            return Err(refuse::not_built("LogConfig.Level of event buses, but for OFF"));
        }
        row.log_level = config.level.map(|level| level.as_str().to_owned());
        row.log_detail = config.include_detail.map(|detail| detail.as_str().to_owned());
    }
    Ok(())
}

/// DeleteEventBus: one that is not there is deleted already.
pub fn delete_event_bus(
    txn: &mut Txn,
    request: DeleteEventBusRequest,
) -> Result<DeleteEventBusResponse, Error> {
    let name = request.name;
    if name == DEFAULT {
        return Err(refuse::validation("Cannot delete event bus default."));
    }
    if txn.state.bus(&name).is_none() {
        return Ok(DeleteEventBusResponse {});
    }
    if txn.state.rule_count(&name) > 0 {
        return Err(refuse::validation("EventBus can't be deleted since it has rules."));
    }
    if txn.state.policy(&name).is_some() {
        txn.delete(Key::Policy(name.clone()));
    }
    txn.delete(Key::Bus(name));
    Ok(DeleteEventBusResponse {})
}
