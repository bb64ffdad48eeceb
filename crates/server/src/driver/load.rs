//! Reads all rows from the store at start. A row that cannot be read is set aside, with its bytes and its key said,
//! and everything else is kept; what the others need of it is made anew where that can be.

use std::collections::{BTreeMap, BTreeSet};

use brain::{
    Cluster,
    account::{self, Account, FamilyRow},
    cluster::{
        Change, ClusterRow, InstanceId, InstanceRow, InstanceStatus, Owner, Resources, Row, TaskStatus,
        change::Unreadable,
    },
};
use store::{Commit, Entry, Error, Span, Store, aside};
use wire::Timestamp;

use super::aside::Aside;

/// All rows.
pub struct Rows {
    pub account: Account,
    pub clusters: BTreeMap<String, Cluster>,
    pub aside: Aside,
}

/// Reads them. An error is the store's alone.
pub fn load(store: &dyn Store, now: Timestamp) -> Result<Rows, Error> {
    let mut loading = Loading { now, ..Loading::default() };
    store.scan(&Span::all(), &mut |entry: Entry| loading.take(entry))?;
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
    Ok(Rows { account: loading.account, clusters: loading.clusters, aside })
}

#[derive(Default)]
struct Loading {
    now: Timestamp,
    account: Account,
    rows: BTreeMap<String, Vec<Row>>,
    /// What each family has of revisions, wherever one is named.
    families: BTreeMap<String, i32>,
    /// The newest revision that each family's own row knows.
    known: BTreeMap<String, i32>,
    /// Container instances that a key is bound to, by cluster.
    bound: BTreeSet<(String, InstanceId)>,
    bad: Vec<(Entry, String)>,
    clusters: BTreeMap<String, Cluster>,
    /// Rows that were made anew.
    made: Vec<(String, Vec<u8>)>,
}

impl Loading {
    fn take(&mut self, entry: Entry) {
        if entry.key.starts_with(aside::PREFIX) {
            return;
        }
        if !entry.whole {
            return self.bad.push((entry, "it does not match its checksum".to_owned()));
        }
        if let Err(error) = self.decode(&entry) {
            let cause =
                error.source.map_or_else(|| "its key is no row's".to_owned(), |cause| cause.to_string());
            self.bad.push((entry, cause));
        }
    }

    fn decode(&mut self, entry: &Entry) -> Result<(), Unreadable> {
        // A row that names another key than its own would be found under neither.
        let same = |key: String| match key == entry.key {
            true => Ok(()),
            false => Err(Unreadable { key, source: None }),
        };
        let Some(rest) = entry.key.strip_prefix("c/") else {
            let row = account::Row::decode(&entry.key, &entry.value)?;
            same(row.key().encode())?;
            match &row {
                account::Row::TaskDefinition(row) => {
                    let id = row.id();
                    self.names(&id.family, id.revision);
                }
                account::Row::Family(row) => drop(self.known.insert(row.name.clone(), row.last_revision)),
                account::Row::AgentKey(row) => {
                    self.bound.insert((row.cluster.clone(), row.instance.clone()));
                }
                account::Row::Setting(_) => {}
            }
            self.account.apply(&account::Change::Put(row));
            return Ok(());
        };
        let cluster = rest.split('/').next().unwrap_or_default();
        let row = Row::decode(&entry.key, &entry.value)?;
        same(row.key().encode(cluster))?;
        match &row {
            Row::Task(row) => self.names(&row.task_definition.family, row.task_definition.revision),
            Row::Cluster(row) if row.name != cluster => same(format!("c/{}/cluster", row.name))?,
            Row::Service(row) => self.names(&row.task_definition.family, row.task_definition.revision),
            _ => {}
        }
        self.rows.entry(cluster.to_owned()).or_default().push(row);
        Ok(())
    }

    fn names(&mut self, family: &str, revision: i32) {
        let newest = self.families.entry(family.to_owned()).or_default();
        *newest = revision.max(*newest);
    }

    /// Makes the clusters, and what is missing where something stands on it.
    fn mend(&mut self, aside: &Aside) {
        let lost: Vec<String> = self.bad.iter().map(|(entry, _)| entry.key.clone()).collect();
        for key in lost.iter().map(String::as_str).chain(aside.keys()) {
            let mut parts = key.split('/');
            if let (Some("a"), Some("td"), Some(family), Some(revision)) =
                (parts.next(), parts.next(), parts.next(), parts.next())
            {
                self.names(family, revision.parse().unwrap_or(0));
            }
        }
        self.mend_families();
        for key in &lost {
            // Nothing else of it may be left, and still it was there.
            if let Some(cluster) = key.strip_prefix("c/").and_then(|rest| rest.strip_suffix("/cluster")) {
                self.rows.entry(cluster.to_owned()).or_default();
            }
        }
        let keys_lost = aside.keys().any(|key| key.starts_with("a/agent-key/") || key == aside::UNKNOWN);
        for (name, rows) in std::mem::take(&mut self.rows) {
            let cluster = self.cluster(&name, rows, &lost, keys_lost);
            self.clusters.insert(name, cluster);
        }
    }

    /// A revision is never used again, so a family must know of all that there were.
    fn mend_families(&mut self) {
        for (name, last_revision) in std::mem::take(&mut self.families) {
            if self.known.get(&name).is_none_or(|known| *known < last_revision) {
                let row = account::Row::Family(FamilyRow { name, last_revision });
                self.made.push((row.key().encode(), row.encode()));
                self.account.apply(&account::Change::Put(row));
            }
        }
    }

    fn cluster(&mut self, name: &str, rows: Vec<Row>, lost: &[String], keys_lost: bool) -> Cluster {
        let own = rows.iter().find_map(|row| match row {
            Row::Cluster(row) => Some(row.as_ref().clone()),
            _ => None,
        });
        let mut made = Vec::new();
        let own = own.unwrap_or_else(|| {
            let row = plain_cluster(name, self.now);
            made.push(Row::Cluster(row.clone().into()));
            row
        });
        let mut cluster = Cluster::new(own);
        let prefix = format!("c/{name}/instance/");
        let mut hosts: BTreeSet<InstanceId> =
            lost.iter().filter_map(|key| key.strip_prefix(&prefix)).map(InstanceId::from).collect();
        for row in &rows {
            match row {
                Row::Task(task) if task.last != TaskStatus::Stopped => hosts.extend(task.instance.clone()),
                _ => {}
            }
        }
        for row in rows {
            cluster.apply(&Change::Put(row));
        }
        for id in hosts.into_iter().filter(|id| cluster.instance(id).is_none()) {
            let owner = match self.bound.contains(&(name.to_owned(), id.clone())) {
                true => Owner::Agent,
                false => Owner::Unclaimed,
            };
            made.push(Row::Instance(plain_instance(id, owner, self.now).into()));
        }
        if keys_lost {
            made.extend(self.unclaimed(name, &cluster));
        }
        for row in made {
            self.made.push((row.key().encode(name), row.encode()));
            cluster.apply(&Change::Put(row));
        }
        cluster
    }

    /// Container instances whose agent's key may be what was lost: the agent that comes has them.
    fn unclaimed(&self, name: &str, cluster: &Cluster) -> Vec<Row> {
        let of_agents = cluster.instances().filter(|row| row.owner == Owner::Agent);
        let lost = of_agents.filter(|row| !self.bound.contains(&(name.to_owned(), row.id.clone())));
        let unclaimed = lost.map(|row| InstanceRow { owner: Owner::Unclaimed, ..row.as_ref().clone() });
        unclaimed.map(|row| Row::Instance(row.into())).collect()
    }
}

/// A cluster of which only the name is left: ACTIVE, so that what is in it can be reached.
fn plain_cluster(name: &str, now: Timestamp) -> ClusterRow {
    ClusterRow {
        name: name.to_owned(),
        active: true,
        created_at: now,
        settings: Vec::new(),
        configuration: None,
        capacity_providers: Vec::new(),
        default_capacity_provider_strategy: Vec::new(),
        service_connect_defaults: None,
        tags: Vec::new(),
        forget_at: None,
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
