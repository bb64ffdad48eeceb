//! What a damaged catalog no longer names, found again by its files. A group whose directory is there gets the
//! name that the changes to its streams give it, else `/recovered/<number>`; a stream whose events are there
//! `recovered-<number>`. Their own names, tags and retention are lost with the changes that said them; their events
//! are not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::{Catalog, Change};
use crate::error::{Error, Result};
use crate::types::Tags;

/// What the readable changes say of groups and streams that are not in the catalog.
#[derive(Default)]
pub(super) struct Past {
    /// Numbers of what was deleted.
    deleted: BTreeSet<u64>,
    /// Streams of groups whose own change is lost: by number, the names of group and stream, and when it was made.
    strays: BTreeMap<u64, (String, String, i64)>,
}

impl Past {
    /// Takes note of a change before the catalog does.
    pub fn note(&mut self, change: &Change, catalog: &Catalog) {
        match change {
            Change::CreateStream { group, id, name, at } if !catalog.groups.contains_key(group.as_str()) => {
                self.strays.insert(*id, (group.clone(), name.clone(), *at));
            }
            Change::DeleteStream { group, name, .. } => match catalog.groups.get(group.as_str()) {
                Some(known) => self.deleted.extend(known.streams.get(name.as_str()).map(|stream| stream.id)),
                None => self.forget(|(of, stream, _)| of == group && stream == name),
            },
            Change::DeleteGroup { name } => match catalog.groups.get(name.as_str()) {
                Some(known) => {
                    self.deleted.insert(known.id);
                    self.deleted.extend(known.names.keys());
                }
                None => self.forget(|(of, ..)| of == name),
            },
            _ => {}
        }
    }

    fn forget(&mut self, is_gone: impl Fn(&(String, String, i64)) -> bool) {
        let gone = self.strays.iter().filter(|(_, stray)| is_gone(stray)).map(|(&id, _)| id);
        self.deleted.extend(gone);
        self.strays.retain(|_, stray| !is_gone(stray));
    }

    /// Names what is there and has no name.
    pub fn recover(self, dir: &Path, catalog: &mut Catalog) -> Result<()> {
        let known: BTreeSet<u64> = catalog.groups.values().map(|group| group.id).collect();
        for id in directories(dir)?.into_iter().filter(|id| !known.contains(id) && !self.deleted.contains(id))
        {
            let unnamed = format!("/recovered/{id}");
            let mut found = Catalog::default();
            found.apply(&Change::CreateGroup { id, name: unnamed.clone(), at: 0, tags: Tags::new() }, dir);
            let told = streams(&found, &unnamed).iter().find_map(|stream| self.strays.get(stream));
            let told = told
                .map(|(group, ..)| group.clone())
                .filter(|name| !catalog.groups.contains_key(name.as_str()));
            let name = told.unwrap_or(unnamed);
            tracing::error!(
                group = name,
                "a log group that the damaged catalog does not have was found by its files"
            );
            catalog.apply(&Change::CreateGroup { id, name, at: 0, tags: Tags::new() }, dir);
        }
        let names: Vec<String> = catalog.groups.keys().map(|name| name.to_string()).collect();
        for group in names {
            for id in streams(catalog, &group).into_iter().filter(|id| !self.deleted.contains(id)) {
                let (name, at) = match self.strays.get(&id) {
                    Some((_, name, at)) => (name.clone(), *at),
                    None => (format!("recovered-{id}"), 0),
                };
                tracing::error!(
                    group,
                    stream = name,
                    "a log stream that the damaged catalog does not have was found"
                );
                catalog.apply(&Change::CreateStream { group: group.clone(), id, name, at }, dir);
            }
        }
        Ok(())
    }
}

/// The numbers of the streams of which a group holds events, and which have no name in it. None when its files
/// cannot be read: what it holds is not lost for that.
fn streams(catalog: &Catalog, group: &str) -> Vec<u64> {
    let Some(group) = catalog.groups.get(group) else { return Vec::new() };
    let mut streams = group.files.streams_found().unwrap_or_default();
    streams.retain(|id| !group.names.contains_key(id));
    streams
}

/// The numbers of the groups that have files.
fn directories(dir: &Path) -> Result<Vec<u64>> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(dir.join("groups")).map_err(Error::read)? {
        let name = entry.map_err(Error::read)?.file_name();
        ids.extend(name.to_str().and_then(|name| name.parse::<u64>().ok()));
    }
    ids.sort_unstable();
    Ok(ids)
}
