//! Places for tasks that are alike, one after another. What was looked at for one is not looked at again for the next, as
//! long as nothing but the task that was given its place happens between them.

use super::{
    Refused, Request,
    score::{self, named},
    search::Search,
    slots::Slot,
};
use crate::{
    Ids,
    cluster::{Cluster, rows::InstanceId},
};

/// Tasks that are alike, and the search for their places.
#[derive(Debug)]
pub struct Places {
    request: Request,
    going: Option<Going>,
}

/// A search that may go on.
#[derive(Debug)]
struct Going {
    search: Search,
    /// The slot that was found last, how that was, and the tasks of the group in it.
    slot: u32,
    was: Slot,
    tasks: i32,
    /// [`super::Slots::version`] then.
    version: u64,
}

impl Places {
    /// None found yet.
    pub fn new(request: Request) -> Places {
        Places { request, going: None }
    }

    /// What is asked for.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Picks the container instance for one more.
    ///
    /// # Errors
    /// Why no container instance will do.
    pub fn next(&mut self, state: &mut Cluster, ids: &mut Ids) -> Result<InstanceId, Refused> {
        let (seed, request) = (ids.seed(), &self.request);
        if let Some(drawn) = score::drawn(state, request, seed) {
            return Ok(drawn.row.id);
        }
        let mut search = match self.going.take().and_then(|going| going.on(state, request)) {
            Some(search) => search,
            None => Search::new(&state.split(&request.layout), request, named(seed, state.slots().total())),
        };
        let Some((slot, found)) = score::found(state, request, &mut search) else {
            return Err(Refused::by_all(state, request));
        };
        let (id, slots) = (found.row.id, state.slots());
        self.going = slots.get(slot).map(|was| Going {
            search,
            slot,
            was: *was,
            tasks: slots.tasks(slot, &request.group),
            version: slots.version(),
        });
        Ok(id)
    }
}

impl Going {
    /// The search, behind the task that took its place; none where something else has happened, too.
    fn on(mut self, state: &Cluster, request: &Request) -> Option<Search> {
        let (slots, needs) = (state.slots(), &request.needs.resources);
        let is = slots.get(self.slot)?;
        let taken =
            Slot { cpu: self.was.cpu - needs.cpu, memory: self.was.memory - needs.memory, ..self.was };
        let tasks = slots.tasks(self.slot, &request.group);
        if slots.version() != self.version + 1 || *is != taken || tasks != self.tasks + 1 {
            return None;
        }
        self.search.took(request, self.slot, is, tasks.into());
        Some(self.search)
    }
}
