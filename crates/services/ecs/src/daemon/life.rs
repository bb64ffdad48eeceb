//! The life of a deployment of a daemon, by its status alone: it only goes on, and what has ended does not change.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/managed-daemons-deployments.html>

use wire::Timestamp;

use crate::cluster::{DaemonDeploymentRow, DaemonDeploymentStatus, DaemonRevisionId, DaemonRollbackRow};

/// What happens to a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening<'a> {
    /// Its first step is carried out.
    Started,
    /// All container instances have what it deploys, and its bake time is over.
    Completed,
    /// It failed.
    Failed { reason: &'a str },
    /// It goes back to an earlier revision.
    RollsBack { to: DaemonRevisionId },
    /// It goes no further: it failed, or another one takes its place.
    Stopped { reason: Option<&'a str> },
}

/// The status after it; `None` where it makes no difference.
pub fn next(status: DaemonDeploymentStatus, happening: &Happening) -> Option<DaemonDeploymentStatus> {
    use DaemonDeploymentStatus as Is;
    use Happening::{Completed, Failed, RollsBack, Started, Stopped};
    Some(match (happening, status) {
        (Started, Is::Pending) => Is::InProgress,
        (Completed, Is::InProgress) => Is::Successful,
        (Completed, Is::RollbackInProgress) => Is::RollbackSuccessful,
        (Failed { .. }, Is::InProgress) => Is::StopRequested,
        (RollsBack { .. }, Is::StopRequested) => Is::RollbackInProgress,
        (Stopped { .. }, Is::RollbackInProgress) => Is::RollbackFailed,
        (Stopped { .. }, status) if !status.has_ended() => Is::Stopped,
        _ => return None,
    })
}

/// The row after it; `None` where it makes no difference.
pub fn step(row: &DaemonDeploymentRow, happening: &Happening, now: Timestamp) -> Option<DaemonDeploymentRow> {
    let status = next(row.status, happening)?;
    let mut after = DaemonDeploymentRow { status, bake_until: None, ..row.clone() };
    match happening {
        Happening::Started => after.started_at = Some(now),
        Happening::Completed => {}
        Happening::Failed { reason } => after.status_reason = Some((*reason).to_owned()),
        Happening::RollsBack { to } => {
            let reason = row.status_reason.clone().unwrap_or_default();
            after.rollback = Some(DaemonRollbackRow { reason, started_at: now, to: *to });
        }
        Happening::Stopped { reason } => {
            after.status_reason = reason.map(str::to_owned).or(after.status_reason);
        }
    }
    if status == DaemonDeploymentStatus::Stopped {
        after.stopped_at = Some(now);
    }
    if status.has_ended() {
        after.finished_at = Some(now);
    }
    Some(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_goes_along_the_statuses_of_ecs_and_what_has_ended_does_not_change() {
        use DaemonDeploymentStatus::{
            InProgress, Pending, RollbackFailed, RollbackInProgress, RollbackSuccessful, StopRequested,
            Stopped, Successful,
        };
        let to = DaemonRevisionId::default();
        let all = [
            Happening::Started,
            Happening::Completed,
            Happening::Failed { reason: "r" },
            Happening::RollsBack { to },
            Happening::Stopped { reason: None },
        ];
        for (status, after) in [
            (Pending, [Some(InProgress), None, None, None, Some(Stopped)]),
            (InProgress, [None, Some(Successful), Some(StopRequested), None, Some(Stopped)]),
            (StopRequested, [None, None, None, Some(RollbackInProgress), Some(Stopped)]),
            (RollbackInProgress, [None, Some(RollbackSuccessful), None, None, Some(RollbackFailed)]),
            (Successful, [None; 5]),
            (Stopped, [None; 5]),
            (RollbackSuccessful, [None; 5]),
            (RollbackFailed, [None; 5]),
        ] {
            for (happening, after) in all.iter().zip(after) {
                assert_eq!(next(status, happening), after, "{status:?} {happening:?}");
            }
        }
    }
}
