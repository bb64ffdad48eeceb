//! What a container runs, and with which environment and limits. Pure, but for what this
//! process may hand on.

use serde_json::{Value, json};

use super::Given;
use super::security::Security;
use crate::spec::{ContainerSpec, Ulimit};

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Open files where nothing is asked: what the ECS-optimised image gives its Docker daemon.
const NOFILE: (u64, u64) = (32_768, 65_536);

/// The process of the OCI specification, but for its user.
pub(super) fn of(
    given: &Given<'_>,
    spec: &ContainerSpec,
    capabilities: &[String],
    security: &Security,
) -> Result<Value, String> {
    let cwd = spec.working_directory.as_deref().filter(|d| !d.is_empty()).unwrap_or(&given.image.working_dir);
    let cwd = if cwd.is_empty() { "/" } else { cwd };
    if !cwd.starts_with('/') {
        return Err(format!("the working directory '{cwd}' is invalid, it needs to be an absolute path"));
    }
    let environment = environment(given.image, spec, &given.hostname, &given.linked)?;
    let mut process = json!({
        "terminal": spec.pseudo_terminal,
        "user": { "uid": 0, "gid": 0 },
        "args": arguments(given.image, spec)?,
        "env": environment,
        "cwd": cwd,
        "capabilities": {
            "bounding": capabilities,
            "effective": capabilities,
            "permitted": capabilities,
        },
        "rlimits": limits(&spec.ulimits)?,
        "oomScoreAdj": 0,
    });
    if security.no_new_privileges {
        process["noNewPrivileges"] = json!(true);
    }
    if let Some(profile) = &security.apparmor {
        process["apparmorProfile"] = json!(profile);
    }
    Ok(process)
}

/// The capabilities that a process has until its seccomp program is set: to set it takes more.
pub(super) fn wide(capabilities: &[String], confined: bool) -> Vec<String> {
    let mut all = capabilities.to_vec();
    for more in ["CAP_SYS_ADMIN", "CAP_SETPCAP"] {
        if confined && !all.iter().any(|c| c == more) {
            all.push(more.to_owned());
        }
    }
    all
}

/// Docker's rule: an entry point that is asked for drops the image's command too.
fn arguments(image: &image::Config, spec: &ContainerSpec) -> Result<Vec<String>, String> {
    let asked = |list: &Option<Vec<String>>| list.clone().filter(|l| !l.is_empty());
    let (entry, command) = match (asked(&spec.entry_point), asked(&spec.command)) {
        (Some(entry), command) => (entry, command.unwrap_or_default()),
        (None, Some(command)) => (image.entrypoint.clone(), command),
        (None, None) => (image.entrypoint.clone(), image.cmd.clone()),
    };
    let all = [entry, command].concat();
    if all.is_empty() || all[0].is_empty() {
        return Err("no command specified".to_owned());
    }
    if all.iter().any(|a| a.contains('\0')) {
        return Err("a command cannot hold a NUL byte".to_owned());
    }
    Ok(all)
}

/// Defaults, then what links add, then the image's, then what is asked; the last of a name stands. An entry of
/// the image without `=` takes the name away, as Docker has it.
fn environment(
    image: &image::Config,
    spec: &ContainerSpec,
    hostname: &str,
    linked: &[String],
) -> Result<Vec<String>, String> {
    let mut all = vec![PATH.to_owned(), format!("HOSTNAME={hostname}")];
    if spec.pseudo_terminal {
        all.push("TERM=xterm".to_owned());
    }
    all.extend(linked.iter().cloned());
    let asked = spec.environment.iter().map(|(name, value)| format!("{name}={value}"));
    for entry in image.env.iter().cloned().chain(asked) {
        let name = entry.split('=').next().unwrap_or_default().to_owned();
        if !entry.contains('=') {
            all.retain(|e| e.split('=').next() != Some(name.as_str()));
            continue;
        }
        if name.is_empty() || entry.contains('\0') {
            return Err(format!("invalid environment variable: {entry:?}"));
        }
        match all.iter_mut().find(|e| e.split('=').next() == Some(name.as_str())) {
            Some(there) => *there = entry,
            None => all.push(entry),
        }
    }
    Ok(all)
}

const LIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

fn limits(asked: &[Ulimit]) -> Result<Vec<Value>, String> {
    let mut out = Vec::new();
    for limit in asked {
        if !LIMITS.contains(&limit.name.as_str()) {
            return Err(format!("invalid ulimit type: {}", limit.name));
        }
        let value = |n: i64| u64::try_from(n).unwrap_or(u64::MAX);
        let (soft, hard) = (value(limit.soft), value(limit.hard));
        if soft > hard {
            return Err(format!(
                "ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"
            ));
        }
        out.push(json!({ "type": kind(&limit.name), "soft": soft, "hard": hard }));
    }
    if !asked.iter().any(|l| l.name == "nofile") {
        let most = if super::capabilities::may_raise_limits() { u64::MAX } else { open_files_max() };
        out.push(json!({ "type": kind("nofile"), "soft": NOFILE.0.min(most), "hard": NOFILE.1.min(most) }));
    }
    Ok(out)
}

/// This process's own limit.
fn open_files_max() -> u64 {
    use nix::sys::resource::{Resource, getrlimit};
    getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(_, hard)| hard)
}

fn kind(name: &str) -> String {
    format!("RLIMIT_{}", name.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(entry: &[&str], cmd: &[&str]) -> image::Config {
        let list = |l: &[&str]| l.iter().map(|s| (*s).to_owned()).collect();
        image::Config { entrypoint: list(entry), cmd: list(cmd), ..image::Config::default() }
    }

    fn asked(entry: Option<&[&str]>, command: Option<&[&str]>) -> ContainerSpec {
        let list = |l: &[&str]| l.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        ContainerSpec { entry_point: entry.map(list), command: command.map(list), ..ContainerSpec::default() }
    }

    #[test]
    fn entry_point_and_command() {
        let image = image(&["e"], &["c"]);
        for (entry, command, want) in [
            (None, None, vec!["e", "c"]),
            (None, Some(&["x"][..]), vec!["e", "x"]),
            (Some(&["y"][..]), None, vec!["y"]),
            (Some(&["y"][..]), Some(&["x"][..]), vec!["y", "x"]),
            (Some(&[][..]), Some(&[][..]), vec!["e", "c"]),
        ] {
            assert_eq!(arguments(&image, &asked(entry, command)).unwrap(), want);
        }
        assert!(arguments(&self::image(&[], &[]), &asked(None, None)).is_err());
    }

    #[test]
    fn what_is_asked_lies_over_the_image_and_that_over_the_defaults() {
        let image = image::Config {
            env: vec!["PATH=/img".into(), "A=1".into(), "B=2=3".into()],
            ..image::Config::default()
        };
        let spec = ContainerSpec {
            environment: [("A".into(), "new".into()), ("HOSTNAME".into(), "mine".into())].into(),
            ..ContainerSpec::default()
        };
        assert_eq!(
            environment(&image, &spec, "h", &["L=1".into(), "B=linked".into()]).unwrap(),
            ["PATH=/img", "HOSTNAME=mine", "L=1", "B=2=3", "A=new"]
        );
        let image = image::Config { env: vec!["A=1".into(), "A".into(), "NONE".into()], ..image };
        assert_eq!(environment(&image, &ContainerSpec::default(), "h", &[]).unwrap().len(), 2);
    }

    #[test]
    fn limits_with_and_without_nofile() {
        let limit = |name: &str, soft, hard| Ulimit { name: name.into(), soft, hard };
        let default = limits(&[]).unwrap();
        assert_eq!((default.len(), &default[0]["type"]), (1, &json!("RLIMIT_NOFILE")));
        assert!(default[0]["soft"].as_u64() <= default[0]["hard"].as_u64());
        let got = limits(&[limit("nofile", 10, 20), limit("core", 0, -1)]).unwrap();
        assert_eq!(got[1], json!({"type": "RLIMIT_CORE", "soft": 0, "hard": u64::MAX}));
        assert!(limits(&[limit("nofile", 20, 10)]).is_err() && limits(&[limit("nope", 1, 1)]).is_err());
    }
}
