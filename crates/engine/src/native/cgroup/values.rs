//! Limits as the values of control group files, for v1 and v2. Pure.

/// What a group is held to.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Limits {
    /// Relative weight, 2 to 262144.
    pub(crate) cpu_shares: Option<u64>,
    /// Hard limit, in thousandths of a CPU.
    pub(crate) cpu_millis: Option<u64>,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) memory_reservation_bytes: Option<u64>,
    /// Memory and swap together; -1 is unlimited. `None` with a memory limit: twice that, as Docker does.
    pub(crate) memory_swap_bytes: Option<i64>,
    pub(crate) swappiness: Option<u64>,
    pub(crate) pids: Option<u64>,
    /// `None`: all devices.
    pub(crate) devices: Option<Vec<DeviceRule>>,
}

/// A device that may be used. `None` for a number is any.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct DeviceRule {
    /// `c` or `b`.
    pub(crate) kind: char,
    pub(crate) major: Option<u32>,
    pub(crate) minor: Option<u32>,
    /// Any of `r`, `w`, `m`.
    pub(crate) access: String,
}

impl DeviceRule {
    fn new(kind: char, major: Option<u32>, minor: Option<u32>, access: &str) -> DeviceRule {
        DeviceRule { kind, major, minor, access: access.to_owned() }
    }

    fn v1(&self) -> String {
        let number = |n: Option<u32>| n.map_or("*".to_owned(), |n| n.to_string());
        format!("{} {}:{} {}", self.kind, number(self.major), number(self.minor), self.access)
    }
}

/// The devices that every container may use, as Docker has them: nodes may be made of any, and used
/// are null, zero, full, random, urandom, tty, console, ptmx and terminals.
pub(crate) fn default_devices() -> Vec<DeviceRule> {
    let mut rules = vec![DeviceRule::new('c', None, None, "m"), DeviceRule::new('b', None, None, "m")];
    for (major, minor) in [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)] {
        rules.push(DeviceRule::new('c', Some(major), Some(minor), "rwm"));
    }
    rules.push(DeviceRule::new('c', Some(136), None, "rwm"));
    rules
}

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) controller: &'static str,
    pub(crate) file: &'static str,
    pub(crate) value: String,
    /// Not every kernel has the file, and the limit is one that ECS lets fall silently there too.
    pub(crate) optional: bool,
}

fn value(controller: &'static str, file: &'static str, value: impl ToString) -> Value {
    Value { controller, file, value: value.to_string(), optional: false }
}

fn optional(controller: &'static str, file: &'static str, text: impl ToString) -> Value {
    Value { optional: true, ..value(controller, file, text) }
}

/// Length of the accounting period, in microseconds: the kernel's and Docker's default.
const CPU_PERIOD_US: u64 = 100_000;
/// The kernel refuses shorter quotas.
const CPU_QUOTA_US_MIN: u64 = 1_000;

fn quota_us(millis: u64) -> u64 {
    (millis.saturating_mul(CPU_PERIOD_US) / 1000).max(CPU_QUOTA_US_MIN)
}

/// Memory and swap together; `None`: nothing to write.
fn swap_total(limits: &Limits) -> Option<i64> {
    let memory = i64::try_from(limits.memory_bytes?).unwrap_or(i64::MAX);
    Some(limits.memory_swap_bytes.unwrap_or(memory.saturating_mul(2)))
}

/// In the order they must be written: memory before memory and swap.
pub(crate) fn v1(limits: &Limits) -> Vec<Value> {
    let mut out = Vec::new();
    if let Some(shares) = limits.cpu_shares {
        out.push(value("cpu", "cpu.shares", shares.clamp(2, 262_144)));
    }
    if let Some(millis) = limits.cpu_millis {
        out.push(value("cpu", "cpu.cfs_period_us", CPU_PERIOD_US));
        out.push(value("cpu", "cpu.cfs_quota_us", quota_us(millis)));
    }
    if let Some(bytes) = limits.memory_bytes {
        out.push(value("memory", "memory.limit_in_bytes", bytes));
    }
    if let Some(total) = swap_total(limits) {
        // Absent where the kernel was booted without swap accounting.
        out.push(optional("memory", "memory.memsw.limit_in_bytes", total));
    }
    if let Some(bytes) = limits.memory_reservation_bytes {
        out.push(value("memory", "memory.soft_limit_in_bytes", bytes));
    }
    if let Some(swappiness) = limits.swappiness {
        out.push(optional("memory", "memory.swappiness", swappiness.min(100)));
    }
    if let Some(pids) = limits.pids {
        out.push(value("pids", "pids.max", pids));
    }
    if let Some(rules) = &limits.devices {
        out.push(value("devices", "devices.deny", "a"));
        out.extend(rules.iter().map(|rule| value("devices", "devices.allow", rule.v1())));
    }
    out
}

/// Devices are no file in v2: see `devices`.
pub(crate) fn v2(limits: &Limits) -> Vec<Value> {
    let mut out = Vec::new();
    if let Some(shares) = limits.cpu_shares {
        out.push(value("cpu", "cpu.weight", cpu_weight(shares)));
    }
    if let Some(millis) = limits.cpu_millis {
        out.push(value("cpu", "cpu.max", format!("{} {CPU_PERIOD_US}", quota_us(millis))));
    }
    if let Some(bytes) = limits.memory_bytes {
        out.push(value("memory", "memory.max", bytes));
    }
    if let (Some(total), Some(memory)) = (swap_total(limits), limits.memory_bytes) {
        let memory = i64::try_from(memory).unwrap_or(i64::MAX);
        let swap = if total < 0 { "max".to_owned() } else { total.saturating_sub(memory).max(0).to_string() };
        out.push(optional("memory", "memory.swap.max", swap));
    }
    if let Some(bytes) = limits.memory_reservation_bytes {
        out.push(value("memory", "memory.low", bytes));
    }
    if let Some(pids) = limits.pids {
        out.push(value("pids", "pids.max", pids));
    }
    out
}

/// The v2 weight, 1 to 10000, of v1 shares, as container runtimes agreed on it.
fn cpu_weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9_999 / 262_142
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(values: Vec<Value>) -> Vec<String> {
        values.into_iter().map(|v| format!("{}={}", v.file, v.value)).collect()
    }

    fn all() -> Limits {
        Limits {
            cpu_shares: Some(1024),
            cpu_millis: Some(500),
            memory_bytes: Some(64 << 20),
            memory_reservation_bytes: Some(32 << 20),
            memory_swap_bytes: None,
            swappiness: Some(60),
            pids: Some(100),
            devices: None,
        }
    }

    #[test]
    fn every_limit_in_v1() {
        assert_eq!(
            lines(v1(&all())),
            [
                "cpu.shares=1024",
                "cpu.cfs_period_us=100000",
                "cpu.cfs_quota_us=50000",
                "memory.limit_in_bytes=67108864",
                "memory.memsw.limit_in_bytes=134217728",
                "memory.soft_limit_in_bytes=33554432",
                "memory.swappiness=60",
                "pids.max=100",
            ]
        );
    }

    #[test]
    fn every_limit_in_v2() {
        assert_eq!(
            lines(v2(&all())),
            [
                "cpu.weight=39",
                "cpu.max=50000 100000",
                "memory.max=67108864",
                "memory.swap.max=67108864",
                "memory.low=33554432",
                "pids.max=100",
            ]
        );
    }

    #[test]
    fn swap_may_be_none_or_unlimited() {
        for (swap, want_v1, want_v2) in [(Some(64 << 20), "67108864", "0"), (Some(-1), "-1", "max")] {
            let limits =
                Limits { memory_bytes: Some(64 << 20), memory_swap_bytes: swap, ..Limits::default() };
            assert_eq!(v1(&limits)[1].value, want_v1);
            assert_eq!(v2(&limits)[1].value, want_v2);
        }
    }

    #[test]
    fn weights_cover_their_range() {
        assert_eq!(
            (cpu_weight(0), cpu_weight(2), cpu_weight(262_144), cpu_weight(u64::MAX)),
            (1, 1, 10_000, 10_000)
        );
    }

    #[test]
    fn devices_are_denied_before_some_are_allowed() {
        let limits = Limits { devices: Some(default_devices()), ..Limits::default() };
        let lines = lines(v1(&limits));
        assert_eq!(lines[0], "devices.deny=a");
        assert_eq!(lines[1], "devices.allow=c *:* m");
        assert!(lines.contains(&"devices.allow=c 136:* rwm".to_owned()));
        assert!(v2(&limits).is_empty());
    }

    #[test]
    fn nothing_asked_nothing_written() {
        assert!(v1(&Limits::default()).is_empty() && v2(&Limits::default()).is_empty());
    }
}
