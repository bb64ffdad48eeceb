//! Ranges of user and group ids of the host, one for each task that has a user namespace: who is root in one task is
//! nobody on the host, and nobody in any other task.
//!
//! A range is noted as a link `D/engine/ids/<first id>` that says whose it is. To make a link is one step, so no range is
//! ever two tasks', whoever dies when; it goes when all else of its task is gone.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// How many ids a task has. Images seldom use more.
pub(crate) const RANGE: u32 = 1 << 16;

/// Which ids of the host are for tasks. They must be nobody's: not of users of the host, nor of other programs that
/// give out ranges (`/etc/subuid`), nor of another agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdPool {
    /// The first of all.
    pub first: u32,
    /// How many tasks can have a range of 65,536 ids.
    pub tasks: u32,
}

impl IdPool {
    /// Whether there are so many ids, none of them of the host's own users.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self) -> Result<(), String> {
        let fits = self.tasks.checked_mul(RANGE).and_then(|ids| self.first.checked_add(ids.checked_sub(1)?));
        if self.first < RANGE {
            return Err(format!("ids below {RANGE} are the host's own"));
        }
        // The last of all ids means none.
        if fits.is_none_or(|last| last == u32::MAX) {
            return Err(format!("there are no {} times {RANGE} ids from {} on", self.tasks, self.first));
        }
        Ok(())
    }
}

impl Default for IdPool {
    /// 1879048192 to 2147483647: beyond what distributions give out, and within what every program can count.
    fn default() -> IdPool {
        IdPool { first: 0x7000_0000, tasks: 4096 }
    }
}

/// The ids of one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ids {
    /// Of the host; 0 inside.
    pub(crate) base: u32,
}

impl Ids {
    /// Who somebody inside is on the host.
    pub(crate) fn host(self, inside: u32) -> io::Result<u32> {
        let known = (inside < RANGE).then(|| self.base.checked_add(inside)).flatten();
        known.ok_or_else(|| {
            io::Error::other(format!("the id {inside} is not one of the {RANGE} ids that the task has"))
        })
    }

    /// As the kernel takes a mapping.
    pub(crate) fn mapping(self) -> String {
        format!("0 {} {RANGE}\n", self.base)
    }
}

/// All ranges of an instance.
#[derive(Debug)]
pub(crate) struct Ranges {
    dir: PathBuf,
    pool: IdPool,
    given: Mutex<Given>,
}

#[derive(Debug, Default)]
struct Given {
    /// By first id.
    tasks: BTreeMap<u32, String>,
    /// Where the next search begins: a range that was given back rests a while.
    next: u32,
}

impl Ranges {
    /// Reads what is given. The first search begins at a place that `id8` decides, so that instances which were not told
    /// to keep apart hardly meet.
    pub(crate) fn open(dir: PathBuf, pool: IdPool, id8: &str) -> io::Result<Ranges> {
        pool.check().map_err(io::Error::other)?;
        let next = u32::from_str_radix(id8, 16).unwrap_or(0) % pool.tasks;
        let tasks = read(&dir)?;
        Ok(Ranges { dir, pool, given: Mutex::new(Given { tasks, next }) })
    }

    /// What a task has.
    pub(crate) fn of(&self, task: &str) -> Option<Ids> {
        let given = self.given.lock();
        given.tasks.iter().find(|(_, of)| *of == task).map(|(base, _)| Ids { base: *base })
    }

    /// Gives a task its range; the same again where it has one.
    pub(crate) fn give(&self, task: &str) -> io::Result<Ids> {
        if let Some(ids) = self.of(task) {
            return Ok(ids);
        }
        fs::create_dir_all(&self.dir)?;
        let mut given = self.given.lock();
        for step in 0..self.pool.tasks {
            let number = (given.next + step) % self.pool.tasks;
            let base = self.pool.first + number * RANGE;
            // Whatever the pool was when a range was given.
            let near =
                (Bound::Excluded(base.saturating_sub(RANGE)), Bound::Excluded(base.saturating_add(RANGE)));
            if given.tasks.range(near).next().is_some() {
                continue;
            }
            match std::os::unix::fs::symlink(task, self.dir.join(base.to_string())) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            }
            given.tasks.insert(base, task.to_owned());
            given.next = (number + 1) % self.pool.tasks;
            return Ok(Ids { base });
        }
        Err(io::Error::other(format!("all {} ranges of user ids are in use", self.pool.tasks)))
    }

    /// Takes back what a task has, if anything.
    pub(crate) fn take_back(&self, task: &str) -> io::Result<()> {
        let mut given = self.given.lock();
        let bases: Vec<u32> =
            given.tasks.iter().filter(|(_, of)| *of == task).map(|(base, _)| *base).collect();
        for base in bases {
            match fs::remove_file(self.dir.join(base.to_string())) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => given.tasks.remove(&base),
            };
        }
        Ok(())
    }

    /// The tasks that have a range.
    pub(crate) fn tasks(&self) -> Vec<String> {
        self.given.lock().tasks.values().cloned().collect()
    }
}

/// What is given, by first id.
pub(crate) fn read(dir: &Path) -> io::Result<BTreeMap<u32, String>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        entries => entries?,
    };
    let mut tasks = BTreeMap::new();
    for entry in entries {
        let entry = entry?;
        let Some(base) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let task = fs::read_link(entry.path())?;
        tasks.insert(base, task.to_string_lossy().into_owned());
    }
    Ok(tasks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path, first: u32, tasks: u32) -> Ranges {
        Ranges::open(dir.join("ids"), IdPool { first, tasks }, "00000001").unwrap()
    }

    #[test]
    fn a_range_is_one_task_s_until_it_is_given_back_also_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let ranges = open(dir.path(), 1 << 20, 3);
        let a = ranges.give("a").unwrap();
        assert_eq!(a.base, (1 << 20) + RANGE, "where the instance's id says");
        assert_eq!(ranges.give("a").unwrap(), a);
        let b = ranges.give("b").unwrap();
        let ranges = open(dir.path(), 1 << 20, 3);
        assert_eq!((ranges.of("a"), ranges.of("b"), ranges.of("c")), (Some(a), Some(b), None));
        let c = ranges.give("c").unwrap();
        assert!(c != a && c != b);
        assert!(ranges.give("d").unwrap_err().to_string().contains("all 3 ranges"));
        ranges.take_back("a").unwrap();
        ranges.take_back("a").unwrap();
        assert_eq!(ranges.give("d").unwrap(), a);
        assert_eq!(ranges.tasks(), ["c", "d", "b"]);
        // Another pool, whose ranges lie across those.
        let ranges = open(dir.path(), (1 << 20) + 1, 3);
        assert!(ranges.give("e").is_err());
        let ranges = open(dir.path(), (1 << 20) + 1, 4);
        assert_eq!(ranges.give("e").unwrap().base, (1 << 20) + 1 + 3 * RANGE);
    }

    #[test]
    fn ids_that_are_not_there_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        for (first, tasks) in [(0, 1), (1 << 20, 0), (u32::MAX - RANGE + 1, 1), (1 << 31, 1 << 15)] {
            assert!(
                Ranges::open(dir.path().into(), IdPool { first, tasks }, "0").is_err(),
                "{first} {tasks}"
            );
        }
        let ids = Ids { base: 1 << 20 };
        assert_eq!((ids.host(0).unwrap(), ids.host(65_535).unwrap()), (1 << 20, (1 << 20) + 65_535));
        assert!(ids.host(65_536).is_err());
        assert_eq!(ids.mapping(), "0 1048576 65536\n");
    }
}
