//! A store for each account and region, so that none sees another's groups: of the one whose control plane it was
//! when the folder was made, in the folder itself, and the others' below `of/<account>/<region>`, opened when they are
//! first asked for. All share one pool: one thread that writes, and the limits.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use logs::{Error, Limits, Logs, Pool, StoredStreams};
use parking_lot::RwLock;

use crate::runtime::Place;

/// Accounts and regions that may have logs: each costs an open file, and a look where the largest is sought.
const MOST: usize = 1000;

/// The file that says whose the folder itself is: `<account>/<region>`.
const OWNER: &str = "owner";

/// All of them.
#[derive(Clone)]
pub struct Stores(Arc<Inner>);

struct Inner {
    root: PathBuf,
    pool: Pool,
    most: usize,
    open: RwLock<BTreeMap<Place, Logs>>,
}

impl Stores {
    /// Opens those that there are. `own` is whose the folder itself is, where it does not say so itself.
    ///
    /// # Errors
    /// That of the first which cannot be opened.
    pub fn open(root: &Path, limits: Limits, own: Place) -> Result<Stores, Error> {
        let pool = Pool::new(limits)?;
        let mut open = BTreeMap::from([(owner(root, own), pool.open(root)?)]);
        for (place, path) in others(root) {
            open.insert(place, pool.open(&path)?);
        }
        let (root, open) = (root.to_owned(), RwLock::new(open));
        Ok(Stores(Arc::new(Inner { root, pool, most: MOST, open })))
    }

    /// That of an account in a region. It may wait for the disk where there is none yet.
    ///
    /// # Errors
    /// What opening it met, or that there are too many.
    pub fn of(&self, place: &Place) -> Result<Logs, Error> {
        if let Some(logs) = self.0.open.read().get(place) {
            return Ok(logs.clone());
        }
        let mut open = self.0.open.write();
        if let Some(logs) = open.get(place) {
            return Ok(logs.clone());
        }
        if open.len() >= self.0.most {
            let most = self.0.most;
            return Err(Error::LimitExceeded(format!(
                "Logs are kept for at most {most} accounts and regions."
            )));
        }
        let path = self.0.root.join("of").join(&*place.0).join(&*place.1);
        std::fs::create_dir_all(&path).map_err(Error::write)?;
        let logs = self.0.pool.open(&path)?;
        open.insert(place.clone(), logs.clone());
        Ok(logs)
    }

    /// Housekeeping of all of them at `now_ms`.
    ///
    /// # Errors
    /// The first failure; the others have their turn all the same.
    pub fn maintain(&self, now_ms: i64) -> Result<(), Error> {
        let all: Vec<Logs> = self.0.open.read().values().cloned().collect();
        let done: Vec<_> = all.iter().map(|logs| logs.maintain(now_ms)).collect();
        done.into_iter().collect()
    }
}

/// What the events of all of them in the folder `root` take on disk, whether or not they are open.
pub fn stored_bytes(root: &Path) -> u64 {
    let others = others(root).map(|(_, path)| logs::stored_bytes(&path));
    logs::stored_bytes(root) + others.sum::<u64>()
}

/// The streams of all of them in the folder `root`, whether or not they are open.
pub fn stored_streams(root: &Path) -> StoredStreams {
    let mut all = logs::stored_streams(root);
    others(root).for_each(|(_, path)| all += logs::stored_streams(&path));
    all
}

/// Whose the folder itself is, as it says. One that does not is `own`'s from now on, whatever is configured later.
fn owner(root: &Path, own: Place) -> Place {
    let file = root.join(OWNER);
    let said = std::fs::read_to_string(&file).unwrap_or_default();
    let said = said.trim().split_once('/');
    let is_account = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((account, region)) = said.filter(|(account, _)| is_account(account)) {
        return (account.into(), region.into());
    }
    // Whole or not at all; on a full disk the next start does it.
    let part = root.join(format!("{OWNER}.part"));
    let written = std::fs::create_dir_all(root)
        .and_then(|()| std::fs::write(&part, format!("{}/{}\n", own.0, own.1)))
        .and_then(|()| std::fs::File::open(&part)?.sync_all())
        .and_then(|()| std::fs::rename(&part, &file));
    if let Err(error) = written {
        tracing::warn!(%error, "it could not be written down whose logs {} are", root.display());
    }
    own
}

/// The places that have a folder below `of`, and those folders.
fn others(root: &Path) -> impl Iterator<Item = (Place, PathBuf)> {
    let of = root.join("of");
    names(&of).into_iter().flat_map(move |account| {
        let (folder, regions) = (of.join(&account), names(&of.join(&account)));
        let place = move |region: String| {
            let path = folder.join(&region);
            ((account.as_str().into(), region.into()), path)
        };
        regions.into_iter().map(place)
    })
}

/// The folders in a folder; none where there is none.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_750_000_000_000;

    fn place(account: &str, region: &str) -> Place {
        (account.into(), region.into())
    }

    fn groups(stores: &Stores, place: &Place) -> Vec<String> {
        let found = stores.of(place).unwrap().describe_log_groups(&Default::default()).unwrap();
        found.items.into_iter().map(|group| group.log_group_name).collect()
    }

    #[test]
    fn logs_stay_whose_they_are_whatever_is_configured_later() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (place("000000000000", "us-east-1"), place("111111111111", "eu-west-1"));
        for own in [&a, &b, &a] {
            let stores = Stores::open(dir.path(), Limits::default(), own.clone()).unwrap();
            for (place, name) in [(&a, "of-a"), (&b, "of-b")] {
                let created = stores.of(place).unwrap().create_log_group(name, Default::default(), NOW);
                assert!(created.is_ok() || own != &a || groups(&stores, place) == [name]);
                assert_eq!(groups(&stores, place), [name]);
            }
        }
    }

    #[test]
    fn beyond_the_limit_the_others_are_served() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (place("000000000000", "us-east-1"), place("111111111111", "eu-west-1"));
        let mut stores = Stores::open(dir.path(), Limits::default(), a.clone()).unwrap();
        Arc::get_mut(&mut stores.0).unwrap().most = 1;
        let refused = stores.of(&b).err().unwrap().to_string();
        assert_eq!(refused, "Logs are kept for at most 1 accounts and regions.");
        assert_eq!(groups(&stores, &a), Vec::<String>::new());
    }

    #[test]
    fn streams_of_one_account_give_way_to_its_own_and_not_to_those_of_others() {
        let dir = tempfile::tempdir().unwrap();
        let limits = Limits { streams_max: 20, ..Limits::default() };
        let places = ["us-east-1", "eu-west-1", "eu-west-2"].map(|region| place("000000000000", region));
        let make = |stores: &Stores, place: &Place, streams: std::ops::Range<i64>| {
            let logs = stores.of(place).unwrap();
            let _ = logs.create_log_group("g", Default::default(), NOW);
            streams.for_each(|i| logs.create_log_stream("g", &format!("s{i}"), NOW + i).unwrap());
        };
        let held = |stores: &Stores, place: &Place| {
            let request = logs::DescribeLogStreams { log_group_name: "g".into(), ..Default::default() };
            stores.of(place).unwrap().describe_log_streams(&request, NOW).unwrap().items.len()
        };
        let stores = Stores::open(dir.path(), limits.clone(), places[0].clone()).unwrap();
        make(&stores, &places[0], 0..5);
        make(&stores, &places[1], 0..100);
        make(&stores, &places[2], 0..5);
        assert_eq!(places.each_ref().map(|place| held(&stores, place)), [5, 10, 5]);
        let told = stored_streams(dir.path());
        assert_eq!((told.held, told.gave_way), (20, 90));
        drop(stores);
        // A limit that was lowered is kept from the start on.
        let limits = Limits { streams_max: 10, ..limits };
        let stores = Stores::open(dir.path(), limits, places[0].clone()).unwrap();
        make(&stores, &places[2], 5..6);
        let [a, b, c] = places.each_ref().map(|place| held(&stores, place));
        assert!(a + b + c == 10 && a.abs_diff(b) <= 1 && b.abs_diff(c) <= 1, "{a} {b} {c}");
        assert_eq!(stored_streams(dir.path()), StoredStreams { held: 10, gave_way: 101 });
    }

    #[test]
    fn all_share_one_limit() {
        const ALL: u64 = 400_000;
        let dir = tempfile::tempdir().unwrap();
        let limits = Limits { segment_bytes: 20_000, total_bytes: ALL, ..Limits::default() };
        let places = ["us-east-1", "eu-west-1", "eu-west-2"].map(|region| place("000000000000", region));
        let stores = Stores::open(dir.path(), limits, places[0].clone()).unwrap();
        for place in &places {
            let logs = stores.of(place).unwrap();
            logs.create_log_group("g", Default::default(), NOW).unwrap();
            logs.create_log_stream("g", "s", NOW).unwrap();
            for i in 0..150 {
                let message = format!("{i} {}", "y".repeat(2_000));
                let request = logs::PutLogEvents {
                    log_group_name: "g".into(),
                    log_stream_name: "s".into(),
                    log_events: vec![logs::InputLogEvent { timestamp: NOW + i, message }],
                };
                logs.put_log_events_wait(request, NOW).unwrap();
            }
        }
        // The index of a segment that closes is counted at the next look.
        let held = stored_bytes(dir.path());
        assert!((ALL / 2..ALL + 20_000).contains(&held), "{held}");
    }
}
