//! The connection to the daemon, its answers in the trait's errors, and whether it is fit for tasks.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::errors::Error as Answer;
use bollard::models::{ContainerInspectResponse, ContainerSummary, SystemInfo, SystemInfoCgroupDriverEnum};
use bollard::query_parameters::{ListContainersOptions, RemoveContainerOptions};
use tokio::time::Instant;

use super::{INSTANCE, TASK};
use crate::error::{Error, Kind, chain};

/// The oldest version of the API that is understood: that of Docker 20.10.
const OLDEST: bollard::ClientVersion = bollard::ClientVersion { major_version: 1, minor_version: 41 };

/// How long an answer may take to begin, in seconds; a busy host starts containers slowly.
const ANSWER_SECONDS: u64 = 120;

/// How long the removal of a container may take that is already under way.
const REMOVAL_WAIT: Duration = Duration::from_secs(30);

/// One thing about the daemon, for `roadstead doctor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether tasks can run in spite of it.
    pub fit: bool,
    pub text: String,
}

/// A daemon that answered and is fit.
pub(super) struct Daemon {
    pub(super) api: bollard::Docker,
    socket: PathBuf,
    /// Where it keeps containers.
    pub(super) root: PathBuf,
    /// For the agent link: name, version, API.
    pub(super) version: String,
    /// Whether groups of containers can be put into groups that we make: not where systemd has them.
    pub(super) cgroupfs: bool,
    pub(super) apparmor: bool,
    pub(super) live_restore: bool,
}

impl Daemon {
    pub(super) async fn connect(socket: &Path) -> Result<Daemon, Error> {
        let (api, info) = greet(socket).await?;
        if let Some(unfit) = findings(&api, &info).into_iter().find(|finding| !finding.fit) {
            return Err(Error::fatal(Kind::Resource, unfit.text));
        }
        let option = |name: &str| info.security_options.iter().flatten().any(|o| o.contains(name));
        let cgroups = info.cgroup_version.map(|version| version.to_string()).unwrap_or_default();
        let server = info.server_version.clone().unwrap_or_default();
        Ok(Daemon {
            version: format!("docker {server} (API {}, cgroup v{cgroups})", api.client_version()),
            socket: socket.to_owned(),
            root: info.docker_root_dir.clone().unwrap_or_default().into(),
            cgroupfs: info.cgroup_driver == Some(SystemInfoCgroupDriverEnum::CGROUPFS),
            apparmor: option("name=apparmor"),
            live_restore: info.live_restore_enabled == Some(true),
            api,
        })
    }

    /// What the daemon answered, or that it did not.
    pub(super) fn failed(&self, kind: Kind, error: Answer) -> Error {
        failed(&self.socket, kind, error)
    }

    /// The daemon's own time, for its stream of events.
    pub(super) async fn now(&self) -> Result<jiff::Timestamp, Error> {
        let info = self.api.info().await.map_err(|e| self.failed(Kind::Resource, e))?;
        let told = info.system_time.as_deref().and_then(|time| time.parse().ok());
        Ok(told.unwrap_or_else(jiff::Timestamp::now))
    }

    /// A container as Docker has it.
    pub(super) async fn inspect(&self, name: &str) -> Result<Option<ContainerInspectResponse>, Error> {
        found(self.api.inspect_container(name, None).await).map_err(|e| self.failed(Kind::Inspect, e))
    }

    /// All containers of an instance, or of one of its tasks, holders too.
    pub(super) async fn containers(
        &self,
        id8: &str,
        task: Option<&str>,
        size: bool,
    ) -> Result<Vec<ContainerSummary>, Error> {
        let options = ListContainersOptions {
            all: true,
            size,
            filters: Some(labelled(id8, task)),
            ..Default::default()
        };
        self.api.list_containers(Some(options)).await.map_err(|e| self.failed(Kind::Inspect, e))
    }

    /// Kills and removes a container with what is its own, and waits until it is gone.
    pub(super) async fn remove(&self, name: &str) -> Result<(), Error> {
        let deadline = Instant::now() + REMOVAL_WAIT;
        loop {
            let options = RemoveContainerOptions { force: true, v: true, ..Default::default() };
            match self.api.remove_container(name, Some(options)).await {
                Ok(()) => return Ok(()),
                Err(error) if status(&error) == Some(404) => return Ok(()),
                // Somebody else is at it.
                Err(error) if status(&error) == Some(409) && Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => return Err(self.failed(Kind::Resource, error)),
            }
        }
    }
}

/// The filter for what carries our mark.
pub(super) fn labelled(id8: &str, task: Option<&str>) -> HashMap<String, Vec<String>> {
    let mut labels = vec![format!("{INSTANCE}={id8}")];
    labels.extend(task.map(|task| format!("{TASK}={task}")));
    HashMap::from([("label".to_owned(), labels)])
}

/// An answer in which "there is none" is no error.
pub(super) fn found<T>(answer: Result<T, Answer>) -> Result<Option<T>, Answer> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if status(&error) == Some(404) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The status code, where the daemon answered.
pub(super) fn status(error: &Answer) -> Option<u16> {
    match error {
        Answer::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

fn failed(socket: &Path, kind: Kind, error: Answer) -> Error {
    match error {
        Answer::DockerResponseServerError { status_code, message } => {
            let message = message.trim().to_owned();
            Error { temporary: matches!(status_code, 409 | 503), ..Error::fatal(kind, message) }
        }
        Answer::DockerStreamError { error } => Error::fatal(kind, error),
        error => {
            let why = chain(&error);
            let text = format!("the Docker daemon at {} does not answer: {why}", socket.display());
            Error::temporary(kind, text)
        }
    }
}

/// Connects, agrees on a version of the API, and asks what there is.
async fn greet(socket: &Path) -> Result<(bollard::Docker, SystemInfo), Error> {
    let path = socket.to_string_lossy();
    let unreachable = |error| failed(socket, Kind::Resource, error);
    let api = bollard::Docker::connect_with_unix(&path, ANSWER_SECONDS, bollard::API_DEFAULT_VERSION);
    let api = api.map_err(unreachable)?.negotiate_version().await.map_err(unreachable)?;
    let info = api.info().await.map_err(unreachable)?;
    Ok((api, info))
}

/// What an operator should know of the daemon at `socket`: the first line says which it is.
pub async fn examine(socket: &Path) -> Vec<Finding> {
    match greet(socket).await {
        Ok((api, info)) => findings(&api, &info),
        Err(error) => vec![Finding { fit: false, text: error.message }],
    }
}

fn findings(api: &bollard::Docker, info: &SystemInfo) -> Vec<Finding> {
    let (server, spoken) = (info.server_version.clone().unwrap_or_default(), api.client_version());
    let option = |name: &str| info.security_options.iter().flatten().any(|o| o.contains(name));
    let fit = |text: &str| Finding { fit: true, text: text.to_owned() };
    let unfit = |text: String| Finding { fit: false, text };
    let mut all = vec![fit(&format!("Docker {server}, API {spoken}"))];
    if spoken < OLDEST {
        all.push(unfit(format!(
            "Docker {server} speaks API {spoken}; the oldest that is understood is {OLDEST}"
        )));
    }
    if info.os_type.as_deref().is_some_and(|os| os != "linux") {
        all.push(unfit("the Docker daemon runs no Linux containers".to_owned()));
    }
    for (name, what) in [("rootless", "is rootless"), ("userns", "maps users (userns-remap)")] {
        if option(&format!("name={name}")) {
            all.push(unfit(format!(
                "the Docker daemon {what}: its containers cannot enter the networks of tasks"
            )));
        }
    }
    if info.cgroup_driver != Some(SystemInfoCgroupDriverEnum::CGROUPFS) {
        all.push(fit(
            "its cgroup driver is not cgroupfs: tasks with a cpu or memory of their own are refused \
             (`\"exec-opts\": [\"native.cgroupdriver=cgroupfs\"]` in daemon.json)",
        ));
    }
    if info.live_restore_enabled != Some(true) {
        all.push(fit("without live-restore all tasks end when the daemon restarts (`\"live-restore\": true` in daemon.json)"));
    }
    all
}
