//! What containers have written to this host's disk, as far as that is the disk of the data directory: their own layers by the
//! daemon's count, what it keeps of their output, and the volumes of their tasks.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use bollard::query_parameters::ListVolumesOptions;

use super::daemon::labelled;
use super::{Inner, TASK, blocking, look};
use crate::error::{Error, Kind};
use crate::native::tree;
use crate::state::Written;

/// What `stat` counts blocks in, in bytes.
const BLOCK_BYTES: u64 = 512;

pub(super) async fn measure(inner: &Arc<Inner>) -> Result<Vec<Written>, Error> {
    let root = &inner.daemon.root;
    let device = |path: &Path| std::fs::metadata(path).map(|m| m.dev()).ok();
    if device(root).is_none() || device(root) != device(inner.folder.path()) {
        return Ok(Vec::new());
    }
    let id8 = &inner.config.instance_id8;
    let mut all = Vec::new();
    for container in inner.daemon.containers(id8, None, true).await? {
        let Some(id) = container.labels.as_ref().and_then(look::id) else { continue };
        let name = container.id.unwrap_or_default();
        let file = root.join("containers").join(&name).join(format!("{name}-json.log"));
        let output = std::fs::metadata(file).map_or(0, |m| m.blocks().saturating_mul(BLOCK_BYTES));
        let layer = container.size_rw.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default();
        let bytes = layer.saturating_add(output);
        all.push(Written { task: id.task, container: Some(id.name), bytes, inodes: 0 });
    }
    let options = ListVolumesOptions { filters: Some(labelled(id8, None)) };
    let volumes = inner.daemon.api.list_volumes(Some(options)).await;
    let volumes = volumes.map_err(|e| inner.daemon.failed(Kind::Inspect, e))?.volumes.unwrap_or_default();
    let of_volumes = blocking(inner, move |_| {
        let mut tasks: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for mut volume in volumes {
            let Some(task) = volume.labels.remove(TASK) else { continue };
            let sum = tasks.entry(task).or_default();
            tree::walk(Path::new(&volume.mountpoint), |stat| {
                sum.0 = sum
                    .0
                    .saturating_add(u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(BLOCK_BYTES));
                sum.1 += 1;
            });
        }
        Ok(tasks)
    });
    let of_volumes = of_volumes.await?.into_iter();
    all.extend(of_volumes.map(|(task, (bytes, inodes))| Written { task, container: None, bytes, inodes }));
    Ok(all)
}
