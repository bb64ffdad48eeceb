//! How tasks are distributed: in a table, and for whatever strategy.

use proptest::prelude::*;

use super::*;

fn item(name: usize, base: i32, weight: i32) -> Item {
    Item { capacity_provider: format!("p{name}"), weight: Some(weight), base: Some(base) }
}

fn strategy(of: &[(i32, i32)]) -> Vec<Item> {
    of.iter().enumerate().map(|(at, (base, weight))| item(at, *base, *weight)).collect()
}

/// How so many tasks are distributed, one after the other.
fn distributed(strategy: &[Item], tasks: usize) -> Vec<usize> {
    let mut have = vec![0; strategy.len()];
    for _ in 0..tasks {
        if let Some(at) = next(strategy, &have, None) {
            have[at] += 1;
        }
    }
    have
}

#[test]
fn the_base_comes_first_and_then_the_weights() {
    // Base and weight of each provider, how many tasks, and how many of them go where.
    type Case = (&'static [(i32, i32)], usize, &'static [usize]);
    let table: &[Case] = &[
        (&[(0, 1)], 3, &[3]),
        (&[(0, 1), (0, 1)], 5, &[3, 2]),
        (&[(0, 1), (0, 4)], 10, &[2, 8]),
        (&[(1, 1), (0, 4)], 1, &[1, 0]),
        (&[(2, 1), (0, 1)], 4, &[3, 1]),
        (&[(0, 1), (3, 1)], 2, &[0, 2]),
        (&[(2, 0), (0, 1)], 5, &[2, 3]),
        (&[(0, 0), (0, 1)], 5, &[0, 5]),
        (&[(0, 0)], 5, &[0]),
        (&[(0, 3), (0, 2), (0, 1)], 12, &[6, 4, 2]),
    ];
    for (of, tasks, expected) in table {
        assert_eq!(distributed(&strategy(of), *tasks), *expected, "{of:?}");
    }
}

#[test]
fn one_task_at_a_time_goes_by_chance_to_each_by_its_weight() {
    let strategy = strategy(&[(0, 1), (0, 0), (0, 3)]);
    let mut went = [0; 3];
    for chance in 0..4000 {
        went[next(&strategy, &[0, 0, 0], Some(chance)).unwrap()] += 1;
    }
    assert_eq!(went, [1000, 0, 3000]);
}

fn any_strategy() -> impl Strategy<Value = Vec<Item>> {
    let weights = prop::collection::vec(0..6, 1..6);
    (weights, 0usize..6, 0..8).prop_map(|(weights, with_base, base)| {
        let base_of = |at: usize| if at == with_base { base } else { 0 };
        weights.into_iter().enumerate().map(|(at, weight)| item(at, base_of(at), weight)).collect()
    })
}

proptest! {
    /// The base is there first; beyond it each has its part by weight, but for less than one task.
    #[test]
    fn each_has_its_base_and_its_part(strategy in any_strategy(), tasks in 0usize..200) {
        let have = distributed(&strategy, tasks);
        let bases: usize = strategy.iter().map(base).sum();
        let weights: usize = strategy.iter().map(weight).sum();
        let all = if weights == 0 { tasks.min(bases) } else { tasks };
        prop_assert_eq!(have.iter().sum::<usize>(), all);
        let beyond = tasks.saturating_sub(bases);
        for (item, have) in strategy.iter().zip(&have) {
            prop_assert!(*have >= base(item).min(tasks));
            if weights > 0 && tasks >= bases {
                let part = beyond as f64 * weight(item) as f64 / weights as f64;
                let off = (have - base(item)) as f64 - part;
                prop_assert!(off.abs() <= strategy.len() as f64, "{} of {}", have, part);
            }
        }
    }

    /// Whatever came last goes first, so that what is left is as it was before.
    #[test]
    fn what_goes_leaves_the_distribution(strategy in any_strategy(), tasks in 1usize..200) {
        let have = distributed(&strategy, tasks);
        let mut left = have.clone();
        let Some(at) = last(&strategy, &have, |_| true) else {
            prop_assert_eq!(have.iter().sum::<usize>(), 0);
            return Ok(());
        };
        left[at] -= 1;
        prop_assert_eq!(left, distributed(&strategy, have.iter().sum::<usize>() - 1));
    }

    /// From whatever there is, as many steps as it takes lead to what the strategy says.
    #[test]
    fn what_goes_and_comes_is_distributed(
        strategy in any_strategy(),
        more in prop::collection::vec(0usize..20, 6),
    ) {
        let mut have = more[..strategy.len()].to_vec();
        prop_assume!(strategy.iter().any(|item| weight(item) > 0));
        let tasks: usize = have.iter().sum();
        for _ in 0..tasks {
            let Some(at) = last(&strategy, &have, |_| true) else { break };
            have[at] -= 1;
        }
        prop_assert_eq!(have.iter().sum::<usize>(), 0);
        // Only what may go does.
        let only = last(&strategy, &more[..strategy.len()], |at| at == 0);
        prop_assert_eq!(only.is_some(), more[0] > 0);
    }

    #[test]
    fn whatever_the_chance_one_that_takes_tasks_is_drawn(
        strategy in any_strategy(),
        have in prop::collection::vec(0usize..20, 6),
        chance in any::<u64>(),
    ) {
        let have = &have[..strategy.len()];
        let (sure, drawn) = (next(&strategy, have, None), next(&strategy, have, Some(chance)));
        prop_assert_eq!(sure.is_some(), drawn.is_some());
        if let Some((sure, drawn)) = sure.zip(drawn) {
            let of = |at: usize| (have[at].saturating_sub(base(&strategy[at])), weight(&strategy[at]));
            prop_assert!(have[sure] < base(&strategy[sure]) || !is_less(of(sure), of(drawn)));
            prop_assert!(have[drawn] < base(&strategy[drawn]) || weight(&strategy[drawn]) > 0);
        }
    }
}
