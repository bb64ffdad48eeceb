//! What a batch means, for every engine: conditions, revisions, leases, and which changes watches see.
//! The engine only says how rows are kept.

use std::time::Duration;

use crate::lease::Leases;
use crate::queue::Work;
use crate::{Change, Commit, Condition, Error, Event, Lease, Revision};

/// The rows of an engine inside one transaction. Errors end the transaction.
pub(crate) trait Rows {
    /// The revision of the row's last write.
    fn revision_of(&mut self, key: &str) -> Result<Option<Revision>, Error>;
    /// Makes one change at `revision`; false when it deleted nothing. `nth` counts the changes of the commit.
    fn change(&mut self, change: &Change, revision: Revision, nth: usize) -> Result<bool, Error>;
    /// Writes a lease.
    fn put_lease(&mut self, lease: &Lease) -> Result<(), Error>;
    /// Removes a lease.
    fn delete_lease(&mut self, name: &str) -> Result<(), Error>;
}

/// A batch on its way.
pub(crate) struct Batch<'a, R> {
    pub(crate) rows: R,
    /// The engine's leases; put them back as they were when the transaction fails.
    pub(crate) leases: &'a mut Leases,
    /// The newest revision, this batch's included.
    pub(crate) revision: Revision,
    pub(crate) now: Duration,
    pub(crate) outcomes: Vec<Result<Revision, Error>>,
    pub(crate) commits: Vec<Event>,
}

impl<'a, R: Rows> Batch<'a, R> {
    pub(crate) fn new(rows: R, leases: &'a mut Leases, revision: Revision, now: Duration) -> Self {
        Self { rows, leases, revision, now, outcomes: Vec::new(), commits: Vec::new() }
    }

    /// Does all works; an error is the disk's and ends the transaction.
    pub(crate) fn run(&mut self, works: Vec<Work>) -> Result<(), Error> {
        for work in works {
            let outcome = match self.work(work) {
                Err(error) if error.is_disk() => return Err(error),
                outcome => outcome,
            };
            self.outcomes.push(outcome);
        }
        Ok(())
    }

    fn work(&mut self, work: Work) -> Result<Revision, Error> {
        match work {
            Work::Commit(commit) => self.commit(commit),
            Work::Acquire { name, holder, ttl } => {
                self.leases.check_free(&name, &holder, self.now)?;
                self.revision += 1;
                let lease = Lease { name, holder, token: self.revision, ttl };
                self.rows.put_lease(&lease)?;
                self.leases.adopt(lease, self.now);
                Ok(self.revision)
            }
            Work::Renew { name, token } => {
                self.leases.renew(&name, token, self.now)?;
                Ok(self.revision)
            }
            Work::Release { name, token } => {
                if !self.leases.holds(&name, token, self.now) {
                    return Err(Error::LeaseLost { lease: name });
                }
                self.revision += 1;
                self.rows.delete_lease(&name)?;
                self.leases.remove(&name);
                Ok(self.revision)
            }
        }
    }

    /// All conditions are checked before the first change, so a commit that is refused has changed nothing
    /// and the rest of the batch goes on beside it.
    fn commit(&mut self, commit: Commit) -> Result<Revision, Error> {
        for condition in commit.conditions {
            self.check(condition)?;
        }
        let revision = self.revision + 1;
        let mut changes = commit.changes;
        let mut failed = None;
        let mut nth = 0;
        changes.retain(|change| {
            let kept = failed.is_none()
                && self.rows.change(change, revision, nth).unwrap_or_else(|error| {
                    failed = Some(error);
                    false
                });
            nth += usize::from(kept);
            kept
        });
        if let Some(error) = failed {
            return Err(error);
        }
        if !changes.is_empty() {
            self.revision = revision;
            self.commits.push(Event { revision, changes });
        }
        Ok(self.revision)
    }

    fn check(&mut self, condition: Condition) -> Result<(), Error> {
        let (key, expected) = match condition {
            Condition::Lease { name, token } => {
                return if self.leases.holds(&name, token, self.now) {
                    Ok(())
                } else {
                    Err(Error::Fenced { lease: name, token })
                };
            }
            Condition::Revision { key, revision } => (key, Some(revision)),
            Condition::Absent { key } => (key, None),
        };
        let found = self.rows.revision_of(&key)?;
        if found == expected { Ok(()) } else { Err(Error::Conflict { key, expected, found }) }
    }
}
