//! The ARNs by which requests name deployments and revisions of services. They name a cluster too, which no other member
//! of such a request does.

use ecs_model::errors;
use wire::Error;

use crate::{
    Ctx,
    arn::{Arn, Resource},
    cluster::{Cluster, ServiceName, ServiceRow, ServiceStatus},
    limits,
};

/// What is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Deployment,
    Revision,
}

/// Deployments, or revisions, of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub kind: Kind,
    /// The cluster's name.
    pub cluster: String,
    pub service: ServiceName,
    /// The last parts of the ARNs, in their order.
    pub ids: Vec<String>,
}

/// Reads ARNs, all of one service of the caller's account and region.
///
/// # Errors
/// `InvalidParameterException` for none, too many, and those that are anything else.
pub fn read(ctx: &Ctx, kind: Kind, arns: &[String]) -> Result<Named, Error> {
    let (named, all) = match kind {
        Kind::Deployment => ("ServiceDeployment", "Service Deployment"),
        Kind::Revision => ("ServiceRevision", "Service Revision"),
    };
    if arns.iter().any(|arn| Arn::parse(arn).is_none()) || arns.is_empty() {
        return Err(errors::invalid_parameter("The Service ARN provided is invalid."));
    }
    if arns.len() > limits::DESCRIBE_DEPLOYMENTS {
        return Err(errors::invalid_parameter(format!("{all} ARN count cannot exceed 20")));
    }
    let mut found: Option<Named> = None;
    for arn in arns {
        let read = own(ctx, kind, arn);
        let (cluster, service, id) =
            read.ok_or_else(|| errors::invalid_parameter(format!("The {named} ARN is invalid.")))?;
        match &mut found {
            None => found = Some(Named { kind, cluster, service, ids: vec![id] }),
            Some(found) if found.cluster == cluster && found.service == service => found.ids.push(id),
            Some(_) => {
                return Err(errors::invalid_parameter(format!(
                    "Cross service requests are not allowed. All requested {}s must be for a single service",
                    all.to_lowercase()
                )));
            }
        }
    }
    found.ok_or_else(|| errors::invalid_parameter("The Service ARN provided is invalid."))
}

fn own(ctx: &Ctx, kind: Kind, arn: &str) -> Option<(String, ServiceName, String)> {
    let arn = Arn::parse(arn)?;
    let here = *arn.account == *ctx.account && *arn.region == *ctx.region && *arn.partition == *ctx.partition;
    let is_number = |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    match (kind, arn.resource) {
        (Kind::Deployment, Resource::ServiceDeployment { cluster, service, id }) if here => {
            Some((cluster, ServiceName(service), id))
        }
        (Kind::Revision, Resource::ServiceRevision { cluster, service, id }) if here && is_number(&id) => {
            Some((cluster, ServiceName(service), id))
        }
        _ => None,
    }
}

impl Named {
    /// The service that they are of.
    ///
    /// # Errors
    /// `ServiceNotFoundException`; `InvalidParameterException` where it is INACTIVE.
    pub fn service<'a>(&self, state: &'a Cluster) -> Result<&'a ServiceRow, Error> {
        let operation = match self.kind {
            Kind::Deployment => "DescribeServiceDeployments",
            Kind::Revision => "DescribeServiceRevisions",
        };
        known(state, &self.service, operation)
    }
}

/// The service of that name, of which deployments or revisions are asked for.
///
/// # Errors
/// `ServiceNotFoundException`; `InvalidParameterException` where it is INACTIVE.
pub fn known<'a>(state: &'a Cluster, name: &ServiceName, operation: &str) -> Result<&'a ServiceRow, Error> {
    let row = state.service(name).ok_or_else(|| errors::service_not_found("Service not found."))?;
    if row.status == ServiceStatus::Inactive {
        let refused = format!("Cannot call {operation} for a service that is INACTIVE");
        return Err(errors::invalid_parameter(refused));
    }
    Ok(row)
}
