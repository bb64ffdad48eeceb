//! What a container may not see or do: security options, masked paths, and the seccomp profile. Pure.

mod seccomp;

pub(super) use seccomp::program as seccomp;

/// Paths that tell of the host, or act on it; as Docker masks them.
pub(super) const MASKED: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

/// Paths that may be read only.
pub(super) const READONLY: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Docker's `--security-opt`, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Security {
    pub(crate) no_new_privileges: bool,
    pub(crate) seccomp_unconfined: bool,
    /// The profile that is asked for.
    pub(crate) apparmor: Option<String>,
}

pub(crate) fn parse(options: &[String]) -> Result<Security, String> {
    let mut out = Security::default();
    for option in options {
        let (name, value) = option.split_once(['=', ':']).unwrap_or((option, ""));
        match (name, value) {
            ("no-new-privileges", "" | "true") => out.no_new_privileges = true,
            ("no-new-privileges", "false") => out.no_new_privileges = false,
            ("seccomp", "unconfined") => out.seccomp_unconfined = true,
            ("seccomp", "builtin") => out.seccomp_unconfined = false,
            ("apparmor", profile) if !profile.is_empty() => out.apparmor = Some(profile.to_owned()),
            // There are no labels here to begin with.
            ("label", "disable") => {}
            ("label", value) if !value.is_empty() => {
                return Err(format!(
                    "--security-opt \"{option}\" asks for SELinux, which this agent does not apply"
                ));
            }
            _ => return Err(format!("invalid --security-opt: \"{option}\"")),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options() {
        let parse = |list: &[&str]| parse(&list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        assert!(parse(&["no-new-privileges"]).unwrap().no_new_privileges);
        assert!(!parse(&["no-new-privileges:false"]).unwrap().no_new_privileges);
        assert!(parse(&["seccomp=unconfined", "label:disable"]).unwrap().seccomp_unconfined);
        assert_eq!(parse(&["apparmor=mine"]).unwrap().apparmor.as_deref(), Some("mine"));
        for bad in ["seccomp=/my.json", "nope", "no-new-privileges=maybe", "apparmor=", "label:type:x"] {
            assert!(parse(&[bad]).is_err(), "{bad}");
        }
    }
}
