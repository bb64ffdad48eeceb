//! The table against the service's model.

use std::collections::BTreeSet;

use wire::schema::{Kind, Shape};

use super::*;

/// Every path below a shape.
fn paths(shape: &Shape, path: &str, found: &mut BTreeSet<String>) {
    match &shape.kind {
        Kind::Structure { members, .. } => {
            for member in *members {
                let path =
                    if path.is_empty() { member.name.to_owned() } else { format!("{path}.{}", member.name) };
                paths(member.shape, &path, found);
                found.insert(path);
            }
        }
        Kind::List { member, .. } => paths(member.shape, path, found),
        _ => {}
    }
}

#[test]
fn every_member_of_the_model_is_in_the_table_once_and_nothing_else_is() {
    let register = ecs::SERVICE.operation("RegisterTaskDefinition").unwrap().input.unwrap();
    let mut run_task = ecs::SERVICE.operation("RunTask").unwrap().input_members().iter();
    let overrides = run_task.find(|member| member.name == "overrides").unwrap().shape;
    for (shape, table) in [(register, MEMBERS), (overrides, OVERRIDES)] {
        let mut model = BTreeSet::new();
        paths(shape, "", &mut model);
        let table: Vec<String> = table.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert!(table.is_sorted(), "the table must be sorted");
        assert_eq!(model.into_iter().collect::<Vec<_>>(), table);
    }
}

#[test]
fn every_member_of_a_daemons_definition_is_in_a_table() {
    let register = ecs::SERVICE.operation("RegisterDaemonTaskDefinition").unwrap().input.unwrap();
    let mut model = BTreeSet::new();
    paths(register, "", &mut model);
    let knows = |table: &[(&str, Support)], path: &str| table.iter().any(|(known, _)| *known == path);
    for path in &model {
        assert!(knows(MEMBERS, path) || knows(DAEMON_MEMBERS, path), "{path}");
    }
    assert!(DAEMON_MEMBERS.iter().all(|(path, _)| model.contains(*path)));
}

#[test]
fn what_is_refused_is_refused_with_all_below_it() {
    for table in [MEMBERS, OVERRIDES, DAEMON_MEMBERS] {
        let refused = || table.iter().filter(|(_, support)| matches!(support, Refused(_)));
        for (path, _) in refused() {
            let mut below = table.iter().filter(|(other, _)| other.starts_with(&format!("{path}.")));
            assert!(below.all(|(_, support)| matches!(support, Refused(_))), "something below {path}");
        }
    }
}
