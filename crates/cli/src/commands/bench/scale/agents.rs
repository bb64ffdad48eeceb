//! Agents that do at once what is wanted: a task that is to run is RUNNING, one that is to stop is STOPPED. They hear of it as
//! sessions do, by what a commit changed.

use std::sync::Arc;

use ecs::{
    Cluster,
    cluster::{Desired, Key, TaskId, TaskStatus},
    task::report,
};
use ecs_model::{ContainerStateChange, SubmitTaskStateChangeRequest};
use futures_util::{StreamExt, stream};
use server::services::ecs::ClusterHandle;
use tokio::sync::mpsc;

use super::{CALLERS, world::said};

/// All agents of a cluster, at work until this is dropped.
pub struct Agents(tokio::task::JoinHandle<()>);

impl Drop for Agents {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Agents {
    /// They begin with what is changed from now on.
    pub fn start(cluster: &ClusterHandle) -> Agents {
        let (tell, told) = mpsc::unbounded_channel();
        cluster.follow(Box::new(move |delta| {
            let tasks = delta.keys.iter().filter_map(|key| match key {
                Key::Task(id) => Some(*id),
                _ => None,
            });
            for id in tasks {
                let (was, is) = (wanted(delta.before, id), wanted(delta.after, id));
                if let Some(status) = is.filter(|_| was != is) {
                    // Nobody listens once the measurement is over.
                    let _ = tell.send((id, status));
                }
            }
        }));
        let cluster = cluster.clone();
        let told = stream::unfold(told, async |mut told| Some((told.recv().await?, told)));
        let obey = told.for_each_concurrent(CALLERS, move |(id, status)| {
            let cluster = cluster.clone();
            async move {
                if let Err(error) = tell_of(&cluster, id.to_string(), status).await {
                    tracing::warn!(%error, task = %id, "a report was refused");
                }
            }
        });
        Agents(tokio::spawn(obey))
    }
}

/// What an agent would make of a task, if that has not happened.
fn wanted(state: &Cluster, id: TaskId) -> Option<&'static str> {
    let row: &Arc<_> = state.task(&id)?;
    row.instance?;
    match row.desired {
        Desired::Running if row.last < TaskStatus::Running => Some("RUNNING"),
        Desired::Stopped if row.last != TaskStatus::Stopped => Some("STOPPED"),
        _ => None,
    }
}

/// The agents report these tasks, all at once.
pub async fn tell_all(
    cluster: &ClusterHandle,
    tasks: Vec<String>,
    status: &'static str,
) -> anyhow::Result<()> {
    let told = tasks.into_iter().map(|task| tell_of(cluster, task, status));
    // Not tasks of their own: an agent's reports come on the connection that it has.
    let mut told = stream::iter(told).buffer_unordered(CALLERS);
    while let Some(done) = told.next().await {
        done?;
    }
    Ok(())
}

async fn tell_of(cluster: &ClusterHandle, task: String, status: &'static str) -> anyhow::Result<()> {
    let container = ContainerStateChange {
        container_name: Some("app".to_owned()),
        status: Some(status.to_owned()),
        ..Default::default()
    };
    let request = SubmitTaskStateChangeRequest {
        task: Some(task),
        status: Some(status.to_owned()),
        containers: Some(vec![container]),
        ..Default::default()
    };
    cluster.execute("", |txn| report::submit_task_state_change(txn, request)).await.map(drop).map_err(said)
}
