//! One branch against one event, with array consistency: fields below one array are met by the same element of it.
//!
//! Paths are taken in order, so those below one array stand together. Between two of them, a way through the event
//! is no more than the innermost element that both lie below; there are as many such ways as elements, whatever the
//! number of fields.

use super::event::Event;
use super::leaf::Leaf;
use super::parse::Branch;
use super::paths::PathId;

/// Whether the event matches. `paths` are those of the branch's fields, in its order. Counts what it looks at.
pub(super) fn matches(branch: &Branch, paths: &[PathId], event: &Event<'_>, steps: &mut u64) -> bool {
    let mut ways = vec![0];
    let mut fields = branch.iter().zip(paths).peekable();
    while let Some(((path, leaves), id)) = fields.next() {
        // Elements of arrays that the next path lies below too still bind it.
        let shared = match fields.peek() {
            Some(((next, _), _)) => {
                path.iter().zip(next.iter()).take_while(|(one, other)| one == other).count()
            }
            None => 0,
        };
        let all = event.at(*id);
        let mut next = Vec::new();
        for way in ways {
            let element = &event.elements[way];
            let from = all.partition_point(|(_, at)| *at < element.first);
            let to = all.partition_point(|(_, at)| *at < element.end);
            *steps += 1 + (to - from) as u64;
            for (_, at) in &all[from..to] {
                let item = &event.items[*at];
                if leaves.iter().any(|wanted| wanted.takes(&item.value)) {
                    next.push(outer(event, item.element, shared));
                }
            }
            if from == to && leaves.contains(&Leaf::Absent) {
                next.push(outer(event, way, shared));
            }
        }
        next.sort_unstable();
        next.dedup();
        if next.is_empty() {
            return false;
        }
        ways = next;
    }
    true
}

/// The innermost element around this one whose array at most so many keys lead to.
fn outer(event: &Event<'_>, mut element: usize, depth: usize) -> usize {
    while element != 0 && event.elements[element].depth > depth {
        element = event.elements[element].parent;
    }
    element
}
