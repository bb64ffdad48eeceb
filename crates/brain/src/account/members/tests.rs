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
    let operation = ecs::SERVICE.operation("RegisterTaskDefinition").unwrap();
    let mut model = BTreeSet::new();
    paths(operation.input.unwrap(), "", &mut model);
    let table: Vec<String> = MEMBERS.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert!(table.is_sorted(), "the table must be sorted");
    assert_eq!(model.into_iter().collect::<Vec<_>>(), table);
}

#[test]
fn what_is_refused_is_refused_with_all_below_it() {
    for (path, support) in MEMBERS {
        let Support::Refused(_) = support else { continue };
        for (below, support) in MEMBERS {
            if below.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')) {
                assert!(matches!(support, Support::Refused(_)), "{below} is below {path}");
            }
        }
    }
}
