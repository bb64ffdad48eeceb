//! The clusters as the agent link sees them: what each container instance shall run, and where its reports go.

use std::{
    collections::{HashMap, VecDeque},
    net::Ipv4Addr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use ::ecs::{
    Ctx, account, arn,
    cluster::{
        Desired, InstanceHealth, InstanceHealthCheckType, InstanceId, InstanceStatus, TaskId, TaskRow,
    },
    instance, task,
};
use agent_protocol::{acs, tcs};
use async_trait::async_trait;
use ecs_model as ecs;
use tokio::{sync::watch, time::Instant};
use wire::Timestamp;

use super::{
    ClusterHandle, Home, Homes,
    feed::Feed,
    presence::{COMPARE, Presence, Says},
};
use crate::{
    agent_link::{Assignment, Assignments, Hello, Manifest, Refusal, RefusalKind, Session, Telemetry},
    gate::{Caller, Role},
    runtime::{Aside, Place, now},
};

#[async_trait]
impl Assignments for Homes {
    fn identify(&self, hello: &Hello, caller: &Caller, place: &Place) -> Result<String, Refusal> {
        let denied = || {
            let text = "The key is not the container instance's own.";
            refusal(RefusalKind::AccessDenied, text)
        };
        let home = self.of(place)?;
        let ctx = home.ctx(caller, now());
        if matches!(caller.role, Role::NewAgent | Role::NewAgentOfOperator) {
            return Err(denied());
        }
        // An agent hears nothing of others, not even whether they are there.
        if let Role::Agent { cluster, instance } = &caller.role {
            let named = arn::cluster_name(&ctx, Some(&hello.cluster));
            let id = arn::container_instance_id(&ctx, cluster, &hello.container_instance);
            if named.is_ok_and(|named| named != **cluster) || id.is_ok_and(|id| id != **instance) {
                return Err(denied());
            }
        }
        let link = Link::find(&home, hello)?;
        let visible = link.cluster.read();
        instance::may_speak(&visible.state, &ctx, Some(&link.instance)).map_err(|_| denied())?;
        Ok(link.instance_arn)
    }

    async fn connect(&self, hello: Hello, place: &Place, origin: &str) -> Result<Box<dyn Session>, Refusal> {
        let home = self.of(place)?;
        let link = Link::find(&home, &hello)?;
        let cluster = || link.cluster.id().name.to_string();
        let address = hello.address.filter(is_reached);
        let feed = || Feed::new(self.vpcs().clone(), place.clone(), cluster(), address);
        let feed = hello.knows_vpc.then(feed);
        let version = ecs::VersionInfo {
            agent_version: Some(hello.agent_version),
            agent_hash: Some(hello.agent_hash),
            docker_version: Some(format!("DockerVersion: {}", hello.docker_version)),
        };
        let mut wake = link.cluster.wake_on(&link.instance);
        // For the first look.
        wake.mark_changed();
        let asked = link.cluster.wakers().asked();
        // From here on its end is recorded, even where its beginning could not be.
        let presence = Presence::begin(&link, Says { version, address });
        let timeline = presence.record().await?;
        Ok(Box::new(Connected {
            link,
            presence,
            timeline,
            endpoint: origin.to_owned(),
            wake,
            look_at: Instant::now() + COMPARE,
            sent: HashMap::new(),
            looks: 0,
            asked,
            feed,
            aside: home.runtime().aside().clone(),
            ready: VecDeque::new(),
        }))
    }

    async fn telemetry(&self, hello: Hello, place: &Place) -> Result<Box<dyn Telemetry>, Refusal> {
        Ok(Box::new(Link::find(&*self.of(place)?, &hello)?))
    }
}

impl Homes {
    fn of(&self, (account, region): &Place) -> Result<Arc<Home>, Refusal> {
        self.home(account, region).map_err(|error| refusal(RefusalKind::Server, error.message()))
    }
}

/// Whether other hosts may be told to send there.
fn is_reached(address: &Ipv4Addr) -> bool {
    !(address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.octets()[0] == 0)
}

/// One container instance of one cluster.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) cluster: ClusterHandle,
    pub(super) instance: InstanceId,
    ctx: Ctx,
    cluster_arn: String,
    instance_arn: String,
}

impl Link {
    fn find(home: &Home, hello: &Hello) -> Result<Link, Refusal> {
        let ctx = home.ctx("", now());
        let invalid = |kind, error: wire::Error| Refusal { kind, message: error.message().to_owned() };
        let cluster = home.cluster(&ctx, Some(&hello.cluster));
        let cluster = cluster.map_err(|error| invalid(RefusalKind::InvalidCluster, error))?;
        let name = cluster.read().state.row.name.clone();
        let id = arn::container_instance_id(&ctx, &name, &hello.container_instance)
            .map_err(|error| invalid(RefusalKind::InvalidInstance, error))?;
        let unknown = || refusal(RefusalKind::InvalidInstance, "The container instance is not known.");
        let instance = InstanceId::parse(&id).ok_or_else(unknown)?;
        match cluster.read().state.instance(&instance).map(|row| row.status) {
            Some(InstanceStatus::Inactive) => {
                return Err(refusal(
                    RefusalKind::InactiveInstance,
                    "The container instance was deregistered.",
                ));
            }
            None => return Err(unknown()),
            Some(_) => {}
        }
        let cluster_arn = arn::cluster(&ctx, &name);
        let instance_arn = arn::container_instance(&ctx, &name, instance);
        Ok(Link { cluster, instance, ctx, cluster_arn, instance_arn })
    }
}

/// What an agent says of its host, in the words of the API; `None` for what the API has no words for.
fn host_health(seen: tcs::InstanceStatus, at: Timestamp) -> Option<InstanceHealth> {
    use InstanceHealthCheckType::{AcceleratedCompute, AgentConnectivity, ContainerRuntime, Daemon};
    // Amazon's agent writes them as its own code has them.
    let r#type = match seen.r#type?.as_str() {
        "ContainerRuntime" => ContainerRuntime,
        "AcceleratedCompute" => AcceleratedCompute,
        "Daemon" => Daemon,
        "AgentConnectivity" => AgentConnectivity,
        other => other.parse().ok()?,
    };
    Some(InstanceHealth {
        r#type,
        status: seen.status?.parse().ok()?,
        status_reason: seen.status_reason.filter(|why| !why.is_empty()),
        updated_at: seen.last_updated.unwrap_or(at),
        changed_at: seen.last_status_change.unwrap_or(at),
    })
}

pub(super) fn refusal(kind: RefusalKind, message: &str) -> Refusal {
    Refusal { kind, message: message.to_owned() }
}

/// One ACS session.
struct Connected {
    link: Link,
    presence: Presence,
    /// When it is next compared with the row.
    look_at: Instant,
    /// Of the last manifest.
    timeline: i64,
    /// The URL of this server, as the agent's host reaches it.
    endpoint: String,
    wake: watch::Receiver<u64>,
    /// What this session has handed out of the tasks that are not STOPPED, and the last look that saw each.
    sent: HashMap<TaskId, (Desired, u64)>,
    looks: u64,
    /// Up to where the agent was asked what it runs.
    asked: u64,
    /// What it is told of networks, if it knows what to do with it.
    feed: Option<Feed>,
    aside: Arc<Aside>,
    /// Found at the last look, not handed out yet.
    ready: VecDeque<TaskId>,
}

impl Connected {
    /// Looks at the newest snapshot. False when the instance is no longer of the cluster.
    fn look(&mut self) -> bool {
        let visible = self.link.cluster.read();
        let known = visible.state.instance(&self.link.instance);
        if known.is_none_or(|row| row.status == InstanceStatus::Inactive) {
            return false;
        }
        self.looks += 1;
        if let Some(feed) = &mut self.feed {
            feed.look(&visible.state, &self.link.instance);
        }
        let usage = visible.state.usage(&self.link.instance);
        for (id, desired) in usage.into_iter().flat_map(|usage| &usage.tasks) {
            let sent = (*desired, self.looks);
            let before = match self.sent.get_mut(id) {
                Some(before) => Some(std::mem::replace(before, sent)),
                None => self.sent.insert(*id, sent),
            };
            if before.map(|(desired, _)| desired) == Some(*desired) {
                continue;
            }
            match visible.state.task(id).is_some_and(|task| task.is_for_agent()) {
                true => self.ready.push_back(*id),
                // It is not to be known there yet, or any more.
                false => drop(self.sent.remove(id)),
            }
        }
        self.sent.retain(|_, (_, seen)| *seen == self.looks);
        true
    }

    /// The payload for a task, unless it is STOPPED by now.
    fn assignment(&self, id: &TaskId) -> Option<Assignment> {
        let visible = self.link.cluster.read();
        let task = visible.state.task(id).filter(|task| task.is_for_agent())?;
        let account = self.link.cluster.account();
        let definition = account.state.definition_of(task)?;
        let payload =
            account::payload::payload(task, definition, &visible.state, &self.endpoint, &self.link.ctx);
        let seq_num = i64::try_from(visible.revision).unwrap_or(i64::MAX);
        Some(Assignment::Task { task: Box::new(payload), seq_num })
    }

    fn identifier(&self, task: &TaskRow) -> acs::TaskIdentifier {
        let name = &self.link.cluster.read().state.row.name;
        acs::TaskIdentifier {
            task_arn: Some(arn::task(&self.link.ctx, name, task.id)),
            task_cluster_arn: Some(self.link.cluster_arn.clone()),
            desired_status: Some(task.desired_for_agent().as_str().to_owned()),
        }
    }
}

/// Waits until the host is to be told something of networks.
async fn changed(feed: &mut Option<Feed>) {
    match feed {
        Some(feed) => feed.changed().await,
        None => std::future::pending().await,
    }
}

#[async_trait]
impl Session for Connected {
    fn cluster_arn(&self) -> &str {
        &self.link.cluster_arn
    }

    fn instance_arn(&self) -> &str {
        &self.link.instance_arn
    }

    async fn next(&mut self) -> Option<Assignment> {
        loop {
            let asked = self.link.cluster.wakers().asked();
            if std::mem::replace(&mut self.asked, asked) != asked {
                return Some(Assignment::Manifest);
            }
            // Before what needs it.
            if let Some(message) = self.feed.as_mut().and_then(Feed::next) {
                return Some(Assignment::Vpc(Box::new(message)));
            }
            while let Some(id) = self.ready.pop_front() {
                // A task that breaks an assertion must not keep the others from their host.
                let made = catch_unwind(AssertUnwindSafe(|| self.assignment(&id)));
                match made {
                    Ok(Some(assignment)) => return Some(assignment),
                    Ok(None) => {}
                    Err(_) => {
                        tracing::error!(task = %id, "an assignment breaks an assertion; it is not sent")
                    }
                }
            }
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(self.look_at) => {
                    self.look_at = Instant::now() + COMPARE;
                    self.presence.compare();
                }
                () = changed(&mut self.feed) => {}
                // Woken before the look, so nothing that changes meanwhile is missed.
                woken = self.wake.changed() => if woken.is_err() || !self.look() {
                    return None;
                },
            }
        }
    }

    async fn manifest(&mut self) -> Option<Manifest> {
        let visible = self.link.cluster.read();
        let tasks = visible.state.tasks_on(&self.link.instance).filter(|task| task.is_for_agent());
        let tasks = tasks.map(|task| self.identifier(task)).collect();
        self.timeline += 1;
        Some(Manifest { timeline: self.timeline, tasks })
    }

    async fn verify_stop(&mut self, candidates: Vec<acs::TaskIdentifier>) -> Vec<acs::TaskIdentifier> {
        let visible = self.link.cluster.read();
        // A task that shall stop has an assignment that says so. Told twice at once, agents may lose hold of it.
        let live = |candidate: &acs::TaskIdentifier| {
            let id = candidate.task_arn.as_deref().and_then(|arn| arn.rsplit('/').next());
            let Some(id) = id else { return false };
            let Some(task) = TaskId::parse(id).and_then(|id| visible.state.task(&id)) else {
                let kept = self.link.cluster.task_keys(id).any(|key| self.aside.may_be(&key));
                if kept {
                    tracing::warn!(
                        task = id,
                        "its row was set aside, so it goes on until StopTask says otherwise"
                    );
                }
                return kept;
            };
            task.is_for_agent() && task.instance.as_ref() == Some(&self.link.instance)
        };
        candidates.into_iter().filter(|candidate| !live(candidate)).collect()
    }
}

#[async_trait]
impl Telemetry for Link {
    async fn metrics(&mut self, _metrics: tcs::PublishMetricsRequest) -> Result<(), Refusal> {
        // Metrics have no reader until CloudWatch metrics are built; agents publish them all the same.
        Ok(())
    }

    async fn health(&mut self, health: tcs::PublishHealthRequest) -> Result<(), Refusal> {
        let mut verdicts = task::report::Verdicts::new();
        for seen in health.tasks {
            let Some(id) = seen.task_arn.as_deref().and_then(|arn| arn.rsplit('/').next()) else { continue };
            let Some(id) = TaskId::parse(id) else { continue };
            let containers = verdicts.entry(id).or_default();
            for container in seen.containers {
                let status = container.health_status.as_deref().and_then(|word| word.parse().ok());
                if let (Some(name), Some(status)) = (container.container_name, status) {
                    containers.insert(name, status);
                }
            }
        }
        while !verdicts.is_empty() {
            let instance = self.instance;
            let done =
                self.cluster.execute("", move |txn| Ok(task::report::health(txn, &instance, verdicts)));
            verdicts = done.await.map_err(|error| refusal(RefusalKind::Server, error.message()))?;
        }
        Ok(())
    }

    async fn instance_status(&mut self, told: tcs::PublishInstanceStatusRequest) -> Result<(), Refusal> {
        let at = now();
        let found: Vec<_> = told.statuses.into_iter().filter_map(|seen| host_health(seen, at)).collect();
        let instance = self.instance;
        let done = self.cluster.execute("", move |txn| {
            instance::health::report(txn, &instance, found);
            Ok(())
        });
        done.await.map_err(|error| refusal(RefusalKind::Server, error.message()))
    }
}
