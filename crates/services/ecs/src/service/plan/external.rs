//! The controller of services that somebody else deploys: each task set has its share of the desired count.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-external.html>

use crate::cluster::{
    DeploymentId, TaskSetRow,
    tally::{Share, Standing},
};

/// How many tasks a share of so many percent is: rounded up.
pub fn computed(desired: i32, scale: f64) -> i32 {
    // Percentages are no binary fractions: what is that much over a whole number is meant to be that.
    let count = f64::from(desired.max(0)) * scale / 100.0 - 1e-9;
    (count.ceil() as i32).max(0)
}

/// What each task set is to have; nothing where it is deleted.
pub fn counts<'a>(desired: i32, sets: impl IntoIterator<Item = &'a TaskSetRow>) -> Vec<(DeploymentId, i32)> {
    let one = |set: &TaskSetRow| (set.id, if set.draining { 0 } else { computed(desired, set.scale) });
    sets.into_iter().map(one).collect()
}

/// Whether a task set that is to have so many tasks has them, all healthy and none where it must not stay.
pub fn is_steady(share: &Share, count: i32) -> bool {
    let ready = share.count(|class| !class.leaving && class.standing == Standing::Healthy);
    i32::try_from(ready).is_ok_and(|ready| ready == count)
        && share.count(|_| true) == ready
        && (share.running, share.pending) == (count, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_up_to_whole_tasks() {
        for (desired, scale, count) in [
            (10, 0.0, 0),
            (10, 100.0, 10),
            (10, 30.0, 3),
            (10, 12.0, 2),
            (1, 0.1, 1),
            (3, 33.3, 1),
            (3, 33.4, 2),
            (5000, 14.1, 705),
            (0, 50.0, 0),
        ] {
            assert_eq!(computed(desired, scale), count, "{scale} % of {desired}");
        }
    }
}
