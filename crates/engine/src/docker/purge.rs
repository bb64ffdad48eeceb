//! All that is there of an instance, and taking it away.

use std::sync::Arc;

use bollard::query_parameters::{ListImagesOptions, RemoveImageOptions};

use super::daemon::{found, labelled};
use super::{Inner, TASK, blocking, holder, resource, task};
use crate::error::{Error, Kind, chain};
use crate::native::{cgroup, tree};

/// Every object of the instance, one a line, sorted.
pub(super) async fn audit(inner: &Arc<Inner>) -> Vec<String> {
    let id8 = &inner.config.instance_id8;
    let mut all = Vec::new();
    for container in inner.daemon.containers(id8, None, false).await.unwrap_or_default() {
        let name = container.names.unwrap_or_default().join(" ");
        let task = container.labels.unwrap_or_default().remove(TASK).unwrap_or_default();
        all.push(format!("docker container {name} of task {task}"));
    }
    let volumes = task::volumes(inner, None).await.unwrap_or_default();
    all.extend(volumes.into_iter().map(|name| format!("docker volume {name}")));
    let options = ListImagesOptions { filters: Some(labelled(id8, None)), ..Default::default() };
    let images = inner.daemon.api.list_images(Some(options)).await.unwrap_or_default();
    all.extend(images.into_iter().map(|image| format!("docker image {}", image.id)));
    let of_host = blocking(inner, |inner| Ok(of_host(inner))).await;
    all.extend(of_host.unwrap_or_default());
    all.sort();
    all
}

fn of_host(inner: &Inner) -> Vec<String> {
    let (hierarchy, instance) = (&inner.hierarchy, &inner.instance);
    let groups = cgroup::list(hierarchy, instance).into_iter().map(|path| format!("cgroup {path}"));
    let processes = cgroup::processes(hierarchy, instance).into_iter().map(|pid| format!("process {pid}"));
    let folder = |task: String| format!("task {}", inner.folder.task(&task).display());
    let tasks = inner.folder.tasks().unwrap_or_default().into_iter().map(folder);
    let network = inner.config.network.as_ref().and_then(|config| ::network::audit(config).ok());
    groups.chain(processes).chain(tasks).chain(network.unwrap_or_default()).collect()
}

/// Removes all of it; what cannot be removed keeps nothing else from it.
pub(super) async fn purge(inner: &Arc<Inner>) -> Result<(), Error> {
    let containers = task::remove_containers(inner, None).await;
    let volumes = task::remove_volumes(inner, None).await;
    let image = holder::image_name(&inner.config.instance_id8);
    let removed = inner.daemon.api.remove_image(&image, None::<RemoveImageOptions>, None).await;
    let image = found(removed).map(drop).map_err(|e| inner.daemon.failed(Kind::Resource, e));
    let rest = blocking(inner, |inner| {
        let unlinked = match inner.network() {
            Some(network) => network.purge().map_err(|e| Error::temporary(Kind::Network, chain(&e))),
            None => Ok(()),
        };
        let groups = cgroup::remove_from_all(&inner.hierarchy, &inner.instance).map_err(resource);
        let folders =
            tree::remove(inner.folder.path()).and(tree::remove(&inner.config.run_dir)).map_err(resource);
        // Of another engine's something may be in it.
        let _ = inner.folder.path().parent().map(std::fs::remove_dir);
        unlinked.and(groups).and(folders)
    });
    containers.and(volumes).and(image).and(rest.await)
}
