//! Holders: small containers of ours that have entered a namespace of the network, or whose processes and IPC a task
//! shares, so that other containers can join them.
//!
//! Docker joins a container's network by its first process. So that process enters the namespace that the `network`
//! crate made, gives up its rights, and waits. It is this program, with the host's libraries, in an image that holds
//! nothing.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use bollard::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountType};
use bollard::query_parameters::{CreateContainerOptions, CreateImageOptions};
use futures_util::TryStreamExt;
use nix::sched::CloneFlags;
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use tokio::time::Instant;

use super::daemon::{found, status};
use super::look;
use super::{INSTANCE, Inner, TASK, body};
use crate::error::{Error, Kind};
use crate::native::cgroup;
use crate::native::supervisor::{HOLD, sys};

/// Where the program and the namespace are in a holder.
const PROGRAM: &str = "/roadstead";
const NAMESPACE: &str = "/namespace";

/// What the program needs of the host to run: its libraries, and their loader.
const LIBRARIES: [&str; 4] = ["/usr", "/lib", "/lib64", "/nix/store"];

/// The label that says what a holder is for: the attachment to the network, which is a task's or a container's name.
pub(super) const HOLDER: &str = "roadstead.holder";

/// How long a holder may take to enter its namespace.
const ENTER_WAIT: Duration = Duration::from_secs(20);

/// What a holder is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) task: String,
    /// Its name in Docker.
    pub(super) name: String,
    /// The attachment's, `<task>` or `<task>/<container>`.
    pub(super) holds: String,
    /// The file of the namespace to enter; none where only processes and IPC are shared.
    pub(super) netns: Option<PathBuf>,
    pub(super) hostname: Option<String>,
}

/// Makes a holder that stands where it is wanted, and answers its id in Docker. One that stands elsewhere, as after the
/// namespace had to be made anew, is begun again.
pub(super) async fn ensure(inner: &Inner, wanted: &Wanted) -> Result<String, Error> {
    let deadline = Instant::now() + ENTER_WAIT;
    let mut begun = false;
    loop {
        if Instant::now() > deadline {
            return Err(refused("no holder for the task's network comes about"));
        }
        let Some(seen) = inner.daemon.inspect(&wanted.name).await? else {
            make(inner, wanted).await?;
            continue;
        };
        let id = seen.id.clone().unwrap_or_default();
        match seen.state.as_ref().and_then(look::pid) {
            Some(pid) if stands(pid, wanted.netns.as_deref()) => {
                inner.holders.set(&wanted.holds, pid, &id);
                return Ok(id);
            }
            // On its way.
            Some(_) if begun => {}
            Some(_) => {
                inner.daemon.remove(&wanted.name).await?;
                continue;
            }
            None if begun => {
                let code = seen.state.and_then(|state| state.exit_code).unwrap_or_default();
                return Err(refused(&format!("the network's holder ended with code {code}")));
            }
            None => {
                let started = inner.daemon.api.start_container(&wanted.name, None).await;
                started.map_err(|e| inner.daemon.failed(Kind::Network, e))?;
                begun = true;
                continue;
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn refused(what: &str) -> Error {
    let hint = "the Docker daemon must run on this host, in the same namespaces as Roadstead";
    Error::temporary(Kind::Network, format!("{what}: {hint}"))
}

/// Whether a process is in the namespace of that file.
fn stands(pid: i32, netns: Option<&Path>) -> bool {
    let Some(netns) = netns else { return true };
    let number = |path: &Path| std::fs::metadata(path).map(|m| (m.dev(), m.ino())).ok();
    let own = number(Path::new(&format!("/proc/{pid}/ns/net")));
    own.is_some() && own == number(netns)
}

async fn make(inner: &Inner, wanted: &Wanted) -> Result<(), Error> {
    let failed = |e| inner.daemon.failed(Kind::Network, e);
    let image = image_name(&inner.config.instance_id8);
    if found(inner.daemon.api.inspect_image(&image).await).map_err(failed)?.is_none() {
        import(inner, &image).await?;
    }
    let options = CreateContainerOptions { name: Some(wanted.name.clone()), ..Default::default() };
    match inner.daemon.api.create_container(Some(options), container(inner, wanted, image)).await {
        Ok(_) => Ok(()),
        // Made meanwhile.
        Err(error) if status(&error) == Some(409) => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

fn container(inner: &Inner, wanted: &Wanted, image: String) -> ContainerCreateBody {
    let config = &inner.config;
    let mut mounts = vec![bind(&config.holder, PROGRAM)];
    mounts.extend(
        LIBRARIES.iter().filter(|path| Path::new(path).exists()).map(|path| bind(Path::new(path), path)),
    );
    mounts.extend(wanted.netns.iter().map(|netns| bind(netns, NAMESPACE)));
    let arguments = config.holder_args.iter().map(|argument| argument.to_string_lossy().into_owned());
    let mut command: Vec<String> = [PROGRAM.to_owned()].into_iter().chain(arguments).collect();
    command.push(HOLD.to_owned());
    command.extend(wanted.netns.is_some().then(|| NAMESPACE.to_owned()));
    let labels = [(INSTANCE, &config.instance_id8), (TASK, &wanted.task), (HOLDER, &wanted.holds)];
    let group = inner.instance.child(cgroup::SUPERVISORS);
    ContainerCreateBody {
        image: Some(image),
        entrypoint: Some(command),
        hostname: wanted.hostname.clone(),
        labels: Some(labels.map(|(name, value)| (name.to_owned(), value.clone())).into()),
        healthcheck: Some(body::no_health_check()),
        host_config: Some(HostConfig {
            network_mode: Some("none".to_owned()),
            ipc_mode: Some("shareable".to_owned()),
            mounts: Some(mounts),
            cap_drop: Some(vec!["ALL".to_owned()]),
            // To enter the namespace; it is given up then.
            cap_add: wanted.netns.is_some().then(|| vec!["SYS_ADMIN".to_owned()]),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            readonly_rootfs: Some(true),
            cgroup_parent: body::parent(inner.daemon.cgroupfs, &group),
            log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn bind(source: &Path, target: &str) -> Mount {
    body::mount(MountType::BIND, &source.to_string_lossy(), target, true)
}

/// The image of holders. It is the instance's, and goes with it.
pub(super) fn image_name(id8: &str) -> String {
    format!("roadstead-holder-{id8}:1")
}

/// Makes the image: a root with nothing in it but an empty folder, as Docker takes no archive without a file.
async fn import(inner: &Inner, image: &str) -> Result<(), Error> {
    let id8 = &inner.config.instance_id8;
    let options = CreateImageOptions {
        from_src: Some("-".to_owned()),
        repo: image.split_once(':').map(|(name, _)| name.to_owned()),
        tag: image.split_once(':').map(|(_, tag)| tag.to_owned()),
        changes: vec![format!("LABEL {INSTANCE}={id8}")],
        ..Default::default()
    };
    let archive = bollard::body_full(bytes::Bytes::from(empty_archive().map_err(super::resource)?));
    let imported = inner.daemon.api.create_image(Some(options), Some(archive), None);
    imported.try_collect::<Vec<_>>().await.map(drop).map_err(|e| inner.daemon.failed(Kind::Network, e))
}

/// A tar archive of one empty folder.
fn empty_archive() -> io::Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_mode(0o755);
    header.set_size(0);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, "proc/", io::empty())?;
    archive.into_inner()
}

/// The program of a holder, with `supervise --hold [NAMESPACE]`: the first process of its container, as such the one
/// that reaps what others leave behind. Ends when it is asked to.
pub(crate) fn hold(namespace: Option<&Path>) -> ExitCode {
    match prepare(namespace) {
        Ok(asked) => loop {
            if asked.wait().is_ok() {
                return ExitCode::SUCCESS;
            }
        },
        Err(error) => {
            eprintln!("roadstead: a holder cannot hold: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Answers the signals that ask it to end.
fn prepare(namespace: Option<&Path>) -> io::Result<SigSet> {
    // SAFETY: no handler of ours runs: what ends is reaped by the kernel.
    unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn)? };
    let asked = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
    asked.thread_block()?;
    if let Some(path) = namespace {
        let file = std::fs::File::open(path)?;
        nix::sched::setns(file, CloneFlags::CLONE_NEWNET)?;
    }
    sys::keep_capabilities(0)?;
    Ok(asked)
}

/// The labels by which a holder is told from a container of a task.
pub(super) fn held(labels: Option<&HashMap<String, String>>) -> Option<&str> {
    labels?.get(HOLDER).map(String::as_str)
}
