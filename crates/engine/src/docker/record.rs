//! What Docker does not keep of tasks and containers, on disk.
//!
//! ```text
//! D/engine/docker/<task>/task.json                the TaskSpec
//!                        <container>/record.json  see [`Record`]
//!                                    hosts, resolv.conf, hostname
//! ```

use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::native::layout::{self, Durable, ETC_FILES};
use crate::native::plan::Shown;
use crate::native::tree;
use crate::spec::{ContainerId, OutputPolicy, TaskSpec};
use crate::state::Binding;

/// The engine's folder below D/engine.
const NAME: &str = "docker";

/// One container, as it was made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) bindings: Vec<Binding>,
    pub(super) ipv4: Option<Ipv4Addr>,
    /// The namespace that its holder has entered, which is on the bridge.
    pub(super) netns: Option<PathBuf>,
    /// Whether it joins its task's interface.
    pub(super) in_task_network: bool,
    /// What it calls itself, where it was told.
    pub(super) hostname: Option<String>,
    pub(super) health_check: Option<Vec<String>>,
    pub(super) output: OutputPolicy,
    /// For those that link to it.
    pub(super) shown: Shown,
    /// How often it was started.
    pub(super) starts: u32,
    /// Why it ended then, where that was not its own doing; by when it ended.
    pub(super) reason: Option<(i64, String)>,
}

/// The engine's folder.
#[derive(Debug, Clone)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn open(data_dir: &Path) -> io::Result<Folder> {
        let root = data_dir.join("engine").join(NAME);
        std::fs::create_dir_all(&root)?;
        Ok(Folder(root))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn tasks(&self) -> io::Result<Vec<String>> {
        layout::folders(&self.0)
    }

    pub(super) fn task(&self, task: &str) -> PathBuf {
        self.0.join(task)
    }

    pub(super) fn spec(&self, task: &str) -> io::Result<Option<TaskSpec>> {
        layout::read_json(&self.task(task).join("task.json"))
    }

    pub(super) fn write_spec(&self, spec: &TaskSpec) -> io::Result<()> {
        std::fs::create_dir_all(self.task(&spec.id))?;
        layout::write_json(&self.task(&spec.id).join("task.json"), spec, Durable::No)
    }

    pub(super) fn containers(&self, task: &str) -> Vec<String> {
        layout::folders(&self.task(task)).unwrap_or_default()
    }

    pub(super) fn container(&self, id: &ContainerId) -> PathBuf {
        self.task(&id.task).join(&id.name)
    }

    pub(super) fn record(&self, id: &ContainerId) -> io::Result<Option<Record>> {
        if !layout::is_safe_name(&id.task) || !layout::is_safe_name(&id.name) {
            return Ok(None);
        }
        layout::read_json(&self.container(id).join("record.json"))
    }

    pub(super) fn write(&self, id: &ContainerId, record: &Record) -> io::Result<()> {
        std::fs::create_dir_all(self.container(id))?;
        layout::write_json(&self.container(id).join("record.json"), record, Durable::No)
    }

    /// Writes the files that appear below a container's /etc, in the order of [`ETC_FILES`].
    pub(super) fn write_etc(&self, id: &ContainerId, contents: &[String; 3]) -> io::Result<()> {
        let folder = self.container(id);
        std::fs::create_dir_all(&folder)?;
        for (name, content) in ETC_FILES.iter().zip(contents) {
            let path = folder.join(name);
            std::fs::write(&path, content)?;
            // Whatever mask this process has, any user of the container may read them.
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644))?;
        }
        Ok(())
    }

    pub(super) fn remove(&self, task: &str) -> io::Result<()> {
        tree::remove(&self.task(task))
    }
}

/// Whether tasks of this engine are in a data directory.
pub fn has_tasks(data_dir: &Path) -> bool {
    layout::folders(&data_dir.join("engine").join(NAME)).is_ok_and(|tasks| !tasks.is_empty())
}

/// Whether this engine was ever opened in a data directory and not purged since.
pub fn was_here(data_dir: &Path) -> bool {
    data_dir.join("engine").join(NAME).exists()
}
