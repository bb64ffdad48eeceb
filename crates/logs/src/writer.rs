//! The one thread that writes. It takes all that waits, puts it on disk with one sync a touched file, lets
//! readers see it, and answers. Nothing is answered before it is on disk.

mod crowd;
mod store;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;

use crate::catalog::{Catalog, Change, Group};
use crate::error::{Error, Result};
use crate::group::Appended;
use crate::limits::Limits;
use crate::quota::Quota;
use crate::record::Batch;
use crowd::Crowd;
use store::Draft;

pub(crate) use store::Store;

/// Called once with a request's answer, from the writer's thread.
pub(crate) type Done = Box<dyn FnOnce(Result<()>) + Send>;
/// Looks at the newest catalog and says what to change; nothing to change is an answer too.
pub(crate) type Plan = Box<dyn FnOnce(&Catalog) -> Result<Option<Change>> + Send>;

/// One batch on its way to the disk.
pub(crate) struct Put {
    pub group: Arc<str>,
    pub group_id: u64,
    pub batch: Batch,
    pub now_ms: i64,
    pub done: Done,
}

/// What a store, by its number, asks for.
pub(crate) enum Work {
    Open(u64, Box<Store>),
    Put(u64, Put),
    Change(u64, Plan, Done),
    Maintain(u64, i64, Done),
    Close(u64, Done),
}

impl Work {
    /// Answers without doing it.
    pub fn refuse(self, error: Error) {
        match self {
            Self::Open(..) => {}
            Self::Put(_, Put { done, .. })
            | Self::Change(.., done)
            | Self::Maintain(.., done)
            | Self::Close(_, done) => done(Err(error)),
        }
    }
}

/// The writer's own state.
pub(crate) struct Rounds {
    limits: Limits,
    stores: BTreeMap<u64, Store>,
    quota: Quota,
    crowd: Crowd,
}

/// Changes that wait, by store.
type Requests = BTreeMap<u64, Vec<(Plan, Done)>>;

impl Rounds {
    pub fn new(limits: Limits) -> Self {
        let (quota, crowd) = (Quota::new(limits.total_bytes), Crowd::new(limits.streams_max));
        Self { limits, stores: BTreeMap::new(), quota, crowd }
    }

    /// Whether there is something to do though nothing waits.
    pub fn has_more(&self) -> bool {
        self.crowd.has_more()
    }

    /// Does what waits, and a little of what is to be done otherwise.
    pub fn run(&mut self, work: VecDeque<Work>) {
        let (mut changes, mut puts, mut maintains, mut closes) =
            (Requests::new(), Vec::new(), Vec::new(), Vec::new());
        for work in work {
            match work {
                Work::Open(id, store) => {
                    self.stores.insert(id, *store);
                    self.quota.count_again();
                    self.crowd.count_again();
                }
                Work::Put(id, put) => puts.push((id, put)),
                Work::Change(id, plan, done) => changes.entry(id).or_default().push((plan, done)),
                Work::Maintain(id, now_ms, done) => maintains.push((id, now_ms, done)),
                Work::Close(id, done) => closes.push((id, done)),
            }
        }
        // What waits to be written is not old.
        for (id, put) in &puts {
            if let Some(store) = self.stores.get_mut(id) {
                store.wrote(put.group_id, put.batch.head.stream, put.now_ms);
            }
        }
        // Changes first: a put that was queued before its group's deletion may be refused, never kept for nobody.
        self.change(changes);
        if !puts.is_empty() {
            self.put(puts);
        }
        for (id, now_ms, done) in maintains {
            self.crowd.try_again();
            done(
                self.stores.get(&id).map_or(Err(Error::Closed), |store| store.maintain(now_ms, &self.limits)),
            );
            self.quota.count_again();
        }
        for (id, done) in closes {
            self.stores.remove(&id);
            self.quota.count_again();
            done(Ok(()));
        }
    }

    fn change(&mut self, requests: Requests) {
        let mut drafts: BTreeMap<u64, Draft> = BTreeMap::new();
        let mut groups = 0;
        if !requests.is_empty() {
            groups = self.stores.values().map(|store| store.catalog().groups.len()).sum();
        }
        for (id, requests) in requests {
            let Some(store) = self.stores.get(&id) else {
                requests.into_iter().for_each(|(_, done)| done(Err(Error::Closed)));
                continue;
            };
            let (mut draft, is_full) = (store.draft(), store.is_full());
            for (plan, done) in requests {
                let before = draft.after.groups.len();
                match plan(&draft.after).and_then(|change| self.admit(change, &draft, (groups, is_full))) {
                    Err(error) => done(Err(error)),
                    Ok(change) => draft.take(change, Some(done)),
                }
                groups = groups + draft.after.groups.len() - before;
            }
            drafts.insert(id, draft);
        }
        self.crowd.give_way(&mut self.stores, &mut drafts);
        // What makes room may be of another store than what takes it: nobody hears of one before the other is done.
        let mut answers = Vec::new();
        for (id, mut draft) in drafts {
            let Some(store) = self.stores.get_mut(&id) else { continue };
            let (gone, waiting) = (draft.gave_way(), std::mem::take(&mut draft.waiting));
            let kept = store.commit(draft);
            answers
                .extend(waiting.into_iter().map(|done| (done, kept.as_ref().copied().map_err(Error::again))));
            self.crowd.went(store.dir(), gone, kept);
        }
        self.crowd.settle(&self.stores);
        answers.into_iter().for_each(|(done, kept)| done(kept));
    }

    /// Whether a change may be made, where all stores have so many groups.
    fn admit(
        &self,
        change: Option<Change>,
        draft: &Draft,
        (groups, is_full): (usize, bool),
    ) -> Result<Option<Change>> {
        let Limits { groups_max, groups_max_in_all, streams_max, .. } = self.limits;
        let refuse = |text| Err(Error::LimitExceeded(text));
        match &change {
            Some(change) if is_full && change.is_creation() => {
                Err(Error::write(io::ErrorKind::StorageFull.into()))
            }
            Some(Change::CreateGroup { .. }) if draft.after.groups.len() >= groups_max => {
                refuse(format!("This store holds at most {groups_max} log groups."))
            }
            Some(Change::CreateGroup { .. }) if groups >= groups_max_in_all => {
                refuse(format!("All stores together hold at most {groups_max_in_all} log groups."))
            }
            Some(Change::CreateStream { .. }) if self.crowd.is_shut(&self.stores) => refuse(format!(
                "There are {streams_max} log streams, as many as there may be, and the oldest cannot be deleted."
            )),
            _ => Ok(change),
        }
    }

    fn put(&mut self, puts: Vec<(u64, Put)>) {
        // Room is made before it is taken: where none can be made, nothing more is written.
        let wanted = puts.iter().map(|(_, put)| put.batch.head.len() as u64).sum();
        if let Err(error) = self.quota.make_room(wanted, &self.stores) {
            for (_, put) in puts {
                (put.done)(Err(error.again()));
            }
            return;
        }
        let mut groups: BTreeMap<(u64, u64), GroupRound> = BTreeMap::new();
        for (id, put) in puts {
            let catalog = self.stores.get(&id).map(Store::catalog);
            let group = catalog.as_ref().and_then(|catalog| catalog.groups.get(&put.group));
            match group.filter(|group| group.id == put.group_id) {
                None => (put.done)(Err(Error::GROUP_MISSING)),
                Some(group) if !group.names.contains_key(&put.batch.head.stream) => {
                    (put.done)(Err(Error::STREAM_MISSING));
                }
                Some(group) => {
                    groups.entry((id, group.id)).or_insert_with(|| GroupRound::new(group)).push(put);
                }
            }
        }
        // All writes before the first sync, so that the kernel can carry them out together.
        for round in groups.values_mut() {
            let Group { files, names, .. } = &*round.group;
            let appended = files.append(names, &mut round.batches, &self.limits, round.now_ms);
            round.appended = Some(appended);
        }
        for round in groups.into_values() {
            round.finish();
        }
    }
}

/// The batches of one group in one round.
struct GroupRound {
    group: Arc<Group>,
    batches: Vec<Batch>,
    dones: Vec<Done>,
    now_ms: i64,
    appended: Option<Result<Appended>>,
}

impl GroupRound {
    fn new(group: &Arc<Group>) -> Self {
        Self { group: Arc::clone(group), batches: Vec::new(), dones: Vec::new(), now_ms: 0, appended: None }
    }

    fn push(&mut self, put: Put) {
        self.batches.push(put.batch);
        self.dones.push(put.done);
        self.now_ms = self.now_ms.max(put.now_ms);
    }

    fn finish(self) {
        let kept = self.appended.unwrap_or(Err(Error::Closed)).and_then(|appended| {
            self.group.files.sync(&appended)?;
            self.group.files.publish(&appended)
        });
        for done in self.dones {
            done(kept.as_ref().copied().map_err(Error::again));
        }
    }
}
