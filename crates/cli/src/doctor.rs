//! `roadstead doctor`: what this host lacks to run Roadstead, and how to mend each. Looks only; changes
//! nothing, needs no running Roadstead and no `ip` program. What is read from /proc is judged by pure functions
//! of its text (in the modules below), so each judgement is tested without such a host.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Serialize;

mod cgroups;
mod docker;
mod host;
mod kept;
mod kernel;
mod walls;

/// What to look at.
#[derive(Clone, Debug)]
pub struct Args {
    /// Where Roadstead is to keep its data; need not exist yet.
    pub data_dir: PathBuf,
    /// Where the API is to listen.
    pub listen: SocketAddr,
    /// What logs may take.
    pub logs: crate::config::Logs,
    /// The socket of the Docker daemon that is to run tasks; none where none is.
    pub docker: Option<PathBuf>,
}

/// Looks at everything. Blocks for some ten milliseconds (it runs `nft` twice).
pub fn run(args: &Args) -> Report {
    let mut checks = vec![host::root(), kernel::release_check()];
    checks.extend(kernel::run());
    checks.push(cgroups::run());
    checks.push(host::nft());
    checks.extend(host::network());
    checks.extend(host::sysctls());
    checks.push(host::port(args.listen));
    checks.extend(host::known_pair(args.listen));
    checks.extend(host::disk(&args.data_dir));
    checks.extend(walls::run());
    checks.extend(kept::run(args));
    checks.extend(args.docker.as_deref().map(docker::run).unwrap_or_default());
    Report { checks }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Roadstead runs, but something will be missing or may go wrong.
    Warn,
    /// Roadstead will not run, or no task will.
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at, in a word or two; stable, for programs.
    pub name: &'static str,
    /// How it is.
    pub status: Status,
    /// What was found.
    pub detail: String,
    /// What to do about it; absent when nothing is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

impl Check {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, status: Status::Ok, detail: detail.into(), mend: None }
    }

    fn warn(name: &'static str, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { name, status: Status::Warn, detail: detail.into(), mend: Some(mend.into()) }
    }

    fn fail(name: &'static str, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { name, status: Status::Fail, detail: detail.into(), mend: Some(mend.into()) }
    }
}

/// All that was looked at, in a fixed order. Its `Display` is the text for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The checks.
    pub checks: Vec<Check>,
}

impl Report {
    /// True when nothing failed; warnings are no failure. Decides the exit code: 0 or 1.
    pub fn healthy(&self) -> bool {
        self.checks.iter().all(|check| check.status != Status::Fail)
    }

    /// One JSON object: `healthy`, and `checks` with `name`, `status` (`ok`, `warn`, `fail`), `detail`, `mend`.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({"healthy": self.healthy(), "checks": self.checks})
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            let mark = match check.status {
                Status::Ok => "ok  ",
                Status::Warn => "WARN",
                Status::Fail => "FAIL",
            };
            writeln!(f, "{mark}  {:<14}  {}", check.name, check.detail)?;
            if let Some(mend) = &check.mend {
                writeln!(f, "{:22}to mend: {mend}", "")?;
            }
        }
        let count = |status| self.checks.iter().filter(|check| check.status == status).count();
        let (fails, warns) = (count(Status::Fail), count(Status::Warn));
        match (fails, warns) {
            (0, 0) => writeln!(f, "This host is ready for Roadstead."),
            (0, _) => writeln!(f, "This host is ready for Roadstead; warnings: {warns}."),
            _ => writeln!(f, "This host is not ready for Roadstead; failures: {fails}, warnings: {warns}."),
        }
    }
}

#[cfg(test)]
mod tests;
