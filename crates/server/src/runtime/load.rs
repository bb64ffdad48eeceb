//! Reads all rows from the store at start, and applies each as it is read. A row that cannot be read is set aside,
//! with its bytes and its key said, and everything else is kept; what the others need of it is made anew where that
//! can be.

use std::collections::{BTreeMap, BTreeSet};

use ::ecs::{
    Cluster,
    account::{self, Account, FamilyRow},
    cluster::{Change, ClusterRow, InstanceId, InstanceRow, InstanceStatus, Owner, Resources, Row},
};
use state::{
    Domain, Table, Unreadable,
    shard::{KeyParts, MAIN},
};
use store::{Commit, Entry, Error, Span, Store, aside};
use wire::Timestamp;

use super::{Place, aside::Aside, home::shard_id};

/// All rows.
pub struct Rows {
    pub places: BTreeMap<Place, Found>,
    pub aside: Aside,
}

/// The rows of one account and region.
#[derive(Default)]
pub struct Found {
    pub account: Account,
    pub clusters: BTreeMap<String, Cluster>,
}

/// Takes the rows of one service as they are read.
pub trait Loads {
    /// The service's name in the keys.
    fn service(&self) -> &'static str;

    /// Takes one.
    ///
    /// # Errors
    /// What is wrong with it.
    fn take(&mut self, parts: &KeyParts, value: &[u8]) -> Result<(), Unreadable>;
}

/// Reads them, those of other services into `others`. An error is the store's alone.
pub fn load(store: &dyn Store, now: Timestamp, others: &mut [&mut dyn Loads]) -> Result<Rows, Error> {
    let mut loading = Loading { now, places: BTreeMap::new(), bad: Vec::new(), made: Vec::new() };
    store.scan(&Span::all(), &mut |entry: Entry| loading.take(entry, others))?;
    for (entry, reason) in &loading.bad {
        let key = &entry.key;
        tracing::error!(key, reason, "a row cannot be read; it is set aside: docs/repair.md");
        if let Err(error) = store.commit(aside::commit(entry, reason)) {
            // It is passed over all the same; the next start tries again.
            tracing::error!(key, %error, "it could not be moved, and stays where it is");
        }
    }
    let aside = Aside::read(store, loading.bad.iter().map(|(entry, _)| entry.key.as_str()))?;
    loading.mend(&aside);
    for (key, value) in loading.made.drain(..) {
        tracing::warn!(key, "a row that others need was lost; it is made anew");
        if let Err(error) = store.commit(Commit::new().put(key.as_str(), value)) {
            tracing::error!(key, %error, "the new row could not be written down; the next start makes it again");
        }
    }
    Ok(Rows { places: loading.places, aside })
}

struct Loading {
    now: Timestamp,
    places: BTreeMap<Place, Found>,
    bad: Vec<(Entry, String)>,
    /// Rows that were made anew.
    made: Vec<(String, Vec<u8>)>,
}

impl Loading {
    fn take(&mut self, entry: Entry, others: &mut [&mut dyn Loads]) {
        if entry.key.starts_with(aside::PREFIX) {
            return;
        }
        if !entry.whole {
            return self.bad.push((entry, "it does not match its checksum".to_owned()));
        }
        if let Err(error) = self.apply(&entry, others) {
            self.bad.push((entry, error.to_string()));
        }
    }

    fn apply(&mut self, entry: &Entry, others: &mut [&mut dyn Loads]) -> Result<(), Unreadable> {
        let parts = KeyParts::parse(&entry.key).ok_or(Unreadable::Kind)?;
        if parts.service != Cluster::SERVICE {
            let other = others.iter_mut().find(|other| other.service() == parts.service);
            return other.ok_or(Unreadable::Kind)?.take(&parts, &entry.value);
        }
        if parts.shard == MAIN {
            let row = account::Row::decode(parts.row, &entry.value)?;
            self.found(&parts).account.apply(&account::Change::Put(row));
            return Ok(());
        }
        let row = Row::decode(parts.row, &entry.value)?;
        if let Row::Cluster(row) = &row
            && row.name != parts.shard
        {
            return Err(Unreadable::Misplaced(row.name.clone()));
        }
        self.cluster(&parts).apply(&Change::Put(row));
        Ok(())
    }

    fn found(&mut self, parts: &KeyParts) -> &mut Found {
        self.places.entry((parts.account.into(), parts.region.into())).or_default()
    }

    fn cluster(&mut self, parts: &KeyParts) -> &mut Cluster {
        let id = shard_id(&(parts.account.into(), parts.region.into()), parts.shard);
        let found = self.found(parts);
        found.clusters.entry(parts.shard.to_owned()).or_insert_with(|| Cluster::new(&id))
    }

    /// Makes what is missing where something stands on it.
    fn mend(&mut self, aside: &Aside) {
        let lost: Vec<String> = self.bad.iter().map(|(entry, _)| entry.key.clone()).collect();
        // Nothing else of a cluster may be left, and still it was there.
        for parts in lost.iter().filter_map(|key| KeyParts::parse(key)) {
            if parts.service == Cluster::SERVICE && parts.row == "cluster" {
                self.cluster(&parts);
            }
        }
        let gone: Vec<&str> = lost.iter().map(String::as_str).chain(aside.keys()).collect();
        for (place, found) in &mut self.places {
            let gone: Vec<KeyParts> = gone
                .iter()
                .filter_map(|key| KeyParts::parse(key))
                .filter(|parts| parts.account == &*place.0 && parts.region == &*place.1)
                .collect();
            let keys_lost =
                gone.iter().any(|parts| parts.shard == MAIN && parts.row.starts_with("agent-key/"))
                    || aside.keys().any(|key| key == aside::UNKNOWN);
            let mut mending = Mending { place, now: self.now, made: &mut self.made };
            mending.families(found, &gone);
            mending.clusters(found, &gone, keys_lost);
        }
    }
}

/// What is made anew for one account and region.
struct Mending<'a> {
    place: &'a Place,
    now: Timestamp,
    made: &'a mut Vec<(String, Vec<u8>)>,
}

impl Mending<'_> {
    /// A revision is never used again, so a family must know of all that there were, wherever one is named.
    fn families(&mut self, found: &mut Found, gone: &[KeyParts]) {
        let mut newest: BTreeMap<String, i32> = BTreeMap::new();
        let mut named = |family: &str, revision: i32| {
            let known = newest.entry(family.to_owned()).or_default();
            *known = revision.max(*known);
        };
        found.account.task_definitions().for_each(|id| named(&id.family, id.revision));
        for cluster in found.clusters.values() {
            for id in cluster.tasks().map(|row| &row.task_definition) {
                named(&id.family, id.revision);
            }
            for id in cluster.services().map(|row| &row.task_definition) {
                named(&id.family, id.revision);
            }
        }
        for parts in gone.iter().filter(|parts| parts.shard == MAIN) {
            let id = parts.row.strip_prefix("td/").and_then(|rest| rest.rsplit_once('/'));
            if let Some((family, revision)) = id {
                named(family, revision.parse().unwrap_or(0));
            }
        }
        for (name, last_revision) in newest {
            if found.account.last_revision(&name).is_none_or(|known| known < last_revision) {
                let row = account::Row::from(FamilyRow { name, last_revision });
                let key = shard_id(self.place, MAIN).key(&account::Row::path(&row.key()));
                self.made.push((key, row.encode()));
                found.account.apply(&account::Change::Put(row));
            }
        }
    }

    fn clusters(&mut self, found: &mut Found, gone: &[KeyParts], keys_lost: bool) {
        let bound: BTreeSet<(String, InstanceId)> = found
            .account
            .agent_keys_after("", usize::MAX)
            .iter()
            .map(|row| (row.cluster.clone(), row.instance))
            .collect();
        for (name, cluster) in &mut found.clusters {
            let mut made = Vec::new();
            if cluster.row.created_at == Timestamp(0) {
                // Only its name is left: ACTIVE, so that what is in it can be reached.
                let row = ClusterRow { active: true, created_at: self.now, ..ClusterRow::plain(name) };
                made.push(Row::from(row));
            }
            let of_lost = gone.iter().filter(|parts| parts.shard == name);
            let of_lost = of_lost.filter_map(|parts| InstanceId::parse(parts.row.strip_prefix("instance/")?));
            let mut hosts: BTreeSet<InstanceId> = of_lost.collect();
            hosts.extend(cluster.hosts_with_tasks());
            for id in hosts.into_iter().filter(|id| cluster.instance(id).is_none()) {
                let owner = match bound.contains(&(name.clone(), id)) {
                    true => Owner::Agent,
                    false => Owner::Unclaimed,
                };
                made.push(Row::from(plain_instance(id, owner, self.now)));
            }
            if keys_lost {
                // The agent that comes has those whose key may be what was lost.
                let of_agents = cluster.instances().filter(|row| row.owner == Owner::Agent);
                let lost = of_agents.filter(|row| !bound.contains(&(name.clone(), row.id)));
                made.extend(
                    lost.map(|row| {
                        Row::from(InstanceRow { owner: Owner::Unclaimed, ..row.as_ref().clone() })
                    }),
                );
            }
            let id = shard_id(self.place, name);
            for row in made {
                self.made.push((id.key(&Row::path(&row.key())), row.encode()));
                cluster.apply(&Change::Put(row));
            }
        }
    }
}

/// A container instance of which only the id is left. Nothing is placed on it before its agent has registered
/// again, and said what it has.
fn plain_instance(id: InstanceId, owner: Owner, now: Timestamp) -> InstanceRow {
    InstanceRow {
        id,
        owner,
        status: InstanceStatus::Active,
        registered_at: now,
        registered: Resources::default(),
        attributes: Vec::new(),
        tags: Vec::new(),
        timeline: 0,
        agent_connected: false,
        version_info: Default::default(),
        ec2_instance_id: None,
        version: 0,
        forget_at: None,
    }
}
