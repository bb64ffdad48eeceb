//! Lengths of time on the command line: a number and one of `s`, `m`, `h`, `d`.

use std::time::Duration;

/// Reads one, such as `90s` or `7d`.
///
/// # Errors
/// What is expected, in words for the command line.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text} is no length of time: a whole number and s, m, h or d, such as 24h");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        _ => return Err(wrong()),
    };
    let digits = text.get(..text.len() - 1).filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    let number: u64 = digits.and_then(|digits| digits.parse().ok()).ok_or_else(wrong)?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_a_number_and_a_unit() {
        for (text, seconds) in [("90s", 90), ("2m", 120), ("24h", 86_400), ("7d", 604_800), ("0s", 0)] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in [
            "",
            "s",
            "24",
            "-1h",
            "1.5h",
            "1h30m",
            "é",
            "1é",
            "99999999999999999999d",
            "18446744073709551615d",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
