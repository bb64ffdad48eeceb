//! Which task of a service moves next, so that its tasks lie on fewer container instances. Pure.
//!
//! Tasks only ever move onto container instances that have some, and off one whose tasks all fit onto the others. That is so
//! of a container instance if what it holds of the service and could still take is no more than what all of them could
//! still take, which moves do not change: so whichever is chosen stays the one with the fewest until it is empty, and the
//! moves end.

use std::cmp::Reverse;

use crate::cluster::InstanceId;

/// A container instance that has tasks of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    pub id: InstanceId,
    pub tasks: usize,
    /// None of them is protected.
    pub may_be_emptied: bool,
    /// How many more it could take.
    pub room: usize,
}

/// From where to where a task moves next; `None` where nothing is to be gained. The container instance that is being
/// `emptied` comes first as long as it can be, then the one with the fewest tasks; tasks go where the least room is left.
pub fn next(hosts: &[Host], emptied: Option<&InstanceId>) -> Option<(InstanceId, InstanceId)> {
    let hosts: Vec<&Host> = hosts.iter().filter(|host| host.tasks > 0).collect();
    let all = hosts.iter().fold(0, |sum: usize, host| sum.saturating_add(host.room));
    let candidates = hosts.iter().filter(|host| host.may_be_emptied && all - host.room >= host.tasks);
    let from = candidates.min_by_key(|host| (Some(&host.id) != emptied, host.tasks, host.id))?;
    let others = hosts.iter().filter(|host| host.id != from.id && host.room > 0);
    let to = others.min_by_key(|host| (host.room, Reverse(host.tasks), host.id))?;
    Some((from.id, to.id))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::id;

    fn host(name: &str, tasks: usize, room: usize) -> Host {
        Host { id: InstanceId(id(name)), tasks, may_be_emptied: true, room }
    }

    fn moves(hosts: &[Host], emptied: Option<&str>) -> Option<(String, String)> {
        let name = |of: InstanceId| crate::testing::name(of.0);
        let emptied = emptied.map(|of| InstanceId(id(of)));
        next(hosts, emptied.as_ref()).map(|(from, to)| (name(from), name(to)))
    }

    #[test]
    fn the_one_with_the_fewest_is_emptied_onto_the_fullest() {
        let of = |from: &str, to: &str| Some((from.to_owned(), to.to_owned()));
        for (hosts, emptied, expected) in [
            (vec![host("a", 2, 1), host("b", 1, 2)], None, of("b", "a")),
            (vec![host("a", 1, 1), host("b", 1, 1)], None, of("a", "b")),
            (vec![host("a", 1, 1), host("b", 1, 1)], Some("b"), of("b", "a")),
            (vec![host("a", 3, 3), host("b", 3, 1), host("c", 1, 9)], None, of("c", "b")),
            // Where the one with the fewest does not fit elsewhere, another one may.
            (vec![host("a", 1, 3), host("b", 3, 0)], None, of("b", "a")),
            // Nothing is gained.
            (vec![host("a", 2, 0), host("b", 1, 2)], None, of("a", "b")),
            (vec![host("a", 2, 0), host("b", 1, 1)], None, None),
            (vec![host("a", 2, 9)], None, None),
            (vec![host("a", 2, 9), host("b", 0, 9)], None, None),
            (vec![], None, None),
        ] {
            assert_eq!(moves(&hosts, emptied), expected, "{hosts:?}");
        }
        let kept = Host { may_be_emptied: false, ..host("b", 1, 1) };
        assert_eq!(moves(&[host("a", 2, 1), kept], None), None, "protected tasks stay");
    }

    proptest! {
        /// Whatever the room, the moves end, no container instance has tasks that had none, and then no other can be emptied.
        #[test]
        fn moves_end_and_never_go_back(
            sizes in proptest::collection::vec((0..6usize, 0..6usize, any::<bool>()), 0..8),
            remembers: bool,
        ) {
            let mut hosts: Vec<Host> = sizes
                .iter()
                .enumerate()
                .map(|(at, (tasks, room, may))| Host { may_be_emptied: *may || at % 2 == 0, ..host(&at.to_string(), *tasks, *room) })
                .collect();
            let all: usize = hosts.iter().map(|host| host.tasks).sum();
            let mut emptied: Option<InstanceId> = None;
            let mut count = 0;
            while let Some((from, to)) = next(&hosts, emptied.as_ref().filter(|_| remembers)) {
                count += 1;
                prop_assert!(count <= all * hosts.len(), "it does not end");
                // One that has begun to be emptied is empty before another one is.
                if let Some(before) = emptied.filter(|before| *before != from) {
                    prop_assert_eq!(hosts.iter().find(|host| host.id == before).map(|host| host.tasks), Some(0));
                }
                let target = hosts.iter_mut().find(|host| host.id == to).unwrap();
                prop_assert!(target.room > 0 && target.tasks > 0);
                (target.room, target.tasks) = (target.room - 1, target.tasks + 1);
                let source = hosts.iter_mut().find(|host| host.id == from).unwrap();
                (source.room, source.tasks) = (source.room + 1, source.tasks - 1);
                emptied = Some(from);
            }
            prop_assert_eq!(hosts.iter().map(|host| host.tasks).sum::<usize>(), all);
            let room: usize = hosts.iter().filter(|host| host.tasks > 0).map(|host| host.room).sum();
            for host in hosts.iter().filter(|host| host.tasks > 0 && host.may_be_emptied) {
                prop_assert!(room - host.room < host.tasks, "{:?} could be emptied", host.id);
            }
        }
    }
}
