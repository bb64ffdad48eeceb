//! ARNs of event buses and rules, and of what targets are. Nothing here knows whether a resource exists.

use state::Ctx;
use wire::Error;

use crate::refuse;

/// The event bus that every account has in every region, without anybody making it.
pub const DEFAULT: &str = "default";
/// The longest ARN that is looked at, in bytes: the constraint of the model.
const LONGEST: usize = 1600;

/// The parts of an ARN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Arn<'a> {
    pub partition: &'a str,
    pub service: &'a str,
    pub region: &'a str,
    pub account: &'a str,
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// `None` if it is none.
    pub fn parse(text: &'a str) -> Option<Arn<'a>> {
        let mut parts = text.strip_prefix("arn:").filter(|_| text.len() <= LONGEST)?.splitn(5, ':');
        let mut part = || parts.next();
        let arn = Arn {
            partition: part()?,
            service: part()?,
            region: part()?,
            account: part()?,
            resource: part()?,
        };
        (!arn.partition.is_empty() && !arn.service.is_empty() && !arn.resource.is_empty()).then_some(arn)
    }

    /// Whether it is of the caller's account and region.
    pub fn is_own(&self, ctx: &Ctx) -> bool {
        self.partition == &*ctx.partition && self.region == &*ctx.region && self.account == &*ctx.account
    }
}

/// What of EventBridge an ARN names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// An event bus, by name.
    Bus(String),
    /// A rule of an event bus.
    Rule {
        /// The event bus.
        bus: String,
        /// The rule.
        name: String,
    },
}

/// `arn:…:event-bus/NAME`.
pub fn bus(ctx: &Ctx, name: &str) -> String {
    format!("arn:{}:events:{}:{}:event-bus/{name}", ctx.partition, ctx.region, ctx.account)
}

/// `arn:…:rule/NAME` on the default event bus, `arn:…:rule/BUS/NAME` on others.
pub fn rule(ctx: &Ctx, bus: &str, name: &str) -> String {
    let of_bus = if bus == DEFAULT { String::new() } else { format!("{bus}/") };
    format!("arn:{}:events:{}:{}:rule/{of_bus}{name}", ctx.partition, ctx.region, ctx.account)
}

/// What an ARN names.
///
/// # Errors
/// `ValidationException` if it is no ARN of an event bus or a rule; `ResourceNotFoundException` if it is one of
/// another account or region.
pub fn resource(ctx: &Ctx, text: &str) -> Result<Resource, Error> {
    let bad = || refuse::bad_arn(text);
    let arn = Arn::parse(text).filter(|arn| arn.service == "events").ok_or_else(bad)?;
    let found = match arn.resource.split_once('/') {
        Some(("event-bus", name)) if !name.is_empty() => Resource::Bus(name.to_owned()),
        Some(("rule", rest)) if !rest.is_empty() => {
            let (bus, name) = rest.rsplit_once('/').unwrap_or((DEFAULT, rest));
            Resource::Rule { bus: bus.to_owned(), name: name.to_owned() }
        }
        _ => return Err(bad()),
    };
    match &found {
        _ if arn.is_own(ctx) => Ok(found),
        Resource::Bus(name) => Err(refuse::no_bus(name)),
        Resource::Rule { bus, name } => Err(refuse::no_rule(name, bus)),
    }
}

/// The event bus that a member `EventBusName` means: a name, an ARN, or nothing.
///
/// # Errors
/// `ResourceNotFoundException` for one of another account or region.
pub fn bus_name(ctx: &Ctx, text: Option<&str>) -> Result<String, Error> {
    match text {
        None | Some("") => Ok(DEFAULT.to_owned()),
        Some(arn) if arn.starts_with("arn:") => match resource(ctx, arn)? {
            Resource::Bus(name) => Ok(name),
            Resource::Rule { .. } => Err(refuse::bad_arn(arn)),
        },
        Some(name) => Ok(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ctx, refusal};

    #[test]
    fn what_is_written_is_read() {
        let ctx = ctx();
        for (name, arn) in [("default", "rule/r"), ("b", "rule/b/r")] {
            let text = rule(&ctx, name, "r");
            assert!(text.ends_with(&format!(":000000000000:{arn}")), "{text}");
            let rule = Resource::Rule { bus: name.to_owned(), name: "r".to_owned() };
            assert_eq!(resource(&ctx, &text).unwrap(), rule);
            assert_eq!(resource(&ctx, &bus(&ctx, name)).unwrap(), Resource::Bus(name.to_owned()));
            assert_eq!(bus_name(&ctx, Some(&bus(&ctx, name))).unwrap(), name);
        }
        for nothing in [None, Some("")] {
            assert_eq!(bus_name(&ctx, nothing).unwrap(), DEFAULT);
        }
        for bad in [
            "",
            "x",
            "arn:aws:events",
            "arn:aws:ecs:us-east-1:000000000000:cluster/c",
            "arn:aws:events:us-east-1:000000000000:archive/a",
        ] {
            assert_eq!(refusal(resource(&ctx, bad)).0, "ValidationException", "{bad}");
        }
        let foreign = "arn:aws:events:eu-west-1:000000000000:event-bus/b";
        assert_eq!(refusal(bus_name(&ctx, Some(foreign))).1, "Event bus b does not exist.");
        let foreign = "arn:aws:events:us-east-1:111111111111:rule/b/r";
        assert_eq!(refusal(resource(&ctx, foreign)).1, "Rule r does not exist on EventBus b.");
    }
}
