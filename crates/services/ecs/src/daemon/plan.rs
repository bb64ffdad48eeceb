//! How many container instances a daemon takes up next: a pure function of how many there are of which kind.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/managed-daemons-deployments.html>

use crate::limits;

/// A daemon as its next step is planned from.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct View {
    /// Where it belongs.
    pub eligible: usize,
    /// Where its task is missing, though it may start: each is under way.
    pub lacking: usize,
    /// Its tasks that shall run and are of what is wanted, but are not healthy yet.
    pub coming: usize,
    /// Its tasks that are stopping.
    pub stopping: usize,
    /// The share of the container instances that its deployment takes up at a time, in percent; none where no
    /// deployment goes on.
    pub drain_percent: Option<f64>,
    /// A task can be started now.
    pub may_start: bool,
}

/// How many container instances a deployment takes up at a time: the share of all, and one at the least.
pub fn batch(eligible: usize, percent: f64) -> usize {
    let share = (eligible as f64 * percent / 100.0).floor();
    // A share of what there is fits; what is no number is nought.
    (share as usize).clamp(1, eligible.max(1))
}

/// How many container instances more are taken up.
pub fn budget(view: &View) -> usize {
    if !view.may_start {
        return 0;
    }
    let under_way = view.lacking + view.coming + view.stopping;
    let most = view.drain_percent.map_or(usize::MAX, |percent| batch(view.eligible, percent));
    most.saturating_sub(under_way).min(limits::SETTLE_TASKS)
}

/// At how many failures a deployment is given up.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/managed-daemons-deployments.html>
pub fn threshold(eligible: usize) -> i32 {
    let (least, most) = limits::BREAKER_THRESHOLD;
    i32::try_from(eligible.div_ceil(2)).unwrap_or(i32::MAX).clamp(least, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_a_share_of_the_container_instances_and_one_at_the_least() {
        for (eligible, percent, is) in [
            (0, 25.0, 1),
            (1, 25.0, 1),
            (3, 25.0, 1),
            (4, 25.0, 1),
            (8, 25.0, 2),
            (11, 25.0, 2),
            (10, 0.0, 1),
            (10, 100.0, 10),
            (10, 33.4, 3),
            (10_000, 1.0, 100),
            (5, f64::NAN, 1),
        ] {
            assert_eq!(batch(eligible, percent), is, "{eligible} {percent}");
        }
    }

    #[test]
    fn what_is_under_way_takes_from_what_may_be_taken_up() {
        let view = View { eligible: 8, drain_percent: Some(50.0), may_start: true, ..View::default() };
        assert_eq!(budget(&view), 4);
        assert_eq!(budget(&View { coming: 1, stopping: 1, lacking: 1, ..view }), 1);
        assert_eq!(budget(&View { coming: 9, ..view }), 0);
        assert_eq!(budget(&View { may_start: false, ..view }), 0);
        assert_eq!(budget(&View { drain_percent: None, coming: 9, ..view }), limits::SETTLE_TASKS);
    }

    #[test]
    fn half_of_the_container_instances_may_fail_within_bounds() {
        for (eligible, at) in [(0, 3), (1, 3), (6, 3), (7, 4), (100, 50), (399, 200), (10_000, 200)] {
            assert_eq!(threshold(eligible), at, "{eligible}");
        }
    }
}
