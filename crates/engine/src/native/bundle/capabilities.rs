//! Which capabilities a container has: Docker's default set, changed as asked. Pure.

use crate::spec::ContainerSpec;

/// Every capability of Linux, in the kernel's order.
const ALL: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// Docker's default set.
const DEFAULT: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SYS_CHROOT",
    "MKNOD",
    "AUDIT_WRITE",
    "SETFCAP",
];

/// The set, as `CAP_…`, in the kernel's order.
pub(super) fn of(spec: &ContainerSpec) -> Result<Vec<String>, String> {
    let kept: Vec<&str> = if spec.privileged {
        ALL.to_vec()
    } else {
        let (add, drop) = (names(&spec.capabilities_add)?, names(&spec.capabilities_drop)?);
        let has = |list: &[&str], name: &str| list.contains(&name);
        let base = |name: &str| {
            // What is named goes before `ALL`, and what is added by name before what is dropped by it.
            let dropped = has(&drop, name) || has(&drop, "ALL");
            has(&add, name) || !dropped && (has(&add, "ALL") || DEFAULT.contains(&name))
        };
        ALL.into_iter().filter(|name| base(name)).collect()
    };
    let (ours, add) = (of_this_process(), names(&spec.capabilities_add)?);
    // Nobody can hand on what he has not; what was asked for by name must then fail, and say so.
    let can = |name: &str| add.contains(&name) || number(name).is_some_and(|n| ours >> n & 1 == 1);
    Ok(kept.into_iter().filter(|name| can(name)).map(|name| format!("CAP_{name}")).collect())
}

/// Capabilities (`CAP_…`) as the kernel's bits.
pub(crate) fn bits<'a>(names: impl IntoIterator<Item = &'a str>) -> u64 {
    let numbers = names.into_iter().filter_map(|name| number(name.strip_prefix("CAP_")?));
    numbers.fold(0, |bits, n| bits | 1 << n)
}

fn number(name: &str) -> Option<usize> {
    ALL.iter().position(|known| *known == name)
}

/// Whether this process may raise limits.
pub(super) fn may_raise_limits() -> bool {
    number("SYS_RESOURCE").is_some_and(|n| of_this_process() >> n & 1 == 1)
}

fn names(asked: &[String]) -> Result<Vec<&'static str>, String> {
    asked
        .iter()
        .map(|name| {
            let upper = name.to_ascii_uppercase();
            let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
            let found = ALL.iter().chain(&["ALL"]).find(|known| **known == bare).copied();
            found.ok_or_else(|| format!("invalid capability: unknown capability: \"{name}\""))
        })
        .collect()
}

/// The capabilities that this process could have; an older kernel knows fewer.
fn of_this_process() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bounding = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
    bounding.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(privileged: bool, add: &[&str], drop: &[&str]) -> Vec<String> {
        let list = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        of(&ContainerSpec {
            privileged,
            capabilities_add: list(add),
            capabilities_drop: list(drop),
            ..ContainerSpec::default()
        })
        .unwrap()
    }

    #[test]
    fn sets() {
        assert_eq!(set(false, &[], &[]).len(), DEFAULT.len());
        assert!(set(true, &[], &["ALL"]).len() > 35);
        assert_eq!(set(false, &["net_admin"], &["ALL"]), ["CAP_NET_ADMIN"]);
        assert_eq!(set(false, &["CAP_NET_ADMIN", "SYS_TIME"], &["all"]), ["CAP_NET_ADMIN", "CAP_SYS_TIME"]);
        assert!(set(false, &["ALL"], &[]).len() > 35);
        assert!(!set(false, &["ALL"], &["SYS_ADMIN"]).contains(&"CAP_SYS_ADMIN".to_owned()));
        assert_eq!(set(false, &[], &["NET_RAW", "MKNOD"]).len(), DEFAULT.len() - 2);
    }

    #[test]
    fn an_unknown_one_is_refused() {
        let spec = ContainerSpec { capabilities_add: vec!["FLY".into()], ..ContainerSpec::default() };
        assert!(of(&spec).unwrap_err().contains("FLY"));
    }
}
