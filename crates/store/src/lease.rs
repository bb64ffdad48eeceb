//! Leases: who holds what, until when, with which token. Shared by the engines; owned by their writer.
//!
//! Time is the caller's [`Clock`], which must not go backwards and need not know the date, so a jump of
//! the wall clock neither ends nor prolongs a lease. What is on disk is the time a lease runs, not its end:
//! a store that was closed and opened again starts every lease anew, as etcd does when its leader changes.
//! A token is the revision of the commit that acquired the lease, so tokens rise for as long as revisions do.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::{Error, Revision, limits};

/// A source of time that only goes forward.
pub trait Clock: Send + Sync + 'static {
    /// The time since some fixed moment.
    fn now(&self) -> Duration;
}

/// The system's monotonic clock.
#[derive(Debug)]
pub struct MonotonicClock(Instant);

impl Default for MonotonicClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for MonotonicClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A clock that stands until it is moved; for tests.
#[derive(Debug, Default)]
pub struct ManualClock(Mutex<Duration>);

impl ManualClock {
    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.saturating_add(by);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Duration {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lease that was acquired. Holding the value does not mean that the lease is still held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What the lease is on.
    pub name: String,
    /// Who acquired it.
    pub holder: String,
    /// The fencing token: put it into [`crate::Condition::Lease`] of every commit made under the lease.
    pub token: u64,
    /// How long it is held without renewal.
    pub ttl: Duration,
}

/// A lease as the store keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) holder: String,
    pub(crate) token: u64,
    pub(crate) ttl: Duration,
    pub(crate) until: Duration,
}

/// All leases of a store, those that ran out included until somebody else takes them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leases(BTreeMap<String, Held>);

impl Leases {
    /// Adds a lease found on disk; it runs its whole time from `now`.
    pub(crate) fn adopt(&mut self, lease: Lease, now: Duration) {
        let until = now.saturating_add(lease.ttl);
        self.0.insert(lease.name, Held { holder: lease.holder, token: lease.token, ttl: lease.ttl, until });
    }

    /// Says whether `name` is held with `token` at `now`.
    pub(crate) fn holds(&self, name: &str, token: u64, now: Duration) -> bool {
        self.0.get(name).is_some_and(|held| held.token == token && now < held.until)
    }

    /// Refuses `holder` when another holds `name`.
    pub(crate) fn check_free(&self, name: &str, holder: &str, now: Duration) -> Result<(), Error> {
        match self.0.get(name) {
            Some(held) if held.holder != holder && now < held.until => {
                Err(Error::LeaseHeld { lease: name.to_owned(), holder: held.holder.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Prolongs the lease, if it is held with `token`.
    pub(crate) fn renew(&mut self, name: &str, token: Revision, now: Duration) -> Result<(), Error> {
        match self.0.get_mut(name) {
            Some(held) if held.token == token && now < held.until => {
                held.until = now.saturating_add(held.ttl);
                Ok(())
            }
            _ => Err(Error::LeaseLost { lease: name.to_owned() }),
        }
    }

    /// Forgets the lease.
    pub(crate) fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }
}

/// Checks the limits of a lease.
pub(crate) fn check(name: &str, holder: &str, ttl: Duration) -> Result<(), Error> {
    for text in [name, holder] {
        if text.is_empty() || text.len() > limits::MAX_LEASE_NAME_BYTES || text.contains('\0') {
            return Err(Error::Invalid(format!(
                "a lease's name and holder have 1 to {} bytes and no NUL",
                limits::MAX_LEASE_NAME_BYTES
            )));
        }
    }
    if !limits::LEASE_TTL.contains(&ttl) {
        return Err(Error::Invalid(format!("a lease's time must be within {:?}", limits::LEASE_TTL)));
    }
    Ok(())
}
