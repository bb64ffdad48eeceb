//! Takes over the rows of a data directory from before there were accounts and regions: `c/<cluster>/…` and `a/…`
//! become `<account>/<region>/ecs/…`, in an envelope that says their version. Each commit moves some rows whole, so
//! that one which is interrupted goes on at the next start.

use state::{ShardId, shard::MAIN};
use store::{Commit, Entry, Error, Span, Store, aside};

/// Rows that one commit moves.
const ROWS: usize = 500;
/// Bytes of them.
const BYTES: usize = 2 << 20;

/// Whether there are any such rows.
///
/// # Errors
/// The store's.
pub fn is_needed(store: &dyn Store) -> Result<bool, Error> {
    for prefix in ["a/", "c/"] {
        if !store.range(&Span::prefix(prefix), 1)?.entries.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Moves all of them to the account and region that were the only ones. Gives how many there were.
///
/// # Errors
/// The store's; what was moved stays moved.
pub fn run(store: &dyn Store, account: &str, region: &str) -> Result<usize, Error> {
    for aside in aside::list(store)? {
        if let Some(to) = key(&aside.key, account, region) {
            store.commit(aside::rename(store, &aside, &to, envelope)?)?;
        }
    }
    let mut moved = 0;
    for prefix in ["a/", "c/"] {
        loop {
            let range = store.range(&Span::prefix(prefix), ROWS)?;
            if range.entries.is_empty() {
                break;
            }
            let mut commit = Commit::new();
            for entry in range.entries {
                commit = step(commit, &entry, account, region);
                moved += 1;
                if commit.size() >= BYTES {
                    break;
                }
            }
            store.commit(commit)?;
        }
    }
    Ok(moved)
}

fn step(commit: Commit, entry: &Entry, account: &str, region: &str) -> Commit {
    let to = key(&entry.key, account, region);
    match to {
        Some(to) if entry.whole => commit.delete(entry.key.as_str()).put(to, envelope(&entry.value)),
        to => {
            // By its new name, so that it is found where the others are.
            let reason = if entry.whole { "its key is no row's" } else { "it does not match its checksum" };
            let renamed = Entry { key: to.unwrap_or_else(|| entry.key.clone()), ..entry.clone() };
            let mut moved = aside::commit(&renamed, reason);
            moved.changes.retain(|change| change.key() != renamed.key);
            let mut commit = commit.delete(entry.key.as_str());
            commit.changes.extend(moved.changes);
            commit
        }
    }
}

/// The first version of a row is what was stored without one.
fn envelope(json: &[u8]) -> Vec<u8> {
    [b"{\"v\":1,\"row\":".as_slice(), json, b"}"].concat()
}

/// The key that a row has now.
fn key(old: &str, account: &str, region: &str) -> Option<String> {
    let shard = |name: &str| ShardId {
        account: account.into(),
        region: region.into(),
        service: "ecs",
        name: name.into(),
    };
    if let Some(row) = old.strip_prefix("a/") {
        return Some(shard(MAIN).key(row));
    }
    let (cluster, row) = old.strip_prefix("c/")?.split_once('/')?;
    Some(shard(cluster).key(row))
}
