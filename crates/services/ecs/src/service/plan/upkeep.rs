//! What a service runs is kept up while a deployment replaces it: a task of the revision that serves, lost or UNHEALTHY, is made
//! up for by that revision, whatever becomes of the new one, and a service that is scaled out has more of both. Pure.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-ecs.html>,
//! <https://aws.amazon.com/about-aws/whats-new/2025/11/amazon-ecs-service-availability-rolling-deployments>

use super::{percents, stages};
use crate::cluster::{
    DeploymentId, DeploymentRolloutState, ServiceDeploymentRow, ServiceRow, Stage, Tally,
    tally::{Class, Standing},
};

/// What is done for the revision that serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upkeep {
    pub of: DeploymentId,
    /// So many tasks of it are missing, and there is room for them within maximumPercent.
    pub start: usize,
    /// What comes of it is needed, and not replaced before it has come.
    pub holds: bool,
}

/// The revision that is kept up, which is another one than the PRIMARY deployment's, while tasks are replaced within
/// percentages. A deployment that failed and is not rolled back starts no task of any revision.
pub fn revision(service: &ServiceRow, row: Option<&ServiceDeploymentRow>) -> Option<DeploymentId> {
    let rolls = |row: &&ServiceDeploymentRow| row.course.as_ref().is_none_or(stages::rolls);
    let replaces = |row: &&ServiceDeploymentRow| {
        row.stage.as_ref().is_none_or(|stage| stage.stage == Stage::ScaleUp) && row.rollback.is_none()
    };
    let row = row.filter(rolls).filter(replaces).filter(|row| row.keeps > 0 && !service.daemon())?;
    let (primary, others) = service.deployments.split_first()?;
    let serves = service.completed.filter(|id| others.iter().any(|other| other.id == *id))?;
    let goes_on = primary.id == row.target && primary.rollout == DeploymentRolloutState::InProgress;
    goes_on.then_some(serves)
}

/// What is to be done for it now, if anything may have to be.
pub fn of(service: &ServiceRow, row: Option<&ServiceDeploymentRow>, tally: &Tally) -> Option<Upkeep> {
    let of = revision(service, row)?;
    let wanted = wanted(service, row?, tally);
    let has = count(tally.share(&of).count(Class::stays));
    let all = count(tally.count(|_, _| true));
    let room = percents::ceiling(service.desired_count, service.maximum_percent) - all;
    let start = (wanted - has).min(room).max(0);
    let holds = wanted > 0 && has + start <= wanted;
    Some(Upkeep { of, start: usize::try_from(start).unwrap_or(0), holds })
}

/// How many tasks the revision that serves is to have: those that no healthy one has come in place of.
pub fn wanted(service: &ServiceRow, row: &ServiceDeploymentRow, tally: &Tally) -> i32 {
    let ready = |class: Class| class.stays() && class.standing == Standing::Healthy;
    let ready = tally.share(&row.target).count(ready);
    row.keeps.min(service.desired_count - count(ready))
}

/// How many tasks a deployment that begins has to keep up, of a service that wanted `desired` before: all of them, or what the
/// one before it, which has not ended well, had left.
pub fn at_first(service: &ServiceRow, before: Option<&ServiceDeploymentRow>, desired: i32) -> i32 {
    let Some(primary) = service.deployments.first() else { return 0 };
    if service.completed == Some(primary.id) { desired } else { before.map_or(0, |before| before.keeps) }
}

fn count(tasks: usize) -> i32 {
    i32::try_from(tasks).unwrap_or(i32::MAX)
}
