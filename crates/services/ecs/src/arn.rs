//! ARNs of ECS resources: written, read, and the identifiers that callers give as a name or an ARN.
//! Nothing here knows whether a resource exists.

use std::{borrow::Cow, fmt};

use ecs_model::errors;
use wire::Error;

use crate::{
    Ctx,
    rows::{DaemonRevisionId, DeploymentId},
};

/// The longest identifier that is looked at, in bytes; the longest ARN of ECS is below 700.
const LONGEST: usize = 2048;

/// The part of an ARN behind the account. The id of a task set is `ecs-svc/` and digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    Cluster { name: String },
    Service { cluster: String, name: String },
    Task { cluster: String, id: String },
    ContainerInstance { cluster: String, id: String },
    TaskDefinition { family: String, revision: i32 },
    Container { cluster: String, task: String, id: String },
    CapacityProvider { name: String },
    TaskSet { cluster: String, service: String, id: String },
    ServiceDeployment { cluster: String, service: String, id: String },
    ServiceRevision { cluster: String, service: String, id: String },
    DaemonTaskDefinition { family: String, revision: i32 },
    Daemon { cluster: String, name: String },
    DaemonDeployment { cluster: String, daemon: String, id: String },
    DaemonRevision { cluster: String, daemon: String, id: String },
}

/// An ARN of the `ecs` service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Arn {
    pub partition: String,
    pub region: String,
    pub account: String,
    pub resource: Resource,
}

impl Arn {
    /// Reads an ARN; `None` if it is not one of an ECS resource. The short forms of before 2018, without
    /// the cluster's name, are not known.
    pub fn parse(text: &str) -> Option<Arn> {
        if text.len() > LONGEST {
            return None;
        }
        let mut parts = text.strip_prefix("arn:")?.splitn(5, ':');
        let (partition, service) = (parts.next()?, parts.next()?);
        let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
        if service != "ecs" {
            return None;
        }
        Some(Arn {
            partition: partition.to_owned(),
            region: region.to_owned(),
            account: account.to_owned(),
            resource: Resource::parse(resource)?,
        })
    }
}

impl Resource {
    fn parse(text: &str) -> Option<Resource> {
        let parts: Vec<&str> = text.split('/').collect();
        if parts.iter().any(|part| part.is_empty()) {
            return None;
        }
        let s = |at: usize| parts[at].to_owned();
        Some(match (parts[0], parts.len()) {
            ("cluster", 2) => Resource::Cluster { name: s(1) },
            ("service", 3) => Resource::Service { cluster: s(1), name: s(2) },
            ("task", 3) => Resource::Task { cluster: s(1), id: s(2) },
            ("container-instance", 3) => Resource::ContainerInstance { cluster: s(1), id: s(2) },
            ("task-definition", 2) => {
                let (family, revision) = revision_of(parts[1])?;
                Resource::TaskDefinition { family, revision }
            }
            ("container", 4) => Resource::Container { cluster: s(1), task: s(2), id: s(3) },
            ("capacity-provider", 2) => Resource::CapacityProvider { name: s(1) },
            ("task-set", 5) if parts[3] == "ecs-svc" => {
                Resource::TaskSet { cluster: s(1), service: s(2), id: format!("ecs-svc/{}", parts[4]) }
            }
            ("service-deployment", 4) => {
                Resource::ServiceDeployment { cluster: s(1), service: s(2), id: s(3) }
            }
            ("service-revision", 4) => Resource::ServiceRevision { cluster: s(1), service: s(2), id: s(3) },
            ("daemon-task-definition", 2) => {
                let (family, revision) = revision_of(parts[1])?;
                Resource::DaemonTaskDefinition { family, revision }
            }
            ("daemon", 3) => Resource::Daemon { cluster: s(1), name: s(2) },
            ("daemon-deployment", 4) => Resource::DaemonDeployment { cluster: s(1), daemon: s(2), id: s(3) },
            ("daemon-revision", 4) => Resource::DaemonRevision { cluster: s(1), daemon: s(2), id: s(3) },
            _ => return None,
        })
    }
}

/// `FAMILY:REVISION`.
fn revision_of(text: &str) -> Option<(String, i32)> {
    let (family, revision) = text.split_once(':')?;
    Some((family.to_owned(), revision.parse().ok().filter(|revision| *revision > 0)?))
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resource::Cluster { name } => write!(f, "cluster/{name}"),
            Resource::Service { cluster, name } => write!(f, "service/{cluster}/{name}"),
            Resource::Task { cluster, id } => write!(f, "task/{cluster}/{id}"),
            Resource::ContainerInstance { cluster, id } => write!(f, "container-instance/{cluster}/{id}"),
            Resource::TaskDefinition { family, revision } => write!(f, "task-definition/{family}:{revision}"),
            Resource::Container { cluster, task, id } => write!(f, "container/{cluster}/{task}/{id}"),
            Resource::CapacityProvider { name } => write!(f, "capacity-provider/{name}"),
            Resource::TaskSet { cluster, service, id } => write!(f, "task-set/{cluster}/{service}/{id}"),
            Resource::ServiceDeployment { cluster, service, id } => {
                write!(f, "service-deployment/{cluster}/{service}/{id}")
            }
            Resource::ServiceRevision { cluster, service, id } => {
                write!(f, "service-revision/{cluster}/{service}/{id}")
            }
            Resource::DaemonTaskDefinition { family, revision } => {
                write!(f, "daemon-task-definition/{family}:{revision}")
            }
            Resource::Daemon { cluster, name } => write!(f, "daemon/{cluster}/{name}"),
            Resource::DaemonDeployment { cluster, daemon, id } => {
                write!(f, "daemon-deployment/{cluster}/{daemon}/{id}")
            }
            Resource::DaemonRevision { cluster, daemon, id } => {
                write!(f, "daemon-revision/{cluster}/{daemon}/{id}")
            }
        }
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Arn { partition, region, account, resource } = self;
        write!(f, "arn:{partition}:ecs:{region}:{account}:{resource}")
    }
}

/// The ARN of a resource of the caller's account and region: its kind and what follows it, each after a slash. Made in one
/// piece, as each answer holds many.
fn written(ctx: &Ctx, kind: &str, names: &[&str]) -> String {
    let head = ["arn:", &*ctx.partition, ":ecs:", &*ctx.region, ":", &*ctx.account, ":", kind];
    let length = |parts: &[&str]| parts.iter().map(|part| part.len() + 1).sum::<usize>();
    let mut arn = String::with_capacity(length(&head) + length(names));
    head.iter().for_each(|part| arn.push_str(part));
    for name in names {
        arn.push('/');
        arn.push_str(name);
    }
    arn
}

/// `arn:…:cluster/NAME`.
pub fn cluster(ctx: &Ctx, name: &str) -> String {
    written(ctx, "cluster", &[name])
}

/// `arn:…:service/CLUSTER/NAME`.
pub fn service(ctx: &Ctx, cluster: &str, name: &str) -> String {
    written(ctx, "service", &[cluster, name])
}

/// `arn:…:task/CLUSTER/ID`.
pub fn task(ctx: &Ctx, cluster: &str, id: impl fmt::Display) -> String {
    written(ctx, "task", &[cluster, &id.to_string()])
}

/// `arn:…:container-instance/CLUSTER/ID`.
pub fn container_instance(ctx: &Ctx, cluster: &str, id: impl fmt::Display) -> String {
    written(ctx, "container-instance", &[cluster, &id.to_string()])
}

/// `arn:…:container/CLUSTER/TASK/ID`.
pub fn container(ctx: &Ctx, cluster: &str, task: impl fmt::Display, id: &str) -> String {
    written(ctx, "container", &[cluster, &task.to_string(), id])
}

/// `arn:…:task-definition/FAMILY:REVISION`.
pub fn task_definition(ctx: &Ctx, family: &str, revision: i32) -> String {
    written(ctx, "task-definition", &[&format!("{family}:{revision}")])
}

/// `arn:…:daemon-task-definition/FAMILY:REVISION`.
pub fn daemon_task_definition(ctx: &Ctx, family: &str, revision: i32) -> String {
    written(ctx, "daemon-task-definition", &[&format!("{family}:{revision}")])
}

/// `arn:…:daemon/CLUSTER/NAME`.
pub fn daemon(ctx: &Ctx, cluster: &str, name: &str) -> String {
    written(ctx, "daemon", &[cluster, name])
}

/// `arn:…:daemon-deployment/CLUSTER/DAEMON/ID`.
pub fn daemon_deployment(ctx: &Ctx, cluster: &str, daemon: &str, id: &str) -> String {
    written(ctx, "daemon-deployment", &[cluster, daemon, id])
}

/// `arn:…:daemon-revision/CLUSTER/DAEMON/UUID`.
pub fn daemon_revision(ctx: &Ctx, cluster: &str, daemon: &str, id: DaemonRevisionId) -> String {
    let digits = id.to_string();
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    written(ctx, "daemon-revision", &[cluster, daemon, &parts.join("-")])
}

/// Reads the last part of the ARN of a daemon's revision.
pub fn daemon_revision_id(text: &str) -> Option<DaemonRevisionId> {
    let is_uuid = text.len() == 36 && text.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    DaemonRevisionId::parse(&text.replace('-', "")).filter(|_| is_uuid)
}

/// `arn:…:capacity-provider/NAME`.
pub fn capacity_provider(ctx: &Ctx, name: &str) -> String {
    written(ctx, "capacity-provider", &[name])
}

/// The name of a capacity provider that a request names by name or ARN.
///
/// # Errors
/// `InvalidParameterException`, also for one of another account or region.
pub fn capacity_provider_name(ctx: &Ctx, given: &str) -> Result<String, Error> {
    if !given.starts_with("arn:") {
        return Ok(given.to_owned());
    }
    match own(ctx, given)? {
        Resource::CapacityProvider { name } => Ok(name),
        _ => Err(wrong_type(given)),
    }
}

/// The cluster and name of the daemon that a request names by ARN.
///
/// # Errors
/// `InvalidParameterException`, also for one of another account or region.
pub fn daemon_name(ctx: &Ctx, given: &str) -> Result<(String, String), Error> {
    match own(ctx, given)? {
        Resource::Daemon { cluster, name } => Ok((cluster, name)),
        _ => Err(wrong_type(given)),
    }
}

/// `arn:…:task-set/CLUSTER/SERVICE/ecs-svc/DIGITS`.
pub fn task_set(ctx: &Ctx, cluster: &str, service: &str, id: DeploymentId) -> String {
    written(ctx, "task-set", &[cluster, service, "ecs-svc", &id.digits()])
}

/// `arn:…:attachment/ID`.
pub fn attachment(ctx: &Ctx, id: &str) -> String {
    written(ctx, "attachment", &[id])
}

/// `arn:…:task-set/CLUSTER/SERVICE`, behind which the ids of its task sets are.
pub fn task_sets(ctx: &Ctx, cluster: &str, service: &str) -> String {
    written(ctx, "task-set", &[cluster, service])
}

/// `arn:…:service-revision/CLUSTER/SERVICE/DIGITS`.
pub fn service_revision(ctx: &Ctx, cluster: &str, service: &str, id: DeploymentId) -> String {
    written(ctx, "service-revision", &[cluster, service, &id.digits()])
}

/// `arn:…:service-deployment/CLUSTER/SERVICE/ID`.
pub fn service_deployment(ctx: &Ctx, cluster: &str, service: &str, id: &str) -> String {
    written(ctx, "service-deployment", &[cluster, service, id])
}

/// The name of the cluster that a request names by name or ARN; without one, `default`.
pub fn cluster_name(ctx: &Ctx, given: Option<&str>) -> Result<String, Error> {
    let Some(given) = given.filter(|given| !given.is_empty()) else {
        return Ok("default".to_owned());
    };
    if !given.starts_with("arn:") {
        // ECS words this one by its pattern.
        let refused = |_| {
            let shown: String = given.chars().take(256).collect();
            errors::invalid_parameter(format!(
                "Cluster must match ^[a-zA-Z0-9\\-_]{{1,255}}$, but was {shown}"
            ))
        };
        return plain_name(given, "Cluster").map_err(refused);
    }
    match own(ctx, given)? {
        Resource::Cluster { name } => Ok(name),
        _ => Err(wrong_type(given)),
    }
}

/// The name of the service that a request names by name or ARN, in the cluster that it names.
pub fn service_name(ctx: &Ctx, cluster: &str, given: &str) -> Result<String, Error> {
    if !given.starts_with("arn:") {
        return plain_name(given, "Service name");
    }
    match own(ctx, given)? {
        Resource::Service { cluster: named, name } => same_cluster(&named, cluster).map(|()| name),
        _ => Err(wrong_type(given)),
    }
}

/// The id of the task set that a request names by id or ARN, of the service that it names; none for what can be no such id.
pub fn task_set_id(
    ctx: &Ctx,
    cluster: &str,
    service: &str,
    given: &str,
) -> Result<Option<DeploymentId>, Error> {
    if !given.starts_with("arn:") {
        return Ok(given.parse().ok());
    }
    match own(ctx, given)? {
        Resource::TaskSet { cluster: named, service: of, id } if of == service => {
            same_cluster(&named, cluster).map(|()| id.parse().ok())
        }
        Resource::TaskSet { .. } => Ok(None),
        _ => Err(wrong_type(given)),
    }
}

/// The id of the task that a request names by id or ARN, in the cluster that it names.
pub fn task_id(ctx: &Ctx, cluster: &str, given: &str) -> Result<String, Error> {
    if !given.starts_with("arn:") {
        return plain_id(given, "taskId");
    }
    match own(ctx, given)? {
        Resource::Task { cluster: named, id } => same_cluster(&named, cluster).map(|()| id),
        _ => Err(wrong_type(given)),
    }
}

/// The id of the container instance that a request names by id or ARN, in the cluster that it names.
pub fn container_instance_id(ctx: &Ctx, cluster: &str, given: &str) -> Result<String, Error> {
    if !given.starts_with("arn:") {
        return plain_id(given, "instanceId");
    }
    match own(ctx, given)? {
        Resource::ContainerInstance { cluster: named, id } => same_cluster(&named, cluster).map(|()| id),
        _ => Err(wrong_type(given)),
    }
}

/// The family and, if given, revision that a request names as `family`, `family:revision` or ARN, with or without a
/// revision.
pub fn task_definition_name(ctx: &Ctx, given: &str) -> Result<(String, Option<i32>), Error> {
    definition_name(ctx, given, |resource| match resource {
        Resource::TaskDefinition { family, revision } => Some((family, revision)),
        _ => None,
    })
}

/// Likewise, of a daemon's task definition.
pub fn daemon_task_definition_name(ctx: &Ctx, given: &str) -> Result<(String, Option<i32>), Error> {
    definition_name(ctx, given, |resource| match resource {
        Resource::DaemonTaskDefinition { family, revision } => Some((family, revision)),
        _ => None,
    })
}

fn definition_name(
    ctx: &Ctx,
    given: &str,
    of_kind: fn(Resource) -> Option<(String, i32)>,
) -> Result<(String, Option<i32>), Error> {
    if given.starts_with("arn:") {
        // One without a revision is the ARN of nothing, and yet what rules, schedules and services are given that are to
        // run the newest.
        let is_any = given.rsplit_once("task-definition/").is_some_and(|(_, name)| !name.contains(':'));
        let whole = if is_any { Cow::from(format!("{given}:1")) } else { given.into() };
        let (family, revision) = of_kind(own(ctx, &whole)?).ok_or_else(|| wrong_type(given))?;
        return Ok((family, Some(revision).filter(|_| !is_any)));
    }
    let mut parts = given.splitn(3, ':');
    let (family, revision, more) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    if more.is_some() || family.contains('/') {
        return Err(errors::client("Unexpected number of separators"));
    }
    let revision = revision.map(|text| match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(errors::client(format!("Invalid revision number. Number: {text}"))),
    });
    Ok((plain_name(family, "Family")?, revision.transpose()?))
}

/// What an ARN names, which must be of the caller's account and region.
///
/// # Errors
/// `InvalidParameterException`.
pub fn own(ctx: &Ctx, given: &str) -> Result<Resource, Error> {
    let arn = Arn::parse(given).ok_or_else(|| wrong_type(given))?;
    if *arn.account != *ctx.account {
        return Err(errors::invalid_parameter(format!(
            "Identifier is for {}. Your accountId is {}",
            arn.account, ctx.account
        )));
    }
    if *arn.region != *ctx.region || *arn.partition != *ctx.partition {
        return Err(errors::invalid_parameter(format!(
            "Identifier is for {}. Your region is {}",
            arn.region, ctx.region
        )));
    }
    Ok(arn.resource)
}

fn same_cluster(named: &str, cluster: &str) -> Result<(), Error> {
    if named == cluster {
        return Ok(());
    }
    Err(errors::invalid_parameter(format!("Identifier is for cluster {named}. Your cluster is {cluster}")))
}

fn wrong_type(given: &str) -> Error {
    let shown: String = given.chars().take(256).collect();
    errors::invalid_parameter(format!("Invalid identifier: {shown}"))
}

/// Up to 255 letters, digits, hyphens and underscores.
///
/// # Errors
/// `InvalidParameterException`.
pub fn plain_name(given: &str, what: &str) -> Result<String, Error> {
    if given.is_empty() {
        return Err(errors::invalid_parameter(format!("{what} cannot be empty.")));
    }
    if given.len() > 255 {
        return Err(errors::invalid_parameter(format!("{what} longer than 255.")));
    }
    if !given.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
        return Err(errors::invalid_parameter(format!("{what} contains invalid characters.")));
    }
    Ok(given.to_owned())
}

/// 32 hexadecimal digits, or a UUID as before 2018.
fn plain_id(given: &str, what: &str) -> Result<String, Error> {
    if given.len() > 36 {
        return Err(errors::invalid_parameter(format!("{what} longer than 36.")));
    }
    if !matches!(given.len(), 32 | 36) {
        return Err(errors::invalid_parameter(format!("{what} length should be one of [32,36]")));
    }
    if !given.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err(errors::invalid_parameter(format!("{what} contains invalid characters.")));
    }
    Ok(given.to_owned())
}

#[cfg(test)]
mod tests;
