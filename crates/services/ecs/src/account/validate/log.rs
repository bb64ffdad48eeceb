//! logConfiguration. An option that would be ignored is refused.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_LogConfiguration.html>

use ecs_model::{self as ecs, LogDriver, errors};
use wire::{awslogs, go};

use super::{Outcome, require, require_of};
use crate::account::members::log_options;

pub(super) fn check(container: &str, log: Option<&ecs::LogConfiguration>) -> Outcome {
    let Some(log) = log else { return Ok(()) };
    let options = log.options.clone().unwrap_or_default();
    let get = |name: &str| options.get(name).map(String::as_str).unwrap_or_default();
    let known = log_options(log.log_driver.as_str());
    // An empty value asks for nothing, and that files are not compressed is what happens anyway.
    let asks = |name: &str, value: &str| {
        !value.is_empty() && (name != "compress" || go::parse_bool(value) != Some(false))
    };
    let mut unknown = options.iter().filter(|(name, _)| !known.contains(&name.as_str()));
    if let Some((option, _)) = unknown.find(|(name, value)| asks(name, value)) {
        return Err(errors::unsupported_feature(format!(
            "containerDefinitions.logConfiguration.options {option} is not supported for log driver {}. See docs/support.md.",
            log.log_driver
        )));
    }
    if log.log_driver == LogDriver::Awslogs {
        let needed = ["awslogs-region", "awslogs-group"].into_iter().filter(|name| get(name).is_empty());
        let missing: Vec<&str> = needed.collect();
        require(missing.is_empty(), || {
            format!("Log driver awslogs requires options: {}", missing.join(", "))
        })?;
        let start = awslogs::event_start(
            Some(get("awslogs-datetime-format")),
            Some(get("awslogs-multiline-pattern")),
        );
        require_of(container, start.is_ok(), || {
            start.err().map(|error| error.to_string()).unwrap_or_default()
        })?;
    }
    let must = |name: &str, what: &str, holds: fn(&str) -> bool| {
        let value = get(name);
        require_of(container, value.is_empty() || holds(value), || {
            format!("Log option {name} must be {what}.")
        })
    };
    must("mode", "one of blocking, non-blocking", |mode| matches!(mode, "blocking" | "non-blocking"))?;
    must("awslogs-create-group", "one of true, false", |value| go::parse_bool(value).is_some())?;
    must("max-buffer-size", "a size such as 10m", |size| go::ram_bytes(size).is_some_and(|bytes| bytes > 0))?;
    must("max-size", "a size such as 10m", |size| go::human_size(size).is_some_and(|bytes| bytes > 0))?;
    must("max-file", "a number from 1 to 1000", |files| {
        go::atoi(files).is_some_and(|files| (1..=1000).contains(&files))
    })
}
