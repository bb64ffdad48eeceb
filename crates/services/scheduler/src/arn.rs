//! ARNs of schedules and groups, and what is read of a target's.

use crate::Ctx;

/// The group that is always there.
pub const DEFAULT_GROUP: &str = "default";

/// The ARN of a schedule.
pub fn schedule(ctx: &Ctx, group: &str, name: &str) -> String {
    let Ctx { partition, region, account, .. } = ctx;
    format!("arn:{partition}:scheduler:{region}:{account}:schedule/{group}/{name}")
}

/// The ARN of a schedule group.
pub fn group(ctx: &Ctx, name: &str) -> String {
    let Ctx { partition, region, account, .. } = ctx;
    format!("arn:{partition}:scheduler:{region}:{account}:schedule-group/{name}")
}

/// The parts of any ARN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts<'a> {
    pub service: &'a str,
    pub region: &'a str,
    pub account: &'a str,
    pub resource: &'a str,
}

/// Takes an ARN apart; `None` if it is none.
pub fn parse(text: &str) -> Option<Parts<'_>> {
    let mut parts = text.strip_prefix("arn:")?.splitn(5, ':');
    let _partition = parts.next()?;
    let mut next = || parts.next();
    Some(Parts { service: next()?, region: next()?, account: next()?, resource: next()? })
}

/// The name of a group of the caller's account and region in an ARN.
pub fn group_name<'a>(ctx: &Ctx, text: &'a str) -> Option<&'a str> {
    let parts = parse(text)?;
    let here = parts.service == "scheduler" && parts.region == &*ctx.region && parts.account == &*ctx.account;
    parts.resource.strip_prefix("schedule-group/").filter(|_| here)
}
