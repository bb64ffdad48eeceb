//! What the options of Docker's log driver `awslogs` mean, as far as control plane and agent must agree on it.
//! <https://docs.docker.com/engine/logging/drivers/awslogs/>

use crate::go::regexp::{self, Regexp};

/// Where an event of several lines begins, by `awslogs-datetime-format` or `awslogs-multiline-pattern`; `None`
/// where neither says anything and every line is an event.
///
/// # Errors
/// The name of the option, and what is wrong.
pub fn event_start(datetime: Option<&str>, multiline: Option<&str>) -> Result<Option<Regexp>, Error> {
    let says = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let (name, pattern) = match (says(datetime), says(multiline)) {
        (None, None) => return Ok(None),
        (Some(format), None) => ("awslogs-datetime-format", datetime_pattern(&format)),
        (None, Some(pattern)) => ("awslogs-multiline-pattern", pattern),
        (Some(_), Some(_)) => return Err(Error::Both),
    };
    Regexp::new(&pattern).map(Some).map_err(|error| Error::Pattern {
        name,
        pattern: regexp::shown(&pattern),
        error,
    })
}

/// Why the options cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// They exclude each other.
    #[error("Options awslogs-datetime-format and awslogs-multiline-pattern cannot both be specified.")]
    Both,
    /// The regular expression that comes of an option is none.
    #[error("Log option {name} gives the regular expression '{pattern}': {error}.")]
    Pattern {
        /// The option.
        name: &'static str,
        /// What comes of it, cut.
        pattern: String,
        /// What is wrong with that.
        error: regexp::Error,
    },
}

/// The regular expression that Docker makes of a strftime format: each directive is replaced, one that it does not
/// know by nothing, and all the rest stays as it is, for it is a regular expression too.
fn datetime_pattern(format: &str) -> String {
    let mut pattern = String::new();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        pattern.push_str(&rest[..at]);
        let mut after = rest[at + 1..].chars();
        match after.next() {
            // A directive is a percent sign and any character on its line.
            Some(letter) if letter != '\n' => {
                pattern.push_str(directive(letter));
                rest = after.as_str();
            }
            _ => {
                pattern.push('%');
                rest = &rest[at + 1..];
            }
        }
    }
    pattern + rest
}

fn directive(letter: char) -> &'static str {
    match letter {
        'a' => "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)",
        'A' => "(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)",
        'w' => "[0-6]",
        // Docker's classes have commas in them.
        'd' => "(?:0[1-9]|[1,2][0-9]|3[0,1])",
        'b' => "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)",
        'B' => "(?:January|February|March|April|May|June|July|August|September|October|November|December)",
        'm' => "(?:0[1-9]|1[0-2])",
        'Y' => r"\d{4}",
        'y' => r"\d{2}",
        'H' => "(?:[0,1][0-9]|2[0-3])",
        'I' => "(?:0[0-9]|1[0-2])",
        'p' => "[A,P]M",
        'M' | 'S' => "[0-5][0-9]",
        'f' => r"\d{6}",
        'z' => r"[+-]\d{4}",
        'Z' => "[A-Z]{1,4}T",
        'j' => "(?:0[0-9][1-9]|[1,2][0-9][0-9]|3[0-5][0-9]|36[0-6])",
        'L' => r"\.\d{3}",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(format: &str, line: &str) -> bool {
        event_start(Some(format), None).unwrap().unwrap().is_match(line.as_bytes())
    }

    #[test]
    fn a_format_is_a_regular_expression_with_directives() {
        for (format, line) in [
            (r"\[%Y-%m-%d %H:%M:%S\]", "[2026-11-28 19:30:01] hello"),
            (r"%Y/%m/%d\s+%H:%M", "2026/11/28    19:30 hello"),
            ("^%Y-%m-%d", "2026-11-28 hello"),
            (r"\[%b %d, %Y %H:%M:%S\]", "[Nov 28, 2026 19:30:01] hello"),
            ("%Y-%m-%dT%H:%M:%S%z", "2026-11-28T11:40:00+0000 x"),
            ("%Y-%m-%d %H:%M:%S.%f", "2026-11-28 11:40:00.123456"),
            ("%H:%M:%S%L", "11:40:00.123"),
            ("(%a|%A), %d %B %y %I%p %Z %j %w", "Sunday, 28 November 26 09PM CEST 332 6"),
            // Nothing stands for a directive that Docker does not know, the doubled sign among them.
            ("^%q%%x$", "x"),
            ("100%", "100%"),
            ("^%\u{e9}a", "a"),
        ] {
            assert!(starts(format, line), "{format}: {line}");
        }
        for (format, line) in [
            ("^%Y-%m-%d", "at 2026-11-28"),
            ("%Y-%m-%d", "2026-13-28"),
            ("%H", "29"),
            ("%d", "00"),
            ("%Y-%m-%d %H:%M:%S", "  at java.lang.Thread"),
        ] {
            assert!(!starts(format, line), "{format}: {line}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        assert_eq!(event_start(Some("%Y"), Some("x")).unwrap_err(), Error::Both);
        assert!(
            event_start(Some(""), None).unwrap().is_none() && event_start(None, Some("")).unwrap().is_none()
        );
        assert!(event_start(Some(""), Some("^x")).unwrap().unwrap().is_match(b"x"));
        let error = event_start(Some("(%Y"), None).unwrap_err().to_string();
        assert_eq!(
            error,
            r"Log option awslogs-datetime-format gives the regular expression '(\d{4}': error parsing regexp: missing closing ): `(\d{4}`."
        );
    }

    #[test]
    fn a_long_pattern_is_refused_in_few_words() {
        for pattern in ["(?i)".to_owned() + &r"\pL".repeat(10_000), "(".repeat(60_000), "é(".repeat(4000)] {
            let error = event_start(None, Some(&pattern)).unwrap_err().to_string();
            assert!(error.chars().count() < 600, "{error}");
        }
        assert!(event_start(None, Some(&"a".repeat(8192))).is_ok());
        let error = event_start(None, Some(&"a".repeat(8193))).unwrap_err().to_string();
        assert!(error.contains("expression is too large"), "{error}");
    }
}
