//! The rows of ECS as they are read at start, and what is made anew where others need what was lost.

use std::collections::{BTreeMap, BTreeSet};

use ::ecs::{
    Cluster,
    account::{self, Account, FamilyRow},
    cluster::{
        Change, ClusterRow, DaemonFamilyRow, InstanceId, InstanceRow, InstanceStatus, Owner, Resources, Row,
    },
};
use state::{
    Domain, Table, Unreadable,
    shard::{KeyParts, MAIN},
};
use store::aside;
use wire::Timestamp;

use super::home::shard_id;
use crate::runtime::{AnyRow, Loads, Lost, Place, Reads};

/// All of them.
#[derive(Default)]
pub struct Found {
    pub(super) places: BTreeMap<Place, OfPlace>,
}

/// Those of one account and region.
#[derive(Default)]
pub struct OfPlace {
    pub account: Account,
    pub clusters: BTreeMap<String, Cluster>,
}

impl Loads for Found {
    fn service(&self) -> &'static str {
        Cluster::SERVICE
    }

    fn reads(&self) -> Reads {
        |parts, value| {
            if parts.shard == MAIN {
                let (row, moved) = account::Row::decode_at(parts.row, value)?;
                return Ok((Box::new(row), moved));
            }
            let (row, moved) = Row::decode_at(parts.row, value)?;
            match &row {
                Row::Cluster(row) if row.name != parts.shard => Err(Unreadable::Misplaced(row.name.clone())),
                _ => Ok((Box::new(row), moved)),
            }
        }
    }

    fn take(&mut self, parts: &KeyParts, row: AnyRow) {
        const OF_READS: &str = "it is what `reads` gives";
        if parts.shard == MAIN {
            let row = *row.downcast().expect(OF_READS);
            self.of(parts).account.apply(&account::Change::Put(row));
        } else {
            let row = *row.downcast().expect(OF_READS);
            self.cluster(parts).apply(&Change::Put(row));
        }
    }

    fn mend(&mut self, lost: &Lost) -> Vec<(String, Vec<u8>)> {
        let own = |key| KeyParts::parse(key).filter(|parts| parts.service == Cluster::SERVICE);
        // Nothing else of a cluster may be left, and still it was there.
        for parts in lost.keys.iter().filter_map(|key| own(key)).filter(|parts| parts.row == "cluster") {
            self.cluster(&parts);
        }
        let gone = lost.keys.iter().map(String::as_str).chain(lost.aside.keys());
        let gone: Vec<KeyParts> = gone.filter_map(own).collect();
        let all_keys_lost = lost.aside.keys().any(|key| key == aside::UNKNOWN);
        let mut made = Vec::new();
        for (place, found) in &mut self.places {
            let here = |parts: &&KeyParts| parts.account == &*place.0 && parts.region == &*place.1;
            let gone: Vec<KeyParts> = gone.iter().filter(here).copied().collect();
            let keys_lost = all_keys_lost
                || gone.iter().any(|parts| parts.shard == MAIN && parts.row.starts_with("agent-key/"));
            let mut mending = Mending { place, now: lost.now, made: &mut made };
            mending.families(found, &gone);
            mending.daemon_families(found, &gone);
            mending.clusters(found, &gone, keys_lost);
        }
        made
    }
}

impl Found {
    fn of(&mut self, parts: &KeyParts) -> &mut OfPlace {
        self.places.entry((parts.account.into(), parts.region.into())).or_default()
    }

    fn cluster(&mut self, parts: &KeyParts) -> &mut Cluster {
        let found = self.of(parts);
        // Not by `entry`: it is asked for each row.
        if !found.clusters.contains_key(parts.shard) {
            let id = shard_id(&(parts.account.into(), parts.region.into()), parts.shard);
            found.clusters.insert(parts.shard.to_owned(), Cluster::new(&id));
        }
        found.clusters.get_mut(parts.shard).expect("it was put there")
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
    fn families(&mut self, found: &mut OfPlace, gone: &[KeyParts]) {
        let mut newest: BTreeMap<String, i32> = BTreeMap::new();
        let mut named = |family: &str, revision: i32| {
            let known = newest.entry(family.to_owned()).or_default();
            *known = revision.max(*known);
        };
        found.account.task_definitions().for_each(|id| named(&id.family, id.revision));
        for cluster in found.clusters.values() {
            for id in cluster.tasks().filter(|row| row.daemon.is_none()).map(|row| &row.task_definition) {
                named(&id.family, id.revision);
            }
            for service in cluster.services() {
                let revisions = cluster.revisions(&service.name).map(|row| &row.task_definition);
                for id in revisions.chain([&service.task_definition]) {
                    named(&id.family, id.revision);
                }
            }
        }
        definitions(gone, "td/").for_each(|(family, revision)| named(family, revision));
        for (name, last_revision) in newest {
            if found.account.last_revision(&name).is_none_or(|known| known < last_revision) {
                self.make(found, FamilyRow { name, last_revision });
            }
        }
    }

    /// Likewise of daemons' task definitions.
    fn daemon_families(&mut self, found: &mut OfPlace, gone: &[KeyParts]) {
        let mut newest: BTreeMap<String, i32> = BTreeMap::new();
        let mut named = |family: &str, revision: i32| {
            let known = newest.entry(family.to_owned()).or_default();
            *known = revision.max(*known);
        };
        found.account.daemon_definitions().for_each(|id| named(&id.family, id.revision));
        for cluster in found.clusters.values() {
            for id in cluster.tasks().filter(|row| row.daemon.is_some()).map(|row| &row.task_definition) {
                named(&id.family, id.revision);
            }
            for daemon in cluster.daemon_rows() {
                let revisions = cluster.daemon_revisions(&daemon.name).map(|row| &row.task_definition);
                revisions.for_each(|id| named(&id.family, id.revision));
            }
        }
        definitions(gone, "daemon-td/").for_each(|(family, revision)| named(family, revision));
        for (name, last_revision) in newest {
            if found.account.last_daemon_revision(&name).is_none_or(|known| known < last_revision) {
                self.make(found, DaemonFamilyRow { name, last_revision });
            }
        }
    }

    /// A row of an account that is made anew.
    fn make(&mut self, found: &mut OfPlace, row: impl Into<account::Row>) {
        let row = row.into();
        let key = shard_id(self.place, MAIN).key(&account::Row::path(&row.key()));
        self.made.push((key, row.encode()));
        found.account.apply(&account::Change::Put(row));
    }

    fn clusters(&mut self, found: &mut OfPlace, gone: &[KeyParts], keys_lost: bool) {
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

/// The families and revisions that lost keys of a kind name.
fn definitions<'a>(gone: &'a [KeyParts<'a>], kind: &'a str) -> impl Iterator<Item = (&'a str, i32)> {
    let of_account = gone.iter().filter(|parts| parts.shard == MAIN);
    let named = of_account.filter_map(move |parts| parts.row.strip_prefix(kind)?.rsplit_once('/'));
    named.map(|(family, revision)| (family, revision.parse().unwrap_or(0)))
}

/// A container instance of which only the id is left. Nothing is placed on it before its agent has registered
/// again, and said what it has.
fn plain_instance(id: InstanceId, owner: Owner, now: Timestamp) -> InstanceRow {
    InstanceRow {
        id,
        owner,
        status: InstanceStatus::Active,
        repair: false,
        registered_at: now,
        registered: Resources::default(),
        attributes: Vec::new(),
        tags: Vec::new(),
        timeline: 0,
        agent_connected: false,
        version_info: Default::default(),
        ec2_instance_id: None,
        address: None,
        lost_at: None,
        health: Vec::new(),
        version: 0,
        forget_at: None,
    }
}
