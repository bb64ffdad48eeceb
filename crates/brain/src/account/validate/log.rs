//! logConfiguration. An option that would be ignored is refused.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_LogConfiguration.html>

use wire::ecs::{self, LogDriver, errors};

use super::{Outcome, require, require_of};
use crate::account::members::log_options;

pub(super) fn check(container: &str, log: Option<&ecs::LogConfiguration>) -> Outcome {
    let Some(log) = log else { return Ok(()) };
    let options = log.options.clone().unwrap_or_default();
    let get = |name: &str| options.get(name).map(String::as_str).unwrap_or_default();
    let known = log_options(log.log_driver.as_str());
    if let Some(option) = options.keys().find(|option| !known.contains(&option.as_str())) {
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
        let both = !get("awslogs-datetime-format").is_empty() && !get("awslogs-multiline-pattern").is_empty();
        require_of(container, !both, || {
            "Options awslogs-datetime-format and awslogs-multiline-pattern cannot both be specified."
                .to_owned()
        })?;
    }
    let one_of = |name: &str, values: &[&str]| {
        let value = get(name);
        require_of(container, value.is_empty() || values.contains(&value), || {
            format!("Log option {name} must be one of {}.", values.join(", "))
        })
    };
    one_of("mode", &["blocking", "non-blocking"])?;
    one_of("awslogs-create-group", &["true", "false"])?;
    for name in ["max-buffer-size", "max-size"] {
        require_of(container, get(name).is_empty() || is_size(get(name)), || {
            format!("Log option {name} must be a size such as 10m.")
        })?;
    }
    let files = get("max-file");
    require_of(
        container,
        files.is_empty() || files.parse::<u32>().is_ok_and(|n| (1..=1000).contains(&n)),
        || "Log option max-file must be a number of at least 1.".to_owned(),
    )
}

/// Digits and, as Docker takes them, `b`, `k`, `m` or `g`, with or without a `b` behind.
fn is_size(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let number = lower.trim_end_matches(['b', 'k', 'm', 'g']);
    let unit = &lower[number.len()..];
    let known = ["", "b", "k", "kb", "m", "mb", "g", "gb"].contains(&unit);
    known && number.parse::<u32>().is_ok_and(|number| number > 0)
}
