//! How much all segments may take, of one store or of several together. Writers count what they add, look at the files
//! again when that comes to too much, and then have the group that holds the most delete its oldest segments: so a
//! container that floods the logs pushes out its own, and what others said stays.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use parking_lot::{Mutex, MutexGuard};

use crate::catalog::{Catalog, Group};
use crate::error::{Error, Result};

/// One limit. Clones are handles to the same; the stores that are opened with it share it.
#[derive(Clone)]
pub struct Quota {
    shared: Arc<Shared>,
}

struct Shared {
    total_bytes: u64,
    account: Mutex<Account>,
}

struct Account {
    /// What is on disk, at most: what was deleted since the last look is still in it.
    held: Option<u64>,
    members: Vec<Weak<Member>>,
}

/// One store, as those see it that share its limit.
pub(crate) struct Member {
    groups: PathBuf,
    catalog: Arc<ArcSwap<Catalog>>,
    /// Held by whoever changes files of the store. Nobody waits for a second one, or for the limit, while holding it.
    busy: Mutex<()>,
}

impl Quota {
    /// So many bytes.
    #[must_use]
    pub fn new(total_bytes: u64) -> Self {
        let account = Mutex::new(Account { held: None, members: Vec::new() });
        Self { shared: Arc::new(Shared { total_bytes, account }) }
    }

    /// The store in `dir` shares it from now on.
    pub(crate) fn join(&self, dir: &Path, catalog: Arc<ArcSwap<Catalog>>) -> Arc<Member> {
        let member = Arc::new(Member { groups: dir.join("groups"), catalog, busy: Mutex::default() });
        let mut account = self.shared.account.lock();
        account.members.retain(|member| member.strong_count() > 0);
        account.members.push(Arc::downgrade(&member));
        account.held = None;
        member
    }

    /// Much may have been deleted: the next round looks.
    pub(crate) fn count_again(&self) {
        self.shared.account.lock().held = None;
    }

    /// Makes room for so many bytes, and counts them. Not to be asked by who holds a [`Member::begin`].
    pub(crate) fn make_room(&self, wanted: u64) -> Result<()> {
        let total_bytes = self.shared.total_bytes;
        if total_bytes == u64::MAX {
            return Ok(());
        }
        let mut account = self.shared.account.lock();
        let members: Vec<Arc<Member>> = account.members.iter().filter_map(Weak::upgrade).collect();
        let count = || members.iter().map(|member| stored(&member.groups)).sum();
        let mut held: u64 = account.held.unwrap_or_else(count);
        if held + wanted > total_bytes {
            held = count();
        }
        if held + wanted > total_bytes {
            // A little more than is needed, so that this is not done for each batch.
            let target = (total_bytes - total_bytes / 16).saturating_sub(wanted);
            let (left, failed) = shed(&members, held, target, total_bytes);
            held = left;
            if held + wanted > total_bytes {
                account.held = None;
                return Err(failed.unwrap_or(Error::Full { total_bytes }));
            }
        }
        account.held = Some(held + wanted);
        Ok(())
    }
}

impl Member {
    /// From now on, until what is answered is dropped, nobody else changes files of the store.
    pub fn begin(&self) -> MutexGuard<'_, ()> {
        self.busy.lock()
    }

    /// Has a group give its oldest segments away: see [`crate::group::GroupFiles::shed`].
    fn shed(&self, group: &Group, bytes: u64) -> Result<u64> {
        let _busy = self.begin();
        let is_there = self.catalog.load().groups.get(&group.name).is_some_and(|found| found.id == group.id);
        if is_there { group.files.shed(bytes) } else { Ok(0) }
    }
}

/// Takes from the largest groups until no more than `target` is held. Gives what is held then, and what failed.
fn shed(members: &[Arc<Member>], mut held: u64, target: u64, limit: u64) -> (u64, Option<Error>) {
    let of = |member: &Arc<Member>| {
        let groups: Vec<Arc<Group>> = member.catalog.load().groups.values().cloned().collect();
        let member = Arc::clone(member);
        groups.into_iter().map(move |group| (stored_in(group.files.dir()), Arc::clone(&member), group))
    };
    let mut groups: Vec<(u64, Arc<Member>, Arc<Group>)> = members.iter().flat_map(of).collect();
    let mut failed = None;
    while held > target {
        groups.sort_by_key(|(bytes, ..)| std::cmp::Reverse(*bytes));
        let second = groups.get(1).map_or(0, |(bytes, ..)| *bytes);
        let Some((largest, member, group)) = groups.first_mut().filter(|(bytes, ..)| *bytes > 0) else {
            break;
        };
        // Down to the next largest, and no further before that one gives its part.
        let most = (held - target).min((*largest - second).max(1));
        let gone = member.shed(group, most).unwrap_or_else(|error| {
            failed.get_or_insert(error);
            0
        });
        if gone == 0 {
            *largest = 0;
            continue;
        }
        let (name, files) = (&group.name, group.files.dir().display());
        tracing::warn!(group = %name, %files, bytes = gone, limit, "the logs take all they may; the oldest of the largest group went");
        *largest = largest.saturating_sub(gone);
        held = held.saturating_sub(gone);
    }
    (held, failed)
}

/// What the events of the store in `dir` take on disk, whether or not it is open.
pub fn stored_bytes(dir: &Path) -> u64 {
    stored(&dir.join("groups"))
}

/// What all groups take on disk.
fn stored(groups: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(groups) else { return 0 };
    entries.flatten().map(|entry| stored_in(&entry.path())).sum()
}

/// What a group takes on disk, its indexes included.
fn stored_in(group: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(group) else { return 0 };
    entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|file| file.size()).sum()
}
