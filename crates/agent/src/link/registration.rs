//! RegisterContainerInstance and DiscoverPollEndpoint, as the stock agent calls them, with the
//! capabilities that this agent really has.

use std::{collections::BTreeMap, time::Duration};

use agent_protocol::{
    CAPACITY_PROVIDER, FARGATE, ISOLATION,
    agent_key::{self, AgentKey},
};
use ecs_model as ecs;
use wire::sigv4::Credentials;

use crate::{
    api::{self, Api, BackOff},
    config::{Config, Resources},
    host::Host,
    ledger::{self, Instance, Ledger},
};

/// Why the agent cannot register at all. What passes is tried again and is no error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("this host cannot be registered: {0}")]
    Refused(api::Error),
    /// The control plane answered without something that was sent.
    #[error("the control plane does not take the attribute {0}")]
    Attribute(String),
    #[error("the control plane did not name the container instance")]
    Unnamed,
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
}

/// Registers this host, as the instance that it was before where there is one. Tries for as long as the
/// control plane is not there.
///
/// The host speaks by a key of its own, which is on disk before the control plane hears of it: whatever dies on
/// the way, the next attempt is the same instance. The key that it was given only brings the new one in.
///
/// A control plane that does not know the host any more may have lost its state. It would have every task here
/// stopped, as it knows of none: so while tasks run, the host only becomes a new instance when an operator says so.
pub async fn register(config: &Config, api: &Api, ledger: &Ledger, host: &Host) -> Result<Instance, Error> {
    let mut before = ledger.instance()?.filter(|instance| instance.cluster == config.cluster);
    let mut key = Key::open(config, ledger).await?;
    let mut back_off = BackOff::new(Duration::from_millis(200), 2.0, Duration::from_secs(30));
    loop {
        let request = request(config, before.as_ref(), &key);
        api.set_credentials(key.credentials(config));
        let answer: Result<ecs::RegisterContainerInstanceResponse, _> =
            api.call(api::ECS, "RegisterContainerInstance", &request).await;
        match answer {
            Ok(answer) => {
                let instance = check(config, &request, answer)?;
                if ledger.instance()?.as_ref() != Some(&instance) {
                    ledger.set_instance(&instance).await?;
                }
                key.bound = true;
                api.set_credentials(key.credentials(config));
                return Ok(instance);
            }
            Err(error) if error.passes() => {
                // The answer may be all that was lost.
                key.bound = true;
                let wait = back_off.wait();
                tracing::info!(%error, ?wait, "not registered yet");
                api.look_again(wait).await;
            }
            // Not heard of: never registered, or a backup from before was restored.
            Err(error) if key.own.is_some() && key.bound && is_unknown(&error) => key.bound = false,
            Err(error) if before.is_some() && !config.begins_anew && host.is_busy() => {
                let wait = back_off.wait();
                let mend = if !key.bound && error.code() == Some("AccessDeniedException") {
                    "it belongs to the key that this host had and has lost. Put a backup of agent/ledger.db in its place"
                } else {
                    "restore the control plane's state"
                };
                tracing::error!(
                    %error, ?wait, mend,
                    "the control plane does not take this host as the instance that it was; its tasks go on. Mend that, \
                     or start with --begin-anew: the tasks end, and the host is a new instance: docs/repair.md"
                );
                // What was brought along, or not, is tried in turns.
                key.bound = true;
                tokio::time::sleep(wait).await;
            }
            Err(error) if key.own.is_some() && key.bound && is_final(&error) => {
                tracing::warn!(%error, "registering as a new instance, by a new key");
                before = None;
                key = Key::make(ledger).await?;
            }
            Err(error) => match before.take() {
                // The control plane may have forgotten the instance: it is a new one then.
                Some(instance) => tracing::warn!(%error, instance.arn, "registering as a new instance"),
                None => return Err(Error::Refused(error)),
            },
        }
    }
}

/// What calls are signed with before this host is registered anew: reports of what ran before do not wait for it.
pub fn credentials(config: &Config, ledger: &Ledger) -> Result<Credentials, ledger::Error> {
    let own = ledger.key()?.filter(|_| !config.has_operator_key());
    Ok(Key { own, bound: true }.credentials(config))
}

/// Which key this host registers with.
struct Key {
    /// Its own; none where an operator made the one that it was given, which becomes its own.
    own: Option<AgentKey>,
    /// Whether the control plane may know it.
    bound: bool,
}

impl Key {
    async fn open(config: &Config, ledger: &Ledger) -> Result<Key, ledger::Error> {
        if config.has_operator_key() {
            return Ok(Key { own: None, bound: true });
        }
        match ledger.key()? {
            Some(own) => Ok(Key { own: Some(own), bound: true }),
            None => Key::make(ledger).await,
        }
    }

    async fn make(ledger: &Ledger) -> Result<Key, ledger::Error> {
        let random = || uuid::Uuid::new_v4().simple().to_string();
        let own = AgentKey {
            access_key_id: format!("{}{}", agent_key::OF_AGENT, random()[..16].to_uppercase()),
            secret_access_key: format!("{}{}", random(), random()),
        };
        ledger.set_key(&own).await?;
        Ok(Key { own: Some(own), bound: false })
    }

    /// What to sign with.
    fn credentials(&self, config: &Config) -> Credentials {
        match &self.own {
            Some(own) if self.bound => Credentials {
                access_key: own.access_key_id.clone(),
                secret: own.secret_access_key.clone(),
                token: None,
            },
            _ => config.credentials.clone(),
        }
    }
}

/// The key is of a container instance that was deregistered, or is in another cluster.
fn is_final(error: &api::Error) -> bool {
    matches!(error.code(), Some("ClientException" | "AccessDeniedException" | "InvalidParameterException"))
}

/// The control plane does not know the key.
fn is_unknown(error: &api::Error) -> bool {
    matches!(error.code(), Some("UnrecognizedClientException" | "InvalidClientTokenId"))
}

fn check(
    config: &Config,
    request: &ecs::RegisterContainerInstanceRequest,
    answer: ecs::RegisterContainerInstanceResponse,
) -> Result<Instance, Error> {
    let instance = answer.container_instance.ok_or(Error::Unnamed)?;
    let told = instance.attributes.unwrap_or_default();
    for sent in request.attributes.iter().flatten() {
        let taken = told.iter().any(|a| {
            a.name == sent.name && a.value.as_deref().unwrap_or("") == sent.value.as_deref().unwrap_or("")
        });
        if !taken {
            return Err(Error::Attribute(sent.name.clone()));
        }
    }
    let arn = instance.container_instance_arn.filter(|arn| !arn.is_empty()).ok_or(Error::Unnamed)?;
    Ok(Instance { cluster: config.cluster.clone(), arn })
}

fn request(config: &Config, before: Option<&Instance>, key: &Key) -> ecs::RegisterContainerInstanceRequest {
    let mut attributes = capabilities(&config.engine.capabilities());
    if before.is_none() {
        let own = config.attributes.iter().map(|(name, value)| (name.clone(), value.clone()));
        attributes.extend(own);
    }
    if let Some(provider) = &config.capacity_provider {
        attributes.insert(CAPACITY_PROVIDER.to_owned(), provider.clone());
    }
    match config.engine.isolation(config.isolation) {
        Ok(()) => {
            attributes.insert(ISOLATION.to_owned(), config.isolation.name().to_owned());
            if config.fargate {
                attributes.insert(FARGATE.to_owned(), "true".to_owned());
            }
        }
        Err(error) if config.fargate => tracing::warn!(
            error,
            isolation = config.isolation.name(),
            "this host cannot have the wall that it is to have around tasks on Fargate: it takes none of them"
        ),
        Err(_) => {}
    }
    let zone = config.availability_zone.iter().map(|zone| ("ecs.availability-zone".to_owned(), zone.clone()));
    attributes.extend(zone);
    let brought = key.own.as_ref().filter(|_| !key.bound);
    let attribute = |(name, value): (String, String)| ecs::Attribute {
        name,
        value: Some(value).filter(|value| !value.is_empty()),
        ..ecs::Attribute::default()
    };
    ecs::RegisterContainerInstanceRequest {
        cluster: Some(config.cluster.clone()),
        container_instance_arn: before.map(|instance| instance.arn.clone()),
        attributes: Some(attributes.into_iter().map(attribute).collect()),
        total_resources: Some(resources(&config.resources)),
        // As an external instance: there is no identity document here, but a new host brings its key along.
        instance_identity_document: Some(brought.map(AgentKey::to_document).unwrap_or_default()),
        instance_identity_document_signature: Some(String::new()),
        ..Default::default()
    }
}

fn resources(resources: &Resources) -> Vec<ecs::Resource> {
    let integer = |name: &str, value: u64| ecs::Resource {
        name: Some(name.to_owned()),
        r#type: Some("INTEGER".to_owned()),
        integer_value: Some(i32::try_from(value).unwrap_or(i32::MAX)),
        ..ecs::Resource::default()
    };
    let set = |name: &str, values: Vec<String>| ecs::Resource {
        name: Some(name.to_owned()),
        r#type: Some("STRINGSET".to_owned()),
        string_set_value: Some(values),
        ..ecs::Resource::default()
    };
    let ports = |ports: &[u16]| ports.iter().map(u16::to_string).collect();
    let mut all = vec![
        integer("CPU", resources.cpu),
        integer("MEMORY", resources.memory_mib),
        set("PORTS", ports(&resources.reserved_ports_tcp)),
        set("PORTS_UDP", ports(&resources.reserved_ports_udp)),
    ];
    let gpus: Vec<String> = resources.gpus.keys().cloned().collect();
    all.extend((!gpus.is_empty()).then(|| set("GPU", gpus)));
    all
}

/// The attributes that tell what this agent can do, by the stock agent's names: only what is true here.
fn capabilities(engine: &engine::Capabilities) -> BTreeMap<String, String> {
    const DOCKER_API: [&str; 13] =
        ["17", "18", "19", "20", "21", "22", "23", "24", "25", "28", "29", "30", "32"];
    let mut names: Vec<String> = ["container-ordering", "full-sync", "container-restart-policy"]
        .map(|name| format!("ecs.capability.{name}"))
        .into();
    names.extend(DOCKER_API.map(|minor| format!("com.amazonaws.ecs.capability.docker-remote-api.1.{minor}")));
    let mut common = |name: &str| names.push(format!("com.amazonaws.ecs.capability.{name}"));
    common("logging-driver.none");
    if engine.captures_output {
        common("logging-driver.json-file");
        common("logging-driver.awslogs");
    }
    if engine.privileged {
        common("privileged-container");
    }
    if engine.apparmor {
        common("apparmor");
    }
    names.push("ecs.capability.container-health-check".into());
    if engine.shared_namespaces {
        names.push("ecs.capability.pid-ipc-namespace-sharing".into());
    }
    if engine.task_interfaces {
        names.push("ecs.capability.task-eni".into());
    }
    if engine.port_ranges {
        names.push("ecs.capability.network.container-port-range".into());
    }
    if engine.task_limits {
        names.push("ecs.capability.task-cpu-mem-limit".into());
        names.push("ecs.capability.increased-task-cpu-limit".into());
    }
    let architecture = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        other => other,
    };
    let facts =
        [("ecs.os-type", "linux"), ("ecs.os-family", "LINUX"), ("ecs.cpu-architecture", architecture)];
    let facts = facts.map(|(name, value)| (name.to_owned(), value.to_owned()));
    names.into_iter().map(|name| (name, String::new())).chain(facts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_engine_can_is_told() {
        let told = |engine: &engine::Capabilities| capabilities(engine).into_keys().collect::<Vec<_>>();
        let name = "ecs.capability.task-eni".to_owned();
        assert!(!told(&engine::Capabilities::default()).contains(&name));
        let can = engine::Capabilities { task_interfaces: true, ..Default::default() };
        assert!(told(&can).contains(&name));
    }
}
