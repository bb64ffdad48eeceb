//! Making a container ready: image held, root file system laid out, network attached, files written.
//! Nothing of it runs; that is the supervisor's. A crash on the way leaves what the next try, or the
//! task's removal, finds by the folder's name.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use network::files;

use super::bundle::{self, Given, LinkSource, Linked};
use super::cgroup::Hierarchy;
use super::ids::Ids;
use super::layout::{self, ContainerDir, Durable};
use super::plan::Plan;
use super::supervisor::sys;
use super::task::Task;
use super::{Inner, chain, pull, rootfs, wall};
use crate::error::{Error, Kind};
use crate::net;
use crate::spec::{ContainerSpec, NetworkMode, TaskSpec, Volume};
use crate::state::{ContainerState, Created, Phase};

fn io_error(error: io::Error) -> Error {
    Error::temporary(Kind::Create, format!("the container's files cannot be made: {error}"))
}

/// Makes container `name` of `task`; blocks. Answers what is there when it was made before.
pub(super) fn create(inner: &Inner, task: &Task, name: &str, spec: &ContainerSpec) -> Result<Created, Error> {
    if !layout::is_safe_name(name) {
        return Err(Error::fatal(Kind::Create, format!("{name:?} is no container name")));
    }
    if let Some(state) = task.state(name).map_err(io_error)? {
        return Ok(state.created);
    }
    let dir = task.dir.container(name);
    let task_spec: TaskSpec = layout::read_json(&task.dir.spec())
        .map_err(io_error)?
        .ok_or_else(|| Error::fatal(Kind::Create, "the task was not prepared"))?;
    wall::check_container(&task_spec, spec).map_err(|e| Error::fatal(Kind::Create, e))?;
    let image = pull::find(inner, spec)?;
    fs::create_dir_all(dir.path()).map_err(io_error)?;
    fs::create_dir_all(dir.written()).map_err(io_error)?;
    fs::create_dir_all(dir.run()).map_err(io_error)?;
    // A try that was cut short may have left its own; a plan names whose hold on the image it is.
    let old = task.plan(name).ok().flatten();
    let runtime_id = old.map_or_else(new_runtime_id, |plan| plan.runtime_id);
    let attachment = attach(inner, task, name, spec)?;
    let ids = inner.ranges.of(&task.id);
    let making = Making { dir, image, runtime_id, attachment, task: task_spec, ids };
    let made = write_files(inner, task, name, spec, &making);
    if made.is_err()
        && let (Some(network), Ok(id)) = (&inner.network, attachment_id(task, name))
    {
        let _ = network.detach(&id);
    }
    made
}

struct Making {
    dir: ContainerDir,
    image: std::sync::Arc<image::Image>,
    runtime_id: String,
    attachment: Option<network::Attachment>,
    task: TaskSpec,
    /// What the task has of the host's ids, where it has a user namespace.
    ids: Option<Ids>,
}

fn write_files(
    inner: &Inner,
    task: &Task,
    name: &str,
    spec: &ContainerSpec,
    making: &Making,
) -> Result<Created, Error> {
    let create_error = |e: &dyn std::error::Error| Error::fatal(Kind::Create, chain(e));
    let (task_spec, ids) = (&making.task, making.ids);
    let images = &inner.config.images;
    let overlay = root(inner, making)?;
    let host_name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let hostname = bundle::hostname(spec, task_spec, &making.runtime_id, host_name.trim());
    let ipv4 = making.attachment.as_ref().and_then(|a| a.ipv4);
    write_etc(task, spec, making, &hostname, ipv4)?;
    let netns = match spec.network {
        NetworkMode::Task => Some(join_task(inner, task, spec)?),
        _ => making.attachment.as_ref().and_then(|a| a.netns_path.clone()),
    };
    let given = Given {
        task: task_spec,
        ids,
        task_dir: &task.dir,
        dir: &making.dir,
        runtime_id: making.runtime_id.clone(),
        image_digest: making.image.digest.to_string(),
        image: &making.image.config,
        overlay,
        hierarchy: &inner.hierarchy,
        group: task.group.child(name),
        netns,
        attached: making.attachment.is_some(),
        hostname,
        apparmor: &inner.apparmor,
        linked: link_environment(task, name, spec),
        seccomp_dir: &inner.dir.seccomp(),
        volumes_of: &|other| task.plan(other).ok().flatten().map(|plan| plan.volumes),
    };
    let plan = bundle::plan(given, spec).map_err(|e| Error::fatal(Kind::Create, e))?;
    make_volumes(&plan, task_spec)?;
    layout::write_json(&making.dir.plan(), &plan, Durable::No).map_err(io_error)?;
    // After the plan, so that whoever finds the hold finds whose it is.
    images.hold(&making.image.digest, &making.runtime_id).map_err(|e| create_error(&e))?;
    let created = Created {
        runtime_id: making.runtime_id.clone(),
        created_at_ms: sys::now_ms(),
        bindings: making.attachment.as_ref().map(|a| net::bindings(&a.bindings)).unwrap_or_default(),
        ipv4,
        image_health_check: health_check(&making.image.config),
    };
    let state = ContainerState {
        id: task.container_id(name),
        created: created.clone(),
        phase: Phase::Created,
        starts: 0,
    };
    layout::add_json(&making.dir.state(), &state, Durable::No).map_err(io_error)?;
    Ok(created)
}

/// The root file system: whose it is, and where it is mounted.
fn root(inner: &Inner, making: &Making) -> Result<image::Overlay, Error> {
    let (images, dir) = (&inner.config.images, &making.dir);
    let mut overlay = images
        .overlay(&making.image, dir.written(), &dir.rootfs())
        .map_err(|e| Error::fatal(Kind::Create, chain(&e)))?;
    overlay.lower.push(inner.dir.mount_points());
    if let Some(ids) = making.ids {
        overlay.target = rootfs::MAPPED_ROOT.into();
        // Of what the image's own layers say of the root, which whoever is in there sees through the mapping.
        let top = fs::metadata(&overlay.upper).map_err(io_error)?;
        ids.host(top.uid())
            .and_then(|uid| Ok((uid, ids.host(top.gid())?)))
            .and_then(|(uid, gid)| lchown(&overlay.upper, Some(uid), Some(gid)))
            .map_err(io_error)?;
    }
    Ok(overlay)
}

fn new_runtime_id() -> String {
    let half = || uuid::Uuid::new_v4().simple();
    format!("{}{}", half(), half())
}

fn attachment_id(task: &Task, name: &str) -> Result<network::AttachmentId, Error> {
    let id = task.container_id(name).to_string();
    network::AttachmentId::new(id).map_err(|e| Error::fatal(Kind::Network, e))
}

fn attach(
    inner: &Inner,
    task: &Task,
    name: &str,
    spec: &ContainerSpec,
) -> Result<Option<network::Attachment>, Error> {
    if spec.network == NetworkMode::Task {
        return Ok(None);
    }
    let Some(host) = &inner.network else {
        return match spec.network {
            NetworkMode::Host => Ok(None),
            _ => Err(Error::fatal(Kind::Network, "this engine was opened for host networking only")),
        };
    };
    let wanted = net::attach_spec(attachment_id(task, name)?, spec);
    let attached = match host.attach(&wanted) {
        // A try that was cut short asked for something else.
        Err(network::Error::Exists(id)) => host.detach(&id).and_then(|()| host.attach(&wanted)),
        other => other,
    };
    attached.map(Some).map_err(|e| net::error(&e))
}

/// The namespace of the task's interface, with what of the network's parameters this container asks for: they are the
/// task's, as whoever shares a namespace shares them.
fn join_task(inner: &Inner, task: &Task, spec: &ContainerSpec) -> Result<PathBuf, Error> {
    let none = || Error::fatal(Kind::Network, "the task has no interface of its own");
    let host = inner.network.as_ref().ok_or_else(none)?;
    let id = network::AttachmentId::new(task.id.clone()).map_err(|e| Error::fatal(Kind::Network, e))?;
    let interface = host.interface(&id).ok_or_else(none)?;
    let parameters = bundle::network_sysctls(spec);
    if !parameters.is_empty() {
        host.set_parameters(&id, &parameters).map_err(|e| net::error(&e))?;
    }
    Ok(interface.netns_path)
}

fn health_check(config: &image::Config) -> Option<Vec<String>> {
    config.healthcheck.as_ref().map(|check| check.test.clone()).filter(|test| !test.is_empty())
}

/// The files that appear under the container's /etc.
fn write_etc(
    task: &Task,
    spec: &ContainerSpec,
    making: &Making,
    hostname: &str,
    ipv4: Option<Ipv4Addr>,
) -> Result<(), Error> {
    let contents = net::etc(spec, &making.task, hostname, ipv4, links(task, spec)?);
    for (name, content) in layout::ETC_FILES.iter().zip(contents) {
        let path = making.dir.etc(name);
        fs::write(&path, content).map_err(io_error)?;
        // Whatever mask this process has, any user of the container may read them.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).map_err(io_error)?;
        give_over(&path, making.ids).map_err(io_error)?;
    }
    Ok(())
}

/// Gives a file or folder to the root of a task that has ids of its own.
pub(super) fn give_over(path: &Path, ids: Option<Ids>) -> io::Result<()> {
    ids.map_or(Ok(()), |ids| lchown(path, Some(ids.base), Some(ids.base)))
}

fn links(task: &Task, spec: &ContainerSpec) -> Result<Vec<files::HostsEntry>, Error> {
    let linked = |name: &str| -> Option<Linked> {
        let ipv4 = task.state(name).ok().flatten()?.created.ipv4?;
        let hostname = task.plan(name).ok().flatten()?.spec.hostname().clone();
        Some(Linked { hostname, ipv4 })
    };
    let targets: Vec<files::LinkTarget> = spec
        .links
        .iter()
        .filter_map(|(container, _)| {
            let Linked { hostname, ipv4 } = linked(container)?;
            Some(files::LinkTarget { container: container.clone(), hostname, ipv4 })
        })
        .collect();
    net::links(spec, &targets)
}

/// What links put into the environment: of containers that were made before this one.
fn link_environment(task: &Task, name: &str, spec: &ContainerSpec) -> Vec<String> {
    let mut out = Vec::new();
    for (container, alias) in &spec.links {
        let ipv4 = task.state(container).ok().flatten().and_then(|state| state.created.ipv4);
        let (Some(ipv4), Ok(Some(plan))) = (ipv4, task.plan(container)) else { continue };
        let alias = if alias.is_empty() { container.clone() } else { alias.clone() };
        let environment = plan.spec.process().as_ref().and_then(|p| p.env().clone()).unwrap_or_default();
        let source = LinkSource { alias, ipv4, shown: plan.shown };
        out.extend(bundle::link_variables(name, &source, &environment));
    }
    out
}

/// Folders of the host behind volumes: those of the task, those of the image, and paths that are not
/// there, as Docker makes them for a bind mount.
fn make_volumes(plan: &Plan, task: &TaskSpec) -> Result<(), Error> {
    let volume_error = |name: &str, path: &Path, e: io::Error| {
        let path = path.display();
        Error::fatal(
            Kind::Volume,
            format!("volume {name:?}: the folder {path} of the host cannot be made: {e}"),
        )
    };
    for volume in &plan.volumes {
        if !volume.host_path.exists() {
            let name = volume.name.as_deref().unwrap_or("of the image");
            fs::create_dir_all(&volume.host_path)
                .and_then(|()| give_over(&volume.host_path, plan.ids))
                .map_err(|e| volume_error(name, &volume.host_path, e))?;
        }
    }
    for (name, volume) in &task.volumes {
        if let Volume::Host(path) = volume
            && !path.exists()
        {
            fs::create_dir_all(path).map_err(|e| volume_error(name, path, e))?;
        }
    }
    Ok(())
}

/// For the engine's capabilities.
pub(super) fn version(hierarchy: &Hierarchy) -> String {
    format!("roadstead-native {} (cgroup {})", env!("CARGO_PKG_VERSION"), hierarchy.name())
}
