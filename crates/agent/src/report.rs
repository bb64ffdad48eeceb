//! What the control plane is told of a task: `SubmitTaskStateChange`, in order for each task and at most
//! ten at a time for the host, repeated until it is acknowledged.

use std::{sync::Arc, time::Duration};

use ecs_model as ecs;
use wire::Timestamp;

use crate::{
    api::{self, Api, BackOff},
    task::{Container, ContainerState, Known, Phase, Task, TaskState},
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

/// That a task's interface is attached: no more than that, as the ECS agent says it.
pub fn attached(task: &Task, attachment: &str) -> ecs::SubmitTaskStateChangeRequest {
    ecs::SubmitTaskStateChangeRequest {
        cluster: Some(task.cluster_arn.clone()).filter(|arn| !arn.is_empty()),
        task: Some(task.arn.clone()),
        attachments: Some(vec![ecs::AttachmentStateChange {
            attachment_arn: attachment.to_owned(),
            status: "ATTACHED".to_owned(),
        }]),
        ..Default::default()
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_REASON));
    text
}

/// Every container's part of a report.
pub fn containers(task: &Task, state: &TaskState) -> Vec<ecs::ContainerStateChange> {
    task.containers.iter().zip(&state.containers).map(|(c, state)| container(c, state)).collect()
}

fn container(of: &Container, state: &ContainerState) -> ecs::ContainerStateChange {
    let status = match state.phase {
        Phase::Stopped => "STOPPED",
        Phase::Running => "RUNNING",
        // A restart is the agent's own business.
        _ if state.restarts > 0 => "RUNNING",
        _ => "PENDING",
    };
    let created = state.created.as_ref();
    let ports = &of.spec.port_mappings;
    let bindings = created.filter(|_| state.has_run()).map(|created| bindings(ports, &created.bindings));
    ecs::ContainerStateChange {
        container_name: Some(of.name.clone()),
        status: Some(status.to_owned()),
        image_digest: state.image_digest.clone(),
        runtime_id: created.map(|created| created.runtime_id.clone()),
        exit_code: state.exit_code().filter(|_| state.phase == Phase::Stopped),
        network_bindings: bindings.filter(|bindings| !bindings.is_empty()),
        reason: state.reason.clone().map(cut),
    }
}

/// One for each port mapping; the engine has one for each port.
fn bindings(mappings: &[engine::PortMapping], bindings: &[engine::Binding]) -> Vec<ecs::NetworkBinding> {
    let mut rest = bindings;
    let mut told = Vec::new();
    while let Some(first) = rest.first() {
        let more = mappings.get(told.len()).map_or(0, |mapping| usize::from(mapping.more));
        let (of_one, others) = rest.split_at((more + 1).min(rest.len()));
        let last = of_one.last().unwrap_or(first);
        let mut binding = ecs::NetworkBinding {
            bind_ip: Some(first.bind_ip.clone()),
            protocol: Some(match first.protocol {
                engine::Protocol::Tcp => ecs::TransportProtocol::Tcp,
                engine::Protocol::Udp => ecs::TransportProtocol::Udp,
            }),
            ..ecs::NetworkBinding::default()
        };
        if more > 0 {
            binding.container_port_range = Some(format!("{}-{}", first.container_port, last.container_port));
            binding.host_port_range = Some(format!("{}-{}", first.host_port, last.host_port));
        } else {
            binding.container_port = Some(first.container_port.into());
            binding.host_port = Some(first.host_port.into());
        }
        told.push(binding);
        rest = others;
    }
    told
}

/// How often a report may be refused for a reason that may pass: some two minutes.
const REFUSALS: u32 = 10;

/// What to expect of a report that was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Nothing is wrong with it: the control plane is not there, is busy, or does not know this host (yet).
    Passes,
    /// It is not this host's to say, or not of this cluster: that may pass, as after a first registration.
    Refused,
    /// It says nothing that can be understood.
    Invalid,
}

impl Fate {
    fn of(error: &api::Error) -> Fate {
        let Some(code) = error.code().filter(|_| !error.passes()) else { return Fate::Passes };
        match code {
            "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "ExpiredTokenException"
            | "RequestTimeoutException"
            | "LimitExceededException" => Fate::Passes,
            "InvalidParameterException" | "ValidationException" | "SerializationException" => Fate::Invalid,
            _ => Fate::Refused,
        }
    }
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

    /// Sends one report, for as long as it takes. One that the control plane will not take is dropped, as
    /// repeating it would block the task's next for ever.
    pub async fn send(&self, report: &ecs::SubmitTaskStateChangeRequest) {
        self.send_at(report, BackOff::new(Duration::from_millis(250), 2.0, Duration::from_secs(30))).await;
    }

    async fn send_at(&self, report: &ecs::SubmitTaskStateChangeRequest, mut back_off: BackOff) {
        let mut refused = 0;
        loop {
            // A slot for each attempt only: waiting must not keep others from trying.
            let answer = match self.slots.acquire().await {
                Ok(_slot) => self.attempt(report).await,
                Err(_) => return,
            };
            match answer {
                Ok(()) => return,
                Err(error) => {
                    let most = match Fate::of(&error) {
                        Fate::Passes => u32::MAX,
                        Fate::Refused => REFUSALS,
                        Fate::Invalid => 1,
                    };
                    refused += u32::from(most < u32::MAX);
                    if refused >= most {
                        let (task, status) = (&report.task, &report.status);
                        tracing::error!(?task, ?status, %error, "the control plane refused a report; it is dropped");
                        return;
                    }
                    let wait = back_off.wait();
                    tracing::debug!(task = ?report.task, %error, ?wait, "a report did not get through");
                    self.api.rest(wait).await;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_ports_is_one_binding() {
        let mapping = |container_port, more| engine::PortMapping {
            container_port,
            host_port: None,
            protocol: engine::Protocol::Tcp,
            more,
        };
        let binding = |container_port, host_port| engine::Binding {
            bind_ip: "0.0.0.0".into(),
            container_port,
            host_port,
            protocol: engine::Protocol::Tcp,
        };
        let told = bindings(
            &[mapping(80, 0), mapping(8000, 2), mapping(81, 0)],
            &[
                binding(80, 5),
                binding(8000, 32768),
                binding(8001, 32769),
                binding(8002, 32770),
                binding(81, 6),
            ],
        );
        let one = |of: &ecs::NetworkBinding| {
            let ranges = of.container_port_range.clone().zip(of.host_port_range.clone());
            (of.container_port.zip(of.host_port), ranges)
        };
        let range = ("8000-8002".to_owned(), "32768-32770".to_owned());
        let expected = [(Some((80, 5)), None), (None, Some(range)), (Some((81, 6)), None)];
        assert_eq!(told.iter().map(one).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn only_what_may_pass_is_repeated() {
        let service = |code: &str, status| api::Error::Service {
            code: code.to_owned(),
            message: String::new(),
            status,
        };
        for (error, fate) in [
            (api::Error::Transport("refused".into()), Fate::Passes),
            (service("ServerException", 500), Fate::Passes),
            (service("ThrottlingException", 400), Fate::Passes),
            (service("404 Not Found", 404), Fate::Refused),
            (service("502 Bad Gateway", 502), Fate::Passes),
            // The clock, or a host that is not registered yet.
            (service("InvalidSignatureException", 400), Fate::Passes),
            (service("UnrecognizedClientException", 400), Fate::Passes),
            (service("AccessDeniedException", 400), Fate::Refused),
            (service("ClusterNotFoundException", 400), Fate::Refused),
            (service("ClientException", 400), Fate::Refused),
            (service("UnknownOperationException", 400), Fate::Refused),
            (service("InvalidParameterException", 400), Fate::Invalid),
            (service("SerializationException", 400), Fate::Invalid),
        ] {
            assert_eq!(Fate::of(&error), fate, "{error}");
        }
    }

    #[tokio::test]
    async fn a_report_that_is_refused_is_dropped_in_the_end() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let body = r#"{"__type":"AccessDeniedException","message":"no"}"#;
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 400 Bad\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
                );
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = told.send(());
            }
        });
        let credentials =
            wire::sigv4::Credentials { access_key: "a".into(), secret: "s".into(), token: None };
        let api = Api::new(&endpoint, "us-east-1", credentials).unwrap();
        let at_once = BackOff::new(Duration::ZERO, 1.0, Duration::ZERO);
        Reporter::new(Arc::new(api)).send_at(&Default::default(), at_once).await;
        let mut attempts = 0;
        while heard.try_recv().is_ok() {
            attempts += 1;
        }
        assert_eq!(attempts, REFUSALS);
    }
}
