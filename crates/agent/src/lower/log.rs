//! `HostConfig.LogConfig`: which driver takes a container's output, and how much may wait on disk.

use std::collections::BTreeMap;

use engine::OutputPolicy;

use super::{container::Context, docker::LogConfig};
use crate::task::{AwsLogs, LogDriver};

/// What json-file keeps when not told: one file would grow without end.
const ROTATING: OutputPolicy = OutputPolicy::Rotating { max_bytes: 10 << 20, files: 2 };
/// The ECS agent's default for `max-buffer-size`.
const BUFFER_BYTES: u64 = 10 << 20;

/// Lowers the log configuration. The error is the container's `reason`.
pub(super) fn lower(
    config: Option<&LogConfig>,
    context: &Context,
    container: &str,
) -> Result<(LogDriver, OutputPolicy), String> {
    let Some(config) = config else { return Ok((LogDriver::JsonFile, ROTATING)) };
    let options = config.config.clone().unwrap_or_default();
    match config.r#type.as_str() {
        "" | "json-file" => Ok((LogDriver::JsonFile, json_file(&options)?)),
        "none" => Ok((LogDriver::None, OutputPolicy::Discard)),
        "awslogs" => awslogs(&options, context, container),
        other => Err(format!("HostConfigError: the log driver {other} is not supported by this agent")),
    }
}

fn json_file(options: &BTreeMap<String, String>) -> Result<OutputPolicy, String> {
    let OutputPolicy::Rotating { mut max_bytes, mut files } = ROTATING else { return Ok(ROTATING) };
    for (name, value) in options {
        match name.as_str() {
            "max-size" => max_bytes = size(name, value)?,
            "max-file" => files = value.parse().map_err(|_| bad(name, value))?,
            _ => return Err(unknown("json-file", name)),
        }
    }
    Ok(OutputPolicy::Rotating { max_bytes, files: files.max(1) })
}

fn awslogs(
    options: &BTreeMap<String, String>,
    context: &Context,
    container: &str,
) -> Result<(LogDriver, OutputPolicy), String> {
    let mut logs = AwsLogs::default();
    let (mut blocking, mut buffer) = (true, BUFFER_BYTES);
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
            "awslogs-create-group" => logs.create_group = value.parse().map_err(|_| bad(name, value))?,
            "awslogs-datetime-format" => set_start(&mut logs, name, datetime_pattern(value))?,
            "awslogs-multiline-pattern" => set_start(&mut logs, name, value.clone())?,
            "mode" => match value.as_str() {
                "blocking" => blocking = true,
                "non-blocking" => blocking = false,
                _ => return Err(bad(name, value)),
            },
            "max-buffer-size" => buffer = size(name, value)?,
            _ => return Err(unknown("awslogs", name)),
        }
    }
    if logs.group.is_empty() {
        return Err("HostConfigError: the log driver awslogs needs the option awslogs-group".into());
    }
    let policy =
        if blocking { OutputPolicy::Blocking } else { OutputPolicy::NonBlocking { max_bytes: buffer } };
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

fn size(name: &str, value: &str) -> Result<u64, String> {
    bytes(value).filter(|bytes| *bytes > 0).ok_or_else(|| bad(name, value))
}

/// A size as Docker words it: a number, then nothing, `b`, `k`, `m`, `g` or `kb` and so on.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let text = text.strip_suffix('b').unwrap_or(&text);
    let text = text.strip_suffix('i').unwrap_or(text);
    let (digits, shift) = match text.as_bytes().last()? {
        b'k' => (&text[..text.len() - 1], 10),
        b'm' => (&text[..text.len() - 1], 20),
        b'g' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    digits.trim().parse::<u64>().ok()?.checked_mul(1 << shift)
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
