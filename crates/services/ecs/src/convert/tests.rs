//! Nothing of what is built is lost between the API and a row, and a row says it in the API's own words.

use std::fmt::Debug;

use ecs_model as ecs;
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use wire::{
    StringEnum,
    schema::{Kind, Shape},
};

use super::*;
use crate::account::{
    effective,
    members::{MEMBERS, OVERRIDES, Support},
};

/// What may stand at a path: nothing is given for what is refused.
type Table = fn(&str) -> Support;

fn of(table: &[(&str, Support)], path: &str) -> Support {
    table.iter().find(|(known, _)| *known == path).map_or(Support::Built, |(_, support)| *support)
}

/// Members that the model does not ask for, and the checks of a request do.
const CHECKED: [(&str, &[&str]); 9] = [
    ("ContainerDefinition", &["name", "image"]),
    ("ContainerOverride", &["name"]),
    ("KeyValuePair", &["name"]),
    ("MountPoint", &["sourceVolume", "containerPath"]),
    ("RegisterTaskDefinitionRequest", &["family", "containerDefinitions"]),
    ("SystemControl", &["namespace", "value"]),
    ("Tag", &["key"]),
    ("Volume", &["name"]),
    ("VolumeFrom", &["sourceContainer"]),
];

fn is_checked(shape: &Shape, member: &str) -> bool {
    CHECKED.iter().any(|(name, members)| *name == shape.name && members.contains(&member))
}

/// Values of a shape, by the service's own model: of all that is built, whatever the model brings.
fn values(shape: &'static Shape, path: &str, table: Table) -> BoxedStrategy<Value> {
    match &shape.kind {
        Kind::Structure { members, .. } => {
            let mut parts = Vec::new();
            for member in *members {
                let below =
                    if path.is_empty() { member.name.to_owned() } else { format!("{path}.{}", member.name) };
                let inner = match (table(&below), &member.shape.kind) {
                    // What asks for nothing is kept, as ECS gives it back.
                    (Support::Refused(_), Kind::Boolean) => Just(Value::Bool(false)).boxed(),
                    (Support::Refused(_), _) => continue,
                    (Support::Values(built, _), Kind::String { .. }) => words(built),
                    _ => values(member.shape, &below, table),
                };
                let there = member.required || is_checked(shape, member.name);
                let given =
                    if there { inner.prop_map(Some).boxed() } else { prop::option::of(inner).boxed() };
                let named = move |value: Option<Value>| value.map(|value| (member.name.to_owned(), value));
                parts.push(given.prop_map(named).boxed());
            }
            parts.prop_map(|parts| Value::Object(parts.into_iter().flatten().collect::<Map<_, _>>())).boxed()
        }
        Kind::List { member, .. } => {
            prop::collection::vec(values(member.shape, path, table), 0..3).prop_map(Value::Array).boxed()
        }
        Kind::Map { .. } => {
            let pairs = prop::collection::btree_map("[a-z-]{0,4}", "[a-zé:/ ]{0,6}", 0..3);
            pairs.prop_map(|pairs| serde_json::json!(pairs)).boxed()
        }
        Kind::String { values: [], .. } => "[a-zé:/ ]{0,6}".prop_map(Value::String).boxed(),
        Kind::String { values, .. } => words(values),
        Kind::Integer { .. } => any::<i32>().prop_map(Value::from).boxed(),
        Kind::Double { .. } => (0..1000).prop_map(|tenths| Value::from(f64::from(tenths) / 10.0)).boxed(),
        Kind::Boolean => any::<bool>().prop_map(Value::from).boxed(),
        other => panic!("{path}: no values for {other:?}"),
    }
}

fn words(all: &'static [&'static str]) -> BoxedStrategy<Value> {
    prop::sample::select(all).prop_map(|word| Value::String(word.to_owned())).boxed()
}

/// Values of what stands at a path in the input of an operation.
fn at(operation: &str, path: &str, table: Table) -> BoxedStrategy<Value> {
    let mut shape = ecs::SERVICE.operation(operation).unwrap().input.unwrap();
    for name in path.split('.').filter(|name| !name.is_empty()) {
        shape = shape.member(name).unwrap().shape;
        while let Kind::List { member, .. } = &shape.kind {
            shape = member.shape;
        }
    }
    values(shape, "", table)
}

/// Stores it, and shows it as it came; what is stored says the same as the API.
fn keeps<A>(api: A)
where
    A: Stored + Clone + Debug + PartialEq + Serialize,
    A::Row: Shown<Api = A> + Debug + PartialEq + Serialize + DeserializeOwned,
{
    let row = api.clone().stored();
    assert_eq!(row.shown(), api);
    let text = serde_json::to_string(&row).unwrap();
    assert_eq!(text, serde_json::to_string(&api).unwrap());
    assert_eq!(serde_json::from_str::<A::Row>(&text).unwrap(), row);
}

fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

proptest! {
    #[test]
    fn a_task_definition_is_kept_with_all_that_is_built(
        request in at("RegisterTaskDefinition", "", |path| of(MEMBERS, path)),
        required in at("PutAttributes", "attributes", |path| match path {
            "name" | "value" => Support::Built,
            _ => Support::Refused("they say whose it is"),
        }),
        seconds in any::<[u32; 3]>(),
    ) {
        let [registered_at, deregistered_at, delete_requested_at] =
            seconds.map(|at| Some(Timestamp(i64::from(at) * 1000)));
        keeps(ecs::TaskDefinition {
            task_definition_arn: Some("arn".to_owned()),
            revision: Some(7),
            status: Some(ecs::TaskDefinitionStatus::DeleteInProgress),
            requires_attributes: Some(vec![read(required)]),
            registered_at,
            deregistered_at,
            delete_requested_at,
            registered_by: Some("user".to_owned()),
            ..effective::filled(read(request))
        });
    }

    #[test]
    fn overrides_are_kept_with_all_that_is_built(
        overrides in at("RunTask", "overrides", |path| of(OVERRIDES, path)),
    ) {
        keeps::<ecs::TaskOverride>(read(overrides));
    }

    #[test]
    fn what_services_are_given_is_kept(
        configuration in at("CreateService", "deploymentConfiguration", |path| match path {
            "lifecycleHooks.hookTargetArn"
            | "lifecycleHooks.roleArn"
            | "lifecycleHooks.hookDetails" => Support::Refused("not built"),
            _ => Support::Built,
        }),
        constraint in at("CreateService", "placementConstraints", |_| Support::Built),
        strategy in at("CreateService", "placementStrategy", |_| Support::Built),
        tag in at("CreateService", "tags", |_| Support::Built),
    ) {
        keeps::<ecs::DeploymentConfiguration>(read(configuration));
        keeps::<ecs::PlacementConstraint>(read(constraint));
        keeps::<ecs::PlacementStrategy>(read(strategy));
        keeps::<ecs::Tag>(read(tag));
    }

    #[test]
    fn what_agents_and_clusters_say_is_kept(
        binding in at("SubmitTaskStateChange", "containers.networkBindings", |_| Support::Built),
        version in at("RegisterContainerInstance", "versionInfo", |_| Support::Built),
        setting in at("CreateCluster", "settings", |_| Support::Built),
        share in at("CreateCluster", "defaultCapacityProviderStrategy", |_| Support::Built),
    ) {
        keeps::<ecs::NetworkBinding>(read(binding));
        keeps::<ecs::VersionInfo>(read(version));
        keeps::<ecs::ClusterSetting>(read(setting));
        keeps::<ecs::CapacityProviderStrategyItem>(read(share));
    }
}

#[test]
fn words_are_the_same_on_both_sides() {
    fn all<A>()
    where
        A: StringEnum + Stored + Clone + Debug + PartialEq + Serialize,
        A::Row: Shown<Api = A> + Debug + PartialEq + Serialize + DeserializeOwned,
    {
        A::ALL.iter().cloned().for_each(keeps);
    }
    all::<ecs::AvailabilityZoneRebalancing>();
    all::<ecs::Compatibility>();
    all::<ecs::DeploymentRolloutState>();
    all::<ecs::HealthStatus>();
    all::<ecs::LaunchType>();
    all::<ecs::LogDriver>();
    all::<ecs::NetworkMode>();
    all::<ecs::OSFamily>();
    all::<ecs::PropagateTags>();
    all::<ecs::SettingName>();
    all::<ecs::TaskDefinitionStatus>();
    all::<ecs::TaskStopCode>();
}
