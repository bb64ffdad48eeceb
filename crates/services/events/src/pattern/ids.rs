//! A set of small numbers that is mostly empty or holds one.

use imbl::OrdSet;

/// Which of a node's followers, or of an index's negations, something stands for.
pub(super) type Id = u64;

/// See the module. Copying it costs the same whatever it holds.
#[derive(Clone, Debug, Default)]
pub(super) enum Ids {
    #[default]
    None,
    One(Id),
    Many(OrdSet<Id>),
}

impl Ids {
    pub(super) fn insert(&mut self, id: Id) {
        match self {
            Ids::None => *self = Ids::One(id),
            Ids::One(other) if *other == id => {}
            Ids::One(other) => *self = Ids::Many([*other, id].into_iter().collect()),
            Ids::Many(ids) => {
                ids.insert(id);
            }
        }
    }

    pub(super) fn remove(&mut self, id: Id) {
        match self {
            Ids::One(other) if *other == id => *self = Ids::None,
            Ids::Many(ids) => {
                ids.remove(&id);
                match (ids.len(), ids.get_min()) {
                    (1, Some(last)) => *self = Ids::One(*last),
                    (0, _) => *self = Ids::None,
                    _ => {}
                }
            }
            Ids::None | Ids::One(_) => {}
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Ids::None => 0,
            Ids::One(_) => 1,
            Ids::Many(ids) => ids.len(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Ids::None)
    }

    /// Appends all, in order.
    pub(super) fn append_to(&self, out: &mut Vec<Id>) {
        match self {
            Ids::None => {}
            Ids::One(id) => out.push(*id),
            Ids::Many(ids) => out.extend(ids.iter().copied()),
        }
    }
}
