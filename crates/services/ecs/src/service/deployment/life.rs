//! The life of a deployment of a service, by its status alone: it only goes on, and what has ended does not change.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-deployment.html>

use wire::Timestamp;

use crate::cluster::{DeploymentId, RollbackRow, ServiceDeploymentRow, ServiceDeploymentStatus};

/// What happens to a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening<'a> {
    /// Its first step is carried out.
    Started,
    /// Its service is steady with what it wants.
    Completed,
    /// A user asks for it to be rolled back.
    RollbackRequested,
    /// A user asks for it to go no further, and not back either.
    StopRequested,
    /// It goes back to an earlier revision.
    RollsBack { to: DeploymentId, reason: &'a str },
    /// It was to go back, and no earlier revision was ever COMPLETED.
    NothingToRollBackTo,
    /// It goes no further: another one takes its place, or it failed.
    Stopped { reason: &'a str },
}

/// The status after it; `None` where it makes no difference.
pub fn next(status: ServiceDeploymentStatus, happening: &Happening) -> Option<ServiceDeploymentStatus> {
    use Happening::{
        Completed, NothingToRollBackTo, RollbackRequested, RollsBack, Started, StopRequested, Stopped,
    };
    use ServiceDeploymentStatus as Is;
    Some(match (happening, status) {
        (Started, Is::Pending) => Is::InProgress,
        (Completed, Is::InProgress) => Is::Successful,
        (Completed, Is::RollbackInProgress) => Is::RollbackSuccessful,
        (RollbackRequested, Is::Pending | Is::InProgress) => Is::RollbackRequested,
        (StopRequested, Is::Pending | Is::InProgress) => Is::StopRequested,
        (RollsBack { .. }, Is::InProgress | Is::RollbackRequested) => Is::RollbackInProgress,
        (NothingToRollBackTo, Is::InProgress | Is::RollbackRequested) => Is::RollbackFailed,
        (Stopped { .. }, Is::RollbackInProgress) => Is::RollbackFailed,
        (Stopped { .. }, status) if !status.has_ended() => Is::Stopped,
        _ => return None,
    })
}

/// The row after it; `None` where it makes no difference.
pub fn step(
    row: &ServiceDeploymentRow,
    happening: &Happening,
    now: Timestamp,
) -> Option<ServiceDeploymentRow> {
    let status = next(row.status, happening)?;
    let mut after = ServiceDeploymentRow { status, updated_at: now, ..row.clone() };
    match happening {
        Happening::Started => after.started_at = Some(now),
        Happening::Completed | Happening::RollbackRequested | Happening::StopRequested => {}
        Happening::RollsBack { to, reason } => {
            after.status_reason = Some((*reason).to_owned());
            let reason = (*reason).to_owned();
            after.rollback = Some(RollbackRow { reason, started_at: now, to: Some(*to) });
        }
        Happening::NothingToRollBackTo => {
            let reason = "No rollback candidate was found to run the rollback.";
            after.status_reason = Some(reason.to_owned());
            after.rollback = Some(RollbackRow { reason: reason.to_owned(), started_at: now, to: None });
        }
        Happening::Stopped { reason } => after.status_reason = Some((*reason).to_owned()),
    }
    if status == ServiceDeploymentStatus::Stopped {
        after.stopped_at = Some(now);
    }
    if status.has_ended() {
        after.finished_at = Some(now);
    }
    Some(after)
}
