//! Making a container ready: its place on the network, its files, its record, and last the container in Docker, so that
//! one that is there has all the rest.

use std::net::Ipv4Addr;
use std::sync::Arc;

use ::network::files;
use bollard::models::ImageInspect;
use bollard::query_parameters::CreateContainerOptions;

use super::body::{self, Given};
use super::record::Record;
use super::{Inner, attach, blocking, images, look};
use crate::error::{Error, Kind};
use crate::native::bundle::{self, LinkSource};
use crate::native::layout;
use crate::net;
use crate::spec::{ContainerId, ContainerSpec, NetworkMode, TaskSpec, Volume};
use crate::state::Created;

/// Makes a container; answers what is there when it was made before. The caller has the task's turn.
pub(super) async fn create(
    inner: &Arc<Inner>,
    id: &ContainerId,
    spec: &ContainerSpec,
) -> Result<Created, Error> {
    if !layout::is_safe_name(&id.name) {
        return Err(Error::fatal(Kind::Create, format!("{:?} is no container name", id.name)));
    }
    let task = inner.folder.spec(&id.task).map_err(io)?;
    let task = task.ok_or_else(|| Error::fatal(Kind::Create, "the task was not prepared"))?;
    if let Some(seen) = inner.daemon.inspect(&inner.name(id)).await? {
        if let Some(record) = inner.folder.record(id).map_err(io)? {
            return Ok(look::created(&seen, &record));
        }
        // Without its record it cannot be looked after.
        inner.daemon.remove(&inner.name(id)).await?;
    }
    let image = images::find(inner, spec).await?;
    let asked = (id.clone(), spec.clone());
    let attached = blocking(inner, move |inner| attach::attach(inner, &asked.0, &asked.1)).await?;
    let made = make(inner, id, spec, &task, &image, attached.as_ref()).await;
    if made.is_err() {
        // The reason is what made it fail; what cannot be given back now goes with the task.
        let _ = give_back(inner, id.clone()).await;
    }
    made
}

async fn give_back(inner: &Arc<Inner>, id: ContainerId) -> Result<(), Error> {
    inner.daemon.remove(&format!("{}.network", inner.name(&id))).await?;
    blocking(inner, move |inner| {
        if let (Some(network), Ok(id)) = (inner.network(), ::network::AttachmentId::new(id.to_string())) {
            network.detach(&id).map_err(|e| Error::temporary(Kind::Network, e))?;
        }
        Ok(())
    })
    .await
}

async fn make(
    inner: &Arc<Inner>,
    id: &ContainerId,
    spec: &ContainerSpec,
    task: &TaskSpec,
    image: &ImageInspect,
    attached: Option<&::network::Attachment>,
) -> Result<Created, Error> {
    let (linked, entries) = links(inner, id, spec).await?;
    let record = record(spec, task, image, attached);
    let hostname = record.hostname.clone().unwrap_or_else(host_name);
    let contents = net::etc(spec, task, &hostname, record.ipv4, entries);
    inner.folder.write_etc(id, &contents).map_err(io)?;
    make_volumes(task, spec)?;
    let (mut own_holder, mut task_holder) = (None, None);
    if spec.network == NetworkMode::Bridge {
        own_holder = Some(attach::hold_container(inner, id, record.hostname.clone()).await?);
    }
    if spec.network == NetworkMode::Task {
        let asked = (id.clone(), spec.clone());
        blocking(inner, move |inner| attach::join_task(inner, &asked.0, &asked.1)).await?;
    }
    if attach::shares(task) {
        task_holder = Some(attach::hold_task(inner, task).await?);
    }
    let given = Given {
        id8: &inner.config.instance_id8,
        id,
        task,
        image: image.id.clone().unwrap_or_default(),
        folder: &inner.folder.container(id),
        group: inner.group(&id.task),
        cgroupfs: inner.daemon.cgroupfs,
        task_holder,
        own_holder,
        hostname: record.hostname.clone(),
        linked,
        volume_name: &|volume| volume_name(inner, &id.task, volume),
        container_name: &|name| inner.name(&ContainerId { task: id.task.clone(), name: name.to_owned() }),
    };
    let body = body::container(&given, spec).map_err(|e| Error::fatal(Kind::Create, e))?;
    inner.folder.write(id, &record).map_err(io)?;
    let name = inner.name(id);
    let options = CreateContainerOptions { name: Some(name.clone()), ..Default::default() };
    let created = inner.daemon.api.create_container(Some(options), body).await;
    created.map_err(|e| inner.daemon.failed(Kind::Create, e))?;
    let seen = inner.daemon.inspect(&name).await?;
    let seen = seen.ok_or_else(|| Error::temporary(Kind::Create, "somebody removed the container"))?;
    Ok(look::created(&seen, &record))
}

fn record(
    spec: &ContainerSpec,
    task: &TaskSpec,
    image: &ImageInspect,
    attached: Option<&::network::Attachment>,
) -> Record {
    let config = image.config.clone().unwrap_or_default();
    let exposes = config.exposed_ports.unwrap_or_default();
    let environment = config.env.unwrap_or_default();
    let check = config.healthcheck.and_then(|check| check.test).filter(|test| !test.is_empty());
    // Before it is made its id is not known, which it would be called by.
    let any = uuid::Uuid::new_v4().simple().to_string();
    let hostname = bundle::hostname(spec, task, &any, "");
    Record {
        bindings: attached.map(|a| net::bindings(&a.bindings)).unwrap_or_default(),
        ipv4: attached.and_then(|a| a.ipv4),
        netns: attached.and_then(|a| a.netns_path.clone()),
        in_task_network: spec.network == NetworkMode::Task,
        hostname: Some(hostname).filter(|name| !name.is_empty()),
        health_check: check,
        output: spec.output.clone(),
        shown: bundle::shown_by(
            exposes.iter().map(String::as_str),
            environment.iter().map(String::as_str),
            spec,
        ),
        starts: 0,
        reason: None,
    }
}

/// The host's own name, for containers that share its network.
fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// What the links of a container put into its environment, and into its /etc/hosts: of containers that were made before.
async fn links(
    inner: &Inner,
    id: &ContainerId,
    spec: &ContainerSpec,
) -> Result<(Vec<String>, Vec<files::HostsEntry>), Error> {
    let (mut variables, mut targets) = (Vec::new(), Vec::new());
    for (container, alias) in &spec.links {
        let other = ContainerId { task: id.task.clone(), name: container.clone() };
        let Some(record) = inner.folder.record(&other).map_err(io)? else { continue };
        let Some(ipv4): Option<Ipv4Addr> = record.ipv4 else { continue };
        let seen = inner.daemon.inspect(&inner.name(&other)).await?;
        let environment = seen.and_then(|seen| seen.config?.env).unwrap_or_default();
        let alias = if alias.is_empty() { container.clone() } else { alias.clone() };
        let source = LinkSource { alias, ipv4, shown: record.shown };
        variables.extend(bundle::link_variables(&id.name, &source, &environment));
        targets.push(files::LinkTarget { container: container.clone(), hostname: record.hostname, ipv4 });
    }
    Ok((variables, net::links(spec, &targets)?))
}

/// Paths of the host that are not there are made, as Docker makes them for a bind mount.
fn make_volumes(task: &TaskSpec, spec: &ContainerSpec) -> Result<(), Error> {
    for asked in &spec.mounts {
        let name = &asked.source_volume;
        if let Some(Volume::Host(path)) = task.volumes.get(name)
            && !path.exists()
        {
            std::fs::create_dir_all(path).map_err(|e| {
                let path = path.display();
                let why = format!("volume {name:?}: the folder {path} of the host cannot be made: {e}");
                Error::fatal(Kind::Volume, why)
            })?;
        }
    }
    Ok(())
}

/// A task's volume in Docker.
pub(super) fn volume_name(inner: &Inner, task: &str, volume: &str) -> String {
    format!("{}.{volume}", inner.task_name(task))
}

fn io(error: std::io::Error) -> Error {
    Error::temporary(Kind::Create, format!("the container's files cannot be made: {error}"))
}
