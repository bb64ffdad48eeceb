//! A store for each account and region, so that none sees another's groups: the own one's in the folder itself, the
//! others' below `of/<account>/<region>`, opened when they are first asked for.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use logs::{Error, Limits, Logs};
use parking_lot::RwLock;

use crate::runtime::Place;

/// Accounts and regions that may have logs: each costs a thread and some open files.
const MOST: usize = 1000;

/// All of them.
#[derive(Clone)]
pub struct Stores(Arc<Inner>);

struct Inner {
    root: PathBuf,
    limits: Limits,
    open: RwLock<BTreeMap<Place, Logs>>,
}

impl Stores {
    /// Opens those that there are. `own` is whose the folder itself is.
    ///
    /// # Errors
    /// That of the first which cannot be opened.
    pub fn open(root: &Path, limits: Limits, own: Place) -> Result<Stores, Error> {
        let mut open = BTreeMap::from([(own, Logs::open(root, limits.clone())?)]);
        for account in names(&root.join("of")) {
            for region in names(&root.join("of").join(&account)) {
                let place: Place = (account.as_str().into(), region.as_str().into());
                let path = root.join("of").join(&account).join(&region);
                open.insert(place, Logs::open(&path, limits.clone())?);
            }
        }
        Ok(Stores(Arc::new(Inner { root: root.to_owned(), limits, open: RwLock::new(open) })))
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
        if open.len() >= MOST {
            return Err(Error::Overloaded);
        }
        let path = self.0.root.join("of").join(&*place.0).join(&*place.1);
        std::fs::create_dir_all(&path).map_err(Error::write)?;
        let logs = Logs::open(&path, self.0.limits.clone())?;
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

/// The folders in a folder; none where there is none.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}
