//! Log groups by name and by ARN. Pure.

use logs_model::errors;
use state::Ctx;
use wire::Error;

/// `arn:aws:logs:REGION:ACCOUNT:log-group:NAME`.
pub fn of_group(ctx: &Ctx, name: &str) -> String {
    let Ctx { partition, region, account, .. } = ctx;
    format!("arn:{partition}:logs:{region}:{account}:log-group:{name}")
}

/// The older form of a group's ARN, with `:*` behind, as DescribeLogGroups gives it.
pub fn of_group_and_streams(ctx: &Ctx, name: &str) -> String {
    format!("{}:*", of_group(ctx, name))
}

/// The ARN of a stream.
pub fn of_stream(ctx: &Ctx, group: &str, stream: &str) -> String {
    format!("{}:log-stream:{stream}", of_group(ctx, group))
}

/// The group that a request names by one of two members, of which exactly one must be there.
pub fn group_name(ctx: &Ctx, name: Option<String>, identifier: Option<String>) -> Result<String, Error> {
    match (name, identifier) {
        (Some(name), None) => Ok(name),
        (None, Some(identifier)) => identified(ctx, &identifier),
        (Some(_), Some(_)) => {
            Err(errors::invalid_parameter("Should provider either name or id, but not both"))
        }
        (None, None) => {
            Err(errors::invalid_parameter("Either logGroupName or logGroupIdentifier must be specified."))
        }
    }
}

/// The group of a name or an ARN.
pub fn identified(ctx: &Ctx, identifier: &str) -> Result<String, Error> {
    if identifier.starts_with("arn:") { resource(ctx, identifier) } else { Ok(identifier.to_owned()) }
}

/// The group of an ARN.
pub fn resource(ctx: &Ctx, arn: &str) -> Result<String, Error> {
    if !arn.starts_with("arn:") {
        return Err(errors::invalid_parameter("The specified resource ARN is not valid."));
    }
    let name = arn.strip_prefix(&of_group(ctx, "")).map(|name| name.strip_suffix(":*").unwrap_or(name));
    match name {
        Some(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => Err(errors::resource_not_found("The specified log group does not exist.")),
    }
}
