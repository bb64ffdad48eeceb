//! The one thread that writes. It takes all that waits, puts it on disk with one sync a touched file, lets
//! readers see it, and answers. Nothing is answered before it is on disk.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::{fs, io};

use arc_swap::ArcSwap;
use parking_lot::{Condvar, Mutex};

use crate::catalog::{Catalog, CatalogLog, Change};
use crate::error::{Error, Result};
use crate::group::{Appended, GroupFiles, Maintenance};
use crate::limits::Limits;
use crate::quota::{Member, Quota};
use crate::record::Batch;

/// Called once with a request's answer, from the writer's thread.
pub(crate) type Done = Box<dyn FnOnce(Result<()>) + Send>;
/// Looks at the newest catalog and says what to change; nothing to change is an answer too.
pub(crate) type Plan = Box<dyn FnOnce(&Catalog) -> Result<Option<Change>> + Send>;

/// One batch on its way to the disk.
pub(crate) struct Put {
    pub group: Arc<str>,
    pub group_id: u64,
    pub files: Arc<GroupFiles>,
    pub batch: Batch,
    pub now_ms: i64,
    pub done: Done,
}

enum Work {
    Put(Put),
    Change(Plan, Done),
    Maintain(i64, Done),
}

/// What waits for the writer.
#[derive(Default)]
struct Queue {
    work: VecDeque<Work>,
    put_bytes: usize,
    is_closed: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    arrived: Condvar,
    queue_bytes: usize,
}

/// The way to the writer's thread. Dropping it lets the thread answer all that waits, then stops it.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub fn start(
        dir: PathBuf,
        log: CatalogLog,
        catalog: Arc<ArcSwap<Catalog>>,
        limits: Limits,
        quota: Quota,
    ) -> Result<Self> {
        let queue_bytes = limits.queue_bytes;
        let shared = Arc::new(Shared { queue: Mutex::default(), arrived: Condvar::new(), queue_bytes });
        let member = quota.join(&dir, Arc::clone(&catalog));
        let mut rounds = Rounds { dir, log, catalog, limits, quota, member };
        let seen = Arc::clone(&shared);
        let thread = thread::Builder::new().name("logs-writer".into()).spawn(move || {
            while let Some(work) = seen.take() {
                rounds.run(work);
            }
        });
        Ok(Self { shared, thread: Some(thread.map_err(Error::write)?) })
    }

    pub fn put(&self, put: Put) {
        let bytes = put.batch.head.len();
        let mut queue = self.shared.queue.lock();
        if queue.put_bytes > 0 && queue.put_bytes + bytes > self.shared.queue_bytes {
            drop(queue);
            return (put.done)(Err(Error::Overloaded));
        }
        queue.put_bytes += bytes;
        queue.work.push_back(Work::Put(put));
        self.shared.arrived.notify_one();
    }

    pub fn change(&self, plan: Plan, done: Done) {
        self.push(Work::Change(plan, done));
    }

    pub fn maintain(&self, now_ms: i64, done: Done) {
        self.push(Work::Maintain(now_ms, done));
    }

    fn push(&self, work: Work) {
        self.shared.queue.lock().work.push_back(work);
        self.shared.arrived.notify_one();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.queue.lock().is_closed = true;
        self.shared.arrived.notify_one();
        let Some(thread) = self.thread.take() else { return };
        // The last handle may be dropped by a `done`, on the writer's own thread.
        if thread.thread().id() != thread::current().id() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// All that waits, once something does; nothing once closed and empty.
    fn take(&self) -> Option<VecDeque<Work>> {
        let mut queue = self.queue.lock();
        while queue.work.is_empty() {
            if queue.is_closed {
                return None;
            }
            self.arrived.wait(&mut queue);
        }
        queue.put_bytes = 0;
        Some(std::mem::take(&mut queue.work))
    }
}

/// The writer's own state.
struct Rounds {
    dir: PathBuf,
    log: CatalogLog,
    catalog: Arc<ArcSwap<Catalog>>,
    limits: Limits,
    quota: Quota,
    member: Arc<Member>,
}

impl Rounds {
    fn run(&mut self, work: VecDeque<Work>) {
        let (mut changes, mut puts, mut maintains) = (Vec::new(), Vec::new(), Vec::new());
        for work in work {
            match work {
                Work::Put(put) => puts.push(put),
                Work::Change(plan, done) => changes.push((plan, done)),
                Work::Maintain(now_ms, done) => maintains.push((now_ms, done)),
            }
        }
        let member = Arc::clone(&self.member);
        // Changes first: a put that was queued before its group's deletion may be refused, never kept for nobody.
        if !changes.is_empty() {
            let _busy = member.begin();
            self.change(changes);
        }
        if !puts.is_empty() {
            self.put(puts);
        }
        for (now_ms, done) in maintains {
            let outcome = {
                let _busy = member.begin();
                self.maintain(now_ms)
            };
            self.quota.count_again();
            done(outcome);
        }
    }

    fn change(&mut self, requests: Vec<(Plan, Done)>) {
        let before = self.catalog.load_full();
        let mut after = (*before).clone();
        let (mut changes, mut waiting) = (Vec::new(), Vec::new());
        let is_full = self.log.is_full();
        for (plan, done) in requests {
            match plan(&after) {
                Err(error) => done(Err(error)),
                Ok(Some(change)) if is_full && change.is_creation() => {
                    done(Err(Error::write(io::ErrorKind::StorageFull.into())));
                }
                Ok(None) => waiting.push(done),
                Ok(Some(change)) => {
                    after.apply(&change, &self.dir);
                    changes.push(change);
                    waiting.push(done);
                }
            }
        }
        let kept = if changes.is_empty() { Ok(()) } else { self.log.append(&changes, &before) };
        if kept.is_ok() {
            self.catalog.store(Arc::new(after));
            changes.iter().for_each(|change| follow(change, &before));
        }
        for done in waiting {
            done(kept.as_ref().copied().map_err(Error::again));
        }
    }

    fn put(&mut self, puts: Vec<Put>) {
        // Room is made before it is taken: where none can be made, nothing more is written.
        let wanted = puts.iter().map(|put| put.batch.head.len() as u64).sum();
        if let Err(error) = self.quota.make_room(wanted) {
            for put in puts {
                (put.done)(Err(error.again()));
            }
            return;
        }
        let (catalog, member) = (self.catalog.load_full(), Arc::clone(&self.member));
        let _busy = member.begin();
        let mut groups: Vec<GroupRound> = Vec::new();
        for put in puts {
            let group = catalog.groups.get(&put.group).filter(|group| group.id == put.group_id);
            match group {
                None => (put.done)(Err(Error::GROUP_MISSING)),
                Some(group) if !group.names.contains_key(&put.batch.head.stream) => {
                    (put.done)(Err(Error::STREAM_MISSING));
                }
                Some(_) => match groups.iter_mut().find(|round| round.id == put.group_id) {
                    Some(round) => round.push(put),
                    None => groups.push(GroupRound::new(put)),
                },
            }
        }
        // All writes before the first sync, so that the kernel can carry them out together.
        for round in &mut groups {
            let appended = round.files.append(&mut round.batches, &self.limits, round.now_ms);
            round.appended = Some(appended);
        }
        for round in groups {
            round.finish();
        }
    }

    fn maintain(&mut self, now_ms: i64) -> Result<()> {
        let catalog = self.catalog.load();
        let mut may_load = Self::LOADS_A_ROUND;
        let mut outcome = Ok(());
        for group in catalog.groups.values() {
            if group.retention_days.is_some() && group.files.expiry_unknown() {
                if may_load == 0 {
                    continue;
                }
                may_load -= 1;
            }
            let done = group.files.maintain(&Maintenance {
                now_ms,
                limits: &self.limits,
                retention_days: group.retention_days,
                is_live: &|stream| group.names.contains_key(&stream),
            });
            // One group's failure keeps no other from its turn.
            outcome = outcome.and(done);
        }
        outcome
    }

    /// Groups whose files one round of housekeeping may read to learn what expires: puts wait meanwhile.
    const LOADS_A_ROUND: usize = 8;
}

/// What a change asks for beyond the catalog.
fn follow(change: &Change, before: &Catalog) {
    match change {
        Change::DeleteGroup { name } => {
            let Some(group) = before.groups.get(name.as_str()) else { return };
            let dir = group.files.dir().to_owned();
            // Large directories take a while; if this is cut short, the next open takes up the rest.
            let _ = thread::Builder::new().name("logs-delete".into()).spawn(move || fs::remove_dir_all(dir));
        }
        Change::DeleteStream { group, .. } => {
            if let Some(group) = before.groups.get(group.as_str()) {
                group.files.streams_deleted.store(true, std::sync::atomic::Ordering::Relaxed);
            }
        }
        Change::SetRetention { name, .. } => {
            if let Some(group) = before.groups.get(name.as_str()) {
                group.files.forget_expiry();
            }
        }
        Change::NextId { .. }
        | Change::CreateGroup { .. }
        | Change::SetTags { .. }
        | Change::CreateStream { .. } => {}
    }
}

/// The batches of one group in one round.
struct GroupRound {
    id: u64,
    files: Arc<GroupFiles>,
    batches: Vec<Batch>,
    dones: Vec<Done>,
    now_ms: i64,
    appended: Option<Result<Appended>>,
}

impl GroupRound {
    fn new(put: Put) -> Self {
        Self {
            id: put.group_id,
            files: put.files,
            batches: vec![put.batch],
            dones: vec![put.done],
            now_ms: put.now_ms,
            appended: None,
        }
    }

    fn push(&mut self, put: Put) {
        self.batches.push(put.batch);
        self.dones.push(put.done);
        self.now_ms = self.now_ms.max(put.now_ms);
    }

    fn finish(self) {
        let kept = self.appended.unwrap_or(Err(Error::Closed)).and_then(|appended| {
            self.files.sync(&appended)?;
            self.files.publish(&appended)
        });
        for done in self.dones {
            done(kept.as_ref().copied().map_err(Error::again));
        }
    }
}
