//! Carries out what the planner says, each thing beside the actor.

use std::{future::Future, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{Action, Actor, Message};
use crate::{
    logs,
    panics::caught,
    task::{AwsLogs, Fact, LogDriver, Phase},
};

/// How much of a probe's output is kept, as Docker does.
const PROBE_OUTPUT: usize = 4096;
/// How long a task that does not come to run keeps its place among those that begin.
const BEGIN_WAIT: Duration = Duration::from_millis(500);

impl Actor {
    pub(super) fn act(&mut self, action: Action) {
        tracing::debug!(task = self.task.id, ?action, "action");
        match action {
            Action::Admit => self.host.ask_admission(&self.task.id, self.task.needs.clone()),
            Action::Prepare => self.prepare(),
            Action::Pull(index) => self.pull(index),
            Action::Create(index) => self.create(index),
            Action::Start(index) => {
                self.draft.starts(index);
                self.start_waiting();
            }
            Action::Stop(index) => self.stop(index),
            Action::Probe(index) => self.probe(index),
        }
    }

    /// Does something beside the actor, which hears what came of it, or that it panicked.
    pub(super) fn beside(&self, work: impl Future<Output = Option<Message>> + Send + 'static) {
        let to_self = self.to_self.clone();
        self.works.spawn(async move {
            let outcome = caught(work).await.unwrap_or_else(|why| Some(Message::Broke(why)));
            if let Some(message) = outcome {
                // The actor may have ended, and needs it no more.
                let _ = to_self.send(message);
            }
        });
    }

    /// As [`Actor::beside`], of what may be broken off at any time, and is when this actor goes.
    pub(super) fn while_here(&self, work: impl Future<Output = Message> + Send + 'static) {
        let here = self.here.clone();
        self.beside(async move { here.run_until_cancelled(work).await });
    }

    fn spawn(&self, work: impl Future<Output = Fact> + Send + 'static) {
        self.beside(async move { Some(Message::Fact(work.await)) });
    }

    /// Has the engine prepare the task, when there is a place for one more that begins.
    fn prepare(&self) {
        let (host, task) = (self.host.clone(), self.task.clone());
        let (begun, stopped) = (self.begun.clone(), self.stopped.clone());
        self.spawn(async move {
            let place = async {
                host.remains_removed(&task.id).await;
                host.beginning.clone().acquire_owned().await
            };
            let place = tokio::select! {
                place = place => place,
                // Stopped before it began: there is nothing to be made for it.
                () = stopped.cancelled() => return Fact::Prepared(Ok(())),
            };
            let prepared = host.engine.prepare_task(&task.spec).await;
            tokio::spawn(async move {
                // It runs, is over, or takes long and keeps nobody waiting for it.
                let _ = tokio::time::timeout(BEGIN_WAIT, begun.cancelled()).await;
                drop(place);
            });
            Fact::Prepared(prepared)
        });
    }

    fn pull(&self, index: usize) {
        let engine = self.host.engine.clone();
        let request = engine::PullRequest {
            image: self.task.containers[index].spec.image.clone(),
            behavior: self.host.image_pull,
            auth: None,
        };
        self.while_here(async move { Message::Fact(Fact::Pulled(index, engine.pull(&request).await)) });
    }

    fn create(&mut self, index: usize) {
        self.draft.makes(index);
        let (engine, id) = (self.host.engine.clone(), self.task.container_id(index));
        let mut spec = self.task.containers[index].spec.clone();
        spec.image_digest = self.state.containers[index].image_digest.clone();
        let (api, log) = (self.host.api.clone(), self.task.containers[index].log.clone());
        self.spawn(async move {
            let LogDriver::AwsLogs(options) = log else {
                return Fact::Created(index, engine.create(&id, &spec).await);
            };
            let making = |stream: String| {
                let (api, options) = (&api, &options);
                async move { logs::ensure(api, &options.group, &stream, options.create_group).await }
            };
            let (created, stream) = match &options.stream {
                Some(stream) => tokio::join!(engine.create(&id, &spec), making(stream.clone())),
                None => match engine.create(&id, &spec).await {
                    Ok(made) => (Ok(made.clone()), making(made.runtime_id).await),
                    Err(error) => (Err(error), Ok(())),
                },
            };
            match (created, stream) {
                (Ok(_), Err(error)) if !error.passes() => Fact::Created(index, Err(no_stream(&error))),
                // An absent control plane is no reason not to start: output waits for it.
                (created, _) => Fact::Created(index, created),
            }
        });
    }

    /// Starts what may be started by now.
    pub(super) fn start_waiting(&mut self) {
        let is_assigned = *self.written.borrow();
        for index in self.draft.may_start(is_assigned) {
            tracing::trace!(task = self.task.id, index, "starting");
            let (engine, id) = (self.host.engine.clone(), self.task.container_id(index));
            self.spawn(async move { Fact::Started(index, engine.start(&id).await) });
        }
    }

    fn stop(&self, index: usize) {
        let (engine, id) = (self.host.engine.clone(), self.task.container_id(index));
        let timeout = match self.state.filled_disk {
            true => Duration::ZERO,
            false => Duration::from_millis(self.task.containers[index].stop_timeout_ms.unsigned_abs()),
        };
        self.beside(async move {
            match engine.stop(&id, timeout).await {
                Ok(()) => None,
                Err(error) if error.kind == engine::Kind::NoSuchContainer => {
                    Some(Message::Fact(Fact::Vanished(index, error.to_string())))
                }
                Err(error) => {
                    // The planner asks again when nothing comes of it.
                    tracing::warn!(container = %id, %error, "a container cannot be stopped");
                    None
                }
            }
        });
    }

    fn probe(&self, index: usize) {
        let Some(check) = &self.task.containers[index].health_check else { return };
        let exec = engine::ExecSpec {
            command: check.command.clone(),
            timeout: Duration::from_millis(check.timeout_ms.unsigned_abs()),
            max_output_bytes: PROBE_OUTPUT,
        };
        let (engine, id) = (self.host.engine.clone(), self.task.container_id(index));
        self.while_here(async move {
            let (healthy, output) = match engine.exec(&id, &exec).await {
                Ok(outcome) => {
                    (outcome.code == Some(0), String::from_utf8_lossy(&outcome.output).into_owned())
                }
                Err(error) => (false, error.to_string()),
            };
            Message::Fact(Fact::Probed { container: index, healthy, output })
        });
    }

    /// Has a shipper at work for every container that writes to CloudWatch Logs, and tells it when no
    /// more will be written.
    pub(super) fn ship_output(&mut self) {
        for index in 0..self.task.containers.len() {
            let LogDriver::AwsLogs(options) = &self.task.containers[index].log else { continue };
            let state = &self.state.containers[index];
            let Some(created) = &state.created else { continue };
            if !state.has_run() || self.shipped.contains(&index) {
                continue;
            }
            let finish = match self.shippers.get(&index) {
                Some(finish) => finish.clone(),
                None => self.ship(index, options, &created.runtime_id),
            };
            if state.phase == Phase::Stopped {
                finish.cancel();
            }
            self.shippers.insert(index, finish);
        }
    }

    /// Begins to ship a container's output; gives the token that says that no more will be written.
    fn ship(&self, index: usize, options: &AwsLogs, runtime_id: &str) -> CancellationToken {
        let finish = CancellationToken::new();
        let shipper = logs::Shipper {
            host: Arc::clone(&self.host),
            id: self.task.container_id(index),
            group: options.group.clone(),
            stream: options.stream.clone().unwrap_or_else(|| runtime_id.to_owned()),
            create_group: options.create_group,
            event_start: options.event_start.clone(),
            finish: finish.clone(),
        };
        self.while_here(async move {
            shipper.run().await;
            Message::OutputShipped(index)
        });
        finish
    }
}

/// The container may not start: as in ECS, where its log driver cannot begin without its stream.
fn no_stream(error: &crate::api::Error) -> engine::Error {
    let text =
        format!("failed to initialize logging driver: failed to create Cloudwatch log stream: {error}");
    engine::Error::fatal(engine::Kind::Start, text)
}
