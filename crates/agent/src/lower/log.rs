//! `HostConfig.LogConfig`: which driver takes a container's output, and how much may wait on disk.

use std::collections::BTreeMap;

use engine::OutputPolicy;
use wire::go;

use super::{container::Context, docker::LogConfig};
use crate::task::{AwsLogs, LogDriver};

/// What json-file keeps where no size is given, in bytes and files. Docker's one file would grow without end.
const JSON_FILE: (u64, u32) = (20_000_000, 5);
/// As at registration. Each turn renames them all.
const MAX_FILES: u32 = 1000;
/// The ECS agent's default for `max-buffer-size`.
const BUFFER_BYTES: u64 = 10 << 20;

/// Lowers the log configuration. The error is the container's `reason`.
pub(super) fn lower(
    config: Option<&LogConfig>,
    context: &Context,
    container: &str,
) -> Result<(LogDriver, OutputPolicy), String> {
    // To Docker an option that is empty is none.
    let mut options = config.and_then(|config| config.config.clone()).unwrap_or_default();
    options.retain(|_, value| !value.is_empty());
    let Some(config) = config else { return Ok((LogDriver::JsonFile, json_file(&options)?)) };
    match config.r#type.as_str() {
        "" | "json-file" => Ok((LogDriver::JsonFile, json_file(&options)?)),
        "none" => Ok((LogDriver::None, OutputPolicy::Discard)),
        "awslogs" => awslogs(&options, context, container),
        other => Err(format!("HostConfigError: the log driver {other} is not supported by this agent")),
    }
}

fn json_file(options: &BTreeMap<String, String>) -> Result<OutputPolicy, String> {
    let (mut max_bytes, mut files) = (None, None);
    for (name, value) in options {
        match name.as_str() {
            "max-size" => max_bytes = Some(size(name, value, go::human_size)?),
            "max-file" => {
                let number = go::atoi(value).and_then(|files| u32::try_from(files).ok());
                let number = number.filter(|files| (1..=MAX_FILES).contains(files));
                files = Some(number.ok_or_else(|| bad(name, value))?);
            }
            // A file never holds a container up, so both modes are one.
            "mode" => drop(blocking(name, value)?),
            "max-buffer-size" => drop(size(name, value, go::ram_bytes)?),
            "compress" if go::parse_bool(value) == Some(false) => {}
            _ => return Err(unknown("json-file", name)),
        }
    }
    // Docker's, once there is a size.
    let files = files.unwrap_or(if max_bytes.is_some() { 1 } else { JSON_FILE.1 });
    Ok(OutputPolicy::JsonFile { max_bytes: max_bytes.unwrap_or(JSON_FILE.0), files })
}

/// Whether the mode is blocking.
fn blocking(name: &str, value: &str) -> Result<bool, String> {
    match value {
        "blocking" => Ok(true),
        "non-blocking" => Ok(false),
        _ => Err(bad(name, value)),
    }
}

fn awslogs(
    options: &BTreeMap<String, String>,
    context: &Context,
    container: &str,
) -> Result<(LogDriver, OutputPolicy), String> {
    let mut logs = AwsLogs::default();
    let (mut wait, mut buffer) = (true, BUFFER_BYTES);
    for (name, value) in options {
        match name.as_str() {
            "awslogs-group" => logs.group = value.clone(),
            "awslogs-region" if *value == context.host.region => {}
            "awslogs-region" => {
                return Err(format!(
                    "HostConfigError: awslogs-region {value} is not the region of this control plane"
                ));
            }
            "awslogs-stream-prefix" => logs.stream = Some(format!("{value}/{container}/{}", context.id)),
            "awslogs-stream" => logs.stream = Some(value.clone()),
            // For engines that do not know the control plane.
            "awslogs-endpoint" => {}
            "awslogs-create-group" => {
                logs.create_group = go::parse_bool(value).ok_or_else(|| bad(name, value))?;
            }
            "awslogs-datetime-format" => logs.event_start[0] = Some(value.clone()),
            "awslogs-multiline-pattern" => logs.event_start[1] = Some(value.clone()),
            "mode" => wait = blocking(name, value)?,
            "max-buffer-size" => buffer = size(name, value, go::ram_bytes)?,
            _ => return Err(unknown("awslogs", name)),
        }
    }
    if logs.group.is_empty() {
        return Err("HostConfigError: the log driver awslogs needs the option awslogs-group".into());
    }
    let [datetime, multiline] = logs.event_start.each_ref().map(Option::as_deref);
    wire::awslogs::event_start(datetime, multiline).map_err(|error| format!("HostConfigError: {error}"))?;
    let policy = if wait { OutputPolicy::Blocking } else { OutputPolicy::NonBlocking { max_bytes: buffer } };
    Ok((LogDriver::AwsLogs(logs), policy))
}

fn bad(name: &str, value: &str) -> String {
    format!("HostConfigError: the log option {name} cannot be {value:?}")
}

fn unknown(driver: &str, name: &str) -> String {
    format!("HostConfigError: the option {name} of the log driver {driver} is not supported by this agent")
}

/// Docker counts files by thousands, and buffers by 1024.
fn size(name: &str, value: &str, read: fn(&str) -> Option<u64>) -> Result<u64, String> {
    read(value).filter(|bytes| *bytes > 0).ok_or_else(|| bad(name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_file_keeps_to_docker_s_options() {
        let lowered = |options: &[(&str, &str)]| {
            let options = options.iter().map(|(name, value)| (name.to_string(), value.to_string()));
            json_file(&options.collect())
        };
        for (options, expected) in [
            (&[][..], Some((20_000_000, 5))),
            (&[("max-size", "10m")], Some((10_000_000, 1))),
            (&[("max-size", "1k"), ("max-file", "3")], Some((1000, 3))),
            (&[("max-file", "3"), ("mode", "non-blocking"), ("compress", "false")], Some((20_000_000, 3))),
            (&[("max-size", "1.5MB"), ("max-file", "+2"), ("compress", "F")], Some((1_500_000, 2))),
            (&[("max-file", "0")], None),
            (&[("max-file", "1001")], None),
            (&[("max-size", "0")], None),
            (&[("mode", "slow")], None),
            (&[("compress", "true")], None),
            (&[("labels", "a")], None),
        ] {
            let expected = expected.map(|(max_bytes, files)| OutputPolicy::JsonFile { max_bytes, files });
            assert_eq!(lowered(options).ok(), expected, "{options:?}");
        }
    }
}
