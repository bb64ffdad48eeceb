//! Placement without tasks: where they would go, one after the other. Nothing of it is kept.

use super::{Places, Request};
use crate::{Cluster, Ids};

/// A cluster in which tasks take their places without being made.
#[derive(Debug)]
pub struct Rehearsal(Cluster);

impl Rehearsal {
    /// Begins with a cluster as it is.
    pub fn new(state: &Cluster) -> Rehearsal {
        Rehearsal(state.clone())
    }

    /// Finds places for so many tasks that are alike, each as it is with those before it; how many have one.
    pub fn place(&mut self, request: Request, tasks: usize, ids: &mut Ids) -> usize {
        let (state, mut places) = (&mut self.0, Places::new(request));
        let fits = |_: &usize| {
            let Ok(instance) = places.next(state, ids) else { return false };
            let Request { needs, group, .. } = places.request();
            state.occupy(&instance, &needs.resources, group);
            true
        };
        (0..tasks).take_while(fits).count()
    }
}
