//! The paths that the patterns of a matcher name, as a tree of keys: what no pattern names, an event is not read for.

use std::sync::Arc;

use imbl::OrdMap;

/// A path, as long as a pattern names it. A number is not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PathId(u64);

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Paths {
    root: Place,
    next: u64,
}

/// What a key leads to.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    below: OrdMap<Arc<str>, Arc<Place>>,
    id: Option<PathId>,
    /// How many branches name it.
    uses: u64,
    depth: usize,
}

impl Place {
    /// The place of a key, which counts as several where it has dots.
    pub(super) fn below(&self, key: &str) -> Option<&Place> {
        // Few keys have dots; memchr and the like do not pay for texts this short.
        key.split('.').try_fold(self, |place, key| place.below.get(key).map(|place| &**place))
    }

    /// The path that ends here, if a pattern names it.
    pub(super) fn id(&self) -> Option<PathId> {
        self.id
    }

    /// How many keys lead here.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// True if this was the last use.
    fn release(&mut self, path: &[Arc<str>]) {
        match path.split_first() {
            None => {
                self.uses -= 1;
                if self.uses == 0 {
                    self.id = None;
                }
            }
            Some((key, rest)) => {
                let Some(place) = self.below.get_mut(key) else { return };
                let place = Arc::make_mut(place);
                place.release(rest);
                if place.uses == 0 && place.below.is_empty() {
                    self.below.remove(key);
                }
            }
        }
    }
}

impl Paths {
    pub(super) fn root(&self) -> &Place {
        &self.root
    }

    /// Names a path once more.
    pub(super) fn acquire(&mut self, path: &[Arc<str>]) -> PathId {
        let mut place = &mut self.root;
        for (depth, key) in path.iter().enumerate() {
            let next = place.below.entry(Arc::clone(key)).or_default();
            place = Arc::make_mut(next);
            place.depth = depth + 1;
        }
        place.uses += 1;
        let next = &mut self.next;
        *place.id.get_or_insert_with(|| {
            *next += 1;
            PathId(*next)
        })
    }

    /// Undoes one [`acquire`](Self::acquire).
    pub(super) fn release(&mut self, path: &[Arc<str>]) {
        self.root.release(path);
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.root.below.is_empty()
    }
}
