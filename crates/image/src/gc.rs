//! Which images may go: pure. [`crate::Store::collect`] carries the plan out.
//!
//! By age as the ECS agent does it: in each round, up to [`Policy::per_round`] images that no
//! container uses and that have been neither pulled nor used for [`Policy::min_age`], the least
//! recently used first. By pressure: when the disk is fuller than the high mark, as many more as bring
//! it down to the low mark, and then the shorter [`Policy::min_age_pressed`] is enough.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::{Digest, Layer, Origin};

/// When images may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Younger images stay (`ECS_IMAGE_MINIMUM_CLEANUP_AGE`).
    pub min_age: Duration,
    /// Images that go for their age in one round (`ECS_NUM_IMAGES_DELETE_PER_CYCLE`).
    pub per_round: usize,
    /// The disk is under pressure from this percentage in use.
    pub high_percent: u8,
    /// Pressure ends at this percentage in use.
    pub low_percent: u8,
    /// Younger images stay even under pressure: they were pulled for something that is about to start.
    pub min_age_pressed: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            min_age: Duration::from_secs(60 * 60),
            per_round: 5,
            high_percent: 85,
            low_percent: 75,
            min_age_pressed: Duration::from_secs(2 * 60),
        }
    }
}

/// An image as the plan sees it.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Which one.
    pub digest: Digest,
    /// Its layers, which others may share.
    pub layers: Vec<Layer>,
    /// Whether it can be had again.
    pub origin: Origin,
    /// Whether a container holds it.
    pub held: bool,
    /// The later of its pull and its last use.
    pub last_used: Timestamp,
}

/// The file system that the store is on.
#[derive(Debug, Clone, Copy)]
pub struct Disk {
    /// All of it, in bytes.
    pub total: u64,
    /// In use, or kept for root, in bytes.
    pub used: u64,
}

/// One image that is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// Which one.
    pub digest: Digest,
    /// Why.
    pub reason: Reason,
}

/// Why an image goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Not used for long enough.
    Age,
    /// The disk is too full.
    Pressure,
}

/// Chooses the images to remove, in order.
pub fn plan(candidates: &[Candidate], disk: Disk, now: Timestamp, policy: &Policy) -> Vec<Removal> {
    let mut unused: Vec<&Candidate> =
        candidates.iter().filter(|c| !c.held && c.origin == Origin::Pulled).collect();
    unused.sort_by_key(|c| (c.last_used, c.digest.clone()));

    let old = unused.iter().filter(|c| age(c, now) >= policy.min_age).take(policy.per_round);
    let mut removals: Vec<Removal> =
        old.map(|c| Removal { digest: c.digest.clone(), reason: Reason::Age }).collect();

    if disk.used <= percent_of(disk.total, policy.high_percent) {
        return removals;
    }
    let target = percent_of(disk.total, policy.low_percent);
    let mut layers = LayerUse::of(candidates);
    let mut gone: BTreeSet<Digest> = removals.iter().map(|r| r.digest.clone()).collect();
    let mut freed: u64 = unused.iter().filter(|c| gone.contains(&c.digest)).map(|c| layers.release(c)).sum();
    for candidate in unused {
        if disk.used.saturating_sub(freed) <= target {
            break;
        }
        if age(candidate, now) >= policy.min_age_pressed && gone.insert(candidate.digest.clone()) {
            freed += layers.release(candidate);
            removals.push(Removal { digest: candidate.digest.clone(), reason: Reason::Pressure });
        }
    }
    removals
}

/// A clock that went back makes an image young, never old.
fn age(candidate: &Candidate, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(candidate.last_used)).unwrap_or_default()
}

fn percent_of(total: u64, percent: u8) -> u64 {
    total / 100 * u64::from(percent)
}

/// How many images stand on each layer.
struct LayerUse<'a>(BTreeMap<&'a Digest, usize>);

impl<'a> LayerUse<'a> {
    fn of(candidates: &'a [Candidate]) -> Self {
        let mut uses = BTreeMap::new();
        for layer in candidates.iter().flat_map(|c| &c.layers) {
            *uses.entry(&layer.chain).or_default() += 1;
        }
        Self(uses)
    }

    /// Takes `candidate` away; returns the bytes of the layers that nobody else needs.
    fn release(&mut self, candidate: &'a Candidate) -> u64 {
        let mut freed = 0;
        for layer in &candidate.layers {
            if let Some(uses) = self.0.get_mut(&layer.chain) {
                *uses -= 1;
                if *uses == 0 {
                    freed += layer.size;
                }
            }
        }
        freed
    }
}

#[cfg(test)]
mod tests;
