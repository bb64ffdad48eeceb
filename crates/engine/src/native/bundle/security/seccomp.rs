//! The default seccomp profile: what Docker's default allows, kept as data in `seccomp.txt`, and made
//! into the program that the kernel runs for each system call.
//!
//! Made once for a set of capabilities and kept: to make it takes longer than all else at a start.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use libseccomp::error::SeccompError;
use libseccomp::{ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};

const DATA: &str = include_str!("seccomp.txt");

/// Every flag of `clone` that makes a namespace.
const CLONE_NAMESPACES: u64 = 0x7E02_0000;

/// The file in `dir` with the program for a set of capabilities (bits), made if it is not there.
pub(crate) fn program(dir: &Path, capabilities: u64) -> io::Result<PathBuf> {
    let path = dir.join(format!("{}-{capabilities:x}.bpf", env!("CARGO_PKG_VERSION")));
    if path.exists() {
        return Ok(path);
    }
    fs::create_dir_all(dir)?;
    let draft = dir.join(uuid::Uuid::new_v4().simple().to_string());
    let filter = filter(capabilities).map_err(io::Error::other)?;
    filter.export_bpf(File::create(&draft)?).map_err(io::Error::other)?;
    fs::rename(&draft, &path)?;
    Ok(path)
}

fn filter(capabilities: u64) -> Result<ScmpFilterContext, SeccompError> {
    let mut filter = ScmpFilterContext::new(ScmpAction::Errno(libc::EPERM))?;
    // A search tree: a call costs a dozen comparisons, not hundreds.
    filter.set_ctl_optimize(2)?;
    for architecture in architectures() {
        filter.add_arch(*architecture)?;
    }
    for rule in rules(capabilities) {
        // A call that this library does not know, no program can be told to make by name either.
        let Ok(call) = ScmpSyscall::from_name(rule.call) else { continue };
        match rule.first_argument {
            None => filter.add_rule(ScmpAction::Allow, call)?,
            Some(compare) => filter.add_rule_conditional(ScmpAction::Allow, call, &[compare])?,
        };
    }
    if capabilities & super::super::capability_bits(["CAP_SYS_ADMIN"]) == 0 {
        // So that C libraries fall back to `clone`, whose flags can be looked at.
        let call = ScmpSyscall::from_name("clone3")?;
        filter.add_rule(ScmpAction::Errno(libc::ENOSYS), call)?;
    }
    Ok(filter)
}

fn architectures() -> &'static [ScmpArch] {
    if cfg!(target_arch = "aarch64") {
        &[ScmpArch::Aarch64, ScmpArch::Arm]
    } else {
        &[ScmpArch::X8664, ScmpArch::X86, ScmpArch::X32]
    }
}

/// A call that is allowed, perhaps only with a certain first argument.
#[derive(Debug, Clone, Copy)]
struct Rule {
    call: &'static str,
    first_argument: Option<ScmpArgCompare>,
}

fn rules(capabilities: u64) -> Vec<Rule> {
    let has = |name: &str| capabilities & super::super::capability_bits([name]) != 0;
    let plain = |call| Rule { call, first_argument: None };
    let equal = |call, value| {
        let compare = ScmpArgCompare::new(0, ScmpCompareOp::Equal, value);
        Rule { call, first_argument: Some(compare) }
    };
    let mut rules = Vec::new();
    for (section, words) in sections() {
        match section {
            "socket-families" => {
                for range in words {
                    let (first, last) = range.split_once('-').unwrap_or((range, range));
                    let number = |n: &str| n.parse::<u64>().unwrap_or(0);
                    rules.extend((number(first)..=number(last)).map(|family| equal("socket", family)));
                }
            }
            "personalities" => {
                rules.extend(words.iter().filter_map(|w| w.parse().ok()).map(|v| equal("personality", v)));
            }
            section if is_open(section, &has) => rules.extend(words.into_iter().map(plain)),
            _ => {}
        }
    }
    if !has("CAP_SYS_ADMIN") {
        let none = ScmpArgCompare::new(0, ScmpCompareOp::MaskedEqual(CLONE_NAMESPACES), 0);
        rules.push(Rule { call: "clone", first_argument: Some(none) });
    }
    rules
}

fn is_open(section: &str, has: &dyn Fn(&str) -> bool) -> bool {
    match section {
        "always" => true,
        "x86" => cfg!(target_arch = "x86_64"),
        "arm" => cfg!(target_arch = "aarch64"),
        capability => has(capability),
    }
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
    use crate::native::bundle::capability_bits;

    fn names(capabilities: &[&str]) -> Vec<&'static str> {
        rules(capability_bits(capabilities.iter().copied())).iter().map(|r| r.call).collect()
    }

    #[test]
    fn capabilities_open_calls() {
        let plain = names(&["CAP_CHOWN", "CAP_SYS_CHROOT"]);
        assert!(plain.len() > 300);
        assert!(plain.contains(&"chroot") && plain.contains(&"execve"));
        for closed in ["mount", "unshare", "bpf", "keyctl", "kexec_load", "io_uring_setup", "init_module"] {
            assert!(!plain.contains(&closed), "{closed}");
        }
        let admin = names(&["CAP_SYS_ADMIN"]);
        assert!(admin.contains(&"mount") && !admin.contains(&"chroot"));
    }

    #[test]
    fn a_program_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = program(dir.path(), 0).unwrap();
        let made = fs::read(&path).unwrap();
        assert!(made.len() > 1000 && made.len().is_multiple_of(8) && made.len() / 8 < 4096, "{}", made.len());
        assert_eq!(program(dir.path(), 0).unwrap(), path);
        assert_ne!(program(dir.path(), 1 << 21).unwrap(), path);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
