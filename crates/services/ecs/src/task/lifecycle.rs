//! The life of a task: one function that takes what happened and gives the next row. A status only
//! rises; what comes late, twice or out of order changes nothing that is already past.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html>

use state::contract::Interface;
use wire::Timestamp;

use crate::{
    cluster::{
        AttachmentRow, AttachmentStatus, ContainerRow, Desired, NetworkBinding, Stop, TaskRow, TaskStatus,
        TaskStopCode,
    },
    limits,
};

/// Something that happened to a task.
#[derive(Debug, Clone)]
pub enum Happening {
    /// Its agent reports.
    Reported(Report),
    /// Somebody wants it stopped.
    StopWanted { code: TaskStopCode, reason: String },
    /// Its capacity is wanted elsewhere: it is to be stopped then.
    Interrupted { stop_at: Timestamp },
    /// That time has come.
    WarningOver,
    /// It has waited for room for too long.
    NotProvisioned { reason: String },
    /// Its host is gone for good, and with it whatever ran there.
    HostLost { reason: String },
    /// Its network interface is there.
    InterfaceGiven(Box<Interface>),
    /// It can have none: the code of EC2's error.
    InterfaceRefused { code: String },
    /// It has none any more.
    InterfaceGone,
}

/// What an agent says of a task (`SubmitTaskStateChange`).
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// PENDING, RUNNING or STOPPED; `None` when only containers changed.
    pub status: Option<TaskStatus>,
    /// The agent's own words, for failures of the whole task.
    pub reason: String,
    pub containers: Vec<ContainerReport>,
    pub pull_started_at: Option<Timestamp>,
    pub pull_stopped_at: Option<Timestamp>,
    pub execution_stopped_at: Option<Timestamp>,
    /// Its network interface is attached.
    pub attached: bool,
}

/// What an agent says of a container.
#[derive(Debug, Clone, Default)]
pub struct ContainerReport {
    pub name: String,
    pub status: Option<TaskStatus>,
    pub runtime_id: Option<String>,
    pub image_digest: Option<String>,
    pub exit_code: Option<i32>,
    pub reason: Option<String>,
    pub network_bindings: Option<Vec<NetworkBinding>>,
}

/// The row after something happened at `now`.
pub fn step(task: &TaskRow, happening: &Happening, now: Timestamp) -> TaskRow {
    let mut next = task.clone();
    // Of one that is only left to have its interface removed nobody else has anything to say.
    let is_over = task.last == TaskStatus::Deprovisioning && !matches!(happening, Happening::InterfaceGone);
    if task.last == TaskStatus::Stopped || is_over {
        return next;
    }
    match happening {
        Happening::Reported(report) => reported(&mut next, report, now),
        Happening::StopWanted { code, reason } => stop_wanted(&mut next, *code, reason, now),
        Happening::Interrupted { stop_at } => interrupted(&mut next, *stop_at, now),
        Happening::WarningOver => {
            if let Some(of) = next.fargate.as_mut().filter(|of| of.stop_at.is_some()) {
                of.stop_at = None;
                next.last = next.last.max(TaskStatus::Stopping);
            }
        }
        Happening::NotProvisioned { reason } => {
            want_stopped(&mut next, TaskStopCode::TaskFailedToStart, reason, now);
            stopped(&mut next, now);
        }
        Happening::HostLost { reason } => {
            want_stopped(&mut next, TaskStopCode::TerminationNotice, reason, now);
            stopped(&mut next, now);
        }
        Happening::InterfaceGiven(interface) => interface_given(&mut next, interface),
        Happening::InterfaceRefused { code } => interface_refused(&mut next, code, now),
        Happening::InterfaceGone => interface_gone(&mut next, now),
    }
    next
}

/// The interface is there: the task goes to its agent with it.
fn interface_given(task: &mut TaskRow, interface: &Interface) {
    let Some(attachment) = &mut task.attachment else { return };
    if task.last == TaskStatus::Provisioning && attachment.subnet.is_some() {
        attachment.interface = Some(interface.clone());
        attachment.status = AttachmentStatus::Attaching;
        task.last = TaskStatus::Pending;
    }
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/failed-to-start-error.html>
fn interface_refused(task: &mut TaskRow, code: &str, now: Timestamp) {
    let Some(subnet) = task.attachment.as_ref().and_then(|attachment| attachment.subnet.as_ref()) else {
        return;
    };
    if task.last != TaskStatus::Provisioning {
        return;
    }
    let reason = format!(
        "Unexpected EC2 error while attempting to Create Network Interface in subnet '{subnet}': {code}"
    );
    want_stopped(task, TaskStopCode::TaskFailedToStart, &reason, now);
    stopped(task, now);
}

fn interface_gone(task: &mut TaskRow, now: Timestamp) {
    if task.last == TaskStatus::Deprovisioning {
        stopped(task, now);
    }
}

fn reported(task: &mut TaskRow, report: &Report, now: Timestamp) {
    for seen in &report.containers {
        if let Some(container) = task.containers.iter_mut().find(|c| c.name == seen.name) {
            container_reported(container, seen);
        }
    }
    task.connectivity_at.get_or_insert(now);
    if report.attached || report.status == Some(TaskStatus::Running) {
        attached(task);
    }
    task.pull_started_at = task.pull_started_at.or(report.pull_started_at);
    task.pull_stopped_at = task.pull_stopped_at.or(report.pull_stopped_at);
    match report.status {
        Some(TaskStatus::Running) if task.last < TaskStatus::Running => {
            task.last = TaskStatus::Running;
            task.started_at = Some(now);
        }
        Some(TaskStatus::Stopped) => {
            let (code, reason) = why_stopped(task, &report.reason);
            want_stopped(task, code, &reason, now);
            task.execution_stopped_at = report.execution_stopped_at.or(Some(now));
            stopped(task, now);
        }
        _ => {
            if let Some(reason) = essential_ended(task, &report.reason) {
                want_stopped(task, TaskStopCode::EssentialContainerExited, &reason, now);
            }
        }
    }
}

/// Its interface is where it belongs. An agent that says that the task runs says so too.
fn attached(task: &mut TaskRow) {
    let attachment = task.attachment.as_mut();
    if let Some(attachment) = attachment.filter(|of| of.status == AttachmentStatus::Attaching) {
        attachment.status = AttachmentStatus::Attached;
    }
}

fn container_reported(container: &mut ContainerRow, seen: &ContainerReport) {
    if let Some(status) = seen.status {
        container.status = container.status.max(status);
    }
    container.runtime_id = seen.runtime_id.clone().or(container.runtime_id.take());
    container.image_digest = seen.image_digest.clone().or(container.image_digest.take());
    container.exit_code = container.exit_code.or(seen.exit_code);
    let reason = seen.reason.as_deref().filter(|reason| !reason.is_empty());
    let reason = reason.map(|reason| limits::cut(reason, limits::REASON_LENGTH));
    container.reason = reason.or(container.reason.take());
    if let Some(bindings) = &seen.network_bindings {
        container.network_bindings.clone_from(bindings);
    }
}

/// An essential container that ended while its task should run. What its agent ended the task for says more.
fn essential_ended(task: &TaskRow, said: &str) -> Option<String> {
    let ended = |c: &&ContainerRow| c.essential && c.status == TaskStatus::Stopped;
    let words = if said.is_empty() { "Essential container in task exited" } else { said };
    task.containers.iter().find(ended).map(|_| words.to_owned())
}

/// Why a task that its agent calls STOPPED did stop, when nobody had asked for it.
fn why_stopped(task: &TaskRow, said: &str) -> (TaskStopCode, String) {
    if task.started_at.is_some() {
        let ended = essential_ended(task, said).unwrap_or_else(|| said.to_owned());
        return (TaskStopCode::EssentialContainerExited, ended);
    }
    let failed = task.containers.iter().find(|c| c.exit_code.is_none() && c.reason.is_some());
    if let Some(reason) = failed.and_then(|c| c.reason.clone()) {
        return (TaskStopCode::TaskFailedToStart, reason);
    }
    if !said.is_empty() {
        return (TaskStopCode::TaskFailedToStart, said.to_owned());
    }
    let ended = essential_ended(task, said).unwrap_or_else(|| "Task failed to start".to_owned());
    (TaskStopCode::EssentialContainerExited, ended)
}

fn stop_wanted(task: &mut TaskRow, code: TaskStopCode, reason: &str, now: Timestamp) {
    // No agent has heard of one that is PROVISIONING.
    let is_unheard = task.instance.is_none() || task.last == TaskStatus::Provisioning;
    want_stopped(task, code, reason, now);
    if is_unheard {
        stopped(task, now);
    }
}

/// It shall be stopped from now on, and goes on until then, unless nobody has begun it.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-capacity-providers.html>
fn interrupted(task: &mut TaskRow, stop_at: Timestamp, now: Timestamp) {
    let (code, reason) = (TaskStopCode::SpotInterruption, "Your Spot Task was interrupted.");
    let last = task.last;
    stop_wanted(task, code, reason, now);
    let goes_on = task.last == TaskStatus::Stopping && last < TaskStatus::Stopping;
    if let Some(of) = task.fargate.as_mut().filter(|_| goes_on) {
        of.stop_at = Some(stop_at);
        task.last = last;
    }
}

/// From now on the task shall be stopped. The first reason stands.
fn want_stopped(task: &mut TaskRow, code: TaskStopCode, reason: &str, now: Timestamp) {
    task.desired = Desired::Stopped;
    task.protected_until = None;
    task.stopping_at.get_or_insert(now);
    task.stop.get_or_insert_with(|| Stop {
        code,
        reason: limits::cut(reason, limits::REASON_LENGTH),
        at: now,
    });
    task.last = task.last.max(TaskStatus::Stopping);
}

/// Nothing of it is left on its host. What it has of a network goes first.
fn stopped(task: &mut TaskRow, now: Timestamp) {
    task.waits = None;
    if let Some(of) = &mut task.fargate {
        of.stop_at = None;
    }
    for container in &mut task.containers {
        container.status = TaskStatus::Stopped;
    }
    if detaches(task.attachment.as_deref_mut()) {
        task.last = TaskStatus::Deprovisioning;
        return;
    }
    task.last = TaskStatus::Stopped;
    task.stopped_at = Some(now);
    task.forget_at = Some(now.plus_millis(limits::STOPPED_TASK_KEPT_MS));
}

/// Whether an interface has to go first. It is DELETED when it had begun to, or was never asked for.
fn detaches(attachment: Option<&mut AttachmentRow>) -> bool {
    let Some(attachment) = attachment else { return false };
    let begins = attachment.status < AttachmentStatus::Detaching && attachment.subnet.is_some();
    attachment.network = None;
    attachment.status = if begins { AttachmentStatus::Detaching } else { AttachmentStatus::Deleted };
    begins
}

#[cfg(test)]
mod tests;
