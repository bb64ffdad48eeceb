//! Ids in order, out of what is in any of some sets, or in all of them, without a look at what is in none: each set is
//! asked for its first id from another one on. A page of a list costs by the page and by the smallest of the sets that
//! its filters name.

use imbl::OrdSet;

use super::{looks, rows::*};

/// What is looked for by a number: the ids that have it, in order.
pub type Index<I> = OrdSet<(u64, I)>;

/// An id that knows the one behind it.
pub trait Successor: Ord + Clone + Default {
    /// The least id that is greater, if there is one.
    fn next(&self) -> Option<Self>;
}

impl Successor for TaskId {
    fn next(&self) -> Option<TaskId> {
        TaskId::behind(self)
    }
}

impl Successor for InstanceId {
    fn next(&self) -> Option<InstanceId> {
        InstanceId::behind(self)
    }
}

impl Successor for ServiceName {
    fn next(&self) -> Option<ServiceName> {
        Some(ServiceName(format!("{}\0", self.0)))
    }
}

/// Gives its first id from another one on.
pub type First<'a, I> = Box<dyn Fn(&I) -> Option<I> + 'a>;

/// Where ids come from.
pub enum Seek<'a, I> {
    /// A set.
    Set(&'a OrdSet<I>),
    /// Those of one number.
    Index(&'a Index<I>, u64),
    /// Whatever gives them in order.
    Of(First<'a, I>),
    /// What is in any of these.
    Any(Vec<Seek<'a, I>>),
    /// What is in each of these; nothing where there are none.
    All(Vec<Seek<'a, I>>),
}

impl<'a, I: Successor> Seek<'a, I> {
    /// The least id that is not less than `from`.
    pub fn first(&self, from: &I) -> Option<I> {
        match self {
            Seek::Set(set) => {
                looks::one();
                set.get_next(from).cloned()
            }
            Seek::Index(index, number) => {
                looks::one();
                let found = index.get_next(&(*number, from.clone()));
                found.filter(|(of, _)| of == number).map(|(_, id)| id.clone())
            }
            Seek::Of(first) => first(from),
            Seek::Any(of) => of.iter().filter_map(|source| source.first(from)).min(),
            Seek::All(of) => {
                let (mut at, mut agreed) = (from.clone(), 0);
                // In turn, until as many as there are have said the same.
                for source in of.iter().cycle() {
                    let found = source.first(&at)?;
                    agreed = if found == at { agreed + 1 } else { 1 };
                    at = found;
                    if agreed >= of.len() {
                        return Some(at);
                    }
                }
                None
            }
        }
    }

    /// All ids that are greater than `after`, in order.
    pub fn after(self, after: Option<I>) -> impl Iterator<Item = I> + use<'a, I> {
        let mut from = after.map_or(Some(I::default()), |after| after.next());
        std::iter::from_fn(move || {
            let found = self.first(from.as_ref()?)?;
            from = found.next();
            Some(found)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use state::Id128;

    use super::*;

    fn id(n: u8) -> TaskId {
        TaskId(Id128(n.into()))
    }

    proptest! {
        #[test]
        fn any_and_all_are_what_sets_say(
            sets in prop::collection::vec(prop::collection::btree_set(0u8..40, 0..30), 1..4),
            after in prop::option::of(0u8..40),
        ) {
            let held: Vec<OrdSet<TaskId>> = sets.iter().map(|set| set.iter().copied().map(id).collect()).collect();
            let sources = || held.iter().map(Seek::Set).collect::<Vec<_>>();
            let behind = |n: &u8| after.is_none_or(|after| *n > after);
            let any: Vec<TaskId> = (0..40)
                .filter(|n| behind(n) && sets.iter().any(|set| set.contains(n))).map(id).collect();
            let all: Vec<TaskId> = (0..40)
                .filter(|n| behind(n) && sets.iter().all(|set| set.contains(n))).map(id).collect();
            prop_assert_eq!(Seek::Any(sources()).after(after.map(id)).collect::<Vec<_>>(), any);
            prop_assert_eq!(Seek::All(sources()).after(after.map(id)).collect::<Vec<_>>(), all);
        }
    }

    #[test]
    fn the_last_id_ends_it_and_what_is_in_both_is_found_at_once() {
        let last = TaskId(Id128(u128::MAX));
        let one: Index<TaskId> = [(7, id(1)), (7, last), (8, id(2))].into_iter().collect();
        assert_eq!(Seek::Index(&one, 7).after(None).collect::<Vec<_>>(), [id(1), last]);
        assert_eq!(Seek::Index(&one, 7).after(Some(last)).count(), 0);
        let many: OrdSet<TaskId> = (0..10_000).map(|n| TaskId(Id128(n))).collect();
        let few: OrdSet<TaskId> = [9_000, 20_000].map(|n| TaskId(Id128(n))).into_iter().collect();
        looks::taken();
        let both = Seek::All(vec![Seek::Set(&many), Seek::Set(&few)]);
        assert_eq!(both.after(None).count(), 1);
        assert!(looks::taken() < 10);
        assert_eq!(Seek::<TaskId>::All(Vec::new()).after(None).count(), 0);
    }
}
