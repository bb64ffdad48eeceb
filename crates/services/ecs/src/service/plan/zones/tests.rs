//! Balance over zones, by example and by property.

use proptest::prelude::*;
use state::Id128;
use wire::Timestamp;

use super::*;
use crate::cluster::TaskId;

fn zones(tasks: &[usize]) -> BTreeMap<Zone, usize> {
    tasks.iter().enumerate().map(|(at, tasks)| (name(at), *tasks)).collect()
}

fn name(at: usize) -> Zone {
    format!("z{at}").into()
}

#[test]
fn examples() {
    for (tasks, most, expected) in [
        (&[][..], 9, &[][..]),
        (&[5], 9, &[0]),
        (&[1, 0], 9, &[0, 0]),
        (&[2, 1], 9, &[0, 0]),
        (&[2, 0], 9, &[0, 1]),
        (&[4, 0], 9, &[0, 2]),
        (&[4, 0], 1, &[0, 1]),
        (&[4, 0], 0, &[0, 0]),
        (&[5, 0], 9, &[0, 2]),
        (&[3, 3, 0], 9, &[0, 0, 2]),
        (&[4, 3, 0], 9, &[0, 0, 2]),
        (&[6, 0, 0], 9, &[0, 2, 2]),
        (&[6, 0, 0], 3, &[0, 2, 1]),
        (&[6, 1, 0], 1, &[0, 0, 1]),
        (&[1, 1, 1, 0], 9, &[0, 0, 0, 0]),
        (&[3, 1, 1], 9, &[0, 1, 0]),
    ] {
        let is = missing(&zones(tasks), most);
        let expected: BTreeMap<Zone, usize> =
            zones(expected).into_iter().filter(|(_, missing)| *missing > 0).collect();
        assert_eq!(is, expected, "{tasks:?} {most}");
    }
}

/// The tasks `from..from + count` of a zone, the newest first.
fn in_zone(at: usize, tasks: usize, may_go: usize, newest: u128) -> InZone {
    let place = |n: usize| (Timestamp(0), TaskId(Id128(newest - n as u128)));
    InZone { zone: name(at), tasks, may_go: (0..may_go).map(place).collect() }
}

#[test]
fn the_fullest_zone_gives_first_and_what_may_not_go_stays() {
    let of = |zones: &[InZone], most: usize| {
        let chosen = fullest_first(zones.to_vec(), most);
        chosen.into_iter().map(|(zone, (_, id))| (zone.to_string(), id.0.0)).collect::<Vec<_>>()
    };
    let each =
        |all: &[(usize, u128)]| all.iter().map(|(at, id)| (name(*at).to_string(), *id)).collect::<Vec<_>>();
    let two = [in_zone(0, 3, 3, 10), in_zone(1, 1, 1, 20)];
    assert_eq!(of(&two, 2), each(&[(0, 10), (0, 9)]));
    // Alike, the newest goes.
    assert_eq!(of(&two, 9), each(&[(0, 10), (0, 9), (1, 20), (0, 8)]));
    let kept = [in_zone(0, 3, 0, 10), in_zone(1, 1, 1, 20)];
    assert_eq!(of(&kept, 2), each(&[(1, 20)]));
    assert_eq!(of(&[], 1), []);
    // Where a service is rebalanced nothing is won by taking from any but the fullest.
    let of = |zones: &[InZone]| of_the_fullest(zones.to_vec(), 9).len();
    assert_eq!((of(&two), of(&kept)), (4, 0));
    assert_eq!(of(&[in_zone(0, 4, 0, 10), in_zone(1, 4, 4, 20), in_zone(2, 2, 2, 30)]), 1);
}

proptest! {
    #[test]
    fn what_starts_and_then_stops_brings_balance(tasks in proptest::collection::vec(0..20usize, 1..6)) {
        let before = zones(&tasks);
        let start = missing(&before, usize::MAX >> 1);
        prop_assert_eq!(start.is_empty(), is_balanced(&before));
        let moved: usize = start.values().sum();
        let full: Vec<InZone> = before.iter().enumerate().map(|(at, (zone, tasks))| {
            let all = tasks + start.get(zone).copied().unwrap_or_default();
            in_zone(at, all, all, 1000 * (at as u128 + 1))
        }).collect();
        let mut after: BTreeMap<Zone, usize> = full.iter().map(|zone| (zone.zone.clone(), zone.tasks)).collect();
        for (zone, _) in of_the_fullest(full, moved) {
            prop_assert!(!start.contains_key(&zone), "what has just started stays");
            *after.get_mut(&zone).unwrap() -= 1;
        }
        prop_assert!(is_balanced(&after));
        prop_assert_eq!(after.values().sum::<usize>(), before.values().sum::<usize>());
    }

    #[test]
    fn fewer_at_a_time_come_to_the_same_end(tasks in proptest::collection::vec(0..20usize, 1..6), most in 1..4usize) {
        let mut now = zones(&tasks);
        for _ in 0..200 {
            let start = missing(&now, most);
            let moved: usize = start.values().sum();
            prop_assert!(moved <= most);
            for (zone, more) in start {
                *now.get_mut(&zone).unwrap() += more;
            }
            let full = now.iter().enumerate().map(|(at, (_, tasks))| in_zone(at, *tasks, *tasks, 1000));
            for (zone, _) in of_the_fullest(full.collect(), moved) {
                *now.get_mut(&zone).unwrap() -= 1;
            }
        }
        prop_assert!(is_balanced(&now));
    }
}
