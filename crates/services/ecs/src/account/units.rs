//! Task-level `cpu` and `memory`, which ECS takes as numbers or with their units.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html#task_size>

/// `256`, `1 vCPU`, `.25 vcpu` to CPU units.
pub(crate) fn cpu_units(text: &str) -> Option<i64> {
    scaled(text, "vcpu")
}

/// `512`, `1GB`, `.5 GB` to MiB.
pub(crate) fn memory_mib(text: &str) -> Option<i64> {
    scaled(text, "gb")
}

/// A whole number, or a decimal number of units of 1024.
fn scaled(text: &str, unit: &str) -> Option<i64> {
    let text = text.trim();
    if text.len() > 32 {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    let Some(number) = lower.strip_suffix(unit) else {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        return if digits { text.parse().ok() } else { None };
    };
    let number = number.trim_end();
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    let scaled = number.parse::<f64>().ok()? * 1024.0;
    (scaled.fract() == 0.0 && scaled < 1e12).then_some(scaled as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_as_the_console_writes_them() {
        for (text, units) in
            [("256", 256), ("1 vCPU", 1024), (".25 vcpu", 256), ("0.5vCPU", 512), ("192 vCPU", 196_608)]
        {
            assert_eq!(cpu_units(text), Some(units), "{text}");
        }
        for (text, mib) in [("512", 512), ("1GB", 1024), ("1 GB", 1024), (".5 gb", 512), ("30 GB", 30720)] {
            assert_eq!(memory_mib(text), Some(mib), "{text}");
        }
        for bad in [
            "",
            " ",
            "x",
            "-1",
            "1.5",
            "+1",
            "1 vcpus",
            "vcpu",
            ". vcpu",
            "1e3 vcpu",
            "nan vcpu",
            ".0001 vcpu",
        ] {
            assert_eq!(cpu_units(bad), None, "{bad}");
        }
    }
}
