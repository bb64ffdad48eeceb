//! Rows as they lie on disk: every member of every row, pinned by a golden file, and what is read of rows that
//! say more or less.

use serde_json::Value;
use state::Table;

use crate::{account, cluster};

/// A row of every kind with every member, as this version writes it: domain, key and value. A line is never
/// changed: what reads otherwise would read the rows that are out there otherwise. A new member makes a new line.
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

fn enveloped(row: &Value) -> String {
    format!("{{\"v\":1,\"row\":{row}}}")
}

#[test]
fn rows_are_written_as_they_were_read() {
    for (domain, key, row) in golden() {
        assert_eq!(rewritten(domain, key, row), row);
    }
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
        for at in all.iter().filter(|at| !at.ends_with("/dockerLabels") && !at.ends_with("/options")) {
            let mut more = whole.clone();
            more.pointer_mut(at).unwrap()["membersOfTomorrow"] = serde_json::json!([{"a": 1}]);
            assert_eq!(rewritten(domain, key, &enveloped(&more)), rewritten(domain, key, row), "{key} {at}");
        }
    }
}

/// Rows have members without which they say nothing; what they are made of has none.
#[test]
fn members_that_are_missing_have_a_default() {
    /// These parts are the row's own.
    const OWN: [&str; 7] =
        ["task_definition", "registered", "deployments", "events", "containers", "needs", "stop"];
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
                rewritten(domain, key, &enveloped(&less));
            }
        }
    }
}
