//! RegisterContainerInstance. <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RegisterContainerInstance.html>

use std::collections::{BTreeMap, BTreeSet};

use ecs_model::{self as ecs, PlatformDeviceType, errors};
use wire::Error;

use super::{ARCHITECTURE, ZONE, attributes, describe};
use crate::{
    arn,
    cluster::{Attribute, Gpus, InstanceId, InstanceRow, InstanceStatus, Owner, Resources, Txn, Writes},
    convert::Stored,
    daemon, limits, tags,
};

/// Takes an agent's host into the cluster, or takes it again after the agent's restart.
///
/// # Errors
/// `InvalidParameterException`, `ClientException`, `AccessDeniedException`.
pub fn register_container_instance(
    txn: &mut Txn,
    request: ecs::RegisterContainerInstanceRequest,
) -> Result<ecs::RegisterContainerInstanceResponse, Error> {
    let document = request.instance_identity_document.clone();
    let mut registered = resources(request.total_resources.as_deref().unwrap_or_default())?;
    registered.gpus = with_devices(&registered.gpus, &request.platform_devices.unwrap_or_default())?;
    let mut attributes = checked(request.attributes.unwrap_or_default())?;
    let owner = if txn.ctx.agent.is_some() { Owner::Agent } else { Owner::User };
    let row = match known(txn, request.container_instance_arn.as_deref())? {
        Some(row) => {
            let row = again(txn, row, registered, attributes)?;
            let owner = if owner == Owner::Agent { owner } else { row.owner };
            let version_info = request.version_info.stored().unwrap_or(row.version_info.clone());
            InstanceRow { version_info, owner, ..row }
        }
        None => {
            let live = || txn.state.totals().instances_live();
            if limits::is_full(limits::INSTANCES, txn.state.counts().1, live) {
                return Err(errors::client(
                    "The number of container instances in this cluster has reached its limit.",
                ));
            }
            tags::check(request.tags.as_deref().unwrap_or_default())?;
            add_facts(txn, &mut attributes);
            InstanceRow {
                id: InstanceId(txn.ctx.agent.unwrap_or_else(|| txn.ids.id())),
                owner,
                status: InstanceStatus::Active,
                repair: false,
                registered_at: txn.now(),
                registered,
                attributes,
                tags: request.tags.unwrap_or_default().stored(),
                // Its ACS socket says so, once it is open: an agent may die before that.
                agent_connected: false,
                timeline: 0,
                version_info: request.version_info.unwrap_or_default().stored(),
                ec2_instance_id: None,
                address: None,
                lost_at: None,
                health: Vec::new(),
                version: 0,
                forget_at: None,
            }
        }
    };
    let ec2_instance_id = Some(ec2_instance_id(document.as_deref(), &row.id));
    let mut row = InstanceRow { ec2_instance_id, ..row };
    if txn.state.instance(&row.id).is_none() {
        row.status = daemon::hold::status(txn.state, &row);
    }
    txn.put_instance(row.clone());
    txn.room_came(&row.id);
    let stored = txn.state.instance(&row.id).cloned().expect("it was just written");
    let shown = describe::instance(txn.state, txn.ctx, &stored, true);
    Ok(ecs::RegisterContainerInstanceResponse { container_instance: Some(shown) })
}

/// The container instance that registers again: the one that a user names, or the caller's own.
fn known(txn: &Txn, named: Option<&str>) -> Result<Option<InstanceRow>, Error> {
    let named = named.filter(|named| !named.is_empty());
    let named = named.map(|named| arn::container_instance_id(txn.ctx, &txn.state.row.name, named));
    let named = named.transpose()?.map(|named| InstanceId::parse(&named));
    let missing = || errors::client("The referenced container instance was not found.");
    let id = match (named, txn.ctx.agent.map(InstanceId)) {
        (None, None) => return Ok(None),
        (Some(named), None) => named.ok_or_else(missing)?,
        (None, Some(own)) => own,
        (Some(named), Some(own)) if named == Some(own) => own,
        (Some(_), Some(_)) => return Err(super::not_yours(txn.ctx)),
    };
    super::may_speak(txn.state, txn.ctx, Some(&id))?;
    match txn.state.instance(&id) {
        Some(row) if row.status == InstanceStatus::Inactive => {
            Err(errors::client(format!("Container instance {id} is inactive.")))
        }
        Some(row) => Ok(Some(row.as_ref().clone())),
        // The key came first, and the row was not written then, or is not in the backup that was restored.
        None if txn.ctx.agent.is_some() => Ok(None),
        _ => Err(missing()),
    }
}

/// What tools take for the machine's id: the one in EC2's identity document, else one of the same form that stays
/// as long as the container instance does, and that no other has.
fn ec2_instance_id(document: Option<&str>, id: &InstanceId) -> String {
    let told = document.and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    let told = told.as_ref().and_then(|document| document["instanceId"].as_str());
    let is_one = |id: &&str| {
        let digits = id.strip_prefix("i-").unwrap_or_default();
        (8..=17).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit())
    };
    let own = || format!("i-{}", id.to_string().chars().take(17).collect::<String>());
    told.filter(is_one).map_or_else(own, str::to_owned)
}

/// The agent says its capabilities anew; what users set on the instance stays.
fn again(
    txn: &Txn,
    mut row: InstanceRow,
    registered: Resources,
    mut attributes: Vec<Attribute>,
) -> Result<InstanceRow, Error> {
    for old in &row.attributes {
        let capability = old.name.starts_with("com.amazonaws.ecs.capability.")
            || old.name.starts_with("ecs.capability.")
            || [agent_protocol::FARGATE, agent_protocol::ISOLATION].contains(&old.name.as_str());
        if !capability && !attributes.iter().any(|new| new.name == old.name) {
            attributes.push(old.clone());
        }
    }
    add_facts(txn, &mut attributes);
    if attributes.len() > limits::ATTRIBUTES_KEPT {
        return Err(errors::invalid_parameter("The container instance has too many attributes."));
    }
    row.attributes = attributes;
    row.registered = registered;
    Ok(row)
}

/// The attributes that a host is registered with, each name once: the last one counts.
fn checked(given: Vec<ecs::Attribute>) -> Result<Vec<Attribute>, Error> {
    if given.len() > limits::ATTRIBUTES {
        return Err(errors::invalid_parameter("Attributes cannot have more than 200 elements."));
    }
    let mut all: Vec<Attribute> = Vec::with_capacity(given.len());
    let mut at = BTreeMap::new();
    for attribute in given {
        // The ECS agent sends an empty value for one that has none.
        attributes::check(&attribute.name, attribute.value.as_deref().filter(|value| !value.is_empty()))?;
        match at.get(&attribute.name) {
            Some(at) => all[*at] = attribute.stored(),
            None => {
                at.insert(attribute.name.clone(), all.len());
                all.push(attribute.stored());
            }
        }
    }
    Ok(all)
}

/// What the backend adds: the zone and, where the agent does not say it, the architecture.
fn add_facts(txn: &Txn, attributes: &mut Vec<Attribute>) {
    let zone = format!("{}a", txn.ctx.region);
    for (name, value) in [(ZONE, zone.as_str()), (ARCHITECTURE, "x86_64")] {
        if !attributes.iter().any(|a| a.name == name) {
            attributes.push(Attribute { name: name.to_owned(), value: Some(value.to_owned()) });
        }
    }
}

/// What a host has. Of resources that users define nothing is kept, as no task can ask for any.
fn resources(given: &[ecs::Resource]) -> Result<Resources, Error> {
    let mut all = Resources::default();
    for resource in given {
        let number = || {
            let given = resource.integer_value.map(i64::from).or(resource.long_value);
            let number = given.filter(|n| (0..=i64::from(i32::MAX)).contains(n));
            number.ok_or_else(|| errors::invalid_parameter("A resource has no valid value."))
        };
        match resource.name.as_deref() {
            Some("CPU") => all.cpu = number()?,
            Some("MEMORY") => all.memory = number()?,
            Some("PORTS") => all.ports_tcp = ports(resource)?,
            Some("PORTS_UDP") => all.ports_udp = ports(resource)?,
            Some("GPU") => all.gpus = gpus(resource.string_set_value.iter().flatten())?,
            Some(own) if !own.is_empty() => {}
            _ => return Err(errors::invalid_parameter("A resource has no name.")),
        }
    }
    Ok(all)
}

/// The GPUs of a host, with those that its ECS agent names as devices.
fn with_devices(gpus: &Gpus, devices: &[ecs::PlatformDevice]) -> Result<Gpus, Error> {
    let devices = devices.iter().filter(|device| device.r#type == PlatformDeviceType::Gpu);
    self::gpus(gpus.iter().chain(devices.map(|device| &device.id)))
}

fn gpus<'a>(ids: impl Iterator<Item = &'a String>) -> Result<Gpus, Error> {
    let ids: BTreeSet<String> = ids.take(2 * limits::GPUS + 1).cloned().collect();
    let fits = |id: &String| {
        (1..=limits::GPU_ID_LENGTH).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
    };
    if ids.len() > limits::GPUS || !ids.iter().all(fits) {
        return Err(errors::invalid_parameter("A GPU is not valid."));
    }
    Ok(ids.into())
}

fn ports(resource: &ecs::Resource) -> Result<BTreeSet<u16>, Error> {
    let given = resource.string_set_value.as_deref().unwrap_or_default();
    let read = |text: &String| text.parse().map_err(|_| errors::invalid_parameter("A port is not valid."));
    given.iter().map(read).collect()
}
