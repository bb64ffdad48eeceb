//! AppArmor, where the kernel has it: a profile of ours that confines containers as Docker's own does, and
//! profiles that are asked for by name. Where it cannot be had, whoever asks for it is refused: nothing that
//! was asked is silently left out.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Docker's name for its default, which stands for ours where its own is not loaded.
const DOCKER_DEFAULT: &str = "docker-default";

/// What this host has of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct AppArmor {
    enabled: bool,
    /// Lists what is loaded, a line each: `name (mode)`.
    profiles: PathBuf,
    /// The name of ours, once it is loaded.
    default: Option<String>,
}

impl AppArmor {
    /// Looks whether the kernel has it on, and loads our profile if it is not there.
    pub(crate) fn open(id8: &str) -> AppArmor {
        let root = Path::new("/sys");
        let mut found = AppArmor::at(root);
        if !found.enabled {
            return found;
        }
        let name = format!("roadstead-{id8}");
        let loaded = found.is_loaded(&name) == Some(true);
        match if loaded { Ok(()) } else { load(&name) } {
            Ok(()) => found.default = Some(name),
            Err(error) => tracing::warn!(
                %error,
                "the kernel has AppArmor, but apparmor_parser cannot load a profile: containers have none \
                 unless they ask for one"
            ),
        }
        found
    }

    fn at(sys: &Path) -> AppArmor {
        let on = fs::read_to_string(sys.join("module/apparmor/parameters/enabled"));
        AppArmor {
            enabled: on.is_ok_and(|text| text.starts_with('Y')),
            profiles: sys.join("kernel/security/apparmor/profiles"),
            default: None,
        }
    }

    /// Whether containers can be confined by it.
    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// The profile of a container: what it asks for, else ours, but for a privileged one. The error is for the
    /// user.
    pub(crate) fn profile(&self, asked: Option<&str>, privileged: bool) -> Result<Option<String>, String> {
        match asked {
            None if privileged => Ok(None),
            None => Ok(self.default.clone()),
            Some("unconfined") => Ok(None),
            Some(profile) if !self.enabled => Err(format!(
                "AppArmor profile {profile:?} was asked for, but this host's kernel has no AppArmor"
            )),
            Some(DOCKER_DEFAULT)
                if self.is_loaded(DOCKER_DEFAULT) != Some(true) && self.default.is_some() =>
            {
                Ok(self.default.clone())
            }
            Some(profile) if self.is_loaded(profile) == Some(false) => Err(format!(
                "AppArmor profile {profile:?} is not loaded on this host: load it there with apparmor_parser"
            )),
            // What cannot be told here, the kernel tells when the container starts.
            Some(profile) => Ok(Some(profile.to_owned())),
        }
    }

    /// `None`: the list cannot be read.
    fn is_loaded(&self, profile: &str) -> Option<bool> {
        let list = fs::read_to_string(&self.profiles).ok()?;
        Some(list.lines().any(|line| line.rsplit_once(" (").is_some_and(|(name, _)| name == profile)))
    }

    /// Takes our profile out of the kernel.
    pub(crate) fn remove(&self) -> io::Result<()> {
        match &self.default {
            Some(name) => parser("-R", name),
            None => Ok(()),
        }
    }
}

fn load(name: &str) -> io::Result<()> {
    parser("-Kr", name)
}

/// Runs `apparmor_parser` on our profile.
fn parser(action: &str, name: &str) -> io::Result<()> {
    let piped = Stdio::piped;
    let mut child = Command::new("apparmor_parser")
        .arg(action)
        .stdin(piped())
        .stdout(Stdio::null())
        .stderr(piped())
        .spawn()
        .map_err(|e| io::Error::new(e.kind(), format!("start apparmor_parser: {e}")))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(text(name).as_bytes())?;
    }
    let done = child.wait_with_output()?;
    match done.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(String::from_utf8_lossy(&done.stderr).trim().to_owned())),
    }
}

/// The profile: everything that a container is for, but no mounts, and of /proc and /sys nothing that acts on
/// the host. Its processes may signal and trace each other; the host may signal them.
fn text(name: &str) -> String {
    format!(
        "profile {name} flags=(attach_disconnected,mediate_deleted) {{
  file,
  network,
  capability,
  umount,
  signal (receive) peer=unconfined,
  signal (send, receive) peer={name},
  ptrace (trace, read, tracedby, readby) peer={name},
  deny mount,
  deny /proc/* w,
  deny /proc/{{sysrq-trigger,mem,kmem,kcore}} rwklx,
  deny /proc/sys/[^kn]** wklx,
  deny /proc/sys/kernel/[^s][^h][^m]* wklx,
  deny /sys/[^f]*/** wklx,
  deny /sys/f[^s]*/** wklx,
  deny /sys/fs/[^c]*/** wklx,
  deny /sys/fs/c[^g]*/** wklx,
  deny /sys/fs/cg[^r]*/** wklx,
  deny /sys/firmware/** rwklx,
  deny /sys/kernel/security/** rwklx,
}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_applied_or_refused_by_its_name() {
        let sys = tempfile::tempdir().unwrap();
        let without = AppArmor::at(sys.path());
        assert!(!without.is_enabled());
        assert_eq!(without.profile(None, false), Ok(None));
        assert_eq!(without.profile(Some("unconfined"), false), Ok(None));
        for profile in ["web", DOCKER_DEFAULT] {
            let why = without.profile(Some(profile), false).unwrap_err();
            assert!(why.contains(profile) && why.contains("no AppArmor"), "{why}");
        }
        for folder in ["module/apparmor/parameters", "kernel/security/apparmor"] {
            fs::create_dir_all(sys.path().join(folder)).unwrap();
        }
        fs::write(sys.path().join("module/apparmor/parameters/enabled"), "Y\n").unwrap();
        fs::write(sys.path().join("kernel/security/apparmor/profiles"), "web (enforce)\na b (complain)\n")
            .unwrap();
        let with = AppArmor { default: Some("ours".into()), ..AppArmor::at(sys.path()) };
        let ours = Ok(Some("ours".to_owned()));
        assert_eq!(with.profile(None, false), ours);
        assert_eq!(with.profile(None, true), Ok(None), "privileged");
        assert_eq!(with.profile(Some(DOCKER_DEFAULT), false), ours);
        assert_eq!(with.profile(Some("web"), true), Ok(Some("web".to_owned())));
        assert_eq!(with.profile(Some("a b"), false), Ok(Some("a b".to_owned())));
        let why = with.profile(Some("nobody"), false).unwrap_err();
        assert!(why.contains("\"nobody\" is not loaded"), "{why}");
        assert_eq!(AppArmor { default: None, ..with }.profile(None, false), Ok(None));
    }
}
