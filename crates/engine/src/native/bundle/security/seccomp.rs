//! The default seccomp profile: what Docker's default allows, kept as data in `seccomp.txt`. Pure.

use serde_json::{Value, json};

const DATA: &str = include_str!("seccomp.txt");

/// `ENOSYS`, so that C libraries fall back to `clone`, whose flags can be looked at.
const CLONE3_ERRNO: i32 = libc::ENOSYS;

/// Every flag of `clone` that makes a namespace.
const CLONE_NAMESPACES: u64 = 0x7E02_0000;

/// The profile for a set of capabilities (`CAP_…`).
pub(crate) fn profile(capabilities: &[String]) -> Value {
    let has = |name: &str| capabilities.iter().any(|c| c == name);
    let mut syscalls = Vec::new();
    for (section, names) in sections() {
        match section {
            "always" => syscalls.push(allow(&names)),
            "x86" if cfg!(target_arch = "x86_64") => syscalls.push(allow(&names)),
            "arm" if cfg!(target_arch = "aarch64") => syscalls.push(allow(&names)),
            "socket-families" => {
                for range in names {
                    let (first, last) = range.split_once('-').unwrap_or((range, range));
                    let number = |n: &str| n.parse::<u64>().unwrap_or(0);
                    for family in number(first)..=number(last) {
                        syscalls.push(allow_if("socket", family, "SCMP_CMP_EQ"));
                    }
                }
            }
            "personalities" => {
                for value in names {
                    let value = value.parse::<u64>().unwrap_or(0);
                    syscalls.push(allow_if("personality", value, "SCMP_CMP_EQ"));
                }
            }
            capability if has(capability) => syscalls.push(allow(&names)),
            _ => {}
        }
    }
    if !has("CAP_SYS_ADMIN") {
        syscalls.push(allow_if("clone", CLONE_NAMESPACES, "SCMP_CMP_MASKED_EQ"));
        syscalls.push(json!({ "names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": CLONE3_ERRNO }));
    }
    json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": libc::EPERM,
        "architectures": architectures(),
        "syscalls": syscalls,
    })
}

fn architectures() -> &'static [&'static str] {
    if cfg!(target_arch = "aarch64") {
        &["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]
    } else {
        &["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
    }
}

fn allow(names: &[&str]) -> Value {
    json!({ "names": names, "action": "SCMP_ACT_ALLOW" })
}

/// `MASKED_EQ` compares the first value's bits to zero.
fn allow_if(name: &str, value: u64, op: &str) -> Value {
    json!({
        "names": [name],
        "action": "SCMP_ACT_ALLOW",
        "args": [{ "index": 0, "value": value, "valueTwo": 0, "op": op }],
    })
}

/// `[name]` heads a section of words; `#` begins a comment.
fn sections() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut out: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in DATA.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            out.push((name, Vec::new()));
        } else if let Some((_, words)) = out.last_mut() {
            words.extend(line.split_whitespace());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(profile: &Value) -> Vec<&str> {
        let lists =
            profile["syscalls"].as_array().unwrap().iter().filter(|s| s["action"] == "SCMP_ACT_ALLOW");
        lists.flat_map(|s| s["names"].as_array().unwrap()).map(|n| n.as_str().unwrap()).collect()
    }

    #[test]
    fn capabilities_open_calls() {
        let plain = profile(&["CAP_CHOWN".into(), "CAP_SYS_CHROOT".into()]);
        let names_plain = names(&plain);
        assert!(names_plain.len() > 300);
        assert!(names_plain.contains(&"chroot") && names_plain.contains(&"execve"));
        for closed in [
            "mount",
            "unshare",
            "bpf",
            "keyctl",
            "add_key",
            "kexec_load",
            "io_uring_setup",
            "userfaultfd",
            "init_module",
        ] {
            assert!(!names_plain.contains(&closed), "{closed}");
        }
        let admin = profile(&["CAP_SYS_ADMIN".into()]);
        assert!(names(&admin).contains(&"mount") && !names(&admin).contains(&"chroot"));
    }

    #[test]
    fn it_is_a_profile() {
        let parsed: libcontainer::oci_spec::runtime::LinuxSeccomp =
            serde_json::from_value(profile(&[])).unwrap();
        assert!(parsed.syscalls().as_ref().unwrap().len() > 30);
    }
}
