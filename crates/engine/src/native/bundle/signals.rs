//! Signals by name or number, as `STOPSIGNAL` and ECS write them. Pure.

use std::str::FromStr;

use nix::sys::signal::Signal;

/// The number of `SIGTERM`, `term`, `15`, `SIGRTMIN+3`.
pub(crate) fn parse(text: &str) -> Result<i32, String> {
    let bad = || format!("invalid signal: {text}");
    if let Ok(number) = text.parse::<i32>() {
        return if (1..=libc::SIGRTMAX()).contains(&number) { Ok(number) } else { Err(bad()) };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |offset: &str| if offset.is_empty() { Some(0) } else { offset[1..].parse::<i32>().ok() };
    let number = if let Some(offset) =
        name.strip_prefix("RTMIN").filter(|o| o.is_empty() || o.starts_with('+'))
    {
        real_time(offset).map(|n| libc::SIGRTMIN() + n)
    } else if let Some(offset) = name.strip_prefix("RTMAX").filter(|o| o.is_empty() || o.starts_with('-')) {
        real_time(offset).map(|n| libc::SIGRTMAX() - n)
    } else {
        Signal::from_str(&format!("SIG{name}")).ok().map(|s| s as i32)
    };
    number.filter(|n| (1..=libc::SIGRTMAX()).contains(n)).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for (text, want) in [
            ("SIGTERM", 15),
            ("term", 15),
            ("9", 9),
            ("SIGRTMIN+3", libc::SIGRTMIN() + 3),
            ("RTMAX-1", libc::SIGRTMAX() - 1),
        ] {
            assert_eq!(parse(text), Ok(want), "{text}");
        }
        for text in ["", "0", "65", "-1", "SIGNOPE", "RTMIN+99", "RTMIN+", "RTMINX"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
