//! Who is let in when, and that it is whoever the scheduler has placed.

use proptest::prelude::*;

use super::*;

fn needs(cpu: u64, memory_mib: u64, ports: &[u16]) -> Needs {
    Needs { cpu, memory_mib, ports_tcp: ports.iter().copied().collect(), ..Needs::default() }
}

fn ids(names: &[&str]) -> Vec<TaskId> {
    names.iter().map(|n| n.to_string()).collect()
}

#[test]
fn one_that_does_not_fit_holds_up_none_that_does() {
    let mut host = Admission::new(1024, 1000);
    assert!(host.ask(&"a".into(), needs(1000, 10, &[80])));
    assert!(!host.ask(&"b".into(), needs(100, 10, &[])));
    assert!(!host.ask(&"port".into(), needs(1, 10, &[80])));
    assert!(host.ask(&"c".into(), needs(1, 1, &[81])));
    assert_eq!(host.waiting(), 2);
    host.stopped(&"a".into());
    assert_eq!(host.admit(), ids(&["b"]));
    host.released(&"a".into());
    assert_eq!(host.admit(), ids(&["port"]));
    assert!(host.ask(&"port".into(), needs(1, 10, &[80])), "asking again tells the same");
}

#[test]
fn a_port_of_the_same_number_is_another_for_another_protocol() {
    let mut host = Admission::new(1024, 1000);
    let udp = Needs { ports_udp: [53].into(), ..needs(1, 1, &[]) };
    assert!(host.ask(&"tcp".into(), needs(1, 1, &[53])));
    assert!(host.ask(&"udp".into(), udp.clone()));
    // As after a restart that finds two of one port: the first to go does not free it.
    host.readmit(&"again".into(), udp.clone());
    host.released(&"udp".into());
    assert!(!host.ask(&"next".into(), udp));
    host.released(&"again".into());
    assert_eq!(host.admit(), ids(&["next"]));
}

#[test]
fn nothing_is_given_back_twice() {
    let mut host = Admission::new(10, 10);
    host.readmit(&"a".into(), needs(10, 10, &[]));
    for _ in 0..2 {
        host.stopped(&"a".into());
        host.released(&"a".into());
    }
    assert!(host.ask(&"b".into(), needs(6, 6, &[])));
    assert!(!host.ask(&"c".into(), needs(6, 6, &[])));
    host.released(&"c".into());
    assert_eq!(host.waiting(), 0);
}

#[test]
fn who_was_passed_by_many_is_passed_no_more() {
    let mut host = Admission::new(100, 100);
    assert!(host.ask(&"small".into(), needs(50, 50, &[])));
    assert!(!host.ask(&"big".into(), needs(80, 80, &[])));
    let mut passed = 0;
    while host.ask(&format!("s{passed}"), needs(50, 50, &[])) {
        host.released(&format!("s{passed}"));
        passed += 1;
    }
    assert_eq!(passed, PASSES_MAX);
    // Those that take nothing of what it waits for go on.
    assert!(host.ask(&"none".into(), needs(0, 0, &[80])));
    host.released(&"small".into());
    assert_eq!(host.admit(), ids(&["big"]));
    host.released(&"big".into());
    assert_eq!(host.admit(), [format!("s{passed}")]);
}

#[test]
fn more_than_the_host_has_runs_on_an_empty_host() {
    let mut host = Admission::new(100, 100);
    assert!(host.ask(&"a".into(), needs(1, 1, &[])));
    assert!(!host.ask(&"huge".into(), needs(0, 1000, &[])));
    host.released(&"a".into());
    assert_eq!(host.admit(), ids(&["huge"]));
}

/// What happens on a host, as a random number makes it.
#[derive(Debug, Clone)]
enum Deed {
    Place(Needs),
    /// A task ends: the scheduler gives away at once what it had.
    End(usize),
    /// The engine has given back what an ended task had.
    Release(usize),
    Restart,
}

fn deed() -> impl Strategy<Value = Deed> {
    let ports = || proptest::collection::btree_set(1u16..6, 0..3);
    let needs = (0u64..40, 0u64..40, ports(), ports()).prop_map(|(cpu, memory_mib, ports_tcp, ports_udp)| {
        Needs { cpu, memory_mib, ports_tcp, ports_udp, ..Needs::default() }
    });
    prop_oneof![
        4 => needs.prop_map(Deed::Place),
        2 => any::<usize>().prop_map(Deed::End),
        2 => any::<usize>().prop_map(Deed::Release),
        1 => Just(Deed::Restart),
    ]
}

/// Whether the scheduler finds room, by its own rule (placement's filter).
fn has_room(live: &BTreeMap<TaskId, Needs>, needs: &Needs, (cpu, memory): (u64, u64)) -> bool {
    let lacks = |has: u64, used: u64, needs: u64| needs > 0 && has.saturating_sub(used) < needs;
    !lacks(cpu, live.values().map(|n| n.cpu).sum(), needs.cpu)
        && !lacks(memory, live.values().map(|n| n.memory_mib).sum(), needs.memory_mib)
        && live
            .values()
            .all(|n| n.ports_tcp.is_disjoint(&needs.ports_tcp) && n.ports_udp.is_disjoint(&needs.ports_udp))
}

proptest! {
    #[test]
    fn whoever_the_scheduler_places_is_let_in(deeds in proptest::collection::vec(deed(), 1..200)) {
        let total = (100, 100);
        let mut host = Admission::new(total.0, total.1);
        let (mut live, mut ended) = (BTreeMap::new(), BTreeMap::new());
        let mut admitted = BTreeSet::new();
        for (number, deed) in deeds.into_iter().enumerate() {
            let pick = |of: &BTreeMap<TaskId, Needs>, n: usize| of.keys().nth(n % of.len().max(1)).cloned();
            match deed {
                Deed::Place(needs) if has_room(&live, &needs, total) => {
                    let id = format!("{number:04}");
                    live.insert(id.clone(), needs.clone());
                    if host.ask(&id, needs) {
                        admitted.insert(id);
                    }
                }
                Deed::Place(_) => {}
                Deed::End(n) => if let Some(id) = pick(&live, n) {
                    ended.extend(live.remove(&id).map(|needs| (id.clone(), needs)));
                    host.stopped(&id);
                    admitted.extend(host.admit());
                },
                Deed::Release(n) => if let Some(id) = pick(&ended, n) {
                    ended.remove(&id);
                    host.released(&id);
                    admitted.extend(host.admit());
                },
                Deed::Restart => {
                    // As adoption does it: those admitted first, and the ended of them end again.
                    host = Admission::new(total.0, total.1);
                    for (id, needs) in live.iter().chain(&ended).filter(|(id, _)| admitted.contains(*id)) {
                        host.readmit(id, needs.clone());
                    }
                    ended.keys().for_each(|id| host.stopped(id));
                    ended.retain(|id, _| admitted.contains(id));
                    for (id, needs) in &live {
                        if !admitted.contains(id) && host.ask(id, needs.clone()) {
                            admitted.insert(id.clone());
                        }
                    }
                }
            }
            // Only a port that was not given back keeps anybody waiting.
            for (id, needs) in live.iter().filter(|(id, _)| !admitted.contains(*id)) {
                let held = |had: &Needs| {
                    !had.ports_tcp.is_disjoint(&needs.ports_tcp) || !had.ports_udp.is_disjoint(&needs.ports_udp)
                };
                prop_assert!(ended.values().any(held), "{id} waits for nothing");
            }
        }
        for id in ended.keys() {
            host.released(id);
        }
        admitted.extend(host.admit());
        prop_assert_eq!(host.waiting(), 0);
        prop_assert!(live.keys().all(|id| admitted.contains(id)));
    }
}

#[test]
fn a_gpu_is_free_once_the_containers_have_ended() {
    let with = |gpu: &str| Needs { gpus: [gpu.to_owned()].into(), ..needs(1, 1, &[]) };
    let mut host = Admission::new(10, 10);
    let [a, b, c] = ["a", "b", "c"].map(str::to_owned);
    assert!(host.ask(&a, with("GPU-0")) && host.ask(&c, with("GPU-1")));
    assert!(!host.ask(&b, with("GPU-0")));
    host.stopped(&a);
    assert_eq!(host.admit(), [b]);
    host.released(&a);
    assert!(!host.ask(&a, with("GPU-0")), "b has it now");
}
