//! The planner, by example and by property: a rollout converges and never breaks the percentages.

mod oracle;

use proptest::prelude::*;

use super::{Health, Tasks, Want};
use oracle::{Plan, Seen, count};

/// The tasks that `which` names, counted.
fn counted(tasks: &[Seen], which: impl Fn(&Seen) -> bool) -> Tasks {
    let health = |current: bool| {
        let of = |healthy: bool| count(tasks, |t| t.current == current && t.healthy == healthy && which(t));
        Health { healthy: of(true), not_healthy: of(false) }
    };
    Tasks { current: health(true), outdated: health(false) }
}

/// Plans by counts, and takes what is to stop out of the tasks as the service does: of each kind the newest.
fn plan(want: &Want, tasks: &[Seen]) -> Plan {
    let plan = super::plan(want, &counted(tasks, |_| true), &counted(tasks, |t| t.protected));
    let mut stop = Vec::new();
    for (current, health) in [(true, plan.stop.current), (false, plan.stop.outdated)] {
        for (healthy, most) in [(true, health.healthy), (false, health.not_healthy)] {
            let kind = Seen { current, healthy, protected: false };
            let all = (0..tasks.len()).rev().filter(|at| tasks[*at] == kind);
            stop.extend(all.take(usize::try_from(most).unwrap()));
        }
    }
    stop.sort_unstable();
    Plan { start: plan.start, stop, blocked: plan.blocked }
}

fn seen(text: &str) -> Vec<Seen> {
    // N: current and healthy, n: current and not yet; O, o: outdated; P, p and Q, q: likewise, and protected.
    let one = |c: char| Seen {
        current: "NnPp".contains(c),
        healthy: c.is_ascii_uppercase(),
        protected: "PpQq".contains(c),
    };
    text.chars().map(one).collect()
}

fn want(desired: i32, minimum_healthy_percent: i32, maximum_percent: i32) -> Want {
    Want { desired, minimum_healthy_percent, maximum_percent, may_start: true, ..Want::default() }
}

#[test]
fn examples() {
    for (want, tasks, start, stop) in [
        (want(3, 100, 200), "", 3, vec![]),
        (want(3, 100, 200), "NNN", 0, vec![]),
        (want(2, 100, 200), "NNNN", 0, vec![2, 3]),
        (want(2, 100, 200), "NnN", 0, vec![1]),
        (want(0, 100, 200), "NN", 0, vec![0, 1]),
        // All new ones start first, and old ones go one by one as new ones are healthy.
        (want(3, 100, 200), "OOO", 3, vec![]),
        (want(3, 100, 200), "OOOnnn", 0, vec![]),
        (want(3, 100, 200), "OOONnn", 0, vec![2]),
        (want(3, 100, 200), "ONNN", 0, vec![0]),
        // No room above: old ones go first, down to the floor.
        (want(4, 50, 100), "OOOO", 0, vec![2, 3]),
        (want(4, 50, 100), "OO", 2, vec![]),
        (want(4, 50, 100), "OOnn", 0, vec![]),
        (want(4, 50, 100), "OONN", 0, vec![0, 1]),
        // Neither floor nor ceiling leaves a choice: nothing can move, as in ECS.
        (want(1, 100, 100), "O", 0, vec![]),
        (want(1, 0, 100), "O", 0, vec![0]),
        // Outdated ones that never got healthy do not wait for anything.
        (want(2, 100, 150), "Ooo", 0, vec![1, 2]),
        (want(2, 100, 200), "oo", 2, vec![]),
        // Protected ones are never chosen, and count all the same.
        (want(1, 100, 200), "NPN", 0, vec![0, 2]),
        (want(1, 100, 200), "PPN", 0, vec![2]),
        (want(0, 100, 200), "PpP", 0, vec![]),
        (want(2, 100, 200), "QO", 2, vec![]),
        (want(2, 100, 200), "QON", 1, vec![1]),
        (want(2, 100, 200), "QONN", 0, vec![1]),
        (want(2, 50, 100), "QO", 0, vec![1]),
        (want(2, 50, 100), "QN", 0, vec![]),
        (want(2, 50, 150), "QN", 1, vec![]),
        (want(2, 100, 200), "QqNN", 0, vec![]),
        // One that has not started is no reason to go below the floor.
        (want(1, 100, 200), "Np", 0, vec![]),
        (want(1, 0, 200), "Np", 0, vec![0]),
        (want(2, 50, 200), "NNpp", 0, vec![1]),
        (want(1, 100, 200), "OpN", 0, vec![0]),
        // Those that take the place of others are no surplus.
        (Want { moving: 1, ..want(2, 100, 200) }, "NNn", 0, vec![]),
        (Want { moving: 1, ..want(2, 100, 200) }, "NNNn", 0, vec![3]),
        (Want { moving: 1, ..want(2, 100, 200) }, "N", 1, vec![]),
    ] {
        let plan = plan(&want, &seen(tasks));
        assert_eq!((plan.start, plan.stop), (start, stop), "{want:?} {tasks}");
    }
}

#[test]
fn one_task_is_replaced_at_a_time() {
    for (want, tasks, start, stop) in [
        (want(3, 100, 200), "OOO", 1, vec![]),
        (want(3, 100, 200), "OOOn", 0, vec![]),
        (want(3, 100, 200), "OOON", 0, vec![2]),
        (want(3, 100, 200), "OON", 1, vec![]),
        (want(3, 100, 200), "ONNN", 0, vec![0]),
        // No room above: one goes first, and the next one once its replacement is healthy.
        (want(4, 50, 100), "OOOO", 0, vec![3]),
        (want(4, 50, 100), "OOO", 1, vec![]),
        (want(4, 50, 100), "OOOn", 0, vec![]),
        (want(4, 50, 100), "OOON", 0, vec![2]),
        (want(1, 100, 100), "O", 0, vec![]),
        // Unhealthy ones wait as well.
        (want(3, 0, 200), "ooo", 1, vec![]),
        (want(3, 0, 200), "ooon", 0, vec![]),
        // What is no replacement: a new service, growing, shrinking.
        (want(3, 100, 200), "", 3, vec![]),
        (want(5, 100, 200), "NN", 3, vec![]),
        (want(1, 100, 200), "NNN", 0, vec![1, 2]),
        (want(2, 100, 200), "OOOOO", 0, vec![2, 3, 4]),
        // Protected ones are waited for.
        (want(1, 100, 200), "Q", 1, vec![]),
        (want(1, 100, 200), "QN", 0, vec![]),
        (want(2, 100, 200), "QON", 0, vec![1]),
    ] {
        let plan = plan(&Want { one_at_a_time: true, ..want }, &seen(tasks));
        assert_eq!((plan.start, plan.stop), (start, stop), "{want:?} {tasks}");
    }
}

/// What failed starts nothing, and what runs beside it is kept; only what is too much goes.
#[test]
fn a_deployment_that_has_failed_stands_still() {
    for (want, tasks, stop) in [
        (want(3, 100, 200), "OOO", vec![]),
        (want(4, 50, 100), "OO", vec![]),
        (want(4, 50, 100), "OOOO", vec![]),
        (want(3, 0, 100), "OOONn", vec![2]),
        (want(0, 100, 200), "OOn", vec![0, 1, 2]),
    ] {
        let plan = plan(&Want { stalled: true, ..want }, &seen(tasks));
        assert_eq!((plan.start, plan.stop, plan.blocked), (0, stop, false), "{want:?} {tasks}");
    }
}

/// Said only where nothing can move and nothing is on its way.
#[test]
fn a_deployment_is_blocked_by_its_percentages() {
    for (want, tasks, blocked) in [
        (want(1, 50, 100), "O", true),
        (want(1, 100, 150), "O", true),
        (want(3, 67, 100), "OOO", true),
        (want(2, 100, 100), "ON", true),
        (want(2, 100, 100), "On", false),
        (want(1, 50, 100), "o", false),
        (want(1, 50, 100), "N", false),
        (want(1, 50, 100), "", false),
        (want(1, 0, 100), "O", false),
        (want(2, 50, 100), "OO", false),
        (want(1, 100, 200), "O", false),
        (Want { may_start: false, ..want(1, 50, 100) }, "O", false),
        (want(2, 50, 100), "QN", true),
        (want(2, 50, 150), "QN", false),
    ] {
        assert_eq!(plan(&want, &seen(tasks)).blocked, blocked, "{want:?} {tasks}");
    }
}

proptest! {
    #[test]
    fn counts_decide_as_a_look_at_each_task_does(
        desired in 0..9i32,
        minimum in 0..=100i32,
        maximum in 100..=200i32,
        may_start: bool,
        stalled: bool,
        moving in 0..3i32,
        tasks in proptest::collection::vec(any::<(bool, bool, bool)>(), 0..20),
    ) {
        let want = Want { may_start, stalled, moving, ..want(desired, minimum, maximum) };
        let tasks = tasks.into_iter();
        let tasks: Vec<Seen> =
            tasks.map(|(current, healthy, protected)| Seen { current, healthy, protected }).collect();
        let plan = plan(&want, &tasks);
        prop_assert!(plan.stop.iter().all(|at| !tasks[*at].protected));
        let healthy = tasks.iter().filter(|task| task.healthy).count();
        let gone = plan.stop.iter().filter(|at| tasks[**at].healthy).count();
        let floor = usize::try_from(want.floor()).unwrap();
        prop_assert!(gone == 0 || healthy - gone >= floor);
        prop_assert_eq!(plan, oracle::plan(&want, &tasks));
    }

    /// Nothing is touched while a replacement is not healthy, and the end is the same.
    #[test]
    fn a_rollout_of_one_at_a_time_touches_nothing_while_one_comes(
        desired in 1..9i32,
        minimum in 0..=100i32,
        above in 0..=100i32,
        slow in proptest::collection::vec(any::<bool>(), 64),
    ) {
        let want = Want { one_at_a_time: true, ..want(desired, minimum, 100 + above) };
        let mut tasks = vec![Seen { current: false, healthy: true, protected: false }; desired as usize];
        let mut slow = slow.into_iter();
        for _ in 0..200 {
            let healthy = count(&tasks, |t| t.healthy);
            let coming = count(&tasks, |t| !t.healthy);
            let plan = plan(&want, &tasks);
            let stops = i32::try_from(plan.stop.len()).unwrap();
            let outdated = count(&tasks, |t| !t.current);
            prop_assert!(plan.start + coming <= 1 || outdated == 0, "{} start beside {}", plan.start, coming);
            prop_assert!(stops <= 1 && (coming == 0 || stops == 0));
            let mut at = 0;
            tasks.retain(|_| { at += 1; !plan.stop.contains(&(at - 1)) });
            prop_assert!(count(&tasks, |t| t.healthy) >= want.floor().min(healthy));
            tasks.extend((0..plan.start).map(|_| Seen { current: true, healthy: false, protected: false }));
            prop_assert!(tasks.len() as i32 <= want.ceiling());
            for task in &mut tasks {
                if !slow.next().unwrap_or(false) { task.healthy = true; }
            }
        }
        if want.ceiling() > desired || want.floor() < desired {
            prop_assert!(tasks.iter().all(|task| task.current) && tasks.len() as i32 == desired);
        }
    }

    #[test]
    fn a_rollout_converges_within_the_percentages(
        desired in 0..12i32,
        minimum in 0..=100i32,
        above in 0..=100i32,
        old in 0..14usize,
        slow in proptest::collection::vec(any::<bool>(), 64),
    ) {
        let want = want(desired, minimum, 100 + above);
        let mut tasks = vec![Seen { current: false, healthy: true, protected: false }; old];
        let healthy = |tasks: &[Seen]| count(tasks, |t| t.healthy);
        let mut slow = slow.into_iter();
        for _ in 0..200 {
            let before = (healthy(&tasks), tasks.len() as i32);
            let plan = plan(&want, &tasks);
            let mut at = 0;
            tasks.retain(|_| { at += 1; !plan.stop.contains(&(at - 1)) });
            prop_assert!(healthy(&tasks) >= want.floor().min(before.0).min(desired.max(want.floor())));
            tasks.extend((0..plan.start).map(|_| Seen { current: true, healthy: false, protected: false }));
            prop_assert!(tasks.len() as i32 <= want.ceiling().max(before.1));
            for task in &mut tasks {
                if !slow.next().unwrap_or(false) { task.healthy = true; }
            }
        }
        let moves = want.ceiling() > desired || want.floor() < desired;
        if moves || old == 0 {
            prop_assert_eq!(count(&tasks, |t| t.current), desired);
            prop_assert_eq!(tasks.len() as i32, desired);
            prop_assert_eq!(self::plan(&want, &tasks), Plan::default());
        } else if desired > 0 && old >= usize::try_from(desired).unwrap() {
            prop_assert!(self::plan(&want, &tasks).blocked);
        }
    }
}
