//! Log groups by name and by ARN. Pure.

use logs_model::errors;
use wire::Error;

use crate::runtime::Identity;

/// `arn:aws:logs:REGION:ACCOUNT:log-group:NAME`.
pub fn of_group(identity: &Identity, name: &str) -> String {
    let Identity { partition, region, account } = identity;
    format!("arn:{partition}:logs:{region}:{account}:log-group:{name}")
}

/// The older form of a group's ARN, with `:*` behind, as DescribeLogGroups gives it.
pub fn of_group_and_streams(identity: &Identity, name: &str) -> String {
    format!("{}:*", of_group(identity, name))
}

/// The ARN of a stream.
pub fn of_stream(identity: &Identity, group: &str, stream: &str) -> String {
    format!("{}:log-stream:{stream}", of_group(identity, group))
}

/// The group that a request names by one of two members, of which exactly one must be there.
pub fn group_name(
    identity: &Identity,
    name: Option<String>,
    identifier: Option<String>,
) -> Result<String, Error> {
    match (name, identifier) {
        (Some(name), None) => Ok(name),
        (None, Some(identifier)) => identified(identity, &identifier),
        (Some(_), Some(_)) => {
            Err(errors::invalid_parameter("Should provider either name or id, but not both"))
        }
        (None, None) => {
            Err(errors::invalid_parameter("Either logGroupName or logGroupIdentifier must be specified."))
        }
    }
}

/// The group of a name or an ARN.
pub fn identified(identity: &Identity, identifier: &str) -> Result<String, Error> {
    if identifier.starts_with("arn:") { resource(identity, identifier) } else { Ok(identifier.to_owned()) }
}

/// The group of an ARN.
pub fn resource(identity: &Identity, arn: &str) -> Result<String, Error> {
    if !arn.starts_with("arn:") {
        return Err(errors::invalid_parameter("The specified resource ARN is not valid."));
    }
    let name = arn.strip_prefix(&of_group(identity, "")).map(|name| name.strip_suffix(":*").unwrap_or(name));
    match name {
        Some(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => Err(errors::resource_not_found("The specified log group does not exist.")),
    }
}
