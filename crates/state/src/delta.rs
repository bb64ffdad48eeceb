//! Deltas: what one commit changed, for those who follow a shard. The states before and after are snapshots, so a
//! follower compares whatever row it cares for; nothing is copied for it.

use crate::{Domain, domain::KeyOf};

/// What one commit changed.
pub struct Delta<'a, D: Domain> {
    /// The keys of the rows that changed.
    pub keys: &'a [KeyOf<D>],
    /// As it was.
    pub before: &'a D,
    /// As it is.
    pub after: &'a D,
}
