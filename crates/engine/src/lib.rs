//! The engine: one trait that runs the containers of tasks, its drivers, and their conformance suite.
//!
//! An engine executes; it never decides. Order between containers, restarts, health verdicts and
//! when to stop belong to the agent. An engine must not know clusters, services or the AWS API.

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
pub mod docker;
pub mod error;
pub mod fake;
pub mod native;
mod net;
pub mod spec;
pub mod state;

/// What is said of VPCs: the words of the crate that carries them.
pub mod vpc {
    pub use network::{
        Block, Change, Dns, Doors, Egress, Group, InterfaceState, Mac, Moves, Name, Peer, Resolver, Rule,
        Subnet, Traffic, Transport,
    };
}

pub use error::{Error, Kind};
pub use spec::*;
pub use state::*;

use async_trait::async_trait;

/// Runs the containers of tasks on this host.
///
/// Every call is idempotent: repeating it after a crash of the caller, or of the engine itself,
/// converges on the same result. Dropping a future never leaves a half-made object that
/// [`Engine::list`] does not show and [`Engine::remove_task`] does not clear.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// The driver's name: `native`, `docker`, `containerd`, `fake`.
    fn name(&self) -> &'static str;

    /// What this engine offers on this host; becomes the instance's attributes.
    fn capabilities(&self) -> Capabilities;

    /// Whether tasks can have this wall here ([`TaskSpec::isolation`]).
    ///
    /// # Errors
    /// Why not, in words for the operator. [`Engine::prepare_task`] refuses such a task with them.
    fn isolation(&self, wanted: Isolation) -> Result<(), String> {
        match wanted {
            Isolation::Shared => Ok(()),
            other => Err(format!("the engine {} has no isolation {other}", self.name())),
        }
    }

    /// Makes an image present, by the pull behaviour asked for, and says which it is.
    async fn pull(&self, request: &PullRequest) -> Result<PulledImage, Error>;

    /// Makes what the containers of a task share: its cgroup, its volumes, its supervisor, and its interface where it
    /// has one of its own: that is up when this returns.
    async fn prepare_task(&self, task: &TaskSpec) -> Result<(), Error>;

    /// Makes a container ready to start: root filesystem, network, limits. Nothing of it runs yet.
    async fn create(&self, id: &ContainerId, spec: &ContainerSpec) -> Result<Created, Error>;

    /// Starts a created container, or starts an exited one again in the same root filesystem.
    async fn start(&self, id: &ContainerId) -> Result<Started, Error>;

    /// Asks a container to end: its stop signal now, SIGKILL after `timeout`. Returns at once; the
    /// end arrives as [`Event::Exited`]. Stopping what has ended is no error.
    async fn stop(&self, id: &ContainerId, timeout: std::time::Duration) -> Result<(), Error>;

    /// Gives back what a task whose containers have all ended for good still takes of the host: its place on
    /// the network and its host ports. What it wrote and how it ended stay until [`Engine::remove_task`].
    /// Not an error when there is no such task.
    async fn release_task(&self, task: &TaskId) -> Result<(), Error>;

    /// Removes every container of a task and all that was made for it. Containers still running are
    /// killed. Removing what is not there is no error. Output not yet read is gone after this.
    async fn remove_task(&self, task: &TaskId) -> Result<(), Error>;

    /// Everything of ours that exists on this host, for adoption after a restart.
    async fn list(&self) -> Result<Vec<FoundTask>, Error>;

    /// The state of one container; `None` when it was never created or was removed.
    async fn inspect(&self, id: &ContainerId) -> Result<Option<ContainerState>, Error>;

    /// A stream of what happens from now on. A reader that falls behind gets [`Event::Missed`] and
    /// must call [`Engine::list`] again.
    fn events(&self) -> tokio::sync::broadcast::Receiver<Event>;

    /// Runs a command in a running container and waits for its end, for health checks.
    async fn exec(&self, id: &ContainerId, exec: &ExecSpec) -> Result<ExecOutcome, Error>;

    /// Use of resources by a running container at this moment.
    async fn stats(&self, id: &ContainerId) -> Result<Stats, Error>;

    /// Reads captured output after `cursor` (0: from the start), at most about `max_bytes`. Returns at
    /// once; an empty chunk means nothing new yet, unless `ended` says that no more will come.
    async fn output(&self, id: &ContainerId, cursor: u64, max_bytes: usize) -> Result<OutputChunk, Error>;

    /// Says that output up to `cursor` is safe elsewhere, so its space may be used again.
    async fn release_output(&self, id: &ContainerId, cursor: u64) -> Result<(), Error>;

    /// Takes in what has changed of security groups and of tasks' interfaces. It holds when this returns, and is kept
    /// over restarts of this process.
    ///
    /// # Errors
    /// Where the engine has no interfaces of tasks ([`Capabilities::task_interfaces`]), and what is not acceptable.
    async fn change_network(&self, _change: vpc::Change) -> Result<(), Error> {
        Err(Error::fatal(Kind::Network, "this engine has no interfaces of tasks"))
    }

    /// Has tasks that ask for names in their VPCs be answered by this one, until the engine ends. Not an error where the engine
    /// has no interfaces of tasks.
    async fn answer_names(&self, _resolver: std::sync::Arc<dyn vpc::Resolver>) -> Result<(), Error> {
        Ok(())
    }

    /// What the containers there are have written to this host's disk. Costs a look at each file: for when the
    /// disk is nearly full.
    async fn written(&self) -> Result<Vec<Written>, Error> {
        Ok(Vec::new())
    }

    /// Frees what the ended containers of a task wrote, but for their output: they will not start again.
    /// An engine that cannot does so when the task is removed.
    async fn discard_written(&self, _task: &TaskId) -> Result<(), Error> {
        Ok(())
    }

    /// Frees images by the engine's policy; returns what went, for the log.
    async fn collect_images(&self) -> Result<Vec<String>, Error>;

    /// Everything of this instance that exists on this host, one a line, sorted: what [`Engine::purge`] takes away.
    /// What cannot be looked at is not in it.
    async fn audit(&self) -> Vec<String>;

    /// Stops every task and removes everything that this instance made. The engine is of no use afterwards; images
    /// that others may use stay.
    ///
    /// # Errors
    /// When something cannot be removed; the rest is.
    async fn purge(&self) -> Result<(), Error>;
}
