//! The Docker daemon, where the engine `docker` is to run tasks by it.

use std::path::Path;

use engine::docker::Finding;

use super::Check;

const NAME: &str = "docker";

/// Asks the daemon. Blocks until it answers.
pub fn run(socket: &Path) -> Vec<Check> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => judge(runtime.block_on(engine::docker::examine(socket))),
        Err(error) => vec![Check::fail(NAME, error.to_string(), "`roadstead doctor` again")],
    }
}

fn judge(findings: Vec<Finding>) -> Vec<Check> {
    let mend = "start or change the Docker daemon as docs/engines.md says, or use `--engine native`";
    let judged = findings.into_iter().enumerate().map(|(at, Finding { fit, text })| match (fit, at) {
        (false, _) => Check::fail(NAME, text, mend),
        // The first says which it is.
        (true, 0) => Check::ok(NAME, text),
        (true, _) => Check::warn(NAME, text, "docs/engines.md says what it costs"),
    });
    judged.collect()
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn what_is_not_fit_fails() {
        let finding = |fit| Finding { fit, text: "x".into() };
        let statuses: Vec<_> =
            judge(vec![finding(true), finding(true), finding(false)]).iter().map(|c| c.status).collect();
        assert_eq!(statuses, [Status::Ok, Status::Warn, Status::Fail]);
    }

    #[test]
    fn no_daemon_is_said() {
        let checks = run(Path::new("/nonexistent/docker.sock"));
        assert_eq!(checks.len(), 1);
        assert!(checks[0].status == Status::Fail && checks[0].detail.contains("/nonexistent/docker.sock"));
    }
}
