//! What the containers of a task share: its group, its volumes, its interface, its holder; and taking all of it away.

use std::collections::BTreeSet;
use std::sync::Arc;

use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::{ListVolumesOptions, RemoveVolumeOptions};
use futures_util::{StreamExt, stream};

use super::daemon::{found, labelled};
use super::{INSTANCE, Inner, TASK, attach, blocking, make, resource};
use crate::error::{Error, Kind};
use crate::native::{bundle, cgroup, task::is_id};
use crate::net;
use crate::spec::{TaskSpec, Volume};

/// Most containers that are asked about, or removed, at once.
pub(super) const AT_ONCE: usize = 16;

/// Makes what a task's containers share. Repeating it mends what is missing.
pub(super) async fn prepare(inner: &Arc<Inner>, spec: &TaskSpec) -> Result<(), Error> {
    if !is_id(&spec.id) {
        return Err(Error::fatal(Kind::Resource, format!("{:?} is no task id", spec.id)));
    }
    refuse(inner, spec)?;
    let made = spec.clone();
    blocking(inner, move |inner| {
        inner.folder.write_spec(&made).map_err(resource)?;
        if inner.daemon.cgroupfs {
            let limits = bundle::task_limits(&made);
            cgroup::make(&inner.hierarchy, &inner.group(&made.id), &limits).map_err(resource)?;
        }
        match inner.network() {
            Some(network) if made.network.is_some() => net::attach_interface(&network, &made),
            _ => Ok(()),
        }
    })
    .await?;
    for (name, volume) in &spec.volumes {
        if *volume == Volume::Empty {
            make_volume(inner, &spec.id, name).await?;
        }
    }
    if attach::shares(spec) {
        attach::hold_task(inner, spec).await.map_err(|e| e.with_kind(Kind::Resource))?;
    }
    Ok(())
}

/// What this host, or this daemon, cannot do for a task.
fn refuse(inner: &Inner, spec: &TaskSpec) -> Result<(), Error> {
    let limited = spec.cpu_millis.is_some() || spec.memory_bytes.is_some() || spec.pids_limit.is_some();
    if limited && !inner.daemon.cgroupfs {
        return Err(Error::fatal(
            Kind::Resource,
            "the task has a cpu or memory of its own, which the Docker daemon cannot limit: its cgroup driver is \
             not cgroupfs",
        ));
    }
    if !spec.isolation.is_shared() {
        let what = format!("the engine docker has no isolation {}", spec.isolation);
        return Err(Error::fatal(Kind::Resource, what));
    }
    if spec.storage_bytes.is_some() {
        let what = "the engine docker cannot limit what a task writes to its disk";
        return Err(Error::fatal(Kind::Resource, what));
    }
    if spec.network.is_some() && !inner.task_interfaces {
        return Err(Error::fatal(
            Kind::Resource,
            "failed to configure ENI: this host cannot carry interfaces of tasks",
        ));
    }
    Ok(())
}

async fn make_volume(inner: &Inner, task: &str, volume: &str) -> Result<(), Error> {
    let labels = [(INSTANCE, inner.config.instance_id8.as_str()), (TASK, task)];
    let wanted = VolumeCreateRequest {
        name: Some(make::volume_name(inner, task, volume)),
        labels: Some(labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
        ..Default::default()
    };
    let made = inner.daemon.api.create_volume(wanted).await;
    made.map(drop).map_err(|e| inner.daemon.failed(Kind::Volume, e))
}

/// Gives back what of the host a task still takes whose containers have ended. The caller has the task's turn.
pub(super) async fn release(inner: &Arc<Inner>, task: &str) -> Result<(), Error> {
    for container in inner.daemon.containers(&inner.config.instance_id8, Some(task), false).await? {
        if let (Some(_), Some(id)) = (super::holder::held(container.labels.as_ref()), &container.id) {
            inner.daemon.remove(id).await?;
        }
    }
    inner.holders.forget(task);
    let task = task.to_owned();
    blocking(inner, move |inner| attach::detach(inner, &task)).await
}

/// Removes a task with all that was made for it. The caller has the task's turn.
pub(super) async fn remove(inner: &Arc<Inner>, task: &str) -> Result<(), Error> {
    remove_containers(inner, Some(task)).await?;
    remove_volumes(inner, Some(task)).await?;
    inner.holders.forget(task);
    inner.watch.forget(task);
    inner.punched.lock().retain(|id, _| id.task != task);
    let gone = task.to_owned();
    blocking(inner, move |inner| {
        attach::detach(inner, &gone)?;
        if is_id(&gone) {
            cgroup::remove_from_all(&inner.hierarchy, &inner.group(&gone)).map_err(resource)?;
            inner.folder.remove(&gone).map_err(resource)?;
        }
        Ok(())
    })
    .await
}

/// Removes all containers of a task, or of the instance.
pub(super) async fn remove_containers(inner: &Inner, task: Option<&str>) -> Result<(), Error> {
    let containers = inner.daemon.containers(&inner.config.instance_id8, task, false).await?;
    // Those that others have joined go last, as those others end by their own signals first.
    let (holders, others): (Vec<_>, Vec<_>) = containers
        .into_iter()
        .partition(|container| super::holder::held(container.labels.as_ref()).is_some());
    for some in [others, holders] {
        let ids = some.into_iter().filter_map(|container| container.id);
        let removals = stream::iter(ids).map(|id| async move { inner.daemon.remove(&id).await });
        let removed: Vec<_> = removals.buffer_unordered(AT_ONCE).collect().await;
        removed.into_iter().collect::<Result<Vec<()>, Error>>()?;
    }
    Ok(())
}

/// The volumes of a task, or of the instance, by name.
pub(super) async fn volumes(inner: &Inner, task: Option<&str>) -> Result<Vec<String>, Error> {
    let options = ListVolumesOptions { filters: Some(labelled(&inner.config.instance_id8, task)) };
    let listed = inner.daemon.api.list_volumes(Some(options)).await;
    let listed = listed.map_err(|e| inner.daemon.failed(Kind::Volume, e))?;
    Ok(listed.volumes.unwrap_or_default().into_iter().map(|volume| volume.name).collect())
}

pub(super) async fn remove_volumes(inner: &Inner, task: Option<&str>) -> Result<(), Error> {
    for name in volumes(inner, task).await? {
        let removed = inner.daemon.api.remove_volume(&name, None::<RemoveVolumeOptions>).await;
        found(removed).map_err(|e| inner.daemon.failed(Kind::Volume, e))?;
    }
    Ok(())
}

/// Takes away what a crash left of tasks that are gone: their groups, and their places on the network.
pub(super) async fn clear_strays(inner: &Arc<Inner>) {
    let id8 = &inner.config.instance_id8;
    let Ok(containers) = inner.daemon.containers(id8, None, false).await else { return };
    let listed = containers.iter().filter_map(|container| container.labels.as_ref()?.get(TASK).cloned());
    let with_containers: BTreeSet<String> = listed.collect();
    let cleared = blocking(inner, move |inner| {
        attach::clear_strays(inner);
        let known: BTreeSet<String> = inner.folder.tasks().unwrap_or_default().into_iter().collect();
        for task in cgroup::tasks(&inner.hierarchy, &inner.instance) {
            if known.contains(&task) || with_containers.contains(&task) {
                continue;
            }
            if let Err(error) = cgroup::remove_from_all(&inner.hierarchy, &inner.group(&task)) {
                tracing::error!(task, %error, "the group of a task that is gone cannot be removed");
            }
        }
        Ok(())
    });
    let _ = cleared.await;
}
