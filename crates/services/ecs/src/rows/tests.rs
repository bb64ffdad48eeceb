//! Rows as they lie on disk: every member of every row, pinned by a golden file, and what is read of rows that
//! say more or less.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde_json::Value;
use state::{
    Table,
    contract::{EventOut, InterfaceWanted, SequenceRow},
};

use super::*;
use crate::{account, cluster};

mod probe;

/// A row of every kind with every member: domain, key and value. A line is never changed, as what it stands for is
/// on disks. Where a kind is written otherwise than before, it has another line below; the last one of a key is
/// what this version writes.
const GOLDEN: &str = include_str!("golden.txt");

/// Rows by domain and key.
fn golden() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    GOLDEN.lines().map(|line| {
        let mut parts = line.split('\t');
        let mut next = || parts.next().expect("a domain, a key and a row");
        (next(), next(), next())
    })
}

/// What a row says once it has been read and written again.
fn rewritten(domain: &str, key: &str, row: &str) -> String {
    let written = match domain {
        "account" => account::Row::decode(key, row.as_bytes()).map(|row| row.encode()),
        _ => cluster::Row::decode(key, row.as_bytes()).map(|row| row.encode()),
    };
    String::from_utf8(written.unwrap_or_else(|why| panic!("{key}: {why}"))).unwrap()
}

/// The row in its envelope.
fn inner(row: &str) -> Value {
    serde_json::from_str::<Value>(row).unwrap()["row"].take()
}

/// The row of another one's version.
fn enveloped(row: &Value, like: &str) -> String {
    let version = &serde_json::from_str::<Value>(like).unwrap()["v"];
    format!("{{\"v\":{version},\"row\":{row}}}")
}

#[test]
fn rows_of_every_version_are_read_and_those_of_this_one_are_written_as_they_were() {
    let mut newest = BTreeMap::new();
    for (domain, key, row) in golden() {
        newest.insert((domain, key), (row, rewritten(domain, key, row)));
    }
    for ((_, key), (row, written)) in newest {
        assert_eq!(written, row, "{key}");
    }
}

#[test]
fn the_golden_rows_have_every_member_of_every_kind() {
    let mut seen = probe::Seen::default();
    fn of<R: DeserializeOwned>(seen: &mut probe::Seen, row: &str) {
        seen.read::<R>(&inner(row));
    }
    let mut kinds = BTreeSet::new();
    for (_, key, row) in golden() {
        let kind = key.split('/').next().unwrap();
        kinds.insert(kind);
        match kind {
            "td" => of::<account::TaskDefinitionRow>(&mut seen, row),
            "family" => of::<account::FamilyRow>(&mut seen, row),
            "daemon-td" => of::<DaemonDefinitionRow>(&mut seen, row),
            "daemon-family" => of::<DaemonFamilyRow>(&mut seen, row),
            "setting" => of::<account::SettingRow>(&mut seen, row),
            "agent-key" => of::<account::AgentKeyRow>(&mut seen, row),
            "capacity-provider" => of::<account::CapacityProviderRow>(&mut seen, row),
            "cluster" => of::<ClusterRow>(&mut seen, row),
            "instance" => of::<InstanceRow>(&mut seen, row),
            "service" if row.starts_with("{\"v\":1,") => of::<ServiceInVersion1>(&mut seen, row),
            "service" => of::<ServiceRow>(&mut seen, row),
            "service-event" => of::<ServiceEventRow>(&mut seen, row),
            "service-token" => of::<ServiceTokenRow>(&mut seen, row),
            "service-revision" => of::<ServiceRevisionRow>(&mut seen, row),
            "service-images" => of::<ServiceImagesRow>(&mut seen, row),
            "service-deployment" => of::<ServiceDeploymentRow>(&mut seen, row),
            "task-set" => of::<TaskSetRow>(&mut seen, row),
            "daemon" => of::<DaemonRow>(&mut seen, row),
            "daemon-revision" => of::<DaemonRevisionRow>(&mut seen, row),
            "daemon-deployment" => of::<DaemonDeploymentRow>(&mut seen, row),
            "task" => of::<TaskRow>(&mut seen, row),
            "kept-task" => of::<KeptTaskRow>(&mut seen, row),
            "token" => of::<TokenRow>(&mut seen, row),
            "interface-wanted" => of::<InterfaceWanted>(&mut seen, row),
            "event-out" => of::<EventOut>(&mut seen, row),
            "sequence" => of::<SequenceRow>(&mut seen, row),
            other => panic!("no kind is called {other}"),
        }
    }
    assert_eq!(kinds.len(), 25, "{kinds:?}");
    assert_eq!(seen.missing(), BTreeMap::new());
}

/// Each object within `row`, by where it is.
fn objects(row: &Value, at: &str, found: &mut Vec<String>) {
    match row {
        Value::Object(members) => {
            found.push(at.to_owned());
            members.iter().for_each(|(name, member)| objects(member, &format!("{at}/{name}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| objects(item, &format!("{at}/{n}"), found));
        }
        _ => {}
    }
}

#[test]
fn members_that_nobody_knows_are_ignored() {
    for (domain, key, row) in golden() {
        let (whole, mut all) = (inner(row), Vec::new());
        objects(&whole, "", &mut all);
        // The keys of a map are no members.
        for at in all
            .iter()
            .filter(|at| !["/dockerLabels", "/options", "/detail"].iter().any(|map| at.ends_with(map)))
        {
            let mut more = whole.clone();
            more.pointer_mut(at).unwrap()["membersOfTomorrow"] = serde_json::json!([{"a": 1}]);
            let more = enveloped(&more, row);
            assert_eq!(rewritten(domain, key, &more), rewritten(domain, key, row), "{key} {at}");
        }
    }
}

/// Rows have members without which they say nothing; what they are made of has none.
#[test]
fn members_that_are_missing_have_a_default() {
    /// These parts are the row's own.
    const OWN: [&str; 19] = [
        "has",
        "made_of",
        "task",
        "daemon",
        "unplaced",
        "task_definition",
        "registered",
        "deployments",
        "events",
        "containers",
        "needs",
        "stop",
        "rollback",
        "breaker",
        "end",
        "tasks",
        "stage",
        "hooks",
        "alarms",
    ];
    for (domain, key, row) in golden() {
        let (whole, mut all) = (inner(row), Vec::new());
        objects(&whole, "", &mut all);
        for at in &all {
            let member = at.rsplit('/').find(|part| part.parse::<usize>().is_err()).unwrap_or_default();
            let definition = at == "/registered" && key.starts_with("td/");
            if at.is_empty() || OWN.contains(&member) && !definition {
                continue;
            }
            for name in whole.pointer(at).unwrap().as_object().unwrap().keys() {
                // Its key.
                if definition && ["family", "revision"].contains(&name.as_str()) {
                    continue;
                }
                let mut less = whole.clone();
                less.pointer_mut(at).unwrap().as_object_mut().unwrap().remove(name);
                rewritten(domain, key, &enveloped(&less, row));
            }
        }
    }
}

/// What a service said, and the client token that made it, were in its row once.
#[test]
fn the_row_of_a_service_of_version_1_is_taken_apart() {
    let (_, key, row) = golden().find(|(_, key, _)| *key == "service/s").unwrap();
    assert!(row.starts_with("{\"v\":1,"));
    let Ok(cluster::Row::Service(read)) = cluster::Row::decode(key, row.as_bytes()) else { panic!("{row}") };
    let held = read.held.as_ref().unwrap();
    let rows = held.events.iter().cloned().map(cluster::Row::from);
    let rows = rows.chain(held.token.clone().map(cluster::Row::from));
    let written: Vec<(String, Vec<u8>)> =
        rows.map(|row| (cluster::Row::path(&row.key()), row.encode())).collect();
    let golden =
        golden().filter(|(_, key, _)| key.starts_with("service-event") || key.starts_with("service-token"));
    let golden: Vec<_> = golden.map(|(_, key, row)| (key.to_owned(), row.as_bytes().to_vec())).collect();
    assert_eq!(written, golden);
    // The first ones did not know the request, and not each had a client token.
    for (member, without) in [("request", serde_json::json!("")), ("client_token", Value::Null)] {
        let mut less = inner(row);
        less[member] = without;
        let read = cluster::Row::decode(key, enveloped(&less, row).as_bytes());
        let Ok(cluster::Row::Service(read)) = read else { panic!("{less}") };
        assert_eq!(read.held.as_ref().unwrap().token, None, "{member}");
    }
}

/// What its deployments said of a service is what revisions and deployments say now.
#[test]
fn the_row_of_a_service_of_version_2_has_its_revisions_made() {
    let (_, key, row) = golden().find(|(_, _, row)| row.starts_with("{\"v\":2,")).unwrap();
    let read = |row: &Value| match cluster::Row::decode(key, enveloped(row, "{\"v\":2}").as_bytes()) {
        Ok(cluster::Row::Service(read)) => read.as_ref().clone(),
        other => panic!("{other:?}"),
    };
    let mut two = inner(row);
    let mut old = two["deployments"][0].clone();
    old["id"] = "ecs-svc/1234567890123456789".into();
    old["primary"] = false.into();
    old["rollout"] = "COMPLETED".into();
    two["deployments"].as_array_mut().unwrap().push(old);
    let service = read(&two);
    let held = service.held.as_ref().unwrap();
    let ids: Vec<DeploymentId> = service.deployments.iter().map(|deployment| deployment.id).collect();
    assert_eq!(held.revisions.iter().map(|revision| revision.id).collect::<Vec<_>>(), ids);
    assert_eq!(service.completed, Some(ids[1]));
    let deployment = held.deployment.as_ref().unwrap();
    assert_eq!((deployment.target, &*deployment.sources, deployment.id.len()), (ids[0], &ids[1..], 21));
    assert_eq!(deployment.status, ServiceDeploymentStatus::InProgress);
    assert_eq!(read(&two).held, service.held, "whenever it is read");
    two["deployments"][0]["rollout"] = "COMPLETED".into();
    let ended = read(&two).held.unwrap().deployment.unwrap();
    assert!(ended.status == ServiceDeploymentStatus::Successful && ended.end.is_some());
    two["deployments"][0]["rollout"] = "FAILED".into();
    let failed = read(&two).held.unwrap().deployment.unwrap();
    assert!(failed.status == ServiceDeploymentStatus::Stopped && failed.stopped_at.is_some());
    two["deployments"] = serde_json::json!([]);
    assert_eq!(read(&two).held, Some(Box::default()), "an INACTIVE one");
}

/// There may be 100,000 tasks in a cluster, with a container each and more.
#[test]
fn rows_of_which_there_are_many_stay_small() {
    let sizes = [size_of::<TaskRow>(), size_of::<ContainerRow>(), size_of::<NetworkBinding>()];
    assert!(sizes[0] <= 640 && sizes[1] <= 240 && sizes[2] <= 96, "{sizes:?}");
}
