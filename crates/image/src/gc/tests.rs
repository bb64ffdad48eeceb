//! The plan of a collection, by table and by property.

use super::*;

const HOUR: i64 = 3600;

fn image(n: u8, last_used: i64, layers: &[(u8, u64)]) -> Candidate {
    let layer = |&(chain, size): &(u8, u64)| Layer {
        chain: Digest::of(&[1, chain]),
        diff_id: Digest::of(&[chain]),
        size,
    };
    Candidate {
        digest: Digest::of(&[0, n]),
        layers: layers.iter().map(layer).collect(),
        origin: Origin::Pulled,
        held: false,
        last_used: at(last_used),
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).expect("in range")
}

const EMPTY: Disk = Disk { total: 1000, used: 0 };

fn chosen(candidates: &[Candidate], disk: Disk, now: i64, policy: &Policy) -> Vec<(usize, Reason)> {
    let plan = plan(candidates, disk, at(now), policy);
    let place = |r: &Removal| candidates.iter().position(|c| c.digest == r.digest).expect("one of them");
    plan.iter().map(|r| (place(r), r.reason)).collect()
}

#[test]
fn the_least_recently_used_go_first_and_few_in_a_round() {
    let images: Vec<Candidate> = (0..8).map(|n| image(n, -i64::from(n), &[(n, 1)])).collect();
    let policy = Policy::default();
    let ages = |n: usize| (n, Reason::Age);
    assert_eq!(chosen(&images, EMPTY, 10 * HOUR, &policy), [ages(7), ages(6), ages(5), ages(4), ages(3)]);
}

#[test]
fn young_held_and_loaded_images_stay() {
    let mut images =
        vec![image(0, 0, &[(0, 1)]), image(1, 0, &[(1, 1)]), image(2, 2 * HOUR, &[(2, 1)]), image(3, 0, &[])];
    images[0].held = true;
    images[1].origin = Origin::Loaded;
    let policy = Policy::default();
    assert_eq!(chosen(&images, EMPTY, HOUR - 1, &policy), []);
    assert_eq!(chosen(&images, EMPTY, HOUR, &policy), [(3, Reason::Age)]);
    // A clock that was set back makes nothing old.
    assert_eq!(chosen(&images, EMPTY, -1000 * HOUR, &policy), []);
    let full = Disk { total: 1000, used: 1000 };
    assert_eq!(chosen(&images, full, 3 * HOUR, &policy), [(3, Reason::Age), (2, Reason::Age)]);
}

#[test]
fn pressure_frees_down_to_the_low_mark_and_counts_shared_layers_once() {
    // Layer 9 is under all of them, so it is only freed with the last.
    let images: Vec<Candidate> = (0..4).map(|n| image(n, i64::from(n), &[(9, 500), (n, 60)])).collect();
    let policy = Policy { per_round: 0, ..Policy::default() };
    let press = |n: usize| (n, Reason::Pressure);
    let disk = |used| Disk { total: 1000, used };
    assert_eq!(chosen(&images, disk(850), 600, &policy), []);
    assert_eq!(chosen(&images, disk(851), 600, &policy), [press(0), press(1)]);
    assert_eq!(chosen(&images, disk(1000), 600, &policy), [press(0), press(1), press(2), press(3)]);
    assert_eq!(chosen(&images, disk(1000), 100, &policy), [], "pulled for something that is about to start");
}

proptest::proptest! {
    #[test]
    fn no_plan_touches_what_is_held_loaded_or_young(
        specs in proptest::collection::vec((proptest::bool::ANY, proptest::bool::ANY, 0..10_000_i64, 0..4_u8), 0..12),
        used in 0..=1000_u64,
        per_round in 0..6_usize,
    ) {
        let images: Vec<Candidate> = specs.iter().enumerate().map(|(n, &(held, loaded, last_used, layer))| Candidate {
            held,
            origin: if loaded { Origin::Loaded } else { Origin::Pulled },
            ..image(n as u8, last_used, &[(layer, 50), (100 + n as u8, 30)])
        }).collect();
        let policy = Policy { per_round, ..Policy::default() };
        let disk = Disk { total: 1000, used };
        let plan = plan(&images, disk, at(10_000), &policy);
        let mut seen = BTreeSet::new();
        for removal in &plan {
            let image = images.iter().find(|i| i.digest == removal.digest).expect("one of them");
            proptest::prop_assert!(seen.insert(&removal.digest), "twice");
            proptest::prop_assert!(!image.held && image.origin == Origin::Pulled);
            let min = if removal.reason == Reason::Age { policy.min_age } else { policy.min_age_pressed };
            proptest::prop_assert!(age(image, at(10_000)) >= min);
        }
        let by_age = plan.iter().filter(|r| r.reason == Reason::Age).count();
        proptest::prop_assert!(by_age <= per_round);
        if used <= 850 {
            proptest::prop_assert_eq!(by_age, plan.len());
        }
    }
}
