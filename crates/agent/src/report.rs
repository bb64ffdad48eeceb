//! What the control plane is told of a task: `SubmitTaskStateChange`, in order for each task and at most
//! ten at a time for the host, repeated until it is acknowledged.

use std::{sync::Arc, time::Duration};

use wire::{Timestamp, ecs};

use crate::{
    api::{self, Api, BackOff},
    task::{ContainerState, Known, Phase, Task, TaskState},
};

/// Longest `reason`, in bytes; the API takes 1024 characters.
const MAX_REASON: usize = 1000;

/// The report of a task as it stands, for the status `known`.
pub fn report(task: &Task, state: &TaskState, known: Known) -> ecs::SubmitTaskStateChangeRequest {
    let at = |ms: Option<i64>| ms.map(Timestamp);
    let reached = known >= Known::Running;
    ecs::SubmitTaskStateChangeRequest {
        cluster: Some(task.cluster_arn.clone()).filter(|arn| !arn.is_empty()),
        task: Some(task.arn.clone()),
        status: Some(known.as_str().to_owned()),
        reason: state.reason.clone().or_else(|| task.refusal.clone()).map(cut),
        containers: Some(containers(task, state)),
        attachments: None,
        managed_agents: None,
        pull_started_at: at(state.pull_started_at_ms).filter(|_| reached),
        pull_stopped_at: at(state.pull_stopped_at_ms).filter(|_| reached),
        execution_stopped_at: at(state.execution_stopped_at_ms).filter(|_| known == Known::Stopped),
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_REASON));
    text
}

/// Every container's part of a report.
pub fn containers(task: &Task, state: &TaskState) -> Vec<ecs::ContainerStateChange> {
    task.containers.iter().zip(&state.containers).map(|(c, state)| container(&c.name, state)).collect()
}

fn container(name: &str, state: &ContainerState) -> ecs::ContainerStateChange {
    let status = match state.phase {
        Phase::Stopped => "STOPPED",
        Phase::Running => "RUNNING",
        // A restart is the agent's own business.
        _ if state.restarts > 0 => "RUNNING",
        _ => "PENDING",
    };
    let created = state.created.as_ref();
    let bindings = created.filter(|_| state.has_run()).map(|created| bindings(&created.bindings));
    ecs::ContainerStateChange {
        container_name: Some(name.to_owned()),
        status: Some(status.to_owned()),
        image_digest: state.image_digest.clone(),
        runtime_id: created.map(|created| created.runtime_id.clone()),
        exit_code: state.exit_code().filter(|_| state.phase == Phase::Stopped),
        network_bindings: bindings.filter(|bindings| !bindings.is_empty()),
        reason: state.reason.clone().map(cut),
    }
}

fn bindings(bindings: &[engine::Binding]) -> Vec<ecs::NetworkBinding> {
    let one = |binding: &engine::Binding| ecs::NetworkBinding {
        bind_ip: Some(binding.bind_ip.clone()),
        container_port: Some(binding.container_port.into()),
        host_port: Some(binding.host_port.into()),
        protocol: Some(match binding.protocol {
            engine::Protocol::Tcp => ecs::TransportProtocol::Tcp,
            engine::Protocol::Udp => ecs::TransportProtocol::Udp,
        }),
        ..ecs::NetworkBinding::default()
    };
    bindings.iter().map(one).collect()
}

/// How many tasks may report at once.
const PARALLEL: usize = 10;

/// Sends reports.
pub struct Reporter {
    api: Arc<Api>,
    slots: tokio::sync::Semaphore,
}

impl Reporter {
    /// Reports go out through `api`.
    pub fn new(api: Arc<Api>) -> Reporter {
        Reporter { api, slots: tokio::sync::Semaphore::new(PARALLEL) }
    }

    /// Sends one report, for as long as it takes. One that the control plane calls invalid is dropped, as
    /// repeating it would block the task's next for ever.
    pub async fn send(&self, report: &ecs::SubmitTaskStateChangeRequest) {
        let mut back_off = BackOff::new(Duration::from_millis(250), 2.0, Duration::from_secs(30));
        loop {
            // A slot for each attempt only: waiting must not keep others from trying.
            let answer = match self.slots.acquire().await {
                Ok(_slot) => self.attempt(report).await,
                Err(_) => return,
            };
            match answer {
                Ok(()) => return,
                Err(error) if error.code() == Some("InvalidParameterException") => {
                    tracing::warn!(task = ?report.task, %error, "the control plane refused a report; it is dropped");
                    return;
                }
                Err(error) => {
                    let wait = back_off.wait();
                    tracing::debug!(task = ?report.task, %error, ?wait, "a report did not get through");
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    async fn attempt(&self, report: &ecs::SubmitTaskStateChangeRequest) -> Result<(), api::Error> {
        let _: ecs::SubmitTaskStateChangeResponse =
            self.api.call(api::ECS, "SubmitTaskStateChange", report).await?;
        Ok(())
    }
}
