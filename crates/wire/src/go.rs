//! How programs in Go read what a user writes. Docker and AWS's agent are such, and their options mean what Go's
//! library and `docker/go-units` make of them. Texts in, values out; what Go refuses is `None`.

pub mod regexp;

/// `strconv.ParseBool`.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// `strconv.Atoi`: decimal digits, with or without a sign.
pub fn atoi(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// `units.FromHumanSize`: bytes, a kilobyte being 1000 of them.
pub fn human_size(text: &str) -> Option<u64> {
    size(text, 1000.0)
}

/// `units.RAMInBytes`: bytes, a kilobyte being 1024 of them.
pub fn ram_bytes(text: &str) -> Option<u64> {
    size(text, 1024.0)
}

/// A decimal number, at most one space, and a unit: nothing, `b`, or one of `k`, `m`, `g`, `t`, `p` with or
/// without `b` or `ib` behind, in any case. Unlike Go's, the number is not hexadecimal.
fn size(text: &str, kilo: f64) -> Option<u64> {
    let last = text.rfind(|c: char| c.is_ascii_digit() || matches!(c, '.' | ' '))?;
    let (number, unit) = text.split_at(last + 1);
    let number = number.strip_suffix(' ').unwrap_or(number);
    let decimal = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'+' | b'-' | b'e' | b'E');
    if !number.bytes().all(decimal) {
        return None;
    }
    let unit = unit.to_ascii_lowercase();
    let power = match unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(&unit) {
        "" if unit != "ib" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    let bytes = number.parse::<f64>().ok()? * kilo.powi(power);
    // Exclusive: the nearest number to the largest of Go's integers is one too many.
    (0.0..i64::MAX as f64).contains(&bytes).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truth_is_what_parse_bool_takes() {
        for yes in ["1", "t", "T", "TRUE", "true", "True"] {
            assert_eq!(parse_bool(yes), Some(true), "{yes}");
        }
        for no in ["0", "f", "F", "FALSE", "false", "False"] {
            assert_eq!(parse_bool(no), Some(false), "{no}");
        }
        for neither in ["", "yes", "tRUE", "on", " true", "01"] {
            assert_eq!(parse_bool(neither), None, "{neither}");
        }
    }

    #[test]
    fn numbers_are_what_atoi_takes() {
        for (text, number) in [("5", Some(5)), ("+3", Some(3)), ("-1", Some(-1)), ("007", Some(7))] {
            assert_eq!(atoi(text), number, "{text}");
        }
        for text in ["", "+", "1_000", "1.0", " 1", "0x1", "99999999999999999999"] {
            assert_eq!(atoi(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_what_go_units_takes() {
        for (text, decimal, binary) in [
            ("0", 0, 0),
            ("32", 32, 32),
            ("32b", 32, 32),
            ("32B", 32, 32),
            ("32k", 32_000, 32 << 10),
            ("32 kb", 32_000, 32 << 10),
            ("32KiB", 32_000, 32 << 10),
            ("4mib", 4_000_000, 4 << 20),
            ("1.5m", 1_500_000, 3 << 19),
            ("1.m", 1_000_000, 1 << 20),
            (".5g", 500_000_000, 1 << 29),
            ("1e3", 1000, 1000),
            ("+2G", 2_000_000_000, 2 << 30),
            ("2Tb", 2_000_000_000_000, 2 << 40),
            ("1p", 1_000_000_000_000_000, 1 << 50),
            ("0.3", 0, 0),
        ] {
            assert_eq!((human_size(text), ram_bytes(text)), (Some(decimal), Some(binary)), "{text}");
        }
        for text in [
            "",
            "m",
            "hello",
            "-1",
            "-32k",
            "32bb",
            "32ib",
            "32kk",
            "32 kib b",
            "32  mb",
            "10mi",
            "10i",
            " 32",
            "32m ",
            "1e",
            "nan",
            "inf",
            "0x10",
            "1_000",
            "99999999999999999999g",
            "9300p",
            "1,5m",
            "10é",
        ] {
            assert_eq!((human_size(text), ram_bytes(text)), (None, None), "{text}");
        }
    }
}
