//! `HostConfig.LogConfig`: which driver takes a container's output, and how much may wait on disk.

use std::collections::BTreeMap;

use engine::OutputPolicy;

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
    let options = config.and_then(|config| config.config.clone()).unwrap_or_default();
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
            "max-size" => max_bytes = Some(size(name, value, 1000)?),
            "max-file" => {
                let number = value.parse().ok().filter(|files| (1..=MAX_FILES).contains(files));
                files = Some(number.ok_or_else(|| bad(name, value))?);
            }
            // A file never holds a container up, so both modes are one.
            "mode" => drop(blocking(name, value)?),
            "max-buffer-size" => drop(size(name, value, 1024)?),
            "compress" if value == "false" => {}
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
            "awslogs-create-group" => logs.create_group = value.parse().map_err(|_| bad(name, value))?,
            "awslogs-datetime-format" => set_start(&mut logs, name, datetime_pattern(value))?,
            "awslogs-multiline-pattern" => set_start(&mut logs, name, value.clone())?,
            "mode" => wait = blocking(name, value)?,
            "max-buffer-size" => buffer = size(name, value, 1024)?,
            _ => return Err(unknown("awslogs", name)),
        }
    }
    if logs.group.is_empty() {
        return Err("HostConfigError: the log driver awslogs needs the option awslogs-group".into());
    }
    let policy = if wait { OutputPolicy::Blocking } else { OutputPolicy::NonBlocking { max_bytes: buffer } };
    Ok((LogDriver::AwsLogs(logs), policy))
}

fn set_start(logs: &mut AwsLogs, name: &str, pattern: String) -> Result<(), String> {
    if logs.event_start.is_some() {
        return Err(
            "HostConfigError: awslogs-datetime-format and awslogs-multiline-pattern exclude each other"
                .into(),
        );
    }
    regex::bytes::RegexBuilder::new(&pattern)
        .size_limit(1 << 20)
        .build()
        .map_err(|error| format!("HostConfigError: {name}: {error}"))?;
    logs.event_start = Some(pattern);
    Ok(())
}

fn bad(name: &str, value: &str) -> String {
    format!("HostConfigError: the log option {name} cannot be {value:?}")
}

fn unknown(driver: &str, name: &str) -> String {
    format!("HostConfigError: the option {name} of the log driver {driver} is not supported by this agent")
}

/// Docker counts files by thousands, and buffers by 1024.
fn size(name: &str, value: &str, kilo: u64) -> Result<u64, String> {
    sized(value, kilo).filter(|bytes| *bytes > 0).ok_or_else(|| bad(name, value))
}

/// A size as Docker words it: a number, then nothing, `b`, `k`, `m`, `g` or `kb` and so on.
pub(super) fn bytes(text: &str) -> Option<u64> {
    sized(text, 1024)
}

fn sized(text: &str, kilo: u64) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let text = text.strip_suffix('b').unwrap_or(&text);
    let text = text.strip_suffix('i').unwrap_or(text);
    let (digits, power) = match text.as_bytes().last()? {
        b'k' => (&text[..text.len() - 1], 1),
        b'm' => (&text[..text.len() - 1], 2),
        b'g' => (&text[..text.len() - 1], 3),
        _ => (text, 0),
    };
    digits.trim().parse::<u64>().ok()?.checked_mul(kilo.pow(power))
}

/// The pattern for a strftime format, with the conversions that Docker's driver documents.
fn datetime_pattern(format: &str) -> String {
    let mut pattern = String::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            pattern.push_str(&regex::escape(&letter.to_string()));
            continue;
        }
        let literal: String;
        pattern.push_str(match letters.next() {
            Some('a') => r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)",
            Some('A') => r"(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)",
            Some('b') => r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)",
            Some('B') => {
                r"(?:January|February|March|April|May|June|July|August|September|October|November|December)"
            }
            Some('w') => r"\d",
            Some('d' | 'm' | 'y' | 'H' | 'I' | 'M' | 'S') => r"\d{2}",
            Some('Y') => r"\d{4}",
            Some('j') => r"\d{3}",
            Some('L') => r"\.\d{3}",
            Some('f') => r"\d{6}",
            Some('p') => r"[AP]M",
            Some('z') => r"[+-]\d{4}",
            Some('Z') => r"[A-Z]{1,4}T",
            Some('%') | None => "%",
            // Not a conversion that is documented: the percent sign stands for itself.
            Some(other) => {
                literal = regex::escape(&format!("%{other}"));
                &literal
            }
        });
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_docker_words_them() {
        for (text, expected) in [
            ("10", Some(10)),
            ("10k", Some(10 << 10)),
            ("25MB", Some(25 << 20)),
            ("1g", Some(1 << 30)),
            ("1gib", Some(1 << 30)),
            ("", None),
            ("m", None),
            ("-1", None),
            ("99999999999999999999g", None),
            ("18446744073709551615g", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }

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

    #[test]
    fn formats_match_the_dates_they_write() {
        for (format, line) in [
            ("[%b %d, %Y %H:%M:%S]", "[Nov 23, 2026 11:40:00] hello"),
            ("%Y-%m-%dT%H:%M:%S%z", "2026-11-23T11:40:00+0000 x"),
            ("%Y-%m-%d %H:%M:%S.%f", "2026-11-23 11:40:00.123456"),
        ] {
            let pattern = regex::Regex::new(&datetime_pattern(format)).unwrap();
            assert!(pattern.is_match(line), "{format}: {pattern}");
            assert!(!pattern.is_match("  at java.lang.Thread"), "{format}");
        }
    }
}
