//! What a store answers when it cannot do what was asked. Errors can be cloned, for one failed disk
//! transaction answers many commits.

use crate::Revision;

/// Why a call on a store failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request breaks one of [`crate::limits`], or names one key twice.
    #[error("invalid request to the store: {0}")]
    Invalid(String),
    /// A condition on a key did not hold; nothing was changed.
    #[error("the row {key} is {}, expected {}", at(found), at(expected))]
    Conflict {
        /// The key whose row is not as expected.
        key: String,
        /// The revision that the commit expected; `None` for no row.
        expected: Option<Revision>,
        /// The revision found; `None` for no row.
        found: Option<Revision>,
    },
    /// The commit's lease is not held with that token any more; nothing was changed.
    #[error("the lease {lease} is not held with token {token} any more")]
    Fenced {
        /// The lease named by the commit.
        lease: String,
        /// The token that the commit carried.
        token: u64,
    },
    /// Somebody else holds the lease.
    #[error("the lease {lease} is held by {holder}")]
    LeaseHeld {
        /// The lease asked for.
        lease: String,
        /// Who holds it.
        holder: String,
    },
    /// The lease ran out, was released or changed hands.
    #[error("the lease {lease} is not held any more")]
    LeaseLost {
        /// The lease.
        lease: String,
    },
    /// Too much is waiting to be written. Try again later.
    #[error("the store has too many changes waiting to be written")]
    Busy,
    /// The history after the revision asked for is gone.
    #[error("the history before revision {oldest} is gone")]
    Compacted {
        /// The oldest revision that a watch can start from now.
        oldest: Revision,
    },
    /// The revision asked for lies in the future: the store was restored from an older copy.
    #[error("revision {asked} is newer than the store, which is at {current}")]
    FutureRevision {
        /// The revision asked for.
        asked: Revision,
        /// The store's newest revision.
        current: Revision,
    },
    /// No space is left where the store's file lives. Reads go on; writes work again when there is space.
    #[error("no space left for the state in {path} ({detail}); free some, no restart is needed")]
    DiskFull {
        /// The store's file.
        path: String,
        /// The system's words.
        detail: String,
    },
    /// The store's file cannot be written. Reads go on; writes work again when it can be.
    #[error("the state in {path} cannot be written: read-only ({detail}); no restart is needed once it can")]
    ReadOnly {
        /// The store's file.
        path: String,
        /// The system's words.
        detail: String,
    },
    /// The disk failed otherwise. After an error on a commit the commit is not visible; should the machine
    /// stop at this very moment, it may be found there afterwards, whole.
    #[error("the disk failed under the state in {path}: {detail}")]
    Io {
        /// The store's file.
        path: String,
        /// The system's words.
        detail: String,
    },
    /// The file is damaged.
    #[error(
        "the state in {path} is damaged ({detail}); start again to have what can be read taken over, or restore \
         a backup: docs/repair.md"
    )]
    Corrupt {
        /// The store's file.
        path: String,
        /// What was found.
        detail: String,
    },
    /// The file is somebody else's.
    #[error("{path} is not a Roadstead state file ({detail}); it was left as it is")]
    Foreign {
        /// The file.
        path: String,
        /// What was found.
        detail: String,
    },
    /// A newer Roadstead wrote the file.
    #[error(
        "the state in {path} has schema version {found}, this program knows versions up to {known}; \
         use the newer Roadstead that wrote it, or restore a backup from before the upgrade"
    )]
    TooNew {
        /// The store's file.
        path: String,
        /// Its schema version.
        found: i64,
        /// The newest schema version that this program knows.
        known: i64,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

fn at(revision: &Option<Revision>) -> String {
    match revision {
        Some(revision) => format!("at revision {revision}"),
        None => "absent".to_owned(),
    }
}

impl Error {
    /// True when the disk refused: the same call may succeed later without any change by the caller.
    pub fn is_disk(&self) -> bool {
        matches!(
            self,
            Error::DiskFull { .. } | Error::ReadOnly { .. } | Error::Io { .. } | Error::Corrupt { .. }
        )
    }
}
