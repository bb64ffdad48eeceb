//! What operations are authorised on: ARNs and condition keys, from inputs alone. Nothing here knows whether a resource
//! exists: an ARN stands as it was given, a name is one of the caller's account and region.

use serde_json::Value;
use state::{
    Ctx,
    api::{text, texts},
};

use crate::{
    account::{cpu_units, memory_mib},
    arn::{self, Resource},
};

/// The cluster that a request without one means.
const DEFAULT: &str = "default";

/// The cluster of `cluster`.
pub fn cluster(ctx: &Ctx, input: &Value) -> Vec<String> {
    vec![cluster_arn(ctx, text(input, "cluster").unwrap_or(DEFAULT))]
}

/// That of `clusterName`, which is to be made.
pub fn cluster_to_be(ctx: &Ctx, input: &Value) -> Vec<String> {
    vec![cluster_arn(ctx, text(input, "clusterName").unwrap_or(DEFAULT))]
}

/// Those of `clusters`.
pub fn clusters(ctx: &Ctx, input: &Value) -> Vec<String> {
    match each(input, "clusters", |named| cluster_arn(ctx, named)) {
        none if none.is_empty() => vec![cluster_arn(ctx, DEFAULT)],
        some => some,
    }
}

/// The service of `service`.
pub fn service(ctx: &Ctx, input: &Value) -> Vec<String> {
    each(input, "service", |named| within(input, named, |cluster| arn::service(ctx, cluster, named)))
}

/// Those of `services`.
pub fn services(ctx: &Ctx, input: &Value) -> Vec<String> {
    each(input, "services", |named| within(input, named, |cluster| arn::service(ctx, cluster, named)))
}

/// That of `serviceName`, which is to be made.
pub fn service_to_be(ctx: &Ctx, input: &Value) -> Vec<String> {
    each(input, "serviceName", |name| arn::service(ctx, cluster_name(input), name))
}

/// The task sets of `service`: which one is to be made is not known yet.
pub fn task_set_to_be(ctx: &Ctx, input: &Value) -> Vec<String> {
    vec![named_task_set(ctx, input, "*")]
}

/// The task set of `taskSet`.
pub fn task_set(ctx: &Ctx, input: &Value) -> Vec<String> {
    each(input, "taskSet", |named| named_task_set(ctx, input, named))
}

/// Those of `taskSets`; without any, all of the service.
pub fn task_sets(ctx: &Ctx, input: &Value) -> Vec<String> {
    match each(input, "taskSets", |named| named_task_set(ctx, input, named)) {
        none if none.is_empty() => task_set_to_be(ctx, input),
        some => some,
    }
}

fn named_task_set(ctx: &Ctx, input: &Value, named: &str) -> String {
    let service = text(input, "service").unwrap_or_default();
    let service = service.rsplit('/').next().unwrap_or(service);
    within(input, named, |cluster| format!("{}/{named}", arn::task_sets(ctx, cluster, service)))
}

/// The deployments of services of `serviceDeploymentArns`.
pub fn deployments(_ctx: &Ctx, input: &Value) -> Vec<String> {
    each(input, "serviceDeploymentArns", str::to_owned)
}

/// That of `serviceDeploymentArn`.
pub fn deployment(_ctx: &Ctx, input: &Value) -> Vec<String> {
    each(input, "serviceDeploymentArn", str::to_owned)
}

/// The revisions of services of `serviceRevisionArns`.
pub fn revisions(_ctx: &Ctx, input: &Value) -> Vec<String> {
    each(input, "serviceRevisionArns", str::to_owned)
}

/// The cluster of `clusterArn`.
pub fn cluster_by_arn(ctx: &Ctx, input: &Value) -> Vec<String> {
    vec![cluster_arn(ctx, text(input, "clusterArn").unwrap_or(DEFAULT))]
}

/// The daemon of `daemonName`, which is to be made in the cluster of `clusterArn`.
pub fn daemon_to_be(ctx: &Ctx, input: &Value) -> Vec<String> {
    let cluster = last_part(text(input, "clusterArn").unwrap_or(DEFAULT));
    each(input, "daemonName", |name| arn::daemon(ctx, cluster, name))
}

/// The daemon of `daemonArn`.
pub fn daemon(_ctx: &Ctx, input: &Value) -> Vec<String> {
    each(input, "daemonArn", str::to_owned)
}

/// Its cluster.
pub fn cluster_of_daemon(ctx: &Ctx, input: &Value) -> Vec<String> {
    within_arns(input, "daemonArn", |cluster, _| arn::cluster(ctx, cluster))
}

/// The deployments of `daemonDeploymentArns`, and their daemons.
pub fn daemon_deployments(ctx: &Ctx, input: &Value) -> Vec<String> {
    let mut all = daemons_of_deployments(ctx, input);
    all.extend(each(input, "daemonDeploymentArns", str::to_owned));
    all
}

/// Their daemons.
pub fn daemons_of_deployments(ctx: &Ctx, input: &Value) -> Vec<String> {
    within_arns(input, "daemonDeploymentArns", |cluster, daemon| arn::daemon(ctx, cluster, daemon))
}

/// Their clusters.
pub fn clusters_of_daemon_deployments(ctx: &Ctx, input: &Value) -> Vec<String> {
    within_arns(input, "daemonDeploymentArns", |cluster, _| arn::cluster(ctx, cluster))
}

/// The revisions of `daemonRevisionArns`, and their daemons.
pub fn daemon_revisions(ctx: &Ctx, input: &Value) -> Vec<String> {
    let mut all = daemons_of_revisions(ctx, input);
    all.extend(each(input, "daemonRevisionArns", str::to_owned));
    all
}

/// Their daemons.
pub fn daemons_of_revisions(ctx: &Ctx, input: &Value) -> Vec<String> {
    within_arns(input, "daemonRevisionArns", |cluster, daemon| arn::daemon(ctx, cluster, daemon))
}

/// Their clusters.
pub fn clusters_of_daemon_revisions(ctx: &Ctx, input: &Value) -> Vec<String> {
    within_arns(input, "daemonRevisionArns", |cluster, _| arn::cluster(ctx, cluster))
}

/// The daemon's task definition of `daemonTaskDefinitionArn`.
pub fn definition_of_daemon(ctx: &Ctx, input: &Value) -> Vec<String> {
    each(input, "daemonTaskDefinitionArn", |named| definition_of(ctx, "daemon-task-definition", named))
}

/// The task of `task`.
pub fn task(ctx: &Ctx, input: &Value) -> Vec<String> {
    each(input, "task", |named| within(input, named, |cluster| arn::task(ctx, cluster, named)))
}

/// Those of `tasks`.
pub fn tasks(ctx: &Ctx, input: &Value) -> Vec<String> {
    each(input, "tasks", |named| within(input, named, |cluster| arn::task(ctx, cluster, named)))
}

/// The container instances of `containerInstances`.
pub fn instances(ctx: &Ctx, input: &Value) -> Vec<String> {
    each(input, "containerInstances", |named| instance(ctx, input, named))
}

/// That of `containerInstance`.
pub fn instance_of(ctx: &Ctx, input: &Value) -> Vec<String> {
    each(input, "containerInstance", |named| instance(ctx, input, named))
}

/// Those whose attributes are meant.
pub fn targets(ctx: &Ctx, input: &Value) -> Vec<String> {
    each(input, "attributes.targetId", |named| instance(ctx, input, named))
}

/// That of `containerInstance`; without it, all of the cluster, in the form in which AWS's own refusals name them.
pub fn instance_or_all(ctx: &Ctx, input: &Value) -> Vec<String> {
    vec![instance(ctx, input, text(input, "containerInstance").unwrap_or("*"))]
}

/// The task definition of `taskDefinition`. Of a family alone it has no revision: whichever is the newest when the call
/// is carried out.
pub fn definition(ctx: &Ctx, input: &Value) -> Vec<String> {
    each(input, "taskDefinition", |named| definition_arn(ctx, named))
}

/// Those of `taskDefinitions`.
pub fn definitions(ctx: &Ctx, input: &Value) -> Vec<String> {
    each(input, "taskDefinitions", |named| definition_arn(ctx, named))
}

/// Of `family`, any revision: the next one is not known yet.
pub fn definition_to_be(ctx: &Ctx, input: &Value) -> Vec<String> {
    each(input, "family", |family| definition_arn(ctx, &format!("{family}:*")))
}

/// The capacity provider of `name`, which is to be made.
pub fn provider_to_be(ctx: &Ctx, input: &Value) -> Vec<String> {
    each(input, "name", |name| arn::capacity_provider(ctx, name))
}

/// That of `name`.
pub fn provider_by_name(ctx: &Ctx, input: &Value) -> Vec<String> {
    each(input, "name", |named| provider_arn(ctx, named))
}

/// That of `capacityProvider`.
pub fn provider(ctx: &Ctx, input: &Value) -> Vec<String> {
    each(input, "capacityProvider", |named| provider_arn(ctx, named))
}

/// Those of `capacityProviders`, or all.
pub fn providers(ctx: &Ctx, input: &Value) -> Vec<String> {
    match each(input, "capacityProviders", |named| provider_arn(ctx, named)) {
        none if none.is_empty() => vec![arn::capacity_provider(ctx, "*")],
        some => some,
    }
}

/// The ARNs of the capacity providers that a cluster is to have.
pub fn capacity_providers(ctx: &Ctx, input: &Value) -> Vec<String> {
    each(input, "capacityProviders", |named| provider_arn(ctx, named))
}

/// Those of the capacity provider strategy that the request brings.
pub fn strategy(ctx: &Ctx, input: &Value) -> Vec<String> {
    each(input, "capacityProviderStrategy.capacityProvider", |named| provider_arn(ctx, named))
}

/// The task definition of a daemon of `daemonTaskDefinition`.
pub fn daemon_definition(ctx: &Ctx, input: &Value) -> Vec<String> {
    each(input, "daemonTaskDefinition", |named| definition_of(ctx, "daemon-task-definition", named))
}

/// Of `family`, any revision of such.
pub fn daemon_definition_to_be(ctx: &Ctx, input: &Value) -> Vec<String> {
    let any = |family: &str| definition_of(ctx, "daemon-task-definition", &format!("{family}:*"));
    each(input, "family", any)
}

/// What `resourceArn` names.
pub fn resource(_ctx: &Ctx, input: &Value) -> Vec<String> {
    each(input, "resourceArn", str::to_owned)
}

/// Whether commands may be carried out in the tasks.
pub fn exec(_ctx: &Ctx, input: &Value) -> Vec<String> {
    flag(input.get("enableExecuteCommand") == Some(&Value::Bool(true)))
}

/// Whether they get volumes of EBS.
pub fn ebs(_ctx: &Ctx, input: &Value) -> Vec<String> {
    flag(has_any(input, "volumeConfigurations"))
}

/// Whether the service is in Service Connect.
pub fn service_connect(_ctx: &Ctx, input: &Value) -> Vec<String> {
    flag(texts(input, "serviceConnectConfiguration.enabled").iter().any(|on| on == "true"))
}

/// Whether it is a target of VPC Lattice.
pub fn vpc_lattice(_ctx: &Ctx, input: &Value) -> Vec<String> {
    flag(has_any(input, "vpcLatticeConfigurations"))
}

/// Whether its tasks get public addresses, where that is said.
pub fn public_ip(_ctx: &Ctx, input: &Value) -> Vec<String> {
    let said = texts(input, "networkConfiguration.awsvpcConfiguration.assignPublicIp");
    said.iter().flat_map(|said| flag(said == "ENABLED")).collect()
}

/// Whether any container is privileged.
pub fn privileged(_ctx: &Ctx, input: &Value) -> Vec<String> {
    flag(texts(input, "containerDefinitions.privileged").iter().any(|on| on == "true"))
}

/// CPU units of the task, where they are given.
pub fn cpu(_ctx: &Ctx, input: &Value) -> Vec<String> {
    text(input, "cpu").and_then(cpu_units).iter().map(i64::to_string).collect()
}

/// Memory of the task in MiB, where it is given.
pub fn memory(_ctx: &Ctx, input: &Value) -> Vec<String> {
    text(input, "memory").and_then(memory_mib).iter().map(i64::to_string).collect()
}

/// What each text at a path names, each once.
fn each(input: &Value, path: &str, arn: impl Fn(&str) -> String) -> Vec<String> {
    let mut all: Vec<String> = texts(input, path).iter().map(|named| arn(named)).collect();
    all.sort();
    all.dedup();
    all
}

fn cluster_arn(ctx: &Ctx, named: &str) -> String {
    if named.starts_with("arn:") { named.to_owned() } else { arn::cluster(ctx, named) }
}

fn provider_arn(ctx: &Ctx, named: &str) -> String {
    if named.starts_with("arn:") { named.to_owned() } else { arn::capacity_provider(ctx, named) }
}

fn definition_arn(ctx: &Ctx, named: &str) -> String {
    definition_of(ctx, "task-definition", named)
}

fn definition_of(ctx: &Ctx, kind: &str, named: &str) -> String {
    if named.starts_with("arn:") {
        return named.to_owned();
    }
    let Ctx { partition, region, account, .. } = ctx;
    format!("arn:{partition}:ecs:{region}:{account}:{kind}/{named}")
}

fn instance(ctx: &Ctx, input: &Value, named: &str) -> String {
    within(input, named, |cluster| arn::container_instance(ctx, cluster, named))
}

/// What is made of the cluster and the daemon that each ARN at a path names.
fn within_arns(input: &Value, path: &str, made: impl Fn(&str, &str) -> String) -> Vec<String> {
    let mut all: Vec<String> = texts(input, path)
        .iter()
        .filter_map(|arn| match arn::Arn::parse(arn)?.resource {
            Resource::Daemon { cluster, name: daemon }
            | Resource::DaemonDeployment { cluster, daemon, .. }
            | Resource::DaemonRevision { cluster, daemon, .. } => Some(made(&cluster, &daemon)),
            _ => None,
        })
        .collect();
    all.sort();
    all.dedup();
    all
}

/// The ARN itself, or that of a name in the cluster of the input.
fn within(input: &Value, named: &str, arn: impl Fn(&str) -> String) -> String {
    if named.starts_with("arn:") { named.to_owned() } else { arn(cluster_name(input)) }
}

/// The name of the cluster of `cluster`.
fn cluster_name(input: &Value) -> &str {
    last_part(text(input, "cluster").unwrap_or(DEFAULT))
}

/// The name in an ARN, or the name itself.
fn last_part(named: &str) -> &str {
    match named.starts_with("arn:") {
        true => named.rsplit('/').next().unwrap_or(named),
        false => named,
    }
}

fn has_any(input: &Value, member: &str) -> bool {
    input.get(member).and_then(Value::as_array).is_some_and(|all| !all.is_empty())
}

fn flag(on: bool) -> Vec<String> {
    vec![on.to_string()]
}
